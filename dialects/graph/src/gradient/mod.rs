//! Reverse-mode derivatives of what a builder has built.
//!
//! [`GraphBuilder::gradients`] walks back from a value to those it is derived by and makes the ops of the backward pass.
//! What an op adds to the derivatives of its operands stands in [`elementwise`], [`contraction`], [`movement`] and
//! [`indexing`], one rule an op, found by name. Where a function has no derivative (the sign at 0, the maximum of equals) a
//! subgradient is taken. Control flow, resizing and sorting have no rule.

mod contraction;
mod elementwise;
mod indexing;
mod movement;

use crate::build::{Built, GraphBuilder};
use nim_ir::{Expr, OpId, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};

/// One op of the forward pass.
pub(crate) struct Forward {
    pub op: OpId,
    /// Its operands.
    pub x: Vec<ValueId>,
    /// Its result.
    pub y: ValueId,
}

/// What an op adds to the derivative by each operand, given that by its result; nothing where there is none.
type Rule = fn(&mut GraphBuilder<'_>, &Forward, ValueId) -> Built<Vec<Option<ValueId>>>;

/// Ops whose result does not change with their operands, or jumps: integers and truth values, sizes, random numbers.
const CONSTANT: &[&str] = &[
    "graph.and",
    "graph.arg_reduce",
    "graph.bernoulli",
    "graph.bitcast",
    "graph.bitwise_and",
    "graph.bitwise_not",
    "graph.bitwise_or",
    "graph.bitwise_xor",
    "graph.ceil",
    "graph.compare",
    "graph.constant",
    "graph.floor",
    "graph.index",
    "graph.iota",
    "graph.isinf",
    "graph.isnan",
    "graph.not",
    "graph.or",
    "graph.random",
    "graph.range",
    "graph.round",
    "graph.shape_of",
    "graph.shl",
    "graph.shr",
    "graph.sign",
    "graph.xor",
];

fn rule(name: &str) -> Option<Rule> {
    let families = [elementwise::RULES, contraction::RULES, movement::RULES, indexing::RULES];
    families.into_iter().flatten().find(|(n, _)| *n == name).map(|(_, rule)| *rule)
}

/// True for ops that a derivative passes through, or that are constant for it.
pub fn is_differentiable(name: &str) -> bool {
    CONSTANT.contains(&name) || rule(name).is_some()
}

impl GraphBuilder<'_> {
    /// The derivatives of the sum of the elements of `y` by `xs`, each shaped as its `x`; zeros where `y` does not depend
    /// on it.
    ///
    /// # Errors
    /// N0414: on the way from an `x` to `y` stands an op without a derivative, or a size of which it is not known whether it
    /// was broadcast.
    pub fn gradients(&mut self, y: ValueId, xs: &[ValueId]) -> Built<Vec<ValueId>> {
        let path = self.ops_between(xs, y);
        let mut adjoints: FxHashMap<ValueId, ValueId> = FxHashMap::default();
        let one = self.like(y, 1.0)?;
        let shape = self.dims(y)?;
        adjoints.insert(y, self.broadcast_to(one, &shape)?);
        for op in path.into_iter().rev() {
            let name = self.ctx().op_str(self.b.body.op_name(op)).to_string();
            let results = self.b.body.results(op).to_vec();
            let reached: Vec<ValueId> = results.iter().filter_map(|r| adjoints.get(r).copied()).collect();
            if CONSTANT.contains(&name.as_str()) || reached.is_empty() {
                continue;
            }
            let outer = std::mem::replace(&mut self.b.loc, self.b.body.loc(op));
            let (Some(rule), &[result], &[adjoint]) = (rule(&name), results.as_slice(), reached.as_slice()) else {
                return Err(self.error("N0414", format!("{name} has no derivative here")));
            };
            let forward = Forward { op, x: self.b.body.operands(op).to_vec(), y: result };
            let parts = rule(self, &forward, adjoint)?;
            for (&x, part) in forward.x.iter().zip(parts) {
                let Some(part) = part else { continue };
                let sum = match adjoints.get(&x) {
                    Some(&so_far) => self.binary("add", so_far, part)?,
                    None => part,
                };
                adjoints.insert(x, sum);
            }
            self.b.loc = outer;
        }
        let mut found = vec![];
        for &x in xs {
            found.push(match adjoints.get(&x) {
                Some(&adjoint) => adjoint,
                None => {
                    let (zero, shape) = (self.like(x, 0.0)?, self.dims(x)?);
                    self.broadcast_to(zero, &shape)?
                }
            });
        }
        Ok(found)
    }

    /// The ops through which `y` depends on `xs`, in an order in which operands come first. What `xs` are made of does not
    /// count.
    pub fn ops_between(&self, xs: &[ValueId], y: ValueId) -> Vec<OpId> {
        let body = &*self.b.body;
        let ends: FxHashSet<ValueId> = xs.iter().copied().collect();
        // Operands first, without recursion: an op is left when its operands have been.
        let (mut order, mut seen) = (vec![], FxHashSet::default());
        let mut stack = vec![(y, false)];
        while let Some((v, done)) = stack.pop() {
            let Some(op) = body.defining_op(v).filter(|_| !ends.contains(&v)) else { continue };
            if done {
                order.push(op);
            } else if seen.insert(op) {
                stack.push((v, true));
                stack.extend(body.operands(op).iter().map(|&operand| (operand, false)));
            }
        }
        let mut depends: FxHashSet<ValueId> = ends;
        order.retain(|&op| {
            let active = body.operands(op).iter().any(|v| depends.contains(v));
            if active {
                depends.extend(body.results(op));
            }
            active
        });
        order
    }

    /// Sums what was broadcast: a value of a result's shape as one of an operand's.
    pub(crate) fn unbroadcast(&mut self, mut g: ValueId, shape: &[Expr]) -> Built {
        let from = self.dims(g)?;
        let Some(new) = from.len().checked_sub(shape.len()) else { return self.broadcast_to(g, shape) };
        let leading: Vec<usize> = (0..new).collect();
        if new > 0 {
            g = self.reduce("sum", g, &leading, false)?;
        }
        let mut summed = vec![];
        for (axis, (&own, &wide)) in shape.iter().zip(&from[new..]).enumerate() {
            match (own == wide, self.ctx().exprs.as_const(own)) {
                (true, _) => {}
                (false, Some(1)) => summed.push(axis),
                // A number beats a symbol: the result has it because the operand has it, or the symbol is 1.
                (false, Some(_)) => {}
                (false, None) => {
                    let (a, b) = (self.ctx().exprs.display(own).to_string(), self.ctx().exprs.display(wide));
                    return Err(self
                        .error("N0414", format!("a derivative needs to know whether size {a} was broadcast to {b}")));
                }
            }
        }
        if !summed.is_empty() {
            g = self.reduce("sum", g, &summed, true)?;
        }
        if self.dims(g)? == shape { Ok(g) } else { self.reshape(g, shape) }
    }
    /// As [`GraphBuilder::unbroadcast`] to the shape of a value.
    pub(crate) fn unbroadcast_like(&mut self, g: ValueId, x: ValueId) -> Built {
        let shape = self.dims(x)?;
        self.unbroadcast(g, &shape)
    }
    /// Zeros, shaped as a value.
    pub(crate) fn zeros_like(&mut self, x: ValueId) -> Built {
        let (zero, shape) = (self.like(x, 0.0)?, self.dims(x)?);
        self.broadcast_to(zero, &shape)
    }
}

