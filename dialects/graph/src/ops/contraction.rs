//! Contractions and sliding windows.

use crate::shape;
use nim_ir_macros::op;

/// Matrix product with NumPy's rules for batches and vectors.
#[op(name = "graph.matmul", traits(Pure), infer = shape::matmul)]
pub struct MatMul {
    /// left factor
    #[operand(TENSOR)]
    x: One,
    /// right factor
    #[operand(TENSOR)]
    y: One,
    /// product
    #[result(TENSOR)]
    z: One,
}

/// Einstein summation over an explicit equation, one letter an axis: `bij,bjk->bik`.
#[op(name = "graph.einsum", traits(Pure), infer = shape::einsum)]
pub struct Einsum {
    /// factors
    #[operand(TENSOR)]
    xs: Variadic,
    /// inputs and output, no ellipsis, no spaces
    #[attr(String)]
    equation: Required,
    /// sum of products
    #[result(TENSOR)]
    y: One,
}

/// Convolution (cross-correlation) of `[N, C, ...]` with weights `[O, C/groups, ...]`, zeros outside.
#[op(name = "graph.conv", traits(Pure), infer = shape::conv)]
pub struct Conv {
    /// input
    #[operand(TENSOR)]
    x: One,
    /// weights
    #[operand(TENSOR)]
    w: One,
    /// steps of the window, one a spatial axis; 1 when absent
    #[attr(Ints)]
    strides: Optional,
    /// zeros put around the input: before each spatial axis, then behind each; 0 when absent
    #[attr(Ints)]
    pads: Optional,
    /// distance between taps; 1 when absent
    #[attr(Ints)]
    dilations: Optional,
    /// channel groups
    #[attr(Int, default = "1 : i64")]
    groups: Default,
    /// `[N, O, ...]`
    #[result(TENSOR)]
    y: One,
}

/// Transposed convolution: the gradient of a convolution by its input.
#[op(name = "graph.conv_transpose", traits(Pure), infer = shape::conv_transpose)]
pub struct ConvTranspose {
    /// input `[N, C, ...]`
    #[operand(TENSOR)]
    x: One,
    /// weights `[C, O/groups, ...]`
    #[operand(TENSOR)]
    w: One,
    /// steps of the window in the output
    #[attr(Ints)]
    strides: Optional,
    /// elements cut from the output: before each spatial axis, then behind each
    #[attr(Ints)]
    pads: Optional,
    /// distance between taps
    #[attr(Ints)]
    dilations: Optional,
    /// elements added behind each spatial axis of the output
    #[attr(Ints)]
    output_padding: Optional,
    /// channel groups
    #[attr(Int, default = "1 : i64")]
    groups: Default,
    /// `[N, O, ...]`
    #[result(TENSOR)]
    y: One,
}

/// Maximum or sum over a sliding window of `[N, C, ...]`. Outside lies the least value, or zero.
#[op(name = "graph.pool", traits(Pure), infer = shape::pool)]
pub struct Pool {
    /// input
    #[operand(TENSOR)]
    x: One,
    /// what is taken of a window
    #[attr(Enum("max", "sum"))]
    kind: Required,
    /// size of the window, one a spatial axis
    #[attr(Ints)]
    kernel: Required,
    /// steps of the window
    #[attr(Ints)]
    strides: Optional,
    /// padding before each spatial axis, then behind each
    #[attr(Ints)]
    pads: Optional,
    /// distance between taps
    #[attr(Ints)]
    dilations: Optional,
    /// spatial sizes of the result, where they are not the usual floor
    #[attr(Exprs)]
    output: Optional,
    /// `[N, C, ...]`
    #[result(TENSOR)]
    y: One,
}
