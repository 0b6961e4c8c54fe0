//! `for` and `if`.

use crate::{For, ForView, If, LoopKind, Yield, tiles};
use nim_builtin::syntax::{attr, error_at, print_attrs, result_types, set};
use nim_ir::{
    Body, Context, Diagnostic, Expr, OpId, OpState, Type,
    syntax::{AsmParser, AsmPrinter, Parse},
};

/// Attributes of `loops.for` that the syntax spells out.
const SPELLED: [&str; 8] = ["iv", "lower", "upper", "step", "kind", "tile_rows", "tile_bytes", "turned"];

/// `$0 = 0 to N step 4 parallel turned i tiles [16 by 64] attributes {...} { ... }`
pub(crate) fn parse_for(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let loc = p.loc();
    let variable = p.expr()?;
    let name = p.ctx().exprs.as_symbol(variable).map(|s| p.ctx().exprs.symbol_name(s).to_string());
    let Some(name) = name.filter(|n| n.starts_with('$')) else {
        return error_at(p, loc, "expected an iteration variable such as `$0`");
    };
    p.expect("=")?;
    let lower = p.expr()?;
    p.expect("to")?;
    let upper = p.expr()?;
    let step = if p.accept("step") { p.integer()? } else { 1 };
    let kind = LoopKind::NAMES.iter().find(|(_, n)| p.accept(n)).map_or("seq", |(_, n)| n);
    if p.accept("turned") {
        let turned = p.expr()?;
        let turned = p.ctx().expr_attr(turned);
        set(p, state, "turned", turned);
    }
    if p.accept("tiles") {
        tiles::parse_shapes(p, state)?;
    }
    if p.accept("attributes") {
        p.attr_dict(&mut state.attrs)?;
    }
    let ctx = p.ctx();
    let attrs = [
        ("iv", ctx.string_attr(&name)),
        ("lower", ctx.expr_attr(lower)),
        ("upper", ctx.expr_attr(upper)),
        ("step", ctx.i64_attr(step)),
        ("kind", ctx.string_attr(kind)),
    ];
    for (name, attr) in attrs {
        set(p, state, name, attr);
    }
    p.region(state, &[])
}

pub(crate) fn print_for(p: &mut dyn AsmPrinter, op: OpId) {
    let Some(view) = ForView::new(p.ctx(), p.body(), op) else {
        p.text(" <malformed>");
        print_attrs(p, op, &[]);
        return;
    };
    p.text(" ");
    let iv = p.ctx().exprs.var(view.iv);
    p.expr(iv);
    p.text(" = ");
    p.expr(view.lower);
    p.text(" to ");
    p.expr(view.upper);
    if view.step != 1 {
        p.text(&format!(" step {}", view.step));
    }
    if view.kind != LoopKind::Seq {
        p.text(" ");
        p.text(view.kind.name());
    }
    if let Some(turned) = view.turned {
        p.text(" turned ");
        p.expr(turned);
    }
    if let Some(shapes) = tiles::tile_shapes(p.ctx(), p.body(), op) {
        tiles::print_shapes(p, &shapes);
    }
    print_more(p, op, &SPELLED);
    p.text(" ");
    let region = For::body(p.ctx(), p.body(), op);
    p.region(region, false, false);
}

fn print_more(p: &mut dyn AsmPrinter, op: OpId, spelled: &[&str]) {
    let (ctx, attrs) = (p.ctx(), p.body().attrs(op).clone());
    if attrs.iter().any(|(n, _)| !spelled.contains(&ctx.str(n))) {
        p.text(" attributes");
        print_attrs(p, op, spelled);
    }
}

