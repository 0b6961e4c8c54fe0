//! Maps without reductions: one loop where dimensions collapse, vectors along the contiguous dimension.

use super::access::{self, Access, element_bits, estimate};
use super::choice::Choice;
use super::tile::collapsed;
use super::{Env, IN_MEMORY, Tried, VECTORS, naive};
use crate::nest::{Kind, Nest};
use crate::point::Points;
use nim_ir::{Context, Diagnostic, Expr, ValueId};
use nim_pass::Miss;

/// Elements that one iteration of a parallel loop handles at least, where there are as many.
const GRAIN: i64 = 4096;

/// Vectors that are written out one behind the other.
pub const UNROLLED: i64 = 2;

/// Visits all indices of a buffer.
pub fn fill(nest: &mut Nest<'_>, dims: &[Expr], f: &mut dyn FnMut(&mut Nest<'_>, &[Expr])) {
    nest.ranges(dims, Kind::Seq, f);
}

/// How elements are done that are fewer than a vector.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// One by one.
    Single,
    /// As a vector of which some lanes are off.
    Masked,
}

/// `0..size` in vectors of `lanes`, `unroll` of them at a time, then one by one.
pub fn along(nest: &mut Nest<'_>, size: Expr, lanes: i64, unroll: i64, f: &mut dyn FnMut(&mut Nest<'_>, Expr)) {
    between(nest, Expr::ZERO, size, lanes, unroll, Rest::Single, f);
}

/// As [`along`], for `lower..upper`.
pub fn between(
    nest: &mut Nest<'_>,
    lower: Expr,
    upper: Expr,
    lanes: i64,
    unroll: i64,
    rest: Rest,
    f: &mut dyn FnMut(&mut Nest<'_>, Expr),
) {
    let ctx = nest.ctx;
    let pool = &ctx.exprs;
    let mut start = lower;
    let mut widths = vec![lanes * unroll, lanes];
    widths.dedup();
    for width in widths.into_iter().filter(|&w| w > 1) {
        let span = pool.sub(upper, start);
        let step = pool.constant(width);
        let end = pool.add(start, pool.mul(pool.floordiv(span, step), step));
        let end = pool.simplify(end, nest.facts);
        if end == start {
            continue;
        }
        nest.for_loop(start, end, width, Kind::Seq, |nest, base| {
            nest.for_loop(Expr::ZERO, step, lanes, Kind::Unroll, |nest, u| {
                nest.for_loop(Expr::ZERO, pool.constant(lanes), 1, Kind::Vector, |nest, lane| {
                    f(nest, pool.sum([base, u, lane]));
                });
            });
        });
        start = end;
    }
    if pool.prove_le(upper, start, nest.facts) {
        return;
    }
    if rest == Rest::Single || lanes == 1 || pool.prove_le(upper, pool.add(start, Expr::ONE), nest.facts) {
        return nest.for_loop(start, upper, 1, Kind::Seq, |nest, i| f(nest, i));
    }
    masked(nest, start, upper, lanes, &mut |nest, _, i| f(nest, i));
}

/// Vectors over `lower..upper` whose lanes behind the end are off; the closure gets the lane and the index.
pub fn masked(nest: &mut Nest<'_>, lower: Expr, upper: Expr, lanes: i64, f: &mut dyn FnMut(&mut Nest<'_>, Expr, Expr)) {
    let pool = &nest.ctx.exprs;
    let last = pool.sub(upper, Expr::ONE);
    nest.for_loop(lower, upper, lanes, Kind::Seq, |nest, base| {
        nest.for_loop(Expr::ZERO, pool.constant(lanes), 1, Kind::Vector, |nest, lane| {
            let index = pool.add(base, lane);
            nest.guard(&[pool.sub(last, index)], |nest| f(nest, lane, index));
        });
    });
}

