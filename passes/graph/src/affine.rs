//! Constant factors and terms behind a contraction: `conv(x, w) * a + b = conv(x, w * a) + b`, per channel.
//!
//! Batch normalisation in inference is that, and so are scales and shifts of other origins. The sums are over products with
//! the weights, so a factor per output channel may as well scale the weights: real arithmetic, rounded elsewhere.

use crate::fold::constant;
use nim_ir::{AttrData, Body, Builder, Context, Expr, OpId, OpState, Use, ValueId};
use nim_pass::{Miss, Site};
use nim_tensor::{Blob, DType, Tensor};

/// The number that a constant is everywhere.
pub fn splat(ctx: &Context, body: &Body, v: ValueId) -> Option<f64> {
    let op = body.defining_op(v)?;
    if !body.is(ctx, op, "graph.constant") {
        return None;
    }
    let AttrData::Dense { ty, elements } = ctx.attr_data(body.attr_named(ctx, op, "value")?) else { return None };
    let dtype = ctx.dtype_of(*ty)?;
    if !elements.splat && elements.bytes.len() != dtype.size() {
        return None;
    }
    let tensor = Tensor::from_blob(dtype, &[], elements.bytes.clone()).ok()?;
    tensor.to_f64s()?.first().copied()
}

/// A chain of constant factors and terms behind a contraction, as one factor and one term a channel.
pub(crate) struct Chain {
    /// The last op of the chain.
    pub(crate) last: OpId,
    pub(crate) factor: Vec<f64>,
    pub(crate) term: Vec<f64>,
    /// Ops with factors, ops with terms.
    pub(crate) factors: usize,
    pub(crate) terms: usize,
}

/// Folds what stands behind a contraction into its weights and one bias.
pub fn fold_behind(site: &mut Site<'_>) -> Result<(), Miss> {
    let plan = plan(site.ctx, site.body, site.op)?;
    site.fire()?;
    apply(site, plan)
}

/// What takes the place of a contraction and the chain behind it.
struct Plan {
    chain: Chain,
    /// The operand that holds the weights, and the new ones, where there are factors.
    weights: Option<(usize, Tensor)>,
    /// The term of each channel, where there are terms.
    bias: Option<Tensor>,
}

/// Weights of a contraction: the operand, the axis of the weights that makes the channels, and the channels' axis of the
/// result.
pub(crate) fn weights(ctx: &Context, body: &Body, op: OpId) -> Option<(usize, usize, usize)> {
    let dims = |v: ValueId| ctx.dims(body.ty(v)).map(<[_]>::len);
    match ctx.op_str(body.op_name(op)) {
        "graph.conv" => Some((1, 0, 1)),
        "graph.conv_transpose" => {
            let groups = body.attr_named(ctx, op, "groups").and_then(|a| ctx.as_int(a)).unwrap_or(1);
            (groups == 1).then_some((1, 1, 1))
        }
        "graph.matmul" => {
            let (x, w) = (dims(body.operand(op, 0))?, dims(body.operand(op, 1))?);
            (x >= 2 && w == 2).then_some((1, 1, x - 1))
        }
        _ => None,
    }
}

