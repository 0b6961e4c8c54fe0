//! `dataflow.map`: for all points of the domain in order, read, run, combine; then the epilogue.

use super::{
    Frame, Run,
    container::Container,
    scalar_ops::{self, ScalarType, attr_scalar, scalar_type},
};
use crate::{
    kernels::index::{flat, product},
    scalar::{IntType, Scalar},
};
use nim_dataflow::{Combine, MapView, Memlet, Write};
use nim_ir::{BlockId, Context, Expr, OpId, Symbol, ValueId};
use nim_tensor::Value;
use rustc_hash::FxHashMap;

/// An op of a body, operands and result as register numbers.
struct Step {
    op: OpId,
    name: String,
    args: Vec<usize>,
    result: usize,
    /// The container of a `dataflow.load`.
    container: Option<usize>,
    /// The expression of a `dataflow.index`.
    expr: Option<Expr>,
    /// The value of a constant.
    constant: Option<Scalar>,
}

/// A block of scalar ops made ready to run many times.
struct Program {
    registers: usize,
    arguments: Vec<Option<usize>>,
    steps: Vec<Step>,
    yields: Vec<usize>,
}

fn prepare(frame: &Frame<'_>, block: BlockId, containers: &FxHashMap<ValueId, usize>) -> Run<Program> {
    let (ctx, body) = (frame.ctx(), frame.body);
    let mut numbers: FxHashMap<ValueId, usize> = FxHashMap::default();
    let mut arguments = vec![];
    for &arg in body.block_args(block) {
        let number = (!containers.contains_key(&arg)).then(|| {
            let n = numbers.len();
            numbers.insert(arg, n);
            n
        });
        arguments.push(number);
    }
    let mut program = Program { registers: 0, arguments, steps: vec![], yields: vec![] };
    for op in body.block_ops(block) {
        let name = ctx.op_str(body.op_name(op)).to_string();
        let mut operands = body.operands(op).to_vec();
        let container = match name.as_str() {
            "dataflow.load" => {
                let value = operands.remove(0);
                Some(*containers.get(&value).ok_or_else(|| frame.error(op, "loads from what is no whole read"))?)
            }
            _ => None,
        };
        let args = operands
            .iter()
            .map(|v| numbers.get(v).copied().ok_or_else(|| frame.error(op, "an operand from outside of the body")))
            .collect::<Run<Vec<_>>>()?;
        if name == "dataflow.yield" {
            program.yields = args;
            continue;
        }
        let result = numbers.len();
        numbers.insert(*body.results(op).first().ok_or_else(|| frame.error(op, "an op without result"))?, result);
        let expr = body.attr_named(ctx, op, "expr").and_then(|a| ctx.as_expr(a));
        let constant = if name == "arith.constant" { scalar_ops::constant(ctx, body, op) } else { None };
        program.steps.push(Step { op, name, args, result, container, expr, constant });
    }
    program.registers = numbers.len();
    Ok(program)
}

/// A point of the domain: evaluates expressions over iteration variables and the frame's symbols.
struct Point<'f, 'a> {
    frame: &'f Frame<'a>,
    ivs: Vec<Symbol>,
    at: Vec<i64>,
}

impl Point<'_, '_> {
    fn eval(&self, op: OpId, e: Expr) -> Run<i64> {
        let p = &self.frame.ctx().exprs;
        let lookup = |s: Symbol| match self.ivs.iter().position(|&iv| iv == s) {
            Some(k) => Some(self.at[k]),
            None => self.frame.symbols.get(&s).copied(),
        };
        p.eval(e, &lookup).map_err(|error| self.frame.error(op, error.describe(p)))
    }
    fn index(&self, op: OpId, subset: &[Expr]) -> Run<Vec<i64>> {
        subset.iter().map(|&e| self.eval(op, e)).collect()
    }
    fn read(&self, op: OpId, memlet: &Memlet, container: &Container) -> Run<Scalar> {
        let subset = memlet.subset.as_deref().unwrap_or(&[]);
        let index = self.index(op, subset)?;
        if let Some(at) = container.position(&index) {
            return Ok(container.elements[at]);
        }
        let outside = memlet.border.and_then(|b| {
            let ty = nim_dataflow::scalar_type(
                self.frame.ctx(),
                self.frame.ctx().element_type(self.frame.body.ty(memlet.value))?,
            );
            attr_scalar(self.frame.ctx(), b, ty)
        });
        outside.ok_or_else(|| {
            self.frame.error(op, format!("reads at {index:?}, outside of {:?}, without a border", container.dims))
        })
    }
    fn run(&self, program: &Program, registers: &mut [Scalar], containers: &[Container]) -> Run<()> {
        let (ctx, body) = (self.frame.ctx(), self.frame.body);
        for step in &program.steps {
            let args: Vec<Scalar> = step.args.iter().map(|&a| registers[a]).collect();
            registers[step.result] = if let Some(constant) = step.constant {
                constant
            } else if let Some(container) = step.container {
                let container = &containers[container];
                // Indices are clamped into the container.
                let index: Vec<usize> = args
                    .iter()
                    .zip(&container.dims)
                    .map(|(a, &d)| match a {
                        Scalar::Int { value, .. } => (*value).clamp(0, d.max(1) as i128 - 1) as usize,
                        _ => 0,
                    })
                    .collect();
                let at = flat(&index, &container.strides);
                *container.elements.get(at).ok_or_else(|| self.frame.error(step.op, "loads from an empty tensor"))?
            } else if let (Some(e), "dataflow.index") = (step.expr, step.name.as_str()) {
                Scalar::int(IntType { bits: 64, signed: true }, self.eval(step.op, e)? as i128)
            } else {
                scalar_ops::evaluate(ctx, body, step.op, &step.name, &args)
                    .ok_or_else(|| self.frame.error(step.op, format!("`{}` has no meaning in a map", step.name)))?
                    .map_err(|m| self.frame.error(step.op, m))?
            };
        }
        Ok(())
    }
}

