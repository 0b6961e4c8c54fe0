//! The one table of scalar arithmetic.
//!
//! Tensor kernels ask [`float_unary`] and its sisters for a function once and run it over all elements; the
//! interpreter of scalar ops calls [`unary`], [`binary`] and [`compare`] on [`Scalar`]s. Both round after each
//! operation: floating-point functions are computed in `f64` and rounded to the operand's type, which for `+ - * /`
//! and `sqrt` on `f32`, `f16` and `bf16` is the IEEE result (53 >= 2 * 24 + 2 bits) and for the others is within half
//! a unit in the last place plus `f64`'s own error. Integers are exact and then wrap in two's complement.

use crate::kernels::KernelError;
use nim_tensor::{DType, Rounding};
use std::cmp::Ordering;

mod functions;
mod ops;

pub use functions::{erf, maximum, minimum, pow_int_float};
pub use ops::{BinaryOp, CompareOp, UnaryOp};
pub use ops::{bool_binary, float_binary, float_predicate, float_unary, int_binary, int_unary};

/// How a scalar is rounded to a type, as upstream's `arith.truncf` does it: what is too large becomes infinity, or NaN
/// where there is none; who wants saturation clamps first. Powers of two have neither zero nor infinity and saturate.
pub fn rounding(dtype: DType) -> Rounding {
    Rounding { saturate: dtype == DType::F8E8M0FNU, ..Rounding::default() }
}

/// The nearest number of a floating-point type, ties to even; `x` itself for other types.
pub fn round_to(dtype: DType, x: f64) -> f64 {
    match dtype {
        DType::F32 => f64::from(x as f32),
        DType::F64 => x,
        _ if dtype.is_float() => nim_tensor::f64_of(dtype, &nim_tensor::encode_f64_with(dtype, x, rounding(dtype))),
        _ => x,
    }
}

/// An integer type: two's complement of some width.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct IntType {
    /// Width in bits, 1 to 64.
    pub bits: u32,
    /// Whether values are read as signed.
    pub signed: bool,
}

impl IntType {
    /// The type of a tensor's integer elements; `None` for other element types.
    pub fn of(dtype: DType) -> Option<IntType> {
        dtype.is_integer().then(|| IntType { bits: dtype.bits() as u32, signed: dtype.is_signed_integer() })
    }

    /// The value of this type that is congruent modulo two to the width.
    pub fn wrap(self, value: i128) -> i128 {
        let shift = 128 - self.bits;
        if self.signed { value << shift >> shift } else { ((value as u128) << shift >> shift) as i128 }
    }

    /// The least value.
    pub fn min(self) -> i128 {
        if self.signed { -(1 << (self.bits - 1)) } else { 0 }
    }

    /// The greatest value.
    pub fn max(self) -> i128 {
        if self.signed { (1 << (self.bits - 1)) - 1 } else { (1 << self.bits) - 1 }
    }
}

/// One number or truth value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Scalar {
    /// An integer; the value is inside its type.
    Int {
        /// Its type.
        ty: IntType,
        /// Its value.
        value: i128,
    },
    /// A real number; the value is representable in its type.
    Float {
        /// Its floating-point type.
        dtype: DType,
        /// Its value.
        value: f64,
    },
    /// A truth value.
    Bool(bool),
}

impl Scalar {
    /// An integer, wrapped into its type.
    pub fn int(ty: IntType, value: i128) -> Scalar {
        Scalar::Int { ty, value: ty.wrap(value) }
    }

    /// A real number, rounded to its type.
    pub fn float(dtype: DType, value: f64) -> Scalar {
        Scalar::Float { dtype, value: round_to(dtype, value) }
    }
}

/// Applies a unary operation; the result has the operand's type, except that predicates give a truth value.
pub fn unary(op: UnaryOp, operand: Scalar) -> Result<Scalar, KernelError> {
    let found = match operand {
        Scalar::Float { dtype, value } => {
            if let Some(function) = float_unary(op) {
                return Ok(Scalar::float(dtype, function(value)));
            }
            if let Some(predicate) = float_predicate(op) {
                return Ok(Scalar::Bool(predicate(value)));
            }
            dtype
        }
        Scalar::Int { ty, value } => match int_unary(op) {
            Some(function) => return Ok(Scalar::int(ty, function(value, ty))),
            None => return Err(KernelError::invalid(op.name(), "not defined on integers")),
        },
        Scalar::Bool(value) if matches!(op, UnaryOp::Not | UnaryOp::BitwiseNot) => return Ok(Scalar::Bool(!value)),
        Scalar::Bool(_) => DType::Bool,
    };
    Err(KernelError::element_type(op.name(), found, op.domain()))
}

