//! Elementwise ops: one table from op and kind of number to scalar code, one map for all of them.

use super::{
    lower::{Lower, Lowered},
    scalars::{Compare, Kind, Scalars},
};
use nim_ir::{FloatKind, ValueId};

/// Scalar code for one kind of number.
enum Code {
    /// There is none.
    No,
    /// The operand itself.
    Same,
    /// One op of upstream, on operands of one type.
    Op(&'static str),
    /// Several ops.
    Make(fn(&mut Scalars<'_, '_>, Kind, &[ValueId]) -> ValueId),
}
use Code::{Make, No, Op, Same};

/// An op's code for floats, signed integers, unsigned integers, truth values. Operands and result have one element type, but
/// for predicates, whose result is a truth value.
struct Row(&'static str, [Code; 4]);

const ROWS: &[Row] = &[
    Row("neg", [Op("arith.negf"), Make(int_neg), Make(int_neg), No]),
    Row("abs", [Op("math.absf"), Make(int_abs), Same, No]),
    Row("exp", [Op("math.exp"), No, No, No]),
    Row("log", [Op("math.log"), No, No, No]),
    Row("sqrt", [Op("math.sqrt"), No, No, No]),
    Row("reciprocal", [Make(reciprocal), Make(reciprocal), Make(reciprocal), No]),
    Row("sin", [Op("math.sin"), No, No, No]),
    Row("cos", [Op("math.cos"), No, No, No]),
    Row("tan", [Op("math.tan"), No, No, No]),
    Row("asin", [Op("math.asin"), No, No, No]),
    Row("acos", [Op("math.acos"), No, No, No]),
    Row("atan", [Op("math.atan"), No, No, No]),
    Row("sinh", [Op("math.sinh"), No, No, No]),
    Row("cosh", [Op("math.cosh"), No, No, No]),
    Row("tanh", [Op("math.tanh"), No, No, No]),
    Row("asinh", [Op("math.asinh"), No, No, No]),
    Row("acosh", [Op("math.acosh"), No, No, No]),
    Row("atanh", [Op("math.atanh"), No, No, No]),
    Row("erf", [Op("math.erf"), No, No, No]),
    Row("floor", [Op("math.floor"), Same, Same, No]),
    Row("ceil", [Op("math.ceil"), Same, Same, No]),
    Row("round", [Op("math.roundeven"), Same, Same, No]),
    Row("sign", [Make(sign), Make(sign), Make(unsigned_sign), No]),
    Row("not", [No, No, No, Make(flip)]),
    Row("bitwise_not", [No, Make(flip), Make(flip), Make(flip)]),
    Row("sigmoid", [Make(sigmoid), No, No, No]),
    Row("relu", [Make(relu), Make(relu), Same, No]),
    Row("isnan", [Make(is_nan), Make(never), Make(never), Make(never)]),
    Row("add", [Op("arith.addf"), Op("arith.addi"), Op("arith.addi"), No]),
    Row("sub", [Op("arith.subf"), Op("arith.subi"), Op("arith.subi"), No]),
    Row("mul", [Op("arith.mulf"), Op("arith.muli"), Op("arith.muli"), Op("arith.andi")]),
    Row("div", [Op("arith.divf"), Op("arith.divsi"), Op("arith.divui"), No]),
    Row("mod", [Make(float_mod), Make(int_mod), Op("arith.remui"), No]),
    Row("fmod", [Op("arith.remf"), Op("arith.remsi"), Op("arith.remui"), No]),
    Row("max", [Op("arith.maximumf"), Op("arith.maxsi"), Op("arith.maxui"), Op("arith.ori")]),
    Row("min", [Op("arith.minimumf"), Op("arith.minsi"), Op("arith.minui"), Op("arith.andi")]),
    Row("and", [No, No, No, Op("arith.andi")]),
    Row("or", [No, No, No, Op("arith.ori")]),
    Row("xor", [No, No, No, Op("arith.xori")]),
    Row("bitwise_and", [No, Op("arith.andi"), Op("arith.andi"), Op("arith.andi")]),
    Row("bitwise_or", [No, Op("arith.ori"), Op("arith.ori"), Op("arith.ori")]),
    Row("bitwise_xor", [No, Op("arith.xori"), Op("arith.xori"), Op("arith.xori")]),
    Row("shl", [No, Op("arith.shli"), Op("arith.shli"), No]),
    Row("shr", [No, Op("arith.shrsi"), Op("arith.shrui"), No]),
];

/// The names (without the dialect) of all ops of the table.
pub fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.0)
}

