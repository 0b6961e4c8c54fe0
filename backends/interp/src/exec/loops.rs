//! `loops.kernel`: loop nests over buffers, walked in order whatever their kind.
//!
//! Buffers are checked at every access; what was never written reads as NaN or as the smallest integer, so that it shows.

use super::{
    Interpreter, Run,
    container::Container,
    scalar_ops::{self, ScalarType, scalar_type},
    tiles::{self, Tile},
};
use crate::{
    kernels::index::product,
    scalar::{IntType, Scalar},
};
use nim_ir::{BlockId, Body, Context, Diagnostic, Expr, OpId, Symbol, Type, ValueId};
use nim_loops::{
    AccessView, ForView, KernelView, Prefetch, TileKind, TileShape, TileView, tile_elements, tile_shapes,
    value_symbol_index,
};
use nim_tensor::{DType, Tensor};
use rustc_hash::FxHashMap;

/// Runs a kernel: `inputs` are read, `outputs` hold what is there before and are given back as they are afterwards.
/// Buffers of its own behind the outputs that are given (temporaries) get memory here.
pub(super) fn run(
    interpreter: &Interpreter<'_>,
    kernel: OpId,
    inputs: &[Tensor],
    outputs: &[Option<Tensor>],
    symbols: &FxHashMap<Symbol, i64>,
) -> Run<Vec<Tensor>> {
    let (ctx, outer) = (interpreter.ctx, &interpreter.module.body);
    let fail = |message: String| Diagnostic::error("N0765", outer.loc(kernel), message);
    let (view, body) = KernelView::new(ctx, outer, kernel)
        .zip(outer.nested(kernel))
        .ok_or_else(|| fail("the kernel is malformed".into()))?;
    if inputs.len() != view.inputs().len() || outputs.len() > view.outputs().len() {
        let (a, b) = (view.inputs().len(), view.outputs().len());
        let given = (inputs.len(), outputs.len());
        return Err(fail(format!("takes {a} buffers and writes {b}, {} and {} are given", given.0, given.1)));
    }
    let mut walk = Walk { ctx, body, registers: vec![], buffers: vec![], tiles: vec![], symbols: symbols.clone() };
    let mut plan = Plan { ctx, body, numbers: FxHashMap::default(), buffers: FxHashMap::default(), locals: 0 };
    let given = inputs.iter().map(Some).chain(outputs.iter().map(Option::as_ref));
    let given = given.chain(std::iter::repeat_n(None, view.outputs().len() - outputs.len()));
    for (&arg, tensor) in view.args.iter().zip(given) {
        let buffer = walk.argument(arg, tensor).map_err(&fail)?;
        plan.buffers.insert(arg, walk.buffers.len());
        walk.buffers.push(buffer);
    }
    plan.locals = walk.buffers.len();
    let block = body.entry().ok_or_else(|| fail("a declaration cannot be run".into()))?;
    let (steps, _) = plan.block(block)?;
    walk.registers = vec![Scalar::Bool(false); plan.numbers.len()];
    let empty = || Container::filled(DType::Bool, vec![0], Scalar::Bool(false));
    walk.buffers.resize_with(plan.locals, empty);
    walk.steps(&steps)?;
    let results = walk.buffers.into_iter().skip(inputs.len()).take(outputs.len());
    results.map(|c| c.into_tensor().ok_or_else(|| fail("a result of this type".into()))).collect()
}

/// Something to do; values and buffers are numbers.
enum Step {
    For {
        iv: Symbol,
        lower: Expr,
        upper: Expr,
        step: i64,
        op: OpId,
        tiles: Option<Vec<TileShape>>,
        body: Vec<Step>,
    },
    If {
        op: OpId,
        conditions: Vec<Expr>,
        regions: Vec<(Vec<Step>, Vec<usize>)>,
        results: Vec<usize>,
    },
    Local {
        op: OpId,
        buffer: usize,
        ty: Type,
    },
    Access {
        op: OpId,
        buffer: usize,
        indices: Vec<Expr>,
        values: Vec<usize>,
        register: usize,
        store: bool,
        elements: usize,
    },
    Tile {
        op: OpId,
        view: TileView,
        buffer: usize,
        elements: usize,
    },
    Index {
        op: OpId,
        expr: Expr,
        result: usize,
    },
    Constant {
        value: Scalar,
        result: usize,
    },
    Scalar {
        op: OpId,
        name: String,
        args: Vec<usize>,
        result: usize,
    },
}

/// A kernel's ops on their way to steps.
struct Plan<'a> {
    ctx: &'a Context,
    body: &'a Body,
    numbers: FxHashMap<ValueId, usize>,
    buffers: FxHashMap<ValueId, usize>,
    /// How many buffers there are, local ones too.
    locals: usize,
}

