//! Resampling to another size, as the ONNX operator Resize defines it.

use super::access::{floats, ints, store_floats, store_ints, take_from};
use super::error::{Result, ensure};
use super::index::{checked_count, for_each_index, strides};
use nim_tensor::Tensor;

/// How a position of the result maps to one of the operand, per dimension, with `scale = output / input`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CoordinateMode {
    /// `(x + 0.5) / scale - 0.5`
    HalfPixel,
    /// As half pixel, but around the centre of the result as it would be without rounding its size.
    HalfPixelSymmetric,
    /// As half pixel; a result of size 1 reads position -0.5.
    PytorchHalfPixel,
    /// `x * (input - 1) / (output - 1)`
    AlignCorners,
    /// `x / scale`
    Asymmetric,
    /// `(x + 0.5) / scale`; from before version 13 of the operator.
    TfHalfPixelForNn,
    /// Spreads the result over a region given as fractions of the operand; outside gives the extrapolation value.
    TfCropAndResize,
}

/// Which neighbour is nearest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum NearestMode {
    RoundPreferFloor,
    RoundPreferCeil,
    Floor,
    Ceil,
}

/// How neighbours are combined.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Interpolation {
    /// One neighbour; works for every element type.
    Nearest(NearestMode),
    /// Two neighbours a dimension.
    Linear,
    /// Four neighbours a dimension, with Keys' kernel.
    Cubic {
        /// The kernel's free parameter, usually -0.75 or -0.5.
        coeff_a: f64,
    },
}

/// How one dimension is resampled.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ResizeAxis {
    /// Size of the result.
    pub output: usize,
    /// The scale the user gave, or `output / input`; rounding may have separated them.
    pub scale: f64,
    /// The region for [`CoordinateMode::TfCropAndResize`], as fractions of the operand: from 0 to 1 is all of it.
    pub roi: (f64, f64),
}

impl ResizeAxis {
    /// A dimension of this size that stays as it is.
    pub fn same(size: usize) -> ResizeAxis {
        ResizeAxis { output: size, scale: 1.0, roi: (0.0, 1.0) }
    }

    /// A dimension that is brought from one size to another.
    pub fn sized(input: usize, output: usize) -> ResizeAxis {
        ResizeAxis { output, scale: output as f64 / input as f64, roi: (0.0, 1.0) }
    }
}

/// How [`resize`] resamples.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ResizeOptions {
    /// How neighbours are combined.
    pub interpolation: Interpolation,
    /// How positions map.
    pub coordinates: CoordinateMode,
    /// Neighbours outside the operand get weight 0 and the other weights are scaled up, instead of repeating the edge.
    pub exclude_outside: bool,
    /// When shrinking, stretch linear and cubic kernels over all elements that a result element covers.
    pub antialias: bool,
    /// What [`CoordinateMode::TfCropAndResize`] gives outside the operand.
    pub extrapolation: f64,
}

/// Resamples a tensor; `axes` has one entry for each dimension. Sums are formed in `f64` over all dimensions at once
/// and rounded once; for integer types the result is truncated toward zero.
pub fn resize(x: &Tensor, axes: &[ResizeAxis], options: &ResizeOptions) -> Result<Tensor> {
    const OP: &str = "resize";
    ensure!(axes.len() == x.rank(), OP, "{} axes do not fit rank {}", axes.len(), x.rank());
    let dims: Vec<_> = axes.iter().map(|a| a.output).collect();
    let count = checked_count(OP, &dims)?;
    ensure!(count == 0 || !x.is_empty(), OP, "an empty tensor of shape {:?} cannot become {dims:?}", x.dims());
    let mut samples = Vec::with_capacity(axes.len());
    for (&input, axis) in x.dims().iter().zip(axes) {
        let usable = axis.scale.is_finite() && axis.scale > 0.0;
        ensure!(usable || count == 0, OP, "scale {} is not positive", axis.scale);
        let outputs = if count == 0 { 0 } else { axis.output };
        samples.push((0..outputs).map(|o| sample(input, axis, o, options)).collect::<Result<Vec<_>>>()?);
    }
    let steps = strides(x.dims());
    // Walks the product of the neighbours along all dimensions of one result element.
    let neighbours = |at: &[usize], visit: &mut dyn FnMut(usize, f64)| {
        let along: Vec<&Vec<(usize, f64)>> = match at.iter().enumerate().map(|(d, &o)| samples[d][o].as_ref()).collect()
        {
            Some(along) => along,
            None => return false,
        };
        let sizes: Vec<_> = along.iter().map(|a| a.len()).collect();
        for_each_index(&sizes, |choice| {
            let chosen = choice.iter().zip(&along).map(|(&c, a)| a[c]);
            let (position, weight) =
                chosen.zip(&steps).fold((0, 1.0), |(p, w), ((i, weight), step)| (p + i * step, w * weight));
            visit(position, weight);
        });
        true
    };
    if let Interpolation::Nearest(_) = options.interpolation {
        let outside = Tensor::from_f64s(x.dtype(), &[], &[options.extrapolation]);
        let mut sources = vec![x];
        sources.extend(outside.as_ref().ok());
        let mut picks = Vec::with_capacity(count);
        for_each_index(&dims, |at| {
            let mut pick = (1, 0);
            neighbours(at, &mut |position, _| pick = (0, position));
            picks.push(pick);
        });
        return take_from(OP, &sources, &dims, &picks);
    }
    let values = match x.dtype().is_integer() {
        true => ints(OP, x)?.into_iter().map(|v| v as f64).collect(),
        false => floats(OP, x)?,
    };
    let mut result = Vec::with_capacity(count);
    for_each_index(&dims, |at| {
        let mut sum = 0.0;
        let inside = neighbours(at, &mut |position, weight| sum += weight * values[position]);
        result.push(if inside { sum } else { options.extrapolation });
    });
    if x.dtype().is_integer() {
        let whole: Vec<_> = result.into_iter().map(|v| v as i128).collect();
        return store_ints(OP, x.dtype(), &dims, &whole);
    }
    store_floats(OP, x.dtype(), &dims, &result)
}

