//! `graph.resize`: one axis after the other, from tables of indices and weights.
//!
//! Where in the operand a position of the result lies depends on that axis alone. So a small map computes, for each position,
//! which elements count and how much; the large map loads and sums, free of all coordinate arithmetic. Nearest neighbours under
//! a whole scale factor need no table: the index is a division.

use super::{
    lower::{Lower, Lowered},
    scalars::{Compare, Kind, Scalars},
};
use nim_dataflow::{Combine, MapBuilder, load};
use nim_ir::{Expr, FloatKind, ValueId};

const F64: Kind = Kind::Float(FloatKind::F64);
const I64: Kind = Kind::Int(64, true);
/// Most elements that count for one position along an axis.
const MAX_TAPS: i64 = 128;

/// One axis that changes.
struct Axis {
    axis: usize,
    input: Expr,
    output: Expr,
    /// As the model gives it; else output over input.
    scale: Option<f64>,
    /// Region of interest, as fractions of the operand.
    roi: (f64, f64),
}

/// How neighbours are found and combined.
struct Sampling<'a> {
    coordinates: &'a str,
    nearest: &'a str,
    cubic_a: f64,
    exclude_outside: bool,
    extrapolation: f64,
}

/// Taps on each side that are written out.
const WRITTEN_OUT: i64 = 2;

/// `graph.resize`.
pub fn resize(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, ty) = (l.operand(0), l.result_type());
    let (from, to) = (l.dims(x)?, l.dims_of(ty)?);
    let kind = l.kind(x)?;
    let rank = from.len();
    let scales = l.floats_attr("scales").unwrap_or_default();
    let roi = l.floats_attr("roi").filter(|r| r.len() == 2 * rank);
    let mode = l.str_attr("mode")?;
    let sampling = Sampling {
        coordinates: l.str_attr("coordinates")?,
        nearest: l.str_opt("nearest_mode").unwrap_or("round_prefer_floor"),
        cubic_a: l.float_attr("cubic_coeff_a", -0.75),
        exclude_outside: l.bool_attr("exclude_outside", false),
        extrapolation: l.float_attr("extrapolation", 0.0),
    };
    let crops = sampling.coordinates == "tf_crop_and_resize";
    let mut axes = vec![];
    for i in 0..rank {
        let scale = scales.get(i).copied().filter(|&s| s > 0.0);
        let roi = roi.as_ref().map_or((0.0, 1.0), |r| (r[i], r[i + rank]));
        let stays = from[i] == to[i] && scale.is_none_or(|s| s == 1.0) && (!crops || roi == (0.0, 1.0));
        if !stays {
            axes.push(Axis { axis: i, input: from[i], output: to[i], scale, roi });
        }
    }
    if axes.is_empty() {
        return Ok(x);
    }
    if mode == "nearest" {
        return nearest(l, x, kind, &axes, &sampling);
    }
    // Integers are truncated once at the end, so nothing may be lost before.
    let wide = match kind {
        Kind::Float(FloatKind::F64) | Kind::Int(..) => F64,
        Kind::Float(_) => kind.accumulator(),
        Kind::Bool => return l.error("truth values cannot be interpolated"),
    };
    let antialias = l.bool_attr("antialias", false);
    let (mut value, mut dims) = (x, from);
    for (n, axis) in axes.iter().enumerate() {
        let filter = Filter::new(l, mode, axis, antialias, &sampling)?;
        let table = filter.tables(l, wide)?;
        dims[axis.axis] = axis.output;
        let last = n + 1 == axes.len();
        value = filter.apply(l, value, &dims, table, wide, if last { kind } else { wide })?;
    }
    Ok(value)
}

