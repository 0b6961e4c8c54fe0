//! Dataflows of tile registers (AMX): the same [walks](super::walk), whose elements are matrices.
//!
//! A register holds a *block*, up to 16 rows of results or of the input, 16 columns of results or of the weight, and up to 64 bytes of
//! both along the reduction. So a contraction has three dimensions that count in registers, rows, columns and steps of the reduction,
//! beside those that count in points; as such a contraction it has walks, and counts, like any other. Of a window no part lies in the box:
//! taps are reductions like others, and the input anchor holds its blocks over all columns.
//!
//! Blocks share out rows evenly, whatever their number ([`TileRegisters`]): the last one begins earlier where it would reach beyond the
//! last row. Sums in memory lie block by block, so rows that two blocks have in common have a sum in each, and nothing is added twice.

use super::super::tile_registers::{Run, TileRegisters, WORDS, shared_rows};
use super::super::{Env, words};
use super::contraction::{Contraction, INPUT, OUTPUT, WEIGHT};
use super::count::{ASSUMED, Counts};
use super::{Anchor, Dataflow, Walk};
use crate::mlir::TargetInfo;
use crate::point::Points;
use nim_ir::{Context, Expr};
use nim_loops::{TILE_BYTES, TILE_REGISTERS, TILE_ROWS, TileShape};
use nim_machine::tiles;

/// Registers of rows, columns and steps in a box.
const SIZES: [i64; 5] = [1, 2, 3, 4, 6];

/// A contraction whose products are those of tile registers.
#[derive(Clone, Debug)]
pub struct Tiled {
    /// The same contraction, with three further dimensions behind the map's, in registers: [`Tiled::blocks`], [`Tiled::columns`] and
    /// [`Tiled::steps`]. Those that they stand for have one point.
    pub contraction: Contraction,
    /// What registers hold.
    pub registers: TileRegisters,
    /// Iterations of a loop over each dimension.
    pub counts: Vec<Expr>,
    /// The dimension of the map that columns are of, and its vectors' lanes.
    pub vectors: (usize, i64),
}

impl Tiled {
    /// What tile registers make of a contraction; none where the machine has none for it.
    pub fn new(points: &Points<'_>, env: &Env<'_>, c: &Contraction) -> Option<Tiled> {
        let (ctx, [input, weight]) = (points.ctx, c.reads);
        let pool = &ctx.exprs;
        let words = words::in_tile_registers(points, env, weight, input).filter(|_| !c.moves(INPUT, c.columns))?;
        let outer_steps = |run: &Run| -> f64 {
            let outside = c.reductions().into_iter().filter(|k| !run.dims.contains(k));
            outside.map(|k| c.domain[k]).chain([run.steps]).map(|e| env.estimate(e, ASSUMED)).product()
        };
        // As few steps as there can be, best without a copy.
        let cost = |run: &Run| (outer_steps(run) * if run.copied { 1.05 } else { 1.0 }, run.step);
        let all = Run::all(points, &c.reductions(), words);
        let run = all.into_iter().min_by(|a, b| {
            let ((a, a_step), (b, b_step)) = (cost(a), cost(b));
            a.total_cmp(&b).then(a_step.cmp(&b_step))
        })?;
        // Rows that lie at one distance from each other are one index.
        let same = |i: &usize| match (run.strides[c.rows[i - 1]], run.strides[c.rows[*i]]) {
            (Some(outer), Some(inner)) => outer == pool.mul(inner, c.domain[c.rows[*i]]),
            _ => false,
        };
        let first = (1..c.rows.len()).rev().find(|i| !same(i)).unwrap_or(0);
        let (rows, along) = c.rows.split_at(first);
        if along.last().is_some_and(|&k| run.strides[k].is_none()) {
            return None;
        }
        let extent = along.iter().fold(Expr::ONE, |all, &k| pool.mul(all, c.domain[k]));
        let height = shared_rows(ctx, &env.assumed, extent);
        let registers =
            TileRegisters { words, kind: words.tile_kind(), rows: height, along: along.to_vec(), extent, run };
        Some(Tiled::of(ctx, c, registers, rows))
    }

