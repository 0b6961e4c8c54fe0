//! `builtin`: modules and casts between dialects' types.

use crate::syntax::{self, print_attrs, resolve_all};
use nim_ir::{
    OpId, OpState,
    syntax::{AsmParser, AsmPrinter, Parse},
};
use nim_ir_macros::{dialect, op};

dialect! {
    /// The `builtin` dialect of upstream MLIR.
    pub static BUILTIN: "builtin", "Upstream: modules, and casts between the types of dialects.",
    ops[Module, UnrealizedConversionCast]
}

/// A module: functions, kernels, nested modules. The text form is `module @name attributes {...} { ... }`.
#[op(name = "builtin.module", traits(IsolatedFromAbove, SymbolTable, NoTerminator))]
pub struct Module {
    /// name, where the module stands in another
    #[attr(SymbolName)]
    sym_name: Optional,
    /// `"private"` or nothing
    #[attr(String)]
    sym_visibility: Optional,
    /// the ops
    #[region(single_block)]
    body: One,
}

/// A value as another type, while a conversion is under way: must be gone at its end.
#[op(name = "builtin.unrealized_conversion_cast", traits(Pure), parse = parse_cast, print = print_cast)]
pub struct UnrealizedConversionCast {
    /// what is cast
    #[operand(ANY)]
    inputs: Variadic,
    /// the same as other types
    #[result(ANY)]
    outputs: Variadic,
}

fn parse_cast(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let names = p.operands()?;
    if !names.is_empty() {
        p.expect(":")?;
        let types = p.types()?;
        state.operands = resolve_all(p, &names, &types)?;
    }
    p.expect("to")?;
    state.results = p.types()?;
    p.attr_dict(&mut state.attrs)
}

fn print_cast(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let (from, to) = (syntax::types_of(p, &operands), syntax::result_types(p, op));
    if !operands.is_empty() {
        p.text(" ");
        p.values(&operands);
        p.text(" : ");
        p.types(&from);
    }
    p.text(" to ");
    p.types(&to);
    print_attrs(p, op, &[]);
}
