//! How long buffers live.
//!
//! Ops are numbered in the order of the text. What is made in one way of a branch never meets what is made in the other. A value that is used in a loop, but comes from outside of it, lives to the
//! loop's end. Values that may refer to the same memory form a class and live together.

use nim_builtin::func;
use nim_dyn::{Alloc, Closure, Construct, If, Kill, Loop, Match, MatchCast, Reshape, Runtime, View, Yield};
use nim_dyn::{Device, device_attr};
use nim_ir::{Body, Context, Expr, OpId, TypeData, ValueId, verifier::operand_groups};
use rustc_hash::FxHashMap;

/// A buffer that may be placed in the arena.
#[derive(Clone, Debug)]
pub(super) struct Interval {
    /// Its allocation.
    pub(super) alloc: OpId,
    /// What stands for the class of values that may refer to it.
    pub(super) class: ValueId,
    /// Where it is.
    pub(super) device: Device,
    /// Bytes.
    pub(super) size: Expr,
    /// Number of the op where it begins to live.
    pub(super) begin: u32,
    /// Number of the last op that may look at it.
    pub(super) end: u32,
    /// The branches that the allocation stands in: each `dyn.if` or `dyn.match` with the number of the region.
    pub(super) branches: Vec<(OpId, usize)>,
}

impl Interval {
    /// True when both may live at some op.
    pub(super) fn meets(&self, other: &Interval) -> bool {
        self.begin <= other.end && other.begin <= self.end && !self.excludes(other)
    }

    /// True when the two are made in different ways of one branch. One of them is written then, never both, even where
    /// what the branch yields refers to either of them and lives on.
    fn excludes(&self, other: &Interval) -> bool {
        self.branches.iter().any(|(op, way)| other.branches.iter().any(|(o, w)| op == o && way != w))
    }
}

/// The branches around an op.
fn branches(ctx: &Context, body: &Body, op: OpId) -> Vec<(OpId, usize)> {
    let mut found = vec![];
    let mut inner = op;
    while let Some(outer) = body.parent_op(inner) {
        let region = body.block(inner).and_then(|b| body.block_region(b));
        if let Some(way) = body
            .regions(outer)
            .iter()
            .position(|&r| Some(r) == region)
            .filter(|_| If::is(ctx, body, outer) || Match::is(ctx, body, outer))
        {
            found.push((outer, way));
        }
        inner = outer;
    }
    found
}

/// Values that may refer to the same memory.
#[derive(Default)]
struct Classes {
    parent: FxHashMap<ValueId, ValueId>,
}

impl Classes {
    fn find(&mut self, v: ValueId) -> ValueId {
        let mut root = v;
        while let Some(&up) = self.parent.get(&root) {
            root = up;
        }
        // Shorten the way for the next time.
        let mut at = v;
        while let Some(&up) = self.parent.get(&at) {
            if up != root {
                self.parent.insert(at, root);
            }
            at = up;
        }
        root
    }
    fn join(&mut self, a: ValueId, b: ValueId) {
        let (a, b) = (self.find(a), self.find(b));
        if a != b {
            self.parent.insert(a, b);
        }
    }
}

/// Where ops stand, and what happens to the memory of values.
pub(super) struct Survey {
    /// Number of each op.
    pub(super) begin: FxHashMap<OpId, u32>,
    /// Number of the last op inside of it.
    end: FxHashMap<OpId, u32>,
    classes: Classes,
    /// All values of each class.
    members: FxHashMap<ValueId, Vec<ValueId>>,
    /// Values whose memory somebody may hold on to.
    escaping: Vec<ValueId>,
    /// What a loop's region yields as its next state, with the loop.
    carried: Vec<(ValueId, OpId)>,
}

/// All allocations that may share memory, with their lives, in the order of the text.
pub(super) fn candidates(ctx: &Context, body: &Body) -> (Vec<Interval>, Survey) {
    let ops = body.walk();
    let mut survey = Survey::new(ctx, body, &ops);
    let escaped: Vec<ValueId> = survey.escaping.clone().into_iter().map(|v| survey.classes.find(v)).collect();
    for &op in &ops {
        let args = body.regions(op).iter().flat_map(|&r| body.blocks(r)).flat_map(|&b| body.block_args(b));
        for &v in body.results(op).iter().chain(args) {
            let class = survey.classes.find(v);
            survey.members.entry(class).or_default().push(v);
        }
    }
    let mut found = vec![];
    for &op in &ops {
        if !Alloc::is(ctx, body, op) {
            continue;
        }
        let Some(size) = body.attr_named(ctx, op, "size").and_then(|a| ctx.as_expr(a)) else { continue };
        let device = device_attr(ctx, body, op).unwrap_or_default();
        let class = survey.classes.find(body.result(op));
        // A loop that is entered again writes the memory while the state of before is still read.
        let across = survey
            .carried
            .clone()
            .into_iter()
            .any(|(v, owner)| body.is_inside(op, owner) && survey.classes.find(v) == class);
        let plain = body.uses(body.result(op)).all(|u| View::is(ctx, body, u.op) || Kill::is(ctx, body, u.op));
        if escaped.contains(&class) || across || !plain {
            continue;
        }
        let begin = survey.begin[&op];
        let mut end = begin;
        for &v in survey.members.get(&class).map(Vec::as_slice).unwrap_or_default() {
            for u in body.uses(v) {
                if !Kill::is(ctx, body, u.op) {
                    end = end.max(survey.last_look(ctx, body, u.op, op));
                }
            }
        }
        found.push(Interval { alloc: op, class, device, size, begin, end, branches: branches(ctx, body, op) });
    }
    (found, survey)
}