impl Plan<'_> {
    fn error(&self, op: OpId, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error("N0765", self.body.loc(op), message)
    }

    fn number(&mut self, value: ValueId) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(value).or_insert(next)
    }

    fn buffer(&self, op: OpId, buffer: ValueId) -> Run<usize> {
        let known = self.buffers.get(&buffer).copied();
        known.ok_or_else(|| self.error(op, "accesses what is no buffer of this kernel"))
    }

    fn known(&self, op: OpId, values: &[ValueId]) -> Run<Vec<usize>> {
        let one = |v: &ValueId| self.numbers.get(v).copied();
        values.iter().map(|v| one(v).ok_or_else(|| self.error(op, "an operand has no value"))).collect()
    }

    /// The steps of a block and what it yields.
    fn block(&mut self, block: BlockId) -> Run<(Vec<Step>, Vec<usize>)> {
        let (mut steps, mut yielded) = (vec![], vec![]);
        for op in self.body.block_ops(block) {
            if Prefetch::is(self.ctx, self.body, op) {
                continue;
            }
            if self.body.is(self.ctx, op, "loops.yield") {
                yielded = self.known(op, &self.body.operands(op))?;
            } else {
                steps.push(self.step(op)?);
            }
        }
        Ok((steps, yielded))
    }

    fn region(&mut self, op: OpId, index: usize) -> Run<(Vec<Step>, Vec<usize>)> {
        let region = self.body.regions(op).get(index).copied();
        let block = region.and_then(|r| self.body.entry_block(r));
        self.block(block.ok_or_else(|| self.error(op, "an empty region cannot be run"))?)
    }

    fn step(&mut self, op: OpId) -> Run<Step> {
        let (ctx, body) = (self.ctx, self.body);
        let name = ctx.op_str(body.op_name(op));
        if let Some(view) = ForView::new(ctx, body, op) {
            if view.step < 1 {
                return Err(self.error(op, "the step is not positive"));
            }
            let (steps, _) = self.block(view.body)?;
            let ForView { iv, lower, upper, step, .. } = view;
            return Ok(Step::For { iv, lower, upper, step, op, tiles: tile_shapes(ctx, body, op), body: steps });
        }
        if let Some(view) = AccessView::new(ctx, body, op) {
            let buffer = self.buffer(op, view.buffer)?;
            let values = self.known(op, &view.values)?;
            let register = match view.stored {
                Some(value) => self.known(op, &[value])?[0],
                None => self.number(body.result(op)),
            };
            let store = view.stored.is_some();
            let (indices, elements) = (view.indices, view.elements);
            return Ok(Step::Access { op, buffer, indices, values, register, store, elements });
        }
        if let Some(view) = TileView::new(ctx, body, op) {
            let (buffer, elements) = match &view {
                TileView::Move { buffer, .. } => {
                    let elements = tile_elements(ctx, body.ty(*buffer));
                    (self.buffer(op, *buffer)?, elements.ok_or_else(|| self.error(op, "moves a tile of this type"))?)
                }
                _ => (0, 0),
            };
            return Ok(Step::Tile { op, view, buffer, elements });
        }
        match name {
            "loops.if" => {
                let conditions = body.attr_named(ctx, op, "conditions").and_then(|a| ctx.as_exprs(a));
                let conditions = conditions.ok_or_else(|| self.error(op, "has no conditions"))?;
                let regions = (0..body.regions(op).len()).map(|i| self.region(op, i)).collect::<Run<Vec<_>>>()?;
                let results = body.results(op).to_vec().into_iter().map(|r| self.number(r)).collect();
                Ok(Step::If { op, conditions, regions, results })
            }
            "loops.local" => {
                let result = body.result(op);
                let buffer = self.locals;
                self.locals += 1;
                self.buffers.insert(result, buffer);
                Ok(Step::Local { op, buffer, ty: body.ty(result) })
            }
            "loops.index" => {
                let expr = body.attr_named(ctx, op, "expr").and_then(|a| ctx.as_expr(a));
                let expr = expr.ok_or_else(|| self.error(op, "has no expression"))?;
                Ok(Step::Index { op, expr, result: self.number(body.result(op)) })
            }
            "arith.constant" => {
                let value =
                    scalar_ops::constant(ctx, body, op).ok_or_else(|| self.error(op, "a constant of this type"))?;
                Ok(Step::Constant { value, result: self.number(body.result(op)) })
            }
            _ => {
                let args = self.known(op, &body.operands(op))?;
                let result = body.results(op).first().copied().ok_or_else(|| self.error(op, "an op without result"))?;
                Ok(Step::Scalar { op, name: name.to_string(), args, result: self.number(result) })
            }
        }
    }
}

