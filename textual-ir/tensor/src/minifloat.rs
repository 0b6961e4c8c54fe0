//! Encodings of the floating-point types that are narrower than `f32`.
//!
//! One generic encoder rounds an exact value `significand * 2^exponent` once, half to even, to any of the formats:
//! IEEE `f16`, `bf16`, the four 8-bit types of "FP8 Formats for Deep Learning" (arXiv 2209.05433) and "8-bit Numerical
//! Formats For Deep Neural Networks" (arXiv 2206.02915), and the OCP microscaling types `f4E2M1FN` and `f8E8M0FNU`; beyond what
//! tensors hold, the other narrow types of MLIR.
//! Rounding once matters: going through `f32` first would round `f64` and `i64` sources twice.

use crate::DType;

/// What a format does with the codes that IEEE reserves, and what it has instead of infinity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Specials {
    /// Infinities and NaNs under the all-ones exponent.
    Ieee,
    /// No infinity; NaN is all ones but the sign.
    Fn,
    /// No infinity, no negative zero, whose code is the only NaN.
    Fnuz,
    /// Neither infinity nor NaN.
    Finite,
}

/// A signed format of at most 19 bits.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    exponent_bits: u32,
    mantissa_bits: u32,
    bias: i32,
    specials: Specials,
}

const fn format(exponent_bits: u32, mantissa_bits: u32, bias: i32, specials: Specials) -> Format {
    Format { exponent_bits, mantissa_bits, bias, specials }
}

/// An exact real number other than zero: `significand * 2^exponent`, negated if `negative`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exact {
    pub negative: bool,
    pub significand: u64,
    pub exponent: i32,
}

impl Exact {
    /// The value of a finite `f64`; the significand of zero is zero.
    pub fn of_f64(x: f64) -> Exact {
        let bits = x.to_bits();
        let (biased, mantissa) = ((bits >> 52) as i32 & 0x7ff, bits & ((1 << 52) - 1));
        let (significand, exponent) = if biased == 0 { (mantissa, -1074) } else { (mantissa | 1 << 52, biased - 1075) };
        Exact { negative: x.is_sign_negative(), significand, exponent }
    }

    /// The exponent of the leading bit: `floor(log2(|value|))`.
    fn magnitude(self) -> i32 {
        self.exponent + 63 - self.significand.leading_zeros() as i32
    }
}

/// The format of a signed narrow floating-point type.
pub(crate) fn format_of(dtype: DType) -> Option<Format> {
    Format::named(dtype.name())
}

impl Format {
    /// The format that MLIR knows by this name; `f8E8M0FNU`, which has no sign, is not one of these.
    pub fn named(name: &str) -> Option<Format> {
        Some(match name {
            "f16" => format(5, 10, 15, Specials::Ieee),
            "bf16" => format(8, 7, 127, Specials::Ieee),
            "tf32" => format(8, 10, 127, Specials::Ieee),
            "f8E3M4" => format(3, 4, 3, Specials::Ieee),
            "f8E4M3" => format(4, 3, 7, Specials::Ieee),
            "f8E4M3FN" => format(4, 3, 7, Specials::Fn),
            "f8E4M3FNUZ" => format(4, 3, 8, Specials::Fnuz),
            "f8E4M3B11FNUZ" => format(4, 3, 11, Specials::Fnuz),
            "f8E5M2" => format(5, 2, 15, Specials::Ieee),
            "f8E5M2FNUZ" => format(5, 2, 16, Specials::Fnuz),
            "f6E2M3FN" => format(2, 3, 1, Specials::Finite),
            "f6E3M2FN" => format(3, 2, 3, Specials::Finite),
            "f4E2M1FN" => format(2, 1, 1, Specials::Finite),
            _ => return None,
        })
    }

    fn sign_bit(self) -> u32 {
        1 << (self.exponent_bits + self.mantissa_bits)
    }

    /// Code of the largest finite value.
    fn max_finite(self) -> u32 {
        match self.specials {
            // The whole top exponent is taken by infinity and NaN.
            Specials::Ieee => self.infinity() - 1,
            // Only the very last code is taken.
            Specials::Fn => self.sign_bit() - 2,
            Specials::Fnuz | Specials::Finite => self.sign_bit() - 1,
        }
    }

