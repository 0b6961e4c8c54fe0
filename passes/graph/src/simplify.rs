//! `graph-simplify`: ops that say nothing go, ops that undo each other too, and constant factors and terms behind a
//! convolution or matrix product with constant weights (batch normalisation) go into the weights and a bias.

use crate::{affine, fold::remove_unused, integer};
use nim_ir::{Body, Context, Expr, Module, OpId, ValueId};
use nim_pass::{Miss, Rule, RuleSet, Rules, Site};

/// The name of the pass.
pub const NAME: &str = "graph-simplify";

/// Rounds before giving up waiting for a fixed point.
const MAX_ROUNDS: usize = 32;

/// What to simplify.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct SimplifyOptions {
    /// Scale weights by constants that stand behind; rounds at other places than the original.
    pub fold_weights: bool,
}

impl Default for SimplifyOptions {
    fn default() -> Self {
        SimplifyOptions { fold_weights: true }
    }
}

/// Simplifies all functions; tells how many rewrites there were.
pub fn simplify(ctx: &Context, module: &mut Module, options: SimplifyOptions) -> usize {
    module.body.nested_bodies_mut().map(|(_, body)| simplify_body(ctx, body, options)).sum()
}

/// Simplifies one function; tells how many rewrites there were.
pub fn simplify_body(ctx: &Context, body: &mut Body, options: SimplifyOptions) -> usize {
    let mut total = 0;
    simplify_under(ctx, body, options, Rules::new(NAME, None), &mut |_| total += 1);
    total
}