pub(crate) fn verify_for(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let loc = body.loc(op);
    let Some(view) = ForView::new(ctx, body, op) else {
        found.push(Diagnostic::error("N0560", loc, "the attributes of `loops.for` are not complete"));
        return;
    };
    let name = ctx.exprs.symbol_name(view.iv);
    if !name.starts_with('$') || name.starts_with("$v") {
        let message = format!("`{name}` is no iteration variable; they begin with `$` and are not called `$v`");
        found.push(Diagnostic::error("N0561", loc, message));
    }
    if view.step < 1 {
        found.push(Diagnostic::error("N0562", loc, format!("the step must be positive, found {}", view.step)));
    }
    if view.turned.is_some() && view.kind != LoopKind::Parallel {
        let message = format!("a loop that is walked `{}` is turned", view.kind.name());
        found.push(
            Diagnostic::error("N0565", loc, message)
                .note("only the iterations of a `parallel` loop may come in any order"),
        );
    }
    if [view.lower, view.upper].iter().any(|&e| ctx.exprs.mentions(e, view.iv)) {
        found.push(Diagnostic::error("N0561", loc, format!("the bounds of `{name}` use `{name}`")));
    }
    tiles::verify_shapes(ctx, body, op, found);
    let mut parent = body.parent_op(op);
    while let Some(outer) = parent {
        if ForView::new(ctx, body, outer).is_some_and(|v| v.iv == view.iv) {
            found.push(
                Diagnostic::error(
                    "N0561",
                    loc,
                    format!("`{name}` is the iteration variable of a loop around this one"),
                )
                .label(body.loc(outer), "of this one"),
            );
        }
        parent = body.parent_op(outer);
    }
}

/// `[N - $0 - 1, $1] -> (f32) attributes {...} { ... } else { ... }`
pub(crate) fn parse_if(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let mut conditions: Vec<Expr> = vec![];
    p.expect("[")?;
    if !p.accept("]") {
        loop {
            conditions.push(p.expr()?);
            if !p.accept(",") {
                break;
            }
        }
        p.expect("]")?;
    }
    let conditions = p.ctx().exprs_attr(&conditions);
    set(p, state, "conditions", conditions);
    if p.accept("->") {
        p.expect("(")?;
        state.results = p.types()?;
        p.expect(")")?;
    }
    if p.accept("attributes") {
        p.attr_dict(&mut state.attrs)?;
    }
    p.region(state, &[])?;
    if p.accept("else") {
        p.region(state, &[])?;
    }
    Ok(())
}

pub(crate) fn print_if(p: &mut dyn AsmPrinter, op: OpId) {
    p.text(" [");
    let conditions = attr(p, op, "conditions").and_then(|a| p.ctx().as_exprs(a)).unwrap_or_default();
    for (i, e) in conditions.into_iter().enumerate() {
        if i > 0 {
            p.text(", ");
        }
        p.expr(e);
    }
    p.text("]");
    let types = result_types(p, op);
    if !types.is_empty() {
        p.text(" -> (");
        p.types(&types);
        p.text(")");
    }
    print_more(p, op, &["conditions"]);
    p.text(" ");
    let (then, other) = (If::then_region(p.ctx(), p.body(), op), If::else_region(p.ctx(), p.body(), op));
    p.region(then, false, !types.is_empty());
    if let Some(other) = other {
        p.text(" else ");
        p.region(other, false, !types.is_empty());
    }
}

pub(crate) fn verify_if(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let wanted: Vec<Type> = body.results(op).iter().map(|&v| body.ty(v)).collect();
    if !wanted.is_empty() && body.regions(op).len() < 2 {
        found.push(Diagnostic::error("N0563", body.loc(op), "`loops.if` with results needs an `else`"));
    }
    for &region in body.regions(op) {
        let last = body.entry_block(region).and_then(|b| body.last_op(b)).filter(|&l| Yield::is(ctx, body, l));
        let types: Vec<Type> = last.map(|l| body.operands(l).iter().map(|&v| body.ty(v)).collect()).unwrap_or_default();
        if types != wanted {
            let list = |types: &[Type]| types.iter().map(|&t| ctx.display_type(t)).collect::<Vec<_>>().join(", ");
            let message = format!("the region yields ({}), the results are ({})", list(&types), list(&wanted));
            found.push(Diagnostic::error("N0563", last.map_or(body.loc(op), |l| body.loc(l)), message));
        }
    }
}
