//! `dyn-plan-memory`: buffers that are never alive at the same time share memory, in one arena a call.
//!
//! Every `dyn.alloc` whose buffer nobody outside gets to see is replaced by a view into an arena of its device, which is made where its
//! size is known: where the function begins, unless the size follows from data. The order of events is fixed when
//! compiling, so is which buffers must not overlap. Where all sizes are numbers, offsets are too: they are found here. Where
//! sizes have symbols, the best places depend on their values: `dyn.arena` finds them when it meets new ones
//! ([`nim_tensor::packing`], the same code).
//!
//! Where a kernel reads each element of an operand only when it makes the same element of its result, and the operand is not
//! needed any more, the result takes its place.
//!
//! What stays with the pool: results of the function (they are the caller's), what a loop carries from one iteration to
//! the next (its old and its new value are alive together), and what other functions or host values may hold on to.

mod in_place;
mod liveness;
mod scopes;

use in_place::Place;
pub(crate) use in_place::TAKE_PLACE;
use liveness::candidates;
use nim_builtin::func;
use nim_dyn::{Alloc, Arena, Device, Places, View};
use nim_ir::{Body, Builder, Context, Expr, ExprPool, Facts, Module, Name, OpId, ValueId};
use nim_pass::Rules;
use nim_tensor::packing::pack;
use rustc_hash::FxHashMap;
pub(crate) use scopes::named;
use scopes::{Anchor, Scopes};

/// The name of the pass.
pub const NAME: &str = "dyn-plan-memory";

/// Alignment of buffers in the arena, as the pool's.
const ALIGN: i64 = 64;

/// What planning did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// Buffers placed in arenas.
    pub buffers: usize,
    /// Those of them that take the place of what they are made of.
    pub in_place: usize,
    /// The arenas.
    pub arenas: Vec<Places>,
    /// Bytes of these buffers together: what they would need without sharing.
    pub bytes: Expr,
}

/// For each kernel the pairs of an input and an output, by their numbers among its buffers, that may be the same memory.
pub type InPlace = FxHashMap<Name, Vec<(usize, usize)>>;

impl Planned {
    /// Nothing planned.
    pub const NOTHING: Planned = Planned { buffers: 0, in_place: 0, arenas: vec![], bytes: Expr::ZERO };

    /// The most bytes of them that live at the same time, arena by arena.
    pub fn peak(&self, pool: &ExprPool) -> Expr {
        pool.sum(self.arenas.iter().map(|places| places.peak(pool, &Facts::default())))
    }
}

/// Plans the memory of each function of a module.
pub fn plan_memory(ctx: &Context, module: &mut Module) -> Vec<(Name, Planned)> {
    plan_memory_under(ctx, module, Rules::default())
}

pub(crate) fn plan_memory_under(ctx: &Context, module: &mut Module, rules: Rules<'_>) -> Vec<(Name, Planned)> {
    let name = |op: OpId| module.symbol_name(ctx, op).map(|name| ctx.name(name));
    let pairs = |op: OpId| Some((name(op)?, nim_loops::in_place(ctx, &module.body, op)));
    let kernels: InPlace = module.ops().filter_map(pairs).filter(|(_, pairs)| !pairs.is_empty()).collect();
    let functions = module.ops().filter(|&op| func::Func::is(ctx, &module.body, op));
    let functions: Vec<(Name, OpId)> = functions.filter_map(|op| Some((name(op)?, op))).collect();
    let mut done = vec![];
    for (name, op) in functions {
        if let Some(body) = module.body.nested_mut(op) {
            done.push((name, plan_function(ctx, body, &kernels, rules)));
        }
    }
    done
}

