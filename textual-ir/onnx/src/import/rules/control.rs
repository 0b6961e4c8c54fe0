//! If, Loop and Scan.
//!
//! A condition that is known leaves one branch only. Loops are `graph.loop`: the body is imported with the types its
//! carried values start with; where it changes a dimension, that dimension gets a symbol of its own and the body is
//! imported again. A loop that carries sequences is unrolled.

use super::{Importer, Item, ItemFamily, Items, Node, wrap_axis};
use crate::proto::{GraphProto, ValueInfoProto, type_proto};
use nim_graph::{Built, Iteration, LoopSpec};
use nim_ir::{Dim, Expr, Facts, Type, ValueId};
use nim_tensor::{DType, Tensor};

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

/// The tensors among items; anything else is an error.
fn tensors(im: &Importer<'_>, items: Vec<Item>, place: &str) -> Built<Vec<ValueId>> {
    items
        .into_iter()
        .map(|item| {
            item.value().ok_or_else(|| {
                im.error("N0633", format!("{} is a result of {place} that runs at run time", item.describe()))
            })
        })
        .collect()
}

fn if_op<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let v = n.input(im, 0)?;
    let cond = condition(im, v)?;
    let branches = [n.graph(im, "then_branch")?, n.graph(im, "else_branch")?];
    if let Some(taken) = known_truth(im, cond) {
        return im.subgraph(branches[!taken as usize], &[]);
    }
    let mark = im.symbol_mark();
    let mut regions = vec![];
    let mut found = vec![];
    for branch in branches {
        let (region, block) = im.b.region_with_block(&[]);
        let out = im.in_block(block, |im| im.subgraph(branch, &[]))?;
        found.push(tensors(im, out, "an If")?);
        regions.push((region, block));
    }
    if found[0].len() != found[1].len() {
        let message = format!("one branch has {} outputs, the other {}", found[0].len(), found[1].len());
        return Err(im.error("N0631", message));
    }
    let inner = im.made_since(mark);
    let mut types = vec![];
    let mut contents = vec![];
    for (&a, &b) in found[0].iter().zip(&found[1]) {
        let (x, y) = (im.ty(a), im.ty(b));
        types.push(im.join(x, y, &inner, "if").ok_or_else(|| {
            let (x, y) = (im.ctx().display_type(x), im.ctx().display_type(y));
            im.error("N0631", format!("one branch gives {x}, the other {y}"))
                .note("the condition is not known when the model is compiled")
        })?);
        let known = im.contents(a).filter(|c| Some(*c) == im.contents(b));
        let outer = |c: &nim_graph::contents::Contents| c.iter().flatten().all(|r| !im.mentions_any(r.num, &inner));
        contents.push(known.filter(|c| outer(c)).cloned());
    }
    for ((_, block), values) in regions.iter().zip(&found) {
        im.in_block(*block, |im| im.yield_values(values));
    }
    let state = im.b.state("graph.if").operands(&[cond]).results(&types).region(regions[0].0).region(regions[1].0);
    let op = im.b.insert(state);
    let results = im.b.body.results(op).to_vec();
    for (&v, known) in results.iter().zip(contents) {
        if let Some(known) = known {
            im.set_contents(v, known);
        }
    }
    Ok(results.into_iter().map(Item::Value).collect())
}

/// What a body gives in one iteration.
struct Yielded {
    condition: Option<ValueId>,
    next: Vec<ValueId>,
    stacked: Vec<ValueId>,
}

/// Where a loop begins and ends.
struct Bounds {
    trip: Option<ValueId>,
    condition: Option<ValueId>,
    /// Most iterations as an expression.
    trip_expr: Option<Expr>,
}

/// A loop around a body that may change the sizes of what it carries.
fn run_loop<'a>(
    im: &mut Importer<'a>,
    bounds: &Bounds,
    initial: &[ValueId],
    body: &dyn Fn(&mut Importer<'a>, &Iteration) -> Built<Yielded>,
) -> Built<Vec<ValueId>> {
    let mark = im.symbol_mark();
    let iv = im.fresh_symbol("i");
    let mut types: Vec<Type> = initial.iter().map(|&v| im.ty(v)).collect();
    let mut counters: Vec<Option<Expr>> = vec![None; initial.len()];
    let mut counted = false;
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
        if !counted {
            counted = true;
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
        let trip_count = match (condition, bounds.condition) {
            (None, None) => bounds.trip_expr.map(|e| p.simplify(p.max(p.constant(0), e), &Facts::default())),
            _ => None,
        };
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
            trip: bounds.trip,
            condition: bounds.condition,
            carried: initial.to_vec(),
            has_condition: condition.is_some(),
            trip_count,
            iv,
            results,
        };
        return Ok(im.finish_loop(spec, region));
    }
}

/// Types with a fresh symbol wherever the body changes a dimension; `None` when it changes none.
fn widen(im: &mut Importer<'_>, types: &[Type], next: &[ValueId]) -> Built<Option<Vec<Type>>> {
    let mut changed = false;
    let mut out = vec![];
    for (i, (&ty, &v)) in types.iter().zip(next).enumerate() {
        let found = im.ty(v);
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
    fn is_loop_size(&self, s: nim_ir::Symbol) -> bool {
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
    if initial.iter().any(|item| item.value().is_none()) {
        return unrolled(im, body, trip_expr, first, initial);
    }
    let initial = tensors(im, initial, "a Loop")?;
    let bounds = Bounds { trip, condition: first, trip_expr };
    let results = run_loop(im, &bounds, &initial, &|im, it| {
        let yes = im.constant(&Tensor::bools(&[], vec![true]), "true")?;
        let index = as_declared(im, it.index, body.input.first())?;
        let yes = as_declared(im, yes, body.input.get(1))?;
        let args: Vec<Item> = [index, yes].iter().chain(&it.carried).map(|&v| Item::Value(v)).collect();
        let out = im.subgraph(body, &args)?;
        let mut out = tensors(im, out, "a Loop")?.into_iter();
        let cond = out.next().map(|c| condition(im, c)).transpose()?;
        let next = out.by_ref().take(it.carried.len()).collect();
        Ok(Yielded { condition: cond, next, stacked: out.collect() })
    })?;
    Ok(results.into_iter().map(Item::Value).collect())
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
        let values = tensors(im, out.collect(), "a Loop")?;
        for (list, v) in stacked.iter_mut().zip(values) {
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
        let mut next = tensors(im, out, "a Scan")?;
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
