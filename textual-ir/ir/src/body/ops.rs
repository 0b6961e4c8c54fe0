//! What ops are: name, place, attributes, results, regions, successors, nested bodies.

use super::{BlockId, Body, OpData, OpId, OpLayout, RegionId, Rest, Slot, ValueId};
use crate::{Attr, AttrList, Context, Loc, Name, OpName, Type, entity::EntityId};
use smallvec::SmallVec;

impl Body {
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
            first_operand: self.operands.len() as Slot,
            operand_count: operands.len() as u32,
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
        self.add_operands(op, operands);
        op
    }
    /// Its name.
    #[inline]
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
    #[inline]
    pub fn loc(&self, op: OpId) -> Loc {
        self.ops[op].loc
    }
    /// Sets where it comes from.
    pub fn set_loc(&mut self, op: OpId, loc: Loc) {
        self.ops[op].loc = loc;
    }
    /// Attributes.
    #[inline]
    pub fn attrs(&self, op: OpId) -> &AttrList {
        &self.ops[op].attrs
    }
    /// Attributes, to change.
    pub fn attrs_mut(&mut self, op: OpId) -> &mut AttrList {
        &mut self.ops[op].attrs
    }
    /// One attribute.
    #[inline]
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
    #[inline]
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
    #[inline]
    pub fn results(&self, op: OpId) -> &[ValueId] {
        let OpData { first_result, result_count, .. } = self.ops[op];
        &self.value_ids[first_result as usize..(first_result + result_count) as usize]
    }
    /// The only (or first) result.
    #[inline]
    pub fn result(&self, op: OpId) -> ValueId {
        self.results(op)[0]
    }
    /// Regions in this body.
    #[inline]
    pub fn regions(&self, op: OpId) -> &[RegionId] {
        self.ops[op].rest.as_ref().map_or(&[], |r| &r.regions)
    }
    /// Successor blocks.
    #[inline]
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
    #[inline]
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
}
