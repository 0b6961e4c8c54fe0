//! Copies between devices: each as far out of loops as what it copies allows, one for all who want it.

use super::domains::{Domains, Key, Purpose, Use};
use nim_dyn::{Alloc, Constant, Copy, Device, Loop, View};
use nim_ir::{Body, Builder, Context, Diagnostic, Expr, OpId, Type, ValueId};
use rustc_hash::FxHashMap;

/// A copy that was put in.
#[derive(Clone, Debug)]
pub(super) struct Copied {
    /// What is copied.
    pub(super) value: ValueId,
    pub(super) from: Device,
    pub(super) to: Device,
    /// The op that wants it, or the loop around it that it was taken out of.
    pub(super) before: OpId,
    /// Loops that it was taken out of.
    pub(super) hoisted: usize,
    /// Operands that use it.
    pub(super) uses: usize,
    /// It is a constant that is put on the device once, when the program is loaded.
    pub(super) constant: bool,
    new: ValueId,
}

/// A use on another device than where the value is.
#[derive(Copy, Clone)]
struct Wanted {
    op: OpId,
    operand: usize,
    value: ValueId,
    to: Device,
    /// In front of which op the copy may stand at the earliest.
    before: OpId,
    hoisted: usize,
}

/// Inserts the copies of one function.
pub(super) struct Inserter<'a, 'b> {
    ctx: &'a Context,
    domains: &'a mut Domains<'b>,
    function: usize,
    /// Ops in the order of the text, and the last op inside of each.
    begin: FxHashMap<OpId, u32>,
    end: FxHashMap<OpId, u32>,
    /// Numbers of ops that write, with the domain that they write to.
    writes: Vec<(u32, usize)>,
    done: Vec<Copied>,
    found: Vec<Diagnostic>,
}

impl<'a, 'b> Inserter<'a, 'b> {
    pub(super) fn new(ctx: &'a Context, domains: &'a mut Domains<'b>, function: usize, body: &Body) -> Self {
        let (mut begin, mut end) = (FxHashMap::default(), FxHashMap::default());
        for (at, op) in body.walk().into_iter().enumerate() {
            begin.insert(op, at as u32);
            let mut around = Some(op);
            while let Some(outer) = around {
                end.insert(outer, at as u32);
                around = body.parent_op(outer);
            }
        }
        let writes = domains.writes.iter().filter(|w| w.0 == function).map(|w| (begin[&w.1], w.2)).collect();
        Inserter { ctx, domains, function, begin, end, writes, done: vec![], found: vec![] }
    }

    pub(super) fn run(mut self, body: &mut Body) -> Result<Vec<Copied>, Vec<Diagnostic>> {
        let uses: Vec<(Use, usize, Purpose)> =
            self.domains.uses.iter().filter(|(at, ..)| at.function == self.function).copied().collect();
        let mut wanted = vec![];
        for (at, _, purpose) in uses {
            let value = body.operand(at.op, at.operand);
            let to = match purpose {
                Purpose::Read(device) => device,
                Purpose::Flow(to) => self.domains.home_of_node(to).map_or(Device::HOST, |home| home.device),
            };
            if self.domains.home(Key::Value(self.function, value)) != to {
                let (before, hoisted) = self.earliest(body, value, at.op);
                wanted.push(Wanted { op: at.op, operand: at.operand, value, to, before, hoisted });
            }
        }
        // What stands further out serves what is further in.
        let depth = |w: &Wanted| std::iter::successors(Some(w.before), |&op| body.parent_op(op)).count();
        let mut wanted: Vec<(usize, Wanted)> = wanted.into_iter().map(|w| (depth(&w), w)).collect();
        wanted.sort_by_key(|(depth, w)| (*depth, self.begin[&w.before], self.begin[&w.op], w.operand));
        let wanted: Vec<Wanted> = wanted.into_iter().map(|(_, w)| w).collect();
        for (i, w) in wanted.iter().enumerate() {
            let known = (0..self.done.len()).find(|&k| {
                let c = &self.done[k];
                (c.value, c.to) == (w.value, w.to) && (c.constant || self.serves(body, c.before, w))
            });
            let k = match known {
                Some(k) => k,
                None => {
                    let before = self.shared_place(body, w, &wanted[i + 1..]);
                    let Some(copied) = self.insert(body, &Wanted { before, ..*w }) else { continue };
                    self.done.push(copied);
                    self.done.len() - 1
                }
            };
            self.done[k].uses += 1;
            body.set_operand(w.op, w.operand, self.done[k].new);
        }
        if self.found.is_empty() { Ok(self.done) } else { Err(self.found) }
    }

    /// True when something between two places in the text may write to a value.
    fn is_written(&mut self, value: ValueId, range: std::ops::Range<u32>) -> bool {
        let node = self.domains.node_of(Key::Value(self.function, value));
        let between: Vec<usize> = self.writes.iter().filter(|w| range.contains(&w.0)).map(|w| w.1).collect();
        between.into_iter().any(|other| node.is_some_and(|node| self.domains.may_alias(node, other)))
    }

