//! Building loop nests.

use crate::{For, If, Index, Kernel, Load, Local, LoopKind, Store, Yield, scalar_type, value_symbol};
use nim_ir::{Attr, Body, Builder, Context, Expr, InsertPoint, Loc, OpId, OpState, Type, ValueId};
use std::ops::{Deref, DerefMut};

/// Where a local buffer lives.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum LocalSpace {
    /// In registers: all its indices are unrolled or vector variables.
    Register,
    /// On the stack.
    Stack,
}

/// A [`Builder`] that also makes loops and hands out iteration variables that no loop of the kernel has yet.
pub struct LoopBuilder<'a> {
    /// What it builds with.
    pub builder: Builder<'a>,
    /// Number of the next iteration variable.
    pub next_iv: usize,
}

impl<'a> Deref for LoopBuilder<'a> {
    type Target = Builder<'a>;
    fn deref(&self) -> &Builder<'a> {
        &self.builder
    }
}
impl DerefMut for LoopBuilder<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.builder
    }
}

impl<'a> LoopBuilder<'a> {
    /// Builds with `builder`; new iteration variables are those that no loop of the body has.
    pub fn new(builder: Builder<'a>) -> LoopBuilder<'a> {
        let (ctx, body) = (builder.ctx, &*builder.body);
        let numbers = body
            .walk()
            .into_iter()
            .filter(|&op| For::is(ctx, body, op))
            .filter_map(|op| ctx.as_string(For::iv(ctx, body, op)?)?.strip_prefix('$')?.parse::<usize>().ok());
        let next_iv = numbers.max().map_or(0, |n| n + 1);
        LoopBuilder { builder, next_iv }
    }

    /// An iteration variable that no loop has yet.
    pub fn fresh_iv(&mut self) -> Expr {
        self.next_iv += 1;
        self.builder.ctx.exprs.named(&format!("${}", self.next_iv - 1))
    }

    fn region(&mut self, f: impl FnOnce(&mut LoopBuilder<'_>) -> Vec<ValueId>) -> nim_ir::RegionId {
        let (region, block) = self.builder.region_with_block(&[]);
        let Builder { ctx, loc, .. } = self.builder;
        let builder = Builder { ctx, body: self.builder.body, point: InsertPoint::End(block), loc };
        let mut inner = LoopBuilder { builder, next_iv: self.next_iv };
        let values = f(&mut inner);
        inner.builder.op(Yield::NAME, &values, &[], &[]);
        self.next_iv = inner.next_iv;
        region
    }

    /// A loop with a fresh iteration variable, which the body gets.
    pub fn for_(
        &mut self,
        lower: Expr,
        upper: Expr,
        step: i64,
        kind: LoopKind,
        body: impl FnOnce(&mut LoopBuilder<'_>, Expr),
    ) -> OpId {
        let iv = self.fresh_iv();
        self.for_named(iv, lower, upper, step, kind, |b| body(b, iv))
    }
    /// A loop with a given iteration variable (an expression that is a symbol beginning with `$`).
    pub fn for_named(
        &mut self,
        iv: Expr,
        lower: Expr,
        upper: Expr,
        step: i64,
        kind: LoopKind,
        body: impl FnOnce(&mut LoopBuilder<'_>),
    ) -> OpId {
        let region = self.region(|b| {
            body(b);
            vec![]
        });
        let ctx = self.builder.ctx;
        let name = ctx.exprs.as_symbol(iv).map_or("", |s| ctx.exprs.symbol_name(s));
        let state = self
            .builder
            .state(For::NAME)
            .attr(ctx, "iv", ctx.string_attr(name))
            .attr(ctx, "lower", ctx.expr_attr(lower))
            .attr(ctx, "upper", ctx.expr_attr(upper))
            .attr(ctx, "step", ctx.i64_attr(step))
            .attr(ctx, "kind", ctx.string_attr(kind.name()))
            .region(region);
        self.builder.insert(state)
    }
    /// A nest of loops from 0 to these extents, by 1, outermost first; the body gets the iteration variables.
    pub fn nest(&mut self, extents: &[(Expr, LoopKind)], body: impl FnOnce(&mut LoopBuilder<'_>, &[Expr])) {
        let ivs: Vec<Expr> = extents.iter().map(|_| self.fresh_iv()).collect();
        self.nest_rest(extents, &ivs, &ivs, Box::new(body));
    }
    #[allow(clippy::type_complexity)]
    fn nest_rest<'f>(
        &mut self,
        extents: &[(Expr, LoopKind)],
        rest: &[Expr],
        ivs: &[Expr],
        body: Box<dyn FnOnce(&mut LoopBuilder<'_>, &[Expr]) + 'f>,
    ) {
        match (extents, rest) {
            ([(extent, kind), extents @ ..], [iv, rest @ ..]) => {
                let zero = self.builder.ctx.exprs.constant(0);
                self.for_named(*iv, zero, *extent, 1, *kind, |b| b.nest_rest(extents, rest, ivs, body));
            }
            _ => body(self, ivs),
        }
    }
    /// A guard: the body runs if all conditions are at least 0.
    pub fn if_(&mut self, conditions: &[Expr], then: impl FnOnce(&mut LoopBuilder<'_>)) -> OpId {
        let region = self.region(|b| {
            then(b);
            vec![]
        });
        let ctx = self.builder.ctx;
        let state = self.builder.state(If::NAME).attr(ctx, "conditions", ctx.exprs_attr(conditions)).region(region);
        self.builder.insert(state)
    }
    /// A choice: the values of `then` if all conditions are at least 0, else those of `other`.
    pub fn select(
        &mut self,
        conditions: &[Expr],
        types: &[Type],
        then: impl FnOnce(&mut LoopBuilder<'_>) -> Vec<ValueId>,
        other: impl FnOnce(&mut LoopBuilder<'_>) -> Vec<ValueId>,
    ) -> Vec<ValueId> {
        let (then, other) = (self.region(then), self.region(other));
        let ctx = self.builder.ctx;
        let state = self
            .builder
            .state(If::NAME)
            .attr(ctx, "conditions", ctx.exprs_attr(conditions))
            .results(types)
            .region(then)
            .region(other);
        let op = self.builder.insert(state);
        self.builder.body.results(op).to_vec()
    }

    /// A local buffer of these sizes.
    pub fn local(&mut self, space: LocalSpace, dims: &[i64], element: Type) -> ValueId {
        let ctx = self.builder.ctx;
        let dims: Vec<Expr> = dims.iter().map(|&d| ctx.exprs.constant(d)).collect();
        let name = match space {
            LocalSpace::Register => "register",
            LocalSpace::Stack => "stack",
        };
        self.builder.value(Local::NAME, &[], ctx.memref_of(&dims, element), &[("space", ctx.string_attr(name))])
    }
    /// Reads an element.
    pub fn load(&mut self, buffer: ValueId, indices: &[Expr]) -> ValueId {
        self.load_at(buffer, indices, &[])
    }
    /// Reads an element at indices that use values as [`value_symbol`]s.
    pub fn load_at(&mut self, buffer: ValueId, indices: &[Expr], values: &[ValueId]) -> ValueId {
        let ctx = self.builder.ctx;
        let element = ctx.element_type(self.builder.body.ty(buffer)).unwrap_or_else(|| ctx.none_type());
        let operands = [&[buffer], values].concat();
        self.builder.value(Load::NAME, &operands, scalar_type(ctx, element), &[("indices", ctx.exprs_attr(indices))])
    }
    /// Writes an element.
    pub fn store(&mut self, value: ValueId, buffer: ValueId, indices: &[Expr]) -> OpId {
        self.store_at(value, buffer, indices, &[])
    }
    /// Writes an element at indices that use values as [`value_symbol`]s.
    pub fn store_at(&mut self, value: ValueId, buffer: ValueId, indices: &[Expr], values: &[ValueId]) -> OpId {
        let ctx = self.builder.ctx;
        let operands = [&[value, buffer], values].concat();
        self.builder.op(Store::NAME, &operands, &[], &[("indices", ctx.exprs_attr(indices))])
    }
    /// The value of an expression.
    pub fn index(&mut self, expr: Expr) -> ValueId {
        let (ty, attr) = (self.builder.ctx.index_type(), self.builder.ctx.expr_attr(expr));
        self.builder.value(Index::NAME, &[], ty, &[("expr", attr)])
    }
    /// `$vN`, for [`LoopBuilder::load_at`] and [`LoopBuilder::store_at`].
    pub fn value_index(&self, n: usize) -> Expr {
        value_symbol(self.builder.ctx, n)
    }
}

/// Makes a kernel: `inputs` and `outputs` are types of memrefs, `body` gets the arguments in this order. What comes back is to be
/// inserted into a module.
pub fn build_kernel(
    ctx: &Context,
    name: &str,
    loc: Loc,
    inputs: &[Type],
    outputs: &[Type],
    symbols: &[&str],
    body: impl FnOnce(&mut LoopBuilder<'_>, &[ValueId]),
) -> OpState {
    let types = [inputs, outputs].concat();
    let mut nested = Body::new();
    let region = nested.add_root_region();
    let block = nested.add_block(region, &types, &[]);
    let args = nested.block_args(block).to_vec();
    let mut builder = Builder::at_end(ctx, &mut nested, block);
    builder.loc = loc;
    let mut loops = LoopBuilder { builder, next_iv: 0 };
    body(&mut loops, &args);
    loops.builder.op(Yield::NAME, &[], &[], &[]);
    let symbols: Vec<Attr> = symbols.iter().map(|s| ctx.string_attr(s)).collect();
    OpState::new(ctx, Kernel::NAME, loc)
        .attr(ctx, "sym_name", ctx.string_attr(name))
        .attr(ctx, "function_type", ctx.type_attr(ctx.function_type(&types, &[])))
        .attr(ctx, "outputs", ctx.i64_attr(outputs.len() as i64))
        .attr_opt(ctx, "symbols", (!symbols.is_empty()).then(|| ctx.array_attr(symbols)))
        .nested(nested)
}
