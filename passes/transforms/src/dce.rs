//! `dce`: removes ops without effects whose results are not used, and blocks that nothing reaches.

use crate::effects::Effects;
use nim_ir::{BlockId, Body, Context, Diagnostic, OpId, RegionId};
use nim_pass::{BodyPass, Owner, PassContext, PassReport};
use rustc_hash::FxHashSet;

/// The pass.
pub struct Dce;

impl BodyPass for Dce {
    fn name(&self) -> &'static str {
        "dce"
    }
    fn description(&self) -> &'static str {
        "Remove unused ops without effects, and unreachable blocks"
    }
    fn run(&self, pass: &PassContext<'_>, _: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        report.count("blocks removed", remove_unreachable_blocks(body));
        report.count("ops removed", remove_dead_ops(pass.ctx, body));
        Ok(report)
    }
}

/// Removes unused ops without effects, also those that become unused by it; tells how many.
pub fn remove_dead_ops(ctx: &Context, body: &mut Body) -> u64 {
    let (mut removed, effects) = (0, Effects::new(ctx, body));
    // Users come behind what they use, so going backwards mostly needs one round.
    let mut work: Vec<OpId> = body.walk();
    while let Some(op) = work.pop() {
        if body.is_erased(op)
            || body.block(op).is_none()
            || body.results(op).iter().any(|&r| body.has_uses(r))
            || !effects.is_removable(ctx, body, op)
        {
            continue;
        }
        let mut inputs: Vec<OpId> = vec![];
        for inner in body.walk_op(op) {
            inputs.extend(body.operands(inner).iter().filter_map(|&v| body.defining_op(v)));
        }
        removed += body.walk_op(op).len() as u64;
        body.erase(op);
        work.extend(inputs);
    }
    removed
}

/// Removes blocks that no path from the entry of their region reaches; tells how many.
pub fn remove_unreachable_blocks(body: &mut Body) -> u64 {
    let mut regions: Vec<RegionId> = body.root_regions().to_vec();
    for op in body.walk() {
        regions.extend(body.regions(op));
    }
    let mut removed = 0;
    for region in regions {
        let blocks = body.blocks(region).to_vec();
        if blocks.len() < 2 {
            continue;
        }
        let mut reached: FxHashSet<BlockId> = FxHashSet::default();
        let mut work = vec![blocks[0]];
        while let Some(block) = work.pop() {
            if reached.insert(block) {
                work.extend(body.last_op(block).into_iter().flat_map(|op| body.successors(op).to_vec()));
            }
        }
        let dead: Vec<BlockId> = blocks.into_iter().filter(|b| !reached.contains(b)).collect();
        // Dead blocks may use each other's values in circles: all uses go first.
        let ops: Vec<OpId> = dead.iter().flat_map(|&b| body.block_ops(b).collect::<Vec<_>>()).collect();
        for &op in &ops {
            for inner in body.walk_op(op) {
                body.set_operands(inner, &[]);
            }
            body.set_successors(op, &[]);
        }
        for op in ops.into_iter().rev() {
            body.erase(op);
        }
        for block in dead {
            body.remove_block(block);
            removed += 1;
        }
    }
    removed
}