/// Nearest neighbours: all axes in one map.
fn nearest(l: &mut Lower<'_, '_>, x: ValueId, kind: Kind, axes: &[Axis], sampling: &Sampling<'_>) -> Lowered {
    let ty = l.result_type();
    let rank = l.dims_of(ty)?.len();
    let whole: Option<Vec<(usize, i64)>> = axes.iter().map(|a| Some((a.axis, whole_scale(l, a, sampling)?))).collect();
    if let Some(scales) = whole {
        let mut from = l.ivs(rank);
        for (axis, scale) in scales {
            from[axis] = l.pool().floordiv(from[axis], l.num(scale));
        }
        return l.movement(ty, x, &from);
    }
    let mut tables = vec![];
    for axis in axes {
        let ty = l.ctx().tensor_of(&[axis.output], I64.ty(l.ctx()));
        let at = l.iv(0);
        tables.push(l.pointwise(ty, |_, _| Ok(()), |s, _| nearest_index(s, axis, at, sampling))?);
    }
    let at = l.ivs(rank);
    l.pointwise(
        ty,
        |_, map| {
            for (axis, &table) in axes.iter().zip(&tables) {
                map.read(table, &[at[axis.axis]]);
            }
            map.read_whole(x);
            Ok(())
        },
        |s, args| {
            let mut place: Vec<ValueId> = at.iter().map(|&e| s.index(e)).collect();
            for (axis, &index) in axes.iter().zip(args) {
                place[axis.axis] = s.to_index(index, I64);
            }
            let value = load(s.b, args[axes.len()], &place);
            if sampling.coordinates != "tf_crop_and_resize" {
                return value;
            }
            let (outer, zero) = (s.constant(kind, sampling.extrapolation), s.integer(I64, 0));
            args[..axes.len()].iter().fold(value, |value, &index| {
                let outside = s.cmpi("slt", index, zero);
                s.select(outside, outer, value)
            })
        },
    )
}

/// The scale when position `o` is nearest to `o / scale` rounded down: a whole scale with pixels as areas, or with floor.
fn whole_scale(l: &Lower<'_, '_>, axis: &Axis, sampling: &Sampling<'_>) -> Option<i64> {
    let exact = l.pool().exact_div(axis.output, axis.input).and_then(|e| l.pool().as_const(e));
    let scale = match (axis.scale, exact) {
        (Some(s), Some(n)) if s == n as f64 => n,
        (None, Some(n)) => n,
        _ => return None,
    };
    let simple = match sampling.coordinates {
        "half_pixel" | "half_pixel_symmetric" | "pytorch_half_pixel" => sampling.nearest.starts_with("round"),
        "asymmetric" => sampling.nearest == "floor",
        _ => false,
    };
    (scale >= 1 && simple).then_some(scale)
}

/// A number of the body, as `f64`.
fn number(s: &mut Scalars<'_, '_>, e: Expr) -> ValueId {
    if let Some(n) = s.ctx().exprs.as_const(e) {
        return s.constant(F64, n as f64);
    }
    let index = s.index(e);
    s.from_index(index, F64)
}

/// The scale as the model gives it, or output over input.
fn scale_of(s: &mut Scalars<'_, '_>, axis: &Axis) -> ValueId {
    match axis.scale {
        Some(scale) => s.constant(F64, scale),
        None => {
            let (output, input) = (number(s, axis.output), number(s, axis.input));
            s.op("arith.divf", &[output, input])
        }
    }
}

