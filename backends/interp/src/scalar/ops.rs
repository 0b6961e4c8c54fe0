//! Names of scalar operations and the functions behind them.

use super::IntType;
use super::functions::*;

/// Operations of one operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum UnaryOp {
    Neg,
    Abs,
    Exp,
    Exp2,
    Expm1,
    Log,
    Log2,
    Log10,
    Log1p,
    Sqrt,
    /// One over the square root.
    Rsqrt,
    Cbrt,
    Reciprocal,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Erf,
    Floor,
    Ceil,
    /// To the nearest integer, halves to the even one.
    Round,
    /// To the nearest integer, halves away from zero.
    RoundAway,
    Trunc,
    /// -1, 0 or 1; NaN for NaN.
    Sign,
    Sigmoid,
    /// `max(x, 0)`, keeping NaN.
    Relu,
    /// Logical negation.
    Not,
    BitwiseNot,
    /// Number of one bits.
    PopCount,
    /// Leading zero bits; the width for 0.
    LeadingZeros,
    /// Trailing zero bits; the width for 0.
    TrailingZeros,
    IsNan,
    /// Either infinity.
    IsInf,
    IsPosInf,
    IsNegInf,
    IsFinite,
}

/// Operations of two operands of one type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    /// Integers: truncated toward zero; 0 when dividing by 0.
    Div,
    /// Quotient rounded toward negative infinity.
    FloorDiv,
    /// Quotient rounded toward positive infinity.
    CeilDiv,
    /// The exponent may have another type.
    Pow,
    /// Remainder with the divisor's sign; integers: 0 when dividing by 0.
    Mod,
    /// Remainder with the dividend's sign; integers: 0 when dividing by 0.
    Fmod,
    /// NaN if one operand is NaN.
    Max,
    /// NaN if one operand is NaN.
    Min,
    /// The number if one operand is NaN.
    MaxNumber,
    /// The number if one operand is NaN.
    MinNumber,
    Atan2,
    CopySign,
    /// Logical.
    And,
    /// Logical.
    Or,
    /// Logical.
    Xor,
    BitwiseAnd,
    BitwiseOr,
    BitwiseXor,
    ShiftLeft,
    /// Fills with the sign; unsigned types have none.
    ShiftRight,
}

/// Relations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl UnaryOp {
    /// The name as the `graph` dialect and error messages spell it.
    pub fn name(self) -> &'static str {
        use UnaryOp::*;
        match self {
            Neg => "neg",
            Abs => "abs",
            Exp => "exp",
            Exp2 => "exp2",
            Expm1 => "expm1",
            Log => "log",
            Log2 => "log2",
            Log10 => "log10",
            Log1p => "log1p",
            Sqrt => "sqrt",
            Rsqrt => "rsqrt",
            Cbrt => "cbrt",
            Reciprocal => "reciprocal",
            Sin => "sin",
            Cos => "cos",
            Tan => "tan",
            Asin => "asin",
            Acos => "acos",
            Atan => "atan",
            Sinh => "sinh",
            Cosh => "cosh",
            Tanh => "tanh",
            Asinh => "asinh",
            Acosh => "acosh",
            Atanh => "atanh",
            Erf => "erf",
            Floor => "floor",
            Ceil => "ceil",
            Round => "round",
            RoundAway => "round_away",
            Trunc => "trunc",
            Sign => "sign",
            Sigmoid => "sigmoid",
            Relu => "relu",
            Not => "not",
            BitwiseNot => "bitwise_not",
            PopCount => "pop_count",
            LeadingZeros => "leading_zeros",
            TrailingZeros => "trailing_zeros",
            IsNan => "isnan",
            IsInf | IsPosInf | IsNegInf => "isinf",
            IsFinite => "isfinite",
        }
    }

    /// What it is defined on, in words.
    pub fn domain(self) -> &'static str {
        use UnaryOp::*;
        match self {
            Not => "i1",
            BitwiseNot => "integers or i1",
            PopCount | LeadingZeros | TrailingZeros => "integers",
            _ if int_unary(self).is_some() => "numbers",
            _ => "a floating-point type",
        }
    }
}

impl BinaryOp {
    /// The name as the `graph` dialect and error messages spell it.
    pub fn name(self) -> &'static str {
        use BinaryOp::*;
        match self {
            Add => "add",
            Sub => "sub",
            Mul => "mul",
            Div => "div",
            FloorDiv => "floor_div",
            CeilDiv => "ceil_div",
            Pow => "pow",
            Mod => "mod",
            Fmod => "fmod",
            Max => "max",
            Min => "min",
            MaxNumber => "max_number",
            MinNumber => "min_number",
            Atan2 => "atan2",
            CopySign => "copysign",
            And => "and",
            Or => "or",
            Xor => "xor",
            BitwiseAnd => "bitwise_and",
            BitwiseOr => "bitwise_or",
            BitwiseXor => "bitwise_xor",
            ShiftLeft => "shl",
            ShiftRight => "shr",
        }
    }
}

impl CompareOp {
    /// The name as the `graph` dialect and error messages spell it.
    pub fn name(self) -> &'static str {
        match self {
            CompareOp::Eq => "eq",
            CompareOp::Ne => "ne",
            CompareOp::Lt => "lt",
            CompareOp::Le => "le",
            CompareOp::Gt => "gt",
            CompareOp::Ge => "ge",
        }
    }
}

