//! `graph` ops on the tensor kernels.

use super::{Frame, Run};
use crate::{
    kernels::{
        choose, contract, conv, elementwise, gather, movement, order, pad, pool, random, reduce, resize, scan, scatter,
        window::Window,
    },
    scalar::{BinaryOp, CompareOp, UnaryOp},
};
use nim_ir::{AttrData, OpId, verifier::operand_field};
use nim_tensor::{DType, Tensor, Value, scalar::Rounding};

/// Attributes of one op, read with their defaults.
struct Attrs<'f, 'a> {
    frame: &'f Frame<'a>,
    op: OpId,
}

impl Attrs<'_, '_> {
    fn get(&self, name: &str) -> Option<nim_ir::Attr> {
        let (ctx, body) = (self.frame.ctx(), self.frame.body);
        if let Some(found) = body.attr_named(ctx, self.op, name) {
            return Some(found);
        }
        // Calls of the runtime library keep the attributes of the op they stand for in one.
        match ctx.attr_data(body.attr_named(ctx, self.op, "config")?) {
            AttrData::Dict(items) => items.iter().find(|(n, _)| ctx.str(*n) == name).map(|(_, a)| *a),
            _ => None,
        }
    }
    fn int(&self, name: &str, default: i64) -> i64 {
        self.get(name).and_then(|a| self.frame.ctx().as_int(a)).unwrap_or(default)
    }
    fn flag(&self, name: &str, default: bool) -> bool {
        self.get(name).and_then(|a| self.frame.ctx().as_bool(a)).unwrap_or(default)
    }
    fn float(&self, name: &str) -> Option<f64> {
        self.frame.ctx().as_float(self.get(name)?)
    }
    fn string(&self, name: &str) -> &str {
        self.get(name).and_then(|a| self.frame.ctx().as_string(a)).unwrap_or("")
    }
    fn ints(&self, name: &str) -> Option<Vec<i64>> {
        self.frame.ctx().as_ints(self.get(name)?)
    }
    fn exprs(&self, name: &str) -> Run<Vec<i64>> {
        let exprs = self.get(name).and_then(|a| self.frame.ctx().as_exprs(a)).unwrap_or_default();
        self.frame.eval_all(self.op, &exprs)
    }
    fn sizes(&self, name: &str) -> Run<Vec<usize>> {
        let exprs = self.get(name).and_then(|a| self.frame.ctx().as_exprs(a)).unwrap_or_default();
        self.frame.sizes(self.op, &exprs)
    }
    fn expr(&self, name: &str) -> Run<i64> {
        let e = self.get(name).and_then(|a| self.frame.ctx().as_expr(a));
        self.frame.eval(self.op, e.ok_or_else(|| self.frame.error(self.op, format!("`{name}` is missing")))?)
    }
    fn dtype(&self, name: &str) -> Run<DType> {
        let ty = self.get(name).and_then(|a| self.frame.ctx().as_type(a));
        ty.and_then(|t| self.frame.ctx().dtype_of_type(t))
            .ok_or_else(|| self.frame.error(self.op, format!("`{name}` must be an element type")))
    }
    fn seed(&self) -> u64 {
        self.float("seed").map_or(0x5eed, |s| s.to_bits())
    }
    fn window(&self, spatial: usize) -> Window {
        let mut window = Window::new(spatial);
        let positive = |v: Vec<i64>| v.into_iter().map(|x| x.max(0) as usize).collect();
        if let Some(v) = self.ints("strides") {
            window.strides = positive(v);
        }
        if let Some(v) = self.ints("dilations") {
            window.dilations = positive(v);
        }
        if let Some(v) = self.ints("pads") {
            let half = v.len() / 2;
            window.pads_begin = v[..half].to_vec();
            window.pads_end = v[half..].to_vec();
        }
        window
    }
}

