//! Elements that kernels cannot hold, text and complex numbers: comparisons and casts are the runtime library's, and what only
//! moves such elements is done on their numbers.
//!
//! A transpose, slice, gather, choice, ... of text becomes the same op on positions: 0, 1, 2, ... for the elements of all
//! its operands in a row. The library then takes the elements at the positions that come out.

use nim_ir::{Body, Builder, Context, Expr, OpId, ValueId};
use nim_tensor::DType;

/// Ops that choose among elements and look at none.
const MOVES: &[&str] = &[
    "broadcast_to",
    "transpose",
    "concat",
    "slice",
    "pad",
    "gather",
    "gather_elements",
    "gather_nd",
    "scatter_elements",
    "scatter_nd",
    "select",
    "resize",
];

/// Whether kernels cannot hold the elements of a value.
fn is_opaque(ctx: &Context, body: &Body, v: ValueId) -> bool {
    matches!(ctx.dtype_of(body.ty(v)), Some(DType::String | DType::C64 | DType::C128))
}

/// Makes calls of the runtime library of ops on text and complex numbers, as far as it has functions for them.
pub fn lower_texts(ctx: &Context, body: &mut Body) {
    for op in body.walk() {
        let Some(name) = ctx.op_str(body.op_name(op)).strip_prefix("graph.") else { continue };
        if !body.operands(op).iter().chain(body.results(op)).any(|&v| is_opaque(ctx, body, v)) {
            continue;
        }
        let new = match name {
            "identity" => Some(body.operand(op, 0)),
            "compare" => compare(ctx, body, op),
            "cast" => Some(cast(ctx, body, op, "text.cast")),
            "bitcast" => Some(cast(ctx, body, op, "value.bitcast")),
            "resize" if body.attr_named(ctx, op, "mode").and_then(|a| ctx.as_string(a)) != Some("nearest") => None,
            _ if MOVES.contains(&name) => moved(ctx, body, op),
            _ => None,
        };
        if let Some(new) = new {
            let old = body.result(op);
            body.replace_all_uses(old, new);
            body.erase(op);
        }
    }
}

fn call(ctx: &Context, body: &mut Body, op: OpId, function: &str, operands: &[ValueId], ints: &[i64]) -> ValueId {
    let ty = body.ty(body.result(op));
    let mut b = Builder::before(ctx, body, op);
    let attrs = [("name", ctx.string_attr(function)), ("ints", ctx.i64_array(ints))];
    b.value("graph.runtime", operands, ty, &attrs)
}

fn compare(ctx: &Context, body: &mut Body, op: OpId) -> Option<ValueId> {
    let predicate = ctx.as_string(body.attr_named(ctx, op, "predicate")?)?;
    let number = ["eq", "ne", "lt", "le", "gt", "ge"].iter().position(|p| *p == predicate)?;
    let operands = body.operands(op).to_vec();
    Some(call(ctx, body, op, "text.compare", &operands, &[number as i64]))
}

fn cast(ctx: &Context, body: &mut Body, op: OpId, function: &str) -> ValueId {
    let dtype = ctx.dtype_of(body.ty(body.result(op))).unwrap_or(DType::String);
    let number = DType::ALL.iter().position(|d| *d == dtype).unwrap_or(0);
    let operands = body.operands(op).to_vec();
    call(ctx, body, op, function, &operands, &[number as i64])
}

/// The op on positions, then the elements at these.
fn moved(ctx: &Context, body: &mut Body, op: OpId) -> Option<ValueId> {
    let operands = body.operands(op).to_vec();
    let opaque: Vec<ValueId> = operands.iter().copied().filter(|&v| is_opaque(ctx, body, v)).collect();
    let name = ctx.op_str(body.op_name(op));
    // Reductions are of numbers, and what is put around must be said.
    let reduces = body.attr_named(ctx, op, "reduction").and_then(|a| ctx.as_string(a)).is_some_and(|r| r != "none");
    let mode = body.attr_named(ctx, op, "mode").and_then(|a| ctx.as_string(a));
    if reduces || name == "graph.pad" && mode == Some("constant") && operands.len() < 2 {
        return None;
    }
    let i64_type = ctx.int_type(64);
    let result = ctx.tensor_of(&ctx.dim_exprs(body.ty(body.result(op)))?, i64_type);
    let attrs: Vec<_> = body.attrs(op).iter().map(|(n, a)| (ctx.str(n), a)).collect();
    let mut b = Builder::before(ctx, body, op);
    let mut start = Expr::ZERO;
    let mut numbered = vec![];
    for &v in &operands {
        if !opaque.contains(&v) {
            numbered.push(v);
            continue;
        }
        let dims = ctx.dim_exprs(b.body.ty(v))?;
        let count = ctx.exprs.product(dims.iter().copied());
        let flat = ctx.tensor_of(&[count], i64_type);
        let iota = [("shape", ctx.exprs_attr(&[count])), ("axis", ctx.i64_attr(0)), ("type", ctx.type_attr(i64_type))];
        let numbers = b.value("graph.iota", &[], flat, &iota);
        let scalar = ctx.tensor_of(&[], i64_type);
        let first = [("exprs", ctx.exprs_attr(&[start])), ("scalar", ctx.bool_attr(true))];
        let first = b.value("graph.index", &[], scalar, &first);
        let numbers = b.value("graph.add", &[numbers, first], flat, &[]);
        let shape = [("shape", ctx.exprs_attr(&dims))];
        numbered.push(b.value("graph.reshape", &[numbers], ctx.tensor_of(&dims, i64_type), &shape));
        start = ctx.exprs.add(start, count);
    }
    let positions = b.value(name, &numbered, result, &attrs);
    let all: Vec<ValueId> = std::iter::once(positions).chain(opaque).collect();
    Some(call(ctx, body, op, "value.take", &all, &[]))
}
