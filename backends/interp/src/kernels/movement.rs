//! Operations that only convert, move, repeat or number elements; all but [`iota`] and [`range`] take
//! every element type.

use super::access::{floats, ints, same_dtype, store_floats, store_ints, take, take_from};
use super::error::{KernelError, Result, ensure};
use super::index::{axis, axis_set, broadcast_dims, broadcast_positions, checked_count, flat, for_each_index, strides};
use nim_tensor::{DType, Rounding, Tensor};

/// Converts elements to another type; see [`nim_tensor::convert`] for what happens to numbers that do not fit.
pub fn cast(x: &Tensor, to: DType, rounding: Rounding) -> Result<Tensor> {
    nim_tensor::cast_with(x, to, rounding).map_err(|error| KernelError::invalid("cast", error.to_string()))
}

/// Repeats a tensor along new leading dimensions and dimensions of size 1 to the given shape.
pub fn broadcast_to(x: &Tensor, dims: &[usize]) -> Result<Tensor> {
    const OP: &str = "broadcast_to";
    let common = broadcast_dims(OP, &[x.dims(), dims])?;
    ensure!(common == dims, OP, "shape {:?} does not broadcast to {dims:?}", x.dims());
    take(OP, x, dims, &broadcast_positions(x.dims(), dims))
}

/// The same elements in row-major order under another shape.
pub fn reshape(x: &Tensor, dims: &[usize]) -> Result<Tensor> {
    x.reshaped(dims).ok_or_else(|| {
        KernelError::invalid("reshape", format!("shape {:?} cannot become {dims:?}: element counts differ", x.dims()))
    })
}

/// Permutes dimensions: dimension `i` of the result is dimension `permutation[i]` of the operand.
pub fn transpose(x: &Tensor, permutation: &[i64]) -> Result<Tensor> {
    const OP: &str = "transpose";
    axis_set(OP, permutation, x.rank())?;
    ensure!(permutation.len() == x.rank(), OP, "permutation {permutation:?} does not fit rank {}", x.rank());
    let axes = permutation.iter().map(|&a| axis(OP, a, x.rank())).collect::<Result<Vec<_>>>()?;
    let from = strides(x.dims());
    let dims: Vec<_> = axes.iter().map(|&a| x.dims()[a]).collect();
    let steps: Vec<_> = axes.iter().map(|&a| from[a]).collect();
    let mut positions = Vec::with_capacity(x.len());
    for_each_index(&dims, |index| positions.push(flat(index, &steps)));
    take(OP, x, &dims, &positions)
}

/// Joins tensors, equal in all other dimensions, along an axis.
pub fn concat(parts: &[&Tensor], along: i64) -> Result<Tensor> {
    const OP: &str = "concat";
    let Some(first) = parts.first() else {
        return Err(KernelError::invalid(OP, "no operand"));
    };
    let along = axis(OP, along, first.rank())?;
    let mut dims = first.dims().to_vec();
    // Which part and which position in it each index along the axis comes from.
    let mut origin = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let fits = part.rank() == first.rank()
            && part.dims().iter().zip(first.dims()).enumerate().all(|(a, (x, y))| a == along || x == y);
        ensure!(fits, OP, "operand {number} of shape {:?} does not fit {:?}", part.dims(), first.dims());
        let mut one = dims.clone();
        one[along] = origin.len().saturating_add(part.dims()[along]);
        checked_count(OP, &one)?;
        // An otherwise empty result may be absurdly long, and no index of it is ever used.
        if one.iter().enumerate().all(|(a, &d)| a == along || d > 0) {
            origin.extend((0..part.dims()[along]).map(|i| (number, i)));
        }
    }
    let total = parts.iter().try_fold(0usize, |n, p| n.checked_add(p.dims()[along]));
    dims[along] = total.ok_or_else(|| KernelError::TooLarge { op: OP, dims: dims.clone() })?;
    let part_strides: Vec<_> = parts.iter().map(|p| strides(p.dims())).collect();
    let mut picks = Vec::with_capacity(checked_count(OP, &dims)?);
    for_each_index(&dims, |index| {
        let (number, inside) = origin[index[along]];
        let steps = &part_strides[number];
        picks.push((number, flat(index, steps) - index[along] * steps[along] + inside * steps[along]));
    });
    take_from(OP, parts, &dims, &picks)
}

