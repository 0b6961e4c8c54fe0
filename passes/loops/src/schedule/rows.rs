//! Reductions along the contiguous dimension: partial results in vectors, then one.
//!
//! Sums of floats are taken in another order here, which the toolkit's default rules allow inside of reductions.

use super::access::{self, Access, element_bits};
use super::choice::Choice;
use super::elementwise::{self, Rest, masked, rest};
use super::tile::collapsed;
use super::{Env, IN_MEMORY, ROWS, Tried, naive};
use crate::nest::{Kind, Nest};
use crate::point::Points;
use nim_ir::{Diagnostic, Expr, ValueId};
use nim_pass::Miss;

/// Vectors of partial results: enough to keep both adders busy while sums are under way.
pub const PARTIAL: i64 = 4;

/// Emits the map if the last reduction is what its reads are contiguous along.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit(points: &Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>, fixed: &[Option<Expr>]) -> Tried {
    emit_behind(None, points, nest, env, fixed)
}

/// Whether a map can be walked along with the one that makes what it reads: a map without reductions that makes nothing else, over the
/// same points, which reads and writes side by side along what is reduced.
pub fn goes_along(maker: &Points<'_>, points: &Points<'_>, env: &Env<'_>) -> bool {
    let fixed = points.fixed();
    let Ok(reduced) = direction(points, env, &fixed) else { return false };
    let [write] = maker.map.view.writes.as_slice() else { return false };
    let same = maker.map.view.domain == points.map.view.domain && maker.fixed() == fixed;
    let mut reads = points.map.view.reads.iter().filter(|r| maker.map.results.contains(&r.value)).peekable();
    let there = reads.peek().is_some() && reads.all(|r| r.subset.is_some() && r.subset == write.subset);
    let later = points.map.view.epilogue_reads.iter().any(|r| maker.map.results.contains(&r.value));
    let along = |a: &Access| !a.whole && reduced.iter().all(|&k| !a.uses[k] || a.strides[k].is_some());
    let last = reduced[reduced.len() - 1];
    let beside = |a: &Access| along(a) && (a.contiguous(last) || !a.uses[last]);
    let accesses = [access::reads(maker), access::writes(maker), access::epilogue_reads(maker)].concat();
    let bordered = (0..maker.map.view.reads.len()).any(|r| super::copies::may_be_outside(maker, r));
    same && there && !later && !bordered && maker.replaced.is_empty() && accesses.iter().all(beside)
}

/// As [`emit`]; with a map that [goes along](goes_along), each point of which is made where it is read.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit_behind(
    maker: Option<&Points<'_>>,
    points: &Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
    fixed: &[Option<Expr>],
) -> Tried {
    let (ctx, view) = (points.ctx, &points.map.view);
    let reduced = match direction(points, env, fixed).and_then(|k| env.may(points, ROWS).map(|()| k)) {
        Ok(reduced) => reduced,
        Err(why) => return Ok(Err(why)),
    };
    env.taken = Some(Choice::Rows(None));
    let pool = &ctx.exprs;
    naive::fill_starts(points, nest)?;
    let is_reduction = points.map.reductions(ctx);
    let free = |wanted: bool| -> Vec<usize> {
        (0..view.rank())
            .filter(|&k| fixed[k].is_none() && view.domain[k] != Expr::ONE && is_reduction[k] == wanted)
            .filter(|k| !reduced.contains(k))
            .collect()
    };
    let (outer, inner) = (free(false), free(true));
    let rest = rest(points, env, &reduced);
    let group = super::tile::Group::new(ctx, &view.domain, reduced);
    let accumulators = (0..view.writes.len()).map(|w| points.accumulator_bits(w)).max().unwrap_or(32);
    let bits = accumulators.max(element_bits(points));
    let lanes = i64::from((env.options.target.vector_bits / bits).max(1));
    env.chosen(super::elementwise::explain(ctx, points.shown(group.size), lanes, rest));
    let short = pool.as_const(group.size).is_some_and(|n| n < 2 * lanes * PARTIAL);
    let partial = match env.wanted {
        Some(Choice::Rows(Some(partial))) => partial,
        _ if short => 1,
        _ => PARTIAL,
    };
    let counts: Vec<Expr> = outer.iter().map(|&k| view.domain[k]).collect();
    let kind = nest.outermost();
    let mut failed = None;
    collapsed(nest, &counts, kind, &mut |nest, at| {
        let mut point: Vec<Expr> = fixed.iter().map(|f| f.unwrap_or(Expr::ZERO)).collect();
        for (&k, &iv) in outer.iter().zip(at) {
            point[k] = iv;
        }
        let row = Row { maker, points, group: &group, inner: &inner, lanes, partial, rest };
        if let Err(e) = row.emit(nest, &mut point) {
            failed = Some(e);
        }
    });
    failed.map_or(Ok(Ok(())), Err)
}

/// Why the map cannot be walked so.
///
/// # Errors
/// That.
pub fn fits(points: &Points<'_>, env: &Env<'_>) -> Result<(), Miss> {
    direction(points, env, &points.fixed()).map(|_| ())
}