/// The operand's positions, with weights, that position `output` of one dimension combines; `None` is outside.
fn sample(
    input: usize,
    axis: &ResizeAxis,
    output: usize,
    options: &ResizeOptions,
) -> Result<Option<Vec<(usize, f64)>>> {
    let (size, scale, x) = (input as f64, axis.scale, output as f64);
    // The size of the result before it was rounded.
    let stretched = scale * size;
    let half_pixel = (x + 0.5) / scale - 0.5;
    let position = match options.coordinates {
        CoordinateMode::HalfPixel => half_pixel,
        CoordinateMode::HalfPixelSymmetric => size / 2.0 * (1.0 - axis.output as f64 / stretched) + half_pixel,
        CoordinateMode::PytorchHalfPixel if stretched == 1.0 => -0.5,
        CoordinateMode::PytorchHalfPixel => half_pixel,
        CoordinateMode::AlignCorners if stretched == 1.0 => 0.0,
        CoordinateMode::AlignCorners => x * (size - 1.0) / (stretched - 1.0),
        CoordinateMode::Asymmetric => x / scale,
        CoordinateMode::TfHalfPixelForNn => (x + 0.5) / scale,
        CoordinateMode::TfCropAndResize => {
            let (start, end) = axis.roi;
            let position = start * (size - 1.0)
                + if stretched == 1.0 {
                    (end - start) * (size - 1.0) / 2.0
                } else {
                    x * (end - start) * (size - 1.0) / (stretched - 1.0)
                };
            if !(0.0..=size - 1.0).contains(&position) {
                return Ok(None);
            }
            position
        }
    };
    ensure!(position.is_finite() && position.abs() < 1e15, "resize", "position {position} is no position");
    let last = input as i64 - 1;
    // The left neighbour is strictly left: a whole position has ratio 1, not 0.
    let left = position.ceil() as i64 - 1;
    let ratio = position - left as f64;
    let shrink = if options.antialias { scale.min(1.0) } else { 1.0 };
    let mut weights: Vec<(i64, f64)> = match options.interpolation {
        Interpolation::Nearest(mode) => {
            let right = ratio == 1.0
                || match mode {
                    NearestMode::RoundPreferFloor => ratio > 0.5,
                    NearestMode::RoundPreferCeil => ratio >= 0.5,
                    NearestMode::Floor => false,
                    NearestMode::Ceil => true,
                };
            return Ok(Some(vec![((left + i64::from(right)).clamp(0, last) as usize, 1.0)]));
        }
        Interpolation::Linear => {
            let reach = (1.0 / shrink).ceil() as i64;
            let weight = |i: i64| (1.0 - ((i as f64 - ratio) * shrink).abs()).max(0.0);
            (1 - reach..=reach).map(|i| (left + i, weight(i))).collect()
        }
        Interpolation::Cubic { coeff_a } => {
            let reach = (2.0 / shrink).ceil() as i64;
            let weight = |i: i64| keys_kernel((i as f64 - ratio) * shrink, coeff_a);
            (1 - reach..=reach).map(|i| (left + i, weight(i))).collect()
        }
    };
    if options.exclude_outside {
        weights.retain(|&(i, _)| (0..=last).contains(&i));
    }
    let total: f64 = weights.iter().map(|(_, w)| w).sum();
    ensure!(total != 0.0, "resize", "no neighbour of position {position} is inside");
    // Weights sum to 1 by construction unless some were stretched or excluded.
    let scale_up = if options.exclude_outside || shrink < 1.0 { total } else { 1.0 };
    Ok(Some(weights.into_iter().map(|(i, w)| (i.clamp(0, last) as usize, w / scale_up)).collect()))
}