/// True for ops whose operands are broadcast to one shape.
pub(super) fn broadcasts(name: &str) -> bool {
    matches!(name, "compare" | "select" | "pow") || names().any(|n| n == name)
}

fn code(name: &str, kind: Kind) -> Option<&'static Code> {
    let row = ROWS.iter().find(|row| row.0 == name)?;
    Some(
        &row.1[match kind {
            Kind::Float(_) => 0,
            Kind::Int(_, true) => 1,
            Kind::Int(_, false) => 2,
            Kind::Bool => 3,
        }],
    )
}

fn emit(s: &mut Scalars<'_, '_>, code: &Code, kind: Kind, args: &[ValueId]) -> ValueId {
    match code {
        No | Same => args[0],
        Op(name) => s.op(name, args),
        Make(make) => make(s, kind, args),
    }
}

/// Any op of the table.
pub fn table(l: &mut Lower<'_, '_>) -> Lowered {
    let full = l.ctx().op_str(l.b.body.op_name(l.op));
    let name = full.strip_prefix("graph.").unwrap_or(full);
    let kind = l.kind(l.operand(0))?;
    match code(name, kind) {
        None | Some(No) => {
            let ty = l.ctx().display_type(kind.ty(l.ctx()));
            l.error(format!("it is not defined on {ty}"))
        }
        // Short floats are computed with in f32, and each op of the graph rounds once.
        Some(code) if kind.accumulator() != kind && !EXACT.contains(&name) => {
            let wide = kind.accumulator();
            broadcast(l, |s, args| {
                let args: Vec<ValueId> = args.iter().map(|&v| s.cast(v, kind, wide)).collect();
                let value = emit(s, code, wide, &args);
                s.cast(value, wide, kind)
            })
        }
        Some(code) => broadcast(l, |s, args| emit(s, code, kind, args)),
    }
}

/// Ops that give one of their operands (or its negative, or a truth value): there is nothing to round.
const EXACT: &[&str] = &["neg", "abs", "sign", "relu", "isnan", "max", "min"];

/// A map over the result's shape that reads every operand broadcast to it.
pub fn broadcast(l: &mut Lower<'_, '_>, body: impl FnOnce(&mut Scalars<'_, '_>, &[ValueId]) -> ValueId) -> Lowered {
    let (ty, operands) = (l.result_type(), l.operands());
    // The verifier knows tables of types, but not that texts or complex numbers have no scalars here.
    for &v in &operands {
        l.kind(v)?;
    }
    l.kind_of(ty)?;
    l.pointwise(
        ty,
        |l, map| {
            let shape = map.domain.clone();
            let at = l.ivs(shape.len());
            for v in operands {
                map.read(v, &l.broadcast(v, &shape, &at)?);
            }
            Ok(())
        },
        body,
    )
}

/// `graph.identity`.
pub fn identity(l: &mut Lower<'_, '_>) -> Lowered {
    Ok(l.operand(0))
}

/// `graph.compare`.
pub fn compare(l: &mut Lower<'_, '_>) -> Lowered {
    let kind = l.kind(l.operand(0))?;
    let name = l.str_attr("predicate")?;
    let Some(predicate) = Compare::from_name(name) else { return l.error(format!("no predicate is called `{name}`")) };
    broadcast(l, |s, args| s.compare(kind, predicate, args[0], args[1]))
}

/// `graph.select`.
pub fn select(l: &mut Lower<'_, '_>) -> Lowered {
    broadcast(l, |s, args| s.select(args[0], args[1], args[2]))
}

