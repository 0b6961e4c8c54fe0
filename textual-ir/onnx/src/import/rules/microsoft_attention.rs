//! Attention as `com.microsoft` writes it: Attention with one matrix for queries, keys and values, and MultiHeadAttention.

use super::{
    Family, Importer, Node, Out,
    attention::{by_heads, merge_heads},
};
use nim_graph::Built;
use nim_ir::{Expr, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[("Attention", attention), ("MultiHeadAttention", multi_head_attention)];

/// Number of heads, which must be given.
pub(super) fn heads(im: &Importer<'_>, n: &Node<'_>) -> Built<i64> {
    match n.int("num_heads", 0) {
        heads if heads > 0 => Ok(heads),
        other => Err(im.error("N0614", format!("`num_heads` must be positive, found {other}"))),
    }
}

pub(super) fn rank3(im: &Importer<'_>, x: ValueId) -> Built<[Expr; 3]> {
    <[Expr; 3]>::try_from(im.dims(x)?).map_err(|_| {
        let found = im.ctx().display_type(im.ty(x));
        im.error("N0635", format!("a sequence [batch, length, size] is needed, found {found}"))
    })
}

/// `x` cut along its last axis into parts of these sizes.
pub(super) fn parts(im: &mut Importer<'_>, x: ValueId, sizes: &[Expr]) -> Built<Vec<ValueId>> {
    let axis = im.rank(x)?.saturating_sub(1);
    let mut start = im.num(0);
    let mut out = vec![];
    for &size in sizes {
        out.push(im.slice_axis(x, axis, start, size)?);
        start = im.ctx().exprs.add(start, size);
    }
    Ok(out)
}

fn attention(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, w) = (n.input(im, 0)?, n.input(im, 1)?);
    if n.int("do_rotary", 0) != 0 {
        return Err(im.error("N0617", "Attention with rotary embedding is not supported"));
    }
    let count = heads(im, n)?;
    rank3(im, x)?;
    let mut qkv = im.matmul(x, w)?;
    if let Some(bias) = n.opt(2) {
        qkv = im.binary("add", qkv, bias)?;
    }
    let whole = rank3(im, qkv)?[2];
    let p = &im.ctx().exprs;
    let sizes: Vec<Expr> = match n.ints("qkv_hidden_sizes").filter(|s| !s.is_empty()) {
        Some(list) if list.len() == 3 => list.into_iter().map(|s| p.constant(s)).collect(),
        Some(list) => return Err(im.error("N0614", format!("`qkv_hidden_sizes` has {} entries, not 3", list.len()))),
        None => vec![p.floordiv(whole, p.constant(3)); 3],
    };
    let split = parts(im, qkv, &sizes)?;
    let (q, k, v) = (by_heads(im, split[0], count)?, by_heads(im, split[1], count)?, by_heads(im, split[2], count)?);
    let past = im.num(0);
    if let Some(both) = n.opt(4) {
        let (zero, one) = (im.num(0), im.num(1));
        let (past_k, past_v) = (im.at(both, 0, zero)?, im.at(both, 0, one)?);
        let grown = grow(im, [past_k, past_v], [k, v], n.opt(6))?;
        let y = attend(im, n, [q, grown.all[0], grown.all[1]], n.opt(3), n.opt(5), grown.past)?;
        return with_present(im, n, y, grown.present);
    }
    let y = attend(im, n, [q, k, v], n.opt(3), n.opt(5), past)?;
    with_present(im, n, y, [k, v])
}

/// The result, and keys and values in one tensor where they are asked for: values of another size than the keys do not fit.
fn with_present(im: &mut Importer<'_>, n: &Node<'_>, y: ValueId, [k, v]: [ValueId; 2]) -> Out {
    if !n.wants(1) {
        return Ok(vec![y]);
    }
    let (k, v) = (im.unsqueeze(k, &[0])?, im.unsqueeze(v, &[0])?);
    Ok(vec![y, im.concat(&[k, v], 0)?])
}

