//! `dyn-insert-kills`: values are given up right after their last use, so that their memory can be used again.
//!
//! Memory goes back when the last value that refers to it is gone, so no analysis of aliases is needed: every value is
//! killed for itself - buffers, views, reshapes, arguments, results of branches. A value that is used in a region is
//! killed behind the op with the region, unless it comes from inside. A value that is never used is killed at once.

use nim_dyn::Kill;
use nim_ir::{BlockId, Body, Builder, Context, OpId, RegionId, ValueId};
use nim_pass::{RuleInfo, Rules};
use rustc_hash::{FxHashMap, FxHashSet};

/// The name of the pass.
pub const NAME: &str = "dyn-insert-kills";

/// The rule: held back, a value lives until the function ends.
pub(crate) const KILL: RuleInfo =
    RuleInfo { name: "kill-after-last-use", description: "a value is given up right after its last use" };

/// Inserts the kills of a function; returns how many values are killed. Kills that are there already are replaced.
pub fn insert_kills(ctx: &Context, body: &mut Body) -> usize {
    insert_kills_under(ctx, body, Rules::default())
}

pub(crate) fn insert_kills_under(ctx: &Context, body: &mut Body, rules: Rules<'_>) -> usize {
    for op in body.walk() {
        if Kill::is(ctx, body, op) {
            body.erase(op);
        }
    }
    let regions: Vec<RegionId> = body.root_regions().to_vec();
    let mut done = 0;
    for region in regions {
        done += in_region(ctx, body, region, rules);
    }
    done
}

fn in_region(ctx: &Context, body: &mut Body, region: RegionId, rules: Rules<'_>) -> usize {
    let mut done = 0;
    for block in body.blocks(region).to_vec() {
        done += in_block(ctx, body, block, rules);
    }
    done
}

fn in_block(ctx: &Context, body: &mut Body, block: BlockId, rules: Rules<'_>) -> usize {
    let mut done = 0;
    let ops: Vec<OpId> = body.block_ops(block).collect();
    for &op in &ops {
        for region in body.regions(op).to_vec() {
            done += in_region(ctx, body, region, rules);
        }
    }
    // The last op of this block in which each value of this block is used.
    let mut own: Vec<ValueId> = body.block_args(block).to_vec();
    own.extend(ops.iter().flat_map(|&op| body.results(op).to_vec()));
    let mut last: FxHashMap<ValueId, OpId> = FxHashMap::default();
    for &v in &own {
        for u in body.uses(v) {
            let Some(at) = body.ancestor_in(u.op, block) else { continue };
            match last.get(&v) {
                Some(&old) if !body.is_before(old, at) => {}
                _ => {
                    last.insert(v, at);
                }
            }
        }
    }
    let end = ops.last().copied();
    let mut dying: FxHashMap<Option<OpId>, Vec<ValueId>> = FxHashMap::default();
    let mut seen = FxHashSet::default();
    for v in own {
        if !seen.insert(v) {
            continue;
        }
        let at = last.get(&v).copied().or_else(|| body.defining_op(v));
        // What the terminator takes leaves the block with it.
        if at.is_some() && at == end {
            continue;
        }
        dying.entry(at).or_default().push(v);
    }
    for (at, mut values) in
        [None].into_iter().chain(ops.iter().map(|&op| Some(op))).filter_map(|at| Some((at, dying.remove(&at)?)))
    {
        if let Some(op) = at.or(ops.first().copied()) {
            values.retain(|_| rules.may(KILL.name, ctx, body, op));
        }
        if values.is_empty() {
            continue;
        }
        done += values.len();
        let mut builder = match (at, ops.first()) {
            (Some(op), _) => Builder::after(ctx, body, op),
            (None, Some(&first)) => Builder::before(ctx, body, first),
            (None, None) => continue,
        };
        builder.op(Kill::NAME, &values, &[], &[]);
    }
    done
}