/// `graph.isinf`.
pub fn is_inf(l: &mut Lower<'_, '_>) -> Lowered {
    let kind = l.kind(l.operand(0))?;
    let (negative, positive) = (l.bool_attr("negative", true), l.bool_attr("positive", true));
    broadcast(l, |s, args| {
        let infinity = |s: &mut Scalars<'_, '_>, x: f64| s.constant(kind, x);
        match (kind, negative, positive) {
            (Kind::Float(_), true, true) => {
                let magnitude = s.op("math.absf", args);
                let infinite = infinity(s, f64::INFINITY);
                s.cmpf("oeq", magnitude, infinite)
            }
            (Kind::Float(_), true, false) => {
                let infinite = infinity(s, f64::NEG_INFINITY);
                s.cmpf("oeq", args[0], infinite)
            }
            (Kind::Float(_), false, true) => {
                let infinite = infinity(s, f64::INFINITY);
                s.cmpf("oeq", args[0], infinite)
            }
            _ => s.integer(Kind::Bool, 0),
        }
    })
}

/// `graph.cast`.
pub fn cast(l: &mut Lower<'_, '_>) -> Lowered {
    let (x, ty) = (l.operand(0), l.result_type());
    if l.b.body.ty(x) == ty {
        return Ok(x);
    }
    let (from, to) = (l.kind(x)?, l.kind_of(ty)?);
    let narrow = l.ctx().dtype_of(ty).filter(|d| d.is_float() && d.size() == 1 && l.bool_attr("saturate", true));
    let Some(narrow) = narrow else { return broadcast(l, |s, args| s.cast(args[0], from, to)) };
    // Scalars become infinite or NaN where they are too large: what saturates is clamped before it is rounded.
    let most = nim_tensor::f64_of(narrow, &nim_tensor::encode_f64(narrow, f64::INFINITY));
    let middle = match from {
        Kind::Float(kind) if kind.bits() > 8 => from,
        _ => Kind::Float(FloatKind::F32),
    };
    broadcast(l, |s, args| {
        let value = s.cast(args[0], from, middle);
        let (low, high) = (s.constant(middle, -most), s.constant(middle, most));
        let value = s.op("arith.maximumf", &[value, low]);
        let value = s.op("arith.minimumf", &[value, high]);
        s.cast(value, middle, to)
    })
}

/// `graph.bitcast`: the same bits; between signed and unsigned integers, which are one type inside, the same value.
pub fn bitcast(l: &mut Lower<'_, '_>) -> Lowered {
    let to = l.kind_of(l.result_type())?.ty(l.b.ctx);
    broadcast(l, |s, args| match s.b.body.ty(args[0]) == to {
        true => args[0],
        false => s.b.value("arith.bitcast", &[args[0]], to, &[]),
    })
}

/// `graph.pow`: the exponent may be of another kind.
pub fn pow(l: &mut Lower<'_, '_>) -> Lowered {
    let (base, exponent) = (l.kind(l.operand(0))?, l.kind(l.operand(1))?);
    if base == Kind::Bool || exponent == Kind::Bool {
        return l.error("truth values have no powers");
    }
    // The exponents that models use most, without a call for each element: within 2 units in the last place.
    let known = l.constant_of(l.operand(1)).filter(|t| t.len() == 1).and_then(|t| t.to_f64s()).map(|v| v[0]);
    broadcast(l, |s, args| match (base, exponent, known) {
        (Kind::Float(_), _, Some(1.0)) => args[0],
        (Kind::Float(_), _, Some(power)) if [2.0, 3.0, 4.0, 0.5, -0.5, -1.0].contains(&power) => {
            let wide = base.accumulator();
            let x = s.cast(args[0], base, wide);
            let value = common_power(s, wide, x, power);
            s.cast(value, wide, base)
        }
        (Kind::Float(_), ..) => {
            let wide = base.accumulator();
            let (x, exponent) = (s.cast(args[0], base, wide), s.cast(args[1], exponent, wide));
            let power = s.op("math.powf", &[x, exponent]);
            s.cast(power, wide, base)
        }
        (Kind::Int(..), Kind::Float(_), _) => int_pow_float(s, base, exponent, args),
        _ => int_pow(s, base, exponent, args),
    })
}

