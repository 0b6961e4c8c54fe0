//! Sampling at computed positions: GridSample, AffineGrid, DeformConv. All of them gather the elements around
//! a position and add them up with weights.

use super::{Family, Importer, Node, Out, in_floats, window};
use nim_graph::{Built, GraphBuilder};
use nim_ir::{Expr, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family =
    &[("AffineGrid", affine_grid), ("DeformConv", deform_conv), ("GridSample", grid_sample)];

/// What lies outside.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Outside {
    Zeros,
    Border,
    /// Reflected at the borders; with `true` at the centres of the outermost elements, else at their outer edges.
    Reflection(bool),
}

/// A size as a float scalar of the type of a value.
pub(super) fn size_like(g: &mut GraphBuilder<'_>, x: ValueId, size: Expr) -> Built {
    let v = g.index(&[size], true)?;
    let element = g.element(x)?;
    g.cast(v, element)
}

/// The index to read for an integral float position, and whether it lies inside (with [`Outside::Zeros`]).
fn index_of(g: &mut GraphBuilder<'_>, at: ValueId, size: Expr, outside: Outside) -> Built<(ValueId, Option<ValueId>)> {
    let one = g.num(1);
    let last = g.ctx().exprs.sub(size, one);
    let (zero, last) = (g.like(at, 0.0)?, size_like(g, at, last)?);
    let (index, inside) = match outside {
        Outside::Zeros => {
            let (from, to) = (g.compare("ge", at, zero)?, g.compare("le", at, last)?);
            (at, Some(g.binary("and", from, to)?))
        }
        Outside::Border => (at, None),
        Outside::Reflection(centres) => {
            // A triangle wave of period 2*range over the distance from the lower border.
            let low = if centres { 0.0 } else { -0.5 };
            let whole = size_like(g, at, size)?;
            let range = if centres { last } else { whole };
            let distance = g.with_scalar("sub", at, low)?;
            let distance = g.unary("abs", distance)?;
            let period = g.with_scalar("mul", range, 2.0)?;
            // A single element has no range: everything reflects onto it.
            let period = g.with_scalar("max", period, 1.0)?;
            let phase = g.binary("fmod", distance, period)?;
            let back = g.binary("sub", period, phase)?;
            let folded = g.binary("min", phase, back)?;
            (g.with_scalar("add", folded, low)?, None)
        }
    };
    let index = g.binary("max", index, zero)?;
    let index = g.binary("min", index, last)?;
    Ok((g.cast_to(index, DType::I64)?, inside))
}

/// Elements of `x[B, D..., C]` at tuples of positions (one list an axis, each `[B, P...]`, integral floats): `[B, P..., C]`.
fn elements_at(g: &mut GraphBuilder<'_>, x: ValueId, at: &[ValueId], outside: Outside) -> Built {
    let dims = g.dims(x)?;
    let mut tuples = vec![];
    let mut mask: Option<ValueId> = None;
    for (axis, &v) in at.iter().enumerate() {
        let (index, inside) = index_of(g, v, dims[axis + 1], outside)?;
        tuples.push(g.unsqueeze(index, &[-1])?);
        mask = match (mask, inside) {
            (Some(m), Some(i)) => Some(g.binary("and", m, i)?),
            (m, i) => m.or(i),
        };
    }
    let rank = g.rank(tuples[0])?;
    let tuples = g.concat(&tuples, rank - 1)?;
    let y = g.gather_nd(x, tuples, 1)?;
    match mask {
        Some(mask) => {
            let mask = g.unsqueeze(mask, &[-1])?;
            let zero = g.like(y, 0.0)?;
            g.select(mask, y, zero)
        }
        None => Ok(y),
    }
}

