//! If, Loop and Scan.
//!
//! A condition that is known leaves one branch only. Loops are `graph.loop`: the body is imported with the types its
//! carried values start with; where it changes a dimension, that dimension gets a symbol of its own and the body is
//! imported again. A loop that carries sequences is unrolled where it is known how often it runs.

use super::{Importer, Item, ItemFamily, Items, Node, wrap_axis};
use crate::proto::{GraphProto, ValueInfoProto, type_proto};
use nim_graph::{Built, Iteration, LoopSpec};
use nim_ir::{BlockId, Dim, Expr, Facts, Symbol, Type, ValueId};
use nim_tensor::{DType, Tensor};
use rustc_hash::FxHashSet;

pub(super) const RULES: ItemFamily = &[("If", if_op), ("Loop", loop_op), ("Scan", scan)];

/// Loops with sequences are unrolled up to so many iterations.
const MAX_UNROLLED: i64 = 4096;

/// A one-element tensor as a scalar.
fn scalar(im: &mut Importer<'_>, v: ValueId, what: &str) -> Built {
    let dims = im.dims(v)?;
    if dims.iter().any(|&d| im.ctx().exprs.prove_ne(d, im.num(1), &Facts::default())) {
        let found = im.ctx().display_type(im.ty(v));
        return Err(im.error("N0630", format!("{what} must have one element, found {found}")));
    }
    im.reshape(v, &[])
}

/// A one-element truth value as a scalar.
fn condition(im: &mut Importer<'_>, v: ValueId) -> Built {
    if im.dtype(v)? != DType::Bool {
        let found = im.ctx().display_type(im.ty(v));
        return Err(im.error("N0630", format!("a condition must be a truth value, found {found}")));
    }
    scalar(im, v, "a condition")
}

/// A scalar truth value, if it is known.
fn known_truth(im: &Importer<'_>, v: ValueId) -> Option<bool> {
    match im.ints(v)?.as_slice() {
        [c] => Some(*c != 0),
        _ => None,
    }
}

/// Items as values of the program.
fn values(im: &mut Importer<'_>, items: Vec<Item>) -> Built<Vec<ValueId>> {
    items.iter().map(|item| im.as_value(item)).collect()
}

fn if_op<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let v = n.input(im, 0)?;
    let cond = condition(im, v)?;
    let (yes, no) = (n.graph(im, "then_branch")?, n.graph(im, "else_branch")?);
    if let Some(taken) = known_truth(im, cond) {
        return im.subgraph(if taken { yes } else { no }, &[]);
    }
    let branch = |graph: &'a GraphProto| {
        move |im: &mut Importer<'a>| {
            let out = im.subgraph(graph, &[])?;
            values(im, out)
        }
    };
    let results = im.choose(cond, branch(yes), branch(no))?;
    Ok(results.into_iter().map(Item::Value).collect())
}

/// The two sizes whose equality a condition is, if it is one.
fn equation(im: &Importer<'_>, cond: ValueId) -> Option<(Expr, Expr)> {
    let op = im.b.body.defining_op(behind_reshapes(im, cond))?;
    let predicate = im.b.body.attr_named(im.ctx(), op, "predicate").and_then(|a| im.ctx().as_string(a));
    if im.ctx().op_str(im.b.body.op_name(op)) != "graph.compare" || predicate != Some("eq") {
        return None;
    }
    match (im.exprs(im.b.body.operand(op, 0))?.as_slice(), im.exprs(im.b.body.operand(op, 1))?.as_slice()) {
        (&[a], &[b]) => Some((a, b)),
        _ => None,
    }
}