/// Where in the operand position `at` lies, and for crops whether that is outside.
fn position(s: &mut Scalars<'_, '_>, axis: &Axis, at: Expr, coordinates: &str) -> (ValueId, Option<ValueId>) {
    let (x, size, scale) = (number(s, at), number(s, axis.input), scale_of(s, axis));
    let (half, one) = (s.constant(F64, 0.5), s.constant(F64, 1.0));
    // The size of the result before it was rounded.
    let stretched = s.op("arith.mulf", &[scale, size]);
    let half_pixel = |s: &mut Scalars<'_, '_>, minus: bool| {
        let centre = s.op("arith.addf", &[x, half]);
        let there = s.op("arith.divf", &[centre, scale]);
        if minus { s.op("arith.subf", &[there, half]) } else { there }
    };
    // `x * reach / (stretched - 1)`, or another value when the result has a single element.
    let spread = |s: &mut Scalars<'_, '_>, reach: ValueId, single: ValueId| {
        let (steps, is_single) = (s.op("arith.subf", &[stretched, one]), s.cmpf("oeq", stretched, one));
        let product = s.op("arith.mulf", &[x, reach]);
        let there = s.op("arith.divf", &[product, steps]);
        s.select(is_single, single, there)
    };
    let value = match coordinates {
        "half_pixel_symmetric" => {
            let output = number(s, axis.output);
            let adjustment = s.op("arith.divf", &[output, stretched]);
            let rest = s.op("arith.subf", &[one, adjustment]);
            let middle = s.op("arith.mulf", &[size, half]);
            let offset = s.op("arith.mulf", &[middle, rest]);
            let there = half_pixel(s, true);
            s.op("arith.addf", &[offset, there])
        }
        "pytorch_half_pixel" => {
            let (there, single) = (half_pixel(s, true), s.constant(F64, -0.5));
            let is_single = s.cmpf("oeq", stretched, one);
            s.select(is_single, single, there)
        }
        "align_corners" => {
            let (reach, zero) = (s.op("arith.subf", &[size, one]), s.constant(F64, 0.0));
            spread(s, reach, zero)
        }
        "asymmetric" => s.op("arith.divf", &[x, scale]),
        "tf_half_pixel_for_nn" => half_pixel(s, false),
        "tf_crop_and_resize" => {
            let (start, width) = (s.constant(F64, axis.roi.0), s.constant(F64, axis.roi.1 - axis.roi.0));
            let last = s.op("arith.subf", &[size, one]);
            let reach = s.op("arith.mulf", &[width, last]);
            let single = s.op("arith.mulf", &[reach, half]);
            let there = spread(s, reach, single);
            let first = s.op("arith.mulf", &[start, last]);
            let there = s.op("arith.addf", &[first, there]);
            let zero = s.constant(F64, 0.0);
            let (below, above) = (s.cmpf("olt", there, zero), s.cmpf("ogt", there, last));
            let outside = s.op("arith.ori", &[below, above]);
            return (there, Some(outside));
        }
        _ => half_pixel(s, true),
    };
    (value, None)
}

/// The left neighbour, strictly left of the position, and how far right of it the position is: in (0, 1].
fn left_neighbour(s: &mut Scalars<'_, '_>, position: ValueId) -> (ValueId, ValueId) {
    let one = s.constant(F64, 1.0);
    let above = s.op("math.ceil", &[position]);
    let left = s.op("arith.subf", &[above, one]);
    let ratio = s.op("arith.subf", &[position, left]);
    (s.cast(left, F64, I64), ratio)
}

/// An index moved into the operand.
fn clamped(s: &mut Scalars<'_, '_>, index: ValueId, size: Expr) -> ValueId {
    let (zero, last) = (s.integer(I64, 0), s.index(s.ctx().exprs.sub(size, Expr::ONE)));
    let last = s.from_index(last, I64);
    let index = s.op("arith.minsi", &[index, last]);
    s.op("arith.maxsi", &[index, zero])
}

/// The index of the nearest neighbour; -1 outside of a crop.
fn nearest_index(s: &mut Scalars<'_, '_>, axis: &Axis, at: Expr, sampling: &Sampling<'_>) -> ValueId {
    let (place, outside) = position(s, axis, at, sampling.coordinates);
    let (left, ratio) = left_neighbour(s, place);
    let (half, one) = (s.constant(F64, 0.5), s.constant(F64, 1.0));
    let right = match sampling.nearest {
        "round_prefer_ceil" => s.compare(F64, Compare::Ge, ratio, half),
        "floor" => s.compare(F64, Compare::Ge, ratio, one),
        "ceil" => s.integer(Kind::Bool, 1),
        _ => s.compare(F64, Compare::Gt, ratio, half),
    };
    let step = s.cast(right, Kind::Bool, I64);
    let index = s.op("arith.addi", &[left, step]);
    let index = clamped(s, index, axis.input);
    let Some(outside) = outside else { return index };
    let nowhere = s.integer(I64, -1);
    s.select(outside, nowhere, index)
}

/// The kernel of an interpolation along one axis.
struct Filter<'a> {
    axis: &'a Axis,
    sampling: &'a Sampling<'a>,
    cubic: bool,
    /// Scale of the kernel: below 1 it is stretched over all elements that a smaller result covers.
    shrink: f64,
    /// Elements left and right of a position that count.
    reach: i64,
}

