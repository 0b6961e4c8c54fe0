//! Quantised numbers: conversions, and products of integers in `i32`.

use super::{Family, Importer, Node, Out, window, wrap_axis};
use crate::dtype_of;
use nim_graph::Built;
use nim_ir::ValueId;
use nim_tensor::DType;

pub(super) const RULES: Family = &[
    ("ConvInteger", conv_integer),
    ("DequantizeLinear", dequantize_linear),
    ("DynamicQuantizeLinear", dynamic_quantize_linear),
    ("MatMulInteger", matmul_integer),
    ("QLinearConv", qlinear_conv),
    ("QLinearMatMul", qlinear_matmul),
    ("QuantizeLinear", quantize_linear),
];

/// Least and largest value of an integer type.
fn range_of(im: &Importer<'_>, dtype: DType) -> Built<(f64, f64)> {
    let bits = dtype.bits() as i32;
    match dtype {
        d if d.is_signed_integer() => Ok((-(2f64.powi(bits - 1)), 2f64.powi(bits - 1) - 1.0)),
        d if d.is_unsigned_integer() => Ok((0.0, 2f64.powi(bits) - 1.0)),
        d => Err(im.error("N0614", format!("{d} is not a type of quantised integers"))),
    }
}

/// A scale or zero point laid along the axes of a value: one number, one an axis, or one a block.
fn laid_along(im: &mut Importer<'_>, n: &Node<'_>, v: ValueId, x: ValueId) -> Built {
    let (own, dims) = (im.dims(v)?, im.dims(x)?);
    let block = n.int("block_size", 0);
    if own.is_empty() {
        return Ok(v);
    }
    if own.len() == 1 && (block == 0 || dims.len() != 1) {
        if im.ctx().exprs.as_const(own[0]) == Some(1) {
            return im.reshape(v, &[]);
        }
        let axis = wrap_axis(im, n.int("axis", 1), dims.len())?;
        let trailing: Vec<i64> = (1..(dims.len() - axis) as i64).collect();
        return im.unsqueeze(v, &trailing);
    }
    if own.len() != dims.len() {
        let (a, b) = (im.ctx().display_type(im.ty(v)), im.ctx().display_type(im.ty(x)));
        return Err(im.error("N0627", format!("a scale or zero point {a} does not fit {b}")));
    }
    let axis = wrap_axis(im, n.int("axis", 1), dims.len())?;
    if own[axis] == dims[axis] {
        return Ok(v);
    }
    // Each entry stands for a block of the axis; the last block may be cut.
    let p = &im.ctx().exprs;
    let size = if block > 0 { p.constant(block) } else { p.ceildiv(dims[axis], own[axis]) };
    let mut wide = own.clone();
    wide.insert(axis + 1, size);
    let apart = im.unsqueeze(v, &[axis as i64 + 1])?;
    let apart = im.broadcast_to(apart, &wide)?;
    let mut joined = own.clone();
    joined[axis] = p.mul(own[axis], size);
    let joined = im.reshape(apart, &joined)?;
    let zero = im.num(0);
    im.slice_axis(joined, axis, zero, dims[axis])
}

/// `saturate(round(x) + zero)` as a type; `x` in floating point. NaN is the least number, as for ONNX Runtime.
pub(super) fn to_integer(im: &mut Importer<'_>, x: ValueId, zero: Option<ValueId>, dtype: DType) -> Built {
    let (least, most) = range_of(im, dtype)?;
    let mut y = im.unary("round", x)?;
    if let Some(zero) = zero {
        let element = im.element(y)?;
        let zero = im.cast(zero, element)?;
        y = im.binary("add", y, zero)?;
    }
    for (test, bound) in [("gt", least), ("lt", most)] {
        let bound = im.like(y, bound)?;
        let inside = im.compare(test, y, bound)?;
        y = im.value("graph.select", &[inside, y, bound], &[])?;
    }
    im.cast_to(y, dtype)
}

fn given_type(im: &Importer<'_>, n: &Node<'_>, name: &str) -> Built<Option<DType>> {
    match n.int(name, 0) {
        0 => Ok(None),
        t => dtype_of(t as i32).map(Some).map_err(|e| im.error("N0614", e.to_string())),
    }
}