/// A kernel being run.
struct Walk<'a> {
    ctx: &'a Context,
    body: &'a Body,
    registers: Vec<Scalar>,
    buffers: Vec<Container>,
    /// Tile registers that have a shape.
    tiles: Vec<Tile>,
    /// Symbols of the kernel and iteration variables.
    symbols: FxHashMap<Symbol, i64>,
}

impl Walk<'_> {
    fn error(&self, op: OpId, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error("N0765", self.body.loc(op), message)
    }

    fn eval(&self, op: OpId, e: Expr) -> Run<i64> {
        let p = &self.ctx.exprs;
        p.eval(e, &|s| self.symbols.get(&s).copied())
            .map_err(|error| self.error(op, format!("{} cannot be computed: {}", p.display(e), error.describe(p))))
    }

    /// The buffer of an argument: the tensor that is given, whose shape must be that of the type, or fresh memory.
    fn argument(&self, arg: ValueId, tensor: Option<&Tensor>) -> Result<Container, String> {
        let (ctx, ty) = (self.ctx, self.body.ty(arg));
        let name = self.body.value_name(arg).map_or("?", |n| ctx.str(n));
        let dims = self.dims(ty).map_err(|m| format!("argument %{name}: {m}"))?;
        let Some(tensor) = tensor else {
            return fresh(ctx, ty, dims).ok_or_else(|| format!("argument %{name}: memory of this type"));
        };
        if ctx.dtype_of(ty) != Some(tensor.dtype()) || tensor.dims() != dims {
            return Err(format!(
                "argument %{name}: {} of shape {dims:?} is wanted, {tensor:?} is given",
                ctx.display_type(ty)
            ));
        }
        Container::of(tensor).ok_or_else(|| format!("argument %{name}: {tensor:?} cannot be used in a kernel"))
    }

    fn dims(&self, ty: Type) -> Result<Vec<usize>, String> {
        let p = &self.ctx.exprs;
        let dims = self.ctx.dim_exprs(ty).ok_or("its shape is not known")?;
        let one = |&e: &Expr| {
            let n = p.eval(e, &|s| self.symbols.get(&s).copied());
            let n = n.map_err(|error| format!("{} cannot be computed: {}", p.display(e), error.describe(p)))?;
            usize::try_from(n).map_err(|_| format!("the size {} = {n} is negative", p.display(e)))
        };
        dims.iter().map(one).collect()
    }

    fn steps(&mut self, steps: &[Step]) -> Run {
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn step(&mut self, step: &Step) -> Run {
        match step {
            Step::For { iv, lower, upper, step, op, tiles, body } => {
                for shape in tiles.iter().flatten() {
                    let tile = Tile::new(self.eval(*op, shape.rows)?, shape.bytes);
                    self.tiles.push(tile.ok_or_else(|| self.error(*op, "a tile register of this shape"))?);
                }
                let (mut at, end) = (self.eval(*op, *lower)?, self.eval(*op, *upper)?);
                while at < end {
                    self.symbols.insert(*iv, at);
                    self.steps(body)?;
                    at += step;
                }
                self.symbols.remove(iv);
                if tiles.is_some() {
                    self.tiles.clear();
                }
            }
            Step::If { op, conditions, regions, results } => {
                let mut holds = true;
                for &e in conditions {
                    holds = holds && self.eval(*op, e)? >= 0;
                }
                if let Some((steps, yielded)) = regions.get(usize::from(!holds)) {
                    self.steps(steps)?;
                    for (&to, &from) in results.iter().zip(yielded) {
                        self.registers[to] = self.registers[from];
                    }
                }
            }
            Step::Local { op, buffer, ty } => {
                let dims = self.dims(*ty).map_err(|m| self.error(*op, m))?;
                let local = fresh(self.ctx, *ty, dims);
                self.buffers[*buffer] = local.ok_or_else(|| self.error(*op, "a local buffer of this type"))?;
            }
            Step::Access { op, buffer, indices, values, register, store, elements } => {
                let at = self.position(*op, *buffer, indices, values)?;
                if *elements > 1 && *store {
                    tiles::part(self.registers[*register], &mut self.buffers[*buffer], at, *elements)
                        .ok_or_else(|| self.error(*op, "writes a word outside of a buffer of bytes or bf16"))?;
                } else if *elements > 1 {
                    self.registers[*register] = self
                        .joined(*buffer, at, *elements)
                        .ok_or_else(|| self.error(*op, "reads a word outside of a buffer of bytes or bf16"))?;
                } else if *store {
                    self.buffers[*buffer].elements[at] = self.registers[*register];
                } else {
                    self.registers[*register] = self.buffers[*buffer].elements[at];
                }
            }
            Step::Tile { op, view, buffer, elements } => {
                self.on_tiles(*op, view, *buffer, *elements)?
                    .ok_or_else(|| self.error(*op, "a tile of another shape, or outside of its buffer"))?;
            }
            Step::Index { op, expr, result } => {
                let value = self.eval(*op, *expr)?;
                self.registers[*result] = Scalar::int(IntType { bits: 64, signed: true }, value as i128);
            }
            Step::Constant { value, result } => self.registers[*result] = *value,
            Step::Scalar { op, name, args, result } => {
                let args: Vec<Scalar> = args.iter().map(|&a| self.registers[a]).collect();
                if name == "loops.dot" {
                    let sum = dot(&args).ok_or_else(|| self.error(*op, "operands of this type"))?;
                    self.registers[*result] = sum;
                    return Ok(());
                }
                self.registers[*result] = scalar_ops::evaluate(self.ctx, self.body, *op, name, &args)
                    .ok_or_else(|| self.error(*op, format!("`{name}` has no meaning in a kernel")))?
                    .map_err(|m| self.error(*op, m))?;
            }
        }
        Ok(())
    }

    /// An op on tile registers; `None` where it does not fit their shapes, or a buffer.
    fn on_tiles(&mut self, op: OpId, view: &TileView, buffer: usize, elements: usize) -> Run<Option<()>> {
        match view {
            TileView::Zero { tile } => Ok(self.tiles.get_mut(*tile).map(Tile::zero)),
            TileView::Dot { kind, tiles } => Ok(tiles::dot(*kind, &mut self.tiles, *tiles)),
            TileView::Move { tile, indices, stride, store, .. } => {
                let (at, stride) = (self.position(op, buffer, indices, &[])?, self.eval(op, *stride)?);
                let Some(tile) = self.tiles.get_mut(*tile) else { return Ok(None) };
                let buffer = &mut self.buffers[buffer];
                Ok(if *store { tile.store(buffer, at, stride) } else { tile.load(buffer, at, stride, elements) })
            }
        }
    }

    /// Neighbours that fill 32 bits as one number, the first one lowest.
    fn joined(&self, buffer: usize, at: usize, elements: usize) -> Option<Scalar> {
        let joined = tiles::joined(self.buffers[buffer].elements.get(at..at + elements)?)?;
        Some(Scalar::int(IntType { bits: 32, signed: true }, i128::from(joined as i32)))
    }

    fn position(&self, op: OpId, buffer: usize, indices: &[Expr], values: &[usize]) -> Run<usize> {
        let p = &self.ctx.exprs;
        let dynamic = |s: Symbol| match self.registers.get(*values.get(value_symbol_index(self.ctx, s)?)?)? {
            Scalar::Int { value, .. } => i64::try_from(*value).ok(),
            _ => None,
        };
        let lookup = |s: Symbol| self.symbols.get(&s).copied().or_else(|| dynamic(s));
        let mut index = Vec::with_capacity(indices.len());
        for &e in indices {
            index.push(p.eval(e, &lookup).map_err(|error| {
                self.error(op, format!("{} cannot be computed: {}", p.display(e), error.describe(p)))
            })?);
        }
        let container = &self.buffers[buffer];
        container.position(&index).ok_or_else(|| {
            self.error(op, format!("accesses {index:?}, outside of a buffer of shape {:?}", container.dims))
        })
    }
}

