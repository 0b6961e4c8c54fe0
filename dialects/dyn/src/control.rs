//! `if` and `loop`.

use crate::{Loop, Yield};
use nim_builtin::syntax::{
    attr, error, parse_results_arrow, print_attrs, print_results_arrow, resolve_all, set, set_segments, types_of,
};
use nim_ir::{
    Body, Context, Diagnostic, OpId, OpState, RegionId, Type, ValueId,
    syntax::{AsmParser, AsmPrinter, OperandName, Parse},
    verifier::operand_groups,
};

fn print_more(p: &mut dyn AsmPrinter, op: OpId, spelled: &[&str]) {
    let (ctx, attrs) = (p.ctx(), p.body().attrs(op).clone());
    if attrs.iter().any(|(n, _)| !spelled.contains(&ctx.str(n))) {
        p.text(" attributes");
        print_attrs(p, op, spelled);
    }
}

fn parse_more(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    if p.accept("attributes") { p.attr_dict(&mut state.attrs) } else { Ok(()) }
}

/// `%c : memref<i1> -> (T) { ... } else { ... }`
pub(crate) fn parse_if(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let condition = p.operand()?;
    p.expect(":")?;
    let ty = p.ty()?;
    state.operands = vec![p.resolve(condition, ty)?];
    parse_results_arrow(p, state)?;
    parse_more(p, state)?;
    p.region(state, &[])?;
    p.expect("else")?;
    p.region(state, &[])
}

pub(crate) fn print_if(p: &mut dyn AsmPrinter, op: OpId) {
    let condition = p.body().operand(op, 0);
    let regions = p.body().regions(op).to_vec();
    p.text(" ");
    p.value(condition);
    p.text(" : ");
    let ty = p.body().ty(condition);
    p.ty(ty);
    let results = print_results_arrow(p, op);
    print_more(p, op, &[]);
    for (i, region) in regions.into_iter().enumerate() {
        p.text(if i == 0 { " " } else { " else " });
        p.region(region, false, results);
    }
}

fn yielded(ctx: &Context, body: &Body, region: RegionId) -> Option<(OpId, Vec<Type>)> {
    let last = body.last_op(body.entry_block(region)?).filter(|&l| Yield::is(ctx, body, l))?;
    Some((last, body.operands(last).iter().map(|&v| body.ty(v)).collect()))
}

fn list(ctx: &Context, types: &[Type]) -> String {
    types.iter().map(|&t| ctx.display_type(t)).collect::<Vec<_>>().join(", ")
}

fn fits(ctx: &Context, a: &[Type], b: &[Type]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| nim_ir::verifier::compatible(ctx, a, b))
}

/// Complains unless the value is a buffer with one element of this integer width.
fn one_integer(ctx: &Context, body: &Body, op: OpId, value: ValueId, width: u32, found: &mut Vec<Diagnostic>) {
    let ty = body.ty(value);
    let single = ctx.dims(ty).is_some_and(|dims| dims.iter().all(|&d| ctx.dim_const(d) == Some(1)));
    if !single || ctx.element_type(ty) != Some(ctx.int_type(width)) {
        let message = format!("expected a buffer with one i{width}, found {}", ctx.display_type(ty));
        found.push(Diagnostic::error("N0590", body.loc(op), message));
    }
}

pub(crate) fn verify_if(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    one_integer(ctx, body, op, body.operand(op, 0), 1, found);
    let wanted: Vec<Type> = body.results(op).iter().map(|&v| body.ty(v)).collect();
    for &region in body.regions(op) {
        if let Some((end, types)) = yielded(ctx, body, region)
            && !fits(ctx, &types, &wanted)
        {
            let message =
                format!("the region yields ({}), the results are ({})", list(ctx, &types), list(ctx, &wanted));
            found.push(Diagnostic::error("N0591", body.loc(end), message));
        }
    }
}

/// Attributes of `dyn.loop` that the syntax spells out.
const SPELLED: [&str; 4] = ["operandSegmentSizes", "has_condition", "iv", "trip_count"];

fn one_operand(p: &mut dyn AsmParser) -> Parse<ValueId> {
    p.expect("(")?;
    let name = p.operand()?;
    p.expect(":")?;
    let ty = p.ty()?;
    let value = p.resolve(name, ty)?;
    p.expect(")")?;
    Ok(value)
}

/// `%i = "I" trip(%n : memref<i64>) count N while(%c : memref<i1>) conditional carry(%a = %b : T, ... to V, ...) -> (U) { ... }`;
/// the types of the region's values stand behind `to` where they differ.
pub(crate) fn parse_loop(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let ctx_i64 = p.ctx().int_type(64);
    let number = p.ctx().memref_of(&[], ctx_i64);
    let mut args: Vec<(OperandName, Type)> = vec![(p.operand()?, number)];
    if p.accept("=") {
        let iv = p.string()?;
        let iv = p.ctx().string_attr(&iv);
        set(p, state, "iv", iv);
    }
    let trip = if p.accept("trip") { Some(one_operand(p)?) } else { None };
    if p.accept("count") {
        let count = p.expr()?;
        let count = p.ctx().expr_attr(count);
        set(p, state, "trip_count", count);
    }
    let condition = if p.accept("while") { Some(one_operand(p)?) } else { None };
    if p.accept("conditional") {
        let unit = p.ctx().unit_attr();
        set(p, state, "has_condition", unit);
    }
    let mut carried = vec![];
    if p.accept("carry") {
        p.expect("(")?;
        let mut names = vec![];
        while p.peek_operand() {
            let argument = p.operand()?;
            p.expect("=")?;
            names.push((argument, p.operand()?));
            if !p.accept(",") {
                break;
            }
        }
        p.expect(":")?;
        let types = p.types()?;
        let inner = if p.accept("to") { p.types()? } else { types.clone() };
        p.expect(")")?;
        if names.len() != types.len() || names.len() != inner.len() {
            return error(p, format!("{} values are carried, but {} types", names.len(), types.len().min(inner.len())));
        }
        let starts: Vec<OperandName> = names.iter().map(|(_, start)| *start).collect();
        carried = resolve_all(p, &starts, &types)?;
        args.extend(names.into_iter().map(|(argument, _)| argument).zip(inner));
    }
    parse_results_arrow(p, state)?;
    parse_more(p, state)?;
    p.region(state, &args)?;
    set_segments(p, &mut state.attrs, &[trip.iter().len(), condition.iter().len(), carried.len()]);
    state.operands = trip.into_iter().chain(condition).chain(carried).collect();
    Ok(())
}

