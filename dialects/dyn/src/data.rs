//! Memory, buffers, symbols and guards.

use crate::{Bind, Device, Index};
use nim_builtin::syntax::{attr, print_attrs, set, unknown_word};
use nim_ir::{
    Body, Context, Diagnostic, Dim, InferInput, OpId, OpState, Type, TypeData, ValueId,
    syntax::{AsmParser, AsmPrinter, Parse},
};

fn expr_attr(p: &mut dyn AsmParser, state: &mut OpState, name: &str) -> Parse<()> {
    let expr = p.expr()?;
    let expr = p.ctx().expr_attr(expr);
    set(p, state, name, expr);
    Ok(())
}

fn print_expr(p: &mut dyn AsmPrinter, op: OpId, name: &str) {
    if let Some(expr) = attr(p, op, name).and_then(|a| p.ctx().as_expr(a)) {
        p.expr(expr);
    }
}

fn print_type_of(p: &mut dyn AsmPrinter, value: ValueId) {
    let ty = p.body().ty(value);
    p.ty(ty);
}

/// `on "npu"`, for what is not on the host.
pub(crate) fn parse_device(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    if p.accept("on") {
        let device = p.string()?;
        let device = p.ctx().string_attr(&device);
        set(p, state, "device", device);
    }
    Ok(())
}

pub(crate) fn print_device(p: &mut dyn AsmPrinter, op: OpId) {
    if let Some(device) = attr(p, op, "device") {
        p.text(" on ");
        p.attr(device);
    }
}

/// `4*N on "npu"`
pub(crate) fn parse_alloc(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    expr_attr(p, state, "size")?;
    parse_device(p, state)?;
    p.attr_dict(&mut state.attrs)?;
    state.results = vec![crate::storage_type(p.ctx())];
    Ok(())
}

pub(crate) fn print_alloc(p: &mut dyn AsmPrinter, op: OpId) {
    p.text(" ");
    print_expr(p, op, "size");
    print_device(p, op);
    print_attrs(p, op, &["size", "device"]);
}

pub(crate) fn verify_alloc(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let size = body.attr_named(ctx, op, "size").and_then(|a| ctx.as_expr(a)).and_then(|e| ctx.exprs.as_const(e));
    if let Some(size) = size.filter(|&s| s < 0) {
        found.push(Diagnostic::error("N0581", body.loc(op), format!("memory of {size} bytes")));
    }
}

/// `%s[256] : memref<..>`
pub(crate) fn parse_view(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let storage = p.operand()?;
    p.expect("[")?;
    expr_attr(p, state, "offset")?;
    p.expect("]")?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    state.results = vec![p.ty()?];
    let ty = crate::storage_type(p.ctx());
    state.operands = vec![p.resolve(storage, ty)?];
    Ok(())
}

pub(crate) fn print_view(p: &mut dyn AsmPrinter, op: OpId) {
    let (storage, result) = (p.body().operand(op, 0), p.body().result(op));
    p.text(" ");
    p.value(storage);
    p.text("[");
    print_expr(p, op, "offset");
    p.text("]");
    print_attrs(p, op, &["offset"]);
    p.text(" : ");
    print_type_of(p, result);
}

/// `%x, "input `x`" : memref<..>`
pub(crate) fn parse_check(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let source = p.operand()?;
    p.expect(",")?;
    let what = p.string()?;
    let what = p.ctx().string_attr(&what);
    set(p, state, "what", what);
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let ty = p.ty()?;
    state.operands = vec![p.resolve(source, ty)?];
    Ok(())
}

pub(crate) fn print_check(p: &mut dyn AsmPrinter, op: OpId) {
    let source = p.body().operand(op, 0);
    p.text(" ");
    p.value(source);
    p.text(", ");
    if let Some(what) = attr(p, op, "what") {
        p.attr(what);
    }
    print_attrs(p, op, &["what"]);
    p.text(" : ");
    print_type_of(p, source);
}

/// The row-major memref of a tensor type.
fn buffer_of(ctx: &Context, ty: Type) -> Option<Type> {
    match ctx.type_data(ty) {
        TypeData::Tensor { dims, element, .. } => {
            Some(ctx.ty(TypeData::MemRef { dims: dims.clone(), element: *element, layout: None, space: None }))
        }
        _ => None,
    }
}

