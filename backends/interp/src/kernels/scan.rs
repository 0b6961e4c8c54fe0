//! Running sums and products.

use super::access::{Ring, with_ring};
use super::error::Result;
use super::index::{axis, product};
use nim_tensor::Tensor;

/// The running sum along an axis: of all elements up to and including each one, or before it when `exclusive`; from
/// the back when `reverse`. Floating-point sums run in `f64`, each result rounded once.
pub fn cumsum(x: &Tensor, along: i64, exclusive: bool, reverse: bool) -> Result<Tensor> {
    with_ring!("cumsum", x.dtype(), scan("cumsum", x, along, exclusive, reverse, Ring::ZERO, Ring::add))
}

/// The running product, otherwise as [`cumsum`].
pub fn cumprod(x: &Tensor, along: i64, exclusive: bool, reverse: bool) -> Result<Tensor> {
    with_ring!("cumprod", x.dtype(), scan("cumprod", x, along, exclusive, reverse, Ring::ONE, Ring::mul))
}

fn scan<R: Ring>(
    op: &'static str,
    x: &Tensor,
    along: i64,
    exclusive: bool,
    reverse: bool,
    neutral: R,
    combine: fn(R, R) -> R,
) -> Result<Tensor> {
    let along = axis(op, along, x.rank())?;
    let values = R::load(op, x)?;
    let mut result = values.clone();
    let size = x.dims()[along];
    // Every element belongs to one lane: elements `inner` apart, `size` of them, in blocks of `size * inner`.
    if x.is_empty() {
        return Ok(x.clone());
    }
    let inner = product(&x.dims()[along + 1..]);
    let block = size * inner;
    let blocks = values.len() / block;
    for lane in (0..blocks).flat_map(|b| (0..inner).map(move |i| b * block + i)) {
        let mut running = neutral;
        for i in 0..size {
            let at = lane + inner * if reverse { size - 1 - i } else { i };
            let next = combine(running, values[at]);
            result[at] = if exclusive { running } else { next };
            running = next;
        }
    }
    R::store(op, x.dtype(), x.dims(), &result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_in_both_directions() {
        let x = Tensor::new(&[2, 3], vec![1i32, 2, 3, 4, 5, 6]);
        let of =
            |axis, exclusive, reverse| cumsum(&x, axis, exclusive, reverse).unwrap().elements::<i32>().into_owned();
        assert_eq!(of(1, false, false), [1, 3, 6, 4, 9, 15]);
        assert_eq!(of(1, true, false), [0, 1, 3, 0, 4, 9]);
        assert_eq!(of(1, true, true), [5, 3, 0, 11, 6, 0]);
        assert_eq!(of(0, false, true), [5, 7, 9, 4, 5, 6]);
        assert_eq!(cumprod(&x, -1, false, false).unwrap().elements::<i32>()[..], [1, 2, 6, 4, 20, 120]);
        assert_eq!(cumsum(&Tensor::new::<f32>(&[0, 2], vec![]), 0, false, false).unwrap().dims(), [0, 2]);
        assert!(cumsum(&Tensor::scalar(1f32), 0, false, false).is_err());
    }
}
