//! Buffers and how they are accessed: `local`, `load`, `store`, `index`.

use crate::{AccessView, Prefetch, scalar_type};
use nim_builtin::syntax::{attr, error, print_attrs, set, unknown_word};
use nim_ir::{
    Body, Context, Diagnostic, Expr, FloatKind, InferInput, OpId, OpState, Type, TypeData, ValueId,
    syntax::{AsmParser, AsmPrinter, Parse},
};

/// The symbol that stands for index operand `n` of an access: `$vN`.
pub fn value_symbol(ctx: &Context, n: usize) -> Expr {
    ctx.exprs.named(&format!("$v{n}"))
}

/// `n` if the symbol is `$vN`.
pub fn value_symbol_index(ctx: &Context, symbol: nim_ir::Symbol) -> Option<usize> {
    ctx.exprs.symbol_name(symbol).strip_prefix("$v")?.parse().ok()
}

// ---- local

pub(crate) fn parse_local(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let loc = p.loc();
    let space = p.keyword()?;
    let text = p.ctx().str(space).to_string();
    if !["register", "stack"].contains(&text.as_str()) {
        return unknown_word(p, loc, "space", &text, &["register", "stack"]);
    }
    let space = p.ctx().string_attr(&text);
    set(p, state, "space", space);
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    state.results = vec![p.ty()?];
    Ok(())
}

pub(crate) fn print_local(p: &mut dyn AsmPrinter, op: OpId) {
    let space = attr(p, op, "space").and_then(|a| p.ctx().as_string(a)).unwrap_or("stack").to_string();
    p.text(" ");
    p.text(&space);
    print_attrs(p, op, &["space"]);
    p.text(" : ");
    let ty = p.body().ty(p.body().result(op));
    p.ty(ty);
}

pub(crate) fn verify_local(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let ty = body.ty(body.result(op));
    if ctx.static_dims(ty).is_none() {
        let message = format!("a local buffer has a constant size, found {}", ctx.display_type(ty));
        found.push(Diagnostic::error("N0551", body.loc(op), message));
    }
}

// ---- load and store

pub(crate) fn infer_load(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    match input.operands.first().map(|&ty| (ty, input.ctx.type_data(ty))) {
        Some((_, TypeData::MemRef { element, .. })) => Ok(vec![scalar_type(input.ctx, *element)]),
        Some((ty, _)) => {
            let message = format!("`loops.load` reads from a memref, found {}", input.ctx.display_type(ty));
            Err(Diagnostic::error("N0552", input.loc, message))
        }
        None => Err(Diagnostic::error("N0552", input.loc, "`loops.load` reads from a memref")),
    }
}

/// How many neighbours `loops.load_word` reads from a buffer: four bytes or two `bf16`; `None` where it cannot.
pub fn word_elements(ctx: &Context, buffer: Type) -> Option<usize> {
    let TypeData::MemRef { element, .. } = ctx.type_data(buffer) else { return None };
    match ctx.type_data(*element) {
        TypeData::Integer { width: 8, .. } => Some(4),
        TypeData::Float(FloatKind::BF16) => Some(2),
        _ => None,
    }
}

pub(crate) fn infer_load_word(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    let ctx = input.ctx;
    match input.operands.first() {
        Some(&ty) if word_elements(ctx, ty).is_some() => Ok(vec![ctx.int_type(32)]),
        found => {
            let found = found.map_or(String::new(), |&ty| format!(", found {}", ctx.display_type(ty)));
            let message = format!("`loops.load_word` reads from a memref of bytes or bf16{found}");
            Err(Diagnostic::error("N0552", input.loc, message))
        }
    }
}

pub(crate) fn infer_dot(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    Ok(input.operands.first().copied().into_iter().collect())
}

/// `%acc, %a, %b : T`: the type is that of the sum, words are `i32`.
pub(crate) fn parse_dot(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let names = p.operands()?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let (ty, word) = (p.ty()?, p.ctx().int_type(32));
    for (i, name) in names.into_iter().enumerate() {
        let value = p.resolve(name, if i == 0 { ty } else { word })?;
        state.operands.push(value);
    }
    state.results = vec![ty];
    Ok(())
}

pub(crate) fn print_dot(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let ty = p.body().ty(p.body().result(op));
    p.text(" ");
    p.values(&operands);
    print_attrs(p, op, &[]);
    p.text(" : ");
    p.ty(ty);
}

