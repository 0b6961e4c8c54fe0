//! Single elements as numbers: decoding the bytes of one element, and encoding a number as one element.

use crate::{
    DType,
    minifloat::{self, E8m0Round, Exact},
};
use half::{bf16, f16};
use std::ops::Deref;

/// How numbers that a type cannot hold are turned into it; see [`crate::convert::cast_with`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rounding {
    /// For the 8-bit floating-point types: what is too large becomes the largest finite value, not NaN or infinity.
    pub saturate: bool,
    /// For `f8E8M0FNU`: which power of two is taken.
    pub e8m0: E8m0Round,
}

impl Default for Rounding {
    /// The defaults of the operator Cast: saturating, `round_mode = "up"`.
    fn default() -> Rounding {
        Rounding { saturate: true, e8m0: E8m0Round::Up }
    }
}

/// The bytes of one element, as a [`crate::Tensor`] keeps them; dereferences to `dtype.size()` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoded {
    bytes: [u8; 16],
    len: u8,
}

impl Encoded {
    fn new<const N: usize>(value: [u8; N]) -> Encoded {
        let mut bytes = [0; 16];
        bytes[..N].copy_from_slice(&value);
        Encoded { bytes, len: N as u8 }
    }
}

impl Deref for Encoded {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The first `N` bytes; zeros stand in for what is missing, so that no input can panic.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut head = [0; N];
    let len = bytes.len().min(N);
    head[..len].copy_from_slice(&bytes[..len]);
    head
}

/// The number that one element's bytes stand for.
///
/// Exact for every type but `i64` and `ui64` beyond 2^53, which are rounded to nearest. `bool` is 0 or 1, of a complex
/// number this is the real part, and a string, which has no bytes, gives NaN. `bytes` starts with the element and may
/// be longer; missing bytes read as zero.
pub fn f64_of(dtype: DType, bytes: &[u8]) -> f64 {
    match dtype {
        DType::F64 | DType::C128 => f64::from_ne_bytes(first(bytes)),
        DType::F32 | DType::C64 => f64::from(f32::from_ne_bytes(first(bytes))),
        DType::F16 => f16::from_ne_bytes(first(bytes)).to_f64(),
        DType::BF16 => bf16::from_ne_bytes(first(bytes)).to_f64(),
        DType::F8E8M0FNU => minifloat::decode_e8m0(first::<1>(bytes)[0]),
        DType::F8E4M3FN | DType::F8E4M3FNUZ | DType::F8E5M2 | DType::F8E5M2FNUZ | DType::F4E2M1FN => {
            narrow_f64_of(dtype, first::<1>(bytes)[0])
        }
        DType::U64 => u64::from_ne_bytes(first(bytes)) as f64,
        DType::String => f64::NAN,
        _ => i64_of(dtype, bytes).map_or(f64::NAN, |x| x as f64),
    }
}

fn narrow_f64_of(dtype: DType, code: u8) -> f64 {
    minifloat::format_of(dtype).map_or(f64::NAN, |format| format.decode(u32::from(code)))
}

/// The integer that one element's bytes stand for: integers and `bool` (`ui64` wraps); `None` for other types.
pub fn i64_of(dtype: DType, bytes: &[u8]) -> Option<i64> {
    Some(match dtype {
        DType::I64 => i64::from_ne_bytes(first(bytes)),
        DType::I32 => i32::from_ne_bytes(first(bytes)).into(),
        DType::I16 => i16::from_ne_bytes(first(bytes)).into(),
        DType::I8 | DType::I4 | DType::I2 => i8::from_ne_bytes(first(bytes)).into(),
        DType::U64 => u64::from_ne_bytes(first(bytes)) as i64,
        DType::U32 => u32::from_ne_bytes(first(bytes)).into(),
        DType::U16 => u16::from_ne_bytes(first(bytes)).into(),
        DType::U8 | DType::U4 | DType::U2 => first::<1>(bytes)[0].into(),
        DType::Bool => i64::from(first::<1>(bytes)[0] != 0),
        _ => return None,
    })
}

/// Encodes a number as one element: floating-point types round half to even, integers truncate as
/// [`truncate`] says, `bool` is "not zero", complex numbers get a zero imaginary part; a string has no bytes.
pub fn encode_f64(dtype: DType, x: f64) -> Encoded {
    encode_f64_with(dtype, x, Rounding::default())
}

