//! Normalisations and softmax.

use super::{Family, Importer, Node, Out, window, wrap_axes, wrap_axis};
use nim_graph::Built;
use nim_ir::{Expr, ValueId};
use nim_tensor::{DType, Tensor};

pub(super) const RULES: Family = &[
    ("BatchNormalization", batch_norm),
    ("Dropout", dropout),
    ("GroupNormalization", group_norm),
    ("Hardmax", hardmax),
    ("InstanceNormalization", instance_norm),
    ("LRN", lrn),
    ("LayerNormalization", layer_norm),
    ("LogSoftmax", |im, n| softmax(im, n, true)),
    ("LpNormalization", lp_norm),
    ("MeanVarianceNormalization", mean_variance_norm),
    ("RMSNormalization", rms_norm),
    ("Softmax", |im, n| softmax(im, n, false)),
];

/// Before opset 13 the input is taken as a matrix: everything from `axis` on is one axis.
fn softmax(im: &mut Importer<'_>, n: &Node<'_>, log: bool) -> Out {
    let x = n.input(im, 0)?;
    let rank = im.rank(x)?;
    let default = if n.version < 13 { 1 } else { -1 };
    if rank == 0 {
        return Ok(vec![im.softmax(x, &[], log)?]);
    }
    let axis = n.int("axis", default);
    if n.version < 13 && axis == rank as i64 {
        return Ok(vec![im.softmax(x, &[], log)?]);
    }
    let axis = wrap_axis(im, axis, rank)?;
    let axes: Vec<usize> = if n.version < 13 { (axis..rank).collect() } else { vec![axis] };
    Ok(vec![im.softmax(x, &axes, log)?])
}

/// One where the first maximum stands, zero elsewhere.
fn hardmax(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let axis = match n.int("axis", if n.version < 13 { 1 } else { -1 }) {
        axis if n.version < 13 && axis == dims.len() as i64 => dims.len(),
        axis => wrap_axis(im, axis, dims.len())?,
    };
    let p = &im.ctx().exprs;
    if dims.iter().any(|&d| p.as_const(d) == Some(0)) {
        return Ok(vec![x]);
    }
    let (flat, at) = if n.version < 13 {
        let (outer, inner) = (p.product(dims[..axis].iter().copied()), p.product(dims[axis..].iter().copied()));
        (im.reshape(x, &[outer, inner])?, 1)
    } else {
        (x, axis)
    };
    let ctx = im.ctx();
    let attrs =
        [("kind", ctx.string_attr("max")), ("axis", ctx.i64_attr(at as i64)), ("keepdims", ctx.bool_attr(true))];
    let best = im.value("graph.arg_reduce", &[flat], &attrs)?;
    let shape = im.dims(flat)?;
    let position = im.iota(&shape, at, DType::I64)?;
    let hit = im.compare("eq", position, best)?;
    let element = im.element(x)?;
    let y = im.cast(hit, element)?;
    Ok(vec![im.reshape(y, &dims)?])
}

/// A vector over the channels, shaped to broadcast along axis 1.
fn channels(im: &mut Importer<'_>, v: ValueId, rank: usize) -> Built {
    let axes: Vec<i64> = (1..rank as i64 - 1).collect();
    im.unsqueeze(v, &axes)
}

/// `(x - mean) / sqrt(var + eps) * scale + bias`, as a multiplication and an addition per channel.
fn batch_norm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let rank = im.rank(x)?;
    let (scale, bias, mean, var) = (n.input(im, 1)?, n.input(im, 2)?, n.input(im, 3)?, n.input(im, 4)?);
    let epsilon = n.float("epsilon", 1e-5) as f64;
    // Before opset 14 a model that trains is one that wants statistics.
    let trains = if n.version < 14 { n.outputs() > 1 } else { n.flag("training_mode", false) };
    if !trains {
        let y = normalized(im, x, [scale, bias, mean, var], rank, epsilon)?;
        return Ok(vec![y]);
    }
    // Statistics of the batch, and the running ones moved towards them.
    let axes: Vec<usize> = (0..rank).filter(|&a| a != 1).collect();
    let (batch_mean, batch_var) = moments(im, x, &axes, false)?;
    let y = normalized(im, x, [scale, bias, batch_mean, batch_var], rank, epsilon)?;
    let momentum = n.float("momentum", 0.9) as f64;
    let mut out = vec![y];
    for (old, new) in [(mean, batch_mean), (var, batch_var)] {
        let element = im.element(old)?;
        let new = im.cast(new, element)?;
        let old = im.with_scalar("mul", old, momentum)?;
        let new = im.with_scalar("mul", new, 1.0 - momentum)?;
        out.push(im.binary("add", old, new)?);
    }
    if n.version < 14 {
        out.extend([batch_mean, batch_var]);
    }
    Ok(out)
}

