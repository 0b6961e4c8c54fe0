//! Folding of integer and index arithmetic: what an op of constants gives, and neutral elements.
//!
//! Integers of n bits wrap, as `arith` says. `index` is taken as 64 bits wide. What has no value (division by zero, a shift by the
//! width or more) is left alone. Floats are not folded here.

use nim_ir::{Attr, AttrData, Body, Context, OpId, Type, TypeData, ValueId};

/// What an op can be replaced by.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Folded {
    /// A constant of the result's type.
    Constant(Attr),
    /// A value that is there already.
    Value(ValueId),
}

/// The constant that a value is.
pub fn constant_of(ctx: &Context, body: &Body, value: ValueId) -> Option<Attr> {
    let op = body.defining_op(value)?;
    match ctx.op_str(body.op_name(op)) {
        "arith.constant" => body.attr_named(ctx, op, "value"),
        _ => None,
    }
}

/// Width of an integer or `index` type.
fn width(ctx: &Context, ty: Type) -> Option<u32> {
    match ctx.type_data(ty) {
        TypeData::Integer { width, .. } if (1..=64).contains(width) => Some(*width),
        TypeData::Index => Some(64),
        _ => None,
    }
}

/// The signed reading of the lowest `width` bits.
fn wrap(value: i128, width: u32) -> i128 {
    let shift = 128 - width;
    (value << shift) >> shift
}

/// The unsigned reading of a signed number of `width` bits.
fn unsigned(value: i128, width: u32) -> i128 {
    value & ((1i128 << width) - 1)
}

fn integer(ctx: &Context, attr: Attr) -> Option<i128> {
    match ctx.attr_data(attr) {
        AttrData::Int { value, .. } => Some(*value),
        // As one bit of `i1`, read as signed.
        AttrData::Bool(b) => Some(-i128::from(*b)),
        _ => None,
    }
}

fn make(ctx: &Context, value: i128, ty: Type) -> Option<Folded> {
    let width = width(ctx, ty)?;
    let attr = match (width, ctx.type_data(ty)) {
        (1, TypeData::Integer { .. }) => ctx.bool_attr(value & 1 != 0),
        _ => ctx.int_attr(wrap(value, width), ty),
    };
    Some(Folded::Constant(attr))
}

/// What the op can be replaced by, if it has one result.
pub fn fold(ctx: &Context, body: &Body, op: OpId) -> Option<Folded> {
    let name = ctx.op_str(body.op_name(op));
    let (operands, &[result]) = (body.operands(op), body.results(op)) else { return None };
    let ty = body.ty(result);
    if let "dataflow.index" | "loops.index" = name {
        let expr = ctx.as_expr(body.attr_named(ctx, op, "expr")?)?;
        return make(ctx, ctx.exprs.as_const(expr)?.into(), ty);
    }
    if !name.starts_with("arith.") {
        return None;
    }
    let constants: Vec<Option<i128>> = operands.iter().map(|&v| wrap_of(ctx, body, v)).collect();
    match (name, operands.as_slice()) {
        ("arith.select", &[_, a, b]) => select(&constants, a, b),
        ("arith.cmpi", &[a, b]) => compare(ctx, body, op, a, b, &constants),
        ("arith.index_cast" | "arith.index_castui" | "arith.extsi" | "arith.extui" | "arith.trunci", &[a]) => {
            let (value, from) = (constants[0]?, width(ctx, body.ty(a))?);
            let zero_extended = matches!(name, "arith.index_castui" | "arith.extui");
            make(ctx, if zero_extended { unsigned(value, from) } else { value }, ty)
        }
        (_, &[a, b]) => {
            binary(ctx, name, a, b, &constants, ty).or_else(|| cancel(ctx, body, name, a, b).map(Folded::Value))
        }
        _ => None,
    }
}

fn wrap_of(ctx: &Context, body: &Body, value: ValueId) -> Option<i128> {
    let width = width(ctx, body.ty(value))?;
    Some(wrap(integer(ctx, constant_of(ctx, body, value)?)?, width))
}

fn select(constants: &[Option<i128>], a: ValueId, b: ValueId) -> Option<Folded> {
    match constants[0] {
        Some(condition) => Some(Folded::Value(if condition != 0 { a } else { b })),
        None => (a == b).then_some(Folded::Value(a)),
    }
}

fn compare(ctx: &Context, body: &Body, op: OpId, a: ValueId, b: ValueId, constants: &[Option<i128>]) -> Option<Folded> {
    let width = width(ctx, body.ty(a))?;
    let predicate = usize::try_from(ctx.as_int(body.attr_named(ctx, op, "predicate")?)?).ok()?;
    let predicate = *nim_builtin::arith::CMPI_PREDICATES.get(predicate)?;
    let (x, y) = match (constants[0], constants[1]) {
        (Some(x), Some(y)) => (x, y),
        _ if a == b => (0, 0),
        _ => return None,
    };
    let (ux, uy) = (unsigned(x, width), unsigned(y, width));
    let holds = match predicate {
        "eq" => x == y,
        "ne" => x != y,
        "slt" => x < y,
        "sle" => x <= y,
        "sgt" => x > y,
        "sge" => x >= y,
        "ult" => ux < uy,
        "ule" => ux <= uy,
        "ugt" => ux > uy,
        _ => ux >= uy,
    };
    Some(Folded::Constant(ctx.bool_attr(holds)))
}

