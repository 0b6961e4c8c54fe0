//! GroupQueryAttention of `com.microsoft`: several heads of queries share one head of keys and values, which are kept in a
//! cache. Each batch element has a length of its own.

use super::{
    Family, Importer, Node, Out,
    attention::{Rotation, by_heads, merge_heads, repeated_heads, rotate, scores},
    matmul_nbits::unpacked,
    microsoft_attention::{heads, parts, rank3},
    quantization::to_integer,
};
use nim_graph::Built;
use nim_ir::{Expr, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[("GroupQueryAttention", grouped)];

/// Queries, keys and values by heads, taken apart where they come as one tensor.
fn separated(im: &mut Importer<'_>, n: &Node<'_>, q_heads: i64, kv_heads: i64) -> Built<[ValueId; 3]> {
    let q = n.input(im, 0)?;
    let [_, _, hidden] = rank3(im, q)?;
    let (q, k, v) = match (n.opt(1), n.opt(2)) {
        (Some(k), Some(v)) => (q, k, v),
        _ => {
            let p = &im.ctx().exprs;
            let size = p.floordiv(hidden, p.constant(q_heads + 2 * kv_heads));
            let shared = p.mul(p.constant(kv_heads), size);
            let sizes = [p.mul(p.constant(q_heads), size), shared, shared];
            let parts = parts(im, q, &sizes)?;
            (parts[0], parts[1], parts[2])
        }
    };
    Ok([by_heads(im, q, q_heads)?, by_heads(im, k, kv_heads)?, by_heads(im, v, kv_heads)?])
}

/// Where keys and values of this call go in the cache.
struct Cache {
    /// Rows of the cache behind this call.
    rows: Expr,
    /// Which row of old rows followed by new ones each row of the cache is: `[batch, rows, 1]`.
    from: ValueId,
    /// Which rows are filled, `[batch, 1, rows, 1]`.
    filled: ValueId,
}

impl Cache {
    /// The cache with the new rows behind the old ones; rows of nothing are zeros.
    fn extended(&self, im: &mut Importer<'_>, old: Option<ValueId>, new: ValueId) -> Built {
        let all = match old {
            Some(old) => im.concat(&[old, new], 2)?,
            None => new,
        };
        let by_row = im.transpose(all, &[0, 2, 1, 3])?;
        let picked = im.gather_nd(by_row, self.from, 1)?;
        let picked = im.transpose(picked, &[0, 2, 1, 3])?;
        let zero = im.like(picked, 0.0)?;
        im.select(self.filled, picked, zero)
    }
}

fn grouped(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (q_heads, kv_heads) = (heads(im, n)?, n.int("kv_num_heads", 0));
    if kv_heads < 1 || q_heads % kv_heads != 0 {
        return Err(im.error("N0635", format!("{q_heads} heads of queries cannot share {kv_heads} heads of keys")));
    }
    if n.int("qk_output", 0) != 0 {
        return Err(im.error("N0617", "GroupQueryAttention that gives its scores is not supported"));
    }
    let [mut q, mut k, v] = separated(im, n, q_heads, kv_heads)?;
    let &[batch, _, length, _] = im.dims(q)?.as_slice() else {
        return Err(im.error("N0635", "queries of rank 3 are needed"));
    };
    let old_rows = match n.opt(3) {
        Some(old) => im.dims(old)?.get(2).copied().unwrap_or(Expr::ZERO),
        None => im.num(0),
    };
    // Rows that each batch element has when this call is done, less one, and the most of them.
    let (last, most) = (n.input(im, 5)?, n.input(im, 6)?);
    let most = im.reshape(most, &[])?;
    let total = im.exprs_or_bind(most, "total")?[0];
    let last = im.reshape(last, &[batch])?;
    let last = im.cast_to(last, DType::I64)?;
    let own = im.index(&[length], true)?;
    let total_value = im.index(&[total], true)?;
    // Where the new rows of a batch element begin. The first call of a sequence may be padded behind: it begins at 0.
    let behind = im.with_scalar("add", last, 1.0)?;
    let behind = im.binary("sub", behind, own)?;
    let zero = im.like(behind, 0.0)?;
    let first = im.compare("eq", own, total_value)?;
    let start = im.select(first, zero, behind)?;
    let start = im.unsqueeze(start, &[1])?;
    let rows = im.ctx().exprs.max(old_rows, total);
    let row = im.iota(&[rows], 0, DType::I64)?;
    let is_old = im.compare("lt", row, start)?;
    let place = im.binary("sub", row, start)?;
    let is_filled = im.compare("lt", place, own)?;
    let newest = im.ctx().exprs.sub(length, im.num(1));
    let newest = im.index(&[newest], true)?;
    let place = im.binary("min", place, newest)?;
    let place = im.binary("max", place, zero)?;
    let before = im.index(&[old_rows], true)?;
    let place = im.binary("add", place, before)?;
    let from = im.select(is_old, row, place)?;
    let cache = Cache { rows, from: im.unsqueeze(from, &[2])?, filled: im.unsqueeze(is_filled, &[1, 3])? };
    if n.flag("do_rotary", false) {
        let (cos, sin) = (n.input(im, 7)?, n.input(im, 8)?);
        let positions = match n.opt(9) {
            Some(given) => given,
            None => {
                let step = im.iota(&[length], 0, DType::I64)?;
                im.binary("add", start, step)?
            }
        };
        let half = im.dims(cos)?.get(1).and_then(|&d| im.ctx().exprs.as_const(d)).unwrap_or(0);
        let how = Rotation { heads: q_heads, size: 2 * half, interleaved: n.flag("rotary_interleaved", false) };
        q = rotate(im, &how, q, [cos, sin], Some(positions))?;
        k = rotate(im, &how, k, [cos, sin], Some(positions))?;
    }
    // What is kept, and what is seen of it.
    let (mut kept, mut seen) = ([k, v], [k, v]);
    for (i, name) in ["k_quant_type", "v_quant_type"].into_iter().enumerate() {
        let kind = quantisation(im, n, name, 12 + i, kept[i])?;
        let new = match &kind {
            Some(kind) => kind.stored(im, kept[i])?,
            None => kept[i],
        };
        kept[i] = cache.extended(im, n.opt(3 + i), new)?;
        seen[i] = match &kind {
            Some(kind) => {
                let x = kind.read(im, kept[i])?;
                let element = im.element(q)?;
                im.cast(x, element)?
            }
            None => kept[i],
        };
    }
    let y = attend(im, n, [q, seen[0], seen[1]], start, &cache)?;
    Ok(vec![merge_heads(im, y)?, kept[0], kept[1]])
}

/// How a cache keeps numbers: `i8`, or 4 bits above -8, two in a `ui8`, the first one low.
struct Quantisation {
    /// One number, or one for each element of each head.
    scale: ValueId,
    bits: i64,
}

impl Quantisation {
    /// Numbers as they are kept.
    fn stored(&self, im: &mut Importer<'_>, x: ValueId) -> Built {
        let x = im.cast_to(x, DType::F32)?;
        let x = im.binary("div", x, self.scale)?;
        if self.bits == 8 {
            return to_integer(im, x, None, DType::I8);
        }
        let x = im.unary("round", x)?;
        let x = im.with_scalar("max", x, -8.0)?;
        let x = im.with_scalar("min", x, 7.0)?;
        let x = im.with_scalar("add", x, 8.0)?;
        let x = im.cast_to(x, DType::U8)?;
        let mut dims = im.dims(x)?;
        let rank = dims.len();
        let (one, two) = (im.num(1), im.num(2));
        if let Some(size) = dims.last_mut() {
            *size = im.ctx().exprs.floordiv(*size, two);
        }
        let pairs: Vec<Expr> = dims.iter().copied().chain([two]).collect();
        let pairs = im.reshape(x, &pairs)?;
        let (low, high) = (im.num(0), one);
        let low = im.slice_axis(pairs, rank, low, one)?;
        let high = im.slice_axis(pairs, rank, high, one)?;
        let high = im.with_scalar("shl", high, 4.0)?;
        let both = im.binary("bitwise_or", low, high)?;
        im.reshape(both, &dims)
    }

    /// What was kept, as `f32`.
    fn read(&self, im: &mut Importer<'_>, x: ValueId) -> Built {
        let x = match self.bits {
            8 => im.cast_to(x, DType::F32)?,
            _ => {
                let x = unpacked(im, x, 4)?;
                let x = im.cast_to(x, DType::F32)?;
                im.with_scalar("sub", x, 8.0)?
            }
        };
        im.binary("mul", x, self.scale)
    }
}

/// How a cache is quantised, if it is.
fn quantisation(
    im: &mut Importer<'_>,
    n: &Node<'_>,
    name: &str,
    input: usize,
    by_head: ValueId,
) -> Built<Option<Quantisation>> {
    let kind = n.string(name, "NONE");
    if kind == "NONE" {
        return Ok(None);
    }
    let bits = n.int("kv_cache_bit_width", 8);
    let dims = im.dims(by_head)?;
    let odd = dims.last().and_then(|&d| im.ctx().exprs.as_const(d)).is_none_or(|d| d % 2 != 0);
    if !matches!(bits, 4 | 8) || bits == 4 && odd {
        let message =
            format!("GroupQueryAttention with a cache of {bits} bits for heads of this size is not supported");
        return Err(im
            .error("N0617", message)
            .note("8 bits, and 4 bits where the size is even and known, are supported"));
    }
    let scale = n.input(im, input)?;
    let scale = im.cast_to(scale, DType::F32)?;
    let shape = match (kind.as_str(), dims.as_slice()) {
        ("PER_TENSOR", _) => vec![],
        ("PER_CHANNEL", &[_, heads, _, size]) => vec![Expr::ONE, heads, Expr::ONE, size],
        _ => return Err(im.error("N0614", format!("`{name}` is PER_TENSOR, PER_CHANNEL or NONE, not {kind:?}"))),
    };
    Ok(Some(Quantisation { scale: im.reshape(scale, &shape)?, bits }))
}

/// Causal attention, with a window, a cap, an added bias and a logit that takes probability away, where given.
fn attend(im: &mut Importer<'_>, n: &Node<'_>, [q, k, v]: [ValueId; 3], start: ValueId, cache: &Cache) -> Built {
    let dims = im.dims(q)?;
    let (k, v) = (repeated_heads(im, k, dims[1])?, repeated_heads(im, v, dims[1])?);
    let given = f64::from(n.float("scale", 0.0));
    let mut x = scores(im, q, k, (given != 0.0).then_some(given))?;
    let cap = f64::from(n.float("softcap", 0.0));
    if cap > 0.0 {
        let y = im.with_scalar("div", x, cap)?;
        let y = im.unary("tanh", y)?;
        x = im.with_scalar("mul", y, cap)?;
    }
    // [batch, length, 1] and [rows]
    let step = im.iota(&[dims[2]], 0, DType::I64)?;
    let at = im.binary("add", start, step)?;
    let at = im.unsqueeze(at, &[2])?;
    let row = im.iota(&[cache.rows], 0, DType::I64)?;
    let mut seen = im.compare("le", row, at)?;
    let window = n.int("local_window_size", -1);
    if window > 0 {
        let distance = im.binary("sub", at, row)?;
        let limit = im.like(distance, window as f64)?;
        let near = im.compare("lt", distance, limit)?;
        seen = im.binary("and", seen, near)?;
    }
    let seen = im.unsqueeze(seen, &[1])?;
    if let Some(bias) = n.opt(10) {
        // A bias is as wide as the longest sequence; the rest of the cache is not seen.
        let mut wide = im.dims(bias)?;
        if let Some(last) = wide.last_mut() {
            *last = cache.rows;
        }
        let bias = im.pad_to(bias, &wide)?;
        x = im.binary("add", x, bias)?;
    }
    let hidden = im.like(x, f64::NEG_INFINITY)?;
    x = im.select(seen, x, hidden)?;
    let sink = match n.opt(11) {
        Some(sink) => Some(im.unsqueeze(sink, &[0, 2, 3])?),
        None if n.flag("smooth_softmax", false) => Some(im.like(x, 0.0)?),
        None => None,
    };
    let Some(sink) = sink else {
        let p = im.softmax(x, &[3], false)?;
        return im.matmul(p, v);
    };
    let column = im.broadcast_to(sink, &[dims[0], dims[1], dims[2], Expr::ONE])?;
    let x = im.concat(&[x, column], 3)?;
    let p = im.softmax(x, &[3], false)?;
    let zero = im.num(0);
    let p = im.slice_axis(p, 3, zero, cache.rows)?;
    im.matmul(p, v)
}