/// A power that [`pow`] does not ask the library for.
fn common_power(s: &mut Scalars<'_, '_>, kind: Kind, x: ValueId, power: f64) -> ValueId {
    match power {
        2.0 => s.mul(kind, x, x),
        3.0 | 4.0 => {
            let square = s.mul(kind, x, x);
            s.mul(kind, square, if power == 3.0 { x } else { square })
        }
        -1.0 => {
            let one = s.constant(kind, 1.0);
            s.op("arith.divf", &[one, x])
        }
        // Roots of -0 and of minus infinity are NaN or negative, the powers are not (IEEE 754, 9.2.1).
        0.5 => {
            let (zero, least, most) =
                (s.constant(kind, 0.0), s.constant(kind, f64::NEG_INFINITY), s.constant(kind, f64::INFINITY));
            let root = s.op("math.sqrt", &[x]);
            let root = s.op("arith.addf", &[root, zero]);
            let infinite = s.cmpf("oeq", x, least);
            s.select(infinite, most, root)
        }
        _ => {
            let root = common_power(s, kind, x, 0.5);
            common_power(s, kind, root, -1.0)
        }
    }
}

/// Modulo two to the width, by squaring; negative exponents give the exact quotient truncated, of 0 too.
fn int_pow(s: &mut Scalars<'_, '_>, base: Kind, exponent: Kind, args: &[ValueId]) -> ValueId {
    let Kind::Int(width, signed) = exponent else { return args[0] };
    let (zero, one) = (s.integer(base, 0), s.integer(base, 1));
    let (no_bit, last_bit) = (s.integer(exponent, 0), s.integer(exponent, 1));
    let (mut power, mut square, mut left) = (one, args[0], args[1]);
    for bit in 0..width - u32::from(signed) {
        if bit > 0 {
            square = s.mul(base, square, square);
            left = s.op("arith.shrui", &[left, last_bit]);
        }
        let odd = s.op("arith.andi", &[left, last_bit]);
        let odd = s.cmpi("ne", odd, no_bit);
        let more = s.mul(base, power, square);
        power = s.select(odd, more, power);
    }
    if !signed {
        return power;
    }
    // Of 1 and -1 all powers are whole; those of -1 depend on the exponent's last bit, as the sign bit is left out above.
    let unit = s.cmpi("eq", args[0], one);
    let unit = match base {
        Kind::Int(_, true) => {
            let minus = s.integer(base, -1);
            let minus = s.cmpi("eq", args[0], minus);
            s.op("arith.ori", &[unit, minus])
        }
        _ => unit,
    };
    let quotient = s.select(unit, power, zero);
    let negative = s.cmpi("slt", args[1], no_bit);
    s.select(negative, quotient, power)
}

/// The real power, truncated and saturated to the type; 0 for NaN.
fn int_pow_float(s: &mut Scalars<'_, '_>, base: Kind, exponent: Kind, args: &[ValueId]) -> ValueId {
    let Kind::Int(width, signed) = base else { return args[0] };
    let real = Kind::Float(FloatKind::F64);
    let (a, b) = (s.cast(args[0], base, real), s.cast(args[1], exponent, real));
    let power = s.op("math.powf", &[a, b]);
    let wide = Kind::Int(64, signed);
    let value = s.cast(power, real, wide);
    let (least, most): (i128, i128) = match signed {
        true => (-(1 << (width - 1)), (1 << (width - 1)) - 1),
        false => (0, (1 << width) - 1),
    };
    // One above the most is a power of two and exact as a float; the most itself is not for 64 bits.
    let (low, high) = (s.constant(real, least as f64), s.constant(real, (most + 1) as f64));
    let (is_low, is_high) = (s.cmpf("ole", power, low), s.cmpf("oge", power, high));
    // Constants are written as the signed number with the same bits.
    let bits = |x: i128| if x >> 63 == 1 { x - (1 << 64) } else { x };
    let (low, high, zero) = (s.integer(wide, bits(least)), s.integer(wide, bits(most)), s.integer(wide, 0));
    let value = s.select(is_low, low, value);
    let value = s.select(is_high, high, value);
    let nan = s.cmpf("uno", power, power);
    let value = s.select(nan, zero, value);
    s.cast(value, wide, base)
}

fn int_neg(s: &mut Scalars<'_, '_>, kind: Kind, args: &[ValueId]) -> ValueId {
    let zero = s.integer(kind, 0);
    s.op("arith.subi", &[zero, args[0]])
}

fn int_abs(s: &mut Scalars<'_, '_>, kind: Kind, args: &[ValueId]) -> ValueId {
    let negative = int_neg(s, kind, args);
    s.op("arith.maxsi", &[args[0], negative])
}

