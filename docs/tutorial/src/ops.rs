//! The dialect `act`: activation functions that `graph` has no op for.

use nim_ir::{Body, Context, Diagnostic, OpId};
use nim_ir_macros::{dialect, op};

/// The operand where it is not negative, `slope` times it below zero.
#[op(name = "act.leaky_relu", traits(Pure, SameOperandsAndResultType))]
pub struct LeakyRelu {
    /// operand
    x: Operand<FLOAT_TENSOR>,
    /// factor below zero
    #[attr(Float, default = "1.000000e-02 : f32")]
    slope: Default,
    /// result
    y: Result<FLOAT_TENSOR>,
}

/// The operand, but not below `low` and not above `high`.
#[op(name = "act.clamp", traits(Pure, SameOperandsAndResultType), verify = bounds_in_order,
     format = "$x `from` $low `to` $high attr-dict `:` type($y)")]
pub struct Clamp {
    /// operand
    x: Operand<FLOAT_TENSOR>,
    /// least value of the result
    #[attr(Float)]
    low: Required,
    /// largest value of the result
    #[attr(Float)]
    high: Required,
    /// result
    y: Result<FLOAT_TENSOR>,
}

fn bounds_in_order(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let [low, high] = bounds(ctx, body, op);
    if low > high {
        let message = format!("`low` is {low}, above `high`, which is {high}");
        found.push(Diagnostic::error("T0001", body.loc(op), message).help("swap the two"));
    }
}

/// The bounds of a clamp; the verifier of the table has seen to it that they are there.
pub fn bounds(ctx: &Context, body: &Body, op: OpId) -> [f64; 2] {
    [Clamp::low(ctx, body, op), Clamp::high(ctx, body, op)].map(|a| a.and_then(|a| ctx.as_float(a)).unwrap_or(0.0))
}

dialect! {
    /// The dialect's tables.
    pub static ACT: "act", "Activation functions.",
    ops[LeakyRelu, Clamp]
}
