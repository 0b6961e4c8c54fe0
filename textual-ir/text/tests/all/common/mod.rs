//! A dialect to test with, and short names for parsing and printing.
#![allow(dead_code)]

use nim_ir::opdef::{TypeDef, constraints::*};
use nim_ir::*;
use nim_text::*;

const fn operand(name: &'static str, constraint: TypeConstraint, arity: Arity) -> OperandDef {
    OperandDef { name, doc: "", constraint, arity }
}
const fn result(constraint: TypeConstraint) -> ResultDef {
    ResultDef { name: "result", doc: "", constraint, arity: Arity::One }
}
const fn attr(name: &'static str, kind: AttrKind, presence: Presence) -> AttrDef {
    AttrDef { name, doc: "", kind, presence }
}
const fn region(name: &'static str, arity: Arity) -> RegionDef {
    RegionDef { name, doc: "", arity, single_block: true }
}

static ADD: OpDef = OpDef {
    operands: &[operand("lhs", ANY, Arity::One), operand("rhs", ANY, Arity::One)],
    results: &[result(ANY)],
    traits: &[Trait::Pure, Trait::SameOperandsAndResultType],
    ..OpDef::new("toy.add")
};
static FUNC: OpDef = OpDef {
    attrs: &[attr("sym_name", AttrKind::SymbolName, Presence::Required)],
    regions: &[region("body", Arity::One)],
    traits: &[Trait::IsolatedFromAbove, Trait::Symbol],
    ..OpDef::new("toy.func")
};
static YIELD: OpDef = OpDef {
    operands: &[operand("values", ANY, Arity::Variadic)],
    traits: &[Trait::Terminator],
    ..OpDef::new("toy.yield")
};
static SCALE: OpDef = OpDef {
    operands: &[operand("x", ANY, Arity::One)],
    results: &[result(ANY)],
    attrs: &[attr("by", AttrKind::Expr, Presence::Optional)],
    traits: &[Trait::SameOperandsAndResultType],
    format: Some("$x (`by` $by^)? attr-dict `:` type($result)"),
    ..OpDef::new("toy.scale")
};
static MIX: OpDef = OpDef {
    operands: &[
        operand("xs", ANY, Arity::Variadic),
        operand("step", INDEX, Arity::Optional),
        operand("into", ANY, Arity::Variadic),
    ],
    results: &[result(ANY)],
    format: Some("$xs (`step` $step^)? `into` $into attr-dict `:` type($xs) `,` type($into) `->` type($result)"),
    ..OpDef::new("toy.mix")
};
static SIZE: OpDef = OpDef {
    operands: &[operand("x", TENSOR, Arity::One)],
    results: &[result(BOOL)],
    attrs: &[
        attr("dim", AttrKind::Int, Presence::Required),
        attr("shape", AttrKind::Exprs, Presence::Required),
        attr("mode", AttrKind::Enum(&["slow", "fast"]), Presence::Default("\"slow\"")),
    ],
    format: Some("$x `[` $dim `]` `shape` $shape `mode` $mode attr-dict"),
    ..OpDef::new("toy.size")
};
static IF: OpDef = OpDef {
    operands: &[operand("condition", BOOL, Arity::One)],
    regions: &[region("then", Arity::One), region("otherwise", Arity::Optional)],
    traits: &[Trait::StructuredControlFlow],
    format: Some("$condition $then (`else` $otherwise^)? attr-dict"),
    ..OpDef::new("toy.if")
};
/// Its format names no field.
static BROKEN: OpDef = OpDef { format: Some("$nothing attr-dict"), ..OpDef::new("toy.broken") };
static TOY: DialectDef = DialectDef {
    name: "toy",
    description: "for tests",
    ops: &[&ADD, &FUNC, &YIELD, &SCALE, &MIX, &SIZE, &IF, &BROKEN],
    types: &[TypeDef { name: "toy.box", description: "" }, TypeDef { name: "toy.plain", description: "" }],
};

pub fn context() -> Context {
    Context::new(&[&TOY])
}
pub fn try_parse(ctx: &Context, text: &str) -> (Module, Vec<Diagnostic>) {
    let source = ctx.add_source("<text>", text);
    parse_module(ctx, source, &ParseOptions { allow_unregistered: true, ..ParseOptions::default() })
}
pub fn show(ctx: &Context, found: &[Diagnostic]) -> String {
    render_all(ctx, found, &RenderOptions::default())
}
pub fn parse(ctx: &Context, text: &str) -> Module {
    let (module, found) = try_parse(ctx, text);
    assert!(found.is_empty(), "{}\nin\n{text}", show(ctx, &found));
    module
}
pub fn pretty(ctx: &Context, module: &Module) -> String {
    print_module(ctx, module, &PrintOptions::default())
}
pub fn generic(ctx: &Context, module: &Module) -> String {
    print_module(ctx, module, &PrintOptions { generic: true, ..Default::default() })
}
pub fn debug(ctx: &Context, module: &Module) -> String {
    print_module(ctx, module, &PrintOptions { debug_info: true, ..Default::default() })
}
