//! Upstream's `func`: functions, calls and returns.

pub use crate::call::{Call, CallIndirect, check_fits, fits, parse_call_like, print_call};
use crate::syntax::{self, attr, error, set};
use nim_ir::{
    Attr, AttrData, AttrList, Body, Context, Diagnostic, Name, OpId, OpState, Type, TypeData,
    syntax::{AsmParser, AsmPrinter, OperandName, Parse},
};
use nim_ir_macros::{dialect, op};

dialect! {
    /// The `func` dialect of upstream MLIR.
    pub static FUNC: "func", "Upstream: functions, calls and returns.",
    ops[Func, Return, Call, CallIndirect]
}

/// A function. Without blocks it is a declaration of one that stands elsewhere.
#[op(name = "func.func", traits(IsolatedFromAbove, Symbol), verify = verify_func, parse = parse_func, print = print_func)]
pub struct Func {
    /// name
    #[attr(SymbolName)]
    sym_name: Required,
    /// `(inputs) -> results`
    #[attr(Type)]
    function_type: Required,
    /// `"private"`, `"nested"` or `"public"`
    #[attr(String)]
    sym_visibility: Optional,
    /// a dictionary an argument
    #[attr(Array)]
    arg_attrs: Optional,
    /// a dictionary a result
    #[attr(Array)]
    res_attrs: Optional,
    /// must not be inlined
    #[attr(Unit)]
    no_inline: Optional,
    /// the body; its entry block has the function's arguments
    #[region]
    body: One,
}

/// Returns from a function.
#[op(name = "func.return", traits(Pure, Terminator), parse = syntax::parse_values, print = syntax::print_values)]
pub struct Return {
    /// the function's results
    #[operand(ANY)]
    operands: Variadic,
}

/// Inputs and results of a function-like op, from its `function_type`.
pub fn signature<'c>(ctx: &'c Context, body: &Body, op: OpId) -> Option<(&'c [Type], &'c [Type])> {
    let ty = ctx.as_type(body.attr_named(ctx, op, "function_type")?)?;
    match ctx.type_data(ty) {
        TypeData::Function { inputs, results } => Some((inputs, results)),
        _ => None,
    }
}

/// For each argument of a function's body, the first op in the order of the text that reads it, but for those that `skip`
/// names: the node of the model that a wrong argument is explained with.
pub fn first_readers(body: &Body, skip: &dyn Fn(OpId) -> bool) -> Vec<Option<OpId>> {
    let args = body.entry().map(|b| body.block_args(b)).unwrap_or_default();
    let mut readers = vec![None; args.len()];
    for op in body.walk() {
        for value in body.operands(op) {
            if let Some(at) = args.iter().position(|&arg| arg == value).filter(|&at| readers[at].is_none() && !skip(op))
            {
                readers[at] = Some(op);
            }
        }
    }
    readers
}

/// Checks that the entry block's arguments and the terminators called `terminator` fit `function_type`.
pub fn verify_signature(ctx: &Context, body: &Body, op: OpId, terminator: &str, found: &mut Vec<Diagnostic>) {
    let name = ctx.op_str(body.op_name(op)).to_string();
    let Some((inputs, results)) = signature(ctx, body, op) else {
        found.push(Diagnostic::error(
            "N0360",
            body.loc(op),
            format!("`function_type` of `{name}` must be a function type"),
        ));
        return;
    };
    let Some(nested) = body.nested(op) else { return };
    let Some(entry) = nested.entry() else { return };
    let list = |types: &[Type]| types.iter().map(|&t| ctx.display_type(t)).collect::<Vec<_>>().join(", ");
    let args: Vec<Type> = nested.block_args(entry).iter().map(|&a| nested.ty(a)).collect();
    if args != inputs {
        found.push(Diagnostic::error(
            "N0361",
            body.loc(op),
            format!("the entry block of `{name}` has arguments ({}), its type says ({})", list(&args), list(inputs)),
        ));
    }
    for region in nested.root_regions() {
        for &block in nested.blocks(*region) {
            let Some(last) = nested.last_op(block).filter(|&last| nested.is(ctx, last, terminator)) else { continue };
            let values = nested.operands(last);
            let types: Vec<Type> = values.iter().map(|&v| nested.ty(v)).collect();
            let fits = types.len() == results.len()
                && types.iter().zip(results).all(|(&a, &b)| nim_ir::verifier::compatible(ctx, a, b));
            if !fits {
                found.push(
                    Diagnostic::error("N0362", nested.loc(last), format!("`{terminator}` gives ({})", list(&types)))
                        .label(body.loc(op), format!("the results are ({})", list(results))),
                );
            }
        }
    }
}

