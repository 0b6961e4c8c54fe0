//! Constants in the arrangement that kernels read them in: made here once, instead of at each run.

use nim_builtin::func;
use nim_dataflow::Invoke;
use nim_graph::ops::layout::{Constant, Reshape};
use nim_ir::{Attr, Body, Builder, Context, Diagnostic, Module, Name, OpId, ValueId};
use nim_loops_passes::packing::{Packing, cannot_pack, pack};
use nim_tensor::{DType, Tensor, blob::Identity};
use rustc_hash::FxHashMap;

/// Gives every call of a kernel that lists `loops.packing` its constants packed. Constants that nothing uses any more are
/// removed. Returns the number of packed constants.
///
/// # Errors
/// An argument that is to be packed is no constant, or does not fit.
pub fn pack_constants(ctx: &Context, module: &mut Module) -> Result<usize, Vec<Diagnostic>> {
    let mut wanted: FxHashMap<Name, Vec<(Attr, Packing)>> = FxHashMap::default();
    for op in module.ops() {
        let list = module.body.attr_named(ctx, op, "loops.packing").and_then(|a| ctx.as_array(a)).unwrap_or_default();
        let packing: Vec<(Attr, Packing)> =
            list.iter().filter_map(|&a| Some((a, Packing::from_attr(ctx, a)?))).collect();
        if let (Some(name), false) = (module.symbol_name(ctx, op), packing.is_empty()) {
            wanted.insert(ctx.name(name), packing);
        }
    }
    let (mut done, mut found) = (Done::default(), vec![]);
    for op in module.ops().collect::<Vec<_>>() {
        if !func::Func::is(ctx, &module.body, op) {
            continue;
        }
        let Some(mut body) = module.body.take_nested(op) else { continue };
        for call in body.walk() {
            let callee = body.attr_named(ctx, call, "callee").and_then(|a| ctx.as_symbol_ref(a));
            let packing = callee.filter(|_| Invoke::is(ctx, &body, call)).and_then(|name| wanted.get(&name));
            for (attr, packing) in packing.into_iter().flatten() {
                if let Err(error) = one(ctx, &mut body, call, *attr, packing, &mut done) {
                    found.push(error);
                }
            }
        }
        remove_unused(ctx, &mut body);
        module.body.set_nested(op, body);
    }
    if found.is_empty() { Ok(done.len()) } else { Err(found) }
}

/// Which bytes a constant has, its type and shape.
type Held = (Identity, DType, Vec<usize>);
/// What was packed, by constant and packing; the constants as well, so that no others get their identity.
type Done = FxHashMap<(Held, Attr), (Tensor, Attr)>;

fn one(
    ctx: &Context,
    body: &mut Body,
    call: OpId,
    attr: Attr,
    packing: &Packing,
    done: &mut Done,
) -> Result<(), Diagnostic> {
    let error = |what: &str| cannot_pack(body.loc(call), what);
    if packing.arg >= body.operand_count(call) {
        return Err(error("the kernel has no such argument"));
    }
    let operand = body.operand(call, packing.arg);
    let tensor = constant(ctx, body, operand).ok_or_else(|| error("the argument is none"))?;
    let held = tensor.blob().map(|blob| (blob.identity(), tensor.dtype(), tensor.dims().to_vec()));
    let packed = match held.as_ref().and_then(|held| done.get(&(held.clone(), attr))) {
        Some(&(_, packed)) => packed,
        None => {
            let packed = ctx.tensor_attr(&pack(ctx, &tensor, packing)?, "packed");
            held.map(|held| done.insert((held, attr), (tensor, packed)));
            packed
        }
    };
    let name = body.value_name(operand);
    let mut builder = Builder::before(ctx, body, call);
    let new = builder.infer_value(Constant::NAME, &[], &[("value", packed)])?;
    builder.body.set_value_name(new, name);
    body.set_operand(call, packing.arg, new);
    Ok(())
}

/// The elements of a constant under the shape that a value of it has.
fn constant(ctx: &Context, body: &Body, value: ValueId) -> Option<Tensor> {
    let op = body.defining_op(value)?;
    if Reshape::is(ctx, body, op) {
        let tensor = constant(ctx, body, body.operand(op, 0))?;
        let dims = ctx.static_dims(body.ty(value))?.into_iter().map(|d| usize::try_from(d).ok());
        return tensor.reshaped(&dims.collect::<Option<Vec<_>>>()?);
    }
    let attr = body.attr_named(ctx, op, "value").filter(|_| Constant::is(ctx, body, op))?;
    ctx.attr_tensor(attr)
}

/// Constants and views of them that only packed calls used.
fn remove_unused(ctx: &Context, body: &mut Body) {
    for op in body.walk().into_iter().rev() {
        let plain = Constant::is(ctx, body, op) || Reshape::is(ctx, body, op);
        if plain && !body.has_uses(body.result(op)) {
            body.erase(op);
        }
    }
}
