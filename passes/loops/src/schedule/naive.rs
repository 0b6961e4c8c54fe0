//! The plain nest: parallel dimensions outside, reductions inside, one point after the other.
//!
//! It is right for every map, and the yardstick and fallback of the other schedules. Scatters and maps whose writes
//! mention different dimensions combine in memory, in order.

use crate::nest::{Kind, Nest};
use crate::point::{Points, Yielded};
use nim_dataflow::Combine;
use nim_ir::{Diagnostic, Expr, ValueId};

/// Emits the plain nest of a map. `fixed` gives the dimensions that loops outside have fixed already.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit(points: &Points<'_>, nest: &mut Nest<'_>, fixed: &[Option<Expr>]) -> Result<(), Diagnostic> {
    fill_starts(points, nest)?;
    if in_memory(points) {
        return emit_in_memory(points, nest, fixed);
    }
    let map = points.map;
    let reductions = map.reductions(points.ctx);
    let outer: Vec<usize> = (0..fixed.len()).filter(|&k| !reductions[k] && fixed[k].is_none()).collect();
    let inner: Vec<usize> = (0..fixed.len()).filter(|&k| reductions[k] && fixed[k].is_none()).collect();
    let mut failed = None;
    let outer_counts: Vec<Expr> = outer.iter().map(|&k| map.view.domain[k]).collect();
    let mut kind = nest.outermost();
    let mut point: Vec<Expr> = fixed.iter().map(|f| f.unwrap_or(Expr::ZERO)).collect();
    walk(nest, &outer_counts, &mut kind, &mut vec![], &mut |nest, at| {
        for (&k, &iv) in outer.iter().zip(at) {
            point[k] = iv;
        }
        if let Err(e) = one_result(points, nest, &mut point.clone(), &inner) {
            failed = Some(e);
        }
    });
    failed.map_or(Ok(()), Err)
}

