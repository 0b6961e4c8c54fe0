//! Calls of functions by name and of functions that are values, and whether arguments and results fit.

use crate::func::{print_function_type, signature};
use crate::syntax::{self, attr, print_attrs, set};
use nim_ir::{
    AttrData, Body, Context, Diagnostic, Dim, Expr, Facts, OpId, OpState, Symbol, Type, TypeData, ValueId,
    syntax::{AsmParser, AsmPrinter, Parse},
    verifier::SymbolTable,
};
use nim_ir_macros::op;
use rustc_hash::FxHashMap;

/// Calls a function.
#[op(name = "func.call", traits(SymbolUser), verify_use = verify_call, parse = parse_call, print = print_call)]
pub struct Call {
    /// the function
    #[attr(SymbolRef)]
    callee: Required,
    /// arguments
    #[operand(ANY)]
    operands: Variadic,
    /// a dictionary an argument
    #[attr(Array)]
    arg_attrs: Optional,
    /// a dictionary a result
    #[attr(Array)]
    res_attrs: Optional,
    /// must not be inlined
    #[attr(Unit)]
    no_inline: Optional,
    /// results
    #[result(ANY)]
    results: Variadic,
}

fn parse_call(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    parse_call_like(p, state)
}

/// `@callee(%a, %b) {..} : (T, U) -> V`.
pub fn parse_call_like(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let callee = p.symbol()?;
    let callee = p.ctx().attr(AttrData::SymbolRef(vec![callee]));
    set(p, state, "callee", callee);
    p.expect("(")?;
    let names = p.operands()?;
    p.expect(")")?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let (inputs, results) = p.function_type()?;
    state.operands = syntax::resolve_all(p, &names, &inputs)?;
    state.results = results;
    Ok(())
}

/// See [`parse_call_like`].
pub fn print_call(p: &mut dyn AsmPrinter, op: OpId) {
    p.text(" ");
    if let Some(callee) = attr(p, op, "callee").and_then(|a| p.ctx().as_symbol_ref(a)) {
        p.symbol(callee);
    }
    let operands = p.body().operands(op);
    p.text("(");
    p.values(&operands);
    p.text(")");
    print_attrs(p, op, &["callee"]);
    p.text(" : ");
    let (inputs, results) = (syntax::types_of(p, &operands), syntax::result_types(p, op));
    print_function_type(p, &inputs, &results);
}

/// Whether a value of type `actual` may stand where a function says `formal`. Symbols of the two are different things:
/// those of `formal` get the dimensions of `actual`, and keep them. What cannot be decided here is checked at run time.
pub fn fits(ctx: &Context, formal: Type, actual: Type, symbols: &mut FxHashMap<Symbol, Expr>) -> bool {
    if formal == actual && !matches!(ctx.type_data(formal), TypeData::Tensor { .. } | TypeData::MemRef { .. }) {
        return true;
    }
    let mut dims_fit = |formal: &[Dim], actual: &[Dim]| {
        formal.len() == actual.len()
            && formal.iter().zip(actual).all(|(formal, actual)| {
                let (Some(formal), Some(actual)) = (formal.expr(), actual.expr()) else { return true };
                if let Some(symbol) = ctx.exprs.as_symbol(formal)
                    && !symbols.contains_key(&symbol)
                {
                    symbols.insert(symbol, actual);
                    return true;
                }
                let known = ctx.exprs.symbols(formal).iter().all(|s| symbols.contains_key(s));
                let formal = ctx.exprs.substitute(formal, &mut |s| symbols.get(&s).copied());
                !known || !ctx.exprs.prove_ne(formal, actual, &Facts::default())
            })
    };
    match (ctx.type_data(formal), ctx.type_data(actual)) {
        (TypeData::Tensor { dims: f, element: a, .. }, TypeData::Tensor { dims: g, element: b, .. }) => {
            a == b && dims_fit(f, g)
        }
        (
            TypeData::MemRef { dims: f, element: a, layout, space },
            TypeData::MemRef { dims: g, element: b, layout: other, space: place },
        ) => a == b && layout == other && space == place && dims_fit(f, g),
        (TypeData::UnrankedMemRef { element: a, .. }, TypeData::MemRef { element: b, .. })
        | (TypeData::MemRef { element: a, .. }, TypeData::UnrankedMemRef { element: b, .. })
        | (TypeData::UnrankedTensor(a), TypeData::Tensor { element: b, .. })
        | (TypeData::Tensor { element: a, .. }, TypeData::UnrankedTensor(b)) => a == b,
        (TypeData::Function { inputs: f, results: r }, TypeData::Function { inputs: g, results: s }) => {
            f.len() == g.len()
                && r.len() == s.len()
                && f.iter().chain(r).zip(g.iter().chain(s)).all(|(&f, &g)| fits(ctx, f, g, symbols))
        }
        _ => false,
    }
}

