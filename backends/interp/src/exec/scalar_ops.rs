//! Scalar ops of `arith` and `math` on the one table of scalar arithmetic.

use crate::scalar::{self, BinaryOp, CompareOp, IntType, Scalar, UnaryOp};
use nim_ir::{Body, Context, OpId, Type, TypeData};
use nim_tensor::DType;

/// Scalar types as registers hold them: signless integers as signed, `index` as `i64`, `i1` as a truth value.
#[derive(Copy, Clone, PartialEq, Debug)]
pub enum ScalarType {
    Int(IntType),
    Float(DType),
    Bool,
}

pub fn scalar_type(ctx: &Context, ty: Type) -> Option<ScalarType> {
    let dtype = ctx.dtype_of_type(ty)?;
    Some(match dtype {
        DType::Bool => ScalarType::Bool,
        d if d.is_float() => ScalarType::Float(d),
        d => ScalarType::Int(IntType { bits: d.bits() as u32, signed: true }),
    })
    .filter(|_| !matches!(ctx.type_data(ty), TypeData::Complex(_)))
}

fn int(ty: IntType, value: i128) -> Scalar {
    Scalar::int(ty, value)
}

/// The value read as unsigned.
fn unsigned(s: Scalar) -> Option<(IntType, i128)> {
    match s {
        Scalar::Int { ty, value } => Some((ty, IntType { signed: false, ..ty }.wrap(value))),
        Scalar::Bool(b) => Some((IntType { bits: 1, signed: true }, b as i128)),
        Scalar::Float { .. } => None,
    }
}

/// The value read as signed; true is -1.
fn signed(s: Scalar) -> Option<(IntType, i128)> {
    match s {
        Scalar::Int { ty, value } => Some((ty, value)),
        Scalar::Bool(b) => Some((IntType { bits: 1, signed: true }, -(b as i128))),
        Scalar::Float { .. } => None,
    }
}

fn make(ty: ScalarType, value: i128) -> Scalar {
    match ty {
        ScalarType::Bool => Scalar::Bool(value & 1 != 0),
        ScalarType::Int(ty) => int(ty, value),
        ScalarType::Float(d) => Scalar::float(d, value as f64),
    }
}

/// A constant op's value.
pub fn constant(ctx: &Context, body: &Body, op: OpId) -> Option<Scalar> {
    let attr = body.attr_named(ctx, op, "value")?;
    attr_scalar(ctx, attr, ctx.as_int(attr).map(|_| body.ty(body.result(op))).or(Some(body.ty(body.result(op))))?)
}

/// A typed attribute as a scalar.
pub fn attr_scalar(ctx: &Context, attr: nim_ir::Attr, ty: Type) -> Option<Scalar> {
    match scalar_type(ctx, ty)? {
        ScalarType::Float(d) => {
            Some(Scalar::float(d, ctx.as_float(attr).or_else(|| ctx.as_int(attr).map(|i| i as f64))?))
        }
        ScalarType::Bool => Some(Scalar::Bool(ctx.as_bool(attr).or_else(|| ctx.as_int(attr).map(|i| i != 0))?)),
        ScalarType::Int(t) => match ctx.attr_data(attr) {
            nim_ir::AttrData::Int { value, .. } => Some(int(t, *value)),
            nim_ir::AttrData::Bool(b) => Some(int(t, *b as i128)),
            _ => None,
        },
    }
}

