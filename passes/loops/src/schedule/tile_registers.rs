//! Register tiles whose registers are tiles themselves (AMX): up to 16 rows of 64 bytes, multiplied as small matrices.
//!
//! A *block* is as many neighbouring rows of results as a register holds. A register tile is `blocks x columns/16` registers of sums,
//! with registers for the factors beside them: all of that factor which has fewer, and the others in passing. The packed factor of
//! [`super::words`] is a right factor as it lies, a row of it for each word of the reduction; rows of the spread factor are rows of a
//! left factor wherever they lie, at any distance from each other that stays the same.
//!
//! There is one configuration for a whole nest. Blocks share out rows evenly, and one that would reach beyond the last row begins
//! earlier; the rows that the block before has too are computed in vain but written once. So any number of rows, known or not, has
//! one code, whose tile registers have as many rows as suit it. Steps along the reduction are of equal length too: a divisor of its
//! words, else a copy is filled up with zeros. Nothing is read outside of a buffer. Sums are stored on the stack, from where the
//! epilogue takes them as vectors.

use super::access;
use super::contraction::{Best, Search};
use super::copies;
use super::tile::{self, Group, Tile};
use super::word_copies;
use super::words::{self, Words};
use crate::nest::{Kind, Nest};
use crate::point::Points;
use nim_ir::{Context, Diagnostic, Expr, Facts, ValueId};
use nim_loops::{TILE_BYTES, TILE_REGISTERS, TILE_ROWS, TileKind, TileShape};
use nim_machine::tiles;

/// Words of 32 bits in a row of a register.
pub(super) const WORDS: i64 = TILE_BYTES / 4;
/// Most steps along the reduction that are written out.
const UNROLLED: i64 = 4;

// What loads, stores and products of tile registers take, and how fast the caches are, the target's machine says.
/// Part of the first-level cache that factors may fill which stay there from one register tile to the next.
const NEAR_SHARE: f64 = 5.0 / 6.0;
/// An element of a copy that only filling up needs.
const COPIED: f64 = 0.3;

/// How a plan uses tile registers.
#[derive(Clone, Debug)]
pub struct TileRegisters {
    /// The factors.
    pub(super) words: Words,
    /// What they are, the spread one left.
    pub(super) kind: TileKind,
    /// Rows of results in a register: 1 to 16.
    pub rows: Expr,
    /// The dimensions that rows of a register run along as one index, a suffix of those of the plan's rows.
    pub(super) along: Vec<usize>,
    /// Their points.
    pub(super) extent: Expr,
    /// The reduction.
    pub run: Run,
}

/// Reductions whose numbers follow each other in memory.
#[derive(Clone, Debug)]
pub struct Run {
    /// The dimensions, that of the words last.
    pub dims: Vec<usize>,
    /// Words of a step.
    pub(super) step: i64,
    /// Steps.
    pub(super) steps: Expr,
    /// Whether the spread factor is read from a copy, filled up to whole steps.
    pub copied: bool,
    /// Elements of the spread factor, as it is read, from one point to the next along each dimension.
    pub(super) strides: Vec<Option<Expr>>,
}

impl Run {
    /// Words, with those that it is filled up by.
    pub fn words(&self, ctx: &Context) -> Expr {
        ctx.exprs.scale(self.step, self.steps)
    }
    /// What the numbers along the last dimension are filled up to a multiple of.
    pub fn multiple(&self, width: i64) -> i64 {
        if self.dims.len() == 1 { width * self.step } else { width }
    }

