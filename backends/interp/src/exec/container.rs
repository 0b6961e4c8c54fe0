//! Elements of tensors and buffers, one scalar each: what maps and loops work on.

use crate::{
    kernels::index::{product, strides},
    scalar::{IntType, Scalar, rounding},
};
use nim_tensor::{DType, Tensor, encode_f64_with, tensor::cast_elements};

/// A tensor's elements as registers hold them.
pub struct Container {
    pub dtype: DType,
    pub dims: Vec<usize>,
    pub strides: Vec<usize>,
    pub elements: Vec<Scalar>,
}

impl Container {
    /// The elements of a tensor; `None` for texts and complex numbers.
    pub fn of(tensor: &Tensor) -> Option<Container> {
        let dtype = tensor.dtype();
        let elements = match dtype {
            DType::Bool => tensor.bytes().iter().map(|&b| Scalar::Bool(b != 0)).collect(),
            DType::F32 => {
                cast_elements::<f32>(tensor.bytes()).iter().map(|&v| Scalar::Float { dtype, value: v as f64 }).collect()
            }
            d if d.is_float() => tensor.to_f64s()?.into_iter().map(|value| Scalar::Float { dtype, value }).collect(),
            d if d.is_integer() => {
                let ty = signless(d);
                tensor.to_i64s()?.into_iter().map(|v| Scalar::int(ty, v as i128)).collect()
            }
            _ => return None,
        };
        Some(Container { dtype, dims: tensor.dims().to_vec(), strides: strides(tensor.dims()), elements })
    }

    /// The same value everywhere.
    pub fn filled(dtype: DType, dims: Vec<usize>, value: Scalar) -> Container {
        let elements = vec![value; product(&dims)];
        Container { dtype, strides: strides(&dims), dims, elements }
    }

    /// Back to a tensor; values are brought into the range of the element type.
    pub fn into_tensor(self) -> Option<Tensor> {
        let Container { dtype, dims, elements, .. } = self;
        if dtype == DType::Bool {
            return Some(Tensor::bools(&dims, elements.iter().map(|e| matches!(e, Scalar::Bool(true))).collect()));
        }
        if dtype.is_float() {
            let values: Vec<f64> =
                elements.iter().map(|e| if let Scalar::Float { value, .. } = e { *value } else { f64::NAN }).collect();
            let rounding = rounding(dtype);
            let bytes = values.iter().flat_map(|&v| encode_f64_with(dtype, v, rounding).to_vec()).collect();
            return Some(Tensor::from_bytes(dtype, &dims, bytes));
        }
        let unsigned = dtype.is_unsigned_integer();
        let values: Vec<i64> = elements
            .iter()
            .map(|e| match e {
                Scalar::Int { ty, value } if unsigned => IntType { signed: false, ..*ty }.wrap(*value) as i64,
                Scalar::Int { value, .. } => *value as i64,
                _ => 0,
            })
            .collect();
        Tensor::from_i64s(dtype, &dims, &values).ok()
    }

    /// Position of an index; `None` outside.
    pub fn position(&self, index: &[i64]) -> Option<usize> {
        let mut at = 0;
        for ((&i, &d), &s) in index.iter().zip(&self.dims).zip(&self.strides) {
            at += usize::try_from(i).ok().filter(|&i| i < d)? * s;
        }
        Some(at)
    }
}

fn signless(dtype: DType) -> IntType {
    IntType { bits: dtype.bits() as u32, signed: true }
}