/// Applies a binary operation to operands of one type; only [`BinaryOp::Pow`] takes an exponent of another type.
pub fn binary(op: BinaryOp, a: Scalar, b: Scalar) -> Result<Scalar, KernelError> {
    let undefined = |class: &str| KernelError::invalid(op.name(), format!("not defined on {class}"));
    match (a, b) {
        (Scalar::Float { dtype, value: x }, Scalar::Float { dtype: other, value: y })
            if dtype == other || op == BinaryOp::Pow =>
        {
            let function = float_binary(op).ok_or_else(|| undefined("floating-point numbers"))?;
            Ok(Scalar::float(dtype, function(x, y)))
        }
        (Scalar::Int { ty, value: x }, Scalar::Int { ty: other, value: y }) if ty == other || op == BinaryOp::Pow => {
            let function = int_binary(op).ok_or_else(|| undefined("integers"))?;
            Ok(Scalar::int(ty, function(x, y, ty)))
        }
        (Scalar::Bool(x), Scalar::Bool(y)) => {
            let function = bool_binary(op).ok_or_else(|| undefined("truth values"))?;
            Ok(Scalar::Bool(function(x, y)))
        }
        (Scalar::Float { dtype, value: x }, Scalar::Int { value: y, .. }) if op == BinaryOp::Pow => {
            Ok(Scalar::float(dtype, x.powf(y as f64)))
        }
        (Scalar::Int { ty, value: x }, Scalar::Float { value: y, .. }) if op == BinaryOp::Pow => {
            Ok(Scalar::int(ty, functions::pow_int_float(x, y, ty)))
        }
        _ => Err(KernelError::invalid(op.name(), "operands have different types")),
    }
}

/// Compares two operands of one type. Comparisons with NaN are false, except `ne`.
pub fn compare(op: CompareOp, a: Scalar, b: Scalar) -> Result<bool, KernelError> {
    let ordering = match (a, b) {
        (Scalar::Float { dtype, value: x }, Scalar::Float { dtype: other, value: y }) if dtype == other => {
            x.partial_cmp(&y)
        }
        (Scalar::Int { ty, value: x }, Scalar::Int { ty: other, value: y }) if ty == other => Some(x.cmp(&y)),
        (Scalar::Bool(x), Scalar::Bool(y)) => Some(x.cmp(&y)),
        _ => return Err(KernelError::invalid(op.name(), "operands have different types")),
    };
    Ok(op.holds(ordering))
}

impl CompareOp {
    /// Whether the relation holds for operands in this order; `None` is unordered.
    pub fn holds(self, ordering: Option<Ordering>) -> bool {
        match self {
            CompareOp::Eq => ordering == Some(Ordering::Equal),
            CompareOp::Ne => ordering != Some(Ordering::Equal),
            CompareOp::Lt => ordering == Some(Ordering::Less),
            CompareOp::Le => ordering.is_some_and(Ordering::is_le),
            CompareOp::Gt => ordering == Some(Ordering::Greater),
            CompareOp::Ge => ordering.is_some_and(Ordering::is_ge),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const I8: IntType = IntType { bits: 8, signed: true };
    const U64: IntType = IntType { bits: 64, signed: false };

    #[test]
    fn integers_wrap() {
        let apply = |op, a, b| match binary(op, Scalar::int(I8, a), Scalar::int(I8, b)).unwrap() {
            Scalar::Int { value, .. } => value,
            other => panic!("{other:?}"),
        };
        assert_eq!(apply(BinaryOp::Add, 127, 1), -128);
        assert_eq!(apply(BinaryOp::Div, -128, -1), -128);
        assert_eq!(apply(BinaryOp::Div, -7, 2), -3);
        assert_eq!(apply(BinaryOp::Div, 7, 0), 0);
        assert_eq!(apply(BinaryOp::Mod, -7, 3), 2);
        assert_eq!(apply(BinaryOp::Fmod, -7, 3), -1);
        assert_eq!(apply(BinaryOp::Pow, 3, 5), -13);
        assert_eq!(apply(BinaryOp::Pow, -1, -3), -1);
        assert_eq!(apply(BinaryOp::Pow, 2, -1), 0);
        assert_eq!(apply(BinaryOp::ShiftRight, -8, 1), -4);
        assert_eq!(apply(BinaryOp::ShiftLeft, 1, 9), 0);
        assert_eq!((U64.min(), U64.max()), (0, i128::from(u64::MAX)));
        let all = Scalar::int(U64, -1);
        assert_eq!(binary(BinaryOp::Mul, all, all).unwrap(), Scalar::int(U64, 1));
    }

    #[test]
    fn floats_round_after_each_operation() {
        let f = |x| Scalar::float(DType::F16, x);
        // 2049 lies between the halves 2048 and 2050 and goes to the even one.
        assert_eq!(binary(BinaryOp::Add, f(2048.0), f(1.0)).unwrap(), f(2048.0));
        assert!(matches!(unary(UnaryOp::Sqrt, f(-1.0)).unwrap(), Scalar::Float { value, .. } if value.is_nan()));
        assert_eq!(unary(UnaryOp::IsNan, f(f64::NAN)).unwrap(), Scalar::Bool(true));
        assert!(unary(UnaryOp::Exp, Scalar::int(I8, 1)).is_err());
        assert!(!compare(CompareOp::Le, f(f64::NAN), f(1.0)).unwrap());
        assert!(compare(CompareOp::Ne, f(f64::NAN), f(f64::NAN)).unwrap());
    }
}
