//! Attention and its relatives, rotary embeddings, gated linear units.

use super::{Family, Importer, Item, ItemFamily, Items, Node, Out};
use crate::dtype_of;
use nim_graph::Built;
use nim_ir::{Expr, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[
    ("Attention", attention),
    ("LinearAttention", linear_attention),
    ("RotaryEmbedding", rotary_embedding),
    ("SwiGLU", swiglu),
];

/// Operators of `ai.onnx.preview`.
pub(super) const PREVIEW: ItemFamily = &[("FlexAttention", flex_attention)];

/// `[batch, length, heads*size]` as `[batch, heads, length, size]`; what has rank 4 stays.
pub(super) fn by_heads(im: &mut Importer<'_>, x: ValueId, heads: i64) -> Built {
    let dims = im.dims(x)?;
    match dims.as_slice() {
        [_, _, _, _] => Ok(x),
        &[batch, length, hidden] if heads > 0 => {
            let p = &im.ctx().exprs;
            let heads = p.constant(heads);
            let y = im.reshape(x, &[batch, length, heads, p.floordiv(hidden, heads)])?;
            im.transpose(y, &[0, 2, 1, 3])
        }
        _ => {
            let found = im.ctx().display_type(im.ty(x));
            Err(im.error("N0635", format!("queries, keys and values of {heads} heads cannot have the type {found}")))
        }
    }
}

/// Each head repeated so that `heads` of them match those of the queries.
pub(super) fn repeated_heads(im: &mut Importer<'_>, x: ValueId, heads: Expr) -> Built {
    let dims = im.dims(x)?;
    if dims[1] == heads {
        return Ok(x);
    }
    let p = &im.ctx().exprs;
    let times = p.floordiv(heads, dims[1]);
    let apart = im.unsqueeze(x, &[2])?;
    let apart = im.broadcast_to(apart, &[dims[0], dims[1], times, dims[2], dims[3]])?;
    im.reshape(apart, &[dims[0], heads, dims[2], dims[3]])
}

/// `[batch, heads, length, size]` as `[batch, length, heads*size]`.
pub(super) fn merge_heads(im: &mut Importer<'_>, x: ValueId) -> Built {
    let x = im.transpose(x, &[0, 2, 1, 3])?;
    let d = im.dims(x)?;
    let hidden = im.ctx().exprs.mul(d[2], d[3]);
    im.reshape(x, &[d[0], d[1], hidden])
}

/// Scores `q*sqrt(s) @ (k*sqrt(s))'`, which keeps the range of halves.
pub(super) fn scores(im: &mut Importer<'_>, q: ValueId, k: ValueId, scale: Option<f64>) -> Built {
    let size = im.dims(q)?[3];
    let scale = match (scale, im.ctx().exprs.as_const(size)) {
        (Some(s), _) => im.like(q, s.sqrt())?,
        (None, Some(size)) => im.like(q, (1.0 / (size as f64).sqrt()).sqrt())?,
        (None, None) => {
            let size = im.index(&[size], true)?;
            let size = im.cast_to(size, DType::F32)?;
            let root = im.unary("sqrt", size)?;
            let root = im.unary("sqrt", root)?;
            let inverse = im.unary("reciprocal", root)?;
            let element = im.element(q)?;
            im.cast(inverse, element)?
        }
    };
    let (q, k) = (im.binary("mul", q, scale)?, im.binary("mul", k, scale)?);
    let k = im.transpose(k, &[0, 1, 3, 2])?;
    im.matmul(q, k)
}

/// How far behind the start of the sequence the queries begin.
enum Offset {
    /// The same for all.
    Same(Expr),
    /// One a batch element: `[batch, 1, 1, 1]`.
    Each(ValueId),
}

fn attention(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (q, k, v) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let flat = im.rank(q)? == 3;
    let (q_heads, kv_heads) = (n.int("q_num_heads", 0), n.int("kv_num_heads", 0));
    let q = by_heads(im, q, q_heads)?;
    let (mut k, mut v) = (by_heads(im, k, kv_heads)?, by_heads(im, v, kv_heads)?);
    let mut past = im.num(0);
    if let (Some(past_k), Some(past_v)) = (n.opt(4), n.opt(5)) {
        past = match im.dims(past_k)?.as_slice() {
            &[_, _, length, _] => length,
            _ => {
                let found = im.ctx().display_type(im.ty(past_k));
                return Err(im.error("N0635", format!("past keys must have rank 4, found {found}")));
            }
        };
        k = im.concat(&[past_k, k], 2)?;
        v = im.concat(&[past_v, v], 2)?;
    }
    let (present_k, present_v) = (k, v);
    let (q_dims, kv_length) = (im.dims(q)?, im.dims(k)?[2]);
    let k = repeated_heads(im, k, q_dims[1])?;
    let v = repeated_heads(im, v, q_dims[1])?;
    let raw = scores(im, q, k, n.has("scale").then(|| n.float("scale", 1.0) as f64))?;
    let mut capped = raw;
    let softcap = n.float("softcap", 0.0) as f64;
    if softcap > 0.0 {
        let x = im.with_scalar("div", raw, softcap)?;
        let x = im.unary("tanh", x)?;
        capped = im.with_scalar("mul", x, softcap)?;
    }
    let lengths = match n.opt(6) {
        Some(v) => {
            let v = im.cast_to(v, DType::I64)?;
            Some(im.unsqueeze(v, &[1, 2, 3])?)
        }
        None => None,
    };
    let offset = match lengths {
        Some(lengths) if n.opt(4).is_none() => {
            let own = im.index(&[q_dims[2]], true)?;
            Offset::Each(im.binary("sub", lengths, own)?)
        }
        _ => Offset::Same(past),
    };
    let element = im.element(q)?;
    let bias = bias(im, n, element, [q_dims[2], kv_length], lengths, &offset)?;
    let masked = match bias {
        Some(b) => im.binary("add", capped, b)?,
        None => capped,
    };
    let mut x = masked;
    if let Some(t) = n.int_opt("softmax_precision").filter(|&t| t != 0) {
        let t = dtype_of(t as i32).map_err(|e| im.error("N0614", e.to_string()))?;
        x = im.cast_to(x, t)?;
    }
    // Each query sees its own key where nothing but positions hides keys.
    let by_position = n.opt(3).is_none() && lengths.is_none();
    let probabilities = guarded_softmax(im, x, bias.filter(|_| !by_position))?;
    let probabilities = im.cast(probabilities, element)?;
    let mut y = im.matmul(probabilities, v)?;
    if flat {
        y = merge_heads(im, y)?;
    }
    let shown = match n.int("qk_matmul_output_mode", 0) {
        1 => capped,
        2 => masked,
        3 => probabilities,
        _ => raw,
    };
    Ok(vec![y, present_k, present_v, shown])
}

/// What is added to the scores: 0 or -inf by position, and the mask that is given.
fn bias(
    im: &mut Importer<'_>,
    n: &Node<'_>,
    element: nim_ir::Type,
    [q_length, kv_length]: [Expr; 2],
    lengths: Option<ValueId>,
    offset: &Offset,
) -> Built<Option<ValueId>> {
    let mut allowed: Option<ValueId> = None;
    let both = |im: &mut Importer<'_>, a: Option<ValueId>, b: ValueId| -> Built<Option<ValueId>> {
        match a {
            Some(a) => im.binary("and", a, b).map(Some),
            None => Ok(Some(b)),
        }
    };
    let mut added = None;
    if let Some(mut mask) = n.opt(3) {
        let dims = im.dims(mask)?;
        let truth = im.dtype(mask)? == DType::Bool;
        if let Some(&last) = dims.last()
            && last != kv_length
            && im.ctx().exprs.as_const(last) != Some(1)
        {
            // A short mask hides the rest.
            let ctx = im.ctx();
            let fill = im.like(mask, if truth { 0.0 } else { f64::NEG_INFINITY })?;
            let low = vec![ctx.exprs.constant(0); dims.len()];
            let mut high = low.clone();
            high[dims.len() - 1] = ctx.exprs.sub(kv_length, last);
            let attrs =
                [("low", ctx.exprs_attr(&low)), ("high", ctx.exprs_attr(&high)), ("mode", ctx.string_attr("constant"))];
            mask = im.value("graph.pad", &[mask, fill], &attrs)?;
        }
        if truth {
            allowed = Some(mask);
        } else {
            added = Some(im.cast(mask, element)?);
        }
    }
    let causal = n.flag("is_causal", false);
    let (left, right) = (n.int("left_window_size", -1), n.int("right_window_size", -1));
    if causal || left >= 0 || right >= 0 {
        let shape = [q_length, kv_length];
        let (row, col) = (im.iota(&shape, 0, DType::I64)?, im.iota(&shape, 1, DType::I64)?);
        let at = match offset {
            Offset::Same(e) if im.ctx().exprs.as_const(*e) == Some(0) => row,
            Offset::Same(e) => {
                let e = im.index(&[*e], true)?;
                im.binary("add", row, e)?
            }
            Offset::Each(v) => im.binary("add", row, *v)?,
        };
        if causal {
            let seen = im.compare("le", col, at)?;
            allowed = both(im, allowed, seen)?;
        }
        let distance = im.binary("sub", at, col)?;
        if left >= 0 {
            let limit = im.like(distance, left as f64)?;
            let near = im.compare("le", distance, limit)?;
            allowed = both(im, allowed, near)?;
        }
        if right >= 0 {
            let limit = im.like(distance, -right as f64)?;
            let near = im.compare("ge", distance, limit)?;
            allowed = both(im, allowed, near)?;
        }
    }
    if let Some(lengths) = lengths {
        let col = im.iota(&[kv_length], 0, DType::I64)?;
        let filled = im.compare("lt", col, lengths)?;
        allowed = both(im, allowed, filled)?;
    }
    let Some(allowed) = allowed else { return Ok(added) };
    let dtype = im.ctx().dtype_of_type(element).unwrap_or(DType::F32);
    let (zero, minus) = (im.scalar(dtype, 0.0)?, im.scalar(dtype, f64::NEG_INFINITY)?);
    let base = added.unwrap_or(zero);
    im.select(allowed, base, minus).map(Some)
}

