//! The loops: transforms of inputs and results, and the products between them.

use super::Convolution;
use super::plan::{Plan, padded};
use crate::nest::{Kind, Nest};
use crate::point::Points;
use crate::schedule::cook_toom::{CookToom, Matrix};
use crate::schedule::elementwise::along;
use crate::schedule::shares::Shares;
use crate::schedule::tile::{Group, Tail, collapsed};
use nim_ir::{Context, Diagnostic, Expr, ValueId};

pub struct Emitter<'p, 'm> {
    pub points: &'p Points<'m>,
    pub found: &'p Convolution,
    pub plan: &'p Plan,
    /// The tiles as one index.
    pub tiles: Group,
    /// The transformed weights.
    pub packed: ValueId,
    /// All transformed inputs, if they are made first.
    pub shared: Option<ValueId>,
    pub lanes: i64,
    pub failed: Option<Diagnostic>,
}

/// Transformed inputs: `[groups..., products, tiles, channels]`.
struct Input {
    buffer: ValueId,
    /// The group.
    before: Vec<Expr>,
    /// The tile that the block begins with.
    first: Expr,
}

impl Input {
    fn at(&self, points: &Points<'_>, product: Expr, tile: Expr, channel: Expr) -> Vec<Expr> {
        let mut at = self.before.clone();
        at.extend([product, points.ctx.exprs.add(self.first, tile), channel]);
        at
    }
}

/// Buffers of a block.
struct Block {
    input: Input,
    /// `[products, tiles, columns]`.
    products: ValueId,
    /// Results of a tile, `[results, columns]`.
    results: ValueId,
}

impl Emitter<'_, '_> {
    /// Emits everything.
    pub fn walk(&mut self, nest: &mut Nest<'_>) {
        let (ctx, found, plan) = (self.points.ctx, self.found, self.plan);
        let pool = &ctx.exprs;
        let size = pool.constant(plan.block);
        let batch: Vec<Expr> = found.batch.iter().map(|&k| plan.tiles[k]).collect();
        let start = |at: &[Expr]| {
            let mut point = vec![Expr::ZERO; plan.tiles.len()];
            for (&k, &iv) in found.batch.iter().zip(at) {
                point[k] = iv;
            }
            point
        };
        if let Some(input) = self.shared {
            collapsed(nest, &[&batch[..], &[self.tiles.size]].concat(), Kind::Parallel, &mut |nest, at| {
                let (tile, point) = (at[at.len() - 1], start(at));
                let input = Input { buffer: input, before: at[..at.len() - 1].to_vec(), first: Expr::ZERO };
                let place = self.place(&point, tile);
                self.transform_input(nest, &input, tile, &place);
            });
        }
        let blocks = [pool.ceildiv(self.tiles.size, size), pool.constant(plan.chunks)];
        collapsed(nest, &[&batch[..], &blocks].concat(), Kind::Parallel, &mut |nest, at| {
            let point = start(at);
            let number = at[at.len() - 2];
            if self.rows_known() {
                let first = pool.mul(number, size);
                let here = pool.simplify(pool.min(size, pool.sub(self.tiles.size, first)), nest.facts);
                return self.block(nest, at, &point, first, here);
            }
            // Blocks are shared out like rows: the last one may be as small as one tile, and would take as long as the others.
            let begin = |b: Expr| pool.floordiv(pool.mul(b, self.tiles.size), blocks[0]);
            let first = begin(number);
            let count = pool.sub(begin(pool.add(number, Expr::ONE)), first);
            let (first_name, here) = (nest.fresh(), nest.fresh());
            nest.facts.set_min(first_name, Some(0));
            nest.facts.set_range(here, 1, plan.block);
            nest.given(first_name, first, |nest| {
                nest.given(here, count, |nest| self.block(nest, at, &point, pool.var(first_name), pool.var(here)));
            });
        });
    }

    /// Whether the number of tiles is known.
    fn rows_known(&self) -> bool {
        self.points.ctx.exprs.as_const(self.tiles.size).is_some()
    }