/// Keys' cubic convolution kernel ("Cubic convolution interpolation for digital image processing", 1981, eq. 13-15).
pub(crate) fn keys_kernel(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: ResizeOptions = ResizeOptions {
        interpolation: Interpolation::Linear,
        coordinates: CoordinateMode::HalfPixel,
        exclude_outside: false,
        antialias: false,
        extrapolation: 0.0,
    };

    fn row(x: &[f32], axis: ResizeAxis, options: ResizeOptions) -> Vec<f32> {
        resize(&Tensor::new(&[x.len()], x.to_vec()), &[axis], &options).unwrap().elements::<f32>().into_owned()
    }

    #[test]
    fn linear_by_hand() {
        let up = ResizeAxis::sized(2, 4);
        assert_eq!(row(&[1.0, 2.0], up, OPTIONS), [1.0, 1.25, 1.75, 2.0]);
        let corners = ResizeOptions { coordinates: CoordinateMode::AlignCorners, ..OPTIONS };
        assert_eq!(row(&[1.0, 4.0], up, corners), [1.0, 2.0, 3.0, 4.0]);
        let asymmetric = ResizeOptions { coordinates: CoordinateMode::Asymmetric, ..OPTIONS };
        assert_eq!(row(&[1.0, 2.0], up, asymmetric), [1.0, 1.5, 2.0, 2.0]);
        let down = ResizeAxis::sized(4, 2);
        assert_eq!(row(&[1.0, 2.0, 3.0, 4.0], down, OPTIONS), [1.5, 3.5]);
        let antialias = ResizeOptions { antialias: true, ..OPTIONS };
        // Kernel of reach 2 around 0.5 and 2.5: weights 1 3 3 1 (over 8), the edge repeated.
        assert_eq!(row(&[8.0, 16.0, 24.0, 32.0], down, antialias), [13.0, 27.0]);
    }

    #[test]
    fn nearest_modes() {
        let of = |mode, coordinates| {
            let interpolation = Interpolation::Nearest(mode);
            let axis = ResizeAxis::sized(4, 8);
            row(&[1.0, 2.0, 3.0, 4.0], axis, ResizeOptions { interpolation, coordinates, ..OPTIONS })
        };
        let asymmetric = CoordinateMode::Asymmetric;
        assert_eq!(of(NearestMode::Floor, asymmetric), [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]);
        assert_eq!(of(NearestMode::Ceil, asymmetric), [1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 4.0]);
        assert_eq!(of(NearestMode::RoundPreferFloor, asymmetric), of(NearestMode::Floor, asymmetric));
        assert_eq!(of(NearestMode::RoundPreferCeil, asymmetric), of(NearestMode::Ceil, asymmetric));
    }

    #[test]
    fn cubic_reproduces_lines_inside_and_sums_to_one() {
        let interpolation = Interpolation::Cubic { coeff_a: -0.5 };
        let options = ResizeOptions { interpolation, ..OPTIONS };
        let x: Vec<f32> = (0..8).map(|i| i as f32).collect();
        let y = row(&x, ResizeAxis::sized(8, 16), options);
        for (i, &v) in y.iter().enumerate().skip(4).take(8) {
            assert!((v - ((i as f32 + 0.5) / 2.0 - 0.5)).abs() < 1e-5);
        }
        for exclude_outside in [false, true] {
            for antialias in [false, true] {
                let options = ResizeOptions { exclude_outside, antialias, ..options };
                let y = row(&[2.0; 8], ResizeAxis::sized(8, 5), options);
                assert!(y.iter().all(|v| (v - 2.0).abs() < 1e-6), "{y:?}");
            }
        }
    }

    #[test]
    fn crop_extrapolates() {
        let axis = ResizeAxis { roi: (0.5, 1.5), ..ResizeAxis::sized(3, 3) };
        let options = ResizeOptions { coordinates: CoordinateMode::TfCropAndResize, extrapolation: 9.0, ..OPTIONS };
        assert_eq!(row(&[1.0, 2.0, 3.0], axis, options), [2.0, 3.0, 9.0]);
    }

    #[test]
    fn other_types_and_shapes() {
        let x = Tensor::strings(&[1, 2], vec!["a".into(), "b".into()]);
        let interpolation = Interpolation::Nearest(NearestMode::Floor);
        let options = ResizeOptions { interpolation, ..OPTIONS };
        let axes = [ResizeAxis::same(1), ResizeAxis::sized(2, 4)];
        assert_eq!(resize(&x, &axes, &options).unwrap().as_strings().unwrap(), ["a", "a", "a", "b"]);
        assert!(resize(&x, &axes, &OPTIONS).is_err());
        assert!(resize(&x, &axes[..1], &options).is_err());
        let empty = Tensor::new::<f32>(&[0, 2], vec![]);
        assert_eq!(resize(&empty, &[ResizeAxis::same(0), axes[1]], &OPTIONS).unwrap().dims(), [0, 4]);
        assert!(resize(&empty, &axes, &OPTIONS).is_err());
    }
}
