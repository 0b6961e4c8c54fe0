//! Reductions and scans.

use super::{
    contraction::summed,
    lower::{Lower, Lowered, accumulator},
    scalars::{Compare, Kind},
};
use nim_dataflow::{Combine, MapBuilder};
use nim_ir::{Expr, ValueId};

/// A map over the axes of `x` that stay, then those that go; what `read` needs to place reads, and where the result is.
struct Axes {
    map: MapBuilder,
    /// Index of each axis of the operand.
    from: Vec<Expr>,
    /// Index of each axis of the result.
    to: Vec<Expr>,
}

impl Axes {
    fn new(l: &Lower<'_, '_>, x: ValueId, axes: &[usize], keepdims: bool) -> Lowered<Axes> {
        let dims = l.dims(x)?;
        let mut map = MapBuilder::default();
        let mut from = vec![Expr::ZERO; dims.len()];
        let mut to = vec![];
        for (i, &dim) in dims.iter().enumerate() {
            if axes.contains(&i) {
                if keepdims {
                    to.push(Expr::ZERO);
                }
            } else {
                from[i] = map.dim(l.ctx(), dim);
                to.push(from[i]);
            }
        }
        for &axis in axes {
            from[axis] = summed(l, &mut map, dims[axis]);
        }
        Ok(Axes { map, from, to })
    }
}

/// `graph.reduce`.
pub fn reduce(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, ty) = (l.operand(0), l.result_type());
    let rank = l.dims(x)?.len();
    let combine = match l.str_attr("kind")? {
        "sum" => Combine::Add,
        "prod" => Combine::Mul,
        "max" => Combine::Max,
        "min" => Combine::Min,
        "and" => Combine::And,
        "or" => Combine::Or,
        other => return l.error(format!("no reduction is called `{other}`")),
    };
    let mut axes: Vec<usize> = vec![];
    for axis in l.ints_opt("axes").unwrap_or_default() {
        let axis = if axis < 0 { axis + rank as i64 } else { axis };
        match usize::try_from(axis).ok().filter(|&a| a < rank && !axes.contains(&a)) {
            Some(a) => axes.push(a),
            None => return l.error(format!("axis {axis} does not fit rank {rank}")),
        }
    }
    axes.sort_unstable();
    if axes.is_empty() {
        return Ok(x);
    }
    let kind = l.kind(x)?;
    let Axes { mut map, from, to } = Axes::new(l, x, &axes, l.bool_attr("keepdims", false))?;
    map.read(x, &from);
    let wide = accumulator(kind, combine);
    l.reduction(map, ty, &to, combine, |s, args| s.cast(args[0], kind, wide))
}

/// `graph.arg_reduce`: the extreme, then the least (or largest) position where it stands.
pub fn arg_reduce(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, ty) = (l.operand(0), l.result_type());
    let kind = l.kind(x)?;
    let dims = l.dims(x)?;
    let axis = l.axis("axis", 0, dims.len())?;
    let (keepdims, last) = (l.bool_attr("keepdims", false), l.bool_attr("last", false));
    let extreme = if l.str_attr("kind")? == "max" { Combine::Max } else { Combine::Min };
    let Axes { mut map, from, to } = Axes::new(l, x, &[axis], keepdims)?;
    map.read(x, &from);
    let found = l.tensor_like(&l.dims_of(ty)?, l.b.body.ty(x));
    let most = l.reduction(map, found, &to, extreme, |_, args| args[0])?;

    let Axes { mut map, from, to } = Axes::new(l, x, &[axis], keepdims)?;
    map.read(x, &from);
    map.read(most, &to);
    let place = from[axis];
    let first_or_last = if last { Combine::Max } else { Combine::Min };
    l.reduction(map, ty, &to, first_or_last, |s, args| {
        let index = Kind::Int(64, true);
        let mut here = s.compare(kind, Compare::Eq, args[0], args[1]);
        if let Kind::Float(_) = kind {
            // NaN is the extreme where there is one, but equal to nothing.
            let nan = s.cmpf("uno", args[0], args[0]);
            here = s.op("arith.ori", &[here, nan]);
        }
        let position = s.index(place);
        let position = s.from_index(position, index);
        let elsewhere = s.integer(index, if last { i128::from(i64::MIN) } else { i128::from(i64::MAX) });
        s.select(here, position, elsewhere)
    })
}

/// `graph.cumsum`: element `i` sums all elements at a distance of 0 or more before it; those outside are zero.
pub fn cumsum(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, ty) = (l.operand(0), l.result_type());
    let (kind, dims) = (l.kind(x)?, l.dims_of(ty)?);
    let axis = l.axis("axis", 0, dims.len())?;
    let at = l.ivs(dims.len());
    let mut map = MapBuilder::new(&dims);
    let distance = map.dim(l.ctx(), dims[axis]);
    let p = l.pool();
    let distance = if l.bool_attr("exclusive", false) { p.add(distance, Expr::ONE) } else { distance };
    let mut from = at.clone();
    from[axis] = if l.bool_attr("reverse", false) { p.add(at[axis], distance) } else { p.sub(at[axis], distance) };
    map.read_or(x, &from, kind.attr(l.ctx(), 0.0));
    let wide = accumulator(kind, Combine::Add);
    l.reduction(map, ty, &at, Combine::Add, |s, args| s.cast(args[0], kind, wide))
}
