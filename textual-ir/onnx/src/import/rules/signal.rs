//! Windows, discrete Fourier transforms, mel filters.
//!
//! A transform is a product with the matrix of its cosines and sines, so that its length may be a symbol.

use super::{Family, Importer, Node, Out, known_axis, wrap_axis};
use crate::dtype_of;
use nim_graph::Built;
use nim_ir::{Expr, ValueId};
use nim_tensor::{DType, Tensor};
use std::f64::consts::TAU;

pub(super) const RULES: Family = &[
    ("BlackmanWindow", |im, n| window(im, n, [0.42, 0.5, 0.08])),
    ("DFT", dft_op),
    ("HammingWindow", |im, n| window(im, n, [25.0 / 46.0, 21.0 / 46.0, 0.0])),
    ("HannWindow", |im, n| window(im, n, [0.5, 0.5, 0.0])),
    ("MelWeightMatrix", mel_weights),
    ("STFT", stft),
];

fn one_size(im: &mut Importer<'_>, v: ValueId, base: &str) -> Built<Expr> {
    match im.exprs_or_bind(v, base)?.as_slice() {
        [e] => Ok(*e),
        list => Err(im.error("N0610", format!("one number is needed, found {}", list.len()))),
    }
}

/// `a - b*cos(2 pi i/period) + c*cos(4 pi i/period)`
fn window(im: &mut Importer<'_>, n: &Node<'_>, [a, b, c]: [f64; 3]) -> Out {
    let size = n.input(im, 0)?;
    let size = one_size(im, size, "window")?;
    let dtype = dtype_of(n.int("output_datatype", 1) as i32).map_err(|e| im.error("N0614", e.to_string()))?;
    let p = &im.ctx().exprs;
    let period = if n.flag("periodic", true) { size } else { p.sub(size, p.constant(1)) };
    let i = im.iota(&[size], 0, DType::F64)?;
    let period = im.index(&[period], true)?;
    let period = im.cast_to(period, DType::F64)?;
    let turn = im.binary("div", i, period)?;
    let term = |im: &mut Importer<'_>, turns: f64, factor: f64| -> Built {
        let angle = im.with_scalar("mul", turn, TAU * turns)?;
        let cos = im.unary("cos", angle)?;
        im.with_scalar("mul", cos, factor)
    };
    let mut y = term(im, 1.0, -b)?;
    y = im.with_scalar("add", y, a)?;
    if c != 0.0 {
        let second = term(im, 2.0, c)?;
        y = im.binary("add", y, second)?;
    }
    Ok(vec![im.cast_to(y, dtype)?])
}

/// What a transform does.
struct Transform {
    /// Number of points.
    length: Expr,
    inverse: bool,
    onesided: bool,
}

/// Cosines and sines of `2 pi row*col/length`, `[rows, cols]` each.
fn matrices(im: &mut Importer<'_>, rows: Expr, cols: Expr, length: Expr, dtype: DType) -> Built<(ValueId, ValueId)> {
    let p = &im.ctx().exprs;
    if let (Some(r), Some(c), Some(l)) = (p.as_const(rows), p.as_const(cols), p.as_const(length))
        && l > 0
        && r >= 0
        && c >= 0
        && (0..1 << 24).contains(&r.saturating_mul(c))
    {
        let angle = |i: i64| TAU * ((i / c) * (i % c) % l) as f64 / l as f64;
        let mut out = vec![];
        for f in [f64::cos, f64::sin] {
            let values: Vec<f64> = (0..r * c).map(|i| f(angle(i))).collect();
            let tensor = Tensor::from_f64s(dtype, &[r as usize, c as usize], &values);
            let tensor = tensor.map_err(|e| im.error("N0604", e.to_string()))?;
            out.push(im.constant(&tensor, "dft")?);
        }
        return Ok((out[0], out[1]));
    }
    // The product modulo the length keeps the angle small, hence exact.
    let row = im.iota(&[rows, cols], 0, DType::I64)?;
    let col = im.iota(&[rows, cols], 1, DType::I64)?;
    let product = im.binary("mul", row, col)?;
    let size = im.index(&[length], true)?;
    let phase = im.binary("mod", product, size)?;
    let phase = im.cast_to(phase, DType::F64)?;
    let size = im.cast_to(size, DType::F64)?;
    let angle = im.binary("div", phase, size)?;
    let angle = im.with_scalar("mul", angle, TAU)?;
    let (cos, sin) = (im.unary("cos", angle)?, im.unary("sin", angle)?);
    Ok((im.cast_to(cos, dtype)?, im.cast_to(sin, dtype)?))
}