/// Weights of the taps at -1, 0, 1, 2 around a position with fraction `t`: Keys' cubic convolution with a = -0.75.
fn cubic_weights(g: &mut GraphBuilder<'_>, t: ValueId) -> Built<Vec<ValueId>> {
    const A: f64 = -0.75;
    // Within 1 of the tap: (a+2)d^3 - (a+3)d^2 + 1; up to 2: a*d^3 - 5a*d^2 + 8a*d - 4a.
    let near = [A + 2.0, -(A + 3.0), 0.0, 1.0];
    let far = [A, -5.0 * A, 8.0 * A, -4.0 * A];
    let mut weights = vec![];
    for (shift, sign, coefficients) in [(1.0, 1.0, far), (0.0, 1.0, near), (1.0, -1.0, near), (2.0, -1.0, far)] {
        let d = g.with_scalar("mul", t, sign)?;
        let d = g.with_scalar("add", d, shift)?;
        let mut sum = g.with_scalar("mul", d, coefficients[0])?;
        for c in &coefficients[1..3] {
            sum = g.with_scalar("add", sum, *c)?;
            sum = g.binary("mul", sum, d)?;
        }
        weights.push(g.with_scalar("add", sum, coefficients[3])?);
    }
    Ok(weights)
}

/// How to interpolate.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Mode {
    Nearest,
    Linear,
    Cubic,
}

/// `x[B, D..., C]` sampled at positions (one `[B, P...]` a spatial axis, in elements): `[B, P..., C]`.
fn sample(g: &mut GraphBuilder<'_>, x: ValueId, at: &[ValueId], mode: Mode, outside: Outside) -> Built {
    if mode == Mode::Nearest {
        let rounded = at.iter().map(|&v| g.unary("round", v)).collect::<Built<Vec<_>>>()?;
        return elements_at(g, x, &rounded, outside);
    }
    // Per axis the taps with their weights.
    let mut taps: Vec<Vec<(ValueId, ValueId)>> = vec![];
    for &v in at {
        let base = g.unary("floor", v)?;
        let t = g.binary("sub", v, base)?;
        let (first, weights) = match mode {
            Mode::Cubic => (-1.0, cubic_weights(g, t)?),
            _ => {
                let one = g.like(t, 1.0)?;
                (0.0, vec![g.binary("sub", one, t)?, t])
            }
        };
        let mut list = vec![];
        for (k, weight) in weights.into_iter().enumerate() {
            list.push((g.with_scalar("add", base, first + k as f64)?, weight));
        }
        taps.push(list);
    }
    let corners: usize = taps.iter().map(Vec::len).product();
    let mut sum: Option<ValueId> = None;
    for corner in 0..corners {
        let mut rest = corner;
        let mut position = vec![];
        let mut weight: Option<ValueId> = None;
        for list in &taps {
            let (p, w) = list[rest % list.len()];
            rest /= list.len();
            position.push(p);
            weight = Some(match weight {
                Some(product) => g.binary("mul", product, w)?,
                None => w,
            });
        }
        let mut value = elements_at(g, x, &position, outside)?;
        if let Some(w) = weight {
            let element = g.element(value)?;
            let w = g.cast(w, element)?;
            let w = g.unsqueeze(w, &[-1])?;
            value = g.binary("mul", value, w)?;
        }
        sum = Some(match sum {
            Some(s) => g.binary("add", s, value)?,
            None => value,
        });
    }
    sum.ok_or_else(|| g.error("N0615", "there is no axis to sample along"))
}

/// Moves axis 1 to the end, or back with `inverse`.
pub(super) fn channels_last(g: &mut GraphBuilder<'_>, x: ValueId, inverse: bool) -> Built {
    let rank = g.rank(x)?;
    let mut perm: Vec<usize> = (0..rank).filter(|&a| a != 1).collect();
    perm.push(1);
    if inverse {
        perm = (0..rank)
            .map(|a| {
                if a == 1 {
                    rank - 1
                } else if a == 0 {
                    0
                } else {
                    a - 1
                }
            })
            .collect();
    }
    g.transpose(x, &perm)
}

