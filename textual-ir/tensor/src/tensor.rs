//! The tensor: element type, shape, bytes.

use crate::{Blob, DType};
use half::{bf16, f16};
use std::{borrow::Cow, fmt, sync::Arc};

/// What a tensor holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Row-major elements, native byte order, possibly unaligned (a window into a file).
    Bytes(Blob),
    /// Elements of a string tensor.
    Strings(Arc<[String]>),
}

/// A dense, row-major, immutable tensor. Cloning shares the bytes.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    dtype: DType,
    dims: Vec<usize>,
    data: Data,
}

/// Why a tensor could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorError {
    /// The number of bytes does not fit the shape.
    Size {
        /// What the shape asks for, in bytes.
        expected: usize,
        /// What was given, in bytes.
        found: usize,
    },
    /// The number of elements or bytes overflows.
    Overflow,
    /// Numbers cannot be elements of this type.
    NotNumeric(DType),
}

impl fmt::Display for TensorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TensorError::Size { expected, found } => write!(f, "the shape needs {expected} bytes, {found} are given"),
            TensorError::Overflow => f.write_str("the number of elements overflows"),
            TensorError::NotNumeric(dtype) => write!(f, "numbers cannot be elements of type {dtype}"),
        }
    }
}
impl std::error::Error for TensorError {}

/// A Rust type that tensors hold as it is.
pub trait Element: bytemuck::Pod + Send + Sync + PartialOrd + fmt::Debug {
    /// Its element type.
    const DTYPE: DType;
}
macro_rules! element {
    ($($t:ty => $d:ident),*) => { $(impl Element for $t { const DTYPE: DType = DType::$d; })* };
}
element!(f64 => F64, f32 => F32, f16 => F16, bf16 => BF16, i64 => I64, i32 => I32, i16 => I16, i8 => I8,
         u64 => U64, u32 => U32, u16 => U16, u8 => U8);

/// Lets a blob own typed elements as they are: no copy, and aligned for reading them back.
struct Elements<T>(Vec<T>);
impl<T: bytemuck::Pod> AsRef<[u8]> for Elements<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// Number of elements of a shape; `None` on overflow.
pub fn element_count(dims: &[usize]) -> Option<usize> {
    // A zero dimension makes the tensor empty however large the others are.
    if dims.contains(&0) {
        return Some(0);
    }
    dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= isize::MAX as usize)
}

impl Tensor {
    /// A tensor over given bytes.
    pub fn from_blob(dtype: DType, dims: &[usize], blob: Blob) -> Result<Tensor, TensorError> {
        let count = element_count(dims).ok_or(TensorError::Overflow)?;
        let expected = count.checked_mul(dtype.size()).ok_or(TensorError::Overflow)?;
        if expected != blob.len() {
            return Err(TensorError::Size { expected, found: blob.len() });
        }
        Ok(Tensor { dtype, dims: dims.to_vec(), data: Data::Bytes(blob) })
    }

    /// A tensor that owns its elements; panics when the shape does not fit, which is a bug of the caller.
    pub fn new<T: Element>(dims: &[usize], elements: Vec<T>) -> Tensor {
        Tensor::from_blob(T::DTYPE, dims, Blob::new(Elements(elements))).expect("shape and elements fit")
    }

    /// A tensor of any byte-like type from its raw bytes; panics when the shape does not fit.
    pub fn from_bytes(dtype: DType, dims: &[usize], bytes: Vec<u8>) -> Tensor {
        Tensor::from_blob(dtype, dims, Blob::new(bytes)).expect("shape and bytes fit")
    }

    /// A `bool` tensor.
    pub fn bools(dims: &[usize], elements: Vec<bool>) -> Tensor {
        Tensor::from_bytes(DType::Bool, dims, elements.into_iter().map(u8::from).collect())
    }

    /// A string tensor; panics when the shape does not fit.
    pub fn strings(dims: &[usize], elements: Vec<String>) -> Tensor {
        assert_eq!(element_count(dims), Some(elements.len()), "shape and strings fit");
        Tensor { dtype: DType::String, dims: dims.to_vec(), data: Data::Strings(elements.into()) }
    }

    /// A tensor of rank 0.
    pub fn scalar<T: Element>(element: T) -> Tensor {
        Tensor::new(&[], vec![element])
    }

    /// Its element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Its shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Its rank.
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        element_count(&self.dims).expect("checked when it was made")
    }

    /// True when it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its contents as they are kept.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Its bytes; empty for strings.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Bytes(blob) => blob,
            Data::Strings(_) => &[],
        }
    }

    /// Its shared bytes; `None` for strings.
    pub fn blob(&self) -> Option<&Blob> {
        match &self.data {
            Data::Bytes(blob) => Some(blob),
            Data::Strings(_) => None,
        }
    }

    /// Its strings, if it is a string tensor.
    pub fn as_strings(&self) -> Option<&[String]> {
        match &self.data {
            Data::Strings(strings) => Some(strings),
            Data::Bytes(_) => None,
        }
    }

    /// Its elements as `T`; panics when the element type is another. Borrowed where the bytes are aligned.
    pub fn elements<T: Element>(&self) -> Cow<'_, [T]> {
        assert_eq!(self.dtype, T::DTYPE, "element type");
        cast_elements(self.bytes())
    }

    /// The same bytes under another shape of as many elements; `None` when the counts differ.
    pub fn reshaped(&self, dims: &[usize]) -> Option<Tensor> {
        (element_count(dims)? == self.len()).then(|| Tensor { dims: dims.to_vec(), ..self.clone() })
    }

    /// Elements as `i64`: integers and booleans as they are (`u64` wraps); `None` for other types.
    pub fn to_i64s(&self) -> Option<Vec<i64>> {
        macro_rules! widen {
            ($($d:ident => $t:ty),*) => {
                match self.dtype {
                    $(DType::$d => Some(cast_elements::<$t>(self.bytes()).iter().map(|&x| x as i64).collect()),)*
                    _ => None,
                }
            };
        }
        widen!(I64 => i64, I32 => i32, I16 => i16, I8 => i8, I4 => i8, I2 => i8,
               U64 => u64, U32 => u32, U16 => u16, U8 => u8, U4 => u8, U2 => u8, Bool => u8)
    }
}

/// Reads bytes as elements: borrowed where aligned, copied where not.
pub fn cast_elements<T: bytemuck::Pod>(bytes: &[u8]) -> Cow<'_, [T]> {
    match bytemuck::try_cast_slice(bytes) {
        Ok(elements) => Cow::Borrowed(elements),
        Err(_) => Cow::Owned(bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()),
    }
}

/// The bytes of a vector of plain elements, without a copy where the allocation allows it (elements of one byte).
pub fn bytes_of<T: bytemuck::Pod>(elements: Vec<T>) -> Vec<u8> {
    bytemuck::try_cast_vec(elements).unwrap_or_else(|(_, elements)| bytemuck::cast_slice(&elements).to_vec())
}

/// Brings elements from native into little-endian byte order, as files have it, or back: the same step. Free on
/// little-endian machines.
pub fn little_endian(blob: Blob, dtype: DType) -> Blob {
    // A complex number is two numbers.
    let size = if matches!(dtype, DType::C64 | DType::C128) { dtype.size() / 2 } else { dtype.size() };
    if cfg!(target_endian = "little") || size <= 1 {
        return blob;
    }
    Blob::new(blob.chunks_exact(size).flat_map(|x| x.iter().rev().copied()).collect::<Vec<u8>>())
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensor<")?;
        for d in &self.dims {
            write!(f, "{d}x")?;
        }
        write!(f, "{}>", self.dtype)
    }
}
