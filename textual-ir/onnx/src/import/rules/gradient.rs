//! Gradient of `ai.onnx.preview.training`: derivatives of what the graph computes, by reverse mode.
//!
//! The node names the tensors of its own graph: `y` is derived by `xs` where `xs` and `zs` have the values that the node is
//! given. Where these are not the values that the graph has, what lies between is computed again.

use super::{Importer, Item, ItemFamily, Items, Node};
use nim_graph::Built;
use nim_ir::{ValueId, clone::Mapping};

pub(super) const RULES: ItemFamily = &[("Gradient", gradient)];

fn gradient<'a>(im: &mut Importer<'a>, n: &Node<'a>) -> Items {
    let mut names = n.strings("xs").unwrap_or_default();
    let derived = names.len();
    names.extend(n.strings("zs").unwrap_or_default());
    if derived == 0 || names.len() != n.items.len() {
        return Err(im.error("N0610", format!("{} tensors are named, {} are given", names.len(), n.items.len())));
    }
    let y = named(im, &n.string("y", ""))?;
    let (mut own, mut given) = (vec![], vec![]);
    for (i, name) in names.iter().enumerate() {
        own.push(named(im, name)?);
        given.push(n.input(im, i)?);
    }
    let y = recomputed(im, &own, &given, y)?;
    let found = im.gradients(y, &given[..derived])?;
    Ok(found.into_iter().map(Item::Value).collect())
}

/// A tensor of the graph.
fn named(im: &Importer<'_>, name: &str) -> Built {
    let found = im.lookup(name).and_then(|item| item.value());
    found.ok_or_else(|| im.error("N0602", format!("the tensor {name:?}, which a derivative needs, is defined nowhere")))
}

/// `y` with other values in place of some that it is computed from.
fn recomputed(im: &mut Importer<'_>, from: &[ValueId], to: &[ValueId], y: ValueId) -> Built {
    let mut copies = Mapping::default();
    let mut same = true;
    for (&a, &b) in from.iter().zip(to).filter(|(a, b)| a != b) {
        if im.ty(a) != im.ty(b) {
            let (a, b) = (im.ctx().display_type(im.ty(a)), im.ctx().display_type(im.ty(b)));
            return Err(im.error("N0615", format!("a tensor of type {a} cannot have a value of type {b}")));
        }
        copies.map(a, b);
        same = false;
    }
    if same {
        return Ok(y);
    }
    for op in im.ops_between(from, y) {
        let copy = im.b.body.clone_op(op, &mut copies);
        im.b.place(copy);
    }
    Ok(copies.get(y))
}