/// In words what is done with less than a vector, where the size is not known before.
pub fn explain(ctx: &Context, size: Expr, lanes: i64, rest: Rest) -> Option<String> {
    let how = match rest {
        Rest::Masked => "under a mask",
        Rest::Single => "one by one",
    };
    let known = ctx.exprs.as_const(size).is_some();
    (!known && lanes > 1).then(|| format!("{} in vectors of {lanes}: what is left {how}", ctx.exprs.display(size)))
}

/// Whether what is left along these dimensions, the last of which vectors run along, may be done under a mask: what the map reads and
/// writes there must lie side by side or be the same for all, and the machine must have masks for such elements.
pub fn rest(points: &Points<'_>, env: &Env<'_>, run: &[usize]) -> Rest {
    let [.., last] = run[..] else { return Rest::Single };
    let (ctx, view) = (points.ctx, &points.map.view);
    let accesses = [access::reads(points), access::writes(points), access::epilogue_reads(points)].concat();
    let vectors = |a: &Access| !a.whole && (a.contiguous(last) || run.iter().all(|&k| !a.uses[k]));
    let bordered = (0..view.reads.len()).any(|r| super::copies::may_be_outside(points, r));
    let read = view.reads.iter().chain(&view.epilogue_reads).map(|r| points.source.ty(r.value));
    let types = read.chain(view.writes.iter().map(|w| w.ty));
    let narrowest = types.map(|ty| ctx.dtype_of(ty).map_or(0, |d| d.bits() as u32)).min().unwrap_or(0);
    let fits = narrowest >= 8 && env.options.target.masks(narrowest);
    if fits && !bordered && accesses.iter().all(vectors) { Rest::Masked } else { Rest::Single }
}

/// Whether a map is one of these: without reductions that anybody would notice, and with results that are written once.
pub fn suits(points: &Points<'_>) -> bool {
    let (view, reductions) = (&points.map.view, points.map.reductions(points.ctx));
    !naive::in_memory(points) && !(0..view.rank()).any(|k| reductions[k] && view.domain[k] != Expr::ONE)
}

