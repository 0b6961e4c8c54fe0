//! Sorting and what needs an order: `sort`, `top_k`, `unique`.
//!
//! Numbers are ordered as usual, -0 equals 0, NaN is greater than every number and equal to itself; strings by code
//! points. Equal elements keep their order.

use super::access::{Elements, load, store_ints, strings, take};
use super::error::{Result, ensure};
use super::index::{axis, product, strides};
use nim_tensor::{DType, Tensor};
use std::cmp::Ordering;

/// Compares two elements of a tensor by flat position.
type Comparator<'a> = Box<dyn Fn(usize, usize) -> Ordering + 'a>;

/// The order of a tensor's elements.
fn comparator<'a>(op: &'static str, x: &'a Tensor) -> Result<Comparator<'a>> {
    if x.as_strings().is_some() {
        let v = strings(op, x)?;
        return Ok(Box::new(|i, j| v[i].cmp(&v[j])));
    }
    Ok(match load(op, x)? {
        Elements::Float(v) => {
            Box::new(move |i, j| v[i].partial_cmp(&v[j]).unwrap_or_else(|| v[i].is_nan().cmp(&v[j].is_nan())))
        }
        Elements::Int(v) => Box::new(move |i, j| v[i].cmp(&v[j])),
        Elements::Bool(v) => Box::new(move |i, j| v[i].cmp(&v[j])),
    })
}

/// All elements along an axis in order, and the `i64` index along the axis that each had.
pub fn sort(x: &Tensor, along: i64, descending: bool) -> Result<(Tensor, Tensor)> {
    const OP: &str = "sort";
    let size = x.dims()[axis(OP, along, x.rank())?];
    ranked(OP, x, along, size, descending)
}

/// The `k` greatest (or least) elements along an axis, best first, and the `i64` index along the axis that each had;
/// of equal elements the one with the lower index comes first.
pub fn top_k(x: &Tensor, k: usize, along: i64, largest: bool) -> Result<(Tensor, Tensor)> {
    ranked("top_k", x, along, k, largest)
}

fn ranked(op: &'static str, x: &Tensor, along: i64, k: usize, descending: bool) -> Result<(Tensor, Tensor)> {
    let along = axis(op, along, x.rank())?;
    let size = x.dims()[along];
    ensure!(k <= size, op, "{k} elements are asked for along a dimension of size {size}");
    let order = comparator(op, x)?;
    let mut dims = x.dims().to_vec();
    dims[along] = k;
    let mut positions = vec![0; if x.is_empty() { 0 } else { x.len() / size * k }];
    let mut places = vec![0; positions.len()];
    let (outer, inner) =
        if positions.is_empty() { (0, 0) } else { (product(&x.dims()[..along]), product(&x.dims()[along + 1..])) };
    for block in 0..outer {
        for lane in 0..inner {
            let at = |i: usize| (block * size + i) * inner + lane;
            let mut lane_order: Vec<_> = (0..size).collect();
            lane_order.sort_by(|&i, &j| {
                let order = order(at(i), at(j));
                if descending { order.reverse() } else { order }
            });
            for (rank, &i) in lane_order[..k].iter().enumerate() {
                let target = (block * k + rank) * inner + lane;
                positions[target] = at(i);
                places[target] = i as i128;
            }
        }
    }
    Ok((take(op, x, &dims, &positions)?, store_ints(op, DType::I64, &dims, &places)?))
}

/// What [`unique`] finds; all positions are `i64`.
#[derive(Clone, Debug, PartialEq)]
pub struct Unique {
    /// The different elements, or slices along the axis.
    pub values: Tensor,
    /// Where each first occurs.
    pub indices: Tensor,
    /// For each element or slice of the operand, its position among the values.
    pub inverse: Tensor,
    /// How often each occurs.
    pub counts: Tensor,
}