pub(super) fn grid_sample(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, grid) = (n.input(im, 0)?, n.input(im, 1)?);
    let (dims, rank) = (im.dims(x)?, im.rank(grid)?);
    let spatial = dims.len().saturating_sub(2);
    let coordinates = im.dims(grid)?.last().and_then(|&d| im.ctx().exprs.as_const(d));
    if spatial == 0 || rank != dims.len() || coordinates != Some(spatial as i64) {
        let (a, b) = (im.ctx().display_type(im.ty(x)), im.ctx().display_type(im.ty(grid)));
        return Err(im.error("N0615", format!("{a} cannot be sampled at a grid {b}")));
    }
    let aligned = n.flag("align_corners", false);
    let mode = match n.string("mode", "linear").as_str() {
        "linear" | "bilinear" => Mode::Linear,
        "cubic" | "bicubic" => Mode::Cubic,
        "nearest" => Mode::Nearest,
        other => return Err(im.error("N0614", format!("no interpolation is named {other:?}"))),
    };
    let outside = match n.string("padding_mode", "zeros").as_str() {
        "zeros" => Outside::Zeros,
        "border" => Outside::Border,
        "reflection" => Outside::Reflection(aligned),
        other => return Err(im.error("N0614", format!("no padding is named {other:?}"))),
    };
    // The grid's last axis lists x before y: innermost first.
    let mut at = vec![];
    for axis in 0..spatial {
        let place = im.num((spatial - 1 - axis) as i64);
        let v = im.at(grid, rank - 1, place)?;
        let v = im.with_scalar("add", v, 1.0)?;
        let size = dims[axis + 2];
        at.push(if aligned {
            // (v + 1)/2 * (size - 1)
            let half = im.with_scalar("mul", v, 0.5)?;
            let one = im.num(1);
            let last = im.ctx().exprs.sub(size, one);
            im.scaled_by(half, last)?
        } else {
            // ((v + 1)*size - 1)/2
            let scaled = im.scaled_by(v, size)?;
            let scaled = im.with_scalar("sub", scaled, 1.0)?;
            im.with_scalar("mul", scaled, 0.5)?
        });
    }
    let sampled = |im: &mut Importer<'_>, x: ValueId| -> Built {
        let last = channels_last(im, x, false)?;
        let y = sample(im, last, &at, mode, outside)?;
        channels_last(im, y, true)
    };
    // What lies between two integers or truth values has a fraction until it is rounded.
    let own = im.dtype(x)?;
    Ok(vec![match mode {
        Mode::Nearest => sampled(im, x)?,
        _ if own == DType::Bool => {
            let x = im.cast_to(x, DType::F32)?;
            let y = sampled(im, x)?;
            im.cast_to(y, own)?
        }
        _ if own.is_integer() => in_floats(im, x, sampled)?,
        _ => sampled(im, x)?,
    }])
}

/// Positions of an output under an affine map: `theta * (x, y, [z,] 1)`, coordinates from -1 to 1.
fn affine_grid(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (theta, size) = (n.input(im, 0)?, n.input(im, 1)?);
    let size = im.exprs_or_bind(size, "size")?;
    let spatial = size.len().saturating_sub(2);
    if !(2..=3).contains(&spatial) {
        return Err(im.error("N0615", format!("the size must have 4 or 5 numbers, found {}", size.len())));
    }
    let aligned = n.flag("align_corners", false);
    let dtype = im.dtype(theta)?;
    let grid = &size[2..];
    let mut parts = vec![];
    for axis in (0..spatial).rev() {
        let i = im.iota(grid, axis, dtype)?;
        let length = size_like(im, i, grid[axis])?;
        let v = if aligned {
            // 2i/(length - 1) - 1
            let steps = im.with_scalar("sub", length, 1.0)?;
            let steps = im.with_scalar("max", steps, 1.0)?;
            let v = im.with_scalar("mul", i, 2.0)?;
            im.binary("div", v, steps)?
        } else {
            // (2i + 1)/length - 1
            let v = im.with_scalar("mul", i, 2.0)?;
            let v = im.with_scalar("add", v, 1.0)?;
            im.binary("div", v, length)?
        };
        let v = im.with_scalar("sub", v, 1.0)?;
        parts.push(im.unsqueeze(v, &[-1])?);
    }
    let one = im.like(theta, 1.0)?;
    let mut ones = grid.to_vec();
    ones.push(im.num(1));
    parts.push(im.broadcast_to(one, &ones)?);
    let points = im.concat(&parts, spatial)?;
    let p = &im.ctx().exprs;
    let count = p.product(grid.iter().copied());
    let points = im.reshape(points, &[count, p.constant(spatial as i64 + 1)])?;
    let transposed = im.transpose(theta, &[0, 2, 1])?;
    let moved = im.matmul(points, transposed)?;
    let mut shape = vec![im.dims(theta)?[0]];
    shape.extend_from_slice(grid);
    shape.push(p.constant(spatial as i64));
    Ok(vec![im.reshape(moved, &shape)?])
}

