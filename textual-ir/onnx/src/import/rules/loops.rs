//! Loops whose bodies are imported: what is carried, what changes its size, how often they run.
//!
//! The body is imported with the types its carried values start with; where it changes a dimension, that dimension gets a
//! symbol of its own and the body is imported again. Integers that only count are expressions of the iteration.

use super::{Importer, control::known_truth};
use nim_graph::{Built, Iteration, LoopSpec};
use nim_ir::{Dim, Expr, Facts, Symbol, Type, ValueId};
use rustc_hash::FxHashSet;

/// What a body gives in one iteration.
pub(super) struct Yielded {
    /// Whether to go on.
    pub condition: Option<ValueId>,
    /// Carried values.
    pub next: Vec<ValueId>,
    /// Values that are stacked.
    pub stacked: Vec<ValueId>,
}

/// Where a loop begins and ends.
pub(super) struct Bounds {
    /// Most iterations.
    pub trip: Option<ValueId>,
    /// Whether to begin.
    pub condition: Option<ValueId>,
    /// Most iterations as an expression.
    pub trip_expr: Option<Expr>,
}

/// A loop around a body that may change the sizes of what it carries.
pub(super) fn run_loop<'a>(
    im: &mut Importer<'a>,
    bounds: &Bounds,
    initial: &[ValueId],
    body: &dyn Fn(&mut Importer<'a>, &Iteration) -> Built<Yielded>,
) -> Built<Vec<ValueId>> {
    let mark = im.symbol_mark();
    let iv = im.fresh_symbol("i");
    let mut types: Vec<Type> = initial.iter().map(|&v| im.ty(v)).collect();
    let mut counters: Vec<Option<Expr>> = vec![None; initial.len()];
    let mut looked = false;
    loop {
        let (region, block, iteration) = im.loop_block(iv, &types);
        for (&arg, &counter) in iteration.carried.iter().zip(&counters) {
            if let Some(e) = counter {
                im.set_contents(arg, vec![Some(nim_graph::contents::Ratio::int(e))]);
            }
        }
        let out = im.in_block(block, |im| body(im, &iteration))?;
        if out.next.len() != initial.len() {
            return Err(im.error("N0632", format!("{} values are carried, {} go on", initial.len(), out.next.len())));
        }
        let widened = widen(im, &types, &out.next)?;
        if let Some(widened) = widened {
            im.discard(block);
            types = widened;
            continue;
        }
        if !looked {
            looked = true;
            counters = find_counters(im, initial, &iteration, &out.next);
            if counters.iter().any(Option::is_some) {
                // What is known now may keep sizes that seemed to change.
                im.discard(block);
                types = initial.iter().map(|&v| im.ty(v)).collect();
                continue;
            }
        }
        // A condition that always holds is none.
        let condition = out.condition.filter(|&c| known_truth(im, c) != Some(true));
        let inner = im.made_since(mark);
        let p = &im.ctx().exprs;
        let (mut condition, mut first, mut trip) = (condition, bounds.condition, bounds.trip);
        let mut trip_count = match (condition, first) {
            (None, None) => bounds.trip_expr.map(|e| p.simplify(p.max(p.constant(0), e), &Facts::default())),
            _ => None,
        };
        // Conditions that only count make it a counted loop.
        if let Some(yielded) = condition
            && bounds.trip.is_none() == bounds.trip_expr.is_none()
            && let Some(count) = counted(im, yielded, first, bounds.trip_expr, iteration.number, &inner)
        {
            (condition, first, trip_count) = (None, None, Some(count));
            trip = Some(im.index(&[count], true)?);
        }
        let mut results: Vec<Type> = vec![];
        for &ty in &types {
            results.push(im.outside(ty, &inner, "size"));
        }
        if !out.stacked.is_empty() {
            let count = trip_count.unwrap_or_else(|| im.fresh_symbol("trips"));
            for &v in &out.stacked {
                results.push(im.stacked_type(v, count, &inner)?);
            }
        }
        let all: Vec<ValueId> = condition.iter().chain(&out.next).chain(&out.stacked).copied().collect();
        im.in_block(block, |im| im.yield_values(&all));
        let spec = LoopSpec {
            trip,
            condition: first,
            carried: initial.to_vec(),
            has_condition: condition.is_some(),
            trip_count,
            iv,
            results,
        };
        return Ok(im.finish_loop(spec, region));
    }
}