fn unary_op(name: &str) -> Option<UnaryOp> {
    use UnaryOp::*;
    Some(match name {
        "neg" => Neg,
        "abs" => Abs,
        "exp" => Exp,
        "log" => Log,
        "sqrt" => Sqrt,
        "reciprocal" => Reciprocal,
        "sin" => Sin,
        "cos" => Cos,
        "tan" => Tan,
        "asin" => Asin,
        "acos" => Acos,
        "atan" => Atan,
        "sinh" => Sinh,
        "cosh" => Cosh,
        "tanh" => Tanh,
        "asinh" => Asinh,
        "acosh" => Acosh,
        "atanh" => Atanh,
        "erf" => Erf,
        "floor" => Floor,
        "ceil" => Ceil,
        "round" => Round,
        "sign" => Sign,
        "not" => Not,
        "bitwise_not" => BitwiseNot,
        "sigmoid" => Sigmoid,
        "relu" => Relu,
        "isnan" => IsNan,
        _ => return None,
    })
}

fn binary_op(name: &str) -> Option<BinaryOp> {
    use BinaryOp::*;
    Some(match name {
        "add" => Add,
        "sub" => Sub,
        "mul" => Mul,
        "div" => Div,
        "pow" => Pow,
        "mod" => Mod,
        "fmod" => Fmod,
        "max" => Max,
        "min" => Min,
        "and" => And,
        "or" => Or,
        "xor" => Xor,
        "bitwise_and" => BitwiseAnd,
        "bitwise_or" => BitwiseOr,
        "bitwise_xor" => BitwiseXor,
        "shl" => ShiftLeft,
        "shr" => ShiftRight,
        _ => return None,
    })
}

pub(super) fn run(frame: &mut Frame<'_>, op: OpId, operands: &[Value]) -> Run<Vec<Value>> {
    let name = frame.ctx().op_str(frame.body.op_name(op)).trim_start_matches("graph.").to_string();
    run_named(frame, op, &name, operands)
}

/// Runs an op of whatever dialect as `graph.{name}` with the same attributes.
pub(super) fn run_named(frame: &mut Frame<'_>, op: OpId, name: &str, operands: &[Value]) -> Run<Vec<Value>> {
    match name {
        "bind" => return bind(frame, op, operands),
        "guard" => return guard(frame, op),
        "assume" => return assume(frame, op),
        // What the type says is looked at when the value is set.
        "match_cast" => return Ok(operands.to_vec()),
        "if" => return if_op(frame, op, operands),
        "loop" => return loop_op(frame, op),
        "identity" => return Ok(operands.to_vec()),
        _ => {}
    }
    if let Some(results) = library(frame, op, name, operands) {
        return results;
    }
    let tensors: Vec<&Tensor> = operands
        .iter()
        .map(|v| v.as_tensor().ok_or_else(|| frame.error(op, format!("`graph.{name}` takes tensors"))))
        .collect::<Run<_>>()?;
    let results = compute(frame, op, name, &tensors)?;
    Ok(results.into_iter().map(Value::Tensor).collect())
}

/// Functions of the runtime library on text, sequences, maps, optional values and images: there is no second meaning to check them by.
fn library(frame: &Frame<'_>, op: OpId, name: &str, ins: &[Value]) -> Option<Run<Vec<Value>>> {
    const FAMILIES: [&str; 6] = ["text.", "sequence.", "optional.", "value.", "map.", "image."];
    let a = Attrs { frame, op };
    let name = if name == "runtime" { a.string("name") } else { name };
    if !FAMILIES.iter().any(|f| name.starts_with(f)) {
        return None;
    }
    let Some(function) = nim_vm::runtime::find(name) else {
        return Some(Err(frame.error(op, format!("the runtime library has no function `{name}`"))));
    };
    let mut env =
        nim_vm::runtime::Env { limit: isize::MAX as usize, seeds: nim_vm::runtime::Draws { seed: 0 }, drawn: 0 };
    let ints = a.ints("ints").unwrap_or_default();
    let call = &mut nim_vm::runtime::Call { ints: &ints, sizes: &[], ins, env: &mut env };
    Some(function(call).map_err(|message| frame.error(op, format!("`{name}`: {message}"))))
}

