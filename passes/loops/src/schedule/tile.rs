//! Register tiles: a block of results stays in registers while the reductions run.
//!
//! A tile is `rows x columns` results. Columns are vectors along one dimension (or several that collapse), rows are
//! unrolled. A group of dimensions is walked as one index, which divisions take apart again; these stand outside of the
//! reduction loops. What a tile has beyond the end of a group is dealt with by one of the [`Tail`]s.

use crate::nest::{Kind, Nest};
use crate::point::Points;
use nim_ir::{Context, Diagnostic, Expr, ValueId};

/// What happens at the end of a group whose size is no multiple of the tile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tail {
    /// The tile divides the size.
    Exact,
    /// The last tile moves back and repeats results of the one before, which are the same.
    Overlap,
    /// Reads are moved inside (or the read buffer is padded), results outside are not written.
    Guard,
}

/// Dimensions that are walked as one index, the last fastest.
#[derive(Clone, Debug)]
pub struct Group {
    /// The dimensions.
    pub dims: Vec<usize>,
    /// First index.
    pub start: Expr,
    /// Number of indices from there: the product of the extents, if all are walked.
    pub size: Expr,
    /// Results of a tile along the group.
    pub tile: i64,
    /// What happens at the end.
    pub tail: Tail,
}

/// How a map is walked in tiles.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Dimensions outside of everything, one point at a time.
    pub batch: Vec<usize>,
    /// Unrolled results; empty group with tile 1 when there are none.
    pub rows: Group,
    /// Vectors.
    pub columns: Group,
    /// Lanes of a vector.
    pub lanes: i64,
    /// Reduction dimensions, outermost first, and whether they are unrolled.
    pub reductions: Vec<(usize, bool)>,
    /// Row tiles that follow each other before the columns move on.
    pub row_block: i64,
}

impl Group {
    /// A group of these dimensions.
    pub fn new(ctx: &Context, domain: &[Expr], dims: Vec<usize>) -> Group {
        let size = dims.iter().fold(Expr::ONE, |p, &k| ctx.exprs.mul(p, domain[k]));
        Group { dims, start: Expr::ZERO, size, tile: 1, tail: Tail::Exact }
    }
    /// Number of tiles.
    pub fn tiles(&self, ctx: &Context) -> Expr {
        ctx.exprs.ceildiv(self.size, ctx.exprs.constant(self.tile))
    }
    /// Sets the tile, and the tail that follows from the size; `repeat` allows results to be made twice.
    pub fn set_tile(&mut self, ctx: &Context, tile: i64, repeat: bool) {
        let pool = &ctx.exprs;
        self.tile = tile;
        let facts = nim_ir::Facts::default();
        self.tail = if tile == 1 || pool.divisor(self.size, &facts) % tile == 0 {
            Tail::Exact
        } else if repeat && pool.prove_le(pool.constant(tile), self.size, &facts) {
            Tail::Overlap
        } else {
            Tail::Guard
        };
    }
    fn base(&self, ctx: &Context, tile: Expr) -> Expr {
        let pool = &ctx.exprs;
        let start = pool.scale(self.tile, tile);
        let start = match self.tail {
            Tail::Overlap => pool.min(start, pool.sub(self.size, pool.constant(self.tile))),
            Tail::Exact | Tail::Guard => start,
        };
        pool.add(self.start, start)
    }
    /// What lies between `index` and the last index.
    fn left(&self, ctx: &Context, index: Expr) -> Expr {
        let pool = &ctx.exprs;
        pool.sub(pool.sub(pool.add(self.start, self.size), Expr::ONE), index)
    }
    /// The full tiles, and what is left as single results; the latter is none when there is nothing left.
    pub fn cut(&self, ctx: &Context) -> (Group, Option<Group>) {
        if self.tail != Tail::Guard {
            return (self.clone(), None);
        }
        let pool = &ctx.exprs;
        let tile = pool.constant(self.tile);
        let whole = pool.mul(pool.floordiv(self.size, tile), tile);
        let full = Group { size: whole, tail: Tail::Exact, ..self.clone() };
        let start = pool.add(self.start, whole);
        let rest = Group { start, size: pool.sub(self.size, whole), tile: 1, tail: Tail::Exact, ..self.clone() };
        (full, Some(rest))
    }
    /// Takes an index apart into those of the dimensions.
    pub fn split(&self, ctx: &Context, domain: &[Expr], index: Expr, point: &mut [Expr]) {
        let pool = &ctx.exprs;
        let mut rest = index;
        for (i, &k) in self.dims.iter().enumerate().rev() {
            if i == 0 {
                point[k] = rest;
            } else {
                point[k] = pool.modulo(rest, domain[k]);
                rest = pool.floordiv(rest, domain[k]);
            }
        }
    }
}

