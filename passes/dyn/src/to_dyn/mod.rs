//! `graph-to-dyn`: tensors become buffers.
//!
//! Works on every function of the module after maps have become kernels (`dataflow-outline`; when the kernels are lowered
//! already, their temporaries get memory too). The body is built anew, op by op:
//!
//! * a tensor type becomes a `memref` type with the same named dimensions;
//! * each result of a kernel gets memory of its own, written by the kernel (*destination passing*);
//! * reshapes, branches and loops pass references on and copy nothing;
//! * an argument is checked against its type where the function begins, and so is a value whose type claims more than
//!   where it comes from.
//!
//! What it deliberately does not do: two buffers never share memory here. That is `dyn-plan-memory`'s work.

mod checks;
mod control;
mod ops;

use nim_builtin::func;
use nim_ir::{BlockId, Body, Builder, Context, Diagnostic, Expr, Module, Name, OpId, Symbol, Type, TypeData, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};

/// The name of the pass.
pub const NAME: &str = "graph-to-dyn";

/// What the pass did.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Done {
    /// Functions converted.
    pub functions: usize,
    /// Buffers that got memory.
    pub buffers: usize,
}

/// Converts all functions. Those with errors stay as they are.
pub fn graph_to_dyn(ctx: &Context, module: &mut Module) -> (Done, Vec<Diagnostic>) {
    let kernels = kernels(ctx, module);
    let functions: FxHashMap<Name, Vec<Type>> = module
        .ops()
        .filter(|&op| func::Func::is(ctx, &module.body, op))
        .filter_map(|op| {
            let name = ctx.name(module.symbol_name(ctx, op)?);
            Some((name, func::signature(ctx, &module.body, op)?.1.to_vec()))
        })
        .collect();
    let mut done = Done::default();
    let mut found = vec![];
    for func in module.ops().collect::<Vec<_>>() {
        if !func::Func::is(ctx, &module.body, func) {
            continue;
        }
        let Some(source) = module.body.take_nested(func) else { continue };
        let Some(entry) = source.entry().filter(|_| mentions_tensors(ctx, &source)) else {
            module.body.set_nested(func, source);
            continue;
        };
        let names = argument_names(ctx, module, func, &source);
        let mut target = Body::new();
        let region = target.add_root_region();
        let args = source.block_args(entry).to_vec();
        let types: Vec<Type> = args.iter().map(|&a| buffer_type(ctx, source.ty(a))).collect();
        let block = target.add_block(region, &types, &[]);
        let mut lower = Lower {
            ctx,
            source: &source,
            builder: Builder::at_end(ctx, &mut target, block),
            kernels: &kernels,
            functions: &functions,
            values: FxHashMap::default(),
            bound: FxHashSet::default(),
            found: vec![],
            buffers: 0,
        };
        lower.builder.loc = module.body.loc(func);
        lower.map_arguments(entry, block);
        lower.entry_checks(entry, &names);
        lower.block_ops(entry);
        let (errors, buffers) = (lower.found, lower.buffers);
        if errors.is_empty() {
            let types = |list: Vec<Type>| list.into_iter().map(|t| buffer_type(ctx, t)).collect::<Vec<_>>();
            if let Some((inputs, results)) = func::signature(ctx, &module.body, func) {
                let ty = ctx.function_type(&types(inputs.to_vec()), &types(results.to_vec()));
                module.body.set_attr(ctx, func, "function_type", ctx.type_attr(ty));
            }
            module.body.set_nested(func, Box::new(target));
            done.functions += 1;
            done.buffers += buffers;
        } else {
            module.body.set_nested(func, source);
            found.extend(errors);
        }
    }
    (done, found)
}

/// A kernel as its callers see it.
struct Callee {
    /// Types of what it reads, in terms of its own symbols.
    inputs: Vec<Type>,
    /// Types of what it writes, temporaries last.
    outputs: Vec<Type>,
    /// Names of its symbols.
    symbols: Vec<Symbol>,
}

fn kernels(ctx: &Context, module: &Module) -> FxHashMap<Name, Callee> {
    let mut kernels = FxHashMap::default();
    for op in module.ops() {
        let body = &module.body;
        let lowered = body.is(ctx, op, "loops.kernel");
        if !lowered && !body.is(ctx, op, "dataflow.kernel") {
            continue;
        }
        let (Some(name), Some((inputs, results))) = (module.symbol_name(ctx, op), func::signature(ctx, body, op))
        else {
            continue;
        };
        let (mut inputs, mut outputs) = (inputs.to_vec(), results.to_vec());
        if lowered {
            let count = body.attr_named(ctx, op, "outputs").and_then(|a| ctx.as_int(a)).unwrap_or(0);
            let count = usize::try_from(count).unwrap_or(0).min(inputs.len());
            outputs = inputs.split_off(inputs.len() - count);
        }
        let symbols = body.attr_named(ctx, op, "symbols").and_then(|a| ctx.as_array(a)).unwrap_or_default();
        let symbols = symbols.iter().filter_map(|&a| ctx.as_string(a)).map(|s| ctx.exprs.symbol(s)).collect();
        kernels.insert(ctx.name(name), Callee { inputs, outputs, symbols });
    }
    kernels
}

