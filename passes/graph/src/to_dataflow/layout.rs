//! Ops that move elements without computing: all index arithmetic stands in memlets.

use super::{
    lower::{Lower, Lowered},
    scalars::Kind,
};
use nim_dataflow::{Combine, MapBuilder, Write};
use nim_ir::{Expr, ValueId};

/// `graph.broadcast_to`.
pub fn broadcast_to(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, ty) = (l.operand(0), l.result_type());
    let shape = l.dims_of(ty)?;
    let from = l.broadcast(x, &shape, &l.ivs(shape.len()))?;
    l.movement(ty, x, &from)
}

/// `graph.transpose`.
pub fn transpose(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, ty) = (l.operand(0), l.result_type());
    let perm = l.ints_opt("perm").unwrap_or_default();
    let mut from = vec![Expr::ZERO; perm.len()];
    for (i, &axis) in perm.iter().enumerate() {
        match usize::try_from(axis).ok().filter(|&a| a < from.len()) {
            Some(a) => from[a] = l.iv(i),
            None => return l.error(format!("`perm` has axis {axis} of rank {}", perm.len())),
        }
    }
    l.movement(ty, x, &from)
}

/// `graph.slice`.
pub fn slice(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, ty) = (l.operand(0), l.result_type());
    let (starts, steps) = (l.exprs_attr("starts")?, l.exprs_attr("steps")?);
    let p = l.pool();
    let from: Vec<Expr> = l
        .ivs(starts.len())
        .iter()
        .zip(starts.iter().zip(&steps))
        .map(|(&i, (&start, &step))| p.add(start, p.mul(i, step)))
        .collect();
    l.movement(ty, x, &from)
}

/// `graph.concat`: one map an operand, each writes its part; the result of one is where the next one starts, so that all of
/// them write into one buffer in the end. What the first of them leaves open need not be anything: the others write it.
pub fn concat(l: &mut Lower<'_, '_>) -> Lowered {
    let (operands, ty) = (l.operands(), l.result_type());
    let axis = l.axis("axis", 0, l.dims_of(ty)?.len())?;
    let kind = l.kind_of(ty)?;
    let (mut offset, mut parts) = (Expr::ZERO, vec![]);
    for v in operands {
        let dims = l.dims(v)?;
        if l.pool().as_const(dims[axis]) != Some(0) {
            let size = dims[axis];
            parts.push((v, dims, offset));
            offset = l.pool().add(offset, size);
        }
    }
    if let [(v, dims, _)] = parts.as_slice() {
        return l.movement(ty, *v, &l.ivs(dims.len()));
    }
    let mut whole = None;
    for (v, dims, offset) in parts.into_iter().rev() {
        let at = l.ivs(dims.len());
        let mut to = at.clone();
        to[axis] = l.pool().add(at[axis], offset);
        let mut map = MapBuilder::new(&dims);
        map.read(v, &at);
        map.push(Write { subset: Some(to), combine: Combine::None, init: None, init_value: whole, ty });
        let op = map.build(l.b, |_, args| vec![args[0]]);
        whole = Some(l.b.body.result(op));
    }
    match whole {
        Some(whole) => Ok(whole),
        None => l.pointwise(ty, |_, _| Ok(()), |s, _| s.constant(kind, 0.0)),
    }
}

