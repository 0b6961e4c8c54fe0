//! Buffers that take the place of another one: what a kernel makes of its operand, where the operand is not needed any more.

use super::InPlace;
use super::liveness::{Interval, Survey};
use super::scopes::Anchor;
use nim_dyn::{Device, Invoke, Kill, View};
use nim_ir::{Body, Context, Expr, OpId, ValueId, verifier::operand_groups};
use nim_pass::{RuleInfo, Rules};
use rustc_hash::FxHashMap;

/// The rule: held back, the result has memory of its own.
pub(crate) const TAKE_PLACE: RuleInfo = RuleInfo {
    name: "take-place",
    description: "what a kernel makes takes the place of an operand that is not needed any more",
};

/// Memory that serves one buffer after the other, each made of the one before.
#[derive(Debug)]
pub(super) struct Place {
    /// Bytes of each of them.
    pub(super) size: Expr,
    /// Where it is.
    pub(super) device: Device,
    /// Where the size is known.
    pub(super) anchor: Anchor,
    /// The buffers in order.
    pub(super) buffers: Vec<Interval>,
}

impl Place {
    /// True when both may hold something at some op.
    pub(super) fn meets(&self, other: &Place) -> bool {
        self.buffers.iter().any(|a| other.buffers.iter().any(|b| a.meets(b)))
    }
}

/// Gives each buffer a place, one that it takes over where it can.
pub(super) fn places(
    ctx: &Context,
    body: &Body,
    kernels: &InPlace,
    buffers: Vec<(Anchor, Interval)>,
    survey: &mut Survey,
    rules: Rules<'_>,
) -> Vec<Place> {
    // What makes each buffer: the buffer of its class, if there is just one.
    let mut of_class: FxHashMap<ValueId, Option<usize>> = FxHashMap::default();
    for (i, (_, buffer)) in buffers.iter().enumerate() {
        of_class.entry(buffer.class).and_modify(|known| *known = None).or_insert(Some(i));
    }
    let mut source: FxHashMap<usize, usize> = FxHashMap::default();
    for op in body.walk().into_iter().filter(|&op| Invoke::is(ctx, body, op)) {
        let callee = Invoke::callee(ctx, body, op).and_then(|a| ctx.as_symbol_ref(a));
        let Some(pairs) = callee.and_then(|name| kernels.get(&name)) else { continue };
        let classes: Vec<ValueId> = body.operands(op).iter().map(|&v| survey.class(v)).collect();
        let inputs = operand_groups(ctx, body, op).and_then(|g| Some(g.first()?.len())).unwrap_or(0);
        let mut used = vec![];
        for &(input, output) in pairs {
            let buffer = |operand: usize| of_class.get(classes.get(operand)?).copied().flatten();
            let (Some(from), Some(to)) = (buffer(input), buffer(output)) else { continue };
            let ((anchor, a), (other, b)) = (&buffers[from], &buffers[to]);
            // Whatever else refers to the same memory must be as careful.
            let all = classes[..inputs].iter().enumerate().filter(|(_, c)| **c == a.class);
            let careful = all.map(|(i, _)| i).all(|i| pairs.contains(&(i, output)));
            let fits = anchor == other && (a.device, a.size) == (b.device, b.size) && a.end == survey.begin[&op];
            if input < inputs
                && inputs <= output
                && fits
                && careful
                && !used.contains(&from)
                && !source.contains_key(&to)
                && begins_here(ctx, body, survey, b, op)
                && [a, b].into_iter().all(|x| is_whole(ctx, body, x))
                && rules.may(TAKE_PLACE.name, ctx, body, op)
            {
                used.push(from);
                source.insert(to, from);
            }
        }
    }
    let (mut places, mut home): (Vec<Place>, Vec<usize>) = (vec![], vec![]);
    for (i, (anchor, buffer)) in buffers.into_iter().enumerate() {
        // A source begins before what is made of it.
        let place = source.get(&i).and_then(|&from| home.get(from).copied()).unwrap_or(places.len());
        home.push(place);
        match places.get_mut(place) {
            Some(known) => known.buffers.push(buffer),
            None => places.push(Place { device: buffer.device, size: buffer.size, anchor, buffers: vec![buffer] }),
        }
    }
    places
}

/// The op is the first that does anything with a buffer, and runs as often as the buffer is made.
fn begins_here(ctx: &Context, body: &Body, survey: &Survey, buffer: &Interval, op: OpId) -> bool {
    let looks = |user: OpId| !View::is(ctx, body, user) && !Kill::is(ctx, body, user);
    body.block(buffer.alloc) == body.block(op)
        && survey
            .members(buffer.class)
            .iter()
            .all(|&v| body.uses(v).all(|u| !looks(u.op) || survey.begin[&u.op] >= survey.begin[&op]))
}

/// All views of a buffer's memory begin where it begins.
fn is_whole(ctx: &Context, body: &Body, buffer: &Interval) -> bool {
    body.uses(body.result(buffer.alloc))
        .filter(|u| View::is(ctx, body, u.op))
        .all(|u| body.attr_named(ctx, u.op, "offset").and_then(|a| ctx.as_expr(a)) == Some(Expr::ZERO))
}