/// Takes `count[d]` elements from each dimension `d`: positions `start[d]`, `start[d] + step[d]`, ... The starts are
/// plain positions, not counted from the back; steps may be negative.
///
/// # Errors
/// A position lies outside its dimension.
pub fn slice(x: &Tensor, start: &[i64], step: &[i64], count: &[usize]) -> Result<Tensor> {
    const OP: &str = "slice";
    let rank = x.rank();
    ensure!(
        start.len() == rank && step.len() == rank && count.len() == rank,
        OP,
        "{} starts, {} steps and {} counts do not fit rank {rank}",
        start.len(),
        step.len(),
        count.len()
    );
    for d in 0..rank {
        let last = count[d].checked_sub(1).map(|n| i128::from(start[d]) + n as i128 * i128::from(step[d]));
        let inside = |p: i128| (0..x.dims()[d] as i128).contains(&p);
        ensure!(
            last.is_none_or(|last| inside(start[d].into()) && inside(last)),
            OP,
            "{} elements from {} by {} reach outside dimension {d} of size {}",
            count[d],
            start[d],
            step[d],
            x.dims()[d]
        );
    }
    let steps = strides(x.dims());
    let mut positions = Vec::with_capacity(checked_count(OP, count)?);
    for_each_index(count, |index| {
        // Inside the dimension, as checked above.
        positions.push((0..rank).map(|d| (start[d] + index[d] as i64 * step[d]) as usize * steps[d]).sum());
    });
    take(OP, x, count, &positions)
}

/// Turns dimensions back to front.
pub fn reverse(x: &Tensor, axes: &[i64]) -> Result<Tensor> {
    const OP: &str = "reverse";
    let turned = axis_set(OP, axes, x.rank())?;
    let steps = strides(x.dims());
    let mut positions = Vec::with_capacity(x.len());
    for_each_index(x.dims(), |index| {
        let place = |d: usize| if turned[d] { x.dims()[d] - 1 - index[d] } else { index[d] };
        positions.push((0..index.len()).map(|d| place(d) * steps[d]).sum());
    });
    take(OP, x, x.dims(), &positions)
}

/// Repeats a tensor `repeats[d]` times along each dimension `d`.
pub fn tile(x: &Tensor, repeats: &[usize]) -> Result<Tensor> {
    const OP: &str = "tile";
    ensure!(repeats.len() == x.rank(), OP, "{} repeats do not fit rank {}", repeats.len(), x.rank());
    let dims: Option<Vec<_>> = x.dims().iter().zip(repeats).map(|(&d, &r)| d.checked_mul(r)).collect();
    let dims = dims.ok_or_else(|| KernelError::TooLarge { op: OP, dims: x.dims().to_vec() })?;
    let steps = strides(x.dims());
    let mut positions = Vec::with_capacity(checked_count(OP, &dims)?);
    for_each_index(&dims, |index| {
        positions.push((0..index.len()).map(|d| index[d] % x.dims()[d] * steps[d]).sum());
    });
    take(OP, x, &dims, &positions)
}

/// The tensor whose elements are their own index along an axis: 0, 1, 2, ...
pub fn iota(dtype: DType, dims: &[usize], along: i64) -> Result<Tensor> {
    const OP: &str = "iota";
    let along = axis(OP, along, dims.len())?;
    let mut values = Vec::with_capacity(checked_count(OP, dims)?);
    for_each_index(dims, |index| values.push(index[along] as i128));
    if dtype.is_float() {
        let values: Vec<_> = values.into_iter().map(|v| v as f64).collect();
        return store_floats(OP, dtype, dims, &values);
    }
    store_ints(OP, dtype, dims, &values)
}

/// `start + i * step` for `i` below `count`, of the scalars' element type; floating-point numbers are rounded once.
pub fn range(start: &Tensor, step: &Tensor, count: usize) -> Result<Tensor> {
    const OP: &str = "range";
    let dtype = same_dtype(OP, &[start, step])?;
    ensure!(
        start.len() == 1 && step.len() == 1,
        OP,
        "start and step have shapes {:?} and {:?} instead of being scalars",
        start.dims(),
        step.dims()
    );
    checked_count(OP, &[count])?;
    if dtype.is_float() {
        let (start, step) = (floats(OP, start)?[0], floats(OP, step)?[0]);
        let values: Vec<_> = (0..count).map(|i| start + i as f64 * step).collect();
        return store_floats(OP, dtype, &[count], &values);
    }
    let (start, step) = (ints(OP, start)?[0], ints(OP, step)?[0]);
    let values: Vec<_> = (0..count).map(|i| start + i as i128 * step).collect();
    store_ints(OP, dtype, &[count], &values)
}

