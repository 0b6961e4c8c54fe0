//! A contraction under a given walk.

use super::super::tile::{Group, Tail, collapsed};
use super::super::{Env, Tried, copies, naive, word_copies, words};
use super::contraction::{Contraction, INPUT, OUTPUT, WEIGHT};
use super::slots::{Slots, offset};
use super::walk::plus;
use super::{Dataflow, Walk, tile_emit};
use crate::nest::{Kind, Nest};
use crate::point::Points;
use nim_ir::{Diagnostic, Expr, Type, ValueId};
use nim_pass::Miss;

/// Registers of an operand.
#[derive(Clone)]
struct Held {
    slots: Slots,
    local: ValueId,
    /// Where the box was that the offsets count from.
    shift: Option<Vec<i64>>,
    /// Registers that were filled in this box.
    filled: Vec<i64>,
}

/// A walk being emitted.
struct Emit<'p, 'm> {
    points: &'p Points<'m>,
    c: &'p Contraction,
    walk: &'p Walk,
    /// The box's first point.
    at: Vec<Expr>,
    /// Steps of the box along each dimension.
    counts: Vec<i64>,
    held: [Option<Held>; 3],
    /// Steps that registers in rotation have moved.
    phase: i64,
    /// Sums under way, where they do not stay in registers.
    sums: Option<ValueId>,
    failed: Option<Diagnostic>,
}

/// Emits the map under a dataflow.
///
/// # Errors
/// What [`Points`] reports.
pub fn emit(points: &mut Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>, dataflow: Dataflow) -> Tried {
    let c = match Contraction::new(points, env) {
        Ok(c) => c,
        Err(why) => return Ok(Err(why)),
    };
    if dataflow.tiles {
        return tile_emit::emit(points, nest, env, &c, dataflow);
    }
    let Some(walk) = Walk::new(&c, dataflow) else {
        return Ok(Err(Miss("the dataflow that was asked for has no meaning for this map")));
    };
    if let Err(why) = copy_input(points, nest, env, &c, &walk)? {
        return Ok(Err(why));
    }
    naive::fill_starts(points, nest)?;
    copy_weight(points, nest, env, &c, &walk)?;
    points.dot = c.dot;
    let in_registers = walk.held[OUTPUT] < walk.loops.len();
    let sums = (!in_registers).then(|| sums(points, nest, env, &c, &walk));
    let mut emit = Emit {
        points,
        c: &c,
        walk: &walk,
        at: vec![Expr::ZERO; c.domain.len()],
        counts: walk.counts(&c),
        held: [None, None, None],
        phase: 0,
        sums,
        failed: None,
    };
    emit.start_sums(nest);
    // Results that no two iterations share may be made at the same time.
    let apart = walk.loops.first().is_some_and(|l| !c.reductions().contains(&l.dim) && walk.margin(&c, l.dim) == 0);
    let inside = walk.held.contains(&0);
    match apart && !inside {
        true => emit.level(nest, 0),
        false => nest.for_loop(Expr::ZERO, Expr::ONE, 1, Kind::Seq, |nest, _| emit.level(nest, 0)),
    }
    if let Some(failed) = emit.failed.take() {
        return Err(failed);
    }
    if let Some(sums) = sums {
        finish_sums(emit.points, &c, nest, sums, &|point| emit.place(point))?;
    }
    Ok(Ok(()))
}

