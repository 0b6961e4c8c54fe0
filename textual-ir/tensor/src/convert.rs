//! Conversion between element types, as the ONNX operator Cast defines it.
//!
//! Numbers are exact until the one rounding into the target type: half to even for floating point, towards zero for
//! integers. What the standard leaves open is decided as its reference implementation and C on x86-64 do; see
//! [`crate::scalar::truncate`] for numbers beyond an integer type.

use crate::{
    DType, Tensor,
    number_text::{self, Number},
    scalar::{self, Rounding},
    tensor::Data,
};
use std::fmt;

/// Why a tensor could not be cast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CastError {
    /// The standard defines no such conversion: a complex number has no value of the other type.
    Unsupported {
        /// The type of the tensor.
        from: DType,
        /// The type asked for.
        to: DType,
    },
    /// A string is no number.
    Text {
        /// Which element, counted in row-major order.
        index: usize,
        /// What it says.
        text: String,
        /// The type asked for.
        to: DType,
    },
}

impl fmt::Display for CastError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CastError::Unsupported { from, to } => write!(f, "no cast from {from} to {to} is defined"),
            CastError::Text { index, text, to } => {
                write!(f, "element {index}, {text:?}, is not a number that {to} can hold")
            }
        }
    }
}
impl std::error::Error for CastError {}

/// Casts a tensor to another element type. `saturate` matters for the 8-bit floating-point types only: what is too
/// large becomes the largest finite value instead of infinity or NaN. A cast to the same type shares the elements.
pub fn cast(tensor: &Tensor, to: DType, saturate: bool) -> Result<Tensor, CastError> {
    cast_with(tensor, to, Rounding { saturate, ..Rounding::default() })
}

/// As [`cast`], with `round_mode` for `f8E8M0FNU` as well.
///
/// Beyond the standard's text: a string may have a fraction where an integer is asked for, which is dropped
/// (`"100.5"` is 100); integers that do not fit keep their low bits, from strings too; real numbers may become complex
/// ones. Numbers become the shortest decimal that reads back the same, booleans `True` and `False`.
pub fn cast_with(tensor: &Tensor, to: DType, rounding: Rounding) -> Result<Tensor, CastError> {
    let from = tensor.dtype();
    if from == to {
        return Ok(tensor.clone());
    }
    if is_complex(from) && !is_complex(to) || from == DType::String && is_complex(to) {
        return Err(CastError::Unsupported { from, to });
    }
    match tensor.data() {
        Data::Strings(strings) => from_strings(tensor, strings, to, rounding),
        Data::Bytes(bytes) if to == DType::String => {
            let elements = bytes.chunks_exact(from.size()).map(|element| print(from, element)).collect();
            Ok(Tensor::strings(tensor.dims(), elements))
        }
        Data::Bytes(bytes) => Ok(numbers(tensor, bytes, to, rounding)),
    }
}

fn is_complex(dtype: DType) -> bool {
    matches!(dtype, DType::C64 | DType::C128)
}

/// Numbers to numbers; both types have bytes.
fn numbers(tensor: &Tensor, bytes: &[u8], to: DType, rounding: Rounding) -> Tensor {
    let from = tensor.dtype();
    let elements = bytes.chunks_exact(from.size());
    let mut out = Vec::with_capacity(tensor.len() * to.size());
    match (from, to) {
        (DType::C64, _) => elements.for_each(|z| {
            z.chunks_exact(4).for_each(|part| out.extend(scalar::f64_of(DType::F32, part).to_ne_bytes()))
        }),
        (DType::C128, _) => elements.for_each(|z| {
            z.chunks_exact(8).for_each(|part| out.extend((scalar::f64_of(DType::F64, part) as f32).to_ne_bytes()));
        }),
        _ if from.is_float() => elements
            .for_each(|x| out.extend_from_slice(&scalar::encode_f64_with(to, scalar::f64_of(from, x), rounding))),
        _ if to.is_float() || is_complex(to) => elements.for_each(|x| {
            let x = scalar::i64_of(from, x).unwrap_or(0);
            // An i64 holds the upper half of ui64 as negative numbers.
            let (negative, magnitude) = if from == DType::U64 { (false, x as u64) } else { (x < 0, x.unsigned_abs()) };
            out.extend_from_slice(&scalar::encode_integer(to, negative, magnitude, rounding));
        }),
        _ => elements.for_each(|x| {
            let x = scalar::i64_of(from, x).unwrap_or(0);
            out.extend_from_slice(&scalar::encode_i64(to, x));
        }),
    }
    Tensor::from_bytes(to, tensor.dims(), out)
}