/// Softmax over the last axis; a row whose bias is -inf throughout gives zeros.
fn guarded_softmax(im: &mut Importer<'_>, x: ValueId, bias: Option<ValueId>) -> Built {
    let last = im.rank(x)?.saturating_sub(1);
    let Some(bias) = bias else { return im.softmax(x, &[last], false) };
    let best = im.reduce("max", x, &[last], true)?;
    let minus = im.like(best, f64::NEG_INFINITY)?;
    let hidden = im.compare("eq", best, minus)?;
    let zero = im.like(best, 0.0)?;
    let base = im.select(hidden, zero, best)?;
    let shifted = im.binary("sub", x, base)?;
    let e = im.unary("exp", shifted)?;
    let sum = im.reduce("sum", e, &[last], true)?;
    let one = im.like(sum, 1.0)?;
    let sum = im.select(hidden, one, sum)?;
    let y = im.binary("div", e, sum)?;
    // Decided on the bias: a score may be infinite itself.
    let axis = im.rank(bias)?.saturating_sub(1);
    let open = im.reduce("max", bias, &[axis], true)?;
    let minus = im.like(open, f64::NEG_INFINITY)?;
    let closed = im.compare("eq", open, minus)?;
    let zero = im.like(y, 0.0)?;
    im.select(closed, zero, y)
}

