//! `dyn-plan-memory`: buffers that are never alive at the same time share memory, in one arena a call.
//!
//! Every `dyn.alloc` whose size follows from the function's arguments, and whose buffer nobody outside gets to see, is
//! replaced by a view into one arena that is allocated where the function begins. Sizes that are numbers are placed at
//! offsets that are numbers; sizes with symbols are packed in regions behind them ([`offsets`]).
//!
//! What stays with the pool: results of the function (they are the caller's), what a loop carries from one iteration to
//! the next (its old and its new value are alive together), what other functions or host values may hold on to, and what
//! has a size that is known only later.

mod liveness;
mod offsets;

use liveness::{Interval, candidates};
use nim_dyn::{Alloc, View};
use nim_ir::{Body, Builder, Context, Expr, Facts, OpId, Symbol};
use offsets::Placement;
use rustc_hash::FxHashSet;

/// The name of the pass.
pub const NAME: &str = "dyn-plan-memory";

/// Alignment of buffers in the arena, as the pool's.
const ALIGN: i64 = 64;
/// Larger buffers stay alone, so that offsets cannot overflow. The pool will refuse them at run time.
const LARGEST: i64 = 1 << 46;

/// What planning did.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Planned {
    /// Buffers placed in the arena.
    pub buffers: usize,
    /// Bytes of these buffers whose sizes are numbers.
    pub bytes: i64,
    /// Bytes of the arena for them.
    pub arena_bytes: i64,
    /// Regions for buffers whose sizes have symbols.
    pub regions: usize,
}

/// Plans the memory of a function.
pub fn plan_memory(ctx: &Context, body: &mut Body) -> Planned {
    let Some(entry) = body.entry() else { return Planned::default() };
    let known = argument_symbols(ctx, body);
    let intervals: Vec<Interval> = candidates(ctx, body)
        .into_iter()
        .filter(|c| ctx.exprs.symbols(c.size).iter().all(|s| known.contains(s)))
        .filter(|c| ctx.exprs.as_const(c.size).is_none_or(|n| (0..LARGEST).contains(&n)))
        .filter(|c| ctx.exprs.as_invalid(c.size).is_none())
        .collect();
    if intervals.len() < 2 {
        // One buffer alone is served by the pool as well.
        return Planned::default();
    }
    let Placement { offsets, size, constant, regions } =
        offsets::place(&ctx.exprs, &Facts::default(), &intervals, ALIGN);

    // The arena stands before the first of the buffers, where all arguments' symbols have their values.
    let Some(first) = body.block_ops(entry).find(|&op| intervals.iter().any(|c| body.is_inside(c.alloc, op))) else {
        return Planned::default();
    };
    let mut builder = Builder::before(ctx, body, first);
    builder.loc = ctx.derived_loc(NAME, builder.loc);
    let attrs = [("size", ctx.expr_attr(size))];
    let arena = builder.value(Alloc::NAME, &[], nim_dyn::storage_type(ctx), &attrs);
    let name = ctx.name("arena");
    builder.name_value(arena, name);
    let mut bytes = 0i64;
    for (interval, offset) in intervals.iter().zip(offsets) {
        bytes = bytes.saturating_add(ctx.exprs.as_const(interval.size).unwrap_or(0));
        for view in views(ctx, body, interval.alloc) {
            let old = body.attr_named(ctx, view, "offset").and_then(|a| ctx.as_expr(a)).unwrap_or(Expr::ZERO);
            body.set_attr(ctx, view, "offset", ctx.expr_attr(ctx.exprs.add(offset, old)));
            body.set_operand(view, 0, arena);
        }
        body.erase(interval.alloc);
    }
    Planned { buffers: intervals.len(), bytes, arena_bytes: constant, regions }
}

/// The views of an allocation.
fn views(ctx: &Context, body: &Body, alloc: OpId) -> Vec<OpId> {
    let uses = body.uses(body.result(alloc));
    uses.filter(|u| View::is(ctx, body, u.op)).map(|u| u.op).collect()
}

/// Symbols that have a value as soon as the arguments are looked at.
fn argument_symbols(ctx: &Context, body: &Body) -> FxHashSet<Symbol> {
    let args = body.entry().map(|b| body.block_args(b).to_vec()).unwrap_or_default();
    let dims = args.into_iter().flat_map(|a| ctx.dim_exprs(body.ty(a)).unwrap_or_default());
    dims.flat_map(|d| ctx.exprs.symbols(d)).collect()
}
