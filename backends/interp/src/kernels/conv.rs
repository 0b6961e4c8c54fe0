//! Convolutions, plain and transposed.

use super::access::{Ring, same_dtype, with_ring};
use super::error::{KernelError, Result, ensure};
use super::index::{checked_count, flat, for_each_index, product, strides};
use super::window::Window;
use nim_tensor::Tensor;
use std::ops::Range;

/// The convolution (cross-correlation) of `x: [n, c, spatial..]` with `w: [m, c / groups, kernel..]`, giving
/// `[n, m, windows..]`: `y[n, m, o..] = sum over c, k of x[n, c, o * stride + k * dilation - pad ..] * w[m, c, k..]`.
/// Elements in the padding are 0.
pub fn conv(x: &Tensor, w: &Tensor, window: &Window, groups: usize) -> Result<Tensor> {
    const OP: &str = "conv";
    let dtype = same_dtype(OP, &[x, w])?;
    with_ring!(OP, dtype, conv_in(x, w, window, groups))
}

fn conv_in<R: Ring>(x: &Tensor, w: &Tensor, window: &Window, groups: usize) -> Result<Tensor> {
    const OP: &str = "conv";
    let rank = spatial_rank(OP, x, w)?;
    window.check(OP, rank)?;
    let (batch, channels, input) = (x.dims()[0], x.dims()[1], &x.dims()[2..]);
    let (features, group_channels, kernel) = (w.dims()[0], w.dims()[1], &w.dims()[2..]);
    ensure!(
        groups > 0 && features.is_multiple_of(groups) && group_channels.checked_mul(groups) == Some(channels),
        OP,
        "weights of shape {:?} do not fit {channels} channels in {groups} groups",
        w.dims()
    );
    let output = window.output_dims(OP, input, kernel)?;
    let dims = [&[batch, features], &output[..]].concat();
    let mut result = vec![R::ZERO; checked_count(OP, &dims)?];
    let (values, weights) = (R::load(OP, x)?, R::load(OP, w)?);
    if !result.is_empty() && !values.is_empty() {
        let planes = Planes::new(window, input, kernel, &output);
        let (in_plane, out_plane, taps) = (product(input), product(&output), product(kernel));
        for (number, sums) in result.chunks_exact_mut(out_plane).enumerate() {
            let (n, m) = (number / features, number % features);
            let first_channel = m / (features / groups) * group_channels;
            for c in 0..group_channels {
                let plane = &values[(n * channels + first_channel + c) * in_plane..][..in_plane];
                let filter = &weights[(m * group_channels + c) * taps..][..taps];
                planes.for_each_tap(|tap, windows, positions| {
                    for (&o, &i) in windows.iter().zip(positions) {
                        sums[o] = sums[o].add(filter[tap].mul(plane[i]));
                    }
                });
            }
        }
    }
    R::store(OP, x.dtype(), &dims, &result)
}

/// The transposed convolution (the gradient of [`conv`] by its input) of `x: [n, c, spatial..]` with
/// `w: [c, m / groups, kernel..]`: every `x[n, c, i..] * w[c, m, k..]` is added at `i * stride + k * dilation - pad`.
/// A result dimension is `stride * (i - 1) + (k - 1) * dilation + 1 + output_padding - pads`.
pub fn conv_transpose(
    x: &Tensor,
    w: &Tensor,
    window: &Window,
    output_padding: &[usize],
    groups: usize,
) -> Result<Tensor> {
    const OP: &str = "conv_transpose";
    let dtype = same_dtype(OP, &[x, w])?;
    with_ring!(OP, dtype, conv_transpose_in(x, w, window, output_padding, groups))
}