fn compute(frame: &Frame<'_>, op: OpId, name: &str, x: &[&Tensor]) -> Run<Vec<Tensor>> {
    let a = Attrs { frame, op };
    let ctx = frame.ctx();
    if let Some(o) = unary_op(name) {
        return elementwise::unary(o, x[0]).map(|t| vec![t]).map_err(|e| frame.kernel_error(op, e));
    }
    if let Some(o) = binary_op(name) {
        return elementwise::binary(o, x[0], x[1]).map(|t| vec![t]).map_err(|e| frame.kernel_error(op, e));
    }
    let one = match name {
        "isinf" => elementwise::is_inf(x[0], a.flag("negative", true), a.flag("positive", true)),
        "compare" => {
            let relation = match a.string("predicate") {
                "eq" => CompareOp::Eq,
                "ne" => CompareOp::Ne,
                "lt" => CompareOp::Lt,
                "le" => CompareOp::Le,
                "gt" => CompareOp::Gt,
                _ => CompareOp::Ge,
            };
            elementwise::compare(relation, x[0], x[1])
        }
        "select" => elementwise::select(x[0], x[1], x[2]),
        "cast" => {
            let rounding = Rounding { saturate: a.flag("saturate", true), ..Rounding::default() };
            movement::cast(x[0], a.dtype("to")?, rounding)
        }
        "bitcast" => movement::bitcast(x[0], a.dtype("to")?),
        "constant" => {
            let tensor = a.get("value").and_then(|v| ctx.attr_tensor(v));
            Ok(tensor.ok_or_else(|| frame.error(op, "the elements of this constant are not there"))?)
        }
        "index" => {
            let values = a.exprs("exprs")?;
            let dims: Vec<usize> = if a.flag("scalar", false) { vec![] } else { vec![values.len()] };
            Ok(Tensor::new(&dims, values))
        }
        "shape_of" => Ok(Tensor::new(&[x[0].rank()], x[0].dims().iter().map(|&d| d as i64).collect::<Vec<i64>>())),
        "reshape" => movement::reshape(x[0], &a.sizes("shape")?),
        "broadcast_to" => movement::broadcast_to(x[0], &a.sizes("shape")?),
        "transpose" => movement::transpose(x[0], &a.ints("perm").unwrap_or_default()),
        "concat" => movement::concat(x, a.int("axis", 0)),
        "slice" => movement::slice(x[0], &a.exprs("starts")?, &a.exprs("steps")?, &a.sizes("sizes")?),
        "pad" => {
            let mode = match a.string("mode") {
                "edge" => pad::PadMode::Edge,
                "reflect" => pad::PadMode::Reflect,
                "wrap" => pad::PadMode::Wrap,
                _ => pad::PadMode::Constant(match x.get(1) {
                    Some(v) => (*v).clone(),
                    None => Tensor::from_bytes(x[0].dtype(), &[], vec![0; x[0].dtype().size()]),
                }),
            };
            pad::pad(x[0], &a.exprs("low")?, &a.exprs("high")?, &mode)
        }
        "iota" => movement::iota(a.dtype("type")?, &a.sizes("shape")?, a.int("axis", 0)),
        "range" => range(x[0], x[1], a.expr("size")?),
        "matmul" => contract::matmul(x[0], x[1]),
        "einsum" => contract::einsum(a.string("equation"), x),
        "conv" => conv::conv(x[0], x[1], &a.window(x[0].rank().saturating_sub(2)), a.int("groups", 1).max(0) as usize),
        "conv_transpose" => {
            let spatial = x[0].rank().saturating_sub(2);
            let extra = a.ints("output_padding").unwrap_or_else(|| vec![0; spatial]);
            let extra: Vec<usize> = extra.into_iter().map(|v| v.max(0) as usize).collect();
            conv::conv_transpose(x[0], x[1], &a.window(spatial), &extra, a.int("groups", 1).max(0) as usize)
        }
        "pool" => pool_op(frame, op, &a, x[0])?,
        "reduce" => {
            use reduce::ReduceOp::*;
            let kind = match a.string("kind") {
                "sum" => Sum,
                "prod" => Prod,
                "max" => Max,
                "min" => Min,
                "and" => And,
                _ => Or,
            };
            let axes = a.ints("axes").unwrap_or_default();
            reduce::reduce(kind, x[0], &axes, a.flag("keepdims", false))
        }
        "arg_reduce" => {
            let kind = if a.string("kind") == "max" { reduce::Extremum::Max } else { reduce::Extremum::Min };
            reduce::arg_extremum(kind, x[0], a.int("axis", 0), a.flag("keepdims", false), a.flag("last", false))
        }
        "cumsum" => scan::cumsum(x[0], a.int("axis", 0), a.flag("exclusive", false), a.flag("reverse", false)),
        "gather" => gather::gather(x[0], x[1], a.int("axis", 0)),
        "gather_elements" => gather::gather_elements(x[0], x[1], a.int("axis", 0)),
        "gather_nd" => gather::gather_nd(x[0], x[1], a.int("batch_dims", 0).max(0) as usize),
        "scatter_elements" | "scatter_nd" => {
            use scatter::Reduction::*;
            let reduction = match a.string("reduction") {
                "add" => Add,
                "mul" => Mul,
                "max" => Max,
                "min" => Min,
                _ => None,
            };
            match name {
                "scatter_nd" => scatter::scatter_nd(x[0], x[1], x[2], reduction),
                _ => scatter::scatter_elements(x[0], x[1], x[2], a.int("axis", 0), reduction),
            }
        }
        "resize" => resize_op(&a, x[0])?,
        "nonzero" => choose::nonzero(x[0]),
        "topk" => {
            let k = usize::try_from(a.expr("k")?).map_err(|_| frame.error(op, "`k` is negative"))?;
            let (values, indices) = order::top_k(x[0], k, a.int("axis", -1), a.flag("largest", true))
                .map_err(|e| frame.kernel_error(op, e))?;
            return Ok(vec![values, indices]);
        }
        "unique" => {
            let axis = a.get("axis").and_then(|v| ctx.as_int(v));
            let u = order::unique(x[0], axis, a.flag("sorted", true)).map_err(|e| frame.kernel_error(op, e))?;
            return Ok(vec![u.values, u.indices, u.inverse, u.counts]);
        }
        "nms" => nms(frame, op, &a, x)?,
        "random" => {
            let (dtype, dims) = (a.dtype("type")?, a.sizes("shape")?);
            let (p, q) = (a.float("a").unwrap_or(0.0), a.float("b").unwrap_or(1.0));
            match a.string("kind") {
                "normal" => random::normal(a.seed(), dtype, &dims, p, q),
                _ => random::uniform(a.seed(), dtype, &dims, p, q),
            }
        }
        "bernoulli" => {
            let to = a.dtype("to")?;
            random::bernoulli(a.seed(), x[0]).and_then(|t| movement::cast(&t, to, Rounding::default()))
        }
        _ => return Err(frame.error(op, format!("`graph.{name}` has no meaning in the interpreter"))),
    };
    one.map(|t| vec![t]).map_err(|e| frame.kernel_error(op, e))
}

