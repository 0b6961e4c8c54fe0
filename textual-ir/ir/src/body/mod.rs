//! The arena of one isolated-from-above op: ops, values, blocks and regions.
//!
//! What an op is and where it stands are kept apart. Operands are on use lists, so replacing all uses costs what it
//! must. Erased entities leave a hole; their ids are not used again.
//! [`blocks`], [`ops`], [`uses`], [`layout`] and [`walk`] hold what can be done with each part.

mod blocks;
mod layout;
mod ops;
mod uses;
mod walk;

pub use blocks::Sizes;

use crate::{
    AttrList, Loc, Name, OpName, Type,
    entity::{PrimaryMap, fitted},
    entity_id,
};
use smallvec::SmallVec;

entity_id!(
    /// An op of a body.
    OpId
);
entity_id!(
    /// A value of a body: an op's result or a block's argument.
    ValueId
);
entity_id!(
    /// A block of a body.
    BlockId
);
entity_id!(
    /// A region of a body.
    RegionId
);

/// One use of a value: operand `index` of an op.
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Use {
    /// The user.
    pub op: OpId,
    /// Which operand.
    pub index: u32,
}

/// Where a value comes from.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum ValueDef {
    /// Result `.1` of an op.
    Result(OpId, u32),
    /// Argument `.1` of a block.
    Argument(BlockId, u32),
}

/// The definition of a value in one word each: of an op or a block, and which one. Modules have millions of values.
#[derive(Debug)]
struct ValueData {
    ty: Type,
    name: Option<Name>,
    /// First of its uses, a slot of [`Body::operands`].
    first_use: Slot,
    /// The op, or the block where the highest bit of `index` is set.
    def: u32,
    index: u32,
}

/// The bit of [`ValueData::index`] that says "an argument".
const ARGUMENT: u32 = 1 << 31;

/// An operand of [`Body::operands`], or [`NO_SLOT`].
type Slot = u32;
const NO_SLOT: Slot = u32::MAX;

/// One operand of one op, on the list of uses of its value.
#[derive(Copy, Clone, Debug)]
struct Operand {
    value: ValueId,
    op: OpId,
    prev: Slot,
    next: Slot,
}

/// What few ops have.
#[derive(Default, Debug)]
struct Rest {
    regions: SmallVec<[RegionId; 2]>,
    successors: SmallVec<[BlockId; 2]>,
    nested: Option<Box<Body>>,
    /// Attributes that stood in `<{...}>` and that no table knows; `None` when there were no such braces.
    properties: Option<AttrList>,
}

#[derive(Debug)]
struct OpData {
    name: OpName,
    loc: Loc,
    /// Operands lie side by side from this slot on.
    first_operand: Slot,
    operand_count: u32,
    /// Results are values side by side from this one on.
    first_result: u32,
    result_count: u32,
    attrs: AttrList,
    rest: Option<Box<Rest>>,
}

#[derive(Copy, Clone, Default, Debug)]
struct OpLayout {
    block: Option<BlockId>,
    prev: Option<OpId>,
    next: Option<OpId>,
    erased: bool,
    order: u64,
}

#[derive(Default, Debug)]
struct BlockData {
    region: Option<RegionId>,
    args: SmallVec<[ValueId; 2]>,
    /// Where the arguments come from; shorter than `args` where nothing is known.
    arg_locs: Vec<Loc>,
    first: Option<OpId>,
    last: Option<OpId>,
}

#[derive(Default, Debug)]
struct RegionData {
    parent: Option<OpId>,
    blocks: SmallVec<[BlockId; 1]>,
}

/// The arena of one isolated-from-above op.
#[derive(Default, Debug)]
pub struct Body {
    ops: PrimaryMap<OpId, OpData>,
    layout: PrimaryMap<OpId, OpLayout>,
    operands: Vec<Operand>,
    values: PrimaryMap<ValueId, ValueData>,
    /// The id of each value, so that side by side values are a slice.
    value_ids: Vec<ValueId>,
    blocks: PrimaryMap<BlockId, BlockData>,
    regions: PrimaryMap<RegionId, RegionData>,
    roots: SmallVec<[RegionId; 1]>,
}

/// Ops of a body that is not copied for the sake of its size.
const LARGE: usize = 1 << 12;

impl Drop for Body {
    /// Bodies inside are dropped one after the other, not one inside the other: nesting may be deep.
    fn drop(&mut self) {
        fn inside(body: &mut Body, out: &mut Vec<Body>) {
            out.extend(body.ops.iter_mut().filter_map(|(_, op)| op.rest.as_mut()?.nested.take().map(|body| *body)));
        }
        let mut bodies = vec![];
        inside(self, &mut bodies);
        while let Some(mut body) = bodies.pop() {
            inside(&mut body, &mut bodies);
        }
    }
}

impl Body {
    /// An empty body without regions.
    pub fn new() -> Body {
        Body::default()
    }
    /// Moves what is in a body to one that has little more room than that. This one is empty then and keeps its room, to be filled
    /// again; a large body is moved as it is.
    pub fn take_fitted(&mut self) -> Body {
        if self.ops.len() > LARGE {
            return std::mem::take(self);
        }
        Body {
            ops: self.ops.take_fitted(),
            layout: self.layout.take_fitted(),
            operands: fitted(&mut self.operands),
            values: self.values.take_fitted(),
            value_ids: fitted(&mut self.value_ids),
            blocks: self.blocks.take_fitted(),
            regions: self.regions.take_fitted(),
            roots: std::mem::take(&mut self.roots),
        }
    }
}
