//! The page of the bytecode: every instruction, as its table has it.

use nim_vm::bytecode::instructions::{Definition, Instr};
use std::fmt::Write;

/// What the page says before the instructions.
const INTRODUCTION: &str = "\
# Bytecode

The host program of a `.nimx` file: it finds sizes, provides memory, chooses and repeats; kernels and the runtime library do the
rest. A function has *value registers* (`%0`, `%1`, ...: nothing, a tensor, storage, strings, a value of a data type, a
function) and *symbol registers* (64-bit integers: the values of named dimensions). *Sizes* are expressions over symbol
registers, kept in a table of the program. Registers are empty at first, symbols are 0; the first registers have the arguments.

In a file an instruction is a sequence of 32-bit words, little-endian: its operation code, then its fields in their order. A
list is a count and its items, an integer two words, anything else one. The verifier refuses a program whose indices point at
nothing, whose functions do not end in a `return`, a `jump` or a `match`, or whose calls and returns pass another number of
values than is expected; what a register holds is checked when it is used. `nim-run MODEL.nimx --disassemble` shows a program.
";

/// The page.
pub fn page() -> String {
    let mut out = INTRODUCTION.to_owned();
    let _ = writeln!(out, "\n{} instructions:\n", Instr::COUNT);
    for d in Instr::TABLE {
        let _ = writeln!(out, "- [`{0}`](#{0})", d.mnemonic);
    }
    Instr::TABLE.iter().for_each(|d| instruction(&mut out, d));
    out
}

fn instruction(out: &mut String, d: &Definition) {
    let _ = writeln!(out, "\n## `{}`\n\nOperation code {}.\n", d.mnemonic, d.code);
    if !d.fields.is_empty() {
        let _ = writeln!(out, "| field | |\n| --- | --- |");
        for (name, ty) in d.fields {
            let _ = writeln!(out, "| `{name}` | {} |", kind(ty, false));
        }
        out.push('\n');
    }
    // The source's own links mean nothing here.
    let text: Vec<&str> = d.doc.iter().map(|line| line.trim()).collect();
    let _ = writeln!(out, "{}", text.join("\n").replace("[`crate::runtime`]", "the crate `nim-vm`"));
}

/// A field's type in words.
fn kind(ty: &str, many: bool) -> String {
    let text: String = ty.chars().filter(|c| !c.is_whitespace()).collect();
    if let Some(inner) = text.strip_prefix("Box<[").and_then(|t| t.strip_suffix("]>")) {
        let list = if many { "lists" } else { "list" };
        return format!("{list} of {}", kind(inner, true));
    }
    let (one, more) = match text.as_str() {
        "Reg" => ("register", "registers"),
        "Sym" => ("symbol register", "symbol registers"),
        "Size" => ("size", "sizes"),
        "ConstId" => ("constant", "constants"),
        "DeviceId" => ("device", "devices"),
        "KernelId" => ("kernel", "kernels"),
        "Text" => ("text", "texts"),
        "Label" => ("instruction of the function", "instructions of the function"),
        "DType" => ("element type", "element types"),
        "Relation" => ("relation: eq, le or broadcast", "relations"),
        "Callee" => ("0 and a function, or 1 and a register that holds one", "callees"),
        "Maker" => ("0 and the number of a constructor, or 1 and a function", "makers"),
        "i64" => ("integer", "integers"),
        "u32" => ("number", "numbers"),
        other => return other.to_owned(),
    };
    if many { more.into() } else { one.into() }
}
