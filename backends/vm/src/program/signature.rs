//! What programs take and give.

use nim_tensor::{DType, Value};
use std::fmt;

/// The type of an input or result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A tensor; dimensions are texts of expressions over named symbols: `3`, `N`, `2*N + 1`.
    Tensor {
        /// Element type.
        dtype: DType,
        /// One expression a dimension.
        dims: Vec<String>,
    },
    /// Something else, described by its type's text.
    Other(String),
    /// A value of the algebraic data type of this name: see [`Signature::types`].
    Adt(String),
}

/// An algebraic data type: the ways to make its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdtType {
    /// Its name.
    pub name: String,
    /// Name of each constructor and types of its fields.
    pub constructors: Vec<(String, Vec<ValueType>)>,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueType::Tensor { dtype, dims } => {
                f.write_str("tensor<")?;
                for dim in dims {
                    if dim.parse::<i64>().is_ok() { write!(f, "{dim}x")? } else { write!(f, "[{dim}]x")? }
                }
                write!(f, "{dtype}>")
            }
            ValueType::Other(text) => f.write_str(text),
            ValueType::Adt(name) => write!(f, "@{name}"),
        }
    }
}

/// An input or result of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureValue {
    /// Its name in the model.
    pub name: String,
    /// Its type.
    pub ty: ValueType,
    /// The node of the model that reads it first, if that is known; for messages.
    pub node: Option<String>,
}

/// What a program takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Inputs in order.
    pub inputs: Vec<SignatureValue>,
    /// Results in order.
    pub outputs: Vec<SignatureValue>,
    /// The algebraic data types that these are of, and all that their fields are of.
    pub types: Vec<AdtType>,
}

impl Signature {
    /// An algebraic data type by its name.
    pub fn adt(&self, name: &str) -> Option<&AdtType> {
        self.types.iter().find(|ty| ty.name == name)
    }
}

/// A host value's type as a signature writes it, for messages.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Tensor(tensor) => {
            let dims = tensor.dims().iter().map(usize::to_string).collect();
            ValueType::Tensor { dtype: tensor.dtype(), dims }.to_string()
        }
        Value::Sequence(_) => "a sequence".into(),
        Value::Optional(_) => "an optional".into(),
        Value::Map(..) => "a map".into(),
        Value::Adt(made) => format!("a value made by `{}`", made.name),
        Value::Function(_) => "a function".into(),
    }
}
