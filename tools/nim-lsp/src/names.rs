//! What stands at a place of a text, and where else it stands: values, blocks, symbols, dimensions.

use crate::document::Part;
use nim_text::lexer::{Kind, Tokens};
use std::ops::Range;

/// Something that has a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Thing {
    /// Values or a block: the number of its definition.
    Local(usize),
    /// A symbol, with its `@`.
    Symbol(String),
    /// A dimension, and the bytes of the op within which its name means this.
    Dim(String, Range<usize>),
}

/// A name and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Occurrence {
    /// Bytes of the name in the part, without quotes.
    pub range: Range<usize>,
    /// It is the definition.
    pub definition: bool,
}

/// The thing at a byte of a part, and the bytes of its name.
pub fn thing_at(part: &Part, byte: usize) -> Option<(Thing, Range<usize>)> {
    // The place behind the last character of a name belongs to it.
    let holds = |range: &Range<usize>| range.start <= byte && byte <= range.end;
    let defined = part.index.definitions.iter().position(|d| holds(&d.range));
    if let Some(number) = defined {
        return Some((Thing::Local(number), part.index.definitions[number].range.clone()));
    }
    if let Some((range, number)) = part.index.uses.iter().find(|(range, _)| holds(range)) {
        return Some((Thing::Local(*number), range.clone()));
    }
    if let Some(range) = part.index.dims.iter().find(|range| holds(range)) {
        let name = part.text()[range.clone()].to_string();
        return Some((Thing::Dim(name, scope_of(part, range.start)), range.clone()));
    }
    let token = Tokens::new(part.text()).find(|t| t.kind == Kind::AtId && holds(&t.range()))?;
    Some((Thing::Symbol(part.text()[token.range()].to_string()), token.range()))
}

/// The innermost isolated op around a byte; everything where there is none.
pub fn scope_of(part: &Part, byte: usize) -> Range<usize> {
    let inside = part.index.isolated.iter().filter(|range| range.contains(&byte));
    inside.min_by_key(|range| range.len()).cloned().unwrap_or(0..part.text().len())
}

/// The name of a symbol where it is defined: the first `@name` of an isolated op.
pub fn symbol_definitions(part: &Part) -> Vec<(Range<usize>, Range<usize>)> {
    let text = part.text();
    let mut found = vec![];
    for scope in &part.index.isolated {
        let head =
            Tokens::new(&text[scope.clone()]).take_while(|t| !["{", "("].contains(&&text[scope.clone()][t.range()]));
        let mut head = head.filter(|t| t.kind == Kind::AtId);
        if let Some(name) = head.next() {
            found.push((scope.start + name.start as usize..scope.start + name.end as usize, scope.clone()));
        }
    }
    found
}

/// All places of a thing, in the order of the text.
pub fn occurrences(part: &Part, thing: &Thing) -> Vec<Occurrence> {
    let text = part.text();
    let mut found: Vec<Occurrence> = match thing {
        Thing::Local(number) => {
            let uses = part.index.uses.iter().filter(|(_, to)| to == number);
            let uses = uses.map(|(range, _)| Occurrence { range: range.clone(), definition: false });
            let defined = part.index.definitions.get(*number).map(|d| d.range.clone());
            uses.chain(defined.map(|range| Occurrence { range, definition: true })).collect()
        }
        Thing::Symbol(name) => {
            let defined = symbol_definitions(part);
            let tokens = Tokens::new(text).filter(|t| t.kind == Kind::AtId && text[t.range()] == **name);
            tokens
                .map(|t| Occurrence { range: t.range(), definition: defined.iter().any(|(at, _)| *at == t.range()) })
                .collect()
        }
        Thing::Dim(name, scope) => {
            let inside =
                |range: &&Range<usize>| text[(*range).clone()] == **name && scope_of(part, range.start) == *scope;
            let mut all: Vec<Occurrence> = part
                .index
                .dims
                .iter()
                .filter(inside)
                .map(|range| Occurrence { range: range.clone(), definition: false })
                .collect();
            all.extend(
                quoted(text, name, scope)
                    .filter(|range| scope_of(part, range.start) == *scope)
                    .map(|range| Occurrence { range, definition: false }),
            );
            all.sort_by_key(|o| o.range.start);
            // A name means what its first place says.
            if let Some(first) = all.first_mut() {
                first.definition = true;
            }
            all
        }
    };
    found.sort_by_key(|o| o.range.start);
    found.dedup_by_key(|o| o.range.start);
    found
}

/// Names of dimensions that stand in quotes: `symbols = ["N"]`, `#sym.dims<["N", 4]>`.
fn quoted<'t>(text: &'t str, name: &'t str, scope: &Range<usize>) -> impl Iterator<Item = Range<usize>> + 't {
    let start = scope.start;
    let mut list = false;
    let mut before: [&str; 2] = ["", ""];
    Tokens::new(&text[scope.clone()]).filter_map(move |token| {
        let range = start + token.start as usize..start + token.end as usize;
        let word = &text[range.clone()];
        match word {
            "[" => list = before == ["symbols", "="] || before == ["#sym.dims", "<"],
            "]" => list = false,
            _ => {}
        }
        before = [before[1], word];
        let inner = range.start + 1..range.end.saturating_sub(1);
        (list && token.kind == Kind::String && text[inner.clone()] == *name).then_some(inner)
    })
}
