//! Pooling over regions of interest.

use super::access::{floats, indices, store_floats};
use super::error::{Result, ensure};
use super::index::{checked_count, position};
use nim_tensor::Tensor;

/// How [`roi_align`] works.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RoiAlign {
    /// Result height and width.
    pub output: (usize, usize),
    /// Samples along each side of a bin; 0 means one for each element that the bin spans.
    pub sampling_ratio: usize,
    /// What region coordinates are multiplied by to become positions.
    pub spatial_scale: f64,
    /// Positions are shifted by half an element; without, regions are at least one element large.
    pub half_pixel: bool,
    /// The greatest instead of the mean. As the standard's reference does, the greatest of the *weighted* neighbours
    /// of all samples, not of the interpolated samples.
    pub max: bool,
}

/// Samples regions `rois: [r, 4]` (x1, y1, x2, y2) of the images `batch: [r]` of `x: [n, c, h, w]` bilinearly, giving
/// `[r, c, height, width]`.
pub fn roi_align(x: &Tensor, rois: &Tensor, batch: &Tensor, options: &RoiAlign) -> Result<Tensor> {
    const OP: &str = "roi_align";
    let fits = x.rank() == 4 && rois.rank() == 2 && rois.dims()[1] == 4 && batch.dims() == [rois.dims()[0]];
    ensure!(
        fits,
        OP,
        "data {:?}, regions {:?} and batch indices {:?} do not fit together",
        x.dims(),
        rois.dims(),
        batch.dims()
    );
    let (images, channels, height, width) = (x.dims()[0], x.dims()[1], x.dims()[2], x.dims()[3]);
    let (rows, columns) = options.output;
    let dims = [rois.dims()[0], channels, rows, columns];
    let count = checked_count(OP, &dims)?;
    ensure!(count == 0 || height * width > 0, OP, "nothing to sample in data of shape {:?}", x.dims());
    let (values, corners, batch) = (floats(OP, x)?, floats(OP, rois)?, indices(OP, batch)?);
    let mut result = Vec::with_capacity(count);
    for (corner, &image) in corners.chunks_exact(4).zip(&batch) {
        if count == 0 {
            break;
        }
        let image = position(OP, image, images)?;
        let offset = if options.half_pixel { 0.5 } else { 0.0 };
        let [x1, y1, x2, y2] = [0, 1, 2, 3].map(|i| corner[i] * options.spatial_scale - offset);
        let least = if options.half_pixel { f64::NEG_INFINITY } else { 1.0 };
        let bins = [((y2 - y1).max(least), y1, rows), ((x2 - x1).max(least), x1, columns)];
        let mut samples = [const { Vec::new() }; 2];
        for (side, (extent, start, bins)) in bins.into_iter().enumerate() {
            let bin = extent / bins as f64;
            let grid = if options.sampling_ratio > 0 { options.sampling_ratio as f64 } else { bin.ceil() };
            let sampled = grid < 1e4;
            ensure!(sampled, OP, "a region side of {extent} is too large to sample");
            let grid = grid.max(0.0) as usize;
            samples[side] = (0..bins)
                .map(|b| {
                    let place = |i| start + b as f64 * bin + (i as f64 + 0.5) * bin / grid as f64;
                    (0..grid).map(place).collect::<Vec<_>>()
                })
                .collect();
        }
        for c in 0..channels {
            let plane = &values[(image * channels + c) * height * width..][..height * width];
            for ys in &samples[0] {
                for xs in &samples[1] {
                    let parts = ys.iter().flat_map(|&y| xs.iter().map(move |&x| (y, x)));
                    let parts = parts.map(|(y, x)| corners_at(plane, height, width, y, x));
                    result.push(if options.max {
                        parts.flatten().reduce(f64::max).unwrap_or(0.0)
                    } else {
                        parts.flatten().fold(0.0, |a, b| a + b) / (ys.len() * xs.len()).max(1) as f64
                    });
                }
            }
        }
    }
    store_floats(OP, x.dtype(), &dims, &result)
}

/// The four neighbours of a position times their bilinear weights; zeros more than one element outside.
fn corners_at(plane: &[f64], height: usize, width: usize, y: f64, x: f64) -> [f64; 4] {
    let inside = (-1.0..=height as f64).contains(&y) && (-1.0..=width as f64).contains(&x);
    if !inside {
        return [0.0; 4];
    }
    let split = |v: f64, size: usize| {
        let v = v.max(0.0);
        let low = v as usize;
        if low + 1 >= size { (size - 1, size - 1, 0.0) } else { (low, low + 1, v - low as f64) }
    };
    let ((y0, y1, fy), (x0, x1, fx)) = (split(y, height), split(x, width));
    let at = |y: usize, x: usize, weight: f64| plane[y * width + x] * weight;
    [at(y0, x0, (1.0 - fy) * (1.0 - fx)), at(y0, x1, (1.0 - fy) * fx), at(y1, x0, fy * (1.0 - fx)), at(y1, x1, fy * fx)]
}

