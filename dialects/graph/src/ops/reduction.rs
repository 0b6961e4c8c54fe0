//! Reductions and scans.

use crate::shape;
use nim_ir_macros::op;

/// Reduction over axes; of nothing: 0, 1, the least or the largest value, true, false.
#[op(name = "graph.reduce", traits(Pure), infer = shape::reduce)]
pub struct Reduce {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// how elements combine
    #[attr(Enum("sum", "prod", "max", "min", "and", "or"))]
    kind: Required,
    /// axes that go
    #[attr(Ints)]
    axes: Required,
    /// whether they stay with size 1
    #[attr(Bool, default = "false")]
    keepdims: Default,
    /// result
    #[result(TENSOR)]
    y: One,
}

/// Position of the largest or smallest element along an axis; the first of equals, or the last. NaN counts as extreme.
#[op(name = "graph.arg_reduce", traits(Pure), infer = shape::arg_reduce)]
pub struct ArgReduce {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// which extreme
    #[attr(Enum("max", "min"))]
    kind: Required,
    /// axis
    #[attr(Int)]
    axis: Required,
    /// whether the axis stays with size 1
    #[attr(Bool, default = "false")]
    keepdims: Default,
    /// the last of equals instead of the first
    #[attr(Bool, default = "false")]
    last: Default,
    /// `i64` positions
    #[result(TENSOR)]
    y: One,
}

/// Running sum along an axis.
#[op(name = "graph.cumsum", traits(Pure), infer = shape::cumsum)]
pub struct CumSum {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// axis
    #[attr(Int)]
    axis: Required,
    /// whether an element's own value is left out
    #[attr(Bool, default = "false")]
    exclusive: Default,
    /// from the end
    #[attr(Bool, default = "false")]
    reverse: Default,
    /// result
    #[result(TENSOR)]
    y: One,
}
