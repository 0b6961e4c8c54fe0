//! Branches and loops. Their results and carried values are references: nothing is copied.

use super::{Lower, buffer_type};
use nim_dyn::{If, Loop, Match, Yield};
use nim_ir::{Attr, BlockId, InsertPoint, OpId, RegionId, Type, ValueId, verifier::operand_groups};

impl Lower<'_, '_> {
    /// Fills a region with what `from` becomes; returns the types that it yields (as the source has them). `begin` adds
    /// what stands before the ops.
    fn region(&mut self, from: RegionId, begin: impl FnOnce(&mut Self, BlockId)) -> Option<(RegionId, Vec<Type>)> {
        let source = self.source.entry_block(from)?;
        let types: Vec<Type> =
            self.source.block_args(source).iter().map(|&a| buffer_type(self.ctx, self.source.ty(a))).collect();
        let region = self.builder.body.add_detached_region();
        let block = self.builder.body.add_block(region, &types, &[]);
        let around = std::mem::replace(&mut self.builder.point, InsertPoint::End(block));
        let bound = self.bound.clone();
        self.map_arguments(source, block);
        begin(self, source);
        self.block_ops(source);
        let end = self.source.last_op(source).filter(|&op| self.source.is(self.ctx, op, "graph.yield"));
        let yielded = end.map(|op| self.source.operands(op).to_vec()).unwrap_or_default();
        let values = self.values(&yielded);
        self.builder.loc = end.map_or(self.builder.loc, |op| self.source.loc(op));
        self.builder.op(Yield::NAME, &values, &[], &[]);
        // What was bound inside has no value outside.
        self.bound = bound;
        self.builder.point = around;
        Some((region, yielded.iter().map(|&v| self.source.ty(v)).collect()))
    }

    pub(super) fn branch(&mut self, op: OpId) {
        let condition = self.value(self.source.operand(op, 0));
        let &[then, other] = self.source.regions(op) else {
            return self.error(op, "N0722", "`graph.if` needs two regions");
        };
        let loc = self.source.loc(op);
        let (Some((then, a)), Some((other, b))) = (self.region(then, |_, _| ()), self.region(other, |_, _| ())) else {
            return self.error(op, "N0722", "a region of `graph.if` is empty");
        };
        let results = self.source.results(op).to_vec();
        let types: Vec<Type> = results.iter().map(|&r| buffer_type(self.ctx, self.source.ty(r))).collect();
        self.builder.loc = loc;
        let state = self.builder.state(If::NAME).operands(&[condition]).results(&types).region(then).region(other);
        let new = self.builder.insert(state);
        for (i, result) in results.into_iter().enumerate() {
            let value = self.builder.body.results(new)[i];
            let what = self.describe("result", result, i);
            self.map(result, value);
            let sources: Vec<Type> = [&a, &b].iter().filter_map(|list| list.get(i).copied()).collect();
            self.arrive(value, &sources, &what);
        }
    }

    /// A match: cases get the fields, which are checked against what the cases say of them.
    pub(super) fn choose(&mut self, op: OpId) {
        let (loc, value) = (self.source.loc(op), self.value(self.source.operand(op, 0)));
        let mut regions = vec![];
        for &region in self.source.regions(op) {
            let filled = self.region(region, |lower, block| {
                for (i, &arg) in lower.source.block_args(block).iter().enumerate() {
                    let what = lower.describe("field", arg, i);
                    let buffer = lower.value(arg);
                    lower.arrive(buffer, &[lower.ctx.none_type()], &what);
                }
            });
            let Some(filled) = filled else { return self.error(op, "N0722", "a case of `graph.match` is empty") };
            regions.push(filled);
        }
        let results = self.source.results(op).to_vec();
        let types: Vec<Type> = results.iter().map(|&r| buffer_type(self.ctx, self.source.ty(r))).collect();
        self.builder.loc = loc;
        let mut state = self.builder.state(Match::NAME).operands(&[value]).results(&types);
        if let Some(cases) = self.source.attr_named(self.ctx, op, "cases") {
            state = state.attr(self.ctx, "cases", cases);
        }
        for &(region, _) in &regions {
            state = state.region(region);
        }
        let new = self.builder.insert(state);
        for (i, result) in results.into_iter().enumerate() {
            let value = self.builder.body.results(new)[i];
            let what = self.describe("result", result, i);
            self.map(result, value);
            let sources: Vec<Type> = regions.iter().filter_map(|(_, types)| types.get(i).copied()).collect();
            self.arrive(value, &sources, &what);
        }
    }

