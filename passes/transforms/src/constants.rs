//! Constants: those of ops of ops are joined, equal ones are made one.

use crate::fold::{combine, constant_of};
use nim_ir::{Attr, AttrData, BlockId, Body, Context, OpId, Type, ValueId};
use nim_pass::{Miss, Rules, Site};
use rustc_hash::FxHashMap;

/// An op with one constant operand: what it does to the other one.
enum Step {
    /// `sign * x + constant`
    Linear { x: ValueId, negative: bool, constant: Attr },
    /// `x * constant`
    Product { x: ValueId, constant: Attr },
}

fn step(ctx: &Context, body: &Body, op: OpId) -> Option<Step> {
    let &[a, b] = body.operands(op).as_slice() else { return None };
    let (left, right) = (constant_of(ctx, body, a), constant_of(ctx, body, b));
    match (ctx.op_str(body.op_name(op)), left, right) {
        ("arith.addi", None, Some(constant)) => Some(Step::Linear { x: a, negative: false, constant }),
        ("arith.subi", None, Some(constant)) => {
            let constant = combine(ctx, "subi", zero(ctx, body.ty(a))?, constant, body.ty(a))?;
            Some(Step::Linear { x: a, negative: false, constant })
        }
        ("arith.subi", Some(constant), None) => Some(Step::Linear { x: b, negative: true, constant }),
        ("arith.muli", None, Some(constant)) => Some(Step::Product { x: a, constant }),
        _ => None,
    }
}

fn zero(ctx: &Context, ty: Type) -> Option<Attr> {
    combine(ctx, "xori", ctx.int_attr(1, ty), ctx.int_attr(1, ty), ty)
}

/// `(x + 2) + 3` becomes `x + 5`, `3 - (x - 2)` becomes `5 - x`, `(x * 2) * 3` becomes `x * 6`.
pub fn join_constants(site: &mut Site<'_>) -> Result<(), Miss> {
    let (ctx, op) = (site.ctx, site.op);
    let (name, operands) = joined(ctx, site.body, op).ok_or(Miss("there are no two steps with a constant each"))?;
    site.fire()?;
    let (ty, loc) = (site.body.ty(site.body.result(op)), site.loc());
    let (x, negative, constant) = operands;
    let constant = site.builder().value("arith.constant", &[], ty, &[("value", constant)]);
    let body = &mut *site.body;
    body.set_operands(op, &if negative { [constant, x] } else { [x, constant] });
    body.set_op_name(op, ctx.op_name(name));
    // Neither of two steps overflows: that says nothing about the one that takes their place. Where flags are written out, so
    // is that there are none: equal ops are to look equal.
    let flags = ctx.name("overflowFlags");
    if body.attr(op, flags).is_some() {
        let none = ctx.attr(AttrData::Opaque(ctx.name("arith.overflow<none>")));
        body.attrs_mut(op).set(ctx, flags, none);
    }
    body.set_loc(op, loc);
    Ok(())
}

/// The name and operands of the op that does what an op and the one before it do.
fn joined(ctx: &Context, body: &Body, op: OpId) -> Option<(&'static str, (ValueId, bool, Attr))> {
    let outer = step(ctx, body, op)?;
    let ty = body.ty(body.result(op));
    let inner_op = |x: ValueId| body.defining_op(x).and_then(|inner| step(ctx, body, inner));
    match outer {
        Step::Product { x, constant: c1 } => match inner_op(x)? {
            Step::Product { x, constant: c0 } => Some(("arith.muli", (x, false, combine(ctx, "muli", c0, c1, ty)?))),
            Step::Linear { .. } => None,
        },
        Step::Linear { x, negative: n1, constant: c1 } => match inner_op(x)? {
            Step::Linear { x, negative: n0, constant: c0 } => {
                let constant = combine(ctx, if n1 { "subi" } else { "addi" }, c1, c0, ty)?;
                let negative = n0 != n1;
                Some((if negative { "arith.subi" } else { "arith.addi" }, (x, negative, constant)))
            }
            Step::Product { .. } => None,
        },
    }
}

/// The entry block of the region that a constant may stand in as well: regions of `scf` ops see what is around them.
fn home(ctx: &Context, body: &Body, op: OpId) -> Option<BlockId> {
    let mut region = body.block_region(body.block(op)?)?;
    while let Some(parent) = body.region_parent(region).filter(|&p| ctx.op_str(body.op_name(p)).starts_with("scf.")) {
        region = body.block_region(body.block(parent)?)?;
    }
    body.entry_block(region)
}

/// Makes one of equal constants; tells how many are gone. Where they stand in different blocks it moves to the front of
/// the function, which all of them see.
pub fn merge_constants(ctx: &Context, body: &mut Body, rules: Rules<'_>, rule: &'static str) -> u64 {
    let mut first: FxHashMap<(BlockId, Attr, Type), OpId> = FxHashMap::default();
    let mut merged = 0;
    let constant = ctx.op_name("arith.constant");
    for op in body.walk() {
        if body.op_name(op) != constant || body.is_erased(op) {
            continue;
        }
        let (Some(value), Some(home)) = (body.attr_named(ctx, op, "value"), home(ctx, body, op)) else { continue };
        let key = (home, value, body.ty(body.result(op)));
        match first.get(&key) {
            Some(&kept) if rules.may(rule, ctx, body, op) => {
                if ![Some(home), body.block(op)].contains(&body.block(kept)) {
                    body.detach(kept);
                    match body.first_op(home) {
                        Some(anchor) => body.insert_before(anchor, kept),
                        None => body.append(home, kept),
                    }
                }
                let (old, new) = (body.result(op), body.result(kept));
                body.replace_all_uses(old, new);
                body.erase(op);
                merged += 1;
            }
            Some(_) => {}
            None => {
                first.insert(key, op);
            }
        }
    }
    merged
}
