//! `dyn` ops: the host program on buffers.
//!
//! Fresh memory is filled with ones in all bits, which is NaN in every floating-point type, and a value that was killed
//! is gone: what a compiled program could not rely on does not work here either.

use super::{
    Frame, Run,
    buffer::{Buffer, Memory},
    graph, loops,
};
use nim_dyn::{Device, device_attr};
use nim_ir::{OpId, ValueId, verifier::operand_groups};
use nim_tensor::{Tensor, Value};
use rustc_hash::FxHashMap;

/// Runs one op; true if it was one of these.
pub(super) fn run(frame: &mut Frame<'_>, op: OpId, name: &str) -> Run<bool> {
    match name {
        "dyn.alloc" => {
            let bytes = frame.expr_attr(op, "size")?;
            let bytes = usize::try_from(bytes).map_err(|_| frame.error(op, format!("memory of {bytes} bytes")))?;
            let storage = Memory::fresh(device_of(frame, op), bytes);
            frame.storages.insert(frame.body.result(op), storage);
        }
        "dyn.arena" => {
            let ctx = frame.ctx();
            let places = nim_dyn::Places::of(ctx, frame.body, op);
            let places = places.ok_or_else(|| frame.error(op, "an arena is not complete"))?;
            // What has no size here is never made.
            let sizes: Vec<i64> = places
                .sizes
                .iter()
                .map(|&size| ctx.exprs.eval(size, &|s| frame.symbols.get(&s).copied()).unwrap_or(0))
                .collect();
            let packing = nim_tensor::packing::pack(&sizes, &places.apart, 64);
            let bytes = usize::try_from(packing.size).ok().filter(|&bytes| bytes <= isize::MAX as usize);
            let bytes = bytes.ok_or_else(|| frame.error(op, format!("memory of {} bytes", packing.size)))?;
            frame.symbols.extend(places.symbols.iter().copied().zip(packing.offsets));
            let storage = Memory::fresh(device_of(frame, op), bytes);
            frame.storages.insert(frame.body.result(op), storage);
        }
        "dyn.view" => {
            let (ctx, result) = (frame.ctx(), frame.body.result(op));
            let ty = frame.body.ty(result);
            let (offset, dims) = (frame.expr_attr(op, "offset")?, frame.shape(op, ty)?);
            let storage = frame.storages.get(&frame.body.operand(op, 0));
            let storage = storage.ok_or_else(|| frame.error(op, "the memory is not there any more"))?;
            let dtype = ctx.dtype_of(ty).ok_or_else(|| frame.error(op, "a buffer of this element type"))?;
            let buffer = Buffer::view(storage, offset, dtype, dims).map_err(|m| frame.error(op, m))?;
            frame.buffers.insert(result, buffer);
        }
        "dyn.reshape" => {
            let result = frame.body.result(op);
            let dims = frame.shape(op, frame.body.ty(result))?;
            let source = frame.body.operand(op, 0);
            if let Some(buffer) = frame.buffers.get(&source) {
                let seen = buffer.reshaped(dims.clone());
                let (from, error) = (buffer.dims().to_vec(), "elements cannot be seen as");
                let seen = seen.ok_or_else(|| frame.error(op, format!("{from:?} {error} {dims:?}")))?;
                frame.buffers.insert(result, seen);
            } else {
                // Texts are host values.
                let tensor = operand(frame, op, source)?;
                let seen = tensor.reshaped(&dims).ok_or_else(|| frame.error(op, "the numbers of elements differ"))?;
                frame.set(result, Value::Tensor(seen)).map_err(|m| frame.error(op, m))?;
            }
        }
        "dyn.match_cast" => {
            let (source, result) = (frame.body.operand(op, 0), frame.body.result(op));
            let value = frame.fetch(source).ok_or_else(|| frame.error(op, "an operand was given up"))?;
            let buffer = frame.buffers.get(&source).cloned();
            frame.set(result, value).map_err(|m| frame.error(op, m))?;
            // The same memory, not a copy of it.
            if let Some(buffer) = buffer {
                frame.buffers.insert(result, buffer);
            }
        }
        "dyn.kill" => {
            for value in frame.body.operands(op).to_vec() {
                frame.buffers.remove(&value);
                frame.storages.remove(&value);
                frame.values.remove(&value);
            }
        }
        "dyn.copy" => {
            let from = operand(frame, op, frame.body.operand(op, 0))?;
            write(frame, op, frame.body.operand(op, 1), &from)?;
        }
        "dyn.index" => {
            let ctx = frame.ctx();
            let exprs = frame.body.attr_named(ctx, op, "exprs").and_then(|a| ctx.as_exprs(a)).unwrap_or_default();
            let values = frame.eval_all(op, &exprs)?;
            let out = frame.body.operand(op, 0);
            let dims = frame.shape(op, frame.body.ty(out))?;
            let dtype = ctx.dtype_of(frame.body.ty(out)).ok_or_else(|| frame.error(op, "a buffer of this type"))?;
            all_on(frame, op, &[out], Device::HOST)?;
            let tensor = Tensor::from_i64s(dtype, &dims, &values).map_err(|e| frame.error(op, e.to_string()))?;
            write(frame, op, out, &tensor)?;
        }
        "dyn.check" => check(frame, op)?,
        "dyn.invoke" => invoke(frame, op)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The dimensions of a buffer are those of its type.
fn check(frame: &Frame<'_>, op: OpId) -> Run {
    let (ctx, source) = (frame.ctx(), frame.body.operand(op, 0));
    let ty = frame.body.ty(source);
    let (wanted, tensor) = (frame.shape(op, ty)?, operand(frame, op, source)?);
    if tensor.dims() != wanted {
        let what = frame.body.attr_named(ctx, op, "what").and_then(|a| ctx.as_string(a)).unwrap_or("a buffer");
        let (ty, dims) = (ctx.display_type(ty), tensor.dims());
        return Err(frame.error(op, format!("{what} has the shape {dims:?}, it must be {ty}, which is {wanted:?}")));
    }
    Ok(())
}

fn operand(frame: &Frame<'_>, op: OpId, value: ValueId) -> Run<Tensor> {
    let found = frame.fetch(value).and_then(|v| v.as_tensor().cloned());
    found.ok_or_else(|| frame.error(op, "an operand is no buffer, or was given up"))
}

fn write(frame: &Frame<'_>, op: OpId, to: ValueId, tensor: &Tensor) -> Run {
    let buffer =
        frame.buffers.get(&to).ok_or_else(|| frame.error(op, "writes to what is no buffer, or was given up"))?;
    buffer.write(tensor).map_err(|m| frame.error(op, m))
}

fn invoke(frame: &mut Frame<'_>, op: OpId) -> Run {
    let (ctx, interpreter) = (frame.ctx(), frame.interpreter);
    let callee = frame.callee(op)?;
    let operands = frame.body.operands(op).to_vec();
    let ins = operand_groups(ctx, frame.body, op).and_then(|g| Some(g.first()?.len()));
    let (ins, outs) = operands.split_at(ins.unwrap_or(operands.len()).min(operands.len()));
    let device = device_attr(ctx, &interpreter.module.body, callee).unwrap_or_default();
    all_on(frame, op, &operands, device)?;
    stay_apart(frame, op, callee, &operands, ins.len())?;
    let inputs = ins.iter().map(|&v| operand(frame, op, v)).collect::<Run<Vec<_>>>()?;
    let mut symbols = frame.given_symbols(callee);
    // The call may say what the kernel's symbols are in terms of those that are known here.
    if let Some(exprs) = frame.body.attr_named(ctx, op, "symbols").and_then(|a| ctx.as_exprs(a)) {
        let values = frame.eval_all(op, &exprs)?;
        let names = nim_dataflow::kernel_symbols(ctx, &interpreter.module.body, callee);
        symbols = names.into_iter().map(|n| ctx.exprs.symbol(n)).zip(values).collect::<FxHashMap<_, _>>();
    }
    let results = if interpreter.module.body.is(ctx, callee, "loops.kernel") {
        let before = outs.iter().map(|&v| operand(frame, op, v).map(Some)).collect::<Run<Vec<_>>>()?;
        loops::run(interpreter, callee, &inputs, &before, &symbols)?
    } else {
        let inputs: Vec<Value> = inputs.into_iter().map(Value::Tensor).collect();
        let results = interpreter.call(callee, &inputs, &symbols)?;
        results.into_iter().filter_map(|v| v.as_tensor().cloned()).collect()
    };
    if results.len() != outs.len() {
        return Err(frame.error(op, format!("the kernel gives {} results, {} are taken", results.len(), outs.len())));
    }
    outs.iter().zip(&results).try_for_each(|(&out, tensor)| write(frame, op, out, tensor))
}

/// The device that memory is made on.
fn device_of(frame: &Frame<'_>, op: OpId) -> Device {
    device_attr(frame.ctx(), frame.body, op).unwrap_or_default()
}

/// Buffers that an op looks at or writes to are on the device where it runs: nothing else is within its reach.
fn all_on(frame: &Frame<'_>, op: OpId, values: &[ValueId], device: Device) -> Run {
    for (i, value) in values.iter().enumerate() {
        if let Some(buffer) = frame.buffers.get(value).filter(|b| b.device() != device) {
            let (there, here) = (buffer.device().describe(frame.ctx()), device.describe(frame.ctx()));
            return Err(frame.error(op, format!("buffer {i} is on {there}, out of reach of {here}")));
        }
    }
    Ok(())
}

/// What a kernel writes overlaps nothing that it reads or writes elsewhere, unless it says that it works in place.
fn stay_apart(frame: &Frame<'_>, op: OpId, callee: OpId, operands: &[ValueId], inputs: usize) -> Run {
    let pairs = nim_loops::in_place(frame.ctx(), &frame.interpreter.module.body, callee);
    let buffer = |i: usize| frame.buffers.get(&operands[i]);
    for out in inputs..operands.len() {
        for other in 0..out {
            let (Some(a), Some(b)) = (buffer(other), buffer(out)) else { continue };
            if a.overlaps(b) && !(pairs.contains(&(other, out)) && a.begins_with(b)) {
                return Err(frame.error(op, format!("buffers {other} and {out} of a kernel overlap")));
            }
        }
    }
    Ok(())
}

/// Ops whose operands and results may be looked at as values: nothing is written to an operand.
pub(super) fn by_value(frame: &mut Frame<'_>, op: OpId, name: &str, operands: &[Value]) -> Option<Run<Vec<Value>>> {
    let graph_name = match name {
        "dyn.constant" => "constant",
        "dyn.bind" => "bind",
        "dyn.guard" => "guard",
        "dyn.if" => "if",
        "dyn.loop" => "loop",
        "dyn.runtime" => {
            let ctx = frame.ctx();
            let name = frame.body.attr_named(ctx, op, "name").and_then(|a| ctx.as_string(a))?.to_string();
            let values = frame.body.operands(op).to_vec();
            let run = all_on(frame, op, &values, Device::HOST);
            return Some(run.and_then(|()| graph::run_named(frame, op, &name, operands)));
        }
        _ => return None,
    };
    // The host looks at conditions, counts and sizes; what a loop or a branch passes on stays where it is.
    let looked_at = match name {
        "dyn.loop" => operand_groups(frame.ctx(), frame.body, op).and_then(|g| Some(g.get(2)?.start)).unwrap_or(0),
        _ => operands.len(),
    };
    let values = frame.body.operands(op).to_vec();
    Some(
        all_on(frame, op, &values[..looked_at.min(values.len())], Device::HOST)
            .and_then(|()| graph::run_named(frame, op, graph_name, operands)),
    )
}
