//! Resize by scales, regions or (with antialiasing) sizes that only run time knows.
//!
//! Positions and weights become small tensors computed by the program, one axis after the other. Without antialiasing an
//! axis takes as many gathers as a result element has neighbours; with it the number of neighbours depends on the scale, and
//! the axis is multiplied by a matrix of weights.

use super::Importer;
use nim_graph::Built;
use nim_ir::{Expr, ValueId};
use nim_tensor::DType;

/// An axis to be resampled. Numbers are `f64` scalars of the program.
pub(super) struct Axis {
    /// Which one.
    pub axis: usize,
    /// Its size in the result.
    pub size: Expr,
    /// Result size by operand size, as the model gives it.
    pub scale: ValueId,
    /// Start and end of the region, as fractions of the operand.
    pub region: Option<(ValueId, ValueId)>,
}

/// How to resample; the names are the standard's.
pub(super) struct How<'n> {
    /// nearest, linear, cubic
    pub mode: &'n str,
    /// how positions map
    pub coordinates: &'n str,
    /// which neighbour is nearest
    pub nearest: &'n str,
    /// coefficient of the cubic kernel
    pub cubic_coeff_a: f64,
    /// neighbours outside count for nothing
    pub exclude_outside: bool,
    /// widen the kernel when shrinking
    pub antialias: bool,
    /// what lies outside of the region
    pub extrapolation: f64,
}

/// Resamples one axis after the other.
pub(super) fn resample(im: &mut Importer<'_>, x: ValueId, axes: &[Axis], how: &How<'_>) -> Built {
    let own = im.dtype(x)?;
    // Numbers that are combined are summed in as many bits as they have, at least 32.
    let wide = if how.mode == "nearest" || own == DType::F64 { own } else { DType::F32 };
    let mut y = im.cast_to(x, wide)?;
    let mut outside = vec![];
    for a in axes {
        let whole = im.dims(y)?[a.axis];
        let position = position(im, a, whole, how)?;
        if how.coordinates == "tf_crop_and_resize" {
            let (zero, last) = (im.like(position, 0.0)?, size_minus_one(im, whole)?);
            let (low, high) = (im.compare("lt", position, zero)?, im.compare("gt", position, last)?);
            outside.push((a.axis, im.binary("or", low, high)?));
        }
        y = along(im, y, a, position, how)?;
    }
    for (axis, mask) in outside {
        let mut shape = vec![im.num(1); im.rank(y)?];
        shape[axis] = im.dims(y)?[axis];
        let mask = im.reshape(mask, &shape)?;
        let fill = im.like(y, how.extrapolation)?;
        y = im.select(mask, fill, y)?;
    }
    im.cast_to(y, own)
}

/// A size as an `f64` scalar.
pub(super) fn number(im: &mut Importer<'_>, size: Expr) -> Built {
    let v = im.index(&[size], true)?;
    im.cast_to(v, DType::F64)
}

fn size_minus_one(im: &mut Importer<'_>, size: Expr) -> Built {
    let last = im.ctx().exprs.sub(size, im.num(1));
    number(im, last)
}

