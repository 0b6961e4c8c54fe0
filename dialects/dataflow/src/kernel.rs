//! `dataflow.kernel` and `dataflow.invoke`.

use crate::blocks::Blocks;
use crate::{Kernel, Return};
use nim_builtin::func;
use nim_ir::{
    Body, Context, Diagnostic, OpId, OpState, Trait,
    syntax::{AsmParser, AsmPrinter, Parse},
};

pub(crate) use func::parse_call_like as parse_invoke;

/// Names of the symbols that a kernel (or a function) is given.
pub fn kernel_symbols<'c>(ctx: &'c Context, body: &Body, op: OpId) -> Vec<&'c str> {
    let symbols = body.attr_named(ctx, op, "symbols").and_then(|a| ctx.as_array(a)).unwrap_or_default();
    symbols.iter().filter_map(|&a| ctx.as_string(a)).collect()
}

/// `@k(%x: tensor<..>) -> tensor<..> attributes {symbols = ["N"]} { ... }`
pub(crate) fn parse(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let header = func::parse_header(p, state)?;
    func::parse_body(p, state, &header)
}

pub(crate) fn print(p: &mut dyn AsmPrinter, op: OpId) {
    p.text(" ");
    func::print_header(p, op, &[]);
    func::print_body(p, op);
}

pub(crate) fn print_invoke(p: &mut dyn AsmPrinter, op: OpId) {
    func::print_call(p, op);
}

pub(crate) fn verify(ctx: &Context, body: &Body, op: OpId, found: &mut Vec<Diagnostic>) {
    func::verify_signature(ctx, body, op, Return::NAME, found);
    let Some(nested) = body.nested(op) else { return };
    let Some(entry) = nested.entry() else {
        found.push(Diagnostic::error("N0503", body.loc(op), "a kernel has a body"));
        return;
    };
    for inner in nested.block_ops(entry) {
        let def = ctx.op_def(nested.op_name(inner));
        if def.is_some_and(|d| !d.has(Trait::Pure)) {
            let name = ctx.op_str(nested.op_name(inner));
            let message = format!("`{name}` has effects, a kernel has none");
            found.push(Diagnostic::error("N0503", nested.loc(inner), message));
        }
    }
    if let Some(sizes) = Kernel::block(ctx, body, op).and_then(|a| ctx.as_exprs(a))
        && let Err(why) = Blocks::new(ctx, nested, sizes)
    {
        found.push(why);
    }
    let symbols = kernel_symbols(ctx, body, op);
    let mut known: Vec<&str> = symbols.clone();
    known.sort_unstable();
    if let Some(pair) = known.windows(2).find(|w| w[0] == w[1]) {
        found.push(Diagnostic::error("N0504", body.loc(op), format!("the symbol `{}` is listed twice", pair[0])));
    }
    // Every symbol that an argument's type names must be given; sizes are not read off buffers.
    let args = nested.block_args(entry).to_vec();
    for (i, arg) in args.into_iter().enumerate() {
        let dims = ctx.dim_exprs(nested.ty(arg)).unwrap_or_default();
        for symbol in dims.iter().flat_map(|&e| ctx.exprs.symbols(e)) {
            let name = ctx.exprs.symbol_name(symbol);
            if !symbols.contains(&name) {
                found.push(
                    Diagnostic::error(
                        "N0504",
                        body.loc(op),
                        format!("argument #{i} has a dimension of the symbol `{name}`"),
                    )
                    .help(format!("list it: `symbols = [\"{name}\"]`")),
                );
                return;
            }
        }
    }
}
