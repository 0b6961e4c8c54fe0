//! Where the elements are that are not zero.

use super::Call;
use super::access::elements;
use nim_tensor::{DType, Tensor, Value};

/// `nonzero(x) -> [rank, count]`: one column an element that is not zero, false or empty, in row-major order.
pub(super) fn nonzero(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let x = call.tensor(0)?;
    let values = elements(x)?;
    let found: Vec<usize> = (0..x.len()).filter(|&i| !values.is_zero(i)).collect();
    let dims = [x.rank(), found.len()];
    call.env.admit(DType::I64, &dims)?;
    let mut columns = vec![0i64; x.rank() * found.len()];
    let mut stride = 1;
    for axis in (0..x.rank()).rev() {
        let size = x.dims()[axis];
        for (column, &flat) in found.iter().enumerate() {
            columns[axis * found.len() + column] = (flat / stride % size) as i64;
        }
        stride *= size;
    }
    Ok(vec![Tensor::new(&dims, columns).into()])
}
