//! Operators of `com.microsoft` that optimised and quantised models contain.

use super::{
    Family, Importer, Node, Out, attention,
    elementwise::gelu_value,
    normalization::{root_mean_square, standardized},
    quantization::{centred, dynamic_quantize},
    recurrent::{Cell, Network, Products, direction_of},
    window, wrap_axis,
};
use nim_graph::{Built, GraphBuilder};
use nim_ir::{Expr, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[
    ("BiasGelu", bias_gelu),
    ("BiasSplitGelu", bias_split_gelu),
    ("BiasAdd", |im, n| {
        let (x, b, skip) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
        let y = im.binary("add", x, b)?;
        Ok(vec![im.binary("add", y, skip)?])
    }),
    ("EmbedLayerNormalization", embed_layer_norm),
    ("DynamicQuantizeLSTM", dynamic_quantize_lstm),
    ("DynamicQuantizeMatMul", dynamic_quantize_matmul),
    ("GridSample", super::sampling::grid_sample),
    ("LayerNormalization", super::normalization::layer_norm),
    ("FastGelu", fast_gelu),
    ("FusedConv", fused_conv),
    ("FusedGemm", fused_gemm),
    ("FusedMatMul", fused_matmul),
    ("Gelu", |im, n| {
        let x = n.input(im, 0)?;
        Ok(vec![gelu_value(im, x, false)?])
    }),
    ("MatMulIntegerToFloat", matmul_integer_to_float),
    ("QuickGelu", quick_gelu),
    ("RotaryEmbedding", rotary_embedding),
    ("SimplifiedLayerNormalization", simplified_layer_norm),
    ("SkipLayerNormalization", |im, n| skip_layer_norm(im, n, false)),
    ("SkipSimplifiedLayerNormalization", |im, n| skip_layer_norm(im, n, true)),
];

/// Positions are one for each place, or the first one of all. Without a number of heads the tables say how large one is.
fn rotary_embedding(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, cos, sin) = (n.input(im, 0)?, n.input(im, 2)?, n.input(im, 3)?);
    let mut positions = n.opt(1);
    let dims = im.dims(x)?;
    if let (Some(first), Some(&length)) = (positions, if dims.len() == 4 { dims.get(2) } else { dims.get(1) })
        && im.rank(first)? < 2
    {
        let first = im.reshape(first, &[Expr::ONE, Expr::ONE])?;
        let first = im.cast_to(first, DType::I64)?;
        let step = im.iota(&[length], 0, DType::I64)?;
        positions = Some(im.binary("add", first, step)?);
    }
    let how = attention::Rotation::read(n);
    let (&[batch, length, hidden], 0, &[_, half]) = (dims.as_slice(), how.heads, im.dims(cos)?.as_slice()) else {
        return Ok(vec![attention::rotate(im, &how, x, [cos, sin], positions)?]);
    };
    let p = &im.ctx().exprs;
    let size = p.scale(2, half);
    let shape = [batch, length, p.floordiv(hidden, size), size];
    let by_head = im.reshape(x, &shape)?;
    let by_head = im.transpose(by_head, &[0, 2, 1, 3])?;
    let y = attention::rotate(im, &how, by_head, [cos, sin], positions)?;
    let y = im.transpose(y, &[0, 2, 1, 3])?;
    Ok(vec![im.reshape(y, &dims)?])
}

/// Operators of other toolkits that files put into the default domain.
pub(super) const DEFAULT_DOMAIN: Family = &[("SimplifiedLayerNormalization", simplified_layer_norm)];

fn bias_gelu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, b) = (n.input(im, 0)?, n.input(im, 1)?);
    let x = im.binary("add", x, b)?;
    Ok(vec![gelu_value(im, x, false)?])
}

/// `x + b` cut in two along its last axis: the first half times the gelu of the second.
fn bias_split_gelu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, b) = (n.input(im, 0)?, n.input(im, 1)?);
    let x = im.binary("add", x, b)?;
    let dims = im.dims(x)?;
    let Some((&whole, axis)) = dims.last().zip(dims.len().checked_sub(1)) else {
        return Err(im.error("N0615", "a scalar cannot be cut in two"));
    };
    let p = &im.ctx().exprs;
    let (zero, half) = (p.constant(0), p.floordiv(whole, p.constant(2)));
    let (left, right) = (im.slice_axis(x, axis, zero, half)?, im.slice_axis(x, axis, half, half)?);
    let gate = gelu_value(im, right, false)?;
    Ok(vec![im.binary("mul", left, gate)?])
}

fn fast_gelu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let mut x = n.input(im, 0)?;
    if let Some(b) = n.opt(1) {
        x = im.binary("add", x, b)?;
    }
    Ok(vec![gelu_value(im, x, true)?])
}

/// `x * sigmoid(alpha*x)`
fn quick_gelu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let scaled = im.with_scalar("mul", x, n.float("alpha", 1.702) as f64)?;
    let gate = im.unary("sigmoid", scaled)?;
    Ok(vec![im.binary("mul", x, gate)?])
}