fn combine(ctx: &Context, write: &Write, old: Scalar, new: Scalar) -> Option<Scalar> {
    use crate::scalar::{BinaryOp, binary};
    let unsigned = matches!(
        ctx.type_data(ctx.element_type(write.ty)?),
        nim_ir::TypeData::Integer { sign: nim_ir::Signedness::Unsigned, .. }
    );
    let reading = |s: Scalar| match s {
        Scalar::Int { ty, value } if unsigned => {
            let ty = IntType { signed: false, ..ty };
            Scalar::Int { ty, value: ty.wrap(value) }
        }
        s => s,
    };
    let op = match (write.combine, old) {
        (Combine::None, _) => return Some(new),
        (Combine::Add, Scalar::Bool(_)) | (Combine::Max, Scalar::Bool(_)) | (Combine::Or, Scalar::Bool(_)) => {
            BinaryOp::Or
        }
        (Combine::Mul, Scalar::Bool(_)) | (Combine::Min, Scalar::Bool(_)) | (Combine::And, Scalar::Bool(_)) => {
            BinaryOp::And
        }
        (Combine::Add, _) => BinaryOp::Add,
        (Combine::Mul, _) => BinaryOp::Mul,
        (Combine::Max, _) => BinaryOp::Max,
        (Combine::Min, _) => BinaryOp::Min,
        (Combine::And, _) => BinaryOp::BitwiseAnd,
        (Combine::Or, _) => BinaryOp::BitwiseOr,
    };
    match binary(op, reading(old), reading(new)).ok()? {
        Scalar::Int { ty, value } => Some(Scalar::int(IntType { signed: true, ..ty }, value)),
        s => Some(s),
    }
}

pub(super) fn run(frame: &mut Frame<'_>, op: OpId) -> Run<Vec<Value>> {
    let frame: &Frame<'_> = frame;
    let (ctx, body) = (frame.ctx(), frame.body);
    let view = MapView::new(ctx, body, op).ok_or_else(|| frame.error(op, "the map is malformed"))?;
    let domain = frame.sizes(op, &view.domain)?;
    let load = |m: &Memlet| {
        let tensor = frame.tensor(m.value).ok_or_else(|| frame.error(op, "a read has no value"))?;
        Container::of(tensor).ok_or_else(|| frame.error(op, format!("{tensor:?} cannot be read by a map")))
    };
    let reads = view.reads.iter().map(&load).collect::<Run<Vec<_>>>()?;
    let epilogue_reads = view.epilogue_reads.iter().map(&load).collect::<Run<Vec<_>>>()?;
    let whole: FxHashMap<ValueId, usize> = view
        .body_args(body)
        .iter()
        .enumerate()
        .filter(|(i, _)| view.reads[*i].subset.is_none())
        .map(|(i, &v)| (v, i))
        .collect();
    let program = prepare(frame, view.body, &whole)?;
    let mut outputs = view
        .writes
        .iter()
        .enumerate()
        .map(|(w, write)| start(frame, op, &view, w, write, &program))
        .collect::<Run<Vec<_>>>()?;

    let ivs = (0..domain.len()).map(|k| nim_dataflow::iv_symbol(ctx, k)).collect();
    let mut point = Point { frame, ivs, at: vec![0; domain.len()] };
    let zero = Scalar::Bool(false);
    let mut registers = vec![zero; program.registers];
    let total = product(&domain);
    for _ in 0..total {
        for (k, memlet) in view.reads.iter().enumerate() {
            if let Some(register) = program.arguments[k] {
                registers[register] = point.read(op, memlet, &reads[k])?;
            }
        }
        point.run(&program, &mut registers, &reads)?;
        let mut yields = program.yields.iter().map(|&r| registers[r]);
        for (write, output) in view.writes.iter().zip(&mut outputs) {
            let value = yields.next().ok_or_else(|| frame.error(op, "yields too few values"))?;
            let (index, scattered) = match &write.subset {
                Some(subset) => (point.index(op, subset)?, false),
                None => {
                    let rank = output.dims.len();
                    let index = yields.by_ref().take(rank);
                    (index.map(|s| if let Scalar::Int { value, .. } = s { value as i64 } else { -1 }).collect(), true)
                }
            };
            match output.position(&index) {
                Some(at) => {
                    output.elements[at] = combine(ctx, write, output.elements[at], value)
                        .ok_or_else(|| frame.error(op, "values that cannot be combined"))?;
                }
                None if scattered => {}
                None => return Err(frame.error(op, format!("writes at {index:?}, outside of {:?}", output.dims))),
            }
        }
        advance(&mut point.at, &domain);
    }
    if view.epilogue.is_some() {
        epilogue(frame, op, &view, &domain, &epilogue_reads, &mut outputs)?;
    }
    outputs
        .into_iter()
        .map(|c| c.into_tensor().map(Value::Tensor).ok_or_else(|| frame.error(op, "a result of this type")))
        .collect()
}

