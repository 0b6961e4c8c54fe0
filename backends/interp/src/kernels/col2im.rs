//! Rearranging overlapping blocks into an image.

use super::access::{Ring, with_ring};
use super::conv::Planes;
use super::error::{Result, ensure};
use super::index::{checked_count, product};
use super::window::Window;
use nim_tensor::Tensor;

/// Adds the columns of `x: [n, c * product(block), blocks]` up at the places that a convolution's windows of extent
/// `block` would read them from, giving `[n, c, image..]`; what falls into the padding is dropped.
pub fn col2im(x: &Tensor, image: &[usize], block: &[usize], window: &Window) -> Result<Tensor> {
    const OP: &str = "col2im";
    with_ring!(OP, x.dtype(), col2im_in(x, image, block, window))
}

fn col2im_in<R: Ring>(x: &Tensor, image: &[usize], block: &[usize], window: &Window) -> Result<Tensor> {
    const OP: &str = "col2im";
    ensure!(block.len() == image.len(), OP, "a block {block:?} does not fit an image {image:?}");
    window.check(OP, image.len())?;
    let output = window.output_dims(OP, image, block)?;
    let (taps, blocks) = (product(block), product(&output));
    let [batch, columns, given] = *x.dims() else {
        return Err(super::KernelError::invalid(OP, format!("shape {:?} is not [n, columns, blocks]", x.dims())));
    };
    ensure!(
        given == blocks && columns.is_multiple_of(taps),
        OP,
        "shape {:?} does not hold blocks {block:?}, {blocks} of them in an image {image:?}",
        x.dims()
    );
    let channels = columns / taps;
    let dims = [&[batch, channels], image].concat();
    let mut result = vec![R::ZERO; checked_count(OP, &dims)?];
    if !result.is_empty() && !x.is_empty() {
        let values = R::load(OP, x)?;
        let planes = Planes::new(window, image, block, &output);
        for (number, sums) in result.chunks_exact_mut(product(image)).enumerate() {
            planes.for_each_tap(|tap, windows, positions| {
                let column = &values[(number * taps + tap) * blocks..][..blocks];
                for (&w, &p) in windows.iter().zip(positions) {
                    sums[p] = sums[p].add(column[w]);
                }
            });
        }
    }
    R::store(OP, x.dtype(), &dims, &result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conv::conv_transpose;

    #[test]
    fn agrees_with_a_transposed_convolution_of_identity() {
        // One input channel a column and weights that pick the column's tap give the same sums.
        let window = Window { strides: vec![2, 1], pads_begin: vec![1, 0], pads_end: vec![0, 1], ..Window::new(2) };
        let (image, block) = ([5, 4], [2, 3]);
        let output = window.output_dims("t", &image, &block).unwrap();
        let blocks = product(&output);
        let x = Tensor::new(&[1, 6, blocks], (0..6 * blocks).map(|i| (i % 13) as f32).collect());
        let mut weights = vec![0f32; 36];
        (0..6).for_each(|tap| weights[tap * 6 + tap] = 1.0);
        let w = Tensor::new(&[6, 1, 2, 3], weights);
        let spread = x.reshaped(&[1, 6, output[0], output[1]]).unwrap();
        let y = conv_transpose(&spread, &w, &window, &[0, 0], 1).unwrap();
        assert_eq!(col2im(&x, &image, &block, &window).unwrap(), y);
        assert!(col2im(&x, &image, &[2, 2], &window).is_err());
        assert!(col2im(&x, &image, &[0, 2], &window).is_err());
    }
}