/// The same bits as another element type of the same width.
pub fn bitcast(x: &Tensor, to: DType) -> Result<Tensor> {
    const OP: &str = "bitcast";
    let wide = |dtype: DType| (dtype.bits(), dtype.size());
    let Some(blob) = x.blob().filter(|_| wide(x.dtype()) == wide(to) && to != DType::String) else {
        return Err(KernelError::invalid(OP, format!("{} and {to} have no common width", x.dtype())));
    };
    // Narrow integers are kept sign-extended in a byte, so changing their sign changes the byte.
    if to.is_integer() && to.bits() < 8 {
        let Some(values) = x.to_i64s() else {
            let bits: Vec<_> = blob.iter().map(|&b| i128::from(b)).collect();
            return store_ints(OP, to, x.dims(), &bits);
        };
        return Tensor::from_i64s(to, x.dims(), &values).map_err(|e| KernelError::invalid(OP, e.to_string()));
    }
    if x.dtype().bits() < 8 {
        let mask = (1u8 << to.bits()) - 1;
        return Ok(Tensor::from_bytes(to, x.dims(), blob.iter().map(|b| b & mask).collect()));
    }
    Tensor::from_blob(to, x.dims(), blob.clone()).map_err(|e| KernelError::invalid(OP, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(dims: &[usize]) -> Tensor {
        Tensor::new(dims, (0..dims.iter().product::<usize>() as i32).collect())
    }

    #[test]
    fn transpose_and_reverse() {
        let x = counting(&[2, 3]);
        assert_eq!(transpose(&x, &[1, 0]).unwrap(), Tensor::new(&[3, 2], vec![0, 3, 1, 4, 2, 5]));
        assert_eq!(reverse(&x, &[-1]).unwrap(), Tensor::new(&[2, 3], vec![2, 1, 0, 5, 4, 3]));
        assert!(transpose(&x, &[0, 0]).is_err());
        assert!(transpose(&x, &[0]).is_err());
        assert_eq!(transpose(&Tensor::scalar(1i8), &[]).unwrap(), Tensor::scalar(1i8));
    }

    #[test]
    fn concat_joins_strings_and_empty_parts() {
        let a = Tensor::strings(&[1, 2], vec!["a".into(), "b".into()]);
        let b = Tensor::strings(&[1, 0], vec![]);
        assert_eq!(concat(&[&a, &b, &a], 1).unwrap().as_strings().unwrap(), ["a", "b", "a", "b"]);
        assert!(concat(&[&a, &b], 0).is_err());
        assert!(concat(&[], 0).is_err());
    }

    #[test]
    fn slice_walks_both_ways() {
        let x = counting(&[2, 5]);
        let y = slice(&x, &[1, 4], &[1, -2], &[1, 3]).unwrap();
        assert_eq!(y, Tensor::new(&[1, 3], vec![9, 7, 5]));
        assert!(slice(&x, &[0, 3], &[1, 1], &[1, 3]).is_err());
        assert_eq!(slice(&x, &[9, 9], &[1, 1], &[0, 0]).unwrap().dims(), [0, 0]);
        assert!(slice(&x, &[0, 0], &[i64::MAX, 1], &[2, 1]).is_err());
    }

    #[test]
    fn repeats() {
        let x = counting(&[1, 2]);
        assert_eq!(tile(&x, &[2, 2]).unwrap(), Tensor::new(&[2, 4], vec![0, 1, 0, 1, 0, 1, 0, 1]));
        assert_eq!(broadcast_to(&x, &[2, 2]).unwrap(), Tensor::new(&[2, 2], vec![0, 1, 0, 1]));
        assert!(broadcast_to(&x, &[2]).is_err());
        assert!(tile(&x, &[1 << 40, 1 << 40]).is_err());
        assert_eq!(iota(DType::F32, &[2, 2], 1).unwrap(), Tensor::new(&[2, 2], vec![0f32, 1.0, 0.0, 1.0]));
        assert!(iota(DType::I64, &[], 0).is_err());
    }

    #[test]
    fn range_and_bitcast() {
        let y = range(&Tensor::scalar(0.5f32), &Tensor::scalar(-1f32), 3).unwrap();
        assert_eq!(y, Tensor::new(&[3], vec![0.5f32, -0.5, -1.5]));
        assert_eq!(range(&Tensor::scalar(250u8), &Tensor::scalar(5u8), 3).unwrap().bytes(), [250, 255, 4]);
        assert!(range(&Tensor::scalar(0u8), &Tensor::scalar(1u8), usize::MAX).is_err());
        assert!(range(&y, &y, 1).is_err());
        assert_eq!(bitcast(&Tensor::scalar(1f32), DType::U32).unwrap(), Tensor::scalar(0x3f80_0000u32));
        assert!(bitcast(&Tensor::scalar(1f32), DType::F16).is_err());
        let small = Tensor::from_i64s(DType::I4, &[2], &[-1, 3]).unwrap();
        let large = bitcast(&small, DType::U4).unwrap();
        assert_eq!(large.to_i64s().unwrap(), [15, 3]);
        assert_eq!(bitcast(&large, DType::I4).unwrap(), small);
        let float = bitcast(&small, DType::F4E2M1FN).unwrap();
        assert_eq!(float.to_f64s().unwrap(), [-6.0, 1.5]);
        assert_eq!(bitcast(&float, DType::I4).unwrap(), small);
    }
}