/// Sizes `(a, b)` of which a condition says `a < b` for all.
fn bounds_of(im: &Importer<'_>, cond: ValueId) -> Option<Vec<(Expr, Expr)>> {
    let op = im.b.body.defining_op(behind_reshapes(im, cond))?;
    let (x, y) = (im.b.body.operand(op, 0), im.b.body.operands(op).get(1).copied()?);
    match im.ctx().op_str(im.b.body.op_name(op)) {
        "graph.and" => {
            let mut all = bounds_of(im, x)?;
            all.extend(bounds_of(im, y)?);
            Some(all)
        }
        "graph.compare" => {
            let (&[a], &[b]) = (im.exprs(x)?.as_slice(), im.exprs(y)?.as_slice()) else { return None };
            let predicate = im.ctx().as_string(im.b.body.attr_named(im.ctx(), op, "predicate")?)?;
            let p = &im.ctx().exprs;
            let one = p.constant(1);
            match predicate {
                "lt" => Some(vec![(a, b)]),
                "le" => Some(vec![(a, p.add(b, one))]),
                "gt" => Some(vec![(b, a)]),
                "ge" => Some(vec![(b, p.add(a, one))]),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The number of iterations of a loop that goes on while counters stay below limits, at most `most`.
///
/// The condition before the loop is implied where it is the body's one step earlier, or where `most` is 0 whenever it
/// does not hold.
fn counted(
    im: &Importer<'_>,
    yielded: ValueId,
    first: Option<ValueId>,
    most: Option<Expr>,
    iv: Expr,
    inner: &FxHashSet<Symbol>,
) -> Option<Expr> {
    let p = &im.ctx().exprs;
    let facts = Facts::default();
    let symbol = p.as_symbol(iv)?;
    let (zero, one) = (p.constant(0), p.constant(1));
    let smaller = |a: Expr, b: Expr| {
        if p.prove_le(a, b, &facts) {
            a
        } else if p.prove_le(b, a, &facts) {
            b
        } else {
            p.min(a, b)
        }
    };
    let mut starts = first.map_or(Some(vec![]), |c| bounds_of(im, c))?;
    starts.retain(|&(x, y)| !most.is_some_and(|m| p.prove_le(p.add(x, m), y, &facts)));
    let mut count = most.map(|m| p.simplify(p.max(zero, m), &facts));
    for (a, b) in bounds_of(im, yielded)? {
        let (step, base) = p.linear_in(a, symbol)?;
        let each = p.as_const(step).filter(|&s| s > 0)?;
        if im.mentions_any(base, inner) || im.mentions_any(b, inner) {
            return None;
        }
        let before = p.sub(base, step);
        let steps = |from: Expr| p.max(zero, p.ceildiv(p.sub(b, from), p.constant(each)));
        let own = match starts.iter().position(|&(x, y)| x == before && y == b) {
            Some(at) => {
                starts.swap_remove(at);
                steps(before)
            }
            // Nothing is asked before the first iteration.
            None => p.add(one, steps(base)),
        };
        count = Some(count.map_or(own, |c| smaller(c, own)));
    }
    let count = count.filter(|_| starts.is_empty())?;
    Some(p.simplify(count, &facts))
}

/// Types with a fresh symbol wherever the body changes a dimension; `None` when it changes none.
fn widen(im: &mut Importer<'_>, types: &[Type], next: &[ValueId]) -> Built<Option<Vec<Type>>> {
    let mut changed = false;
    let mut out = vec![];
    for (i, (&ty, &v)) in types.iter().zip(next).enumerate() {
        let found = im.ty(v);
        // Sequences and optional values carry no sizes.
        if ty == found && im.ctx().dims(ty).is_none() {
            out.push(ty);
            continue;
        }
        let shapes = (im.ctx().dims(ty).map(<[Dim]>::to_vec), im.ctx().dims(found).map(<[Dim]>::to_vec));
        let (Some(own), Some(new)) = shapes else { return Err(loop_error(im, i, ty, found)) };
        if own.len() != new.len() || im.ctx().element_type(ty) != im.ctx().element_type(found) {
            return Err(loop_error(im, i, ty, found));
        }
        let element = im.element(v)?;
        let mut dims = vec![];
        for (a, b) in own.into_iter().zip(new) {
            let free = a.expr().is_some_and(|e| im.ctx().exprs.as_symbol(e).is_some_and(|s| im.is_loop_size(s)));
            if a == b || free {
                dims.push(a);
            } else {
                changed = true;
                dims.push(Dim::Expr(im.fresh_symbol(LOOP_SIZE)));
            }
        }
        out.push(im.ctx().tensor_type(&dims, element));
    }
    Ok(changed.then_some(out))
}

/// Names of sizes that are bound anew at each iteration begin so.
const LOOP_SIZE: &str = "carried";

impl Importer<'_> {
    fn is_loop_size(&self, s: Symbol) -> bool {
        self.ctx().exprs.symbol_name(s).strip_prefix(LOOP_SIZE).is_some_and(|rest| rest.starts_with('_'))
    }
}

fn loop_error(im: &Importer<'_>, i: usize, from: Type, to: Type) -> nim_ir::Diagnostic {
    let (a, b) = (im.ctx().display_type(from), im.ctx().display_type(to));
    im.error("N0632", format!("carried value {i} is {a} at the start of an iteration and {b} at its end"))
}

/// Carried integers that grow by a constant in each iteration, as expressions of the iteration number.
fn find_counters(im: &Importer<'_>, initial: &[ValueId], it: &Iteration, next: &[ValueId]) -> Vec<Option<Expr>> {
    let p = &im.ctx().exprs;
    let one = |v: ValueId| -> Option<Expr> {
        match im.exprs(v)?.as_slice() {
            [e] => Some(*e),
            _ => None,
        }
    };
    let counter = |i: usize| -> Option<Expr> {
        let start = one(initial[i])?;
        if !im.dtype(initial[i]).ok()?.is_integer() {
            return None;
        }
        if next[i] == it.carried[i] {
            return Some(start);
        }
        let op = im.b.body.defining_op(next[i])?;
        if im.ctx().op_str(im.b.body.op_name(op)) != "graph.add" {
            return None;
        }
        let (a, b) = (im.b.body.operand(op, 0), im.b.body.operand(op, 1));
        let step = match (behind_reshapes(im, a), behind_reshapes(im, b)) {
            (x, _) if x == it.carried[i] => one(b)?,
            (_, y) if y == it.carried[i] => one(a)?,
            _ => return None,
        };
        p.as_const(step)?;
        Some(p.add(start, p.mul(step, it.number)))
    };
    (0..initial.len()).map(counter).collect()
}

/// What a value is a reshape of.
pub(super) fn behind_reshapes(im: &Importer<'_>, mut v: ValueId) -> ValueId {
    while let Some(op) = im.b.body.defining_op(v) {
        if im.ctx().op_str(im.b.body.op_name(op)) != "graph.reshape" {
            break;
        }
        v = im.b.body.operand(op, 0);
    }
    v
}