/// The reduction dimensions to make vectors along, outermost first: the one that reads are contiguous along, and those
/// that collapse with it.
///
/// # Errors
/// Why there is none.
pub fn direction(points: &Points<'_>, env: &Env<'_>, fixed: &[Option<Expr>]) -> Result<Vec<usize>, Miss> {
    let (ctx, view) = (points.ctx, &points.map.view);
    let pool = &ctx.exprs;
    if naive::in_memory(points) {
        return Err(IN_MEMORY);
    }
    if view.reads.is_empty() || view.reads.iter().any(|r| r.subset.is_none()) {
        return Err(Miss("it reads nothing, or whole containers"));
    }
    if !env.reorders(points) {
        return Err(Miss("it reduces nothing, or what must be taken in order"));
    }
    let reads = access::reads(points);
    let is_reduction = points.map.reductions(ctx);
    let candidates = (0..view.rank()).filter(|&k| is_reduction[k] && fixed[k].is_none() && view.domain[k] != Expr::ONE);
    let fits =
        |k: usize| reads.iter().all(|a: &Access| a.contiguous(k) || !a.uses[k]) && reads.iter().any(|a| a.uses[k]);
    let last = candidates.clone().find(|&k| fits(k) && env.estimate(view.domain[k], 64) >= 8.0);
    let last = last.ok_or(Miss("its reads do not lie side by side along a reduction of eight and more"))?;
    // Another dimension that no read tells apart is what a matrix product has: rows and columns do better there.
    // Unless there is one that is used up: each of its elements serves one result, and it is streamed as it lies.
    let shared = (0..view.rank()).filter(|&k| !is_reduction[k] && fixed[k].is_none() && view.domain[k] != Expr::ONE);
    let reused = shared
        .clone()
        .any(|k| env.estimate(view.domain[k], 64) >= 4.0 && reads.iter().any(|a| a.uses[last] && !a.uses[k]));
    let used_up = (0..reads.len()).any(|r| {
        let all = reads[r].uses[last] && shared.clone().all(|k| reads[r].uses[k]);
        all && env.constant_arg(points, r).is_none()
    });
    let reused = reused && !used_up;
    let bordered = (0..view.reads.len()).any(|r| super::copies::may_be_outside(points, r));
    if reused {
        return Err(Miss("a read is the same along a parallel dimension, which tiles make use of"));
    }
    if bordered {
        return Err(Miss("a read may lie outside of its container"));
    }
    let mut run = vec![last];
    while let Some(&first) = run.first() {
        let collapses = |k: usize| {
            reads.iter().all(|a| match (a.strides[k], a.strides[first]) {
                (Some(o), Some(i)) => o == pool.mul(i, view.domain[first]),
                _ => false,
            })
        };
        match candidates.clone().filter(|k| !run.contains(k)).find(|&k| collapses(k)) {
            Some(k) => run.insert(0, k),
            None => break,
        }
    }
    Ok(run)
}

struct Row<'p> {
    maker: Option<&'p Points<'p>>,
    points: &'p Points<'p>,
    group: &'p super::tile::Group,
    inner: &'p [usize],
    lanes: i64,
    partial: i64,
    rest: Rest,
}

