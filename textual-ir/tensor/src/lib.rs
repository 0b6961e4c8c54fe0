//! Host tensors: what constants, model inputs and interpreter values are made of.
//!
//! A [`Tensor`] is an element type, a shape and shared bytes; it is row-major and contiguous. Element types narrower
//! than a byte are stored one element a byte. Strings are kept apart from bytes. Nothing here knows the IR.

pub mod blob;
pub mod dtype;
mod map_file;
pub mod tensor;
pub mod value;

pub use blob::Blob;
pub use dtype::DType;
pub use tensor::{Tensor, TensorError};
pub use value::Value;