    /// The ways to take steps along the reduction of words, alone and with those in front of it that it follows in memory.
    pub(super) fn all(points: &Points<'_>, reductions: &[usize], words: Words) -> Vec<Run> {
        let dot = words.dot;
        let pool = &points.ctx.exprs;
        let domain = &points.map.view.domain;
        let Some(sides) = copies::overhang(points, words.spread) else { return vec![] };
        let bordered = copies::may_be_outside(points, words.spread);
        let read = |multiple: i64| {
            let copied = bordered || !words::in_words(points, words.spread, dot, multiple);
            let strides = match copied {
                true => {
                    let copy = word_copies::Regrouped::new(points, words.spread, dot, multiple, &sides);
                    access::of(points, &copy.indices, &copy.sizes).strides
                }
                false => access::read(points, &points.map.view.reads[words.spread]).strides,
            };
            (copied, strides)
        };
        let mut out = vec![];
        let mut add = |dims: Vec<usize>, step: i64, steps: Expr| {
            let multiple = if dims.len() == 1 { dot.width * step } else { dot.width };
            let (copied, strides) = read(multiple);
            if strides[dot.dim] == Some(Expr::ONE) {
                out.push(Run { dims, step, steps, copied, strides });
            }
        };
        let along = pool.ceildiv(domain[dot.dim], pool.constant(dot.width));
        let Some(count) = pool.as_const(along) else {
            add(vec![dot.dim], WORDS, pool.ceildiv(along, pool.constant(WORDS)));
            return out;
        };
        let fewest = |count: i64| (count + WORDS - 1) / WORDS;
        // Steps that divide the words, if there are not many more than needed.
        let whole = |count: i64| {
            (fewest(count)..=2 * fewest(count)).find(|steps| count % steps == 0).map(|steps| (count / steps, steps))
        };
        let exact = whole(count);
        let least = fewest(count);
        let padded = ((count + least - 1) / least, least);
        for (step, steps) in exact.into_iter().chain((exact != Some(padded)).then_some(padded)) {
            add(vec![dot.dim], step, pool.constant(steps));
        }
        let strides = read(dot.width).1;
        let (mut dims, mut all) = (vec![dot.dim], count);
        let mut next = pool.constant(count * dot.width);
        while let Some(&k) = reductions.iter().rev().find(|&&k| !dims.contains(&k) && strides[k] == Some(next))
            && let Some(extent) = pool.as_const(domain[k])
        {
            dims.insert(0, k);
            (all, next) = (all * extent, pool.scale(extent, next));
            if let Some((step, steps)) = whole(all) {
                add(dims.clone(), step, pool.constant(steps));
            }
        }
        out
    }

    /// The point's indices along the run at a word of it.
    pub(super) fn place(&self, points: &Points<'_>, words: Words, word: Expr, point: &mut [Expr]) {
        let pool = &points.ctx.exprs;
        let mut rest = word;
        for (i, &k) in self.dims.iter().enumerate().rev() {
            let extent = points.map.view.domain[k];
            let last = i + 1 == self.dims.len();
            let extent = if last { pool.ceildiv(extent, pool.constant(words.dot.width)) } else { extent };
            let digit = if i == 0 { rest } else { pool.modulo(rest, extent) };
            rest = if i == 0 { rest } else { pool.floordiv(rest, extent) };
            point[k] = if last { pool.scale(words.dot.width, digit) } else { digit };
        }
    }
}

/// Registers of factors beside `blocks x wide` registers of sums: of the one that is held and of the other in passing; `None` if they
/// are too many. The right factor is held where it has no more than the left one.
fn beside(blocks: i64, wide: i64) -> Option<(i64, i64)> {
    let free = TILE_REGISTERS as i64 - blocks * wide;
    let (held, other) = (blocks.min(wide), blocks.max(wide));
    (free > held).then(|| (held, other.min(free - held)))
}

/// Rows of a register where so many follow each other: shared out evenly to as few registers as there can be.
pub(super) fn shared_rows(ctx: &Context, facts: &Facts, extent: Expr) -> Expr {
    let pool = &ctx.exprs;
    let most = pool.constant(TILE_ROWS);
    if pool.divisor(extent, facts) % TILE_ROWS == 0 {
        return most;
    }
    // None at all count as one, so that the registers have a shape.
    let some = pool.max(extent, Expr::ONE);
    pool.simplify(pool.ceildiv(some, pool.ceildiv(some, most)), facts)
}