fn reciprocal(s: &mut Scalars<'_, '_>, kind: Kind, args: &[ValueId]) -> ValueId {
    let one = s.constant(kind, 1.0);
    let name = match kind {
        Kind::Float(_) => "arith.divf",
        Kind::Int(_, true) => "arith.divsi",
        _ => "arith.divui",
    };
    s.op(name, &[one, args[0]])
}

/// -1, 1, or the operand itself: zeros of both signs, and NaN.
fn sign(s: &mut Scalars<'_, '_>, kind: Kind, args: &[ValueId]) -> ValueId {
    let x = args[0];
    let (zero, one, minus) = (s.constant(kind, 0.0), s.constant(kind, 1.0), s.constant(kind, -1.0));
    let (above, below) = (s.compare(kind, Compare::Gt, x, zero), s.compare(kind, Compare::Lt, x, zero));
    let rest = s.select(below, minus, x);
    s.select(above, one, rest)
}

fn unsigned_sign(s: &mut Scalars<'_, '_>, kind: Kind, args: &[ValueId]) -> ValueId {
    let one = s.constant(kind, 1.0);
    s.op("arith.minui", &[args[0], one])
}

fn flip(s: &mut Scalars<'_, '_>, kind: Kind, args: &[ValueId]) -> ValueId {
    let ones = s.integer(kind, -1);
    s.op("arith.xori", &[args[0], ones])
}

fn sigmoid(s: &mut Scalars<'_, '_>, kind: Kind, args: &[ValueId]) -> ValueId {
    let one = s.constant(kind, 1.0);
    let negative = s.op("arith.negf", args);
    let power = s.op("math.exp", &[negative]);
    let sum = s.op("arith.addf", &[one, power]);
    s.op("arith.divf", &[one, sum])
}

/// `x < 0 ? 0 : x`, which keeps NaN and is one instruction on most machines.
fn relu(s: &mut Scalars<'_, '_>, kind: Kind, args: &[ValueId]) -> ValueId {
    let zero = s.constant(kind, 0.0);
    match kind {
        Kind::Float(_) => {
            let below = s.cmpf("olt", args[0], zero);
            s.select(below, zero, args[0])
        }
        _ => s.op("arith.maxsi", &[args[0], zero]),
    }
}

fn is_nan(s: &mut Scalars<'_, '_>, _: Kind, args: &[ValueId]) -> ValueId {
    s.cmpf("uno", args[0], args[0])
}

fn never(s: &mut Scalars<'_, '_>, _: Kind, _: &[ValueId]) -> ValueId {
    s.integer(Kind::Bool, 0)
}

/// Remainder with the divisor's sign, also of a zero, as Python's `%`.
fn float_mod(s: &mut Scalars<'_, '_>, kind: Kind, args: &[ValueId]) -> ValueId {
    let (zero, divisor) = (s.constant(kind, 0.0), args[1]);
    let rest = s.op("arith.remf", args);
    let (below, divisor_below) = (s.cmpf("olt", rest, zero), s.cmpf("olt", divisor, zero));
    let other_side = s.op("arith.xori", &[below, divisor_below]);
    let moved = s.op("arith.addf", &[rest, divisor]);
    let adjusted = s.select(other_side, moved, rest);
    let none = s.cmpf("oeq", rest, zero);
    let signed_zero = s.op("math.copysign", &[zero, divisor]);
    s.select(none, signed_zero, adjusted)
}

/// Remainder with the divisor's sign; 0 for the divisor 0.
fn int_mod(s: &mut Scalars<'_, '_>, kind: Kind, args: &[ValueId]) -> ValueId {
    let (zero, divisor) = (s.integer(kind, 0), args[1]);
    let rest = s.op("arith.remsi", args);
    // Where the remainder is 0, so is the other operand of `and`.
    let signs = s.op("arith.xori", &[rest, divisor]);
    let (other_side, some) = (s.cmpi("slt", signs, zero), s.cmpi("ne", rest, zero));
    let wrong = s.op("arith.andi", &[other_side, some]);
    let moved = s.op("arith.addi", &[rest, divisor]);
    s.select(wrong, moved, rest)
}
