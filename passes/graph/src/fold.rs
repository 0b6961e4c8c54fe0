//! `graph-fold`: ops whose operands are all constants are computed when compiling.
//!
//! How an op is computed is not known here: a [`ConstantFolder`] is passed in, in practice the interpreter.

use crate::affine::splat;
use nim_ir::{Body, Builder, Context, Module, OpId, Trait};
use nim_pass::{RuleInfo, Rules};
use nim_tensor::{Tensor, Value, tensor::element_count};

/// The name of the pass.
pub const NAME: &str = "graph-fold";

/// Computes single ops on host tensors.
pub trait ConstantFolder: Send + Sync {
    /// The results of an op for these operands; `None` when it cannot tell.
    fn fold(&self, ctx: &Context, body: &Body, op: OpId, operands: &[Value]) -> Option<Vec<Value>>;
}

impl<F> ConstantFolder for F
where
    F: Fn(&Context, &Body, OpId, &[Value]) -> Option<Vec<Value>> + Send + Sync,
{
    fn fold(&self, ctx: &Context, body: &Body, op: OpId, operands: &[Value]) -> Option<Vec<Value>> {
        self(ctx, body, op, operands)
    }
}

/// How much to fold.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct FoldOptions {
    /// Most bytes of a result that is larger than what it is made of. Reshapes are always folded: they share the bytes of
    /// their operand.
    pub max_bytes: usize,
}

impl Default for FoldOptions {
    fn default() -> Self {
        FoldOptions { max_bytes: 4 << 20 }
    }
}

/// Most bytes of a constant vector that a cast makes wider.
const WIDENED_BYTES: usize = 4096;

/// Folds the ops of all functions; tells how many.
pub fn fold(ctx: &Context, module: &mut Module, folder: &dyn ConstantFolder, options: FoldOptions) -> usize {
    module.body.nested_bodies_mut().map(|(_, body)| fold_body(ctx, body, folder, options)).sum()
}

/// Folds the ops of one function; tells how many.
pub fn fold_body(ctx: &Context, body: &mut Body, folder: &dyn ConstantFolder, options: FoldOptions) -> usize {
    fold_under(ctx, body, folder, options, Rules::default())
}

/// The rule's name and what it does.
pub(crate) const COMPUTE: RuleInfo =
    RuleInfo { name: "compute-constants", description: "compute an op whose operands are constants" };

pub(crate) fn fold_under(
    ctx: &Context,
    body: &mut Body,
    folder: &dyn ConstantFolder,
    options: FoldOptions,
    rules: Rules<'_>,
) -> usize {
    let mut folded = 0;
    // Operands come before their users, so one walk sees what it folds itself.
    for op in body.walk() {
        let Some(results) = evaluate(ctx, body, op, folder, options) else {
            rules.missed(COMPUTE.name, ctx, body, op, "an operand is no constant, or the result is too large");
            continue;
        };
        if rules.may(COMPUTE.name, ctx, body, op) {
            replace(ctx, body, op, &results);
            folded += 1;
        }
    }
    remove_unused(ctx, body);
    folded
}

fn evaluate(
    ctx: &Context,
    body: &Body,
    op: OpId,
    folder: &dyn ConstantFolder,
    options: FoldOptions,
) -> Option<Vec<Tensor>> {
    let def = ctx.op_def(body.op_name(op))?;
    let name = def.name.strip_prefix("graph.")?;
    if !def.has(Trait::Pure) || def.has(Trait::ConstantLike) || !body.regions(op).is_empty() {
        return None;
    }
    if let Some(known) = from_sizes(ctx, body, op, name) {
        return Some(vec![known]);
    }
    // Ops without operands make large tensors of little data: better when they are needed.
    if body.operand_count(op) == 0 || body.results(op).is_empty() {
        return None;
    }
    let mut given = 0;
    for v in body.operands(op) {
        given += constant_bytes(ctx, body, v)?;
    }
    // Matrices stay as narrow as they are stored: what reads them widens them.
    let is_vector = |v| ctx.static_dims(body.ty(v)).is_some_and(|d| d.iter().filter(|&&n| n > 1).count() < 2);
    let most = match name {
        "cast" if !is_vector(body.operand(op, 0)) => 0,
        "cast" => WIDENED_BYTES.min(options.max_bytes),
        _ => options.max_bytes,
    };
    let small = |bytes: usize| bytes <= most.max(given);
    for &r in body.results(op) {
        let dims: Option<Vec<usize>> =
            ctx.static_dims(body.ty(r))?.into_iter().map(|d| usize::try_from(d).ok()).collect();
        let bytes = element_count(&dims?)?.checked_mul(ctx.dtype_of(body.ty(r))?.size())?;
        if name != "reshape" && !small(bytes) {
            return None;
        }
    }
    let operands: Option<Vec<Value>> =
        body.operands(op).iter().map(|&v| constant(ctx, body, v).map(Value::Tensor)).collect();
    let results = match (name, operands?.as_slice()) {
        ("reshape", [Value::Tensor(x)]) => {
            let dims: Option<Vec<usize>> =
                ctx.static_dims(body.ty(body.result(op)))?.into_iter().map(|d| usize::try_from(d).ok()).collect();
            vec![x.reshaped(&dims?)?]
        }
        // What is one number everywhere stays so.
        ("transpose", [Value::Tensor(x)]) if x.blob().is_some() && splat(ctx, body, body.operand(op, 0)).is_none() => {
            let perm = body.attr_named(ctx, op, "perm").and_then(|a| ctx.as_ints(a))?;
            let perm: Option<Vec<usize>> = perm.iter().map(|&p| usize::try_from(p).ok()).collect();
            vec![x.transposed(&perm?)?]
        }
        (_, operands) => {
            let values = folder.fold(ctx, body, op, operands)?;
            values.iter().map(|v| v.as_tensor().cloned()).collect::<Option<Vec<_>>>()?
        }
    };
    let fits = results.len() == body.results(op).len()
        && results.iter().zip(body.results(op)).all(|(t, &r)| ctx.type_of_tensor(t) == body.ty(r));
    fits.then_some(results)
}

