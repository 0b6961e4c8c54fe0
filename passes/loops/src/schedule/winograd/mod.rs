//! Convolutions with fewer products: windows of neighbours as short convolutions of Toom and Cook along one or two dimensions.
//!
//! ```text
//! for a block of tiles:                      (shared out to threads)
//!   V[x, tile, c] = input transform of the tile's patch of channel c
//!   for a block of columns:
//!     M[x, tile, k] = sum over c of V[x, tile, c] * U[x, c, k]          a product of matrices for each x
//!     result[tile, k] = output transform of M, and the epilogue
//! ```
//!
//! `U` is made of the weights when compiling ([`Packing::matrices`]). Blocks are so small that `V` and `M` stay in the second-level
//! cache. Where there are few tiles and so many channels that all of `U` would be fetched again for each block, the inputs are all
//! transformed first, and a block's `U` is fetched once. Rounding errors are larger than those of plain sums by a factor that the algorithm's matrices tell; it is taken only
//! where the tolerance that was set allows it, and where an estimate says that it is faster.

mod emit;
mod plan;

use super::access::{self, Access};
use super::choice::Choice;
use super::tile::Group;
use super::{Env, Tried, WINOGRAD, naive};

use crate::nest::Nest;
use crate::packing::Packing;
use crate::point::Points;
use emit::Emitter;
use nim_dataflow::Combine;
use nim_ir::{AttrData, Expr, FloatKind, TypeData, ValueId};
use nim_pass::Miss;
use plan::{Plan, padded, search};

/// Relative error of a plain sum, as a part of the largest: what was measured for normally distributed numbers, to the safe side.
const PLAIN_ERROR: f64 = 2.5e-7;

/// A window: results along `parallel` see neighbours along `reduction`, on dimension `axis` of the data.
#[derive(Clone, Copy, Debug)]
struct Window {
    parallel: usize,
    reduction: usize,
    axis: usize,
    taps: usize,
}

/// The map, taken apart.
struct Convolution {
    data: usize,
    weights: usize,
    /// Number of the kernel's argument that holds the weights.
    arg: usize,
    windows: Vec<Window>,
    /// The channels: what is summed over beside the windows, side by side in memory.
    channel: usize,
    channels: i64,
    /// Groups: parallel dimensions that both factors depend on.
    batch: Vec<usize>,
    /// Results for the same data.
    column: usize,
    columns: i64,
    /// Parallel dimensions that the weights do not depend on, those of windows among them.
    rows: Vec<usize>,
}

/// Emits the map if it is a convolution that is faster this way.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit(points: &mut Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>) -> Tried {
    let found = match recognise(points, env) {
        Ok(found) => found,
        Err(why) => return Ok(Err(Miss(why))),
    };
    let Some(plan) = search(points, env, &found) else {
        return Ok(Err(Miss(
            "plain sums of products are as fast, or the tolerance that is set is smaller than its error",
        )));
    };
    if let Err(why) = env.may(points, WINOGRAD) {
        return Ok(Err(why));
    }
    env.taken = Some(plan.choice());
    naive::fill_starts(points, nest)?;
    let packed = pack(points, nest, env, &found, &plan);
    let lanes = env.lanes(points.ctx.f32_type());
    let tiles = Group::new(points.ctx, &plan.tiles, found.rows.clone());
    let shared = plan.shared.then(|| {
        let pool = &points.ctx.exprs;
        let mut dims: Vec<Expr> = found.batch.iter().map(|&k| plan.tiles[k]).collect();
        // Rows of the last tile of products may lie behind the last tile.
        let rows = pool.scale(plan.rows, pool.ceildiv(tiles.size, pool.constant(plan.rows)));
        dims.extend([pool.constant(plan.products()), rows, pool.constant(padded(found.channels))]);
        env.temporary(nest, points.ctx.memref_of(&dims, points.ctx.f32_type()))
    });
    let mut emitter = Emitter { points, found: &found, plan: &plan, tiles, packed, shared, lanes, failed: None };
    emitter.walk(nest);
    emitter.failed.map_or(Ok(Ok(())), Err)
}

