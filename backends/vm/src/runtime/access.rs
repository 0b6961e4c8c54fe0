//! Elements of any type: read as numbers, compared, and moved as bytes.

use super::Call;
use nim_tensor::{DType, Tensor, Value, f64_of, i64_of};
use std::cmp::Ordering;

/// Elements in a form that comparisons and tests read fast.
pub(super) enum Elements<'a> {
    /// Any floating-point type.
    Floats(Vec<f64>),
    /// Any integer type but `ui64`, and truth values.
    Ints(Vec<i64>),
    /// `ui64`.
    Unsigned(Vec<u64>),
    /// Text.
    Strings(&'a [String]),
    /// Complex numbers, real parts first in order.
    Complex(Vec<(f64, f64)>),
}

/// Reads all elements.
pub(super) fn elements(tensor: &Tensor) -> Result<Elements<'_>, String> {
    let dtype = tensor.dtype();
    if let Some(strings) = tensor.as_strings() {
        return Ok(Elements::Strings(strings));
    }
    if dtype.is_float() {
        return Ok(Elements::Floats(floats(tensor)));
    }
    let part = match dtype {
        DType::C64 => Some(DType::F32),
        DType::C128 => Some(DType::F64),
        _ => None,
    };
    if let Some(part) = part {
        let pair = |bytes: &[u8]| (f64_of(part, bytes), f64_of(part, &bytes[part.size()..]));
        return Ok(Elements::Complex(tensor.bytes().chunks_exact(dtype.size()).map(pair).collect()));
    }
    let ints = tensor.to_i64s().ok_or_else(|| format!("elements of type {dtype} have no order"))?;
    Ok(match dtype {
        DType::U64 => Elements::Unsigned(ints.into_iter().map(|v| v as u64).collect()),
        _ => Elements::Ints(ints),
    })
}

/// All elements as numbers.
pub(super) fn floats(tensor: &Tensor) -> Vec<f64> {
    let (dtype, size) = (tensor.dtype(), tensor.dtype().size().max(1));
    match dtype {
        DType::F32 => tensor.elements::<f32>().iter().map(|&v| v.into()).collect(),
        DType::F64 => tensor.elements::<f64>().to_vec(),
        _ => tensor.bytes().chunks_exact(size).map(|bytes| f64_of(dtype, bytes)).collect(),
    }
}

/// The only element of an integer tensor.
pub(super) fn scalar_int(tensor: &Tensor) -> Result<i64, String> {
    let value = (tensor.len() == 1).then(|| i64_of(tensor.dtype(), tensor.bytes())).flatten();
    value.ok_or_else(|| format!("{tensor:?} is no single integer"))
}

/// The only element of a numeric tensor.
pub(super) fn scalar_float(tensor: &Tensor) -> Result<f64, String> {
    match tensor.len() == 1 && tensor.as_strings().is_none() {
        true => Ok(f64_of(tensor.dtype(), tensor.bytes())),
        false => Err(format!("{tensor:?} is no single number")),
    }
}

/// NaN is greater than every number and equal to itself; -0 equals 0.
fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

impl Elements<'_> {
    /// The order of two elements by position.
    pub(super) fn compare(&self, i: usize, j: usize) -> Ordering {
        match self {
            Elements::Floats(v) => compare_floats(v[i], v[j]),
            Elements::Ints(v) => v[i].cmp(&v[j]),
            Elements::Unsigned(v) => v[i].cmp(&v[j]),
            Elements::Strings(v) => v[i].cmp(&v[j]),
            Elements::Complex(v) => compare_floats(v[i].0, v[j].0).then(compare_floats(v[i].1, v[j].1)),
        }
    }
    /// Whether an element is zero, false or empty.
    pub(super) fn is_zero(&self, i: usize) -> bool {
        match self {
            Elements::Floats(v) => v[i] == 0.0,
            Elements::Ints(v) => v[i] == 0,
            Elements::Unsigned(v) => v[i] == 0,
            Elements::Strings(v) => v[i].is_empty(),
            Elements::Complex(v) => v[i] == (0.0, 0.0),
        }
    }
}

/// The elements at these positions (which are inside) under a shape of as many.
pub(super) fn take(tensor: &Tensor, dims: &[usize], positions: impl Iterator<Item = usize>) -> Tensor {
    if let Some(strings) = tensor.as_strings() {
        return Tensor::strings(dims, positions.map(|i| strings[i].clone()).collect());
    }
    let (bytes, size) = (tensor.bytes(), tensor.dtype().size());
    macro_rules! words {
        ($t:ty) => {{
            let words = nim_tensor::tensor::cast_elements::<$t>(bytes);
            let taken: Vec<$t> = positions.map(|i| words[i]).collect();
            retyped(Tensor::new(dims, taken), tensor.dtype())
        }};
    }
    match size {
        1 => words!(u8),
        2 => words!(u16),
        4 => words!(u32),
        8 => words!(u64),
        _ => {
            let taken = positions.flat_map(|i| bytes[i * size..(i + 1) * size].iter().copied()).collect();
            Tensor::from_bytes(tensor.dtype(), dims, taken)
        }
    }
}

/// `value.take(positions, x, ...) -> y`: element `positions[i]` of all operands, which have one type, in a row.
pub(super) fn take_from_all(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (positions, first) = (call.tensor(0)?, call.tensor(1)?);
    let wanted = positions.to_i64s().ok_or("positions are integers")?;
    call.env.admit(first.dtype(), positions.dims())?;
    let all = (1..call.ins.len()).map(|i| call.tensor(i)).collect::<Result<Vec<_>, _>>()?;
    if let Some(other) = all.iter().find(|t| t.dtype() != first.dtype()) {
        return Err(format!("elements of {first:?} and {other:?} do not go together"));
    }
    let count = all.iter().map(|t| t.len()).sum::<usize>();
    let outside = |at: &&i64| usize::try_from(**at).ok().is_none_or(|at| at >= count);
    if let Some(at) = wanted.iter().find(outside) {
        return Err(format!("position {at} lies outside of {count} elements"));
    }
    let joined = match all.as_slice() {
        [one] => (*one).clone(),
        _ if first.as_strings().is_some() => {
            Tensor::strings(&[count], all.iter().filter_map(|t| t.as_strings()).flatten().cloned().collect())
        }
        _ => Tensor::from_bytes(first.dtype(), &[count], all.iter().flat_map(|t| t.bytes()).copied().collect()),
    };
    Ok(vec![take(&joined, positions.dims(), wanted.into_iter().map(|at| at as usize)).into()])
}

/// `value.bitcast(x) -> y`: the same bytes as elements of another type of the same size. ints: element type.
pub(super) fn bitcast(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (x, to) = (call.tensor(0)?, call.dtype(0)?);
    match x.as_strings().is_some() || x.dtype().size() != to.size() {
        true => Err(format!("elements of {x:?} are no {to}")),
        false => Ok(vec![retyped(x.clone(), to).into()]),
    }
}

/// The same bytes as another element type of the same size.
pub(super) fn retyped(tensor: Tensor, dtype: DType) -> Tensor {
    match tensor.blob() {
        Some(blob) => Tensor::from_blob(dtype, tensor.dims(), blob.clone()).unwrap_or(tensor),
        None => tensor,
    }
}
