//! Constant factors and terms behind integers: what stands between a sum of products of bytes and the next rounding.
//!
//! `((n - c) * a + b) / s` of an integer is `(n - c + b/a) * (a/s)`, or `(n - c) * (a/s) + b/s` where `b/a` is no integer: real arithmetic,
//! rounded elsewhere, as with weights ([`crate::affine`]). Biases of quantised models are integers in this sense.

use crate::affine::{Chain, chain, erase_chain, make_constant, splat, weights};
use crate::fold::constant;
use crate::integer::is_sum_of_bytes;
use nim_ir::{Body, Builder, Context, OpId, ValueId};
use nim_pass::{Miss, Site};
use nim_tensor::{DType, Tensor};

/// The largest bias, and the largest sum that it may be added to: together they fit 32 bits.
const LARGEST_BIAS: f64 = 268_435_456.0;
const LARGEST_SUM: i64 = i32::MAX as i64 - LARGEST_BIAS as i64;
/// More factors than this are not of channels.
const MOST_CHANNELS: usize = 1 << 16;

/// Folds a chain behind the conversion of an integer into one constant integer and one factor, or one factor and one term.
pub fn fold_behind(site: &mut Site<'_>) -> Result<(), Miss> {
    const OTHER: Miss = Miss("it is no conversion from `i32` to `f32`");
    let (ctx, op) = (site.ctx, site.op);
    let body = &*site.body;
    let dtype = |v: ValueId| ctx.dtype_of(body.ty(v));
    let source = body.operand(op, 0);
    if dtype(source) != Some(DType::I32) || dtype(body.result(op)) != Some(DType::F32) {
        return Err(OTHER);
    }
    let rank = ctx.dims(body.ty(source)).ok_or(OTHER)?.len();
    let offset = Offset::of(ctx, body, source);
    let inner = offset.as_ref().map_or(source, |o| o.of);
    let (axis, channels) = channels(ctx, body, inner).unwrap_or((rank.saturating_sub(1), 1));
    let Some(Chain { last, factor, term, factors, terms }) = chain(ctx, body, op, rank, axis, channels) else {
        return Err(Miss("no constant factor or term follows, or the result has other users"));
    };
    if factor.iter().chain(&term).any(|v| !v.is_finite()) || factor.contains(&0.0) {
        return Err(Miss("a factor or term is not finite, or a factor is 0"));
    }
    let before = factors + terms + usize::from(offset.is_some());
    // What may be any integer may wrap when something is added to it.
    let adds = terms > 0 && is_sum_of_bytes(ctx, body, inner, LARGEST_SUM);
    let bias = integers(&term, &factor).filter(|_| adds);
    let bias = bias.and_then(|bias| joined(bias, offset.as_ref()));
    let after = 1 + usize::from(bias.is_some() || offset.is_some()) + usize::from(bias.is_none() && terms > 0);
    if after >= before {
        return Err(Miss("there would not be fewer operations"));
    }
    // One number for all channels is one number.
    let shaped = |values: Vec<f64>, dtype: DType| {
        let same = values.iter().all(|v| *v == values[0]);
        let (dims, values) = match same {
            true => (vec![], vec![values[0]]),
            false => (std::iter::once(values.len()).chain(vec![1; rank - 1 - axis]).collect(), values),
        };
        Tensor::from_f64s(dtype, &dims, &values).map_err(|_| Miss("a constant has no host form"))
    };
    let factor = shaped(factor, DType::F32)?;
    let term = (bias.is_none() && terms > 0).then(|| shaped(term, DType::F32)).transpose()?;
    let bias = bias.map(|bias| shaped(bias, DType::I32)).transpose()?;
    site.fire()?;
    let key = ctx.loc_name(site.body.loc(op)).unwrap_or("integer").to_string();
    let (ty, integer_ty) = (site.body.ty(site.body.result(last)), site.body.ty(source));
    let loc = site.loc();
    let mut b = Builder::before(ctx, site.body, last);
    b.loc = loc;
    let mut value = source;
    if let Some(bias) = bias {
        let bias = make_constant(&mut b, &bias, &format!("{key}.bias"));
        value = b.value("graph.add", &[inner, bias], integer_ty, &[]);
    }
    let to = ctx.type_attr(ctx.type_of_dtype(DType::F32));
    value = b.value("graph.cast", &[value], ty, &[("to", to)]);
    let factor = make_constant(&mut b, &factor, &format!("{key}.scale"));
    value = b.value("graph.mul", &[value, factor], ty, &[]);
    if let Some(term) = term {
        let term = make_constant(&mut b, &term, &format!("{key}.bias"));
        value = b.value("graph.add", &[value, term], ty, &[]);
    }
    let old = site.body.result(last);
    site.body.replace_all_uses(old, value);
    erase_chain(ctx, site.body, op, last);
    erase_unused(site.body, source);
    Ok(())
}

/// Erases who makes a value that nobody uses any more.
fn erase_unused(body: &mut Body, v: ValueId) {
    if !body.has_uses(v)
        && let Some(op) = body.defining_op(v)
    {
        body.erase(op);
    }
}