    fn of(ctx: &Context, c: &Contraction, registers: TileRegisters, rows: &[usize]) -> Tiled {
        let pool = &ctx.exprs;
        let rank = c.domain.len();
        let (width, run) = (registers.words.dot.width, &registers.run);
        let mut counts = c.domain.clone();
        counts.push(pool.ceildiv(registers.extent, registers.rows));
        counts.push(pool.ceildiv(c.domain[c.columns], pool.constant(WORDS)));
        counts.push(run.steps);
        // In points, of which a register takes so many.
        let mut domain = c.domain.clone();
        domain.extend([registers.extent, c.domain[c.columns], pool.scale(width, run.words(ctx))]);
        let height = pool.eval(registers.rows, &|_| Some(ASSUMED)).unwrap_or(TILE_ROWS);
        let mut stride = vec![1; rank];
        stride.extend([height, WORDS, run.step * width]);
        let replaced: Vec<usize> = registers.along.iter().chain(&run.dims).copied().chain([c.columns]).collect();
        // Along an index of several dimensions the last one counts: those in front of it lie at the same distance.
        let innermost = [registers.along.last().copied(), Some(c.columns), run.dims.last().copied()];
        let mut steps = c.steps.clone();
        for along in steps.iter_mut().flatten() {
            let new = innermost.map(|k| k.map_or(0, |k| along[k]));
            replaced.iter().for_each(|&k| along[k] = 0);
            along.extend(new);
        }
        for &k in &replaced {
            (domain[k], counts[k]) = (Expr::ONE, Expr::ONE);
        }
        let mut depth: Vec<usize> = c.reductions().into_iter().filter(|k| !run.dims.contains(k)).collect();
        depth.push(rank + 2);
        let contraction = Contraction {
            columns: rank + 1,
            lanes: WORDS,
            rows: rows.iter().copied().chain([rank]).collect(),
            depth,
            windows: vec![],
            known: counts.iter().map(|&n| pool.as_const(n)).collect(),
            domain,
            steps,
            stride,
            dot: Some(registers.words.dot),
            ..c.clone()
        };
        let vectors = (c.columns, c.lanes.min(WORDS));
        Tiled { contraction, registers, counts, vectors }
    }

    /// Dimensions of the map.
    pub fn rank(&self) -> usize {
        self.counts.len() - 3
    }
    /// The dimension of blocks of rows.
    pub fn blocks(&self) -> usize {
        self.rank()
    }
    /// The dimension of registers of columns.
    pub fn columns(&self) -> usize {
        self.rank() + 1
    }
    /// The dimension of steps along the reduction.
    pub fn steps(&self) -> usize {
        self.rank() + 2
    }

    /// The walk of a dataflow; `None` where it has no meaning of its own, or needs more registers than there are.
    pub fn walk(&self, point: Dataflow) -> Option<Walk> {
        let walk = Walk::new(&self.contraction, Dataflow { tiles: false, ..point }).filter(|_| point.tiles)?;
        let walk = Walk { dataflow: point, ..walk };
        (walk.registers(&self.contraction) <= TILE_REGISTERS as i64).then_some(walk)
    }

    /// All points whose operands fit the registers.
    pub fn space(&self) -> Vec<Walk> {
        let mut out = vec![];
        for anchor in Anchor::ALL {
            for rows in SIZES {
                for columns in SIZES {
                    for depth in SIZES {
                        let point = Dataflow { anchor, rows, columns, window: 0, depth, slide: false, tiles: true };
                        out.extend(self.walk(point));
                    }
                }
            }
        }
        out
    }