impl Survey {
    /// The class of a value.
    pub(super) fn class(&mut self, v: ValueId) -> ValueId {
        self.classes.find(v)
    }
    /// The values of a class.
    pub(super) fn members(&self, class: ValueId) -> &[ValueId] {
        self.members.get(&class).map(Vec::as_slice).unwrap_or_default()
    }

    fn new(ctx: &Context, body: &Body, ops: &[OpId]) -> Survey {
        let mut survey = Survey {
            begin: ops.iter().enumerate().map(|(i, &op)| (op, i as u32)).collect(),
            end: FxHashMap::default(),
            classes: Classes::default(),
            members: FxHashMap::default(),
            escaping: vec![],
            carried: vec![],
        };
        for &op in ops {
            let at = survey.begin[&op];
            let mut around = Some(op);
            while let Some(outer) = around {
                survey.end.insert(outer, at);
                around = body.parent_op(outer);
            }
            survey.aliases(ctx, body, op);
        }
        survey
    }

    /// Takes note of which values of an op may be the same memory, and of those that get out of sight.
    fn aliases(&mut self, ctx: &Context, body: &Body, op: OpId) {
        let operands = body.operands(op);
        let results = body.results(op);
        match ctx.op_str(body.op_name(op)) {
            View::NAME | Reshape::NAME | MatchCast::NAME => self.classes.join(operands[0], results[0]),
            If::NAME | Match::NAME => {
                for &region in body.regions(op) {
                    for (&v, &result) in yielded(ctx, body, region).iter().zip(results) {
                        self.classes.join(v, result);
                    }
                }
            }
            Loop::NAME => {
                let carried = operand_groups(ctx, body, op).and_then(|g| g.get(2).cloned()).unwrap_or(0..0);
                let count = carried.len();
                let Some(&region) = body.regions(op).first() else { return };
                let args = body.entry_block(region).map(|b| body.block_args(b).to_vec()).unwrap_or_default();
                let skip = usize::from(body.attr_named(ctx, op, "has_condition").is_some());
                let next = yielded(ctx, body, region);
                for (i, &start) in operands[carried].iter().enumerate() {
                    for v in [args.get(i + 1), results.get(i), next.get(skip + i)].into_iter().flatten() {
                        self.classes.join(start, *v);
                    }
                }
                let state = next.get(skip..skip + count).unwrap_or_default();
                self.carried.extend(state.iter().map(|&v| (v, op)));
                // The condition is looked at when the next iteration begins.
                self.escaping.extend(next.get(..skip).unwrap_or_default());
            }
            // What values are made of lives as long as they do, wherever they go.
            func::Return::NAME | func::Call::NAME | func::CallIndirect::NAME | Construct::NAME | Closure::NAME => {
                self.escaping.extend_from_slice(&operands);
                self.escaping.extend_from_slice(results);
            }
            Runtime::NAME => {
                // Sequences and the like keep what is put into them.
                let plain = |&v: &ValueId| {
                    matches!(ctx.type_data(body.ty(v)), TypeData::MemRef { element, .. }
                    if !matches!(ctx.type_data(*element), TypeData::Dialect { .. }))
                };
                if !results.iter().all(plain) {
                    self.escaping.extend_from_slice(&operands);
                }
            }
            _ => {}
        }
    }

    /// The number of the op up to which a use of memory that is allocated by `alloc` keeps it alive: the end of the
    /// outermost loop around the use that the allocation is not in.
    fn last_look(&self, ctx: &Context, body: &Body, user: OpId, alloc: OpId) -> u32 {
        let mut last = self.begin[&user];
        let mut around = body.parent_op(user);
        while let Some(outer) = around {
            if body.is_inside(alloc, outer) {
                break;
            }
            if Loop::is(ctx, body, outer) {
                last = self.end[&outer];
            }
            around = body.parent_op(outer);
        }
        last
    }
}

fn yielded(ctx: &Context, body: &Body, region: nim_ir::RegionId) -> Vec<ValueId> {
    let end = body.entry_block(region).and_then(|b| body.last_op(b)).filter(|&op| Yield::is(ctx, body, op));
    end.map(|op| body.operands(op).to_vec()).unwrap_or_default()
}
