//! `loops.kernel`: its text form and what must hold in it.

use crate::{AccessView, ForView, If, Index, KernelView, Local, Prefetch, Yield, tiles, value_symbol_index};
use nim_builtin::func;
use nim_ir::{
    Body, Context, Diagnostic, Expr, OpId, OpState, Symbol,
    syntax::{AsmParser, AsmPrinter, Parse},
};

pub(crate) fn parse(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let header = func::parse_header(p, state)?;
    func::parse_body(p, state, &header)
}

pub(crate) fn print(p: &mut dyn AsmPrinter, op: OpId) {
    p.text(" ");
    func::print_header(p, op, &[]);
    func::print_body(p, op);
}

pub(crate) fn verify(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    func::verify_signature(ctx, body, op, Yield::NAME, found);
    let loc = body.loc(op);
    let Some(nested) = body.nested(op) else { return };
    let (Some(view), Some(_)) = (KernelView::new(ctx, body, op), nested.entry()) else {
        found.push(Diagnostic::error(
            "N0570",
            loc,
            "a kernel has a body, `outputs` is not negative and at most its number of arguments",
        ));
        return;
    };
    let known: Vec<Symbol> = view.symbols.iter().map(|s| ctx.exprs.symbol(s)).collect();
    for (i, &arg) in view.args.iter().enumerate() {
        let dims = ctx.dim_exprs(nested.ty(arg)).unwrap_or_default();
        for symbol in dims.iter().flat_map(|&e| ctx.exprs.symbols(e)) {
            if !known.contains(&symbol) {
                let name = ctx.exprs.symbol_name(symbol);
                found.push(
                    Diagnostic::error("N0571", loc, format!("argument #{i} has a dimension of the symbol `{name}`"))
                        .help(format!("list it: `symbols = [\"{name}\"]`")),
                );
                return;
            }
        }
    }
    for inner in nested.walk() {
        check_symbols(ctx, nested, inner, &known, found);
        check_store(ctx, nested, inner, &view, found);
    }
}

/// Every symbol is an iteration variable of a loop around, or given to the kernel.
fn check_symbols(ctx: &Context, body: &Body, op: OpId, known: &[Symbol], found: &mut Vec<Diagnostic>) {
    let is_access = AccessView::new(ctx, body, op);
    let exprs: Vec<Expr> = if let Some(view) = &is_access {
        view.indices.clone()
    } else if let Some(view) = ForView::new(ctx, body, op) {
        let shapes = tiles::tile_shapes(ctx, body, op).unwrap_or_default();
        [view.lower, view.upper].into_iter().chain(view.turned).chain(shapes.into_iter().map(|s| s.rows)).collect()
    } else if let Some((_, exprs, _)) = tiles::moved(ctx, body, op) {
        exprs
    } else if Prefetch::is(ctx, body, op) {
        Prefetch::indices(ctx, body, op).and_then(|a| ctx.as_exprs(a)).unwrap_or_default()
    } else if Index::is(ctx, body, op) {
        Index::expr(ctx, body, op).and_then(|a| ctx.as_expr(a)).into_iter().collect()
    } else if If::is(ctx, body, op) {
        If::conditions(ctx, body, op).and_then(|a| ctx.as_exprs(a)).unwrap_or_default()
    } else {
        return;
    };
    let mut around: Vec<Symbol> = vec![];
    let mut parent = body.parent_op(op);
    while let Some(outer) = parent {
        around.extend(ForView::new(ctx, body, outer).map(|v| v.iv));
        parent = body.parent_op(outer);
    }
    for symbol in exprs.iter().flat_map(|&e| ctx.exprs.symbols(e)) {
        let value = is_access.is_some() && value_symbol_index(ctx, symbol).is_some();
        if !value && !known.contains(&symbol) && !around.contains(&symbol) {
            let name = ctx.exprs.symbol_name(symbol);
            let message = match name.starts_with('$') {
                true => format!("`{name}` is no iteration variable of a loop around this op"),
                false => format!("the kernel is not given the symbol `{name}`"),
            };
            found.push(Diagnostic::error("N0572", body.loc(op), message));
        }
    }
}

/// Only outputs and local buffers are written.
fn check_store(ctx: &Context, body: &Body, op: OpId, view: &KernelView, found: &mut Vec<Diagnostic>) {
    let stored = AccessView::new(ctx, body, op).filter(|a| a.stored.is_some()).map(|a| a.buffer);
    let tile = || tiles::moved(ctx, body, op).and_then(|(buffer, _, store)| store.then_some(buffer));
    let Some(buffer) = stored.or_else(tile) else { return };
    let local = body.defining_op(buffer).is_some_and(|d| Local::is(ctx, body, d));
    if !local && view.inputs().contains(&buffer) {
        found.push(
            Diagnostic::error("N0573", body.loc(op), "an input of the kernel is written")
                .note(format!("the last {} arguments are outputs", view.outputs().len())),
        );
    }
}