/// Attention whose scores and probabilities pass through subgraphs.
fn flex_attention<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let (q, k, v) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    if im.rank(q)? != 4 || im.rank(k)? != 4 || im.rank(v)? != 4 {
        let found = im.ctx().display_type(im.ty(q));
        return Err(im.error("N0635", format!("queries, keys and values must have rank 4, found {found}")));
    }
    let out = im.element(v)?;
    let heads = im.dims(q)?[1];
    let (k, v) = (repeated_heads(im, k, heads)?, repeated_heads(im, v, heads)?);
    let x = scores(im, q, k, n.has("scale").then(|| n.float("scale", 1.0) as f64))?;
    let compute = match n.int("softmax_precision", 0) {
        0 if im.dtype(q)? == DType::F64 => DType::F64,
        0 => DType::F32,
        t => dtype_of(t as i32).map_err(|e| im.error("N0614", e.to_string()))?,
    };
    let mut x = im.cast_to(x, compute)?;
    let through = |im: &mut Importer<'a>, name: &str, x: ValueId| -> Built {
        let Some(graph) = n.graph_opt(name) else { return Ok(x) };
        let out = im.subgraph(graph, &[Item::Value(x)])?;
        match out.as_slice() {
            [Item::Value(y)] => im.cast_to(*y, compute),
            _ => Err(im.error("N0632", format!("`{name}` must give one tensor"))),
        }
    };
    x = through(im, "score_mod", x)?;
    let p = im.softmax(x, &[3], false)?;
    let p = through(im, "prob_mod", p)?;
    let v = im.cast_to(v, compute)?;
    let y = im.matmul(p, v)?;
    Ok(vec![Item::Value(im.cast(y, out)?)])
}

