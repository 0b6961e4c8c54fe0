//! Register tiles: a block of results stays in registers while the reductions run.
//!
//! A tile is `rows x columns` results. Columns are vectors along one dimension (or several that collapse), rows are
//! unrolled. A group of dimensions is walked as one index, which divisions take apart again; these stand outside of the
//! reduction loops. What a tile has beyond the end of a group is dealt with by one of the [`Tail`]s.
//!
//! Rows are [shared out](super::shares) to tiles of nearly the same size, so nothing is computed in vain, however few there are.
//! Tiles of few results sum up in several parts, since one sum waits for the one before.

use super::shares::Shares;
use super::tile_registers::TileRegisters;
use crate::nest::{Kind, Nest};
use crate::point::Points;
use nim_expr::{ExprNode, ExprPool};
use nim_ir::{Context, Diagnostic, Expr, Facts, ValueId};

/// What happens at the end of a group whose size is no multiple of the tile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tail {
    /// The tile divides the size.
    Exact,
    /// The last tile moves back and repeats results of the one before, which are the same.
    Overlap,
    /// Rows: smaller tiles. Columns: the read buffer is padded, results outside are not written.
    Guard,
    /// Rows: tiles of nearly the same size.
    Even,
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
    /// Dimensions that no vector depends on and that are not rows, walked as one index: the same vectors serve one point of them after
    /// the other.
    pub units: Group,
    /// Unrolled results; empty group with tile 1 when there are none.
    pub rows: Group,
    /// Vectors.
    pub columns: Group,
    /// The first column that nobody needs: tiles that begin there or later are left out.
    pub columns_end: Option<Expr>,
    /// Lanes of a vector.
    pub lanes: i64,
    /// Reduction dimensions, outermost first, and whether they are unrolled.
    pub reductions: Vec<(usize, bool)>,
    /// Row tiles, or units if there are any, that follow each other before the columns move on; 0: all.
    pub row_block: i64,
    /// Whether all blocks of rows are walked before the columns move on. Threads then share out the columns.
    pub columns_outside: bool,
    /// The read whose next columns are asked for while these are multiplied: see [`super::ahead`].
    pub ahead: Option<usize>,
    /// Whether results may be summed up in several parts.
    pub reorders: bool,
    /// Set where sums are in tile registers; a row of [`Plan::rows`] is then a block of as many as a register has.
    pub registers: Option<TileRegisters>,
}