    fn infinity(self) -> u32 {
        ((1 << self.exponent_bits) - 1) << self.mantissa_bits
    }

    /// Code of NaN. A format without NaN gives a zero of the opposite sign, as the standard's reference does.
    fn nan(self, negative: bool) -> u32 {
        let sign = if negative { self.sign_bit() } else { 0 };
        match self.specials {
            Specials::Ieee => sign | self.infinity() | 1 << (self.mantissa_bits - 1),
            Specials::Fn => sign | (self.sign_bit() - 1),
            Specials::Fnuz => self.sign_bit(),
            Specials::Finite => self.sign_bit() ^ sign,
        }
    }

    /// What a value too large becomes.
    fn overflow(self, negative: bool, saturate: bool) -> u32 {
        let sign = if negative { self.sign_bit() } else { 0 };
        match self.specials {
            Specials::Finite => sign | self.max_finite(),
            _ if saturate => sign | self.max_finite(),
            Specials::Ieee => sign | self.infinity(),
            Specials::Fn | Specials::Fnuz => self.nan(negative),
        }
    }

    /// Rounds to nearest, ties to even. With `saturate`, what is too large becomes the largest finite value.
    pub(crate) fn encode_exact(self, x: Exact, saturate: bool) -> u32 {
        let mantissa = self.mantissa_bits as i32;
        let mut code = 0;
        if x.significand != 0 {
            let smallest_normal = 1 - self.bias;
            // The last kept bit weighs 2^quantum; below the smallest normal number it stays where it is.
            let quantum = x.magnitude().max(smallest_normal) - mantissa;
            let rounded = round_shift(x.significand, quantum - x.exponent);
            // A normal number's hidden bit adds one to the exponent field, hence no `+ 1` here; so does a carry.
            let steps = (quantum - (smallest_normal - mantissa)) as u64;
            let wide = (steps << mantissa) + rounded;
            if wide > u64::from(self.max_finite()) {
                return self.overflow(x.negative, saturate);
            }
            code = wide as u32;
        }
        let no_sign = self.specials == Specials::Fnuz && code == 0;
        if x.negative && !no_sign { code | self.sign_bit() } else { code }
    }

    /// As [`Format::encode_exact`], from any `f64`.
    pub fn encode(self, x: f64, saturate: bool) -> u32 {
        if x.is_nan() {
            self.nan(x.is_sign_negative())
        } else if x.is_infinite() {
            self.overflow(x.is_sign_negative(), saturate)
        } else {
            self.encode_exact(Exact::of_f64(x), saturate)
        }
    }

    /// The value of a code; bits above the format's width are ignored.
    pub fn decode(self, code: u32) -> f64 {
        let negative = code & self.sign_bit() != 0;
        let magnitude = code & (self.sign_bit() - 1);
        let sign = if negative { -1.0 } else { 1.0 };
        let (exponent, mantissa) =
            ((magnitude >> self.mantissa_bits) as i32, magnitude & ((1 << self.mantissa_bits) - 1));
        match self.specials {
            Specials::Fnuz if negative && magnitude == 0 => return f64::NAN,
            Specials::Fn if magnitude == self.sign_bit() - 1 => return f64::NAN.copysign(sign),
            Specials::Ieee if magnitude == self.infinity() => return sign * f64::INFINITY,
            Specials::Ieee if magnitude > self.infinity() => return f64::NAN.copysign(sign),
            _ => {}
        }
        let hidden = if exponent == 0 { 0 } else { 1 << self.mantissa_bits };
        let scale = power_of_two(exponent.max(1) - self.bias - self.mantissa_bits as i32);
        sign * f64::from(mantissa | hidden) * scale
    }
}

/// `significand / 2^shift` to the nearest integer, ties to even; a negative shift multiplies.
fn round_shift(significand: u64, shift: i32) -> u64 {
    if shift <= 0 {
        // The caller keeps at most `mantissa + 1` significant bits, so nothing is shifted out.
        return significand << -shift;
    }
    if shift > 64 {
        // Less than half of the last bit.
        return 0;
    }
    let wide = u128::from(significand);
    let (whole, rest, half) = (wide >> shift, wide & ((1 << shift) - 1), 1u128 << (shift - 1));
    let up = rest > half || (rest == half && whole & 1 == 1);
    whole as u64 + u64::from(up)
}

