//! Kernels that are walked in blocks: one loop over blocks of the dimensions that all maps share, and in it the maps one after the
//! other, each under the schedule that suits its part of the block.
//!
//! What only the kernel's maps read (`inner` results) is as large as a block, and stays in the caches: small ones are locals, larger ones
//! *scratch* that the host allocates. So that threads do not meet there, the blocks are shared out to at most [`CHUNKS`] runs, the
//! iterations of the parallel loop, each with scratch of its own; who runs which does not change the results.
//!
//! Of a shared dimension of which a block has one point, the maps have one fixed point. Of others they have a part: memlets into
//! what is outside count from the block's first point, those into inner results from 0. Where extents are numbers the last block moves
//! back and repeats some results, so that all have the same size; else it has what is left.
//! Copies (packed factors, say) are made before the first block, of what does not depend on it.

use crate::horizon::Horizon;
use crate::map::Map;
use crate::nest::{Kind, Nest};
use crate::point::{Block, Points};
use crate::schedule::{self, Env};
use nim_dataflow::blocks::Blocks;
use nim_dataflow::{as_iv, substitute_block_ivs};
use nim_ir::clone::Mapping;
use nim_ir::{Body, Context, Diagnostic, Expr, Symbol, Type, ValueId};
use rustc_hash::FxHashMap;

/// Most runs of blocks that may be under way at the same time: enough for the threads of a large machine, few enough that scratch
/// stays small.
const CHUNKS: i64 = 16;
/// Bytes of the largest local.
const LOCAL_BYTES: i64 = 4096;

/// A copy of a kernel's body, whose types and memlets may be changed.
pub fn copy_of(source: &Body) -> Body {
    let mut body = Body::new();
    let Some(entry) = source.entry() else { return body };
    let region = body.add_root_region();
    let args = source.block_args(entry);
    let types: Vec<Type> = args.iter().map(|&a| source.ty(a)).collect();
    let names: Vec<_> = args.iter().map(|&a| source.value_name(a)).collect();
    let block = body.add_block(region, &types, &names);
    let mut mapping = Mapping::default();
    for (&from, &to) in args.iter().zip(body.block_args(block).to_vec().iter()) {
        mapping.map(from, to);
    }
    for op in source.block_ops(entry) {
        let copy = body.clone_op_from(source, op, &mut mapping);
        body.append(block, copy);
    }
    body
}

/// A shared dimension.
#[derive(Clone, Copy)]
struct Axis {
    /// Stands for the only point, or the first one, of a block.
    first: Symbol,
    /// Points of a block: 1 where it is fixed, a number, or a symbol where the last block has fewer.
    points: Expr,
    /// The symbol, and its value.
    rest: Option<(Symbol, Expr)>,
    /// Value of `first` in the block with a number, which is this symbol.
    place: Expr,
    number: Symbol,
    /// Blocks.
    count: Expr,
    /// Most points of a block.
    most: Expr,
    extent: Expr,
}

impl Axis {
    fn is_fixed(&self) -> bool {
        self.points == Expr::ONE
    }
}

fn axis(ctx: &Context, nest: &mut Nest<'_>, env: &mut Env<'_>, extent: Expr, size: Expr) -> Axis {
    let pool = &ctx.exprs;
    let (first, number) = (nest.fresh(), nest.fresh());
    let size = pool.simplify(pool.max(size, Expr::ONE), nest.facts);
    let most = match (pool.as_const(size), pool.as_const(extent)) {
        (Some(size), Some(extent)) => pool.constant(size.min(extent.max(1))),
        _ => size,
    };
    let count = pool.ceildiv(extent, most);
    let start = pool.mul(most, pool.var(number));
    let mut axis = Axis { first, points: most, rest: None, place: start, number, count, most, extent };
    if most == Expr::ONE {
    } else if let (Some(size), Some(extent)) = (pool.as_const(most), pool.as_const(extent)) {
        if extent % size != 0 {
            axis.place = pool.min(start, pool.constant(extent - size));
            env.repeats = true;
        }
    } else {
        let rest = nest.fresh();
        axis.points = pool.var(rest);
        axis.rest = Some((rest, pool.min(most, pool.sub(extent, start))));
        for facts in [&mut *nest.facts, &mut env.assumed] {
            facts.set_min(rest, Some(1)).set_max(rest, pool.as_const(most)).add_upper(rest, most);
            facts.set_likely(rest, pool.likely_value(most, facts).or(pool.as_const(most)));
        }
    }
    for facts in [&mut *nest.facts, &mut env.assumed] {
        facts.set_iteration(pool, number, Expr::ZERO, count);
        let end = if axis.rest.is_some() { extent } else { pool.sub(pool.add(extent, Expr::ONE), axis.points) };
        facts.set_iteration(pool, first, Expr::ZERO, end);
        // What is read at the last point of a block lies inside.
        facts.assume_le(pool, pool.add(pool.var(first), axis.points), extent);
    }
    axis
}

