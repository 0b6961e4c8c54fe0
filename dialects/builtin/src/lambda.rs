//! Functions written where they are used: syntax, checks, and what such a function takes with it from around.

use crate::syntax::{error, print_attrs};
use nim_ir::{
    Body, Context, Diagnostic, OpId, OpState, Type, TypeData, ValueId,
    syntax::{AsmParser, AsmPrinter, Parse},
};
use rustc_hash::FxHashSet;

/// The op's name.
pub const NAME: &str = "graph.lambda";

/// `(%x: T, %y: U) -> (V) { ... }`.
pub fn parse(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let mut args = vec![];
    p.expect("(")?;
    while p.peek_operand() {
        let name = p.operand()?;
        p.expect(":")?;
        args.push((name, p.ty()?));
        if !p.accept(",") {
            break;
        }
    }
    p.expect(")")?;
    if !p.peek("->") {
        return error(p, "a lambda says what it gives: `-> (T)`");
    }
    crate::syntax::parse_results_arrow(p, state)?;
    if p.accept("attributes") {
        p.attr_dict(&mut state.attrs)?;
    }
    let inputs: Vec<Type> = args.iter().map(|(_, ty)| *ty).collect();
    state.results = vec![p.ctx().function_type(&inputs, &state.results)];
    p.region(state, &args)
}

/// See [`parse`].
pub fn print(p: &mut dyn AsmPrinter, op: OpId) {
    let region = p.body().regions(op).first().copied();
    let args = region.and_then(|r| p.body().entry_block(r)).map(|b| p.body().block_args(b).to_vec());
    p.text("(");
    for (i, arg) in args.unwrap_or_default().into_iter().enumerate() {
        p.text(if i > 0 { ", " } else { "" });
        p.value(arg);
        p.text(": ");
        let ty = p.body().ty(arg);
        p.ty(ty);
    }
    p.text(") -> (");
    let ty = p.body().ty(p.body().result(op));
    let results = match p.ctx().type_data(ty) {
        TypeData::Function { results, .. } => results.clone(),
        _ => vec![],
    };
    p.types(&results);
    p.text(")");
    if !p.body().attrs(op).is_empty() {
        p.text(" attributes");
        print_attrs(p, op, &[]);
    }
    p.text(" ");
    if let Some(region) = region {
        p.region(region, false, !results.is_empty());
    }
}

/// The value is a function of what the region takes and yields.
pub fn verify(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let ty = body.ty(body.result(op));
    let TypeData::Function { inputs, results } = ctx.type_data(ty) else {
        let message = format!("a lambda is a function, found {}", ctx.display_type(ty));
        return found.push(Diagnostic::error("N0427", body.loc(op), message));
    };
    let Some(block) = body.regions(op).first().and_then(|&r| body.entry_block(r)) else { return };
    let types = |values: &[ValueId]| values.iter().map(|&v| body.ty(v)).collect::<Vec<Type>>();
    let list = |types: &[Type]| types.iter().map(|&t| ctx.display_type(t)).collect::<Vec<_>>().join(", ");
    let args = types(body.block_args(block));
    if args != *inputs {
        let message = format!("the region takes ({}), the function ({})", list(&args), list(inputs));
        found.push(Diagnostic::error("N0427", body.loc(op), message));
    }
    let Some(end) = body.last_op(block) else { return };
    let given = types(&body.operands(end));
    let fits = given.len() == results.len()
        && given.iter().zip(results).all(|(&a, &b)| nim_ir::verifier::compatible(ctx, a, b));
    if !fits {
        let message = format!("the lambda yields ({}), its function gives ({})", list(&given), list(results));
        found.push(Diagnostic::error("N0427", body.loc(end), message));
    }
}

/// Values from around that the region of an op uses, in the order of their first use.
pub fn captured(body: &Body, op: OpId) -> Vec<ValueId> {
    let ops = body.walk_op(op);
    let mut inside = FxHashSet::default();
    for &inner in &ops {
        let args = body.regions(inner).iter().flat_map(|&r| body.blocks(r)).flat_map(|&b| body.block_args(b));
        inside.extend(args.chain(body.results(inner)).copied());
    }
    let mut seen = FxHashSet::default();
    let used = ops.iter().flat_map(|&inner| body.operands(inner).to_vec());
    used.filter(|value| !inside.contains(value) && seen.insert(*value)).collect()
}
