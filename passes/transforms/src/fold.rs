//! Folding of integer and index arithmetic: what an op of constants gives, and neutral elements.
//!
//! Integers of n bits wrap, as `arith` says. `index` is taken as 64 bits wide. What has no value (division by zero, a shift by the
//! width or more) is left alone. Floats are not folded here.

use nim_ir::{Attr, AttrData, Body, Context, OpId, Type, TypeData, ValueId};
use nim_pass::{Miss, Site};
use smallvec::SmallVec;

/// What an op can be replaced by.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Folded {
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

fn make(ctx: &Context, value: i128, ty: Type) -> Option<Attr> {
    let width = width(ctx, ty)?;
    Some(match (width, ctx.type_data(ty)) {
        (1, TypeData::Integer { .. }) => ctx.bool_attr(value & 1 != 0),
        _ => ctx.int_attr(wrap(value, width), ty),
    })
}

/// The op with its operands and the constants that they are.
struct Known<'c> {
    name: &'c str,
    operands: SmallVec<[ValueId; 4]>,
    constants: SmallVec<[Option<i128>; 4]>,
    ty: Type,
}

fn known<'c>(ctx: &'c Context, body: &Body, op: OpId) -> Option<Known<'c>> {
    let (operands, &[result]) = (body.operands(op), body.results(op)) else { return None };
    let constants = operands.iter().map(|&v| wrap_of(ctx, body, v)).collect();
    Some(Known { name: ctx.op_str(body.op_name(op)), operands, constants, ty: body.ty(result) })
}

/// Rule `fold-constants`: an op whose operands are all constants is one.
pub fn constants(site: &mut Site<'_>) -> Result<(), Miss> {
    let (ctx, op) = (site.ctx, site.op);
    let Known { name, operands, constants, ty } = known(ctx, site.body, op).ok_or(Miss("it has no single result"))?;
    let attr = if let "dataflow.index" | "loops.index" = name {
        let expr = site.body.attr_named(ctx, op, "expr").and_then(|a| ctx.as_expr(a));
        let number = expr.and_then(|e| ctx.exprs.as_const(e)).ok_or(Miss("the expression is no number"))?;
        make(ctx, number.into(), ty)
    } else {
        let values: Option<SmallVec<[i128; 4]>> = constants.iter().copied().collect();
        match *values.ok_or(Miss("an operand is no integer constant"))?.as_slice() {
            [x, y] if name == "arith.cmpi" => {
                let width = width(ctx, site.body.ty(operands[0])).ok_or(Miss("the type is no integer"))?;
                Some(ctx.bool_attr(compare(ctx, site.body, op, x, y, width).ok_or(Miss("unknown predicate"))?))
            }
            [x] => {
                let from = width(ctx, site.body.ty(operands[0])).ok_or(Miss("the type is no integer"))?;
                match name {
                    "arith.index_castui" | "arith.extui" => make(ctx, unsigned(x, from), ty),
                    "arith.index_cast" | "arith.extsi" | "arith.trunci" => make(ctx, x, ty),
                    _ => None,
                }
            }
            [x, y] => {
                let kind = name.strip_prefix("arith.").unwrap_or(name);
                width(ctx, ty).and_then(|width| evaluate(kind, x, y, width)).and_then(|value| make(ctx, value, ty))
            }
            _ => None,
        }
    };
    let attr = attr.ok_or(Miss("it has no value for these constants, or is not computed here"))?;
    site.fire()?;
    put_constant(site, attr, ty);
    Ok(())
}

fn put_constant(site: &mut Site<'_>, attr: Attr, ty: Type) {
    let value = site.builder().value("arith.constant", &[], ty, &[("value", attr)]);
    site.replace(value);
}

/// Rule `drop-neutral`: `x + 0`, `x * 1`, `x & -1` are `x`.
pub fn neutral(site: &mut Site<'_>) -> Result<(), Miss> {
    let (Known { operands, constants, .. }, one, kind) = binary(site)?;
    // Constants of commutative ops stand on the right in canonical form; both sides are looked at all the same.
    let (left, right) = match kind {
        "addi" | "ori" | "xori" => (Some(0), Some(0)),
        "subi" | "shli" | "shrsi" | "shrui" => (None, Some(0)),
        "muli" => (Some(one), Some(one)),
        "divsi" | "divui" | "floordivsi" | "ceildivsi" | "ceildivui" => (None, Some(one)),
        "andi" => (Some(-1), Some(-1)),
        _ => return Err(Miss("the op has no neutral operand")),
    };
    let value = match () {
        () if constants[1].is_some() && constants[1] == right => operands[0],
        () if constants[0].is_some() && constants[0] == left => operands[1],
        () => return Err(Miss("no operand is the neutral constant")),
    };
    site.fire()?;
    site.replace(value);
    Ok(())
}