fn from_strings(tensor: &Tensor, strings: &[String], to: DType, rounding: Rounding) -> Result<Tensor, CastError> {
    let mut out = Vec::with_capacity(strings.len() * to.size());
    for (index, text) in strings.iter().enumerate() {
        let element = parse(text, to, rounding);
        let element = element.ok_or_else(|| CastError::Text { index, text: text.clone(), to })?;
        out.extend_from_slice(&element);
    }
    Ok(Tensor::from_bytes(to, tensor.dims(), out))
}

fn parse(text: &str, to: DType, rounding: Rounding) -> Option<scalar::Encoded> {
    Some(match to {
        DType::Bool => scalar::encode_i64(to, number_text::parse_bool(text)?.into()),
        // Read as f32 at once: through f64 the digits would be rounded twice.
        DType::F32 => scalar::encode_f64(to, text.trim().parse::<f32>().ok()?.into()),
        _ if to.is_float() => scalar::encode_f64_with(to, text.trim().parse().ok()?, rounding),
        _ => match number_text::parse(text)? {
            Number::Integer(x) => scalar::encode_i64(to, x as i64),
            Number::Real(x) => scalar::encode_f64(to, x),
        },
    })
}

fn print(from: DType, element: &[u8]) -> String {
    match from {
        DType::Bool => if element == [0] { "False" } else { "True" }.to_string(),
        DType::U64 => (scalar::i64_of(from, element).unwrap_or(0) as u64).to_string(),
        _ if from.is_float() => number_text::print_float(from, scalar::f64_of(from, element)),
        _ => scalar::i64_of(from, element).unwrap_or(0).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(x: &[f32]) -> Tensor {
        Tensor::new(&[x.len()], x.to_vec())
    }

    #[test]
    fn floats_to_integers_truncate_and_wrap_as_on_x86() {
        let x = floats(&[-1.5, 3.7, 128.0, 300.0, 65536.5, 5e9, 9.3e18, -1e30, f32::NAN, f32::INFINITY]);
        let to = |dtype| cast(&x, dtype, true).unwrap().to_i64s().unwrap();
        let min = i64::MIN;
        assert_eq!(to(DType::I8), [-1, 3, -128, 44, 0, 0, 0, 0, 0, 0]);
        assert_eq!(to(DType::U8), [255, 3, 128, 44, 0, 0, 0, 0, 0, 0]);
        assert_eq!(to(DType::I4), [-1, 3, 0, -4, 0, 0, 0, 0, 0, 0]);
        assert_eq!(to(DType::U2), [3, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
        let low = i64::from(i32::MIN);
        assert_eq!(to(DType::I32), [-1, 3, 128, 300, 65536, low, low, low, low, low]);
        assert_eq!(to(DType::U32), [4294967295, 3, 128, 300, 65536, 705032704, 0, 0, 0, 0]);
        assert_eq!(to(DType::I64), [-1, 3, 128, 300, 65536, 5_000_000_000, min, min, min, min]);
        assert_eq!(to(DType::U64)[..7], [-1, 3, 128, 300, 65536, 5_000_000_000, 9_300_000_300_729_368_576_u64 as i64]);
    }

    #[test]
    fn integers_to_narrow_integers_keep_the_low_bits() {
        let x = Tensor::new(&[5], vec![-9i64, 8, 15, 200, -129]);
        let to = |dtype| cast(&x, dtype, true).unwrap().to_i64s().unwrap();
        assert_eq!(to(DType::I4), [7, -8, -1, -8, -1]);
        assert_eq!(to(DType::U4), [7, 8, 15, 8, 15]);
        assert_eq!(to(DType::I2), [-1, 0, -1, 0, -1]);
        assert_eq!(to(DType::I8), [-9, 8, 15, -56, 127]);
        assert_eq!(to(DType::Bool), [1; 5]);
    }

    #[test]
    fn wide_integers_round_once() {
        let x = Tensor::new(&[2], vec![u64::MAX, (1 << 63) + 1]);
        assert_eq!(cast(&x, DType::F32, true).unwrap().to_f64s().unwrap(), [2f64.powi(64), 2f64.powi(63)]);
        let y = Tensor::new(&[1], vec![-(1i64 << 40) - (1 << 32) - 1]);
        assert_eq!(cast(&y, DType::BF16, true).unwrap().to_f64s().unwrap(), [-(((1u64 << 40) + (1 << 33)) as f64)]);
    }

    #[test]
    fn every_pair_of_number_types_agrees_on_small_numbers() {
        let plain: Vec<DType> =
            DType::ALL.into_iter().filter(|d| !matches!(d, DType::String | DType::C64 | DType::C128)).collect();
        for &from in &plain {
            let x = Tensor::from_f64s(from, &[1], &[1.0]).unwrap();
            for &to in &plain {
                // 1 has a code of its own in every type but i2, where it is the largest.
                assert_eq!(cast(&x, to, true).unwrap().to_f64s().unwrap(), [1.0], "{from} to {to}");
            }
            let text = cast(&x, DType::String, true).unwrap();
            assert_eq!(cast(&text, from, true).unwrap(), x, "{from} through {text:?}");
        }
    }

    #[test]
    fn numbers_as_text() {
        let print = |x: &Tensor| cast(x, DType::String, true).unwrap().as_strings().unwrap().to_vec();
        assert_eq!(
            print(&floats(&[314.15927, 1.0, 1e-7, 1e10, -0.0, f32::NAN, f32::NEG_INFINITY])),
            ["314.15927", "1.0", "0.0000001", "10000000000.0", "-0.0", "NaN", "-INF"]
        );
        assert_eq!(print(&Tensor::from_f64s(DType::F16, &[2], &[0.1, 65504.0]).unwrap()), ["0.1", "65500.0"]);
        assert_eq!(print(&Tensor::new(&[1], vec![u64::MAX])), ["18446744073709551615"]);
        assert_eq!(print(&Tensor::bools(&[2], vec![true, false])), ["True", "False"]);
    }

    #[test]
    fn text_as_numbers() {
        let text = |words: &[&str]| Tensor::strings(&[words.len()], words.iter().map(|w| w.to_string()).collect());
        let x = cast(&text(&["3.25", "1e-5", "1E8", "+inf", "-INF", "1000"]), DType::F32, true).unwrap();
        assert_eq!(*x.elements::<f32>(), [3.25f32, 1e-5, 1e8, f32::INFINITY, f32::NEG_INFINITY, 1000.0]);
        assert!(cast(&text(&["nan"]), DType::F16, true).unwrap().to_f64s().unwrap()[0].is_nan());
        assert_eq!(cast(&text(&["100.5", "-7"]), DType::I32, true).unwrap().to_i64s().unwrap(), [100, -7]);
        let wide = cast(&text(&["18446744073709551615"]), DType::U64, true).unwrap();
        assert_eq!(*wide.elements::<u64>(), [u64::MAX]);
        let error = cast(&text(&["1", "Hello"]), DType::I8, true).unwrap_err();
        assert_eq!(error.to_string(), "element 1, \"Hello\", is not a number that i8 can hold");
    }

    #[test]
    fn complex_numbers_stay_complex() {
        let z = Tensor::from_bytes(DType::C64, &[1], bytemuck::cast_slice(&[1.5f32, -2.0]).to_vec());
        let wide = cast(&z, DType::C128, true).unwrap();
        assert_eq!(wide.bytes(), bytemuck::cast_slice::<f64, u8>(&[1.5, -2.0]));
        assert_eq!(cast(&wide, DType::C64, true).unwrap(), z);
        assert!(matches!(cast(&z, DType::F32, true), Err(CastError::Unsupported { .. })));
    }

    #[test]
    fn empty_and_scalar_tensors() {
        assert_eq!(cast(&Tensor::new::<f32>(&[0, 3], vec![]), DType::String, true).unwrap().dims(), [0, 3]);
        assert_eq!(cast(&Tensor::scalar(2.5f64), DType::I64, true).unwrap(), Tensor::scalar(2i64));
    }
}
