//! `graph-simplify`: ops that say nothing go, ops that undo each other too, and constant factors and terms behind a
//! convolution or matrix product with constant weights (batch normalisation) go into the weights and a bias.

use crate::{affine, fold::remove_unused};
use nim_ir::{Body, Builder, Context, Expr, Module, OpId, ValueId};

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
    for _ in 0..MAX_ROUNDS {
        let mut changed = 0;
        for op in body.walk() {
            if body.is_erased(op) {
                continue;
            }
            let Some(name) = ctx.op_str(body.op_name(op)).strip_prefix("graph.") else { continue };
            if let Some(value) = other_value(ctx, body, op, name) {
                let old = body.result(op);
                body.replace_all_uses(old, value);
                body.erase(op);
                changed += 1;
            } else if options.fold_weights && affine::fold_behind(ctx, body, op) {
                changed += 1;
            }
        }
        total += changed;
        if changed == 0 {
            break;
        }
    }
    remove_unused(ctx, body);
    total
}

/// The value that an op's result is as well, which may be a new op.
fn other_value(ctx: &Context, body: &mut Body, op: OpId, name: &str) -> Option<ValueId> {
    let first = body.operands(op).first().copied();
    let same_type = |body: &Body, v: ValueId| body.ty(v) == body.ty(body.result(op));
    match name {
        "identity" => first,
        "cast" | "reshape" | "broadcast_to" if same_type(body, first?) => first,
        "transpose" => transpose(ctx, body, op),
        "reshape" => {
            let inner = defined_by(ctx, body, first?, "graph.reshape")?;
            let source = body.operand(inner, 0);
            if same_type(body, source) {
                return Some(source);
            }
            body.set_operand(op, 0, source);
            None
        }
        "slice" if same_type(body, first?) => {
            let exprs = |name: &str| ctx.as_exprs(body.attr_named(ctx, op, name)?);
            let whole =
                exprs("starts")?.iter().all(|&e| e == Expr::ZERO) && exprs("steps")?.iter().all(|&e| e == Expr::ONE);
            whole.then_some(first?)
        }
        "pad" if same_type(body, first?) => {
            let exprs = |name: &str| ctx.as_exprs(body.attr_named(ctx, op, name)?);
            let none = exprs("low")?.iter().chain(&exprs("high")?).all(|&e| e == Expr::ZERO);
            none.then_some(first?)
        }
        "concat" => (body.operand_count(op) == 1 && same_type(body, first?)).then_some(first?),
        // A sum over no axis.
        "reduce" if same_type(body, first?) => {
            ctx.as_ints(body.attr_named(ctx, op, "axes")?)?.is_empty().then_some(first?)
        }
        // Exact for all numbers; adding zero is not, for it loses the sign of -0.
        "mul" | "div" | "pow" => operand_beside(ctx, body, op, 1.0, name == "mul"),
        "sub" => operand_beside(ctx, body, op, 0.0, false),
        _ => None,
    }
}

/// The operand of a binary op whose other operand is a constant of this number, when it has the type of the result.
fn operand_beside(ctx: &Context, body: &Body, op: OpId, number: f64, commutes: bool) -> Option<ValueId> {
    let (x, y) = (body.operand(op, 0), body.operand(op, 1));
    let result = body.ty(body.result(op));
    let is = |v: ValueId| affine::splat(ctx, body, v) == Some(number);
    if body.ty(x) == result && is(y) {
        return Some(x);
    }
    (commutes && body.ty(y) == result && is(x)).then_some(y)
}

fn defined_by(ctx: &Context, body: &Body, v: ValueId, name: &str) -> Option<OpId> {
    body.defining_op(v).filter(|&op| body.is(ctx, op, name))
}

/// Two permutations are one, and one that changes nothing is none.
fn transpose(ctx: &Context, body: &mut Body, op: OpId) -> Option<ValueId> {
    let perm_of = |body: &Body, op: OpId| ctx.as_ints(body.attr_named(ctx, op, "perm")?);
    let perm = perm_of(body, op)?;
    let x = body.operand(op, 0);
    if perm.iter().enumerate().all(|(i, &p)| i as i64 == p) {
        return Some(x);
    }
    let inner = defined_by(ctx, body, x, "graph.transpose")?;
    let first = perm_of(body, inner)?;
    let both: Option<Vec<i64>> = perm.iter().map(|&p| first.get(usize::try_from(p).ok()?).copied()).collect();
    let (both, source, ty) = (both?, body.operand(inner, 0), body.ty(body.result(op)));
    let mut b = Builder::before(ctx, body, op);
    b.loc = ctx.derived_loc(NAME, b.loc);
    Some(b.value("graph.transpose", &[source], ty, &[("perm", ctx.i64_array(&both))]))
}
