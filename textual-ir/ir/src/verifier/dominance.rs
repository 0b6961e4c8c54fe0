//! Values are used only where they are defined: behind their definition, in its region or in regions inside.
//!
//! One walk over the body; what is visible is kept up to date on the way, so the cost is that of looking at each operand
//! once, however deep ops are nested and however many blocks there are.

use crate::{BlockId, Body, Context, Diagnostic, OpId, RegionId, ValueDef, ValueId, entity::EntityId};
use rustc_hash::FxHashMap;

/// Checks all operands of a body. `graph`: the body is a module's, where order means nothing.
pub(super) fn check(ctx: &Context, body: &Body, graph: bool, found: &mut Vec<Diagnostic>) {
    let mut walk = Walk {
        ctx,
        body,
        graph,
        trees: FxHashMap::default(),
        open: vec![false; body.block_capacity()],
        seen: vec![false; body.op_capacity()],
    };
    let mut stack: Vec<Step> = body.root_regions().iter().rev().map(|&r| Step::Region(r)).collect();
    while let Some(step) = stack.pop() {
        match step {
            Step::Region(region) => {
                walk.enter(region);
                stack.push(Step::Leave(region));
                stack.extend(body.blocks(region).iter().rev().map(|&b| Step::Block(b)));
            }
            Step::Leave(region) => {
                walk.trees.remove(&region);
            }
            Step::Block(block) => {
                walk.open[block.index()] = true;
                if let Some((_, here)) = body.block_region(block).and_then(|r| walk.trees.get_mut(&r)) {
                    *here = block;
                }
                stack.push(Step::Close(block));
                stack.extend(body.first_op(block).map(Step::Op));
            }
            Step::Close(block) => walk.open[block.index()] = false,
            Step::Op(first) => {
                let mut at = Some(first);
                while let Some(op) = at {
                    walk.operands(op, found);
                    at = body.next(op);
                    if body.regions(op).is_empty() {
                        walk.seen[op.index()] = true;
                        continue;
                    }
                    stack.extend(at.map(Step::Op));
                    // Its results are visible behind it, not in it.
                    stack.push(Step::Done(op));
                    stack.extend(body.regions(op).iter().rev().map(|&r| Step::Region(r)));
                    break;
                }
            }
            Step::Done(op) => walk.seen[op.index()] = true,
        }
    }
}

enum Step {
    Region(RegionId),
    Leave(RegionId),
    Block(BlockId),
    Close(BlockId),
    /// This op and those behind it.
    Op(OpId),
    Done(OpId),
}

struct Walk<'a> {
    ctx: &'a Context,
    body: &'a Body,
    graph: bool,
    /// Of regions of several blocks that the walk is in: their block trees, and the block that the walk is in.
    trees: FxHashMap<RegionId, (Tree, BlockId)>,
    /// By block: the walk is in it.
    open: Vec<bool>,
    /// By op: the walk is behind it.
    seen: Vec<bool>,
}

impl Walk<'_> {
    fn enter(&mut self, region: RegionId) {
        if let blocks @ [entry, _, ..] = self.body.blocks(region) {
            self.trees.insert(region, (Tree::new(self.body, blocks), *entry));
        }
    }

    fn operands(&self, op: OpId, found: &mut Vec<Diagnostic>) {
        for (i, value) in self.body.operands_iter(op).enumerate() {
            if self.visible(value) {
                continue;
            }
            let mut diagnostic = Diagnostic::error(
                "N0303",
                self.body.loc(op),
                format!("operand #{i} is used before its definition, or outside the region that defines it"),
            );
            if let Some(def) = self.body.defining_op(value) {
                diagnostic = diagnostic.label(self.body.loc(def), "defined here");
            }
            found.push(diagnostic);
        }
    }

    fn visible(&self, value: ValueId) -> bool {
        let Some(block) = self.body.value_block(value) else { return false };
        if self.open[block.index()] {
            return match self.body.def(value) {
                ValueDef::Argument(..) => true,
                ValueDef::Result(op, _) => self.seen[op.index()] || self.is_graph(block),
            };
        }
        // Another block of a region that the walk is in: all of its values are visible where it dominates.
        let around = self.body.block_region(block).and_then(|r| self.trees.get(&r));
        around.is_some_and(|(tree, here)| tree.dominates(block, *here))
    }
    /// True where order within blocks means nothing: in modules, and in ops that nobody knows.
    fn is_graph(&self, block: BlockId) -> bool {
        match self.body.block_region(block).and_then(|r| self.body.region_parent(r)) {
            Some(op) => self.ctx.op_def(self.body.op_name(op)).is_none(),
            None => self.graph,
        }
    }
}