/// Vectors of sums under way that keep both multipliers busy: two a cycle, four cycles each.
const SUMS: i64 = 8;
/// Most parts of a sum.
const MAX_PARTS: i64 = 4;
/// Vector operations of epilogues that are written out for a whole tile; with more, its code is what takes long to compile.
const WRITTEN_OUT_OPS: i64 = 256;

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
    pub fn set_tile(&mut self, ctx: &Context, facts: &Facts, tile: i64, repeat: bool) {
        let pool = &ctx.exprs;
        self.tile = tile;
        self.tail = if tile == 1 || pool.divisor(self.size, facts) % tile == 0 {
            Tail::Exact
        } else if repeat && pool.prove_le(pool.constant(tile), self.size, facts) {
            Tail::Overlap
        } else {
            Tail::Guard
        };
    }
    /// First index of a tile, where each is full.
    pub fn base(&self, ctx: &Context, tile: Expr) -> Expr {
        let pool = &ctx.exprs;
        let start = pool.scale(self.tile, tile);
        let start = match self.tail {
            Tail::Overlap => pool.min(start, pool.sub(self.size, pool.constant(self.tile))),
            Tail::Exact | Tail::Guard | Tail::Even => start,
        };
        pool.add(self.start, start)
    }
    /// What lies between `index` and the last index.
    fn left(&self, ctx: &Context, index: Expr) -> Expr {
        let pool = &ctx.exprs;
        pool.sub(pool.sub(pool.add(self.start, self.size), Expr::ONE), index)
    }
    /// The full tiles, and what is left behind them: whole vectors, then shorter ones where the number is known, else single
    /// results. Each with its lanes; nothing reaches behind the end.
    pub fn cut(&self, ctx: &Context, lanes: i64) -> Vec<(Group, i64)> {
        let pool = &ctx.exprs;
        let mut pieces = vec![];
        let (mut start, mut size) = (self.start, self.size);
        let mut piece = |tile: i64, lanes: i64| {
            let width = pool.constant(tile);
            let whole = pool.mul(pool.floordiv(size, width), width);
            if whole != Expr::ZERO {
                let group = Group { start, size: whole, tile, tail: Tail::Exact, ..self.clone() };
                pieces.push((group, lanes));
                (start, size) = (pool.add(start, whole), pool.modulo(size, width));
            }
            pool.as_const(size)
        };
        let rest = piece(self.tile, lanes);
        match rest {
            Some(rest) if rest >= lanes => piece(rest - rest % lanes, lanes),
            _ => piece(lanes, lanes),
        };
        let mut short = if rest.is_some() { lanes / 2 } else { 1 };
        while short > 0 {
            piece(short, short);
            short /= 2;
        }
        pieces
    }
    /// Gives an index that is to be taken apart a name where sizes of dimensions are not known and the index is found by a division itself:
    /// what is taken apart and put together again as an address is seen to be the same of a name only, and else costs a division a row.
    fn named(&self, nest: &mut Nest<'_>, domain: &[Expr], index: Expr, f: impl FnOnce(&mut Nest<'_>, Expr)) {
        let pool = &nest.ctx.exprs;
        let unknown = self.dims.iter().skip(1).any(|&k| pool.as_const(domain[k]).is_none());
        if !unknown || !divides(pool, index) {
            return f(nest, index);
        }
        let next = pool.add(index, Expr::ONE);
        nest.for_loop(index, next, 1, Kind::Seq, f);
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
pub(super) struct Tile<'p> {
    pub(super) points: &'p Points<'p>,
    pub(super) plan: &'p Plan,
    pub(super) row: Expr,
    pub(super) rows: i64,
    pub(super) column: Expr,
    /// Its number among the tiles that the same columns serve one after the other.
    pub(super) number: Expr,
    /// The batch dimensions.
    pub(super) point: Vec<Expr>,
    pub(super) slots: Vec<ValueId>,
    /// The reduction whose iterations are shared out to parts, and the number of these.
    pub(super) parts: Option<(usize, i64)>,
    /// The part that is summed up in.
    part: Expr,
}

