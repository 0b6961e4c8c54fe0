//! `act-simplify`: ops of `act` that can be fewer.

use crate::ops::{Clamp, LeakyRelu};
use nim_ir_macros::pass;
use nim_pass::{Miss, Site};
use nim_rewrite::rules;

rules! {
    /// In the order in which an op is tried.
    const RULES;

    "act-drop-linear", "a leaky relu of slope 1 is its operand": LeakyRelu { x, slope: 1.0 } => x;
    "act-join-clamps", "a clamp of a clamp is one":
        Clamp { x: Clamp { x, low: a, high: b }, low, high }
        => Clamp { x, low: a.max(low).min(high), high: b.max(low).min(high), ..op };
    "act-skip-slope", "what a clamp cuts off need not be scaled":
        Clamp { x: LeakyRelu { x, slope }, low }
            if slope >= 0.0, "a negative slope turns the sign"
            if low >= 0.0, "the clamp lets negative numbers through"
        => Clamp { x, ..op };
    "act-default-slope", "the slope that is meant without one is not written": [LeakyRelu::NAME] => default_slope;
}

fn default_slope(site: &mut Site<'_>) -> Result<(), Miss> {
    let (ctx, op) = (site.ctx, site.op);
    let written = LeakyRelu::slope(ctx, site.body, op).ok_or(Miss("no slope is written"))?;
    if ctx.as_float(written) != Some(f64::from(0.01f32)) {
        return Err(Miss("the slope is another one"));
    }
    site.fire()?;
    site.body.attrs_mut(op).remove(ctx.name("slope"));
    Ok(())
}

/// Join and drop ops of `act`.
#[pass(name = "act-simplify", rules = RULES)]
pub struct Simplify {}
