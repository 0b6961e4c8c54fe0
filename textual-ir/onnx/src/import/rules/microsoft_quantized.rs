//! Operators of `com.microsoft` on quantised tensors with one scale: computed on real numbers, then quantised again.

use super::{
    Family, Importer, Node, Out,
    quantization::{beside, centred, to_integer},
    window, wrap_axis,
};
use nim_graph::Built;
use nim_ir::ValueId;
use nim_tensor::DType;

pub(super) const RULES: Family = &[
    ("NhwcMaxPool", nhwc_max_pool),
    ("QGemm", qgemm),
    ("QLinearAdd", |im, n| qlinear_binary(im, n, "add")),
    ("QLinearAveragePool", qlinear_average_pool),
    ("QLinearConcat", qlinear_concat),
    ("QLinearGlobalAveragePool", qlinear_global_average_pool),
    ("QLinearLeakyRelu", qlinear_leaky_relu),
    ("QLinearMul", |im, n| qlinear_binary(im, n, "mul")),
    ("QLinearSigmoid", qlinear_sigmoid),
    ("QLinearSoftmax", qlinear_softmax),
];

/// `(x - zero) * scale` in `f32`.
fn real(im: &mut Importer<'_>, x: ValueId, scale: ValueId, zero: Option<ValueId>) -> Built {
    let x = centred(im, x, zero, -1)?;
    let x = im.cast_to(x, DType::F32)?;
    im.binary("mul", x, scale)
}

/// `saturate(round(x / scale) + zero)`
fn quantized(im: &mut Importer<'_>, x: ValueId, scale: ValueId, zero: Option<ValueId>, default: DType) -> Built {
    let x = im.binary("div", x, scale)?;
    let dtype = zero.map(|z| im.dtype(z)).transpose()?.unwrap_or(default);
    to_integer(im, x, zero, dtype)
}

fn qlinear_binary(im: &mut Importer<'_>, n: &Node<'_>, name: &str) -> Out {
    let (a, b) = (n.input(im, 0)?, n.input(im, 3)?);
    let dtype = im.dtype(a)?;
    let (a_scale, b_scale, y_scale) = (n.input(im, 1)?, n.input(im, 4)?, n.input(im, 6)?);
    let (a, b) = (real(im, a, a_scale, n.opt(2))?, real(im, b, b_scale, n.opt(5))?);
    let y = im.binary(name, a, b)?;
    Ok(vec![quantized(im, y, y_scale, n.opt(7), dtype)?])
}

fn qlinear_sigmoid(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, scale, y_scale) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 3)?);
    let dtype = im.dtype(x)?;
    let x = real(im, x, scale, n.opt(2))?;
    let y = im.unary("sigmoid", x)?;
    Ok(vec![quantized(im, y, y_scale, n.opt(4), dtype)?])
}

fn qlinear_leaky_relu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, scale, y_scale) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 3)?);
    let dtype = im.dtype(x)?;
    let x = real(im, x, scale, n.opt(2))?;
    let small = im.with_scalar("mul", x, n.float("alpha", 0.01) as f64)?;
    let zero = im.like(x, 0.0)?;
    let positive = im.compare("ge", x, zero)?;
    let y = im.select(positive, x, small)?;
    Ok(vec![quantized(im, y, y_scale, n.opt(4), dtype)?])
}

fn qlinear_global_average_pool(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, scale, y_scale) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 3)?);
    let dtype = im.dtype(x)?;
    let x = real(im, x, scale, n.opt(2))?;
    let rank = im.rank(x)?;
    let axes: Vec<usize> =
        if n.flag("channels_last", false) { (1..rank.max(2) - 1).collect() } else { (2..rank).collect() };
    let y = im.mean(x, &axes, true)?;
    Ok(vec![quantized(im, y, y_scale, n.opt(4), dtype)?])
}

fn qlinear_average_pool(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, scale, y_scale) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 3)?);
    let dtype = im.dtype(x)?;
    let x = real(im, x, scale, n.opt(2))?;
    let y = match n.flag("channels_last", false) {
        true => channels_first(im, x, |im, x| window::average(im, n, x))?,
        false => window::average(im, n, x)?,
    };
    Ok(vec![quantized(im, y, y_scale, n.opt(4), dtype)?])
}