fn verify_func(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    verify_signature(ctx, body, op, Return::NAME, found);
}

/// What a function's header says.
pub struct Header {
    /// Arguments with names; empty for a declaration without.
    pub args: Vec<(OperandName, Type)>,
    /// Types of the arguments.
    pub inputs: Vec<Type>,
    /// Types of the results.
    pub results: Vec<Type>,
}

fn dict(p: &mut dyn AsmParser, any: &mut bool) -> Parse<Attr> {
    let mut attrs = AttrList::new();
    if p.peek("{") {
        p.attr_dict(&mut attrs)?;
        *any |= !attrs.is_empty();
    }
    let items: Vec<(Name, Attr)> = attrs.iter().collect();
    Ok(p.ctx().dict_attr(items))
}

/// `@name(%x: T {attrs}, ...) -> (U {attrs}, ...) attributes {...}`; sets `sym_name`, `function_type`, `arg_attrs`, `res_attrs`.
pub fn parse_header(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<Header> {
    let name = p.symbol()?;
    let text = p.ctx().str(name).to_string();
    let attr = p.ctx().string_attr(&text);
    set(p, state, "sym_name", attr);

    let (mut args, mut inputs, mut results) = (vec![], vec![], vec![]);
    let (mut arg_dicts, mut res_dicts, mut any_arg, mut any_res) = (vec![], vec![], false, false);
    p.expect("(")?;
    if !p.accept(")") {
        loop {
            let ty = if p.peek_operand() {
                let name = p.operand()?;
                p.expect(":")?;
                let ty = p.ty()?;
                args.push((name, ty));
                ty
            } else {
                p.ty()?
            };
            inputs.push(ty);
            arg_dicts.push(dict(p, &mut any_arg)?);
            if let (Some(loc), Some((arg, _))) = (p.location()?, args.last_mut()) {
                arg.loc = loc;
            }
            if !p.accept(",") {
                break;
            }
        }
        p.expect(")")?;
    }
    if !args.is_empty() && args.len() != inputs.len() {
        return error(p, "either all arguments have names, or none");
    }
    if p.accept("->") {
        if p.accept("(") {
            if !p.accept(")") {
                loop {
                    results.push(p.ty()?);
                    res_dicts.push(dict(p, &mut any_res)?);
                    if !p.accept(",") {
                        break;
                    }
                }
                p.expect(")")?;
            }
        } else {
            results.push(p.ty()?);
        }
    }
    let ctx = p.ctx();
    let ty = ctx.type_attr(ctx.function_type(&inputs, &results));
    let (arg_attrs, res_attrs) = (ctx.array_attr(arg_dicts), ctx.array_attr(res_dicts));
    set(p, state, "function_type", ty);
    if any_arg {
        set(p, state, "arg_attrs", arg_attrs);
    }
    if any_res {
        set(p, state, "res_attrs", res_attrs);
    }
    if p.accept("attributes") {
        p.attr_dict(&mut state.attrs)?;
    }
    Ok(Header { args, inputs, results })
}

/// `{ ... }` if it is next, else the empty region of a declaration.
pub fn parse_body(p: &mut dyn AsmParser, state: &mut OpState, header: &Header) -> Parse<()> {
    if p.peek("{") {
        if header.args.len() != header.inputs.len() {
            return error(p, "the arguments of a function with a body need names");
        }
        p.region(state, &header.args)
    } else {
        let mut body = Body::new();
        body.add_root_region();
        state.nested = Some(Box::new(body));
        Ok(())
    }
}

fn parse_func(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    for visibility in ["private", "nested", "public"] {
        if p.accept(visibility) {
            let attr = p.ctx().string_attr(visibility);
            set(p, state, "sym_visibility", attr);
            break;
        }
    }
    let header = parse_header(p, state)?;
    parse_body(p, state, &header)
}

/// The dictionary of argument or result `index`, if it says anything.
fn dict_of(p: &dyn AsmPrinter, op: OpId, name: &str, index: usize) -> Option<AttrList> {
    let ctx = p.ctx();
    let array = ctx.as_array(attr(p, op, name)?)?;
    match ctx.attr_data(*array.get(index)?) {
        AttrData::Dict(items) if !items.is_empty() => {
            let mut list = AttrList::new();
            for &(name, attr) in items {
                list.set(ctx, name, attr);
            }
            Some(list)
        }
        _ => None,
    }
}

/// See [`parse_header`]. Attributes of named arguments are printed among the function's attributes.
pub fn print_header(p: &mut dyn AsmPrinter, op: OpId, elided: &[&str]) {
    let name = attr(p, op, "sym_name").and_then(|a| p.ctx().as_string(a)).unwrap_or_default();
    let name = p.ctx().name(name);
    let (inputs, results) = signature(p.ctx(), p.body(), op).map(|(i, r)| (i.to_vec(), r.to_vec())).unwrap_or_default();
    p.symbol(name);
    p.text("(");
    let declaration = p.body().nested(op).is_none_or(|b| b.entry().is_none());
    if declaration {
        for (i, &ty) in inputs.iter().enumerate() {
            if i > 0 {
                p.text(", ");
            }
            p.ty(ty);
            if let Some(dict) = dict_of(p, op, "arg_attrs", i) {
                p.attr_dict(&dict, &[]);
            }
        }
    } else {
        p.nested_args(op, 0);
    }
    p.text(")");
    let dicts: Vec<Option<AttrList>> = (0..results.len()).map(|i| dict_of(p, op, "res_attrs", i)).collect();
    if !results.is_empty() {
        p.text(" -> ");
        let bare = results.len() == 1
            && dicts[0].is_none()
            && !matches!(p.ctx().type_data(results[0]), TypeData::Function { .. });
        if !bare {
            p.text("(");
        }
        for (i, (&ty, dict)) in results.iter().zip(&dicts).enumerate() {
            if i > 0 {
                p.text(", ");
            }
            p.ty(ty);
            if let Some(dict) = dict {
                p.attr_dict(dict, &[]);
            }
        }
        if !bare {
            p.text(")");
        }
    }
    let mut elided = [&["sym_name", "function_type", "res_attrs"], elided].concat();
    if declaration {
        elided.push("arg_attrs");
    }
    let attrs = p.body().attrs(op).clone();
    let ctx = p.ctx();
    if attrs.iter().any(|(n, _)| !elided.contains(&ctx.str(n))) {
        p.text(" attributes");
        p.attr_dict(&attrs, &elided);
    }
}

/// The region of a function-like op unless it is a declaration.
pub fn print_body(p: &mut dyn AsmPrinter, op: OpId) {
    if p.body().nested(op).is_some_and(|b| b.entry().is_some()) {
        p.text(" ");
        p.nested_region(op, 0, false, true);
    }
}

fn print_func(p: &mut dyn AsmPrinter, op: OpId) {
    p.text(" ");
    if let Some(visibility) = attr(p, op, "sym_visibility").and_then(|a| p.ctx().as_string(a)).map(str::to_string) {
        p.text(&visibility);
        p.text(" ");
    }
    print_header(p, op, &["sym_visibility"]);
    print_body(p, op);
}

/// `(T, U) -> V`.
pub fn print_function_type(p: &mut dyn AsmPrinter, inputs: &[Type], results: &[Type]) {
    p.text("(");
    p.types(inputs);
    p.text(") -> ");
    let bare = results.len() == 1 && !matches!(p.ctx().type_data(results[0]), TypeData::Function { .. });
    if bare {
        p.ty(results[0]);
    } else {
        p.text("(");
        p.types(results);
        p.text(")");
    }
}