/// Where an inner result lives.
enum Home {
    /// In a local, of these sizes.
    Local(Vec<i64>),
    /// In scratch: a buffer of the kernel with a place for each run of blocks.
    Scratch(ValueId),
}

/// A kernel in blocks, being lowered.
struct Tiled<'t> {
    ctx: &'t Context,
    axes: Vec<Axis>,
    /// The run, which is the first index into scratch.
    run: Symbol,
    runs: Expr,
    homes: Vec<(ValueId, Home)>,
    blocks: &'t Blocks,
}

/// Emits a kernel in blocks. `source` is a copy of its body, of which `maps` are the maps and `buffers` what arguments and results that
/// others read live in.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit(
    source: &mut Body,
    blocks: &Blocks,
    maps: &[Map],
    buffers: &FxHashMap<ValueId, ValueId>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
) -> Result<(), Diagnostic> {
    let ctx = nest.ctx;
    let pool = &ctx.exprs;
    // Symbols of loops must not be variables of maps.
    for _ in 0..maps.iter().map(|m| m.view.rank()).max().unwrap_or(0) {
        nest.fresh();
    }
    let extents = blocks.extents.iter().zip(&blocks.sizes);
    let axes: Vec<Axis> = extents.map(|(&extent, &size)| axis(ctx, nest, env, extent, size)).collect();
    let total = axes.iter().fold(Expr::ONE, |p, a| pool.mul(p, a.count));
    let runs = pool.constant(pool.as_const(total).map_or(CHUNKS, |total| total.clamp(1, CHUNKS)));
    let run = nest.fresh();
    // Rules for floats that may be taken in another order: what is hidden is taken to be finite.
    let horizon = Some(()).filter(|()| env.options.target.reassociate).and_then(|()| Horizon::of(ctx, source, blocks));
    let mut tiled = Tiled { ctx, axes, run, runs, homes: vec![], blocks };
    let mut maps = maps.to_vec();
    for (i, map) in maps.iter().enumerate() {
        tiled.house(source, map, &maps_after(blocks, i), nest, env);
    }
    for (map, (_, shared)) in maps.iter_mut().zip(&blocks.maps) {
        tiled.rewrite(source, map, shared);
    }
    let mut buffers = buffers.clone();
    for (tensor, home) in &tiled.homes {
        if let Home::Scratch(buffer) = home {
            buffers.insert(*tensor, *buffer);
        }
    }
    let mut prepared = vec![];
    for (map, (view, shared)) in maps.iter().zip(&blocks.maps) {
        nest.loc = ctx.derived_loc("dataflow-to-loops", map.loc);
        let mut points = Points::new(ctx, source, map, &buffers);
        points.block = Some(tiled.block(source, env, view, shared));
        points.any_zero = env.options.target.reassociate;
        let walk = schedule::prepare_block(&mut points, nest, env)?;
        prepared.push((walk, points.replaced, points.dot, points.block));
    }
    if let Some(horizon) = &horizon {
        let rows = &tiled.axes[horizon.rows()];
        let end = pool.add(pool.var(rows.first), rows.points);
        for ((map, (walk, ..)), dim) in maps.iter_mut().zip(&mut prepared).zip(&horizon.dims) {
            if let &Some(k) = dim {
                let extent = horizon.extent(ctx, map.view.domain[k], end);
                walk.end_at(&mut map.view.domain, k, extent);
            }
        }
    }
    let scratch = tiled.homes.iter().any(|(_, home)| matches!(home, Home::Scratch(_)));
    let mut failed = None;
    let mut one = |nest: &mut Nest<'_>, number: Expr| {
        let mut rest = number;
        let mut known: Vec<(Symbol, Expr)> = vec![];
        for (i, axis) in tiled.axes.iter().enumerate().rev() {
            let place = if i == 0 { rest } else { pool.modulo(rest, axis.count) };
            rest = pool.floordiv(rest, axis.count);
            let here = |e: Expr| pool.substitute(e, &mut |s| (s == axis.number).then_some(place));
            known.extend(axis.rest.map(|(symbol, value)| (symbol, here(value))));
            known.push((axis.first, here(axis.place)));
        }
        given(nest, &known, &mut |nest| {
            let mut buffers = buffers.clone();
            tiled.locals(source, nest, &mut buffers);
            let all: Vec<Points<'_>> = maps
                .iter()
                .zip(&prepared)
                .map(|(map, (_, replaced, dot, block))| {
                    let mut points = Points::new(ctx, source, map, &buffers);
                    (points.replaced, points.dot, points.block) = (replaced.clone(), *dot, block.clone());
                    points.any_zero = env.options.target.reassociate;
                    points
                })
                .collect();
            let mut maker: Option<&Points<'_>> = None;
            for (i, points) in all.iter().enumerate() {
                nest.loc = ctx.derived_loc("dataflow-to-loops", points.map.loc);
                let (walk, next) = (&prepared[i].0, all.get(i + 1).zip(prepared.get(i + 1)));
                if maker.is_none() && next.is_some_and(|(next, p)| walk.goes_along(points, &p.0, next, env)) {
                    maker = Some(points);
                    continue;
                }
                if let Err(e) = walk.emit(maker.take(), points, nest, env) {
                    failed = Some(e);
                }
            }
        });
    };
    if !scratch {
        nest.for_loop(Expr::ZERO, total, 1, Kind::Parallel, |nest, number| one(nest, number));
    } else {
        nest.for_loop(Expr::ZERO, runs, 1, Kind::Parallel, |nest, at| {
            let begin = |r: Expr| pool.floordiv(pool.mul(r, total), runs);
            nest.given(run, at, |nest| {
                nest.for_loop(begin(at), begin(pool.add(at, Expr::ONE)), 1, Kind::Seq, |nest, number| {
                    one(nest, number)
                });
            });
        });
    }
    failed.map_or(Ok(()), Err)
}