    pub(super) fn repeat(&mut self, op: OpId) {
        let (Some(groups), &[region]) = (operand_groups(self.ctx, self.source, op), self.source.regions(op)) else {
            return self.error(op, "N0722", "`graph.loop` is malformed");
        };
        let loc = self.source.loc(op);
        let operands = self.source.operands(op);
        let carried: Vec<ValueId> = groups.get(2).map(|g| operands[g.clone()].to_vec()).unwrap_or_default();
        let get = |name: &str| self.source.attr_named(self.ctx, op, name);
        let has_condition = get("has_condition").and_then(|a| self.ctx.as_bool(a)).unwrap_or(false);
        let iv = get("iv").and_then(|a| self.ctx.as_string(a));
        let mut attrs: Vec<(&str, Attr)> = vec![];
        attrs.extend(get("iv").map(|a| ("iv", a)));
        attrs.extend(get("trip_count").map(|a| ("trip_count", a)));
        if has_condition {
            attrs.push(("has_condition", self.ctx.unit_attr()));
        }
        let sizes: Vec<i64> = groups.iter().map(|g| g.len() as i64).collect();
        attrs.push(("operandSegmentSizes", self.ctx.i32_array(&sizes)));

        // What an iteration gets is what the operands start it with, or what the one before has yielded.
        let next = self.source.entry_block(region).and_then(|b| self.source.last_op(b)).map(|end| {
            let skip = usize::from(has_condition);
            self.source.operands(end).iter().skip(skip).map(|&v| self.source.ty(v)).collect::<Vec<_>>()
        });
        let next = next.unwrap_or_default();
        let starts: Vec<Type> = carried.iter().map(|&v| self.source.ty(v)).collect();
        let sources = |i: usize| [starts.get(i), next.get(i)].into_iter().flatten().copied().collect::<Vec<Type>>();
        let filled = self.region(region, |lower, block| {
            lower.bound.extend(iv.map(|name| lower.ctx.exprs.symbol(name)));
            for (i, &arg) in lower.source.block_args(block).iter().skip(1).enumerate() {
                let what = lower.describe("the loop's value", arg, i);
                let buffer = lower.value(arg);
                lower.arrive(buffer, &sources(i), &what);
            }
        });
        let Some((region, _)) = filled else { return self.error(op, "N0722", "the region of `graph.loop` is empty") };
        let results = self.source.results(op).to_vec();
        let types: Vec<Type> = results.iter().map(|&r| buffer_type(self.ctx, self.source.ty(r))).collect();
        self.builder.loc = loc;
        let values = self.values(&operands);
        let mut state = self.builder.state(Loop::NAME).operands(&values).results(&types).region(region);
        for (name, attr) in attrs {
            state = state.attr(self.ctx, name, attr);
        }
        let new = self.builder.insert(state);
        for (i, result) in results.into_iter().enumerate() {
            let value = self.builder.body.results(new)[i];
            let what = self.describe("result", result, i);
            self.map(result, value);
            if i < carried.len() {
                self.arrive(value, &sources(i), &what);
            } else {
                self.stacked(value, next.get(i).copied(), &what);
            }
        }
    }

    /// A stacked result: the number of iterations, then what each of them yields.
    fn stacked(&mut self, value: ValueId, item: Option<Type>, what: &str) {
        let ty = self.builder.body.ty(value);
        let sources = match (self.dims(ty), item.and_then(|i| self.dims(i)), self.ctx.element_type(ty)) {
            (Some(dims), Some(item), Some(element)) if !dims.is_empty() => {
                // The first dimension is the loop's own business.
                let all: Vec<_> = dims[..1].iter().chain(&item).copied().collect();
                vec![self.ctx.memref_of(&all, element)]
            }
            _ => vec![],
        };
        self.arrive(value, &sources, what);
    }
}
