//! `dyn-alternate-walks`: a kernel in a loop walks back through what it has read in the iteration before.
//!
//! A step of a recurrent net reads the same weights as the step before. Where they exceed a cache and are read from front to back each
//! time, nothing of them is there when it is wanted again: what the cache keeps longest is lost just before it would be read. If the walk
//! turns round at every step, as much as the cache holds is found there. So the outermost loops of such kernels are `turned` by the
//! number of the iteration, which the kernel gets as a further symbol.

use crate::plan::named;
use nim_dyn::{Constant, Invoke, Loop, Reshape};
use nim_ir::{Body, Context, Expr, Module, Name, OpId, Type, ValueId};
use nim_loops::{ForView, Kernel, KernelView, LoopKind};
use rustc_hash::{FxHashMap, FxHashSet};

/// The name of the pass.
pub const NAME: &str = "dyn-alternate-walks";
/// From how many bytes on it is worth it, unless said otherwise: what fits the first level of any cache is there in any case.
pub const LEAST_BYTES: i64 = 128 * 1024;
/// What the symbol of a kernel is called, and of a loop that has none for its iterations.
const SYMBOL: &str = "turn";

/// Turns the outermost loops of kernels that are invoked in a loop and walk over at least so many bytes that stay the same in all its
/// iterations. Returns how many kernels these are.
pub fn alternate_walks(ctx: &Context, module: &mut Module, least: i64) -> usize {
    let kernels: FxHashMap<Name, OpId> = module
        .ops()
        .filter(|&op| Kernel::is(ctx, &module.body, op))
        .filter_map(|op| Some((ctx.name(module.symbol_name(ctx, op)?), op)))
        .collect();
    let walked: FxHashMap<Name, Vec<usize>> =
        kernels.iter().map(|(&name, &op)| (name, walked_inputs(ctx, &module.body, op, least))).collect();
    let functions: Vec<OpId> = module.ops().filter(|op| !kernels.values().any(|k| k == op)).collect();
    // Invocations that read the same again, by the kernel.
    let mut turned: FxHashSet<Name> = FxHashSet::default();
    for &function in &functions {
        let Some(body) = module.body.nested(function) else { continue };
        for op in body.walk() {
            let Some(name) = callee(ctx, body, op) else { continue };
            let inputs = walked.get(&name).map_or(&[][..], Vec::as_slice);
            if let Some(around) = loop_around(ctx, body, op)
                && inputs.iter().any(|&i| i < body.operand_count(op) && stays(ctx, body, body.operand(op, i), around))
            {
                turned.insert(name);
            }
        }
    }
    let given: FxHashMap<Name, Vec<Expr>> =
        turned.into_iter().filter_map(|name| Some((name, turn(ctx, module, *kernels.get(&name)?)?))).collect();
    for function in functions {
        let Some(mut body) = module.body.take_nested(function) else { continue };
        for op in body.walk() {
            if let Some(names) = callee(ctx, &body, op).and_then(|name| given.get(&name)) {
                give_number(ctx, &mut body, op, names);
            }
        }
        module.body.set_nested(function, body);
    }
    given.len()
}

fn callee(ctx: &Context, body: &Body, op: OpId) -> Option<Name> {
    Invoke::is(ctx, body, op).then(|| Invoke::callee(ctx, body, op).and_then(|a| ctx.as_symbol_ref(a)))?
}

