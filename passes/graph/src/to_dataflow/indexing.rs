//! Gathers and scatters: indices that are data. What is gathered from is read whole, and loaded at computed places;
//! scattered writes yield their places.
//!
//! Maps clamp the places they load from and drop writes outside, so indices are looked at before: one pass over them finds how
//! many elements the axis must have for all of them, and a guard compares that with the size of the axis.

use super::{
    lower::{Lower, Lowered},
    scalars::{Kind, Scalars},
};
use nim_dataflow::{Combine, MapBuilder, load};
use nim_ir::{Expr, ValueId, entity::EntityId};

/// An index as `index`; a negative one counts from the end of an axis of size `size`.
fn wrapped(s: &mut Scalars<'_, '_>, kind: Kind, index: ValueId, size: Expr) -> ValueId {
    let index = s.to_index(index, kind);
    if !matches!(kind, Kind::Int(_, true)) {
        return index;
    }
    let (zero, size) = (s.index(Expr::ZERO), s.index(size));
    let negative = s.cmpi("slt", index, zero);
    let from_end = s.op("arith.addi", &[index, size]);
    s.select(negative, from_end, index)
}

/// Guards that all indices lie in an axis of size `size`, counted from its start or from its end. Of tuples in the last axis
/// only member `column` is meant.
fn check_indices(
    l: &mut Lower<'_, '_>,
    indices: ValueId,
    column: Option<usize>,
    axis: usize,
    size: Expr,
) -> Lowered<()> {
    let (ctx, p) = (l.ctx(), l.pool());
    let (kind, dims) = (l.kind(indices)?, l.dims(indices)?);
    if let Some(known) = l.constant_of(indices).and_then(|t| t.to_i64s()) {
        let width = column.and_then(|_| p.as_const(*dims.last()?)).map_or(1, |w| w.max(1) as usize);
        let picked = || known.iter().skip(column.unwrap_or(0)).step_by(width).copied();
        let (Some(low), Some(high)) = (picked().min(), picked().max()) else { return Ok(()) };
        if let Some(n) = p.as_const(size)
            && (low < -n || high >= n)
        {
            let wrong = if low < -n { low } else { high };
            return l.error(format!("index {wrong} lies outside of axis {axis}, which has {n} elements"));
        }
        guard_needed(l, l.num((high.saturating_add(1)).max(low.saturating_neg())), axis, size);
        return Ok(());
    }
    let shape = &dims[..dims.len() - usize::from(column.is_some())];
    let mut subset = l.ivs(shape.len());
    subset.extend(column.map(|c| l.num(c as i64)));
    let mut domain = shape.to_vec();
    if domain.is_empty() {
        domain.push(Expr::ONE);
    }
    let mut map = MapBuilder::new(&domain);
    map.read(indices, &subset);
    let wide = Kind::Int(64, true);
    let (number, scalar) = (wide.ty(ctx), ctx.tensor_of(&[], wide.ty(ctx)));
    map.reduce(scalar, &[], Combine::Max, ctx.int_attr(0, number));
    // Index i needs i + 1 elements, index -i needs i: symbols of sizes are never negative.
    let op = map.build(l.b, |b, args| {
        let s = &mut Scalars::new(b);
        let index = s.cast(args[0], kind, wide);
        let (one, last) = (s.integer(wide, 1), s.integer(wide, i128::from(i64::MAX) - 1));
        let sign = s.integer(wide, 63);
        let sign = s.op("arith.shrsi", &[index, sign]);
        let reach = s.op("arith.xori", &[index, sign]);
        let reach = s.op("arith.minsi", &[reach, last]);
        vec![s.op("arith.addi", &[reach, one])]
    });
    let column = column.map_or(String::new(), |c| c.to_string());
    let needed = p.named(&format!("indexed{column}_{}", l.op.index()));
    let names = ctx.array_attr(vec![ctx.string_attr(&p.display(needed).to_string())]);
    let found = l.b.body.result(op);
    l.b.op("graph.bind", &[found], &[], &[("symbols", names)]);
    guard_needed(l, needed, axis, size);
    Ok(())
}

