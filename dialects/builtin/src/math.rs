//! Upstream's `math`: functions on floats and integers.

use crate::syntax::{self, i1_like};
use nim_ir::{
    Diagnostic, InferInput, OpDef, OpId, OpState, Type,
    syntax::{AsmParser, AsmPrinter, Parse},
};
use nim_ir_macros::{dialect, op};

dialect! {
    /// The `math` dialect of upstream MLIR.
    pub static MATH: "math", "Upstream: mathematical functions on scalars and vectors.",
    ops[Fma, FPowI, ..FLOAT_UNARY, ..FLOAT_BINARY, ..FLOAT_CLASS, ..INT_UNARY, ..INT_BINARY]
}

macro_rules! family {
    ($(#[$list_doc:meta])* $list:ident $fields:tt: $($struct:ident $name:literal $doc:literal;)*) => {
        $( family!(@one $struct $name $doc $fields); )*
        $(#[$list_doc])*
        pub const $list: &[&OpDef] = &[$(&$struct::DEF),*];
    };
    (@one $struct:ident $name:literal $doc:literal
     ($constraint:ident, [$($operand:ident),*], [$($fast:ident)?])) => {
        #[doc = $doc]
        #[op(name = $name, traits(Pure, SameOperandsAndResultType, Elementwise),
             parse = syntax::parse_same, print = syntax::print_same)]
        pub struct $struct {
            $(
                /// operand
                #[operand($constraint)] $operand: One,
            )*
            $(
                /// `#arith.fastmath<...>`: what may be assumed
                #[attr(Any, default = "#arith.fastmath<none>")] $fast: Default,
            )?
            /// result
            #[result($constraint)] result: One,
        }
    };
}

family! {
    /// Float functions of one operand.
    FLOAT_UNARY (FLOAT_LIKE, [operand], [fastmath]):
    AbsF "math.absf" "Absolute value.";
    Acos "math.acos" "Arc cosine.";
    Acosh "math.acosh" "Inverse hyperbolic cosine.";
    Asin "math.asin" "Arc sine.";
    Asinh "math.asinh" "Inverse hyperbolic sine.";
    Atan "math.atan" "Arc tangent.";
    Atanh "math.atanh" "Inverse hyperbolic tangent.";
    Cbrt "math.cbrt" "Cube root.";
    Ceil "math.ceil" "Rounded towards positive infinity.";
    Cos "math.cos" "Cosine.";
    Cosh "math.cosh" "Hyperbolic cosine.";
    Erf "math.erf" "Error function.";
    Erfc "math.erfc" "One minus the error function.";
    Exp "math.exp" "e to the power of x.";
    Exp2 "math.exp2" "2 to the power of x.";
    ExpM1 "math.expm1" "e to the power of x, minus one.";
    Floor "math.floor" "Rounded towards negative infinity.";
    Log "math.log" "Natural logarithm.";
    Log10 "math.log10" "Decimal logarithm.";
    Log1p "math.log1p" "Natural logarithm of one plus x.";
    Log2 "math.log2" "Binary logarithm.";
    Round "math.round" "Rounded to nearest, ties away from zero.";
    RoundEven "math.roundeven" "Rounded to nearest, ties to even.";
    Rsqrt "math.rsqrt" "One over the square root.";
    Sin "math.sin" "Sine.";
    Sinh "math.sinh" "Hyperbolic sine.";
    Sqrt "math.sqrt" "Square root.";
    Tan "math.tan" "Tangent.";
    Tanh "math.tanh" "Hyperbolic tangent.";
    Trunc "math.trunc" "Rounded towards zero.";
}
family! {
    /// Float functions of two operands.
    FLOAT_BINARY (FLOAT_LIKE, [lhs, rhs], [fastmath]):
    Atan2 "math.atan2" "Angle of the point (rhs, lhs).";
    CopySign "math.copysign" "The magnitude of lhs with the sign of rhs.";
    PowF "math.powf" "lhs to the power of rhs.";
}
family! {
    /// Integer functions of one operand.
    INT_UNARY (INT_LIKE, [operand], []):
    AbsI "math.absi" "Absolute value.";
    CtLz "math.ctlz" "Number of leading zeros.";
    CtTz "math.cttz" "Number of trailing zeros.";
    CtPop "math.ctpop" "Number of ones.";
}
family! {
    /// Integer functions of two operands.
    INT_BINARY (INT_LIKE, [lhs, rhs], []):
    IPowI "math.ipowi" "lhs to the power of rhs, signed.";
}

/// `a*b + c`, rounded once.
#[op(name = "math.fma", traits(Pure, SameOperandsAndResultType, Elementwise), parse = syntax::parse_same,
     print = syntax::print_same)]
pub struct Fma {
    /// first factor
    #[operand(FLOAT_LIKE)]
    a: One,
    /// second factor
    #[operand(FLOAT_LIKE)]
    b: One,
    /// summand
    #[operand(FLOAT_LIKE)]
    c: One,
    /// `#arith.fastmath<...>`: what may be assumed
    #[attr(Any, default = "#arith.fastmath<none>")]
    fastmath: Default,
    /// result
    #[result(FLOAT_LIKE)]
    result: One,
}

macro_rules! classification {
    ($($struct:ident $name:literal $doc:literal;)*) => {
        $(
            #[doc = $doc]
            #[op(name = $name, traits(Pure, Elementwise), infer = infer_class, parse = syntax::parse_inferred,
                 print = syntax::print_inferred)]
            pub struct $struct {
                /// operand
                #[operand(FLOAT_LIKE)] operand: One,
                /// `#arith.fastmath<...>`: what may be assumed
                #[attr(Any, default = "#arith.fastmath<none>")] fastmath: Default,
                /// `i1`, or a vector of it
                #[result(INT_LIKE)] result: One,
            }
        )*
        /// Questions about floats.
        pub const FLOAT_CLASS: &[&OpDef] = &[$(&$struct::DEF),*];
    };
}
classification! {
    IsFinite "math.isfinite" "True for finite numbers.";
    IsInf "math.isinf" "True for infinities.";
    IsNan "math.isnan" "True for NaN.";
    IsNormal "math.isnormal" "True for normal numbers.";
}

fn infer_class(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    Ok(input.operands.first().map(|&t| vec![i1_like(input.ctx, t)]).unwrap_or_default())
}

/// A float to the power of a signed integer.
#[op(name = "math.fpowi", traits(Pure, Elementwise), infer = infer_fpowi, parse = parse_fpowi, print = print_fpowi)]
pub struct FPowI {
    /// base
    #[operand(FLOAT_LIKE)]
    lhs: One,
    /// exponent
    #[operand(INT_LIKE)]
    rhs: One,
    /// `#arith.fastmath<...>`: what may be assumed
    #[attr(Any, default = "#arith.fastmath<none>")]
    fastmath: Default,
    /// result
    #[result(FLOAT_LIKE)]
    result: One,
}

fn infer_fpowi(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    Ok(input.operands.iter().take(1).copied().collect())
}

fn parse_fpowi(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let names = p.operands()?;
    syntax::parse_flags(p, state, "fastmath", "fastmath", "arith.fastmath")?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let types = p.types()?;
    state.operands = syntax::resolve_all(p, &names, &types)?;
    state.results = types.into_iter().take(1).collect();
    Ok(())
}

fn print_fpowi(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let types = syntax::types_of(p, &operands);
    p.text(" ");
    p.values(&operands);
    syntax::print_flags(p, op, "fastmath", "fastmath", "arith.fastmath");
    syntax::print_attrs(p, op, &["fastmath"]);
    p.text(" : ");
    p.types(&types);
}