/// As [`encode_f64`], with a choice of how to round.
pub fn encode_f64_with(dtype: DType, x: f64, rounding: Rounding) -> Encoded {
    match dtype {
        DType::F64 => Encoded::new(x.to_ne_bytes()),
        DType::F32 => Encoded::new((x as f32).to_ne_bytes()),
        DType::F16 | DType::BF16 => Encoded::new(encode_half(dtype, x).to_ne_bytes()),
        DType::F8E8M0FNU => Encoded::new([minifloat::encode_e8m0(x, rounding.e8m0, rounding.saturate)]),
        DType::F8E4M3FN | DType::F8E4M3FNUZ | DType::F8E5M2 | DType::F8E5M2FNUZ | DType::F4E2M1FN => {
            let code = minifloat::format_of(dtype).map_or(0, |format| format.encode(x, rounding.saturate));
            Encoded::new([code as u8])
        }
        DType::Bool => Encoded::new([u8::from(x != 0.0)]),
        DType::C64 => complex(&(x as f32).to_ne_bytes()),
        DType::C128 => complex(&x.to_ne_bytes()),
        DType::String => Encoded::new([]),
        _ => encode_i64(dtype, truncate(dtype, x)),
    }
}

/// `f16` or `bf16`; what is an `f32` takes the processor's road, which rounds once as well.
fn encode_half(dtype: DType, x: f64) -> u16 {
    let short = x as f32;
    let fits = x.is_nan() || f64::from(short) == x;
    match dtype {
        DType::F16 if fits => f16::from_f32(short).to_bits(),
        DType::BF16 if fits => bf16::from_f32(short).to_bits(),
        _ => minifloat::format_of(dtype).map_or(0, |format| format.encode(x, false) as u16),
    }
}

fn complex(real: &[u8]) -> Encoded {
    let mut bytes = [0; 16];
    bytes[..real.len()].copy_from_slice(real);
    Encoded { bytes, len: 2 * real.len() as u8 }
}

/// Encodes an integer as one element: narrower integers keep the low bits (two's complement), floating-point types
/// round once, half to even. `ui64` takes the bits as they are.
pub fn encode_i64(dtype: DType, x: i64) -> Encoded {
    match dtype {
        DType::I64 | DType::U64 => Encoded::new(x.to_ne_bytes()),
        DType::I32 | DType::U32 => Encoded::new((x as i32).to_ne_bytes()),
        DType::I16 | DType::U16 => Encoded::new((x as i16).to_ne_bytes()),
        DType::I8 | DType::U8 => Encoded::new((x as i8).to_ne_bytes()),
        // Shifting up and back down copies the sign bit, or zeros, into the unused bits of the byte.
        DType::I4 => Encoded::new([((x as i8) << 4 >> 4) as u8]),
        DType::I2 => Encoded::new([((x as i8) << 6 >> 6) as u8]),
        DType::U4 => Encoded::new([x as u8 & 0xf]),
        DType::U2 => Encoded::new([x as u8 & 0x3]),
        DType::Bool => Encoded::new([u8::from(x != 0)]),
        _ => encode_integer(dtype, x < 0, x.unsigned_abs(), Rounding::default()),
    }
}

/// Encodes a sign and a magnitude of 64 bits as a floating-point element, rounding once.
pub(crate) fn encode_integer(dtype: DType, negative: bool, magnitude: u64, rounding: Rounding) -> Encoded {
    let exact = Exact { negative, significand: magnitude, exponent: 0 };
    let signed = |x: f64| if negative { -x } else { x };
    match dtype {
        DType::F32 | DType::C64 => encode_f64_with(dtype, signed(f64::from(magnitude as f32)), rounding),
        DType::F16 | DType::BF16 => {
            let code = minifloat::format_of(dtype).map_or(0, |format| format.encode_exact(exact, false) as u16);
            Encoded::new(code.to_ne_bytes())
        }
        DType::F8E8M0FNU => Encoded::new([minifloat::encode_e8m0_exact(exact, rounding.e8m0, rounding.saturate)]),
        // The 8-bit types have few bits: what does not fit an f64 is far beyond their range, so one rounding decides.
        _ => encode_f64_with(dtype, signed(magnitude as f64), rounding),
    }
}

/// A floating-point number as an integer: the fraction is dropped.
///
/// Out of range the standard leaves the result open. This gives what C compilers and NumPy's scalar loops give on
/// x86-64: conversion goes to a signed register (32 bits wide for `i32` and all narrower types, else 64) whose
/// smallest value stands for everything out of range, and NaN; then the low bits are kept. `ui64` takes numbers from
/// 2^63 on by subtracting 2^63 first. The result is to be narrowed by [`encode_i64`].
pub fn truncate(dtype: DType, x: f64) -> i64 {
    let wide = |x: f64| if (-TWO_63..TWO_63).contains(&x) { x as i64 } else { i64::MIN };
    match dtype {
        DType::U64 if x >= TWO_63 => wide(x - TWO_63) ^ i64::MIN,
        DType::I64 | DType::U64 | DType::U32 => wide(x),
        _ => {
            let whole = x.trunc();
            let fits = whole >= f64::from(i32::MIN) && whole <= f64::from(i32::MAX);
            if fits { whole as i64 } else { i32::MIN.into() }
        }
    }
}

const TWO_63: f64 = 9_223_372_036_854_775_808.0;
