//! Copying ops within a body and from one body to another.

use crate::{BlockId, Body, Loc, OpId, RegionId, ValueId};
use rustc_hash::FxHashMap;

/// What stands for what in the copy.
#[derive(Default, Debug)]
pub struct Mapping {
    /// Values.
    pub values: FxHashMap<ValueId, ValueId>,
    blocks: FxHashMap<BlockId, BlockId>,
    /// Copies that use values of which there was no copy yet, with all that they use: blocks may stand in any order.
    open: Vec<(OpId, Vec<ValueId>)>,
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
            clone_region(&mut copy, &Source::Other(self), region, target, &mut mapping);
        }
        close(&mut copy, &Source::Other(self), &mut mapping);
        copy
    }
    /// Copies an op of this body; the copy stands nowhere yet.
    pub fn clone_op(&mut self, op: OpId, mapping: &mut Mapping) -> OpId {
        let copy = clone_op(self, &Source::Same, op, mapping);
        close(self, &Source::Same, mapping);
        copy
    }
    /// Copies an op of another body; all values it uses must be mapped (or in it).
    pub fn clone_op_from(&mut self, source: &Body, op: OpId, mapping: &mut Mapping) -> OpId {
        let copy = clone_op(self, &Source::Other(source), op, mapping);
        close(self, &Source::Other(source), mapping);
        copy
    }
    /// Copies all blocks of a region of another body to the end of a region.
    pub fn clone_region_from(&mut self, source: &Body, region: RegionId, target: RegionId, mapping: &mut Mapping) {
        clone_region(self, &Source::Other(source), region, target, mapping);
        close(self, &Source::Other(source), mapping);
    }
    /// Copies all blocks of a region to the end of another.
    pub fn clone_region(&mut self, region: RegionId, target: RegionId, mapping: &mut Mapping) {
        clone_region(self, &Source::Same, region, target, mapping);
        close(self, &Source::Same, mapping);
    }
}

/// Gives copies the values that they use, of which there is a copy by now.
fn close(body: &mut Body, source: &Source, mapping: &mut Mapping) {
    for (copy, operands) in std::mem::take(&mut mapping.open) {
        let all = operands.iter().all(|v| mapping.values.contains_key(v));
        match source {
            Source::Other(_) if !all => mapping.open.push((copy, operands)),
            _ => {
                let operands: Vec<ValueId> = operands.iter().map(|&v| mapping.get(v)).collect();
                body.set_operands(copy, &operands);
            }
        }
    }
}

fn clone_op(body: &mut Body, source: &Source, op: OpId, mapping: &mut Mapping) -> OpId {
    let from: &Body = match source {
        Source::Same => body,
        Source::Other(other) => other,
    };
    let (name, loc) = (from.op_name(op), from.loc(op));
    let used = from.operands(op).to_vec();
    let open = used.iter().any(|v| !mapping.values.contains_key(v));
    let operands: Vec<ValueId> = match source {
        // A value of another body means nothing in this one.
        Source::Other(_) if open => vec![],
        _ => used.iter().map(|&v| mapping.get(v)).collect(),
    };
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
    if open {
        mapping.open.push((copy, used));
    }
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

#[cfg(test)]
mod tests {
    use crate::{AttrList, Body, Context, Loc};

    #[test]
    fn a_value_may_be_defined_in_a_later_block_of_the_text() {
        let ctx = Context::new(&[]);
        let mut body = Body::new();
        let region = body.add_root_region();
        let [first, user, definer] = [(); 3].map(|()| body.add_block(region, &[], &[]));
        let name = ctx.op_name("t.op");
        let mut op = |block, operands: &[_], results: &[_], successors: &[_]| {
            let op = body.create_op(name, Loc::UNKNOWN, operands, results, AttrList::new(), &[], successors, None);
            body.append(block, op);
            op
        };
        op(first, &[], &[], &[definer]);
        op(definer, &[], &[ctx.index_type()], &[user]);
        let defined = body.result(body.first_op(definer).expect("an op"));
        let using = body.create_op(name, Loc::UNKNOWN, &[defined, defined], &[], AttrList::new(), &[], &[], None);
        body.append(user, using);
        let copy = body.deep_clone();
        let blocks = copy.blocks(copy.root_regions()[0]).to_vec();
        let defined = copy.result(copy.first_op(blocks[2]).expect("an op"));
        let using = copy.first_op(blocks[1]).expect("an op");
        assert_eq!(copy.operands(using).to_vec(), [defined, defined]);
        assert!(copy.has_uses(defined));
    }
}