/// The position in the operand of each element of the result.
fn position(im: &mut Importer<'_>, a: &Axis, whole: Expr, how: &How<'_>) -> Built {
    let x = im.iota(&[a.size], 0, DType::F64)?;
    let size = number(im, whole)?;
    // The size of the result before it was rounded.
    let stretched = im.binary("mul", a.scale, size)?;
    let one = im.like(stretched, 1.0)?;
    let single = im.compare("eq", stretched, one)?;
    let middle = im.with_scalar("add", x, 0.5)?;
    let middle = im.binary("div", middle, a.scale)?;
    let half_pixel = im.with_scalar("sub", middle, 0.5)?;
    let steps = im.binary("sub", stretched, one)?;
    let last = im.binary("sub", size, one)?;
    match how.coordinates {
        "half_pixel" => Ok(half_pixel),
        "half_pixel_symmetric" => {
            let out = number(im, a.size)?;
            let kept = im.binary("div", out, stretched)?;
            let cut = im.binary("sub", one, kept)?;
            let half = im.with_scalar("div", size, 2.0)?;
            let offset = im.binary("mul", half, cut)?;
            im.binary("add", half_pixel, offset)
        }
        "pytorch_half_pixel" => {
            let first = im.like(half_pixel, -0.5)?;
            im.select(single, first, half_pixel)
        }
        "align_corners" => {
            let far = im.binary("mul", x, last)?;
            let spread = im.binary("div", far, steps)?;
            let zero = im.like(spread, 0.0)?;
            im.select(single, zero, spread)
        }
        "asymmetric" => im.binary("div", x, a.scale),
        "tf_half_pixel_for_nn" => Ok(middle),
        "tf_crop_and_resize" => {
            let Some((start, end)) = a.region else {
                return Err(im.error("N0610", "the region of interest is missing"));
            };
            let width = im.binary("sub", end, start)?;
            let width = im.binary("mul", width, last)?;
            let first = im.binary("mul", start, last)?;
            let far = im.binary("mul", x, width)?;
            let spread = im.binary("div", far, steps)?;
            let middle = im.with_scalar("div", width, 2.0)?;
            let offset = im.select(single, middle, spread)?;
            im.binary("add", first, offset)
        }
        other => Err(im.error("N0614", format!("no mapping of coordinates is named {other:?}"))),
    }
}

/// `min(max(v, 0), size - 1)` as indices.
fn inside(im: &mut Importer<'_>, v: ValueId, whole: Expr) -> Built {
    let (zero, last) = (im.like(v, 0.0)?, size_minus_one(im, whole)?);
    let v = im.binary("max", v, zero)?;
    let v = im.binary("min", v, last)?;
    im.cast_to(v, DType::I64)
}

/// One axis, read at these positions.
fn along(im: &mut Importer<'_>, x: ValueId, a: &Axis, position: ValueId, how: &How<'_>) -> Built {
    let whole = im.dims(x)?[a.axis];
    // The left neighbour is strictly left: a whole position has ratio 1, not 0.
    let up = im.unary("ceil", position)?;
    let left = im.with_scalar("sub", up, 1.0)?;
    let ratio = im.binary("sub", position, left)?;
    if how.mode == "nearest" {
        let half = im.like(ratio, 0.5)?;
        let up = match how.nearest {
            "round_prefer_floor" => im.compare("gt", ratio, half)?,
            "round_prefer_ceil" => im.compare("ge", ratio, half)?,
            "floor" => {
                let one = im.like(ratio, 1.0)?;
                im.compare("eq", ratio, one)?
            }
            "ceil" => {
                let zero = im.like(ratio, 0.0)?;
                im.compare("gt", ratio, zero)?
            }
            other => return Err(im.error("N0614", format!("no rounding is named {other:?}"))),
        };
        let up = im.cast_to(up, DType::F64)?;
        let at = im.binary("add", left, up)?;
        let at = inside(im, at, whole)?;
        return im.gather(x, at, a.axis);
    }
    if how.antialias {
        return widened(im, x, a, position, how);
    }
    let reach = if how.mode == "linear" { 1 } else { 2 };
    let mut terms = vec![];
    for i in 1 - reach..=reach {
        let at = im.with_scalar("add", left, i as f64)?;
        let distance = im.binary("sub", at, position)?;
        let mut weight = kernel(im, distance, how)?;
        if how.exclude_outside {
            weight = masked(im, weight, at, whole)?;
        }
        terms.push((inside(im, at, whole)?, weight));
    }
    if how.exclude_outside {
        let mut total = terms[0].1;
        for &(_, weight) in &terms[1..] {
            total = im.binary("add", total, weight)?;
        }
        for (_, weight) in &mut terms {
            *weight = im.binary("div", *weight, total)?;
        }
    }
    let mut shape = vec![im.num(1); im.rank(x)?];
    shape[a.axis] = a.size;
    let mut sum: Option<ValueId> = None;
    for (at, weight) in terms {
        let weight = im.reshape(weight, &shape)?;
        let dtype = im.dtype(x)?;
        let weight = im.cast_to(weight, dtype)?;
        let value = im.gather(x, at, a.axis)?;
        let term = im.binary("mul", value, weight)?;
        sum = Some(match sum {
            Some(sum) => im.binary("add", sum, term)?,
            None => term,
        });
    }
    sum.ok_or_else(|| im.error("N0614", "an interpolation has neighbours"))
}

