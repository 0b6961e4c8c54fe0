//! Derivatives of ops that move elements and of reductions.

use super::{Forward, Rule};
use crate::build::{Built, GraphBuilder};
use nim_ir::{Expr, ValueId};
use nim_tensor::DType;

pub(super) const RULES: &[(&str, Rule)] = &[
    ("graph.broadcast_to", |g, f, a| Ok(vec![Some(g.unbroadcast_like(a, f.x[0])?)])),
    ("graph.concat", concat),
    ("graph.cumsum", cumsum),
    ("graph.pad", pad),
    ("graph.reduce", reduce),
    ("graph.reshape", |g, f, a| {
        let shape = g.dims(f.x[0])?;
        Ok(vec![Some(g.reshape(a, &shape)?)])
    }),
    ("graph.slice", |g, f, a| {
        let (starts, steps) = (f.exprs(g, "starts"), f.exprs(g, "steps"));
        Ok(vec![Some(spread(g, a, f.x[0], &starts, &steps)?)])
    }),
    ("graph.transpose", |g, f, a| {
        let perm = f.ints(g, "perm").unwrap_or_default();
        let mut inverse = vec![0; perm.len()];
        for (i, p) in perm.into_iter().enumerate() {
            if let Some(place) = usize::try_from(p).ok().and_then(|p| inverse.get_mut(p)) {
                *place = i;
            }
        }
        Ok(vec![Some(g.transpose(a, &inverse)?)])
    }),
];

/// What a slice read, put back where it stood in `x`; zeros elsewhere. One axis at a time.
pub(super) fn spread(g: &mut GraphBuilder<'_>, a: ValueId, x: ValueId, starts: &[Expr], steps: &[Expr]) -> Built {
    let target = g.dims(x)?;
    let mut y = a;
    for axis in 0..target.len() {
        let mut shape = g.dims(y)?;
        let (start, step, size) = (starts[axis], steps[axis], shape[axis]);
        let p = &g.ctx().exprs;
        if size == target[axis] && p.as_const(start) == Some(0) && p.as_const(step) == Some(1) {
            continue;
        }
        shape[axis] = target[axis];
        if p.as_const(step) == Some(1) {
            let behind = p.sub(p.sub(target[axis], size), start);
            let zero = g.num(0);
            let (mut low, mut high) = (vec![zero; shape.len()], vec![zero; shape.len()]);
            (low[axis], high[axis]) = (start, behind);
            y = padded(g, y, &low, &high)?;
            continue;
        }
        // Rows scattered by their positions.
        let position = g.iota(&[size], 0, DType::I64)?;
        let position = g.scaled_by(position, step)?;
        let start = g.index(&[start], true)?;
        let position = g.binary("add", position, start)?;
        let empty = g.like(y, 0.0)?;
        let empty = g.broadcast_to(empty, &shape)?;
        y = scatter_rows(g, empty, axis, position, y)?;
    }
    Ok(y)
}

/// `x` with rows added at indices of an axis; the axes of `indices` stand in its place in `rows`.
pub(super) fn scatter_rows(
    g: &mut GraphBuilder<'_>,
    x: ValueId,
    axis: usize,
    indices: ValueId,
    rows: ValueId,
) -> Built {
    let (rank, more) = (g.rank(x)?, g.rank(indices)?);
    let front: Vec<usize> = [axis].into_iter().chain((0..rank).filter(|&i| i != axis)).collect();
    let rows_front: Vec<usize> =
        (axis..axis + more).chain((0..rank - 1 + more).filter(|i| !(axis..axis + more).contains(i))).collect();
    let (x, rows) = (g.transpose(x, &front)?, g.transpose(rows, &rows_front)?);
    let tuples = g.unsqueeze(indices, &[-1])?;
    let reduction = g.ctx().string_attr("add");
    let y = g.value("graph.scatter_nd", &[x, tuples, rows], &[("reduction", reduction)])?;
    let back: Vec<usize> = (1..=axis).chain([0]).chain(axis + 1..rank).collect();
    g.transpose(y, &back)
}

