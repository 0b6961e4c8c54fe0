//! What an op's table says, as Markdown. The language server shows the same.

use nim_ir::{Arity, AttrDef, AttrKind, OpDef, Presence, Trait};
use std::fmt::Write;

/// Description, syntax and fields of an op.
pub fn op(def: &OpDef) -> String {
    let mut out = format!("{}\n", def.description.trim());
    let _ = write!(out, "\n{}\n", syntax(def));
    let arity = |arity: Arity| match arity {
        Arity::One => "",
        Arity::Optional => ", optional",
        Arity::Variadic => ", any number",
    };
    table(
        &mut out,
        ["operand", "type", "meaning"],
        def.operands.iter().map(|o| {
            [format!("`{}`", o.name), format!("{}{}", o.constraint.description, arity(o.arity)), o.doc.to_string()]
        }),
    );
    let attribute = |a: &AttrDef| [format!("`{}`", a.name), attr_type(a), a.doc.to_string()];
    table(&mut out, ["attribute", "kind", "meaning"], def.attrs.iter().map(attribute));
    table(
        &mut out,
        ["region", "blocks", "meaning"],
        def.regions.iter().map(|r| {
            let blocks = if r.single_block { "one" } else { "any number" };
            [format!("`{}`", r.name), format!("{blocks}{}", arity(r.arity)), r.doc.to_string()]
        }),
    );
    table(
        &mut out,
        ["result", "type", "meaning"],
        def.results.iter().map(|r| {
            [format!("`{}`", r.name), format!("{}{}", r.constraint.description, arity(r.arity)), r.doc.to_string()]
        }),
    );
    match def.successors {
        Some(0) => {}
        Some(count) => drop(writeln!(out, "\nSuccessor blocks: {count}.")),
        None => out.push_str("\nSuccessor blocks: any number.\n"),
    }
    if !def.traits.is_empty() {
        let traits: Vec<String> = def.traits.iter().map(|&t| format!("{} (`{t:?}`)", trait_text(t))).collect();
        let _ = writeln!(out, "\nTraits: {}.", traits.join("; "));
    }
    if def.infer.is_some() {
        out.push_str("\nIts result types follow from operands and attributes.\n");
    }
    out
}

/// How it is written.
fn syntax(def: &OpDef) -> String {
    match def.format {
        Some(format) => format!("Syntax, behind the name: `` {} ``", format.trim()),
        None if def.parse.is_some() => "It has a syntax of its own, see the example.".into(),
        None => "Syntax: name, operands, attributes in braces, types of operands and results, regions.".into(),
    }
}

fn attr_type(def: &AttrDef) -> String {
    let kind = attr_kind(def.kind);
    match def.presence {
        Presence::Required => kind,
        Presence::Optional => format!("{kind}, optional"),
        Presence::Default(text) => format!("{kind}, `{text}` when absent"),
    }
}

/// A kind of attribute in words.
pub fn attr_kind(kind: AttrKind) -> String {
    match kind {
        AttrKind::Any => "any attribute",
        AttrKind::Unit => "unit",
        AttrKind::Bool => "`true` or `false`",
        AttrKind::Int => "an integer",
        AttrKind::Float => "a float",
        AttrKind::String => "a string",
        AttrKind::Enum(words) => {
            return words.iter().map(|w| format!("`\"{w}\"`")).collect::<Vec<_>>().join(", ");
        }
        AttrKind::Type => "a type",
        AttrKind::SymbolRef => "a symbol `@name`",
        AttrKind::SymbolName => "the name of this symbol, a string",
        AttrKind::Array => "an array",
        AttrKind::Ints => "integers `array<i64: ...>`",
        AttrKind::Expr => "an expression",
        AttrKind::Exprs => "an array of expressions",
        AttrKind::Elements => "elements",
        AttrKind::Dict => "a dictionary",
    }
    .into()
}

/// A trait in words.
fn trait_text(of: Trait) -> &'static str {
    match of {
        Trait::Pure => "no effect but its results",
        Trait::ReadOnly => "reads memory",
        Trait::Terminator => "ends a block",
        Trait::NoTerminator => "its blocks need no terminator",
        Trait::IsolatedFromAbove => "its regions see no value from outside",
        Trait::SymbolTable => "holds symbols",
        Trait::Symbol => "is a symbol",
        Trait::SymbolUser => "names a symbol",
        Trait::Commutative => "operands may be swapped",
        Trait::Elementwise => "works on each element alone",
        Trait::SameOperandsAndResultType => "operands and results have one type",
        Trait::SameTypeOperands => "operands have one type",
        Trait::ConstantLike => "a constant",
        Trait::StructuredControlFlow => "regions are entered structurally",
    }
}

/// A Markdown table, or nothing without rows.
pub fn table<const N: usize>(out: &mut String, head: [&str; N], rows: impl Iterator<Item = [String; N]>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let _ = writeln!(out, "\n| {} |\n|{}", head.join(" | "), " --- |".repeat(N));
    for row in rows {
        // A bar or a line break would end the cell.
        let cells = row.map(|cell| cell.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" "));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}