/// `2^exponent` for a normal `f64` exponent.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// How a cast to `f8E8M0FNU`, which has powers of two only, picks its neighbour: attribute `round_mode` of Cast.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum E8m0Round {
    /// To the larger power of two.
    #[default]
    Up,
    /// To the smaller power of two.
    Down,
    /// To the nearer power of two, ties up.
    Nearest,
}

/// Code of the NaN of `f8E8M0FNU`.
const E8M0_NAN: u8 = 0xff;
/// Code of its largest value, `2^127`.
const E8M0_MAX: u8 = 0xfe;

/// Encodes a number as a power of two. The type has no sign; the standard leaves negative numbers open, their
/// magnitude is taken, as the reference does. Zero, infinities and what is out of range follow the table in Cast:
/// with `saturate` the nearest end of the range, else NaN.
pub(crate) fn encode_e8m0(x: f64, round: E8m0Round, saturate: bool) -> u8 {
    if x.is_nan() {
        E8M0_NAN
    } else if x.is_infinite() {
        if saturate { E8M0_MAX } else { E8M0_NAN }
    } else {
        encode_e8m0_exact(Exact::of_f64(x), round, saturate)
    }
}

/// As [`encode_e8m0`], from an exact value.
pub(crate) fn encode_e8m0_exact(x: Exact, round: E8m0Round, saturate: bool) -> u8 {
    if x.significand == 0 {
        return if saturate { 0 } else { E8M0_NAN };
    }
    let leading = x.significand << x.significand.leading_zeros();
    let up = match round {
        E8m0Round::Up => leading != 1 << 63,
        E8m0Round::Down => false,
        E8m0Round::Nearest => leading & 1 << 62 != 0,
    };
    let code = x.magnitude() + i32::from(up) + 127;
    match u8::try_from(code) {
        Ok(code) if code <= E8M0_MAX => code,
        _ if !saturate => E8M0_NAN,
        _ if code < 0 => 0,
        _ => E8M0_MAX,
    }
}