/// The schedules of this kind that a map has, and the estimate of each as a part of that of plain sums, the cheapest first.
pub fn candidates(points: &Points<'_>, env: &Env<'_>) -> Vec<(Choice, f64)> {
    let Ok(found) = recognise(points, env) else { return vec![] };
    let plain = plan::plain(points, env, &found);
    let mut all: Vec<(Choice, f64)> =
        plan::plans(points, env, &found).iter().map(|plan| (plan.choice(), plan.cost / plain)).collect();
    all.sort_by(|a, b| a.1.total_cmp(&b.1));
    all
}

/// The schedule of this kind that is taken when nobody says anything, if one is.
pub fn chosen(points: &Points<'_>, env: &Env<'_>) -> Option<Choice> {
    search(points, env, &recognise(points, env).ok()?).map(|plan| plan.choice())
}

fn recognise(points: &Points<'_>, env: &Env<'_>) -> Result<Convolution, &'static str> {
    let (ctx, source, view) = (points.ctx, points.source, &points.map.view);
    let pool = &ctx.exprs;
    let no_product = "it is no sum of products of two floats of 32 bits, from zero on";
    let [write] = view.writes.as_slice() else { return Err(no_product) };
    let zero = |attr| matches!(*ctx.attr_data(attr), AttrData::Float { bits, .. } if f64::from_bits(bits) == 0.0);
    let starts = write.init_value.is_some() || write.init.is_some_and(|attr| !zero(attr));
    let single = |ty| matches!(ctx.type_data(ty), TypeData::Float(FloatKind::F32));
    if write.combine != Combine::Add || starts || write.subset.is_none() || naive::in_memory(points) {
        return Err(no_product);
    }
    if env.options.tolerance <= PLAIN_ERROR || !env.reorders(points) {
        return Err("sums are to be as exact as plain ones");
    }
    let body = view.body_yield(source).and_then(|op| source.defining_op(source.operand(op, 0)));
    let product = body.filter(|&op| source.is(ctx, op, "arith.mulf")).ok_or(no_product)?;
    let args = view.body_args(source);
    let factor = |i: usize| args.iter().position(|&a| a == source.operand(product, i));
    let factors = factor(0).zip(factor(1)).filter(|(a, b)| a != b && view.reads.len() == 2);
    let (a, b) = factors.filter(|_| args.iter().all(|&a| single(source.ty(a)))).ok_or(no_product)?;
    let constant = |r: usize| env.constant_arg(points, r);
    let (data, weights, arg) = match (constant(a), constant(b)) {
        (None, Some(arg)) => (a, b, arg),
        (Some(arg), None) => (b, a, arg),
        _ => return Err("not one of its factors is constant"),
    };
    let (Some(index), Some(_)) = (&view.reads[data].subset, &view.reads[weights].subset) else {
        return Err(no_product);
    };
    if view.reads[data].border.is_some_and(|border| !zero(border)) {
        return Err("what lies outside is not zero");
    }
    let [of_data, of_weights]: [Access; 2] = [data, weights].map(|r| access::read(points, &view.reads[r]));
    let is_reduction = points.map.reductions(ctx);
    let walked = (0..view.rank()).filter(|&k| view.domain[k] != Expr::ONE);
    let (reductions, parallel): (Vec<usize>, Vec<usize>) = walked.partition(|&k| is_reduction[k]);
    let size = |k: usize| pool.as_const(view.domain[k]);
    let mut windows = vec![];
    for &k in &reductions {
        windows.extend(window(points, index, k, &parallel).filter(|w| !of_weights.uses[w.parallel]));
    }
    let is_window = |k: usize| windows.iter().any(|w: &Window| w.reduction == k);
    let sums: Vec<usize> = reductions.iter().copied().filter(|&k| !is_window(k)).collect();
    let &[channel] = sums.as_slice() else {
        return Err("it sums over no channels, or over several dimensions of them");
    };
    if windows.is_empty() || windows.len() > 2 {
        return Err("it has no window of neighbours along one or two dimensions");
    }
    let column: Vec<usize> = parallel.iter().copied().filter(|&k| !of_data.uses[k] && of_weights.uses[k]).collect();
    let &[column] = column.as_slice() else { return Err("its results for the same data are not one dimension") };
    let (Some(channels), Some(columns)) = (size(channel), size(column)) else {
        return Err("its channels have no known number");
    };
    if !of_data.contiguous(channel) || !of_weights.uses[channel] {
        return Err("its channels do not lie side by side");
    }
    let batch: Vec<usize> = parallel.iter().copied().filter(|&k| of_data.uses[k] && of_weights.uses[k]).collect();
    let rows: Vec<usize> = parallel.iter().copied().filter(|&k| !of_weights.uses[k]).collect();
    let known = batch.iter().all(|&k| size(k).is_some());
    // Along other dimensions than those of windows nothing lies outside.
    let sides = super::copies::overhang(points, data).unwrap_or_default();
    let inside = |axis: usize| sides.get(axis) == Some(&(Expr::ZERO, Expr::ZERO));
    let others = (0..index.len()).filter(|&axis| windows.iter().all(|w| w.axis != axis));
    if !known || sides.is_empty() || !others.clone().all(inside) {
        return Err("something lies outside of its data beside the borders of its windows");
    }
    Ok(Convolution { data, weights, arg, windows, channel, channels, batch, column, columns, rows })
}