type Kernel = Result<Tensor, crate::kernels::error::KernelError>;

fn range(start: &Tensor, step: &Tensor, size: i64) -> Kernel {
    let count = usize::try_from(size).unwrap_or(0);
    let index = movement::iota(DType::I64, &[count], 0)?;
    let index = movement::cast(&index, start.dtype(), Rounding::default())?;
    let walked = elementwise::binary(BinaryOp::Mul, &index, step)?;
    elementwise::binary(BinaryOp::Add, start, &walked)
}

fn pool_op(frame: &Frame<'_>, op: OpId, a: &Attrs<'_, '_>, x: &Tensor) -> Run<Kernel> {
    let kernel: Vec<usize> = a.ints("kernel").unwrap_or_default().into_iter().map(|v| v.max(0) as usize).collect();
    let window = a.window(kernel.len());
    let shape = frame.shape(op, frame.body.ty(frame.body.result(op)))?;
    let output = shape.get(2..).unwrap_or(&[]);
    if a.string("kind") == "max" {
        return Ok(pool::max_pool(x, &kernel, &window, Some(output), pool::StorageOrder::RowMajor).map(|(y, _)| y));
    }
    Ok(pool::sum_pool(x, &kernel, &window, Some(output)))
}

fn resize_op(a: &Attrs<'_, '_>, x: &Tensor) -> Run<Kernel> {
    use resize::{CoordinateMode::*, Interpolation, NearestMode, ResizeAxis, ResizeOptions};
    let sizes = a.sizes("sizes")?;
    let ctx = a.frame.ctx();
    let floats = |name: &str| -> Vec<f64> {
        let items = a.get(name).and_then(|v| ctx.as_array(v)).unwrap_or(&[]);
        items.iter().filter_map(|&v| ctx.as_float(v)).collect()
    };
    let (scales, roi) = (floats("scales"), floats("roi"));
    let rank = x.rank();
    let axes: Vec<ResizeAxis> = (0..rank)
        .map(|i| {
            let mut axis = ResizeAxis::sized(x.dims()[i], sizes.get(i).copied().unwrap_or(0));
            if let Some(&s) = scales.get(i).filter(|s| **s > 0.0) {
                axis.scale = s;
            }
            if roi.len() == 2 * rank {
                axis.roi = (roi[i], roi[i + rank]);
            }
            axis
        })
        .collect();
    let coordinates = match a.string("coordinates") {
        "half_pixel_symmetric" => HalfPixelSymmetric,
        "pytorch_half_pixel" => PytorchHalfPixel,
        "align_corners" => AlignCorners,
        "asymmetric" => Asymmetric,
        "tf_crop_and_resize" => TfCropAndResize,
        "tf_half_pixel_for_nn" => TfHalfPixelForNn,
        _ => HalfPixel,
    };
    let interpolation = match a.string("mode") {
        "linear" => Interpolation::Linear,
        "cubic" => Interpolation::Cubic { coeff_a: a.float("cubic_coeff_a").unwrap_or(-0.75) },
        _ => Interpolation::Nearest(match a.string("nearest_mode") {
            "round_prefer_ceil" => NearestMode::RoundPreferCeil,
            "floor" => NearestMode::Floor,
            "ceil" => NearestMode::Ceil,
            _ => NearestMode::RoundPreferFloor,
        }),
    };
    let options = ResizeOptions {
        interpolation,
        coordinates,
        exclude_outside: a.flag("exclude_outside", false),
        antialias: a.flag("antialias", false),
        extrapolation: a.float("extrapolation").unwrap_or(0.0),
    };
    Ok(resize::resize(x, &axes, &options))
}

