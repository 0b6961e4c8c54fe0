//! Upstream's `scf`: structured control flow.

use crate::syntax::{
    error, parse_values, print_attrs, print_values, resolve_all, resolve_colon_types, result_types, set, types_of,
};
use nim_ir::{
    Body, Context, Diagnostic, OpId, OpState, Type, ValueId,
    syntax::{AsmParser, AsmPrinter, OperandName, Parse},
};
use nim_ir_macros::{dialect, op};

dialect! {
    /// The `scf` dialect of upstream MLIR.
    pub static SCF: "scf", "Upstream: structured control flow.",
    ops[For, If, While, Condition, Yield]
}

/// Runs its region for `iv = lower, lower + step, ...` below `upper`; values are carried from one iteration to the next.
#[op(name = "scf.for", traits(StructuredControlFlow), parse = parse_for, print = print_for, verify = verify_for)]
pub struct For {
    /// first value
    #[operand(INT_LIKE)]
    lowerBound: One,
    /// end, exclusive
    #[operand(INT_LIKE)]
    upperBound: One,
    /// step, positive
    #[operand(INT_LIKE)]
    step: One,
    /// what the first iteration gets
    #[operand(ANY)]
    initArgs: Variadic,
    /// bounds are unsigned
    #[attr(Unit)]
    unsignedCmp: Optional,
    /// the body: iteration variable, then what is carried
    #[region(single_block)]
    region: One,
    /// what is carried out of the last iteration
    #[result(ANY)]
    results: Variadic,
}

/// Runs one of two regions. The second may be empty when there are no results.
#[op(name = "scf.if", traits(StructuredControlFlow), parse = parse_if, print = print_if, verify = verify_if)]
pub struct If {
    /// which
    #[operand(BOOL)]
    condition: One,
    /// if it is true
    #[region(single_block)]
    thenRegion: One,
    /// if it is false
    #[region]
    elseRegion: One,
    /// what the regions yield
    #[result(ANY)]
    results: Variadic,
}

/// Runs `before`, then, while that says so, `after` and `before` again.
#[op(name = "scf.while", traits(StructuredControlFlow), parse = parse_while, print = print_while)]
pub struct While {
    /// arguments of the first `before`
    #[operand(ANY)]
    inits: Variadic,
    /// ends with `scf.condition`
    #[region(single_block)]
    before: One,
    /// ends with `scf.yield`
    #[region(single_block)]
    after: One,
    /// what the last `scf.condition` gives
    #[result(ANY)]
    results: Variadic,
}

/// Ends the first region of `scf.while`.
#[op(name = "scf.condition", traits(Pure, Terminator), parse = parse_condition, print = print_condition)]
pub struct Condition {
    /// whether to go on
    #[operand(BOOL)]
    condition: One,
    /// arguments of `after`, or results
    #[operand(ANY)]
    args: Variadic,
}

/// Ends a region.
#[op(name = "scf.yield", traits(Pure, Terminator), parse = parse_values, print = print_values)]
pub struct Yield {
    /// values for the op around
    #[operand(ANY)]
    results: Variadic,
}

/// `(%a = %b, %c = %d)`: arguments and what they start as.
fn parse_starts(p: &mut dyn AsmParser) -> Parse<(Vec<OperandName>, Vec<OperandName>)> {
    let (mut arguments, mut starts) = (vec![], vec![]);
    p.expect("(")?;
    while p.peek_operand() {
        arguments.push(p.operand()?);
        p.expect("=")?;
        starts.push(p.operand()?);
        if !p.accept(",") {
            break;
        }
    }
    p.expect(")")?;
    Ok((arguments, starts))
}

fn print_starts(p: &mut dyn AsmPrinter, arguments: &[ValueId], starts: &[ValueId]) {
    p.text("(");
    for (i, (&argument, &start)) in arguments.iter().zip(starts).enumerate() {
        p.text(if i > 0 { ", " } else { "" });
        p.value(argument);
        p.text(" = ");
        p.value(start);
    }
    p.text(")");
}