fn multi_head_attention(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let [q, k, v] = operands(im, n)?;
    let count = heads(im, n)?;
    let (mut q, mut k, mut v) = (q, k, v);
    if let Some(bias) = n.opt(3) {
        let size = |im: &Importer<'_>, x: ValueId| -> Built<Expr> {
            let dims = im.dims(x)?;
            Ok(match dims.as_slice() {
                &[_, heads, _, size] => im.ctx().exprs.mul(heads, size),
                dims => dims.last().copied().unwrap_or(Expr::ONE),
            })
        };
        let sizes = [size(im, q)?, size(im, k)?, size(im, v)?];
        let split = parts(im, bias, &sizes)?;
        q = im.binary("add", q, split[0])?;
        // Keys and values of a cache have their bias already.
        if im.rank(k)? == 3 {
            (k, v) = (im.binary("add", k, split[1])?, im.binary("add", v, split[2])?);
        }
    }
    let q = by_heads(im, q, count)?;
    let (mut k, mut v) = (by_heads(im, k, count)?, by_heads(im, v, count)?);
    let mut past = im.num(0);
    let mut present = [k, v];
    if let (Some(past_k), Some(past_v)) = (n.opt(6), n.opt(7)) {
        let grown = grow(im, [past_k, past_v], [k, v], n.opt(8))?;
        past = grown.past;
        [k, v] = grown.all;
        present = grown.present;
    }
    let y = attend(im, n, [q, k, v], n.opt(4), n.opt(5), past)?;
    Ok(vec![y, present[0], present[1]])
}

/// Queries, keys and values, each `[batch, length, heads*size]`, or keys and values by heads. They may come as one tensor
/// `[batch, length, heads, 3, size]`, keys and values as one `[batch, length, heads, 2, size]`.
fn operands(im: &mut Importer<'_>, n: &Node<'_>) -> Built<[ValueId; 3]> {
    let q = n.input(im, 0)?;
    match (n.opt(1), n.opt(2)) {
        (Some(k), Some(v)) => Ok([q, k, v]),
        (None, None) => {
            let all = unpacked(im, q, 3)?;
            Ok([all[0], all[1], all[2]])
        }
        (Some(both), None) => {
            let all = unpacked(im, both, 2)?;
            Ok([q, all[0], all[1]])
        }
        (None, Some(_)) => Err(im.error("N0610", "the keys are missing")),
    }
}

fn unpacked(im: &mut Importer<'_>, x: ValueId, count: i64) -> Built<Vec<ValueId>> {
    let &[batch, length, heads, parts, size] = im.dims(x)?.as_slice() else {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0635", format!("[batch, length, heads, {count}, size] is needed, found {found}")));
    };
    let p = &im.ctx().exprs;
    let (wanted, flat) = (p.constant(count), [batch, length, p.mul(heads, size)]);
    im.guard("eq", parts, wanted, "parts of a packed operand of an attention");
    let part = |im: &mut Importer<'_>, i: i64| {
        let i = im.num(i);
        let one = im.at(x, 3, i)?;
        im.reshape(one, &flat)
    };
    (0..count).map(|i| part(im, i)).collect()
}

/// Keys and values with those of the past in front.
struct Grown {
    /// Rows of the past.
    past: Expr,
    /// What is attended to.
    all: [ValueId; 2],
    /// What the next call is given: the same, or the buffer that the past came in, with the new rows in it.
    present: [ValueId; 2],
}