/// A convolution whose taps are moved by offsets that are computed: samples for every tap, then one contraction.
fn deform_conv(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, w, offset) = (n.input(im, 0)?, n.input(im, 1)?, n.input(im, 2)?);
    let kernel = window::kernel_of(im, n, w)?;
    let win = window::window(im, n, x, kernel)?;
    let spatial = win.kernel.len();
    let (size, outputs) = (im.dims(x)?, im.dims(w)?.first().copied().unwrap_or(Expr::ONE));
    let (batch, channels) = (size[0], size[1]);
    let (groups, offset_groups) = (n.int("group", 1).max(1), n.int("offset_group", 1).max(1));
    let p = &im.ctx().exprs;
    let taps = window::taps_of(im, &win.kernel)?;
    let places = im.dims(offset)?;
    if places.len() != spatial + 2 {
        let found = im.ctx().display_type(im.ty(offset));
        return Err(im.error("N0615", format!("offsets must have rank {}, found {found}", spatial + 2)));
    }
    let places = &places[2..];
    let num = |v: i64| p.constant(v);
    let joined = |front: &[Expr], back: &[Expr]| [front, places, back].concat();
    // Positions of all taps: [batch*offset_groups, taps, places...].
    let sets = p.mul(batch, num(offset_groups));
    let offsets = im.reshape(offset, &joined(&[sets, num(taps), num(spatial as i64)], &[]))?;
    let mut at = vec![];
    for axis in 0..spatial {
        let moved = im.at(offsets, 2, num(axis as i64))?;
        let dtype = im.dtype(moved)?;
        let inner: i64 = win.kernel[axis + 1..].iter().product();
        let place = |t: i64| (t / inner % win.kernel[axis] * win.dilations[axis] - win.pads[axis]) as f64;
        let table: Vec<f64> = (0..taps).map(place).collect();
        let column: Vec<usize> = [vec![taps as usize], vec![1; spatial]].concat();
        let table =
            nim_tensor::Tensor::from_f64s(dtype, &column, &table).map_err(|e| im.error("N0604", e.to_string()))?;
        let table = im.constant(&table, "taps")?;
        let start = im.iota(places, axis, dtype)?;
        let start = im.with_scalar("mul", start, win.strides[axis] as f64)?;
        let base = im.binary("add", table, start)?;
        at.push(im.binary("add", moved, base)?);
    }
    let each = p.floordiv(channels, num(offset_groups));
    let planes = im.reshape(x, &[&[sets, each], &size[2..]].concat())?;
    let planes = channels_last(im, planes, false)?;
    let mut sampled = sample(im, planes, &at, Mode::Linear, Outside::Zeros)?;
    if let Some(mask) = n.opt(4) {
        let mask = im.reshape(mask, &joined(&[sets, num(taps)], &[num(1)]))?;
        sampled = im.binary("mul", sampled, mask)?;
    }
    // [sets, taps, places..., each] to [batch, groups, channels/groups, taps, all places]
    let perm: Vec<usize> = [0, spatial + 2].into_iter().chain(1..spatial + 2).collect();
    let columns = im.transpose(sampled, &perm)?;
    let inner = p.floordiv(channels, num(groups));
    let all = p.product(places.iter().copied());
    let columns = im.reshape(columns, &[batch, num(groups), inner, num(taps), all])?;
    let weights = im.reshape(w, &[num(groups), p.floordiv(outputs, num(groups)), inner, num(taps)])?;
    let equation = im.ctx().string_attr("ngckh,gock->ngoh");
    let y = im.value("graph.einsum", &[columns, weights], &[("equation", equation)])?;
    let mut y = im.reshape(y, &joined(&[batch, outputs], &[]))?;
    if let Some(bias) = n.opt(3) {
        y = window::add_channel_bias(im, y, bias)?;
    }
    Ok(vec![y])
}