/// The different elements of a tensor, or its different slices along an axis (compared lexicographically), in
/// ascending order or in order of first occurrence.
pub fn unique(x: &Tensor, along: Option<i64>, sorted: bool) -> Result<Unique> {
    const OP: &str = "unique";
    let order = comparator(OP, x)?;
    // Seen from the axis: slice `i` consists of the elements `parts[..] + i * step`.
    let (size, step, parts) = match along {
        None => (x.len(), 1, vec![0]),
        Some(along) => {
            let along = axis(OP, along, x.rank())?;
            let step = strides(x.dims())[along];
            let size = x.dims()[along];
            let blocks = if x.is_empty() { 0 } else { product(&x.dims()[..along]) };
            let parts = (0..blocks).flat_map(|b| (0..step).map(move |i| b * size * step + i)).collect();
            (size, step, parts)
        }
    };
    let compare = |i: usize, j: usize| {
        let different = parts.iter().map(|p| order(p + i * step, p + j * step)).find(|o| o.is_ne());
        different.unwrap_or(Ordering::Equal)
    };
    super::index::checked_count(OP, &[size])?;
    let mut slices: Vec<_> = (0..size).collect();
    slices.sort_by(|&i, &j| compare(i, j));
    // Sorting is stable: the first of equal slices is the one that occurs first.
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for i in slices {
        match groups.last_mut() {
            Some(group) if compare(group[0], i).is_eq() => group.push(i),
            _ => groups.push(vec![i]),
        }
    }
    if !sorted {
        groups.sort_by_key(|group| group[0]);
    }
    let mut inverse = vec![0; size];
    for (number, group) in groups.iter().enumerate() {
        group.iter().for_each(|&i| inverse[i] = number as i128);
    }
    let integers = |v: &[i128]| store_ints(OP, DType::I64, &[v.len()], v);
    let firsts: Vec<_> = groups.iter().map(|g| g[0] as i128).collect();
    let counts: Vec<_> = groups.iter().map(|g| g.len() as i128).collect();
    let values = match along {
        None => {
            let positions: Vec<_> = groups.iter().map(|g| g[0]).collect();
            take(OP, x, &[positions.len()], &positions)?
        }
        Some(along) => super::gather::gather(x, &integers(&firsts)?, along)?,
    };
    Ok(Unique { values, indices: integers(&firsts)?, inverse: integers(&inverse)?, counts: integers(&counts)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_is_stable_and_puts_nan_last() {
        let x = Tensor::new(&[4], vec![2f32, f32::NAN, 1.0, 2.0]);
        let (y, i) = sort(&x, 0, false).unwrap();
        assert_eq!(y.elements::<f32>()[..3], [1.0, 2.0, 2.0]);
        assert_eq!(i.elements::<i64>()[..], [2, 0, 3, 1]);
        let (_, i) = sort(&x, -1, true).unwrap();
        assert_eq!(i.elements::<i64>()[..], [1, 0, 3, 2]);
        assert!(sort(&Tensor::scalar(1f32), 0, true).is_err());
        assert_eq!(sort(&Tensor::new::<i8>(&[2, 0], vec![]), 1, true).unwrap().1.dims(), [2, 0]);
    }

    #[test]
    fn top_k_along_an_inner_axis() {
        let x = Tensor::new(&[3, 2], vec![1i32, 6, 3, 6, 2, 4]);
        let (y, i) = top_k(&x, 2, 0, true).unwrap();
        assert_eq!(y, Tensor::new(&[2, 2], vec![3, 6, 2, 6]));
        assert_eq!(i, Tensor::new(&[2, 2], vec![1i64, 0, 2, 1]));
        let (y, _) = top_k(&x, 1, 1, false).unwrap();
        assert_eq!(y, Tensor::new(&[3, 1], vec![1, 3, 2]));
        assert!(top_k(&x, 4, 0, true).is_err());
        assert_eq!(top_k(&x, 0, 0, true).unwrap().0.dims(), [0, 2]);
    }

    #[test]
    fn unique_elements_and_slices() {
        let x = Tensor::new(&[2, 3], vec![2i32, 1, 1, 3, 4, 3]);
        let u = unique(&x, None, true).unwrap();
        assert_eq!(u.values, Tensor::new(&[4], vec![1, 2, 3, 4]));
        assert_eq!(u.indices, Tensor::new(&[4], vec![1i64, 0, 3, 4]));
        assert_eq!(u.inverse, Tensor::new(&[6], vec![1i64, 0, 0, 2, 3, 2]));
        assert_eq!(u.counts, Tensor::new(&[4], vec![2i64, 1, 2, 1]));
        assert_eq!(unique(&x, None, false).unwrap().values, Tensor::new(&[4], vec![2, 1, 3, 4]));
        let rows = Tensor::new(&[3, 2], vec![1i32, 0, 1, 0, 0, 5]);
        let u = unique(&rows, Some(0), true).unwrap();
        assert_eq!(u.values, Tensor::new(&[2, 2], vec![0, 5, 1, 0]));
        assert_eq!(u.inverse, Tensor::new(&[3], vec![1i64, 1, 0]));
        let nans = Tensor::new(&[3], vec![f32::NAN, -0.0, f32::NAN]);
        assert_eq!(unique(&nans, None, true).unwrap().counts, Tensor::new(&[2], vec![1i64, 2]));
        assert_eq!(unique(&Tensor::new::<i8>(&[0], vec![]), None, true).unwrap().values.dims(), [0]);
    }
}
