//! A contraction under a walk of tile registers.
//!
//! Loops over different results that stand outside of everything else are one parallel loop, which gives the registers their shapes.
//! Sums that are held are stored on the stack, from where the epilogue takes them as vectors; others pass through a buffer, which the
//! epilogue reads last.

use super::super::choice::Choice;
use super::super::tile::{Group, Tail, collapsed};
use super::super::tile_registers::WORDS;
use super::super::{Env, Tried, copies, elementwise, naive, word_copies};
use super::contraction::{Contraction, INPUT, OUTPUT, WEIGHT};
use super::emit::finish_sums;
use super::tiles::{Banks, Tiled};
use super::{Dataflow, Walk};
use crate::nest::{Kind, Nest};
use crate::point::Points;
use nim_ir::{Diagnostic, Expr, ValueId};
use nim_loops::TILE_ROWS;
use nim_pass::Miss;

/// Most vectors of a row whose epilogue is written out.
const WRITTEN_OUT: i64 = 8;

/// A walk being emitted.
struct Emit<'p, 'm> {
    points: &'p Points<'m>,
    tiled: &'p Tiled,
    walk: &'p Walk,
    banks: Banks,
    /// The box's first point; blocks, columns and steps count in registers.
    at: Vec<Expr>,
    /// Steps of the box along each dimension.
    counts: Vec<i64>,
    /// Sums under way: block by block, where they do not stay in registers, with the columns of a row.
    sums: Option<(ValueId, Expr)>,
    failed: Option<Diagnostic>,
}

/// Emits the map under a dataflow of tile registers.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
    c: &Contraction,
    dataflow: Dataflow,
) -> Tried {
    let ctx = points.ctx;
    let Some(tiled) = Tiled::new(points, env, c) else {
        return Ok(Err(Miss("the machine has no tile registers for this map")));
    };
    let Some(walk) = tiled.walk(dataflow) else {
        return Ok(Err(Miss(
            "the dataflow that was asked for has no meaning for this map, or needs more tile registers",
        )));
    };
    naive::fill_starts(points, nest)?;
    let columns = copy_factors(points, nest, env, &tiled, &walk)?;
    env.taken = Some(Choice::Dataflow(dataflow));
    env.chosen(tiled.registers.explain(ctx, &columns));
    let held = walk.held[OUTPUT] < walk.loops.len();
    let sums = if held { None } else { Some(sums(points, nest, env, &tiled)) };
    let banks = Banks::new(&tiled, &walk);
    let mut emit = Emit {
        points,
        tiled: &tiled,
        walk: &walk,
        banks,
        at: vec![Expr::ZERO; tiled.counts.len()],
        counts: walk.counts(&tiled.contraction),
        sums,
        failed: None,
    };
    let kind = nest.outermost();
    match kind {
        Kind::Parallel => emit.outside(nest, kind),
        // A loop that surely stays has their shapes.
        _ => nest.for_loop(Expr::ZERO, Expr::ONE, 1, Kind::Seq, |nest, _| emit.outside(nest, kind)),
    }
    nest.shape_tiles(&banks.shapes(ctx, &tiled));
    if let Some(failed) = emit.failed.take() {
        return Err(failed);
    }
    if let Some((buffer, _)) = sums {
        let place = |point: &[Expr]| place_of(points, &tiled, point);
        finish_sums(points, c, nest, buffer, &place)?;
    }
    Ok(Ok(()))
}

/// Has both factors read as registers take them: the input with its border where it has one, the weight packed in words.
fn copy_factors(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
    tiled: &Tiled,
    walk: &Walk,
) -> Result<Group, Diagnostic> {
    let (words, run) = (tiled.registers.words, &tiled.registers.run);
    if run.copied {
        let sides = copies::overhang(points, words.spread).unwrap_or_default();
        word_copies::regroup(points, nest, env, words.spread, words.dot, run.multiple(words.dot.width), &sides)?;
    }
    let mut columns = Group::new(points.ctx, &points.map.view.domain, vec![tiled.vectors.0]);
    columns.tile = WORDS * walk.dataflow.columns;
    columns.tail = Tail::Guard;
    let c = &tiled.contraction;
    let used = |dims: &[usize]| dims.iter().copied().filter(|&k| c.moves(WEIGHT, k)).collect::<Vec<_>>();
    let inner = used(&c.depth[..c.depth.len() - 1]);
    let run = word_copies::PackedRun::of_registers(points.ctx, run);
    let packed = word_copies::Packed { outer: used(&c.batch), columns: columns.clone(), inner, run };
    word_copies::pack(points, nest, env, words.packed, words.dot, &packed)?;
    Ok(columns)
}

