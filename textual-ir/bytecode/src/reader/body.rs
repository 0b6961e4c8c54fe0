//! Bodies. Values are made in the order of their numbers, so a number is a value's handle; operands that come before their
//! values are set at the end. Nothing here recurses.

use super::tables::Tables;
use crate::{
    ReadOptions, has,
    stream::{Damage, In, Read},
};
use nim_ir::{
    AttrList, BlockId, Body, Context, Loc, Name, OpId, OpName, RegionId, Sizes, Trait, Type, ValueId, entity::EntityId,
};
use smallvec::SmallVec;

/// Reads bodies.
pub struct Reader<'a> {
    ctx: &'a Context,
    tables: &'a Tables<'a>,
    /// Op names by the numbers of their strings, as far as they were used, and whether tables say that they have bodies of
    /// their own.
    ops: Vec<Option<(OpName, bool)>>,
    /// Operands and types of results of the op that is read now.
    operands: Vec<ValueId>,
    types: Vec<Type>,
    next_position: u32,
    allow_unregistered: bool,
    /// The first op that no dialect has.
    pub unknown: Option<String>,
    /// Regions that the op read now is in, and how many that may be.
    depth: u32,
    max_depth: u32,
    /// Attributes that may still be copied out of lists: a small file must not ask for many copies of a large list.
    budget: usize,
    /// Room that may still be made ahead of what is read.
    room: usize,
}

/// A region that is being read.
struct Blocks {
    blocks: SmallVec<[BlockId; 2]>,
    /// Ops that each block still has; they are counted down from the first block on.
    left: SmallVec<[usize; 2]>,
    at: usize,
}

/// What is to be read next in a body.
enum Next {
    Region(RegionId),
    Ops(Blocks),
}

/// A body that is being read.
struct Frame {
    body: Body,
    next: Vec<Next>,
    /// Operands that stand before their values.
    later: Vec<(OpId, Vec<ValueId>)>,
    defined: u32,
    last_name: u32,
    /// The op around it, in the frame below.
    owner: Option<OpId>,
}

/// Entries of attribute lists that any file may have. Lists are written once and named by ops, so a small file could else ask
/// for any amount of memory.
const LIST_ENTRIES: usize = 1 << 22;

impl Frame {
    fn new(stream: &mut In<'_>, owner: Option<OpId>, room: &mut usize) -> Read<Frame> {
        // Numbers that say how large it will be are believed as long as the file is as large as that.
        let mut size = || {
            let n = stream.count()?.min(*room);
            *room -= n;
            Ok(n)
        };
        let (regions, blocks, ops) = (size()?, size()?, size()?);
        let mut body = Body::with_sizes(Sizes { regions, blocks, ops, values: size()?, operands: size()? });
        let count = stream.count()?;
        let mut next: Vec<Next> = (0..count).map(|_| Next::Region(body.add_root_region())).collect();
        next.reverse();
        Ok(Frame { body, next, later: vec![], defined: 0, last_name: u32::MAX, owner })
    }
    fn finish(mut self) -> Read<Body> {
        for (op, operands) in self.later {
            if operands.iter().any(|v| v.index() >= self.defined as usize) {
                return Err(Damage("an operand is no value of its body"));
            }
            self.body.set_operands(op, &operands);
        }
        Ok(self.body)
    }
}

