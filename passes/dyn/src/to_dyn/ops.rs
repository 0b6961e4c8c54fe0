//! Ops without regions: constants, sizes, calls of kernels and of the runtime.

use super::{Lower, buffer_type};
use nim_builtin::func;
use nim_dyn::{Alloc, Bind, Closure, Constant, Construct, Guard, Index, Invoke, MatchCast, Reshape, Runtime, View};
use nim_ir::{Attr, Expr, OpId, Symbol, Type, TypeData, ValueId};
use rustc_hash::FxHashMap;

/// Ops of `graph` that the runtime library does, with its name for them.
const RUNTIME: &[(&str, &str)] = &[
    ("graph.topk", "topk"),
    ("graph.nonzero", "nonzero"),
    ("graph.unique", "unique"),
    ("graph.nms", "nms"),
    ("graph.random", "random"),
    ("graph.bernoulli", "bernoulli"),
];

impl Lower<'_, '_> {
    pub(super) fn op(&mut self, op: OpId) {
        let name = self.ctx.op_str(self.source.op_name(op));
        self.builder.loc = self.source.loc(op);
        match name {
            "graph.constant" => self.constant(op),
            "graph.reshape" => self.reshape(op),
            "graph.index" => {
                let exprs = self.source.attr_named(self.ctx, op, "exprs").and_then(|a| self.ctx.as_exprs(a));
                self.index(op, exprs);
            }
            "graph.shape_of" => {
                let exprs = self.dims(self.source.ty(self.source.operand(op, 0)));
                self.index(op, exprs);
            }
            "graph.bind" => self.bind(op),
            "graph.guard" => {
                let attrs: Vec<(&str, Attr)> = self.attrs(op);
                self.builder.op(Guard::NAME, &[], &[], &attrs);
            }
            "graph.assume" => {
                let about = nim_builtin::assume::of_arguments(self.ctx, self.source);
                let own = nim_builtin::assume::Assumption::of(self.ctx, self.source, op);
                // Those about arguments stand at the function's begin.
                if !own.is_some_and(|own| about.contains(&own)) {
                    self.assume(op);
                }
            }
            "graph.match_cast" => {
                let (operand, result) = (self.source.operand(op, 0), self.source.result(op));
                let (from, ty) = (self.value(operand), buffer_type(self.ctx, self.source.ty(result)));
                let new = self.builder.value(MatchCast::NAME, &[from], ty, &[]);
                self.map(result, new);
                let what = self.describe("the cast of", operand, 0);
                self.arrive(new, &[self.source.ty(operand)], &what);
            }
            "graph.runtime" => {
                let function = self.source.attr_named(self.ctx, op, "name").and_then(|a| self.ctx.as_string(a));
                self.runtime(op, function.unwrap_or_default());
            }
            "graph.if" => self.branch(op),
            "graph.loop" => self.repeat(op),
            "graph.match" => self.choose(op),
            "graph.construct" => self.references(op, Construct::NAME, "constructor"),
            "graph.closure" => self.references(op, Closure::NAME, "callee"),
            // Bodies of branches and loops end by whoever makes them.
            "graph.yield" => {}
            "dataflow.invoke" => self.invoke(op),
            "func.return" => {
                let values = self.values(&self.source.operands(op));
                self.builder.op(func::Return::NAME, &values, &[], &[]);
            }
            "func.call" | "func.call_indirect" => self.call(op, name),
            _ => match RUNTIME.iter().find(|(graph, _)| *graph == name) {
                Some((_, function)) => self.runtime(op, function),
                None if name.starts_with("graph.") && self.is_on_host(op) => self.runtime(op, &name["graph.".len()..]),
                None => {
                    let help = match self.ctx.op_dialect(self.source.op_name(op)) {
                        "graph" => "graph-to-dataflow",
                        "dataflow" => "dataflow-outline",
                        _ => "",
                    };
                    let message = format!("`{name}` cannot stand in a host program");
                    self.error(op, "N0720", message);
                    if let Some(last) = self.found.last_mut().filter(|_| !help.is_empty()) {
                        last.help = Some(format!("run {help} before {}", super::NAME));
                    }
                }
            },
        }
    }

    fn attrs(&self, op: OpId) -> Vec<(&'static str, Attr)> {
        const GUARD: [&str; 4] = ["kind", "lhs", "rhs", "message"];
        GUARD.iter().filter_map(|&n| Some((n, self.source.attr_named(self.ctx, op, n)?))).collect()
    }

