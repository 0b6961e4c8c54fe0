//! The greatest or least elements along an axis.

use super::access::{elements, take};
use super::{Call, axis, count};
use nim_tensor::{DType, Tensor, Value};

/// `topk(x) -> values, indices`; ints: axis, largest, sorted; sizes: how many. Of equal elements the one with the
/// lower index comes first; NaN is greater than every number. The result is always in order.
pub(super) fn topk(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let x = call.tensor(0)?;
    let along = axis(call.int(0)?, x.rank())?;
    let largest = call.int(1)? != 0;
    let k = count(*call.sizes.first().ok_or("the number of elements is missing")?)?;
    let size = x.dims()[along];
    if k > size {
        return Err(format!("{k} elements are asked for along axis {along}, which has {size}"));
    }
    let mut dims = x.dims().to_vec();
    dims[along] = k;
    let total = call.env.admit(x.dtype(), &dims)?;
    call.env.admit(DType::I64, &dims)?;
    let (mut positions, mut places) = (vec![0usize; total], vec![0i64; total]);
    if total > 0 {
        let values = elements(x)?;
        let inner: usize = x.dims()[along + 1..].iter().product();
        let outer = total / (k * inner);
        let mut lane: Vec<usize> = Vec::with_capacity(size);
        for block in 0..outer {
            for column in 0..inner {
                let at = |i: usize| (block * size + i) * inner + column;
                let order = |a: &usize, b: &usize| {
                    let order = values.compare(at(*a), at(*b));
                    // The index decides between equals, so an unstable order is as good as a stable one.
                    (if largest { order.reverse() } else { order }).then(a.cmp(b))
                };
                lane.clear();
                lane.extend(0..size);
                if k < size {
                    lane.select_nth_unstable_by(k, order);
                }
                lane[..k].sort_unstable_by(order);
                for (rank, &i) in lane[..k].iter().enumerate() {
                    let target = (block * k + rank) * inner + column;
                    positions[target] = at(i);
                    places[target] = i as i64;
                }
            }
        }
    }
    let values = take(x, &dims, positions.into_iter());
    Ok(vec![values.into(), Tensor::new(&dims, places).into()])
}
