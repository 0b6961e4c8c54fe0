//! Which few numbers a container may hold.

use nim_dataflow::{Combine, MapView};
use nim_ir::{Attr, AttrData, Body, Context, FloatKind, Type, TypeData, ValueId};
use nim_tensor::Tensor;

/// More values than this are too many to look at.
const MOST: usize = 8;
/// Maps and ops behind each other that are looked through.
const DEEP: usize = 24;

/// The host tensor of a constant.
pub fn constant(ctx: &Context, body: &Body, v: ValueId) -> Option<Tensor> {
    let op = body.defining_op(v).filter(|&op| body.is(ctx, op, "graph.constant"))?;
    ctx.attr_tensor(body.attr_named(ctx, op, "value")?)
}

/// A number from a typed scalar attribute.
pub fn number(ctx: &Context, attr: Attr) -> Option<f64> {
    match *ctx.attr_data(attr) {
        AttrData::Int { value, .. } => Some(value as f64),
        AttrData::Bool(b) => Some(f64::from(u8::from(b))),
        AttrData::Float { bits, .. } => Some(f64::from_bits(bits)),
        _ => None,
    }
}

/// The two values of a container that holds one number with both signs, the positive one first.
pub fn signs(ctx: &Context, body: &Body, container: ValueId) -> Option<[f64; 2]> {
    let found = of_container(ctx, body, container, DEEP)?;
    match *found.as_slice() {
        [low, high] if high > 0.0 && low == -high && high.is_finite() => Some([high, low]),
        // A constant may happen to have one sign only.
        [one] if one != 0.0 && one.is_finite() => Some([one.abs(), -one.abs()]),
        _ => None,
    }
}

/// A positive number's digits as an integer without trailing zeros, and its exponent.
pub fn mantissa(value: f64) -> (u64, i32) {
    let bits = value.abs().to_bits();
    let exponent = (bits >> 52) as i32;
    let digits = (bits & ((1 << 52) - 1)) | if exponent > 0 { 1 << 52 } else { 0 };
    let zeros = digits.trailing_zeros().min(63);
    (digits >> zeros, exponent.max(1) - 1075 + zeros as i32)
}

/// The value before it was widened by its sign or as a float; the number stays the same.
pub fn unwidened(ctx: &Context, body: &Body, mut v: ValueId) -> Option<ValueId> {
    while let Some(op) = body.defining_op(v) {
        match ctx.op_str(body.op_name(op)) {
            "arith.extsi" | "arith.extf" | "arith.sitofp" => v = body.operand(op, 0),
            _ => return None,
        }
    }
    Some(v)
}

/// All values that a container may hold, in order; `None` where they are not known, or many, or not numbers.
fn of_container(ctx: &Context, body: &Body, container: ValueId, deep: usize) -> Option<Vec<f64>> {
    if let Some(tensor) = constant(ctx, body, container) {
        let mut out = vec![];
        for v in tensor.to_f64s()? {
            add(&mut out, v)?;
        }
        return Some(out);
    }
    let op = body.defining_op(container)?;
    if body.is(ctx, op, "graph.reshape") {
        return of_container(ctx, body, body.operand(op, 0), deep.checked_sub(1)?);
    }
    let view = MapView::new(ctx, body, op)?;
    let index = body.results(op).iter().position(|&r| r == container)?;
    let write = &view.writes[index];
    let plain = write.combine == Combine::None && write.init.is_none() && write.init_value.is_none();
    if !plain || write.subset.is_none() || view.has_scatter() || view.epilogue.is_some() {
        return None;
    }
    of_scalar(ctx, body, &view, body.operand(view.body_yield(body)?, index), deep)
}

fn add(values: &mut Vec<f64>, v: f64) -> Option<()> {
    if v.is_nan() {
        return None;
    }
    if let Err(at) = values.binary_search_by(|x| x.total_cmp(&v)) {
        values.insert(at, v);
    }
    (values.len() <= MOST).then_some(())
}

/// All values of a scalar of a map's body.
fn of_scalar(ctx: &Context, body: &Body, view: &MapView, v: ValueId, deep: usize) -> Option<Vec<f64>> {
    let deep = deep.checked_sub(1)?;
    let truth = || matches!(ctx.type_data(body.ty(v)), TypeData::Integer { width: 1, .. }).then(|| vec![0.0, 1.0]);
    let Some(op) = body.defining_op(v) else {
        let read = view.reads.get(view.body_args(body).iter().position(|&a| a == v)?)?;
        read.subset.as_ref()?;
        let Some(mut found) = of_container(ctx, body, read.value, deep) else { return truth() };
        if let Some(border) = read.border {
            add(&mut found, number(ctx, border)?)?;
        }
        // Unsigned elements are signless here; only small ones mean the same.
        return found.iter().all(|v| v.abs() < 128.0 || v.fract() != 0.0).then_some(found);
    };
    let of = |k: usize| of_scalar(ctx, body, view, body.operand(op, k), deep);
    let ty = body.ty(v);
    let each = |a: &[f64], b: &[f64], f: &dyn Fn(f64, f64) -> f64| {
        let mut out = vec![];
        for &a in a {
            for &b in b {
                add(&mut out, rounded(ctx, ty, f(a, b))?)?;
            }
        }
        Some(out)
    };
    match ctx.op_str(body.op_name(op)) {
        "arith.constant" => {
            let mut out = vec![];
            add(&mut out, number(ctx, body.attr_named(ctx, op, "value")?)?)?;
            Some(out)
        }
        "arith.select" => {
            let mut out = of(1)?;
            for v in of(2)? {
                add(&mut out, v)?;
            }
            Some(out)
        }
        "arith.addf" | "arith.addi" => each(&of(0)?, &of(1)?, &|a, b| a + b),
        "arith.subf" | "arith.subi" => each(&of(0)?, &of(1)?, &|a, b| a - b),
        "arith.mulf" | "arith.muli" => each(&of(0)?, &of(1)?, &|a, b| a * b),
        "arith.negf" => each(&of(0)?, &[0.0], &|a, _| -a),
        "arith.uitofp" | "arith.extui" => {
            let from = of(0)?;
            let small = from.iter().all(|&v| v >= 0.0);
            small.then(|| each(&from, &[0.0], &|a, _| a)).flatten()
        }
        // A truth value of 1 bit has the sign of -1.
        "arith.sitofp" | "arith.extsi" => {
            let bit = matches!(ctx.type_data(body.ty(body.operand(op, 0))), TypeData::Integer { width: 1, .. });
            each(&of(0)?, &[0.0], &|a, _| if bit { -a } else { a })
        }
        "arith.extf" => of(0),
        _ => truth(),
    }
}

/// A result as its type holds it, if it does so like other machines.
fn rounded(ctx: &Context, ty: Type, value: f64) -> Option<f64> {
    match ctx.type_data(ty) {
        TypeData::Float(FloatKind::F32) => Some(f64::from(value as f32)),
        TypeData::Float(FloatKind::F64) => Some(value),
        TypeData::Integer { width, .. } if *width >= 8 => (value.abs() < 128.0).then_some(value),
        _ => None,
    }
}