/// An axis must have as many elements as its indices need.
fn guard_needed(l: &mut Lower<'_, '_>, needed: Expr, axis: usize, size: Expr) {
    let (ctx, p) = (l.ctx(), l.pool());
    if p.prove_le(needed, size, &nim_ir::Facts::default()) {
        return;
    }
    let op = ctx.op_str(l.b.body.op_name(l.op)).trim_start_matches("graph.").to_string();
    let attrs = [
        ("kind", ctx.string_attr("le")),
        ("lhs", ctx.expr_attr(needed)),
        ("rhs", ctx.expr_attr(size)),
        ("message", ctx.string_attr(&format!("elements that the indices of {op} need along axis {axis}"))),
    ];
    l.b.op("graph.guard", &[], &[], &attrs);
}

/// `graph.gather`.
pub fn gather(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, indices, ty) = (l.operand(0), l.operand(1), l.result_type());
    let (dims, index_rank) = (l.dims(x)?, l.dims(indices)?.len());
    let axis = l.axis("axis", 0, dims.len())?;
    let at = l.ivs(dims.len() - 1 + index_rank);
    let (before, rest) = at.split_at(axis);
    let (middle, after) = rest.split_at(index_rank);
    check_indices(l, indices, None, axis, dims[axis])?;
    if let Some(index) = known_index(l, indices, dims[axis]) {
        let from: Vec<Expr> = before.iter().copied().chain([index]).chain(after.iter().copied()).collect();
        return l.movement(ty, x, &from);
    }
    let kind = l.kind(indices)?;
    l.kind(x)?;
    let size = dims[axis];
    l.pointwise(
        ty,
        |_, map| {
            map.read(indices, middle);
            map.read_whole(x);
            Ok(())
        },
        |s, args| {
            let index = wrapped(s, kind, args[0], size);
            let mut place = vec![];
            place.extend(before.iter().map(|&e| s.index(e)));
            place.push(index);
            place.extend(after.iter().map(|&e| s.index(e)));
            load(s.b, args[1], &place)
        },
    )
}

/// The only index of a gather when it is a known number, moved into the axis as `dataflow.load` would.
fn known_index(l: &Lower<'_, '_>, indices: ValueId, size: Expr) -> Option<Expr> {
    let p = l.pool();
    let n = match l.constant_of(indices) {
        Some(tensor) if tensor.len() == 1 => *tensor.to_i64s()?.first()?,
        _ => return None,
    };
    let facts = nim_ir::Facts::default();
    if n < 0 {
        let index = p.add(l.num(n), size);
        return Some(if p.prove_le(Expr::ZERO, index, &facts) { index } else { p.max(index, Expr::ZERO) });
    }
    // An axis that has an element has the first.
    let inside = n == 0 || p.prove_lt(l.num(n), size, &facts);
    Some(if inside { l.num(n) } else { p.min(l.num(n), p.sub(size, Expr::ONE)) })
}

/// `graph.gather_elements`.
pub fn gather_elements(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, indices, ty) = (l.operand(0), l.operand(1), l.result_type());
    let (dims, kind) = (l.dims(x)?, l.kind(indices)?);
    let axis = l.axis("axis", 0, dims.len())?;
    l.kind(x)?;
    check_indices(l, indices, None, axis, dims[axis])?;
    let at = l.ivs(dims.len());
    let size = dims[axis];
    l.pointwise(
        ty,
        |_, map| {
            map.read(indices, &at);
            map.read_whole(x);
            Ok(())
        },
        |s, args| {
            let mut place: Vec<ValueId> = vec![];
            for (i, &e) in at.iter().enumerate() {
                let index = if i == axis { wrapped(s, kind, args[0], size) } else { s.index(e) };
                place.push(index);
            }
            load(s.b, args[1], &place)
        },
    )
}

/// The number of indices in each tuple of the last axis.
fn tuple_size(l: &Lower<'_, '_>, dims: &[Expr], rank: usize) -> Lowered<usize> {
    match dims.last().and_then(|&d| l.pool().as_const(d)).and_then(|n| usize::try_from(n).ok()) {
        Some(n) if n <= rank => Ok(n),
        _ => l.error("the last dimension of the indices must be a number within the rank of the data"),
    }
}

