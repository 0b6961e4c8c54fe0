//! `act-to-graph`: what the ops of `act` are in the words of `graph`.

use crate::ops::{Clamp, LeakyRelu, bounds};
use nim_graph::{Built, GraphBuilder};
use nim_ir::{Body, Builder, Diagnostic, OpId};
use nim_ir_macros::pass;
use nim_pass::{PassContext, PassReport};

/// Write ops of `act` with those of `graph`.
#[pass(name = "act-to-graph", run = lower, gives("no_dialect(act)"))]
pub struct ToGraph {
    /// choose with `graph.select`, not with `graph.max`: right for slopes above 1 too
    #[option(false)]
    select: bool,
}

fn lower(options: &ToGraph, pass: &PassContext<'_>, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
    let (mut report, mut errors) = (PassReport::new(), vec![]);
    for op in body.walk() {
        let lowered = if LeakyRelu::is(pass.ctx, body, op) {
            leaky_relu(options, pass, body, op)
        } else if Clamp::is(pass.ctx, body, op) {
            clamp(pass, body, op)
        } else {
            continue;
        };
        match lowered {
            Ok(value) => {
                let old = body.result(op);
                body.replace_all_uses(old, value);
                body.erase(op);
                report.count("ops lowered", 1);
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(report) } else { Err(errors) }
}

/// Builds ops of `graph` in front of an op; they say that they come from it.
fn builder<'a>(pass: &'a PassContext<'_>, body: &'a mut Body, op: OpId) -> GraphBuilder<'a> {
    let mut builder = Builder::before(pass.ctx, body, op);
    builder.loc = pass.derived(builder.loc);
    GraphBuilder::new(builder)
}

fn leaky_relu(options: &ToGraph, pass: &PassContext<'_>, body: &mut Body, op: OpId) -> Built {
    let x = LeakyRelu::x(pass.ctx, body, op);
    let slope = LeakyRelu::slope(pass.ctx, body, op).and_then(|a| pass.ctx.as_float(a)).unwrap_or(0.01);
    let mut g = builder(pass, body, op);
    if slope > 1.0 && !options.select {
        let message = format!("a slope of {slope} cannot be lowered to a maximum");
        return Err(g.error("T0002", message).help("act-to-graph{select}"));
    }
    let below = g.with_scalar("mul", x, slope)?;
    if !options.select {
        return g.binary("max", x, below);
    }
    let zero = g.like(x, 0.0)?;
    let negative = g.compare("lt", x, zero)?;
    g.select(negative, below, x)
}

fn clamp(pass: &PassContext<'_>, body: &mut Body, op: OpId) -> Built {
    let x = Clamp::x(pass.ctx, body, op);
    let [low, high] = bounds(pass.ctx, body, op);
    let mut g = builder(pass, body, op);
    let raised = g.with_scalar("max", x, low)?;
    g.with_scalar("min", raised, high)
}