fn nms(frame: &Frame<'_>, op: OpId, a: &Attrs<'_, '_>, x: &[&Tensor]) -> Run<Kernel> {
    let given = a.ints("given").unwrap_or_default();
    let mut limits = x.iter().skip(2);
    let mut next = |i: usize| -> Option<f64> {
        (given.get(i) == Some(&1)).then(|| limits.next()?.to_f64s()?.first().copied()).flatten()
    };
    let (most, overlap, score) = (next(0), next(1), next(2));
    if x.len() < 2 {
        return Err(frame.error(op, "takes boxes and scores"));
    }
    let options = choose::Suppression {
        max_per_class: most.unwrap_or(0.0).max(0.0) as usize,
        iou_threshold: overlap.unwrap_or(0.0),
        score_threshold: score,
        center_point_box: a.flag("center", false),
    };
    Ok(choose::non_max_suppression(x[0], x[1], &options))
}

fn bind(frame: &mut Frame<'_>, op: OpId, operands: &[Value]) -> Run<Vec<Value>> {
    let ctx = frame.ctx();
    let names = frame.body.attr_named(ctx, op, "symbols").and_then(|a| ctx.as_array(a)).unwrap_or(&[]);
    let values = operands[0].as_tensor().and_then(Tensor::to_i64s).unwrap_or_default();
    for (&name, value) in names.iter().zip(values) {
        if let Some(name) = ctx.as_string(name) {
            frame.symbols.insert(ctx.exprs.symbol(name), value);
        }
    }
    Ok(vec![])
}

fn assume(frame: &Frame<'_>, op: OpId) -> Run<Vec<Value>> {
    let ctx = frame.ctx();
    let Some(a) = nim_builtin::assume::Assumption::of(ctx, frame.body, op) else { return Ok(vec![]) };
    let name = ctx.exprs.symbol_name(a.symbol);
    let value = frame.eval(op, ctx.exprs.var(a.symbol))?;
    let holds = a.min.is_none_or(|min| min <= value)
        && a.max.is_none_or(|max| value <= max)
        && a.divisor.is_none_or(|divisor| value % divisor == 0);
    match holds {
        true => Ok(vec![]),
        false => Err(frame.error(op, format!("what is assumed about `{name}` does not hold: it is {value}"))),
    }
}

fn guard(frame: &mut Frame<'_>, op: OpId) -> Run<Vec<Value>> {
    let a = Attrs { frame, op };
    let (lhs, rhs) = (a.expr("lhs")?, a.expr("rhs")?);
    let holds = match a.string("kind") {
        "eq" => lhs == rhs,
        "le" => lhs <= rhs,
        _ => lhs == rhs || lhs == 1 || rhs == 1,
    };
    match holds {
        true => Ok(vec![]),
        false => Err(frame.error(op, format!("{}: {lhs} and {rhs} do not fit", a.string("message")))),
    }
}

