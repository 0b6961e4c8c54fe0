//! Algebraic data types and functions as values: lists, trees, closures. Values are references; tensors are inside.

use nim_builtin::{adt, lambda};
use nim_ir_macros::op;

/// Defines an algebraic data type by its constructors, each with the types of its fields; a type may hold itself.
///
/// Symbols in the fields are each value's own: `leaf(tensor<[N]xf32>)` holds vectors of any length.
#[op(name = "graph.adt", traits(Symbol), parse = adt::parse_definition, print = adt::print_definition,
     verify = adt::verify_definition)]
pub struct Adt {
    /// name of the type
    #[attr(SymbolName)]
    sym_name: Required,
    /// names of the constructors
    #[attr(Array)]
    constructors: Required,
    /// for each constructor an array of types
    #[attr(Array)]
    fields: Required,
}

/// Makes a value of an algebraic data type.
#[op(name = "graph.construct", traits(Pure), parse = adt::parse_construct, print = adt::print_construct,
     verify_use = adt::verify_construct)]
pub struct Construct {
    /// by which constructor
    #[attr(String)]
    constructor: Required,
    /// its fields
    #[operand(ANY)]
    fields: Variadic,
    /// the value
    #[result(ANY)]
    value: One,
}

/// Takes a value of an algebraic data type apart: runs the case of the constructor that it was made by.
///
/// Every constructor needs a case, or there is one `otherwise`. A case takes the fields; symbols that are new in their types
/// are bound there.
#[op(name = "graph.match", traits(StructuredControlFlow), parse = adt::parse_match, print = adt::print_match,
     verify_use = adt::verify_match)]
pub struct Match {
    /// the value
    #[operand(ANY)]
    value: One,
    /// the constructor of each case
    #[attr(Array)]
    cases: Required,
    /// one a case
    #[region(single_block)]
    arms: Variadic,
    /// what the cases yield
    #[result(ANY)]
    results: Variadic,
}

/// A function as a value, with its first arguments given already. `func.call_indirect` calls it.
#[op(name = "graph.closure", traits(Pure, SymbolUser), parse = adt::parse_closure, print = adt::print_closure,
     verify_use = adt::verify_closure)]
pub struct Closure {
    /// the function
    #[attr(SymbolRef)]
    callee: Required,
    /// its first arguments
    #[operand(ANY)]
    captured: Variadic,
    /// a function that takes the other arguments
    #[result(ANY)]
    function: One,
}

/// A function written where it is used. It may use all values and symbols that are known there; they are taken with it.
///
/// `graph-lift-lambdas` makes it a function of the module, and a [`Closure`] of what it takes with it.
#[op(name = "graph.lambda", traits(StructuredControlFlow), parse = lambda::parse, print = lambda::print,
     verify = lambda::verify)]
pub struct Lambda {
    /// what it does with its arguments
    #[region(single_block)]
    body: One,
    /// the function
    #[result(ANY)]
    function: One,
}