/// `loops.dot`.
fn dot(args: &[Scalar]) -> Option<Scalar> {
    let &[acc, Scalar::Int { value: a, .. }, Scalar::Int { value: b, .. }] = args else { return None };
    let (a, b) = (a as u32, b as u32);
    match acc {
        Scalar::Int { ty, value } => {
            let sum = tiles::word_dot(TileKind::bytes(false, true), value as u32, a, b);
            Some(Scalar::int(ty, i128::from(sum as i32)))
        }
        Scalar::Float { dtype, value } => {
            let sum = tiles::word_dot(TileKind::Bf16, (value as f32).to_bits(), a, b);
            Some(Scalar::Float { dtype, value: f32::from_bits(sum).into() })
        }
        Scalar::Bool(_) => None,
    }
}

/// Memory in which nothing has been written yet.
pub(super) fn fresh(ctx: &Context, ty: Type, dims: Vec<usize>) -> Option<Container> {
    let value = match scalar_type(ctx, nim_loops::scalar_type(ctx, ctx.element_type(ty)?))? {
        ScalarType::Bool => Scalar::Bool(false),
        ScalarType::Int(t) => Scalar::int(t, -1 << (t.bits - 1)),
        ScalarType::Float(dtype) => Scalar::Float { dtype, value: f64::NAN },
    };
    nim_tensor::tensor::element_count(&dims)?;
    debug_assert!(product(&dims) <= isize::MAX as usize);
    Some(Container::filled(ctx.dtype_of(ty)?, dims, value))
}
