//! Deformable convolution: a convolution whose windows read at displaced positions.

use super::access::{floats, same_dtype, store_floats};
use super::error::{Result, ensure};
use super::index::{checked_count, flat, for_each_index, product, strides};
use super::window::Window;
use nim_tensor::Tensor;

/// A convolution of `x: [n, c, spatial..]` with `w: [m, c / groups, kernel..]` in which the element for kernel position
/// `k` of window `o` is read at `o * stride + k * dilation - pad + offset`, linearly interpolated (zeros outside), and
/// multiplied by the mask.
///
/// `offset: [n, offset_groups * taps * spatial rank, windows..]` has for each group of channels and each tap the
/// displacements along the dimensions in order; `mask: [n, offset_groups * taps, windows..]`.
pub fn deform_conv(
    x: &Tensor,
    w: &Tensor,
    offset: &Tensor,
    mask: Option<&Tensor>,
    window: &Window,
    groups: usize,
    offset_groups: usize,
) -> Result<Tensor> {
    const OP: &str = "deform_conv";
    same_dtype(OP, &[x, w, offset])?;
    ensure!(x.rank() >= 3 && w.rank() == x.rank(), OP, "data {:?} and weights {:?} do not fit", x.dims(), w.dims());
    let rank = x.rank() - 2;
    window.check(OP, rank)?;
    let (batch, channels, input) = (x.dims()[0], x.dims()[1], &x.dims()[2..]);
    let (features, group_channels, kernel) = (w.dims()[0], w.dims()[1], &w.dims()[2..]);
    ensure!(
        groups > 0
            && offset_groups > 0
            && features.is_multiple_of(groups)
            && group_channels.checked_mul(groups) == Some(channels)
            && channels.is_multiple_of(offset_groups),
        OP,
        "weights {:?} do not fit {channels} channels in {groups} groups and {offset_groups} offset groups",
        w.dims()
    );
    let output = window.output_dims(OP, input, kernel)?;
    let taps = product(kernel);
    let expected = |parts: usize| {
        let rows = offset_groups.saturating_mul(taps).saturating_mul(parts);
        [&[batch, rows], &output[..]].concat()
    };
    ensure!(offset.dims() == expected(rank), OP, "offsets {:?} instead of {:?}", offset.dims(), expected(rank));
    let masks = match mask {
        Some(mask) => {
            same_dtype(OP, &[x, mask])?;
            ensure!(mask.dims() == expected(1), OP, "mask {:?} instead of {:?}", mask.dims(), expected(1));
            Some(floats(OP, mask)?)
        }
        None => None,
    };
    let (values, weights, offsets) = (floats(OP, x)?, floats(OP, w)?, floats(OP, offset)?);
    let dims = [&[batch, features], &output[..]].concat();
    let mut result = vec![0.0; checked_count(OP, &dims)?];
    if result.is_empty() || values.is_empty() {
        return store_floats(OP, x.dtype(), &dims, &result);
    }
    let (in_plane, out_plane) = (product(input), product(&output));
    for n in 0..batch {
        // The displaced samples: one for each channel, tap and window.
        let mut samples = Vec::with_capacity(channels * taps * out_plane);
        for c in 0..channels {
            let group = c / (channels / offset_groups);
            let plane = &values[(n * channels + c) * in_plane..][..in_plane];
            let mut tap = 0;
            for_each_index(kernel, |k| {
                let row = (n * offset_groups + group) * taps + tap;
                let mut at = 0;
                for_each_index(&output, |o| {
                    let place: Vec<f64> = (0..rank)
                        .map(|d| {
                            let shift = offsets[(row * rank + d) * out_plane + at];
                            window.position(d, o[d], k[d]) as f64 + shift
                        })
                        .collect();
                    let scale = masks.as_ref().map_or(1.0, |m| m[row * out_plane + at]);
                    samples.push(scale * interpolated(plane, input, &place));
                    at += 1;
                });
                tap += 1;
            });
        }
        for m in 0..features {
            let first = m / (features / groups) * group_channels;
            let sums = &mut result[(n * features + m) * out_plane..][..out_plane];
            for c in 0..group_channels {
                for tap in 0..taps {
                    let weight = weights[(m * group_channels + c) * taps + tap];
                    let line = &samples[((first + c) * taps + tap) * out_plane..][..out_plane];
                    sums.iter_mut().zip(line).for_each(|(sum, v)| *sum += weight * v);
                }
            }
        }
    }
    store_floats(OP, x.dtype(), &dims, &result)
}

/// The multilinear interpolation of a plane, which zeros surround.
fn interpolated(plane: &[f64], dims: &[usize], place: &[f64]) -> f64 {
    let steps = strides(dims);
    let mut sum = 0.0;
    for_each_index(&vec![2; dims.len()], |corner| {
        let mut weight = 1.0;
        let mut index = Vec::with_capacity(dims.len());
        for d in 0..dims.len() {
            let low = place[d].floor();
            let i = low + corner[d] as f64;
            let fraction = place[d] - low;
            weight *= if corner[d] == 1 { fraction } else { 1.0 - fraction };
            if i >= 0.0 && i < dims[d] as f64 {
                index.push(i as usize);
            }
        }
        if index.len() == dims.len() {
            sum += weight * plane[flat(&index, &steps)];
        }
    });
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conv::conv;

    fn wavy(dims: &[usize]) -> Tensor {
        Tensor::new(dims, (0..dims.iter().product::<usize>()).map(|i| (i * 7 % 11) as f32 - 5.0).collect())
    }

    #[test]
    fn without_offsets_it_is_a_convolution() {
        let (x, w) = (wavy(&[2, 4, 5, 6]), wavy(&[6, 2, 3, 2]));
        let window =
            Window { strides: vec![2, 1], dilations: vec![1, 2], pads_begin: vec![1, 0], pads_end: vec![1, 1] };
        let plain = conv(&x, &w, &window, 2).unwrap();
        let offset = Tensor::new(
            &[2, 2 * 12, plain.dims()[2], plain.dims()[3]],
            vec![0f32; 48 * plain.dims()[2] * plain.dims()[3]],
        );
        assert_eq!(deform_conv(&x, &w, &offset, None, &window, 2, 2).unwrap(), plain);
        assert!(deform_conv(&x, &w, &offset, None, &window, 2, 1).is_err());
    }

    #[test]
    fn offsets_shift_and_masks_scale() {
        let x = Tensor::new(&[1, 1, 4], vec![1f32, 2.0, 4.0, 8.0]);
        let w = Tensor::new(&[1, 1, 1], vec![1f32]);
        let offset = Tensor::new(&[1, 1, 4], vec![0.5f32, -2.0, 1.0, 0.25]);
        let mask = Tensor::new(&[1, 1, 4], vec![1f32, 1.0, 0.5, 1.0]);
        let y = deform_conv(&x, &w, &offset, Some(&mask), &Window::new(1), 1, 1).unwrap();
        assert_eq!(y, Tensor::new(&[1, 1, 4], vec![1.5f32, 0.0, 4.0, 6.0]));
    }
}
