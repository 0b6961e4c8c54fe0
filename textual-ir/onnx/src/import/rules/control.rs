//! If and Loop.
//!
//! A condition that is known leaves one branch only. Loops are `graph.loop`: the body is imported with the types its
//! carried values start with; where it changes a dimension, that dimension gets a symbol of its own and the body is
//! imported again. A loop that carries sequences is unrolled where it is known how often it runs.

use super::{
    Importer, Item, ItemFamily, Items, Node,
    loops::{Bounds, Yielded, behind_reshapes, run_loop},
};
use crate::proto::{GraphProto, ValueInfoProto, type_proto};
use nim_graph::Built;
use nim_ir::{BlockId, Expr, Facts, ValueId};
use nim_tensor::{DType, Tensor};

pub(super) const RULES: ItemFamily = &[("If", if_op), ("Loop", loop_op)];

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
pub(super) fn known_truth(im: &Importer<'_>, v: ValueId) -> Option<bool> {
    match im.ints(v)?.as_slice() {
        [c] => Some(*c != 0),
        _ => None,
    }
}

/// Items as values of the program.
pub(super) fn values(im: &mut Importer<'_>, items: Vec<Item>) -> Built<Vec<ValueId>> {
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