fn plan(ctx: &Context, body: &Body, op: OpId) -> Result<Plan, Miss> {
    const SHAPE: Miss = Miss("the weights' channels are not those of the result");
    let (operand, weight_axis, axis) =
        weights(ctx, body, op).ok_or(Miss("it has groups, or weights of another rank"))?;
    let w = constant(ctx, body, body.operand(op, operand)).ok_or(Miss("the weights are no constant"))?;
    if !matches!(w.dtype(), DType::F32 | DType::F64) {
        return Err(Miss("the weights are neither f32 nor f64"));
    }
    let channels = *w.dims().get(weight_axis).ok_or(SHAPE)?;
    let result = ctx.dim_exprs(body.ty(body.result(op))).ok_or(SHAPE)?;
    if ctx.exprs.as_const(*result.get(axis).ok_or(SHAPE)?) != Some(channels as i64) {
        return Err(SHAPE);
    }
    let chain = chain(ctx, body, op, result.len(), axis, channels);
    let chain = chain.ok_or(Miss("no constant factor or term follows, or the result has other users"))?;
    // One factor less to multiply by, or one term less to add.
    if chain.factors == 0 && chain.terms < 2 {
        return Err(Miss("one term alone is better left where it is"));
    }
    if chain.factor.iter().chain(&chain.term).any(|v| !v.is_finite()) {
        return Err(Miss("a factor or term is not finite"));
    }
    const HOST: Miss = Miss("the new weights have no host form");
    let weights = match chain.factors {
        0 => None,
        _ => Some((operand, scaled(&w, weight_axis, &chain.factor).ok_or(HOST)?)),
    };
    let mut dims = vec![1; result.len() - axis];
    dims[0] = channels;
    let bias = match chain.terms {
        0 => None,
        _ => Some(Tensor::from_f64s(w.dtype(), &dims, &chain.term).map_err(|_| HOST)?),
    };
    Ok(Plan { chain, weights, bias })
}

fn apply(site: &mut Site<'_>, plan: Plan) -> Result<(), Miss> {
    let (ctx, op, loc, made_at) = (site.ctx, site.op, site.body.loc(site.op), site.loc());
    let body = &mut *site.body;
    let (last, ty) = (plan.chain.last, body.ty(body.result(plan.chain.last)));
    let mut operands = body.operands(op).to_vec();
    let attrs = body.attrs(op).clone();
    let name = body.op_name(op);
    let key = ctx.loc_name(loc).unwrap_or("weights").to_string();
    let mut b = Builder::before(ctx, body, last);
    b.loc = made_at;
    if let Some((operand, scaled)) = plan.weights {
        operands[operand] = make_constant(&mut b, &scaled, &key);
    }
    let mut state = OpState::of(name, made_at).operands(&operands).results(&[ty]);
    state.attrs = attrs;
    let made = b.insert(state);
    let mut value = b.body.result(made);
    if let Some(bias) = plan.bias {
        let bias = make_constant(&mut b, &bias, &format!("{key}.bias"));
        value = b.value("graph.add", &[value, bias], ty, &[]);
    }
    let old = body.result(last);
    body.replace_all_uses(old, value);
    erase_chain(ctx, body, op, last);
    Ok(())
}

/// Erases a chain of ops of which nobody uses the last, from its end to its first.
pub(crate) fn erase_chain(ctx: &Context, body: &mut Body, first: OpId, last: OpId) {
    let mut unused = last;
    while unused != first {
        let before = body
            .operands(unused)
            .iter()
            .find_map(|&v| body.defining_op(v).filter(|&d| !body.is(ctx, d, "graph.constant")));
        body.erase(unused);
        let Some(before) = before else { return };
        unused = before;
    }
    body.erase(first);
}

pub(crate) fn make_constant(b: &mut Builder<'_>, tensor: &Tensor, key: &str) -> ValueId {
    let (value, ty) = (b.ctx.tensor_attr(tensor, key), b.ctx.type_of_tensor(tensor));
    b.value("graph.constant", &[], ty, &[("value", value)])
}