impl<'a> Importer<'a> {
    /// Two ways to the same results, of which run time takes one.
    ///
    /// Where the ranks of results differ the model was written for one case only: one element counts as a scalar; and
    /// of a condition that compares sizes ("if the axis has size 1, remove it") the first way is taken, under a guard.
    pub(crate) fn choose(
        &mut self,
        cond: ValueId,
        yes: impl FnOnce(&mut Self) -> Built<Vec<ValueId>>,
        no: impl FnOnce(&mut Self) -> Built<Vec<ValueId>>,
    ) -> Built<Vec<ValueId>> {
        let mark = self.symbol_mark();
        let ((first, first_block), (second, second_block)) =
            (self.b.region_with_block(&[]), self.b.region_with_block(&[]));
        let mut a = self.in_block(first_block, yes)?;
        let mut b = self.in_block(second_block, no)?;
        if a.len() != b.len() {
            return Err(self.error("N0631", format!("one branch has {} outputs, the other {}", a.len(), b.len())));
        }
        for (x, y) in a.iter_mut().zip(&mut b) {
            if !self.ctx().is_tensor(self.ty(*x)) || !self.ctx().is_tensor(self.ty(*y)) {
                continue;
            }
            let (own, other) = (self.dims(*x)?, self.dims(*y)?);
            let single = |d: &[Expr]| d.iter().all(|&d| self.ctx().exprs.as_const(d) == Some(1));
            if own.len() != other.len() && single(&own) && single(&other) {
                (*x, *y) = (
                    self.in_block(first_block, |im| im.reshape(*x, &[]))?,
                    self.in_block(second_block, |im| im.reshape(*y, &[]))?,
                );
            }
        }
        let inner = self.made_since(mark);
        let mut types = vec![];
        let mut contents = vec![];
        for (&x, &y) in a.iter().zip(&b) {
            let (p, q) = (self.ty(x), self.ty(y));
            let Some(ty) = self.join(p, q, &inner, "if") else {
                let Some((lhs, rhs)) = equation(self, cond) else {
                    let (p, q) = (self.ctx().display_type(p), self.ctx().display_type(q));
                    return Err(self
                        .error("N0631", format!("one branch gives {p}, the other {q}"))
                        .note("the condition is not known when the model is compiled"));
                };
                self.guard("eq", lhs, rhs, "sizes on which the rank of a result depends");
                return self.take_branch(first_block, second_block, a);
            };
            types.push(ty);
            let known = self.contents(x).filter(|c| Some(*c) == self.contents(y));
            let outer =
                |c: &nim_graph::contents::Contents| c.iter().flatten().all(|r| !self.mentions_any(r.num, &inner));
            contents.push(known.filter(|c| outer(c)).cloned());
        }
        self.in_block(first_block, |im| im.yield_values(&a));
        self.in_block(second_block, |im| im.yield_values(&b));
        let state = self.b.state("graph.if").operands(&[cond]).results(&types).region(first).region(second);
        let op = self.b.insert(state);
        let results = self.b.body.results(op).to_vec();
        for (&v, known) in results.iter().zip(contents) {
            if let Some(known) = known {
                self.set_contents(v, known);
            }
        }
        Ok(results)
    }

    /// Moves the ops of one detached block to the builder's place and drops the other block.
    fn take_branch(&mut self, taken: BlockId, other: BlockId, results: Vec<ValueId>) -> Built<Vec<ValueId>> {
        self.discard(other);
        let ops: Vec<_> = self.b.body.block_ops(taken).collect();
        for op in ops {
            self.b.body.detach(op);
            self.b.place(op);
        }
        self.discard(taken);
        Ok(results)
    }
}

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

fn behind_reshapes(im: &Importer<'_>, mut v: ValueId) -> ValueId {
    while let Some(op) = im.b.body.defining_op(v) {
        if im.ctx().op_str(im.b.body.op_name(op)) != "graph.reshape" {
            break;
        }
        v = im.b.body.operand(op, 0);
    }
    v
}

/// A scalar shaped as a subgraph's input says: rank 0, or one element of rank 1.
fn as_declared(im: &mut Importer<'_>, v: ValueId, info: Option<&ValueInfoProto>) -> Built {
    let rank = info.and_then(|i| i.r#type.as_ref()).and_then(|t| t.value.as_ref()).and_then(|t| match t {
        type_proto::Value::TensorType(t) => t.shape.as_ref().map(|s| s.dim.len()),
        _ => None,
    });
    let one = im.num(1);
    im.reshape(v, &vec![one; rank.unwrap_or(0).min(1)])
}

