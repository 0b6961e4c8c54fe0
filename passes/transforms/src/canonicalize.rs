//! `canonicalize`: a small canonical form.
//!
//! Integer arithmetic of constants is folded, neutral elements go away, constants of commutative ops stand on the right, those of
//! ops of ops are joined, equal constants are one, `scf.if` of a constant is the region that runs, branches on constants are branches, and what is
//! not used is removed. It deliberately does not touch floats, tensors or loops: dialects have passes of their own.

use crate::{
    constants::{join_constants, merge_constants},
    dce::{remove_dead_ops, remove_unreachable_blocks},
    fold::{self, constant_of},
};
use nim_builtin::arith::{AddI, MulI, Select, SubI, XorI};
use nim_ir::{Body, Builder, Context, Diagnostic, OpId, Trait, ValueId};
use nim_pass::{BodyPass, Miss, Owner, PassContext, PassOption, PassReport, RuleInfo, RuleSet, Site};
use nim_rewrite::rules;
use std::collections::BTreeMap;

rules! {
    /// Its rules, in the order in which an op is tried.
    const RULES;

    "fold-constants", "compute integer ops of constants":
        ["arith.*", "dataflow.index", "loops.index"] => fold::constants;
    "choose-constant", "a choice by a constant is the value chosen":
        Select { condition, true_value, false_value }
            if let Some(holds) = truth(ctx, body, condition), "the condition is no constant"
        => if holds { true_value } else { false_value };
    "drop-neutral", "`x + 0`, `x * 1`, `x & -1` are `x`": ["arith.*"] => fold::neutral;
    "absorb", "`x * 0`, `x & 0`, `x % 1` are 0": ["arith.*"] => fold::absorb;
    "equal-operands", "`x - x`, `x & x`, `x == x` are known": ["arith.*"] => fold::equal_operands;
    "undo", "`(x ^ a) ^ a`, `(x - a) + a`, `(x + a) - a` are `x`":
        XorI { lhs: XorI { lhs: x, rhs: a }, rhs: a } | XorI { lhs: XorI { lhs: a, rhs: x }, rhs: a }
            | XorI { rhs: XorI { lhs: x, rhs: a }, lhs: a } | XorI { rhs: XorI { lhs: a, rhs: x }, lhs: a }
            | AddI { lhs: SubI { lhs: x, rhs: a }, rhs: a } | AddI { rhs: SubI { lhs: x, rhs: a }, lhs: a }
            | SubI { lhs: AddI { lhs: x, rhs: a }, rhs: a } | SubI { lhs: AddI { lhs: a, rhs: x }, rhs: a }
        => x;
    "constant-right", "constants of commutative ops stand on the right": ["arith.*"] => constant_right;
    "join-constants", "`(x + 2) + 3` is `x + 5`, `(x * 2) * 3` is `x * 6`":
        [AddI::NAME, SubI::NAME, MulI::NAME] => join_constants;
    "unchanged-in-loop", "a value that a loop hands on unchanged": ["scf.for"] => unchanged_in_loop;
    "constant-if", "`scf.if` of a constant is the region that runs": ["scf.if"] => constant_if;
    "constant-branch", "a branch on a constant goes one way": ["cf.cond_br"] => constant_branch;
}

/// The truth value that a value is.
fn truth(ctx: &Context, body: &Body, value: ValueId) -> Option<bool> {
    constant_of(ctx, body, value).and_then(|attr| ctx.as_bool(attr))
}

/// The rule that is not about one op: equal constants are one.
const MERGE: RuleInfo = RuleInfo { name: "merge-constants", description: "equal constants are one" };

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
    fn rules(&self) -> Vec<RuleInfo> {
        RULES.iter().map(|rule| rule.info).chain([MERGE]).collect()
    }
    fn run(&self, pass: &PassContext<'_>, owner: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        let (mut rules, mut removed) = (RuleSet::new(pass.rules, RULES), 0);
        let mut between = |body: &mut Body| {
            let merged = merge_constants(pass.ctx, body, pass.rules, MERGE.name);
            removed += remove_unreachable_blocks(body) + remove_dead_ops(pass.ctx, body);
            BTreeMap::from([(MERGE.name, merged)])
        };
        let mut fired = |rule| report.count(rule, 1);
        let settled = rules.greedy_with(pass.ctx, body, self.max_iterations, &mut fired, &mut between);
        report.count("removed", removed);
        report.diagnostics.extend(settled.err().map(|restless| restless.diagnostic(owner.loc)));
        Ok(report)
    }
}