/// Checks values against what a function takes or gives; `what` is "takes" or "gives".
pub fn check_fits(
    ctx: &Context,
    (formal, actual): (&[Type], &[Type]),
    symbols: &mut FxHashMap<Symbol, Expr>,
    report: &mut dyn FnMut(String),
    what: &str,
) {
    if formal.len() != actual.len() {
        return report(format!("{what} {} values, found {}", formal.len(), actual.len()));
    }
    for (i, (&formal, &actual)) in formal.iter().zip(actual).enumerate() {
        if !fits(ctx, formal, actual, symbols) {
            let (formal, actual) = (ctx.display_type(formal), ctx.display_type(actual));
            report(format!("{what} {formal} as value {i}, found {actual}"));
        }
    }
}

fn verify_call(ctx: &Context, table: &SymbolTable<'_>, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let callee = Call::callee(ctx, body, op).and_then(|a| ctx.as_symbol_ref(a));
    let Some((name, target)) = callee.and_then(|name| Some((name, table.get(name)?))) else { return };
    let Some((inputs, results)) = signature(ctx, table.body, target) else { return };
    let types = |values: &[ValueId]| values.iter().map(|&v| body.ty(v)).collect::<Vec<_>>();
    let mut symbols = FxHashMap::default();
    let mut report = |message| {
        let message = format!("`@{}` {message}", ctx.str(name));
        let diagnostic = Diagnostic::error("N0363", body.loc(op), message);
        found.push(diagnostic.label(table.body.loc(target), "the function"));
    };
    check_fits(ctx, (inputs, &types(&body.operands(op))), &mut symbols, &mut report, "takes");
    check_fits(ctx, (results, &types(body.results(op))), &mut symbols, &mut report, "gives");
}

/// Calls a function that is a value: see `graph.closure`.
#[op(name = "func.call_indirect", verify = verify_call_indirect, parse = parse_call_indirect, print = print_call_indirect)]
pub struct CallIndirect {
    /// the function
    #[operand(ANY)]
    callee: One,
    /// arguments
    #[operand(ANY)]
    callee_operands: Variadic,
    /// results
    #[result(ANY)]
    results: Variadic,
}

fn verify_call_indirect(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let operands = body.operands(op);
    let TypeData::Function { inputs, results } = ctx.type_data(body.ty(operands[0])) else {
        let message = format!("a function is called, found {}", ctx.display_type(body.ty(operands[0])));
        found.push(Diagnostic::error("N0364", body.loc(op), message));
        return;
    };
    let types = |values: &[ValueId]| values.iter().map(|&v| body.ty(v)).collect::<Vec<_>>();
    let mut symbols = FxHashMap::default();
    let mut report = |message| found.push(Diagnostic::error("N0364", body.loc(op), format!("the function {message}")));
    check_fits(ctx, (inputs, &types(&operands[1..])), &mut symbols, &mut report, "takes");
    check_fits(ctx, (results, &types(body.results(op))), &mut symbols, &mut report, "gives");
}

fn parse_call_indirect(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let callee = p.operand()?;
    p.expect("(")?;
    let names = p.operands()?;
    p.expect(")")?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let (inputs, results) = p.function_type()?;
    let ty = p.ctx().function_type(&inputs, &results);
    state.operands = vec![p.resolve(callee, ty)?];
    let arguments = syntax::resolve_all(p, &names, &inputs)?;
    state.operands.extend(arguments);
    state.results = results;
    Ok(())
}

fn print_call_indirect(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    p.value(operands[0]);
    p.text("(");
    p.values(&operands[1..]);
    p.text(")");
    print_attrs(p, op, &[]);
    p.text(" : ");
    let (inputs, results) = (syntax::types_of(p, &operands[1..]), syntax::result_types(p, op));
    print_function_type(p, &inputs, &results);
}