    /// Text, sequences and the like: values without plain elements.
    fn is_on_host(&self, op: OpId) -> bool {
        let values = self.source.operands(op);
        values.iter().chain(self.source.results(op)).any(|&v| !self.has_memory(self.source.ty(v)))
    }

    /// A buffer with memory of its own.
    pub(super) fn fresh(&mut self, op: OpId, ty: Type) -> Option<ValueId> {
        let size = self.ctx.dtype_of(ty).map(|d| d.size() as i64).filter(|_| self.has_memory(ty));
        let (Some(dims), Some(size)) = (self.dims(ty), size) else {
            let message = format!("{} has no size that can be written down", self.ctx.display_type(ty));
            self.error(op, "N0721", message);
            return None;
        };
        let pool = &self.ctx.exprs;
        let bytes = pool.product(dims.into_iter().chain([pool.constant(size)]));
        let storage = nim_dyn::storage_type(self.ctx);
        let storage = self.builder.value(Alloc::NAME, &[], storage, &[("size", self.ctx.expr_attr(bytes))]);
        let zero = self.ctx.expr_attr(Expr::ZERO);
        self.buffers += 1;
        Some(self.builder.value(View::NAME, &[storage], buffer_type(self.ctx, ty), &[("offset", zero)]))
    }

    fn constant(&mut self, op: OpId) {
        let Some(value) = self.source.attr_named(self.ctx, op, "value") else {
            return self.error(op, "N0722", "a constant has no elements");
        };
        let result = self.source.result(op);
        let ty = buffer_type(self.ctx, self.source.ty(result));
        let new = self.builder.value(Constant::NAME, &[], ty, &[("value", value)]);
        self.map(result, new);
    }

    fn reshape(&mut self, op: OpId) {
        let (from, result) = (self.value(self.source.operand(op, 0)), self.source.result(op));
        let ty = buffer_type(self.ctx, self.source.ty(result));
        let new = self.builder.value(Reshape::NAME, &[from], ty, &[]);
        self.map(result, new);
        self.define(ty);
    }

    fn index(&mut self, op: OpId, exprs: Option<Vec<Expr>>) {
        let result = self.source.result(op);
        let Some(exprs) = exprs else {
            return self.error(op, "N0721", "the shape has a dimension that is not known as an expression");
        };
        let Some(out) = self.fresh(op, self.source.ty(result)) else { return };
        let exprs = self.ctx.exprs_attr(&exprs);
        self.builder.op(Index::NAME, &[out], &[], &[("exprs", exprs)]);
        self.map(result, out);
    }

    fn bind(&mut self, op: OpId) {
        let Some(symbols) = self.source.attr_named(self.ctx, op, "symbols") else { return };
        let from = self.value(self.source.operand(op, 0));
        self.builder.op(Bind::NAME, &[from], &[], &[("symbols", symbols)]);
        for &name in self.ctx.as_array(symbols).unwrap_or_default() {
            self.bound.extend(self.ctx.as_string(name).map(|s| self.ctx.exprs.symbol(s)));
        }
    }

    /// Calls a kernel with fresh buffers for its results, and for its temporaries when it has been lowered already.
    fn invoke(&mut self, op: OpId) {
        let callee = self.source.attr_named(self.ctx, op, "callee").and_then(|a| self.ctx.as_symbol_ref(a));
        let Some((name, kernel)) = callee.and_then(|name| Some((name, self.kernels.get(&name)?))) else {
            return self.error(op, "N0723", "the kernel that is invoked does not exist");
        };
        let operands = self.source.operands(op);
        let results = self.source.results(op).to_vec();
        if operands.len() != kernel.inputs.len() || results.len() > kernel.outputs.len() {
            return self.error(op, "N0723", "the kernel takes or gives another number of values");
        }
        // What the kernel's symbols are here: read off where its arguments have them bare, else the same name.
        let mut here: FxHashMap<Symbol, Expr> = kernel.symbols.iter().map(|&s| (s, self.ctx.exprs.var(s))).collect();
        let mut known = vec![];
        for (&operand, &input) in operands.iter().zip(&kernel.inputs) {
            let (Some(theirs), Some(ours)) = (self.dims(input), self.dims(self.source.ty(operand))) else { continue };
            for (theirs, ours) in theirs.into_iter().zip(ours) {
                if let Some(symbol) = self.ctx.exprs.as_symbol(theirs)
                    && !known.contains(&symbol)
                {
                    known.push(symbol);
                    here.insert(symbol, ours);
                }
            }
        }
        let temporaries: Vec<Type> = kernel.outputs[results.len()..].to_vec();
        let mut outs = vec![];
        for &result in &results {
            let Some(out) = self.fresh(op, self.source.ty(result)) else { return };
            outs.push(out);
        }
        for ty in temporaries {
            let Some(dims) = self.dims(ty) else { continue };
            let dims: Vec<Expr> =
                dims.into_iter().map(|d| self.ctx.exprs.substitute(d, &mut |s| here.get(&s).copied())).collect();
            let Some(element) = self.ctx.element_type(ty) else { continue };
            let Some(out) = self.fresh(op, self.ctx.memref_of(&dims, element)) else { return };
            outs.push(out);
        }
        let symbols: Vec<Expr> = kernel.symbols.iter().map(|s| here[s]).collect();
        let ins = self.values(&operands);
        let segments = self.ctx.i32_array(&[ins.len() as i64, outs.len() as i64]);
        let mut all = ins;
        all.extend_from_slice(&outs);
        let attrs = [
            ("callee", self.ctx.symbol_ref(self.ctx.str(name))),
            ("operandSegmentSizes", segments),
            ("symbols", self.ctx.exprs_attr(&symbols)),
        ];
        self.builder.op(Invoke::NAME, &all, &[], &attrs);
        for (&result, &out) in results.iter().zip(&outs) {
            self.map(result, out);
            self.define(self.source.ty(result));
        }
    }

