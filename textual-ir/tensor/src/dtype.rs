//! Element types of tensors.

use std::fmt;

/// The element type of a tensor: every type the ONNX standard names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[allow(missing_docs)]
pub enum DType {
    F64,
    F32,
    F16,
    BF16,
    F8E4M3FN,
    F8E4M3FNUZ,
    F8E5M2,
    F8E5M2FNUZ,
    F8E8M0FNU,
    F4E2M1FN,
    I64,
    I32,
    I16,
    I8,
    I4,
    I2,
    U64,
    U32,
    U16,
    U8,
    U4,
    U2,
    /// One byte, 0 or 1.
    Bool,
    /// UTF-8 text; such tensors hold [`crate::tensor::Data::Strings`].
    String,
    C64,
    C128,
}

impl DType {
    /// All element types, in declaration order.
    pub const ALL: [DType; 26] = {
        use DType::*;
        [
            F64, F32, F16, BF16, F8E4M3FN, F8E4M3FNUZ, F8E5M2, F8E5M2FNUZ, F8E8M0FNU, F4E2M1FN, I64, I32, I16, I8, I4,
            I2, U64, U32, U16, U8, U4, U2, Bool, String, C64, C128,
        ]
    };

    /// Bytes one element takes in a [`crate::Tensor`]; narrower types take a whole byte, strings take none.
    pub fn size(self) -> usize {
        use DType::*;
        match self {
            C128 => 16,
            F64 | I64 | U64 | C64 => 8,
            F32 | I32 | U32 => 4,
            F16 | BF16 | I16 | U16 => 2,
            String => 0,
            _ => 1,
        }
    }

    /// Significant bits of one element: 4 for `i4`, 1 for `bool`.
    pub fn bits(self) -> usize {
        use DType::*;
        match self {
            F4E2M1FN | I4 | U4 => 4,
            I2 | U2 => 2,
            Bool => 1,
            other => other.size() * 8,
        }
    }

    /// True for real floating-point types of any width.
    pub fn is_float(self) -> bool {
        use DType::*;
        matches!(self, F64 | F32 | F16 | BF16 | F8E4M3FN | F8E4M3FNUZ | F8E5M2 | F8E5M2FNUZ | F8E8M0FNU | F4E2M1FN)
    }

    /// True for signed and unsigned integers; `bool` is none.
    pub fn is_integer(self) -> bool {
        self.is_signed_integer() || self.is_unsigned_integer()
    }

    /// True for `i2` to `i64`.
    pub fn is_signed_integer(self) -> bool {
        use DType::*;
        matches!(self, I64 | I32 | I16 | I8 | I4 | I2)
    }

    /// True for `ui2` to `ui64`.
    pub fn is_unsigned_integer(self) -> bool {
        use DType::*;
        matches!(self, U64 | U32 | U16 | U8 | U4 | U2)
    }

    /// The name as the textual IR spells it: `f32`, `i64`, `ui8`, `i1`.
    pub fn name(self) -> &'static str {
        use DType::*;
        match self {
            F64 => "f64",
            F32 => "f32",
            F16 => "f16",
            BF16 => "bf16",
            F8E4M3FN => "f8E4M3FN",
            F8E4M3FNUZ => "f8E4M3FNUZ",
            F8E5M2 => "f8E5M2",
            F8E5M2FNUZ => "f8E5M2FNUZ",
            F8E8M0FNU => "f8E8M0FNU",
            F4E2M1FN => "f4E2M1FN",
            I64 => "i64",
            I32 => "i32",
            I16 => "i16",
            I8 => "i8",
            I4 => "i4",
            I2 => "i2",
            U64 => "ui64",
            U32 => "ui32",
            U16 => "ui16",
            U8 => "ui8",
            U4 => "ui4",
            U2 => "ui2",
            Bool => "i1",
            String => "!graph.string",
            C64 => "complex<f32>",
            C128 => "complex<f64>",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