impl Search<'_, '_> {
    /// Register tiles of tile registers, with these dimensions as rows.
    pub(super) fn try_tile_registers(&self, rows: &[usize], columns: &[usize], batch: &[usize], best: &mut Best) {
        let Some(words) = self.words.filter(|words| words.in_tiles) else { return };
        let ctx = self.points.ctx;
        let (pool, domain) = (&ctx.exprs, &self.points.map.view.domain);
        if rows.is_empty() || rows.iter().any(|&k| self.reads[words.packed].uses[k]) {
            return;
        }
        for run in Run::all(self.points, &self.reductions, words) {
            let same = |outer: usize, inner: usize| match (run.strides[outer], run.strides[inner]) {
                (Some(o), Some(i)) => o == pool.mul(i, domain[inner]) && self.collapses(outer, inner),
                _ => false,
            };
            let first = (1..rows.len()).rev().find(|&i| !same(rows[i - 1], rows[i])).unwrap_or(0);
            let (outer, along) = rows.split_at(first);
            if run.strides[rows[rows.len() - 1]].is_none() {
                continue;
            }
            let product = |dims: &[usize]| dims.iter().fold(Expr::ONE, |p, &k| pool.mul(p, domain[k]));
            let extent = product(along);
            for rows_of in self.rows_of_registers(extent) {
                let blocks_along = pool.ceildiv(extent, rows_of);
                let registers = TileRegisters {
                    words,
                    kind: words.tile_kind(),
                    rows: rows_of,
                    along: along.to_vec(),
                    extent,
                    run: run.clone(),
                };
                for (blocks, wide) in (1..=6).flat_map(|blocks| (1..=6).map(move |wide| (blocks, wide))) {
                    if beside(blocks, wide).is_none() {
                        continue;
                    }
                    let size = pool.mul(product(outer), blocks_along);
                    let mut group = Group { size, ..Group::new(ctx, domain, rows.to_vec()) };
                    group.set_tile(ctx, &self.env.assumed, blocks, false);
                    let mut column_group = Group::new(ctx, domain, columns.to_vec());
                    column_group.set_tile(ctx, &self.env.assumed, WORDS * wide, false);
                    let mut cost = self.cost_in_registers(&registers, &group, &column_group, batch);
                    if self.env.options.tiles {
                        cost *= f64::EPSILON;
                    }
                    if best.takes(cost) {
                        let mut found =
                            self.candidate(cost, group, column_group, batch, &[words.packed], &[words.packed]);
                        found.plan.registers = Some(registers.clone());
                        best.put(found);
                    }
                }
            }
        }
    }

    /// Numbers of rows that registers may have where so many follow each other: shared out evenly, and the largest divisor.
    fn rows_of_registers(&self, extent: Expr) -> Vec<Expr> {
        let pool = &self.points.ctx.exprs;
        let even = shared_rows(self.points.ctx, &self.env.assumed, extent);
        let Some(extent) = pool.as_const(extent) else { return vec![even] };
        let divisor = (1..=TILE_ROWS).rev().find(|rows| extent % rows == 0).unwrap_or(1);
        let mut all = vec![pool.constant(TILE_ROWS.min(extent)), even, pool.constant(divisor)];
        all.dedup();
        all
    }

    /// Cycles, roughly.
    fn cost_in_registers(&self, registers: &TileRegisters, rows: &Group, columns: &Group, batch: &[usize]) -> f64 {
        let ctx = self.points.ctx;
        let run = &registers.run;
        let estimate = |e: Expr| self.env.estimate(e, super::contraction::ASSUMED);
        let (height, wide) = (estimate(registers.rows).min(TILE_ROWS as f64), (columns.tile / WORDS) as f64);
        let outer: f64 = self.reductions.iter().filter(|k| !run.dims.contains(k)).map(|&k| self.extent(k)).product();
        let steps = outer * estimate(run.steps);
        let vectors = (columns.tile / self.lanes) as f64;
        let column_tiles = (estimate(columns.size) / columns.tile as f64).ceil();
        let bytes = 4.0 * run.step as f64;
        let stride = ctx.exprs.as_const(registers.stride());
        let lines = registers.lines(ctx);
        // Steps along a window read again what rows beside had: how often.
        let row = stride.map_or(f64::INFINITY, |s| s.abs() as f64);
        let again: f64 = self
            .reductions
            .iter()
            .filter(|&&k| {
                let step = run.strides[k].and_then(|s| ctx.exprs.as_const(s)).map_or(0.0, |s| s.abs() as f64);
                step >= row && step < row * height
            })
            .map(|&k| self.extent(k))
            .product();
        let machine = &self.env.options.target.machine;
        let (near, rows_loaded) = (NEAR_SHARE * machine.first().bytes, machine.first().rate / TILE_BYTES as f64);
        let tile_cost = |blocks: f64| {
            let products = blocks * wide * height;
            let loads = (blocks * height * lines + wide * run.step as f64) / rows_loaded;
            // Rows come from the second-level cache, and columns too if both do not stay near from one row tile to the next.
            let left = steps * blocks * height * bytes / again;
            let right = steps * wide * run.step as f64 * TILE_BYTES as f64;
            let far = left + if left + right > near { right } else { 0.0 };
            let far = far / steps / machine.second().rate;
            let step = products.max(loads).max(far).max(tiles::LATENCY + height) + 0.02 * (loads + far);
            let write = blocks * (wide * tiles::STORE + height * vectors * 2.0 + 20.0);
            steps * step + tiles::LATENCY + write
        };
        let whole = estimate(rows.size).ceil();
        let (tiles, rest) = ((whole / rows.tile as f64).floor(), whole % rows.tile as f64);
        let strip = tiles * tile_cost(rows.tile as f64) + if rest > 0.0 { tile_cost(rest) } else { 0.0 };
        let mut total = self.extents(batch) * column_tiles * strip + tiles::CONFIGURED;
        total = nim_machine::overlapped(total, self.streams(rows, columns, batch, &[registers.words.packed], true));
        let (words, dot) = (registers.words, registers.words.dot);
        let elements = |read: usize| -> f64 {
            let access = &self.reads[read];
            (0..access.uses.len()).filter(|&k| access.uses[k]).map(|k| self.extent(k)).product()
        };
        let anyway = copies::may_be_outside(self.points, words.spread)
            || !words::in_words(self.points, words.spread, dot, dot.width);
        if run.copied && !anyway {
            total += COPIED * elements(words.spread);
        }
        if self.env.constant_arg(self.points, words.packed).is_none() {
            total += 2.0 * elements(words.packed);
        }
        total
    }
}

