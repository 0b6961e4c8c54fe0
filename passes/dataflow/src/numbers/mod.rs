//! `dataflow-simplify-numbers`: what quantised models do to each number, in fewer operations and with the same result.
//!
//! A number between two convolutions of bytes is quantised and scaled back: `q = clip(round(x/s) + z)` as a byte, `(q - z)*s`. Where
//! fusion has put both into one body, the byte is made for nothing; where bounds and fractions of numbers are known ([`range`]), conversions
//! and bounds that change nothing go, and what is left is bounded before it is divided, so that the division may be done by multiplying
//! (`loops-to-mlir` does it where it gives the same bits). Results stay the same bit for bit, zeros with their signs and NaN included.

mod range;

use nim_builtin::arith::cmpf_number;
use nim_ir::{Body, Builder, Context, Module, Type, ValueId};
use nim_pass::{Miss, Restless, RuleSet, Rules, Site};
use nim_rewrite::rules;
use range::Values;

/// The name of the pass.
pub const NAME: &str = "dataflow-simplify-numbers";

/// Rounds before giving up waiting for a fixed point.
const MAX_ROUNDS: usize = 100;
/// Integers up to this are added and scaled exactly in `f32`, with room.
const SMALL: f64 = 1_048_576.0;

/// Hides from the others that a byte was made of a float, so it comes last.
const TERM_BEHIND: &str = "term-behind";

rules! {
    /// The rules, in the order in which an op is tried.
    pub(crate) const RULES;

    "bound-nothing", "a bound that all numbers keep goes": ["arith.select"] => bound_nothing;
    "bound-first", "`clip(round(x / s) + z)` bounds `x`, and `clip(round(x) + z)` too": ["arith.select"] => bound_first;
    "same-scale", "`round(n * s / s)` of an integer is the integer": ["math.roundeven"] => same_scale;
    "integer-there-and-back", "an integer in floating point that becomes an integer and a float again stays what it is":
        ["arith.sitofp", "arith.uitofp"] => there_and_back;
    "float-there-and-back", "an integer that becomes a float and an integer again stays what it is":
        ["arith.fptosi", "arith.fptoui"] => back_and_there;
    TERM_BEHIND, "a constant integer is added to an integer after it was converted": ["arith.fptosi", "arith.fptoui"] => term_behind;
    "join-terms", "constant integers that are added to an integer are one":
        ["arith.addf", "arith.subf", "arith.addi", "arith.subi"] => join_terms;
    "term-as-integer", "a constant integer is added to an integer before it becomes a float":
        ["arith.addf", "arith.subf"] => term_as_integer;
}

/// Simplifies all functions; tells how many rewrites there were.
pub fn simplify_numbers(ctx: &Context, module: &mut Module) -> usize {
    let mut total = 0;
    for (_, body) in module.body.nested_bodies_mut() {
        // Rules that do not come to rest leave a body that is right all the same.
        let _ = simplify_under(ctx, body, Rules::new(NAME, None), &mut |_| total += 1);
    }
    total
}

