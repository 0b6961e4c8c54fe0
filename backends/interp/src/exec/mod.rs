//! Runs modules at every level: functions over `graph`, `dataflow` and `dyn`, kernels of `dataflow` and `loops`.
//!
//! Values are host tensors; those of `memref` type are buffers in memory that is shared and written to. Every value's shape is checked against its type when it comes into being: a bare symbol is bound by
//! its first appearance, everything else must agree. So a wrong shape rule shows where it is wrong.

mod buffer;
mod container;
mod data;
mod dyn_ops;
mod graph;
mod loops;
mod map;
mod scalar_ops;
mod tiles;

use crate::kernels::error::KernelError;
use buffer::{Buffer, Storage};
use nim_ir::{Body, Context, Diagnostic, Dim, Expr, Module, OpId, RegionId, Symbol, Type, TypeData, ValueId};
use nim_loops::KernelView;
use nim_tensor::{DType, Tensor, Value};
use rustc_hash::FxHashMap;

/// Runs the function `name` of a module on inputs in order.
///
/// # Errors
/// Inputs that do not fit the signature, symbols with two values, guards that do not hold, ops without a meaning here.
pub fn run(ctx: &Context, module: &Module, name: &str, inputs: &[Value]) -> Result<Vec<Value>, Diagnostic> {
    let op = module
        .lookup(ctx, ctx.name(name))
        .ok_or_else(|| Diagnostic::error("N0761", module.loc, format!("there is no function `@{name}`")))?;
    Interpreter { ctx, module, depth: 0 }.call(op, inputs, &FxHashMap::default())
}

/// Reads the buffer of a kernel's argument: of this number, element type and dimensions.
pub type ReadBuffer<'a> = dyn FnMut(usize, DType, &[usize]) -> Result<Tensor, String> + 'a;

/// Runs a `loops.kernel` of a module by itself. `symbols` are its symbols in order; `buffer` says what is in the buffer of an argument
/// now, by its number, element type and dimensions. Gives back what is in those that it writes, the last ones, afterwards.
///
/// # Errors
/// What is no complete kernel, symbols that do not suffice, what `buffer` refuses, accesses outside of buffers.
pub fn run_kernel(
    ctx: &Context,
    module: &Module,
    kernel: OpId,
    symbols: &[i64],
    buffer: &mut ReadBuffer<'_>,
) -> Result<Vec<Tensor>, Diagnostic> {
    let fail = |message: String| Diagnostic::error("N0765", module.body.loc(kernel), message);
    let view = KernelView::new(ctx, &module.body, kernel).zip(module.body.nested(kernel));
    let (view, body) = view.ok_or_else(|| fail("the kernel is malformed".into()))?;
    if view.symbols.len() != symbols.len() {
        return Err(fail(format!("takes {} symbols, {} are given", view.symbols.len(), symbols.len())));
    }
    let symbols: FxHashMap<Symbol, i64> =
        view.symbols.iter().map(|name| ctx.exprs.symbol(name)).zip(symbols.iter().copied()).collect();
    let mut tensors = vec![];
    for (number, &arg) in view.args.iter().enumerate() {
        let ty = body.ty(arg);
        let size = |e: Expr| usize::try_from(ctx.exprs.eval(e, &|s| symbols.get(&s).copied()).ok()?).ok();
        let dims = ctx.dim_exprs(ty).and_then(|dims| dims.into_iter().map(size).collect::<Option<Vec<usize>>>());
        let (dtype, dims) = ctx
            .dtype_of(ty)
            .zip(dims)
            .ok_or_else(|| fail(format!("argument {number}: {} has no size here", ctx.display_type(ty))))?;
        tensors.push(buffer(number, dtype, &dims).map_err(|why| fail(format!("argument {number}: {why}")))?);
    }
    let outputs: Vec<Option<Tensor>> = tensors.split_off(view.inputs().len()).into_iter().map(Some).collect();
    loops::run(&Interpreter { ctx, module, depth: 0 }, kernel, &tensors, &outputs, &symbols)
}

