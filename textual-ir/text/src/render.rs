//! Diagnostics as text with the lines of source they are about.
//!
//! Whether colours are wanted is the caller's to say; nothing here looks at terminals.

use codespan_reporting::{
    diagnostic::{self as out, LabelStyle},
    files::{Error, Files, line_starts},
    term,
};
use nim_ir::{Context, Diagnostic, Loc, LocData, Severity, SourceId};
use std::ops::Range;

/// How to render.
#[derive(Copy, Clone, Debug, Default)]
pub struct RenderOptions {
    /// With ANSI colours.
    pub color: bool,
}

/// One diagnostic, with a line break at its end.
pub fn render(ctx: &Context, diagnostic: &Diagnostic, opts: &RenderOptions) -> String {
    let config = term::Config { tab_width: 2, chars: term::Chars::ascii(), ..term::Config::default() };
    let files = Sources(ctx);
    let shown = convert(ctx, diagnostic);
    let mut bytes = vec![];
    let done = if opts.color {
        let styles = term::Styles::default();
        let ansi = term::termcolor::Ansi::new(&mut bytes);
        term::emit_to_write_style(&mut term::StylesWriter::new(ansi, &styles), &config, &files, &shown)
    } else {
        term::emit_to_io_write(&mut bytes, &config, &files, &shown)
    };
    match done {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        // A span that is none of its source: at least say what there is to say.
        Err(_) => format!("error[{}]: {}\n", diagnostic.code, diagnostic.message),
    }
}

/// All diagnostics in their order.
pub fn render_all(ctx: &Context, diagnostics: &[Diagnostic], opts: &RenderOptions) -> String {
    diagnostics.iter().map(|d| render(ctx, d, opts)).collect()
}

fn convert(ctx: &Context, diagnostic: &Diagnostic) -> out::Diagnostic<SourceId> {
    let severity = match diagnostic.severity {
        Severity::Error => out::Severity::Error,
        Severity::Warning => out::Severity::Warning,
        Severity::Note => out::Severity::Note,
    };
    let mut shown = out::Diagnostic::new(severity).with_code(diagnostic.code).with_message(&diagnostic.message);
    let mut notes = vec![];
    let mut primary = true;
    for label in &diagnostic.labels {
        match ctx.loc_span(label.loc).filter(|(source, range)| is_span(ctx, *source, range)) {
            Some((source, range)) => {
                let style = if primary { LabelStyle::Primary } else { LabelStyle::Secondary };
                let mut here = out::Label { style, file_id: source, range, message: label.message.clone() };
                if let (true, Some(name)) = (here.message.is_empty(), ctx.loc_name(label.loc)) {
                    here.message = format!("at node '{name}'");
                }
                shown.labels.push(here);
                primary = false;
            }
            None => {
                if let Some(place) = place(ctx, label.loc) {
                    let message = &label.message;
                    notes.push(if message.is_empty() { place } else { format!("{place}: {message}") });
                }
            }
        }
        notes.extend(derivations(ctx, label.loc));
    }
    notes.extend(diagnostic.notes.iter().map(|n| format!("note: {n}")));
    notes.extend(diagnostic.help.iter().map(|h| format!("help: {h}")));
    notes.dedup();
    shown.with_notes(notes)
}

fn is_span(ctx: &Context, source: SourceId, range: &Range<usize>) -> bool {
    let text = &ctx.source(source).text;
    range.start <= range.end && text.is_char_boundary(range.start) && text.is_char_boundary(range.end)
}

/// A location in few words: `file.nir:3:5`, or the name of a node.
pub fn place_of(ctx: &Context, loc: Loc) -> String {
    match ctx.loc_span(loc) {
        Some((source, range)) => {
            let (name, text) = (&ctx.source(source).name, &ctx.source(source).text);
            let before = &text.as_bytes()[..range.start.min(text.len())];
            let line = before.iter().filter(|&&c| c == b'\n').count() + 1;
            let column = before.iter().rev().take_while(|&&c| c != b'\n').count() + 1;
            format!("{name}:{line}:{column}")
        }
        None => place(ctx, loc).map_or("an unknown place".into(), |p| p.trim_start_matches("at ").to_string()),
    }
}

/// A place that no source shows, in words.
fn place(ctx: &Context, loc: Loc) -> Option<String> {
    if let Some(name) = ctx.loc_name(loc) {
        return Some(format!("at node '{name}'"));
    }
    match ctx.loc_data(loc) {
        LocData::File { file, line, column } => Some(format!("at {}:{line}:{column}", ctx.str(*file))),
        LocData::Derived { from, .. } => place(ctx, *from),
        LocData::Fused(locs, _) => locs.iter().find_map(|&l| place(ctx, l)),
        LocData::CallSite(callee, caller) => place(ctx, *callee).or_else(|| place(ctx, *caller)),
        _ => None,
    }
}

/// Which passes made something of what, outermost first.
fn derivations(ctx: &Context, mut loc: Loc) -> Vec<String> {
    let mut notes = vec![];
    while let LocData::Derived { pass, pattern, from } = ctx.loc_data(loc) {
        let pass = ctx.str(*pass);
        notes.push(match pattern {
            Some(pattern) => format!("note: made by the pass `{pass}`, pattern `{}`", ctx.str(*pattern)),
            None => format!("note: made by the pass `{pass}`"),
        });
        loc = *from;
    }
    notes
}

/// The context's sources as codespan wants them.
struct Sources<'a>(&'a Context);

impl<'a> Files<'a> for Sources<'a> {
    type FileId = SourceId;
    type Name = &'a str;
    type Source = &'a str;

    fn name(&'a self, id: SourceId) -> Result<&'a str, Error> {
        Ok(&self.0.source(id).name)
    }
    fn source(&'a self, id: SourceId) -> Result<&'a str, Error> {
        Ok(&self.0.source(id).text)
    }
    fn line_index(&'a self, id: SourceId, byte: usize) -> Result<usize, Error> {
        let before = self.0.source(id).text.as_bytes().get(..byte).unwrap_or_default();
        Ok(before.iter().filter(|&&c| c == b'\n').count())
    }
    fn line_range(&'a self, id: SourceId, line: usize) -> Result<Range<usize>, Error> {
        let text = &self.0.source(id).text;
        let mut starts = line_starts(text).skip(line);
        let start = starts.next().ok_or(Error::LineTooLarge { given: line, max: 0 })?;
        Ok(start..starts.next().unwrap_or(text.len()))
    }
}