/// Which block of a region dominates which: a block's immediate dominator, by the method of Cooper, Harvey and Kennedy,
/// "A Simple, Fast Dominance Algorithm" (2001), numbered so that the question is two comparisons.
struct Tree {
    /// First block of the region in the numbering below.
    index: FxHashMap<BlockId, usize>,
    /// Entry and exit times of each block in the dominator tree; `None` for blocks that nothing reaches.
    times: Vec<Option<(u32, u32)>>,
}

impl Tree {
    fn new(body: &Body, blocks: &[BlockId]) -> Tree {
        let index: FxHashMap<BlockId, usize> = blocks.iter().enumerate().map(|(i, &b)| (b, i)).collect();
        let successors = |i: usize| {
            let last: Option<OpId> = body.last_op(blocks[i]);
            let targets: &[BlockId] = last.map_or(&[], |op| body.successors(op));
            targets.iter().filter_map(|b| index.get(b).copied())
        };
        // Post order by an explicit stack.
        let n = blocks.len();
        let (mut order, mut visited) = (vec![], vec![false; n]);
        let mut stack = vec![(0, successors(0).collect::<Vec<_>>())];
        visited[0] = true;
        while let Some((block, rest)) = stack.last_mut() {
            match rest.pop() {
                Some(next) if !visited[next] => {
                    visited[next] = true;
                    stack.push((next, successors(next).collect()));
                }
                Some(_) => {}
                None => {
                    order.push(*block);
                    stack.pop();
                }
            }
        }
        let mut number = vec![usize::MAX; n];
        order.iter().enumerate().for_each(|(i, &b)| number[b] = i);
        let mut predecessors = vec![vec![]; n];
        for &b in &order {
            successors(b).for_each(|s| predecessors[s].push(b));
        }
        let mut above = vec![usize::MAX; n];
        above[0] = 0;
        let mut changed = true;
        while changed {
            changed = false;
            for &b in order.iter().rev().filter(|&&b| b != 0) {
                let known = predecessors[b].iter().copied().filter(|&p| above[p] != usize::MAX);
                let new = known.reduce(|mut x, mut y| {
                    while x != y {
                        while number[x] < number[y] {
                            x = above[x];
                        }
                        while number[y] < number[x] {
                            y = above[y];
                        }
                    }
                    x
                });
                if let Some(new) = new.filter(|&new| above[b] != new) {
                    above[b] = new;
                    changed = true;
                }
            }
        }
        Tree { index, times: times(&above) }
    }

    /// A block that nothing reaches is dominated by all: its uses are not looked at.
    fn dominates(&self, a: BlockId, b: BlockId) -> bool {
        let time = |block: BlockId| self.index.get(&block).and_then(|&i| self.times[i]);
        match (time(a), time(b)) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(a), Some(b)) => a.0 <= b.0 && b.1 <= a.1,
        }
    }
}

/// Entry and exit times of a walk over the tree that `above` describes; its root is the first.
fn times(above: &[usize]) -> Vec<Option<(u32, u32)>> {
    let mut below = vec![vec![]; above.len()];
    for (b, &a) in above.iter().enumerate().skip(1) {
        if a != usize::MAX {
            below[a].push(b);
        }
    }
    let mut times = vec![None; above.len()];
    let (mut clock, mut stack) = (0, vec![(0, false)]);
    while let Some((b, done)) = stack.pop() {
        clock += 1;
        match &mut times[b] {
            Some((_, exit)) if done => *exit = clock,
            time => {
                *time = Some((clock, 0));
                stack.push((b, true));
                stack.extend(below[b].iter().map(|&c| (c, false)));
            }
        }
    }
    times
}