/// `graph.gather_nd`.
pub fn gather_nd(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, indices, ty) = (l.operand(0), l.operand(1), l.result_type());
    let (dims, index_dims, kind) = (l.dims(x)?, l.dims(indices)?, l.kind(indices)?);
    l.kind(x)?;
    let batch = usize::try_from(l.int_attr("batch_dims", 0)).unwrap_or(0);
    let count = tuple_size(l, &index_dims, dims.len() - batch.min(dims.len()))?;
    for j in 0..count {
        check_indices(l, indices, Some(j), batch + j, dims[batch + j])?;
    }
    let outer = index_dims.len() - 1;
    let at = l.ivs(outer + dims.len() - batch - count);
    l.pointwise(
        ty,
        |l, map| {
            for j in 0..count {
                let mut from = at[..outer].to_vec();
                from.push(l.num(j as i64));
                map.read(indices, &from);
            }
            map.read_whole(x);
            Ok(())
        },
        |s, args| {
            let mut place: Vec<ValueId> = at[..batch].iter().map(|&e| s.index(e)).collect();
            for (j, &index) in args[..count].iter().enumerate() {
                place.push(wrapped(s, kind, index, dims[batch + j]));
            }
            place.extend(at[outer..].iter().map(|&e| s.index(e)));
            load(s.b, args[count], &place)
        },
    )
}

fn reduction(l: &Lower<'_, '_>) -> Lowered<Combine> {
    let name = l.str_attr("reduction")?;
    match Combine::from_name(name) {
        Some(combine) => Ok(combine),
        None => l.error(format!("no reduction is called `{name}`")),
    }
}

/// `graph.scatter_elements`.
pub fn scatter_elements(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, indices, updates, ty) = (l.operand(0), l.operand(1), l.operand(2), l.result_type());
    let (dims, domain, kind) = (l.dims(x)?, l.dims(indices)?, l.kind(indices)?);
    let axis = l.axis("axis", 0, dims.len())?;
    l.kind(x)?;
    check_indices(l, indices, None, axis, dims[axis])?;
    let at = l.ivs(domain.len());
    let mut map = MapBuilder::new(&domain);
    map.read(indices, &at);
    map.read(updates, &at);
    map.scatter(ty, reduction(l)?, x);
    let op = map.build(l.b, |b, args| {
        let mut s = Scalars::new(b);
        let mut yielded = vec![args[1]];
        for (i, &e) in at.iter().enumerate() {
            let index = if i == axis { wrapped(&mut s, kind, args[0], dims[axis]) } else { s.index(e) };
            yielded.push(index);
        }
        yielded
    });
    Ok(l.b.body.result(op))
}

/// `graph.scatter_nd`.
pub fn scatter_nd(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, indices, updates, ty) = (l.operand(0), l.operand(1), l.operand(2), l.result_type());
    let (dims, index_dims, kind) = (l.dims(x)?, l.dims(indices)?, l.kind(indices)?);
    l.kind(x)?;
    let count = tuple_size(l, &index_dims, dims.len())?;
    for (j, &size) in dims.iter().enumerate().take(count) {
        check_indices(l, indices, Some(j), j, size)?;
    }
    let outer = index_dims.len() - 1;
    let domain: Vec<Expr> = index_dims[..outer].iter().chain(&dims[count..]).copied().collect();
    let at = l.ivs(domain.len());
    let mut map = MapBuilder::new(&domain);
    for j in 0..count {
        let mut from = at[..outer].to_vec();
        from.push(l.num(j as i64));
        map.read(indices, &from);
    }
    map.read(updates, &at);
    map.scatter(ty, reduction(l)?, x);
    let op = map.build(l.b, |b, args| {
        let mut s = Scalars::new(b);
        let mut yielded = vec![args[count]];
        for (j, &index) in args[..count].iter().enumerate() {
            let index = wrapped(&mut s, kind, index, dims[j]);
            yielded.push(index);
        }
        yielded.extend(at[outer..].iter().map(|&e| s.index(e)));
        yielded
    });
    Ok(l.b.body.result(op))
}