/// Transforms `x[..., points, parts]` along its second last axis; `parts` is 1 (real) or 2 (real, imaginary).
fn transform(im: &mut Importer<'_>, x: ValueId, t: &Transform) -> Built {
    let dims = im.dims(x)?;
    let rank = dims.len();
    let (points_axis, parts_axis) = (rank - 2, rank - 1);
    let dtype = im.dtype(x)?;
    let p = &im.ctx().exprs;
    // Where it is not known whether there is an imaginary part, one is made of zeros if need be.
    let complex = p.as_const(dims[parts_axis]) != Some(1);
    let (two, one) = (p.constant(2), p.constant(1));
    im.guard("le", one, dims[parts_axis], "parts of the numbers to transform: one or two");
    im.guard("le", dims[parts_axis], two, "parts of the numbers to transform: one or two");
    let p = &im.ctx().exprs;
    let half = p.add(p.floordiv(t.length, p.constant(2)), p.constant(1));
    // Inputs are cut or filled with zeros to the length; those of an inverse one-sided transform have half of it.
    let inverse_real = t.inverse && t.onesided;
    let wanted = if inverse_real { half } else { t.length };
    let mut fitted = dims.clone();
    fitted[points_axis] = wanted;
    fitted[parts_axis] = if complex { two } else { one };
    let x = im.pad_to(x, &fitted)?;
    let zero = im.num(0);
    // [..., 1, points]
    let real = im.slice_axis(x, parts_axis, zero, one)?;
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(points_axis, parts_axis);
    let mut real = im.transpose(real, &perm)?;
    let mut imaginary = match complex {
        true => {
            let v = im.slice_axis(x, parts_axis, one, one)?;
            Some(im.transpose(v, &perm)?)
        }
        false => None,
    };
    if inverse_real {
        // Each point but the first, and the one in the middle of an even length, stands for its mirror image too.
        let (index, size) = (im.iota(&[wanted], 0, DType::I64)?, im.index(&[t.length], true)?);
        let zero = im.like(index, 0.0)?;
        let first = im.compare("eq", index, zero)?;
        let twice = im.with_scalar("mul", index, 2.0)?;
        let middle = im.compare("eq", twice, size)?;
        let single = im.binary("or", first, middle)?;
        let (once, double) = (im.scalar(dtype, 1.0)?, im.scalar(dtype, 2.0)?);
        let weight = im.select(single, once, double)?;
        real = im.binary("mul", real, weight)?;
        imaginary = imaginary.map(|v| im.binary("mul", v, weight)).transpose()?;
    }
    let outputs = if t.onesided && !t.inverse { half } else { t.length };
    let (cos, sin) = matrices(im, wanted, outputs, t.length, dtype)?;
    // Forward: (a + ib)(cos - i sin); inverse: (a + ib)(cos + i sin)/length.
    let ac = im.matmul(real, cos)?;
    let as_ = im.matmul(real, sin)?;
    let (mut re, mut img) = (ac, if t.inverse { as_ } else { im.unary("neg", as_)? });
    if let Some(b) = imaginary {
        let (bc, bs) = (im.matmul(b, cos)?, im.matmul(b, sin)?);
        re = im.binary(if t.inverse { "sub" } else { "add" }, re, bs)?;
        img = im.binary("add", img, bc)?;
    }
    let parts = if inverse_real { vec![re] } else { vec![re, img] };
    let y = im.concat(&parts, points_axis)?;
    let mut y = im.transpose(y, &perm)?;
    if t.inverse {
        let size = im.index(&[t.length], true)?;
        let size = im.cast_to(size, dtype)?;
        y = im.binary("div", y, size)?;
    }
    Ok(y)
}

/// Swaps two axes.
fn swapped(im: &mut Importer<'_>, x: ValueId, a: usize, b: usize) -> Built {
    let mut perm: Vec<usize> = (0..im.rank(x)?).collect();
    perm.swap(a, b);
    im.transpose(x, &perm)
}

fn dft_op(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let axis = match n.opt(2) {
        Some(v) => known_axis(im, v, dims.len())?,
        None => wrap_axis(im, n.int("axis", if n.version < 20 { 1 } else { -2 }), dims.len())?,
    };
    if dims.len() < 2 || axis + 1 == dims.len() {
        return Err(
            im.error("N0613", format!("axis {axis} cannot be transformed: the last one holds the parts of numbers"))
        );
    }
    let (inverse, onesided) = (n.flag("inverse", false), n.flag("onesided", false));
    let length = match n.opt(1) {
        Some(v) => one_size(im, v, "points")?,
        None if inverse && onesided => {
            let p = &im.ctx().exprs;
            p.mul(p.constant(2), p.sub(dims[axis], p.constant(1)))
        }
        None => dims[axis],
    };
    let points = dims.len() - 2;
    let moved = swapped(im, x, axis, points)?;
    let y = transform(im, moved, &Transform { length, inverse, onesided })?;
    Ok(vec![swapped(im, y, axis, points)?])
}

