//! ONNX models to and from the graph dialect.
//!
//! This half of the crate knows the file format and nothing of the IR: messages ([`proto`]), model files
//! ([`load_model`]), tensors in all their forms of storage, and test data ([`dataset`], [`decode_value`]). Files are
//! mapped and their elements shared, not copied. Files come from strangers: whatever is in them gives a value or an
//! [`OnnxError`] that names the file, tensor or node; it never panics, and no path in a model leaves the model's folder.

pub mod codes;
pub mod dataset;
mod dtype;
mod encode;
pub mod error;
pub mod external;
pub mod import;
pub mod model;
mod packed;
pub mod proto;
mod sparse;
mod tensor;
mod value;

/// The code of operators that no rule is known for.
pub const NOT_SUPPORTED: &str = "N0601";

pub use dtype::{data_type_of, dtype_of};
pub use encode::{encode_value, tensor_proto};
pub use error::OnnxError;
pub use external::ExternalData;
pub use import::{ImportOptions, InputDim, import};
pub use model::{LoadedModel, load_model, load_model_bytes};
pub use sparse::{dense_of, dense_with};
pub use tensor::{tensor_of, tensor_with};
pub use value::{decode_named, decode_value};