/// A state `[batch, heads, keys, values]` that decays, is corrected and written at each step, and read by the query.
fn linear_attention(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (q, k, v) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let (q_heads, heads) = (n.int("q_num_heads", 0), n.int("kv_num_heads", 0));
    let rule = n.string("update_rule", "gated_delta");
    let (gated, delta) = match rule.as_str() {
        "linear" => (false, false),
        "gated" => (true, false),
        "delta" => (false, true),
        "gated_delta" => (true, true),
        other => return Err(im.error("N0614", format!("no update rule is named {other:?}"))),
    };
    if heads < 1 || q_heads < 1 || q_heads % heads != 0 {
        return Err(im.error("N0635", format!("{q_heads} heads of queries cannot share {heads} heads of keys")));
    }
    let out = im.element(q)?;
    let f32s = |im: &mut Importer<'_>, x: ValueId, heads: i64| -> Built {
        let x = by_heads(im, x, heads)?;
        im.cast_to(x, DType::F32)
    };
    let (q, k, v) = (f32s(im, q, q_heads)?, f32s(im, k, heads)?, f32s(im, v, heads)?);
    let (dims, values) = (im.dims(k)?, im.dims(v)?[3]);
    let (batch, steps, keys) = (dims[0], dims[2], dims[3]);
    let decay = match n.opt(4).filter(|_| gated) {
        Some(d) => {
            let d = f32s(im, d, heads)?;
            Some(im.unary("exp", d)?)
        }
        None if gated => return Err(im.error("N0610", "the input `decay` is missing")),
        None => None,
    };
    let beta = match n.opt(5).filter(|_| delta) {
        Some(b) => {
            let b = im.transpose(b, &[0, 2, 1])?;
            let b = im.unsqueeze(b, &[3])?;
            Some(im.cast_to(b, DType::F32)?)
        }
        None if delta => return Err(im.error("N0610", "the input `beta` is missing")),
        None => None,
    };
    let shape = [batch, im.num(heads), keys, values];
    let (start, kept) = match n.opt(3) {
        Some(s) => (im.cast_to(s, DType::F32)?, im.element(s)?),
        None => {
            let zero = im.scalar(DType::F32, 0.0)?;
            (im.broadcast_to(zero, &shape)?, out)
        }
    };
    let scale = match n.float("scale", 0.0) {
        0.0 => None,
        s => Some(s as f64),
    };
    let q = match (scale, im.ctx().exprs.as_const(keys)) {
        (Some(s), _) => im.with_scalar("mul", q, s)?,
        (None, Some(size)) => im.with_scalar("mul", q, 1.0 / (size as f64).sqrt())?,
        (None, None) => {
            let size = im.index(&[keys], true)?;
            let size = im.cast_to(size, DType::F32)?;
            let root = im.unary("sqrt", size)?;
            im.binary("div", q, root)?
        }
    };
    let q_count = im.num(q_heads);
    let results = im.repeat(steps, &[start], |g, it| {
        let t = it.number;
        let (qt, kt, mut vt) = (g.at(q, 2, t)?, g.at(k, 2, t)?, g.at(v, 2, t)?);
        let mut state = it.carried[0];
        if let Some(decay) = decay {
            let d = g.at(decay, 2, t)?;
            let d = g.unsqueeze(d, &[3])?;
            state = g.binary("mul", state, d)?;
        }
        let k_column = g.unsqueeze(kt, &[3])?;
        if let Some(beta) = beta {
            let weighted = g.binary("mul", state, k_column)?;
            let retrieved = g.reduce("sum", weighted, &[2], false)?;
            let difference = g.binary("sub", vt, retrieved)?;
            let b = g.at(beta, 2, t)?;
            vt = g.binary("mul", b, difference)?;
        }
        let v_row = g.unsqueeze(vt, &[2])?;
        let written = g.binary("mul", k_column, v_row)?;
        state = g.binary("add", state, written)?;
        let mut read = state;
        if q_heads != heads {
            let d = g.dims(state)?;
            let times = g.num(q_heads / heads);
            let apart = g.unsqueeze(state, &[2])?;
            let apart = g.broadcast_to(apart, &[d[0], d[1], times, d[2], d[3]])?;
            read = g.reshape(apart, &[d[0], q_count, d[2], d[3]])?;
        }
        let q_row = g.unsqueeze(qt, &[2])?;
        let y = g.matmul(q_row, read)?;
        let y = g.squeeze(y, &[2])?;
        Ok((vec![state], vec![y]))
    })?;
    // [T, B, H, V] to [B, T, H*V]
    let y = im.transpose(results[1], &[1, 0, 2, 3])?;
    let hidden = im.ctx().exprs.mul(q_count, values);
    let y = im.reshape(y, &[batch, steps, hidden])?;
    Ok(vec![im.cast(y, out)?, im.cast(results[0], kept)?])
}

