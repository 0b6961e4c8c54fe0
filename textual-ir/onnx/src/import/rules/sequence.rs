//! Sequences and optional values, carried out while importing: their lengths must be known then.

use super::{Importer, Item, ItemFamily, Items, Node, wrap_axis};
use crate::dtype_of;
use nim_graph::Built;
use nim_ir::{Expr, ValueId};
use nim_tensor::Tensor;
use std::rc::Rc;

pub(super) const RULES: ItemFamily = &[
    ("ConcatFromSequence", concat_from_sequence),
    ("Identity", |im, n| Ok(vec![n.item(im, 0)?])),
    ("Optional", optional),
    ("OptionalGetElement", optional_get),
    ("OptionalHasElement", optional_has),
    ("SequenceAt", sequence_at),
    ("SequenceConstruct", sequence_construct),
    ("SequenceEmpty", sequence_empty),
    ("SequenceErase", sequence_erase),
    ("SequenceInsert", sequence_insert),
    ("SequenceLength", sequence_length),
    ("SequenceMap", sequence_map),
    ("SplitToSequence", split_to_sequence),
];

/// Splits into more parts are taken for a mistake.
const MAX_PARTS: i64 = 1 << 16;

fn sequence(im: &Importer<'_>, n: &Node<'_>, i: usize) -> Built<Vec<Item>> {
    match n.item(im, i)? {
        Item::Sequence(items) => Ok(items.to_vec()),
        other => Err(im.error("N0640", format!("input {i} must be a sequence, found {}", other.describe()))),
    }
}

fn made(items: Vec<Item>) -> Items {
    Ok(vec![Item::Sequence(items.into())])
}

/// A position in a sequence of some length (or behind its end with `end`); negative ones count from the end.
fn position(im: &Importer<'_>, v: ValueId, length: usize, end: bool) -> Built<usize> {
    let Some(&[at]) = im.ints(v).as_deref() else {
        return Err(im.error("N0641", "a position in a sequence must be known when the model is compiled"));
    };
    let wrapped = if at < 0 { at + length as i64 } else { at };
    usize::try_from(wrapped)
        .ok()
        .filter(|&i| i < length + end as usize)
        .ok_or_else(|| im.error("N0641", format!("position {at} lies outside a sequence of {length} values")))
}

fn sequence_construct<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    made((0..n.items.len()).map(|i| n.item(im, i)).collect::<Built<_>>()?)
}

fn sequence_empty<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    dtype_of(n.int("dtype", 1) as i32).map_err(|e| im.error("N0614", e.to_string()))?;
    Ok(vec![Item::Sequence(Rc::new([]))])
}

fn sequence_at<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let (items, at) = (sequence(im, n, 0)?, n.input(im, 1)?);
    let at = position(im, at, items.len(), false)?;
    Ok(vec![items[at].clone()])
}

fn sequence_insert<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let (mut items, value) = (sequence(im, n, 0)?, n.item(im, 1)?);
    let at = match n.opt(2) {
        Some(v) => position(im, v, items.len(), true)?,
        None => items.len(),
    };
    items.insert(at, value);
    made(items)
}

fn sequence_erase<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let mut items = sequence(im, n, 0)?;
    let at = match n.opt(1) {
        Some(v) => position(im, v, items.len(), false)?,
        None if items.is_empty() => return Err(im.error("N0641", "nothing can be taken from an empty sequence")),
        None => items.len() - 1,
    };
    items.remove(at);
    made(items)
}

fn sequence_length<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let length = sequence(im, n, 0)?.len() as i64;
    Ok(vec![Item::Value(im.constant(&Tensor::scalar(length), "length")?)])
}

fn tensors(im: &Importer<'_>, items: Vec<Item>) -> Built<Vec<ValueId>> {
    items
        .into_iter()
        .map(|i| i.value().ok_or_else(|| im.error("N0640", format!("a tensor is needed, found {}", i.describe()))))
        .collect()
}

fn concat_from_sequence<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let items = sequence(im, n, 0)?;
    let mut values = tensors(im, items)?;
    let Some(&first) = values.first() else {
        return Err(im.error("N0641", "an empty sequence cannot be concatenated"));
    };
    let new_axis = n.flag("new_axis", false);
    let axis = wrap_axis(im, n.int("axis", 0), im.rank(first)? + new_axis as usize)?;
    if new_axis {
        for v in &mut values {
            *v = im.unsqueeze(*v, &[axis as i64])?;
        }
    }
    Ok(vec![Item::Value(im.concat(&values, axis)?)])
}

fn split_to_sequence<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let axis = wrap_axis(im, n.int("axis", 0), dims.len())?;
    let p = &im.ctx().exprs;
    let whole = p.as_const(dims[axis]);
    let unknown = || im.error("N0641", "the number of parts must be known when the model is compiled");
    let (sizes, squeezed): (Vec<Expr>, bool) = match n.opt(1) {
        None => {
            let count = whole.filter(|&c| c <= MAX_PARTS).ok_or_else(unknown)?;
            (vec![p.constant(1); count as usize], !n.flag("keepdims", true))
        }
        Some(v) if im.rank(v)? == 0 => {
            let each = im.ints(v).map(|v| v[0]).filter(|&e| e > 0).ok_or_else(unknown)?;
            let whole = whole.filter(|&c| c / each <= MAX_PARTS).ok_or_else(unknown)?;
            let mut sizes = vec![p.constant(each); (whole / each) as usize];
            if whole % each > 0 {
                sizes.push(p.constant(whole % each));
            }
            (sizes, false)
        }
        Some(v) => (im.exprs_or_bind(v, "split")?, false),
    };
    let mut start = im.num(0);
    let mut parts = vec![];
    for size in sizes {
        let mut part = im.slice_axis(x, axis, start, size)?;
        if squeezed {
            part = im.squeeze(part, &[axis])?;
        }
        parts.push(Item::Value(part));
        start = im.ctx().exprs.add(start, size);
    }
    made(parts)
}

/// The body once for each position; inputs that are no sequences are the same for all.
fn sequence_map<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let body = n.graph(im, "body")?;
    let length = sequence(im, n, 0)?.len();
    let inputs: Vec<Item> = (0..n.items.len()).map(|i| n.item(im, i)).collect::<Built<_>>()?;
    let mut out: Vec<Vec<Item>> = vec![vec![]; body.output.len()];
    for i in 0..length {
        let mut args = vec![];
        for item in &inputs {
            args.push(match item {
                Item::Sequence(items) => match items.get(i) {
                    Some(item) => item.clone(),
                    None => return Err(im.error("N0641", format!("a sequence has fewer than {length} values"))),
                },
                other => other.clone(),
            });
        }
        for (list, item) in out.iter_mut().zip(im.subgraph(body, &args)?) {
            list.push(item);
        }
    }
    Ok(out.into_iter().map(|list| Item::Sequence(list.into())).collect())
}

fn optional<'a>(_: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let value = n.items.first().cloned().flatten();
    Ok(vec![Item::Optional(value.map(Rc::new))])
}

fn optional_get<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    match n.item(im, 0)? {
        Item::Optional(Some(item)) => Ok(vec![item.as_ref().clone()]),
        Item::Optional(None) => Err(im.error("N0641", "the value of an optional is taken, but there is none")),
        other => Ok(vec![other]),
    }
}

fn optional_has<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let has = !matches!(n.items.first(), None | Some(None | Some(Item::Optional(None))));
    Ok(vec![Item::Value(im.constant(&Tensor::bools(&[], vec![has]), "has")?)])
}