fn conv_transpose_in<R: Ring>(
    x: &Tensor,
    w: &Tensor,
    window: &Window,
    output_padding: &[usize],
    groups: usize,
) -> Result<Tensor> {
    const OP: &str = "conv_transpose";
    let rank = spatial_rank(OP, x, w)?;
    window.check(OP, rank)?;
    ensure!(output_padding.len() == rank, OP, "output padding {output_padding:?} does not fit {rank} dimensions");
    let (batch, channels, input) = (x.dims()[0], x.dims()[1], &x.dims()[2..]);
    let (group_features, kernel) = (w.dims()[1], &w.dims()[2..]);
    ensure!(
        groups > 0 && channels.is_multiple_of(groups) && w.dims()[0] == channels,
        OP,
        "weights of shape {:?} do not fit {channels} channels in {groups} groups",
        w.dims()
    );
    let Some(features) = group_features.checked_mul(groups) else {
        return Err(KernelError::TooLarge { op: OP, dims: vec![batch, group_features, groups] });
    };
    let mut output = Vec::with_capacity(rank);
    for d in 0..rank {
        ensure!(kernel[d] > 0, OP, "window extent {kernel:?} has a zero");
        let reach = (input[d] as i128 - 1) * window.strides[d] as i128
            + (kernel[d] as i128 - 1) * window.dilations[d] as i128
            + 1;
        let size =
            reach + output_padding[d] as i128 - i128::from(window.pads_begin[d]) - i128::from(window.pads_end[d]);
        // An empty input gives no sensible reach; what the formula leaves below zero is an empty dimension.
        output.push(usize::try_from(size.max(0)).map_err(|_| KernelError::TooLarge { op: OP, dims: vec![] })?);
    }
    let dims = [&[batch, features], &output[..]].concat();
    let mut result = vec![R::ZERO; checked_count(OP, &dims)?];
    let (values, weights) = (R::load(OP, x)?, R::load(OP, w)?);
    if !result.is_empty() && !values.is_empty() {
        // Seen from the result, the operand's elements are the windows.
        let planes = Planes::new(window, &output, kernel, input);
        let (in_plane, out_plane, taps) = (product(input), product(&output), product(kernel));
        for (number, sums) in result.chunks_exact_mut(out_plane).enumerate() {
            let (n, m) = (number / features, number % features);
            let (group, feature) = (m / group_features, m % group_features);
            for c in group * (channels / groups)..(group + 1) * (channels / groups) {
                let plane = &values[(n * channels + c) * in_plane..][..in_plane];
                let filter = &weights[(c * group_features + feature) * taps..][..taps];
                planes.for_each_tap(|tap, windows, positions| {
                    for (&i, &o) in windows.iter().zip(positions) {
                        sums[o] = sums[o].add(filter[tap].mul(plane[i]));
                    }
                });
            }
        }
    }
    R::store(OP, x.dtype(), &dims, &result)
}

/// Checks that data and weights have the same number of spatial dimensions, which is returned.
fn spatial_rank(op: &'static str, x: &Tensor, w: &Tensor) -> Result<usize> {
    ensure!(
        x.rank() >= 2 && w.rank() == x.rank(),
        op,
        "data of shape {:?} and weights of shape {:?} do not fit together",
        x.dims(),
        w.dims()
    );
    Ok(x.rank() - 2)
}

/// For each tap of a kernel, which window of one plane reads which element.
pub(crate) struct Planes {
    /// Flat window positions and, as long, flat element positions; one pair a tap.
    taps: Vec<(Vec<usize>, Vec<usize>)>,
}

impl Planes {
    pub(crate) fn new(window: &Window, input: &[usize], kernel: &[usize], output: &[usize]) -> Planes {
        let (in_steps, out_steps) = (strides(input), strides(output));
        let mut taps = Vec::new();
        if output.contains(&0) || input.contains(&0) {
            return Planes { taps };
        }
        for_each_index(kernel, |tap| {
            let ranges: Vec<Range<usize>> =
                (0..tap.len()).map(|d| window.inside(d, tap[d], input[d], output[d])).collect();
            let sizes: Vec<_> = ranges.iter().map(Range::len).collect();
            let (mut windows, mut positions) = (Vec::new(), Vec::new());
            for_each_index(&sizes, |index| {
                let at: Vec<_> = index.iter().zip(&ranges).map(|(i, r)| i + r.start).collect();
                windows.push(flat(&at, &out_steps));
                positions.push((0..at.len()).map(|d| window.position(d, at[d], tap[d]) as usize * in_steps[d]).sum());
            });
            taps.push((windows, positions));
        });
        Planes { taps }
    }