/// Sizes that are numbers, whatever the data.
fn from_sizes(ctx: &Context, body: &Body, op: OpId, name: &str) -> Option<Tensor> {
    match name {
        "shape_of" => {
            let sizes = ctx.static_dims(body.ty(body.operand(op, 0)))?;
            Some(Tensor::new(&[sizes.len()], sizes))
        }
        "index" => {
            let exprs = ctx.as_exprs(body.attr_named(ctx, op, "exprs")?)?;
            let numbers: Option<Vec<i64>> = exprs.iter().map(|&e| ctx.exprs.as_const(e)).collect();
            let numbers = numbers?;
            let scalar = ctx.static_dims(body.ty(body.result(op)))?.is_empty();
            let dims = if scalar { vec![] } else { vec![numbers.len()] };
            Some(Tensor::new(&dims, numbers))
        }
        _ => None,
    }
}

/// The host tensor of a value that is a constant.
pub fn constant(ctx: &Context, body: &Body, v: nim_ir::ValueId) -> Option<Tensor> {
    let op = body.defining_op(v)?;
    if !body.is(ctx, op, "graph.constant") {
        return None;
    }
    ctx.attr_tensor(body.attr_named(ctx, op, "value")?)
}

/// The size of a value that is a constant.
fn constant_bytes(ctx: &Context, body: &Body, v: nim_ir::ValueId) -> Option<usize> {
    let op = body.defining_op(v).filter(|&op| body.is(ctx, op, "graph.constant"))?;
    let ty = body.ty(body.result(op));
    let dims: Option<Vec<usize>> = ctx.static_dims(ty)?.into_iter().map(|d| usize::try_from(d).ok()).collect();
    element_count(&dims?)?.checked_mul(ctx.dtype_of(ty)?.size())
}

fn replace(ctx: &Context, body: &mut Body, op: OpId, results: &[Tensor]) {
    let key = ctx.loc_name(body.loc(op)).unwrap_or("folded").to_string();
    for (i, tensor) in results.iter().enumerate() {
        let old = body.results(op)[i];
        let mut b = Builder::before(ctx, body, op);
        b.loc = ctx.derived_loc(NAME, b.loc);
        let value = ctx.tensor_attr(tensor, &key);
        let ty = ctx.type_of_tensor(tensor);
        let new = b.value("graph.constant", &[], ty, &[("value", value)]);
        body.replace_all_uses(old, new);
    }
    body.erase(op);
}

/// Removes pure `graph` ops whose results nobody uses; tells how many.
pub fn remove_unused(ctx: &Context, body: &mut Body) -> usize {
    let mut removed = 0;
    for op in body.walk().into_iter().rev() {
        let pure =
            |op| ctx.op_def(body.op_name(op)).is_some_and(|d| d.has(Trait::Pure) && d.name.starts_with("graph."));
        let unused = !body.is_erased(op)
            && !body.results(op).is_empty()
            && body.results(op).iter().all(|&r| !body.has_uses(r))
            && body.regions(op).is_empty();
        if unused && pure(op) {
            body.erase(op);
            removed += 1;
        }
    }
    removed
}
