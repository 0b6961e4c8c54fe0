//! Run-time values: tensors and what holds tensors.

use crate::{DType, Tensor};

/// A value as models pass it around.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A tensor.
    Tensor(Tensor),
    /// A list of values of one type.
    Sequence(Vec<Value>),
    /// Something or nothing.
    Optional(Option<Box<Value>>),
    /// Keys (a rank-1 tensor of integers or strings) and as many values.
    Map(Tensor, Box<Value>),
}

impl Value {
    /// The tensor, if it is one.
    pub fn as_tensor(&self) -> Option<&Tensor> {
        match self {
            Value::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// The element type of a tensor value.
    pub fn dtype(&self) -> Option<DType> {
        self.as_tensor().map(Tensor::dtype)
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Value {
        Value::Tensor(tensor)
    }
}