/// One op on evaluated operands; `None` when it is not known here.
pub fn evaluate(ctx: &Context, body: &Body, op: OpId, name: &str, args: &[Scalar]) -> Option<Result<Scalar, String>> {
    let result_type = scalar_type(ctx, body.ty(*body.results(op).first()?))?;
    let one = |o: UnaryOp| Some(scalar::unary(o, args[0]).map_err(|e| e.to_string()));
    let two = |o: BinaryOp| Some(scalar::binary(o, args[0], args[1]).map_err(|e| e.to_string()));
    // Unsigned operations on the unsigned reading.
    let two_unsigned = |f: &dyn Fn(i128, i128) -> i128| {
        let ((_, a), (_, b)) = (unsigned(args[0])?, unsigned(args[1])?);
        Some(Ok(make(result_type, f(a, b))))
    };
    let two_signed = |f: &dyn Fn(i128, i128) -> i128| {
        let ((_, a), (_, b)) = (signed(args[0])?, signed(args[1])?);
        Some(Ok(make(result_type, f(a, b))))
    };
    match name {
        "arith.constant" => Some(constant(ctx, body, op).ok_or_else(|| "a constant of this type".to_string())),
        "arith.addf" => two(BinaryOp::Add),
        "arith.subf" => two(BinaryOp::Sub),
        "arith.mulf" => two(BinaryOp::Mul),
        "arith.divf" => two(BinaryOp::Div),
        "arith.remf" => two(BinaryOp::Fmod),
        "arith.maximumf" => two(BinaryOp::Max),
        "arith.minimumf" => two(BinaryOp::Min),
        "arith.maxnumf" => two(BinaryOp::MaxNumber),
        "arith.minnumf" => two(BinaryOp::MinNumber),
        "arith.negf" => one(UnaryOp::Neg),
        "arith.addi" => two_signed(&|a, b| a + b),
        "arith.subi" => two_signed(&|a, b| a - b),
        "arith.muli" => two_signed(&|a, b| a.wrapping_mul(b)),
        "arith.divsi" => two_signed(&|a, b| if b == 0 { 0 } else { a / b }),
        "arith.divui" => two_unsigned(&|a, b| if b == 0 { 0 } else { a / b }),
        "arith.remsi" => two_signed(&|a, b| if b == 0 { 0 } else { a % b }),
        "arith.remui" => two_unsigned(&|a, b| if b == 0 { 0 } else { a % b }),
        "arith.floordivsi" => {
            two_signed(&|a, b| if b == 0 { 0 } else { a.div_euclid(b) - i128::from(b < 0 && a.rem_euclid(b) != 0) })
        }
        "arith.ceildivsi" => two_signed(&|a, b| if b == 0 { 0 } else { -((-a).div_euclid(b)) }),
        "arith.maxsi" => two_signed(&|a, b| a.max(b)),
        "arith.minsi" => two_signed(&|a, b| a.min(b)),
        "arith.maxui" => two_unsigned(&|a, b| a.max(b)),
        "arith.minui" => two_unsigned(&|a, b| a.min(b)),
        "arith.andi" => two_signed(&|a, b| a & b),
        "arith.ori" => two_signed(&|a, b| a | b),
        "arith.xori" => two_signed(&|a, b| a ^ b),
        "arith.shli" => {
            let ((ty, a), (_, b)) = (signed(args[0])?, unsigned(args[1])?);
            Some(Ok(make(result_type, if b >= ty.bits as i128 { 0 } else { a << b })))
        }
        "arith.shrsi" => {
            let ((ty, a), (_, b)) = (signed(args[0])?, unsigned(args[1])?);
            Some(Ok(make(result_type, a >> b.min(ty.bits as i128 - 1))))
        }
        "arith.shrui" => {
            let ((ty, a), (_, b)) = (unsigned(args[0])?, unsigned(args[1])?);
            Some(Ok(make(result_type, if b >= ty.bits as i128 { 0 } else { a >> b })))
        }
        "arith.select" => Some(match args[0] {
            Scalar::Bool(true) => Ok(args[1]),
            Scalar::Bool(false) => Ok(args[2]),
            _ => Err("the condition must be i1".into()),
        }),
        "arith.cmpi" => Some(compare_ints(ctx, body, op, args)),
        "arith.cmpf" => Some(compare_floats(ctx, body, op, args)),
        "arith.extf" | "arith.truncf" => match (args[0], result_type) {
            (Scalar::Float { value, .. }, ScalarType::Float(d)) => Some(Ok(Scalar::float(d, value))),
            _ => None,
        },
        "arith.extsi" | "arith.trunci" | "arith.index_cast" => Some(Ok(make(result_type, signed(args[0])?.1))),
        "arith.extui" | "arith.index_castui" => Some(Ok(make(result_type, unsigned(args[0])?.1))),
        "arith.sitofp" => Some(Ok(make(result_type, signed(args[0])?.1))),
        "arith.uitofp" => Some(Ok(make(result_type, unsigned(args[0])?.1))),
        "arith.fptosi" | "arith.fptoui" => match args[0] {
            // Out of range: what the saturating conversion gives; programs must not depend on it.
            Scalar::Float { value, .. } => Some(Ok(make(result_type, value as i128))),
            _ => None,
        },
        "arith.bitcast" => bitcast(args[0], result_type).map(Ok),
        _ => evaluate_math(name, args),
    }
}