/// Evaluates one pure op on constant operands: what constant folding needs.
pub fn fold_op(ctx: &Context, body: &Body, op: OpId, operands: &[Value]) -> Result<Vec<Value>, Diagnostic> {
    let module = Module::new();
    let mut frame = Frame {
        interpreter: &Interpreter { ctx, module: &module, depth: 0 },
        owner: None,
        body,
        values: FxHashMap::default(),
        buffers: FxHashMap::default(),
        storages: FxHashMap::default(),
        symbols: FxHashMap::default(),
    };
    graph::run(&mut frame, op, operands)
}

pub(crate) struct Interpreter<'a> {
    ctx: &'a Context,
    module: &'a Module,
    depth: usize,
}

/// Calls nested deeper than this are an endless recursion.
const MAX_DEPTH: usize = 100_000;
/// A call that finds less stack than this goes on with a new piece of it.
const STACK_LEFT: usize = 256 << 10;
/// Bytes of such a piece.
const STACK_PIECE: usize = 16 << 20;

/// Ops whose operands a block gives.
const TERMINATORS: [&str; 4] = ["func.return", "graph.yield", "dataflow.return", "dyn.yield"];

/// One activation of a function.
pub(crate) struct Frame<'a> {
    interpreter: &'a Interpreter<'a>,
    /// The op whose body it is; `None` when constants are folded.
    owner: Option<OpId>,
    body: &'a Body,
    values: FxHashMap<ValueId, Value>,
    /// Values of `memref` type, but for texts.
    buffers: FxHashMap<ValueId, Buffer>,
    storages: FxHashMap<ValueId, Storage>,
    symbols: FxHashMap<Symbol, i64>,
}

pub(crate) type Run<T = ()> = Result<T, Diagnostic>;

impl<'m> Interpreter<'m> {
    /// The interpreter of what `op` calls.
    fn deeper(&self, op: OpId) -> Run<Interpreter<'m>> {
        if self.depth > MAX_DEPTH {
            return Err(Diagnostic::error("N0762", self.module.body.loc(op), "calls are nested too deep"));
        }
        Ok(Interpreter { ctx: self.ctx, module: self.module, depth: self.depth + 1 })
    }

    /// An activation of a function in which nothing has a value yet.
    fn frame(&self, op: OpId, symbols: FxHashMap<Symbol, i64>) -> Run<Frame<'_>> {
        let outer = &self.module.body;
        let missing = || Diagnostic::error("N0762", outer.loc(op), "this op has no body to run");
        Ok(Frame {
            interpreter: self,
            owner: Some(op),
            body: outer.nested(op).ok_or_else(missing)?,
            values: FxHashMap::default(),
            buffers: FxHashMap::default(),
            storages: FxHashMap::default(),
            symbols,
        })
    }

    fn call(&self, op: OpId, inputs: &[Value], symbols: &FxHashMap<Symbol, i64>) -> Run<Vec<Value>> {
        let outer = &self.module.body;
        let error = |message: &str| Diagnostic::error("N0762", outer.loc(op), message.to_string());
        let inner = self.deeper(op)?;
        let mut frame = inner.frame(op, symbols.clone())?;
        let body = frame.body;
        let block = body.entry().ok_or_else(|| error("a declaration cannot be run"))?;
        let args = body.block_args(block).to_vec();
        if args.len() != inputs.len() {
            return Err(error(&format!("takes {} inputs, {} are given", args.len(), inputs.len())));
        }
        for (&arg, value) in args.iter().zip(inputs) {
            let loc = outer.loc(op);
            frame.set(arg, value.clone()).map_err(|m| {
                let name = body.value_name(arg).map_or("?", |n| self.ctx.str(n));
                Diagnostic::error("N0763", loc, format!("input {name:?}: {m}"))
            })?;
        }
        stacker::maybe_grow(STACK_LEFT, STACK_PIECE, || frame.block(block))
    }
}

