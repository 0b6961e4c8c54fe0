//! The different elements of a tensor, or its different slices along an axis.

use super::access::{elements, take};
use super::{Call, axis};
use nim_tensor::{DType, Tensor, Value};
use std::cmp::Ordering;

/// `unique(x) -> values, first, inverse, counts`; ints: sorted, then the axis unless all elements are meant. Values are
/// ascending (slices lexicographically) or in order of first occurrence; `first` is where each occurs first, `inverse`
/// which of them each element or slice is, `counts` how often each occurs.
pub(super) fn unique(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let x = call.tensor(0)?;
    let sorted = call.int(0)? != 0;
    let values = elements(x)?;
    // Seen from the axis: slice `i` has the elements `(block * size + i) * step + rest`.
    let (along, blocks, size, step) = match call.ints.get(1) {
        None => (None, 1, x.len(), 1),
        Some(&along) => {
            let along = axis(along, x.rank())?;
            let blocks = if x.is_empty() { 0 } else { x.dims()[..along].iter().product() };
            (
                Some(along),
                blocks,
                x.dims()[along],
                x.dims()[along + 1..].iter().fold(1usize, |n, &d| n.saturating_mul(d)),
            )
        }
    };
    call.env.admit(DType::I64, &[size])?;
    let compare = |i: usize, j: usize| {
        for block in 0..blocks {
            for rest in 0..step {
                let order = values.compare((block * size + i) * step + rest, (block * size + j) * step + rest);
                if order.is_ne() {
                    return order;
                }
            }
        }
        Ordering::Equal
    };
    let mut slices: Vec<usize> = (0..size).collect();
    // Stable: the first of equal slices is the one that occurs first.
    slices.sort_by(|&i, &j| compare(i, j));
    let mut groups: Vec<(usize, i64)> = Vec::new();
    let mut group_of = vec![0usize; size];
    for i in slices {
        match groups.last_mut() {
            Some((first, n)) if compare(*first, i).is_eq() => *n += 1,
            _ => groups.push((i, 1)),
        }
        group_of[i] = groups.len() - 1;
    }
    if !sorted {
        let mut order: Vec<usize> = (0..groups.len()).collect();
        order.sort_by_key(|&g| groups[g].0);
        let mut rank = vec![0; groups.len()];
        order.iter().enumerate().for_each(|(new, &old)| rank[old] = new);
        groups = order.iter().map(|&g| groups[g]).collect();
        group_of.iter_mut().for_each(|g| *g = rank[*g]);
    }
    let kept = match along {
        None => take(x, &[groups.len()], groups.iter().map(|g| g.0)),
        Some(along) => {
            let mut dims = x.dims().to_vec();
            dims[along] = groups.len();
            let groups = &groups;
            let positions = (0..blocks).flat_map(|block| {
                groups.iter().flat_map(move |&(i, _)| (0..step).map(move |rest| (block * size + i) * step + rest))
            });
            take(x, &dims, positions)
        }
    };
    let ints = |v: Vec<i64>| -> Value { Tensor::new(&[v.len()], v).into() };
    Ok(vec![
        kept.into(),
        ints(groups.iter().map(|g| g.0 as i64).collect()),
        ints(group_of.iter().map(|&g| g as i64).collect()),
        ints(groups.iter().map(|g| g.1).collect()),
    ])
}