/// Weights with each slice along an axis times its factor. Large ones are made when they are read, from those of the model.
fn scaled(w: &Tensor, axis: usize, factor: &[f64]) -> Option<Tensor> {
    let inner: usize = w.dims()[axis + 1..].iter().product();
    let count = factor.len();
    if let (DType::F32, Some(blob)) = (w.dtype(), w.blob()) {
        let (blob, factor) = (blob.clone(), factor.to_vec());
        let later = Blob::made_later(blob.len(), move |put| {
            let source = blob.read();
            let mut piece = Vec::with_capacity(Blob::PIECE);
            // The slice, and how many of its elements are still to come.
            let (mut slice, mut left) = (0, inner);
            for mut values in source.as_chunks::<4>().0.chunks(Blob::PIECE / 4) {
                piece.clear();
                while !values.is_empty() {
                    let (now, rest) = values.split_at(left.min(values.len()));
                    let scale = |&v: &[u8; 4]| (f64::from(f32::from_ne_bytes(v)) * factor[slice]) as f32;
                    piece.extend(now.iter().flat_map(|v| scale(v).to_ne_bytes()));
                    (values, left) = (rest, left - now.len());
                    if left == 0 {
                        (slice, left) = ((slice + 1) % count, inner);
                    }
                }
                put(&piece)?;
            }
            source.give_back();
            Ok(())
        });
        return Tensor::from_blob(DType::F32, w.dims(), later).ok();
    }
    let values = w.to_f64s()?;
    let values: Vec<f64> = values.iter().enumerate().map(|(i, v)| v * factor[i / inner.max(1) % count]).collect();
    Tensor::from_f64s(w.dtype(), w.dims(), &values).ok()
}

pub(crate) fn chain(
    ctx: &Context,
    body: &Body,
    root: OpId,
    rank: usize,
    axis: usize,
    channels: usize,
) -> Option<Chain> {
    let mut chain = Chain { last: root, factor: vec![1.0; channels], term: vec![0.0; channels], factors: 0, terms: 0 };
    loop {
        let value = body.result(chain.last);
        let Some(Use { op, index }) = body.only_use(value) else { break };
        if body.block(op) != body.block(root)
            || body.operand_count(op) != 2
            || body.results(op).iter().map(|&result| body.ty(result)).ne([body.ty(value)])
        {
            break;
        }
        let other = body.operand(op, 1 - index as usize);
        let Some(c) = per_channel(ctx, body, other, rank, axis, channels) else { break };
        let (factor, term) = (&mut chain.factor, &mut chain.term);
        match (ctx.op_str(body.op_name(op)), index) {
            ("graph.add", _) => term.iter_mut().zip(&c).for_each(|(t, c)| *t += c),
            ("graph.sub", 0) => term.iter_mut().zip(&c).for_each(|(t, c)| *t -= c),
            ("graph.sub", _) => {
                factor.iter_mut().for_each(|f| *f = -*f);
                term.iter_mut().zip(&c).for_each(|(t, c)| *t = c - *t);
                chain.factors += 1;
            }
            ("graph.mul", _) => {
                factor.iter_mut().chain(term.iter_mut()).zip(c.iter().chain(&c)).for_each(|(v, c)| *v *= c);
                chain.factors += 1;
            }
            ("graph.div", 0) => {
                factor.iter_mut().chain(term.iter_mut()).zip(c.iter().chain(&c)).for_each(|(v, c)| *v /= c);
                chain.factors += 1;
            }
            _ => break,
        }
        if matches!(ctx.op_str(body.op_name(op)), "graph.add" | "graph.sub") {
            chain.terms += 1;
        }
        chain.last = op;
    }
    (chain.last != root).then_some(chain)
}

/// A constant that varies along one axis of a result at most: one number a channel.
fn per_channel(ctx: &Context, body: &Body, v: ValueId, rank: usize, axis: usize, channels: usize) -> Option<Vec<f64>> {
    if let Some(number) = splat(ctx, body, v) {
        let dims = ctx.dim_exprs(body.ty(v))?;
        return (dims.len() <= rank).then(|| vec![number; channels]);
    }
    let dims = ctx.dim_exprs(body.ty(v))?;
    let skip = rank.checked_sub(dims.len())?;
    let along = |i: usize, d: Expr| {
        if i + skip == axis { ctx.exprs.as_const(d) == Some(channels as i64) } else { d == Expr::ONE }
    };
    if !dims.iter().enumerate().all(|(i, &d)| along(i, d)) {
        return None;
    }
    constant(ctx, body, v)?.to_f64s().filter(|v| v.len() == channels)
}
