//! Copies of read containers in another arrangement: padded, so that no read asks where the border is, or packed, so that
//! vectors lie side by side in the order in which they are read.

use super::Env;
use super::tile::collapsed;
use crate::nest::{Kind, Nest};
use crate::packing::Packing;
use crate::point::{Points, Replaced};
use nim_ir::{Diagnostic, Expr, Facts};

/// How a packed copy is laid out: `[outer..., tiles, reductions..., tile]`.
#[derive(Clone, Debug)]
pub struct PackedLayout {
    /// Dimensions of the domain that come first.
    pub outer: Vec<usize>,
    /// Dimensions that vectors run along, walked as one index.
    pub columns: super::tile::Group,
    /// Reduction dimensions.
    pub inner: Vec<usize>,
}

/// By how much a read exceeds its container on each side of each dimension; `None` when that is not known.
pub fn overhang(points: &Points<'_>, read: usize) -> Option<Vec<(Expr, Expr)>> {
    let ctx = points.ctx;
    let pool = &ctx.exprs;
    let memlet = &points.map.view.reads[read];
    let dims = ctx.dim_exprs(points.source.ty(memlet.value))?;
    let facts = points.map.view.facts(ctx, &Facts::default());
    let mut out = vec![];
    for (&index, &dim) in memlet.subset.as_ref()?.iter().zip(&dims) {
        let (mut low, mut high) = (index, index);
        for (&iv, &extent) in points.map.ivs.iter().zip(&points.map.view.domain) {
            let (step, _) = pool.linear_in(index, iv)?;
            if step == Expr::ZERO {
                continue;
            }
            let last = pool.sub(extent, Expr::ONE);
            let up = pool.as_const(step)? > 0;
            let at = |e: Expr, to: Expr| pool.substitute(e, &mut |s| (s == iv).then_some(to));
            low = at(low, if up { Expr::ZERO } else { last });
            high = at(high, if up { last } else { Expr::ZERO });
        }
        let below = pool.simplify(pool.max(pool.neg(low), Expr::ZERO), &facts);
        let above = pool.sub(high, pool.sub(dim, Expr::ONE));
        let above = pool.simplify(pool.max(above, Expr::ZERO), &facts);
        out.push((below, above));
    }
    Some(out)
}

/// True when a read may lie outside of its container.
pub fn may_be_outside(points: &Points<'_>, read: usize) -> bool {
    points.map.view.reads[read].border.is_some()
        && overhang(points, read).is_none_or(|sides| sides.iter().any(|&s| s != (Expr::ZERO, Expr::ZERO)))
}

/// Makes a padded copy for a read and has the read served by it.
///
/// # Errors
/// What [`Points`] reports.
pub fn pad(points: &mut Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>, read: usize) -> Result<bool, Diagnostic> {
    match overhang(points, read) {
        Some(sides) if points.map.view.reads[read].border.is_some() => pad_by(points, nest, env, read, &sides),
        _ => Ok(false),
    }
}

