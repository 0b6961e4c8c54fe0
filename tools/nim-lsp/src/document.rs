//! A text as the editor has it, read anew after each change.

use crate::lines::Lines;
use lsp_types as lsp;
use nim_ir::{Context, Diagnostic, DialectDef, Loc, Module, Severity, SourceId, verifier::verify_module};
use nim_text::{Index, ParseOptions, parse_indexed};
use std::ops::Range;

/// The line between parts of a test.
const SPLIT: &str = "// -----";

/// What a text between two lines `// -----` means.
pub struct Part {
    /// Its first byte in the document.
    pub start: usize,
    /// Types, names, locations.
    pub ctx: Context,
    source: SourceId,
    /// What was read; with errors it is good for looking at only.
    pub module: Module,
    /// Where names are.
    pub index: Index,
    /// What is wrong.
    pub found: Vec<Diagnostic>,
}

impl Part {
    /// Its text.
    pub fn text(&self) -> &str {
        &self.ctx.source(self.source).text
    }
    /// Bytes of the part that a location points to.
    pub fn span(&self, loc: Loc) -> Option<Range<usize>> {
        let (source, range) = self.ctx.loc_span(loc)?;
        (source == self.source).then_some(range)
    }
}

/// An open text.
pub struct Document {
    /// The text.
    pub text: String,
    /// Its lines.
    pub lines: Lines,
    /// What its parts mean.
    pub parts: Vec<Part>,
}

impl Document {
    /// Reads a text.
    pub fn new(dialects: &[&'static DialectDef], text: String) -> Document {
        let lines = Lines::new(&text);
        // A test that runs with the option is meant to be read with it.
        let allow_unregistered = text.contains("--allow-unregistered-dialect");
        let options = ParseOptions { allow_unregistered, ..ParseOptions::default() };
        let parts = split(&text)
            .into_iter()
            .map(|range| {
                let ctx = Context::new(dialects);
                let source = ctx.add_source("text", &text[range.clone()]);
                let (module, mut found, index) = parse_indexed(&ctx, source, &options);
                if !found.iter().any(Diagnostic::is_error) {
                    found.extend(verify_module(&ctx, &module));
                }
                Part { start: range.start, ctx, source, module, index, found }
            })
            .collect();
        Document { text, lines, parts }
    }

    /// The part that a byte stands in, and the byte in it.
    pub fn part_at(&self, byte: usize) -> Option<(&Part, usize)> {
        let part = self.parts.iter().rev().find(|part| part.start <= byte)?;
        Some((part, byte - part.start))
    }
    /// The place of bytes of a part.
    pub fn range(&self, part: &Part, range: Range<usize>) -> lsp::Range {
        self.lines.range(&self.text, part.start + range.start..part.start + range.end)
    }

    /// What is to be shown in the text.
    pub fn diagnostics(&self, uri: &lsp::Uri) -> Vec<lsp::Diagnostic> {
        let all = self.parts.iter().flat_map(|part| part.found.iter().map(move |d| (part, d)));
        all.map(|(part, found)| self.diagnostic(uri, part, found)).collect()
    }

    fn diagnostic(&self, uri: &lsp::Uri, part: &Part, found: &Diagnostic) -> lsp::Diagnostic {
        let place = |loc: Loc| part.span(loc).map(|range| self.range(part, range));
        let main = found.labels.iter().find_map(|label| place(label.loc));
        let here = found.labels.first().map(|label| label.message.as_str()).filter(|m| !m.is_empty());
        let notes = found.notes.iter().map(|note| format!("note: {note}"));
        let help = found.help.iter().map(|help| format!("help: {help}"));
        let lines = std::iter::once(found.message.clone()).chain(here.map(str::to_string)).chain(notes).chain(help);
        let related = found.labels.iter().skip(1).filter_map(|label| {
            let location = lsp::Location::new(uri.clone(), place(label.loc)?);
            Some(lsp::DiagnosticRelatedInformation { location, message: label.message.clone() })
        });
        let related: Vec<_> = related.collect();
        lsp::Diagnostic {
            range: main.unwrap_or_default(),
            severity: Some(match found.severity {
                Severity::Error => lsp::DiagnosticSeverity::ERROR,
                Severity::Warning => lsp::DiagnosticSeverity::WARNING,
                Severity::Note => lsp::DiagnosticSeverity::INFORMATION,
            }),
            code: Some(lsp::NumberOrString::String(found.code.into())),
            source: Some("nim".into()),
            message: lines.collect::<Vec<_>>().join("\n"),
            related_information: (!related.is_empty()).then_some(related),
            ..lsp::Diagnostic::default()
        }
    }
}

/// The parts of a text.
fn split(text: &str) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut at) = (vec![], 0, 0);
    for line in text.split_inclusive('\n') {
        if line.trim_end() == SPLIT {
            parts.push(start..at);
            start = at + line.len();
        }
        at += line.len();
    }
    parts.push(start..text.len());
    parts
}