/// Transforms of frames of a signal `[batch, length, parts]`, each times a window.
fn stft(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, step) = (n.input(im, 0)?, n.input(im, 1)?);
    let step = one_size(im, step, "step")?;
    let mut x = x;
    if im.rank(x)? == 2 {
        x = im.unsqueeze(x, &[2])?;
    }
    let dims = im.dims(x)?;
    if dims.len() != 3 {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("a signal [batch, length, parts] is needed, found {found}")));
    }
    let window = n.opt(2);
    let length = match (n.opt(3), window) {
        (Some(v), _) => one_size(im, v, "frame")?,
        (None, Some(w)) => *im.dims(w)?.first().ok_or_else(|| im.error("N0615", "the window must be a vector"))?,
        (None, None) => dims[1],
    };
    let p = &im.ctx().exprs;
    let frames = p.add(p.floordiv(p.sub(dims[1], length), step), p.constant(1));
    let shape = [frames, length];
    let start = im.iota(&shape, 0, DType::I64)?;
    let start = im.scaled_by(start, step)?;
    let offset = im.iota(&shape, 1, DType::I64)?;
    let at = im.binary("add", start, offset)?;
    let mut framed = im.gather(x, at, 1)?;
    if let Some(w) = window {
        let w = im.unsqueeze(w, &[1])?;
        framed = im.binary("mul", framed, w)?;
    }
    let t = Transform { length, inverse: false, onesided: n.flag("onesided", true) };
    Ok(vec![transform(im, framed, &t)?])
}

/// Triangular filters, equally spaced on the mel scale `2595*log10(1 + f/700)`: each rises from its left edge to its centre
/// and falls to its right edge, all three whole points of the spectrum.
fn mel_weights(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (bins, points) = (n.input(im, 0)?, n.input(im, 1)?);
    let (bins, points) = (one_size(im, bins, "bins")?, one_size(im, points, "points")?);
    let scalar = |im: &mut Importer<'_>, i: usize| -> Built {
        let v = n.input(im, i)?;
        let v = im.reshape(v, &[])?;
        im.cast_to(v, DType::F64)
    };
    let (rate, low, high) = (scalar(im, 2)?, scalar(im, 3)?, scalar(im, 4)?);
    let dtype = dtype_of(n.int("output_datatype", 1) as i32).map_err(|e| im.error("N0614", e.to_string()))?;
    let mel = |im: &mut Importer<'_>, f: ValueId| -> Built {
        let x = im.with_scalar("div", f, 700.0)?;
        let x = im.with_scalar("add", x, 1.0)?;
        let x = im.unary("log", x)?;
        im.with_scalar("mul", x, 2595.0 / std::f64::consts::LN_10)
    };
    let (low, high) = (mel(im, low)?, mel(im, high)?);
    let p = &im.ctx().exprs;
    let (one, two) = (p.constant(1), p.constant(2));
    let (rows, edges) = (p.add(p.floordiv(points, two), one), p.add(bins, two));
    let number = |im: &mut Importer<'_>, e: Expr| -> Built {
        let v = im.index(&[e], true)?;
        im.cast_to(v, DType::F64)
    };
    let (count, taps) = (number(im, edges)?, number(im, p.add(points, one))?);
    let width = im.binary("sub", high, low)?;
    let step = im.binary("div", width, count)?;
    let at = im.iota(&[edges], 0, DType::F64)?;
    let at = im.binary("mul", at, step)?;
    let at = im.binary("add", at, low)?;
    // Back from the mel scale, and from frequencies to points.
    let at = im.with_scalar("mul", at, std::f64::consts::LN_10 / 2595.0)?;
    let at = im.unary("exp", at)?;
    let at = im.with_scalar("sub", at, 1.0)?;
    let at = im.with_scalar("mul", at, 700.0)?;
    let at = im.binary("mul", at, taps)?;
    let at = im.binary("div", at, rate)?;
    let edge = im.unary("floor", at)?;
    let left = im.slice_axis(edge, 0, Expr::ZERO, bins)?;
    let centre = im.slice_axis(edge, 0, one, bins)?;
    let right = im.slice_axis(edge, 0, two, bins)?;
    let row = im.iota(&[rows, one], 0, DType::F64)?;
    let (zero, whole) = (im.like(row, 0.0)?, im.like(row, 1.0)?);
    let span = |im: &mut Importer<'_>, from: ValueId, to: ValueId| -> Built {
        let d = im.binary("sub", to, from)?;
        im.binary("max", d, whole)
    };
    // A filter without a rising side is 1 at its centre.
    let (rise, fall) = (span(im, left, centre)?, span(im, centre, right)?);
    let up = im.binary("sub", row, left)?;
    let up = im.binary("div", up, rise)?;
    let flat = im.compare("eq", left, centre)?;
    let up = im.select(flat, whole, up)?;
    let down = im.binary("sub", right, row)?;
    let down = im.binary("div", down, fall)?;
    let (after, before) = (im.compare("ge", row, left)?, im.compare("le", row, centre)?);
    let rising = im.binary("and", after, before)?;
    let (past, short) = (im.compare("ge", row, centre)?, im.compare("lt", row, right)?);
    let falling = im.binary("and", past, short)?;
    let rest = im.select(rising, up, zero)?;
    let y = im.select(falling, down, rest)?;
    Ok(vec![im.cast_to(y, dtype)?])
}