fn binary(ctx: &Context, name: &str, a: ValueId, b: ValueId, constants: &[Option<i128>], ty: Type) -> Option<Folded> {
    let width = width(ctx, ty)?;
    let kind = name.strip_prefix("arith.")?;
    if let (Some(x), Some(y)) = (constants[0], constants[1]) {
        return make(ctx, evaluate(kind, x, y, width)?, ty);
    }
    let (one, all) = (wrap(1, width), -1);
    let left = Folded::Value(a);
    // Constants of commutative ops stand on the right in canonical form; both sides are looked at all the same.
    let (neutral_left, neutral_right) = match kind {
        "addi" | "ori" | "xori" => (Some(0), Some(0)),
        "subi" | "shli" | "shrsi" | "shrui" => (None, Some(0)),
        "muli" => (Some(one), Some(one)),
        "divsi" | "divui" | "floordivsi" | "ceildivsi" | "ceildivui" => (None, Some(one)),
        "andi" => (Some(all), Some(all)),
        _ => (None, None),
    };
    if constants[1].is_some() && constants[1] == neutral_right {
        return Some(left);
    }
    if constants[0].is_some() && constants[0] == neutral_left {
        return Some(Folded::Value(b));
    }
    match kind {
        "muli" | "andi" if constants.contains(&Some(0)) => make(ctx, 0, ty),
        "remsi" | "remui" if constants[1] == Some(one) => make(ctx, 0, ty),
        "subi" | "xori" if a == b => make(ctx, 0, ty),
        "andi" | "ori" | "maxsi" | "minsi" | "maxui" | "minui" if a == b => Some(left),
        _ => None,
    }
}

/// What an op of `arith` gives for two constants of a type.
pub fn combine(ctx: &Context, kind: &str, a: Attr, b: Attr, ty: Type) -> Option<Attr> {
    let width = width(ctx, ty)?;
    match make(ctx, evaluate(kind, integer(ctx, a)?, integer(ctx, b)?, width)?, ty)? {
        Folded::Constant(attr) => Some(attr),
        Folded::Value(_) => None,
    }
}

/// What is left where an op undoes the one before it: `(x ^ a) ^ a`, `(x - a) + a`, `(x + a) - a` are `x`.
fn cancel(ctx: &Context, body: &Body, name: &str, a: ValueId, b: ValueId) -> Option<ValueId> {
    let of = |value: ValueId, wanted: &str| {
        let op = body.defining_op(value).filter(|&op| ctx.op_str(body.op_name(op)) == wanted)?;
        match body.operands(op).as_slice() {
            &[x, y] => Some((x, y)),
            _ => None,
        }
    };
    let other = |(x, y): (ValueId, ValueId), known: ValueId| match (x == known, y == known) {
        (true, _) => Some(y),
        (_, true) => Some(x),
        _ => None,
    };
    match name {
        "arith.xori" => {
            let left = of(a, name).and_then(|pair| other(pair, b));
            left.or_else(|| of(b, name).and_then(|pair| other(pair, a)))
        }
        "arith.addi" => {
            let undone = |value, known| of(value, "arith.subi").and_then(|(x, y)| (y == known).then_some(x));
            undone(a, b).or_else(|| undone(b, a))
        }
        "arith.subi" => of(a, "arith.addi").and_then(|pair| other(pair, b)),
        _ => None,
    }
}

fn evaluate(kind: &str, x: i128, y: i128, width: u32) -> Option<i128> {
    let (ux, uy) = (unsigned(x, width), unsigned(y, width));
    let shift = (0..i128::from(width)).contains(&uy).then_some(uy as u32);
    // The smallest number divided by -1 does not fit.
    let divisible = y != 0 && !(y == -1 && x == -(1i128 << (width - 1)));
    Some(match kind {
        "addi" => x + y,
        "subi" => x - y,
        "muli" => x.checked_mul(y)?,
        "divsi" if divisible => x / y,
        "remsi" if divisible => x % y,
        "floordivsi" if divisible => x.div_euclid(y) - i128::from(y < 0 && x.rem_euclid(y) != 0),
        "ceildivsi" if divisible => -((-x).div_euclid(y) - i128::from(y < 0 && (-x).rem_euclid(y) != 0)),
        "divui" if uy != 0 => ux / uy,
        "remui" if uy != 0 => ux % uy,
        "ceildivui" if uy != 0 => (ux + uy - 1) / uy,
        "andi" => x & y,
        "ori" => x | y,
        "xori" => x ^ y,
        "maxsi" => x.max(y),
        "minsi" => x.min(y),
        "maxui" => ux.max(uy),
        "minui" => ux.min(uy),
        "shli" => x << shift?,
        "shrsi" => x >> shift?,
        "shrui" => ux >> shift?,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::evaluate;

    #[test]
    fn divisions_round_as_their_names_say() {
        for x in -7i128..=7 {
            for y in [-3i128, -2, -1, 1, 2, 3] {
                let exact = x as f64 / y as f64;
                assert_eq!(evaluate("floordivsi", x, y, 32), Some(exact.floor() as i128), "{x} / {y}");
                assert_eq!(evaluate("ceildivsi", x, y, 32), Some(exact.ceil() as i128), "{x} / {y}");
                assert_eq!(evaluate("divsi", x, y, 32), Some(exact.trunc() as i128), "{x} / {y}");
            }
        }
        assert_eq!(evaluate("divsi", -128, -1, 8), None);
        assert_eq!(evaluate("divui", -1, 2, 8), Some(127));
    }
}