pub(crate) fn infer_constant(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    let value = input.attrs.get(input.ctx.name("value"));
    let ty = value.and_then(|a| nim_builtin::arith::type_of_attr(input.ctx, a)).and_then(|t| buffer_of(input.ctx, t));
    let device = input.attrs.get(input.ctx.name("device")).and_then(|a| input.ctx.as_string(a));
    let device = device.map_or(Device::HOST, |name| Device::named(input.ctx, name));
    match ty {
        Some(ty) => Ok(vec![device.place(input.ctx, ty)]),
        None => Err(Diagnostic::error("N0582", input.loc, "a constant's elements are those of a ranked tensor")),
    }
}

pub(crate) fn parse_constant(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    p.attr_dict(&mut state.attrs)?;
    let value = p.attr()?;
    set(p, state, "value", value);
    nim_builtin::syntax::infer_results(p, state, &[])
}

pub(crate) fn print_constant(p: &mut dyn AsmPrinter, op: OpId) {
    print_attrs(p, op, &["value"]);
    if let Some(value) = attr(p, op, "value") {
        p.text(" ");
        p.attr(value);
    }
}

fn element_count(ctx: &Context, ty: Type) -> Option<nim_ir::Expr> {
    Some(ctx.exprs.product(ctx.dim_exprs(ty)?))
}

pub(crate) fn verify_reshape(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let (from, to) = (body.ty(body.operand(op, 0)), body.ty(body.result(op)));
    let stays = Device::of_type(ctx, from) == Device::of_type(ctx, to);
    let same_size = match (element_count(ctx, from), element_count(ctx, to)) {
        (Some(a), Some(b)) => !ctx.exprs.prove_ne(a, b, &nim_ir::Facts::default()),
        _ => true,
    };
    if !same_size || !stays || ctx.element_type(from) != ctx.element_type(to) {
        let message = format!("{} cannot be seen as {}", ctx.display_type(from), ctx.display_type(to));
        found.push(Diagnostic::error("N0583", body.loc(op), message));
    }
}

/// `%a, %b : T to U`
pub(crate) fn parse_copy(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let from = p.operand()?;
    p.expect(",")?;
    let to = p.operand()?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let from_type = p.ty()?;
    p.expect("to")?;
    let to_type = p.ty()?;
    state.operands = vec![p.resolve(from, from_type)?, p.resolve(to, to_type)?];
    Ok(())
}

pub(crate) fn print_copy(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    p.values(&operands);
    print_attrs(p, op, &[]);
    p.text(" : ");
    print_type_of(p, operands[0]);
    p.text(" to ");
    print_type_of(p, operands[1]);
}

pub(crate) fn verify_copy(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let (from, to) = (body.ty(body.operand(op, 0)), body.ty(body.operand(op, 1)));
    let here = |ty| Device::HOST.place(ctx, ty);
    if !nim_ir::verifier::compatible(ctx, here(from), here(to)) {
        let message = format!("{} is copied to {}", ctx.display_type(from), ctx.display_type(to));
        found.push(Diagnostic::error("N0584", body.loc(op), message));
    }
}

/// `%x ["N", "M"] : memref<2xi64>`
pub(crate) fn parse_bind(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let source = p.operand()?;
    p.expect("[")?;
    let mut names = vec![];
    if !p.accept("]") {
        loop {
            let name = p.string()?;
            names.push(p.ctx().string_attr(&name));
            if !p.accept(",") {
                break;
            }
        }
        p.expect("]")?;
    }
    let names = p.ctx().array_attr(names);
    set(p, state, "symbols", names);
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let ty = p.ty()?;
    state.operands = vec![p.resolve(source, ty)?];
    Ok(())
}

pub(crate) fn print_bind(p: &mut dyn AsmPrinter, op: OpId) {
    let source = p.body().operand(op, 0);
    p.text(" ");
    p.value(source);
    if let Some(symbols) = attr(p, op, "symbols") {
        p.text(" ");
        p.attr(symbols);
    }
    print_attrs(p, op, &["symbols"]);
    p.text(" : ");
    print_type_of(p, source);
}