/// Emits the nest; `fixed` dimensions have their value already.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit(points: &Points<'_>, nest: &mut Nest<'_>, plan: &Plan, fixed: &[Option<Expr>]) -> Result<(), Diagnostic> {
    let ctx = points.ctx;
    let pool = &ctx.exprs;
    let domain = &points.map.view.domain;
    let block = pool.constant(plan.row_block);
    let column_tiles = match plan.columns_end {
        Some(end) => {
            let begun = pool.max(pool.sub(end, plan.columns.start), Expr::ZERO);
            pool.min(pool.ceildiv(begun, pool.constant(plan.columns.tile)), plan.columns.tiles(ctx))
        }
        None => plan.columns.tiles(ctx),
    };
    let shares = Shares::new(ctx, &plan.rows, nest.facts);
    let in_units = !plan.units.dims.is_empty();
    let walked = if in_units { plan.units.size } else { shares.tiles };
    let blocks = if plan.row_block == 0 { Expr::ONE } else { pool.ceildiv(walked, block) };
    // One loop over everything outside of a block, so that threads find enough to do.
    let mut counts: Vec<Expr> = plan.batch.iter().map(|&k| domain[k]).collect();
    let order = if plan.columns_outside { [1, 0] } else { [0, 1] };
    counts.extend(order.map(|i| [blocks, column_tiles][i]));
    let kind = nest.outermost();
    let mut failed = None;
    let mut walk = |nest: &mut Nest<'_>| {
        collapsed(nest, &counts, kind, &mut |nest, at| {
            let mut point: Vec<Expr> = fixed.iter().map(|f| f.unwrap_or(Expr::ZERO)).collect();
            for (&k, &iv) in plan.batch.iter().zip(at) {
                point[k] = iv;
            }
            let [row_block, column] = order.map(|i| at[plan.batch.len() + i]);
            let column = plan.columns.base(ctx, column);
            let mut tile = |nest: &mut Nest<'_>, point: &[Expr], number: Expr, row: Expr, rows: i64| {
                let parts = parts(points, plan, rows);
                plan.rows.named(nest, domain, row, |nest, row| {
                    let (point, part) = (point.to_vec(), Expr::ZERO);
                    let mut tile = Tile { points, plan, row, rows, column, number, point, slots: vec![], parts, part };
                    if let Err(e) = tile.emit(nest) {
                        failed = Some(e);
                    }
                });
            };
            // Blocks are shared out like rows: a last one of few tiles would read all columns for them.
            let begin = |b: Expr| pool.floordiv(pool.mul(b, walked), blocks);
            let (first, here) = match () {
                () if plan.row_block == 1 => (row_block, Expr::ONE),
                () if blocks == Expr::ONE => (Expr::ZERO, walked),
                () => (begin(row_block), pool.sub(begin(pool.add(row_block, Expr::ONE)), begin(row_block))),
            };
            nest.range(here, Kind::Seq, |nest, in_block| {
                let at = pool.add(first, in_block);
                let (units, tiles) = if in_units { (Some(at), shares.tiles) } else { (None, Expr::ONE) };
                if let Some(unit) = units {
                    plan.units.split(ctx, domain, unit, &mut point);
                }
                nest.range(tiles, Kind::Seq, |nest, r| {
                    let number = if in_units { r } else { at };
                    let before = if in_units { pool.add(pool.mul(in_block, tiles), r) } else { in_block };
                    shares.tile(ctx, nest, number, &mut |nest, row, rows| tile(nest, &point, before, row, rows));
                });
            });
        })
    };
    match &plan.registers {
        None => walk(nest),
        Some(registers) => {
            // A loop that surely stays has their shapes.
            match kind {
                Kind::Parallel => walk(nest),
                _ => nest.for_loop(Expr::ZERO, Expr::ONE, 1, Kind::Seq, |nest, _| walk(nest)),
            }
            nest.shape_tiles(&registers.shapes(ctx, plan));
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Whether an expression has a quotient or a remainder in it.
fn divides(pool: &ExprPool, e: Expr) -> bool {
    match pool.node(e) {
        ExprNode::FloorDiv(..) | ExprNode::CeilDiv(..) | ExprNode::Mod(..) => true,
        ExprNode::Sum(list) | ExprNode::Product(list) | ExprNode::Min(list) | ExprNode::Max(list) => {
            list.iter().any(|&part| divides(pool, part))
        }
        ExprNode::Const(_) | ExprNode::Symbol(_) | ExprNode::Invalid(_) => false,
    }
}

/// Whether the epilogue of a tile of so many vectors is written out for each of them.
pub(super) fn written_out(points: &Points<'_>, vectors: i64) -> bool {
    vectors * points.epilogue_ops() <= WRITTEN_OUT_OPS
}

/// Operations that the epilogue of a tile of so many vectors is as code.
pub fn epilogue_code(points: &Points<'_>, vectors: i64) -> i64 {
    points.epilogue_ops() * if written_out(points, vectors) { vectors } else { 1 }
}

/// Into how many parts a tile of so many rows shares out which reduction.
fn parts(points: &Points<'_>, plan: &Plan, rows: i64) -> Option<(usize, i64)> {
    let parts = (SUMS / (rows * plan.columns.tile / plan.lanes)).min(MAX_PARTS);
    let &(k, _) = plan.reductions.iter().rev().find(|r| !r.1)?;
    let long = super::access::estimate(points.ctx, points.map.view.domain[k], 64) >= 8.0 * parts as f64;
    (plan.reorders && parts > 1 && long).then_some((k, parts))
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
        if let Some(registers) = &self.plan.registers {
            return self.emit_in_registers(nest, registers);
        }
        let parts = self.parts.map_or(1, |p| p.1);
        let dims = [parts * self.rows, self.plan.columns.tile];
        for w in 0..self.points.map.view.writes.len() {
            let slot = nest.local(&dims, self.points.accumulator_type(w), true);
            self.slots.push(slot);
        }
        let points = self.points;
        self.each(nest, Kind::Unroll, &mut |nest, tile, at, point| {
            for (w, &slot) in tile.slots.iter().enumerate() {
                let start = points.start(nest, w, point)?;
                nest.store(start, slot, &at, &[]);
                for part in 1..parts {
                    let neutral = points.neutral(nest, w);
                    nest.store(neutral, slot, &tile.slot_in(part, at), &[]);
                }
            }
            Ok(())
        })?;
        let reductions = self.plan.reductions.clone();
        self.reduce(nest, &reductions)?;
        if parts > 1 {
            self.each(nest, Kind::Unroll, &mut |nest, tile, at, _| {
                for (w, &slot) in tile.slots.iter().enumerate() {
                    let mut sum = nest.load(slot, &at, &[]);
                    for part in 1..parts {
                        let other = nest.load(slot, &tile.slot_in(part, at), &[]);
                        sum = points.combine(nest, w, sum, other);
                    }
                    nest.store(sum, slot, &at, &[]);
                }
                Ok(())
            })?;
        }
        self.finish(nest)
    }

    fn slot_in(&self, part: i64, at: [Expr; 2]) -> [Expr; 2] {
        let pool = &self.points.ctx.exprs;
        [pool.add(pool.constant(part * self.rows), at[0]), at[1]]
    }

    fn reduce(&mut self, nest: &mut Nest<'_>, dims: &[(usize, bool)]) -> Result<(), Diagnostic> {
        let points = self.points;
        let pool = &points.ctx.exprs;
        let Some((&(k, unrolled), rest)) = dims.split_first() else {
            self.ask_ahead(nest)?;
            let first = pool.scale(self.rows, self.part);
            return self.each(nest, Kind::Unroll, &mut |nest, tile, at, point| {
                let at = [pool.add(first, at[0]), at[1]];
                if points.dot.is_some() {
                    let old = nest.load(tile.slots[0], &at, &[]);
                    let new = points.sum(nest, old, point, &[])?;
                    nest.store(new, tile.slots[0], &at, &[]);
                    return Ok(());
                }
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
        let extent = points.steps(k);
        match self.parts {
            Some((shared, parts)) if shared == k => {
                let step = pool.constant(parts);
                let end = pool.mul(pool.floordiv(extent, step), step);
                nest.for_loop(Expr::ZERO, end, parts, Kind::Seq, |nest, base| {
                    nest.for_loop(Expr::ZERO, step, 1, Kind::Unroll, |nest, part| {
                        (self.point[k], self.part) = (points.step(k, pool.add(base, part)), part);
                        done = self.reduce(nest, rest);
                    });
                });
                done?;
                done = Ok(());
                self.part = Expr::ZERO;
                if end != extent {
                    nest.for_loop(end, extent, 1, Kind::Seq, |nest, iv| {
                        self.point[k] = points.step(k, iv);
                        done = self.reduce(nest, rest);
                    });
                }
            }
            _ if extent == Expr::ZERO => {}
            _ => {
                let kind = if unrolled { Kind::Unroll } else { Kind::Seq };
                nest.range(extent, kind, |nest, iv| {
                    self.point[k] = points.step(k, iv);
                    done = self.reduce(nest, rest);
                });
            }
        }
        done?;
        match points.short_step(k) {
            Some(last) => {
                self.point[k] = last;
                self.reduce(nest, rest)
            }
            None => Ok(()),
        }
    }

    /// All results of the tile: rows and vectors of columns written out, or in loops.
    #[allow(clippy::type_complexity)]
    fn each(
        &self,
        nest: &mut Nest<'_>,
        kind: Kind,
        f: &mut dyn FnMut(&mut Nest<'_>, &Tile<'_>, [Expr; 2], &[Expr]) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        let ctx = self.points.ctx;
        let pool = &ctx.exprs;
        let (plan, domain) = (self.plan, &self.points.map.view.domain);
        let mut done = Ok(());
        let mut columns = |nest: &mut Nest<'_>, a: Expr, point: &mut Vec<Expr>| {
            nest.for_loop(Expr::ZERO, pool.constant(plan.columns.tile), plan.lanes, kind, |nest, b| {
                nest.for_loop(Expr::ZERO, pool.constant(plan.lanes), 1, Kind::Vector, |nest, lane| {
                    let at = pool.add(b, lane);
                    plan.columns.split(ctx, domain, pool.add(self.column, at), point);
                    let here = f(nest, self, [a, at], point);
                    if here.is_err() {
                        done = here;
                    }
                });
            });
        };
        if let Some(registers) = &plan.registers {
            self.each_row_of_blocks(nest, registers, &mut columns);
            return done;
        }
        nest.for_loop(Expr::ZERO, pool.constant(self.rows), 1, kind, |nest, a| {
            let mut point = self.point.clone();
            plan.rows.split(ctx, domain, pool.add(self.row, a), &mut point);
            columns(nest, a, &mut point);
        });
        done
    }

    fn finish(&self, nest: &mut Nest<'_>) -> Result<(), Diagnostic> {
        let points = self.points;
        let vectors = self.rows * self.plan.columns.tile / self.plan.lanes;
        if written_out(points, vectors) {
            return self.guarded(nest, Kind::Unroll, &mut |nest, tile, at, point| {
                let results: Vec<ValueId> = tile.slots.iter().map(|&slot| nest.load(slot, &at, &[])).collect();
                points.finish(nest, point, &results)
            });
        }
        // A long epilogue is code for one vector, in a loop over results that wait on the stack.
        let dims = [self.rows, self.plan.columns.tile];
        let waiting: Vec<ValueId> =
            (0..self.slots.len()).map(|w| nest.local(&dims, points.accumulator_type(w), false)).collect();
        self.each(nest, Kind::Unroll, &mut |nest, tile, at, _| {
            for (&slot, &place) in tile.slots.iter().zip(&waiting) {
                let value = nest.load(slot, &at, &[]);
                nest.store(value, place, &at, &[]);
            }
            Ok(())
        })?;
        self.guarded(nest, Kind::Seq, &mut |nest, _, at, point| {
            let results: Vec<ValueId> = waiting.iter().map(|&place| nest.load(place, &at, &[])).collect();
            points.finish(nest, point, &results)
        })
    }

    fn without_reduction(&self, nest: &mut Nest<'_>) -> Result<(), Diagnostic> {
        let points = self.points;
        self.guarded(nest, Kind::Unroll, &mut |nest, _, _, point| {
            let values = points.body(nest, point)?;
            let mut done = vec![];
            for (w, yielded) in values.into_iter().enumerate() {
                done.push(points.combined(nest, w, yielded.value, point)?);
            }
            points.finish(nest, point, &done)
        })
    }

    /// All results that exist: where all columns do, without a question for each.
    #[allow(clippy::type_complexity)]
    pub(super) fn guarded(
        &self,
        nest: &mut Nest<'_>,
        kind: Kind,
        f: &mut dyn FnMut(&mut Nest<'_>, &Tile<'_>, [Expr; 2], &[Expr]) -> Result<(), Diagnostic>,
    ) -> Result<(), Diagnostic> {
        let ctx = self.points.ctx;
        let pool = &ctx.exprs;
        let columns = &self.plan.columns;
        if columns.tail != Tail::Guard {
            return self.each(nest, kind, f);
        }
        let full = columns.left(ctx, pool.add(self.column, pool.constant(columns.tile - 1)));
        let mut done = Ok(());
        nest.guard(&[full], |nest| done = self.each(nest, kind, f));
        done?;
        let mut done = Ok(());
        nest.guard(&[pool.sub(pool.constant(-1), full)], |nest| {
            done = self.each(nest, kind, &mut |nest, tile, at, point| {
                let exists = columns.left(ctx, pool.add(tile.column, at[1]));
                let mut inner = Ok(());
                nest.guard(&[exists], |nest| inner = f(nest, tile, at, point));
                inner
            });
        });
        done
    }
}
