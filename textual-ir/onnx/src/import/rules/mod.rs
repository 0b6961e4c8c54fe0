//! How each operator is composed of `graph` ops, one family a file.

mod attention;
mod categories;
mod col2im;
mod contraction;
mod control;
mod elementwise;
mod elimination;
mod gradient;
mod image;
mod indexing;
mod layout;
mod loops;
mod loss;
mod maps;
mod matmul_nbits;
mod microsoft;
mod microsoft_attention;
mod microsoft_grouped;
mod microsoft_quantized;
mod ml;
mod normalization;
mod quantization;
mod random;
mod recurrent;
mod reduction;
mod regions;
mod resample;
mod resample_run_time;
mod sampling;
mod scan;
mod sequence;
mod signal;
mod slicing;
mod svm;
mod text;
mod trees;
mod window;

use super::{Importer, Item, Node, specialize::Axes};
use nim_graph::Built;
use nim_ir::ValueId;
use nim_tensor::DType;
use rustc_hash::FxHashMap;

/// Makes the ops of a node; returns its outputs (trailing optional ones may be left out).
type ValueRule = for<'a> fn(&mut Importer<'a>, &Node<'a>) -> Built<Vec<ValueId>>;
/// A rule whose inputs or outputs may be sequences or optional values.
type ItemRule = for<'a> fn(&mut Importer<'a>, &Node<'a>) -> Built<Vec<Item>>;

/// How a node is imported.
#[derive(Copy, Clone)]
pub(crate) enum Rule {
    /// Tensors to tensors.
    Values(ValueRule),
    /// Anything to anything.
    Items(ItemRule),
}

/// What a rule gives.
type Out = Built<Vec<ValueId>>;
/// What a rule on sequences gives.
type Items = Built<Vec<Item>>;

/// Rules of one family: operator, rule.
type Family = &'static [(&'static str, ValueRule)];
/// Rules on sequences and optional values.
type ItemFamily = &'static [(&'static str, ItemRule)];

/// All rules by domain and operator.
pub(crate) fn table() -> FxHashMap<(&'static str, &'static str), Rule> {
    let values: &[(&'static str, Family)] = &[
        ("", attention::RULES),
        ("", contraction::RULES),
        ("", elementwise::RULES),
        ("", elimination::RULES),
        ("", image::RULES),
        ("", indexing::RULES),
        ("", layout::RULES),
        ("", loss::RULES),
        ("", microsoft::DEFAULT_DOMAIN),
        ("", normalization::RULES),
        ("", quantization::RULES),
        ("", random::RULES),
        ("", recurrent::RULES),
        ("", reduction::RULES),
        ("", regions::RULES),
        ("", resample::RULES),
        ("", sampling::RULES),
        ("", signal::RULES),
        ("", slicing::RULES),
        ("", text::RULES),
        ("", window::RULES),
        ("ai.onnx.ml", categories::RULES),
        ("ai.onnx.ml", maps::RULES),
        ("ai.onnx.ml", ml::RULES),
        ("ai.onnx.ml", svm::RULES),
        ("ai.onnx.ml", trees::RULES),
        ("ai.onnx.preview.training", loss::TRAINING),
        ("com.microsoft", matmul_nbits::RULES),
        ("com.microsoft", microsoft::RULES),
        ("com.microsoft", elimination::MICROSOFT),
        ("com.microsoft", microsoft_attention::RULES),
        ("com.microsoft", microsoft_grouped::RULES),
        ("com.microsoft", microsoft_quantized::RULES),
        ("com.microsoft", quantization::RULES),
    ];
    let items: &[(&'static str, ItemFamily)] = &[
        ("", control::RULES),
        ("", scan::RULES),
        ("", sequence::RULES),
        ("ai.onnx.preview", attention::PREVIEW),
        ("ai.onnx.preview.training", gradient::RULES),
    ];
    let values = values.iter().flat_map(|(d, rules)| rules.iter().map(|(op, r)| ((*d, *op), Rule::Values(*r))));
    let items = items.iter().flat_map(|(d, rules)| rules.iter().map(|(op, r)| ((*d, *op), Rule::Items(*r))));
    values.chain(items).collect()
}

/// Axes of an attribute or, since some version, of an input, of a tensor of some rank; `None` when neither is given.
fn axes(im: &mut Importer<'_>, n: &Node<'_>, input: usize, rank: usize) -> Built<Option<Vec<i64>>> {
    if let Some(axes) = n.ints("axes") {
        return Ok(Some(axes));
    }
    match n.opt(input) {
        None => Ok(None),
        Some(v) => known_axes(im, v, rank).map(Some),
    }
}

/// Axes that must be known; where they are not, the importer may try every choice. Their order must not matter.
fn known_axes(im: &mut Importer<'_>, v: ValueId, rank: usize) -> Built<Vec<i64>> {
    match im.ints(v) {
        Some(axes) => Ok(axes),
        None => {
            im.unknown_axes = Some(Axes { value: v, rank });
            Err(im.error("N0612", "axes must be known when the model is compiled"))
        }
    }
}

/// A function of several steps in numbers that it is rounded in once: short floats are computed in 32 bits, integers in 64.
/// The result has the operand's type; of integers the fraction is cut off.
fn in_floats<'a>(im: &mut Importer<'a>, x: ValueId, f: impl FnOnce(&mut Importer<'a>, ValueId) -> Built) -> Built {
    let own = im.dtype(x)?;
    let wide = match own {
        d if d.is_integer() => DType::F64,
        d if d.is_float() && d.size() < 4 => DType::F32,
        d => d,
    };
    let x = im.cast_to(x, wide)?;
    let y = f(im, x)?;
    im.cast_to(y, own)
}

/// One axis, as [`known_axes`].
fn known_axis(im: &mut Importer<'_>, v: ValueId, rank: usize) -> Built<usize> {
    match known_axes(im, v, rank)?.as_slice() {
        &[axis] => wrap_axis(im, axis, rank),
        list => Err(im.error("N0613", format!("one axis is needed, found {}", list.len()))),
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

/// A value whose first axis is put at a place behind others.
fn first_axis_to(im: &mut Importer<'_>, v: ValueId, axis: usize) -> Built {
    let rank = im.rank(v)?;
    let perm: Vec<usize> = (1..=axis).chain([0]).chain(axis + 1..rank).collect();
    im.transpose(v, &perm)
}
