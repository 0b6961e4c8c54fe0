//! Building `dataflow.map` ops.

use crate::{Combine, Map, MapView, Memlet, Write, Yield, iv};
use nim_ir::{Attr, BlockId, Builder, Context, Expr, OpId, RegionId, Type, ValueId};

/// The parts of a map under construction. Passes also take the parts of an existing map ([`MapBuilder::from_view`]),
/// change them, and build another.
#[derive(Clone, Debug, Default)]
pub struct MapBuilder {
    /// Extents of the iteration variables.
    pub domain: Vec<Expr>,
    /// Reads of the body.
    pub reads: Vec<Memlet>,
    /// Reads of the epilogue.
    pub epilogue_reads: Vec<Memlet>,
    /// Writes.
    pub writes: Vec<Write>,
}

/// The regions of a map, made before the op so that they can be filled; each has one block with the arguments it needs.
#[derive(Copy, Clone, Debug)]
pub struct MapRegions {
    /// The body.
    pub body: (RegionId, BlockId),
    /// The epilogue.
    pub epilogue: Option<(RegionId, BlockId)>,
}

impl MapBuilder {
    /// A map over this domain without reads and writes.
    pub fn new(domain: &[Expr]) -> MapBuilder {
        MapBuilder { domain: domain.to_vec(), ..MapBuilder::default() }
    }
    /// The parts of an existing map.
    pub fn from_view(view: &MapView) -> MapBuilder {
        MapBuilder {
            domain: view.domain.clone(),
            reads: view.reads.clone(),
            epilogue_reads: view.epilogue_reads.clone(),
            writes: view.writes.clone(),
        }
    }

    /// Adds a dimension; returns its iteration variable.
    pub fn dim(&mut self, ctx: &Context, extent: Expr) -> Expr {
        self.domain.push(extent);
        iv(ctx, self.domain.len() - 1)
    }
    /// Adds a read at one index a dimension; returns the number of its block argument.
    pub fn read(&mut self, value: ValueId, subset: &[Expr]) -> usize {
        self.memlet(Memlet { value, subset: Some(subset.to_vec()), border: None })
    }
    /// As [`MapBuilder::read`]; where the index lies outside, the border is read.
    pub fn read_or(&mut self, value: ValueId, subset: &[Expr], border: Attr) -> usize {
        self.memlet(Memlet { value, subset: Some(subset.to_vec()), border: Some(border) })
    }
    /// Adds a read of a whole container, for `dataflow.load`.
    pub fn read_whole(&mut self, value: ValueId) -> usize {
        self.memlet(Memlet { value, subset: None, border: None })
    }
    /// Adds any read; returns the number of its block argument.
    pub fn memlet(&mut self, memlet: Memlet) -> usize {
        self.reads.push(memlet);
        self.reads.len() - 1
    }
    /// Adds a read of the epilogue; returns its number among them (its block argument stands behind the reduced values).
    pub fn epilogue_read(&mut self, value: ValueId, subset: &[Expr]) -> usize {
        self.epilogue_reads.push(Memlet { value, subset: Some(subset.to_vec()), border: None });
        self.epilogue_reads.len() - 1
    }

    /// Adds a write of each element of a result once, at one index a dimension.
    pub fn write(&mut self, ty: Type, subset: &[Expr]) -> usize {
        self.push(Write { subset: Some(subset.to_vec()), combine: Combine::None, init: None, init_value: None, ty })
    }
    /// Adds a write that combines; `init` is the start.
    pub fn reduce(&mut self, ty: Type, subset: &[Expr], combine: Combine, init: Attr) -> usize {
        self.push(Write { subset: Some(subset.to_vec()), combine, init: Some(init), init_value: None, ty })
    }
    /// Adds a write that covers only part of the result, the rest is that of a tensor of the same type.
    pub fn update(&mut self, ty: Type, subset: &[Expr], combine: Combine, from: ValueId) -> usize {
        self.push(Write { subset: Some(subset.to_vec()), combine, init: None, init_value: Some(from), ty })
    }
    /// Adds a scattered write into a tensor of the same type: the body yields the value and its indices.
    pub fn scatter(&mut self, ty: Type, combine: Combine, from: ValueId) -> usize {
        self.push(Write { subset: None, combine, init: None, init_value: Some(from), ty })
    }
    /// Adds a scattered write into a result that starts as one scalar everywhere.
    pub fn scatter_init(&mut self, ty: Type, combine: Combine, init: Attr) -> usize {
        self.push(Write { subset: None, combine, init: Some(init), init_value: None, ty })
    }
    /// Adds any write; returns the number of the result.
    pub fn push(&mut self, write: Write) -> usize {
        self.writes.push(write);
        self.writes.len() - 1
    }

