//! Algebraic data types, as `graph` and `dyn` share them: their definitions, and syntax and checks of the ops that make
//! values and take them apart.
//!
//! A module defines a type by the ways to make its values, each with the types of its fields:
//!
//! ```text
//! graph.adt @Tree { leaf(tensor<300xf32>), node(!graph.adt<@Tree>, !graph.adt<@Tree>) }
//! ```
//!
//! The definition stays as it is on the way down, with tensors where fields have become buffers.

use crate::func::fits;
use crate::syntax::{self, attr, error, parse_results_arrow, print_attrs, print_results_arrow, set};
use nim_ir::{
    AttrData, Body, Context, Diagnostic, Name, OpId, OpState, Type, TypeData, ValueId,
    diagnostics::did_you_mean,
    syntax::{AsmParser, AsmPrinter, Parse},
    verifier::SymbolTable,
};
use rustc_hash::FxHashMap;

/// The name of the type and of the op that defines one.
pub const NAME: &str = "graph.adt";

/// One way to make values of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constructor<'a> {
    /// Its name.
    pub name: &'a str,
    /// Types of its fields.
    pub fields: Vec<Type>,
}

/// The type that a module defines as `@name`.
pub fn adt_type(ctx: &Context, name: Name) -> Type {
    let params = vec![ctx.attr(AttrData::SymbolRef(vec![name]))];
    ctx.ty(TypeData::Dialect { name: ctx.name(NAME), params })
}

/// The name of the definition, if the type is an algebraic data type.
pub fn adt_name(ctx: &Context, ty: Type) -> Option<Name> {
    match ctx.type_data(ty) {
        TypeData::Dialect { name, params } if ctx.str(*name) == NAME => ctx.as_symbol_ref(*params.first()?),
        _ => None,
    }
}

/// The constructors of a definition, in its order.
pub fn constructors<'c>(ctx: &'c Context, body: &Body, op: OpId) -> Vec<Constructor<'c>> {
    let list = |name: &str| body.attr_named(ctx, op, name).and_then(|a| ctx.as_array(a)).unwrap_or_default();
    let types = |a| ctx.as_array(a).unwrap_or_default().iter().filter_map(|&t| ctx.as_type(t)).collect();
    let made = list("constructors").iter().zip(list("fields"));
    made.filter_map(|(&name, &fields)| Some(Constructor { name: ctx.as_string(name)?, fields: types(fields) }))
        .collect()
}

/// A buffer's type as that of a tensor; other types stay.
fn as_value(ctx: &Context, ty: Type) -> Type {
    match ctx.type_data(ty) {
        TypeData::MemRef { dims, element, .. } => ctx.tensor_type(dims, *element),
        _ => ty,
    }
}

/// `@Tree { leaf(T), node(U, U) }`.
pub fn parse_definition(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let name = p.symbol()?;
    let (mut names, mut fields) = (vec![], vec![]);
    p.expect("{")?;
    loop {
        let constructor = p.keyword()?;
        p.expect("(")?;
        let types = if p.peek(")") { vec![] } else { p.types()? };
        p.expect(")")?;
        let ctx = p.ctx();
        names.push(ctx.string_attr(ctx.str(constructor)));
        fields.push(ctx.array_attr(types.into_iter().map(|t| ctx.type_attr(t))));
        if !p.accept(",") {
            break;
        }
    }
    p.expect("}")?;
    let ctx = p.ctx();
    let (name, names, fields) = (ctx.string_attr(ctx.str(name)), ctx.array_attr(names), ctx.array_attr(fields));
    set(p, state, "sym_name", name);
    set(p, state, "constructors", names);
    set(p, state, "fields", fields);
    if p.accept("attributes") { p.attr_dict(&mut state.attrs) } else { Ok(()) }
}