/// A block of rows.
struct Block {
    /// Its first row as a point.
    first: Vec<Expr>,
    /// The same along the rows of a register.
    start: Expr,
    /// How many of its rows the block before has too.
    before: Expr,
}

impl TileRegisters {
    /// Shapes of all registers of a plan's tiles: sums, those of the factor that is held, those of the other.
    pub fn shapes(&self, ctx: &Context, plan: &tile::Plan) -> Vec<TileShape> {
        let (blocks, wide) = (plan.rows.tile, plan.columns.tile / WORDS);
        let sum = TileShape { rows: self.rows, bytes: TILE_BYTES };
        let left = TileShape { rows: self.rows, bytes: 4 * self.run.step };
        let right = TileShape { rows: ctx.exprs.constant(self.run.step), bytes: TILE_BYTES };
        let (held, other) = beside(blocks, wide).unwrap_or((1, 1));
        let (first, second) = if wide <= blocks { (right, left) } else { (left, right) };
        let times = |shape: TileShape, n: i64| std::iter::repeat_n(shape, n as usize);
        times(sum, blocks * wide).chain(times(first, held)).chain(times(second, other)).collect()
    }

    /// What is chosen when the kernel runs, in words.
    pub fn explain(&self, ctx: &Context, columns: &Group) -> Option<String> {
        let pool = &ctx.exprs;
        if pool.as_const(self.extent).is_some() {
            return None;
        }
        let (extent, rows) = (pool.display(self.extent), pool.display(self.rows));
        Some(format!("{extent} rows by {} columns: tile registers of {rows} rows", columns.tile))
    }

    /// Elements of the left factor from one row of a register to the next.
    pub(super) fn stride(&self) -> Expr {
        self.along.last().and_then(|&k| self.run.strides[k]).unwrap_or(Expr::ZERO)
    }

    /// Lines of the cache that a row of the left factor lies in.
    pub(super) fn lines(&self, ctx: &Context) -> f64 {
        let (bytes, bits) = (4 * self.run.step, 32 / self.words.dot.width);
        let stride = ctx.exprs.as_const(self.stride());
        let aligned = stride.is_some_and(|s| s * bits / 8 % TILE_BYTES == 0) && bytes % TILE_BYTES == 0;
        if aligned { 1.0 } else { 1.0 + bytes as f64 / TILE_BYTES as f64 }
    }

    /// Where the block begins whose first own row this is: earlier, where it would reach beyond the last one.
    pub(super) fn start(&self, ctx: &Context, begin: Expr) -> Expr {
        let pool = &ctx.exprs;
        let exact = pool.divisor(self.extent, &Facts::default());
        match pool.as_const(self.rows) {
            Some(rows) if exact % rows == 0 => begin,
            _ => pool.min(begin, pool.sub(self.extent, self.rows)),
        }
    }

    fn block(&self, points: &Points<'_>, plan: &tile::Plan, number: Expr, point: &[Expr]) -> Block {
        let ctx = points.ctx;
        let (pool, domain) = (&ctx.exprs, &points.map.view.domain);
        let along = pool.ceildiv(self.extent, self.rows);
        let mut first = point.to_vec();
        let outer = &plan.rows.dims[..plan.rows.dims.len() - self.along.len()];
        let number = match outer.is_empty() {
            true => number,
            false => {
                Group::new(ctx, domain, outer.to_vec()).split(ctx, domain, pool.floordiv(number, along), &mut first);
                pool.modulo(number, along)
            }
        };
        let begin = pool.mul(self.rows, number);
        let start = self.start(ctx, begin);
        self.split(points, start, &mut first);
        Block { first, start, before: pool.sub(begin, start) }
    }

