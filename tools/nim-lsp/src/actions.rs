//! What the editor offers to do about a diagnostic: expect it, as tests do.

use crate::document::Document;
use lsp_types::{
    CodeAction, CodeActionKind, Diagnostic, DiagnosticSeverity, NumberOrString, Position, Range, TextEdit, Uri,
    WorkspaceEdit,
};
use std::collections::HashMap;

/// A comment above the line that expects the diagnostic.
pub fn expect(document: &Document, uri: &Uri, diagnostic: &Diagnostic) -> Option<CodeAction> {
    let Some(NumberOrString::String(code)) = &diagnostic.code else { return None };
    let kind = match diagnostic.severity? {
        DiagnosticSeverity::ERROR => "error",
        DiagnosticSeverity::WARNING => "warning",
        _ => return None,
    };
    let line = diagnostic.range.start.line;
    let text = document.lines.text(&document.text, line as usize);
    let indent = &text[..text.len() - text.trim_start().len()];
    // Braces would end the comment's text.
    let message = diagnostic.message.lines().next()?.split("}}").next()?;
    let place = Position::new(line, 0);
    let edit =
        TextEdit::new(Range::new(place, place), format!("{indent}// expected-{kind}@+1 {{{{{code} {message}}}}}\n"));
    #[allow(clippy::mutable_key_type)] // The protocol's own map.
    let changes = HashMap::from([(uri.clone(), vec![edit])]);
    Some(CodeAction {
        title: format!("Expect this {kind} in a comment (expected-{kind})"),
        kind: Some(CodeActionKind::QUICKFIX),
        diagnostics: Some(vec![diagnostic.clone()]),
        edit: Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() }),
        ..CodeAction::default()
    })
}
