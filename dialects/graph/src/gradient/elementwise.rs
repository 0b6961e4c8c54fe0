//! Derivatives of elementwise ops.

use super::{Forward, Rule};
use crate::build::{Built, GraphBuilder};
use nim_ir::ValueId;
use std::f64::consts::PI;

pub(super) const RULES: &[(&str, Rule)] = &[
    ("graph.identity", |_, _, a| Ok(vec![Some(a)])),
    ("graph.neg", |g, _, a| Ok(vec![Some(g.unary("neg", a)?)])),
    ("graph.abs", |g, f, a| {
        let sign = g.unary("sign", f.x[0])?;
        times(g, a, sign)
    }),
    ("graph.exp", |g, f, a| times(g, a, f.y)),
    ("graph.log", |g, f, a| over(g, a, f.x[0])),
    ("graph.sqrt", |g, f, a| {
        let double = g.with_scalar("mul", f.y, 2.0)?;
        over(g, a, double)
    }),
    ("graph.reciprocal", |g, f, a| {
        let square = g.binary("mul", f.y, f.y)?;
        let slope = g.unary("neg", square)?;
        times(g, a, slope)
    }),
    ("graph.sin", |g, f, a| {
        let slope = g.unary("cos", f.x[0])?;
        times(g, a, slope)
    }),
    ("graph.cos", |g, f, a| {
        let sin = g.unary("sin", f.x[0])?;
        let slope = g.unary("neg", sin)?;
        times(g, a, slope)
    }),
    ("graph.tan", |g, f, a| {
        let slope = polynomial(g, f.y, 1.0, 1.0)?;
        times(g, a, slope)
    }),
    ("graph.asin", |g, f, a| {
        let below = polynomial(g, f.x[0], 1.0, -1.0)?;
        let root = g.unary("sqrt", below)?;
        over(g, a, root)
    }),
    ("graph.acos", |g, f, a| {
        let below = polynomial(g, f.x[0], 1.0, -1.0)?;
        let root = g.unary("sqrt", below)?;
        let root = g.unary("neg", root)?;
        over(g, a, root)
    }),
    ("graph.atan", |g, f, a| {
        let below = polynomial(g, f.x[0], 1.0, 1.0)?;
        over(g, a, below)
    }),
    ("graph.sinh", |g, f, a| {
        let slope = g.unary("cosh", f.x[0])?;
        times(g, a, slope)
    }),
    ("graph.cosh", |g, f, a| {
        let slope = g.unary("sinh", f.x[0])?;
        times(g, a, slope)
    }),
    ("graph.tanh", |g, f, a| {
        let slope = polynomial(g, f.y, 1.0, -1.0)?;
        times(g, a, slope)
    }),
    ("graph.asinh", |g, f, a| {
        let below = polynomial(g, f.x[0], 1.0, 1.0)?;
        let root = g.unary("sqrt", below)?;
        over(g, a, root)
    }),
    ("graph.acosh", |g, f, a| {
        let below = polynomial(g, f.x[0], -1.0, 1.0)?;
        let root = g.unary("sqrt", below)?;
        over(g, a, root)
    }),
    ("graph.atanh", |g, f, a| {
        let below = polynomial(g, f.x[0], 1.0, -1.0)?;
        over(g, a, below)
    }),
    ("graph.erf", |g, f, a| {
        let square = g.binary("mul", f.x[0], f.x[0])?;
        let minus = g.unary("neg", square)?;
        let bell = g.unary("exp", minus)?;
        let slope = g.with_scalar("mul", bell, 2.0 / PI.sqrt())?;
        times(g, a, slope)
    }),
    ("graph.sigmoid", |g, f, a| {
        let minus = g.unary("neg", f.y)?;
        let rest = g.with_scalar("add", minus, 1.0)?;
        let slope = g.binary("mul", f.y, rest)?;
        times(g, a, slope)
    }),
    ("graph.relu", |g, f, a| {
        let zero = g.like(f.x[0], 0.0)?;
        let open = g.compare("gt", f.x[0], zero)?;
        Ok(vec![Some(g.select(open, a, zero)?)])
    }),
    ("graph.add", |g, f, a| both(g, f, a, a)),
    ("graph.sub", |g, f, a| {
        let minus = g.unary("neg", a)?;
        both(g, f, a, minus)
    }),
    ("graph.mul", |g, f, a| {
        let (left, right) = (g.binary("mul", a, f.x[1])?, g.binary("mul", a, f.x[0])?);
        both(g, f, left, right)
    }),
    ("graph.div", |g, f, a| {
        let left = g.binary("div", a, f.x[1])?;
        let slope = g.binary("mul", left, f.y)?;
        let right = g.unary("neg", slope)?;
        both(g, f, left, right)
    }),
    ("graph.pow", pow),
    ("graph.mod", |g, f, a| remainder(g, f, a, "floor")),
    ("graph.fmod", |g, f, a| remainder(g, f, a, "truncate")),
    ("graph.max", |g, f, a| extreme(g, f, a, "ge")),
    ("graph.min", |g, f, a| extreme(g, f, a, "le")),
    ("graph.select", |g, f, a| {
        let zero = g.like(a, 0.0)?;
        let (left, right) = (g.select(f.x[0], a, zero)?, g.select(f.x[0], zero, a)?);
        let (left, right) = (g.unbroadcast_like(left, f.x[1])?, g.unbroadcast_like(right, f.x[2])?);
        Ok(vec![None, Some(left), Some(right)])
    }),
    ("graph.cast", |g, f, a| {
        if !g.dtype(f.x[0])?.is_float() || !g.dtype(f.y)?.is_float() {
            return Ok(vec![None]);
        }
        let element = g.element(f.x[0])?;
        Ok(vec![Some(g.cast(a, element)?)])
    }),
];

