//! Random numbers.

use super::{Family, Importer, Node, Out};
use crate::dtype_of;
use nim_graph::Built;
use nim_ir::{Expr, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[
    ("Bernoulli", bernoulli),
    ("Multinomial", multinomial),
    ("RandomNormal", |im, n| of_shape(im, n, "normal")),
    ("RandomNormalLike", |im, n| like(im, n, "normal")),
    ("RandomUniform", |im, n| of_shape(im, n, "uniform")),
    ("RandomUniformLike", |im, n| like(im, n, "uniform")),
];

/// A tensor of random numbers: uniform between two bounds, or normal with a mean and a deviation.
pub(super) fn random(
    im: &mut Importer<'_>,
    kind: &str,
    shape: &[Expr],
    dtype: DType,
    [a, b]: [f64; 2],
    seed: Option<f32>,
) -> Built {
    let ctx = im.ctx();
    let float = |x: f64| ctx.float_attr(x, ctx.f32_type());
    let mut attrs = vec![
        ("kind", ctx.string_attr(kind)),
        ("shape", ctx.exprs_attr(shape)),
        ("type", ctx.type_attr(ctx.type_of_dtype(dtype))),
        ("a", float(a)),
        ("b", float(b)),
    ];
    if let Some(seed) = seed {
        attrs.push(("seed", float(seed as f64)));
    }
    im.value("graph.random", &[], &attrs)
}

fn seed(n: &Node<'_>) -> Option<f32> {
    n.has("seed").then(|| n.float("seed", 0.0))
}

fn parameters(n: &Node<'_>, kind: &str) -> [f64; 2] {
    match kind {
        "normal" => [n.float("mean", 0.0) as f64, n.float("scale", 1.0) as f64],
        _ => [n.float("low", 0.0) as f64, n.float("high", 1.0) as f64],
    }
}

fn given_type(im: &Importer<'_>, n: &Node<'_>, default: DType) -> Built<DType> {
    match n.int_opt("dtype") {
        Some(t) => dtype_of(t as i32).map_err(|e| im.error("N0614", e.to_string())),
        None => Ok(default),
    }
}

fn of_shape(im: &mut Importer<'_>, n: &Node<'_>, kind: &str) -> Out {
    let shape: Vec<Expr> = n.ints("shape").unwrap_or_default().into_iter().map(|d| im.num(d)).collect();
    let dtype = given_type(im, n, DType::F32)?;
    Ok(vec![random(im, kind, &shape, dtype, parameters(n, kind), seed(n))?])
}

fn like(im: &mut Importer<'_>, n: &Node<'_>, kind: &str) -> Out {
    let x = n.input(im, 0)?;
    let (shape, own) = (im.dims(x)?, im.dtype(x)?);
    let dtype = given_type(im, n, own)?;
    Ok(vec![random(im, kind, &shape, dtype, parameters(n, kind), seed(n))?])
}

fn bernoulli(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let own = im.dtype(x)?;
    let dtype = given_type(im, n, own)?;
    let ctx = im.ctx();
    let mut attrs = vec![("to", ctx.type_attr(ctx.type_of_dtype(dtype)))];
    if let Some(seed) = seed(n) {
        attrs.push(("seed", ctx.float_attr(seed as f64, ctx.f32_type())));
    }
    Ok(vec![im.value("graph.bernoulli", &[x], &attrs)?])
}

/// Classes drawn by their logarithmic probabilities: the class with the largest `logit - log(-log(u))`, u uniform
/// (Gumbel's method), one independent draw a sample.
fn multinomial(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x: ValueId = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let &[batch, classes] = dims.as_slice() else {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("probabilities [batch, classes] are needed, found {found}")));
    };
    let samples = im.num(n.int("sample_size", 1));
    let u = random(im, "uniform", &[batch, samples, classes], DType::F32, [1e-20, 1.0], seed(n))?;
    let log = im.unary("log", u)?;
    let log = im.unary("neg", log)?;
    let log = im.unary("log", log)?;
    let x = im.cast_to(x, DType::F32)?;
    let x = im.unsqueeze(x, &[1])?;
    let score = im.binary("sub", x, log)?;
    let ctx = im.ctx();
    let attrs = [("kind", ctx.string_attr("max")), ("axis", ctx.i64_attr(2))];
    let drawn = im.value("graph.arg_reduce", &[score], &attrs)?;
    let dtype = given_type(im, n, DType::I32)?;
    Ok(vec![im.cast_to(drawn, dtype)?])
}
