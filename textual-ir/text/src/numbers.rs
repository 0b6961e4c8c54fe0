//! Numbers as MLIR writes them, and the values of element types as bytes.

use nim_ir::{Context, FloatKind, Signedness, Type, TypeData};
use nim_tensor::{DType, E8m0Round, Format, Rounding, encode_f64_with, f64_of};

/// A finite or other float as a literal that reads back as the same value of the type.
pub fn float_literal(ctx: &Context, ty: Type, x: f64) -> String {
    let kind = match ctx.type_data(ty) {
        TypeData::Float(kind) => *kind,
        _ => FloatKind::F64,
    };
    if !x.is_finite() {
        return float_bits(kind, x);
    }
    // Upstream's six digits where they are enough, else as many as it takes.
    let round = |text: &str| parse_float(kind, text);
    let value = round(&format!("{x:e}"));
    (6..=17)
        .map(|digits| mlir_exponent(&format!("{x:.digits$e}")))
        .find(|text| round(text).to_bits() == value.to_bits())
        .unwrap_or_else(|| mlir_exponent(&format!("{x:.17e}")))
}

/// `1.5e0` as `1.500000e+00`.
fn mlir_exponent(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// The value of a type nearest to a decimal literal, which is an `f64` first, as it is upstream.
pub fn parse_float(kind: FloatKind, text: &str) -> f64 {
    round_to(kind, text.parse().unwrap_or(f64::NAN))
}

/// The value of a type nearest to a number; what is too large becomes infinity, or NaN where there is none, or else the
/// largest value.
pub fn round_to(kind: FloatKind, x: f64) -> f64 {
    match kind {
        FloatKind::F64 | FloatKind::F80 | FloatKind::F128 => x,
        FloatKind::F32 => f64::from(x as f32),
        FloatKind::F8E8M0FNU => {
            // Zero is no value of it; the smallest is the nearest.
            let saturate = x.is_finite() && x.abs() < 1.0;
            let rounding = Rounding { saturate, e8m0: E8m0Round::Nearest };
            f64_of(DType::F8E8M0FNU, &encode_f64_with(DType::F8E8M0FNU, x, rounding))
        }
        _ => Format::named(kind.name()).map_or(x, |format| format.decode(format.encode(x, false))),
    }
}

/// Exponent and mantissa bits; the leading one of `f80` is explicit.
fn layout(kind: FloatKind) -> (u32, u32) {
    use FloatKind::*;
    match kind {
        F16 => (5, 10),
        BF16 => (8, 7),
        F32 => (8, 23),
        F64 => (11, 52),
        TF32 => (8, 10),
        F80 => (15, 64),
        F128 => (15, 112),
        F8E5M2 | F8E5M2FNUZ => (5, 2),
        F8E4M3 | F8E4M3FN | F8E4M3FNUZ | F8E4M3B11FNUZ => (4, 3),
        F8E3M4 => (3, 4),
        F8E8M0FNU => (8, 0),
        F6E2M3FN => (2, 3),
        F6E3M2FN => (3, 2),
        F4E2M1FN => (2, 1),
    }
}

/// The bits of an element in hexadecimal, as many digits as its type has.
pub fn bits_literal(dtype: DType, bytes: &[u8]) -> String {
    let bits = little_endian(bytes).iter().rev().fold(0u64, |bits, &b| bits << 8 | u64::from(b));
    format!("0x{bits:0width$X}", width = dtype.bits().div_ceil(4))
}

/// Formats whose infinities and NaNs are those of IEEE 754: then the bits of a NaN are kept in those of an `f64`.
fn is_ieee(kind: FloatKind) -> bool {
    use FloatKind::*;
    matches!(kind, F16 | BF16 | F32 | F64 | TF32 | F8E5M2 | F8E4M3 | F8E3M4)
}

/// Infinity or NaN as the hexadecimal bits of the type.
fn float_bits(kind: FloatKind, x: f64) -> String {
    let width = kind.bits().div_ceil(4) as usize;
    if is_ieee(kind) {
        let (exponent, mantissa) = layout(kind);
        let bits = x.to_bits();
        let fraction = (bits & ((1 << 52) - 1)) >> (52 - mantissa);
        let ones = ((1u64 << exponent) - 1) << mantissa;
        // A NaN of more digits than the type has stays one.
        let quiet = if x.is_nan() && fraction == 0 { 1 << (mantissa - 1) } else { 0 };
        return format!("0x{:0width$X}", (bits >> 63) << (kind.bits() - 1) | ones | fraction | quiet);
    }
    if kind == FloatKind::F8E8M0FNU {
        return "0xFF".into();
    }
    if let Some(format) = Format::named(kind.name()) {
        return format!("0x{:0width$X}", format.encode(x, false));
    }
    let (exponent, mantissa) = layout(kind);
    let ones = ((1u128 << exponent) - 1) << mantissa;
    let explicit = if kind == FloatKind::F80 { 1u128 << 63 } else { 0 };
    let quiet = match kind {
        _ if !x.is_nan() => 0,
        FloatKind::F80 => 1 << 62,
        _ => 1 << (mantissa - 1),
    };
    let sign = u128::from(x.is_sign_negative()) << (kind.bits() - 1);
    format!("0x{:0width$X}", sign | ones | explicit | quiet)
}

/// The value whose bits are these; `None` when they are too many, or those of a finite `f80` or `f128`.
pub fn float_of_bits(kind: FloatKind, bits: u128) -> Option<f64> {
    if kind.bits() < 128 && bits >> kind.bits() != 0 {
        return None;
    }
    let (exponent, mantissa) = layout(kind);
    let special = (bits >> mantissa) & ((1 << exponent) - 1) == (1 << exponent) - 1;
    if special && is_ieee(kind) {
        let sign = ((bits >> (kind.bits() - 1)) as u64 & 1) << 63;
        let fraction = (bits as u64 & ((1 << mantissa) - 1)) << (52 - mantissa);
        return Some(f64::from_bits(sign | 0x7FF << 52 | fraction));
    }
    match kind {
        FloatKind::F64 => return Some(f64::from_bits(bits as u64)),
        FloatKind::F32 => return Some(f32::from_bits(bits as u32).into()),
        FloatKind::F8E8M0FNU => return Some(f64_of(DType::F8E8M0FNU, &[bits as u8])),
        _ => {}
    }
    if let Some(format) = Format::named(kind.name()) {
        return Some(format.decode(bits as u32));
    }
    let fraction = match kind {
        FloatKind::F80 => bits & ((1 << 63) - 1),
        _ => bits & ((1 << mantissa) - 1),
    };
    let negative = bits >> (kind.bits() - 1) & 1 == 1;
    let magnitude = if fraction == 0 { f64::INFINITY } else { f64::NAN };
    special.then_some(if negative { -magnitude } else { magnitude })
}

/// Bytes in the host's order as little-endian ones, or back; complex numbers are two numbers.
pub fn little_endian(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if cfg!(target_endian = "big") {
        bytes.reverse();
    }
    bytes
}

/// Elements in the host's order as little-endian ones, or back.
pub fn elements_little_endian(dtype: DType, bytes: &[u8]) -> Vec<u8> {
    let number = match dtype {
        DType::C64 | DType::C128 => dtype.size() / 2,
        _ => dtype.size(),
    };
    if number <= 1 || cfg!(target_endian = "little") {
        return bytes.to_vec();
    }
    bytes.chunks(number).flat_map(little_endian).collect()
}

/// Why an integer is no value of a type, or the value as the type keeps it: signless integers with their sign.
pub fn integer_in(ctx: &Context, ty: Type, value: i128) -> Result<i128, String> {
    let (width, sign) = match ctx.type_data(ty) {
        TypeData::Integer { width, sign } => (*width, *sign),
        TypeData::Index => (64, Signedness::Signed),
        _ => return Err(format!("an integer cannot be a value of {}", ctx.display_type(ty))),
    };
    // Wider than what we can hold: everything that could be read fits.
    if width >= 127 {
        return Ok(value);
    }
    let half = 1i128 << (width - 1);
    let range = match sign {
        Signedness::Signed => -half..half,
        Signedness::Unsigned => 0..2 * half,
        Signedness::Signless => -half..2 * half,
    };
    if !range.contains(&value) {
        return Err(format!("{value} is not in the range of {}", ctx.display_type(ty)));
    }
    Ok(if sign == Signedness::Signless && width > 1 && value >= half { value - 2 * half } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_round_trip() {
        let ctx = Context::new(&[]);
        for (kind, name) in FloatKind::NAMES {
            let ty = ctx.float_type(kind);
            for x in [0.0, -0.0, 1.0, -1.5, 0.1, 3.0, 1e-3] {
                let x = round_to(kind, x);
                let text = float_literal(&ctx, ty, x);
                let back = if x.is_finite() { parse_float(kind, &text) } else { f64::NAN };
                assert!(back == x || (back.is_nan() && x.is_nan()), "{name}: {x} as {text}");
            }
            let narrow = kind.bits() <= 16;
            for bits in 0..if narrow { 1u128 << kind.bits() } else { 0 } {
                let x = float_of_bits(kind, bits).unwrap();
                let back = if x.is_finite() { round_to(kind, x) } else { x };
                assert!(back == x || x.is_nan(), "{name}: {bits:#x}");
                let text = float_bits(kind, x);
                let special = x.is_finite() || u128::from_str_radix(&text[2..], 16) == Ok(bits);
                assert!(special, "{name}: {bits:#x} as {text}");
            }
        }
        assert_eq!(float_literal(&ctx, ctx.f32_type(), 1.0), "1.000000e+00");
        assert_eq!(float_literal(&ctx, ctx.f32_type(), 0.1f32.into()), "1.000000e-01");
        assert_eq!(float_literal(&ctx, ctx.f32_type(), f64::INFINITY), "0x7F800000");
        assert_eq!(float_of_bits(FloatKind::F32, 0xFF80_0000), Some(f64::NEG_INFINITY));
        // As upstream: the literal is an f64 first; what is too large is NaN where there is no infinity.
        assert_eq!(parse_float(FloatKind::F32, "1.00000005960464477540"), 1.0);
        assert!(parse_float(FloatKind::F8E4M3FN, "500.0").is_nan());
        assert_eq!(parse_float(FloatKind::F8E4M3, "500.0"), f64::INFINITY);
        assert_eq!(parse_float(FloatKind::F6E3M2FN, "1e9"), 28.0);
        assert_eq!(parse_float(FloatKind::F8E8M0FNU, "0.0"), 2f64.powi(-127));
        assert_eq!(float_literal(&ctx, ctx.float_type(FloatKind::F128), f64::INFINITY).len(), 34);
        assert_eq!(float_of_bits(FloatKind::F80, 0x7FFF_8000_0000_0000_0000), Some(f64::INFINITY));
    }

    #[test]
    fn integers_have_ranges() {
        let ctx = Context::new(&[]);
        assert_eq!(integer_in(&ctx, ctx.int_type(8), 255), Ok(-1));
        assert!(integer_in(&ctx, ctx.int_type(8), 256).is_err());
        assert!(integer_in(&ctx, ctx.f32_type(), 1).is_err());
    }
}