    /// What a walk loads and stores, in registers, and an estimate of its time.
    pub fn count(&self, ctx: &Context, walk: &Walk, target: &TargetInfo) -> Counts {
        let c = &self.contraction;
        let counts = Counts::new(ctx, c, walk, 1.0, target);
        let banks = Banks::new(self, walk);
        let height = c.stride[self.blocks()] as f64;
        let step = self.registers.run.step as f64;
        // A product, a load and a store take their time for each row.
        let products = counts.operations * height;
        let rows = counts.loads[INPUT] * height * self.registers.lines(ctx)
            + counts.loads[WEIGHT] * step
            + counts.loads[OUTPUT] * height;
        let loaded = rows * TILE_BYTES as f64 / target.machine.first().rate;
        let stored = counts.stores * tiles::STORE;
        // Products that add to one register wait for each other; those of sums that pass through memory do not.
        let held = walk.held[OUTPUT] < walk.loops.len();
        let sums = walk.slots(c, OUTPUT).0 as f64;
        let waits = if held { counts.operations / sums * (tiles::LATENCY + height) } else { 0.0 };
        let [_, second, third] = target.machine.caches;
        let moved = [counts.moved[0] / second.rate, counts.moved[1] / third.rate];
        let slowest = moved.iter().copied().fold(products.max(loaded).max(waits), f64::max);
        // The epilogue follows each register of sums that was held, or comes last: vectors that are loaded and stored.
        let dims = c.batch.iter().chain(&c.rows).chain([&c.columns]);
        let results: f64 = dims.map(|&k| super::count::steps_of(ctx, c.domain[k], c.step(k))).product();
        let vectors = (WORDS / self.vectors.1) as f64;
        let written = results * (height * vectors * 2.0 + 20.0);
        let (beside, after) = if held { (0.0, stored) } else { (stored, 0.0) };
        let cycles = slowest.max(beside) + after + written + 0.02 * (loaded + moved[0]) + tiles::CONFIGURED;
        Counts { registers: banks.all(), cycles, ..counts }
    }
}

/// The registers of each operand, one behind the other: first the sums.
#[derive(Clone, Copy, Debug)]
pub struct Banks {
    /// The first register of each operand.
    first: [i64; 3],
    /// How many there are; elements in passing use them in rotation.
    count: [i64; 3],
}

impl Banks {
    /// What a walk needs, and for elements in passing what is left.
    pub fn new(tiled: &Tiled, walk: &Walk) -> Banks {
        let c = &tiled.contraction;
        let mut count = [INPUT, WEIGHT, OUTPUT].map(|operand| walk.registers_of(c, operand));
        let mut spare = TILE_REGISTERS as i64 - count.iter().sum::<i64>();
        for operand in [INPUT, WEIGHT, OUTPUT] {
            let more = (walk.slots(c, operand).0 - count[operand]).clamp(0, spare.max(0));
            (count[operand], spare) = (count[operand] + more, spare - more);
        }
        let first = [count[OUTPUT], count[OUTPUT] + count[INPUT], 0];
        Banks { first, count }
    }

    /// The register of an operand's element.
    pub fn register(&self, operand: usize, element: i64) -> i64 {
        self.first[operand] + element % self.count[operand]
    }

    /// All of them.
    pub fn all(&self) -> i64 {
        self.count.iter().sum()
    }

    /// Their shapes, in order.
    pub fn shapes(&self, ctx: &Context, tiled: &Tiled) -> Vec<TileShape> {
        let TileRegisters { rows, run, .. } = &tiled.registers;
        let sum = TileShape { rows: *rows, bytes: 4 * WORDS };
        let left = TileShape { rows: *rows, bytes: 4 * run.step };
        let right = TileShape { rows: ctx.exprs.constant(run.step), bytes: 4 * WORDS };
        let bank = |shape: TileShape, operand: usize| std::iter::repeat_n(shape, self.count[operand] as usize);
        bank(sum, OUTPUT).chain(bank(left, INPUT)).chain(bank(right, WEIGHT)).collect()
    }
}