fn loop_op<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let body = n.graph(im, "body")?;
    let trip = match n.opt(0) {
        Some(v) => {
            let v = scalar(im, v, "the trip count")?;
            Some(im.cast_to(v, DType::I64)?)
        }
        None => None,
    };
    let trip_expr = trip.and_then(|v| im.exprs(v)).map(|e| e[0]);
    let cond = match n.opt(1) {
        Some(v) => Some(condition(im, v)?),
        None => None,
    };
    let first = cond.filter(|&c| known_truth(im, c) != Some(true));
    // "As many as there can be" is no limit.
    let trip = trip.filter(|_| trip_expr.and_then(|e| im.ctx().exprs.as_const(e)) != Some(i64::MAX));
    let trip_expr = trip_expr.filter(|_| trip.is_some());
    let initial: Vec<Item> = (2..n.items.len()).map(|i| n.item(im, i)).collect::<Built<_>>()?;
    if body.input.len() != initial.len() + 2 || body.output.len() <= initial.len() {
        let message = format!(
            "{} values are carried, but the body takes {} and gives {}",
            initial.len(),
            body.input.len(),
            body.output.len()
        );
        return Err(im.error("N0632", message).note("it takes the iteration and a condition beside them"));
    }
    let count = trip_expr.and_then(|e| im.ctx().exprs.as_const(e)).filter(|&c| c <= MAX_UNROLLED);
    let begins = first.map_or(Some(true), |c| known_truth(im, c));
    if initial.iter().any(|item| item.value().is_none()) && count.is_some() && begins.is_some() {
        return unrolled(im, body, trip_expr, first, initial);
    }
    let initial = values(im, initial)?;
    let bounds = Bounds { trip, condition: first, trip_expr };
    let results = run_loop(im, &bounds, &initial, &|im, it| {
        let yes = im.constant(&Tensor::bools(&[], vec![true]), "true")?;
        let index = as_declared(im, it.index, body.input.first())?;
        let yes = as_declared(im, yes, body.input.get(1))?;
        let args: Vec<Item> = [index, yes].iter().chain(&it.carried).map(|&v| Item::Value(v)).collect();
        let out = im.subgraph(body, &args)?;
        let mut out = values(im, out)?.into_iter();
        let cond = out.next().map(|c| condition(im, c)).transpose()?;
        let mut next: Vec<ValueId> = out.by_ref().take(it.carried.len()).collect();
        for (new, &old) in next.iter_mut().zip(&it.carried) {
            // What may be missing at the start of an iteration may be there at its end.
            if im.wrapped(im.ty(old), "optional") == Some(im.ty(*new)) {
                let ty = im.ty(old);
                *new = im.runtime_value("optional.some", &[*new], &[], ty);
            }
        }
        Ok(Yielded { condition: cond, next, stacked: out.collect() })
    })?;
    let mut items = vec![];
    for (v, output) in results.into_iter().zip(body.output.iter().skip(1)) {
        let optional =
            matches!(output.r#type.as_ref().and_then(|t| t.value.as_ref()), Some(type_proto::Value::OptionalType(_)));
        items.push(Item::Value(match im.wrapped(im.ty(v), "optional") {
            Some(inner) if !optional => im.runtime_value("optional.get", &[v], &[], inner),
            _ => v,
        }));
    }
    Ok(items)
}

/// A loop whose iterations are imported one by one.
fn unrolled<'a>(
    im: &mut Importer<'a>,
    body: &'a GraphProto,
    trip: Option<Expr>,
    first: Option<ValueId>,
    mut carried: Vec<Item>,
) -> Items {
    let count = trip.map_or(Some(i64::MAX), |e| im.ctx().exprs.as_const(e));
    let Some(count) = count else {
        return Err(im.error("N0633", "a loop that carries sequences needs a trip count known at compile time"));
    };
    let mut go = match first {
        None => true,
        Some(c) => known_truth(im, c).ok_or_else(|| unknown_condition(im))?,
    };
    let mut stacked: Vec<Vec<ValueId>> = vec![vec![]; body.output.len() - 1 - carried.len()];
    let mut i = 0;
    while go && i < count {
        if i >= MAX_UNROLLED {
            return Err(im.error("N0633", format!("a loop that carries sequences has more than {i} iterations")));
        }
        let index = im.constant(&Tensor::scalar(i), "i")?;
        let yes = im.constant(&Tensor::bools(&[], vec![true]), "true")?;
        let index = as_declared(im, index, body.input.first())?;
        let yes = as_declared(im, yes, body.input.get(1))?;
        let mut args = vec![Item::Value(index), Item::Value(yes)];
        args.append(&mut carried);
        let mut out = im.subgraph(body, &args)?.into_iter();
        let cond = out.next().and_then(|c| c.value()).ok_or_else(|| unknown_condition(im))?;
        let cond = condition(im, cond)?;
        go = known_truth(im, cond).ok_or_else(|| unknown_condition(im))?;
        carried = out.by_ref().take(args.len() - 2).collect();
        let rest = values(im, out.collect())?;
        for (list, v) in stacked.iter_mut().zip(rest) {
            list.push(im.unsqueeze(v, &[0])?);
        }
        i += 1;
    }
    for list in stacked {
        if list.is_empty() {
            return Err(im.error("N0633", "a loop that carries sequences and never runs has no values to stack"));
        }
        carried.push(Item::Value(im.concat(&list, 0)?));
    }
    Ok(carried)
}

fn unknown_condition(im: &Importer<'_>) -> nim_ir::Diagnostic {
    im.error("N0633", "a loop that carries sequences needs a condition known at compile time")
}

/// Axes and directions of a Scan.
struct ScanAxes {
    input_axes: Vec<i64>,
    input_backwards: Vec<bool>,
    output_axes: Vec<i64>,
    output_backwards: Vec<bool>,
}