fn simplified_layer_norm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, scale) = (n.input(im, 0)?, n.input(im, 1)?);
    let rank = im.rank(x)?;
    let axis = wrap_axis(im, n.int("axis", -1), rank)?;
    let axes: Vec<usize> = (axis..rank).collect();
    let (y, inverse) = root_mean_square(im, x, &axes, n.float("epsilon", 1e-5) as f64)?;
    Ok(vec![im.binary("mul", y, scale)?, inverse])
}

/// Normalisation of `x + skip (+ bias)`; the sum is the fourth output.
fn skip_layer_norm(im: &mut Importer<'_>, n: &Node<'_>, simplified: bool) -> Out {
    let (x, skip, gamma) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let (beta, bias) = if simplified { (None, n.opt(3)) } else { (n.opt(3), n.opt(4)) };
    let mut sum = im.binary("add", x, skip)?;
    if let Some(b) = bias {
        sum = im.binary("add", sum, b)?;
    }
    let last = [im.rank(sum)?.saturating_sub(1)];
    let epsilon = n.float("epsilon", if simplified { 1e-6 } else { 1e-12 }) as f64;
    let (y, mean, inverse) = if simplified {
        let (y, inverse) = root_mean_square(im, sum, &last, epsilon)?;
        (y, inverse, inverse)
    } else {
        standardized(im, sum, &last, epsilon)?
    };
    let mut y = im.binary("mul", y, gamma)?;
    if let Some(beta) = beta {
        y = im.binary("add", y, beta)?;
    }
    Ok(vec![y, mean, inverse, sum])
}

/// The sum of the embeddings of words, positions and segments, normalised; how many words the mask shows; the sum.
fn embed_layer_norm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (ids, words, places) = (n.input(im, 0)?, n.input(im, 2)?, n.input(im, 3)?);
    let (gamma, beta) = (n.input(im, 5)?, n.input(im, 6)?);
    let &[batch, length] = im.dims(ids)?.as_slice() else {
        let found = im.ctx().display_type(im.ty(ids));
        return Err(im.error("N0635", format!("words [batch, length] are needed, found {found}")));
    };
    let mut sum = im.gather(words, ids, 0)?;
    let at = match n.opt(8) {
        Some(at) => im.gather(places, at, 0)?,
        None => {
            let zero = im.num(0);
            im.slice_axis(places, 0, zero, length)?
        }
    };
    sum = im.binary("add", sum, at)?;
    if let (Some(segments), Some(table)) = (n.opt(1), n.opt(4)) {
        let segment = im.gather(table, segments, 0)?;
        sum = im.binary("add", sum, segment)?;
    }
    let (y, _, _) = standardized(im, sum, &[2], n.float("epsilon", 1e-12) as f64)?;
    let y = im.binary("mul", y, gamma)?;
    let y = im.binary("add", y, beta)?;
    let shown = match n.opt(7) {
        Some(mask) => {
            let mask = im.cast_to(mask, DType::I32)?;
            im.reduce("sum", mask, &[1], false)?
        }
        None => {
            let zero = im.scalar(DType::I32, 0.0)?;
            im.broadcast_to(zero, &[batch])?
        }
    };
    Ok(vec![y, shown, sum])
}

/// `alpha * A' * B'`, where a batch transposition swaps the batch with the rows.
fn fused_matmul(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (a, b) = (n.input(im, 0)?, n.input(im, 1)?);
    let arranged = |im: &mut Importer<'_>, x: ValueId, side: &str| -> Built {
        let rank = im.rank(x)?;
        let mut perm: Vec<usize> = (0..rank).collect();
        if rank > 2 && n.flag(&format!("transBatch{side}"), false) {
            // The first axis goes behind the others of the batch and the rows.
            perm = (1..rank - 1).chain([0, rank - 1]).collect();
        }
        if rank > 1 && n.flag(&format!("trans{side}"), false) {
            perm.swap(rank - 1, rank - 2);
        }
        im.transpose(x, &perm)
    };
    let (a, b) = (arranged(im, a, "A")?, arranged(im, b, "B")?);
    let y = im.matmul(a, b)?;
    Ok(vec![match n.float("alpha", 1.0) {
        1.0 => y,
        alpha => im.with_scalar("mul", y, alpha as f64)?,
    }])
}

/// The activation of a fused operator.
fn activated(im: &mut Importer<'_>, n: &Node<'_>, x: ValueId) -> Built {
    let list = n.floats("activation_params").unwrap_or_default();
    let parameter = |i: usize, name: &str, default: f32| list.get(i).copied().unwrap_or(n.float(name, default)) as f64;
    match n.string("activation", "").as_str() {
        "" => Ok(x),
        "Relu" => im.unary("relu", x),
        "Tanh" => im.unary("tanh", x),
        "Sigmoid" => im.unary("sigmoid", x),
        "LeakyRelu" => {
            let y = im.with_scalar("mul", x, parameter(0, "activation_alpha", 0.01))?;
            let zero = im.like(x, 0.0)?;
            let positive = im.compare("ge", x, zero)?;
            im.select(positive, x, y)
        }
        "Clip" => {
            let y = im.with_scalar("max", x, parameter(0, "activation_alpha", f32::MIN))?;
            im.with_scalar("min", y, parameter(1, "activation_beta", f32::MAX))
        }
        "HardSigmoid" => {
            let y = im.with_scalar("mul", x, parameter(0, "activation_alpha", 0.2))?;
            let y = im.with_scalar("add", y, parameter(1, "activation_beta", 0.5))?;
            let y = im.with_scalar("max", y, 0.0)?;
            im.with_scalar("min", y, 1.0)
        }
        other => Err(im.error("N0614", format!("no activation is named {other:?}"))),
    }
}