/// A buffer of integers of rank 0, or of rank 1 with this many elements.
fn verify_vector(ctx: &Context, body: &Body, op: OpId, value: ValueId, count: usize, found: &mut Vec<Diagnostic>) {
    let ty = body.ty(value);
    let integers = ctx.dtype_of(ty).is_some_and(|d| d.is_integer());
    let fits = match ctx.dims(ty) {
        Some([]) => count == 1,
        Some(&[dim @ Dim::Expr(_)]) => ctx.dim_const(dim).is_none_or(|n| n == count as i64),
        Some([Dim::Unknown]) => true,
        _ => false,
    };
    if !integers || !fits {
        let message = format!(
            "`{}` needs a buffer of {count} integers, found {}",
            ctx.op_str(body.op_name(op)),
            ctx.display_type(ty)
        );
        found.push(Diagnostic::error("N0585", body.loc(op), message));
    }
}

pub(crate) fn verify_bind(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let symbols = Bind::symbols(ctx, body, op).and_then(|a| ctx.as_array(a)).unwrap_or_default();
    for &symbol in symbols {
        if ctx.as_string(symbol).is_none_or(|s| s.is_empty() || s.starts_with('$')) {
            found.push(Diagnostic::error("N0586", body.loc(op), "`symbols` holds names, which do not begin with `$`"));
        }
    }
    verify_vector(ctx, body, op, body.operand(op, 0), symbols.len(), found);
}

/// `[N, 2*N] outs(%o) : memref<2xi64>`
pub(crate) fn parse_index(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    p.expect("[")?;
    let mut exprs = vec![];
    if !p.accept("]") {
        loop {
            exprs.push(p.expr()?);
            if !p.accept(",") {
                break;
            }
        }
        p.expect("]")?;
    }
    let exprs = p.ctx().exprs_attr(&exprs);
    set(p, state, "exprs", exprs);
    p.expect("outs")?;
    p.expect("(")?;
    let out = p.operand()?;
    p.expect(")")?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let ty = p.ty()?;
    state.operands = vec![p.resolve(out, ty)?];
    Ok(())
}

pub(crate) fn print_index(p: &mut dyn AsmPrinter, op: OpId) {
    let out = p.body().operand(op, 0);
    p.text(" [");
    let exprs = attr(p, op, "exprs").and_then(|a| p.ctx().as_exprs(a)).unwrap_or_default();
    for (i, e) in exprs.into_iter().enumerate() {
        if i > 0 {
            p.text(", ");
        }
        p.expr(e);
    }
    p.text("] outs(");
    p.value(out);
    p.text(")");
    print_attrs(p, op, &["exprs"]);
    p.text(" : ");
    print_type_of(p, out);
}

pub(crate) fn verify_index(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let count = Index::exprs(ctx, body, op).and_then(|a| ctx.as_exprs(a)).map_or(0, |e| e.len());
    verify_vector(ctx, body, op, body.operand(op, 0), count, found);
}

/// `eq N, 2*M, "message"`
pub(crate) fn parse_guard(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let loc = p.loc();
    let kind = p.keyword()?;
    let kind = p.ctx().str(kind).to_string();
    let kinds = ["eq", "broadcast", "le"];
    if !kinds.contains(&kind.as_str()) {
        return unknown_word(p, loc, "guard", &kind, &kinds);
    }
    let kind = p.ctx().string_attr(&kind);
    set(p, state, "kind", kind);
    expr_attr(p, state, "lhs")?;
    p.expect(",")?;
    expr_attr(p, state, "rhs")?;
    p.expect(",")?;
    let message = p.string()?;
    let message = p.ctx().string_attr(&message);
    set(p, state, "message", message);
    p.attr_dict(&mut state.attrs)
}

pub(crate) fn print_guard(p: &mut dyn AsmPrinter, op: OpId) {
    let kind = attr(p, op, "kind").and_then(|a| p.ctx().as_string(a)).unwrap_or("eq").to_string();
    p.text(" ");
    p.text(&kind);
    p.text(" ");
    print_expr(p, op, "lhs");
    p.text(", ");
    print_expr(p, op, "rhs");
    p.text(", ");
    if let Some(message) = attr(p, op, "message") {
        p.attr(message);
    }
    print_attrs(p, op, &["kind", "lhs", "rhs", "message"]);
}