fn normalized(
    im: &mut Importer<'_>,
    x: ValueId,
    [scale, bias, mean, var]: [ValueId; 4],
    rank: usize,
    eps: f64,
) -> Built {
    let stat = im.element(mean)?;
    let (scale, bias, var) = (im.cast(scale, stat)?, im.cast(bias, stat)?, im.cast(var, stat)?);
    let var = im.with_scalar("add", var, eps)?;
    let deviation = im.unary("sqrt", var)?;
    let factor = im.binary("div", scale, deviation)?;
    let shift = im.binary("mul", mean, factor)?;
    let offset = im.binary("sub", bias, shift)?;
    // Before opset 9 there may be one scale an element of a row, shaped as it is.
    let (factor, offset) = if rank > 1 && im.rank(factor)? == 1 {
        (channels(im, factor, rank)?, channels(im, offset, rank)?)
    } else {
        (factor, offset)
    };
    let element = im.element(x)?;
    let (factor, offset) = (im.cast(factor, element)?, im.cast(offset, element)?);
    let y = im.binary("mul", x, factor)?;
    im.binary("add", y, offset)
}

/// Mean and variance (of the population) over axes.
fn moments(im: &mut Importer<'_>, x: ValueId, axes: &[usize], keep: bool) -> Built<(ValueId, ValueId)> {
    let mean = im.mean(x, axes, true)?;
    let centred = im.binary("sub", x, mean)?;
    let square = im.binary("mul", centred, centred)?;
    let variance = im.mean(square, axes, true)?;
    if keep {
        return Ok((mean, variance));
    }
    Ok((im.squeeze(mean, axes)?, im.squeeze(variance, axes)?))
}

/// The input in the type that statistics are computed in: at least `f32` unless `stash_type` says otherwise.
fn stashed(im: &mut Importer<'_>, n: &Node<'_>, x: ValueId) -> Built {
    match (im.dtype(x)?, n.int("stash_type", 1)) {
        (DType::F16 | DType::BF16, 1) => im.cast_to(x, DType::F32),
        _ => Ok(x),
    }
}

/// `(x - mean) / sqrt(var + eps)` over axes, mean and `1 / sqrt(var + eps)`.
pub(super) fn standardized(
    im: &mut Importer<'_>,
    x: ValueId,
    axes: &[usize],
    epsilon: f64,
) -> Built<(ValueId, ValueId, ValueId)> {
    let mean = im.mean(x, axes, true)?;
    let centred = im.binary("sub", x, mean)?;
    let square = im.binary("mul", centred, centred)?;
    let variance = im.mean(square, axes, true)?;
    let variance = im.with_scalar("add", variance, epsilon)?;
    let deviation = im.unary("sqrt", variance)?;
    let inverse = im.unary("reciprocal", deviation)?;
    Ok((im.binary("mul", centred, inverse)?, mean, inverse))
}

/// `x / sqrt(mean(x^2) + eps)` over axes, and the factor.
pub(super) fn root_mean_square(
    im: &mut Importer<'_>,
    x: ValueId,
    axes: &[usize],
    epsilon: f64,
) -> Built<(ValueId, ValueId)> {
    let square = im.binary("mul", x, x)?;
    let mean = im.mean(square, axes, true)?;
    let mean = im.with_scalar("add", mean, epsilon)?;
    let root = im.unary("sqrt", mean)?;
    let inverse = im.unary("reciprocal", root)?;
    Ok((im.binary("mul", x, inverse)?, inverse))
}

