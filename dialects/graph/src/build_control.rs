//! Building with control flow: symbols of scopes, types that two paths have in common, loops.

use crate::{
    build::{Built, GraphBuilder},
    contents::Ratio,
};
use nim_ir::{BlockId, Dim, Expr, RegionId, Symbol, Type, TypeData, ValueId};
use rustc_hash::FxHashSet;

/// What an iteration of a loop sees.
#[derive(Clone, Debug)]
pub struct Iteration {
    /// The iteration number as an expression.
    pub number: Expr,
    /// The iteration number as an `i64` scalar.
    pub index: ValueId,
    /// The carried values.
    pub carried: Vec<ValueId>,
}

/// A loop with everything but its body.
#[derive(Clone, Debug)]
pub struct LoopSpec {
    /// Most iterations; no limit when absent.
    pub trip: Option<ValueId>,
    /// Whether to begin; true when absent.
    pub condition: Option<ValueId>,
    /// Carried values at the start.
    pub carried: Vec<ValueId>,
    /// Whether the body yields a condition.
    pub has_condition: bool,
    /// Number of iterations, where it is known.
    pub trip_count: Option<Expr>,
    /// Symbol of the iteration number.
    pub iv: Expr,
    /// Types of the results: carried, then stacked.
    pub results: Vec<Type>,
}