/// Zeros put around, or elements cut off where an amount is negative.
pub(super) fn padded(g: &mut GraphBuilder<'_>, x: ValueId, low: &[Expr], high: &[Expr]) -> Built {
    let ctx = g.ctx();
    let zero = g.like(x, 0.0)?;
    let attrs = [("low", ctx.exprs_attr(low)), ("high", ctx.exprs_attr(high)), ("mode", ctx.string_attr("constant"))];
    g.value("graph.pad", &[x, zero], &attrs)
}

fn pad(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId) -> Built<Vec<Option<ValueId>>> {
    if f.word(g, "mode") != "constant" {
        return f.refused(g, "only padding with a constant has one");
    }
    let p = &g.ctx().exprs;
    let minus = |list: Vec<Expr>| -> Vec<Expr> { list.into_iter().map(|e| p.neg(e)).collect() };
    let (low, high) = (minus(f.exprs(g, "low")), minus(f.exprs(g, "high")));
    let inner = padded(g, a, &low, &high)?;
    let shape = g.dims(f.x[0])?;
    let inner = g.reshape(inner, &shape)?;
    let mut parts = vec![Some(inner)];
    if f.x.len() > 1 {
        // The constant is in all places that the operand is not in.
        let axes: Vec<usize> = (0..shape.len()).collect();
        let (all, own) = (g.reduce("sum", a, &axes, false)?, g.reduce("sum", inner, &axes, false)?);
        let rest = g.binary("sub", all, own)?;
        let shape = g.dims(f.x[1])?;
        parts.push(Some(g.reshape(rest, &shape)?));
    }
    Ok(parts)
}

fn concat(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId) -> Built<Vec<Option<ValueId>>> {
    let axis = usize::try_from(f.int(g, "axis", 0)).unwrap_or(0);
    let mut start = g.num(0);
    let mut parts = vec![];
    for &x in &f.x {
        let size = g.dims(x)?[axis];
        parts.push(Some(g.slice_axis(a, axis, start, size)?));
        start = g.ctx().exprs.add(start, size);
    }
    Ok(parts)
}

/// The running sum from the other end.
fn cumsum(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId) -> Built<Vec<Option<ValueId>>> {
    let ctx = g.ctx();
    let attrs = [
        ("axis", ctx.i64_attr(f.int(g, "axis", 0))),
        ("exclusive", ctx.bool_attr(f.flag(g, "exclusive"))),
        ("reverse", ctx.bool_attr(!f.flag(g, "reverse"))),
    ];
    Ok(vec![Some(g.value("graph.cumsum", &[a], &attrs)?)])
}

fn reduce(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId) -> Built<Vec<Option<ValueId>>> {
    let x = f.x[0];
    let shape = g.dims(x)?;
    let axes: Vec<usize> =
        f.ints(g, "axes").unwrap_or_default().into_iter().filter_map(|i| usize::try_from(i).ok()).collect();
    // With the axes that went.
    let kept: Vec<Expr> =
        shape.iter().enumerate().map(|(i, &d)| if axes.contains(&i) { Expr::ONE } else { d }).collect();
    let (a, y) = (g.reshape(a, &kept)?, g.reshape(f.y, &kept)?);
    let wide = g.broadcast_to(a, &shape)?;
    Ok(vec![match f.word(g, "kind") {
        "sum" => Some(wide),
        "max" | "min" => {
            // Shared by equals.
            let hit = g.compare("eq", x, y)?;
            let element = g.element(x)?;
            let hit = g.cast(hit, element)?;
            let count = g.reduce("sum", hit, &axes, true)?;
            let share = g.binary("div", hit, count)?;
            Some(g.binary("mul", share, a)?)
        }
        "prod" => {
            // The product of the others: of two zeros or more nothing is left, of one zero only its own.
            let (zero, one) = (g.like(x, 0.0)?, g.like(x, 1.0)?);
            let none = g.compare("eq", x, zero)?;
            let filled = g.select(none, one, x)?;
            let product = g.reduce("prod", filled, &axes, true)?;
            let element = g.element(x)?;
            let zeros = g.cast(none, element)?;
            let others = g.reduce("sum", zeros, &axes, true)?;
            let others = g.binary("sub", others, zeros)?;
            let alone = g.compare("eq", others, zero)?;
            let rest = g.binary("div", product, filled)?;
            let rest = g.select(alone, rest, zero)?;
            Some(g.binary("mul", rest, a)?)
        }
        _ => None,
    }])
}