impl<'a> Filter<'a> {
    fn new(
        l: &Lower<'_, '_>,
        mode: &str,
        axis: &'a Axis,
        antialias: bool,
        sampling: &'a Sampling<'a>,
    ) -> Lowered<Filter<'a>> {
        let cubic = mode == "cubic";
        let constant = |e: Expr| l.pool().as_const(e).map(|n| n as f64);
        let known = axis.scale.or_else(|| Some(constant(axis.output)? / constant(axis.input)?));
        let shrink = match (antialias, known) {
            (false, _) => 1.0,
            (true, Some(scale)) if scale > 0.0 => scale.min(1.0),
            (true, _) => return l.error("antialiasing needs a scale that is known when compiling"),
        };
        let reach = (if cubic { 2.0 } else { 1.0 } / shrink).ceil() as i64;
        if 2 * reach > MAX_TAPS {
            return l.error(format!("{} elements would count for each position", 2 * reach));
        }
        Ok(Filter { axis, sampling, cubic, shrink, reach })
    }

    /// The weight of an element at a distance, before anything is scaled.
    fn kernel(&self, s: &mut Scalars<'_, '_>, distance: ValueId) -> ValueId {
        let shrink = s.constant(F64, self.shrink);
        let scaled = s.op("arith.mulf", &[distance, shrink]);
        let x = s.op("math.absf", &[scaled]);
        let (zero, one) = (s.constant(F64, 0.0), s.constant(F64, 1.0));
        if !self.cubic {
            let rest = s.op("arith.subf", &[one, x]);
            return s.op("arith.maximumf", &[rest, zero]);
        }
        // Keys, "Cubic convolution interpolation for digital image processing", 1981, eq. 13-15.
        let a = self.sampling.cubic_a;
        let polynomial = |s: &mut Scalars<'_, '_>, c: [f64; 4]| {
            let first = s.constant(F64, c[0]);
            c[1..].iter().fold(first, |value, &c| {
                let (product, c) = (s.op("arith.mulf", &[value, x]), s.constant(F64, c));
                s.op("arith.addf", &[product, c])
            })
        };
        let near = polynomial(s, [a + 2.0, -(a + 3.0), 0.0, 1.0]);
        let far = polynomial(s, [a, -5.0 * a, 8.0 * a, -4.0 * a]);
        let two = s.constant(F64, 2.0);
        let (is_near, is_far) = (s.cmpf("ole", x, one), s.cmpf("olt", x, two));
        let outer = s.select(is_far, far, zero);
        s.select(is_near, near, outer)
    }

    /// The weight of the element `offset` behind the left neighbour; none outside when those are excluded.
    fn weight(&self, s: &mut Scalars<'_, '_>, left: ValueId, ratio: ValueId, offset: ValueId) -> ValueId {
        let real = s.cast(offset, I64, F64);
        let distance = s.op("arith.subf", &[real, ratio]);
        let weight = self.kernel(s, distance);
        if !self.sampling.exclude_outside {
            return weight;
        }
        let index = s.op("arith.addi", &[left, offset]);
        let inside = clamped(s, index, self.axis.input);
        let (is_inside, zero) = (s.cmpi("eq", index, inside), s.constant(F64, 0.0));
        s.select(is_inside, weight, zero)
    }

    /// Tables of indices and weights, `[output, taps]`.
    fn tables(&self, l: &mut Lower<'_, '_>, wide: Kind) -> Lowered<(ValueId, ValueId)> {
        let (ctx, axis) = (l.ctx(), self.axis);
        let shape = [axis.output, l.num(2 * self.reach)];
        let (at, tap) = (l.iv(0), l.pool().add(l.iv(1), l.num(1 - self.reach)));
        let integers = ctx.tensor_of(&shape, I64.ty(ctx));
        let indices = l.pointwise(
            integers,
            |_, _| Ok(()),
            |s, _| {
                let (place, outside) = position(s, axis, at, self.sampling.coordinates);
                let (left, _) = left_neighbour(s, place);
                let offset = s.index(tap);
                let offset = s.from_index(offset, I64);
                let index = s.op("arith.addi", &[left, offset]);
                let index = clamped(s, index, axis.input);
                let Some(outside) = outside else { return index };
                let nowhere = s.integer(I64, -1);
                s.select(outside, nowhere, index)
            },
        )?;
        let reals = ctx.tensor_of(&shape, wide.ty(ctx));
        let weights = l.pointwise(
            reals,
            |_, _| Ok(()),
            |s, _| {
                let (place, _) = position(s, axis, at, self.sampling.coordinates);
                let (left, ratio) = left_neighbour(s, place);
                let offset = s.index(tap);
                let offset = s.from_index(offset, I64);
                let mut weight = self.weight(s, left, ratio, offset);
                // Weights sum to 1 by construction unless some were stretched or excluded.
                if self.sampling.exclude_outside || self.shrink < 1.0 {
                    let mut total = s.constant(F64, 0.0);
                    for other in 1 - self.reach..=self.reach {
                        let other = s.integer(I64, other.into());
                        let other = self.weight(s, left, ratio, other);
                        total = s.op("arith.addf", &[total, other]);
                    }
                    weight = s.op("arith.divf", &[weight, total]);
                }
                s.cast(weight, F64, wide)
            },
        )?;
        Ok((indices, weights))
    }

    /// The weighted sums along the axis.
    fn apply(
        &self,
        l: &mut Lower<'_, '_>,
        x: ValueId,
        dims: &[Expr],
        (indices, weights): (ValueId, ValueId),
        wide: Kind,
        to: Kind,
    ) -> Lowered {
        let ctx = l.ctx();
        let kind = l.kind(x)?;
        // The last axis makes the result, whose type may say more than its kind.
        let ty = if dims == l.dims_of(l.result_type())? && to == l.kind_of(l.result_type())? {
            l.result_type()
        } else {
            ctx.tensor_of(dims, to.ty(ctx))
        };
        let at = l.ivs(dims.len());
        let mut map = MapBuilder::new(dims);
        let crops = self.sampling.coordinates == "tf_crop_and_resize";
        let product = |s: &mut Scalars<'_, '_>, x: ValueId, index: ValueId, weight: ValueId| {
            let mut place: Vec<ValueId> = at.iter().map(|&e| s.index(e)).collect();
            place[self.axis.axis] = s.to_index(index, I64);
            let value = load(s.b, x, &place);
            let mut value = s.cast(value, kind, wide);
            if crops {
                let (outer, zero) = (s.constant(wide, self.sampling.extrapolation), s.integer(I64, 0));
                let outside = s.cmpi("slt", index, zero);
                value = s.select(outside, outer, value);
            }
            s.mul(wide, value, weight)
        };
        if self.reach <= WRITTEN_OUT {
            // Few taps are written out: what is left has no reduction.
            map.read_whole(x);
            for tap in 0..2 * self.reach {
                map.read(indices, &[at[self.axis.axis], l.num(tap)]);
                map.read(weights, &[at[self.axis.axis], l.num(tap)]);
            }
            map.write(ty, &at);
            let op = map.build(l.b, |b, args| {
                let mut s = Scalars::new(b);
                let mut sum = product(&mut s, args[0], args[1], args[2]);
                for tap in args[3..].chunks_exact(2) {
                    let next = product(&mut s, args[0], tap[0], tap[1]);
                    sum = s.add(wide, sum, next);
                }
                vec![s.cast(sum, wide, to)]
            });
            return Ok(l.b.body.result(op));
        }
        let tap = map.dim(ctx, l.num(2 * self.reach));
        map.read(indices, &[at[self.axis.axis], tap]);
        map.read(weights, &[at[self.axis.axis], tap]);
        map.read_whole(x);
        map.reduce(ty, &at, Combine::Add, wide.attr(ctx, 0.0));
        let body = |b: &mut nim_ir::Builder<'_>, args: &[ValueId]| {
            vec![product(&mut Scalars::new(b), args[2], args[0], args[1])]
        };
        let op = if to == wide {
            map.build(l.b, body)
        } else {
            map.build_with_epilogue(l.b, &[wide.ty(ctx)], body, |b, args| vec![Scalars::new(b).cast(args[0], wide, to)])
        };
        Ok(l.b.body.result(op))
    }
}