/// The window that a reduction is: with a parallel dimension on one axis of the data, in steps of one.
fn window(points: &Points<'_>, index: &[Expr], k: usize, parallel: &[usize]) -> Option<Window> {
    let (ctx, view) = (points.ctx, &points.map.view);
    let pool = &ctx.exprs;
    let taps = usize::try_from(pool.as_const(view.domain[k])?).ok().filter(|taps| (2..=5).contains(taps))?;
    let mentions = |k: usize| move |e: &&Expr| pool.mentions(**e, points.map.ivs[k]);
    let axis = index.iter().position(|e| mentions(k)(&e))?;
    let (step, rest) = pool.linear_in(index[axis], points.map.ivs[k])?;
    let other = parallel.iter().copied().find(|&p| mentions(p)(&&index[axis]))?;
    let (along, rest) = pool.linear_in(rest, points.map.ivs[other])?;
    let alone = points.map.ivs.iter().all(|&iv| !pool.mentions(rest, iv));
    let once = [k, other].into_iter().all(|k| index.iter().filter(mentions(k)).count() == 1);
    (step == Expr::ONE && along == Expr::ONE && alone && once).then_some(Window {
        parallel: other,
        reduction: k,
        axis,
        taps,
    })
}

/// Has the weights transformed and packed when compiling, as `[products..., groups..., tiles, channels, columns of a tile]`.
fn pack(points: &Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>, found: &Convolution, plan: &Plan) -> ValueId {
    let (ctx, view) = (points.ctx, &points.map.view);
    let pool = &ctx.exprs;
    let windows = found.windows.len();
    let mut sizes: Vec<Expr> = plan.algorithms.iter().map(|a| pool.constant(a.products() as i64)).collect();
    sizes.extend(found.batch.iter().map(|&k| view.domain[k]));
    sizes.extend([plan.column_tiles, found.channels, plan.cols].map(|n| pool.constant(n)));
    let at = |k: usize| nim_dataflow::iv(ctx, k);
    let mut point = vec![Expr::ZERO; view.rank()];
    for (i, window) in found.windows.iter().enumerate() {
        point[window.reduction] = at(i);
    }
    for (i, &k) in found.batch.iter().enumerate() {
        point[k] = at(windows + i);
    }
    let next = windows + found.batch.len();
    point[found.channel] = at(next + 1);
    point[found.column] = pool.add(pool.scale(plan.cols, at(next)), at(next + 2));
    let subset = view.reads[found.weights].subset.as_deref().unwrap_or_default();
    let buffer = env.args[found.arg];
    nest.body.set_ty(buffer, ctx.memref_of(&sizes, ctx.f32_type()));
    env.packing.push(Packing {
        arg: found.arg,
        shape: sizes.iter().filter_map(|&s| pool.as_const(s)).collect(),
        indices: points.map.all_at(ctx, subset, &point),
        matrices: plan.algorithms.iter().map(|a| a.weights.clone()).collect(),
    });
    buffer
}
