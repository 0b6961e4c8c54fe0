//! Host tensors: what constants, model inputs and interpreter values are made of.
//!
//! A [`Tensor`] is an element type, a shape and shared bytes; it is row-major and contiguous. Element types narrower
//! than a byte are stored one element a byte. Strings are kept apart from bytes. Nothing here knows the IR.

pub mod arrange;
pub mod blob;
pub mod compare;
pub mod convert;
pub mod dtype;
mod map_file;
mod minifloat;
pub mod npy;
mod number_text;
mod numbers;
pub mod packing;
pub mod scalar;
pub mod tensor;
pub mod value;

pub use blob::Blob;
pub use compare::{Comparison, Tolerance, compare};
pub use convert::{CastError, cast, cast_with};
pub use dtype::DType;
pub use minifloat::{E8m0Round, Format};
pub use scalar::{Encoded, Rounding, encode_f64, encode_f64_with, encode_i64, f64_of, i64_of};
pub use tensor::{Tensor, TensorError};
pub use value::{Made, Value};
