//! The outline: functions, kernels and modules, with their blocks.

use crate::{document::Document, names::symbol_definitions};
use lsp_types::{DocumentSymbol, SymbolKind};
use nim_text::{index::Entity, lexer::Tokens};
use std::ops::Range;

/// The outline of a text.
pub fn outline(document: &Document) -> Vec<DocumentSymbol> {
    let mut all = vec![];
    for part in &document.parts {
        let text = part.text();
        let mut entries: Vec<(Range<usize>, DocumentSymbol)> = vec![];
        let names = symbol_definitions(part);
        for scope in &part.index.isolated {
            let op = Tokens::new(&text[scope.clone()]).next();
            let op = op.map_or("", |t| text[scope.clone()][t.range()].trim_matches('"'));
            let name = names.iter().find(|(_, of)| of == scope).map(|(name, _)| name.clone());
            let kind = if op.ends_with("module") { SymbolKind::MODULE } else { SymbolKind::FUNCTION };
            let title = name.clone().map_or(op, |name| &text[name]);
            entries.push((
                scope.clone(),
                symbol(document, title, op, kind, part.start, scope, name.as_ref().unwrap_or(scope)),
            ));
        }
        for block in part.index.definitions.iter().filter(|d| d.entity == Entity::Block) {
            let (range, name) = (block.range.clone(), &text[block.range.clone()]);
            entries
                .push((range.clone(), symbol(document, name, "block", SymbolKind::FIELD, part.start, &range, &range)));
        }
        // Inner ones go into the innermost around them: outer before inner, so the last that holds it.
        entries.sort_by_key(|(range, _)| (range.start, usize::MAX - range.end));
        let mut open: Vec<(Range<usize>, DocumentSymbol)> = vec![];
        let mut close = |open: &mut Vec<(Range<usize>, DocumentSymbol)>, done: DocumentSymbol| match open.last_mut() {
            Some((_, parent)) => parent.children.get_or_insert_default().push(done),
            None => all.push(done),
        };
        for (range, entry) in entries {
            while open.last().is_some_and(|(outer, _)| outer.end < range.end) {
                if let Some((_, done)) = open.pop() {
                    close(&mut open, done);
                }
            }
            open.push((range, entry));
        }
        while let Some((_, done)) = open.pop() {
            close(&mut open, done);
        }
    }
    all
}

fn symbol(
    document: &Document,
    name: &str,
    detail: &str,
    kind: SymbolKind,
    start: usize,
    range: &Range<usize>,
    selection: &Range<usize>,
) -> DocumentSymbol {
    let place = |r: &Range<usize>| document.lines.range(&document.text, start + r.start..start + r.end);
    #[allow(deprecated)] // The field is there, whatever one does with it.
    DocumentSymbol {
        name: name.to_string(),
        detail: Some(detail.to_string()),
        kind,
        tags: None,
        deprecated: None,
        range: place(range),
        selection_range: place(selection),
        children: None,
    }
}