impl<'a> Frame<'a> {
    pub(crate) fn ctx(&self) -> &'a Context {
        self.interpreter.ctx
    }
    pub(crate) fn error(&self, op: OpId, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error("N0764", self.body.loc(op), message)
    }
    pub(crate) fn kernel_error(&self, op: OpId, error: KernelError) -> Diagnostic {
        self.error(op, error.to_string())
    }
    /// An expression in the frame's symbols.
    pub(crate) fn eval(&self, op: OpId, e: Expr) -> Run<i64> {
        let p = &self.ctx().exprs;
        p.eval(e, &|s| self.symbols.get(&s).copied())
            .map_err(|error| self.error(op, format!("{} cannot be computed: {}", p.display(e), error.describe(p))))
    }
    pub(crate) fn eval_all(&self, op: OpId, exprs: &[Expr]) -> Run<Vec<i64>> {
        exprs.iter().map(|&e| self.eval(op, e)).collect()
    }
    /// Sizes from expressions.
    pub(crate) fn sizes(&self, op: OpId, exprs: &[Expr]) -> Run<Vec<usize>> {
        exprs
            .iter()
            .map(|&e| {
                let n = self.eval(op, e)?;
                usize::try_from(n)
                    .map_err(|_| self.error(op, format!("the size {} = {n} is negative", self.ctx().exprs.display(e))))
            })
            .collect()
    }
    /// Shape of a result type in the frame's symbols.
    pub(crate) fn shape(&self, op: OpId, ty: Type) -> Run<Vec<usize>> {
        let dims = self.ctx().dim_exprs(ty).ok_or_else(|| self.error(op, "the shape of the result is not known"))?;
        self.sizes(op, &dims)
    }
    /// An expression attribute.
    pub(crate) fn expr_attr(&self, op: OpId, name: &str) -> Run<i64> {
        let e = self.body.attr_named(self.ctx(), op, name).and_then(|a| self.ctx().as_expr(a));
        self.eval(op, e.ok_or_else(|| self.error(op, format!("`{name}` is missing")))?)
    }
    /// What a value is now, if it still is.
    pub(crate) fn fetch(&self, value: ValueId) -> Option<Value> {
        match self.buffers.get(&value) {
            Some(buffer) => Some(Value::Tensor(buffer.tensor())),
            None => self.values.get(&value).cloned(),
        }
    }
    pub(crate) fn tensor(&self, value: ValueId) -> Option<&Tensor> {
        self.values.get(&value)?.as_tensor()
    }

    /// Gives a value to an SSA value: binds symbols, checks the shape.
    pub(crate) fn set(&mut self, id: ValueId, value: Value) -> Result<(), String> {
        let (ctx, ty) = (self.interpreter.ctx, self.body.ty(id));
        if let (Some(tensor), Some(dims)) = (value.as_tensor(), ctx.dims(ty)) {
            let dtype = ctx.dtype_of(ty);
            if dtype != Some(tensor.dtype()) || tensor.rank() != dims.len() {
                return Err(format!("{} is wanted, {tensor:?} is given", ctx.display_type(ty)));
            }
            for (axis, (dim, &size)) in dims.iter().zip(tensor.dims()).enumerate() {
                let Dim::Expr(e) = dim else { continue };
                if let Some(symbol) = ctx.exprs.as_symbol(*e)
                    && !self.symbols.contains_key(&symbol)
                {
                    self.symbols.insert(symbol, size as i64);
                    continue;
                }
                match ctx.exprs.eval(*e, &|s| self.symbols.get(&s).copied()) {
                    Ok(n) if n == size as i64 => {}
                    Ok(n) => {
                        return Err(format!(
                            "size {size} along axis {axis} of {tensor:?} contradicts {} = {n}",
                            ctx.exprs.display(*e)
                        ));
                    }
                    // A symbol that a later value will bind.
                    Err(_) => {}
                }
            }
        }
        if let (TypeData::MemRef { .. }, Some(tensor)) = (ctx.type_data(ty), value.as_tensor())
            && let Some(buffer) = Buffer::of(nim_dyn::Device::of_type(ctx, ty), tensor)
        {
            self.buffers.insert(id, buffer);
            return Ok(());
        }
        self.values.insert(id, value);
        Ok(())
    }

    /// Runs a block; returns the operands of its terminator.
    pub(crate) fn block(&mut self, block: nim_ir::BlockId) -> Run<Vec<Value>> {
        let last = self.body.last_op(block);
        let ops: Vec<OpId> = self.body.block_ops(block).collect();
        for op in ops {
            let name = self.ctx().op_str(self.body.op_name(op));
            if name.starts_with("dyn.") && dyn_ops::run(self, op, name)? {
                continue;
            }
            let operands = self
                .body
                .operands(op)
                .iter()
                .map(|&v| self.fetch(v).ok_or_else(|| self.error(op, "an operand has no value")))
                .collect::<Run<Vec<_>>>()?;
            if Some(op) == last && TERMINATORS.contains(&name) {
                return Ok(operands);
            }
            let results = self.op(op, name, operands)?;
            for (id, value) in self.body.results(op).to_vec().into_iter().zip(results) {
                self.set(id, value).map_err(|m| self.error(op, format!("result of `{name}`: {m}")))?;
            }
        }
        Ok(vec![])
    }

    /// Runs a region whose entry block takes these values; symbols first bound inside are forgotten behind it.
    pub(crate) fn region(&mut self, op: OpId, region: RegionId, args: &[Value]) -> Run<Vec<Value>> {
        let block = self.body.entry_block(region).ok_or_else(|| self.error(op, "an empty region cannot be run"))?;
        let outer = self.symbols.clone();
        for (&id, value) in self.body.block_args(block).to_vec().iter().zip(args) {
            self.set(id, value.clone()).map_err(|m| self.error(op, m))?;
        }
        let result = self.block(block);
        self.symbols = outer;
        result
    }

    fn op(&mut self, op: OpId, name: &str, operands: Vec<Value>) -> Run<Vec<Value>> {
        match name {
            "dataflow.map" => map::run(self, op),
            "dataflow.invoke" | "func.call" => {
                let callee = self.callee(op)?;
                // A kernel is given the symbols it lists; a function binds its own.
                let given = self.given_symbols(callee);
                if !self.interpreter.module.body.is(self.ctx(), callee, "loops.kernel") {
                    return self.interpreter.call(callee, &operands, &given);
                }
                let inputs: Vec<Tensor> = operands.iter().filter_map(|v| v.as_tensor().cloned()).collect();
                let outputs = vec![None; self.body.results(op).len()];
                let results = loops::run(self.interpreter, callee, &inputs, &outputs, &given)?;
                Ok(results.into_iter().map(Value::Tensor).collect())
            }
            "func.call_indirect" => data::call_indirect(self, op, operands),
            "graph.construct" | "dyn.construct" => data::construct(self, op, operands),
            "graph.match" | "dyn.match" => data::choose(self, op, &operands),
            "graph.closure" | "dyn.closure" => data::closure(self, op, operands),
            nim_builtin::lambda::NAME => data::lambda(self, op),
            _ if name.starts_with("dyn.") => match dyn_ops::by_value(self, op, name, &operands) {
                Some(results) => results,
                None => Err(self.error(op, format!("`{name}` has no meaning in the interpreter"))),
            },
            _ if name.starts_with("graph.") => graph::run(self, op, &operands),
            _ => Err(self.error(op, format!("`{name}` has no meaning in the interpreter"))),
        }
    }

    fn callee(&self, op: OpId) -> Run<OpId> {
        let (ctx, module) = (self.ctx(), self.interpreter.module);
        let name = self.body.attr_named(ctx, op, "callee").and_then(|a| ctx.as_symbol_ref(a));
        name.and_then(|name| module.lookup(ctx, name)).ok_or_else(|| self.error(op, "the callee is not in the module"))
    }

    /// The symbols that a kernel lists, as they are here.
    fn given_symbols(&self, kernel: OpId) -> FxHashMap<Symbol, i64> {
        let ctx = self.ctx();
        let names = nim_dataflow::kernel_symbols(ctx, &self.interpreter.module.body, kernel);
        let symbols = names.into_iter().map(|name| ctx.exprs.symbol(name));
        symbols.filter_map(|s| Some((s, *self.symbols.get(&s)?))).collect()
    }
}