fn constant_right(site: &mut Site<'_>) -> Result<(), Miss> {
    let (ctx, op) = (site.ctx, site.op);
    let &[a, b] = site.body.operands(op).as_slice() else { return Err(Miss("it has no two operands")) };
    if !ctx.op_def(site.body.op_name(op)).is_some_and(|d| d.has(Trait::Commutative)) {
        return Err(Miss("the op is not commutative"));
    }
    if constant_of(ctx, site.body, a).is_none() || constant_of(ctx, site.body, b).is_some() {
        return Err(Miss("the left operand is no constant, or the right one is one too"));
    }
    site.fire()?;
    site.body.set_operands(op, &[b, a]);
    Ok(())
}

/// A value that a loop carries but yields as it came, or as it was at first: everybody may use the first one.
fn unchanged_in_loop(site: &mut Site<'_>) -> Result<(), Miss> {
    const SHAPE: Miss = Miss("the loop has no body that ends in `scf.yield`");
    let (ctx, op) = (site.ctx, site.op);
    let body = &*site.body;
    let entry = body.regions(op).first().and_then(|&r| body.entry_block(r)).ok_or(SHAPE)?;
    let end = body.last_op(entry).filter(|&end| body.is(ctx, end, "scf.yield")).ok_or(SHAPE)?;
    let (starts, yields) = (body.operands(op), body.operands(end));
    let mut known: Vec<(ValueId, ValueId)> = vec![];
    for (i, &result) in body.results(op).iter().enumerate() {
        // Bounds and step stand before the carried values, the iteration before their arguments.
        let carried = (starts.get(3 + i), body.block_args(entry).get(1 + i), yields.get(i));
        let (Some(&start), Some(&arg), Some(&given)) = carried else { break };
        if given == start || given == arg {
            let handed_on = |v| v == arg && body.only_use(arg).is_some_and(|u| u.op == end);
            known.extend([result, arg].into_iter().filter(|&v| body.has_uses(v) && !handed_on(v)).map(|v| (v, start)));
        }
    }
    if known.is_empty() {
        return Err(Miss("each value that it carries changes, or is not used"));
    }
    site.fire()?;
    known.into_iter().for_each(|(value, start)| site.body.replace_all_uses(value, start));
    Ok(())
}

/// Which of two regions or blocks a constant condition, the first operand, takes: 0 when it is true.
fn decided(site: &Site<'_>) -> Result<usize, Miss> {
    let condition = site.body.operands_iter(site.op).next().and_then(|c| truth(site.ctx, site.body, c));
    let condition = condition.ok_or(Miss("the condition is no constant"))?;
    Ok(usize::from(!condition))
}

/// `scf.if` of a constant: the ops of the region that runs take its place.
fn constant_if(site: &mut Site<'_>) -> Result<(), Miss> {
    let (ctx, op, side) = (site.ctx, site.op, decided(site)?);
    let block = site.body.regions(op).get(side).and_then(|&r| site.body.entry_block(r));
    let ops: Vec<OpId> = block.map_or(vec![], |block| site.body.block_ops(block).collect());
    let (ends, ops): (Vec<OpId>, Vec<OpId>) = ops.into_iter().partition(|&o| site.body.is(ctx, o, "scf.yield"));
    let values = ends.last().map_or(vec![], |&end| site.body.operands(end).to_vec());
    let results = site.body.results(op).to_vec();
    if values.len() != results.len() {
        return Err(Miss("the region that runs does not yield the results"));
    }
    site.fire()?;
    for inner in ops {
        site.body.detach(inner);
        site.body.insert_before(op, inner);
    }
    for (result, value) in results.into_iter().zip(values) {
        site.body.replace_all_uses(result, value);
    }
    site.body.erase(op);
    Ok(())
}

/// `cf.cond_br` of a constant becomes `cf.br`.
fn constant_branch(site: &mut Site<'_>) -> Result<(), Miss> {
    let (ctx, op, side) = (site.ctx, site.op, decided(site)?);
    let values = nim_ir::verifier::operand_groups(ctx, site.body, op).and_then(|g| g.get(1 + side).cloned());
    let (Some(values), Some(&target)) = (values, site.body.successors(op).get(side)) else {
        return Err(Miss("its operands do not fit its successors"));
    };
    site.fire()?;
    let operands = site.body.operands(op)[values].to_vec();
    let mut builder = Builder::before(ctx, site.body, op);
    let mut state = builder.state("cf.br").operands(&operands);
    state.successors.push(target);
    builder.insert(state);
    site.body.erase(op);
    Ok(())
}
