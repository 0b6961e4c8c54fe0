//! `graph-infer-shapes`: every dimension gets an expression.
//!
//! Types may leave dimensions open (`tensor<?x4xf32>`). Shape functions say what they are where they can; what only run time
//! knows (arguments, results of calls and of control flow) becomes a symbol of its own. Types may also claim more than shape
//! functions know: where a claim is not proved, a `graph.guard` goes before the op, so that it holds at run time. The same goes
//! for what a function returns and what its type says.

use nim_builtin::{assume, func};
use nim_ir::{
    AttrData, Body, Builder, Context, Dim, Expr, Facts, Module, OpId, Symbol, Type, TypeData, ValueId,
    builder::infer_types,
};
use rustc_hash::FxHashSet;

/// The name of the pass.
pub const NAME: &str = "graph-infer-shapes";

/// What inference did.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Inferred {
    /// Dimensions that shape functions told.
    pub inferred: usize,
    /// Dimensions that got a symbol.
    pub named: usize,
    /// Claims that run time checks.
    pub guards: usize,
}

/// Infers the shapes in all functions of a module.
pub fn infer_shapes(ctx: &Context, module: &mut Module) -> Inferred {
    let mut done = Inferred::default();
    for op in module.ops().collect::<Vec<_>>() {
        if !func::Func::is(ctx, &module.body, op) {
            continue;
        }
        let Some((inputs, results)) = func::signature(ctx, &module.body, op) else { continue };
        let (inputs, results) = (inputs.to_vec(), results.to_vec());
        let Some(mut body) = module.body.take_nested(op) else { continue };
        if let Some(entry) = body.entry() {
            let facts = assume::facts(assume::of_arguments(ctx, &body));
            let mut function =
                Function { ctx, taken: names(ctx, &body), seen: FxHashSet::default(), results, facts, done };
            for &arg in &body.block_args(entry).to_vec() {
                function.name_open(&mut body, arg, None);
                function.see_all(&body, arg);
            }
            for op in body.walk() {
                function.op(&mut body, op);
            }
            done = function.done;
            // Unranked arguments of a declaration's type stay what they are.
            let types: Vec<Type> = body.block_args(entry).iter().map(|&a| body.ty(a)).collect();
            if types != inputs {
                let ty = ctx.function_type(&types, &function.results);
                module.body.set_attr(ctx, op, "function_type", ctx.type_attr(ty));
            }
        }
        module.body.set_nested(op, body);
    }
    done
}

/// A function whose types are completed.
struct Function<'a> {
    ctx: &'a Context,
    /// Names of symbols.
    taken: FxHashSet<String>,
    /// Symbols that have a value by now.
    seen: FxHashSet<Symbol>,
    /// What its type says that it gives.
    results: Vec<Type>,
    /// What it assumes.
    facts: Facts,
    done: Inferred,
}

