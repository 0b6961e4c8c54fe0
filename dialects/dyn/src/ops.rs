//! The op tables of the dialect.

use crate::{arena, control, data, device, kernels};
use nim_builtin::adt;
use nim_builtin::syntax::{parse_values, print_values};
use nim_ir_macros::{dialect, op};

dialect! {
    /// The `dyn` dialect.
    pub static DYN: "dyn",
    "When and where: the host side of a program. Values are buffers; sizes are expressions over the function's symbols.",
    ops[Alloc, Arena, View, Kill, Constant, Reshape, MatchCast, Copy, Invoke, Runtime, Bind, Index, Guard, Check, If, Loop, Match, Yield, Construct, Closure],
    types["dyn.storage": "Memory of some size on a device, of which views are taken."]
}

/// Memory of so many bytes.
#[op(name = "dyn.alloc", parse = data::parse_alloc, print = data::print_alloc, verify = data::verify_alloc)]
pub struct Alloc {
    /// bytes
    #[attr(Expr)]
    size: Required,
    /// where; on the host when absent
    #[attr(String)]
    device: Optional,
    /// the memory
    #[result(crate::STORAGE)]
    storage: One,
}

/// Memory in which several buffers have places. Where they lie is found when it runs, from their sizes and from which of
/// them live at the same time; the offsets become the values of symbols.
///
/// A size that is negative or has no value counts as 0: such a buffer is never made.
#[op(name = "dyn.arena", parse = arena::parse_arena, print = arena::print_arena, verify = arena::verify_arena)]
pub struct Arena {
    /// bytes of each buffer
    #[attr(Exprs)]
    sizes: Required,
    /// for each buffer, the numbers of those before it that it must not overlap
    #[attr(Array)]
    apart: Required,
    /// for each buffer, the symbol that becomes its offset
    #[attr(Array)]
    symbols: Required,
    /// where; on the host when absent
    #[attr(String)]
    device: Optional,
    /// the memory
    #[result(crate::STORAGE)]
    storage: One,
}

/// A row-major buffer in memory, on the same device.
#[op(name = "dyn.view", traits(Pure), parse = data::parse_view, print = data::print_view,
     verify = device::verify_view)]
pub struct View {
    /// the memory
    #[operand(crate::STORAGE)]
    storage: One,
    /// bytes from its start
    #[attr(Expr)]
    offset: Required,
    /// the buffer
    #[result(MEMREF)]
    result: One,
}

/// These values are not used any more. Memory goes back when all values that refer to it are gone.
#[op(name = "dyn.kill", parse = parse_values, print = print_values)]
pub struct Kill {
    /// buffers and memory
    #[operand(ANY)]
    values: Variadic,
}

/// A constant in memory that is never written; on another device than the host it is put there once, not in every run.
#[op(name = "dyn.constant", traits(Pure, ConstantLike), infer = data::infer_constant, parse = data::parse_constant,
     print = data::print_constant)]
pub struct Constant {
    /// its elements
    #[attr(Elements)]
    value: Required,
    /// where; on the host when absent
    #[attr(String)]
    device: Optional,
    /// the buffer
    #[result(MEMREF)]
    result: One,
}

/// The same elements in the same order under another shape. Nothing is copied.
#[op(name = "dyn.reshape", traits(Pure), parse = nim_builtin::syntax::parse_cast, print = nim_builtin::syntax::print_cast,
     verify = data::verify_reshape)]
pub struct Reshape {
    /// a buffer
    #[operand(MEMREF)]
    source: One,
    /// the same memory
    #[result(MEMREF)]
    result: One,
}

/// The same buffer under a type that says more: new symbols in it get their values. A `dyn.check` behind it looks at the rest.
#[op(name = "dyn.match_cast", parse = nim_builtin::syntax::parse_cast, print = nim_builtin::syntax::print_cast)]
pub struct MatchCast {
    /// a buffer of any rank
    #[operand(ANY)]
    source: One,
    /// the same memory
    #[result(MEMREF)]
    result: One,
}

/// Copies all elements of a buffer, from one device to another where they are on two.
#[op(name = "dyn.copy", parse = data::parse_copy, print = data::print_copy, verify = data::verify_copy)]
pub struct Copy {
    /// where they are
    #[operand(MEMREF)]
    from: One,
    /// where they go
    #[operand(MEMREF)]
    to: One,
}

/// Runs a kernel, on the kernel's device, where all its buffers are.
#[op(name = "dyn.invoke", parse = kernels::parse_invoke, print = kernels::print_invoke,
     verify_use = device::verify_invoke)]
pub struct Invoke {
    /// the kernel
    #[attr(SymbolRef)]
    callee: Required,
    /// buffers that it reads
    #[operand(MEMREF)]
    ins: Variadic,
    /// buffers that it writes
    #[operand(MEMREF)]
    outs: Variadic,
    /// values of the kernel's symbols; those of the same names when absent
    #[attr(Exprs)]
    symbols: Optional,
}