/// `graph.pad`.
pub fn pad(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, ty) = (l.operand(0), l.result_type());
    let (low, high, dims) = (l.exprs_attr("low")?, l.exprs_attr("high")?, l.dims(x)?);
    let kind = l.kind(x)?;
    let at = l.ivs(dims.len());
    let p = l.pool();
    let mode = l.str_attr("mode")?;
    if mode == "constant" {
        let from: Vec<Expr> = at.iter().zip(&low).map(|(&i, &low)| p.sub(i, low)).collect();
        return pad_constant(l, &from, &dims, kind);
    }
    let mut from = vec![];
    for i in 0..dims.len() {
        // What is cut goes first; the rest is continued.
        let start = p.max(p.neg(low[i]), Expr::ZERO);
        let size = p.sum([dims[i], p.min(low[i], Expr::ZERO), p.min(high[i], Expr::ZERO)]);
        let place = p.sub(at[i], p.max(low[i], Expr::ZERO));
        let last = p.sub(size, Expr::ONE);
        let unchanged = low[i] == Expr::ZERO && high[i] == Expr::ZERO;
        let inside = match mode {
            _ if unchanged => place,
            "edge" => p.max(p.min(place, last), Expr::ZERO),
            "wrap" => p.modulo(place, size),
            "reflect" => {
                // The mirrored signal repeats every 2*(size - 1) elements; of one element it is that element.
                let period = p.max(p.scale(2, last), Expr::ONE);
                let phase = p.modulo(place, period);
                p.min(phase, p.sub(p.scale(2, last), phase))
            }
            other => return l.error(format!("no padding is called `{other}`")),
        };
        from.push(p.add(start, inside));
    }
    l.movement(ty, x, &from)
}

/// The value outside is a border when it is known, else it is chosen by comparing indices.
fn pad_constant(l: &mut Lower<'_, '_>, from: &[Expr], dims: &[Expr], kind: Kind) -> Lowered {
    let (x, ty, operands) = (l.operand(0), l.result_type(), l.operands());
    let ctx = l.ctx();
    let border = match operands.get(1) {
        None => Some(kind.attr(ctx, 0.0)),
        Some(&v) => l.constant_of(v).filter(|t| t.len() == 1).and_then(|t| match kind {
            Kind::Float(_) => Some(ctx.float_attr(t.to_f64s()?[0], kind.ty(ctx))),
            Kind::Bool => Some(ctx.bool_attr(t.to_i64s()?[0] != 0)),
            Kind::Int(..) => Some(ctx.int_attr(t.to_i64s()?[0].into(), kind.ty(ctx))),
        }),
    };
    let known = border.is_some();
    let border = border.unwrap_or_else(|| kind.attr(ctx, 0.0));
    l.pointwise(
        ty,
        |l, map| {
            map.read_or(x, from, border);
            if !known {
                let subset = vec![Expr::ZERO; l.dims(operands[1])?.len()];
                map.read(operands[1], &subset);
            }
            Ok(())
        },
        |s, args| {
            if known {
                return args[0];
            }
            let mut inside = None;
            for (&index, &size) in from.iter().zip(dims) {
                for condition in [s.compare_exprs("sle", Expr::ZERO, index), s.compare_exprs("slt", index, size)] {
                    inside = Some(match inside {
                        Some(all) => s.op("arith.andi", &[all, condition]),
                        None => condition,
                    });
                }
            }
            match inside {
                Some(inside) => s.select(inside, args[0], args[1]),
                None => args[0],
            }
        },
    )
}

/// `graph.iota`.
pub fn iota(l: &mut Lower<'_, '_>) -> Lowered {
    let ty = l.result_type();
    let kind = l.kind_of(ty)?;
    let axis = l.axis("axis", 0, l.dims_of(ty)?.len())?;
    let at = l.iv(axis);
    l.pointwise(
        ty,
        |_, _| Ok(()),
        |s, _| {
            let i = s.index(at);
            s.from_index(i, kind)
        },
    )
}

/// `graph.range`.
pub fn range(l: &mut Lower<'_, '_>) -> Lowered {
    let (start, step, ty): (ValueId, ValueId, _) = (l.operand(0), l.operand(1), l.result_type());
    let kind = l.kind_of(ty)?;
    let at = l.iv(0);
    l.pointwise(
        ty,
        |l, map| {
            for v in [start, step] {
                let subset = vec![Expr::ZERO; l.dims(v)?.len()];
                map.read(v, &subset);
            }
            Ok(())
        },
        |s, args| {
            let i = s.index(at);
            let i = s.from_index(i, kind);
            let distance = s.mul(kind, i, args[1]);
            s.add(kind, args[0], distance)
        },
    )
}
