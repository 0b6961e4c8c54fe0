//! Syntax and types of the small ops: `load`, `index`, `yield`, `return`.

use crate::scalar_type;
use nim_builtin::syntax::{attr, print_attrs, resolve_same, set};
use nim_ir::{
    Diagnostic, InferInput, OpId, OpState, Type,
    syntax::{AsmParser, AsmPrinter, Parse},
};

pub(crate) use nim_builtin::syntax::{parse_values, print_values};

pub(crate) fn infer_load(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    let ctx = input.ctx;
    let Some((&container, indices)) = input.operands.split_first() else {
        return Err(Diagnostic::error("N0501", input.loc, "`dataflow.load` reads from a container"));
    };
    let (Some(dims), Some(element)) = (ctx.dims(container), ctx.element_type(container)) else {
        let message = format!("`dataflow.load` reads from a ranked tensor, found {}", ctx.display_type(container));
        return Err(Diagnostic::error("N0501", input.loc, message));
    };
    if dims.len() != indices.len() {
        let message = format!("{} needs {} indices, found {}", ctx.display_type(container), dims.len(), indices.len());
        return Err(Diagnostic::error("N0502", input.loc, message));
    }
    Ok(vec![scalar_type(ctx, element)])
}

/// `%t[%i, %j] : tensor<...>`
pub(crate) fn parse_load(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let container = p.operand()?;
    p.expect("[")?;
    let indices = p.operands()?;
    p.expect("]")?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let ty = p.ty()?;
    let index = p.ctx().index_type();
    state.operands = vec![p.resolve(container, ty)?];
    state.operands.extend(resolve_same(p, &indices, index)?);
    let types: Vec<Type> = std::iter::once(ty).chain(indices.iter().map(|_| index)).collect();
    nim_builtin::syntax::infer_results(p, state, &types)
}

pub(crate) fn print_load(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    p.value(operands[0]);
    p.text("[");
    p.values(&operands[1..]);
    p.text("]");
    print_attrs(p, op, &[]);
    p.text(" : ");
    let ty = p.body().ty(operands[0]);
    p.ty(ty);
}

pub(crate) fn infer_index(input: &InferInput<'_>) -> Result<Vec<Type>, Diagnostic> {
    Ok(vec![input.ctx.index_type()])
}

/// `2*$0 + N`
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
