//! Elementwise ops: one scalar at a time, operands broadcast as in NumPy.

use crate::shape;
use nim_ir::OpDef;
use nim_ir_macros::op;

macro_rules! unary {
    ($($name:ident = $op:literal, $doc:literal, $infer:path;)*) => {
        $(
            #[doc = $doc]
            #[op(name = $op, traits(Pure, Elementwise), infer = $infer)]
            pub struct $name {
                /// operand
                #[operand(TENSOR)]
                x: One,
                /// result, shaped as the operand
                #[result(TENSOR)]
                y: One,
            }
        )*
        /// All ops with one operand and no attribute.
        pub const UNARY: &[&OpDef] = &[$(&$name::DEF),*];
    };
}

unary! {
    Identity = "graph.identity", "The operand itself.", shape::unary;
    Neg = "graph.neg", "Negation; integers wrap.", shape::unary;
    Abs = "graph.abs", "Absolute value; the least integer stays itself.", shape::unary;
    Exp = "graph.exp", "e to the operand.", shape::unary;
    Log = "graph.log", "Natural logarithm; NaN below zero, -inf at zero.", shape::unary;
    Sqrt = "graph.sqrt", "Square root; NaN below zero.", shape::unary;
    Reciprocal = "graph.reciprocal", "One divided by the operand.", shape::unary;
    Sin = "graph.sin", "Sine, radians.", shape::unary;
    Cos = "graph.cos", "Cosine, radians.", shape::unary;
    Tan = "graph.tan", "Tangent, radians.", shape::unary;
    Asin = "graph.asin", "Inverse sine.", shape::unary;
    Acos = "graph.acos", "Inverse cosine.", shape::unary;
    Atan = "graph.atan", "Inverse tangent.", shape::unary;
    Sinh = "graph.sinh", "Hyperbolic sine.", shape::unary;
    Cosh = "graph.cosh", "Hyperbolic cosine.", shape::unary;
    Tanh = "graph.tanh", "Hyperbolic tangent.", shape::unary;
    Asinh = "graph.asinh", "Inverse hyperbolic sine.", shape::unary;
    Acosh = "graph.acosh", "Inverse hyperbolic cosine.", shape::unary;
    Atanh = "graph.atanh", "Inverse hyperbolic tangent.", shape::unary;
    Erf = "graph.erf", "Gauss error function.", shape::unary;
    Floor = "graph.floor", "Largest integer not above the operand.", shape::unary;
    Ceil = "graph.ceil", "Smallest integer not below the operand.", shape::unary;
    Round = "graph.round", "Nearest integer, halves to even.", shape::unary;
    Sign = "graph.sign", "-1, 0 or 1; NaN stays NaN.", shape::unary;
    Not = "graph.not", "Logical negation of truth values.", shape::unary;
    BitwiseNot = "graph.bitwise_not", "All bits of an integer flipped.", shape::unary;
    Sigmoid = "graph.sigmoid", "`1 / (1 + exp(-x))`.", shape::unary;
    Relu = "graph.relu", "`max(x, 0)`; NaN stays NaN.", shape::unary;
    IsNan = "graph.isnan", "True where the operand is NaN.", shape::unary_to_bool;
}

macro_rules! binary {
    ($($name:ident = $op:literal, $doc:literal, [$($t:ident),*], $infer:path;)*) => {
        $(
            #[doc = $doc]
            #[op(name = $op, traits(Pure, Elementwise $(, $t)*), infer = $infer)]
            pub struct $name {
                /// left operand
                #[operand(TENSOR)]
                x: One,
                /// right operand
                #[operand(TENSOR)]
                y: One,
                /// result of the broadcast shape
                #[result(TENSOR)]
                z: One,
            }
        )*
        /// All ops with two operands and no attribute.
        pub const BINARY: &[&OpDef] = &[$(&$name::DEF),*];
    };
}

