//! Regions, and blocks with their arguments.

use super::{ARGUMENT, BlockData, BlockId, Body, NO_SLOT, OpId, RegionData, RegionId, Rest, ValueData, ValueId};
use crate::{Loc, Name, Type, entity::EntityId};

/// How many entities a body has.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
#[allow(missing_docs)]
pub struct Sizes {
    pub regions: usize,
    pub blocks: usize,
    pub ops: usize,
    pub values: usize,
    pub operands: usize,
}

impl Body {
    /// An empty body with room for so many entities, where these numbers are known: it need not grow.
    pub fn with_sizes(sizes: Sizes) -> Body {
        let mut body = Body::default();
        body.regions.reserve(sizes.regions);
        body.blocks.reserve(sizes.blocks);
        body.ops.reserve(sizes.ops);
        body.layout.reserve(sizes.ops);
        body.values.reserve(sizes.values);
        body.value_ids.reserve_exact(sizes.values);
        body.operands.reserve_exact(sizes.operands);
        body
    }
    /// Adds a region of the op that owns this body.
    pub fn add_root_region(&mut self) -> RegionId {
        let region = self.regions.push(RegionData::default());
        self.roots.push(region);
        region
    }
    /// The regions of the op that owns this body.
    pub fn root_regions(&self) -> &[RegionId] {
        &self.roots
    }
    /// The entry block of the first region of the owner: a function's body.
    pub fn entry(&self) -> Option<BlockId> {
        self.entry_block(*self.roots.first()?)
    }
    /// Adds a region to an op of this body.
    pub fn add_region(&mut self, op: OpId) -> RegionId {
        let region = self.regions.push(RegionData { parent: Some(op), ..RegionData::default() });
        self.rest(op).regions.push(region);
        region
    }
    pub(super) fn rest(&mut self, op: OpId) -> &mut Rest {
        self.ops[op].rest.get_or_insert_default()
    }
    pub(super) fn add_value(&mut self, ty: Type, def: u32, index: u32, name: Option<Name>) -> ValueId {
        let value = self.values.push(ValueData { ty, name, first_use: NO_SLOT, def, index });
        self.value_ids.push(value);
        value
    }
    /// Adds a region that no op has yet; [`Body::create_op`] takes it.
    pub fn add_detached_region(&mut self) -> RegionId {
        self.regions.push(RegionData::default())
    }
    /// The op of this body that has the region; `None` for the owner's regions.
    pub fn region_parent(&self, region: RegionId) -> Option<OpId> {
        self.regions[region].parent
    }
    /// Blocks of a region.
    #[inline]
    pub fn blocks(&self, region: RegionId) -> &[BlockId] {
        &self.regions[region].blocks
    }
    /// First block of a region.
    #[inline]
    pub fn entry_block(&self, region: RegionId) -> Option<BlockId> {
        self.regions[region].blocks.first().copied()
    }
    /// Appends a block with arguments of these types; `names` may be shorter than `types`.
    pub fn add_block(&mut self, region: RegionId, types: &[Type], names: &[Option<Name>]) -> BlockId {
        let block = self.blocks.push(BlockData { region: Some(region), ..BlockData::default() });
        self.regions[region].blocks.push(block);
        for (i, &ty) in types.iter().enumerate() {
            self.add_block_arg(block, ty, names.get(i).copied().flatten());
        }
        block
    }
    /// Moves all blocks of `from` to the end of `to`.
    pub fn move_blocks(&mut self, from: RegionId, to: RegionId) {
        for block in std::mem::take(&mut self.regions[from].blocks) {
            self.blocks[block].region = Some(to);
            self.regions[to].blocks.push(block);
        }
    }
    /// Removes a block that holds no op any more from its region.
    pub fn remove_block(&mut self, block: BlockId) {
        debug_assert!(self.blocks[block].first.is_none());
        if let Some(region) = self.blocks[block].region.take() {
            self.regions[region].blocks.retain(|b| *b != block);
        }
    }
    /// Appends an argument to a block.
    pub fn add_block_arg(&mut self, block: BlockId, ty: Type, name: Option<Name>) -> ValueId {
        let index = self.blocks[block].args.len() as u32;
        let value = self.add_value(ty, block.index() as u32, index | ARGUMENT, name);
        self.blocks[block].args.push(value);
        value
    }
    /// Removes an unused argument of a block; later ones move up.
    pub fn remove_block_arg(&mut self, block: BlockId, index: usize) {
        debug_assert!(!self.has_uses(self.blocks[block].args[index]));
        self.blocks[block].args.remove(index);
        if index < self.blocks[block].arg_locs.len() {
            self.blocks[block].arg_locs.remove(index);
        }
        for (i, &arg) in self.blocks[block].args.clone().iter().enumerate().skip(index) {
            self.values[arg].index = i as u32 | ARGUMENT;
        }
    }
    /// Arguments of a block.
    #[inline]
    pub fn block_args(&self, block: BlockId) -> &[ValueId] {
        &self.blocks[block].args
    }
    /// Where an argument of a block comes from.
    pub fn arg_loc(&self, block: BlockId, index: usize) -> Loc {
        self.blocks[block].arg_locs.get(index).copied().unwrap_or(Loc::UNKNOWN)
    }
    /// Says where an argument of a block comes from.
    pub fn set_arg_loc(&mut self, block: BlockId, index: usize, loc: Loc) {
        let locs = &mut self.blocks[block].arg_locs;
        if locs.len() <= index {
            locs.resize(index + 1, Loc::UNKNOWN);
        }
        locs[index] = loc;
    }
    /// The region a block is in.
    pub fn block_region(&self, block: BlockId) -> Option<RegionId> {
        self.blocks[block].region
    }
    /// Ops of a block in order.
    pub fn block_ops(&self, block: BlockId) -> impl Iterator<Item = OpId> + '_ {
        std::iter::successors(self.blocks[block].first, |&op| self.layout[op].next)
    }
    /// First op.
    #[inline]
    pub fn first_op(&self, block: BlockId) -> Option<OpId> {
        self.blocks[block].first
    }
    /// Last op: the terminator, if there is one.
    #[inline]
    pub fn last_op(&self, block: BlockId) -> Option<OpId> {
        self.blocks[block].last
    }
}
