//! Reading at computed indices. Negative indices count from the back; others outside the dimension are errors.

use super::access::{indices, take};
use super::error::{KernelError, Result, ensure};
use super::index::{axis, checked_count, flat, position, product, strides, try_for_each_index};
use nim_tensor::Tensor;

/// Replaces dimension `along` by the index tensor: `y[a.., i.., b..] = x[a.., index[i..], b..]`.
pub fn gather(x: &Tensor, index: &Tensor, along: i64) -> Result<Tensor> {
    const OP: &str = "gather";
    let along = axis(OP, along, x.rank())?;
    let wanted = indices(OP, index)?;
    let size = x.dims()[along];
    let wanted = wanted.iter().map(|&i| position(OP, i, size)).collect::<Result<Vec<_>>>()?;
    let dims = [&x.dims()[..along], index.dims(), &x.dims()[along + 1..]].concat();
    // Seen from the axis, a tensor is a stack of `outer` blocks of `size` rows of `inner` elements.
    let (outer, inner) = (product(&x.dims()[..along]), product(&x.dims()[along + 1..]));
    let count = checked_count(OP, &dims)?;
    let mut positions = Vec::with_capacity(count);
    // An empty result has no block to visit, but may have absurdly many of them.
    for block in 0..if count == 0 { 0 } else { outer } {
        for &row in &wanted {
            positions.extend((0..inner).map(|i| (block * size + row) * inner + i));
        }
    }
    take(OP, x, &dims, &positions)
}

/// `y[i..] = x[i..]` with the index along the axis replaced by `index[i..]`; the result has the index tensor's shape.
pub fn gather_elements(x: &Tensor, index: &Tensor, along: i64) -> Result<Tensor> {
    const OP: &str = "gather_elements";
    let along = axis(OP, along, x.rank())?;
    let wanted = indices(OP, index)?;
    expect_inside(OP, index.dims(), x.dims(), along)?;
    let steps = strides(x.dims());
    let mut wanted_rest = wanted.iter();
    let mut positions = Vec::with_capacity(index.len());
    try_for_each_index(index.dims(), |at| {
        let Some(&i) = wanted_rest.next() else { return Ok(()) };
        let row = position(OP, i, x.dims()[along])?;
        positions.push(flat(at, &steps) - at[along] * steps[along] + row * steps[along]);
        Ok::<_, KernelError>(())
    })?;
    take(OP, x, index.dims(), &positions)
}

/// Checks that an index tensor has the rank of the data and is nowhere larger, except along the axis.
pub(crate) fn expect_inside(op: &'static str, index: &[usize], data: &[usize], along: usize) -> Result<()> {
    let fits = index.len() == data.len() && index.iter().zip(data).enumerate().all(|(a, (i, d))| a == along || i <= d);
    ensure!(fits, op, "index shape {index:?} does not fit data shape {data:?}");
    Ok(())
}

/// The last dimension of the index tensor holds coordinates: `y[b.., i.., r..] = x[b.., index[b.., i.., :], r..]`,
/// where the first `batch_dims` dimensions `b` are shared.
pub fn gather_nd(x: &Tensor, index: &Tensor, batch_dims: usize) -> Result<Tensor> {
    const OP: &str = "gather_nd";
    let table = coordinates(OP, x.dims(), index, batch_dims)?;
    let rest = &x.dims()[table.depth..];
    let dims = [&index.dims()[..index.rank() - 1], rest].concat();
    let inner = product(rest);
    let count = checked_count(OP, &dims)?;
    let mut positions = Vec::with_capacity(count);
    for start in if count == 0 { Vec::new() } else { table.starts } {
        positions.extend((0..inner).map(|i| start + i));
    }
    take(OP, x, &dims, &positions)
}

/// What an index tensor of coordinates points at.
pub(crate) struct Coordinates {
    /// Flat position of the first element of each addressed block, in index order.
    pub starts: Vec<usize>,
    /// How many leading data dimensions batch and coordinates fix together.
    pub depth: usize,
}

/// Resolves an index tensor whose last dimension holds coordinates.
pub(crate) fn coordinates(op: &'static str, data: &[usize], index: &Tensor, batch_dims: usize) -> Result<Coordinates> {
    let values = indices(op, index)?;
    let Some((&width, lead)) = index.dims().split_last() else {
        return Err(KernelError::invalid(op, "the index tensor has rank 0"));
    };
    let depth = batch_dims.saturating_add(width);
    ensure!(
        depth <= data.len() && batch_dims <= lead.len() && data[..batch_dims] == lead[..batch_dims],
        op,
        "index shape {:?} with {batch_dims} batch dimensions does not fit data shape {data:?}",
        index.dims()
    );
    let steps = strides(data);
    let mut starts = Vec::with_capacity(checked_count(op, lead)?);
    let mut next = 0;
    try_for_each_index(lead, |at| {
        let mut start = flat(&at[..batch_dims], &steps[..batch_dims]);
        for (d, &i) in values[next..next + width].iter().enumerate() {
            start += position(op, i, data[batch_dims + d])? * steps[batch_dims + d];
        }
        next += width;
        starts.push(start);
        Ok::<_, KernelError>(())
    })?;
    Ok(Coordinates { starts, depth })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gather_replaces_a_dimension() {
        let x = Tensor::new(&[2, 3], vec![1i32, 2, 3, 4, 5, 6]);
        let index = Tensor::new(&[2, 1], vec![-1i64, 0]);
        assert_eq!(gather(&x, &index, 1).unwrap(), Tensor::new(&[2, 2, 1], vec![3, 1, 6, 4]));
        assert_eq!(gather(&x, &Tensor::scalar(1i32), 0).unwrap(), Tensor::new(&[3], vec![4, 5, 6]));
        assert!(gather(&x, &Tensor::scalar(2i64), 0).is_err());
        assert!(gather(&x, &Tensor::scalar(0f32), 0).is_err());
    }

    #[test]
    fn gather_elements_follows_the_index_shape() {
        let x = Tensor::new(&[2, 2], vec![1i32, 2, 3, 4]);
        let index = Tensor::new(&[2, 2], vec![0i64, 0, 1, 0]);
        assert_eq!(gather_elements(&x, &index, 1).unwrap(), Tensor::new(&[2, 2], vec![1, 1, 4, 3]));
        let rows = Tensor::new(&[1, 2], vec![1i64, -2]);
        assert_eq!(gather_elements(&x, &rows, 0).unwrap(), Tensor::new(&[1, 2], vec![3, 2]));
    }

    #[test]
    fn gather_nd_with_and_without_batch() {
        let x = Tensor::new(&[2, 2, 2], (0..8).collect::<Vec<i32>>());
        let index = Tensor::new(&[2, 2], vec![0i64, 1, 1, 0]);
        assert_eq!(gather_nd(&x, &index, 0).unwrap(), Tensor::new(&[2, 2], vec![2, 3, 4, 5]));
        let index = Tensor::new(&[2, 1], vec![1i64, 0]);
        assert_eq!(gather_nd(&x, &index, 1).unwrap(), Tensor::new(&[2, 2], vec![2, 3, 4, 5]));
        assert!(gather_nd(&x, &Tensor::scalar(0i64), 0).is_err());
    }
}