fn times(g: &mut GraphBuilder<'_>, a: ValueId, slope: ValueId) -> Built<Vec<Option<ValueId>>> {
    Ok(vec![Some(g.binary("mul", a, slope)?)])
}

fn over(g: &mut GraphBuilder<'_>, a: ValueId, below: ValueId) -> Built<Vec<Option<ValueId>>> {
    Ok(vec![Some(g.binary("div", a, below)?)])
}

/// `constant + square*x^2`
fn polynomial(g: &mut GraphBuilder<'_>, x: ValueId, constant: f64, square: f64) -> Built {
    let y = g.binary("mul", x, x)?;
    let y = g.with_scalar("mul", y, square)?;
    g.with_scalar("add", y, constant)
}

/// Two parts in the shapes of two operands.
fn both(g: &mut GraphBuilder<'_>, f: &Forward, left: ValueId, right: ValueId) -> Built<Vec<Option<ValueId>>> {
    Ok(vec![Some(g.unbroadcast_like(left, f.x[0])?), Some(g.unbroadcast_like(right, f.x[1])?)])
}

/// `y*x^(y - 1)` and `x^y * log x`, the latter 0 where `x` is not positive.
fn pow(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId) -> Built<Vec<Option<ValueId>>> {
    let (base, own) = (f.x[0], f.x[1]);
    let element = g.element(base)?;
    let exponent = g.cast(own, element)?;
    let less = g.with_scalar("sub", exponent, 1.0)?;
    let power = g.binary("pow", base, less)?;
    let slope = g.binary("mul", exponent, power)?;
    // 0 * 0^(-1) is the slope of a constant.
    let zero = g.like(base, 0.0)?;
    let flat = g.compare("eq", exponent, zero)?;
    let slope = g.select(flat, zero, slope)?;
    let left = g.binary("mul", a, slope)?;
    let left = g.unbroadcast_like(left, base)?;
    if !g.dtype(own)?.is_float() {
        return Ok(vec![Some(left), None]);
    }
    let log = g.unary("log", base)?;
    let slope = g.binary("mul", f.y, log)?;
    let positive = g.compare("gt", base, zero)?;
    let slope = g.select(positive, slope, zero)?;
    let right = g.binary("mul", a, slope)?;
    let right = g.unbroadcast_like(right, own)?;
    let element = g.element(own)?;
    Ok(vec![Some(left), Some(g.cast(right, element)?)])
}

/// `x - y*q` with the quotient `q` rounded.
fn remainder(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId, round: &str) -> Built<Vec<Option<ValueId>>> {
    let quotient = g.binary("div", f.x[0], f.x[1])?;
    let quotient = if round == "floor" {
        g.unary("floor", quotient)?
    } else {
        let (size, sign) = (g.unary("abs", quotient)?, g.unary("sign", quotient)?);
        let size = g.unary("floor", size)?;
        g.binary("mul", size, sign)?
    };
    let slope = g.unary("neg", quotient)?;
    let right = g.binary("mul", a, slope)?;
    both(g, f, a, right)
}

/// All of it to the operand that was taken; to the first of equals.
fn extreme(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId, predicate: &str) -> Built<Vec<Option<ValueId>>> {
    let first = g.compare(predicate, f.x[0], f.x[1])?;
    let zero = g.like(a, 0.0)?;
    let (left, right) = (g.select(first, a, zero)?, g.select(first, zero, a)?);
    both(g, f, left, right)
}