pub(super) fn layer_norm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let rank = im.rank(x)?;
    let axis = wrap_axis(im, n.int("axis", -1), rank)?;
    let axes: Vec<usize> = (axis..rank).collect();
    let element = im.element(x)?;
    let stash = stashed(im, n, x)?;
    let (y, mean, inverse) = standardized(im, stash, &axes, n.float("epsilon", 1e-5) as f64)?;
    let mut y = im.cast(y, element)?;
    if let Some(scale) = n.opt(1) {
        y = im.binary("mul", y, scale)?;
    }
    if let Some(bias) = n.opt(2) {
        y = im.binary("add", y, bias)?;
    }
    Ok(vec![y, mean, inverse])
}

fn rms_norm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, scale) = (n.input(im, 0)?, n.input(im, 1)?);
    let rank = im.rank(x)?;
    let axis = wrap_axis(im, n.int("axis", -1), rank)?;
    let axes: Vec<usize> = (axis..rank).collect();
    let stash = stashed(im, n, x)?;
    let (y, _) = root_mean_square(im, stash, &axes, n.float("epsilon", 1e-5) as f64)?;
    let element = im.element(scale)?;
    let y = im.cast(y, element)?;
    Ok(vec![im.binary("mul", y, scale)?])
}

fn instance_norm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, scale, bias) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let rank = im.rank(x)?;
    if rank < 2 {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("a batch of channels is needed, found {found}")));
    }
    let axes: Vec<usize> = (2..rank).collect();
    let (y, _, _) = standardized(im, x, &axes, n.float("epsilon", 1e-5) as f64)?;
    let (scale, bias) = (channels(im, scale, rank)?, channels(im, bias, rank)?);
    let y = im.binary("mul", y, scale)?;
    Ok(vec![im.binary("add", y, bias)?])
}

/// Statistics over groups of channels. Scale and bias are one a channel since opset 21, one a group before.
fn group_norm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, scale, bias) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let dims = im.dims(x)?;
    let groups = n.int("num_groups", 1);
    if dims.len() < 2 || groups < 1 {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("{groups} groups of channels of {found}")));
    }
    let p = &im.ctx().exprs;
    let each = p.floordiv(dims[1], p.constant(groups));
    let rest = p.product(dims[2..].iter().copied());
    let grouped = [dims[0], p.constant(groups), each, rest];
    let element = im.element(x)?;
    let stash = stashed(im, n, x)?;
    let y = im.reshape(stash, &grouped)?;
    let (mut y, _, _) = standardized(im, y, &[2, 3], n.float("epsilon", 1e-5) as f64)?;
    y = im.cast(y, element)?;
    let per_group = n.version < 21;
    if !per_group {
        y = im.reshape(y, &dims)?;
    }
    let wanted = if per_group { 4 } else { dims.len() };
    let (scale, bias) = (channels(im, scale, wanted)?, channels(im, bias, wanted)?);
    y = im.binary("mul", y, scale)?;
    y = im.binary("add", y, bias)?;
    Ok(vec![im.reshape(y, &dims)?])
}

/// `x / (bias + alpha/size * sum of squares over neighbouring channels)^beta`
fn lrn(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let size = n.int("size", 1);
    if dims.len() < 2 || !(1..1 << 24).contains(&size) {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("{size} neighbouring channels of {found}")));
    }
    let p = &im.ctx().exprs;
    let one = p.constant(1);
    let square = im.binary("mul", x, x)?;
    // Channels as a spatial axis: the sum is a pooling.
    let rest = p.product(dims[2..].iter().copied());
    let planes = im.reshape(square, &[dims[0], one, dims[1], rest])?;
    let ctx = im.ctx();
    let attrs = [
        ("kind", ctx.string_attr("sum")),
        ("kernel", ctx.i64_array(&[size, 1])),
        ("pads", ctx.i64_array(&[(size - 1) / 2, 0, size / 2, 0])),
    ];
    let sum = im.value("graph.pool", &[planes], &attrs)?;
    let sum = im.reshape(sum, &dims)?;
    let scaled = im.with_scalar("mul", sum, n.float("alpha", 1e-4) as f64 / size as f64)?;
    let base = im.with_scalar("add", scaled, n.float("bias", 1.0) as f64)?;
    let below = im.with_scalar("pow", base, n.float("beta", 0.75) as f64)?;
    Ok(vec![im.binary("div", x, below)?])
}