/// What a result holds before the first write.
fn start(frame: &Frame<'_>, op: OpId, view: &MapView, w: usize, write: &Write, program: &Program) -> Run<Container> {
    let (ctx, body) = (frame.ctx(), frame.body);
    if let Some(init) = write.init_value {
        let tensor = frame.tensor(init).ok_or_else(|| frame.error(op, "an init has no value"))?;
        return Container::of(tensor).ok_or_else(|| frame.error(op, "an init of this type"));
    }
    let dtype = ctx.dtype_of(write.ty).ok_or_else(|| frame.error(op, "a result of this type"))?;
    let dims = frame.shape(op, write.ty)?;
    let element = match (view.epilogue, view.body_yield(body)) {
        // With an epilogue the accumulator has the type the body yields.
        (Some(_), Some(last)) => body.ty(body.operand(last, yield_position(view, w))),
        _ => nim_dataflow::scalar_type(ctx, ctx.element_type(write.ty).unwrap_or(write.ty)),
    };
    let _ = program;
    let value = match write.init {
        Some(attr) => attr_scalar(ctx, attr, element),
        None => scalar_type(ctx, element).map(|t| match t {
            ScalarType::Bool => Scalar::Bool(false),
            ScalarType::Int(t) => Scalar::int(t, 0),
            // What is never written shows.
            ScalarType::Float(d) => Scalar::Float { dtype: d, value: f64::NAN },
        }),
    };
    let value = value.ok_or_else(|| frame.error(op, "an init that does not fit the result"))?;
    Ok(Container::filled(dtype, dims, value))
}

/// Which operand of the yield is the value of write `w`.
fn yield_position(view: &MapView, w: usize) -> usize {
    w + view.writes[..w].iter().filter(|x| x.subset.is_none()).count()
}

fn advance(at: &mut [i64], domain: &[usize]) {
    for k in (0..at.len()).rev() {
        at[k] += 1;
        if at[k] < domain[k] as i64 {
            return;
        }
        at[k] = 0;
    }
}

fn epilogue(
    frame: &Frame<'_>,
    op: OpId,
    view: &MapView,
    domain: &[usize],
    reads: &[Container],
    outputs: &mut [Container],
) -> Run<()> {
    let ctx = frame.ctx();
    let Some(block) = view.epilogue else { return Ok(()) };
    let program = prepare(frame, block, &FxHashMap::default())?;
    // Once per point of the parallel dimensions.
    let parallel = view.is_parallel(ctx);
    let extents: Vec<usize> = domain.iter().zip(&parallel).map(|(&d, &p)| if p { d } else { 1 }).collect();
    let ivs = (0..domain.len()).map(|k| nim_dataflow::iv_symbol(ctx, k)).collect();
    let mut point = Point { frame, ivs, at: vec![0; domain.len()] };
    let mut registers = vec![Scalar::Bool(false); program.registers];
    for _ in 0..product(&extents) {
        let mut places = vec![];
        for (write, output) in view.writes.iter().zip(outputs.iter()) {
            let subset = write.subset.as_deref().ok_or_else(|| frame.error(op, "an epilogue behind a scatter"))?;
            let index = point.index(op, subset)?;
            places.push(output.position(&index).ok_or_else(|| frame.error(op, "an epilogue outside of its result"))?);
        }
        let values = places.iter().zip(outputs.iter()).map(|(&at, o)| o.elements[at]).collect::<Vec<_>>();
        let arguments: Vec<Scalar> = values
            .into_iter()
            .map(Ok)
            .chain(view.epilogue_reads.iter().zip(reads).map(|(m, c)| point.read(op, m, c)))
            .collect::<Run<_>>()?;
        for (register, value) in program.arguments.iter().zip(arguments) {
            if let Some(register) = register {
                registers[*register] = value;
            }
        }
        point.run(&program, &mut registers, &[])?;
        for ((&at, output), &r) in places.iter().zip(outputs.iter_mut()).zip(&program.yields) {
            output.elements[at] = registers[r];
        }
        advance(&mut point.at, &extents);
    }
    Ok(())
}
