//! Run-time values: tensors and what holds tensors.

use crate::{DType, Tensor};
use std::fmt;
use std::sync::Arc;

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
    /// A value of an algebraic data type.
    Adt(Arc<Made>),
    /// A function whose first arguments are given already.
    Function(Arc<Made>),
}

/// What was made of other values by something with a name: a constructor with its fields, a function with what it has
/// captured. Values may be nested as deep as a list is long, so nothing here recurses.
pub struct Made {
    /// Name of the constructor or function.
    pub name: Arc<str>,
    /// Fields, or the first arguments.
    pub fields: Vec<Value>,
}

impl Made {
    /// A value of a constructor.
    pub fn adt(name: impl Into<Arc<str>>, fields: Vec<Value>) -> Value {
        Value::Adt(Arc::new(Made { name: name.into(), fields }))
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} fields", self.name, self.fields.len())
    }
}

impl PartialEq for Made {
    fn eq(&self, other: &Made) -> bool {
        let mut pairs: Vec<(&Made, &Made)> = vec![(self, other)];
        while let Some((a, b)) = pairs.pop() {
            if std::ptr::eq(a, b) {
                continue;
            }
            if a.name != b.name || a.fields.len() != b.fields.len() {
                return false;
            }
            for pair in a.fields.iter().zip(&b.fields) {
                match pair {
                    (Value::Adt(a), Value::Adt(b)) | (Value::Function(a), Value::Function(b)) => pairs.push((a, b)),
                    (a, b) if a == b => {}
                    _ => return false,
                }
            }
        }
        true
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let mut values = std::mem::take(&mut self.fields);
        while let Some(value) = values.pop() {
            match value {
                // Only who has the last reference takes it apart.
                Value::Adt(made) | Value::Function(made) => values
                    .extend(Arc::into_inner(made).map(|mut made| std::mem::take(&mut made.fields)).unwrap_or_default()),
                Value::Sequence(items) => values.extend(items),
                Value::Optional(Some(item)) | Value::Map(_, item) => values.push(*item),
                Value::Tensor(_) | Value::Optional(None) => {}
            }
        }
    }
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