fn scan<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let body = n.graph(im, "body")?;
    let batched = n.version < 9;
    let inputs: Vec<ValueId> =
        (if batched { 1 } else { 0 }..n.inputs.len()).map(|i| n.input(im, i)).collect::<Built<_>>()?;
    let scans = usize::try_from(n.int("num_scan_inputs", 0)).unwrap_or(0);
    let Some(states) = inputs.len().checked_sub(scans).filter(|_| scans > 0) else {
        return Err(im.error("N0632", format!("{scans} scan inputs of {} inputs", inputs.len())));
    };
    if body.input.len() != inputs.len() || body.output.len() < states {
        let message = format!("the body takes {} values, the node {}", body.input.len(), inputs.len());
        return Err(im.error("N0632", message));
    }
    let outputs = body.output.len() - states;
    let list = |name: &str, count: usize| -> Built<Vec<i64>> {
        let v = n.ints(name).unwrap_or_else(|| vec![0; count]);
        if v.len() != count {
            return Err(im.error("N0632", format!("`{name}` must have {count} numbers, found {}", v.len())));
        }
        Ok(v)
    };
    let flags = |v: Vec<i64>| v.into_iter().map(|d| d != 0).collect();
    let (states, scanned) = inputs.split_at(states);
    if !batched {
        let axes = ScanAxes {
            input_axes: list("scan_input_axes", scans)?,
            input_backwards: flags(list("scan_input_directions", scans)?),
            output_axes: list("scan_output_axes", outputs)?,
            output_backwards: flags(list("scan_output_directions", outputs)?),
        };
        let results = scan_once(im, body, states, scanned, &axes)?;
        return Ok(results.into_iter().map(Item::Value).collect());
    }
    if n.items.first().is_some_and(Option::is_some) {
        return Err(im.error("N0617", "sequence lengths of a Scan of opset 8 are not supported"));
    }
    let axes = ScanAxes {
        input_axes: vec![0; scans],
        input_backwards: flags(list("directions", scans)?),
        output_axes: vec![0; outputs],
        output_backwards: vec![false; outputs],
    };
    // The batch is a loop of its own.
    let batch = *im.dims(inputs[0])?.first().ok_or_else(|| im.error("N0632", "a batch axis is needed"))?;
    let trip = im.index(&[batch], true)?;
    let bounds = Bounds { trip: Some(trip), condition: None, trip_expr: Some(batch) };
    let results = run_loop(im, &bounds, &[], &|im, it| {
        let at = |im: &mut Importer<'a>, list: &[ValueId]| -> Built<Vec<ValueId>> {
            list.iter().map(|&v| im.at(v, 0, it.number)).collect()
        };
        let (states, scanned) = (at(im, states)?, at(im, scanned)?);
        let stacked = scan_once(im, body, &states, &scanned, &axes)?;
        Ok(Yielded { condition: None, next: vec![], stacked })
    })?;
    Ok(results.into_iter().map(Item::Value).collect())
}

fn scan_once<'a>(
    im: &mut Importer<'a>,
    body: &'a GraphProto,
    states: &[ValueId],
    scanned: &[ValueId],
    axes: &ScanAxes,
) -> Built<Vec<ValueId>> {
    let input_axes: Vec<usize> =
        scanned.iter().zip(&axes.input_axes).map(|(&v, &a)| wrap_axis(im, a, im.rank(v)?)).collect::<Built<_>>()?;
    let steps = im.dims(scanned[0])?[input_axes[0]];
    for (&v, &axis) in scanned.iter().zip(&input_axes) {
        let other = im.dims(v)?[axis];
        im.guard("eq", steps, other, "lengths of the sequences of a Scan");
    }
    let trip = im.index(&[steps], true)?;
    let bounds = Bounds { trip: Some(trip), condition: None, trip_expr: Some(steps) };
    let mut results = run_loop(im, &bounds, states, &|im, it| {
        let mut args: Vec<Item> = it.carried.iter().map(|&v| Item::Value(v)).collect();
        for ((&v, &axis), &backwards) in scanned.iter().zip(&input_axes).zip(&axes.input_backwards) {
            let p = &im.ctx().exprs;
            let last = p.sub(steps, p.constant(1));
            let at = if backwards { p.sub(last, it.number) } else { it.number };
            args.push(Item::Value(im.at(v, axis, at)?));
        }
        let out = im.subgraph(body, &args)?;
        let mut next = values(im, out)?;
        let stacked = next.split_off(it.carried.len());
        Ok(Yielded { condition: None, next, stacked })
    })?;
    for (i, v) in results.iter_mut().skip(states.len()).enumerate() {
        if axes.output_backwards.get(i) == Some(&true) {
            *v = im.reverse(*v, 0)?;
        }
        let rank = im.rank(*v)?;
        let axis = wrap_axis(im, axes.output_axes.get(i).copied().unwrap_or(0), rank)?;
        let perm: Vec<usize> = (0..rank)
            .map(|k| {
                if k < axis {
                    k + 1
                } else if k == axis {
                    0
                } else {
                    k
                }
            })
            .collect();
        *v = im.transpose(*v, &perm)?;
    }
    Ok(results)
}
