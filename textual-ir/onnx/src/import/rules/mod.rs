//! How each operator is composed of `graph` ops, one family a file.

mod contraction;
mod elementwise;
mod layout;
mod normalization;
mod reduction;
mod window;

use super::{Importer, Node};
use nim_graph::Built;
use nim_ir::ValueId;
use rustc_hash::FxHashMap;

/// Makes the ops of a node; returns its outputs (trailing optional ones may be left out).
pub(crate) type Rule = for<'a> fn(&mut Importer<'a>, &Node<'a>) -> Built<Vec<ValueId>>;

/// Rules of one family: operator of the default domain, rule.
type Family = &'static [(&'static str, Rule)];

/// All rules by domain and operator.
pub(crate) fn table() -> FxHashMap<(&'static str, &'static str), Rule> {
    let families: &[(&'static str, Family)] = &[
        ("", contraction::RULES),
        ("", elementwise::RULES),
        ("", layout::RULES),
        ("", normalization::RULES),
        ("", reduction::RULES),
        ("", window::RULES),
    ];
    families.iter().flat_map(|(domain, rules)| rules.iter().map(move |(op, rule)| ((*domain, *op), *rule))).collect()
}

/// Axes of an attribute or, since some version, of an input; `None` when neither is given.
fn axes(im: &Importer<'_>, n: &Node<'_>, input: usize) -> Built<Option<Vec<i64>>> {
    if let Some(axes) = n.ints("axes") {
        return Ok(Some(axes));
    }
    match n.opt(input) {
        None => Ok(None),
        Some(v) => match im.ints(v) {
            Some(axes) => Ok(Some(axes)),
            None => Err(im.error("N0612", "axes must be known when the model is compiled")),
        },
    }
}

/// An axis counted from the end when negative, checked.
fn wrap_axis(im: &Importer<'_>, axis: i64, rank: usize) -> Built<usize> {
    let wrapped = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(wrapped)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| im.error("N0613", format!("axis {axis} lies outside a tensor of rank {rank}")))
}

/// As [`wrap_axis`], several.
fn wrap_axes(im: &Importer<'_>, axes: &[i64], rank: usize) -> Built<Vec<usize>> {
    axes.iter().map(|&a| wrap_axis(im, a, rank)).collect()
}