/// The greatest element of each bin of regions `rois: [r, 5]` (image, x1, y1, x2, y2) of `x: [n, c, h, w]`, giving
/// `[r, c, height, width]`. Corners are scaled and rounded to elements, both inclusive; an empty bin gives 0.
pub fn max_roi_pool(x: &Tensor, rois: &Tensor, output: (usize, usize), spatial_scale: f64) -> Result<Tensor> {
    const OP: &str = "max_roi_pool";
    let fits = x.rank() == 4 && rois.rank() == 2 && rois.dims()[1] == 5;
    ensure!(fits, OP, "data {:?} and regions {:?} do not fit together", x.dims(), rois.dims());
    let (images, channels, height, width) = (x.dims()[0], x.dims()[1], x.dims()[2], x.dims()[3]);
    let dims = [rois.dims()[0], channels, output.0, output.1];
    let count = checked_count(OP, &dims)?;
    let (values, regions) = (floats(OP, x)?, floats(OP, rois)?);
    let mut result = Vec::with_capacity(count);
    for region in regions.chunks_exact(5) {
        if count == 0 {
            break;
        }
        let image = position(OP, region[0] as i64, images)?;
        let corner = |i: usize| (region[i] * spatial_scale).round();
        // The elements of bin `b` of `bins` between two corners, cut to the image.
        let bin = |b: usize, bins: usize, start: f64, end: f64, size: usize| {
            let extent = (end - start + 1.0).max(1.0) / bins as f64;
            let low = (b as f64 * extent).floor() + start;
            let high = ((b + 1) as f64 * extent).ceil() + start;
            let cut = |v: f64| v.clamp(0.0, size as f64) as usize;
            cut(low)..cut(high)
        };
        for c in 0..channels {
            let plane = (image * channels + c) * height * width;
            for row in 0..output.0 {
                for column in 0..output.1 {
                    let ys = bin(row, output.0, corner(2), corner(4), height);
                    let xs = bin(column, output.1, corner(1), corner(3), width);
                    let cells = ys.flat_map(|y| xs.clone().map(move |x| plane + y * width + x));
                    result.push(cells.map(|p| values[p]).reduce(crate::scalar::maximum).unwrap_or(0.0));
                }
            }
        }
    }
    store_floats(OP, x.dtype(), &dims, &result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn align_averages_bilinear_samples() {
        // On a plane that is linear in both directions the mean of symmetric samples is the value in the middle.
        let x = Tensor::new(&[1, 1, 6, 6], (0..36).map(|i| (i / 6 * 10 + i % 6) as f32).collect());
        let rois = Tensor::new(&[1, 4], vec![1f32, 1.0, 5.0, 3.0]);
        let batch = Tensor::new(&[1], vec![0i64]);
        let options = RoiAlign { output: (1, 2), sampling_ratio: 2, spatial_scale: 1.0, half_pixel: false, max: false };
        let y = roi_align(&x, &rois, &batch, &options).unwrap();
        assert_eq!(y, Tensor::new(&[1, 1, 1, 2], vec![22f32, 24.0]));
        let shifted = roi_align(&x, &rois, &batch, &RoiAlign { half_pixel: true, ..options }).unwrap();
        assert_eq!(shifted, Tensor::new(&[1, 1, 1, 2], vec![16.5f32, 18.5]));
        let adaptive = roi_align(&x, &rois, &batch, &RoiAlign { sampling_ratio: 0, ..options }).unwrap();
        assert_eq!(adaptive, y);
        assert!(roi_align(&x, &rois, &Tensor::new(&[1], vec![1i64]), &options).is_err());
    }

    #[test]
    fn pool_takes_whole_elements() {
        let x = Tensor::new(&[1, 1, 4, 4], (0..16).map(|i| i as f32).collect());
        let rois = Tensor::new(&[2, 5], vec![0f32, 0.0, 0.0, 3.0, 3.0, 0.0, 2.0, 2.0, 2.0, 2.0]);
        let y = max_roi_pool(&x, &rois, (2, 2), 1.0).unwrap();
        assert_eq!(y.elements::<f32>()[..], [5.0, 7.0, 13.0, 15.0, 10.0, 10.0, 10.0, 10.0]);
    }
}