    /// Makes the op; `body` gets the block arguments and returns what the body yields.
    pub fn build(
        &self,
        builder: &mut Builder<'_>,
        body: impl FnOnce(&mut Builder<'_>, &[ValueId]) -> Vec<ValueId>,
    ) -> OpId {
        let regions = self.regions(builder, None);
        fill(builder, regions.body.1, body);
        self.finish(builder, regions)
    }
    /// As [`MapBuilder::build`], with an epilogue. `reduced` are the types of the values that the body yields.
    pub fn build_with_epilogue(
        &self,
        builder: &mut Builder<'_>,
        reduced: &[Type],
        body: impl FnOnce(&mut Builder<'_>, &[ValueId]) -> Vec<ValueId>,
        epilogue: impl FnOnce(&mut Builder<'_>, &[ValueId]) -> Vec<ValueId>,
    ) -> OpId {
        let regions = self.regions(builder, Some(reduced));
        fill(builder, regions.body.1, body);
        if let Some((_, block)) = regions.epilogue {
            fill(builder, block, epilogue);
        }
        self.finish(builder, regions)
    }
    /// Makes the regions with their blocks, to be filled by other means (say by moving ops of another map in); with an
    /// epilogue when `reduced`, the types of the reduced values, are given. Both blocks must get their `dataflow.yield`.
    pub fn regions(&self, builder: &mut Builder<'_>, reduced: Option<&[Type]>) -> MapRegions {
        let types = |builder: &Builder<'_>, memlets: &[Memlet]| -> Vec<Type> {
            let none = builder.ctx.none_type();
            memlets.iter().map(|m| m.argument_type(builder.ctx, builder.body).unwrap_or(none)).collect()
        };
        let args = types(builder, &self.reads);
        let body = builder.region_with_block(&args);
        let epilogue = reduced.map(|reduced| {
            let mut args = reduced.to_vec();
            args.extend(types(builder, &self.epilogue_reads));
            builder.region_with_block(&args)
        });
        MapRegions { body, epilogue }
    }
    /// Makes the op of regions that are filled.
    pub fn finish(&self, builder: &mut Builder<'_>, regions: MapRegions) -> OpId {
        let ctx = builder.ctx;
        let unit = ctx.unit_attr();
        let subset = |s: &Option<Vec<Expr>>| s.as_ref().map_or(unit, |s| ctx.exprs_attr(s));
        let inits: Vec<ValueId> = self.writes.iter().filter_map(|w| w.init_value).collect();
        let segments = [self.reads.len() as i64, self.epilogue_reads.len() as i64, inits.len() as i64];
        let mut state = builder
            .state(Map::NAME)
            .operands(&self.reads.iter().map(|m| m.value).collect::<Vec<_>>())
            .operands(&self.epilogue_reads.iter().map(|m| m.value).collect::<Vec<_>>())
            .operands(&inits)
            .results(&self.writes.iter().map(|w| w.ty).collect::<Vec<_>>())
            .attr(ctx, "operandSegmentSizes", ctx.i32_array(&segments))
            .attr(ctx, "domain", ctx.exprs_attr(&self.domain))
            .attr(ctx, "reads", ctx.array_attr(self.reads.iter().map(|m| subset(&m.subset))))
            .attr(ctx, "writes", ctx.array_attr(self.writes.iter().map(|w| subset(&w.subset))))
            .attr(ctx, "combine", ctx.array_attr(self.writes.iter().map(|w| ctx.string_attr(w.combine.name()))))
            .attr(ctx, "inits", ctx.array_attr(self.writes.iter().map(|w| w.init.unwrap_or(unit))))
            .region(regions.body.0);
        if self.reads.iter().any(|m| m.border.is_some()) {
            state = state.attr(ctx, "borders", ctx.array_attr(self.reads.iter().map(|m| m.border.unwrap_or(unit))));
        }
        if !self.epilogue_reads.is_empty() {
            let subsets = self.epilogue_reads.iter().map(|m| subset(&m.subset));
            state = state.attr(ctx, "epilogue_reads", ctx.array_attr(subsets));
        }
        if !inits.is_empty() {
            let flags = self.writes.iter().map(|w| ctx.bool_attr(w.init_value.is_some()));
            state = state.attr(ctx, "init_operands", ctx.array_attr(flags));
        }
        if let Some((region, _)) = regions.epilogue {
            state = state.region(region);
        }
        builder.insert(state)
    }
}

/// Fills a block and ends it with what `f` returns.
fn fill(builder: &mut Builder<'_>, block: BlockId, f: impl FnOnce(&mut Builder<'_>, &[ValueId]) -> Vec<ValueId>) {
    let args = builder.body.block_args(block).to_vec();
    builder.within(block, |inner| {
        let values = f(inner, &args);
        inner.op(Yield::NAME, &values, &[], &[]);
    });
}

/// `dataflow.index {expr}`: the value of an expression inside a body.
pub fn index_value(builder: &mut Builder<'_>, expr: Expr) -> ValueId {
    let (ty, attr) = (builder.ctx.index_type(), builder.ctx.expr_attr(expr));
    builder.value(crate::Index::NAME, &[], ty, &[("expr", attr)])
}

/// `dataflow.load`: an element of a container that is read whole. Indices are of type `index`.
pub fn load(builder: &mut Builder<'_>, container: ValueId, indices: &[ValueId]) -> ValueId {
    let ctx = builder.ctx;
    let element = ctx.element_type(builder.body.ty(container)).unwrap_or_else(|| ctx.none_type());
    let mut operands = vec![container];
    operands.extend_from_slice(indices);
    builder.value(crate::Load::NAME, &operands, crate::scalar_type(ctx, element), &[])
}
