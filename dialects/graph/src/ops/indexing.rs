//! Gathers, scatters, sorting, and ops whose result size depends on data.

use crate::shape;
use nim_ir_macros::op;

/// Slices of an axis picked by indices; negative ones count from the end.
#[op(name = "graph.gather", traits(Pure), infer = shape::gather)]
pub struct Gather {
    /// data
    #[operand(TENSOR)]
    x: One,
    /// indices
    #[operand(INT_TENSOR)]
    indices: One,
    /// axis of the data
    #[attr(Int, default = "0 : i64")]
    axis: Default,
    /// data with the axis replaced by the shape of the indices
    #[result(TENSOR)]
    y: One,
}

/// One element an index, at the index's own position but for `axis`.
#[op(name = "graph.gather_elements", traits(Pure), infer = shape::gather_elements)]
pub struct GatherElements {
    /// data
    #[operand(TENSOR)]
    x: One,
    /// indices
    #[operand(INT_TENSOR)]
    indices: One,
    /// axis of the data
    #[attr(Int, default = "0 : i64")]
    axis: Default,
    /// result, shaped as the indices
    #[result(TENSOR)]
    y: One,
}

/// Slices picked by tuples of indices, the tuples in the last axis.
#[op(name = "graph.gather_nd", traits(Pure), infer = shape::gather_nd)]
pub struct GatherNd {
    /// data
    #[operand(TENSOR)]
    x: One,
    /// index tuples
    #[operand(INT_TENSOR)]
    indices: One,
    /// leading axes that data and indices share
    #[attr(Int, default = "0 : i64")]
    batch_dims: Default,
    /// result
    #[result(TENSOR)]
    y: One,
}

/// The data with single elements replaced or combined, at the index's own position but for `axis`.
#[op(name = "graph.scatter_elements", traits(Pure), infer = shape::scatter_elements)]
pub struct ScatterElements {
    /// data
    #[operand(TENSOR)]
    x: One,
    /// indices
    #[operand(INT_TENSOR)]
    indices: One,
    /// new values
    #[operand(TENSOR)]
    updates: One,
    /// axis of the data
    #[attr(Int, default = "0 : i64")]
    axis: Default,
    /// how a new value combines with the old; of several at one place without reduction the last stays
    #[attr(Enum("none", "add", "mul", "max", "min"))]
    reduction: Required,
    /// result, shaped as the data
    #[result(TENSOR)]
    y: One,
}

/// The data with slices replaced or combined at tuples of indices.
#[op(name = "graph.scatter_nd", traits(Pure), infer = shape::scatter_nd)]
pub struct ScatterNd {
    /// data
    #[operand(TENSOR)]
    x: One,
    /// index tuples in the last axis
    #[operand(INT_TENSOR)]
    indices: One,
    /// new slices
    #[operand(TENSOR)]
    updates: One,
    /// how a new value combines with the old
    #[attr(Enum("none", "add", "mul", "max", "min"))]
    reduction: Required,
    /// result, shaped as the data
    #[result(TENSOR)]
    y: One,
}

/// The `k` largest or smallest elements along an axis; of equals the one with the lower index first.
#[op(name = "graph.topk", traits(Pure), infer = shape::topk)]
pub struct TopK {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// axis
    #[attr(Int)]
    axis: Required,
    /// how many
    #[attr(Expr)]
    k: Required,
    /// largest or smallest
    #[attr(Bool, default = "true")]
    largest: Default,
    /// in order
    #[attr(Bool, default = "true")]
    sorted: Default,
    /// elements
    #[result(TENSOR)]
    values: One,
    /// where they were
    #[result(TENSOR)]
    indices: One,
}

/// Indices of the elements that are not zero, one column each, in row-major order.
#[op(name = "graph.nonzero", traits(Pure), infer = shape::nonzero)]
pub struct NonZero {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// a list of one symbol that the op binds to the number of columns
    #[attr(Exprs)]
    size: Required,
    /// `[rank, size]`
    #[result(TENSOR)]
    y: One,
}

/// Distinct elements, or distinct slices along an axis.
#[op(name = "graph.unique", traits(Pure), infer = shape::unique)]
pub struct Unique {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// axis of the slices; all elements when absent
    #[attr(Int)]
    axis: Optional,
    /// ascending, or in order of first appearance
    #[attr(Bool, default = "true")]
    sorted: Default,
    /// a list of one symbol that the op binds to the number of distinct elements
    #[attr(Exprs)]
    size: Required,
    /// distinct elements
    #[result(TENSOR)]
    y: One,
    /// where each appears first
    #[result(TENSOR)]
    first: One,
    /// for each element of the operand, which distinct one it is
    #[result(TENSOR)]
    inverse: One,
    /// how often each appears
    #[result(TENSOR)]
    counts: One,
}

/// Non-maximum suppression as ONNX's NonMaxSuppression.
#[op(name = "graph.nms", traits(Pure), infer = shape::nms)]
pub struct Nms {
    /// `[batches, boxes, 4]`
    #[operand(FLOAT_TENSOR)]
    boxes: One,
    /// `[batches, classes, boxes]`
    #[operand(FLOAT_TENSOR)]
    scores: One,
    /// scalars: most boxes a class (i64), overlap threshold, score threshold (f32); absent ones are 0, 0 and none
    #[operand(TENSOR)]
    limits: Variadic,
    /// which of the three limits are given
    #[attr(Ints)]
    given: Required,
    /// boxes are centre and size instead of two corners
    #[attr(Bool, default = "false")]
    center: Default,
    /// a list of one symbol that the op binds to the number of selected boxes
    #[attr(Exprs)]
    size: Required,
    /// `[size, 3]`: batch, class, box
    #[result(TENSOR)]
    y: One,
}

/// Random numbers.
#[op(name = "graph.random", infer = shape::random)]
pub struct Random {
    /// distribution
    #[attr(Enum("uniform", "normal"))]
    kind: Required,
    /// shape of the result
    #[attr(Exprs)]
    shape: Required,
    /// element type
    #[attr(Type)]
    r#type: Required,
    /// lower bound, or mean
    #[attr(Float)]
    a: Required,
    /// upper bound, or standard deviation
    #[attr(Float)]
    b: Required,
    /// seed; each run differs without it
    #[attr(Float)]
    seed: Optional,
    /// result
    #[result(TENSOR)]
    y: One,
}
