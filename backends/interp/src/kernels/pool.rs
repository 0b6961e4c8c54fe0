//! Pooling over any number of spatial dimensions; operands are `[n, c, spatial..]`.

use super::access::{Elements, Ring, floats, load, store, store_floats, store_ints, with_ring};
use super::error::{KernelError, Result, ensure};
use super::index::{checked_count, flat, for_each_index, product, strides};
use super::window::Window;
use crate::scalar::IntType;
use nim_tensor::{DType, Tensor};

/// The shape questions all pooling operations share.
struct Pool<'a> {
    op: &'static str,
    input: &'a [usize],
    kernel: &'a [usize],
    window: &'a Window,
    output: Vec<usize>,
    dims: Vec<usize>,
}

impl<'a> Pool<'a> {
    /// Without a given output size, only windows that lie wholly inside the padded input count. A larger size, as
    /// rounding up asks for, has windows that stick out behind.
    fn new(
        op: &'static str,
        x: &'a Tensor,
        kernel: &'a [usize],
        window: &'a Window,
        output: Option<&[usize]>,
    ) -> Result<Pool<'a>> {
        ensure!(
            x.rank() >= 2 && kernel.len() == x.rank() - 2,
            op,
            "a window {kernel:?} does not fit data of shape {:?}",
            x.dims()
        );
        let input = &x.dims()[2..];
        window.check(op, input.len())?;
        let whole = window.output_dims(op, input, kernel)?;
        let output = match output {
            Some(output) => {
                ensure!(output.len() == input.len(), op, "output size {output:?} does not fit {:?}", x.dims());
                output.to_vec()
            }
            None => whole,
        };
        let dims = [&x.dims()[..2], &output[..]].concat();
        checked_count(op, &dims)?;
        Ok(Pool { op, input, kernel, window, output, dims })
    }

    /// Calls `visit` for each result element with the flat positions of the elements of its window that lie inside
    /// the input, and the number of window elements that lie inside the padded input.
    fn for_each(&self, mut visit: impl FnMut(&[usize], usize)) {
        if self.dims.contains(&0) {
            return;
        }
        let (planes, size) = (product(&self.dims[..2]), product(self.input));
        let steps = strides(self.input);
        let mut windows = Vec::new();
        for_each_index(&self.output, |at| {
            let (mut inside, mut padded) = (Vec::new(), 0);
            for_each_index(self.kernel, |tap| {
                let place = |d: usize| self.window.position(d, at[d], tap[d]);
                let within = |low: i64, high: i64, d: usize| (low..high).contains(&place(d));
                if (0..tap.len()).all(|d| within(0, self.input[d] as i64, d)) {
                    let index: Vec<_> = (0..tap.len()).map(|d| place(d) as usize).collect();
                    inside.push(flat(&index, &steps));
                }
                let reach = |d: usize| self.input[d] as i64 + self.window.pads_end[d];
                padded += usize::from((0..tap.len()).all(|d| within(-self.window.pads_begin[d], reach(d), d)));
            });
            windows.push((inside, padded));
        });
        for plane in 0..planes {
            for (inside, padded) in &windows {
                let positions: Vec<_> = inside.iter().map(|p| plane * size + p).collect();
                visit(&positions, *padded);
            }
        }
    }
}

/// How the positions that [`max_pool`] gives count the elements of one plane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StorageOrder {
    /// The last dimension runs fastest.
    RowMajor,
    /// The first spatial dimension runs fastest.
    ColumnMajor,
}

/// The greatest element of each window and its `i64` position in the whole tensor, `(n * channels + c) * plane +
/// position in the plane`; the first of equal ones. NaN is greatest. Padding does not take part: a window with no
/// element gives the lowest value and position -1.
pub fn max_pool(
    x: &Tensor,
    kernel: &[usize],
    window: &Window,
    output: Option<&[usize]>,
    order: StorageOrder,
) -> Result<(Tensor, Tensor)> {
    const OP: &str = "max_pool";
    let pool = Pool::new(OP, x, kernel, window, output)?;
    let mut chosen = Vec::new();
    fn best(positions: &[usize], greater: impl Fn(usize, usize) -> bool) -> Option<usize> {
        positions.iter().copied().reduce(|best, p| if greater(p, best) { p } else { best })
    }
    let elements = match load(OP, x)? {
        Elements::Float(v) => {
            pool.for_each(|positions, _| {
                let greater = |p: usize, q: usize| v[p] > v[q] || v[p].is_nan() && !v[q].is_nan();
                chosen.push(best(positions, greater));
            });
            // Types without infinity round this to their lowest value.
            Elements::Float(chosen.iter().map(|p| p.map_or(f64::NEG_INFINITY, |p| v[p])).collect())
        }
        Elements::Int(v) => {
            let ty = IntType::of(x.dtype()).ok_or_else(|| KernelError::element_type(OP, x.dtype(), "numbers"))?;
            pool.for_each(|positions, _| chosen.push(best(positions, |p, q| v[p] > v[q])));
            Elements::Int(chosen.iter().map(|p| p.map_or(ty.min(), |p| v[p])).collect())
        }
        Elements::Bool(_) => return Err(KernelError::element_type(OP, x.dtype(), "numbers")),
    };
    let plane = product(pool.input).max(1);
    let steps = strides(pool.input);
    let place = |p: usize| match order {
        StorageOrder::RowMajor => p as i128,
        StorageOrder::ColumnMajor => {
            let (mut inside, mut scale) = (0, 1);
            for (step, size) in steps.iter().zip(pool.input) {
                inside += p % plane / step % size * scale;
                scale *= size;
            }
            (p / plane * plane + inside) as i128
        }
    };
    let places: Vec<_> = chosen.iter().map(|p| p.map_or(-1, place)).collect();
    Ok((store(OP, x.dtype(), &pool.dims, elements)?, store_ints(OP, DType::I64, &pool.dims, &places)?))
}

