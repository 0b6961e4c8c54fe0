//! The maximum of quantised numbers as a maximum of bytes.

use crate::fold::constant;
use crate::integer::{Centred, cast, centred, dims, is_single, made, scaled};
use nim_ir::OpState;
use nim_pass::{Miss, Site};
use nim_tensor::DType;

/// `max((q - z) * s)` is `(max(q) - z) * s`: neither difference nor product by a positive number, which is rounded, changes the order.
pub fn pool(site: &mut Site<'_>) -> Result<(), Miss> {
    const BYTES: Miss = Miss("the operand is no scaled byte");
    let (ctx, op) = (site.ctx, site.op);
    let body = &*site.body;
    let attr = |name: &str| body.attr_named(ctx, op, name);
    if attr("kind").and_then(|k| ctx.as_string(k)) != Some("max") {
        return Err(Miss("it takes no maximum"));
    }
    // A window with nothing in it has the least number of its type.
    let ints = |name: &str| attr(name).and_then(|a| ctx.as_ints(a)).unwrap_or_default();
    let (kernel, pads) = (ints("kernel"), ints("pads"));
    let dense = ints("dilations").iter().all(|&d| d == 1);
    let inside = pads.iter().enumerate().all(|(i, &p)| p == 0 || dense && p < kernel[i % kernel.len()]);
    if attr("output").is_some() || !inside {
        return Err(Miss("a window may lie in the padding"));
    }
    let (integer, scale) = scaled(ctx, body, body.operand(op, 0)).ok_or(BYTES)?;
    let Centred { byte, zero } = centred(ctx, body, integer).ok_or(BYTES)?;
    let one = |v| is_single(ctx, body, v);
    let positive = constant(ctx, body, scale).and_then(|t| t.to_f64s()).is_some_and(|s| s.iter().all(|&s| s > 0.0));
    if !one(scale) || !zero.is_none_or(one) || !positive {
        return Err(Miss("scale or zero point is not one number that is known to be positive"));
    }
    let shape = dims(ctx, body, body.result(op)).ok_or(BYTES)?;
    let ty = ctx.tensor_of(&shape, ctx.element_type(body.ty(byte)).ok_or(BYTES)?);
    site.fire()?;
    let mut state = OpState::of(site.body.op_name(op), site.loc()).operands(&[byte]).results(&[ty]);
    state.attrs = site.body.attrs(op).clone();
    let mut b = site.builder();
    let new = b.insert(state);
    let pooled = b.body.result(new);
    let mut wide = cast(&mut b, pooled, DType::I32)?;
    if let Some(zero) = zero {
        wide = made(&mut b, "graph.sub", &[wide, zero], &[])?;
    }
    let float = cast(&mut b, wide, DType::F32)?;
    let value = made(&mut b, "graph.mul", &[float, scale], &[])?;
    site.replace(value);
    Ok(())
}