/// The value of a code of `f8E8M0FNU`.
pub(crate) fn decode_e8m0(code: u8) -> f64 {
    if code == E8M0_NAN { f64::NAN } else { power_of_two(i32::from(code) - 127) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::{bf16, f16};

    const NARROW: [DType; 7] = [
        DType::F16,
        DType::BF16,
        DType::F8E4M3FN,
        DType::F8E4M3FNUZ,
        DType::F8E5M2,
        DType::F8E5M2FNUZ,
        DType::F4E2M1FN,
    ];

    #[test]
    fn every_code_survives_a_round_trip() {
        for dtype in NARROW {
            let format = format_of(dtype).unwrap();
            for code in 0..=(format.sign_bit() - 1) | format.sign_bit() {
                let x = format.decode(code);
                if x.is_nan() {
                    assert!(format.decode(format.encode(x, true)).is_nan(), "{dtype} {code:#x}");
                } else {
                    assert_eq!(format.encode(x, false), code, "{dtype} {code:#x} = {x}");
                }
            }
        }
        for code in 0..=u8::MAX {
            for round in [E8m0Round::Up, E8m0Round::Down, E8m0Round::Nearest] {
                assert_eq!(encode_e8m0(decode_e8m0(code), round, false), code);
            }
        }
    }

    #[test]
    fn halfway_values_go_to_the_even_code() {
        for dtype in NARROW {
            let format = format_of(dtype).unwrap();
            for code in 0..format.max_finite() {
                let (low, high) = (format.decode(code), format.decode(code + 1));
                let middle = (low + high) / 2.0;
                assert_eq!(format.encode(middle, false), code + (code & 1), "{dtype} {code:#x}");
                assert_eq!(format.encode(middle.next_up(), false), code + 1, "{dtype} {code:#x}");
                assert_eq!(format.encode(middle.next_down(), false), code, "{dtype} {code:#x}");
            }
        }
    }

    #[test]
    fn agrees_with_half_on_every_value_of_theirs() {
        let (half, brain) = (format_of(DType::F16).unwrap(), format_of(DType::BF16).unwrap());
        for bits in 0..=u16::MAX {
            let (h, b) = (f16::from_bits(bits), bf16::from_bits(bits));
            assert_eq!(h.is_nan(), half.decode(bits.into()).is_nan());
            assert_eq!(b.is_nan(), brain.decode(bits.into()).is_nan());
            if !h.is_nan() {
                assert_eq!(h.to_f64().to_bits(), half.decode(bits.into()).to_bits());
            }
            if !b.is_nan() {
                assert_eq!(b.to_f64().to_bits(), brain.decode(bits.into()).to_bits());
            }
        }
    }

    #[test]
    fn specials_follow_the_table_of_cast() {
        let codes = |dtype: DType, saturate: bool| {
            let format = format_of(dtype).unwrap();
            [f64::NAN, -f64::NAN, f64::INFINITY, -f64::INFINITY, 1e30, -1e30, -0.0, 1e-9, -1e-9]
                .map(|x| format.encode(x, saturate))
        };
        assert_eq!(codes(DType::F8E4M3FN, true), [127, 255, 126, 254, 126, 254, 128, 0, 128]);
        assert_eq!(codes(DType::F8E4M3FN, false), [127, 255, 127, 255, 127, 255, 128, 0, 128]);
        assert_eq!(codes(DType::F8E4M3FNUZ, true), [128, 128, 127, 255, 127, 255, 0, 0, 0]);
        assert_eq!(codes(DType::F8E4M3FNUZ, false), [128, 128, 128, 128, 128, 128, 0, 0, 0]);
        assert_eq!(codes(DType::F8E5M2, true), [126, 254, 123, 251, 123, 251, 128, 0, 128]);
        assert_eq!(codes(DType::F8E5M2, false), [126, 254, 124, 252, 124, 252, 128, 0, 128]);
        assert_eq!(codes(DType::F8E5M2FNUZ, true), [128, 128, 127, 255, 127, 255, 0, 0, 0]);
        assert_eq!(codes(DType::F8E5M2FNUZ, false), [128, 128, 128, 128, 128, 128, 0, 0, 0]);
        assert_eq!(codes(DType::F4E2M1FN, false), [8, 0, 7, 15, 7, 15, 8, 0, 8]);
    }

    #[test]
    fn e8m0_rounds_and_saturates() {
        let encode = |x, round, saturate| encode_e8m0(x, round, saturate);
        assert_eq!(encode(1.1, E8m0Round::Up, true), 128);
        assert_eq!(encode(1.9, E8m0Round::Down, true), 127);
        assert_eq!(encode(1.5, E8m0Round::Nearest, true), 128);
        assert_eq!(encode(1.4999, E8m0Round::Nearest, true), 127);
        assert_eq!(encode(0.0, E8m0Round::Up, true), 0);
        assert_eq!(encode(0.0, E8m0Round::Nearest, false), E8M0_NAN);
        assert_eq!(encode(1e300, E8m0Round::Up, true), E8M0_MAX);
        assert_eq!(encode(1e300, E8m0Round::Up, false), E8M0_NAN);
        assert_eq!(encode(1e-300, E8m0Round::Up, true), 0);
        assert_eq!(encode(1e-300, E8m0Round::Nearest, false), E8M0_NAN);
        assert_eq!(encode(f64::INFINITY, E8m0Round::Up, true), E8M0_MAX);
    }

    #[test]
    fn integers_are_rounded_once() {
        // 2^40 + 2^32 + 1 is just above a tie of bf16; rounding to f32 first would lose the last bit and fall back.
        let brain = format_of(DType::BF16).unwrap();
        let x = Exact { negative: false, significand: (1 << 40) + (1 << 32) + 1, exponent: 0 };
        assert_eq!(brain.decode(brain.encode_exact(x, false)), ((1u64 << 40) + (1 << 33)) as f64);
        let top = Exact { negative: true, significand: u64::MAX, exponent: 0 };
        assert_eq!(brain.decode(brain.encode_exact(top, false)), -(2f64.powi(64)));
    }
}
