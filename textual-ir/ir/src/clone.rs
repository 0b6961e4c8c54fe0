//! Copying ops within a body and from one body to another.

use crate::{BlockId, Body, Loc, OpId, RegionId, ValueId};
use rustc_hash::FxHashMap;

/// What stands for what in the copy.
#[derive(Default, Debug)]
pub struct Mapping {
    /// Values.
    pub values: FxHashMap<ValueId, ValueId>,
    blocks: FxHashMap<BlockId, BlockId>,
}

impl Mapping {
    /// The copy of a value; within one body values from outside stand for themselves.
    pub fn get(&self, value: ValueId) -> ValueId {
        self.values.get(&value).copied().unwrap_or(value)
    }
    /// Says what stands for a value.
    pub fn map(&mut self, from: ValueId, to: ValueId) {
        self.values.insert(from, to);
    }
}

/// Where the originals are.
enum Source<'a> {
    Same,
    Other(&'a Body),
}

impl Body {
    /// A deep copy of the whole body. Ids are new.
    pub fn deep_clone(&self) -> Body {
        let mut copy = Body::new();
        let mut mapping = Mapping::default();
        for &region in self.root_regions() {
            let target = copy.add_root_region();
            copy.clone_region_from(self, region, target, &mut mapping);
        }
        copy
    }
    /// Copies an op of this body; the copy stands nowhere yet.
    pub fn clone_op(&mut self, op: OpId, mapping: &mut Mapping) -> OpId {
        clone_op(self, &Source::Same, op, mapping)
    }
    /// Copies an op of another body; all values it uses must be mapped (or in it).
    pub fn clone_op_from(&mut self, source: &Body, op: OpId, mapping: &mut Mapping) -> OpId {
        clone_op(self, &Source::Other(source), op, mapping)
    }
    /// Copies all blocks of a region of another body to the end of a region.
    pub fn clone_region_from(&mut self, source: &Body, region: RegionId, target: RegionId, mapping: &mut Mapping) {
        clone_region(self, &Source::Other(source), region, target, mapping);
    }
    /// Copies all blocks of a region to the end of another.
    pub fn clone_region(&mut self, region: RegionId, target: RegionId, mapping: &mut Mapping) {
        clone_region(self, &Source::Same, region, target, mapping);
    }
}

fn clone_op(body: &mut Body, source: &Source, op: OpId, mapping: &mut Mapping) -> OpId {
    let from: &Body = match source {
        Source::Same => body,
        Source::Other(other) => other,
    };
    let (name, loc) = (from.op_name(op), from.loc(op));
    let operands: Vec<ValueId> = from.operands(op).iter().map(|&v| mapping.get(v)).collect();
    let results: Vec<_> = from.results(op).to_vec();
    let types: Vec<_> = results.iter().map(|&v| from.ty(v)).collect();
    let names: Vec<_> = results.iter().map(|&v| from.value_name(v)).collect();
    let attrs = from.attrs(op).clone();
    let properties = from.properties(op).cloned();
    let regions: Vec<RegionId> = from.regions(op).to_vec();
    let successors: Vec<BlockId> =
        from.successors(op).iter().map(|b| mapping.blocks.get(b).copied().unwrap_or(*b)).collect();
    let nested = from.nested(op).map(|b| Box::new(b.deep_clone()));
    let copies: Vec<RegionId> = regions.iter().map(|_| body.add_detached_region()).collect();
    let copy = body.create_op(name, loc, &operands, &types, attrs, &copies, &successors, nested);
    body.set_properties(copy, properties);
    for (i, &r) in results.iter().enumerate() {
        let new = body.results(copy)[i];
        body.set_value_name(new, names[i]);
        mapping.map(r, new);
    }
    for (region, target) in regions.into_iter().zip(copies) {
        clone_region(body, source, region, target, mapping);
    }
    copy
}

fn clone_region(body: &mut Body, source: &Source, region: RegionId, target: RegionId, mapping: &mut Mapping) {
    fn from<'a>(body: &'a Body, source: &'a Source) -> &'a Body {
        match source {
            Source::Same => body,
            Source::Other(other) => other,
        }
    }
    let blocks: Vec<BlockId> = from(body, source).blocks(region).to_vec();
    // Blocks first: successors may point forward.
    for &block in &blocks {
        let f = from(body, source);
        let args: Vec<ValueId> = f.block_args(block).to_vec();
        let types: Vec<_> = args.iter().map(|&a| f.ty(a)).collect();
        let names: Vec<_> = args.iter().map(|&a| f.value_name(a)).collect();
        let copy = body.add_block(target, &types, &names);
        mapping.blocks.insert(block, copy);
        for (i, a) in args.into_iter().enumerate() {
            let loc = from(body, source).arg_loc(block, i);
            if loc != Loc::UNKNOWN {
                body.set_arg_loc(copy, i, loc);
            }
            mapping.map(a, body.block_args(copy)[i]);
        }
    }
    for block in blocks {
        let ops: Vec<OpId> = from(body, source).block_ops(block).collect();
        for op in ops {
            let copy = clone_op(body, source, op, mapping);
            body.append(mapping.blocks[&block], copy);
        }
    }
}