pub(crate) fn print_loop(p: &mut dyn AsmPrinter, op: OpId) {
    let (Some(groups), Some(block)) =
        (operand_groups(p.ctx(), p.body(), op), p.body().regions(op).first().and_then(|&r| p.body().entry_block(r)))
    else {
        p.text(" <malformed>");
        return;
    };
    let operands = p.body().operands(op);
    let args = p.body().block_args(block).to_vec();
    let single = |i: usize| {
        groups.get(i).and_then(|g: &std::ops::Range<usize>| operands.get(g.clone())).and_then(|v| v.first().copied())
    };
    let (trip, condition) = (single(0), single(1));
    let carried: Vec<ValueId> = groups.get(2).map(|g| operands[g.clone()].to_vec()).unwrap_or_default();
    if let Some(&number) = args.first() {
        p.text(" ");
        p.value(number);
    }
    if let Some(iv) = attr(p, op, "iv") {
        p.text(" = ");
        p.attr(iv);
    }
    let one = |p: &mut dyn AsmPrinter, word: &str, value: Option<ValueId>| {
        if let Some(value) = value {
            p.text(word);
            p.value(value);
            p.text(" : ");
            let ty = p.body().ty(value);
            p.ty(ty);
            p.text(")");
        }
    };
    one(p, " trip(", trip);
    if let Some(count) = attr(p, op, "trip_count").and_then(|a| p.ctx().as_expr(a)) {
        p.text(" count ");
        p.expr(count);
    }
    one(p, " while(", condition);
    if attr(p, op, "has_condition").is_some() {
        p.text(" conditional");
    }
    if !carried.is_empty() {
        p.text(" carry(");
        for (i, (&argument, &start)) in args.iter().skip(1).zip(&carried).enumerate() {
            if i > 0 {
                p.text(", ");
            }
            p.value(argument);
            p.text(" = ");
            p.value(start);
        }
        p.text(" : ");
        let types = types_of(p, &carried);
        p.types(&types);
        let inner = types_of(p, args.get(1..).unwrap_or_default());
        if inner != types {
            p.text(" to ");
            p.types(&inner);
        }
        p.text(")");
    }
    print_results_arrow(p, op);
    print_more(p, op, &SPELLED);
    p.text(" ");
    let body = Loop::body(p.ctx(), p.body(), op);
    p.region(body, false, true);
}

pub(crate) fn verify_loop(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let (trip, condition) = (Loop::trip(ctx, body, op), Loop::condition(ctx, body, op));
    let carried: Vec<Type> = Loop::carried(ctx, body, op).iter().map(|&v| body.ty(v)).collect();
    if let Some(trip) = trip {
        one_integer(ctx, body, op, trip, 64, found);
    }
    if let Some(condition) = condition {
        one_integer(ctx, body, op, condition, 1, found);
    }
    let region = Loop::body(ctx, body, op);
    let Some(block) = body.entry_block(region) else { return };
    let args: Vec<Type> = body.block_args(block).iter().map(|&v| body.ty(v)).collect();
    if args.len() != carried.len() + 1 || !fits(ctx, &args[1..], &carried) {
        let message = format!(
            "the region takes ({}), it gets the iteration's number and ({})",
            list(ctx, &args),
            list(ctx, &carried)
        );
        found.push(Diagnostic::error("N0592", body.loc(op), message));
    }
    let results: Vec<Type> = body.results(op).iter().map(|&v| body.ty(v)).collect();
    if results.len() < carried.len() || !fits(ctx, &results[..carried.len()], &carried) {
        let message = format!(
            "the results ({}) do not begin with what is carried: ({})",
            list(ctx, &results),
            list(ctx, &carried)
        );
        found.push(Diagnostic::error("N0592", body.loc(op), message));
        return;
    }
    let Some((end, types)) = yielded(ctx, body, region) else { return };
    let skip = usize::from(Loop::has_condition(ctx, body, op).is_some());
    let wanted = skip + results.len();
    if types.len() != wanted {
        let message = format!("the region must yield {wanted} values, found {}", types.len());
        let mut diagnostic = Diagnostic::error("N0593", body.loc(end), message);
        diagnostic =
            diagnostic.note("they are the condition if there is one, what is carried, and one buffer a stacked result");
        found.push(diagnostic);
    } else if !fits(ctx, &types[skip..skip + carried.len()], &carried) {
        let message =
            format!("the region yields ({}), what is carried is ({})", list(ctx, &types[skip..]), list(ctx, &carried));
        found.push(Diagnostic::error("N0593", body.loc(end), message));
    }
}
