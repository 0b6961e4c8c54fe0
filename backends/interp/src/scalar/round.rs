//! Rounding of `f64` to narrower floating-point types.

use half::{bf16, f16};
use nim_tensor::DType;

/// The `f32` next to `x` whose last bit is 1 unless it is exact ("round to odd").
///
/// Rounding this once more to at most 22 significant bits gives what rounding `x` itself would give.
fn round_to_odd(x: f64) -> f32 {
    let nearest = x as f32;
    if f64::from(nearest) == x || nearest.is_nan() || nearest.to_bits() & 1 == 1 {
        return nearest;
    }
    // `nearest` is even and inexact: the odd neighbour is on the other side of `x`.
    let bits = nearest.to_bits();
    let away = f64::from(nearest).abs() < x.abs();
    match nearest {
        0.0 => f32::from_bits(1).copysign(x as f32),
        _ => f32::from_bits(if away { bits + 1 } else { bits - 1 }),
    }
}

/// Rounds to `f16`, to nearest even.
pub fn round_f16(x: f64) -> f16 {
    f16::from_f32(round_to_odd(x))
}

/// Rounds to `bf16`, to nearest even.
pub fn round_bf16(x: f64) -> bf16 {
    bf16::from_f32(round_to_odd(x))
}

/// The nearest number of a floating-point type, ties to even; `x` itself for other types.
pub fn round_to(dtype: DType, x: f64) -> f64 {
    match dtype {
        DType::F32 => f64::from(x as f32),
        DType::F16 => f64::from(round_f16(x)),
        DType::BF16 => f64::from(round_bf16(x)),
        _ => x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_once() {
        // Just above the midpoint of 1 and its f16 successor; rounding to f32 first would make it a tie.
        let x = 1.0 + 2f64.powi(-11) + 2f64.powi(-40);
        assert_eq!(round_to(DType::F16, x), 1.0 + 2f64.powi(-10));
        assert_eq!(round_to(DType::F16, 1.0 + 2f64.powi(-11)), 1.0);
        let x = 1.0 + 2f64.powi(-8) + 2f64.powi(-40);
        assert_eq!(round_to(DType::BF16, x), 1.0 + 2f64.powi(-7));
        assert_eq!(round_to(DType::F16, 65519.0), 65504.0);
        assert_eq!(round_to(DType::F16, 65520.0), f64::INFINITY);
        assert_eq!(round_to(DType::F16, f64::MAX), f64::INFINITY);
        assert_eq!(round_to(DType::F16, -1e-300).to_bits(), (-0.0f64).to_bits());
        assert!(round_to(DType::BF16, f64::NAN).is_nan());
    }
}