/// See [`parse_definition`].
pub fn print_definition(p: &mut dyn AsmPrinter, op: OpId) {
    let made: Vec<(String, Vec<Type>)> =
        constructors(p.ctx(), p.body(), op).into_iter().map(|c| (c.name.to_owned(), c.fields)).collect();
    let name = attr(p, op, "sym_name").and_then(|a| p.ctx().as_string(a)).map(|n| p.ctx().name(n));
    p.text(" ");
    if let Some(name) = name {
        p.symbol(name);
    }
    for (i, (name, fields)) in made.iter().enumerate() {
        p.text(if i == 0 { " { " } else { ", " });
        p.text(name);
        p.text("(");
        p.types(fields);
        p.text(")");
    }
    p.text(" }");
    const SPELLED: [&str; 3] = ["sym_name", "constructors", "fields"];
    let (ctx, attrs) = (p.ctx(), p.body().attrs(op).clone());
    if attrs.iter().any(|(n, _)| !SPELLED.contains(&ctx.str(n))) {
        p.text(" attributes");
        print_attrs(p, op, &SPELLED);
    }
}

/// Constructors have names, each its own, and lists of fields.
pub fn verify_definition(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let count = |name: &str| body.attr_named(ctx, op, name).and_then(|a| ctx.as_array(a)).map_or(0, <[_]>::len);
    let made = constructors(ctx, body, op);
    let mut report = |message: String| found.push(Diagnostic::error("N0420", body.loc(op), message));
    if made.is_empty() || made.len() != count("constructors") || made.len() != count("fields") {
        report("a data type needs constructors: as many names as lists of types of fields".into());
    }
    for (i, constructor) in made.iter().enumerate() {
        if made[..i].iter().any(|other| other.name == constructor.name) {
            report(format!("the constructor `{}` is defined twice", constructor.name));
        }
    }
}

/// `leaf(%x, %y) : (T, U) -> !graph.adt<@Tree>`.
pub fn parse_construct(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let name = p.keyword()?;
    let name = p.ctx().string_attr(p.ctx().str(name));
    set(p, state, "constructor", name);
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

/// See [`parse_construct`].
pub fn print_construct(p: &mut dyn AsmPrinter, op: OpId) {
    p.text(" ");
    if let Some(name) = attr(p, op, "constructor").and_then(|a| p.ctx().as_string(a)).map(str::to_owned) {
        p.text(&name);
    }
    let operands = p.body().operands(op);
    p.text("(");
    p.values(&operands);
    p.text(")");
    print_attrs(p, op, &["constructor"]);
    p.text(" : ");
    let (inputs, results) = (syntax::types_of(p, &operands), syntax::result_types(p, op));
    crate::func::print_function_type(p, &inputs, &results);
}

/// The constructors of a value's type, or a diagnostic.
fn of_type<'c>(
    ctx: &'c Context,
    table: &SymbolTable<'_>,
    body: &Body,
    (op, ty): (OpId, Type),
) -> Result<(Vec<Constructor<'c>>, OpId), Diagnostic> {
    let error = |message: String| Diagnostic::error("N0421", body.loc(op), message);
    let Some(name) = adt_name(ctx, ty) else {
        return Err(error(format!("a value of an algebraic data type is wanted, found {}", ctx.display_type(ty))));
    };
    let defined = |definition: &OpId| table.body.is(ctx, *definition, NAME);
    match table.get(name).filter(defined) {
        Some(definition) => Ok((constructors(ctx, table.body, definition), definition)),
        None => Err(error(format!("the module does not define the data type `@{}`", ctx.str(name)))),
    }
}