/// Inputs of at least so many bytes of which each iteration of an outermost parallel loop reads another part.
fn walked_inputs(ctx: &Context, module: &Body, kernel: OpId, least: i64) -> Vec<usize> {
    let (Some(view), Some(body)) = (KernelView::new(ctx, module, kernel), module.nested(kernel)) else { return vec![] };
    let large = |value: ValueId| bytes(ctx, body.ty(value)).is_some_and(|bytes| bytes >= least);
    let mut found = vec![];
    for walk in outermost(ctx, body) {
        // The loop's variable, and those of loops inside that begin where it says.
        let mut moving = vec![walk.iv];
        for op in body.walk_op(walk.op) {
            let moves = |e: &Expr| moving.iter().any(|&iv| ctx.exprs.mentions(*e, iv));
            if let Some(inner) = ForView::new(ctx, body, op) {
                if moves(&inner.lower) {
                    moving.push(inner.iv);
                }
                continue;
            }
            // Whatever reads elements, or tiles of them.
            let indices = body.attr_named(ctx, op, "indices").and_then(|a| ctx.as_exprs(a)).unwrap_or_default();
            if indices.iter().any(moves) {
                let inputs =
                    view.inputs().iter().enumerate().filter(|(_, v)| body.operands(op).contains(v) && large(**v));
                found.extend(inputs.map(|(i, _)| i));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The size of a buffer, if it is known.
fn bytes(ctx: &Context, ty: Type) -> Option<i64> {
    let size = i64::try_from(ctx.dtype_of(ty)?.size()).ok()?;
    ctx.static_dims(ty)?.into_iter().try_fold(size, i64::checked_mul)
}

/// The parallel loops that stand in no other.
fn outermost(ctx: &Context, body: &Body) -> Vec<ForView> {
    let Some(entry) = body.entry() else { return vec![] };
    let loops = body.block_ops(entry).filter_map(|op| ForView::new(ctx, body, op));
    loops.filter(|view| view.kind == LoopKind::Parallel && view.turned.is_none()).collect()
}

/// The innermost loop around an op.
fn loop_around(ctx: &Context, body: &Body, op: OpId) -> Option<OpId> {
    let mut at = body.parent_op(op)?;
    while !Loop::is(ctx, body, at) {
        at = body.parent_op(at)?;
    }
    Some(at)
}

/// Whether a value is the same in all iterations: a constant, or made outside, or a view of such.
fn stays(ctx: &Context, body: &Body, value: ValueId, around: OpId) -> bool {
    match body.defining_op(value) {
        Some(op) if Constant::is(ctx, body, op) || !body.is_inside(op, around) => true,
        Some(op) if Reshape::is(ctx, body, op) => stays(ctx, body, body.operand(op, 0), around),
        Some(_) => false,
        // An argument of a block.
        None => {
            let owner = body.value_block(value).and_then(|b| body.block_region(b)).and_then(|r| body.region_parent(r));
            owner.is_none_or(|op| op != around && !body.is_inside(op, around))
        }
    }
}

/// Turns the outermost loops of a kernel by a symbol more. Returns the symbols that it had.
fn turn(ctx: &Context, module: &mut Module, kernel: OpId) -> Option<Vec<Expr>> {
    let view = KernelView::new(ctx, &module.body, kernel)?;
    let name = free_name(|name| view.symbols.iter().any(|s| s == name));
    let mut body = module.body.take_nested(kernel)?;
    let number = ctx.expr_attr(ctx.exprs.named(&name));
    for walk in outermost(ctx, &body) {
        body.set_attr(ctx, walk.op, "turned", number);
    }
    module.body.set_nested(kernel, body);
    let all = view.symbols.iter().map(String::as_str).chain([name.as_str()]);
    let all = ctx.array_attr(all.map(|s| ctx.string_attr(s)));
    module.body.set_attr(ctx, kernel, "symbols", all);
    Some(view.symbols.iter().map(|s| ctx.exprs.named(s)).collect())
}

/// Gives a kernel the number of the iteration behind the symbols that it had; 0 outside of loops.
fn give_number(ctx: &Context, body: &mut Body, op: OpId, names: &[Expr]) {
    let given = Invoke::symbols(ctx, body, op).and_then(|a| ctx.as_exprs(a));
    let number = match loop_around(ctx, body, op) {
        Some(around) => ctx.exprs.named(&counter(ctx, body, around)),
        None => Expr::ZERO,
    };
    let all: Vec<Expr> = given.unwrap_or_else(|| names.to_vec()).into_iter().chain([number]).collect();
    body.set_attr(ctx, op, "symbols", ctx.exprs_attr(&all));
}

/// The symbol of a loop for the number of its iteration: if it has none, it gets one.
fn counter(ctx: &Context, body: &mut Body, around: OpId) -> String {
    if let Some(name) = Loop::iv(ctx, body, around).and_then(|a| ctx.as_string(a)) {
        return name.to_owned();
    }
    let symbols = |value: ValueId| {
        let dims = ctx.dim_exprs(body.ty(value)).unwrap_or_default();
        dims.into_iter().flat_map(|e| ctx.exprs.symbols(e)).collect::<Vec<_>>()
    };
    let mut taken = FxHashSet::default();
    for &arg in body.entry().into_iter().flat_map(|entry| body.block_args(entry)) {
        taken.extend(symbols(arg));
    }
    for op in body.walk() {
        taken.extend(named(ctx, body, op));
        taken.extend(body.results(op).iter().flat_map(|&result| symbols(result)));
        let iv = Loop::iv(ctx, body, op).filter(|_| Loop::is(ctx, body, op)).and_then(|a| ctx.as_string(a));
        taken.extend(iv.map(|name| ctx.exprs.symbol(name)));
    }
    let name = free_name(|name| taken.contains(&ctx.exprs.symbol(name)));
    body.set_attr(ctx, around, "iv", ctx.string_attr(&name));
    name
}

/// A name that is not taken.
fn free_name(taken: impl Fn(&str) -> bool) -> String {
    let mut names = std::iter::once(SYMBOL.to_owned()).chain((1..).map(|n| format!("{SYMBOL}_{n}")));
    names.find(|name| !taken(name)).unwrap_or_default()
}
