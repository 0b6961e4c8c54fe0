//! What a body costs, in scalar operations, and how often a reader reads each element.

use nim_dataflow::{MapView, iv_symbol, mentioned_ivs};
use nim_expr::ExprNode;
use nim_ir::{BlockId, Body, Context, Expr, OpId};
use nim_tensor::DType;

/// Operations of one run of a block: a sum or product counts 1, a division or root 4, other functions 10 and more.
/// Conversions, constants and indices are free; loads of computed places count 16.
pub fn body_cost(ctx: &Context, body: &Body, block: BlockId) -> u64 {
    body_cost_of(ctx, body, block, op_cost)
}

/// The sum of what `cost` says of the ops of a block.
pub fn body_cost_of(ctx: &Context, body: &Body, block: BlockId, cost: impl Fn(&str) -> u64) -> u64 {
    body.block_ops(block).map(|op| cost(ctx.op_str(body.op_name(op)))).sum()
}

/// True for ops that compute nothing: constants, indices, conversions, loads.
pub fn is_free(name: &str) -> bool {
    is_conversion(name) || matches!(name, "dataflow.yield" | "dataflow.index" | "dataflow.load" | "arith.constant")
}

/// The cost of one scalar op.
pub fn op_cost(name: &str) -> u64 {
    match name {
        "dataflow.yield" | "dataflow.index" | "arith.constant" => 0,
        // Seldom a vector operation.
        "dataflow.load" => 16,
        "arith.divf" | "arith.remf" | "math.sqrt" | "math.rsqrt" | "arith.divsi" | "arith.divui" | "arith.remsi"
        | "arith.remui" => 4,
        "math.absf" | "math.absi" | "math.copysign" | "math.floor" | "math.ceil" | "math.trunc" | "math.roundeven"
        | "math.fma" => 1,
        "math.powf" | "math.ipowi" | "math.erf" | "math.atan2" => 25,
        _ if name.starts_with("math.") => 10,
        _ if is_conversion(name) => 0,
        _ => 1,
    }
}

/// `arith` ops that only change the type of a number.
pub fn is_conversion(name: &str) -> bool {
    matches!(
        name,
        "arith.extf"
            | "arith.truncf"
            | "arith.extsi"
            | "arith.extui"
            | "arith.trunci"
            | "arith.sitofp"
            | "arith.uitofp"
            | "arith.fptosi"
            | "arith.fptoui"
            | "arith.bitcast"
            | "arith.index_cast"
            | "arith.index_castui"
    )
}

/// True for a body that yields what it reads and does nothing else.
pub fn only_moves(body: &Body, view: &MapView) -> bool {
    let Some(end) = view.body_yield(body) else { return false };
    let args = view.body_args(body);
    body.first_op(view.body) == Some(end) && body.operands(end).iter().all(|v| args.contains(v))
}

/// True for a body that widens what it reads, and does nothing else: cheaper to repeat than to store the wider numbers.
pub fn only_widens(ctx: &Context, body: &Body, view: &MapView) -> bool {
    let widens = |op: OpId| matches!(ctx.op_str(body.op_name(op)), "arith.extf" | "arith.extsi" | "arith.extui");
    let ops = view.body_ops(body);
    ops.len() == 1 && ops.into_iter().all(widens)
}

/// True for a map whose result takes more memory than what it reads, element for element.
pub fn stores_wider(ctx: &Context, body: &Body, view: &MapView) -> bool {
    let size = |ty| ctx.dtype_of(ty).map_or(0, |d| d.bits());
    let [write] = view.writes.as_slice() else { return false };
    let widest = view.reads.iter().map(|m| size(body.ty(m.value))).max();
    widest.is_some_and(|read| read < size(write.ty))
}

/// True for a map that makes bytes or short floats: where its result is stored, least is moved.
pub fn makes_narrow(ctx: &Context, view: &MapView) -> bool {
    let [write] = view.writes.as_slice() else { return false };
    ctx.dtype_of(write.ty).is_some_and(|d| matches!(d, DType::I8 | DType::U8 | DType::BF16 | DType::F16))
}

/// True for a body that only changes the type of what it reads.
pub fn only_converts(ctx: &Context, body: &Body, view: &MapView) -> bool {
    view.body_ops(body).into_iter().all(|op| is_conversion(ctx.op_str(body.op_name(op))))
}

/// True when a read at `subset` over this domain touches no element twice: each iteration variable (of more than one
/// value) decides some index alone, times a number that is not 0, plus what does not vary.
pub fn reads_once(ctx: &Context, subset: &[Expr], domain: &[Expr]) -> bool {
    let decides = |e: Expr, k: usize| {
        mentioned_ivs(ctx, e) == [k]
            && ctx
                .exprs
                .linear_in(e, iv_symbol(ctx, k))
                .is_some_and(|(factor, _)| ctx.exprs.as_const(factor).is_some_and(|c| c != 0))
    };
    (0..domain.len()).all(|k| ctx.exprs.as_const(domain[k]) == Some(1) || subset.iter().any(|&e| decides(e, k)))
}

/// True for sums of products of iteration variables, symbols and numbers: what addresses are made of.
pub fn is_affine(ctx: &Context, e: Expr) -> bool {
    match ctx.exprs.node(e) {
        ExprNode::Const(_) | ExprNode::Symbol(_) => true,
        ExprNode::Sum(parts) | ExprNode::Product(parts) => parts.iter().all(|&p| is_affine(ctx, p)),
        // A size may be any expression; only iteration variables must not be divided or compared.
        _ => mentioned_ivs(ctx, e).is_empty(),
    }
}