/// The weight of a neighbour at a distance: a triangle, or Keys' cubic convolution kernel ("Cubic convolution
/// interpolation for digital image processing", 1981, eq. 13-15).
fn kernel(im: &mut Importer<'_>, distance: ValueId, how: &How<'_>) -> Built {
    let d = im.unary("abs", distance)?;
    let (zero, one) = (im.like(d, 0.0)?, im.like(d, 1.0)?);
    if how.mode == "linear" {
        let weight = im.binary("sub", one, d)?;
        return im.binary("max", weight, zero);
    }
    let a = how.cubic_coeff_a;
    // Horner's scheme: a polynomial of the distance.
    let polynomial = |im: &mut Importer<'_>, c: [f64; 4]| -> Built {
        let mut sum = im.with_scalar("mul", d, c[0])?;
        for (i, &c) in c.iter().enumerate().skip(1) {
            sum = im.with_scalar("add", sum, c)?;
            if i < 3 {
                sum = im.binary("mul", sum, d)?;
            }
        }
        Ok(sum)
    };
    let near = polynomial(im, [a + 2.0, -(a + 3.0), 0.0, 1.0])?;
    let far = polynomial(im, [a, -5.0 * a, 8.0 * a, -4.0 * a])?;
    let two = im.like(d, 2.0)?;
    let (is_near, is_far) = (im.compare("le", d, one)?, im.compare("lt", d, two)?);
    let rest = im.select(is_far, far, zero)?;
    im.select(is_near, near, rest)
}

/// Weights of neighbours inside; 0 for others.
fn masked(im: &mut Importer<'_>, weight: ValueId, at: ValueId, whole: Expr) -> Built {
    let (zero, last) = (im.like(at, 0.0)?, size_minus_one(im, whole)?);
    let (low, high) = (im.compare("ge", at, zero)?, im.compare("le", at, last)?);
    let is_inside = im.binary("and", low, high)?;
    let none = im.like(weight, 0.0)?;
    im.select(is_inside, weight, none)
}

/// One axis with a kernel that covers all elements of the operand that an element of the result stands for. The edge is
/// repeated as far as the kernel reaches.
fn widened(im: &mut Importer<'_>, x: ValueId, a: &Axis, position: ValueId, how: &How<'_>) -> Built {
    let (rank, whole) = (im.rank(x)?, im.dims(x)?[a.axis]);
    let one = im.like(a.scale, 1.0)?;
    let shrink = im.binary("min", a.scale, one)?;
    let reach = im.like(a.scale, if how.mode == "linear" { 1.0 } else { 2.0 })?;
    let reach = im.binary("div", reach, shrink)?;
    let reach = im.unary("ceil", reach)?;
    let reach_size = im.cast_to(reach, DType::I64)?;
    let size = im.exprs_or_bind(reach_size, "reach")?[0];
    let p = &im.ctx().exprs;
    let extended = p.add(whole, p.mul(p.constant(2), size));
    let at = im.iota(&[extended], 0, DType::F64)?;
    let at = im.binary("sub", at, reach)?;
    let column = im.unsqueeze(position, &[1])?;
    let distance = im.binary("sub", at, column)?;
    let distance = im.binary("mul", distance, shrink)?;
    let mut weights = kernel(im, distance, how)?;
    if how.exclude_outside {
        weights = masked(im, weights, at, whole)?;
    }
    let total = im.reduce("sum", weights, &[1], true)?;
    let weights = im.binary("div", weights, total)?;
    let dtype = im.dtype(x)?;
    let weights = im.cast_to(weights, dtype)?;
    let from = inside(im, at, whole)?;
    let x = im.gather(x, from, a.axis)?;
    // The axis goes last to be multiplied, and back.
    let mut perm: Vec<usize> = (0..rank).filter(|&k| k != a.axis).collect();
    perm.push(a.axis);
    let mut back = vec![0; rank];
    perm.iter().enumerate().for_each(|(to, &from)| back[from] = to);
    let x = im.transpose(x, &perm)?;
    let weights = im.transpose(weights, &[1, 0])?;
    let y = im.matmul(x, weights)?;
    im.transpose(y, &back)
}