fn quantize_linear(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, scale) = (n.input(im, 0)?, n.input(im, 1)?);
    let zero = n.opt(2);
    let dtype = match (zero, given_type(im, n, "output_dtype")?) {
        (Some(z), _) => im.dtype(z)?,
        (None, Some(t)) => t,
        (None, None) => DType::U8,
    };
    let compute = match given_type(im, n, "precision")? {
        Some(t) => t,
        // Halves cannot tell all integers of 16 bits apart: divide, then round, in f32.
        None => match im.dtype(x)? {
            DType::F64 => DType::F64,
            _ => DType::F32,
        },
    };
    let scale = laid_along(im, n, scale, x)?;
    let (x32, scale) = (im.cast_to(x, compute)?, im.cast_to(scale, compute)?);
    let mut y = im.binary("div", x32, scale)?;
    let zero = zero.map(|z| laid_along(im, n, z, x)).transpose()?;
    if dtype.is_integer() {
        y = if compute == DType::F32 || compute == DType::F64 { y } else { im.cast_to(y, DType::F32)? };
        return Ok(vec![to_integer(im, y, zero, dtype)?]);
    }
    if let Some(zero) = zero {
        let zero = im.cast_to(zero, compute)?;
        y = im.binary("add", y, zero)?;
    }
    let ctx = im.ctx();
    let attrs =
        [("to", ctx.type_attr(ctx.type_of_dtype(dtype))), ("saturate", ctx.bool_attr(n.flag("saturate", true)))];
    Ok(vec![im.value("graph.cast", &[y], &attrs)?])
}

fn dequantize_linear(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, scale) = (n.input(im, 0)?, n.input(im, 1)?);
    let out = match given_type(im, n, "output_dtype")? {
        Some(t) => t,
        None => im.dtype(scale)?,
    };
    let compute = if out == DType::F64 { DType::F64 } else { DType::F32 };
    // Differences of 32-bit integers are exact as integers only.
    let wide = if im.dtype(x)?.is_integer() { DType::I32 } else { compute };
    let mut y = im.cast_to(x, wide)?;
    let zero = n.opt(2).filter(|&z| !is_zero(im, z));
    if let Some(zero) = zero
        && wide == DType::I32
    {
        let zero = laid_along(im, n, zero, x)?;
        let zero = im.cast_to(zero, wide)?;
        y = im.binary("sub", y, zero)?;
    }
    let scale = laid_along(im, n, scale, x)?;
    let (y, scale) = (im.cast_to(y, compute)?, im.cast_to(scale, compute)?);
    let y = im.binary("mul", y, scale)?;
    Ok(vec![im.cast_to(y, out)?])
}

/// A tensor as `u8` with scale and zero point of its own range, which is made to include 0.
pub(super) fn dynamic_quantize(im: &mut nim_graph::GraphBuilder<'_>, x: ValueId) -> Built<[ValueId; 3]> {
    let axes: Vec<usize> = (0..im.rank(x)?).collect();
    let low = im.reduce("min", x, &axes, false)?;
    let low = im.with_scalar("min", low, 0.0)?;
    let high = im.reduce("max", x, &axes, false)?;
    let high = im.with_scalar("max", high, 0.0)?;
    let range = im.binary("sub", high, low)?;
    let scale = im.with_scalar("div", range, 255.0)?;
    // All zeros: any scale does.
    let zero = im.like(scale, 0.0)?;
    let none = im.compare("eq", scale, zero)?;
    let one = im.like(scale, 1.0)?;
    let scale = im.select(none, one, scale)?;
    let negated = im.unary("neg", low)?;
    let point = im.binary("div", negated, scale)?;
    let point = im.with_scalar("max", point, 0.0)?;
    let point = im.with_scalar("min", point, 255.0)?;
    let point = im.unary("round", point)?;
    let y = im.binary("div", x, scale)?;
    let y = im.unary("round", y)?;
    let y = im.binary("add", y, point)?;
    let y = im.with_scalar("max", y, 0.0)?;
    let y = im.with_scalar("min", y, 255.0)?;
    Ok([im.cast_to(y, DType::U8)?, scale, im.cast_to(point, DType::U8)?])
}

fn dynamic_quantize_linear(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    Ok(dynamic_quantize(im, x)?.to_vec())
}

/// Known to be 0 everywhere.
fn is_zero(im: &Importer<'_>, v: ValueId) -> bool {
    match im.constant_of(v) {
        Some(tensor) => tensor.bytes().iter().all(|&b| b == 0),
        None => im.ints(v).is_some_and(|v| v.iter().all(|&z| z == 0)),
    }
}

/// `x - zero` in `i32`. A vector of zero points lies along `axis` of the value.
pub(super) fn centred(im: &mut Importer<'_>, x: ValueId, zero: Option<ValueId>, axis: i64) -> Built {
    let wide = im.cast_to(x, DType::I32)?;
    let Some(zero) = zero.filter(|&z| !is_zero(im, z)) else { return Ok(wide) };
    let zero = im.cast_to(zero, DType::I32)?;
    let zero = beside(im, zero, axis, x)?;
    im.binary("sub", wide, zero)
}