/// Rule `absorb`: `x * 0`, `x & 0`, `x % 1` are 0.
pub fn absorb(site: &mut Site<'_>) -> Result<(), Miss> {
    let (Known { constants, ty, .. }, one, kind) = binary(site)?;
    match kind {
        "muli" | "andi" if constants.contains(&Some(0)) => {}
        "remsi" | "remui" if constants[1] == Some(one) => {}
        _ => return Err(Miss("no constant makes the result 0 whatever the other operand is")),
    }
    let zero = make(site.ctx, 0, ty).ok_or(Miss("the type is no integer"))?;
    site.fire()?;
    put_constant(site, zero, ty);
    Ok(())
}

/// Rule `equal-operands`: `x - x` is 0, `x & x` is `x`, `x == x` is true, a choice between equals is none.
pub fn equal_operands(site: &mut Site<'_>) -> Result<(), Miss> {
    let (ctx, op) = (site.ctx, site.op);
    let Known { name, operands, ty, .. } = known(ctx, site.body, op).ok_or(Miss("it has no single result"))?;
    let (a, b) = match (name, operands.as_slice()) {
        ("arith.select", &[_, a, b]) | (_, &[a, b]) => (a, b),
        _ => return Err(Miss("it has no two operands")),
    };
    if a != b {
        return Err(Miss("the operands are different values"));
    }
    let folded = match name.strip_prefix("arith.") {
        Some("subi" | "xori") => make(ctx, 0, ty).map(Folded::Constant),
        Some("andi" | "ori" | "maxsi" | "minsi" | "maxui" | "minui" | "select") => Some(Folded::Value(a)),
        Some("cmpi") => {
            let width = width(ctx, site.body.ty(a)).ok_or(Miss("the type is no integer"))?;
            compare(ctx, site.body, op, 0, 0, width).map(|holds| Folded::Constant(ctx.bool_attr(holds)))
        }
        _ => None,
    };
    let folded = folded.ok_or(Miss("equal operands say nothing about the result"))?;
    site.fire()?;
    match folded {
        Folded::Value(value) => site.replace(value),
        Folded::Constant(attr) => put_constant(site, attr, ty),
    }
    Ok(())
}

/// An op of two integers, the number one of its type, and its name without the dialect.
fn binary<'c>(site: &Site<'c>) -> Result<(Known<'c>, i128, &'c str), Miss> {
    let known = known(site.ctx, site.body, site.op).ok_or(Miss("it has no single result"))?;
    let width = width(site.ctx, known.ty).ok_or(Miss("the type is no integer"))?;
    match known.operands.len() {
        2 => {
            let kind = known.name.strip_prefix("arith.").unwrap_or(known.name);
            Ok((known, wrap(1, width), kind))
        }
        _ => Err(Miss("it has no two operands")),
    }
}

fn wrap_of(ctx: &Context, body: &Body, value: ValueId) -> Option<i128> {
    let width = width(ctx, body.ty(value))?;
    Some(wrap(integer(ctx, constant_of(ctx, body, value)?)?, width))
}

fn compare(ctx: &Context, body: &Body, op: OpId, x: i128, y: i128, width: u32) -> Option<bool> {
    let predicate = usize::try_from(ctx.as_int(body.attr_named(ctx, op, "predicate")?)?).ok()?;
    let (ux, uy) = (unsigned(x, width), unsigned(y, width));
    Some(match *nim_builtin::arith::CMPI_PREDICATES.get(predicate)? {
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
    })
}

/// What an op of `arith` gives for two constants of a type.
pub fn combine(ctx: &Context, kind: &str, a: Attr, b: Attr, ty: Type) -> Option<Attr> {
    let width = width(ctx, ty)?;
    make(ctx, evaluate(kind, integer(ctx, a)?, integer(ctx, b)?, width)?, ty)
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
