//! Normalisations and softmax.

use super::{Family, Importer, Node, wrap_axis};
use nim_graph::Built;
use nim_ir::ValueId;

type Out = Built<Vec<ValueId>>;

pub(super) const RULES: Family = &[
    ("BatchNormalization", batch_norm),
    ("Dropout", dropout),
    ("LayerNormalization", layer_norm),
    ("LogSoftmax", |im, n| softmax(im, n, true)),
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
    let axis = wrap_axis(im, n.int("axis", default), rank)?;
    let axes: Vec<usize> = if n.version < 13 { (axis..rank).collect() } else { vec![axis] };
    Ok(vec![im.softmax(x, &axes, log)?])
}

/// A vector over the channels, shaped to broadcast along axis 1.
fn channels(im: &mut Importer<'_>, v: ValueId, rank: usize) -> Built {
    let axes: Vec<i64> = (1..rank as i64 - 1).collect();
    im.unsqueeze(v, &axes)
}

/// `(x - mean) / sqrt(var + eps) * scale + bias`, as a multiplication and an addition per channel.
fn batch_norm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    if n.flag("training_mode", false) {
        return Err(im.error("N0617", "training mode is not supported"));
    }
    let rank = im.rank(x)?;
    let (scale, bias, mean, var) = (n.input(im, 1)?, n.input(im, 2)?, n.input(im, 3)?, n.input(im, 4)?);
    let var = im.with_scalar("add", var, n.float("epsilon", 1e-5) as f64)?;
    let deviation = im.unary("sqrt", var)?;
    let factor = im.binary("div", scale, deviation)?;
    let shift = im.binary("mul", mean, factor)?;
    let offset = im.binary("sub", bias, shift)?;
    let (factor, offset) =
        if rank > 1 { (channels(im, factor, rank)?, channels(im, offset, rank)?) } else { (factor, offset) };
    let element = im.element(x)?;
    let (factor, offset) = (im.cast(factor, element)?, im.cast(offset, element)?);
    let y = im.binary("mul", x, factor)?;
    Ok(vec![im.binary("add", y, offset)?])
}

fn layer_norm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let rank = im.rank(x)?;
    let axis = wrap_axis(im, n.int("axis", -1), rank)?;
    let axes: Vec<usize> = (axis..rank).collect();
    let mean = im.mean(x, &axes, true)?;
    let centred = im.binary("sub", x, mean)?;
    let square = im.binary("mul", centred, centred)?;
    let variance = im.mean(square, &axes, true)?;
    let variance = im.with_scalar("add", variance, n.float("epsilon", 1e-5) as f64)?;
    let deviation = im.unary("sqrt", variance)?;
    let inverse = im.unary("reciprocal", deviation)?;
    let mut y = im.binary("mul", centred, inverse)?;
    if let Some(scale) = n.opt(1) {
        y = im.binary("mul", y, scale)?;
    }
    if let Some(bias) = n.opt(2) {
        y = im.binary("add", y, bias)?;
    }
    Ok(vec![y, mean, inverse])
}

/// In inference the input itself and a mask of ones.
fn dropout(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    if let Some(training) = n.opt(2) {
        match im.ints(training).as_deref() {
            Some([0]) => {}
            _ => return Err(im.error("N0617", "training mode is not supported")),
        }
    }
    let mut out = vec![x];
    if n.wants(1) {
        let dims = im.dims(x)?;
        let one = im.constant(&nim_tensor::Tensor::bools(&[], vec![true]), "true")?;
        out.push(im.broadcast_to(one, &dims)?);
    }
    Ok(out)
}