/// Pairs of elements rotated by angles that grow with the position.
fn rotary_embedding(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, cos, sin) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    rotate(im, &Rotation::read(n), x, [cos, sin], n.opt(3)).map(|y| vec![y])
}

/// What is rotated, and how.
pub(super) struct Rotation {
    /// Number of heads of what has rank 3.
    pub heads: i64,
    /// How many elements of each head are rotated; all where it is 0.
    pub size: i64,
    /// Pairs are neighbours, not halves.
    pub interleaved: bool,
}

impl Rotation {
    /// As the attributes of RotaryEmbedding say.
    pub(super) fn read(n: &Node<'_>) -> Rotation {
        Rotation {
            heads: n.int("num_heads", 0),
            size: n.int("rotary_embedding_dim", 0),
            interleaved: n.flag("interleaved", false),
        }
    }
}

/// Pairs of elements rotated by angles whose cosines and sines are given, one row a position.
pub(super) fn rotate(
    im: &mut Importer<'_>,
    how: &Rotation,
    x: ValueId,
    [mut cos, mut sin]: [ValueId; 2],
    positions: Option<ValueId>,
) -> Built {
    let shape = im.dims(x)?;
    let heads = how.heads;
    // [batch, length, heads, size]
    let by_position = match shape.as_slice() {
        [_, _, _, _] => im.transpose(x, &[0, 2, 1, 3])?,
        &[batch, length, hidden] if heads > 0 => {
            let p = &im.ctx().exprs;
            let heads = p.constant(heads);
            im.reshape(x, &[batch, length, heads, p.floordiv(hidden, heads)])?
        }
        _ => {
            let found = im.ctx().display_type(im.ty(x));
            return Err(im.error("N0635", format!("{found} cannot be rotated with {heads} heads")));
        }
    };
    let dims = im.dims(by_position)?;
    let p = &im.ctx().exprs;
    let rotated = match how.size {
        0 => dims[3],
        d => p.constant(d),
    };
    let half = p.floordiv(rotated, p.constant(2));
    if let Some(positions) = positions {
        cos = im.gather(cos, positions, 0)?;
        sin = im.gather(sin, positions, 0)?;
    }
    let (cos, sin) = (im.unsqueeze(cos, &[2])?, im.unsqueeze(sin, &[2])?);
    let (zero, one, two) = (p.constant(0), p.constant(1), p.constant(2));
    let moving = im.slice_axis(by_position, 3, zero, rotated)?;
    let interleaved = how.interleaved;
    let (a, b) = if interleaved {
        let mut sizes = dims.clone();
        sizes[3] = half;
        let steps = [one, one, one, two];
        let first = im.slice(moving, &[zero; 4], &steps, &sizes)?;
        (first, im.slice(moving, &[zero, zero, zero, one], &steps, &sizes)?)
    } else {
        (im.slice_axis(moving, 3, zero, half)?, im.slice_axis(moving, 3, half, half)?)
    };
    let (ac, bs) = (im.binary("mul", a, cos)?, im.binary("mul", b, sin)?);
    let (asin, bc) = (im.binary("mul", a, sin)?, im.binary("mul", b, cos)?);
    let (real, imaginary) = (im.binary("sub", ac, bs)?, im.binary("add", asin, bc)?);
    let turned = if interleaved {
        let (r, i) = (im.unsqueeze(real, &[4])?, im.unsqueeze(imaginary, &[4])?);
        let pairs = im.concat(&[r, i], 4)?;
        let mut joined = dims.clone();
        joined[3] = rotated;
        im.reshape(pairs, &joined)?
    } else {
        im.concat(&[real, imaginary], 3)?
    };
    let mut y = turned;
    if rotated != dims[3] {
        let rest = im.ctx().exprs.sub(dims[3], rotated);
        let still = im.slice_axis(by_position, 3, rotated, rest)?;
        y = im.concat(&[turned, still], 3)?;
    }
    if shape.len() == 4 { im.transpose(y, &[0, 2, 1, 3]) } else { im.reshape(y, &shape) }
}

/// `a * sigmoid(alpha*a) * b`
fn swiglu(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (a, b) = (n.input(im, 0)?, n.input(im, 1)?);
    let scaled = match n.float("alpha", 1.0) {
        1.0 => a,
        alpha => im.with_scalar("mul", a, alpha as f64)?,
    };
    let gate = im.unary("sigmoid", scaled)?;
    let swish = im.binary("mul", a, gate)?;
    Ok(vec![im.binary("mul", swish, b)?])
}

/// Rows of a table picked by class, the class axis being 1: `x[b, t[b, ...], ...]`.
pub(super) fn pick_class(im: &mut Importer<'_>, x: ValueId, classes: ValueId) -> Built {
    let rank = im.rank(x)?;
    let mut perm: Vec<usize> = (0..rank).filter(|&a| a != 1).collect();
    perm.push(1);
    let last = im.transpose(x, &perm)?;
    let at = im.unsqueeze(classes, &[-1])?;
    im.gather_nd(last, at, rank - 1)
}