/// `-> (T, U)` or `-> T`
fn parse_arrow_types(p: &mut dyn AsmParser) -> Parse<Vec<Type>> {
    if !p.accept("->") {
        return Ok(vec![]);
    }
    if !p.accept("(") {
        return Ok(vec![p.ty()?]);
    }
    if p.accept(")") {
        return Ok(vec![]);
    }
    let types = p.types()?;
    p.expect(")")?;
    Ok(types)
}

fn print_arrow_types(p: &mut dyn AsmPrinter, types: &[Type]) {
    p.text(" -> (");
    p.types(types);
    p.text(")");
}

/// `unsigned %i = %a to %b step %c iter_args(%x = %y) -> (T) : i32 { ... }`
fn parse_for(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    if p.accept("unsigned") {
        let unit = p.ctx().unit_attr();
        set(p, state, "unsignedCmp", unit);
    }
    let variable = p.operand()?;
    p.expect("=")?;
    let lower = p.operand()?;
    p.expect("to")?;
    let upper = p.operand()?;
    p.expect("step")?;
    let step = p.operand()?;
    let (mut arguments, mut starts) = (vec![], vec![]);
    if p.accept("iter_args") {
        (arguments, starts) = parse_starts(p)?;
        state.results = parse_arrow_types(p)?;
    }
    let ty = if p.accept(":") { p.ty()? } else { p.ctx().index_type() };
    state.operands = resolve_all(p, &[lower, upper, step], &[ty; 3])?;
    let types = state.results.clone();
    state.operands.extend(resolve_all(p, &starts, &types)?);
    let mut args = vec![(variable, ty)];
    args.extend(arguments.into_iter().zip(types));
    p.region(state, &args)?;
    p.attr_dict(&mut state.attrs)
}

fn print_for(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let region = For::region(p.ctx(), p.body(), op);
    let args = p.body().entry_block(region).map(|b| p.body().block_args(b).to_vec()).unwrap_or_default();
    if crate::syntax::attr(p, op, "unsignedCmp").is_some() {
        p.text(" unsigned");
    }
    p.text(" ");
    if let Some(&variable) = args.first() {
        p.value(variable);
    }
    for (word, i) in [(" = ", 0), (" to ", 1), (" step ", 2)] {
        p.text(word);
        p.value(operands[i]);
    }
    let types = result_types(p, op);
    if !types.is_empty() {
        p.text(" iter_args");
        print_starts(p, args.get(1..).unwrap_or_default(), &operands[3..]);
        print_arrow_types(p, &types);
    }
    let ty = p.body().ty(operands[0]);
    if ty != p.ctx().index_type() {
        p.text(" : ");
        p.ty(ty);
    }
    p.text(" ");
    p.region(region, false, !types.is_empty());
    print_attrs(p, op, &["unsignedCmp"]);
}

/// Types of what a region's `scf.yield` gives.
fn yielded(ctx: &Context, body: &Body, region: nim_ir::RegionId) -> Option<(OpId, Vec<Type>)> {
    let last = body.last_op(body.entry_block(region)?).filter(|&l| Yield::is(ctx, body, l))?;
    Some((last, body.operands(last).iter().map(|&v| body.ty(v)).collect()))
}

fn check_yield(ctx: &Context, body: &Body, region: nim_ir::RegionId, wanted: &[Type], found: &mut Vec<Diagnostic>) {
    if let Some((end, types)) = yielded(ctx, body, region)
        && types != wanted
    {
        let list = |types: &[Type]| types.iter().map(|&t| ctx.display_type(t)).collect::<Vec<_>>().join(", ");
        let message = format!("the region yields ({}), the results are ({})", list(&types), list(wanted));
        found.push(Diagnostic::error("N0355", body.loc(end), message));
    }
}

fn verify_for(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let results: Vec<Type> = body.results(op).iter().map(|&v| body.ty(v)).collect();
    let operands = body.operands(op);
    let types: Vec<Type> = operands.iter().map(|&v| body.ty(v)).collect();
    let region = For::region(ctx, body, op);
    let args: Vec<Type> =
        body.entry_block(region).map(|b| body.block_args(b).iter().map(|&v| body.ty(v)).collect()).unwrap_or_default();
    let wanted: Vec<Type> = std::iter::once(types[0]).chain(results.iter().copied()).collect();
    if types[..3].iter().any(|&t| t != types[0]) || types[3..] != results[..] || args != wanted {
        let message =
            "bounds and iteration variable of `scf.for` have one type; what is carried has the types of the results";
        found.push(Diagnostic::error("N0355", body.loc(op), message));
    }
    check_yield(ctx, body, region, &results, found);
}