/// Simplifies one function; `fired` hears of each rule that was applied.
pub(crate) fn simplify_under(
    ctx: &Context,
    body: &mut Body,
    rules: Rules<'_>,
    fired: &mut dyn FnMut(&'static str),
) -> Result<(), Restless> {
    for last in [false, true] {
        let turn = RULES.iter().filter(|rule| (rule.info.name == TERM_BEHIND) == last);
        RuleSet::new(rules, turn).greedy(ctx, body, MAX_ROUNDS, fired)?;
        for op in crate::fuse::maps(ctx, body) {
            crate::fuse::tidy(ctx, body, op);
        }
    }
    Ok(())
}

fn values<'a>(site: &'a Site<'_>) -> Values<'a> {
    Values { ctx: site.ctx, body: site.body }
}

fn result(site: &Site<'_>) -> ValueId {
    site.body.result(site.op)
}

const NOT_F32: Miss = Miss("it is not `f32`");

fn float(b: &mut Builder<'_>, value: f64, ty: Type) -> ValueId {
    let value = b.ctx.float_attr(value, ty);
    b.value("arith.constant", &[], ty, &[("value", value)])
}

fn integer(b: &mut Builder<'_>, value: f64, ty: Type) -> ValueId {
    let value = b.ctx.int_attr(value as i128, ty);
    b.value("arith.constant", &[], ty, &[("value", value)])
}

/// `x + k` in `f32`. Where that is `x`, it is left out if `x` is no -0, which `+ 0` would make +0.
fn add(b: &mut Builder<'_>, x: ValueId, k: f64, may_leave_out: bool) -> ValueId {
    if k == 0.0 && may_leave_out {
        return x;
    }
    let ty = b.body.ty(x);
    // Of a difference of equal numbers -0 does not come.
    let k = float(b, if k == 0.0 { 0.0 } else { k }, ty);
    b.value("arith.addf", &[x, k], ty, &[])
}

/// Puts `x + k` in place of the op; its last check.
fn replace_by_sum(site: &mut Site<'_>, x: ValueId, k: f64) -> Result<(), Miss> {
    let may_leave_out = values(site).never_minus_zero(x);
    site.fire()?;
    let sum = add(&mut site.builder(), x, k, may_leave_out);
    site.replace(sum);
    Ok(())
}

fn bound_nothing(site: &mut Site<'_>) -> Result<(), Miss> {
    let v = values(site);
    let selected = result(site);
    let (x, bound, keeps) = match (v.bounded(selected, "ogt"), v.bounded(selected, "olt")) {
        (Some((x, low)), _) => (x, low, v.range(x).is_within(low, f64::INFINITY)),
        (_, Some((x, high))) => (x, high, v.range(x).is_within(f64::NEG_INFINITY, high)),
        _ => return Err(Miss("it bounds no number by a constant")),
    };
    if !keeps || bound == 0.0 && !v.never_minus_zero(x) {
        return Err(Miss("numbers beyond the bound are possible"));
    }
    site.fire()?;
    site.replace(x);
    Ok(())
}

/// A divisor by which nothing overflows or loses digits.
fn is_plain_scale(s: f64) -> bool {
    s.is_finite() && (1e-30..1e30).contains(&s)
}

/// `clip(round(x / s) + z)` is `round(clip(x) / s) + z`, with bounds in the middle between those that round to the integers and those
/// that do not quite. Then the sum is known to be small, and `x` to be finite.
fn bound_first(site: &mut Site<'_>) -> Result<(), Miss> {
    const OTHER: Miss = Miss("it is no `min(max(round(x) + z))` of constants");
    let v = values(site);
    let out = result(site);
    if !v.is_f32(out) {
        return Err(NOT_F32);
    }
    let (inner, high) = v.bounded(out, "olt").ok_or(OTHER)?;
    let (sum, low) = v.bounded(inner, "ogt").ok_or(OTHER)?;
    let (rounded, zero) = match v.made_by(sum, "arith.addf").and_then(|_| v.sum_with_constant(sum)) {
        Some(found) => found,
        None => (sum, 0.0),
    };
    let argument = v.operand_of(rounded, &["math.roundeven"]).ok_or(OTHER)?;
    let quotient = v.made_by(argument, "arith.divf").and_then(|divide| {
        let (x, divisor) = (v.body.operand(divide, 0), v.body.operand(divide, 1));
        let scale = v.constant(divisor).filter(|&s| is_plain_scale(s))?;
        Some((x, scale, Some(divisor)))
    });
    let (x, scale, divisor) = quotient.unwrap_or((argument, 1.0, None));
    let small = |k: f64| k.fract() == 0.0 && k.abs() <= SMALL;
    if !small(low) || !small(high) || !small(zero) || low > high {
        return Err(Miss("its bounds or zero point are no small integers"));
    }
    // Each step as the body does it.
    let reached = |x: f32| f64::from((x / scale as f32).round_ties_even()) + zero;
    let bounds = [(low - zero - 0.25) * scale, (high - zero + 0.25) * scale].map(|b| b as f32);
    if bounds.map(reached) != [low, high] {
        return Err(Miss("its bounds are not reached"));
    }
    site.fire()?;
    let ty = site.body.ty(x);
    let mut b = site.builder();
    let mut value = x;
    for (bound, predicate) in bounds.into_iter().zip(["ogt", "olt"]) {
        let bound = float(&mut b, f64::from(bound), ty);
        let predicate = b.ctx.i64_attr(cmpf_number(predicate));
        let test = b.value("arith.cmpf", &[value, bound], b.ctx.int_type(1), &[("predicate", predicate)]);
        value = b.value("arith.select", &[test, value, bound], ty, &[]);
    }
    if let Some(divisor) = divisor {
        value = b.value("arith.divf", &[value, divisor], ty, &[]);
    }
    value = b.value("math.roundeven", &[value], ty, &[]);
    value = add(&mut b, value, zero, false);
    site.replace(value);
    Ok(())
}

/// `n*s` and its quotient by `s` are off by at most 2^-24 of themselves each: by less than a half for small integers.
fn same_scale(site: &mut Site<'_>) -> Result<(), Miss> {
    const OTHER: Miss = Miss("it rounds no `n * s / s` of a small integer");
    let v = values(site);
    if !v.is_f32(result(site)) {
        return Err(NOT_F32);
    }
    let divide = v.made_by(site.body.operand(site.op, 0), "arith.divf").ok_or(OTHER)?;
    let scale = v.constant(site.body.operand(divide, 1)).filter(|&s| is_plain_scale(s)).ok_or(OTHER)?;
    let multiply = v.made_by(site.body.operand(divide, 0), "arith.mulf").ok_or(OTHER)?;
    let (a, b) = (site.body.operand(multiply, 0), site.body.operand(multiply, 1));
    let n = [(a, b), (b, a)].into_iter().find(|&(n, s)| v.constant(s) == Some(scale) && v.constant(n).is_none());
    let (n, _) = n.filter(|&(n, _)| v.range(n).is_whole_up_to(SMALL)).ok_or(OTHER)?;
    site.fire()?;
    site.replace(n);
    Ok(())
}

/// The float that was made an integer of `width` bits and widened, and what was added to it then.
fn through_integer(v: &Values<'_>, integer: ValueId) -> Option<(ValueId, f64)> {
    let (integer, term) = v.sum_with_constant(integer).unwrap_or((integer, 0.0));
    let (narrow, unsigned) = match v.operand_of(integer, &["arith.extui"]) {
        Some(narrow) => (narrow, true),
        None => (v.operand_of(integer, &["arith.extsi"]).unwrap_or(integer), false),
    };
    let x = v.operand_of(narrow, &["arith.fptosi", "arith.fptoui"]).filter(|&x| v.is_f32(x))?;
    let width = v.width(narrow).filter(|&w| w > 1)?;
    let all = f64::from(width).exp2();
    let (low, high) = if unsigned { (0.0, all - 1.0) } else { (-all / 2.0, all / 2.0 - 1.0) };
    let range = v.range(x);
    let kept = range.is_whole_up_to(SMALL) && range.is_within(low, high) && term.abs() <= SMALL;
    kept.then_some((x, term))
}

fn there_and_back(site: &mut Site<'_>) -> Result<(), Miss> {
    let v = values(site);
    let out = result(site);
    if !v.is_f32(out) {
        return Err(NOT_F32);
    }
    let (x, term) = through_integer(&v, site.body.operand(site.op, 0))
        .ok_or(Miss("it is not made of a number in floating point that is known to be an integer of the type"))?;
    if site.body.is(site.ctx, site.op, "arith.uitofp") && !v.range(x).is_within(-term, SMALL) {
        return Err(Miss("it may be negative"));
    }
    replace_by_sum(site, x, term)
}

fn back_and_there(site: &mut Site<'_>) -> Result<(), Miss> {
    const OTHER: Miss = Miss("it is not made of an integer of the same type");
    let v = values(site);
    let out = result(site);
    let mut float = site.body.operand(site.op, 0);
    // -0 and 0 are the same integer.
    while let Some((x, k)) = v.made_by(float, "arith.addf").and_then(|_| v.sum_with_constant(float))
        && k == 0.0
    {
        float = x;
    }
    let wide = v.operand_of(float, &["arith.sitofp", "arith.uitofp"]).ok_or(OTHER)?;
    let narrow = v.operand_of(wide, &["arith.extui", "arith.extsi"]).unwrap_or(wide);
    let least = if v.made_by(float, "arith.uitofp").is_some() { 0.0 } else { -SMALL };
    // Widened or not, the low bits are the same.
    let fits = v.width(narrow).is_some_and(|w| (2..=16).contains(&w)) && v.range(wide).is_within(least, SMALL);
    if !fits || site.body.ty(narrow) != site.body.ty(out) {
        return Err(OTHER);
    }
    site.fire()?;
    site.replace(narrow);
    Ok(())
}

/// Conversions round towards zero, and integers not at all.
fn term_behind(site: &mut Site<'_>) -> Result<(), Miss> {
    const OTHER: Miss = Miss("it converts no sum of a small integer with a constant integer");
    let v = values(site);
    let out = result(site);
    let sum = site.body.operand(site.op, 0);
    let (x, term) = v.made_by(sum, "arith.addf").and_then(|_| v.sum_with_constant(sum)).ok_or(OTHER)?;
    let small = v.is_f32(sum) && v.range(x).is_whole_up_to(SMALL) && term.abs() <= SMALL && term.fract() == 0.0;
    // What is out of range keeps its low bits, so it may be wider for a while.
    let narrow = v.width(out).is_some_and(|w| (2..=16).contains(&w));
    if !small || !narrow {
        return Err(OTHER);
    }
    site.fire()?;
    let (ty, name) = (site.body.ty(out), site.name().to_owned());
    let mut b = site.builder();
    let value = if term == 0.0 {
        b.value(&name, &[x], ty, &[])
    } else {
        let wide = b.ctx.int_type(32);
        let converted = b.value("arith.fptosi", &[x], wide, &[]);
        let term = integer(&mut b, term, wide);
        let sum = b.value("arith.addi", &[converted, term], wide, &[]);
        b.value("arith.trunci", &[sum], ty, &[])
    };
    site.replace(value);
    Ok(())
}

fn join_terms(site: &mut Site<'_>) -> Result<(), Miss> {
    const OTHER: Miss = Miss("it is no sum of an integer with constant integers");
    let v = values(site);
    let out = result(site);
    let (sum, second) = v.sum_with_constant(out).ok_or(OTHER)?;
    if v.constant(sum).is_some() {
        return Err(OTHER);
    }
    if let Some(width) = v.width(out) {
        // Exact, whatever wraps.
        let (x, first) = match v.sum_with_constant(sum) {
            Some(found) => found,
            None if second == 0.0 => (sum, 0.0),
            None => return Err(OTHER),
        };
        let term = first + second;
        if width != 32 || term.abs() > SMALL {
            return Err(OTHER);
        }
        site.fire()?;
        let ty = site.body.ty(out);
        let mut b = site.builder();
        let sum = if term == 0.0 {
            x
        } else {
            let term = integer(&mut b, term, ty);
            b.value("arith.addi", &[x, term], ty, &[])
        };
        site.replace(sum);
        return Ok(());
    }
    if !v.is_f32(out) {
        return Err(NOT_F32);
    }
    // Adding -0 keeps a zero's sign, all others make it positive.
    let term = |k: f64| k.fract() == 0.0 && k.abs() <= SMALL && (k != 0.0 || k.is_sign_positive());
    let (x, term) = match v.sum_with_constant(sum) {
        Some((x, first)) if v.range(x).is_whole_up_to(SMALL) && term(first) && term(second) => (x, first + second),
        _ if second == 0.0 && v.never_minus_zero(sum) => (sum, 0.0),
        _ => return Err(OTHER),
    };
    replace_by_sum(site, x, term)
}

fn term_as_integer(site: &mut Site<'_>) -> Result<(), Miss> {
    const OTHER: Miss = Miss("it is no sum of an integer as a float with a constant integer");
    let v = values(site);
    let out = result(site);
    if !v.is_f32(out) {
        return Err(NOT_F32);
    }
    let (x, term) = v.sum_with_constant(out).ok_or(OTHER)?;
    let integer_value = v.operand_of(x, &["arith.sitofp"]).filter(|&i| v.width(i) == Some(32)).ok_or(OTHER)?;
    let small = v.range(integer_value).is_whole_up_to(SMALL) && term.abs() <= SMALL && term.fract() == 0.0;
    if !small || term == 0.0 {
        return Err(OTHER);
    }
    site.fire()?;
    let (ty, float_ty) = (site.body.ty(integer_value), site.body.ty(out));
    let mut b = site.builder();
    let term = integer(&mut b, term, ty);
    let sum = b.value("arith.addi", &[integer_value, term], ty, &[]);
    let sum = b.value("arith.sitofp", &[sum], float_ty, &[]);
    site.replace(sum);
    Ok(())
}