/// A copy of the input with its border, as far as the walk reads, and with narrow numbers in words.
fn copy_input(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
    c: &Contraction,
    walk: &Walk,
) -> Result<Result<(), Miss>, Diagnostic> {
    let pool = &points.ctx.exprs;
    let read = c.reads[INPUT];
    let Some(mut sides) = copies::overhang(points, read) else {
        return Ok(Err(Miss("how far a read reaches beyond its border is not known")));
    };
    for w in c.windows.iter().filter(|_| walk.skewed) {
        let memlet = &points.map.view.reads[read];
        let index = memlet.subset.as_ref().map_or(Expr::ZERO, |s| s[w.axis]);
        let rest = pool
            .substitute(index, &mut |s| [w.row, w.tap].iter().any(|&k| points.map.ivs[k] == s).then_some(Expr::ZERO));
        let last = pool.add(c.domain[w.row], pool.constant(walk.margin(c, w.row) - 1));
        let beside = (0..w.taps).map(|tap| w.dilation * tap % w.stride).max().unwrap_or(0);
        let high = pool.sum([pool.scale(w.stride, last), pool.constant(beside), rest]);
        let size = points.ctx.dim_exprs(points.source.ty(memlet.value)).unwrap_or_default()[w.axis];
        let above = pool.max(pool.sub(high, pool.sub(size, Expr::ONE)), Expr::ZERO);
        sides[w.axis].1 = pool.simplify(above, &points.map.view.facts(points.ctx, &nim_ir::Facts::default()));
    }
    // Where vectors run along the input, the last one may reach beyond the end.
    for (axis, steps) in c.steps[INPUT].iter().enumerate() {
        let lanes = pool.constant(c.lanes);
        let beyond = pool.modulo(pool.neg(c.domain[c.columns]), lanes);
        sides[axis].1 = pool.add(sides[axis].1, pool.scale(steps[c.columns].abs(), beyond));
    }
    match c.dot {
        Some(dot)
            if words::in_words(points, read, dot, dot.width)
                && sides.iter().all(|&s| s == (Expr::ZERO, Expr::ZERO)) => {}
        Some(dot) => word_copies::regroup(points, nest, env, read, dot, dot.width, &sides)?,
        None if sides.iter().all(|&s| s == (Expr::ZERO, Expr::ZERO)) => {}
        None => {
            if !copies::pad_by(points, nest, env, read, &sides)? {
                return Ok(Err(Miss("a copy with its border around it has no known size")));
            }
        }
    }
    Ok(Ok(()))
}

/// The weight in the order in which it is read, its columns filled up with zeros.
fn copy_weight(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
    c: &Contraction,
    walk: &Walk,
) -> Result<(), Diagnostic> {
    let ctx = points.ctx;
    let used = |dims: Vec<usize>| dims.into_iter().filter(|&k| c.moves(WEIGHT, k)).collect::<Vec<_>>();
    let mut columns = Group::new(ctx, &c.domain, vec![c.columns]);
    columns.tile = c.lanes * walk.dataflow.columns;
    columns.tail = Tail::Guard;
    let (outer, inner) = (used(c.batch.clone()), used(c.reductions()));
    match c.dot {
        Some(dot) => {
            let run = word_copies::PackedRun::of(points, dot);
            let inner = inner.into_iter().filter(|&k| k != dot.dim).collect();
            word_copies::pack(
                points,
                nest,
                env,
                c.reads[WEIGHT],
                dot,
                &word_copies::Packed { outer, columns, inner, run },
            )
        }
        None => copies::pack(points, nest, env, c.reads[WEIGHT], &copies::PackedLayout { outer, columns, inner }),
    }
}

/// A buffer for sums under way: rows with their margins, columns to whole vectors.
fn sums(points: &Points<'_>, nest: &mut Nest<'_>, env: &mut Env<'_>, c: &Contraction, walk: &Walk) -> ValueId {
    let pool = &points.ctx.exprs;
    let mut dims: Vec<Expr> = results(c).map(|k| pool.add(c.domain[k], pool.constant(2 * walk.margin(c, k)))).collect();
    let lanes = pool.constant(c.lanes);
    dims.push(pool.mul(pool.ceildiv(c.domain[c.columns], lanes), lanes));
    env.temporary(nest, points.ctx.memref_of(&dims, points.accumulator_type(0)))
}

/// Dimensions of the results but the columns.
fn results(c: &Contraction) -> impl Iterator<Item = usize> + '_ {
    c.batch.iter().chain(&c.rows).copied()
}