/// Runs the closure where all of these symbols have their values, the first outermost.
fn given(nest: &mut Nest<'_>, known: &[(Symbol, Expr)], f: &mut dyn FnMut(&mut Nest<'_>)) {
    match known.split_first() {
        None => f(nest),
        Some((&(symbol, value), rest)) => nest.given(symbol, value, |nest| given(nest, rest, f)),
    }
}

/// Tensors that maps behind one read.
fn maps_after(blocks: &Blocks, map: usize) -> Vec<ValueId> {
    blocks.maps[map + 1..].iter().flat_map(|(view, _)| view.inputs()).collect()
}

impl Tiled<'_> {
    /// Finds places for the inner results of a map; their types become those of a block.
    fn house(&mut self, source: &mut Body, map: &Map, read_later: &[ValueId], nest: &mut Nest<'_>, env: &mut Env<'_>) {
        let (ctx, pool) = (self.ctx, &self.ctx.exprs);
        for (w, &result) in map.results.iter().enumerate() {
            if !self.blocks.inner.contains(&result) {
                continue;
            }
            let Some(sizes) = self.block_sizes(source, result) else { continue };
            let element = ctx.element_type(source.ty(result)).unwrap_or_else(|| ctx.none_type());
            let bytes = ctx.dtype_of(source.ty(result)).map_or(8, |d| d.bits().div_ceil(8) as i64);
            let known: Option<Vec<i64>> = sizes.iter().map(|&s| pool.as_const(s)).collect();
            let count = known.as_ref().and_then(|k| k.iter().try_fold(bytes, |n, &k| n.checked_mul(k)));
            let home = match (known, count) {
                (Some(known), Some(count)) if count <= LOCAL_BYTES => Home::Local(known),
                _ => match self.replaces(source, map, w, read_later) {
                    Some(buffer) => Home::Scratch(buffer),
                    None => {
                        let all: Vec<Expr> = [self.runs].into_iter().chain(sizes.iter().copied()).collect();
                        Home::Scratch(env.temporary(nest, ctx.memref_of(&all, element)))
                    }
                },
            };
            self.homes.push((result, home));
        }
    }

    /// The scratch of a result that a map reads for the last time, where it writes the same element.
    fn replaces(&self, source: &Body, map: &Map, w: usize, read_later: &[ValueId]) -> Option<ValueId> {
        let write = &map.view.writes[w];
        let alone = map.view.writes.len() == 1 && !map.reductions(self.ctx).contains(&true);
        let same = |r: &nim_dataflow::Memlet| r.subset == write.subset;
        let mut candidates = map.view.reads.iter().filter(|r| {
            let fits = source.ty(r.value) == write.ty && !read_later.contains(&r.value);
            fits && map.view.reads.iter().filter(|other| other.value == r.value).all(same)
        });
        let scratch = |t: ValueId| {
            self.homes.iter().find_map(|(other, home)| match home {
                Home::Scratch(buffer) if *other == t => Some(*buffer),
                _ => None,
            })
        };
        candidates.find_map(|r| scratch(r.value).filter(|_| alone))
    }

    /// Sizes of an inner result, of one block. Narrow numbers fill whole words of 32 bits.
    fn block_sizes(&self, source: &Body, result: ValueId) -> Option<Vec<Expr>> {
        let (ctx, pool) = (self.ctx, &self.ctx.exprs);
        let (subset, shared) = self.written(source, result)?;
        let mut sizes = ctx.dim_exprs(source.ty(result))?;
        for (axis, &k) in self.axes.iter().zip(shared) {
            let place = subset.iter().position(|&e| as_iv(ctx, e) == Some(k))?;
            sizes[place] = axis.most;
        }
        let bits = ctx.dtype_of(source.ty(result)).map_or(32, |d| d.bits() as i64);
        if let (8 | 16, Some(last)) = (bits, sizes.last_mut().filter(|last| **last != Expr::ONE)) {
            let word = pool.constant(32 / bits);
            *last = pool.mul(pool.ceildiv(*last, word), word);
        }
        Some(sizes)
    }

    /// Where an inner result is written, and the shared dimensions of its map.
    fn written(&self, source: &Body, result: ValueId) -> Option<(&Vec<Expr>, &Vec<usize>)> {
        self.blocks.maps.iter().find_map(|(view, shared)| {
            let w = source.results(view.op).iter().position(|&r| r == result)?;
            Some((view.writes[w].subset.as_ref()?, shared))
        })
    }

    /// A map's part of a block: its domain and its memlets.
    fn rewrite(&self, source: &mut Body, map: &mut Map, shared: &[usize]) {
        let (ctx, pool) = (self.ctx, &self.ctx.exprs);
        let scratch =
            |t: ValueId| self.homes.iter().find(|(other, _)| *other == t).map(|(_, h)| matches!(h, Home::Scratch(_)));
        // Variables of the map in what lies outside of the block, and in what lies in it.
        let mut outside: Vec<Expr> = map.ivs.iter().map(|&iv| pool.var(iv)).collect();
        let mut inside = outside.clone();
        for (axis, &k) in self.axes.iter().zip(shared) {
            let first = pool.var(axis.first);
            if axis.is_fixed() {
                inside[k] = pool.sub(inside[k], first);
            } else {
                outside[k] = pool.add(outside[k], first);
                map.view.domain[k] = axis.points;
            }
        }
        let run = pool.var(self.run);
        let change = |value: ValueId, subset: &mut Option<Vec<Expr>>| {
            let Some(indices) = subset else { return };
            let home = scratch(value);
            let with = if home.is_some() { &inside } else { &outside };
            for e in indices.iter_mut() {
                *e = nim_dataflow::substitute_ivs(ctx, *e, with);
            }
            if home == Some(true) {
                indices.insert(0, run);
            }
        };
        for read in map.view.reads.iter_mut().chain(&mut map.view.epilogue_reads) {
            change(read.value, &mut read.subset);
        }
        for (write, &result) in map.view.writes.iter_mut().zip(&map.results) {
            change(result, &mut write.subset);
            let Some(home) = scratch(result) else { continue };
            let Some(mut sizes) = self.block_sizes(source, result) else { continue };
            let element = ctx.element_type(write.ty).unwrap_or_else(|| ctx.none_type());
            if home {
                sizes.insert(0, self.runs);
            }
            write.ty = ctx.tensor_of(&sizes, element);
            source.set_ty(result, write.ty);
        }
        for block in [Some(map.view.body), map.view.epilogue].into_iter().flatten() {
            substitute_block_ivs(ctx, source, block, &outside);
        }
    }

    /// What schedules need to know of the block around a map. `view` is the map before it was rewritten.
    fn block(&self, source: &Body, env: &Env<'_>, view: &nim_dataflow::MapView, shared: &[usize]) -> Block {
        let pool = &self.ctx.exprs;
        let mut fixed = vec![None; view.rank()];
        let mut moving = vec![];
        let mut serves = 1.0;
        for (axis, &k) in self.axes.iter().zip(shared) {
            if axis.is_fixed() {
                fixed[k] = Some(pool.var(axis.first));
            } else {
                moving.push(nim_dataflow::iv_symbol(self.ctx, k));
                serves *= (env.estimate(axis.extent, 64) / env.estimate(axis.most, 64)).max(1.0);
            }
        }
        let outside = view.reads.iter().map(|read| {
            let still = |e: &Expr| !moving.iter().any(|&iv| pool.mentions(*e, iv));
            source.defining_op(read.value).is_none() && read.subset.as_ref().is_some_and(|s| s.iter().all(still))
        });
        let rows = self.axes.iter().filter_map(|a| Some((a.rest?.0, pool.min(a.most, a.extent)))).collect();
        Block { fixed, outside: outside.collect(), serves, rows }
    }

    /// Makes the locals of a block.
    fn locals(&self, source: &Body, nest: &mut Nest<'_>, buffers: &mut FxHashMap<ValueId, ValueId>) {
        let ctx = self.ctx;
        for (tensor, home) in &self.homes {
            if let Home::Local(sizes) = home {
                let element = ctx.element_type(source.ty(*tensor)).unwrap_or_else(|| ctx.none_type());
                let in_registers = sizes.iter().all(|&n| n == 1);
                buffers.insert(*tensor, nest.local(sizes, element, in_registers));
            }
        }
    }
}
