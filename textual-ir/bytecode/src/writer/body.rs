//! Bodies: regions, blocks, ops. Nothing here recurses, nesting may be deep.

use super::tables::Tables;
use crate::{has, stream::Out};
use nim_ir::{Body, Context, Name, OpId, RegionId, Sizes, ValueId, entity::EntityId};

/// What a body is in the order in which it is written.
enum Event {
    Region(RegionId),
    Op(OpId),
}

/// Regions before their ops, ops before their regions.
fn events(body: &Body) -> Vec<Event> {
    enum Next {
        Region(RegionId),
        From(Option<OpId>),
    }
    let mut out = vec![];
    let mut stack: Vec<Next> = body.root_regions().iter().rev().map(|&r| Next::Region(r)).collect();
    while let Some(next) = stack.pop() {
        match next {
            Next::Region(region) => {
                out.push(Event::Region(region));
                let blocks = body.blocks(region).iter().rev();
                stack.extend(blocks.map(|&b| Next::From(body.first_op(b))));
            }
            Next::From(None) => {}
            Next::From(Some(op)) => {
                out.push(Event::Op(op));
                stack.push(Next::From(body.next(op)));
                stack.extend(body.regions(op).iter().rev().map(|&r| Next::Region(r)));
            }
        }
    }
    out
}

/// A body that is being written.
struct Frame<'b> {
    body: &'b Body,
    events: std::vec::IntoIter<Event>,
    /// Numbers of values in the order of their definition.
    numbers: Vec<u32>,
    /// Numbers of blocks within their regions.
    blocks: Vec<u32>,
    /// Values that are defined by what was written.
    defined: u32,
    /// The number before among names that are numbers.
    last_name: u32,
}

impl<'b> Frame<'b> {
    fn new(body: &'b Body, out: &mut Out) -> Frame<'b> {
        let (events, mut numbers, mut next) = (events(body), vec![u32::MAX; body.value_capacity()], 0);
        let mut number = |value: &ValueId| {
            numbers[Body::index_of(*value)] = next;
            next += 1;
        };
        let mut blocks = vec![u32::MAX; body.block_capacity()];
        for event in &events {
            match event {
                Event::Region(region) => {
                    for (n, &block) in (0..).zip(body.blocks(*region)) {
                        blocks[block.index()] = n;
                        body.block_args(block).iter().for_each(&mut number);
                    }
                }
                Event::Op(op) => body.results(*op).iter().for_each(&mut number),
            }
        }
        let mut sizes = Sizes { values: next as usize, ..Sizes::default() };
        for event in &events {
            match event {
                Event::Region(region) => {
                    sizes.regions += 1;
                    sizes.blocks += body.blocks(*region).len();
                }
                Event::Op(op) => {
                    sizes.ops += 1;
                    sizes.operands += body.operand_count(*op);
                }
            }
        }
        let Sizes { regions, blocks: count, ops, values, operands } = sizes;
        [regions, count, ops, values, operands].into_iter().for_each(|n| out.index(n));
        out.index(body.root_regions().len());
        Frame { body, events: events.into_iter(), numbers, blocks, defined: 0, last_name: u32::MAX }
    }

    /// 0: none; 1: the number behind the last one; else a number or a string.
    fn name(&mut self, tables: &mut Tables<'_>, name: Option<Name>, out: &mut Out) {
        match name.map(|n| (n, n.number())) {
            None => out.byte(0),
            Some((_, Some(number))) => {
                let follows = number == self.last_name.wrapping_add(1);
                out.number(if follows { 1 } else { 2 + 2 * u64::from(number) });
                self.last_name = number;
            }
            Some((name, None)) => out.number(3 + 2 * u64::from(tables.string(name))),
        }
    }

    fn region(&mut self, tables: &mut Tables<'_>, region: RegionId, out: &mut Out) {
        let body = self.body;
        out.index(body.blocks(region).len());
        for &block in body.blocks(region) {
            out.index(body.block_args(block).len());
            for (i, &arg) in body.block_args(block).iter().enumerate() {
                out.number(tables.ty(body.ty(arg)).into());
                self.name(tables, body.value_name(arg), out);
                let place = tables.place(body.arg_loc(block, i));
                out.number(place.map_or(0, |n| u64::from(n) + 1));
                self.defined += 1;
            }
        }
        for &block in body.blocks(region) {
            out.index(body.block_ops(block).count());
        }
    }

    fn op(&mut self, ctx: &Context, tables: &mut Tables<'_>, op: OpId, out: &mut Out) {
        let body = self.body;
        let place = tables.place(body.loc(op));
        let (results, attrs) = (body.results(op), tables.list(body.attrs(op)));
        let named = results.iter().any(|&r| body.value_name(r).is_some());
        let flag = |bit: u8, on: bool| if on { bit } else { 0 };
        let name = tables.string(ctx.name(ctx.op_str(body.op_name(op))));
        out.number(name.into());
        out.byte(
            flag(has::RESULTS, !results.is_empty())
                | flag(has::ATTRS, attrs != 0)
                | flag(has::PROPERTIES, body.properties(op).is_some())
                | flag(has::REGIONS, !body.regions(op).is_empty())
                | flag(has::SUCCESSORS, !body.successors(op).is_empty())
                | flag(has::NESTED, body.nested(op).is_some())
                | flag(has::NAMES, named)
                | flag(has::LOCATION, place.is_some()),
        );
        if let Some(loc) = place {
            out.number(loc.into());
        }
        out.index(body.operand_count(op));
        for value in body.operands_iter(op) {
            out.signed(i64::from(self.defined) - i64::from(self.numbers[Body::index_of(value)]));
        }
        if !results.is_empty() {
            out.index(results.len());
            results.iter().for_each(|&r| out.number(tables.ty(body.ty(r)).into()));
        }
        if attrs != 0 {
            out.number(attrs.into());
        }
        if let Some(properties) = body.properties(op) {
            let list = tables.list(properties);
            out.number(list.into());
        }
        if !body.regions(op).is_empty() {
            out.index(body.regions(op).len());
        }
        if !body.successors(op).is_empty() {
            out.index(body.successors(op).len());
            for successor in body.successors(op) {
                out.number(self.blocks[successor.index()].into());
            }
        }
        if named {
            results.iter().for_each(|&r| self.name(tables, body.value_name(r), out));
        }
        self.defined += results.len() as u32;
    }
}

/// Writes a body and what is nested in it.
pub fn write(ctx: &Context, tables: &mut Tables<'_>, body: &Body, out: &mut Out) {
    let mut stack = vec![Frame::new(body, out)];
    while let Some(frame) = stack.last_mut() {
        match frame.events.next() {
            None => {
                stack.pop();
            }
            Some(Event::Region(region)) => frame.region(tables, region, out),
            Some(Event::Op(op)) => {
                frame.op(ctx, tables, op, out);
                if let Some(nested) = frame.body.nested(op) {
                    let inner = Frame::new(nested, out);
                    stack.push(inner);
                }
            }
        }
    }
}
