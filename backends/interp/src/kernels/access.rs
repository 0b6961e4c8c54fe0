//! Reading elements out of tensors and making tensors from elements.
//!
//! Arithmetic sees three classes of elements: real numbers (`f64` holds all of them), integers (`i128` holds all of
//! them) and truth values. Data movement sees positions only, see [`take`].

use super::error::{KernelError, Result};
use super::index::checked_count;
use crate::scalar::IntType;
use nim_tensor::tensor::{bytes_of, cast_elements};
use nim_tensor::{DType, Tensor};

/// The elements of a numeric or boolean tensor, widened.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Real numbers.
    Float(Vec<f64>),
    /// Integers.
    Int(Vec<i128>),
    /// Truth values.
    Bool(Vec<bool>),
}

/// Reads a tensor of numbers or truth values.
pub fn load(op: &'static str, tensor: &Tensor) -> Result<Elements> {
    match tensor.dtype() {
        DType::Bool => Ok(Elements::Bool(bools(op, tensor)?)),
        dtype if dtype.is_integer() => Ok(Elements::Int(ints(op, tensor)?)),
        _ => Ok(Elements::Float(floats(op, tensor)?)),
    }
}

/// Makes a tensor from widened elements: numbers are rounded, integers wrapped into the type.
pub fn store(op: &'static str, dtype: DType, dims: &[usize], elements: Elements) -> Result<Tensor> {
    match elements {
        Elements::Float(values) => store_floats(op, dtype, dims, &values),
        Elements::Int(values) => store_ints(op, dtype, dims, &values),
        Elements::Bool(values) => store_bools(op, dims, values),
    }
}

/// Reads a tensor of a floating-point type.
pub fn floats(op: &'static str, tensor: &Tensor) -> Result<Vec<f64>> {
    match tensor.dtype() {
        DType::F32 => Ok(tensor.elements::<f32>().iter().map(|&x| f64::from(x)).collect()),
        dtype if dtype.is_float() => tensor.to_f64s().ok_or_else(|| not_float(op, dtype)),
        found => Err(not_float(op, found)),
    }
}

fn not_float(op: &'static str, found: DType) -> KernelError {
    KernelError::element_type(op, found, "a floating-point type")
}

/// Reads a tensor of an integer type.
pub fn ints(op: &'static str, tensor: &Tensor) -> Result<Vec<i128>> {
    match tensor.dtype() {
        DType::U64 => Ok(tensor.elements::<u64>().iter().map(|&x| i128::from(x)).collect()),
        dtype if dtype.is_integer() => {
            let values = tensor.to_i64s().expect("every integer type widens");
            Ok(values.into_iter().map(i128::from).collect())
        }
        found => Err(KernelError::element_type(op, found, "an integer type")),
    }
}

/// Reads a tensor of truth values; any byte but 0 is true.
pub fn bools(op: &'static str, tensor: &Tensor) -> Result<Vec<bool>> {
    match tensor.dtype() {
        DType::Bool => Ok(tensor.bytes().iter().map(|&b| b != 0).collect()),
        found => Err(KernelError::element_type(op, found, "i1")),
    }
}

/// Reads a tensor of strings.
pub fn strings<'t>(op: &'static str, tensor: &'t Tensor) -> Result<&'t [String]> {
    tensor.as_strings().ok_or_else(|| KernelError::element_type(op, tensor.dtype(), "strings"))
}

/// Reads indices or sizes: a tensor of `i64`, `i32` or another integer type that `i64` holds.
pub fn indices(op: &'static str, tensor: &Tensor) -> Result<Vec<i64>> {
    let wrong = || KernelError::element_type(op, tensor.dtype(), "integers for indices");
    match tensor.dtype() {
        DType::U64 | DType::Bool => Err(wrong()),
        _ => tensor.to_i64s().ok_or_else(wrong),
    }
}