/// Runs a function of the runtime that makes its own buffers: sorting, strings, sequences, random numbers.
#[op(name = "dyn.runtime", parse = kernels::parse_runtime, print = kernels::print_runtime)]
pub struct Runtime {
    /// which
    #[attr(String)]
    name: Required,
    /// what it is to do
    #[attr(Dict)]
    config: Optional,
    /// what it reads
    #[operand(ANY)]
    ins: Variadic,
    /// fresh buffers
    #[result(ANY)]
    results: Variadic,
}

/// Element i of an integer buffer of rank 0 or 1 becomes the value of symbol i.
#[op(name = "dyn.bind", parse = data::parse_bind, print = data::print_bind, verify = data::verify_bind)]
pub struct Bind {
    /// integers
    #[operand(MEMREF)]
    source: One,
    /// names
    #[attr(Array)]
    symbols: Required,
}

/// Writes the values of expressions into an integer buffer of rank 0 or 1.
#[op(name = "dyn.index", parse = data::parse_index, print = data::print_index, verify = data::verify_index)]
pub struct Index {
    /// one an element
    #[attr(Exprs)]
    exprs: Required,
    /// where they go
    #[operand(MEMREF)]
    out: One,
}

/// What must hold; else the program ends with the message. `broadcast`: the sizes are equal, or one of them is 1.
#[op(name = "dyn.guard", parse = data::parse_guard, print = data::print_guard)]
pub struct Guard {
    /// eq, broadcast or le
    #[attr(Enum("eq", "broadcast", "le"))]
    kind: Required,
    /// left side
    #[attr(Expr)]
    lhs: Required,
    /// right side
    #[attr(Expr)]
    rhs: Required,
    /// what is said when it does not hold
    #[attr(String)]
    message: Required,
}

/// The buffer must have the dimensions that its type says; else the program ends with an error that names `what`.
#[op(name = "dyn.check", parse = data::parse_check, print = data::print_check)]
pub struct Check {
    /// a buffer
    #[operand(MEMREF)]
    source: One,
    /// what it is to the user: "input `x`"
    #[attr(String)]
    what: Required,
}

/// Runs one of two regions.
#[op(name = "dyn.if", traits(StructuredControlFlow), parse = control::parse_if, print = control::print_if,
     verify = control::verify_if)]
pub struct If {
    /// a buffer with one `i1`
    #[operand(MEMREF)]
    condition: One,
    /// if it is true
    #[region(single_block)]
    then_region: One,
    /// if it is false
    #[region(single_block)]
    else_region: One,
    /// what the regions yield
    #[result(ANY)]
    results: Variadic,
}

/// Runs its region again and again, as `graph.loop` does.
///
/// Arguments of the region: the number of the iteration (a buffer with one `i64`), then what is carried. It yields the
/// condition (when `has_condition`), what is carried, and one buffer an iteration for each stacked result.
#[op(name = "dyn.loop", traits(StructuredControlFlow), parse = control::parse_loop, print = control::print_loop,
     verify = control::verify_loop)]
pub struct Loop {
    /// at most so many times: a buffer with one `i64`
    #[operand(MEMREF)]
    trip: Optional,
    /// whether to begin: a buffer with one `i1`
    #[operand(MEMREF)]
    condition: Optional,
    /// what the first iteration gets
    #[operand(ANY)]
    carried: Variadic,
    /// the region yields whether to go on
    #[attr(Unit)]
    has_condition: Optional,
    /// name of the symbol that is bound to the number of the iteration
    #[attr(String)]
    iv: Optional,
    /// the number of iterations, where it is known before
    #[attr(Expr)]
    trip_count: Optional,
    /// what is run
    #[region(single_block)]
    body: One,
    /// what is carried out of the last iteration, then the stacked results
    #[result(ANY)]
    results: Variadic,
}

/// Ends a region.
#[op(name = "dyn.yield", traits(Pure, Terminator), parse = parse_values, print = print_values)]
pub struct Yield {
    /// values for the op around
    #[operand(ANY)]
    values: Variadic,
}

/// Runs the case of the constructor that a value of an algebraic data type was made by, as `graph.match` does.
#[op(name = "dyn.match", traits(StructuredControlFlow), parse = adt::parse_match, print = adt::print_match,
     verify_use = adt::verify_match)]
pub struct Match {
    /// the value
    #[operand(ANY)]
    value: One,
    /// the constructor of each case
    #[attr(Array)]
    cases: Required,
    /// one a case; their arguments are the fields
    #[region(single_block)]
    arms: Variadic,
    /// what the cases yield
    #[result(ANY)]
    results: Variadic,
}

/// Makes a value of an algebraic data type; it refers to its fields, nothing is copied.
#[op(name = "dyn.construct", traits(Pure), parse = adt::parse_construct, print = adt::print_construct,
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

/// A function as a value, with its first arguments given already.
#[op(name = "dyn.closure", traits(Pure, SymbolUser), parse = adt::parse_closure, print = adt::print_closure,
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
