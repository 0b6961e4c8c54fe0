//! `canonicalize`: a small canonical form.
//!
//! Integer arithmetic of constants is folded, neutral elements go away, constants of commutative ops stand on the right, those of
//! ops of ops are joined, equal constants are one, `scf.if` of a constant is the region that runs, branches on constants are branches, and what is
//! not used is removed. It deliberately does not touch floats, tensors or loops: dialects have passes of their own.

use crate::{
    constants::{join_constants, merge_constants},
    dce::{remove_dead_ops, remove_unreachable_blocks},
    fold::{Folded, constant_of, fold},
};
use nim_ir::{Body, Builder, Context, Diagnostic, OpId, Trait, ValueId};
use nim_pass::{BodyPass, Owner, PassContext, PassOption, PassReport};

/// The pass.
pub struct Canonicalize {
    /// Rounds after which it gives up and says so.
    pub max_iterations: usize,
}

impl BodyPass for Canonicalize {
    fn name(&self) -> &'static str {
        "canonicalize"
    }
    fn description(&self) -> &'static str {
        "Fold constants, remove what is neutral or unused"
    }
    fn options(&self) -> Vec<PassOption> {
        vec![PassOption::new("max-iterations", "rounds after which it gives up", self.max_iterations)]
    }
    fn run(&self, pass: &PassContext<'_>, owner: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        for _ in 0..self.max_iterations {
            let changes = round(pass, body, &mut report);
            let dead = remove_unreachable_blocks(body) + remove_dead_ops(pass.ctx, body);
            report.count("removed", dead);
            if changes == 0 {
                return Ok(report);
            }
        }
        let message = format!("no canonical form after {} rounds", self.max_iterations);
        report.diagnostics.push(Diagnostic::warning("N0820", owner.loc, message));
        Ok(report)
    }
}

fn round(pass: &PassContext<'_>, body: &mut Body, report: &mut PassReport) -> u64 {
    let ctx = pass.ctx;
    let mut changes = 0;
    for op in body.walk() {
        if body.is_erased(op) || body.block(op).is_none() {
            continue;
        }
        let done = if let Some(folded) = fold(ctx, body, op) {
            replace(pass, body, op, folded);
            "folded"
        } else if constant_to_the_right(ctx, body, op) {
            "operands ordered"
        } else if join_constants(pass, body, op) {
            "constants joined"
        } else if unchanged_in_loop(ctx, body, op) {
            "loop values that never change"
        } else if constant_if(ctx, body, op) || constant_branch(ctx, body, op) {
            "branches decided"
        } else {
            continue;
        };
        report.count(done, 1);
        changes += 1;
    }
    let merged = merge_constants(ctx, body);
    report.count("constants merged", merged);
    changes + merged
}

fn replace(pass: &PassContext<'_>, body: &mut Body, op: OpId, folded: Folded) {
    let result = body.result(op);
    let value = match folded {
        Folded::Value(value) => value,
        Folded::Constant(attr) => {
            let ty = body.ty(result);
            let mut builder = Builder::before(pass.ctx, body, op);
            builder.loc = pass.derived(builder.loc);
            builder.value("arith.constant", &[], ty, &[("value", attr)])
        }
    };
    body.replace_all_uses(result, value);
    body.erase(op);
}

fn constant_to_the_right(ctx: &Context, body: &mut Body, op: OpId) -> bool {
    let operands = body.operands(op);
    let commutative = ctx.op_def(body.op_name(op)).is_some_and(|d| d.has(Trait::Commutative));
    let &[a, b] = operands.as_slice() else { return false };
    if !commutative || constant_of(ctx, body, a).is_none() || constant_of(ctx, body, b).is_some() {
        return false;
    }
    body.set_operands(op, &[b, a]);
    true
}

/// A value that a loop carries but yields as it came, or as it was at first: everybody may use the first one.
fn unchanged_in_loop(ctx: &Context, body: &mut Body, op: OpId) -> bool {
    if !body.is(ctx, op, "scf.for") {
        return false;
    }
    let Some(entry) = body.regions(op).first().and_then(|&r| body.entry_block(r)) else { return false };
    let Some(end) = body.last_op(entry).filter(|&end| body.is(ctx, end, "scf.yield")) else { return false };
    let (results, args) = (body.results(op).to_vec(), body.block_args(entry).to_vec());
    let (starts, yields) = (body.operands(op), body.operands(end));
    let mut changed = false;
    for (i, &result) in results.iter().enumerate() {
        // Bounds and step stand before the carried values, the iteration before their arguments.
        let (Some(&start), Some(&arg), Some(&given)) = (starts.get(3 + i), args.get(1 + i), yields.get(i)) else {
            return changed;
        };
        if given != start && given != arg {
            continue;
        }
        for value in [result, arg] {
            changed |= body.has_uses(value) && !(value == arg && body.only_use(arg).is_some_and(|u| u.op == end));
            body.replace_all_uses(value, start);
        }
    }
    changed
}

/// `scf.if` of a constant: the ops of the region that runs take its place.
fn constant_if(ctx: &Context, body: &mut Body, op: OpId) -> bool {
    if !body.is(ctx, op, "scf.if") {
        return false;
    }
    let Some(condition) = constant_of(ctx, body, body.operand(op, 0)).and_then(|a| ctx.as_bool(a)) else {
        return false;
    };
    let region = body.regions(op).get(usize::from(!condition)).copied();
    let block = region.and_then(|r| body.entry_block(r));
    let mut values: Vec<ValueId> = vec![];
    if let Some(block) = block {
        let ops: Vec<OpId> = body.block_ops(block).collect();
        for inner in ops {
            if body.is(ctx, inner, "scf.yield") {
                values = body.operands(inner).to_vec();
            } else {
                body.detach(inner);
                body.insert_before(op, inner);
            }
        }
    }
    let results = body.results(op).to_vec();
    if values.len() != results.len() {
        return false;
    }
    for (result, value) in results.into_iter().zip(values) {
        body.replace_all_uses(result, value);
    }
    body.erase(op);
    true
}

/// `cf.cond_br` of a constant becomes `cf.br`.
fn constant_branch(ctx: &Context, body: &mut Body, op: OpId) -> bool {
    if !body.is(ctx, op, "cf.cond_br") {
        return false;
    }
    let Some(condition) = constant_of(ctx, body, body.operand(op, 0)).and_then(|a| ctx.as_bool(a)) else {
        return false;
    };
    let side = usize::from(!condition);
    let values = nim_ir::verifier::operand_groups(ctx, body, op).and_then(|g| g.get(1 + side).cloned());
    let (Some(values), Some(&target)) = (values, body.successors(op).get(side)) else { return false };
    let operands = body.operands(op)[values].to_vec();
    let mut builder = Builder::before(ctx, body, op);
    let mut state = builder.state("cf.br").operands(&operands);
    state.successors.push(target);
    builder.insert(state);
    body.erase(op);
    true
}
