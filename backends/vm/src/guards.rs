//! What a program checks each time it runs, and what its kernels choose by the dimensions they get, as text.

use crate::bytecode::{Instr, Origin, Relation, Size, Text};
use crate::program::Contents;
use std::fmt::Write;

/// The checks by function, then the choices by kernel.
pub(crate) fn explain(contents: &Contents) -> String {
    let mut out = String::new();
    let text = |text: Text| contents.texts.get(text.index()).map_or("?", String::as_str);
    let size = |size: Size| match size.as_immediate() {
        Some(value) => value.to_string(),
        None => contents.size_texts.get(size.index()).cloned().unwrap_or_default(),
    };
    for function in &contents.functions {
        let mut lines: Vec<(String, Option<Text>)> = vec![];
        let origins = function.origins();
        for (register, name) in function.symbols.iter().enumerate() {
            if let Some(Some(Origin { what, axis, .. })) = origins.get(register) {
                lines.push((format!("symbol {name} is dimension {axis} of {}", text(*what)), None));
            }
        }
        for (i, instr) in function.code.iter().enumerate() {
            let line = match instr {
                Instr::Check { dims, what, .. } => {
                    let dims: Vec<String> = dims.iter().map(|&d| size(d)).collect();
                    format!("check  {} is [{}]", text(*what), dims.join(", "))
                }
                Instr::Guard { kind, lhs, rhs, message } => {
                    let relation = match kind {
                        Relation::Equal => "==",
                        Relation::LessOrEqual => "<=",
                        Relation::Broadcast => "broadcasts to",
                    };
                    format!("guard  {} {relation} {}: {}", size(*lhs), size(*rhs), text(*message))
                }
                Instr::Bind { symbols, .. } => {
                    let names = symbols.iter().map(|s| function.symbols.get(s.index()).map_or("?", String::as_str));
                    format!("symbol {} from data: as many elements", names.collect::<Vec<_>>().join(", "))
                }
                _ => continue,
            };
            lines.push((line, function.nodes.get(i).copied().flatten()));
        }
        if !lines.is_empty() {
            let _ = writeln!(out, "function {}:", function.name);
        }
        for (line, node) in lines {
            let node = node.map_or(String::new(), |node| format!("  ; {}", text(node)));
            let _ = writeln!(out, "  {line}{node}");
        }
    }
    for (name, cost) in contents.kernels.iter().zip(&contents.costs) {
        let Some(cost) = cost.as_ref().filter(|cost| !cost.choices.is_empty()) else { continue };
        let _ = writeln!(out, "kernel {name}:");
        for choice in &cost.choices {
            let _ = writeln!(out, "  choice {choice}  ; {}", cost.nodes.join(", "));
        }
    }
    out
}