/// The one truth value of a tensor.
fn truth(value: &Value) -> Option<bool> {
    value.as_tensor()?.bytes().first().map(|&b| b != 0)
}

fn if_op(frame: &mut Frame<'_>, op: OpId, operands: &[Value]) -> Run<Vec<Value>> {
    let condition = truth(&operands[0]).ok_or_else(|| frame.error(op, "the condition is empty"))?;
    let region = frame.body.regions(op)[!condition as usize];
    frame.region(op, region, &[])
}

fn loop_op(frame: &mut Frame<'_>, op: OpId) -> Run<Vec<Value>> {
    let (ctx, body) = (frame.ctx(), frame.body);
    let field = |frame: &Frame<'_>, name: &str| -> Vec<Value> {
        let values = operand_field(ctx, body, op, name).unwrap_or_default();
        values.iter().filter_map(|&v| frame.fetch(v)).collect()
    };
    let trip = field(frame, "trip").first().and_then(|v| v.as_tensor()?.to_i64s()?.first().copied());
    let mut condition = field(frame, "condition").first().and_then(truth).unwrap_or(true);
    let mut carried = field(frame, "carried");
    // A truth value in `graph`, a mere mark in `dyn`.
    let mark = body.attr_named(ctx, op, "has_condition");
    let has_condition = mark.is_some_and(|a| ctx.as_bool(a).unwrap_or(true));
    let iv = body.attr_named(ctx, op, "iv").and_then(|a| ctx.as_string(a)).map(|n| ctx.exprs.symbol(n));
    let region = body.regions(op)[0];
    let results = body.results(op).to_vec();
    let mut stacked: Vec<Vec<Tensor>> = vec![vec![]; results.len() - carried.len()];
    let mut iteration = 0i64;
    while condition && trip.is_none_or(|t| iteration < t) {
        if let Some(iv) = iv {
            frame.symbols.insert(iv, iteration);
        }
        let mut args = vec![Value::Tensor(Tensor::scalar(iteration))];
        args.append(&mut carried);
        let mut yielded = frame.region(op, region, &args)?.into_iter();
        if has_condition {
            condition =
                yielded.next().as_ref().and_then(truth).ok_or_else(|| frame.error(op, "yields no condition"))?;
        }
        carried = yielded.by_ref().take(args.len() - 1).collect();
        for (list, value) in stacked.iter_mut().zip(yielded) {
            match value {
                Value::Tensor(t) => list.push(t),
                _ => return Err(frame.error(op, "only tensors can be stacked")),
            }
        }
        iteration += 1;
    }
    let mut out = carried;
    for (list, &result) in stacked.iter().zip(&results[out.len()..]) {
        out.push(Value::Tensor(stack(frame, op, list, result)?));
    }
    Ok(out)
}

/// One tensor of all iterations, along a new first axis.
fn stack(frame: &Frame<'_>, op: OpId, list: &[Tensor], result: nim_ir::ValueId) -> Run<Tensor> {
    let ctx = frame.ctx();
    let ty = frame.body.ty(result);
    if list.is_empty() {
        let dtype = ctx.dtype_of(ty).ok_or_else(|| frame.error(op, "stacks values of no element type"))?;
        let mut dims = vec![0];
        for e in ctx.dim_exprs(ty).unwrap_or_default().into_iter().skip(1) {
            // A size that only an iteration would tell is 0.
            dims.push(frame.eval(op, e).ok().and_then(|n| usize::try_from(n).ok()).unwrap_or(0));
        }
        return Ok(Tensor::from_bytes(dtype, &dims, vec![]));
    }
    let grown: Vec<Tensor> = list
        .iter()
        .map(|t| {
            let dims: Vec<usize> = std::iter::once(1).chain(t.dims().iter().copied()).collect();
            t.reshaped(&dims).ok_or_else(|| frame.error(op, "a value that cannot be stacked"))
        })
        .collect::<Run<_>>()?;
    movement::concat(&grown.iter().collect::<Vec<_>>(), 0).map_err(|e| frame.kernel_error(op, e))
}