impl Forward {
    /// An integer attribute.
    pub fn int(&self, g: &GraphBuilder<'_>, name: &str, default: i64) -> i64 {
        g.b.body.attr_named(g.ctx(), self.op, name).and_then(|a| g.ctx().as_int(a)).unwrap_or(default)
    }
    /// A truth value.
    pub fn flag(&self, g: &GraphBuilder<'_>, name: &str) -> bool {
        g.b.body.attr_named(g.ctx(), self.op, name).and_then(|a| g.ctx().as_bool(a)).unwrap_or(false)
    }
    /// A list of integers.
    pub fn ints(&self, g: &GraphBuilder<'_>, name: &str) -> Option<Vec<i64>> {
        g.b.body.attr_named(g.ctx(), self.op, name).and_then(|a| g.ctx().as_ints(a))
    }
    /// A list of expressions.
    pub fn exprs(&self, g: &GraphBuilder<'_>, name: &str) -> Vec<Expr> {
        g.b.body.attr_named(g.ctx(), self.op, name).and_then(|a| g.ctx().as_exprs(a)).unwrap_or_default()
    }
    /// A word.
    pub fn word<'a>(&self, g: &GraphBuilder<'a>, name: &str) -> &'a str {
        g.b.body.attr_named(g.ctx(), self.op, name).and_then(|a| g.ctx().as_string(a)).unwrap_or("")
    }
    /// Why this op cannot be differentiated.
    pub fn refused<T>(&self, g: &GraphBuilder<'_>, why: &str) -> Built<T> {
        let name = g.ctx().op_str(g.b.body.op_name(self.op));
        Err(g.error("N0414", format!("{name} has no derivative here: {why}")))
    }
}