pub(crate) fn verify_dot(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let ty = body.ty(body.result(op));
    let sums = matches!(ctx.type_data(ty), TypeData::Integer { width: 32, .. } | TypeData::Float(FloatKind::F32));
    if !sums {
        let message = format!("`loops.dot` adds up i32 or f32, found {}", ctx.display_type(ty));
        found.push(Diagnostic::error("N0555", body.loc(op), message));
    }
    for (i, v) in body.operands(op).iter().enumerate() {
        let (is, wanted) = (body.ty(*v), if i == 0 { ty } else { ctx.int_type(32) });
        if is != wanted {
            let (is, wanted) = (ctx.display_type(is), ctx.display_type(wanted));
            let message = format!("operand {i} of `loops.dot` is {is}, where {wanted} is wanted");
            found.push(Diagnostic::error("N0555", body.loc(op), message));
        }
    }
}

/// `[$0, %i + 1]`: expressions, in which values are replaced by `$v0`, ...
pub(crate) fn parse_indices(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<Vec<ValueId>> {
    p.expect("[")?;
    let (mut exprs, mut names): (Vec<Expr>, Vec<nim_ir::Symbol>) = (vec![], vec![]);
    if !p.accept("]") {
        loop {
            let expr = p.expr()?;
            for symbol in p.ctx().exprs.symbols(expr) {
                if p.ctx().exprs.symbol_name(symbol).starts_with('%') && !names.contains(&symbol) {
                    names.push(symbol);
                }
            }
            exprs.push(expr);
            if !p.accept(",") {
                break;
            }
        }
        p.expect("]")?;
    }
    let (loc, index) = (p.loc(), p.ctx().index_type());
    let mut values = vec![];
    for &symbol in &names {
        let text = p.ctx().exprs.symbol_name(symbol)[1..].to_string();
        // `%r#1` is result 1 of several.
        let (name, number) = text.split_once('#').unwrap_or((&text, "0"));
        let Ok(number) = number.parse() else { return error(p, format!("`%{text}` is no value")) };
        let operand = nim_ir::syntax::OperandName { name: p.ctx().name(name), index: number, loc };
        values.push(p.resolve(operand, index)?);
    }
    let ctx = p.ctx();
    let exprs: Vec<Expr> = exprs
        .into_iter()
        .map(|e| ctx.exprs.substitute(e, &mut |s| Some(value_symbol(ctx, names.iter().position(|n| *n == s)?))))
        .collect();
    let attr = ctx.exprs_attr(&exprs);
    set(p, state, "indices", attr);
    Ok(values)
}

/// Prints an expression with the values that `$v0`, ... stand for.
fn print_expr(p: &mut dyn AsmPrinter, expr: Expr, values: &[ValueId]) {
    if p.ctx().exprs.symbols(expr).iter().all(|&s| value_symbol_index(p.ctx(), s).is_none()) {
        p.expr(expr);
        return;
    }
    let text = p.ctx().exprs.display(expr).to_string();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("$v") {
        let digits = rest[at + 2..].bytes().take_while(u8::is_ascii_digit).count();
        let quoted = rest[..at].ends_with('"');
        let end = at + 2 + digits;
        let value = rest[at + 2..end].parse().ok().and_then(|n: usize| values.get(n));
        match value {
            Some(&value) => {
                p.text(&rest[..at - usize::from(quoted)]);
                p.value(value);
                rest = &rest[end + usize::from(quoted)..];
            }
            None => {
                p.text(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    p.text(rest);
}

/// `%x[$0, %i] ... : memref<...>`; the closure prints what stands before the type.
pub(crate) fn print_access(
    p: &mut dyn AsmPrinter,
    op: OpId,
    buffer: ValueId,
    values: &[ValueId],
    more: &mut dyn FnMut(&mut dyn AsmPrinter),
) {
    p.value(buffer);
    p.text("[");
    let exprs = attr(p, op, "indices").and_then(|a| p.ctx().as_exprs(a)).unwrap_or_default();
    for (i, expr) in exprs.into_iter().enumerate() {
        if i > 0 {
            p.text(", ");
        }
        print_expr(p, expr, values);
    }
    p.text("]");
    more(p);
    p.text(" : ");
    let ty = p.body().ty(buffer);
    p.ty(ty);
}

/// `%x[$0, %i] : memref<...>`; the type.
fn parse_access(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<Type> {
    let buffer = p.operand()?;
    let values = parse_indices(p, state)?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let ty = p.ty()?;
    state.operands.push(p.resolve(buffer, ty)?);
    state.operands.extend(values);
    Ok(ty)
}

pub(crate) fn parse_load(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let ty = parse_access(p, state)?;
    nim_builtin::syntax::infer_results(p, state, &[ty])
}

pub(crate) fn print_load(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    print_access(p, op, operands[0], &operands[1..], &mut |p| print_attrs(p, op, &["indices"]));
}

pub(crate) fn parse_prefetch(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    parse_access(p, state).map(|_| ())
}

pub(crate) fn verify_prefetch(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let indices = Prefetch::indices(ctx, body, op).and_then(|a| ctx.as_exprs(a)).unwrap_or_default();
    verify_indices(ctx, body, op, body.operand(op, 0), &indices, found);
}

pub(crate) fn parse_store(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    parse_stored(p, state, &|ctx, element| scalar_type(ctx, element))
}

pub(crate) fn parse_store_word(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    parse_stored(p, state, &|ctx, _| ctx.int_type(32))
}

/// `%value, %buffer[...] : memref<...>`, where the buffer's elements say what type the value has.
fn parse_stored(p: &mut dyn AsmParser, state: &mut OpState, value_type: &dyn Fn(&Context, Type) -> Type) -> Parse<()> {
    let value = p.operand()?;
    p.expect(",")?;
    let buffer = p.operand()?;
    let values = parse_indices(p, state)?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let ty = p.ty()?;
    let Some(element) = p.ctx().element_type(ty) else {
        return error(p, "expected a memref");
    };
    let value_type = value_type(p.ctx(), element);
    state.operands = vec![p.resolve(value, value_type)?, p.resolve(buffer, ty)?];
    state.operands.extend(values);
    Ok(())
}

pub(crate) fn print_store(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    p.value(operands[0]);
    p.text(", ");
    print_access(p, op, operands[1], &operands[2..], &mut |p| print_attrs(p, op, &["indices"]));
}

/// One index a dimension.
pub(crate) fn verify_indices(
    ctx: &Context,
    body: &Body,
    op: OpId,
    buffer: ValueId,
    indices: &[Expr],
    found: &mut Vec<Diagnostic>,
) {
    let (name, ty) = (ctx.op_str(body.op_name(op)), body.ty(buffer));
    let rank = ctx.dims(ty).map_or(0, <[_]>::len);
    if indices.len() != rank {
        let message =
            format!("`{name}` has {} indices, but {} has {rank} dimensions", indices.len(), ctx.display_type(ty));
        found.push(Diagnostic::error("N0553", body.loc(op), message));
    }
}

/// One index a dimension, and no `$vN` beyond the operands.
fn verify_access(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let name = ctx.op_str(body.op_name(op));
    let Some(view) = AccessView::new(ctx, body, op) else { return };
    verify_indices(ctx, body, op, view.buffer, &view.indices, found);
    for symbol in view.indices.iter().flat_map(|&e| ctx.exprs.symbols(e)) {
        if let Some(n) = value_symbol_index(ctx, symbol)
            && n >= view.values.len()
        {
            let message = format!("`{name}` uses `$v{n}`, but has {} index operands", view.values.len());
            found.push(Diagnostic::error("N0554", body.loc(op), message));
        }
    }
}

pub(crate) fn verify_load(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    verify_access(ctx, body, op, found);
}

pub(crate) fn verify_store_word(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let buffer = body.ty(body.operand(op, 1));
    if word_elements(ctx, buffer).is_none() {
        let buffer = ctx.display_type(buffer);
        let message = format!("`loops.store_word` writes to a memref of bytes or bf16, found {buffer}");
        found.push(Diagnostic::error("N0552", body.loc(op), message));
    }
    verify_stored(ctx, body, op, Some(ctx.int_type(32)), found);
}

pub(crate) fn verify_store(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let wanted = ctx.element_type(body.ty(body.operand(op, 1))).map(|e| scalar_type(ctx, e));
    verify_stored(ctx, body, op, wanted, found);
}

fn verify_stored(ctx: &Context, body: &Body, op: OpId, wanted: Option<Type>, found: &mut Vec<Diagnostic>) {
    verify_access(ctx, body, op, found);
    let (value, buffer) = (body.ty(body.operand(op, 0)), body.ty(body.operand(op, 1)));
    if wanted != Some(value) {
        let (v, b) = (ctx.display_type(value), ctx.display_type(buffer));
        found.push(Diagnostic::error("N0555", body.loc(op), format!("a value of type {v} is stored into {b}")));
    }
}

// ---- index

pub(crate) fn infer_index(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    Ok(vec![input.ctx.index_type()])
}

pub(crate) fn parse_index(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let expr = p.expr()?;
    let expr = p.ctx().expr_attr(expr);
    set(p, state, "expr", expr);
    p.attr_dict(&mut state.attrs)?;
    state.results = vec![p.ctx().index_type()];
    Ok(())
}

pub(crate) fn print_index(p: &mut dyn AsmPrinter, op: OpId) {
    p.text(" ");
    if let Some(expr) = attr(p, op, "expr").and_then(|a| p.ctx().as_expr(a)) {
        p.expr(expr);
    }
    print_attrs(p, op, &["expr"]);
}
