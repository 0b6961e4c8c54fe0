//! Sampling at given positions, as the ONNX operator GridSample defines it.

use super::access::{floats, store_floats};
use super::error::{Result, ensure};
use super::index::{checked_count, for_each_index, product, strides};
use super::resize::keys_kernel;
use crate::scalar::round_to;
use nim_tensor::Tensor;

/// How neighbours are combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SampleMode {
    /// One neighbour; halves round to even.
    Nearest,
    /// Two neighbours a dimension.
    Linear,
    /// Four neighbours a dimension, with Keys' kernel of parameter -0.75.
    Cubic,
}

/// What lies outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outside {
    /// Zeros.
    Zeros,
    /// The nearest element.
    Border,
    /// The mirror image.
    Reflection,
}

/// Samples `x: [n, c, spatial..]` at `grid: [n, out.., spatial rank]`, giving `[n, c, out..]`.
///
/// A grid vector names the last spatial dimension first; -1 and 1 are the centres of the border elements when
/// `align_corners`, else their outer edges. Positions are computed in the grid's own precision step by step, because
/// rounding decides which neighbour is nearest; the interpolation is in `f64`.
pub fn grid_sample(
    x: &Tensor,
    grid: &Tensor,
    mode: SampleMode,
    outside: Outside,
    align_corners: bool,
) -> Result<Tensor> {
    const OP: &str = "grid_sample";
    let fits = x.rank() >= 3
        && grid.rank() == x.rank()
        && grid.dims()[0] == x.dims()[0]
        && grid.dims()[x.rank() - 1] == x.rank() - 2;
    ensure!(fits, OP, "data of shape {:?} and grid of shape {:?} do not fit together", x.dims(), grid.dims());
    let spatial = &x.dims()[2..];
    let rank = spatial.len();
    let out = &grid.dims()[1..=rank];
    let dims = [&x.dims()[..2], out].concat();
    let count = checked_count(OP, &dims)?;
    ensure!(count == 0 || !x.is_empty(), OP, "nothing to sample in data of shape {:?}", x.dims());
    let (values, places) = (floats(OP, x)?, floats(OP, grid)?);
    let mut result = Vec::with_capacity(count);
    if count == 0 {
        return store_floats(OP, x.dtype(), &dims, &result);
    }
    let (channels, plane, points, steps) = (x.dims()[1], product(spatial), product(out), strides(spatial));
    for n in 0..x.dims()[0] {
        // Which elements of a plane each point combines is the same for all channels.
        let mut taps: Vec<Vec<(usize, f64)>> = Vec::with_capacity(points);
        for vector in places[n * points * rank..][..points * rank].chunks_exact(rank) {
            let along: Vec<_> = (0..rank)
                .map(|d| {
                    let axis = Axis::new(spatial[d], align_corners, outside);
                    let position = axis.position(vector[rank - 1 - d], |v| round_to(grid.dtype(), v));
                    axis.taps(position, mode)
                })
                .collect();
            let sizes: Vec<_> = along.iter().map(Vec::len).collect();
            let mut combined = Vec::new();
            for_each_index(&sizes, |choice| {
                let chosen = choice.iter().zip(&along).map(|(&c, taps)| taps[c]);
                let start = (0, 1.0);
                combined.push(chosen.zip(&steps).fold(start, |(p, w), ((i, v), step)| (p + i * step, w * v)));
            });
            taps.push(combined);
        }
        for c in 0..channels {
            let plane = &values[(n * channels + c) * plane..][..plane];
            result.extend(taps.iter().map(|t| t.iter().fold(0.0, |sum, &(p, w)| sum + w * plane[p])));
        }
    }
    store_floats(OP, x.dtype(), &dims, &result)
}

/// One spatial dimension.
struct Axis {
    size: i64,
    align_corners: bool,
    outside: Outside,
}

impl Axis {
    fn new(size: usize, align_corners: bool, outside: Outside) -> Axis {
        Axis { size: size as i64, align_corners, outside }
    }

    /// The first and last position that count as inside.
    fn borders(&self) -> (f64, f64) {
        let last = self.size as f64 - 1.0;
        if self.align_corners { (0.0, last) } else { (-0.5, last + 0.5) }
    }

    /// The position that a grid coordinate names; `round` brings each step to the grid's precision.
    fn position(&self, coordinate: f64, round: impl Fn(f64) -> f64) -> f64 {
        let shifted = round(coordinate + 1.0);
        if self.align_corners {
            round(round(shifted / 2.0) * (self.size as f64 - 1.0))
        } else {
            round(round(round(shifted * self.size as f64) - 1.0) / 2.0)
        }
    }