fn unknown(ctx: &Context, body: &Body, op: OpId, name: &str, ty: Type, made: &[Constructor<'_>]) -> Diagnostic {
    let message = format!("{} has no constructor `{name}`", ctx.display_type(ty));
    let names: Vec<&str> = made.iter().map(|c| c.name).collect();
    let diagnostic = Diagnostic::error("N0422", body.loc(op), message).note(format!("it has {}", names.join(", ")));
    match did_you_mean(name, names) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

/// Complains where values do not fit the fields of a constructor. Symbols of a definition are each value's own.
fn check_fields(
    ctx: &Context,
    constructor: &Constructor<'_>,
    values: &[Type],
    report: &mut dyn FnMut(String),
    verb: &str,
) {
    let (name, wanted) = (constructor.name, constructor.fields.len());
    if values.len() != wanted {
        return report(format!("`{name}` has {wanted} fields, {} {verb}", values.len()));
    }
    let mut symbols = FxHashMap::default();
    for (i, (&field, &value)) in constructor.fields.iter().zip(values).enumerate() {
        if !fits(ctx, field, as_value(ctx, value), &mut symbols) {
            let (field, value) = (ctx.display_type(field), ctx.display_type(value));
            report(format!("field {i} of `{name}` is {field}, found {value}"));
        }
    }
}

/// What is made must be a value of a type that the module defines.
pub fn verify_construct(ctx: &Context, table: &SymbolTable<'_>, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let ty = body.ty(body.result(op));
    let (made, definition) = match of_type(ctx, table, body, (op, ty)) {
        Ok(known) => known,
        Err(diagnostic) => return found.push(diagnostic),
    };
    let name = body.attr_named(ctx, op, "constructor").and_then(|a| ctx.as_string(a)).unwrap_or_default();
    let Some(constructor) = made.iter().find(|c| c.name == name) else {
        return found.push(unknown(ctx, body, op, name, ty, &made));
    };
    let types: Vec<Type> = body.operands(op).iter().map(|&v| body.ty(v)).collect();
    let mut report = |message| {
        let diagnostic = Diagnostic::error("N0423", body.loc(op), message);
        found.push(diagnostic.label(table.body.loc(definition), "the definition"));
    };
    check_fields(ctx, constructor, &types, &mut report, "are given");
}

/// The word for all constructors that no other case names.
pub const OTHERWISE: &str = "otherwise";

/// `%t : T -> (U) { case leaf(%x: V) { ... } case node(%l: T, %r: T) { ... } otherwise { ... } }`.
pub fn parse_match(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let value = p.operand()?;
    p.expect(":")?;
    let ty = p.ty()?;
    state.operands = vec![p.resolve(value, ty)?];
    parse_results_arrow(p, state)?;
    if p.accept("attributes") {
        p.attr_dict(&mut state.attrs)?;
    }
    p.expect("{")?;
    let mut cases = vec![];
    while !p.accept("}") {
        let mut args = vec![];
        if p.accept(OTHERWISE) {
            cases.push(p.ctx().string_attr(OTHERWISE));
        } else if p.accept("case") {
            let name = p.keyword()?;
            cases.push(p.ctx().string_attr(p.ctx().str(name)));
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
        } else {
            return error(p, "a match has cases: `case leaf(%x: T) { ... }` or `otherwise { ... }`");
        }
        p.region(state, &args)?;
    }
    let cases = p.ctx().array_attr(cases);
    set(p, state, "cases", cases);
    Ok(())
}

/// Names of the cases of a match, in the order of its regions.
pub fn cases<'c>(ctx: &'c Context, body: &Body, op: OpId) -> Vec<&'c str> {
    let names = body.attr_named(ctx, op, "cases").and_then(|a| ctx.as_array(a)).unwrap_or_default();
    names.iter().filter_map(|&n| ctx.as_string(n)).collect()
}

/// See [`parse_match`].
pub fn print_match(p: &mut dyn AsmPrinter, op: OpId) {
    let value = p.body().operand(op, 0);
    p.text(" ");
    p.value(value);
    p.text(" : ");
    let ty = p.body().ty(value);
    p.ty(ty);
    let results = print_results_arrow(p, op);
    let (ctx, attrs) = (p.ctx(), p.body().attrs(op).clone());
    if attrs.iter().any(|(n, _)| ctx.str(n) != "cases") {
        p.text(" attributes");
        print_attrs(p, op, &["cases"]);
    }
    p.text(" {");
    let names: Vec<String> = cases(p.ctx(), p.body(), op).into_iter().map(str::to_owned).collect();
    for (name, region) in names.iter().zip(p.body().regions(op).to_vec()) {
        p.newline();
        p.indent();
        if name == OTHERWISE {
            p.text(name);
        } else {
            p.text("case ");
            p.text(name);
            p.text("(");
            let args: Vec<ValueId> =
                p.body().entry_block(region).map(|b| p.body().block_args(b).to_vec()).unwrap_or_default();
            for (i, &arg) in args.iter().enumerate() {
                if i > 0 {
                    p.text(", ");
                }
                p.value(arg);
                p.text(": ");
                let ty = p.body().ty(arg);
                p.ty(ty);
            }
            p.text(")");
        }
        p.text(" ");
        p.region(region, false, results);
        p.unindent();
    }
    p.line();
    p.text("}");
}