/// Runs the closure for each lane of the vector at a point; it gets the lane, and the point of the lane.
fn lanes(
    points: &Points<'_>,
    c: &Contraction,
    nest: &mut Nest<'_>,
    point: &[Expr],
    f: impl FnOnce(&mut Nest<'_>, Expr, &[Expr]),
) {
    let pool = &points.ctx.exprs;
    let mut point = point.to_vec();
    nest.for_loop(Expr::ZERO, pool.constant(c.lanes), 1, Kind::Vector, |nest, lane| {
        point[c.columns] = pool.add(point[c.columns], lane);
        f(nest, lane, &point);
    });
}

/// Runs the closure for the lanes of all vectors of results.
fn each_vector(points: &Points<'_>, c: &Contraction, nest: &mut Nest<'_>, f: &mut dyn FnMut(&mut Nest<'_>, &[Expr])) {
    let pool = &points.ctx.exprs;
    let width = pool.constant(c.lanes);
    let dims: Vec<usize> = results(c).collect();
    let mut counts: Vec<Expr> = dims.iter().map(|&k| c.domain[k]).collect();
    counts.push(pool.ceildiv(c.domain[c.columns], width));
    collapsed(nest, &counts, Kind::Parallel, &mut |nest, at| {
        let mut point = vec![Expr::ZERO; c.domain.len()];
        for (&k, &i) in dims.iter().zip(at) {
            point[k] = i;
        }
        point[c.columns] = pool.mul(width, at[dims.len()]);
        lanes(points, c, nest, &point, |nest, _, point| f(nest, point));
    });
}

/// What must be at least 0 for a result to exist.
fn exists(points: &Points<'_>, c: &Contraction, point: &[Expr]) -> Vec<Expr> {
    let pool = &points.ctx.exprs;
    let size = c.domain[c.columns];
    match pool.as_const(size).is_some_and(|n| n % c.lanes == 0) {
        true => vec![],
        false => vec![pool.sub(pool.sub(size, Expr::ONE), point[c.columns])],
    }
}

/// The epilogue of all results, over sums that lie in memory at these places.
///
/// # Errors
/// What [`Points`] reports.
pub fn finish_sums(
    points: &Points<'_>,
    c: &Contraction,
    nest: &mut Nest<'_>,
    sums: ValueId,
    place: &dyn Fn(&[Expr]) -> Vec<Expr>,
) -> Result<(), Diagnostic> {
    let mut done = Ok(());
    each_vector(points, c, nest, &mut |nest, point| {
        nest.guard(&exists(points, c, point), |nest| {
            let sum = nest.load(sums, &place(point), &[]);
            if let Err(e) = points.finish(nest, point, &[sum]) {
                done = Err(e);
            }
        });
    });
    done
}

impl Emit<'_, '_> {
    fn constant(&self, value: i64) -> Expr {
        self.points.ctx.exprs.constant(value)
    }

    /// The point of the domain so far from the box's first.
    fn point(&self, at: &[i64]) -> Vec<Expr> {
        let pool = &self.points.ctx.exprs;
        self.at.iter().zip(at).map(|(&base, &a)| pool.add(base, pool.constant(a))).collect()
    }

    /// Where the sum of a point lies.
    fn place(&self, point: &[Expr]) -> Vec<Expr> {
        let pool = &self.points.ctx.exprs;
        let mut out: Vec<Expr> =
            results(self.c).map(|k| pool.add(point[k], self.constant(self.walk.margin(self.c, k)))).collect();
        out.push(point[self.c.columns]);
        out
    }

    /// Runs the closure for each lane of the vector at a point; it gets the lane, and the point of the lane.
    fn lanes(&self, nest: &mut Nest<'_>, point: &[Expr], f: impl FnOnce(&mut Nest<'_>, Expr, &[Expr])) {
        lanes(self.points, self.c, nest, point, f);
    }

    /// Gives all sums their start.
    fn start_sums(&mut self, nest: &mut Nest<'_>) {
        let Some(buffer) = self.sums else { return };
        let mut done = Ok(());
        each_vector(self.points, self.c, nest, &mut |nest, point| match self.points.start(nest, 0, point) {
            Ok(start) => nest.store(start, buffer, &self.place(point), &[]),
            Err(e) => done = Err(e),
        });
        if let Err(e) = done {
            self.failed = Some(e);
        }
    }

    /// What must be at least 0 for a result to exist.
    fn exists(&self, point: &[Expr]) -> Vec<Expr> {
        exists(self.points, self.c, point)
    }

    /// The loops from number `i` on, and the registers that are held inside of so many.
    fn level(&mut self, nest: &mut Nest<'_>, i: usize) {
        let here: Vec<usize> = (0..3).filter(|&o| self.walk.held[o] == i && self.held[o].is_none()).collect();
        for &operand in &here {
            self.enter(nest, operand);
        }
        match self.walk.loops.get(i).copied() {
            None => self.inside(nest),
            Some(l) => self.steps(nest, i, l.dim, l.tile),
        }
        if here.contains(&OUTPUT) {
            let all: Vec<Vec<i64>> = self.offsets(OUTPUT);
            self.leave(nest, &all);
        }
        for operand in here {
            self.held[operand] = None;
        }
    }

    fn offsets(&self, operand: usize) -> Vec<Vec<i64>> {
        self.held[operand].as_ref().map(|h| h.slots.offsets().cloned().collect()).unwrap_or_default()
    }

    fn steps(&mut self, nest: &mut Nest<'_>, i: usize, dim: usize, tile: i64) {
        let pool = &self.points.ctx.exprs;
        let step = self.c.step(dim);
        let size = pool.add(self.c.domain[dim], self.constant(self.walk.margin(self.c, dim)));
        let count = pool.ceildiv(size, self.constant(step));
        let (whole, rest) = (pool.floordiv(count, self.constant(tile)), pool.modulo(count, self.constant(tile)));
        let kind = if i == 0 && !self.c.reductions().contains(&dim) && self.walk.margin(self.c, dim) == 0 {
            Kind::Parallel
        } else {
            Kind::Seq
        };
        let sliding: Vec<(usize, Vec<i64>)> = (0..3)
            .filter(|&o| self.walk.held[o] == i + 1)
            .filter_map(|o| Some((o, self.walk.slide_of(self.c, o)?)))
            .collect();
        self.counts[dim] = tile;
        match (pool.as_const(whole), sliding.is_empty()) {
            (Some(whole), false) if whole > 0 => self.slide(nest, i, dim, whole, tile * step, &sliding),
            _ if whole != Expr::ZERO => self.times(nest, kind, whole, |emit, nest, iv| {
                emit.at[dim] = pool.scale(tile * step, iv);
                emit.level(nest, i + 1);
            }),
            _ => {}
        }
        let first = pool.scale(tile, whole);
        match pool.as_const(rest) {
            Some(0) => {}
            Some(rest) => {
                self.counts[dim] = rest;
                self.times(nest, kind, Expr::ONE, |emit, nest, _| {
                    emit.at[dim] = pool.scale(step, first);
                    emit.level(nest, i + 1);
                });
            }
            None => {
                self.counts[dim] = 1;
                self.times(nest, kind, rest, |emit, nest, iv| {
                    emit.at[dim] = pool.scale(step, pool.add(first, iv));
                    emit.level(nest, i + 1);
                });
            }
        }
        self.counts[dim] = tile;
        self.at[dim] = Expr::ZERO;
    }

    fn times(&mut self, nest: &mut Nest<'_>, kind: Kind, count: Expr, f: impl FnOnce(&mut Self, &mut Nest<'_>, Expr)) {
        // A parallel loop stays one, whatever its iterations, so that it is one phase.
        match kind {
            Kind::Parallel => nest.for_loop(Expr::ZERO, count, 1, kind, |nest, iv| f(self, nest, iv)),
            _ => nest.range(count, kind, |nest, iv| f(self, nest, iv)),
        }
    }

    /// Steps of the innermost loop, each of which takes over what the one before held.
    fn slide(&mut self, nest: &mut Nest<'_>, i: usize, dim: usize, whole: i64, by: i64, sliding: &[(usize, Vec<i64>)]) {
        let pool = &self.points.ctx.exprs;
        self.phase = 0;
        self.at[dim] = Expr::ZERO;
        for (operand, shift) in sliding {
            let mut held = self.registers(nest, *operand);
            held.slots = held.slots.sliding(shift);
            let (ty, size) = (self.register_type(*operand), held.slots.registers());
            held.local = nest.local(&[size, self.c.lanes], ty, true);
            held.shift = Some(shift.clone());
            let carried = held.slots.carried(shift);
            self.held[*operand] = Some(held);
            self.fill(nest, *operand, &carried);
        }
        let periods = sliding.iter().filter_map(|(o, _)| self.held[*o].as_ref()?.slots.period());
        let period = periods.fold(1, |a, b| a * b / gcd(a, b));
        let step = |emit: &mut Self, nest: &mut Nest<'_>, base: Expr, j: i64| {
            emit.phase = j;
            emit.at[dim] = pool.add(base, pool.constant(j * by));
            for (operand, shift) in sliding {
                let Some(held) = emit.held[*operand].as_mut() else { continue };
                held.filled.clear();
                let carried = held.slots.carried(shift);
                let new: Vec<Vec<i64>> = held.slots.offsets().filter(|o| !carried.contains(o)).cloned().collect();
                emit.fill(nest, *operand, &new);
            }
            emit.level(nest, i + 1);
            if let Some((_, shift)) = sliding.iter().find(|(o, _)| *o == OUTPUT) {
                let back: Vec<i64> = shift.iter().map(|s| -s).collect();
                let left: Vec<Vec<i64>> = emit.held[OUTPUT].as_ref().map_or(vec![], |held| {
                    held.slots.offsets().filter(|o| !held.slots.contains(&plus(o, &back))).cloned().collect()
                });
                emit.leave(nest, &left);
            }
        };
        let groups = whole / period;
        self.times(nest, Kind::Seq, self.constant(groups), |emit, nest, iv| {
            let base = pool.scale(period * by, iv);
            for j in 0..if groups > 0 { period } else { 0 } {
                step(emit, nest, base, j);
            }
        });
        for j in 0..whole % period {
            step(self, nest, self.constant(groups * period * by), j);
        }
        self.phase = whole % period;
        self.at[dim] = self.constant(whole * by);
        if let Some((_, shift)) = sliding.iter().find(|(o, _)| *o == OUTPUT) {
            let carried = self.held[OUTPUT].as_ref().map_or(vec![], |held| held.slots.carried(shift));
            self.leave(nest, &carried);
        }
        for (operand, _) in sliding {
            self.held[*operand] = None;
        }
        self.phase = 0;
    }

    fn register_type(&self, operand: usize) -> Type {
        let ctx = self.points.ctx;
        match (operand, self.c.dot) {
            (OUTPUT, _) => self.points.accumulator_type(0),
            (_, Some(_)) => ctx.int_type(32),
            _ => {
                let ty = self.points.source.ty(self.points.map.view.reads[self.c.reads[operand]].value);
                let element = ctx.element_type(ty).unwrap_or_else(|| ctx.none_type());
                nim_dataflow::scalar_type(ctx, element)
            }
        }
    }

    fn registers(&self, nest: &mut Nest<'_>, operand: usize) -> Held {
        let slots = Slots::new(self.c, operand, &self.walk.points(self.c, &self.counts));
        let local = nest.local(&[slots.registers(), self.c.lanes], self.register_type(operand), true);
        Held { slots, local, shift: None, filled: vec![] }
    }

    /// Registers for an operand. What only the box needs is loaded where it is first used.
    fn enter(&mut self, nest: &mut Nest<'_>, operand: usize) {
        self.held[operand] = Some(self.registers(nest, operand));
        if operand == OUTPUT || self.walk.held[operand] < self.walk.loops.len() {
            let all = self.offsets(operand);
            self.fill(nest, operand, &all);
        }
    }

    /// A point of the box that has the element.
    fn owner(&self, operand: usize, element: &[i64]) -> Option<Vec<i64>> {
        self.walk.points(self.c, &self.counts).into_iter().find(|at| offset(self.c, operand, at) == element)
    }

    /// Loads elements into registers.
    fn fill(&mut self, nest: &mut Nest<'_>, operand: usize, elements: &[Vec<i64>]) {
        for element in elements {
            let Some(at) = self.owner(operand, element) else { continue };
            let Some(held) = self.held[operand].as_mut() else { return };
            let register = held.slots.register(element, self.phase);
            held.filled.push(register);
            let local = held.local;
            let point = self.point(&at);
            let mut done = Ok(());
            self.lanes(nest, &point, |nest, lane, point| {
                let value = match (operand, self.sums) {
                    (OUTPUT, Some(sums)) => Ok(nest.load(sums, &self.place(point), &[])),
                    (OUTPUT, None) => self.points.start(nest, 0, point),
                    _ => self.points.operand(nest, self.c.reads[operand], point),
                };
                match value {
                    Ok(value) => nest.store(value, local, &[self.constant(register), lane], &[]),
                    Err(e) => done = Err(e),
                }
            });
            if let Err(e) = done {
                self.failed = Some(e);
            }
        }
    }

    /// Stores sums from registers, or finishes them.
    fn leave(&mut self, nest: &mut Nest<'_>, elements: &[Vec<i64>]) {
        for element in elements {
            let (Some(at), Some(held)) = (self.owner(OUTPUT, element), &self.held[OUTPUT]) else { continue };
            let (register, local) = (held.slots.register(element, self.phase), held.local);
            let point = self.point(&at);
            let mut done = Ok(());
            self.lanes(nest, &point, |nest, lane, point| {
                let from = [self.constant(register), lane];
                match self.sums {
                    Some(sums) => {
                        let sum = nest.load(local, &from, &[]);
                        nest.store(sum, sums, &self.place(point), &[]);
                    }
                    None => nest.guard(&self.exists(point), |nest| {
                        let sum = nest.load(local, &from, &[]);
                        done = self.points.finish(nest, point, &[sum]);
                    }),
                }
            });
            if let Err(e) = done {
                self.failed = Some(e);
            }
        }
    }

    /// The points of the box.
    fn inside(&mut self, nest: &mut Nest<'_>) {
        for at in self.walk.points(self.c, &self.counts) {
            let elements: Vec<Vec<i64>> = (0..3).map(|o| offset(self.c, o, &at)).collect();
            let mut registers = [(Expr::ZERO, None); 3];
            for operand in [INPUT, WEIGHT, OUTPUT] {
                let Some(held) = &self.held[operand] else { continue };
                let register = held.slots.register(&elements[operand], self.phase);
                let lazy = self.walk.held[operand] == self.walk.loops.len() && held.shift.is_none();
                if operand != OUTPUT && lazy && !held.filled.contains(&register) {
                    self.fill(nest, operand, &elements[operand..=operand]);
                }
                registers[operand] = (self.constant(register), self.held[operand].as_ref().map(|h| h.local));
            }
            let point = self.point(&at);
            let mut done = Ok(());
            self.lanes(nest, &point, |nest, lane, point| {
                let load = |nest: &mut Nest<'_>, operand: usize| {
                    let (register, local) = registers[operand];
                    local.map(|local| nest.load(local, &[register, lane], &[]))
                };
                let operands = [INPUT, WEIGHT].map(|o| load(nest, o).map(|v| (self.c.reads[o], v)));
                let given: Vec<(usize, ValueId)> = operands.into_iter().flatten().collect();
                let (Some(sum), Some(local)) = (load(nest, OUTPUT), registers[OUTPUT].1) else { return };
                match self.points.sum(nest, sum, point, &given) {
                    Ok(new) => nest.store(new, local, &[registers[OUTPUT].0, lane], &[]),
                    Err(e) => done = Err(e),
                }
            });
            if let Err(e) = done {
                self.failed = Some(e);
            }
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
