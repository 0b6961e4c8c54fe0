//! Walking over all ops of a body, however deep they are nested.

use super::{BlockId, Body, OpId, RegionId, ValueId};
use crate::entity::EntityId;

impl Body {
    /// All ops of the body in order, each before what is nested in it; nested bodies are not entered.
    pub fn walk(&self) -> Vec<OpId> {
        let mut out = Vec::with_capacity(self.ops.len());
        self.walk_regions(&self.roots, &mut out);
        out
    }
    /// As [`Body::walk`], of one op and what is nested in it.
    pub fn walk_op(&self, op: OpId) -> Vec<OpId> {
        let mut out = vec![op];
        self.walk_regions(self.regions(op), &mut out);
        out
    }
    fn walk_regions(&self, regions: &[RegionId], out: &mut Vec<OpId>) {
        // An explicit stack of what comes next: nesting may be deep.
        enum Next {
            Op(OpId),
            Block(BlockId),
        }
        let mut stack = vec![];
        let push = |stack: &mut Vec<Next>, regions: &[RegionId]| {
            let blocks = regions.iter().rev().flat_map(|&r| self.blocks(r).iter().rev());
            stack.extend(blocks.map(|&b| Next::Block(b)));
        };
        push(&mut stack, regions);
        while let Some(next) = stack.pop() {
            let mut at = match next {
                Next::Op(op) => Some(op),
                Next::Block(block) => self.first_op(block),
            };
            while let Some(op) = at {
                out.push(op);
                at = self.next(op);
                if !self.regions(op).is_empty() {
                    stack.extend(at.map(Next::Op));
                    push(&mut stack, self.regions(op));
                    break;
                }
            }
        }
    }
    /// The number of an entity, for side tables and stable output.
    #[inline]
    pub fn index_of(value: ValueId) -> usize {
        value.index()
    }
    /// The value of a number; see [`Body::index_of`].
    #[inline]
    pub fn value_at(index: usize) -> ValueId {
        ValueId::from_index(index)
    }
}