fn qlinear_concat(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (y_scale, y_zero) = (n.input(im, 0)?, n.input(im, 1)?);
    let mut parts = vec![];
    for i in (2..n.inputs.len()).step_by(3) {
        let (x, scale) = (n.input(im, i)?, n.input(im, i + 1)?);
        parts.push(real(im, x, scale, n.opt(i + 2))?);
    }
    let Some(&first) = parts.first() else { return Err(im.error("N0610", "needs at least one input")) };
    let axis = wrap_axis(im, n.int("axis", 0), im.rank(first)?)?;
    let y = im.concat(&parts, axis)?;
    let dtype = im.dtype(y_zero)?;
    Ok(vec![quantized(im, y, y_scale, Some(y_zero), dtype)?])
}

/// The largest element of each window, channels last.
fn nhwc_max_pool(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let Some(kernel) = n.ints("kernel_shape") else { return Err(im.error("N0610", "`kernel_shape` is missing")) };
    let y = channels_first(im, x, |im, x| {
        let win = window::window(im, n, x, kernel)?;
        window::pool(im, n, x, "max", &win)
    })?;
    Ok(vec![y])
}

/// What is computed with channels as the second dimension, of a picture that has them last, and gives one.
fn channels_first<'c>(
    im: &mut Importer<'c>,
    x: ValueId,
    compute: impl FnOnce(&mut Importer<'c>, ValueId) -> Built,
) -> Built {
    let rank = im.rank(x)?;
    if rank < 3 {
        return Err(im.error("N0615", format!("a window over an input of rank {rank}, which has no axes for it")));
    }
    let first: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    let last: Vec<usize> = [0].into_iter().chain(2..rank).chain([1]).collect();
    let x = im.transpose(x, &first)?;
    let y = compute(im, x)?;
    im.transpose(y, &last)
}

/// `alpha * a_scale * b_scale * ((A - a0)' (B - b0)' + C)`, with exact integer products; real where no scale of the
/// result is given.
fn qgemm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (a, b) = (n.input(im, 0)?, n.input(im, 3)?);
    let (a_scale, b_scale) = (n.input(im, 1)?, n.input(im, 4)?);
    let a = centred(im, a, n.opt(2), -1)?;
    let a = if n.flag("transA", false) { im.transpose(a, &[1, 0])? } else { a };
    // Scales and zero points of the right factor belong to its columns once it is transposed.
    let b = if n.flag("transB", false) { im.transpose(b, &[1, 0])? } else { b };
    let b = centred(im, b, n.opt(5), -1)?;
    let mut y = im.matmul(a, b)?;
    if let Some(c) = n.opt(6) {
        y = im.binary("add", y, c)?;
    }
    let b_scale = beside(im, b_scale, -1, y)?;
    let a_scale = im.reshape(a_scale, &[])?;
    let scale = im.binary("mul", a_scale, b_scale)?;
    let scale = im.with_scalar("mul", scale, n.float("alpha", 1.0) as f64)?;
    let y = im.cast_to(y, DType::F32)?;
    let y = im.binary("mul", y, scale)?;
    Ok(vec![match n.opt(7) {
        Some(y_scale) => quantized(im, y, y_scale, n.opt(8), DType::U8)?,
        None => y,
    }])
}

/// Since opset 13 along one axis, before that over all axes from one on.
fn qlinear_softmax(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, scale, y_scale) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 3)?);
    let dtype = im.dtype(x)?;
    let x = real(im, x, scale, n.opt(2))?;
    let rank = im.rank(x)?;
    let axis = wrap_axis(im, n.int("axis", -1), rank)?;
    let axes: Vec<usize> = if n.int("opset", 13) < 13 { (axis..rank).collect() } else { vec![axis] };
    let y = im.softmax(x, &axes, false)?;
    Ok(vec![quantized(im, y, y_scale, n.opt(4), dtype)?])
}
