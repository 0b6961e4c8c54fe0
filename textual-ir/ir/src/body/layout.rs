//! Where ops stand: the order of a block as a linked list with order numbers, so that "before" is one comparison.

use super::{BlockId, Body, OpId, OpLayout};

/// Steps between order numbers of neighbours, so that an insertion rarely renumbers a block.
const ORDER_STEP: u64 = 1 << 20;

impl Body {
    /// The block it stands in.
    #[inline]
    pub fn block(&self, op: OpId) -> Option<BlockId> {
        self.layout[op].block
    }
    /// The op before it in its block.
    #[inline]
    pub fn prev(&self, op: OpId) -> Option<OpId> {
        self.layout[op].prev
    }
    /// The op after it in its block.
    #[inline]
    pub fn next(&self, op: OpId) -> Option<OpId> {
        self.layout[op].next
    }
    /// The op of this body that it is nested in.
    pub fn parent_op(&self, op: OpId) -> Option<OpId> {
        self.regions[self.blocks[self.layout[op].block?].region?].parent
    }
    /// True when it was erased.
    #[inline]
    pub fn is_erased(&self, op: OpId) -> bool {
        self.layout[op].erased
    }
    /// Puts an op at the end of a block.
    pub fn append(&mut self, block: BlockId, op: OpId) {
        debug_assert!(self.layout[op].block.is_none(), "an op stands in one place");
        let place = &mut self.blocks[block];
        let prev = place.last.replace(op);
        let mut order = ORDER_STEP;
        match prev {
            Some(prev) => {
                let before = &mut self.layout[prev];
                before.next = Some(op);
                order += before.order;
            }
            None => place.first = Some(op),
        }
        self.layout[op] = OpLayout { block: Some(block), prev, next: None, order, erased: false };
    }
    /// Puts an op before another.
    pub fn insert_before(&mut self, anchor: OpId, op: OpId) {
        let block = self.layout[anchor].block.expect("the anchor stands in a block");
        self.insert_between(block, self.layout[anchor].prev, Some(anchor), op);
    }
    /// Puts an op behind another.
    pub fn insert_after(&mut self, anchor: OpId, op: OpId) {
        let block = self.layout[anchor].block.expect("the anchor stands in a block");
        self.insert_between(block, Some(anchor), self.layout[anchor].next, op);
    }
    fn insert_between(&mut self, block: BlockId, prev: Option<OpId>, next: Option<OpId>, op: OpId) {
        debug_assert!(self.layout[op].block.is_none(), "an op stands in one place");
        let before = prev.map_or(0, |p| self.layout[p].order);
        let after = next.map_or(before + 2 * ORDER_STEP, |n| self.layout[n].order);
        self.layout[op] =
            OpLayout { block: Some(block), prev, next, order: before + (after - before) / 2, erased: false };
        match prev {
            Some(p) => self.layout[p].next = Some(op),
            None => self.blocks[block].first = Some(op),
        }
        match next {
            Some(n) => self.layout[n].prev = Some(op),
            None => self.blocks[block].last = Some(op),
        }
        if after - before < 2 {
            let ops: Vec<OpId> = self.block_ops(block).collect();
            for (i, op) in ops.into_iter().enumerate() {
                self.layout[op].order = (i as u64 + 1) * ORDER_STEP;
            }
        }
    }
    /// Takes an op out of its block without erasing it.
    pub fn detach(&mut self, op: OpId) {
        let OpLayout { block, prev, next, .. } = self.layout[op];
        let Some(block) = block else { return };
        match prev {
            Some(p) => self.layout[p].next = next,
            None => self.blocks[block].first = next,
        }
        match next {
            Some(n) => self.layout[n].prev = prev,
            None => self.blocks[block].last = prev,
        }
        self.layout[op] = OpLayout::default();
    }
    /// Erases an op, everything in it, and its uses of values. Its results must have no uses left.
    pub fn erase(&mut self, op: OpId) {
        self.detach(op);
        let inside = self.walk_op(op);
        // All uses go first, so that nothing inside is in the way.
        for &op in &inside {
            self.set_operands(op, &[]);
        }
        debug_assert!(self.results(op).iter().all(|&r| !self.has_uses(r)), "erased op is still used");
        for op in inside {
            if let Some(rest) = self.ops[op].rest.take() {
                for region in rest.regions {
                    self.regions[region].blocks.clear();
                }
            }
            self.layout[op] = OpLayout { erased: true, ..OpLayout::default() };
        }
    }
    /// True when `a` stands before `b` in their common block.
    pub fn is_before(&self, a: OpId, b: OpId) -> bool {
        debug_assert_eq!(self.layout[a].block, self.layout[b].block);
        self.layout[a].order < self.layout[b].order
    }
    /// True when `op` is `ancestor` or nested in it.
    pub fn is_inside(&self, mut op: OpId, ancestor: OpId) -> bool {
        loop {
            if op == ancestor {
                return true;
            }
            match self.parent_op(op) {
                Some(parent) => op = parent,
                None => return false,
            }
        }
    }
    /// The op in `block` that is `op` or contains it.
    pub fn ancestor_in(&self, mut op: OpId, block: BlockId) -> Option<OpId> {
        loop {
            if self.layout[op].block? == block {
                return Some(op);
            }
            op = self.parent_op(op)?;
        }
    }
}
