//! Building ops at an insertion point.

use crate::{
    Attr, AttrList, BlockId, Body, Context, Diagnostic, InferInput, Loc, Name, OpId, OpName, RegionId, Trait, Type,
    ValueId,
};

/// Everything an op will be made of.
#[derive(Debug)]
pub struct OpState {
    /// Name.
    pub name: OpName,
    /// Place.
    pub loc: Loc,
    /// Operands.
    pub operands: Vec<ValueId>,
    /// Types of the results.
    pub results: Vec<Type>,
    /// Attributes.
    pub attrs: AttrList,
    /// Regions of the same body, made detached.
    pub regions: Vec<RegionId>,
    /// Successors.
    pub successors: Vec<BlockId>,
    /// Body of an isolated op.
    pub nested: Option<Box<Body>>,
}

impl OpState {
    /// Nothing but a name and a place.
    pub fn new(ctx: &Context, name: &str, loc: Loc) -> OpState {
        OpState::of(ctx.op_name(name), loc)
    }
    /// Nothing but an interned name and a place.
    pub fn of(name: OpName, loc: Loc) -> OpState {
        OpState {
            name,
            loc,
            operands: vec![],
            results: vec![],
            attrs: AttrList::new(),
            regions: vec![],
            successors: vec![],
            nested: None,
        }
    }
    /// Adds operands.
    pub fn operands(mut self, operands: &[ValueId]) -> OpState {
        self.operands.extend_from_slice(operands);
        self
    }
    /// Adds result types.
    pub fn results(mut self, types: &[Type]) -> OpState {
        self.results.extend_from_slice(types);
        self
    }
    /// Sets an attribute.
    pub fn attr(mut self, ctx: &Context, name: &str, attr: Attr) -> OpState {
        self.attrs.set(ctx, ctx.name(name), attr);
        self
    }
    /// Sets an attribute if there is one.
    pub fn attr_opt(self, ctx: &Context, name: &str, attr: Option<Attr>) -> OpState {
        match attr {
            Some(attr) => self.attr(ctx, name, attr),
            None => self,
        }
    }
    /// Adds a region.
    pub fn region(mut self, region: RegionId) -> OpState {
        self.regions.push(region);
        self
    }
    /// Sets the body of an isolated op.
    pub fn nested(mut self, body: Body) -> OpState {
        self.nested = Some(Box::new(body));
        self
    }
    /// Result types by the op's shape function, from the types of the operands.
    pub fn infer(mut self, ctx: &Context, body: &Body) -> Result<OpState, Diagnostic> {
        let types: Vec<Type> = self.operands.iter().map(|&v| body.ty(v)).collect();
        self.results = infer_types(ctx, self.name, &types, &self.attrs, self.loc)?;
        Ok(self)
    }
}

/// Result types of an op by its shape function.
pub fn infer_types(
    ctx: &Context,
    name: OpName,
    operands: &[Type],
    attrs: &AttrList,
    loc: Loc,
) -> Result<Vec<Type>, Diagnostic> {
    match ctx.op_def(name).and_then(|def| def.infer) {
        Some(infer) => infer(&InferInput { ctx, operands, attrs, loc }),
        None => Err(Diagnostic::error(
            "N0001",
            loc,
            format!("result types of `{}` cannot be inferred, they must be written", ctx.op_str(name)),
        )),
    }
}

/// Where new ops go.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum InsertPoint {
    /// At the end of a block.
    End(BlockId),
    /// Before an op.
    Before(OpId),
    /// Behind an op; the point moves on to stay behind what is inserted.
    After(OpId),
}

/// Builds ops in a body.
pub struct Builder<'a> {
    /// The context.
    pub ctx: &'a Context,
    /// The body.
    pub body: &'a mut Body,
    /// Where new ops go.
    pub point: InsertPoint,
    /// The place that new ops get.
    pub loc: Loc,
}