/// A scalar, or a vector laid along `axis` of a value.
pub(super) fn beside(im: &mut Importer<'_>, v: ValueId, axis: i64, x: ValueId) -> Built {
    let own = im.dims(v)?;
    if own.len() != 1 {
        return Ok(v);
    }
    if im.ctx().exprs.as_const(own[0]) == Some(1) {
        return im.reshape(v, &[]);
    }
    let rank = im.rank(x)?;
    let axis = wrap_axis(im, axis, rank)?;
    let trailing: Vec<i64> = (1..(rank - axis) as i64).collect();
    im.unsqueeze(v, &trailing)
}

/// Rows of the left factor and columns of the right one may have zero points of their own.
fn matmul_integer(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (a, b) = (n.input(im, 0)?, n.input(im, 1)?);
    let a = centred(im, a, n.opt(2), if im.rank(a)? > 1 { -2 } else { -1 })?;
    let b = centred(im, b, n.opt(3), -1)?;
    Ok(vec![im.matmul(a, b)?])
}

fn qlinear_matmul(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (a, b) = (n.input(im, 0)?, n.input(im, 3)?);
    let (a_scale, b_scale, y_scale) = (n.input(im, 1)?, n.input(im, 4)?, n.input(im, 6)?);
    let y_zero = n.input(im, 7)?;
    let row = if im.rank(a)? > 1 { -2 } else { -1 };
    let a_int = centred(im, a, n.opt(2), row)?;
    let b_int = centred(im, b, n.opt(5), -1)?;
    let product = im.matmul(a_int, b_int)?;
    let (a_scale, b_scale) = (beside(im, a_scale, row, a)?, beside(im, b_scale, -1, b)?);
    requantized(im, product, [a_scale, b_scale, y_scale], y_zero)
}

/// `saturate(round(x * a * b / y) + zero)`
fn requantized(im: &mut Importer<'_>, x: ValueId, scales: [ValueId; 3], zero: ValueId) -> Out {
    let [a, b, y] = scales;
    let (a, b, y) = (im.cast_to(a, DType::F32)?, im.cast_to(b, DType::F32)?, im.cast_to(y, DType::F32)?);
    let factor = im.binary("mul", a, b)?;
    let y = if im.rank(y)? == 1 && im.dims(y)?.first().and_then(|&d| im.ctx().exprs.as_const(d)) == Some(1) {
        im.reshape(y, &[])?
    } else {
        y
    };
    let factor = im.binary("div", factor, y)?;
    let x = im.cast_to(x, DType::F32)?;
    let x = im.binary("mul", x, factor)?;
    let dtype = im.dtype(zero)?;
    let zero = if im.rank(zero)? == 1 && im.dims(zero)?.first().and_then(|&d| im.ctx().exprs.as_const(d)) == Some(1) {
        im.reshape(zero, &[])?
    } else {
        zero
    };
    Ok(vec![to_integer(im, x, Some(zero), dtype)?])
}

/// A convolution of integers; what is padded is the zero point, hence 0 once it is subtracted.
fn integer_conv(
    im: &mut Importer<'_>,
    n: &Node<'_>,
    [x, w]: [ValueId; 2],
    [x_zero, w_zero]: [Option<ValueId>; 2],
) -> Built {
    let kernel = window::kernel_of(im, n, w)?;
    let win = window::window(im, n, x, kernel)?;
    let (x, w) = (centred(im, x, x_zero, 1)?, centred(im, w, w_zero, 0)?);
    let mut attrs = win.attrs(im);
    attrs.push(("groups", im.ctx().i64_attr(n.int("group", 1))));
    im.value("graph.conv", &[x, w], &attrs)
}

fn conv_integer(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, w) = (n.input(im, 0)?, n.input(im, 1)?);
    Ok(vec![integer_conv(im, n, [x, w], [n.opt(2), n.opt(3)])?])
}

fn qlinear_conv(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, w) = (n.input(im, 0)?, n.input(im, 3)?);
    let (x_scale, w_scale, y_scale) = (n.input(im, 1)?, n.input(im, 4)?, n.input(im, 6)?);
    let y_zero = n.input(im, 7)?;
    let mut y = integer_conv(im, n, [x, w], [n.opt(2), n.opt(5)])?;
    if let Some(bias) = n.opt(8) {
        y = window::add_channel_bias(im, y, bias)?;
    }
    let w_scale = beside(im, w_scale, 1, y)?;
    let x_scale = beside(im, x_scale, 1, y)?;
    requantized(im, y, [x_scale, w_scale, y_scale], y_zero)
}
