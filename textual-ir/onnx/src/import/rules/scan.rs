//! Scan: a loop over the slices of sequences.

use super::{
    Importer, Item, ItemFamily, Items, Node,
    control::values,
    first_axis_to,
    loops::{Bounds, Yielded, run_loop},
    wrap_axis,
};
use crate::proto::GraphProto;
use nim_graph::Built;
use nim_ir::{Expr, ValueId};

pub(super) const RULES: ItemFamily = &[("Scan", scan)];

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
        let results = scan_once(im, body, states, scanned, &axes, None)?;
        return Ok(results.into_iter().map(Item::Value).collect());
    }
    let lengths = n.opt(0);
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
        let length = match lengths {
            Some(all) => {
                let own = im.at(all, 0, it.number)?;
                Some(im.exprs_or_bind(own, "length")?[0])
            }
            None => None,
        };
        let stacked = scan_once(im, body, &states, &scanned, &axes, length)?;
        Ok(Yielded { condition: None, next: vec![], stacked })
    })?;
    Ok(results.into_iter().map(Item::Value).collect())
}

/// `length`: how many of the steps count; behind them states stay what they are, and zeros are stacked.
fn scan_once<'a>(
    im: &mut Importer<'a>,
    body: &'a GraphProto,
    states: &[ValueId],
    scanned: &[ValueId],
    axes: &ScanAxes,
    length: Option<Expr>,
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
            let last = p.sub(length.unwrap_or(steps), p.constant(1));
            let at = if backwards { p.sub(last, it.number) } else { it.number };
            let at = if length.is_some() { p.max(p.constant(0), at) } else { at };
            args.push(Item::Value(im.at(v, axis, at)?));
        }
        let out = im.subgraph(body, &args)?;
        let mut next = values(im, out)?;
        let mut stacked = next.split_off(it.carried.len());
        if let Some(length) = length {
            let (at, end) = (im.index(&[it.number], true)?, im.index(&[length], true)?);
            let counts = im.compare("lt", at, end)?;
            for (new, &old) in next.iter_mut().zip(&it.carried) {
                *new = im.select(counts, *new, old)?;
            }
            for value in &mut stacked {
                let zero = im.like(*value, 0.0)?;
                *value = im.select(counts, *value, zero)?;
            }
        }
        Ok(Yielded { condition: None, next, stacked })
    })?;
    for (i, v) in results.iter_mut().skip(states.len()).enumerate() {
        if axes.output_backwards.get(i) == Some(&true) {
            *v = im.reverse(*v, 0)?;
        }
        let axis = wrap_axis(im, axes.output_axes.get(i).copied().unwrap_or(0), im.rank(*v)?)?;
        *v = first_axis_to(im, *v, axis)?;
    }
    Ok(results)
}