impl<'a> Builder<'a> {
    /// A builder at the end of a block.
    pub fn at_end(ctx: &'a Context, body: &'a mut Body, block: BlockId) -> Builder<'a> {
        Builder { ctx, body, point: InsertPoint::End(block), loc: Loc::UNKNOWN }
    }
    /// A builder before an op, with its place.
    pub fn before(ctx: &'a Context, body: &'a mut Body, op: OpId) -> Builder<'a> {
        let loc = body.loc(op);
        Builder { ctx, body, point: InsertPoint::Before(op), loc }
    }
    /// A builder behind an op, with its place.
    pub fn after(ctx: &'a Context, body: &'a mut Body, op: OpId) -> Builder<'a> {
        let loc = body.loc(op);
        Builder { ctx, body, point: InsertPoint::After(op), loc }
    }
    /// An empty state with the builder's place.
    pub fn state(&self, name: &str) -> OpState {
        OpState::new(self.ctx, name, self.loc)
    }
    /// Makes the op and puts it in place.
    pub fn insert(&mut self, state: OpState) -> OpId {
        let OpState { name, loc, operands, results, attrs, regions, successors, mut nested } = state;
        if nested.is_none() && self.ctx.op_def(name).is_some_and(|d| d.has(Trait::IsolatedFromAbove)) {
            nested = Some(Box::new(Body::new()));
        }
        let op = self.body.create_op(name, loc, &operands, &results, attrs, &regions, &successors, nested);
        self.place(op);
        op
    }
    /// Puts an op that stands nowhere in place.
    pub fn place(&mut self, op: OpId) {
        match self.point {
            InsertPoint::End(block) => self.body.append(block, op),
            InsertPoint::Before(anchor) => self.body.insert_before(anchor, op),
            InsertPoint::After(anchor) => {
                self.body.insert_after(anchor, op);
                self.point = InsertPoint::After(op);
            }
        }
    }
    /// Makes an op from operands, attributes and written result types.
    pub fn op(&mut self, name: &str, operands: &[ValueId], results: &[Type], attrs: &[(&str, Attr)]) -> OpId {
        let mut state = self.state(name).operands(operands).results(results);
        for (name, attr) in attrs {
            state = state.attr(self.ctx, name, *attr);
        }
        self.insert(state)
    }
    /// As [`Builder::op`] with one result, which is returned.
    pub fn value(&mut self, name: &str, operands: &[ValueId], result: Type, attrs: &[(&str, Attr)]) -> ValueId {
        let op = self.op(name, operands, &[result], attrs);
        self.body.result(op)
    }
    /// Makes an op whose result types its shape function gives.
    pub fn infer(&mut self, name: &str, operands: &[ValueId], attrs: &[(&str, Attr)]) -> Result<OpId, Diagnostic> {
        let mut state = self.state(name).operands(operands);
        for (name, attr) in attrs {
            state = state.attr(self.ctx, name, *attr);
        }
        let state = state.infer(self.ctx, self.body)?;
        Ok(self.insert(state))
    }
    /// As [`Builder::infer`] with one result, which is returned.
    pub fn infer_value(
        &mut self,
        name: &str,
        operands: &[ValueId],
        attrs: &[(&str, Attr)],
    ) -> Result<ValueId, Diagnostic> {
        let op = self.infer(name, operands, attrs)?;
        Ok(self.body.result(op))
    }
    /// A detached region with one block of these arguments.
    pub fn region_with_block(&mut self, types: &[Type]) -> (RegionId, BlockId) {
        let region = self.body.add_detached_region();
        let block = self.body.add_block(region, types, &[]);
        (region, block)
    }
    /// Runs `f` with the insertion point at the end of a block, then returns to where it was.
    pub fn within<R>(&mut self, block: BlockId, f: impl FnOnce(&mut Builder<'_>) -> R) -> R {
        let mut inner = Builder { ctx: self.ctx, body: self.body, point: InsertPoint::End(block), loc: self.loc };
        f(&mut inner)
    }
    /// Names a value if it has no name.
    pub fn name_value(&mut self, value: ValueId, name: Name) {
        if self.body.value_name(value).is_none() {
            self.body.set_value_name(value, Some(name));
        }
    }
}
