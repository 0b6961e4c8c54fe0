//! `act-simplify`: ops of `act` that can be fewer.

use crate::ops::{LeakyRelu, join_clamps};
use nim_ir::{Body, Diagnostic};
use nim_ir_macros::pass;
use nim_pass::{Miss, PassContext, PassReport, Rule, RuleSet, Site};

/// The rules, in the order in which an op is tried.
const RULES: &[Rule] = &[
    Rule::new("act-join-clamps", "a clamp of a clamp is one", &["act.clamp"], join_clamps),
    Rule::new("act-drop-linear", "a leaky relu of slope 1 is its operand", &["act.leaky_relu"], drop_linear),
];

fn drop_linear(site: &mut Site<'_>) -> Result<(), Miss> {
    let slope = LeakyRelu::slope(site.ctx, site.body, site.op).and_then(|a| site.ctx.as_float(a));
    if slope != Some(1.0) {
        return Err(Miss("the slope is not 1"));
    }
    site.fire()?;
    site.replace(LeakyRelu::x(site.ctx, site.body, site.op));
    Ok(())
}

/// Join and drop ops of `act`.
#[pass(name = "act-simplify", run = simplify, rules = RULES)]
pub struct Simplify {}

fn simplify(_: &Simplify, pass: &PassContext<'_>, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
    let (mut report, mut rules) = (PassReport::new(), RuleSet::new(pass.rules, RULES));
    for op in body.walk() {
        if let Some(rule) = rules.apply(pass.ctx, body, op) {
            report.count(rule, 1);
        }
    }
    Ok(report)
}