/// Every constructor has one case, cases take what constructors hold, and all give what the op gives.
pub fn verify_match(ctx: &Context, table: &SymbolTable<'_>, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let ty = body.ty(body.operand(op, 0));
    let (made, definition) = match of_type(ctx, table, body, (op, ty)) {
        Ok(known) => known,
        Err(diagnostic) => return found.push(diagnostic),
    };
    let names = cases(ctx, body, op);
    let mut report = |code, message: String| {
        let diagnostic = Diagnostic::error(code, body.loc(op), message);
        found.push(diagnostic.label(table.body.loc(definition), "the definition"));
    };
    if names.len() != body.regions(op).len() {
        return report("N0424", format!("{} cases have {} regions", names.len(), body.regions(op).len()));
    }
    for (i, (&name, &region)) in names.iter().zip(body.regions(op)).enumerate() {
        if names[..i].contains(&name) {
            report("N0424", format!("there are two cases for `{name}`"));
        }
        let args = body.entry_block(region).map(|b| body.block_args(b)).unwrap_or_default();
        let types: Vec<Type> = args.iter().map(|&a| body.ty(a)).collect();
        match made.iter().find(|c| c.name == name) {
            Some(constructor) => {
                check_fields(ctx, constructor, &types, &mut |m| report("N0423", m), "are taken by its case")
            }
            None if name == OTHERWISE && i + 1 == names.len() && types.is_empty() => {}
            None => {
                let known = made.iter().map(|c| c.name).collect::<Vec<_>>().join(", ");
                report("N0422", format!("{} has no constructor `{name}`, it has {known}", ctx.display_type(ty)));
            }
        }
    }
    let missing: Vec<&str> = made.iter().map(|c| c.name).filter(|name| !names.contains(name)).collect();
    if !missing.is_empty() && !names.contains(&OTHERWISE) {
        report("N0424", format!("no case takes {}", missing.join(", ")));
    } else if missing.is_empty() && names.contains(&OTHERWISE) {
        report("N0424", "`otherwise` is never reached: every constructor has a case".into());
    }
    let results: Vec<Type> = body.results(op).iter().map(|&v| body.ty(v)).collect();
    for &region in body.regions(op) {
        let Some(end) = body.entry_block(region).and_then(|b| body.last_op(b)) else { continue };
        let types: Vec<Type> = body.operands(end).iter().map(|&v| body.ty(v)).collect();
        let fits = types.len() == results.len()
            && types.iter().zip(&results).all(|(&a, &b)| nim_ir::verifier::compatible(ctx, a, b));
        if !fits {
            let list = |types: &[Type]| types.iter().map(|&t| ctx.display_type(t)).collect::<Vec<_>>().join(", ");
            let message = format!("the case yields ({}), the results are ({})", list(&types), list(&results));
            found.push(Diagnostic::error("N0425", body.loc(end), message));
        }
    }
}

/// `@f(%a, %b) : (T, U) -> ((V) -> W)`.
pub fn parse_closure(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    crate::func::parse_call_like(p, state)
}

/// See [`parse_closure`].
pub fn print_closure(p: &mut dyn AsmPrinter, op: OpId) {
    crate::func::print_call(p, op);
}

/// The function must take what is captured, then what the value takes, and give what it gives.
pub fn verify_closure(ctx: &Context, table: &SymbolTable<'_>, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    let name = body.attr_named(ctx, op, "callee").and_then(|a| ctx.as_symbol_ref(a));
    let Some((name, target)) = name.and_then(|name| Some((name, table.get(name)?))) else { return };
    let Some((inputs, results)) = crate::func::signature(ctx, table.body, target) else { return };
    let mut report = |message: String| {
        let diagnostic = Diagnostic::error("N0426", body.loc(op), message);
        found.push(diagnostic.label(table.body.loc(target), "the function"));
    };
    let ty = body.ty(body.result(op));
    let TypeData::Function { inputs: open, results: given } = ctx.type_data(ty) else {
        return report(format!("a closure is a function, found {}", ctx.display_type(ty)));
    };
    let captured: Vec<Type> = body.operands(op).iter().map(|&v| body.ty(v)).collect();
    let mut symbols = FxHashMap::default();
    let mut report = |message| report(format!("`@{}` {message}", ctx.str(name)));
    let all = [captured.as_slice(), open].concat();
    crate::func::check_fits(ctx, (inputs, &all), &mut symbols, &mut report, "takes");
    crate::func::check_fits(ctx, (results, given), &mut symbols, &mut report, "gives");
}