/// Plans the memory of a function that calls these kernels.
pub fn plan_function(ctx: &Context, body: &mut Body, kernels: &InPlace, rules: Rules<'_>) -> Planned {
    let mut planned = Planned::NOTHING;
    let Some(entry) = body.entry() else { return planned };
    let scopes = Scopes::new(ctx, body, entry);
    let (buffers, mut survey) = candidates(ctx, body);
    let known = buffers.into_iter().filter_map(|b| Some((scopes.anchor(ctx, body, &b)?, b))).collect();
    // In the order of the text.
    type Pool = (Device, Anchor);
    let (mut groups, mut order): (FxHashMap<Pool, Vec<Place>>, Vec<Pool>) = Default::default();
    for place in in_place::places(ctx, body, kernels, known, &mut survey, rules) {
        let pool = (place.device, place.anchor);
        if !groups.contains_key(&pool) {
            order.push(pool);
        }
        groups.entry(pool).or_default().push(place);
    }
    let taken = scopes.names(ctx);
    let mut names = (0usize..).map(|n| format!("at{n}")).filter(|name| !taken.contains(name.as_str()));
    for (device, anchor) in order {
        let group = &groups[&(device, anchor)];
        let buffers = || group.iter().flat_map(|place| &place.buffers);
        // One buffer alone is served by the pool as well.
        if buffers().count() < 2 {
            continue;
        }
        let inside = |op: OpId| buffers().any(|b| body.is_inside(b.alloc, op));
        let Some(first) = body.block_ops(anchor.block).find(|&op| inside(op)) else { continue };
        let symbols = group.iter().zip(&mut names).map(|(_, name)| ctx.exprs.symbol(&name)).collect();
        let places = Places { sizes: group.iter().map(|p| p.size).collect(), apart: apart(group), symbols };
        let bytes = ctx.exprs.sum(buffers().map(|b| b.size));
        let count = buffers().count();
        let (arena, offsets) = arena(&mut Builder::before(ctx, body, first), device, &places);
        for (place, offset) in group.iter().zip(offsets) {
            for buffer in &place.buffers {
                for view in views(ctx, body, buffer.alloc) {
                    let old = body.attr_named(ctx, view, "offset").and_then(|a| ctx.as_expr(a)).unwrap_or(Expr::ZERO);
                    body.set_attr(ctx, view, "offset", ctx.expr_attr(ctx.exprs.add(offset, old)));
                    body.set_operand(view, 0, arena);
                }
                body.erase(buffer.alloc);
            }
        }
        planned.buffers += count;
        planned.in_place += count - group.len();
        planned.bytes = ctx.exprs.add(planned.bytes, bytes);
        planned.arenas.push(places);
    }
    planned
}

/// Makes an arena; gives the offset of each buffer.
fn arena(builder: &mut Builder<'_>, device: Device, places: &Places) -> (ValueId, Vec<Expr>) {
    let ctx = builder.ctx;
    builder.loc = ctx.derived_loc(NAME, builder.loc);
    let numbers: Option<Vec<i64>> = places.sizes.iter().map(|&size| ctx.exprs.as_const(size)).collect();
    // What does not fit in memory fails where it is made, not here.
    let fits = |n: &i64| isize::try_from(*n).is_ok_and(|n| n < isize::MAX);
    let packing = numbers.map(|sizes| pack(&sizes, &places.apart, ALIGN)).filter(|packing| fits(&packing.size));
    let ty = nim_dyn::storage_type(ctx);
    let device = device.attr().map(|device| ("device", device));
    let (value, offsets) = match packing {
        Some(packing) => {
            let size = ctx.expr_attr(ctx.exprs.constant(packing.size));
            let offsets = packing.offsets.iter().map(|&at| ctx.exprs.constant(at)).collect();
            let attrs: Vec<_> = std::iter::once(("size", size)).chain(device).collect();
            (builder.value(Alloc::NAME, &[], ty, &attrs), offsets)
        }
        None => {
            let attrs: Vec<_> = places.attrs(ctx).into_iter().chain(device).collect();
            let value = builder.value(Arena::NAME, &[], ty, &attrs);
            (value, places.symbols.iter().map(|&s| ctx.exprs.var(s)).collect())
        }
    };
    let name = ctx.name("arena");
    builder.name_value(value, name);
    (value, offsets)
}

/// For each place those before it that it meets.
fn apart(places: &[Place]) -> Vec<Vec<u32>> {
    let meets = |i: usize| (0..i).filter(move |&j| places[i].meets(&places[j])).map(|j| j as u32).collect();
    (0..places.len()).map(meets).collect()
}

/// The views of an allocation.
fn views(ctx: &Context, body: &Body, alloc: OpId) -> Vec<OpId> {
    let uses = body.uses(body.result(alloc));
    uses.filter(|u| View::is(ctx, body, u.op)).map(|u| u.op).collect()
}