    pub(super) fn split(&self, points: &Points<'_>, index: Expr, point: &mut [Expr]) {
        let domain = &points.map.view.domain;
        Group::new(points.ctx, domain, self.along.clone()).split(points.ctx, domain, index, point);
    }
}

impl Tile<'_> {
    /// A tile of sums in tile registers.
    pub(super) fn emit_in_registers(
        &mut self,
        nest: &mut Nest<'_>,
        registers: &TileRegisters,
    ) -> Result<(), Diagnostic> {
        let (points, plan) = (self.points, self.plan);
        let ctx = points.ctx;
        let wide = plan.columns.tile / WORDS;
        let sums = self.rows * wide;
        let local = nest.local(&[TILE_ROWS * self.rows, plan.columns.tile], points.accumulator_type(0), false);
        self.slots = vec![local];
        plan.columns.split(ctx, &points.map.view.domain, self.column, &mut self.point);
        let number = |i: i64| ctx.exprs.add(self.row, ctx.exprs.constant(i));
        let blocks: Vec<Block> =
            (0..self.rows).map(|i| registers.block(points, plan, number(i), &self.point)).collect();
        (0..sums).for_each(|t| nest.tile_zero(t));
        let outer: Vec<usize> =
            plan.reductions.iter().map(|r| r.0).filter(|k| !registers.run.dims.contains(k)).collect();
        let mut done = Ok(());
        let domain = points.map.view.domain.clone();
        let extents: Vec<Expr> = outer.iter().map(|&k| domain[k]).collect();
        nest.ranges(&extents, Kind::Seq, &mut |nest, at| {
            let steps = registers.run.steps;
            let kind = match ctx.exprs.as_const(steps) {
                Some(n) if n <= UNROLLED => Kind::Unroll,
                _ => Kind::Seq,
            };
            nest.range(steps, kind, |nest, step| {
                let place = |point: &[Expr]| {
                    let mut point = point.to_vec();
                    outer.iter().zip(at).for_each(|(&k, &i)| point[k] = i);
                    let word = ctx.exprs.scale(registers.run.step, step);
                    registers.run.place(points, registers.words, word, &mut point);
                    point
                };
                let lefts: Vec<Vec<Expr>> = blocks.iter().map(|block| place(&block.first)).collect();
                let here = self.products(nest, registers, &lefts, &place(&self.point));
                if here.is_err() {
                    done = here;
                }
            });
        });
        done?;
        let pool = &ctx.exprs;
        for t in 0..sums {
            let at = [pool.constant(t / wide * TILE_ROWS), pool.constant(t % wide * WORDS)];
            nest.tile_store(t, local, &at, pool.constant(plan.columns.tile));
        }
        let vectors = plan.columns.tile / plan.lanes;
        let kind = if tile::written_out(points, vectors) { Kind::Unroll } else { Kind::Seq };
        self.guarded(nest, kind, &mut |nest, _, at, point| {
            let mut sum = nest.load(local, &at, &[]);
            // Sums begin with zero, whatever the map's begin with.
            let ty = points.accumulator_type(0);
            let init = points.map.view.writes[0].init.map(|init| points.scalar(init, ty));
            if init.is_some_and(|init| init != points.zero(ty)) {
                let first = points.initial(nest, 0);
                sum = points.combine(nest, 0, first, sum);
            }
            points.finish(nest, point, &[sum])
        })
    }

    /// One step: loads, and products of all registers of the left factor with all of the right one.
    fn products(
        &self,
        nest: &mut Nest<'_>,
        registers: &TileRegisters,
        lefts: &[Vec<Expr>],
        right: &[Expr],
    ) -> Result<(), Diagnostic> {
        let (points, plan) = (self.points, self.plan);
        let pool = &points.ctx.exprs;
        let wide = plan.columns.tile / WORDS;
        let words = registers.words;
        let first = plan.rows.tile * wide;
        let (held, other) = beside(plan.rows.tile, wide).unwrap_or((1, 1));
        let (blocks, hold_right) = (lefts.len() as i64, wide <= plan.rows.tile);
        let stride = registers.stride();
        let (buffer, indices) = points.read_from(words.spread)?;
        let load_left = |nest: &mut Nest<'_>, register: i64, i: i64| {
            nest.tile_load(register, buffer, &points.map.all_at(points.ctx, indices, &lefts[i as usize]), stride);
        };
        let (packed, places) = points.read_from(words.packed)?;
        let load_right = |nest: &mut Nest<'_>, register: i64, j: i64| {
            let mut at = points.map.all_at(points.ctx, places, right);
            let column = at.len() - 2;
            at[column] = pool.constant(j * WORDS);
            nest.tile_load(register, packed, &at, pool.constant(plan.columns.tile * words.dot.width));
        };
        let (count, inner) = if hold_right { (blocks, wide) } else { (wide, blocks) };
        for passing in 0..count {
            let register = first + held + passing % other;
            match hold_right {
                true => load_left(nest, register, passing),
                false => load_right(nest, register, passing),
            }
            for kept in 0..inner {
                if passing == 0 {
                    match hold_right {
                        true => load_right(nest, first + kept, kept),
                        false => load_left(nest, first + kept, kept),
                    }
                }
                let tiles = match hold_right {
                    true => [passing * wide + kept, register, first + kept],
                    false => [kept * wide + passing, first + kept, register],
                };
                nest.tile_dot(registers.kind, tiles);
            }
        }
        Ok(())
    }

    /// The rows of a tile in tile registers that are its own: where each lies on the stack, and its point.
    pub(super) fn each_row_of_blocks(
        &self,
        nest: &mut Nest<'_>,
        registers: &TileRegisters,
        f: &mut dyn FnMut(&mut Nest<'_>, Expr, &mut Vec<Expr>),
    ) {
        let pool = &self.points.ctx.exprs;
        for i in 0..self.rows {
            let number = pool.add(self.row, pool.constant(i));
            let Block { first, start, before } = registers.block(self.points, self.plan, number, &self.point);
            nest.for_loop(before, registers.rows, 1, Kind::Seq, |nest, row| {
                let mut point = first.clone();
                registers.split(self.points, pool.add(start, row), &mut point);
                f(nest, pool.add(pool.constant(i * TILE_ROWS), row), &mut point);
            });
        }
    }
}