fn mentions_tensors(ctx: &Context, body: &Body) -> bool {
    let is_tensor = |&v: &ValueId| ctx.is_tensor(body.ty(v));
    let args = body.entry().map(|b| body.block_args(b).to_vec()).unwrap_or_default();
    args.iter().any(is_tensor)
        || body
            .walk()
            .into_iter()
            .any(|op| ctx.op_dialect(body.op_name(op)) == "graph" || body.results(op).iter().any(is_tensor))
}

/// What users call the arguments: the names of the model's inputs, or those of the values.
fn argument_names(ctx: &Context, module: &Module, func: OpId, source: &Body) -> Vec<String> {
    let given = module.body.attr_named(ctx, func, "nim.input_names").and_then(|a| ctx.as_array(a)).unwrap_or_default();
    let args = source.entry().map(|b| source.block_args(b).to_vec()).unwrap_or_default();
    let name = |(i, arg): (usize, ValueId)| {
        let given = given.get(i).and_then(|&a| ctx.as_string(a)).map(str::to_owned);
        let named = || source.value_name(arg).map(|n| ctx.str(n).to_owned());
        given.or_else(named).unwrap_or_else(|| i.to_string())
    };
    args.into_iter().enumerate().map(name).collect()
}

/// The type of the buffer for a tensor; other types stay.
pub fn buffer_type(ctx: &Context, ty: Type) -> Type {
    match ctx.type_data(ty) {
        TypeData::Tensor { dims, element, .. } => {
            ctx.ty(TypeData::MemRef { dims: dims.clone(), element: *element, layout: None, space: None })
        }
        &TypeData::UnrankedTensor(element) => ctx.ty(TypeData::UnrankedMemRef { element, space: None }),
        TypeData::Function { inputs, results } => {
            let all = |types: &[Type]| types.iter().map(|&t| buffer_type(ctx, t)).collect::<Vec<_>>();
            ctx.function_type(&all(inputs), &all(results))
        }
        _ => ty,
    }
}

/// A function on its way from tensors to buffers.
struct Lower<'a, 'b> {
    ctx: &'b Context,
    source: &'a Body,
    builder: Builder<'b>,
    kernels: &'a FxHashMap<Name, Callee>,
    /// What each function of the module gives.
    functions: &'a FxHashMap<Name, Vec<Type>>,
    /// The buffer of each tensor.
    values: FxHashMap<ValueId, ValueId>,
    /// Symbols that have a value at this point.
    bound: FxHashSet<Symbol>,
    found: Vec<Diagnostic>,
    buffers: usize,
}

impl Lower<'_, '_> {
    fn value(&self, v: ValueId) -> ValueId {
        // Values are defined before they are used in verified IR, and all that are defined are mapped.
        self.values[&v]
    }
    fn values(&self, list: &[ValueId]) -> Vec<ValueId> {
        list.iter().map(|&v| self.value(v)).collect()
    }
    fn error(&mut self, op: OpId, code: &'static str, message: impl Into<String>) {
        self.found.push(Diagnostic::error(code, self.source.loc(op), message));
    }
    /// Says what stands for a value, and takes over its name.
    fn map(&mut self, old: ValueId, new: ValueId) {
        if let Some(name) = self.source.value_name(old) {
            self.builder.name_value(new, name);
        }
        self.values.insert(old, new);
    }
    /// The arguments of one block stand for those of the other.
    fn map_arguments(&mut self, from: BlockId, to: BlockId) {
        for (i, arg) in self.source.block_args(from).to_vec().into_iter().enumerate() {
            let new = self.builder.body.block_args(to)[i];
            self.map(arg, new);
        }
    }
    fn dims(&self, ty: Type) -> Option<Vec<Expr>> {
        self.ctx.dim_exprs(ty)
    }
    /// The symbols that a type gives a value, if they have none yet: its bare symbols.
    fn define(&mut self, ty: Type) {
        for dim in self.dims(ty).unwrap_or_default() {
            self.bound.extend(self.ctx.exprs.as_symbol(dim));
        }
    }

    fn block_ops(&mut self, from: BlockId) {
        for op in self.source.block_ops(from).collect::<Vec<_>>() {
            self.op(op);
            // Where an op failed something must stand for its results, so that the rest can be looked at too.
            for &result in self.source.results(op) {
                if !self.values.contains_key(&result) {
                    let ty = buffer_type(self.ctx, self.source.ty(result));
                    let value = self.builder.value(nim_dyn::Runtime::NAME, &[], ty, &[]);
                    self.map(result, value);
                }
            }
        }
    }
}
