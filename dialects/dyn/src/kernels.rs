//! Calls of kernels and of the runtime.

use nim_builtin::{
    func::print_function_type,
    syntax::{attr, print_attrs, resolve_all, result_types, set, set_segments, types_of},
};
use nim_ir::{
    AttrData, OpId, OpState, ValueId,
    syntax::{AsmParser, AsmPrinter, OperandName, Parse},
    verifier::operand_groups,
};

fn parse_list(p: &mut dyn AsmParser) -> Parse<Vec<OperandName>> {
    p.expect("(")?;
    let names = p.operands()?;
    p.expect(")")?;
    Ok(names)
}

/// `: T, U` for operands of both lists.
fn parse_types(p: &mut dyn AsmParser, names: &[OperandName]) -> Parse<Vec<ValueId>> {
    nim_builtin::syntax::resolve_colon_types(p, names)
}

/// `@k(%x, %w) outs(%y) : T, U, V`
pub(crate) fn parse_invoke(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let callee = p.symbol()?;
    let callee = p.ctx().attr(AttrData::SymbolRef(vec![callee]));
    set(p, state, "callee", callee);
    let mut names = parse_list(p)?;
    let ins = names.len();
    if p.accept("outs") {
        names.extend(parse_list(p)?);
    }
    p.attr_dict(&mut state.attrs)?;
    state.operands = parse_types(p, &names)?;
    set_segments(p, &mut state.attrs, &[ins, names.len() - ins]);
    Ok(())
}

pub(crate) fn print_invoke(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let ins = operand_groups(p.ctx(), p.body(), op).and_then(|g| Some(g.first()?.len())).unwrap_or(operands.len());
    p.text(" ");
    if let Some(callee) = attr(p, op, "callee").and_then(|a| p.ctx().as_symbol_ref(a)) {
        p.symbol(callee);
    }
    p.text("(");
    p.values(&operands[..ins]);
    p.text(") outs(");
    p.values(&operands[ins..]);
    p.text(")");
    print_attrs(p, op, &["callee", "operandSegmentSizes"]);
    if !operands.is_empty() {
        p.text(" : ");
        let types = types_of(p, &operands);
        p.types(&types);
    }
}

/// `"topk"(%x) {..} : (T) -> (U, V)`
pub(crate) fn parse_runtime(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let name = p.string()?;
    let name = p.ctx().string_attr(&name);
    set(p, state, "name", name);
    let names = parse_list(p)?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let (inputs, results) = p.function_type()?;
    state.operands = resolve_all(p, &names, &inputs)?;
    state.results = results;
    Ok(())
}

pub(crate) fn print_runtime(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    if let Some(name) = attr(p, op, "name") {
        p.attr(name);
    }
    p.text("(");
    p.values(&operands);
    p.text(")");
    print_attrs(p, op, &["name"]);
    p.text(" : ");
    let (inputs, results) = (types_of(p, &operands), result_types(p, op));
    print_function_type(p, &inputs, &results);
}
