//! Reductions and scans.

use super::{
    contraction::summed,
    lower::{Lower, Lowered, accumulator},
    scalars::{Compare, Kind, Scalars},
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

/// Elements of a block of a long running sum.
const SCAN_BLOCK: i64 = 64;

/// `graph.cumsum`.
///
/// Along a short axis, element `i` sums all elements before it; those outside are zero. A long one is cut into blocks: sums of
/// blocks, running sums of those, and within its block each element as before.
pub fn cumsum(l: &mut Lower<'_, '_>) -> Lowered {
    let ty = l.result_type();
    let dims = l.dims_of(ty)?;
    let scan = Scan {
        x: l.operand(0),
        axis: l.axis("axis", 0, dims.len())?,
        size: dims[l.axis("axis", 0, dims.len())?],
        exclusive: l.bool_attr("exclusive", false),
        reverse: l.bool_attr("reverse", false),
        kind: l.kind(l.operand(0))?,
    };
    match l.pool().as_const(scan.size) {
        Some(n) if n <= 2 * SCAN_BLOCK => scan.short(l, &dims),
        _ => scan.blocked(l, dims),
    }
}

/// A running sum. Places along the axis are counted in the direction of the sum.
struct Scan {
    x: ValueId,
    axis: usize,
    size: Expr,
    exclusive: bool,
    reverse: bool,
    kind: Kind,
}

impl Scan {
    /// A place counted in the direction of the sum as an index, and the other way round.
    fn turned(&self, l: &Lower<'_, '_>, place: Expr) -> Expr {
        let p = l.pool();
        if self.reverse { p.sub(p.sub(self.size, Expr::ONE), place) } else { place }
    }

    /// The element at a place, zero outside.
    fn read(&self, l: &Lower<'_, '_>, map: &mut MapBuilder, at: &[Expr], place: Expr) {
        let mut from = at.to_vec();
        from[self.axis] = self.turned(l, place);
        map.read_or(self.x, &from, self.kind.attr(l.ctx(), 0.0));
    }

    /// How far the first element that counts lies behind a place.
    fn first(&self) -> Expr {
        if self.exclusive { Expr::ONE } else { Expr::ZERO }
    }

    fn short(&self, l: &mut Lower<'_, '_>, dims: &[Expr]) -> Lowered {
        let (ty, at, p) = (l.result_type(), l.ivs(dims.len()), l.pool());
        let mut map = MapBuilder::new(dims);
        let distance = p.add(map.dim(l.ctx(), self.size), self.first());
        let place = p.sub(self.turned(l, at[self.axis]), distance);
        self.read(l, &mut map, &at, place);
        let wide = accumulator(self.kind, Combine::Add);
        l.reduction(map, ty, &at, Combine::Add, |s, args| s.cast(args[0], self.kind, wide))
    }

    fn blocked(&self, l: &mut Lower<'_, '_>, dims: Vec<Expr>) -> Lowered {
        let (ctx, p, ty) = (l.ctx(), l.pool(), l.result_type());
        let (at, axis, size) = (l.ivs(dims.len()), self.axis, l.num(SCAN_BLOCK));
        let wide = accumulator(self.kind, Combine::Add);
        let zero = wide.attr(ctx, 0.0);
        // Sums of blocks.
        let mut blocks = dims.clone();
        blocks[axis] = p.ceildiv(self.size, size);
        let sums_type = ctx.tensor_of(&blocks, wide.ty(ctx));
        let mut map = MapBuilder::new(&blocks);
        let inside = map.dim(ctx, size);
        self.read(l, &mut map, &at, p.add(p.mul(at[axis], size), inside));
        map.reduce(sums_type, &at, Combine::Add, zero);
        let op = map.build(l.b, |b, args| vec![Scalars::new(b).cast(args[0], self.kind, wide)]);
        let sums = l.b.body.result(op);
        // Sums of all blocks before each.
        let mut map = MapBuilder::new(&blocks);
        let distance = map.dim(ctx, blocks[axis]);
        let mut before = at.clone();
        before[axis] = p.sub(p.sub(at[axis], Expr::ONE), distance);
        map.read_or(sums, &before, zero);
        map.reduce(sums_type, &at, Combine::Add, zero);
        let op = map.build(l.b, |_, args| vec![args[0]]);
        let before = l.b.body.result(op);
        // The elements of the own block up to the place.
        let mut map = MapBuilder::new(&dims);
        let inside = map.dim(ctx, size);
        let place = self.turned(l, at[axis]);
        self.read(l, &mut map, &at, p.sub(p.sub(place, inside), self.first()));
        let mut block = at.clone();
        block[axis] = p.floordiv(place, size);
        map.epilogue_read(before, &block);
        map.reduce(ty, &at, Combine::Add, zero);
        let op = map.build_with_epilogue(
            l.b,
            &[wide.ty(ctx)],
            |b, args| {
                let mut s = Scalars::new(b);
                let predicate = if self.exclusive { "slt" } else { "sle" };
                let counts = s.compare_exprs(predicate, inside, p.modulo(place, size));
                let (value, nothing) = (s.cast(args[0], self.kind, wide), s.constant(wide, 0.0));
                vec![s.select(counts, value, nothing)]
            },
            |b, args| {
                let mut s = Scalars::new(b);
                let sum = s.add(wide, args[1], args[0]);
                vec![s.cast(sum, wide, self.kind)]
            },
        );
        Ok(l.b.body.result(op))
    }
}