impl<'a> Reader<'a> {
    pub fn new(ctx: &'a Context, tables: &'a Tables<'a>, options: &ReadOptions, bytes: usize) -> Reader<'a> {
        let ops = vec![None; tables.names.len()];
        let budget = bytes.saturating_mul(4).saturating_add(LIST_ENTRIES);
        let (max_depth, allow_unregistered) = (options.max_depth / 2, options.allow_unregistered);
        Reader {
            ctx,
            tables,
            ops,
            operands: vec![],
            types: vec![],
            next_position: 0,
            allow_unregistered,
            unknown: None,
            depth: 0,
            max_depth,
            budget,
            room: bytes,
        }
    }

    /// Reads a body and what is nested in it.
    pub fn body(&mut self, stream: &mut In<'_>) -> Read<Body> {
        let mut stack = vec![Frame::new(stream, None, &mut self.room)?];
        while let Some(frame) = stack.last_mut() {
            match frame.next.last_mut() {
                None => {
                    let Some(done) = stack.pop() else { break };
                    let owner = done.owner;
                    let body = done.finish()?;
                    match (owner, stack.last_mut()) {
                        (Some(op), Some(around)) => around.body.set_nested(op, Box::new(body)),
                        _ => return Ok(body),
                    }
                }
                Some(Next::Region(region)) => {
                    let region = *region;
                    let blocks = self.blocks(frame, region, stream)?;
                    frame.next.pop();
                    frame.next.push(Next::Ops(blocks));
                    self.depth += 1;
                    if self.depth > self.max_depth {
                        return Err(Damage("ops are nested too deeply"));
                    }
                }
                Some(Next::Ops(blocks)) => match blocks.left.get_mut(blocks.at) {
                    None => {
                        frame.next.pop();
                        self.depth -= 1;
                    }
                    Some(0) => blocks.at += 1,
                    Some(left) => {
                        *left -= 1;
                        let block = blocks.blocks[blocks.at];
                        if let Some(op) = self.op(frame, block, stream)? {
                            stack.push(Frame::new(stream, Some(op), &mut self.room)?);
                        }
                    }
                },
            }
        }
        Err(Damage("it ends early"))
    }

    fn position(&mut self) -> Read<Loc> {
        let n = self.next_position;
        self.next_position += 1;
        match self.tables.positions {
            Some((first, count)) if n < count => Ok(first.nth(n)),
            None if (n as usize) < self.tables.spilled.len() => Ok(self.tables.spilled[n as usize]),
            _ => Err(Damage("there are too few positions")),
        }
    }

    fn name(&self, frame: &mut Frame, stream: &mut In<'_>) -> Read<Option<Name>> {
        const NUMBER: Damage = Damage("the name of a value is an impossible number");
        let number = match stream.number()? {
            0 => return Ok(None),
            1 => frame.last_name.wrapping_add(1),
            n if n % 2 == 0 => u32::try_from((n - 2) / 2).map_err(|_| NUMBER)?,
            n => {
                let name = usize::try_from((n - 3) / 2).ok().and_then(|n| self.tables.names.get(n).copied());
                return name.map(Some).ok_or(Damage("a reference leads nowhere"));
            }
        };
        frame.last_name = number;
        Name::of_number(number).map(Some).ok_or(NUMBER)
    }

    fn blocks(&mut self, frame: &mut Frame, region: RegionId, stream: &mut In<'_>) -> Read<Blocks> {
        let count = stream.count()?;
        let mut blocks = SmallVec::new();
        for _ in 0..count {
            let block = frame.body.add_block(region, &[], &[]);
            blocks.push(block);
            for i in 0..stream.count()? {
                let ty = stream.of(self.tables.types())?;
                let name = self.name(frame, stream)?;
                frame.body.add_block_arg(block, ty, name);
                frame.defined += 1;
                // 0 for the next position, 1 for the unknown location.
                let loc = match stream.number()? {
                    0 => self.position()?,
                    n => self.tables.loc_at(n - 1)?,
                };
                if loc != Loc::UNKNOWN {
                    frame.body.set_arg_loc(block, i, loc);
                }
            }
        }
        let left = (0..count).map(|_| stream.count()).collect::<Read<_>>()?;
        Ok(Blocks { blocks, left, at: 0 })
    }

    fn op_name(&mut self, stream: &mut In<'_>) -> Read<(OpName, bool)> {
        let n = stream.number32()? as usize;
        let known = self.ops.get(n).ok_or(Damage("a reference leads nowhere"))?;
        if let Some(known) = known {
            return Ok(*known);
        }
        let text = self.ctx.str(self.tables.names[n]);
        if text.is_empty() {
            return Err(Damage("an op has no name"));
        }
        let name = self.ctx.op_name(text);
        let def = self.ctx.op_def(name);
        if def.is_none() && !self.allow_unregistered {
            self.unknown.get_or_insert_with(|| text.to_string());
        }
        let isolated = def.is_some_and(|d| d.has(Trait::IsolatedFromAbove));
        self.ops[n] = Some((name, isolated));
        Ok((name, isolated))
    }

    fn list(&mut self, stream: &mut In<'_>) -> Read<AttrList> {
        let list = self.tables.list(stream)?;
        self.budget =
            self.budget.checked_sub(list.len()).ok_or(Damage("lists of attributes are repeated too often"))?;
        Ok(list)
    }

    /// Reads an op; answers it when a nested body follows.
    fn op(&mut self, frame: &mut Frame, block: BlockId, stream: &mut In<'_>) -> Read<Option<OpId>> {
        // Tables say which ops have bodies of their own; whoever handles them counts on it.
        let (name, isolated) = self.op_name(stream)?;
        let flags = stream.byte()?;
        let is = |bit: u8| flags & bit != 0;
        let loc = if is(has::LOCATION) { self.tables.loc(stream)? } else { self.position()? };
        let mut known = true;
        self.operands.clear();
        for _ in 0..stream.count()? {
            let n = i64::from(frame.defined).checked_sub(stream.signed()?).and_then(|n| u32::try_from(n).ok());
            let n = n.filter(|&n| n < u32::MAX).ok_or(Damage("an operand is no value of its body"))?;
            known &= n < frame.defined;
            self.operands.push(Body::value_at(n as usize));
        }
        self.types.clear();
        if is(has::RESULTS) {
            for _ in 0..stream.count()? {
                self.types.push(stream.of(self.tables.types())?);
            }
        }
        let attrs = if is(has::ATTRS) { self.list(stream)? } else { AttrList::new() };
        let properties = if is(has::PROPERTIES) { Some(self.list(stream)?) } else { None };
        let regions = if is(has::REGIONS) { stream.count()? } else { 0 };
        let mut successors: SmallVec<[BlockId; 2]> = SmallVec::new();
        if is(has::SUCCESSORS) {
            // The blocks of the region that is being read.
            let Some(Next::Ops(around)) = frame.next.last() else { return Err(Damage("an op stands nowhere")) };
            for _ in 0..stream.count()? {
                successors.push(stream.of(&around.blocks)?);
            }
        }
        if isolated != is(has::NESTED) || isolated && regions > 0 {
            return Err(Damage("an op has a body of its own and should not, or has none and should"));
        }
        let results = self.types.len();
        let first = frame.defined as usize;
        frame.defined = u32::try_from(first + results).map_err(|_| Damage("a body has too many values"))?;
        let body = &mut frame.body;
        let operands = if known { self.operands.as_slice() } else { &[] };
        let op = body.create_op(name, loc, operands, &self.types, attrs, &[], &successors, None);
        if !known {
            frame.later.push((op, self.operands.clone()));
        }
        if properties.is_some() {
            body.set_properties(op, properties);
        }
        body.append(block, op);
        debug_assert!(results == 0 || body.result(op).index() == first);
        if is(has::NAMES) {
            for i in 0..results {
                let name = self.name(frame, stream)?;
                frame.body.set_value_name(Body::value_at(first + i), name);
            }
        }
        if regions > 0 {
            let body = &mut frame.body;
            let made: Vec<RegionId> = (0..regions).map(|_| body.add_region(op)).collect();
            frame.next.extend(made.into_iter().rev().map(Next::Region));
        }
        Ok(isolated.then_some(op))
    }
}