fn grow(im: &mut Importer<'_>, past: [ValueId; 2], new: [ValueId; 2], length: Option<ValueId>) -> Built<Grown> {
    let rows = |im: &Importer<'_>, x: ValueId| -> Built<Expr> {
        let found = im.dims(x)?.get(2).copied();
        found.ok_or_else(|| im.error("N0635", "past keys and values must have rank 4"))
    };
    let most = rows(im, past[0])?;
    let Some(length) = length else {
        let all = [im.concat(&[past[0], new[0]], 2)?, im.concat(&[past[1], new[1]], 2)?];
        return Ok(Grown { past: most, all, present: all });
    };
    let length = im.reshape(length, &[])?;
    let length = im.exprs_or_bind(length, "past")?[0];
    let zero = im.num(0);
    let end = im.ctx().exprs.add(length, rows(im, new[0])?);
    im.guard("le", end, most, "rows of the past and of this call: at most those of the buffer");
    let (mut all, mut present) = (past, past);
    for i in 0..2 {
        let before = im.slice_axis(past[i], 2, zero, length)?;
        let rest = im.ctx().exprs.sub(most, end);
        let behind = im.slice_axis(past[i], 2, end, rest)?;
        all[i] = im.concat(&[before, new[i]], 2)?;
        present[i] = im.concat(&[before, new[i], behind], 2)?;
    }
    Ok(Grown { past: length, all, present })
}

/// `softmax(q @ k' * scale + bias) @ v` by heads, `[batch, length, heads*size]`. What a mask hides gets the filter value, a
/// large negative number, rather than minus infinity.
fn attend(
    im: &mut Importer<'_>,
    n: &Node<'_>,
    [q, k, v]: [ValueId; 3],
    mask: Option<ValueId>,
    bias: Option<ValueId>,
    past: Expr,
) -> Built {
    let (q_dims, keys) = (im.dims(q)?, im.dims(k)?[2]);
    let turned = im.transpose(k, &[0, 1, 3, 2])?;
    let mut x = im.matmul(q, turned)?;
    let given = f64::from(n.float("scale", 0.0));
    let scale = match given {
        s if s != 0.0 => im.like(x, s)?,
        _ => {
            let size = im.index(&[q_dims[3]], true)?;
            let size = im.cast_to(size, DType::F64)?;
            let root = im.unary("sqrt", size)?;
            let inverse = im.unary("reciprocal", root)?;
            let element = im.element(x)?;
            im.cast(inverse, element)?
        }
    };
    x = im.binary("mul", x, scale)?;
    if let Some(bias) = bias {
        x = im.binary("add", x, bias)?;
    }
    let filter = f64::from(n.float("mask_filter_value", -10000.0));
    if let Some(mask) = mask {
        let kept = kept(im, mask, q_dims[0], keys)?;
        let (zero, hidden) = (im.like(x, 0.0)?, im.like(x, filter)?);
        let added = im.select(kept, zero, hidden)?;
        x = im.binary("add", x, added)?;
    }
    if n.flag("unidirectional", false) {
        let shape = [q_dims[2], keys];
        let (row, column) = (im.iota(&shape, 0, DType::I64)?, im.iota(&shape, 1, DType::I64)?);
        let offset = im.index(&[past], true)?;
        let row = im.binary("add", row, offset)?;
        let seen = im.compare("le", column, row)?;
        let hidden = im.like(x, f64::NEG_INFINITY)?;
        x = im.select(seen, x, hidden)?;
    }
    let p = im.softmax(x, &[3], false)?;
    let y = im.matmul(p, v)?;
    merge_heads(im, y)
}

/// Which keys are seen: masks of ranks 2 to 4, or one length a batch element.
fn kept(im: &mut Importer<'_>, mask: ValueId, batch: Expr, keys: Expr) -> Built {
    let zero = im.like(mask, 0.0)?;
    match im.rank(mask)? {
        1 => {
            let count = im.dims(mask)?[0];
            im.guard("eq", count, batch, "lengths of the sequences of an attention: one for each");
            let lengths = im.cast_to(mask, DType::I64)?;
            let lengths = im.unsqueeze(lengths, &[1, 2, 3])?;
            let at = im.iota(&[keys], 0, DType::I64)?;
            im.compare("lt", at, lengths)
        }
        2 => {
            let seen = im.compare("gt", mask, zero)?;
            im.unsqueeze(seen, &[1, 2])
        }
        3 => {
            let seen = im.compare("gt", mask, zero)?;
            im.unsqueeze(seen, &[1])
        }
        4 => im.compare("gt", mask, zero),
        rank => Err(im.error("N0635", format!("a mask of rank {rank} is not known"))),
    }
}