fn evaluate_math(name: &str, args: &[Scalar]) -> Option<Result<Scalar, String>> {
    let one = |o: UnaryOp| Some(scalar::unary(o, args[0]).map_err(|e| e.to_string()));
    let two = |o: BinaryOp| Some(scalar::binary(o, args[0], args[1]).map_err(|e| e.to_string()));
    match name {
        "math.absf" | "math.absi" => one(UnaryOp::Abs),
        "math.exp" => one(UnaryOp::Exp),
        "math.exp2" => one(UnaryOp::Exp2),
        "math.expm1" => one(UnaryOp::Expm1),
        "math.log" => one(UnaryOp::Log),
        "math.log2" => one(UnaryOp::Log2),
        "math.log10" => one(UnaryOp::Log10),
        "math.log1p" => one(UnaryOp::Log1p),
        "math.sqrt" => one(UnaryOp::Sqrt),
        "math.rsqrt" => one(UnaryOp::Rsqrt),
        "math.cbrt" => one(UnaryOp::Cbrt),
        "math.sin" => one(UnaryOp::Sin),
        "math.cos" => one(UnaryOp::Cos),
        "math.tan" => one(UnaryOp::Tan),
        "math.asin" => one(UnaryOp::Asin),
        "math.acos" => one(UnaryOp::Acos),
        "math.atan" => one(UnaryOp::Atan),
        "math.sinh" => one(UnaryOp::Sinh),
        "math.cosh" => one(UnaryOp::Cosh),
        "math.tanh" => one(UnaryOp::Tanh),
        "math.asinh" => one(UnaryOp::Asinh),
        "math.acosh" => one(UnaryOp::Acosh),
        "math.atanh" => one(UnaryOp::Atanh),
        "math.erf" => one(UnaryOp::Erf),
        "math.floor" => one(UnaryOp::Floor),
        "math.ceil" => one(UnaryOp::Ceil),
        "math.round" => one(UnaryOp::RoundAway),
        "math.roundeven" => one(UnaryOp::Round),
        "math.trunc" => one(UnaryOp::Trunc),
        "math.isnan" => one(UnaryOp::IsNan),
        "math.isinf" => one(UnaryOp::IsInf),
        "math.isfinite" => one(UnaryOp::IsFinite),
        "math.ctpop" => one(UnaryOp::PopCount),
        "math.ctlz" => one(UnaryOp::LeadingZeros),
        "math.cttz" => one(UnaryOp::TrailingZeros),
        "math.powf" | "math.ipowi" | "math.fpowi" => two(BinaryOp::Pow),
        "math.atan2" => two(BinaryOp::Atan2),
        "math.copysign" => two(BinaryOp::CopySign),
        "math.fma" => match (args[0], args[1], args[2]) {
            (Scalar::Float { dtype, value: a }, Scalar::Float { value: b, .. }, Scalar::Float { value: c, .. }) => {
                Some(Ok(Scalar::float(dtype, a.mul_add(b, c))))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Predicates of `arith.cmpi` by number and name.
const INT_PREDICATES: [&str; 10] = ["eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge"];
/// Predicates of `arith.cmpf` by number and name.
const FLOAT_PREDICATES: [&str; 16] =
    ["false", "oeq", "ogt", "oge", "olt", "ole", "one", "ord", "ueq", "ugt", "uge", "ult", "ule", "une", "uno", "true"];

fn predicate<'n>(ctx: &Context, body: &Body, op: OpId, names: &[&'n str]) -> Result<&'n str, String> {
    let attr = body.attr_named(ctx, op, "predicate").ok_or("the predicate is missing")?;
    let found = match (ctx.as_string(attr), ctx.as_int(attr)) {
        (Some(text), _) => names.iter().find(|n| **n == text),
        (None, Some(n)) => usize::try_from(n).ok().and_then(|n| names.get(n)),
        _ => None,
    };
    found.copied().ok_or_else(|| "the predicate is not known".into())
}

fn compare_ints(ctx: &Context, body: &Body, op: OpId, args: &[Scalar]) -> Result<Scalar, String> {
    let name = predicate(ctx, body, op, &INT_PREDICATES)?;
    let reading = if name.starts_with('u') { unsigned } else { signed };
    let (Some((_, a)), Some((_, b))) = (reading(args[0]), reading(args[1])) else {
        return Err("compares integers".into());
    };
    let relation = match name.trim_start_matches(['s', 'u']) {
        "eq" => CompareOp::Eq,
        "ne" => CompareOp::Ne,
        "lt" => CompareOp::Lt,
        "le" => CompareOp::Le,
        "gt" => CompareOp::Gt,
        _ => CompareOp::Ge,
    };
    Ok(Scalar::Bool(relation.holds(Some(a.cmp(&b)))))
}

fn compare_floats(ctx: &Context, body: &Body, op: OpId, args: &[Scalar]) -> Result<Scalar, String> {
    let name = predicate(ctx, body, op, &FLOAT_PREDICATES)?;
    let (Scalar::Float { value: a, .. }, Scalar::Float { value: b, .. }) = (args[0], args[1]) else {
        return Err("compares floats".into());
    };
    let unordered = a.is_nan() || b.is_nan();
    let holds = |relation: &str| match relation {
        "eq" => a == b,
        "ne" => a != b,
        "gt" => a > b,
        "ge" => a >= b,
        "lt" => a < b,
        _ => a <= b,
    };
    Ok(Scalar::Bool(match name {
        "false" => false,
        "true" => true,
        "ord" => !unordered,
        "uno" => unordered,
        _ if name.starts_with('o') => !unordered && holds(&name[1..]),
        _ => unordered || holds(&name[1..]),
    }))
}

fn bitcast(from: Scalar, to: ScalarType) -> Option<Scalar> {
    match (from, to) {
        (Scalar::Float { dtype, value }, ScalarType::Int(ty)) => {
            let bytes = nim_tensor::encode_f64_with(dtype, value, scalar::rounding(dtype));
            let mut all = [0u8; 16];
            all.get_mut(..bytes.len())?.copy_from_slice(&bytes);
            Some(int(ty, i128::from_le_bytes(all)))
        }
        (Scalar::Int { value, .. }, ScalarType::Float(d)) => {
            let bytes = value.to_le_bytes();
            Some(Scalar::float(d, nim_tensor::f64_of(d, bytes.get(..d.size())?)))
        }
        (s, _) => Some(s),
    }
}
