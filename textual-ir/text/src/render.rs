//! Diagnostics as text with the lines of source they are about.
//!
//! Whether colours are wanted is the caller's to say; nothing here looks at terminals.

use codespan_reporting::{
    diagnostic::{self as out, LabelStyle},
    files::{Error, Files, column_index},
    term,
};
use nim_ir::{Context, Diagnostic, Loc, LocData, Severity, SourceId};
use std::ops::Range;

/// Of longer lines only so many bytes on both sides of what they are shown for are shown. A text of one line, with an error at
/// each word, would else be as many lines of that length.
const LONG_LINE: usize = 240;

/// How to render.
#[derive(Copy, Clone, Debug, Default)]
pub struct RenderOptions {
    /// With ANSI colours.
    pub color: bool,
}

/// One diagnostic, with a line break at its end.
pub fn render(ctx: &Context, diagnostic: &Diagnostic, opts: &RenderOptions) -> String {
    let config = term::Config { tab_width: 2, chars: term::Chars::ascii(), ..term::Config::default() };
    let mut files = Sources { ctx, excerpts: vec![] };
    let shown = convert(&mut files, diagnostic);
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

fn convert(files: &mut Sources<'_>, diagnostic: &Diagnostic) -> out::Diagnostic<File> {
    let ctx = files.ctx;
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
                let (file_id, range) = files.around(source, range);
                let mut here = out::Label { style, file_id, range, message: label.message.clone() };
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
            let source = ctx.source(source);
            let (line, column) = source.line_column(range.start.min(source.text.len()));
            format!("{}:{line}:{column}", source.name)
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
        // A whole file is no place to look at.
        LocData::File { line: 0, .. } => None,
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

/// What codespan shows lines of.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum File {
    /// A source of the context.
    Whole(SourceId),
    /// Part of a long line: its number among the excerpts.
    Part(usize),
}

/// Part of a long line.
struct Excerpt {
    source: SourceId,
    text: String,
    line: usize,
    /// Characters of the line before it; what stands for them in the text is as wide as `DOTS`.
    skipped: usize,
}

const DOTS: &str = "...";

/// The context's sources as codespan wants them.
struct Sources<'a> {
    ctx: &'a Context,
    excerpts: Vec<Excerpt>,
}

impl<'a> Sources<'a> {
    /// What shows a range of a source, and where the range is in it.
    fn around(&mut self, source: SourceId, range: Range<usize>) -> (File, Range<usize>) {
        let whole = self.ctx.source(source);
        let (line, column) = whole.line_column(range.start);
        let start = range.start + 1 - column;
        let end = whole.line_starts().get(line).copied().unwrap_or(whole.text.len());
        if end - start <= 4 * LONG_LINE || range.end > end {
            return (File::Whole(source), range);
        }
        let boundary = |mut at: usize| {
            while !whole.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let from = boundary(range.start.saturating_sub(LONG_LINE).max(start));
        let to = boundary((range.start + LONG_LINE).min(end));
        let (before, after) = (if from > start { DOTS } else { "" }, if to < end { DOTS } else { "" });
        let text = format!("{before}{}{after}", whole.text[from..to].trim_end_matches(['\n', '\r']));
        let skipped = whole.text[start..from].chars().count();
        // A line break is not shown, even if it is what the range is about.
        let at = |byte: usize| (before.len() + byte.min(to) - from).min(text.len());
        let shown = at(range.start)..at(range.end);
        self.excerpts.push(Excerpt { source, text, line, skipped });
        (File::Part(self.excerpts.len() - 1), shown)
    }
    fn excerpt(&self, part: usize) -> Result<&Excerpt, Error> {
        self.excerpts.get(part).ok_or(Error::FileMissing)
    }
}

impl<'a> Files<'a> for Sources<'a> {
    type FileId = File;
    type Name = &'a str;
    type Source = &'a str;

    fn name(&'a self, id: File) -> Result<&'a str, Error> {
        let source = match id {
            File::Whole(source) => source,
            File::Part(part) => self.excerpt(part)?.source,
        };
        Ok(&self.ctx.source(source).name)
    }
    fn source(&'a self, id: File) -> Result<&'a str, Error> {
        match id {
            File::Whole(source) => Ok(&self.ctx.source(source).text),
            File::Part(part) => Ok(&self.excerpt(part)?.text),
        }
    }
    fn line_index(&'a self, id: File, byte: usize) -> Result<usize, Error> {
        Ok(match id {
            File::Whole(source) => self.ctx.source(source).line_column(byte).0 - 1,
            File::Part(_) => 0,
        })
    }
    fn line_number(&'a self, id: File, line_index: usize) -> Result<usize, Error> {
        Ok(match id {
            File::Whole(_) => line_index + 1,
            File::Part(part) => self.excerpt(part)?.line,
        })
    }
    fn column_number(&'a self, id: File, line_index: usize, byte: usize) -> Result<usize, Error> {
        let column = column_index(self.source(id)?, self.line_range(id, line_index)?, byte) + 1;
        Ok(match id {
            File::Part(part) if self.excerpt(part)?.skipped > 0 => column + self.excerpt(part)?.skipped - DOTS.len(),
            _ => column,
        })
    }
    fn line_range(&'a self, id: File, line: usize) -> Result<Range<usize>, Error> {
        let source = match id {
            File::Whole(source) => self.ctx.source(source),
            File::Part(part) => return Ok(0..self.excerpt(part)?.text.len()),
        };
        let starts = source.line_starts();
        let missing = Error::LineTooLarge { given: line, max: starts.len() - 1 };
        let start = starts.get(line).copied().ok_or(missing)?;
        Ok(start..starts.get(line + 1).copied().unwrap_or(source.text.len()))
    }
}
