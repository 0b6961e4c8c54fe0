//! The arena of one isolated-from-above op: ops, values, blocks and regions.
//!
//! What an op is and where it stands are kept apart. Operands are on use lists, so replacing all uses costs what it
//! must. Erased entities leave a hole; their ids are not used again.

use crate::{
    Attr, AttrList, Context, Loc, Name, OpName, Type,
    entity::{EntityId, PrimaryMap},
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

/// Steps between order numbers of neighbours, so that an insertion rarely renumbers a block.
const ORDER_STEP: u64 = 1 << 20;

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

    // ---- regions and blocks

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
    fn rest(&mut self, op: OpId) -> &mut Rest {
        self.ops[op].rest.get_or_insert_default()
    }
    fn add_value(&mut self, ty: Type, def: u32, index: u32, name: Option<Name>) -> ValueId {
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
    pub fn blocks(&self, region: RegionId) -> &[BlockId] {
        &self.regions[region].blocks
    }
    /// First block of a region.
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
    pub fn first_op(&self, block: BlockId) -> Option<OpId> {
        self.blocks[block].first
    }
    /// Last op: the terminator, if there is one.
    pub fn last_op(&self, block: BlockId) -> Option<OpId> {
        self.blocks[block].last
    }

    // ---- ops: what they are

    /// Makes an op that stands nowhere yet.
    #[allow(clippy::too_many_arguments)]
    pub fn create_op(
        &mut self,
        name: OpName,
        loc: Loc,
        operands: &[ValueId],
        result_types: &[Type],
        attrs: AttrList,
        regions: &[RegionId],
        successors: &[BlockId],
        nested: Option<Box<Body>>,
    ) -> OpId {
        let plain = regions.is_empty() && successors.is_empty() && nested.is_none();
        let rest = (!plain).then(|| {
            Box::new(Rest {
                regions: SmallVec::from_slice(regions),
                successors: SmallVec::from_slice(successors),
                nested,
                properties: None,
            })
        });
        let op = self.ops.push(OpData {
            name,
            loc,
            first_operand: 0,
            operand_count: 0,
            first_result: self.values.len() as u32,
            result_count: result_types.len() as u32,
            attrs,
            rest,
        });
        self.layout.push(OpLayout::default());
        for &region in regions {
            self.regions[region].parent = Some(op);
        }
        for (i, &ty) in result_types.iter().enumerate() {
            self.add_value(ty, op.index() as u32, i as u32, None);
        }
        self.set_operands(op, operands);
        op
    }
    /// Its name.
    pub fn op_name(&self, op: OpId) -> OpName {
        self.ops[op].name
    }
    /// Turns it into another kind of op with the same operands and results.
    pub fn set_op_name(&mut self, op: OpId, name: OpName) {
        self.ops[op].name = name;
    }
    /// True when the op has this full name.
    pub fn is(&self, ctx: &Context, op: OpId, name: &str) -> bool {
        ctx.op_str(self.ops[op].name) == name
    }
    /// Where it comes from.
    pub fn loc(&self, op: OpId) -> Loc {
        self.ops[op].loc
    }
    /// Sets where it comes from.
    pub fn set_loc(&mut self, op: OpId, loc: Loc) {
        self.ops[op].loc = loc;
    }
    /// Attributes.
    pub fn attrs(&self, op: OpId) -> &AttrList {
        &self.ops[op].attrs
    }
    /// Attributes, to change.
    pub fn attrs_mut(&mut self, op: OpId) -> &mut AttrList {
        &mut self.ops[op].attrs
    }
    /// One attribute.
    pub fn attr(&self, op: OpId, name: Name) -> Option<Attr> {
        self.ops[op].attrs.get(name)
    }
    /// One attribute by text.
    pub fn attr_named(&self, ctx: &Context, op: OpId, name: &str) -> Option<Attr> {
        self.ops[op].attrs.get_text(ctx, name)
    }
    /// Sets one attribute.
    pub fn set_attr(&mut self, ctx: &Context, op: OpId, name: &str, attr: Attr) {
        self.ops[op].attrs.set(ctx, ctx.name(name), attr);
    }
    /// Properties that no table knows; empty ones are not the same as none.
    pub fn properties(&self, op: OpId) -> Option<&AttrList> {
        self.ops[op].rest.as_ref()?.properties.as_ref()
    }
    /// Sets the properties that no table knows.
    pub fn set_properties(&mut self, op: OpId, properties: Option<AttrList>) {
        if properties.is_some() || self.ops[op].rest.is_some() {
            self.rest(op).properties = properties;
        }
    }
    /// Results.
    pub fn results(&self, op: OpId) -> &[ValueId] {
        let OpData { first_result, result_count, .. } = self.ops[op];
        &self.value_ids[first_result as usize..(first_result + result_count) as usize]
    }
    /// The only (or first) result.
    pub fn result(&self, op: OpId) -> ValueId {
        self.results(op)[0]
    }
    /// Regions in this body.
    pub fn regions(&self, op: OpId) -> &[RegionId] {
        self.ops[op].rest.as_ref().map_or(&[], |r| &r.regions)
    }
    /// Successor blocks.
    pub fn successors(&self, op: OpId) -> &[BlockId] {
        self.ops[op].rest.as_ref().map_or(&[], |r| &r.successors)
    }
    /// Sets the successor blocks.
    pub fn set_successors(&mut self, op: OpId, successors: &[BlockId]) {
        if !successors.is_empty() || self.ops[op].rest.is_some() {
            self.rest(op).successors = SmallVec::from_slice(successors);
        }
    }
    /// The body of an isolated-from-above op.
    pub fn nested(&self, op: OpId) -> Option<&Body> {
        self.ops[op].rest.as_ref()?.nested.as_deref()
    }
    /// The body of an isolated-from-above op, to change.
    pub fn nested_mut(&mut self, op: OpId) -> Option<&mut Body> {
        self.ops[op].rest.as_mut()?.nested.as_deref_mut()
    }
    /// Takes the body out (to work on it beside this one); put it back with [`Body::set_nested`].
    pub fn take_nested(&mut self, op: OpId) -> Option<Box<Body>> {
        self.ops[op].rest.as_mut()?.nested.take()
    }
    /// Sets the body.
    pub fn set_nested(&mut self, op: OpId, body: Box<Body>) {
        self.rest(op).nested = Some(body);
    }
    /// All nested bodies with their ops, for parallel work.
    pub fn nested_bodies_mut(&mut self) -> impl Iterator<Item = (OpId, &mut Body)> {
        let layout = &self.layout;
        self.ops
            .iter_mut()
            .filter(|(op, _)| !layout[*op].erased)
            .filter_map(|(op, data)| Some((op, data.rest.as_mut()?.nested.as_deref_mut()?)))
    }
    /// One past the largest op index, for side tables.
    pub fn op_capacity(&self) -> usize {
        self.ops.len()
    }
    /// One past the largest block index, for side tables.
    pub fn block_capacity(&self) -> usize {
        self.blocks.len()
    }
    /// One past the largest value index, for side tables.
    pub fn value_capacity(&self) -> usize {
        self.values.len()
    }

    // ---- operands and uses

    /// Number of operands.
    pub fn operand_count(&self, op: OpId) -> usize {
        self.ops[op].operand_count as usize
    }
    /// One operand.
    pub fn operand(&self, op: OpId, index: usize) -> ValueId {
        self.operand_slots(op)[index].value
    }
    /// All operands.
    pub fn operands(&self, op: OpId) -> SmallVec<[ValueId; 4]> {
        self.operands_iter(op).collect()
    }
    /// All operands, one after the other.
    pub fn operands_iter(&self, op: OpId) -> impl ExactSizeIterator<Item = ValueId> + '_ {
        self.operand_slots(op).iter().map(|o| o.value)
    }
    fn operand_slots(&self, op: OpId) -> &[Operand] {
        let OpData { first_operand, operand_count, .. } = self.ops[op];
        &self.operands[first_operand as usize..(first_operand + operand_count) as usize]
    }
    /// Replaces all operands.
    pub fn set_operands(&mut self, op: OpId, operands: &[ValueId]) {
        let OpData { first_operand, operand_count, .. } = self.ops[op];
        for slot in first_operand..first_operand + operand_count {
            self.unlink(slot);
        }
        // The place of the old ones is used where it is enough.
        let first = match operands.len() <= operand_count as usize {
            true => first_operand,
            false => self.operands.len() as Slot,
        };
        for (i, &value) in operands.iter().enumerate() {
            let operand = Operand { value, op, prev: NO_SLOT, next: NO_SLOT };
            match self.operands.get_mut(first as usize + i) {
                Some(place) => *place = operand,
                None => self.operands.push(operand),
            }
            self.link(first + i as Slot);
        }
        let data = &mut self.ops[op];
        (data.first_operand, data.operand_count) = (first, operands.len() as u32);
    }
    /// Replaces one operand.
    pub fn set_operand(&mut self, op: OpId, index: usize, value: ValueId) {
        debug_assert!(index < self.operand_count(op));
        self.set_slot(self.ops[op].first_operand + index as Slot, value);
    }
    fn set_slot(&mut self, slot: Slot, value: ValueId) {
        self.unlink(slot);
        self.operands[slot as usize].value = value;
        self.link(slot);
    }
    fn link(&mut self, slot: Slot) {
        let value = self.operands[slot as usize].value;
        let next = std::mem::replace(&mut self.values[value].first_use, slot);
        let operand = &mut self.operands[slot as usize];
        (operand.prev, operand.next) = (NO_SLOT, next);
        if let Some(next) = self.operands.get_mut(next as usize) {
            next.prev = slot;
        }
    }
    fn unlink(&mut self, slot: Slot) {
        let Operand { value, prev, next, .. } = self.operands[slot as usize];
        match self.operands.get_mut(prev as usize) {
            Some(prev) => prev.next = next,
            None => self.values[value].first_use = next,
        }
        if let Some(next) = self.operands.get_mut(next as usize) {
            next.prev = prev;
        }
    }
    /// Uses of a value, latest first.
    pub fn uses(&self, value: ValueId) -> impl Iterator<Item = Use> + '_ {
        let slot = |slot: Slot| (slot != NO_SLOT).then_some(slot);
        std::iter::successors(slot(self.values[value].first_use), move |&s| slot(self.operands[s as usize].next)).map(
            |s| {
                let op = self.operands[s as usize].op;
                Use { op, index: s - self.ops[op].first_operand }
            },
        )
    }
    /// True when a value is used.
    pub fn has_uses(&self, value: ValueId) -> bool {
        self.values[value].first_use != NO_SLOT
    }
    /// The only use of a value, if there is just one.
    pub fn only_use(&self, value: ValueId) -> Option<Use> {
        let mut uses = self.uses(value);
        let first = uses.next()?;
        uses.next().is_none().then_some(first)
    }
    /// Makes every user of `from` use `to`.
    pub fn replace_all_uses(&mut self, from: ValueId, to: ValueId) {
        if from == to {
            return;
        }
        while self.has_uses(from) {
            self.set_slot(self.values[from].first_use, to);
        }
        if self.values[to].name.is_none() {
            self.values[to].name = self.values[from].name;
        }
    }

    // ---- values

    /// Its type.
    pub fn ty(&self, value: ValueId) -> Type {
        self.values[value].ty
    }
    /// Changes its type.
    pub fn set_ty(&mut self, value: ValueId, ty: Type) {
        self.values[value].ty = ty;
    }
    /// Where it comes from.
    pub fn def(&self, value: ValueId) -> ValueDef {
        let ValueData { def, index, .. } = self.values[value];
        match index & ARGUMENT {
            0 => ValueDef::Result(OpId::from_index(def as usize), index),
            _ => ValueDef::Argument(BlockId::from_index(def as usize), index & !ARGUMENT),
        }
    }
    /// The op it is a result of.
    pub fn defining_op(&self, value: ValueId) -> Option<OpId> {
        match self.def(value) {
            ValueDef::Result(op, _) => Some(op),
            ValueDef::Argument(..) => None,
        }
    }
    /// The name it had in the source.
    pub fn value_name(&self, value: ValueId) -> Option<Name> {
        self.values[value].name
    }
    /// Names it; printed where it is unique, with a number behind it where not.
    pub fn set_value_name(&mut self, value: ValueId, name: Option<Name>) {
        self.values[value].name = name;
    }
    /// The block in which it is defined.
    pub fn value_block(&self, value: ValueId) -> Option<BlockId> {
        match self.def(value) {
            ValueDef::Result(op, _) => self.layout[op].block,
            ValueDef::Argument(block, _) => Some(block),
        }
    }

    // ---- ops: where they stand

    /// The block it stands in.
    pub fn block(&self, op: OpId) -> Option<BlockId> {
        self.layout[op].block
    }
    /// The op before it in its block.
    pub fn prev(&self, op: OpId) -> Option<OpId> {
        self.layout[op].prev
    }
    /// The op after it in its block.
    pub fn next(&self, op: OpId) -> Option<OpId> {
        self.layout[op].next
    }
    /// The op of this body that it is nested in.
    pub fn parent_op(&self, op: OpId) -> Option<OpId> {
        self.regions[self.blocks[self.layout[op].block?].region?].parent
    }
    /// True when it was erased.
    pub fn is_erased(&self, op: OpId) -> bool {
        self.layout[op].erased
    }
    /// Puts an op at the end of a block.
    pub fn append(&mut self, block: BlockId, op: OpId) {
        self.insert_between(block, self.blocks[block].last, None, op);
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

    // ---- walking

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
    pub fn index_of(value: ValueId) -> usize {
        value.index()
    }
    /// The value of a number; see [`Body::index_of`].
    pub fn value_at(index: usize) -> ValueId {
        ValueId::from_index(index)
    }
}