    /// A block: so many tiles from this one on.
    fn block(&mut self, nest: &mut Nest<'_>, at: &[Expr], point: &[Expr], first: Expr, here: Expr) {
        let (ctx, found, plan) = (self.points.ctx, self.found, self.plan);
        let pool = &ctx.exprs;
        let f32 = ctx.f32_type();
        let results = plan.algorithms.iter().map(|a| a.results() as i64).product();
        let input = match self.shared {
            Some(buffer) => Input { buffer, before: at[..at.len() - 2].to_vec(), first },
            None => {
                let buffer = nest.local(&[self.plan.products(), plan.block, padded(found.channels)], f32, false);
                let input = Input { buffer, before: vec![], first: Expr::ZERO };
                nest.range(here, Kind::Seq, |nest, tile| {
                    let place = self.place(point, pool.add(first, tile));
                    self.transform_input(nest, &input, tile, &place);
                });
                input
            }
        };
        let mut local = |dims: &[i64]| nest.local(dims, f32, false);
        let block = Block {
            input,
            products: local(&[self.plan.products(), plan.block, padded(plan.block_tiles * plan.cols)]),
            results: local(&[results, plan.block_tiles * plan.cols]),
        };
        // Blocks of columns of this chunk.
        let blocks = (plan.column_tiles + plan.block_tiles - 1) / plan.block_tiles;
        let each = pool.constant((blocks + plan.chunks - 1) / plan.chunks);
        let before = pool.mul(at[at.len() - 1], each);
        let count = pool.simplify(pool.min(each, pool.sub(pool.constant(blocks), before)), nest.facts);
        nest.range(count, Kind::Seq, |nest, number| {
            let start = pool.scale(plan.block_tiles, pool.add(before, number));
            let left = pool.sub(pool.constant(plan.column_tiles), start);
            let tiles = pool.simplify(pool.min(pool.constant(plan.block_tiles), left), nest.facts);
            self.multiply(nest, &block, here, point, start, tiles);
            nest.range(here, Kind::Seq, |nest, tile| {
                let place = self.place(point, pool.add(first, tile));
                self.transform_output(nest, &block, tile, &place, start, tiles);
            });
        });
    }

    /// The first result of a tile.
    fn place(&self, point: &[Expr], tile: Expr) -> Vec<Expr> {
        let ctx = self.points.ctx;
        let mut point = point.to_vec();
        self.tiles.split(ctx, &self.plan.tiles, tile, &mut point);
        for (window, algorithm) in self.found.windows.iter().zip(&self.plan.algorithms) {
            point[window.parallel] = ctx.exprs.scale(algorithm.results() as i64, point[window.parallel]);
        }
        point
    }

