//! Tensors as lists of plain numbers, for code that wants values and not types: folding, shapes, tests.

use crate::{DType, Tensor, TensorError, scalar, tensor::Data};

impl Tensor {
    /// Elements as `f64`: exact but for `i64` and `ui64` beyond 2^53; `None` for strings and complex numbers.
    pub fn to_f64s(&self) -> Option<Vec<f64>> {
        let dtype = self.dtype();
        match self.data() {
            Data::Bytes(bytes) if !matches!(dtype, DType::C64 | DType::C128) => {
                Some(bytes.chunks_exact(dtype.size()).map(|x| scalar::f64_of(dtype, x)).collect())
            }
            _ => None,
        }
    }

    /// A tensor of any numeric type from numbers, each encoded as [`scalar::encode_f64`] does.
    pub fn from_f64s(dtype: DType, dims: &[usize], elements: &[f64]) -> Result<Tensor, TensorError> {
        from_numbers(dtype, dims, elements, |x| scalar::encode_f64(dtype, x))
    }

    /// A tensor of any numeric type from integers, each encoded as [`scalar::encode_i64`] does.
    pub fn from_i64s(dtype: DType, dims: &[usize], elements: &[i64]) -> Result<Tensor, TensorError> {
        from_numbers(dtype, dims, elements, |x| scalar::encode_i64(dtype, x))
    }
}

fn from_numbers<T: Copy>(
    dtype: DType,
    dims: &[usize],
    elements: &[T],
    encode: impl Fn(T) -> scalar::Encoded,
) -> Result<Tensor, TensorError> {
    if dtype == DType::String {
        return Err(TensorError::NotNumeric(dtype));
    }
    let mut bytes = Vec::with_capacity(elements.len() * dtype.size());
    elements.iter().for_each(|&x| bytes.extend_from_slice(&encode(x)));
    Tensor::from_blob(dtype, dims, crate::Blob::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_and_out() {
        let x = Tensor::from_f64s(DType::BF16, &[2, 2], &[1.0, -0.5, 3.0, f64::INFINITY]).unwrap();
        assert_eq!(x.to_f64s().unwrap(), [1.0, -0.5, 3.0, f64::INFINITY]);
        let y = Tensor::from_i64s(DType::I4, &[3], &[-8, 7, 9]).unwrap();
        assert_eq!(y.to_i64s().unwrap(), [-8, 7, -7]);
        assert_eq!(y.to_f64s().unwrap(), [-8.0, 7.0, -7.0]);
        assert_eq!(Tensor::from_i64s(DType::F32, &[1], &[5]).unwrap(), Tensor::new(&[1], vec![5.0f32]));
        assert_eq!(Tensor::from_i64s(DType::Bool, &[2], &[0, 5]).unwrap(), Tensor::bools(&[2], vec![false, true]));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert_eq!(Tensor::from_f64s(DType::F32, &[2], &[1.0]), Err(TensorError::Size { expected: 8, found: 4 }));
        assert_eq!(Tensor::from_f64s(DType::String, &[], &[1.0]), Err(TensorError::NotNumeric(DType::String)));
        assert_eq!(Tensor::from_i64s(DType::U8, &[usize::MAX, 2], &[]), Err(TensorError::Overflow));
        assert!(Tensor::strings(&[1], vec!["x".into()]).to_f64s().is_none());
    }
}