/// A buffer for sums under way, block by block, that holds what they start from; and its columns.
fn sums(points: &Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>, tiled: &Tiled) -> (ValueId, Expr) {
    let pool = &points.ctx.exprs;
    let mut dims: Vec<Expr> = results(tiled).map(|k| tiled.counts[k]).collect();
    dims.push(pool.mul(tiled.counts[tiled.blocks()], tiled.registers.rows));
    let columns = pool.scale(WORDS, tiled.counts[tiled.columns()]);
    dims.push(columns);
    let buffer = env.temporary(nest, points.ctx.memref_of(&dims, points.accumulator_type(0)));
    let lanes = tiled.vectors.1;
    collapsed(nest, &dims[..dims.len() - 1], Kind::Parallel, &mut |nest, at| {
        elementwise::along(nest, columns, lanes, 1, &mut |nest, column| {
            let start = points.initial(nest, 0);
            nest.store(start, buffer, &[at, &[column]].concat(), &[]);
        });
    });
    (buffer, columns)
}

/// Dimensions of the results but columns and blocks of rows.
fn results(tiled: &Tiled) -> impl Iterator<Item = usize> + '_ {
    let c = &tiled.contraction;
    c.batch.iter().chain(&c.rows).copied().filter(|&k| k != tiled.blocks())
}

/// Where the sum of a point of the map lies: rows that a block has, but that are another's own, lie before its own.
fn place_of(points: &Points<'_>, tiled: &Tiled, point: &[Expr]) -> Vec<Expr> {
    let (ctx, registers) = (points.ctx, &tiled.registers);
    let pool = &ctx.exprs;
    let domain = &points.map.view.domain;
    let row = registers.along.iter().fold(Expr::ZERO, |row, &k| pool.add(pool.mul(row, domain[k]), point[k]));
    let begin = pool.mul(registers.rows, pool.floordiv(row, registers.rows));
    let start = registers.start(ctx, begin);
    let row = if start == begin { row } else { pool.add(begin, pool.sub(row, start)) };
    results(tiled).map(|k| point[k]).chain([row, point[tiled.vectors.0]]).collect()
}

impl Emit<'_, '_> {
    /// Loops over results that no two iterations share, as one.
    fn outside(&mut self, nest: &mut Nest<'_>, kind: Kind) {
        let pool = &self.points.ctx.exprs;
        let c = &self.tiled.contraction;
        let loops = self.walk.loops.iter().take_while(|l| !c.depth.contains(&l.dim));
        let boxes: Vec<Expr> = loops.map(|l| pool.ceildiv(self.tiled.counts[l.dim], pool.constant(l.tile))).collect();
        collapsed(nest, &boxes, kind, &mut |nest, at| self.boxes(nest, at, 0));
    }

