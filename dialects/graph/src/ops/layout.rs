//! Constants, and ops that move elements without computing.

use crate::shape;
use nim_ir_macros::op;

/// A compile-time constant.
#[op(name = "graph.constant", traits(Pure, ConstantLike), infer = shape::constant)]
pub struct Constant {
    /// elements
    #[attr(Elements)]
    value: Required,
    /// the constant
    #[result(TENSOR)]
    y: One,
}

/// The same elements in row-major order under another shape.
#[op(name = "graph.reshape", traits(Pure), infer = shape::reshape)]
pub struct Reshape {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// shape of the result
    #[attr(Exprs)]
    shape: Required,
    /// result
    #[result(TENSOR)]
    y: One,
}

/// Repeats along axes of size 1, and along new leading axes.
#[op(name = "graph.broadcast_to", traits(Pure), infer = shape::broadcast_to)]
pub struct BroadcastTo {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// shape of the result
    #[attr(Exprs)]
    shape: Required,
    /// result
    #[result(TENSOR)]
    y: One,
}

/// Permutes axes: axis i of the result is axis `perm[i]` of the operand.
#[op(name = "graph.transpose", traits(Pure), infer = shape::transpose)]
pub struct Transpose {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// permutation
    #[attr(Ints)]
    perm: Required,
    /// result
    #[result(TENSOR)]
    y: One,
}

/// Joins tensors along an axis.
#[op(name = "graph.concat", traits(Pure), infer = shape::concat)]
pub struct Concat {
    /// operands, at least one
    #[operand(TENSOR)]
    xs: Variadic,
    /// axis
    #[attr(Int)]
    axis: Required,
    /// result
    #[result(TENSOR)]
    y: One,
}

/// Takes element `start + i*step` of each axis; all must lie inside.
#[op(name = "graph.slice", traits(Pure), infer = shape::slice)]
pub struct Slice {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// first element, one an axis
    #[attr(Exprs)]
    starts: Required,
    /// distance, one an axis, not zero
    #[attr(Exprs)]
    steps: Required,
    /// number of elements, one an axis
    #[attr(Exprs)]
    sizes: Required,
    /// result
    #[result(TENSOR)]
    y: One,
}

/// Adds elements around the operand; negative amounts cut.
#[op(name = "graph.pad", traits(Pure), infer = shape::pad)]
pub struct Pad {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// scalar for mode `constant`; zero when absent
    #[operand(TENSOR)]
    value: Optional,
    /// elements before each axis
    #[attr(Exprs)]
    low: Required,
    /// elements behind each axis
    #[attr(Exprs)]
    high: Required,
    /// what the new elements are
    #[attr(Enum("constant", "edge", "reflect", "wrap"))]
    mode: Required,
    /// result
    #[result(TENSOR)]
    y: One,
}

/// 0, 1, 2, ... along an axis, the same along all others.
#[op(name = "graph.iota", traits(Pure), infer = shape::iota)]
pub struct Iota {
    /// shape of the result
    #[attr(Exprs)]
    shape: Required,
    /// axis that counts
    #[attr(Int)]
    axis: Required,
    /// element type
    #[attr(Type)]
    r#type: Required,
    /// result
    #[result(TENSOR)]
    y: One,
}

/// `start + i*step` for `i` below `size`.
#[op(name = "graph.range", traits(Pure), infer = shape::range)]
pub struct Range {
    /// scalar
    #[operand(TENSOR)]
    start: One,
    /// scalar
    #[operand(TENSOR)]
    step: One,
    /// number of elements
    #[attr(Expr)]
    size: Required,
    /// result
    #[result(TENSOR)]
    y: One,
}

/// Resampling to another size, as ONNX's Resize.
#[op(name = "graph.resize", traits(Pure), infer = shape::resize)]
pub struct Resize {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// shape of the result
    #[attr(Exprs)]
    sizes: Required,
    /// result size over operand size, one an axis, as the model gives it; 0 where only the size is given
    #[attr(Array)]
    scales: Required,
    /// interpolation
    #[attr(Enum("nearest", "linear", "cubic"))]
    mode: Required,
    /// how a position in the result maps to one in the operand
    #[attr(Enum(
        "half_pixel",
        "half_pixel_symmetric",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "tf_half_pixel_for_nn",
        "tf_crop_and_resize"
    ))]
    coordinates: Required,
    /// rounding of mode `nearest`
    #[attr(Enum("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"))]
    nearest_mode: Optional,
    /// region of interest of `tf_crop_and_resize`: starts, then ends, as fractions
    #[attr(Array)]
    roi: Optional,
    /// coefficient `a` of mode `cubic`
    #[attr(Float)]
    cubic_coeff_a: Optional,
    /// weights of positions outside are dropped and the others scaled up
    #[attr(Bool)]
    exclude_outside: Optional,
    /// value outside, of `tf_crop_and_resize`
    #[attr(Float)]
    extrapolation: Optional,
    /// widens the filter when the result is smaller
    #[attr(Bool)]
    antialias: Optional,
    /// result
    #[result(TENSOR)]
    y: One,
}