/// As [`pad`], by so much on each side of each dimension; zeros where there is no border.
///
/// # Errors
/// What [`Points`] reports.
pub fn pad_by(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
    read: usize,
    sides: &[(Expr, Expr)],
) -> Result<bool, Diagnostic> {
    let ctx = points.ctx;
    let pool = &ctx.exprs;
    let memlet = points.map.view.reads[read].clone();
    let Some(subset) = &memlet.subset else { return Ok(false) };
    let ty = points.source.ty(memlet.value);
    let (Some(dims), Some(element)) = (ctx.dim_exprs(ty), ctx.element_type(ty)) else { return Ok(false) };
    let sizes: Vec<Expr> = dims.iter().zip(sides).map(|(&d, &(low, high))| pool.sum([d, low, high])).collect();
    let buffer = env.temporary(nest, ctx.memref_of(&sizes, element));
    let from = points.buffer(memlet.value)?;
    let scalar = nim_dataflow::scalar_type(ctx, element);
    let border = memlet.border.map_or_else(|| points.zero(scalar), |b| points.scalar(b, scalar));
    let lanes = env.lanes(element);
    let Some((&last, outer)) = sizes.split_last() else { return Ok(false) };
    // The last but one is walked by loops of its own, one for each side and one between them: what lies there is known without a
    // question for each element, and divisions are needed only for what stands outside.
    let (outer, walked) = match outer.split_last() {
        Some((&size, outer)) => (outer, Some((size, dims[outer.len()], sides[outer.len()]))),
        None => (outer, None),
    };
    let element = |nest: &mut Nest<'_>, place: &[Expr], known: Option<bool>| {
        let index: Vec<Expr> = place.iter().zip(sides).map(|(&p, &(low, _))| pool.sub(p, low)).collect();
        let mut inside = vec![];
        for (k, ((&i, &d), &(low, high))) in index.iter().zip(&dims).zip(sides).enumerate() {
            if known.is_some() && k + 2 == dims.len() {
                continue;
            }
            if low != Expr::ZERO {
                inside.push(i);
            }
            if high != Expr::ZERO {
                inside.push(pool.sub(pool.sub(d, Expr::ONE), i));
            }
        }
        let value = match known {
            Some(false) => nest.constant(border, scalar),
            _ => {
                nest.choose(&inside, scalar, |nest| nest.load(from, &index, &[]), |nest| nest.constant(border, scalar))
            }
        };
        nest.store(value, buffer, place, &[]);
    };
    collapsed(nest, outer, Kind::Parallel, &mut |nest, at| {
        let row = |nest: &mut Nest<'_>, before: &[Expr], known: Option<bool>| {
            super::elementwise::along(nest, last, lanes, 1, &mut |nest, x| {
                element(nest, &[before, &[x]].concat(), known);
            });
        };
        let Some((size, dim, (low, _))) = walked else { return row(nest, at, None) };
        let end = pool.add(low, dim);
        for (from, to, known) in [(Expr::ZERO, low, false), (low, end, true), (end, size, false)] {
            if from != to {
                nest.for_loop(from, to, 1, Kind::Seq, |nest, y| row(nest, &[at, &[y]].concat(), Some(known)));
            }
        }
    });
    let indices = subset.iter().zip(sides).map(|(&e, &(low, _))| pool.add(e, low)).collect();
    points.replaced.insert(read, Replaced { buffer, indices });
    Ok(true)
}

impl PackedLayout {
    fn sizes(&self, points: &Points<'_>) -> Vec<Expr> {
        let (ctx, domain) = (points.ctx, &points.map.view.domain);
        let mut sizes: Vec<Expr> = self.outer.iter().map(|&k| domain[k]).collect();
        sizes.push(self.columns.tiles(ctx));
        sizes.extend(self.inner.iter().map(|&k| domain[k]));
        sizes.push(ctx.exprs.constant(self.columns.tile));
        sizes
    }

    /// Indices of the packed element that serves the read at a point of the domain.
    fn indices(&self, points: &Points<'_>) -> Vec<Expr> {
        let pool = &points.ctx.exprs;
        let domain = &points.map.view.domain;
        let iv = |k: usize| pool.var(points.map.ivs[k]);
        let mut column = Expr::ZERO;
        for &k in &self.columns.dims {
            column = pool.add(pool.mul(column, domain[k]), iv(k));
        }
        let tile = pool.constant(self.columns.tile);
        let mut indices: Vec<Expr> = self.outer.iter().map(|&k| iv(k)).collect();
        indices.push(pool.floordiv(column, tile));
        indices.extend(self.inner.iter().map(|&k| iv(k)));
        indices.push(pool.modulo(column, tile));
        indices
    }

    /// The point of the domain that packed element `at` belongs to, and the index along the columns.
    fn point(&self, points: &Points<'_>, at: &[Expr]) -> (Vec<Expr>, Expr) {
        let ctx = points.ctx;
        let pool = &ctx.exprs;
        let domain = &points.map.view.domain;
        let mut point = vec![Expr::ZERO; domain.len()];
        for (&k, &i) in self.outer.iter().zip(at) {
            point[k] = i;
        }
        let rest = &at[self.outer.len()..];
        for (&k, &i) in self.inner.iter().zip(&rest[1..]) {
            point[k] = i;
        }
        let column = pool.add(pool.scale(self.columns.tile, rest[0]), rest[rest.len() - 1]);
        self.columns.split(ctx, domain, column, &mut point);
        (point, column)
    }
}