impl Nest<'_> {
    fn tile_op(&mut self, name: &str, operands: &[ValueId], numbers: &[(&str, i64)], exprs: Option<(&[Expr], Expr)>) {
        let ctx = self.ctx;
        let mut attrs: Vec<(&str, nim_ir::Attr)> = numbers.iter().map(|&(n, v)| (n, ctx.i64_attr(v))).collect();
        if let Some((indices, stride)) = exprs {
            attrs.extend([("indices", ctx.exprs_attr(indices)), ("stride", ctx.expr_attr(stride))]);
        }
        self.builder().op(name, operands, &[], &attrs);
    }
    pub(super) fn tile_zero(&mut self, tile: i64) {
        self.tile_op("loops.tile_zero", &[], &[("tile", tile)], None);
    }
    pub(super) fn tile_load(&mut self, tile: i64, buffer: ValueId, indices: &[Expr], stride: Expr) {
        self.tile_op("loops.tile_load", &[buffer], &[("tile", tile)], Some((indices, stride)));
    }
    pub(super) fn tile_store(&mut self, tile: i64, buffer: ValueId, indices: &[Expr], stride: Expr) {
        self.tile_op("loops.tile_store", &[buffer], &[("tile", tile)], Some((indices, stride)));
    }
    pub(super) fn tile_dot(&mut self, kind: TileKind, [sum, left, right]: [i64; 3]) {
        let kind = self.ctx.string_attr(kind.name());
        let number = |n: i64| self.ctx.i64_attr(n);
        let attrs = [("kind", kind), ("sum", number(sum)), ("left", number(left)), ("right", number(right))];
        self.builder().op("loops.tile_dot", &[], &[], &attrs);
    }

    /// Gives tile registers their shapes in the loop that was made last.
    pub fn shape_tiles(&mut self, shapes: &[TileShape]) {
        let Some(last) = self.body.last_op(self.block) else { return };
        let rows: Vec<Expr> = shapes.iter().map(|s| s.rows).collect();
        let bytes: Vec<i64> = shapes.iter().map(|s| s.bytes).collect();
        let (rows, bytes) = (self.ctx.exprs_attr(&rows), self.ctx.i64_array(&bytes));
        self.body.set_attr(self.ctx, last, "tile_rows", rows);
        self.body.set_attr(self.ctx, last, "tile_bytes", bytes);
    }
}