/// One tile being emitted.
struct Tile<'p> {
    points: &'p Points<'p>,
    plan: &'p Plan,
    row: Expr,
    column: Expr,
    /// The batch dimensions.
    point: Vec<Expr>,
    slots: Vec<ValueId>,
}

/// Emits the nest; `fixed` dimensions have their value already.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit(points: &Points<'_>, nest: &mut Nest<'_>, plan: &Plan, fixed: &[Option<Expr>]) -> Result<(), Diagnostic> {
    let ctx = points.ctx;
    let pool = &ctx.exprs;
    let domain = &points.map.view.domain;
    let row_tiles = plan.rows.tiles(ctx);
    let block = pool.constant(plan.row_block);
    let blocks = pool.ceildiv(row_tiles, block);
    let column_tiles = plan.columns.tiles(ctx);
    // One loop over everything outside of a block of rows, so that threads find enough to do.
    let mut counts: Vec<Expr> = plan.batch.iter().map(|&k| domain[k]).collect();
    counts.extend([blocks, column_tiles]);
    let kind = if fixed.iter().all(Option::is_none) { Kind::Parallel } else { Kind::Seq };
    let mut failed = None;
    collapsed(nest, &counts, kind, &mut |nest, at| {
        let mut point: Vec<Expr> = fixed.iter().map(|f| f.unwrap_or(Expr::ZERO)).collect();
        for (&k, &iv) in plan.batch.iter().zip(at) {
            point[k] = iv;
        }
        let (row_block, column) = (at[at.len() - 2], plan.columns.base(ctx, at[at.len() - 1]));
        let first = pool.mul(row_block, block);
        let left = pool.sub(row_tiles, first);
        let here = if plan.row_block == 1 { Expr::ONE } else { pool.min(block, left) };
        let here = pool.simplify(here, nest.facts);
        nest.range(here, Kind::Seq, |nest, r| {
            let row = plan.rows.base(ctx, pool.add(first, r));
            let mut tile = Tile { points, plan, row, column, point: point.clone(), slots: vec![] };
            if let Err(e) = tile.emit(nest) {
                failed = Some(e);
            }
        });
    });
    failed.map_or(Ok(()), Err)
}

/// One loop over the product of `counts`; the closure gets the index along each.
pub fn collapsed(nest: &mut Nest<'_>, counts: &[Expr], kind: Kind, f: &mut dyn FnMut(&mut Nest<'_>, &[Expr])) {
    let ctx = nest.ctx;
    let pool = &ctx.exprs;
    let total = counts.iter().fold(Expr::ONE, |p, &c| pool.mul(p, c));
    if total == Expr::ZERO {
        return;
    }
    let outermost = counts.iter().position(|&c| c != Expr::ONE);
    let body = |nest: &mut Nest<'_>, iv: Expr| {
        let mut rest = iv;
        let mut at = vec![Expr::ZERO; counts.len()];
        for (i, &count) in counts.iter().enumerate().rev() {
            if count == Expr::ONE {
                continue;
            }
            if Some(i) == outermost {
                at[i] = rest;
            } else {
                at[i] = pool.modulo(rest, count);
                rest = pool.floordiv(rest, count);
            }
        }
        f(nest, &at);
    };
    // A loop of one iteration stays when it is to be shared out, so that a kernel is one phase.
    match kind {
        Kind::Parallel => nest.for_loop(Expr::ZERO, total, 1, kind, body),
        _ => nest.range(total, kind, body),
    }
}