/// `%c -> (T) { ... } else { ... }`
fn parse_if(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let condition = p.operand()?;
    let i1 = p.ctx().int_type(1);
    state.operands = vec![p.resolve(condition, i1)?];
    state.results = parse_arrow_types(p)?;
    p.region(state, &[])?;
    // upstream counts two regions, of which the second may be empty
    if p.accept("else") {
        p.region(state, &[])?;
    } else {
        p.empty_region(state);
    }
    p.attr_dict(&mut state.attrs)
}

fn print_if(p: &mut dyn AsmPrinter, op: OpId) {
    let (condition, types) = (p.body().operand(op, 0), result_types(p, op));
    p.text(" ");
    p.value(condition);
    if !types.is_empty() {
        print_arrow_types(p, &types);
    }
    let (then, other) = (If::thenRegion(p.ctx(), p.body(), op), If::elseRegion(p.ctx(), p.body(), op));
    p.text(" ");
    p.region(then, false, !types.is_empty());
    if !p.body().blocks(other).is_empty() {
        p.text(" else ");
        p.region(other, false, !types.is_empty());
    }
    print_attrs(p, op, &[]);
}

fn verify_if(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let results: Vec<Type> = body.results(op).iter().map(|&v| body.ty(v)).collect();
    for &region in body.regions(op) {
        check_yield(ctx, body, region, &results, found);
    }
    let other = body.regions(op).get(1).is_some_and(|&r| !body.blocks(r).is_empty());
    if !results.is_empty() && !other {
        found.push(Diagnostic::error("N0355", body.loc(op), "`scf.if` with results needs an `else`"));
    }
}

/// `(%a = %b) : (T) -> U { ... } do { ^bb0(%x: U): ... } attributes {...}`
fn parse_while(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let (arguments, starts) = if p.peek("(") { parse_starts(p)? } else { (vec![], vec![]) };
    p.expect(":")?;
    let (inputs, results) = p.function_type()?;
    if inputs.len() != arguments.len() {
        return error(p, format!("{} arguments, but {} types", arguments.len(), inputs.len()));
    }
    state.operands = resolve_all(p, &starts, &inputs)?;
    state.results = results;
    let args: Vec<(OperandName, Type)> = arguments.into_iter().zip(inputs).collect();
    p.region(state, &args)?;
    p.expect("do")?;
    p.region(state, &[])?;
    if p.accept("attributes") {
        p.attr_dict(&mut state.attrs)?;
    }
    Ok(())
}

fn print_while(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let (before, after) = (While::before(p.ctx(), p.body(), op), While::after(p.ctx(), p.body(), op));
    let args = p.body().entry_block(before).map(|b| p.body().block_args(b).to_vec()).unwrap_or_default();
    p.text(" ");
    if !operands.is_empty() {
        print_starts(p, &args, &operands);
        p.text(" ");
    }
    p.text(": ");
    let (inputs, results) = (types_of(p, &operands), result_types(p, op));
    crate::func::print_function_type(p, &inputs, &results);
    p.text(" ");
    p.region(before, false, true);
    p.text(" do ");
    p.region(after, true, true);
    if !p.body().attrs(op).is_empty() {
        p.text(" attributes");
        print_attrs(p, op, &[]);
    }
}

/// `(%c) {..} %a, %b : T, U`
fn parse_condition(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    p.expect("(")?;
    let condition = p.operand()?;
    p.expect(")")?;
    p.attr_dict(&mut state.attrs)?;
    let names = p.operands()?;
    let i1 = p.ctx().int_type(1);
    state.operands = vec![p.resolve(condition, i1)?];
    state.operands.extend(resolve_colon_types(p, &names)?);
    Ok(())
}

fn print_condition(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text("(");
    p.value(operands[0]);
    p.text(")");
    print_attrs(p, op, &[]);
    if operands.len() > 1 {
        let types = types_of(p, &operands[1..]);
        p.text(" ");
        p.values(&operands[1..]);
        p.text(" : ");
        p.types(&types);
    }
}