/// Makes a tensor of a floating-point type; each number is rounded once, to nearest even.
pub fn store_floats(op: &'static str, dtype: DType, dims: &[usize], values: &[f64]) -> Result<Tensor> {
    expect_count(op, dims, values.len())?;
    match dtype {
        DType::F32 => Ok(Tensor::new(dims, values.iter().map(|&x| x as f32).collect())),
        dtype if dtype.is_float() => {
            Tensor::from_f64s(dtype, dims, values).map_err(|error| KernelError::invalid(op, error.to_string()))
        }
        found => Err(not_float(op, found)),
    }
}

/// Makes a tensor of an integer type; each integer wraps into the type.
pub fn store_ints(op: &'static str, dtype: DType, dims: &[usize], values: &[i128]) -> Result<Tensor> {
    expect_count(op, dims, values.len())?;
    macro_rules! narrow {
        ($t:ty) => {
            Tensor::new(dims, values.iter().map(|&x| x as $t).collect())
        };
    }
    Ok(match dtype {
        DType::I64 => narrow!(i64),
        DType::I32 => narrow!(i32),
        DType::I16 => narrow!(i16),
        DType::I8 => narrow!(i8),
        DType::U64 => narrow!(u64),
        DType::U32 => narrow!(u32),
        DType::U16 => narrow!(u16),
        DType::U8 => narrow!(u8),
        DType::I4 | DType::I2 | DType::U4 | DType::U2 => {
            let ty = IntType::of(dtype).expect("an integer type");
            Tensor::from_bytes(dtype, dims, values.iter().map(|&x| ty.wrap(x) as u8).collect())
        }
        found => return Err(KernelError::element_type(op, found, "an integer type")),
    })
}

/// Makes a tensor of truth values.
pub fn store_bools(op: &'static str, dims: &[usize], values: Vec<bool>) -> Result<Tensor> {
    expect_count(op, dims, values.len())?;
    Ok(Tensor::bools(dims, values))
}

/// Makes a tensor of strings.
pub fn store_strings(op: &'static str, dims: &[usize], values: Vec<String>) -> Result<Tensor> {
    expect_count(op, dims, values.len())?;
    Ok(Tensor::strings(dims, values))
}

fn expect_count(op: &'static str, dims: &[usize], found: usize) -> Result<()> {
    let expected = checked_count(op, dims)?;
    if expected != found {
        return Err(KernelError::invalid(op, format!("shape {dims:?} needs {expected} elements, {found} are given")));
    }
    Ok(())
}

/// A tensor of shape `dims` whose elements are copies of `source`'s elements at flat `positions`.
pub fn take(op: &'static str, source: &Tensor, dims: &[usize], positions: &[usize]) -> Result<Tensor> {
    let picks: Vec<_> = positions.iter().map(|&p| (0, p)).collect();
    take_from(op, &[source], dims, &picks)
}

/// A tensor of shape `dims` whose elements are copies of elements of several sources of one element type: each pick
/// names a source and a flat position in it.
pub fn take_from(op: &'static str, sources: &[&Tensor], dims: &[usize], picks: &[(usize, usize)]) -> Result<Tensor> {
    let Some(first) = sources.first() else {
        return Err(KernelError::invalid(op, "no operand"));
    };
    let dtype = first.dtype();
    if let Some(other) = sources.iter().find(|s| s.dtype() != dtype) {
        let message = format!("operands have different element types {dtype} and {}", other.dtype());
        return Err(KernelError::invalid(op, message));
    }
    expect_count(op, dims, picks.len())?;
    if let Some(&(s, p)) = picks.iter().find(|&&(s, p)| sources.get(s).is_none_or(|t| p >= t.len())) {
        return Err(KernelError::invalid(op, format!("position {p} is outside operand {s}")));
    }
    if dtype == DType::String {
        let all: Vec<_> = sources.iter().map(|s| strings(op, s)).collect::<Result<_>>()?;
        return store_strings(op, dims, picks.iter().map(|&(s, p)| all[s][p].clone()).collect());
    }
    fn copy<T: bytemuck::Pod>(sources: &[&Tensor], picks: &[(usize, usize)]) -> Vec<u8> {
        let all: Vec<_> = sources.iter().map(|s| cast_elements::<T>(s.bytes())).collect();
        bytes_of(picks.iter().map(|&(s, p)| all[s][p]).collect())
    }
    let bytes = match dtype.size() {
        1 => copy::<u8>(sources, picks),
        2 => copy::<u16>(sources, picks),
        4 => copy::<u32>(sources, picks),
        8 => copy::<u64>(sources, picks),
        _ => copy::<[u64; 2]>(sources, picks),
    };
    Ok(Tensor::from_bytes(dtype, dims, bytes))
}