    /// Visits the taps in row-major order with the window and element positions that belong together.
    pub(crate) fn for_each_tap(&self, mut visit: impl FnMut(usize, &[usize], &[usize])) {
        for (tap, (windows, positions)) in self.taps.iter().enumerate() {
            visit(tap, windows, positions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::access::floats;
    use crate::kernels::contract::einsum;
    use crate::kernels::pad::{PadMode, pad};

    fn wavy(dims: &[usize]) -> Tensor {
        // Small integers, so that every sum is exact in any order.
        Tensor::new(dims, (0..dims.iter().product::<usize>()).map(|i| (i * 7 % 11) as f32 - 5.0).collect())
    }

    #[test]
    fn one_dimension_by_hand() {
        let x = Tensor::new(&[1, 1, 4], vec![1f32, 2.0, 3.0, 4.0]);
        let w = Tensor::new(&[1, 1, 3], vec![1f32, 10.0, 100.0]);
        let mut window = Window::new(1);
        assert_eq!(conv(&x, &w, &window, 1).unwrap(), Tensor::new(&[1, 1, 2], vec![321f32, 432.0]));
        window.pads_begin = vec![1];
        window.strides = vec![2];
        assert_eq!(conv(&x, &w, &window, 1).unwrap(), Tensor::new(&[1, 1, 2], vec![210f32, 432.0]));
        window.dilations = vec![9];
        assert_eq!(conv(&x, &w, &window, 1).unwrap().dims(), [1, 1, 0]);
        assert!(conv(&x, &w, &Window::new(2), 1).is_err());
        assert!(conv(&x, &w, &Window::new(1), 2).is_err());
        assert!(conv(&x, &w, &Window { strides: vec![0], ..Window::new(1) }, 1).is_err());
    }

    /// The same convolution as an einsum over explicitly gathered windows.
    fn conv_by_im2col(x: &Tensor, w: &Tensor, window: &Window, groups: usize) -> Tensor {
        let zeros = PadMode::Constant(Tensor::scalar(0f32));
        let before = [&[0, 0], &window.pads_begin[..]].concat();
        let after = [&[0, 0], &window.pads_end[..]].concat();
        let x = pad(x, &before, &after, &zeros).unwrap();
        let (n, c) = (x.dims()[0], x.dims()[1]);
        let (h, v) = (x.dims()[2], x.dims()[3]);
        let (kh, kv) = (w.dims()[2], w.dims()[3]);
        let oh = (h - (kh - 1) * window.dilations[0] - 1) / window.strides[0] + 1;
        let ov = (v - (kv - 1) * window.dilations[1] - 1) / window.strides[1] + 1;
        let values = floats("t", &x).unwrap();
        let mut columns = Vec::new();
        for_each_index(&[n, c, kh, kv, oh, ov], |i| {
            let row = i[4] * window.strides[0] + i[2] * window.dilations[0];
            let column = i[5] * window.strides[1] + i[3] * window.dilations[1];
            columns.push(values[((i[0] * c + i[1]) * h + row) * v + column] as f32);
        });
        let columns = Tensor::new(&[n, groups, c / groups, kh, kv, oh, ov], columns);
        let m = w.dims()[0];
        let w = w.reshaped(&[groups, m / groups, c / groups, kh, kv]).unwrap();
        let y = einsum("ngchvyx,gmchv->ngmyx", &[&columns, &w]).unwrap();
        y.reshaped(&[n, m, oh, ov]).unwrap()
    }

    #[test]
    fn agrees_with_im2col() {
        let (x, w) = (wavy(&[2, 4, 7, 6]), wavy(&[6, 2, 3, 2]));
        let window =
            Window { strides: vec![2, 1], dilations: vec![1, 2], pads_begin: vec![1, 0], pads_end: vec![2, 3] };
        assert_eq!(conv(&x, &w, &window, 2).unwrap(), conv_by_im2col(&x, &w, &window, 2));
        let cropped = Window { pads_begin: vec![-1, 2], pads_end: vec![0, -2], ..Window::new(2) };
        assert_eq!(conv(&x, &w, &cropped, 2).unwrap(), conv_by_im2col(&x, &w, &cropped, 2));
    }

    #[test]
    fn transpose_is_the_adjoint() {
        // <conv(x, w), y> == <x, conv_transpose(y, w)> for the same window and weights.
        let (x, w) = (wavy(&[1, 4, 8, 7]), wavy(&[6, 2, 3, 3]));
        let window =
            Window { strides: vec![2, 1], dilations: vec![1, 2], pads_begin: vec![1, 2], pads_end: vec![0, 1] };
        let forward = conv(&x, &w, &window, 2).unwrap();
        let y = wavy(forward.dims());
        // The first dimension of the weights is the transposed convolution's channels.
        let back = conv_transpose(&y, &w, &window, &[0, 0], 2).unwrap();
        assert_eq!(back.dims(), x.dims());
        let dot = |a: &Tensor, b: &Tensor| einsum("abcd,abcd->", &[a, b]).unwrap().elements::<f32>()[0];
        assert_eq!(dot(&forward, &y), dot(&x, &back));
    }

    #[test]
    fn transpose_by_hand() {
        let x = Tensor::new(&[1, 1, 2], vec![1i32, 2]);
        let w = Tensor::new(&[1, 1, 3], vec![1i32, 10, 100]);
        let window = Window { strides: vec![2], ..Window::new(1) };
        let y = conv_transpose(&x, &w, &window, &[1], 1).unwrap();
        assert_eq!(y, Tensor::new(&[1, 1, 6], vec![1, 10, 102, 20, 200, 0]));
        let cropped = Window { pads_begin: vec![1], pads_end: vec![2], ..window };
        let y = conv_transpose(&x, &w, &cropped, &[0], 1).unwrap();
        assert_eq!(y, Tensor::new(&[1, 1, 2], vec![10, 102]));
    }
}