/// Emits a map without reductions.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit(points: &Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>, fixed: &[Option<Expr>]) -> Tried {
    let (ctx, view) = (points.ctx, &points.map.view);
    let pool = &ctx.exprs;
    if naive::in_memory(points) {
        return Ok(Err(IN_MEMORY));
    }
    let dims: Vec<usize> = (0..view.rank()).filter(|&k| fixed[k].is_none() && view.domain[k] != Expr::ONE).collect();
    let reductions = points.map.reductions(ctx);
    if dims.iter().any(|&k| reductions[k]) {
        return Ok(Err(Miss("it has reductions")));
    }
    if let Err(why) = env.may(points, VECTORS) {
        return Ok(Err(why));
    }
    env.taken = Some(Choice::Vectors(None));
    naive::fill_starts(points, nest)?;
    let (reads, writes) = (access::reads(points), access::writes(points));
    let all: Vec<&Access> = reads.iter().chain(&writes).collect();
    let column = best_column(points, &dims, &reads, &writes);
    let bits = element_bits(points);
    let lanes = i64::from((env.options.target.vector_bits / bits).max(1));
    // Dimensions that are one to every access, with the column as the last.
    let bordered: Vec<bool> = (0..view.reads.len()).map(|r| super::copies::may_be_outside(points, r)).collect();
    let mut run: Vec<usize> = column.into_iter().collect();
    while let Some(&first) = run.first() {
        let next = dims.iter().copied().filter(|k| !run.contains(k)).find(|&k| {
            let plain = reads.iter().zip(&bordered).all(|(a, &b)| !b || (!a.uses[k] && !a.uses[first]));
            plain
                && !mentioned_in_body(points, k)
                && !mentioned_in_body(points, first)
                && all.iter().all(|a| match (a.strides[k], a.strides[first]) {
                    (Some(o), Some(i)) => !a.whole && o == pool.mul(i, view.domain[first]),
                    _ => false,
                })
        });
        match next {
            Some(k) => run.insert(0, k),
            None => break,
        }
    }
    let group = super::tile::Group::new(ctx, &view.domain, run.clone());
    let unroll = match env.wanted {
        Some(Choice::Vectors(Some(unroll))) => unroll,
        _ => UNROLLED,
    };
    let rest = rest(points, env, &run);
    env.chosen(explain(ctx, points.shown(group.size), lanes, rest));
    let outer: Vec<usize> = dims.iter().copied().filter(|k| !run.contains(k)).collect();
    let mut counts: Vec<Expr> = outer.iter().map(|&k| view.domain[k]).collect();
    let around: f64 = counts.iter().map(|&c| env.estimate(c, 64)).product();
    // Too few iterations outside: the column itself is cut into parts.
    let grain = pool.constant(GRAIN);
    let cut = around < 16.0 && pool.as_const(group.size).is_none_or(|n| n > GRAIN);
    counts.push(if cut { pool.ceildiv(group.size, grain) } else { Expr::ONE });
    let kind = nest.outermost();
    let mut failed = None;
    collapsed(nest, &counts, kind, &mut |nest, at| {
        let mut point: Vec<Expr> = fixed.iter().map(|f| f.unwrap_or(Expr::ZERO)).collect();
        for (&k, &iv) in outer.iter().zip(at) {
            point[k] = iv;
        }
        let (lower, upper) = if cut {
            let lower = pool.mul(at[at.len() - 1], grain);
            (lower, pool.min(pool.add(lower, grain), group.size))
        } else {
            (Expr::ZERO, group.size)
        };
        let mut one = |nest: &mut Nest<'_>, index: Expr| {
            group.split(ctx, &view.domain, index, &mut point);
            if let Err(e) = element(points, nest, &point) {
                failed = Some(e);
            }
        };
        if run.is_empty() {
            one(nest, Expr::ZERO);
        } else {
            between(nest, lower, upper, lanes, unroll, rest, &mut one);
        }
    });
    failed.map_or(Ok(Ok(())), Err)
}

/// The dimension along which most accesses are contiguous; writes count double, and scattered vectors are worst.
fn best_column(points: &Points<'_>, dims: &[usize], reads: &[Access], writes: &[Access]) -> Option<usize> {
    let ctx = points.ctx;
    let score = |k: usize| -> i64 {
        let one = |a: &Access, weight: i64| {
            if !a.uses[k] {
                0
            } else if a.contiguous(k) {
                2 * weight
            } else {
                -weight
            }
        };
        let extent = estimate(ctx, points.map.view.domain[k], 64);
        let short = if extent < 8.0 { -3 } else { 0 };
        reads.iter().map(|a| one(a, 1)).sum::<i64>() + writes.iter().map(|a| one(a, 2)).sum::<i64>() + short
    };
    dims.iter().copied().max_by_key(|&k| (score(k), k))
}

fn mentioned_in_body(points: &Points<'_>, k: usize) -> bool {
    let (ctx, iv) = (points.ctx, points.map.ivs[k]);
    let blocks = [Some(points.map.view.body), points.map.view.epilogue];
    blocks.into_iter().flatten().flat_map(|b| points.source.block_ops(b)).any(|op| {
        let expr = points.source.attr_named(ctx, op, "expr").and_then(|a| ctx.as_expr(a));
        expr.is_some_and(|e| ctx.exprs.mentions(e, iv))
    })
}

/// One point of a map without reductions; gives what is written there.
///
/// # Errors
/// What [`Points`] reports.
pub fn element(points: &Points<'_>, nest: &mut Nest<'_>, point: &[Expr]) -> Result<Vec<ValueId>, Diagnostic> {
    let values = points.body(nest, point)?;
    let mut done: Vec<ValueId> = vec![];
    for (w, yielded) in values.into_iter().enumerate() {
        done.push(points.combined(nest, w, yielded.value, point)?);
    }
    points.written(nest, point, &done)
}