impl GraphBuilder<'_> {
    /// A symbol that the function does not have yet.
    pub fn fresh_symbol(&mut self, base: &str) -> Expr {
        let clean: String = base.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        loop {
            let symbol = self.ctx().exprs.symbol(&format!("{clean}_{}", self.made.len() + 1));
            self.made.push(symbol);
            if self.taken.insert(symbol) {
                return self.ctx().exprs.var(symbol);
            }
        }
    }
    /// Keeps the symbols of a type from being taken for fresh ones.
    pub fn reserve_symbols(&mut self, ty: Type) {
        for e in self.ctx().dims(ty).unwrap_or(&[]).iter().filter_map(|d| d.expr()) {
            self.taken.extend(self.ctx().exprs.symbols(e));
        }
    }
    /// A mark for [`GraphBuilder::made_since`].
    pub fn symbol_mark(&self) -> usize {
        self.made.len()
    }
    /// Fresh symbols made since a mark: those of a scope that began there.
    pub fn made_since(&self, mark: usize) -> FxHashSet<Symbol> {
        self.made[mark..].iter().copied().collect()
    }
    /// True when an expression uses one of these symbols.
    pub fn mentions_any(&self, e: Expr, symbols: &FxHashSet<Symbol>) -> bool {
        self.ctx().exprs.symbols(e).iter().any(|s| symbols.contains(s))
    }
    /// The type outside a scope of a value from inside: dimensions that use the scope's own symbols get fresh ones.
    pub fn outside(&mut self, ty: Type, inner: &FxHashSet<Symbol>, base: &str) -> Type {
        let (Some(dims), Some(element)) = (self.ctx().dims(ty).map(<[Dim]>::to_vec), self.ctx().element_type(ty))
        else {
            return ty;
        };
        let dims: Vec<Dim> = dims
            .into_iter()
            .map(|d| match d.expr() {
                Some(e) if !self.mentions_any(e, inner) => d,
                _ => Dim::Expr(self.fresh_symbol(base)),
            })
            .collect();
        self.ctx().tensor_type(&dims, element)
    }
    /// The type that two values have in common: equal dimensions stay, others get fresh symbols, as do those that use
    /// symbols of `inner` scopes. `None` when ranks or element types differ.
    pub fn join(&mut self, a: Type, b: Type, inner: &FxHashSet<Symbol>, base: &str) -> Option<Type> {
        let ctx = self.ctx();
        if a == b && ctx.dims(a).is_none() {
            return Some(a);
        }
        let (x, y) = (ctx.dims(a)?.to_vec(), ctx.dims(b)?.to_vec());
        let element = ctx.element_type(a)?;
        if x.len() != y.len() || ctx.element_type(b) != Some(element) {
            return None;
        }
        let dims: Vec<Dim> = x
            .into_iter()
            .zip(y)
            .map(|(d, e)| match d.expr() {
                Some(size) if d == e && !self.mentions_any(size, inner) => d,
                _ => Dim::Expr(self.fresh_symbol(base)),
            })
            .collect();
        Some(self.ctx().tensor_type(&dims, element))
    }
    /// Calls a function of the runtime library; the result types are given.
    pub fn runtime(&mut self, name: &str, operands: &[ValueId], ints: &[i64], results: &[Type]) -> Vec<ValueId> {
        let ctx = self.ctx();
        let mut attrs = vec![("name", ctx.string_attr(name))];
        if !ints.is_empty() {
            attrs.push(("ints", ctx.i64_array(ints)));
        }
        for &ty in results {
            self.reserve_symbols(ty);
        }
        let op = self.b.op("graph.runtime", operands, results, &attrs);
        self.b.body.results(op).to_vec()
    }
    /// As [`GraphBuilder::runtime`], of a function with one result.
    pub fn runtime_value(&mut self, name: &str, operands: &[ValueId], ints: &[i64], result: Type) -> ValueId {
        self.runtime(name, operands, ints, &[result])[0]
    }
    /// The type of values of one type: `!graph.sequence<T>`, or `!graph.optional<T>` of one that may be missing.
    pub fn wrapper_type(&self, name: &str, inner: Type) -> Type {
        let ctx = self.ctx();
        let params = vec![ctx.type_attr(inner)];
        ctx.ty(TypeData::Dialect { name: ctx.name(&format!("graph.{name}")), params })
    }
    /// The type of maps from keys to single elements.
    pub fn map_type(&self, key: Type, value: nim_tensor::DType) -> Type {
        let ctx = self.ctx();
        let value = ctx.ty(TypeData::UnrankedTensor(ctx.type_of_dtype(value)));
        ctx.ty(TypeData::Dialect {
            name: ctx.name("graph.map"),
            params: vec![ctx.type_attr(key), ctx.type_attr(value)],
        })
    }
    /// The type of a map's values; `None` for other types.
    pub fn map_value(&self, ty: Type) -> Option<Type> {
        let ctx = self.ctx();
        match ctx.type_data(ty) {
            TypeData::Dialect { name, params } if ctx.str(*name) == "graph.map" => ctx.as_type(*params.get(1)?),
            _ => None,
        }
    }
    /// What a `!graph.sequence` or `!graph.optional` (by name) holds; `None` for other types.
    pub fn wrapped(&self, ty: Type, wrapper: &str) -> Option<Type> {
        let ctx = self.ctx();
        match ctx.type_data(ty) {
            TypeData::Dialect { name, params } if ctx.str(*name).strip_prefix("graph.") == Some(wrapper) => {
                ctx.as_type(*params.first()?)
            }
            _ => None,
        }
    }
    /// A detached region with one block for the body of a loop: its arguments, the iteration number known as `iv`.
    pub fn loop_block(&mut self, iv: Expr, types: &[Type]) -> (RegionId, BlockId, Iteration) {
        let mut all = vec![self.ctx().tensor_of(&[], self.ctx().int_type(64))];
        all.extend_from_slice(types);
        let (region, block) = self.b.region_with_block(&all);
        let args = self.b.body.block_args(block).to_vec();
        self.set_contents(args[0], vec![Some(Ratio::int(iv))]);
        (region, block, Iteration { number: iv, index: args[0], carried: args[1..].to_vec() })
    }
    /// Erases what was put into a detached region of one block, so that it can be tried again.
    pub fn discard(&mut self, block: BlockId) {
        let ops: Vec<_> = self.b.body.block_ops(block).collect();
        for op in ops.into_iter().rev() {
            self.b.body.erase(op);
        }
        self.b.body.remove_block(block);
    }
    /// Ends a region.
    pub fn yield_values(&mut self, values: &[ValueId]) {
        self.b.op("graph.yield", values, &[], &[]);
    }
    /// Makes the loop of a finished body.
    pub fn finish_loop(&mut self, spec: LoopSpec, region: RegionId) -> Vec<ValueId> {
        let ctx = self.ctx();
        let mut operands: Vec<ValueId> = spec.trip.into_iter().chain(spec.condition).collect();
        operands.extend_from_slice(&spec.carried);
        let segments = [spec.trip.is_some() as i64, spec.condition.is_some() as i64, spec.carried.len() as i64];
        let state = self
            .b
            .state("graph.loop")
            .operands(&operands)
            .results(&spec.results)
            .attr(ctx, "operandSegmentSizes", ctx.i32_array(&segments))
            .attr(ctx, "has_condition", ctx.bool_attr(spec.has_condition))
            .attr(ctx, "iv", ctx.string_attr(&ctx.exprs.display(spec.iv).to_string()))
            .attr_opt(ctx, "trip_count", spec.trip_count.map(|e| ctx.expr_attr(e)))
            .region(region);
        let op = self.b.insert(state);
        self.b.body.results(op).to_vec()
    }
    /// A loop of `trip` iterations whose carried values keep their types. The body returns the next carried values and
    /// those that are stacked along a new first axis. Returns the last carried values, then the stacked ones.
    pub fn repeat(
        &mut self,
        trip: Expr,
        carried: &[ValueId],
        body: impl FnOnce(&mut Self, Iteration) -> Built<(Vec<ValueId>, Vec<ValueId>)>,
    ) -> Built<Vec<ValueId>> {
        let count = self.index(&[trip], true)?;
        let mark = self.symbol_mark();
        let iv = self.fresh_symbol("i");
        let types: Vec<Type> = carried.iter().map(|&v| self.ty(v)).collect();
        let (region, block, iteration) = self.loop_block(iv, &types);
        let (next, stacked) = self.within(block, |g| -> Built<_> {
            let (next, stacked) = body(g, iteration)?;
            let all: Vec<ValueId> = next.iter().chain(&stacked).copied().collect();
            g.yield_values(&all);
            Ok((next, stacked))
        })?;
        if next.len() != carried.len() {
            return Err(self.error("N0406", format!("{} values are carried, {} go on", carried.len(), next.len())));
        }
        if let Some((&v, &ty)) = next.iter().zip(&types).find(|(v, ty)| self.differ(self.ty(**v), **ty)) {
            let (from, to) = (self.ctx().display_type(ty), self.ctx().display_type(self.ty(v)));
            return Err(self.error("N0402", format!("a loop that carries {from} would go on with {to}")));
        }
        let inner = self.made_since(mark);
        let mut results = types;
        for v in stacked {
            results.push(self.stacked_type(v, trip, &inner)?);
        }
        let spec = LoopSpec {
            trip: Some(count),
            condition: None,
            carried: carried.to_vec(),
            has_condition: false,
            trip_count: Some(trip),
            iv,
            results,
        };
        Ok(self.finish_loop(spec, region))
    }
    /// True for tensor types of which it is known that they differ.
    fn differ(&self, a: Type, b: Type) -> bool {
        let (ctx, facts) = (self.ctx(), nim_ir::Facts::default());
        let (Some(x), Some(y)) = (ctx.dim_exprs(a), ctx.dim_exprs(b)) else { return false };
        let sizes = x.iter().zip(&y).any(|(&p, &q)| ctx.exprs.prove_ne(p, q, &facts));
        sizes || x.len() != y.len() || ctx.element_type(a) != ctx.element_type(b)
    }
    /// The type of a value of every iteration stacked along a new first axis.
    pub fn stacked_type(&mut self, v: ValueId, trip: Expr, inner: &FxHashSet<Symbol>) -> Built<Type> {
        let element = self.element(v)?;
        let ty = self.outside(self.ty(v), inner, "size");
        let mut dims = vec![trip];
        dims.extend(self.ctx().dim_exprs(ty).unwrap_or_default());
        Ok(self.ctx().tensor_of(&dims, element))
    }
}