fn fused_conv(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let mut y = window::conv(im, n)?[0];
    if let Some(z) = n.opt(3) {
        y = im.binary("add", y, z)?;
    }
    Ok(vec![activated(im, n, y)?])
}

fn fused_gemm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let y = super::contraction::gemm(im, n)?[0];
    Ok(vec![activated(im, n, y)?])
}

/// `(a - a0)(b - b0) * scale (+ bias)`
fn matmul_integer_to_float(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (a, b) = (n.input(im, 0)?, n.input(im, 1)?);
    let (a_scale, b_scale) = (n.input(im, 2)?, n.input(im, 3)?);
    let scale = im.binary("mul", a_scale, b_scale)?;
    scaled_product(im, [a, b], [n.opt(4), n.opt(5)], scale, n.opt(6))
}

fn dynamic_quantize_matmul(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (a, b, b_scale) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let [a, a_scale, a_zero] = dynamic_quantize(im, a)?;
    let scale = im.binary("mul", a_scale, b_scale)?;
    scaled_product(im, [a, b], [Some(a_zero), n.opt(3)], scale, n.opt(4))
}

fn scaled_product(
    im: &mut Importer<'_>,
    [a, b]: [ValueId; 2],
    [a_zero, b_zero]: [Option<ValueId>; 2],
    scale: ValueId,
    bias: Option<ValueId>,
) -> Out {
    let (a, b) = (centred(im, a, a_zero, -1)?, centred(im, b, b_zero, -1)?);
    let y = im.matmul(a, b)?;
    let element = im.element(scale)?;
    let y = im.cast(y, element)?;
    let mut y = im.binary("mul", y, scale)?;
    if let Some(bias) = bias {
        y = im.binary("add", y, bias)?;
    }
    Ok(vec![y])
}

/// Weights `[directions, size, gates*hidden]` of integers with scales; what they multiply is quantised by its own range.
struct Quantized {
    w: ValueId,
    r: ValueId,
    scales: [ValueId; 2],
    zeros: [ValueId; 2],
}

impl Quantized {
    /// Centred weights of a direction and their scale.
    fn weights(&self, im: &mut Importer<'_>, which: usize, direction: usize) -> Built<Vec<ValueId>> {
        let w = direction_of(im, if which == 0 { self.w } else { self.r }, direction)?;
        let zero = direction_of(im, self.zeros[which], direction)?;
        let scale = direction_of(im, self.scales[which], direction)?;
        Ok(vec![centred(im, w, Some(zero), -1)?, scale])
    }
}

fn quantized_product(g: &mut GraphBuilder<'_>, x: ValueId, weights: &[ValueId]) -> Built {
    let [q, scale, zero] = dynamic_quantize(g, x)?;
    let (q, zero) = (g.cast_to(q, DType::I32)?, g.cast_to(zero, DType::I32)?);
    let q = g.binary("sub", q, zero)?;
    let product = g.matmul(q, weights[0])?;
    let product = g.cast_to(product, DType::F32)?;
    let scale = g.binary("mul", scale, weights[1])?;
    g.binary("mul", product, scale)
}

impl Products for Quantized {
    fn input(&self, im: &mut Importer<'_>, x: ValueId, direction: usize) -> Built {
        let weights = self.weights(im, 0, direction)?;
        quantized_product(im, x, &weights)
    }
    fn recurrent_weights(&self, im: &mut Importer<'_>, direction: usize) -> Built<Vec<ValueId>> {
        self.weights(im, 1, direction)
    }
    fn recurrent(&self, g: &mut GraphBuilder<'_>, h: ValueId, weights: &[ValueId]) -> Built {
        quantized_product(g, h, weights)
    }
}

/// An LSTM whose inputs (all steps at once) and states (each step) are quantised by their own range, as `ui8` with a zero
/// point. Products are exact, as ONNX Runtime's are on machines with VNNI; without it, it saturates sums of two `ui8 * i8` products
/// at 16 bits.
fn dynamic_quantize_lstm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (w, r) = (n.input(im, 1)?, n.input(im, 2)?);
    let &[_, hidden, _] = im.dims(r)?.as_slice() else {
        let found = im.ctx().display_type(im.ty(r));
        return Err(im.error("N0634", format!("recurrent weights must have rank 3, found {found}")));
    };
    let products =
        Quantized { w, r, scales: [n.input(im, 8)?, n.input(im, 10)?], zeros: [n.input(im, 9)?, n.input(im, 11)?] };
    Network::read(im, n, Cell::Lstm, hidden, n.opt(6), n.opt(7))?.build(im, &products)
}