/// The sum of each window; padding counts as zeros.
pub fn sum_pool(x: &Tensor, kernel: &[usize], window: &Window, output: Option<&[usize]>) -> Result<Tensor> {
    const OP: &str = "sum_pool";
    with_ring!(OP, x.dtype(), sum_pool_in(x, kernel, window, output))
}

fn sum_pool_in<R: Ring>(x: &Tensor, kernel: &[usize], window: &Window, output: Option<&[usize]>) -> Result<Tensor> {
    const OP: &str = "sum_pool";
    let pool = Pool::new(OP, x, kernel, window, output)?;
    let values = R::load(OP, x)?;
    let mut sums = Vec::new();
    pool.for_each(|positions, _| sums.push(positions.iter().fold(R::ZERO, |sum, &p| sum.add(values[p]))));
    R::store(OP, x.dtype(), &pool.dims, &sums)
}

/// The mean of each window. With `count_include_pad` padding counts as zeros, but what lies even beyond the padding
/// never counts. A window with nothing to count gives NaN.
pub fn avg_pool(
    x: &Tensor,
    kernel: &[usize],
    window: &Window,
    output: Option<&[usize]>,
    count_include_pad: bool,
) -> Result<Tensor> {
    const OP: &str = "avg_pool";
    let pool = Pool::new(OP, x, kernel, window, output)?;
    let values = floats(OP, x)?;
    let mut means = Vec::new();
    pool.for_each(|positions, padded| {
        let sum: f64 = positions.iter().map(|&p| values[p]).fold(0.0, |a, b| a + b);
        means.push(sum / if count_include_pad { padded } else { positions.len() } as f64);
    });
    store_floats(pool.op, x.dtype(), &pool.dims, &means)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::conv::conv;
    use crate::kernels::elementwise::binary;
    use crate::scalar::BinaryOp;

    fn wavy(dims: &[usize]) -> Tensor {
        Tensor::new(dims, (0..dims.iter().product::<usize>()).map(|i| (i * 7 % 11) as f32 - 5.0).collect())
    }

    #[test]
    fn max_pool_gives_positions_in_both_orders() {
        let x = Tensor::new(&[1, 2, 2, 3], vec![1f32, 9.0, 3.0, 4.0, 5.0, 9.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0]);
        let window = Window::new(2);
        let (y, i) = max_pool(&x, &[2, 3], &window, None, StorageOrder::RowMajor).unwrap();
        assert_eq!(y, Tensor::new(&[1, 2, 1, 1], vec![9f32, 7.0]));
        assert_eq!(i, Tensor::new(&[1, 2, 1, 1], vec![1i64, 9]));
        let (_, i) = max_pool(&x, &[2, 3], &window, None, StorageOrder::ColumnMajor).unwrap();
        assert_eq!(i, Tensor::new(&[1, 2, 1, 1], vec![2i64, 7]));
    }

    #[test]
    fn windows_may_stick_out_behind() {
        let x = Tensor::new(&[1, 1, 5], vec![1i8, 2, 3, 4, -5]);
        let window = Window { strides: vec![2], ..Window::new(1) };
        let pooled = |output: Option<&[usize]>| {
            max_pool(&x, &[2], &window, output, StorageOrder::RowMajor).unwrap().0.elements::<i8>().into_owned()
        };
        assert_eq!(pooled(None), [2, 4]);
        assert_eq!(pooled(Some(&[4])), [2, 4, -5, -128]);
    }

    #[test]
    fn avg_pool_agrees_with_conv() {
        let x = wavy(&[2, 3, 6, 5]);
        let window =
            Window { strides: vec![2, 1], dilations: vec![1, 2], pads_begin: vec![1, 0], pads_end: vec![0, 1] };
        let ones = Tensor::new(&[3, 1, 2, 2], vec![1f32; 12]);
        let sums = conv(&x, &ones, &window, 3).unwrap();
        let padded = binary(BinaryOp::Div, &sums, &Tensor::scalar(4f32)).unwrap();
        assert_eq!(avg_pool(&x, &[2, 2], &window, None, true).unwrap(), padded);
        assert_eq!(sum_pool(&x, &[2, 2], &window, None).unwrap(), sums);
        let counts = conv(&Tensor::new(x.dims(), vec![1f32; x.len()]), &ones, &window, 3).unwrap();
        let inside = binary(BinaryOp::Div, &sums, &counts).unwrap();
        assert_eq!(avg_pool(&x, &[2, 2], &window, None, false).unwrap(), inside);
    }

    #[test]
    fn what_lies_beyond_the_padding_never_counts() {
        let x = Tensor::new(&[1, 1, 2], vec![2f32, 4.0]);
        let window = Window { strides: vec![3], pads_begin: vec![1], pads_end: vec![1], ..Window::new(1) };
        let y = avg_pool(&x, &[3], &window, Some(&[2]), true).unwrap();
        // The second window holds one padding element and two beyond it.
        assert_eq!(y, Tensor::new(&[1, 1, 2], vec![2f32, 0.0]));
        let empty = Tensor::new::<f32>(&[0, 1, 2], vec![]);
        assert_eq!(avg_pool(&empty, &[2], &Window::new(1), None, false).unwrap().dims(), [0, 1, 1]);
        assert!(avg_pool(&x, &[0], &Window::new(1), None, false).is_err());
    }
}
