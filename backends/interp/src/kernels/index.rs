//! Index arithmetic shared by all kernels: strides, walks over index spaces, axes, broadcasting.

use super::error::{KernelError, MAX_ELEMENTS, Result, ensure};
use nim_tensor::tensor::element_count;

/// Row-major strides in elements.
pub fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; dims.len()];
    for axis in (1..dims.len()).rev() {
        // A zero-size tensor has no element, so its strides are never used and may saturate.
        strides[axis - 1] = strides[axis].saturating_mul(dims[axis]);
    }
    strides
}

/// The number of elements of some dimensions; saturates, which only dimensions of an empty tensor can reach.
pub fn product(dims: &[usize]) -> usize {
    dims.iter().fold(1, |n, &d| n.saturating_mul(d))
}

/// Flat position of an index.
pub fn flat(index: &[usize], strides: &[usize]) -> usize {
    index.iter().zip(strides).map(|(i, s)| i * s).sum()
}

/// The number of elements of a result shape, or an error when it is beyond [`MAX_ELEMENTS`].
pub fn checked_count(op: &'static str, dims: &[usize]) -> Result<usize> {
    element_count(dims).filter(|&n| n <= MAX_ELEMENTS).ok_or_else(|| KernelError::TooLarge { op, dims: dims.to_vec() })
}

/// Calls `visit` with every index of a shape in row-major order; a rank-0 shape has one, empty index.
pub fn for_each_index(dims: &[usize], mut visit: impl FnMut(&[usize])) {
    let outcome: Result<(), std::convert::Infallible> = try_for_each_index(dims, |index| {
        visit(index);
        Ok(())
    });
    match outcome {
        Ok(()) => {}
    }
}

/// [`for_each_index`] with a visitor that may fail; the first error ends the walk.
pub fn try_for_each_index<E>(dims: &[usize], mut visit: impl FnMut(&[usize]) -> Result<(), E>) -> Result<(), E> {
    if dims.contains(&0) {
        return Ok(());
    }
    let mut index = vec![0; dims.len()];
    loop {
        visit(&index)?;
        let mut axis = dims.len();
        loop {
            if axis == 0 {
                return Ok(());
            }
            axis -= 1;
            index[axis] += 1;
            if index[axis] < dims[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// An axis that may count from the back, as a position in `0..rank`.
pub fn axis(op: &'static str, axis: i64, rank: usize) -> Result<usize> {
    let from_front = if axis < 0 { axis.checked_add_unsigned(rank as u64) } else { Some(axis) };
    match from_front.and_then(|a| usize::try_from(a).ok()).filter(|&a| a < rank) {
        Some(axis) => Ok(axis),
        None => Err(KernelError::invalid(op, format!("axis {axis} is outside rank {rank}"))),
    }
}

/// Checks that axes are inside the rank and named once; gives one flag for each dimension.
pub fn axis_set(op: &'static str, axes: &[i64], rank: usize) -> Result<Vec<bool>> {
    let mut named = vec![false; rank];
    for &a in axes {
        let position = axis(op, a, rank)?;
        ensure!(!named[position], op, "axis {a} is named twice");
        named[position] = true;
    }
    Ok(named)
}

/// An element index that may count from the back (`-1` is the last), as a position in `0..size`.
pub fn position(op: &'static str, index: i64, size: usize) -> Result<usize> {
    let from_front = if index < 0 { index.checked_add_unsigned(size as u64) } else { Some(index) };
    match from_front.and_then(|i| usize::try_from(i).ok()).filter(|&i| i < size) {
        Some(position) => Ok(position),
        None => Err(KernelError::invalid(op, format!("index {index} is outside a dimension of size {size}"))),
    }
}

/// The common shape of several shapes under NumPy broadcasting.
pub fn broadcast_dims(op: &'static str, shapes: &[&[usize]]) -> Result<Vec<usize>> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut result = vec![1; rank];
    for shape in shapes {
        for (slot, &d) in result[rank - shape.len()..].iter_mut().zip(*shape) {
            match (*slot, d) {
                (a, b) if a == b => {}
                (1, b) => *slot = b,
                (_, 1) => {}
                _ => {
                    return Err(KernelError::invalid(op, format!("shapes {shapes:?} do not broadcast together")));
                }
            }
        }
    }
    checked_count(op, &result)?;
    Ok(result)
}

/// Strides that read a tensor of shape `from` as if it had the broadcast shape `to`: 0 where it repeats.
///
/// `from` must broadcast to `to`, see [`broadcast_dims`].
pub fn broadcast_strides(from: &[usize], to: &[usize]) -> Vec<usize> {
    let lead = to.len() - from.len();
    let mut result = vec![0; to.len()];
    for (axis, (&size, stride)) in from.iter().zip(strides(from)).enumerate() {
        if size != 1 {
            result[lead + axis] = stride;
        }
    }
    result
}

/// For every element of the broadcast shape `to`, the flat position in a tensor of shape `from`.
pub fn broadcast_positions(from: &[usize], to: &[usize]) -> Vec<usize> {
    let strides = broadcast_strides(from, to);
    let mut positions = Vec::new();
    for_each_index(to, |index| positions.push(flat(index, &strides)));
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_in_row_major_order() {
        let mut seen = Vec::new();
        for_each_index(&[2, 2], |i| seen.push(i.to_vec()));
        assert_eq!(seen, [[0, 0], [0, 1], [1, 0], [1, 1]]);
        let mut count = 0;
        for_each_index(&[], |_| count += 1);
        for_each_index(&[3, 0], |_| count += 10);
        assert_eq!(count, 1);
    }

    #[test]
    fn broadcasting_follows_numpy() {
        assert_eq!(broadcast_dims("t", &[&[3, 1], &[4]]).unwrap(), [3, 4]);
        assert_eq!(broadcast_dims("t", &[&[0, 1], &[1, 4]]).unwrap(), [0, 4]);
        assert!(broadcast_dims("t", &[&[2], &[3]]).is_err());
        assert_eq!(broadcast_positions(&[2, 1], &[2, 3]), [0, 0, 0, 1, 1, 1]);
    }

    #[test]
    fn axes_count_from_both_ends() {
        assert_eq!(axis("t", -1, 3).unwrap(), 2);
        assert!(axis("t", 3, 3).is_err());
        assert!(axis("t", i64::MIN, 3).is_err());
        assert!(axis_set("t", &[0, -2], 2).is_err());
    }
}
