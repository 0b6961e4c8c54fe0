//! The op tables of the dialect.

use crate::{access, control, kernel};
use nim_builtin::syntax::{parse_values, print_values};
use nim_ir_macros::{dialect, op};

dialect! {
    /// The `loops` dialect.
    pub static LOOPS: "loops",
    "How the machine walks: loop nests over buffers with a visible schedule, scalar bodies, small local buffers.",
    ops[Kernel, For, If, Local, Load, LoadWord, Dot, Store, Index, Yield]
}

/// A kernel in destination-passing style: the last `outputs` arguments are written, the others read.
///
/// ```text
/// loops.kernel @k(%x: memref<[N]xf32>, %y: memref<[N]xf32>) attributes {outputs = 1, symbols = ["N"]} {
///   loops.for $0 = 0 to N parallel {
///     %v = loops.load %x[$0] : memref<[N]xf32>
///     loops.store %v, %y[$0] : memref<[N]xf32>
///   }
///   loops.yield
/// }
/// ```
#[op(name = "loops.kernel", traits(IsolatedFromAbove, Symbol), parse = kernel::parse, print = kernel::print,
     verify = kernel::verify)]
pub struct Kernel {
    /// name
    #[attr(SymbolName)]
    sym_name: Required,
    /// `(memrefs) -> ()`
    #[attr(Type)]
    function_type: Required,
    /// how many of the last arguments are written
    #[attr(Int)]
    outputs: Required,
    /// names of the symbols it is given
    #[attr(Array)]
    symbols: Optional,
    /// where it runs; on the host when absent
    #[attr(String)]
    device: Optional,
    /// the loops
    #[region(single_block)]
    body: One,
}

/// Runs its body for `iv = lower, lower + step, ...` below `upper`.
///
/// The kind says how the machine walks, never what comes out: `parallel` (threads), `unroll`, `vector` (lanes), `seq`.
#[op(name = "loops.for", traits(StructuredControlFlow), parse = control::parse_for, print = control::print_for,
     verify = control::verify_for)]
pub struct For {
    /// name of the iteration variable; begins with `$`
    #[attr(String)]
    iv: Required,
    /// first value
    #[attr(Expr)]
    lower: Required,
    /// end, exclusive
    #[attr(Expr)]
    upper: Required,
    /// step, positive
    #[attr(Int)]
    step: Required,
    /// seq, parallel, unroll or vector
    #[attr(Enum("seq", "parallel", "unroll", "vector"))]
    kind: Required,
    /// what is run
    #[region(single_block)]
    body: One,
}

/// Runs its first region if all conditions are at least 0, else its second, if there is one: guards of borders and tails.
///
/// With results both regions are there and yield them.
#[op(name = "loops.if", traits(StructuredControlFlow), parse = control::parse_if, print = control::print_if,
     verify = control::verify_if)]
pub struct If {
    /// expressions, all of which must be at least 0
    #[attr(Exprs)]
    conditions: Required,
    /// if they are
    #[region(single_block)]
    then_region: One,
    /// if one is not
    #[region(single_block)]
    else_region: Optional,
    /// what the regions yield
    #[result(SCALAR)]
    results: Variadic,
}

/// A small buffer of constant size whose contents are undefined at first.
#[op(name = "loops.local", parse = access::parse_local, print = access::print_local, verify = access::verify_local)]
pub struct Local {
    /// register or stack
    #[attr(Enum("register", "stack"))]
    space: Required,
    /// the buffer
    #[result(MEMREF)]
    result: One,
}

/// Reads an element. Indices are expressions over iteration variables, symbols, and values of type `index`.
#[op(name = "loops.load", traits(ReadOnly), infer = access::infer_load, parse = access::parse_load,
     print = access::print_load, verify = access::verify_load)]
pub struct Load {
    /// the buffer
    #[operand(MEMREF)]
    buffer: One,
    /// values that the indices use as `$v0`, `$v1`, ...
    #[operand(INDEX)]
    values: Variadic,
    /// one index a dimension
    #[attr(Exprs)]
    indices: Required,
    /// the element, signless
    #[result(SCALAR)]
    result: One,
}

/// Reads neighbours of the last dimension that fill 32 bits, four bytes or two `bf16`, as one number, the first one lowest.
#[op(name = "loops.load_word", traits(ReadOnly), infer = access::infer_load_word, parse = access::parse_load,
     print = access::print_load, verify = access::verify_load)]
pub struct LoadWord {
    /// a buffer of bytes or `bf16`
    #[operand(MEMREF)]
    buffer: One,
    /// values that the indices use as `$v0`, `$v1`, ...
    #[operand(INDEX)]
    values: Variadic,
    /// one index a dimension: the place of the first neighbour
    #[attr(Exprs)]
    indices: Required,
    /// their bits as `i32`
    #[result(SCALAR)]
    result: One,
}

/// A sum and the products of what two words hold. Of `i32`, `acc + a0*b0 + a1*b1 + a2*b2 + a3*b3` modulo 2^32: the bytes of `a` are
/// unsigned, those of `b` signed. Of `f32`, `acc + a0*b0 + a1*b1` of `bf16`: products are exact, sums are rounded to nearest in
/// either order, or once for both; what is below the normal numbers may count as zero.
#[op(name = "loops.dot", traits(Pure), infer = access::infer_dot, parse = access::parse_dot, print = access::print_dot,
     verify = access::verify_dot)]
pub struct Dot {
    /// summand, `i32` or `f32`
    #[operand(SCALAR)]
    acc: One,
    /// the left factors, `i32`
    #[operand(SCALAR)]
    a: One,
    /// the right factors, `i32`
    #[operand(SCALAR)]
    b: One,
    /// the sum
    #[result(SCALAR)]
    result: One,
}

/// Writes an element.
#[op(name = "loops.store", parse = access::parse_store, print = access::print_store, verify = access::verify_store)]
pub struct Store {
    /// the element, signless
    #[operand(SCALAR)]
    value: One,
    /// the buffer
    #[operand(MEMREF)]
    buffer: One,
    /// values that the indices use as `$v0`, `$v1`, ...
    #[operand(INDEX)]
    values: Variadic,
    /// one index a dimension
    #[attr(Exprs)]
    indices: Required,
}

/// The value of an expression of iteration variables and symbols.
#[op(name = "loops.index", traits(Pure), infer = access::infer_index, parse = access::parse_index,
     print = access::print_index)]
pub struct Index {
    /// the expression
    #[attr(Expr)]
    expr: Required,
    /// its value
    #[result(INDEX)]
    result: One,
}

/// Ends a region.
#[op(name = "loops.yield", traits(Pure, Terminator), parse = parse_values, print = print_values)]
pub struct Yield {
    /// results of a `loops.if`
    #[operand(SCALAR)]
    values: Variadic,
}