    /// Calls the runtime library. All attributes of the op go along; results bring their own sizes.
    fn runtime(&mut self, op: OpId, function: &str) {
        let ins = self.values(&self.source.operands(op));
        let results = self.source.results(op).to_vec();
        let types: Vec<Type> = results.iter().map(|&r| buffer_type(self.ctx, self.source.ty(r))).collect();
        let mut attrs = vec![("name", self.ctx.string_attr(function))];
        let config: Vec<_> = self.source.attrs(op).iter().collect();
        if !config.is_empty() {
            attrs.push(("config", self.ctx.dict_attr(config)));
        }
        let call = self.builder.op(Runtime::NAME, &ins, &types, &attrs);
        for (i, result) in results.into_iter().enumerate() {
            let new = self.builder.body.results(call)[i];
            self.map(result, new);
            // The library makes what the shape function of the op says; only new symbols are read off.
            self.define(types[i]);
        }
    }

    /// A value that refers to others: nothing is copied.
    fn references(&mut self, op: OpId, name: &'static str, attr: &'static str) {
        let operands = self.values(&self.source.operands(op));
        let result = self.source.result(op);
        let ty = buffer_type(self.ctx, self.source.ty(result));
        let attrs: Vec<(&str, Attr)> =
            self.source.attr_named(self.ctx, op, attr).map(|value| (attr, value)).into_iter().collect();
        let new = self.builder.value(name, &operands, ty, &attrs);
        self.map(result, new);
    }

    /// A function gives what its own type says, so only what the call claims beyond that is checked.
    fn call(&mut self, op: OpId, name: &str) {
        let operands = self.values(&self.source.operands(op));
        let results = self.source.results(op).to_vec();
        let types: Vec<Type> = results.iter().map(|&r| buffer_type(self.ctx, self.source.ty(r))).collect();
        let callee = self.source.attr_named(self.ctx, op, "callee");
        let given: Vec<Type> = match callee.and_then(|a| self.functions.get(&self.ctx.as_symbol_ref(a)?)) {
            Some(given) => given.clone(),
            None => match self.source.operands(op).first().map(|&f| self.ctx.type_data(self.source.ty(f))) {
                Some(TypeData::Function { results, .. }) => results.clone(),
                _ => vec![],
            },
        };
        let attrs: Vec<(&str, Attr)> = callee.map(|callee| ("callee", callee)).into_iter().collect();
        let call = self.builder.op(name, &operands, &types, &attrs);
        for (i, result) in results.into_iter().enumerate() {
            let new = self.builder.body.results(call)[i];
            let what = self.describe("result", result, i);
            self.map(result, new);
            let source = given.get(i).map_or(self.ctx.none_type(), |&ty| self.without_symbols(ty));
            self.arrive(new, &[source], &what);
        }
    }

    /// A type of another function: its symbols mean nothing here.
    fn without_symbols(&self, ty: Type) -> Type {
        let (Some(dims), Some(element)) = (self.ctx.dims(ty), self.ctx.element_type(ty)) else { return ty };
        let known = |d: &nim_ir::Dim| d.expr().filter(|&e| self.ctx.exprs.as_const(e).is_some());
        let dims: Vec<_> = dims.iter().map(|d| known(d).map_or(nim_ir::Dim::Unknown, nim_ir::Dim::Expr)).collect();
        self.ctx.tensor_type(&dims, element)
    }
}