    /// The boxes of these numbers along the outermost loops, from number `i` on.
    fn boxes(&mut self, nest: &mut Nest<'_>, numbers: &[Expr], i: usize) {
        let pool = &self.points.ctx.exprs;
        let Some(&number) = numbers.get(i) else { return self.level(nest, i) };
        let (dim, tile) = (self.walk.loops[i].dim, self.walk.loops[i].tile);
        let (count, base) = (self.tiled.counts[dim], pool.scale(tile, number));
        let rest = pool.modulo(count, pool.constant(tile));
        let behind = pool.sub(count, pool.add(base, pool.constant(tile)));
        let whole = |emit: &mut Self, nest: &mut Nest<'_>| {
            (emit.at[dim], emit.counts[dim]) = (base, tile);
            emit.boxes(nest, numbers, i + 1);
        };
        if rest == Expr::ZERO {
            return whole(self, nest);
        }
        nest.guard(&[behind], |nest| whole(self, nest));
        nest.guard(&[pool.sub(pool.constant(-1), behind)], |nest| {
            // So many in one box, or one in each of so many.
            let (size, times) = pool.as_const(rest).map_or((1, pool.sub(count, base)), |rest| (rest, Expr::ONE));
            self.counts[dim] = size;
            nest.range(times, Kind::Seq, |nest, more| {
                self.at[dim] = pool.add(base, more);
                self.boxes(nest, numbers, i + 1);
            });
        });
        self.counts[dim] = tile;
    }

    /// The loops from number `i` on, and the registers that are held inside of so many.
    fn level(&mut self, nest: &mut Nest<'_>, i: usize) {
        let held = |operand: usize| self.walk.held[operand] == i && i < self.walk.loops.len();
        let here = [INPUT, WEIGHT, OUTPUT].map(held);
        if here[OUTPUT] {
            (0..self.sum_count()).for_each(|t| nest.tile_zero(t));
        }
        if here[INPUT] {
            self.each_factor(INPUT, |emit, step, row| emit.load_left(nest, step, row));
        }
        if here[WEIGHT] {
            self.each_factor(WEIGHT, |emit, step, column| emit.load_right(nest, step, column));
        }
        match self.walk.loops.get(i).copied() {
            None => self.products(nest),
            Some(l) => self.steps(nest, i, l.dim, l.tile),
        }
        if here[OUTPUT] {
            self.finish(nest);
        }
    }

    fn steps(&mut self, nest: &mut Nest<'_>, i: usize, dim: usize, tile: i64) {
        let pool = &self.points.ctx.exprs;
        let (count, size) = (self.tiled.counts[dim], pool.constant(tile));
        let (whole, rest) = (pool.floordiv(count, size), pool.modulo(count, size));
        let first = pool.scale(tile, whole);
        let (left, times) = pool.as_const(rest).map_or((1, rest), |rest| (rest, Expr::ONE));
        for (size, times, first) in [(tile, whole, Expr::ZERO), (left, times, first)] {
            if size == 0 || times == Expr::ZERO {
                continue;
            }
            self.counts[dim] = size;
            nest.range(times, Kind::Seq, |nest, iv| {
                self.at[dim] = pool.add(first, pool.scale(size, iv));
                self.level(nest, i + 1);
            });
        }
        (self.counts[dim], self.at[dim]) = (tile, Expr::ZERO);
    }

    /// Registers of rows, columns and steps in the box.
    fn size(&self) -> [i64; 3] {
        [self.tiled.blocks(), self.tiled.columns(), self.tiled.steps()].map(|k| self.counts[k])
    }

    fn sum_count(&self) -> i64 {
        let [rows, columns, _] = self.size();
        rows * columns
    }

    /// All elements of a factor in the box: the step, and the row or the column.
    fn each_factor(&mut self, operand: usize, mut f: impl FnMut(&mut Self, i64, i64)) {
        let [rows, columns, steps] = self.size();
        for step in 0..steps {
            for other in 0..if operand == INPUT { rows } else { columns } {
                f(self, step, other);
            }
        }
    }

    /// The products of the box. Sums that pass through memory are loaded before the first and stored behind the last of theirs.
    fn products(&mut self, nest: &mut Nest<'_>) {
        let [rows, columns, steps] = self.size();
        let inside = [INPUT, WEIGHT].map(|operand| self.walk.held[operand] == self.walk.loops.len());
        for step in 0..steps {
            for row in 0..rows {
                for column in 0..columns {
                    let sum = self.banks.register(OUTPUT, row * columns + column);
                    if inside[INPUT] && column == 0 {
                        self.load_left(nest, step, row);
                    }
                    if inside[WEIGHT] && row == 0 {
                        self.load_right(nest, step, column);
                    }
                    let place = self.sums.map(|sums| (sums, self.place(row, column)));
                    if let Some(((buffer, stride), at)) = place.as_ref().filter(|_| step == 0) {
                        nest.tile_load(sum, *buffer, at, *stride);
                    }
                    let left = self.banks.register(INPUT, step * rows + row);
                    let right = self.banks.register(WEIGHT, step * columns + column);
                    nest.tile_dot(self.tiled.registers.kind, [sum, left, right]);
                    if let Some(((buffer, stride), at)) = place.as_ref().filter(|_| step + 1 == steps) {
                        nest.tile_store(sum, *buffer, at, *stride);
                    }
                }
            }
        }
    }

    /// A register so far from the box's first along blocks, columns or steps.
    fn number(&self, dim: usize, more: i64) -> Expr {
        let pool = &self.points.ctx.exprs;
        pool.add(self.at[dim], pool.constant(more))
    }

    /// The first row of a block, its own first one, and where it begins as a point of the map without columns and reductions.
    fn block(&self, row: i64) -> (Expr, Expr, Vec<Expr>) {
        let (ctx, registers) = (self.points.ctx, &self.tiled.registers);
        let begin = ctx.exprs.mul(registers.rows, self.number(self.tiled.blocks(), row));
        let start = registers.start(ctx, begin);
        let mut point = self.at[..self.tiled.rank()].to_vec();
        registers.split(self.points, start, &mut point);
        (start, begin, point)
    }

    /// A point at a step of the reduction.
    fn at_step(&self, mut point: Vec<Expr>, step: i64) -> Vec<Expr> {
        let registers = &self.tiled.registers;
        let word = self.points.ctx.exprs.scale(registers.run.step, self.number(self.tiled.steps(), step));
        registers.run.place(self.points, registers.words, word, &mut point);
        point
    }

    fn load_left(&mut self, nest: &mut Nest<'_>, step: i64, row: i64) {
        let register = self.banks.register(INPUT, step * self.size()[0] + row);
        let registers = &self.tiled.registers;
        let point = self.at_step(self.block(row).2, step);
        match self.points.read_from(registers.words.spread) {
            Ok((buffer, indices)) => {
                let at = self.points.map.all_at(self.points.ctx, indices, &point);
                nest.tile_load(register, buffer, &at, registers.stride());
            }
            Err(e) => self.failed = Some(e),
        }
    }

    fn load_right(&mut self, nest: &mut Nest<'_>, step: i64, column: i64) {
        let register = self.banks.register(WEIGHT, step * self.size()[1] + column);
        let pool = &self.points.ctx.exprs;
        let words = self.tiled.registers.words;
        let mut point = self.at_step(self.at[..self.tiled.rank()].to_vec(), step);
        point[self.tiled.vectors.0] = pool.scale(WORDS, self.number(self.tiled.columns(), column));
        match self.points.read_from(words.packed) {
            Ok((buffer, indices)) => {
                let at = self.points.map.all_at(self.points.ctx, indices, &point);
                let stride = WORDS * self.walk.dataflow.columns * words.dot.width;
                nest.tile_load(register, buffer, &at, pool.constant(stride));
            }
            Err(e) => self.failed = Some(e),
        }
    }

    /// Where a register of sums lies in memory.
    fn place(&self, row: i64, column: i64) -> Vec<Expr> {
        let pool = &self.points.ctx.exprs;
        let block = pool.mul(self.tiled.registers.rows, self.number(self.tiled.blocks(), row));
        let column = pool.scale(WORDS, self.number(self.tiled.columns(), column));
        results(self.tiled).map(|k| self.at[k]).chain([block, column]).collect()
    }

    /// The epilogue of sums that were held.
    fn finish(&mut self, nest: &mut Nest<'_>) {
        let (points, pool) = (self.points, &self.points.ctx.exprs);
        let [rows, columns, _] = self.size();
        let ty = points.accumulator_type(0);
        let local = nest.local(&[TILE_ROWS * rows, WORDS * columns], ty, false);
        for t in 0..rows * columns {
            let at = [pool.constant(t / columns * TILE_ROWS), pool.constant(t % columns * WORDS)];
            nest.tile_store(self.banks.register(OUTPUT, t), local, &at, pool.constant(WORDS * columns));
        }
        let (dim, lanes) = self.tiled.vectors;
        let domain = &points.map.view.domain;
        let vectors = WORDS * columns / lanes;
        let kind = if vectors * points.epilogue_ops().max(1) <= WRITTEN_OUT { Kind::Unroll } else { Kind::Seq };
        let multiple = pool.divisor(domain[dim], &nim_ir::Facts::default());
        // Sums begin with zero, whatever the map's begin with.
        let init = points.map.view.writes[0].init.map(|init| points.scalar(init, ty));
        let init = init.is_some_and(|init| init != points.zero(ty));
        for i in 0..rows {
            let (start, begin, _) = self.block(i);
            nest.for_loop(pool.sub(begin, start), self.tiled.registers.rows, 1, Kind::Seq, |nest, row| {
                let mut point = self.at[..self.tiled.rank()].to_vec();
                self.tiled.registers.split(points, pool.add(start, row), &mut point);
                let row = pool.add(pool.constant(i * TILE_ROWS), row);
                let first = pool.scale(WORDS, self.number(self.tiled.columns(), 0));
                nest.for_loop(Expr::ZERO, pool.constant(WORDS * columns), lanes, kind, |nest, vector| {
                    // Behind the last column there are whole vectors, or lanes, or nothing.
                    let exists = |column: Expr| pool.sub(pool.sub(domain[dim], Expr::ONE), pool.add(first, column));
                    let vectors =
                        if multiple % lanes == 0 && multiple % WORDS != 0 { vec![exists(vector)] } else { vec![] };
                    nest.guard(&vectors, |nest| {
                        nest.for_loop(Expr::ZERO, pool.constant(lanes), 1, Kind::Vector, |nest, lane| {
                            let column = pool.add(vector, lane);
                            point[dim] = pool.add(first, column);
                            let lanes = if multiple % lanes == 0 { vec![] } else { vec![exists(column)] };
                            nest.guard(&lanes, |nest| {
                                let mut sum = nest.load(local, &[row, column], &[]);
                                if init {
                                    let first = points.initial(nest, 0);
                                    sum = points.combine(nest, 0, first, sum);
                                }
                                if let Err(e) = points.finish(nest, &point, &[sum]) {
                                    self.failed = Some(e);
                                }
                            });
                        });
                    });
                });
            });
        }
    }
}