    /// The transformed patch of a tile.
    fn transform_input(&mut self, nest: &mut Nest<'_>, input: &Input, tile: Expr, point: &[Expr]) {
        let (points, found) = (self.points, self.found);
        let (ctx, view) = (points.ctx, &points.map.view);
        let pool = &ctx.exprs;
        let memlet = &view.reads[found.data];
        let from = match points.buffer(memlet.value) {
            Ok(from) => from,
            Err(error) => return self.failed = Some(error),
        };
        let subset = memlet.subset.clone().unwrap_or_default();
        let dims = ctx.dim_exprs(points.source.ty(memlet.value)).unwrap_or_default();
        let channels = pool.constant(found.channels);
        let corner = points.map.all_at(ctx, &subset, point);
        // Where element `offsets` of the patch lies, of channel `c`.
        let place = |offsets: &[Expr], c: Expr| {
            let mut point = point.to_vec();
            point[found.channel] = c;
            let mut index = points.map.all_at(ctx, &subset, &point);
            for (window, &offset) in found.windows.iter().zip(offsets) {
                index[window.axis] = pool.add(index[window.axis], offset);
            }
            index
        };
        let mut inside = vec![];
        for (window, algorithm) in found.windows.iter().zip(&self.plan.algorithms) {
            let low = corner[window.axis];
            let last = pool.add(low, pool.constant(algorithm.products() as i64 - 1));
            inside.push(low);
            inside.push(pool.sub(pool.sub(dims[window.axis], Expr::ONE), last));
        }
        inside.retain(|&e| !pool.prove_le(Expr::ZERO, e, nest.facts));
        let direct =
            |nest: &mut Nest<'_>| self.transform(nest, input, tile, |nest, at, c| nest.load(from, &place(at, c), &[]));
        if inside.is_empty() {
            return direct(nest);
        }
        let patch = nest.local(&[self.plan.products(), found.channels], ctx.f32_type(), false);
        nest.either(&inside, direct, |nest| {
            // At the border: a copy of the patch with zeros outside.
            let sizes: Vec<Expr> = self.plan.algorithms.iter().map(|a| pool.constant(a.products() as i64)).collect();
            nest.ranges(&sizes, Kind::Seq, &mut |nest, at| {
                let mut exists = vec![];
                for (window, &offset) in found.windows.iter().zip(at) {
                    let index = pool.add(corner[window.axis], offset);
                    exists.extend([index, pool.sub(pool.sub(dims[window.axis], Expr::ONE), index)]);
                }
                let number = flat(ctx, at, &sizes);
                let copy = |nest: &mut Nest<'_>, outside: bool| {
                    along(nest, channels, self.lanes, 1, &mut |nest, c| {
                        let value = match outside {
                            true => zero(points, nest),
                            false => nest.load(from, &place(at, c), &[]),
                        };
                        nest.store(value, patch, &[number, c], &[]);
                    });
                };
                nest.either(&exists, |nest| copy(nest, false), |nest| copy(nest, true));
            });
            self.transform(nest, input, tile, |nest, at, c| nest.load(patch, &[flat(ctx, at, &sizes), c], &[]));
        });
    }

    /// Transforms the elements of a patch that `load` reads, at offsets from its corner.
    fn transform(
        &self,
        nest: &mut Nest<'_>,
        input: &Input,
        tile: Expr,
        load: impl Fn(&mut Nest<'_>, &[Expr], Expr) -> ValueId,
    ) {
        let pool = &self.points.ctx.exprs;
        let sizes: Vec<usize> = self.plan.algorithms.iter().map(CookToom::products).collect();
        along(nest, pool.constant(self.found.channels), self.lanes, 1, &mut |nest, c| {
            let values = each_index(&sizes).map(|at| {
                let offsets: Vec<Expr> = at.iter().map(|&i| pool.constant(i as i64)).collect();
                load(nest, &offsets, c)
            });
            let values = values.collect();
            for (x, value) in self.linear(nest, values, |a| &a.input).into_iter().enumerate() {
                let at = input.at(self.points, pool.constant(x as i64), tile, c);
                nest.store(value, input.buffer, &at, &[]);
            }
        });
    }

    /// Products of transformed inputs and weights, summed up over channels.
    fn multiply(&self, nest: &mut Nest<'_>, block: &Block, here: Expr, point: &[Expr], start: Expr, tiles: Expr) {
        let (ctx, found, plan) = (self.points.ctx, self.found, self.plan);
        let pool = &ctx.exprs;
        let f32 = ctx.f32_type();
        let sizes: Vec<Expr> = plan.algorithms.iter().map(|a| pool.constant(a.products() as i64)).collect();
        let groups: Vec<Expr> = found.batch.iter().map(|&k| point[k]).collect();
        let tail = if self.rows_known() { Tail::Exact } else { Tail::Even };
        let rows = Group { size: here, tile: plan.rows, tail, ..Group::new(ctx, &[], vec![]) };
        let shares = Shares::new(ctx, &rows, nest.facts);
        nest.ranges(&sizes, Kind::Seq, &mut |nest, at| {
            let number = flat(ctx, at, &sizes);
            nest.range(tiles, Kind::Seq, |nest, column_tile| {
                nest.range(shares.tiles, Kind::Seq, |nest, row_tile| {
                    shares.tile(ctx, nest, row_tile, &mut |nest, first, rows| {
                        let slot = nest.local(&[rows, plan.cols], f32, true);
                        let row = |a: Expr| pool.add(first, a);
                        self.each(nest, rows, &mut |nest, a, b| {
                            let zero = zero(self.points, nest);
                            nest.store(zero, slot, &[a, b], &[]);
                        });
                        nest.for_loop(Expr::ZERO, pool.constant(found.channels), 1, Kind::Seq, |nest, c| {
                            self.each(nest, rows, &mut |nest, a, b| {
                                let mut place = [at, &groups[..]].concat();
                                place.extend([pool.add(start, column_tile), c, b]);
                                let place_of = block.input.at(self.points, number, row(a), c);
                                let v = nest.load(block.input.buffer, &place_of, &[]);
                                let u = nest.load(self.packed, &place, &[]);
                                let product = nest.builder().value("arith.mulf", &[v, u], f32, &[]);
                                let old = nest.load(slot, &[a, b], &[]);
                                let sum = nest.builder().value("arith.addf", &[old, product], f32, &[]);
                                nest.store(sum, slot, &[a, b], &[]);
                            });
                        });
                        self.each(nest, rows, &mut |nest, a, b| {
                            let sum = nest.load(slot, &[a, b], &[]);
                            let column = pool.add(pool.scale(plan.cols, column_tile), b);
                            nest.store(sum, block.products, &[number, row(a), column], &[]);
                        });
                    });
                });
            });
        });
    }

    /// Rows and vectors of columns of a tile of products, written out.
    fn each(&self, nest: &mut Nest<'_>, rows: i64, f: &mut dyn FnMut(&mut Nest<'_>, Expr, Expr)) {
        let pool = &self.points.ctx.exprs;
        nest.for_loop(Expr::ZERO, pool.constant(rows), 1, Kind::Unroll, |nest, a| {
            nest.for_loop(Expr::ZERO, pool.constant(self.plan.cols), self.lanes, Kind::Unroll, |nest, b| {
                nest.for_loop(Expr::ZERO, pool.constant(self.lanes), 1, Kind::Vector, |nest, lane| {
                    f(nest, a, pool.add(b, lane));
                });
            });
        });
    }

    /// The results of a tile, as far as they exist, and the epilogue.
    fn transform_output(
        &mut self,
        nest: &mut Nest<'_>,
        block: &Block,
        tile: Expr,
        point: &[Expr],
        start: Expr,
        tiles: Expr,
    ) {
        let (points, found, plan) = (self.points, self.found, self.plan);
        let ctx = points.ctx;
        let pool = &ctx.exprs;
        let cols = pool.constant(plan.cols);
        along(nest, pool.mul(tiles, cols), self.lanes, 1, &mut |nest, k| {
            let products = (0..self.plan.products())
                .map(|x| nest.load(block.products, &[pool.constant(x), tile, k], &[]))
                .collect::<Vec<_>>();
            for (i, value) in self.linear(nest, products, |a| &a.output).into_iter().enumerate() {
                nest.store(value, block.results, &[pool.constant(i as i64), k], &[]);
            }
        });
        let first = pool.mul(start, cols);
        let columns = pool.min(pool.mul(tiles, cols), pool.sub(pool.constant(found.columns), first));
        let columns = pool.simplify(columns, nest.facts);
        let sizes: Vec<Expr> = plan.algorithms.iter().map(|a| pool.constant(a.results() as i64)).collect();
        let exist = found.windows.iter().zip(&sizes).map(|(window, &size)| {
            let left = pool.sub(points.map.view.domain[window.parallel], point[window.parallel]);
            pool.simplify(pool.min(size, left), nest.facts)
        });
        let exist: Vec<Expr> = exist.collect();
        nest.ranges(&exist, Kind::Seq, &mut |nest, at| {
            let number = flat(ctx, at, &sizes);
            let mut point = point.to_vec();
            for (window, &i) in found.windows.iter().zip(at) {
                point[window.parallel] = pool.add(point[window.parallel], i);
            }
            along(nest, columns, self.lanes, 1, &mut |nest, k| {
                point[found.column] = pool.add(first, k);
                let value = nest.load(block.results, &[number, k], &[]);
                if let Err(error) = points.finish(nest, &point, &[value]) {
                    self.failed = Some(error);
                }
            });
        });
    }

    /// Values on a grid under a linear map along each of its dimensions.
    fn linear(&self, nest: &mut Nest<'_>, mut values: Vec<ValueId>, pick: fn(&CookToom) -> &Matrix) -> Vec<ValueId> {
        for (k, algorithm) in self.plan.algorithms.iter().enumerate() {
            let inner: usize = self.plan.algorithms[k + 1..].iter().map(CookToom::products).product();
            let from = algorithm.products();
            let mut out = vec![];
            for values in values.chunks_exact(from * inner) {
                for row in pick(algorithm) {
                    for i in 0..inner {
                        let terms = row.iter().enumerate().filter(|(_, x)| **x != 0.0);
                        let terms: Vec<(f64, ValueId)> = terms.map(|(j, &x)| (x, values[j * inner + i])).collect();
                        out.push(sum(self.points, nest, &terms));
                    }
                }
            }
            values = out;
        }
        values
    }
}