/// A number type that sums of products are computed in, exactly or as near as `f64` comes.
///
/// `i64` stands for integers of every width: wrapping at 64 bits and then again at the result's width is the same as
/// wrapping once.
pub trait Ring: Copy + PartialEq {
    /// The neutral element of addition.
    const ZERO: Self;
    /// The neutral element of multiplication.
    const ONE: Self;
    /// Sum.
    fn add(self, other: Self) -> Self;
    /// Product.
    fn mul(self, other: Self) -> Self;
    /// Reads a tensor of this class.
    fn load(op: &'static str, tensor: &Tensor) -> Result<Vec<Self>>;
    /// Makes a tensor, rounding or wrapping once.
    fn store(op: &'static str, dtype: DType, dims: &[usize], values: &[Self]) -> Result<Tensor>;
}

impl Ring for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    fn add(self, other: f64) -> f64 {
        self + other
    }
    fn mul(self, other: f64) -> f64 {
        self * other
    }
    fn load(op: &'static str, tensor: &Tensor) -> Result<Vec<f64>> {
        floats(op, tensor)
    }
    fn store(op: &'static str, dtype: DType, dims: &[usize], values: &[f64]) -> Result<Tensor> {
        store_floats(op, dtype, dims, values)
    }
}

impl Ring for i64 {
    const ZERO: i64 = 0;
    const ONE: i64 = 1;
    fn add(self, other: i64) -> i64 {
        self.wrapping_add(other)
    }
    fn mul(self, other: i64) -> i64 {
        self.wrapping_mul(other)
    }
    fn load(op: &'static str, tensor: &Tensor) -> Result<Vec<i64>> {
        ints(op, tensor).map(|values| values.into_iter().map(|x| x as i64).collect())
    }
    fn store(op: &'static str, dtype: DType, dims: &[usize], values: &[i64]) -> Result<Tensor> {
        let values: Vec<_> = values.iter().map(|&x| i128::from(x)).collect();
        store_ints(op, dtype, dims, &values)
    }
}

/// Runs a function that is generic over [`Ring`] on the ring of an element type.
macro_rules! with_ring {
    ($op:expr, $dtype:expr, $function:ident($($argument:expr),* $(,)?)) => {{
        let dtype: nim_tensor::DType = $dtype;
        if dtype.is_float() {
            $function::<f64>($($argument),*)
        } else if dtype.is_integer() {
            $function::<i64>($($argument),*)
        } else {
            Err($crate::kernels::KernelError::element_type($op, dtype, "numbers"))
        }
    }};
}
pub(crate) use with_ring;

/// Checks that operands have one element type, which is returned.
pub fn same_dtype(op: &'static str, operands: &[&Tensor]) -> Result<DType> {
    let Some(first) = operands.first() else {
        return Err(KernelError::invalid(op, "no operand"));
    };
    match operands.iter().find(|t| t.dtype() != first.dtype()) {
        None => Ok(first.dtype()),
        Some(other) => Err(KernelError::invalid(
            op,
            format!("operands have different element types {} and {}", first.dtype(), other.dtype()),
        )),
    }
}