/// Has the compiler arrange a constant that a read reads: `sizes` of the arrangement, where the read finds its elements there, and the
/// point of the map that an element of it is for. False where the read is of no constant, or sizes are not known.
pub fn pack_constant(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
    read: usize,
    sizes: &[Expr],
    indices: &[Expr],
    point: &dyn Fn(&Points<'_>, &[Expr]) -> Vec<Expr>,
) -> bool {
    let ctx = points.ctx;
    let shape: Option<Vec<i64>> = sizes.iter().map(|&s| ctx.exprs.as_const(s)).collect();
    let (Some(arg), Some(shape)) = (env.constant_arg(points, read), shape) else { return false };
    let memlet = &points.map.view.reads[read];
    let element = ctx.element_type(points.source.ty(memlet.value)).unwrap_or_else(|| ctx.none_type());
    let at: Vec<Expr> = (0..sizes.len()).map(|k| nim_dataflow::iv(ctx, k)).collect();
    let source = points.map.all_at(ctx, memlet.subset.as_deref().unwrap_or_default(), &point(points, &at));
    let buffer = env.args[arg];
    nest.body.set_ty(buffer, ctx.memref_of(sizes, element));
    env.packing.push(Packing { arg, shape, indices: source, matrices: vec![] });
    points.replaced.insert(read, Replaced { buffer, indices: indices.to_vec() });
    true
}

/// Has a read served by a packed copy: made at compile time if the argument is constant, else by a nest of its own.
///
/// # Errors
/// What [`Points`] reports.
pub fn pack(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
    read: usize,
    layout: &PackedLayout,
) -> Result<(), Diagnostic> {
    let ctx = points.ctx;
    let pool = &ctx.exprs;
    let memlet = points.map.view.reads[read].clone();
    let element = ctx.element_type(points.source.ty(memlet.value)).unwrap_or_else(|| ctx.none_type());
    let sizes = layout.sizes(points);
    let indices = layout.indices(points);
    if pack_constant(points, nest, env, read, &sizes, &indices, &|points, at| layout.point(points, at).0) {
        return Ok(());
    }
    let buffer = env.temporary(nest, ctx.memref_of(&sizes, element));
    let scalar = nim_dataflow::scalar_type(ctx, element);
    let outer = sizes[..=layout.outer.len()].to_vec();
    let inner = sizes[layout.outer.len() + 1..sizes.len() - 1].to_vec();
    // Narrow numbers have more lanes than a tile is a multiple of: nothing is written behind its end.
    let tile = layout.columns.tile;
    let mut halves =
        std::iter::successors(Some(env.lanes(element)), |lanes| Some(lanes / 2).filter(|&lanes| lanes > 0));
    let lanes = halves.find(|lanes| tile % lanes == 0).unwrap_or(1);
    let mut failed = None;
    collapsed(nest, &outer, Kind::Parallel, &mut |nest, at| {
        nest.ranges(&inner, Kind::Seq, &mut |nest, within| {
            nest.for_loop(Expr::ZERO, pool.constant(layout.columns.tile), lanes, Kind::Unroll, |nest, b| {
                nest.for_loop(Expr::ZERO, pool.constant(lanes), 1, Kind::Vector, |nest, lane| {
                    let place: Vec<Expr> = at.iter().chain(within).copied().chain([pool.add(b, lane)]).collect();
                    let (point, column) = layout.point(points, &place);
                    let exists = match layout.columns.tail {
                        super::tile::Tail::Exact => vec![],
                        _ => vec![pool.sub(pool.sub(layout.columns.size, Expr::ONE), column)],
                    };
                    let value = match exists.is_empty() {
                        true => points.read_number(nest, read, &point),
                        false => {
                            let zero = points.zero(scalar);
                            let mut inner = None;
                            let value = nest.choose(
                                &exists,
                                scalar,
                                |nest| match points.read_number(nest, read, &point) {
                                    Ok(value) => value,
                                    Err(e) => {
                                        inner = Some(e);
                                        nest.constant(zero, scalar)
                                    }
                                },
                                |nest| nest.constant(zero, scalar),
                            );
                            inner.map_or(Ok(value), Err)
                        }
                    };
                    match value {
                        Ok(value) => nest.store(value, buffer, &place, &[]),
                        Err(e) => failed = Some(e),
                    }
                });
            });
        });
    });
    points.replaced.insert(read, Replaced { buffer, indices });
    failed.map_or(Ok(()), Err)
}