/// Loops, the outermost of the first kind, all others sequential.
fn walk(
    nest: &mut Nest<'_>,
    counts: &[Expr],
    kind: &mut Kind,
    at: &mut Vec<Expr>,
    f: &mut dyn FnMut(&mut Nest<'_>, &[Expr]),
) {
    let Some((&first, rest)) = counts.split_first() else { return f(nest, at) };
    if first == Expr::ONE {
        at.push(Expr::ZERO);
        walk(nest, rest, kind, at, f);
    } else {
        let this = std::mem::replace(kind, Kind::Seq);
        nest.for_loop(Expr::ZERO, first, 1, this, |nest, iv| {
            at.push(iv);
            walk(nest, rest, kind, at, f);
        });
    }
    at.pop();
}

/// One point of the parallel dimensions: start, reduce, finish.
fn one_result(points: &Points<'_>, nest: &mut Nest<'_>, point: &mut [Expr], inner: &[usize]) -> Result<(), Diagnostic> {
    let writes = points.map.view.writes.len();
    if inner.is_empty() {
        let values: Vec<ValueId> = points.body(nest, point)?.into_iter().map(|y| y.value).collect();
        let mut done = vec![];
        for (w, value) in values.into_iter().enumerate() {
            done.push(points.combined(nest, w, value, point)?);
        }
        return points.finish(nest, point, &done);
    }
    let mut slots = vec![];
    for w in 0..writes {
        let slot = nest.local(&[], points.accumulator_type(w), true);
        let start = points.start(nest, w, point)?;
        nest.store(start, slot, &[], &[]);
        slots.push(slot);
    }
    let counts: Vec<Expr> = inner.iter().map(|&k| points.map.view.domain[k]).collect();
    let mut failed = None;
    nest.ranges(&counts, Kind::Seq, &mut |nest, at| {
        for (&k, &iv) in inner.iter().zip(at) {
            point[k] = iv;
        }
        match points.body(nest, point) {
            Ok(values) => {
                for (w, yielded) in values.into_iter().enumerate() {
                    let value = points.convert(nest, yielded.value, points.accumulator_type(w));
                    let old = nest.load(slots[w], &[], &[]);
                    let new = points.combine(nest, w, old, value);
                    nest.store(new, slots[w], &[], &[]);
                }
            }
            Err(e) => failed = Some(e),
        }
    });
    if let Some(e) = failed {
        return Err(e);
    }
    let results: Vec<ValueId> = slots.iter().map(|&slot| nest.load(slot, &[], &[])).collect();
    points.finish(nest, point, &results)
}

/// Whether results are combined where they lie: scatters, and writes that a parallel dimension does not tell apart.
pub fn in_memory(points: &Points<'_>) -> bool {
    let map = points.map;
    if map.view.has_scatter() {
        return true;
    }
    let reductions = map.reductions(points.ctx);
    map.view.writes.iter().any(|w| {
        let indices = w.subset.as_deref().unwrap_or_default();
        (0..reductions.len()).any(|k| {
            !reductions[k]
                && map.view.domain[k] != Expr::ONE
                && !indices.iter().any(|&e| points.ctx.exprs.mentions(e, map.ivs[k]))
        })
    })
}

/// Whether write `w` provably reaches every element of its result: each index counts through its dimension in mixed radix
/// (`$0`, or `4*$0 + $1` where `$1` has 4 values), every iteration variable at one place.
pub fn covers(points: &Points<'_>, w: usize) -> bool {
    let (ctx, view) = (points.ctx, &points.map.view);
    let pool = &ctx.exprs;
    let write = &view.writes[w];
    let (Some(subset), Some(dims)) = (&write.subset, ctx.dim_exprs(write.ty)) else { return false };
    let mut used = vec![false; view.rank()];
    subset.iter().zip(&dims).all(|(&index, &dim)| {
        // Variables of one value are 0.
        let index = pool.substitute(index, &mut |s| {
            let k = points.map.ivs.iter().position(|&iv| iv == s)?;
            (view.domain[k] == Expr::ONE).then_some(Expr::ZERO)
        });
        let mut steps = vec![];
        let mut rest = index;
        for (k, &iv) in points.map.ivs.iter().enumerate() {
            let Some((step, other)) = pool.linear_in(rest, iv) else { return false };
            if step != Expr::ZERO {
                if std::mem::replace(&mut used[k], true) {
                    return false;
                }
                steps.push((step, view.domain[k]));
                rest = other;
            }
        }
        // Each step is the product of the extents below it, whatever their order.
        let mut reached = Expr::ONE;
        while let Some(at) = steps.iter().position(|&(step, _)| step == reached) {
            reached = pool.mul(reached, steps.swap_remove(at).1);
        }
        rest == Expr::ZERO && steps.is_empty() && reached == dim
    })
}

/// Writes the start into results that the map does not write everywhere, or that it combines in memory.
pub fn fill_starts(points: &Points<'_>, nest: &mut Nest<'_>) -> Result<(), Diagnostic> {
    // Maps of blocks write everywhere: that is verified.
    if points.block.is_some() {
        return Ok(());
    }
    let all = in_memory(points);
    let (ctx, view) = (points.ctx, &points.map.view);
    for (w, write) in view.writes.iter().enumerate() {
        if covers(points, w) && !all {
            continue;
        }
        let target = points.buffer(points.map.results[w])?;
        let source = match write.init_value {
            Some(tensor) => Some(points.buffer(tensor)?),
            None => None,
        };
        // The result took over the buffer of what it starts from.
        if source == Some(target) {
            continue;
        }
        if source.is_none() && write.init.is_none() && !all {
            continue;
        }
        let dims = ctx.dim_exprs(nest.body.ty(target)).unwrap_or_default();
        let ty = points.result_type(w);
        super::elementwise::fill(nest, &dims, &mut |nest, at| {
            let value = match source {
                Some(buffer) => nest.load(buffer, at, &[]),
                None => {
                    let start = points.initial(nest, w);
                    points.convert(nest, start, ty)
                }
            };
            nest.store(value, target, at, &[]);
        });
    }
    Ok(())
}

/// All points in order, each combined into memory at once; then the epilogue.
fn emit_in_memory(points: &Points<'_>, nest: &mut Nest<'_>, fixed: &[Option<Expr>]) -> Result<(), Diagnostic> {
    let map = points.map;
    let free: Vec<usize> = (0..fixed.len()).filter(|&k| fixed[k].is_none()).collect();
    let counts: Vec<Expr> = free.iter().map(|&k| map.view.domain[k]).collect();
    let mut failed = None;
    let mut point: Vec<Expr> = fixed.iter().map(|f| f.unwrap_or(Expr::ZERO)).collect();
    nest.ranges(&counts, Kind::Seq, &mut |nest, at| {
        for (&k, &iv) in free.iter().zip(at) {
            point[k] = iv;
        }
        if let Err(e) = into_memory(points, nest, &point) {
            failed = Some(e);
        }
    });
    failed.map_or(Ok(()), Err)
}

fn into_memory(points: &Points<'_>, nest: &mut Nest<'_>, point: &[Expr]) -> Result<(), Diagnostic> {
    let ctx = points.ctx;
    let values = points.body(nest, point)?;
    for (w, yielded) in values.into_iter().enumerate() {
        let write = &points.map.view.writes[w];
        let buffer = points.buffer(points.map.results[w])?;
        let dims = ctx.dim_exprs(nest.body.ty(buffer)).unwrap_or_default();
        let Some(indices) = &write.subset else {
            scatter(points, nest, w, &yielded, buffer, &dims);
            continue;
        };
        let at = points.map.all_at(ctx, indices, point);
        let value = match write.combine {
            Combine::None => yielded.value,
            _ => {
                let old = nest.load(buffer, &at, &[]);
                points.combine_stored(nest, w, old, yielded.value)
            }
        };
        nest.store(value, buffer, &at, &[]);
    }
    Ok(())
}

/// A write whose indices are values: an index outside writes back what lies at the nearest place inside.
fn scatter(points: &Points<'_>, nest: &mut Nest<'_>, w: usize, yielded: &Yielded, buffer: ValueId, dims: &[Expr]) {
    let ctx = points.ctx;
    let pool = &ctx.exprs;
    let truth = ctx.int_type(1);
    let symbols: Vec<Expr> = (0..dims.len()).map(|k| nim_loops::value_symbol(ctx, k)).collect();
    let last: Vec<Expr> = dims.iter().map(|&dim| pool.sub(dim, Expr::ONE)).collect();
    let at: Vec<Expr> = symbols.iter().zip(&last).map(|(&v, &last)| pool.max(pool.min(v, last), Expr::ZERO)).collect();
    // Nothing may be touched in a container without elements.
    nest.guard(&last, |nest| {
        let mut inside = nest.constant(ctx.int_attr(1, truth), truth);
        for (&value, &dim) in yielded.indices.iter().zip(dims) {
            let end = nest.index(dim);
            // Unsigned, so that negative indices are too large.
            let predicate = [("predicate", ctx.i64_attr(6))];
            let below = nest.builder().value("arith.cmpi", &[value, end], truth, &predicate);
            inside = nest.builder().value("arith.andi", &[inside, below], truth, &[]);
        }
        let old = nest.load(buffer, &at, &yielded.indices);
        let new = match points.map.view.writes[w].combine {
            Combine::None => yielded.value,
            _ => points.combine_stored(nest, w, old, yielded.value),
        };
        let ty = nest.body.ty(new);
        let chosen = nest.builder().value("arith.select", &[inside, new, old], ty, &[]);
        nest.store(chosen, buffer, &at, &yielded.indices);
    });
}