    /// The place of a copy for this op: before it, or before the outermost loop around that neither makes the value nor writes
    /// to it. A branch within such a loop does not hold it back.
    fn earliest(&mut self, body: &Body, value: ValueId, user: OpId) -> (OpId, usize) {
        let made = body.value_block(value).and_then(|b| body.block_region(b)).and_then(|r| body.region_parent(r));
        let (mut best, mut hoisted, mut loops, mut at) = (user, 0, 0, user);
        while let Some(outer) = body.parent_op(at).filter(|&outer| !made.is_some_and(|op| body.is_inside(op, outer))) {
            if Loop::is(self.ctx, body, outer) {
                if self.is_written(value, self.begin[&outer]..self.end[&outer] + 1) {
                    break;
                }
                loops += 1;
                (best, hoisted) = (outer, loops);
            }
            at = outer;
        }
        (best, hoisted)
    }

    /// True when a copy before `place` has what a use wants: it is made before it in any case, and nothing is written in between.
    fn serves(&mut self, body: &Body, place: OpId, w: &Wanted) -> bool {
        let Some(block) = body.block(place) else { return false };
        let Some(at) = body.ancestor_in(w.op, block) else { return false };
        if at != place && !body.is_before(place, at) {
            return false;
        }
        let mut until = self.begin[&w.op];
        let mut outer = body.parent_op(w.op);
        while let Some(op) = outer.filter(|&op| !body.is_inside(place, op)) {
            if Loop::is(self.ctx, body, op) {
                until = self.end[&op] + 1;
            }
            outer = body.parent_op(op);
        }
        !self.is_written(w.value, self.begin[&place]..until)
    }

    /// Where a copy stands that will be made for a use in any case: further up, if that serves those that stand in
    /// branches before it too.
    fn shared_place(&mut self, body: &Body, w: &Wanted, others: &[Wanted]) -> OpId {
        let mut best = w.before;
        let Some(block) = body.block(best) else { return best };
        for other in others.iter().filter(|o| (o.value, o.to) == (w.value, w.to)) {
            let Some(above) = body.ancestor_in(other.before, block) else { continue };
            if body.is_before(above, best) && self.serves(body, above, w) && self.serves(body, above, other) {
                best = above;
            }
        }
        best
    }

    fn insert(&mut self, body: &mut Body, w: &Wanted) -> Option<Copied> {
        let ctx = self.ctx;
        let from = self.domains.home(Key::Value(self.function, w.value));
        let ty = w.to.place(ctx, body.ty(w.value));
        let name = body.value_name(w.value).map(|name| ctx.name(&format!("{}_{}", ctx.str(name), w.to.name(ctx))));
        let source = body.defining_op(w.value).filter(|&op| Constant::is(ctx, body, op));
        let new = match source {
            Some(source) => {
                let value = body.attr_named(ctx, source, "value")?;
                let mut builder = Builder::after(ctx, body, source);
                builder.loc = ctx.derived_loc(super::NAME, builder.loc);
                let mut attrs = vec![("value", value)];
                attrs.extend(w.to.attr().map(|device| ("device", device)));
                builder.value(Constant::NAME, &[], ty, &attrs)
            }
            None => {
                let Some(size) = bytes(ctx, ty) else {
                    let ty = ctx.display_type(ty);
                    let message = format!("a copy of {ty} to {} has no size that is known", w.to.describe(ctx));
                    self.found.push(Diagnostic::error("N0725", body.loc(w.op), message));
                    return None;
                };
                let mut builder = Builder::before(ctx, body, w.before);
                builder.loc = ctx.derived_loc(super::NAME, builder.loc);
                let mut attrs = vec![("size", ctx.expr_attr(size))];
                attrs.extend(w.to.attr().map(|device| ("device", device)));
                let storage = builder.value(Alloc::NAME, &[], nim_dyn::storage_type(ctx), &attrs);
                let zero = ctx.expr_attr(Expr::ZERO);
                let new = builder.value(View::NAME, &[storage], ty, &[("offset", zero)]);
                builder.op(Copy::NAME, &[w.value, new], &[], &[]);
                new
            }
        };
        body.set_value_name(new, name);
        let hoisted = if source.is_some() { 0 } else { w.hoisted };
        let (value, to, before, constant) = (w.value, w.to, w.before, source.is_some());
        Some(Copied { value, from, to, before, hoisted, uses: 0, constant, new })
    }
}

/// Bytes of a buffer of this type.
fn bytes(ctx: &Context, ty: Type) -> Option<Expr> {
    let (dims, element) = (ctx.dim_exprs(ty)?, ctx.dtype_of(ty)?);
    Some(ctx.exprs.product(dims.into_iter().chain([ctx.exprs.constant(element.size() as i64)])))
}