impl Function<'_> {
    fn op(&mut self, body: &mut Body, op: OpId) {
        let ctx = self.ctx;
        let name = ctx.op_str(body.op_name(op));
        let inferred = match name.starts_with("graph.") {
            true => {
                let operands: Vec<Type> = body.operands(op).iter().map(|&v| body.ty(v)).collect();
                infer_types(ctx, body.op_name(op), &operands, body.attrs(op), body.loc(op)).unwrap_or_default()
            }
            false => vec![],
        };
        for (i, &result) in body.results(op).to_vec().iter().enumerate() {
            let told = inferred.get(i).copied();
            self.name_open(body, result, told);
            if let Some(told) = told {
                let what = format!("size that is claimed for what `{name}` gives");
                self.claim(body, op, body.ty(result), told, &what);
            }
            self.see(body.ty(result));
        }
        for region in body.regions(op).to_vec() {
            for block in body.blocks(region).to_vec() {
                for arg in body.block_args(block).to_vec() {
                    self.name_open(body, arg, None);
                    self.see(body.ty(arg));
                }
            }
        }
        match name {
            "graph.bind" => {
                let names = body.attr_named(ctx, op, "symbols").and_then(|a| ctx.as_array(a)).unwrap_or_default();
                self.seen.extend(names.iter().filter_map(|&a| ctx.as_string(a)).map(|s| ctx.exprs.symbol(s)));
            }
            "graph.loop" => {
                let iv = body.attr_named(ctx, op, "iv").and_then(|a| ctx.as_string(a));
                self.seen.extend(iv.map(|s| ctx.exprs.symbol(s)));
            }
            func::Return::NAME => self.returned(body, op),
            _ => {}
        }
    }

    /// What is returned has the sizes that the function's type says. Symbols that are new there are the caller's to find
    /// out, but the same in all results.
    fn returned(&mut self, body: &mut Body, op: OpId) {
        let (results, values) = (self.results.clone(), body.operands(op).to_vec());
        let mut own: Vec<(Symbol, Expr)> = vec![];
        for (i, (&formal, &value)) in results.iter().zip(&values).enumerate() {
            let (Some(formal), Some(actual)) = (self.ctx.dims(formal), self.ctx.dims(body.ty(value))) else { continue };
            for (formal, actual) in formal.iter().copied().zip(actual.iter().copied()) {
                let (Some(formal), Some(actual)) = (formal.expr(), actual.expr()) else { continue };
                let symbol = self.ctx.exprs.as_symbol(formal).filter(|s| !self.seen.contains(s));
                let formal = match symbol {
                    Some(symbol) => match own.iter().find(|(known, _)| *known == symbol) {
                        Some(&(_, first)) => first,
                        None => {
                            own.push((symbol, actual));
                            continue;
                        }
                    },
                    None => formal,
                };
                self.guard(body, op, actual, formal, &format!("size that the function's type says of result {i}"));
            }
        }
    }

    /// Guards where a type claims other sizes than a shape function tells.
    fn claim(&mut self, body: &mut Body, op: OpId, claimed: Type, told: Type, what: &str) {
        let (Some(claimed), Some(told)) = (self.ctx.dims(claimed), self.ctx.dims(told)) else { return };
        for (claimed, told) in claimed.iter().copied().zip(told.iter().copied()) {
            if let (Some(claimed), Some(told)) = (claimed.expr(), told.expr()) {
                self.guard(body, op, told, claimed, what);
            }
        }
    }

    fn guard(&mut self, body: &mut Body, op: OpId, is: Expr, said: Expr, what: &str) {
        let (ctx, pool) = (self.ctx, &self.ctx.exprs);
        let known = |e: Expr| pool.symbols(e).iter().all(|s| self.seen.contains(s));
        if is == said || !known(is) || !known(said) || pool.prove_eq_given(is, said, &self.facts) {
            return;
        }
        let mut builder = Builder::before(ctx, body, op);
        builder.loc = ctx.derived_loc(NAME, builder.loc);
        let attrs = [
            ("kind", ctx.string_attr("eq")),
            ("lhs", ctx.expr_attr(is)),
            ("rhs", ctx.expr_attr(said)),
            ("message", ctx.string_attr(what)),
        ];
        builder.op("graph.guard", &[], &[], &attrs);
        self.done.guards += 1;
    }

    /// Takes note of symbols that a type gives their values.
    fn see(&mut self, ty: Type) {
        for dim in self.ctx.dims(ty).unwrap_or_default() {
            self.seen.extend(dim.expr().and_then(|e| self.ctx.exprs.as_symbol(e)));
        }
    }

    /// As [`Function::see`], of a function's argument, for which symbols inside of expressions are solved.
    fn see_all(&mut self, body: &Body, arg: ValueId) {
        for dim in self.ctx.dims(body.ty(arg)).unwrap_or_default() {
            self.seen.extend(dim.expr().map(|e| self.ctx.exprs.symbols(e)).unwrap_or_default());
        }
    }

    /// Completes the type of a value: with what a shape function tells, else with new symbols.
    fn name_open(&mut self, body: &mut Body, value: ValueId, told: Option<Type>) {
        let (ctx, ty) = (self.ctx, body.ty(value));
        let told_dims = told.and_then(|t| ctx.dims(t)).map(<[Dim]>::to_vec);
        if let (TypeData::UnrankedTensor(_), Some(told)) = (ctx.type_data(ty), told.filter(|_| told_dims.is_some())) {
            body.set_ty(value, told);
            self.done.inferred += 1;
            return self.name_open(body, value, None);
        }
        let TypeData::Tensor { dims, element, .. } = ctx.type_data(ty) else { return };
        if !dims.contains(&Dim::Unknown) {
            return;
        }
        let (mut dims, element) = (dims.to_vec(), *element);
        for (axis, dim) in dims.iter_mut().enumerate().filter(|(_, dim)| **dim == Dim::Unknown) {
            let told = told_dims.as_ref().and_then(|t| t.get(axis)).and_then(|d| d.expr());
            let named = |symbol: Symbol| ctx.exprs.var(symbol);
            *dim = Dim::Expr(match told {
                Some(told) => {
                    self.done.inferred += 1;
                    told
                }
                None => {
                    self.done.named += 1;
                    named(self.fresh(body, value, axis))
                }
            });
        }
        body.set_ty(value, ctx.tensor_type(&dims, element));
    }

    /// A symbol for an axis of a value, named after both.
    fn fresh(&mut self, body: &Body, value: ValueId, axis: usize) -> Symbol {
        let plain = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let name = body.value_name(value).map(|n| self.ctx.str(n)).filter(plain);
        let base = match name.filter(|n| n.starts_with(|c: char| c.is_ascii_alphabetic())) {
            Some(name) => format!("{name}_{axis}"),
            None => format!("dim_{axis}"),
        };
        let mut name = base.clone();
        let mut n = 0;
        while !self.taken.insert(name.clone()) {
            n += 1;
            name = format!("{base}_{n}");
        }
        self.ctx.exprs.symbol(&name)
    }
}

/// The names of all symbols of a function.
fn names(ctx: &Context, body: &Body) -> FxHashSet<String> {
    let mut exprs: Vec<Expr> = vec![];
    let mut found = FxHashSet::default();
    let args = body.entry().map(|b| body.block_args(b).to_vec()).unwrap_or_default();
    exprs.extend(args.iter().flat_map(|&a| body_dims(ctx, body, a)));
    for op in body.walk() {
        let inner = body.regions(op).iter().flat_map(|&r| body.blocks(r)).flat_map(|&b| body.block_args(b));
        exprs.extend(inner.chain(body.results(op)).flat_map(|&v| body_dims(ctx, body, v)));
        let mut attrs: Vec<_> = body.attrs(op).iter().map(|(_, a)| a).collect();
        while let Some(attr) = attrs.pop() {
            match ctx.attr_data(attr) {
                AttrData::Array(items) => attrs.extend(items),
                AttrData::Expr(e) => exprs.push(*e),
                AttrData::String(_) => found.extend(ctx.as_string(attr).map(String::from)),
                _ => {}
            }
        }
    }
    found.extend(exprs.into_iter().flat_map(|e| ctx.exprs.symbols(e)).map(|s| ctx.exprs.symbol_name(s).to_owned()));
    found
}

fn body_dims(ctx: &Context, body: &Body, value: ValueId) -> Vec<Expr> {
    ctx.dims(body.ty(value)).unwrap_or_default().iter().filter_map(|d| d.expr()).collect()
}