/// A constant that an integer has been added to before.
struct Offset {
    of: ValueId,
    constant: Tensor,
    negative: bool,
}

impl Offset {
    fn of(ctx: &Context, body: &Body, v: ValueId) -> Option<Offset> {
        let op = body.defining_op(v)?;
        let negative = body.is(ctx, op, "graph.sub");
        if !negative && !body.is(ctx, op, "graph.add") {
            return None;
        }
        let (x, c) = (body.operand(op, 0), body.operand(op, 1));
        let whole = ctx.dim_exprs(body.ty(x)) == ctx.dim_exprs(body.ty(v));
        let constant = constant(ctx, body, c).filter(|_| whole)?;
        Some(Offset { of: x, constant, negative })
    }
}

/// The axis of the result that is the channels of a contraction with constant weights, and their number.
fn channels(ctx: &Context, body: &Body, v: ValueId) -> Option<(usize, usize)> {
    let op = body.defining_op(v)?;
    let (.., axis) = weights(ctx, body, op)?;
    let channels = ctx.exprs.as_const(*ctx.dim_exprs(body.ty(v))?.get(axis)?)?;
    Some((axis, usize::try_from(channels).ok()?))
}

/// `term / factor` where that is an integer everywhere, but for what two roundings to `f32` may have taken away.
fn integers(term: &[f64], factor: &[f64]) -> Option<Vec<f64>> {
    let one = |(t, f): (&f64, &f64)| {
        let exact = t / f;
        let rounded = exact.round_ties_even();
        let close = (exact - rounded).abs() <= f64::from(f32::EPSILON) * exact.abs();
        (close && rounded.abs() <= LARGEST_BIAS).then_some(rounded)
    };
    term.iter().zip(factor).map(one).collect()
}

/// A bias together with the constant that is there already.
fn joined(mut bias: Vec<f64>, offset: Option<&Offset>) -> Option<Vec<f64>> {
    let Some(offset) = offset else { return Some(bias) };
    let there = offset.constant.to_f64s()?;
    if there.len() != 1 && there.len() != bias.len() {
        return None;
    }
    for (i, b) in bias.iter_mut().enumerate() {
        let c = there[i % there.len()];
        *b += if offset.negative { -c } else { c };
        // Sums wrap modulo 2^32, constants must not.
        if b.abs() > f64::from(i32::MAX) {
            return None;
        }
    }
    Some(bias)
}

/// `(x*a + y*b) / s` is `x*(a/s) + y*(b/s)` for numbers `a`, `b`, `s`.
pub fn divide_terms(site: &mut Site<'_>) -> Result<(), Miss> {
    const OTHER: Miss = Miss("it divides no sum of two products by constants by a constant");
    let (ctx, op) = (site.ctx, site.op);
    let body = &*site.body;
    let (sum, by) = (body.operand(op, 0), body.operand(op, 1));
    let f32s = |v: ValueId| ctx.dtype_of(body.ty(v)) == Some(DType::F32);
    let by = splat(ctx, body, by).filter(|s| s.is_finite() && *s != 0.0 && f32s(sum)).ok_or(OTHER)?;
    let made_by = |v: ValueId, name: &str| -> Option<OpId> {
        body.defining_op(v).filter(|&op| body.is(ctx, op, name) && body.ty(body.result(op)) == body.ty(sum))
    };
    let add = made_by(sum, "graph.add").filter(|_| body.only_use(sum).is_some()).ok_or(OTHER)?;
    // A factor is one number, or one a channel.
    let product = |v: ValueId| {
        let op = made_by(v, "graph.mul")?;
        let (a, b) = (body.operand(op, 0), body.operand(op, 1));
        let found = [(a, b), (b, a)].into_iter().find_map(|(x, c)| Some((x, constant(ctx, body, c)?)));
        let (x, c) = found.filter(|(x, c)| body.ty(*x) == body.ty(v) && c.len() <= MOST_CHANNELS)?;
        let scaled: Vec<f64> = c.to_f64s()?.iter().map(|c| c / by).collect();
        let normal = scaled.iter().all(|f| (*f as f32).is_normal());
        Some((x, Tensor::from_f64s(DType::F32, c.dims(), &scaled).ok().filter(|_| normal)?))
    };
    let products = [body.operand(add, 0), body.operand(add, 1)];
    let terms = [product(products[0]).ok_or(OTHER)?, product(products[1]).ok_or(OTHER)?];
    site.fire()?;
    let ty = site.body.ty(site.body.result(op));
    let mut b = site.builder();
    let mut scaled = vec![];
    for (x, factor) in terms {
        let factor = make_constant(&mut b, &factor, "scale");
        scaled.push(b.value("graph.mul", &[x, factor], ty, &[]));
    }
    let value = b.value("graph.add", &scaled, ty, &[]);
    site.replace(value);
    // Their factors' other users would keep chains from being folded.
    erase_unused(site.body, sum);
    erase_unused(site.body, products[0]);
    if products[0] != products[1] {
        erase_unused(site.body, products[1]);
    }
    Ok(())
}