impl Tile<'_> {
    fn emit(&mut self, nest: &mut Nest<'_>) -> Result<(), Diagnostic> {
        if self.plan.reductions.is_empty() {
            return self.without_reduction(nest);
        }
        let dims = [self.plan.rows.tile, self.plan.columns.tile];
        for w in 0..self.points.map.view.writes.len() {
            let slot = nest.local(&dims, self.points.accumulator_type(w), true);
            self.slots.push(slot);
        }
        let points = self.points;
        self.each(nest, true, &mut |nest, tile, at, point| {
            for (w, &slot) in tile.slots.iter().enumerate() {
                let start = points.start(nest, w, point)?;
                nest.store(start, slot, &at, &[]);
            }
            Ok(())
        })?;
        let reductions = self.plan.reductions.clone();
        self.reduce(nest, &reductions)?;
        self.finish(nest)
    }

    fn reduce(&mut self, nest: &mut Nest<'_>, dims: &[(usize, bool)]) -> Result<(), Diagnostic> {
        let points = self.points;
        let Some((&(k, unrolled), rest)) = dims.split_first() else {
            return self.each(nest, true, &mut |nest, tile, at, point| {
                for (w, yielded) in points.body(nest, point)?.into_iter().enumerate() {
                    let value = points.convert(nest, yielded.value, points.accumulator_type(w));
                    let old = nest.load(tile.slots[w], &at, &[]);
                    let new = points.combine(nest, w, old, value);
                    nest.store(new, tile.slots[w], &at, &[]);
                }
                Ok(())
            });
        };
        let mut done = Ok(());
        let kind = if unrolled { Kind::Unroll } else { Kind::Seq };
        nest.range(points.map.view.domain[k], kind, |nest, iv| {
            self.point[k] = iv;
            done = self.reduce(nest, rest);
        });
        done
    }

    /// All results of the tile: rows unrolled, columns in vectors. `inside` moves rows beyond the end back inside.
    #[allow(clippy::type_complexity)]
    fn each(
        &self,
        nest: &mut Nest<'_>,
        inside: bool,
        f: &mut dyn FnMut(&mut Nest<'_>, &Tile<'_>, [Expr; 2], &[Expr]) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        let ctx = self.points.ctx;
        let pool = &ctx.exprs;
        let (plan, domain) = (self.plan, &self.points.map.view.domain);
        let mut done = Ok(());
        nest.for_loop(Expr::ZERO, pool.constant(plan.rows.tile), 1, Kind::Unroll, |nest, a| {
            let mut row = pool.add(self.row, a);
            if inside && plan.rows.tail == Tail::Guard {
                row = pool.min(row, pool.sub(pool.add(plan.rows.start, plan.rows.size), Expr::ONE));
            }
            let mut point = self.point.clone();
            plan.rows.split(ctx, domain, row, &mut point);
            nest.for_loop(Expr::ZERO, pool.constant(plan.columns.tile), plan.lanes, Kind::Unroll, |nest, b| {
                nest.for_loop(Expr::ZERO, pool.constant(plan.lanes), 1, Kind::Vector, |nest, lane| {
                    let at = pool.add(b, lane);
                    plan.columns.split(ctx, domain, pool.add(self.column, at), &mut point);
                    let here = f(nest, self, [a, at], &point);
                    if here.is_err() {
                        done = here;
                    }
                });
            });
        });
        done
    }

    fn finish(&self, nest: &mut Nest<'_>) -> Result<(), Diagnostic> {
        let points = self.points;
        self.guarded(nest, &mut |nest, tile, at, point| {
            let results: Vec<ValueId> = tile.slots.iter().map(|&slot| nest.load(slot, &at, &[])).collect();
            points.finish(nest, point, &results)
        })
    }

    fn without_reduction(&self, nest: &mut Nest<'_>) -> Result<(), Diagnostic> {
        let points = self.points;
        self.guarded(nest, &mut |nest, _, _, point| {
            let values = points.body(nest, point)?;
            let mut done = vec![];
            for (w, yielded) in values.into_iter().enumerate() {
                done.push(points.combined(nest, w, yielded.value, point)?);
            }
            points.finish(nest, point, &done)
        })
    }

    /// All results that exist: full tiles without a question for each, the others with one.
    #[allow(clippy::type_complexity)]
    fn guarded(
        &self,
        nest: &mut Nest<'_>,
        f: &mut dyn FnMut(&mut Nest<'_>, &Tile<'_>, [Expr; 2], &[Expr]) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        let pool = &self.points.ctx.exprs;
        let plan = self.plan;
        let ctx = self.points.ctx;
        let last = |base: Expr, tile: i64| pool.add(base, pool.constant(tile - 1));
        let mut full = vec![];
        if plan.rows.tail == Tail::Guard {
            full.push(plan.rows.left(ctx, last(self.row, plan.rows.tile)));
        }
        if plan.columns.tail == Tail::Guard {
            full.push(plan.columns.left(ctx, last(self.column, plan.columns.tile)));
        }
        if full.is_empty() {
            return self.each(nest, false, f);
        }
        let mut done = Ok(());
        nest.guard(&full, |nest| done = self.each(nest, false, f));
        done?;
        // At least one of the two runs over the end.
        let beyond = full
            .iter()
            .map(|&left| pool.sub(pool.constant(-1), left))
            .reduce(|a, b| pool.max(a, b))
            .unwrap_or(Expr::ZERO);
        let mut done = Ok(());
        nest.guard(&[beyond], |nest| {
            done = self.each(nest, false, &mut |nest, tile, at, point| {
                let mut exists = vec![];
                if plan.rows.tail == Tail::Guard {
                    exists.push(plan.rows.left(ctx, pool.add(tile.row, at[0])));
                }
                if plan.columns.tail == Tail::Guard {
                    exists.push(plan.columns.left(ctx, pool.add(tile.column, at[1])));
                }
                let mut inner = Ok(());
                nest.guard(&exists, |nest| inner = f(nest, tile, at, point));
                inner
            });
        });
        done
    }
}