/// `x / norm` along an axis; 0 where the norm is 0.
fn lp_norm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let axis = wrap_axis(im, n.int("axis", -1), im.rank(x)?)?;
    let p = n.int("p", 2) as f64;
    let power = window::power_of(im, x, p)?;
    let sum = im.reduce("sum", power, &[axis], true)?;
    let norm = window::root_of(im, sum, p)?;
    let zero = im.like(x, 0.0)?;
    let none = im.compare("eq", norm, zero)?;
    let quotient = im.binary("div", x, norm)?;
    Ok(vec![im.select(none, zero, quotient)?])
}

/// `(x - mean) / (deviation + 1e-9)` over axes.
fn mean_variance_norm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let axes = n.ints("axes").unwrap_or_else(|| vec![0, 2, 3]);
    let axes = wrap_axes(im, &axes, im.rank(x)?)?;
    let mean = im.mean(x, &axes, true)?;
    let centred = im.binary("sub", x, mean)?;
    let square = im.binary("mul", x, x)?;
    let square_mean = im.mean(square, &axes, true)?;
    let mean_square = im.binary("mul", mean, mean)?;
    let variance = im.binary("sub", square_mean, mean_square)?;
    let deviation = im.unary("sqrt", variance)?;
    let below = im.with_scalar("add", deviation, 1e-9)?;
    Ok(vec![im.binary("div", centred, below)?])
}

/// In inference the input itself and a mask of ones; in training each element stays with probability `1 - ratio`.
fn dropout(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let yes = im.constant(&Tensor::bools(&[], vec![true]), "true")?;
    let training = match n.opt(2) {
        None => None,
        Some(v) => {
            let v = im.reshape(v, &[])?;
            match im.ints(v).as_deref() {
                Some([0]) => None,
                known => Some((v, known.is_some())),
            }
        }
    };
    let Some((training, always)) = training else {
        let mut out = vec![x];
        if n.wants(1) {
            let mut mask = im.broadcast_to(yes, &dims)?;
            if n.version < 10 {
                let element = im.element(x)?;
                mask = im.cast(mask, element)?;
            }
            out.push(mask);
        }
        return Ok(out);
    };
    let ratio = match n.opt(1) {
        Some(v) => {
            let v = im.reshape(v, &[])?;
            im.cast_to(v, DType::F32)?
        }
        None => im.scalar(DType::F32, 0.5)?,
    };
    let (mut y, mut mask) = dropped(im, n, x, ratio, &dims)?;
    if !always {
        y = im.select(training, y, x)?;
        let ones = im.broadcast_to(yes, &dims)?;
        mask = im.select(training, mask, ones)?;
    }
    Ok(vec![y, mask])
}

fn dropped(
    im: &mut Importer<'_>,
    n: &Node<'_>,
    x: ValueId,
    ratio: ValueId,
    dims: &[Expr],
) -> Built<(ValueId, ValueId)> {
    let seed = n.has("seed").then(|| n.int("seed", 0) as f32);
    let chance = super::random::random(im, "uniform", dims, DType::F32, [0.0, 1.0], seed)?;
    let mask = im.compare("ge", chance, ratio)?;
    let one = im.scalar(DType::F32, 1.0)?;
    let kept = im.binary("sub", one, ratio)?;
    let scale = im.unary("reciprocal", kept)?;
    let element = im.element(x)?;
    let scale = im.cast(scale, element)?;
    let scaled = im.binary("mul", x, scale)?;
    let zero = im.like(x, 0.0)?;
    Ok((im.select(mask, scaled, zero)?, mask))
}
