//! What is shown about the word under the pointer.

use crate::{
    document::{Document, Part},
    names::{Thing, occurrences, symbol_definitions, thing_at},
};
use nim_ir::Context;
use nim_opt::dims;
use nim_pass::Registry;
use nim_text::{
    lexer::{Kind, Tokens},
    print_type,
};
use std::{fmt::Write, ops::Range};

/// Markdown, and the bytes of the document that it is about.
pub fn hover(document: &Document, registry: &Registry, byte: usize) -> Option<(String, Range<usize>)> {
    let (part, at) = document.part_at(byte)?;
    let in_document = |range: Range<usize>| part.start + range.start..part.start + range.end;
    if let Some((text, range)) = comment_word(part.text(), at)
        .and_then(|range| Some((about_word(registry, &part.text()[range.clone()])?, range)))
    {
        return Some((text, in_document(range)));
    }
    if let Some((thing, range)) = thing_at(part, at) {
        return Some((about_thing(part, &thing, &range)?, in_document(range)));
    }
    let token = Tokens::new(part.text()).find(|t| t.range().contains(&at))?;
    let word = part.text()[token.range()].trim_matches('"');
    let text = match token.kind {
        Kind::BareId | Kind::String => {
            let def = op_of_word(&part.ctx, word)?;
            format!("### `{}`\n\n{}", def.name, nim_doc::ops::op(def))
        }
        Kind::BangId => {
            let ty = part.ctx.dialects().iter().flat_map(|d| d.types).find(|t| t.name == &word[1..])?;
            format!("`!{}`\n\n{}", ty.name, ty.description)
        }
        _ => return None,
    };
    Some((text, in_document(token.range())))
}

/// An op by its name, or by its short name where it has one.
pub fn op_of_word(ctx: &Context, word: &str) -> Option<&'static nim_ir::OpDef> {
    let mut all = ctx.all_ops();
    all.find(|op| op.name == word || (!word.contains('.') && op.name.strip_prefix("func.") == Some(word)))
}

/// The word at a byte of a comment, with its hyphens.
fn comment_word(text: &str, at: usize) -> Option<Range<usize>> {
    let line = text[..at].rfind('\n').map_or(0, |i| i + 1);
    text[line..at].find("//")?;
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let start = text[line..at].rfind(|c| !in_word(c)).map_or(line, |i| line + i + 1);
    let end = text[at..].find(|c| !in_word(c)).map_or(text.len(), |i| at + i);
    let dashes = text[start..end].len() - text[start..end].trim_start_matches('-').len();
    (start + dashes < end).then_some(start + dashes..end)
}

/// A pass or a code, as comments name them.
fn about_word(registry: &Registry, word: &str) -> Option<String> {
    if let Some(code) = nim_doc::codes().into_iter().find(|code| code.code == word) {
        return Some(format!("**{}: {}**\n\n{}", code.code, code.title, code.explanation));
    }
    let pass = registry.get(word)?;
    let mut text = format!("### `{}`\n\n{}\n", pass.name, pass.description);
    let options =
        pass.options.iter().map(|o| [format!("`{}`", o.name), format!("`{}`", o.value), o.description.into()]);
    nim_doc::ops::table(&mut text, ["option", "default", "meaning"], options);
    for (word, list) in [("Needs", pass.needs), ("Gives", pass.gives)] {
        if !list.is_empty() {
            let _ = writeln!(text, "\n{word} `{}`.", list.join("`, `"));
        }
    }
    Some(text)
}

fn about_thing(part: &Part, thing: &Thing, range: &Range<usize>) -> Option<String> {
    let text = part.text();
    match thing {
        Thing::Local(number) => {
            let definition = part.index.definitions.get(*number)?;
            let name = &text[definition.range.clone()];
            let result = text[range.end..].strip_prefix('#').and_then(|rest| {
                let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                rest[..digits].parse().ok()
            });
            let Some((body, value)) = dims::find(&part.module, definition.entity, result.unwrap_or(0)) else {
                return Some(format!("block `{name}`"));
            };
            let ctx = &part.ctx;
            let mut out = format!("```mlir\n{name} : {}\n```\n", print_type(ctx, body.ty(value)));
            if let Some(op) = body.defining_op(value) {
                let name = ctx.op_str(body.op_name(op));
                let summary = ctx.op_def(body.op_name(op)).map_or("", |def| def.summary);
                let _ = writeln!(out, "\n`{name}`: {summary}");
            }
            for dim in 0..ctx.dims(body.ty(value)).map_or(0, <[_]>::len) {
                let names = (&part.index, text);
                let chain = dims::chain(ctx, &part.module, names, definition.entity, result.unwrap_or(0), dim);
                let Some(Ok((what, steps))) = chain else { continue };
                let _ = writeln!(out, "\n{what}:");
                for step in steps {
                    let line = part.span(step.loc).map(|range| text[..range.start].matches('\n').count() + 1);
                    let place = line.map_or(String::new(), |line| format!(" (line {line})"));
                    let _ = writeln!(out, "- {}{place}", step.text);
                }
            }
            Some(out)
        }
        Thing::Symbol(name) => {
            let (at, _) = symbol_definitions(part).into_iter().find(|(at, _)| text[at.clone()] == **name)?;
            let start = text[..at.start].rfind('\n').map_or(0, |i| i + 1);
            let end = text[start..].find('\n').map_or(text.len(), |i| start + i);
            Some(format!("```mlir\n{}\n```", text[start..end].trim().trim_end_matches('{').trim_end()))
        }
        Thing::Dim(name, _) => {
            let places = occurrences(part, thing);
            let first = places.first()?;
            let line = text[..first.range.start].matches('\n').count();
            let written = text.lines().nth(line).unwrap_or_default().trim();
            let count = places.len();
            Some(format!("dimension `{name}`: {count} places, the first in\n```mlir\n{written}\n```"))
        }
    }
}
