//! What calling a kernel takes: its symbols, the iterations of its phases, and about how much work it is.

use nim_builtin::func;
use nim_ir::{BlockId, Body, Context, Expr, Module, Name, Symbol, Type};
use nim_loops::ForView;
use rustc_hash::FxHashMap;

/// A kernel as bytecode calls it.
pub(super) struct KernelFacts {
    /// Its symbols in the order of the ABI.
    pub(super) symbols: Vec<Symbol>,
    /// Where it runs.
    pub(super) device: nim_dyn::Device,
    /// Its text, if that is not the host: who runs it there may have no use for the host's machine code.
    pub(super) source: String,
    /// Iterations of its phases, over its symbols.
    pub(super) phases: Vec<Expr>,
    /// Number of innermost iterations of all loops, over its symbols: an estimate.
    pub(super) work: Expr,
    /// Types of its arguments.
    pub(super) arguments: Vec<Type>,
}

pub(super) fn of_module(ctx: &Context, module: &Module) -> FxHashMap<Name, KernelFacts> {
    let mut kernels = FxHashMap::default();
    for op in module.ops() {
        let (Some(name), Some(body)) = (module.symbol_name(ctx, op), module.body.nested(op)) else { continue };
        let Some(entry) = body.entry().filter(|_| module.body.is(ctx, op, "loops.kernel")) else { continue };
        let symbols = nim_dataflow::kernel_symbols(ctx, &module.body, op);
        let device = nim_dyn::device_attr(ctx, &module.body, op).unwrap_or_default();
        let source = match device == nim_dyn::Device::HOST {
            true => String::new(),
            false => nim_text::print_op(ctx, &module.body, op, &nim_text::PrintOptions::default()),
        };
        let facts = KernelFacts {
            symbols: symbols.into_iter().map(|s| ctx.exprs.symbol(s)).collect(),
            device,
            source,
            phases: nim_loops_passes::phases(ctx, body),
            work: work(ctx, body, entry, &mut FxHashMap::default()),
            arguments: func::signature(ctx, &module.body, op).map(|(args, _)| args.to_vec()).unwrap_or_default(),
        };
        kernels.insert(ctx.name(name), facts);
    }
    kernels
}

/// Iterations of loops, summed over a block. Bounds that depend on loops around are taken at their first iteration, whose numbers
/// `first` has: a loop of one iteration may be there to give a number a name.
fn work(ctx: &Context, body: &Body, block: BlockId, first: &mut FxHashMap<Symbol, Expr>) -> Expr {
    let pool = &ctx.exprs;
    let mut total = vec![];
    for op in body.block_ops(block) {
        match ForView::new(ctx, body, op) {
            Some(view) => {
                let at_first = |e: Expr| pool.substitute(e, &mut |s| first.get(&s).copied());
                let (trips, lower) = (at_first(view.trip_count(ctx)), at_first(view.lower));
                first.insert(view.iv, lower);
                total.push(pool.mul(trips, pool.max(work(ctx, body, view.body, first), Expr::ONE)));
            }
            None => {
                let inner = body.regions(op).iter().filter_map(|&r| body.entry_block(r));
                total.extend(inner.map(|block| work(ctx, body, block, first)));
            }
        }
    }
    let sum = pool.sum(total);
    // Anything that cannot be written down counts as large.
    if pool.as_invalid(sum).is_some() { pool.constant(i64::MAX) } else { sum }
}