binary! {
    Add = "graph.add", "Sum; integers wrap.", [Commutative], shape::broadcast;
    Sub = "graph.sub", "Difference; integers wrap.", [], shape::broadcast;
    Mul = "graph.mul", "Product; integers wrap.", [Commutative], shape::broadcast;
    Div = "graph.div", "Quotient; integers truncate toward zero, anything divided by the integer 0 is 0.", [], shape::broadcast;
    Pow = "graph.pow", "`x` to the power `y`; `y` may have another element type.", [], shape::broadcast_mixed;
    Mod = "graph.mod", "Remainder with the sign of the divisor.", [], shape::broadcast;
    Fmod = "graph.fmod", "Remainder with the sign of the dividend, as C's `fmod`.", [], shape::broadcast;
    Max = "graph.max", "The larger; NaN wins.", [Commutative], shape::broadcast;
    Min = "graph.min", "The smaller; NaN wins.", [Commutative], shape::broadcast;
    And = "graph.and", "Logical and.", [Commutative], shape::broadcast;
    Or = "graph.or", "Logical or.", [Commutative], shape::broadcast;
    Xor = "graph.xor", "Logical exclusive or.", [Commutative], shape::broadcast;
    BitwiseAnd = "graph.bitwise_and", "Bitwise and.", [Commutative], shape::broadcast;
    BitwiseOr = "graph.bitwise_or", "Bitwise or.", [Commutative], shape::broadcast;
    BitwiseXor = "graph.bitwise_xor", "Bitwise exclusive or.", [Commutative], shape::broadcast;
    ShiftLeft = "graph.shl", "Bits shifted left; zero when shifted out whole.", [], shape::broadcast;
    ShiftRight = "graph.shr", "Bits shifted right, filled by the sign of signed types.", [], shape::broadcast;
}

/// True where the operand is infinite.
#[op(name = "graph.isinf", traits(Pure, Elementwise), infer = shape::unary_to_bool)]
pub struct IsInf {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// whether -inf counts
    #[attr(Bool, default = "true")]
    negative: Default,
    /// whether +inf counts
    #[attr(Bool, default = "true")]
    positive: Default,
    /// truth values
    #[result(TENSOR)]
    y: One,
}

/// Comparison; everything is unequal to NaN, nothing else holds of it.
#[op(name = "graph.compare", traits(Pure, Elementwise), infer = shape::compare)]
pub struct Compare {
    /// left operand
    #[operand(TENSOR)]
    x: One,
    /// right operand
    #[operand(TENSOR)]
    y: One,
    /// which comparison
    #[attr(Enum("eq", "ne", "lt", "le", "gt", "ge"))]
    predicate: Required,
    /// truth values
    #[result(TENSOR)]
    z: One,
}

/// `x` where the condition holds, elsewhere `y`.
#[op(name = "graph.select", traits(Pure, Elementwise), infer = shape::select)]
pub struct Select {
    /// truth values
    #[operand(BOOL_TENSOR)]
    condition: One,
    /// values where it holds
    #[operand(TENSOR)]
    x: One,
    /// values elsewhere
    #[operand(TENSOR)]
    y: One,
    /// result of the broadcast shape
    #[result(TENSOR)]
    z: One,
}

/// Conversion to another element type, as the ONNX standard's Cast.
#[op(name = "graph.cast", traits(Pure, Elementwise), infer = shape::cast)]
pub struct Cast {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// element type of the result
    #[attr(Type)]
    to: Required,
    /// whether values too large for an 8-bit float become its largest (true) or its infinity or NaN
    #[attr(Bool, default = "true")]
    saturate: Default,
    /// result
    #[result(TENSOR)]
    y: One,
}

/// The same bits as an element type of the same width.
#[op(name = "graph.bitcast", traits(Pure, Elementwise), infer = shape::cast)]
pub struct BitCast {
    /// operand
    #[operand(TENSOR)]
    x: One,
    /// element type of the result
    #[attr(Type)]
    to: Required,
    /// result
    #[result(TENSOR)]
    y: One,
}

/// Random truth of the given probabilities (ONNX Bernoulli).
#[op(name = "graph.bernoulli", traits(Elementwise), infer = shape::cast)]
pub struct Bernoulli {
    /// probabilities
    #[operand(FLOAT_TENSOR)]
    x: One,
    /// element type of the result
    #[attr(Type)]
    to: Required,
    /// seed; each run differs without it
    #[attr(Float)]
    seed: Optional,
    /// zeros and ones
    #[result(TENSOR)]
    y: One,
}
