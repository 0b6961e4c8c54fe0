//! What a walk costs: counts that follow from loops and memlets, and an estimate of time made of them.

use super::contraction::{Contraction, INPUT, OUTPUT, WEIGHT};
use super::slots::Slots;
use super::{Dataflow, Walk, space};
use crate::mlir::TargetInfo;
use nim_ir::{Context, Expr};

/// Size that a symbolic dimension is taken to have in estimates.
pub const ASSUMED: i64 = 64;

/// Counts of one walk over the whole domain.
#[derive(Clone, Debug)]
pub struct Counts {
    /// The point of the space.
    pub dataflow: Dataflow,
    /// Operands that are held beside the anchor, and the registers that they take.
    pub auxiliaries: Vec<(&'static str, i64)>,
    /// Registers of all operands: vectors, or tiles; so are loads, stores and operations counted.
    pub registers: i64,
    /// Loads of vectors, and of numbers for all lanes, by operand.
    pub loads: [f64; 3],
    /// Stores of vectors.
    pub stores: f64,
    /// Vector operations.
    pub operations: f64,
    /// Bytes that enter the first and the second level of the cache.
    pub moved: [f64; 2],
    /// Cycles, by the slowest of these.
    pub cycles: f64,
}

impl Counts {
    /// Counts a walk on a machine; a point of the contraction takes `operations` vector operations.
    pub fn new(ctx: &Context, c: &Contraction, walk: &Walk, operations: f64, target: &TargetInfo) -> Counts {
        let all = visits(ctx, c, walk, walk.loops.len());
        let points = |counts: &[i64]| walk.points(c, counts).len() as f64;
        let steps: f64 = all.iter().map(|(times, counts)| times * points(counts)).sum();
        let mut loads = [INPUT, WEIGHT, OUTPUT].map(|operand| entering(ctx, c, walk, operand));
        let own = |&k: &usize| steps_of(ctx, c.domain[k], c.step(k));
        let results = c.batch.iter().chain(&c.rows).chain([&c.columns]).map(own).product::<f64>();
        // Sums that lie in memory get their start first, and are read once more for the epilogue.
        let in_registers = walk.held[OUTPUT] < walk.loops.len();
        let stores = if in_registers { results } else { loads[OUTPUT] + 2.0 * results };
        loads[OUTPUT] = if in_registers { 0.0 } else { loads[OUTPUT] + results };
        let [first, second, third] = target.machine.caches;
        let moved = [first, second].map(|cache| moved(ctx, c, walk, cache.bytes));
        // Sums that wait for each other: four cycles from one to the next. Those of different boxes do not.
        let slots = walk.slots(c, OUTPUT);
        let chained = in_registers || walk.slide_of(c, OUTPUT).is_some();
        let waits = if chained { 4.0 * steps / slots.0 as f64 } else { 0.0 };
        let operations = operations * steps;
        let total: f64 = loads.iter().sum();
        let issued = (operations + total + 2.0 * stores) / 5.0;
        let compute =
            [operations / target.vector_rate(), total / 2.0, stores, waits, issued].into_iter().fold(0.0, f64::max);
        let transfers = [moved[0] / second.rate, moved[1] / third.rate].into_iter();
        Counts {
            dataflow: walk.dataflow,
            auxiliaries: walk.auxiliaries(c),
            registers: walk.registers(c),
            loads,
            stores,
            operations,
            moved,
            cycles: transfers.fold(compute, f64::max),
        }
    }
}

/// All points in vector registers, the fewest cycles first.
pub fn rank(ctx: &Context, c: &Contraction, registers: i64, operations: f64, target: &TargetInfo) -> Vec<Counts> {
    let walks = space(c, registers).into_iter().filter_map(|point| Walk::new(c, point));
    let mut all: Vec<Counts> = walks.map(|walk| Counts::new(ctx, c, &walk, operations, target)).collect();
    sort(&mut all);
    all
}

/// Puts the fewest cycles first.
pub fn sort(all: &mut [Counts]) {
    let moves = |c: &Counts| c.loads.iter().sum::<f64>() + 2.0 * c.stores;
    all.sort_by(|a, b| {
        let order = a.cycles.total_cmp(&b.cycles).then(moves(a).total_cmp(&moves(b)));
        order.then(a.registers.cmp(&b.registers)).then(a.dataflow.cmp(&b.dataflow))
    });
}

/// Steps along a dimension, points where `in_points`.
fn extent(ctx: &Context, c: &Contraction, walk: &Walk, k: usize, in_points: bool) -> f64 {
    let pool = &ctx.exprs;
    let size = pool.add(c.domain[k], pool.constant(walk.margin(c, k)));
    steps_of(ctx, size, if in_points { 1 } else { c.step(k) })
}

/// Steps that a size takes.
pub(super) fn steps_of(ctx: &Context, size: Expr, step: i64) -> f64 {
    let size = ctx.exprs.eval(size, &|_| Some(ASSUMED)).unwrap_or(ASSUMED).max(1);
    ((size + step - 1) / step) as f64
}

/// How often the loops outside of number `level` are entered with which steps of the box.
fn visits(ctx: &Context, c: &Contraction, walk: &Walk, level: usize) -> Vec<(f64, Vec<i64>)> {
    let mut out = vec![(1.0, walk.counts(c))];
    for l in &walk.loops[..level] {
        let count = extent(ctx, c, walk, l.dim, false) as i64;
        let mut next = vec![];
        for (times, counts) in out {
            for (trips, tile) in [(count / l.tile, l.tile), (1, count % l.tile)] {
                if trips > 0 && tile > 0 {
                    let mut counts = counts.clone();
                    counts[l.dim] = tile;
                    next.push((times * trips as f64, counts));
                }
            }
        }
        out = next;
    }
    out
}

/// Elements of an operand that are brought into registers.
fn entering(ctx: &Context, c: &Contraction, walk: &Walk, operand: usize) -> f64 {
    let slots = |counts: &[i64]| Slots::new(c, operand, &walk.points(c, counts));
    let Some(shift) = walk.slide_of(c, operand) else {
        let all = visits(ctx, c, walk, walk.held[operand]);
        return all.iter().map(|(times, counts)| times * slots(counts).len() as f64).sum();
    };
    let Some(l) = walk.loops.last() else { return 0.0 };
    let count = extent(ctx, c, walk, l.dim, false) as i64;
    let outside = visits(ctx, c, walk, walk.loops.len() - 1);
    let row = |counts: &[i64]| {
        let held = slots(counts);
        let carried = held.carried(&shift).len() as i64;
        let mut rest = counts.to_vec();
        rest[l.dim] = count % l.tile;
        let last = if rest[l.dim] > 0 { slots(&rest).len() } else { 0 };
        (carried + count / l.tile * (held.len() - carried) + last) as f64
    };
    outside.iter().map(|(times, counts)| times * row(counts)).sum()
}

/// Bytes that enter a cache of this size: what the largest nest of loops that fits it touches, each time it is entered.
fn moved(ctx: &Context, c: &Contraction, walk: &Walk, size: f64) -> f64 {
    let pool = &ctx.exprs;
    let bytes = [c.bytes[INPUT], c.bytes[WEIGHT], if sums_in_memory(walk) { 2 * c.sum_bytes } else { c.bytes[OUTPUT] }];
    // Points along a dimension inside of loop `level`.
    let inside = |k: usize, level: usize| -> f64 {
        let tile = walk.loops.iter().position(|l| l.dim == k);
        match tile {
            Some(at) if at < level => {
                (walk.loops[at].tile * c.step(k)).min(extent(ctx, c, walk, k, true) as i64) as f64
            }
            _ => pool.eval(c.domain[k], &|_| Some(ASSUMED)).unwrap_or(ASSUMED).max(1) as f64,
        }
    };
    let touched = |operand: usize, level: usize| -> f64 {
        let along = |steps: &Vec<i64>| -> f64 {
            1.0 + steps.iter().enumerate().map(|(k, s)| s.abs() as f64 * (inside(k, level) - 1.0)).sum::<f64>()
        };
        c.steps[operand].iter().map(along).product::<f64>() * bytes[operand] as f64
    };
    let level = (0..=walk.loops.len()).find(|&level| (0..3).map(|o| touched(o, level)).sum::<f64>() <= size);
    let level = level.unwrap_or(walk.loops.len());
    let entered = |operand: usize| -> f64 {
        let trips = |l: &super::Loop| (extent(ctx, c, walk, l.dim, false) / l.tile as f64).ceil();
        let outside = &walk.loops[..level];
        // Loops just outside that do not move it find it where it is.
        let last = outside.iter().rposition(|l| c.moves(operand, l.dim)).map_or(0, |at| at + 1);
        outside[..last].iter().map(trips).product()
    };
    (0..3).map(|o| touched(o, level) * entered(o)).sum()
}

fn sums_in_memory(walk: &Walk) -> bool {
    walk.held[OUTPUT] == walk.loops.len()
}

/// Vector operations of a point: what the body computes and the sum, products that a sum takes up not counted.
pub fn operations(points: &crate::point::Points<'_>, c: &Contraction, fma: bool) -> f64 {
    if c.dot.is_some() {
        return 1.0;
    }
    let (ctx, source) = (points.ctx, points.source);
    let ops = source.block_ops(points.map.view.body);
    let names: Vec<&str> = ops.map(|op| ctx.op_str(source.op_name(op))).collect();
    let counted =
        |name: &&&str| !name.starts_with("dataflow.") && !name.starts_with("arith.ext") && **name != "arith.constant";
    let all = names.iter().filter(counted).count() as f64;
    let taken_up = fma && names.contains(&"arith.mulf");
    all + if taken_up { 0.0 } else { 1.0 }
}

/// A size for a table: `1.2M`.
pub fn short(value: f64) -> String {
    match value {
        v if v >= 1e9 => format!("{:.2}G", v / 1e9),
        v if v >= 1e6 => format!("{:.2}M", v / 1e6),
        v if v >= 1e4 => format!("{:.1}k", v / 1e3),
        v => format!("{v:.0}"),
    }
}