/// The function on real numbers; `None` where there is none. The caller rounds the result.
pub fn float_unary(op: UnaryOp) -> Option<fn(f64) -> f64> {
    use UnaryOp::*;
    Some(match op {
        Neg => |x| -x,
        Abs => f64::abs,
        Exp => f64::exp,
        Exp2 => f64::exp2,
        Expm1 => f64::exp_m1,
        Log => f64::ln,
        Log2 => f64::log2,
        Log10 => f64::log10,
        Log1p => f64::ln_1p,
        Sqrt => f64::sqrt,
        Rsqrt => |x| 1.0 / x.sqrt(),
        Cbrt => f64::cbrt,
        Reciprocal => |x| 1.0 / x,
        Sin => f64::sin,
        Cos => f64::cos,
        Tan => f64::tan,
        Asin => f64::asin,
        Acos => f64::acos,
        Atan => f64::atan,
        Sinh => f64::sinh,
        Cosh => f64::cosh,
        Tanh => f64::tanh,
        Asinh => f64::asinh,
        Acosh => f64::acosh,
        Atanh => f64::atanh,
        Erf => erf,
        Floor => f64::floor,
        Ceil => f64::ceil,
        Round => f64::round_ties_even,
        RoundAway => f64::round,
        Trunc => f64::trunc,
        Sign => sign,
        Sigmoid => sigmoid,
        Relu => |x| if x < 0.0 { 0.0 } else { x },
        Not | BitwiseNot | PopCount | LeadingZeros | TrailingZeros => return None,
        IsNan | IsInf | IsPosInf | IsNegInf | IsFinite => return None,
    })
}

/// The predicate on real numbers; `None` for operations that are none.
pub fn float_predicate(op: UnaryOp) -> Option<fn(f64) -> bool> {
    Some(match op {
        UnaryOp::IsNan => f64::is_nan,
        UnaryOp::IsInf => f64::is_infinite,
        UnaryOp::IsPosInf => |x| x == f64::INFINITY,
        UnaryOp::IsNegInf => |x| x == f64::NEG_INFINITY,
        UnaryOp::IsFinite => f64::is_finite,
        _ => return None,
    })
}

/// The function on integers; `None` where there is none. The caller wraps the result into the type.
pub fn int_unary(op: UnaryOp) -> Option<fn(i128, IntType) -> i128> {
    use UnaryOp::*;
    Some(match op {
        Neg => |x, _| -x,
        Abs => |x, _| x.abs(),
        Sign => |x, _| x.signum(),
        Relu => |x, _| x.max(0),
        BitwiseNot => |x, _| !x,
        Floor | Ceil | Round | RoundAway | Trunc => |x, _| x,
        PopCount => |x, ty| i128::from(unsigned(x, ty).count_ones()),
        LeadingZeros => |x, ty| i128::from(unsigned(x, ty).leading_zeros()) - i128::from(128 - ty.bits),
        TrailingZeros => |x, ty| i128::from(unsigned(x, ty).trailing_zeros().min(ty.bits)),
        _ => return None,
    })
}

/// The bits of a value of an integer type, without its sign extension.
fn unsigned(x: i128, ty: IntType) -> u128 {
    IntType { signed: false, ..ty }.wrap(x) as u128
}

/// The function on real numbers; `None` where there is none. The caller rounds the result.
pub fn float_binary(op: BinaryOp) -> Option<fn(f64, f64) -> f64> {
    use BinaryOp::*;
    Some(match op {
        Add => |a, b| a + b,
        Sub => |a, b| a - b,
        Mul => |a, b| a * b,
        Div => |a, b| a / b,
        FloorDiv => |a, b| (a / b).floor(),
        CeilDiv => |a, b| (a / b).ceil(),
        Pow => f64::powf,
        Mod => python_mod,
        Fmod => |a, b| a % b,
        Max => maximum,
        Min => minimum,
        MaxNumber => maximum_number,
        MinNumber => minimum_number,
        Atan2 => f64::atan2,
        CopySign => f64::copysign,
        And | Or | Xor | BitwiseAnd | BitwiseOr | BitwiseXor | ShiftLeft | ShiftRight => return None,
    })
}

/// The function on integers; `None` where there is none. The caller wraps the result into the type.
pub fn int_binary(op: BinaryOp) -> Option<fn(i128, i128, IntType) -> i128> {
    use BinaryOp::*;
    Some(match op {
        Add => |a, b, _| a.wrapping_add(b),
        Sub => |a, b, _| a.wrapping_sub(b),
        // Two full-range ui64 reach past i128, which wraps like everything else.
        Mul => |a, b, _| a.wrapping_mul(b),
        Div => |a, b, _| if b == 0 { 0 } else { a / b },
        FloorDiv => |a, b, _| floor_div(a, b),
        CeilDiv => |a, b, _| ceil_div(a, b),
        Pow => pow_int,
        Mod => |a, b, _| if b == 0 { 0 } else { a - b * floor_div(a, b) },
        Fmod => |a, b, _| if b == 0 { 0 } else { a % b },
        Max | MaxNumber => |a, b, _| a.max(b),
        Min | MinNumber => |a, b, _| a.min(b),
        BitwiseAnd => |a, b, _| a & b,
        BitwiseOr => |a, b, _| a | b,
        BitwiseXor => |a, b, _| a ^ b,
        ShiftLeft => shift_left,
        ShiftRight => shift_right,
        Atan2 | CopySign | And | Or | Xor => return None,
    })
}

/// The function on truth values, with false below true; `None` where there is none.
pub fn bool_binary(op: BinaryOp) -> Option<fn(bool, bool) -> bool> {
    use BinaryOp::*;
    Some(match op {
        And | BitwiseAnd | Min | MinNumber => |a, b| a & b,
        Or | BitwiseOr | Max | MaxNumber => |a, b| a | b,
        Xor | BitwiseXor => |a, b| a ^ b,
        _ => return None,
    })
}