impl Row<'_> {
    fn emit(&self, nest: &mut Nest<'_>, point: &mut [Expr]) -> Result<(), Diagnostic> {
        let points = self.points;
        let (ctx, view) = (points.ctx, &points.map.view);
        let pool = &ctx.exprs;
        let (lanes, partial) = (pool.constant(self.lanes), pool.constant(self.partial));
        let (mut vectors, mut scalars) = (vec![], vec![]);
        for w in 0..view.writes.len() {
            let ty = points.accumulator_type(w);
            let (vector, scalar) = (nest.local(&[self.partial, self.lanes], ty, true), nest.local(&[], ty, true));
            nest.for_loop(Expr::ZERO, partial, 1, Kind::Unroll, |nest, u| {
                nest.for_loop(Expr::ZERO, lanes, 1, Kind::Vector, |nest, lane| {
                    let neutral = points.neutral(nest, w);
                    nest.store(neutral, vector, &[u, lane], &[]);
                });
            });
            let start = points.start(nest, w, point)?;
            nest.store(start, scalar, &[], &[]);
            vectors.push(vector);
            scalars.push(scalar);
        }
        let mut failed = None;
        let counts: Vec<Expr> = self.inner.iter().map(|&k| view.domain[k]).collect();
        nest.ranges(&counts, Kind::Seq, &mut |nest, at| {
            for (&k, &iv) in self.inner.iter().zip(at) {
                point[k] = iv;
            }
            if let Err(e) = self.line(nest, point, &vectors, &scalars) {
                failed = Some(e);
            }
        });
        if let Some(e) = failed {
            return Err(e);
        }
        for (w, (&vector, &scalar)) in vectors.iter().zip(&scalars).enumerate() {
            self.fold(nest, w, vector, scalar);
        }
        let results: Vec<ValueId> = scalars.iter().map(|&s| nest.load(s, &[], &[])).collect();
        points.finish(nest, point, &results)
    }

    /// What the map that goes along makes at a point, as reads of this one.
    fn made(&self, nest: &mut Nest<'_>, point: &[Expr]) -> Result<Vec<(usize, ValueId)>, Diagnostic> {
        let Some(maker) = self.maker else { return Ok(vec![]) };
        let values = elementwise::element(maker, nest, point)?;
        let reads = self.points.map.view.reads.iter().enumerate();
        Ok(reads.filter(|(_, r)| maker.map.results.contains(&r.value)).map(|(i, _)| (i, values[0])).collect())
    }

    /// One run along the contiguous dimension: vectors, then what is left, under a mask or one by one.
    fn line(
        &self,
        nest: &mut Nest<'_>,
        point: &mut [Expr],
        vectors: &[ValueId],
        scalars: &[ValueId],
    ) -> Result<(), Diagnostic> {
        let points = self.points;
        let (ctx, domain) = (points.ctx, &points.map.view.domain);
        let pool = &ctx.exprs;
        let mut failed = None;
        let mut visit = |nest: &mut Nest<'_>, index: Expr, slots: &[ValueId], at: &[Expr]| {
            self.group.split(ctx, domain, index, point);
            match self.made(nest, point).and_then(|made| points.body_given(nest, point, &made)) {
                Ok(values) => {
                    for (w, yielded) in values.into_iter().enumerate() {
                        let value = points.convert(nest, yielded.value, points.accumulator_type(w));
                        let old = nest.load(slots[w], at, &[]);
                        let new = points.combine(nest, w, old, value);
                        nest.store(new, slots[w], at, &[]);
                    }
                }
                Err(e) => failed = Some(e),
            }
        };
        let size = self.group.size;
        let mut start = Expr::ZERO;
        let mut widths = vec![self.lanes * self.partial, self.lanes];
        widths.dedup();
        for width in widths {
            let step = pool.constant(width);
            let end = pool.add(start, pool.mul(pool.floordiv(pool.sub(size, start), step), step));
            let end = pool.simplify(end, nest.facts);
            if end == start {
                continue;
            }
            nest.for_loop(start, end, width, Kind::Seq, |nest, base| {
                let vectors_here = pool.constant(width / self.lanes);
                nest.for_loop(Expr::ZERO, vectors_here, 1, Kind::Unroll, |nest, u| {
                    nest.for_loop(Expr::ZERO, pool.constant(self.lanes), 1, Kind::Vector, |nest, lane| {
                        let index = pool.sum([base, pool.scale(self.lanes, u), lane]);
                        visit(nest, index, vectors, &[u, lane]);
                    });
                });
            });
            start = end;
        }
        if pool.prove_le(size, start, nest.facts) {
        } else if self.rest == Rest::Masked && !pool.prove_le(size, pool.add(start, Expr::ONE), nest.facts) {
            masked(nest, start, size, self.lanes, &mut |nest, lane, index| {
                visit(nest, index, vectors, &[Expr::ZERO, lane]);
            });
        } else {
            nest.for_loop(start, size, 1, Kind::Seq, |nest, index| visit(nest, index, scalars, &[]));
        }
        failed.map_or(Ok(()), Err)
    }

    /// Partial results into one: vectors pairwise, then halves of a vector, then with the scalar.
    fn fold(&self, nest: &mut Nest<'_>, w: usize, vector: ValueId, scalar: ValueId) {
        let points = self.points;
        let pool = &points.ctx.exprs;
        let mut count = self.partial;
        while count > 1 {
            let half = count / 2;
            nest.for_loop(Expr::ZERO, pool.constant(half), 1, Kind::Unroll, |nest, u| {
                nest.for_loop(Expr::ZERO, pool.constant(self.lanes), 1, Kind::Vector, |nest, lane| {
                    let (a, b) = ([u, lane], [pool.add(u, pool.constant(half)), lane]);
                    let (x, y) = (nest.load(vector, &a, &[]), nest.load(vector, &b, &[]));
                    let sum = points.combine(nest, w, x, y);
                    nest.store(sum, vector, &a, &[]);
                });
            });
            count = half;
        }
        let mut lanes = self.lanes;
        while lanes > 1 {
            let half = lanes / 2;
            nest.for_loop(Expr::ZERO, pool.constant(half), 1, Kind::Vector, |nest, lane| {
                let (a, b) = ([Expr::ZERO, lane], [Expr::ZERO, pool.add(lane, pool.constant(half))]);
                let (x, y) = (nest.load(vector, &a, &[]), nest.load(vector, &b, &[]));
                let sum = points.combine(nest, w, x, y);
                nest.store(sum, vector, &a, &[]);
            });
            lanes = half;
        }
        let (x, y) = (nest.load(scalar, &[], &[]), nest.load(vector, &[Expr::ZERO, Expr::ZERO], &[]));
        let sum = points.combine(nest, w, x, y);
        nest.store(sum, scalar, &[], &[]);
    }
}