/// Simplifies one function; `done` hears of each rule that was applied.
pub(crate) fn simplify_under(
    ctx: &Context,
    body: &mut Body,
    options: SimplifyOptions,
    rules: Rules<'_>,
    done: &mut dyn FnMut(&'static str),
) {
    let wanted = RULES.iter().filter(|rule| {
        options.fold_weights || ![FOLD_WEIGHTS, INTEGER_PRODUCT, SCALE_BEHIND].contains(&rule.info.name)
    });
    let mut set = RuleSet::new(rules, wanted);
    for _ in 0..MAX_ROUNDS {
        let mut changed = false;
        for op in body.walk() {
            if body.is_erased(op) {
                continue;
            }
            if let Some(rule) = set.apply(ctx, body, op) {
                done(rule);
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    remove_unused(ctx, body);
}

const FOLD_WEIGHTS: &str = "fold-weights";

/// The rules, in the order in which an op is tried.
pub(crate) const RULES: &[Rule] = &[
    Rule::new("drop-identity", "`graph.identity` of `x` is `x`", &["graph.identity"], identity),
    Rule::new("same-type", "a cast, reshape or broadcast to the same type", SAME_TYPE, same_type_op),
    Rule::new("same-order", "a transpose that leaves all axes in place", &["graph.transpose"], same_order),
    Rule::new("join-transposes", "a transpose of a transpose is one", &["graph.transpose"], join_transposes),
    Rule::new("join-reshapes", "a reshape of a reshape is one", &["graph.reshape"], join_reshapes),
    Rule::new("whole-slice", "a slice that takes everything", &["graph.slice"], whole_slice),
    Rule::new("empty-pad", "padding by nothing", &["graph.pad"], empty_pad),
    Rule::new("single-concat", "the concatenation of one tensor", &["graph.concat"], single_concat),
    Rule::new("reduce-nothing", "a reduction over no axis", &["graph.reduce"], reduce_nothing),
    Rule::new("neutral-number", "`x * 1`, `x / 1`, `x ^ 1`, `x - 0` are `x`", NEUTRAL, neutral_number),
    Rule::new(
        "narrow-transpose",
        "a widened constant is transposed as it is stored",
        &["graph.transpose"],
        integer::narrow,
    ),
    Rule::new(
        "narrow-gather",
        "rows of a widened constant are gathered as they are stored",
        &["graph.gather"],
        integer::gather,
    ),
    Rule::new(INTEGER_PRODUCT, "a product of scaled bytes is one of integers, scaled", CONTRACTIONS, integer::product),
    Rule::new(SCALE_BEHIND, "the scale of weights of bytes goes behind their product", CONTRACTIONS, integer::scale),
    Rule::new("zero-points-behind", "zero points go behind a product of bytes", CONTRACTIONS, integer::zero_points),
    Rule::new(FOLD_WEIGHTS, "factors and terms behind a product go into its weights", PRODUCTS, affine::fold_behind),
];
const INTEGER_PRODUCT: &str = "integer-product";
const SCALE_BEHIND: &str = "scale-behind";
const CONTRACTIONS: &[&str] = &["graph.conv", "graph.matmul"];
const SAME_TYPE: &[&str] = &["graph.cast", "graph.reshape", "graph.broadcast_to"];
const NEUTRAL: &[&str] = &["graph.mul", "graph.div", "graph.pow", "graph.sub"];
const PRODUCTS: &[&str] = &["graph.conv", "graph.conv_transpose", "graph.matmul"];

fn first(site: &Site<'_>) -> Result<ValueId, Miss> {
    site.body.operands_iter(site.op).next().ok_or(Miss("it has no operand"))
}

/// The first operand, where it has the type of the result.
fn first_of_same_type(site: &Site<'_>) -> Result<ValueId, Miss> {
    let value = first(site)?;
    let same = site.body.ty(value) == site.body.ty(site.body.result(site.op));
    same.then_some(value).ok_or(Miss("operand and result have different types"))
}

fn identity(site: &mut Site<'_>) -> Result<(), Miss> {
    let value = first(site)?;
    site.fire()?;
    site.replace(value);
    Ok(())
}

fn same_type_op(site: &mut Site<'_>) -> Result<(), Miss> {
    let value = first_of_same_type(site)?;
    site.fire()?;
    site.replace(value);
    Ok(())
}

fn perm_of(ctx: &Context, body: &Body, op: OpId) -> Result<Vec<i64>, Miss> {
    body.attr_named(ctx, op, "perm").and_then(|a| ctx.as_ints(a)).ok_or(Miss("`perm` is no list of integers"))
}

fn same_order(site: &mut Site<'_>) -> Result<(), Miss> {
    let value = first(site)?;
    let perm = perm_of(site.ctx, site.body, site.op)?;
    if !perm.iter().enumerate().all(|(i, &p)| i as i64 == p) {
        return Err(Miss("`perm` moves an axis"));
    }
    site.fire()?;
    site.replace(value);
    Ok(())
}

fn join_transposes(site: &mut Site<'_>) -> Result<(), Miss> {
    let ctx = site.ctx;
    let inner = site.operand_op(0, "graph.transpose").ok_or(Miss("the operand is not made by `graph.transpose`"))?;
    let (perm, before) = (perm_of(ctx, site.body, site.op)?, perm_of(ctx, site.body, inner)?);
    let both: Option<Vec<i64>> = perm.iter().map(|&p| before.get(usize::try_from(p).ok()?).copied()).collect();
    let both = both.ok_or(Miss("`perm` names an axis that is not there"))?;
    site.fire()?;
    let (source, ty) = (site.body.operand(inner, 0), site.body.ty(site.body.result(site.op)));
    let value = site.builder().value("graph.transpose", &[source], ty, &[("perm", ctx.i64_array(&both))]);
    site.replace(value);
    Ok(())
}

fn join_reshapes(site: &mut Site<'_>) -> Result<(), Miss> {
    let inner = site.operand_op(0, "graph.reshape").ok_or(Miss("the operand is not made by `graph.reshape`"))?;
    let source = site.body.operand(inner, 0);
    site.fire()?;
    if site.body.ty(source) == site.body.ty(site.body.result(site.op)) {
        site.replace(source);
    } else {
        site.body.set_operand(site.op, 0, source);
    }
    Ok(())
}

/// The expressions of an attribute are all this one.
fn all_are(site: &Site<'_>, attr: &str, wanted: Expr) -> bool {
    let exprs = site.body.attr_named(site.ctx, site.op, attr).and_then(|a| site.ctx.as_exprs(a));
    exprs.is_some_and(|exprs| exprs.iter().all(|&e| e == wanted))
}

fn whole_slice(site: &mut Site<'_>) -> Result<(), Miss> {
    let value = first_of_same_type(site)?;
    if !all_are(site, "starts", Expr::ZERO) || !all_are(site, "steps", Expr::ONE) {
        return Err(Miss("it starts behind 0 or has steps other than 1"));
    }
    site.fire()?;
    site.replace(value);
    Ok(())
}

fn empty_pad(site: &mut Site<'_>) -> Result<(), Miss> {
    let value = first_of_same_type(site)?;
    if !all_are(site, "low", Expr::ZERO) || !all_are(site, "high", Expr::ZERO) {
        return Err(Miss("it adds or removes elements"));
    }
    site.fire()?;
    site.replace(value);
    Ok(())
}

fn single_concat(site: &mut Site<'_>) -> Result<(), Miss> {
    let value = first_of_same_type(site)?;
    if site.body.operand_count(site.op) != 1 {
        return Err(Miss("it has several operands"));
    }
    site.fire()?;
    site.replace(value);
    Ok(())
}

fn reduce_nothing(site: &mut Site<'_>) -> Result<(), Miss> {
    let value = first_of_same_type(site)?;
    let axes = site.body.attr_named(site.ctx, site.op, "axes").and_then(|a| site.ctx.as_ints(a));
    if !axes.is_some_and(|axes| axes.is_empty()) {
        return Err(Miss("it reduces an axis"));
    }
    site.fire()?;
    site.replace(value);
    Ok(())
}

/// Exact for all numbers; adding zero is not, for it loses the sign of -0.
fn neutral_number(site: &mut Site<'_>) -> Result<(), Miss> {
    let (ctx, body) = (site.ctx, &*site.body);
    let name = site.name();
    let number = if name == "graph.sub" { 0.0 } else { 1.0 };
    let &[x, y] = body.operands(site.op).as_slice() else { return Err(Miss("it has no two operands")) };
    let result = body.ty(body.result(site.op));
    let kept =
        |kept: ValueId, beside: ValueId| body.ty(kept) == result && affine::splat(ctx, body, beside) == Some(number);
    let value = match () {
        () if kept(x, y) => x,
        () if name == "graph.mul" && kept(y, x) => y,
        () => return Err(Miss("no operand is the neutral number, or the other one is broadcast")),
    };
    site.fire()?;
    site.replace(value);
    Ok(())
}