    /// The elements, with weights, that a position combines; empty where zeros surround it.
    fn taps(&self, position: f64, mode: SampleMode) -> Vec<(usize, f64)> {
        let rounded = match mode {
            SampleMode::Nearest => position.round_ties_even(),
            _ => position,
        };
        // NaN and what is far outside are treated like a position just outside.
        let position = if rounded.abs() < 1e15 { rounded } else { -2.0 };
        let (low, high) = self.borders();
        let position = match self.outside {
            _ if (low..=high).contains(&position) => position,
            Outside::Zeros => position,
            Outside::Border => position.clamp(0.0, self.size as f64 - 1.0),
            Outside::Reflection => reflect(position, low, high),
        };
        let whole = position.floor();
        let (first, weights): (i64, Vec<f64>) = match mode {
            SampleMode::Nearest => (0, vec![1.0]),
            SampleMode::Linear => (0, vec![1.0 - (position - whole), position - whole]),
            SampleMode::Cubic => (-1, (-1..=2).map(|i| keys_kernel(position - whole - f64::from(i), -0.75)).collect()),
        };
        // A nearest position may have been reflected between two elements; it truncates.
        let start = if mode == SampleMode::Nearest { position.trunc() } else { whole } as i64 + first;
        let places = weights.into_iter().enumerate().map(|(i, w)| (start + i as i64, w));
        places.filter_map(|(i, w)| Some((self.element(i)?, w))).collect()
    }

    /// The element at a whole position, possibly outside; `None` is zero.
    fn element(&self, i: i64) -> Option<usize> {
        let inside = match self.outside {
            _ if (0..self.size).contains(&i) => i,
            Outside::Zeros => return None,
            Outside::Border => i.clamp(0, self.size - 1),
            Outside::Reflection => {
                let (low, high) = self.borders();
                (reflect(i as f64, low, high) as i64).clamp(0, self.size - 1)
            }
        };
        Some(inside as usize)
    }
}

/// Mirrors a position at the borders until it is between them.
fn reflect(x: f64, low: f64, high: f64) -> f64 {
    let range = high - low;
    if range <= 0.0 {
        return low;
    }
    let distance = if x < low { low - x } else { x - high };
    if distance <= 0.0 {
        return x;
    }
    let folds = (distance / range).trunc();
    let rest = distance - folds * range;
    // After an even number of folds the position is on the side that it left.
    if (folds % 2.0 == 0.0) == (x < low) { low + rest } else { high - rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(coordinates: &[f32], mode: SampleMode, outside: Outside, align_corners: bool) -> Vec<f32> {
        let x = Tensor::new(&[1, 1, 4], vec![1f32, 2.0, 3.0, 4.0]);
        let grid = Tensor::new(&[1, coordinates.len(), 1], coordinates.to_vec());
        grid_sample(&x, &grid, mode, outside, align_corners).unwrap().elements::<f32>().into_owned()
    }

    #[test]
    fn one_dimension_by_hand() {
        use {Outside::*, SampleMode::*};
        // Positions -0.5, 0.5, 1.5, 3.5 and 4.5.
        let at = [-1.0, -0.5, 0.0, 1.0, 1.5];
        assert_eq!(row(&at, Linear, Zeros, false), [0.5, 1.5, 2.5, 2.0, 0.0]);
        assert_eq!(row(&at, Linear, Border, false), [1.0, 1.5, 2.5, 4.0, 4.0]);
        assert_eq!(row(&at, Linear, Reflection, false), [1.0, 1.5, 2.5, 4.0, 3.5]);
        assert_eq!(row(&at, Nearest, Zeros, false), [1.0, 1.0, 3.0, 0.0, 0.0]);
        // Positions 0, 1.5 and 3.
        assert_eq!(row(&[-1.0, 0.0, 1.0], Linear, Zeros, true), [1.0, 2.5, 4.0]);
        assert_eq!(row(&[-1.0, 0.0, 1.0], Cubic, Border, true), [1.0, 2.5, 4.0]);
        assert_eq!(row(&[f32::NAN, f32::INFINITY], Linear, Zeros, true), [0.0, 0.0]);
    }

    #[test]
    fn the_last_dimension_comes_first_in_the_grid() {
        let x = Tensor::new(&[1, 2, 2, 2], vec![1f32, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let grid = Tensor::new(&[1, 1, 1, 2], vec![1f32, -1.0]);
        let y = grid_sample(&x, &grid, SampleMode::Linear, Outside::Zeros, true).unwrap();
        assert_eq!(y, Tensor::new(&[1, 2, 1, 1], vec![2f32, 6.0]));
        assert!(grid_sample(&x, &x, SampleMode::Linear, Outside::Zeros, true).is_ok());
        let wrong = Tensor::new(&[1, 1, 2], vec![0f32; 2]);
        assert!(grid_sample(&x, &wrong, SampleMode::Linear, Outside::Zeros, true).is_err());
    }

    #[test]
    fn reflection_folds_any_number_of_times() {
        for k in -3..=3 {
            let shift = 2.0 * 4.0 * f64::from(k);
            assert_eq!(reflect(1.25 + shift, -0.5, 3.5), 1.25);
            assert_eq!(reflect(-1.0 - 1.25 + shift, -0.5, 3.5), 1.25);
        }
        assert_eq!(reflect(5.0, 0.0, 0.0), 0.0);
    }
}
