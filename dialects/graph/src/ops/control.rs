//! Sizes, guards and control flow.

use crate::{shape, verify};
use nim_builtin::assume;
use nim_builtin::syntax::{parse_cast, print_cast};
use nim_ir_macros::op;

/// The shape as an `i64` vector.
#[op(name = "graph.shape_of", traits(Pure), infer = shape::shape_of)]
pub struct ShapeOf {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// as many elements as the operand has axes
    #[result(TENSOR)]
    y: One,
}

/// Values of size expressions as an `i64` vector or scalar.
#[op(name = "graph.index", traits(Pure), infer = shape::index)]
pub struct Index {
    /// expressions over the symbols of the function
    #[attr(Exprs)]
    exprs: Required,
    /// rank 0 instead of rank 1
    #[attr(Bool, default = "false")]
    scalar: Default,
    /// their values
    #[result(TENSOR)]
    y: One,
}

/// Binds symbols to the elements of an integer tensor of rank 0 or 1.
#[op(name = "graph.bind", verify = verify::bind)]
pub struct Bind {
    /// integers
    #[operand(INT_TENSOR)]
    x: One,
    /// names of the symbols, one an element
    #[attr(Array)]
    symbols: Required,
}

/// A condition on sizes that is checked at run time: `eq`, `le`, or `broadcast` (equal, or one of them 1).
#[op(name = "graph.guard")]
pub struct Guard {
    /// which condition
    #[attr(Enum("eq", "le", "broadcast"))]
    kind: Required,
    /// left side
    #[attr(Expr)]
    lhs: Required,
    /// right side
    #[attr(Expr)]
    rhs: Required,
    /// what it is about
    #[attr(String)]
    message: Required,
}

/// Says what is known about a symbol. Run time checks it, all but the likely value, which is for estimates alone.
///
/// What is assumed about a symbol of the function's arguments is checked where the function begins, and may be used everywhere
/// in it: `graph.assume N {divisor = 8, max = 512}` needs no code for rests of 8.
#[op(name = "graph.assume", parse = assume::parse, print = assume::print, verify = assume::verify)]
pub struct Assume {
    /// which
    #[attr(String)]
    symbol: Required,
    /// it is at least this
    #[attr(Int)]
    min: Optional,
    /// it is at most this
    #[attr(Int)]
    max: Optional,
    /// it is a multiple of this
    #[attr(Int)]
    divisor: Optional,
    /// what it is most of the time
    #[attr(Int)]
    likely: Optional,
}

/// The same tensor under a type that says more. Symbols that are new in it get their values from its shape; everything else is
/// checked at run time, the number of dimensions too.
#[op(name = "graph.match_cast", parse = parse_cast, print = print_cast)]
pub struct MatchCast {
    /// a tensor of any rank
    #[operand(TENSOR)]
    x: One,
    /// the same
    #[result(TENSOR)]
    y: One,
}

/// Calls a function of the runtime library: what has no elements to compute with, as text and sequences.
///
/// The types of the results are given; their bare symbols that have no value yet get what comes.
#[op(name = "graph.runtime")]
pub struct Runtime {
    /// operands as the function wants them
    #[operand(ANY)]
    operands: Variadic,
    /// name of the function
    #[attr(String)]
    name: Required,
    /// integers; their meaning is the function's
    #[attr(Ints)]
    ints: Optional,
    /// what the function gives
    #[result(ANY)]
    results: Variadic,
}

/// Runs one of two regions.
#[op(name = "graph.if", traits(StructuredControlFlow), verify = verify::if_op)]
pub struct If {
    /// one truth value
    #[operand(BOOL_TENSOR)]
    condition: One,
    /// taken when it holds
    #[region(single_block)]
    then_region: One,
    /// taken when not
    #[region(single_block)]
    else_region: One,
    /// what the region yields
    #[result(ANY)]
    results: Variadic,
}

/// Runs a region again and again: at most `trip` times, as long as the condition holds.
///
/// Region arguments: the iteration number (`tensor<i64>`), then the carried values. It yields the next condition (with `has_condition`), the
/// next carried values, and values that are stacked along a new first axis over all iterations.
#[op(name = "graph.loop", traits(StructuredControlFlow), verify = verify::loop_op)]
pub struct Loop {
    /// most iterations; no limit when absent
    #[operand(INT_TENSOR)]
    trip: Optional,
    /// whether to begin at all; true when absent
    #[operand(BOOL_TENSOR)]
    condition: Optional,
    /// values carried from one iteration to the next
    #[operand(ANY)]
    carried: Variadic,
    /// whether the region yields a condition
    #[attr(Bool, default = "false")]
    has_condition: Default,
    /// symbol bound to the iteration number
    #[attr(String)]
    iv: Optional,
    /// number of iterations, where it is known before the loop runs
    #[attr(Expr)]
    trip_count: Optional,
    /// one iteration
    #[region(single_block)]
    body: One,
    /// carried values, then stacked ones
    #[result(ANY)]
    results: Variadic,
}

/// Ends a region with its values.
#[op(name = "graph.yield", traits(Terminator))]
pub struct Yield {
    /// values
    #[operand(ANY)]
    values: Variadic,
}