fn zero(points: &Points<'_>, nest: &mut Nest<'_>) -> ValueId {
    let ty = points.ctx.f32_type();
    nest.constant(points.zero(ty), ty)
}

/// A sum of multiples.
fn sum(points: &Points<'_>, nest: &mut Nest<'_>, terms: &[(f64, ValueId)]) -> ValueId {
    let ty = points.ctx.f32_type();
    let mut total: Option<ValueId> = None;
    // One that is taken as it is comes first.
    let mut terms = terms.to_vec();
    terms.sort_by_key(|(weight, _)| *weight != 1.0);
    for (weight, value) in terms {
        let op = |nest: &mut Nest<'_>, name: &str, a, b| nest.builder().value(name, &[a, b], ty, &[]);
        total = Some(match total {
            None if weight == 1.0 => value,
            Some(sum) if weight == 1.0 => op(nest, "arith.addf", sum, value),
            Some(sum) if weight == -1.0 => op(nest, "arith.subf", sum, value),
            _ => {
                let factor = nest.constant(points.ctx.float_attr(weight, ty), ty);
                let multiple = op(nest, "arith.mulf", value, factor);
                match total {
                    Some(sum) => op(nest, "arith.addf", sum, multiple),
                    None => multiple,
                }
            }
        });
    }
    total.unwrap_or_else(|| zero(points, nest))
}

/// The number of an element of a grid, the last index fastest.
fn flat(ctx: &Context, at: &[Expr], sizes: &[Expr]) -> Expr {
    at.iter().zip(sizes).fold(Expr::ZERO, |n, (&i, &size)| ctx.exprs.add(ctx.exprs.mul(n, size), i))
}

/// All indices of a grid, the last fastest.
fn each_index(sizes: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    (0..sizes.iter().product()).map(|number: usize| {
        let mut rest = number;
        let mut at: Vec<usize> = sizes.iter().rev().map(|&n| (rest % n, rest /= n).0).collect();
        at.reverse();
        at
    })
}
