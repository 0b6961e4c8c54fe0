//! `cse`: makes one op of several equal ones.
//!
//! Ops are equal when name, operands, attributes, result types and regions are; of commutative ops the order of operands does not
//! count. An op is replaced by one that dominates it: an earlier one of its block, of the blocks around, or of the entry block of
//! its region.

use crate::effects::Effects;
use nim_ir::{BlockId, Body, Context, Diagnostic, OpId, RegionId, Trait, Type, ValueId};
use nim_pass::{BodyPass, Owner, PassContext, PassReport, RuleInfo, Rules};
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

const MERGE: RuleInfo = RuleInfo { name: "merge-equal", description: "an op is an equal one that dominates it" };

/// The pass.
pub struct Cse;

impl BodyPass for Cse {
    fn name(&self) -> &'static str {
        "cse"
    }
    fn description(&self) -> &'static str {
        "Eliminate common subexpressions"
    }
    fn run(&self, pass: &PassContext<'_>, _: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        report.count("ops merged", merge(pass.ctx, body, pass.rules));
        Ok(report)
    }
    fn rules(&self) -> Vec<RuleInfo> {
        vec![MERGE]
    }
}

/// Ops seen so far by hash, and what to take back at the end of each scope.
#[derive(Default)]
struct Seen {
    ops: FxHashMap<u64, Vec<OpId>>,
    trail: Vec<u64>,
}

impl Seen {
    fn push(&mut self, hash: u64, op: OpId) {
        self.ops.entry(hash).or_default().push(op);
        self.trail.push(hash);
    }
    fn back_to(&mut self, mark: usize) {
        for hash in self.trail.drain(mark..).rev() {
            if let Some(list) = self.ops.get_mut(&hash) {
                list.pop();
            }
        }
    }
}

/// What is still to be done: an explicit stack, since nesting may be deep.
enum Step {
    Region(RegionId),
    Ops(BlockId, Option<OpId>),
    Back(usize),
}

/// Merges equal ops of a body; tells how many are gone.
pub fn merge_equal_ops(ctx: &Context, body: &mut Body) -> u64 {
    merge(ctx, body, Rules::default())
}

fn merge(ctx: &Context, body: &mut Body, rules: Rules<'_>) -> u64 {
    let (mut seen, mut merged, effects) = (Seen::default(), 0, Effects::new(ctx, body));
    let mut work: Vec<Step> = body.root_regions().iter().rev().map(|&r| Step::Region(r)).collect();
    while let Some(step) = work.pop() {
        match step {
            Step::Back(mark) => seen.back_to(mark),
            Step::Region(region) => {
                let blocks = body.blocks(region).to_vec();
                let Some((&entry, others)) = blocks.split_first() else { continue };
                work.push(Step::Back(seen.trail.len()));
                // The entry block dominates the others, which see it but not each other.
                for &block in others.iter().rev() {
                    work.push(Step::Ops(block, body.first_op(block)));
                }
                work.push(Step::Ops(entry, body.first_op(entry)));
            }
            Step::Ops(block, op) => {
                let is_entry = body.block_region(block).and_then(|r| body.entry_block(r)) == Some(block);
                if !is_entry && op == body.first_op(block) && op.is_some() {
                    work.push(Step::Back(seen.trail.len()));
                }
                let Some(op) = op else { continue };
                work.push(Step::Ops(block, None));
                if let Some(Step::Ops(_, next)) = work.last_mut() {
                    *next = body.next(op);
                }
                if let Some(equal) = find(ctx, body, &effects, &mut seen, op)
                    && rules.may(MERGE.name, ctx, body, op)
                {
                    let (old, new) = (body.results(op).to_vec(), body.results(equal).to_vec());
                    for (old, new) in old.into_iter().zip(new) {
                        body.replace_all_uses(old, new);
                    }
                    body.erase(op);
                    merged += 1;
                } else {
                    work.extend(body.regions(op).iter().rev().map(|&r| Step::Region(r)));
                }
            }
        }
    }
    merged
}

/// An equal op that was seen before; else the op is remembered.
fn find(ctx: &Context, body: &Body, effects: &Effects, seen: &mut Seen, op: OpId) -> Option<OpId> {
    let terminator = ctx.op_def(body.op_name(op)).is_none_or(|d| d.has(Trait::Terminator));
    if terminator || !body.successors(op).is_empty() || body.results(op).is_empty() || !effects.is_pure(op) {
        return None;
    }
    let hash = hash(ctx, body, op);
    let found = seen
        .ops
        .get(&hash)
        .and_then(|list| list.iter().copied().find(|&other| equal(ctx, body, other, op, &mut FxHashMap::default())));
    if found.is_none() {
        seen.push(hash, op);
    }
    found
}

fn operands(ctx: &Context, body: &Body, op: OpId, map: &dyn Fn(ValueId) -> ValueId) -> Vec<ValueId> {
    let mut operands: Vec<ValueId> = body.operands(op).iter().map(|&v| map(v)).collect();
    if operands.len() == 2 && ctx.op_def(body.op_name(op)).is_some_and(|d| d.has(Trait::Commutative)) {
        operands.sort_unstable();
    }
    operands
}

fn types<'a>(body: &'a Body, values: &'a [ValueId]) -> impl Iterator<Item = Type> + 'a {
    values.iter().map(|&v| body.ty(v))
}

/// What equal ops have in common; regions only by the names of their ops.
fn hash(ctx: &Context, body: &Body, op: OpId) -> u64 {
    let mut hasher = FxHasher::default();
    operands(ctx, body, op, &|v| v).hash(&mut hasher);
    for inner in body.walk_op(op) {
        body.op_name(inner).hash(&mut hasher);
        for (name, attr) in body.attrs(inner).iter() {
            (name, attr).hash(&mut hasher);
        }
        types(body, body.results(inner)).for_each(|t| t.hash(&mut hasher));
    }
    hasher.finish()
}

/// True when two ops are equal; `inside` says which values of the second's regions stand for which of the first's.
fn equal(ctx: &Context, body: &Body, a: OpId, b: OpId, inside: &mut FxHashMap<ValueId, ValueId>) -> bool {
    let same = body.op_name(a) == body.op_name(b)
        && body.attrs(a) == body.attrs(b)
        && body.properties(a) == body.properties(b)
        && types(body, body.results(a)).eq(types(body, body.results(b)))
        && body.successors(a).is_empty()
        && body.successors(b).is_empty()
        && body.regions(a).len() == body.regions(b).len()
        && operands(ctx, body, a, &|v| v) == operands(ctx, body, b, &|v| inside.get(&v).copied().unwrap_or(v));
    if !same {
        return false;
    }
    for (&a, &b) in body.results(a).iter().zip(body.results(b)) {
        inside.insert(b, a);
    }
    for (&ra, &rb) in body.regions(a).iter().zip(body.regions(b)) {
        let (&[x], &[y]) = (body.blocks(ra), body.blocks(rb)) else { return false };
        if !types(body, body.block_args(x)).eq(types(body, body.block_args(y))) {
            return false;
        }
        for (&x, &y) in body.block_args(x).iter().zip(body.block_args(y)) {
            inside.insert(y, x);
        }
        let (xs, ys): (Vec<OpId>, Vec<OpId>) = (body.block_ops(x).collect(), body.block_ops(y).collect());
        if xs.len() != ys.len() || !xs.into_iter().zip(ys).all(|(x, y)| equal(ctx, body, x, y, inside)) {
            return false;
        }
    }
    true
}
