//! Pipelines and their text.
//!
//! ```text
//! pipeline := element ("," element)*
//! element  := name options? | name options? "(" text ")" | anchor "(" pipeline ")"
//! options  := "{" (name ("=" value)?)* "}"
//! ```
//! An anchor is the name of an op (`builtin.module`, `func.func`); nesting may be left out. Behind a pass that takes a text of
//! its own (`mlir(...)`) everything up to the matching parenthesis is that text. Values with spaces stand in quotes or braces.

use crate::{
    AnyPass, Options, Registry,
    options::{Complaint, Given},
};
use nim_ir::{Context, Diagnostic, Loc, LocData, SourceId, diagnostics::did_you_mean};
use std::{fmt, ops::Range};

/// One pass of a pipeline.
pub struct Step {
    /// The pass.
    pub pass: AnyPass,
    /// Name of the ops whose bodies a body pass is run on; `None` leaves it to the pass.
    pub anchor: Option<String>,
    /// Text in parentheses behind its name.
    pub argument: Option<String>,
    /// Its place in the pipeline's text.
    pub loc: Option<Loc>,
}

/// Passes in order.
#[derive(Default)]
pub struct Pipeline {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Pipeline {
    /// Reads a pipeline. The text is kept in the context, so that messages can point into it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(ctx: &Context, registry: &Registry, text: &str) -> Result<Pipeline, Vec<Diagnostic>> {
        let mut pipeline = Pipeline::default();
        let found = read(ctx, registry, text, "<pass pipeline>", None, &mut vec![], &mut pipeline);
        if found.is_empty() { Ok(pipeline) } else { Err(found) }
    }
    /// Adds a pass.
    pub fn push(&mut self, pass: AnyPass) {
        self.steps.push(Step { pass, anchor: None, argument: None, loc: None });
    }
    /// True when there is no pass.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// The pass with the options that are not as by default, without its anchor.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pass.name())?;
        let options: Vec<String> = self
            .pass
            .options()
            .iter()
            .map(|o| match o.value.is_empty() || o.value.contains([' ', '{', '}', '"', '\'']) {
                true => format!("{}=\"{}\"", o.name, o.value.replace('"', "'")),
                false => format!("{}={}", o.name, o.value),
            })
            .collect();
        if !options.is_empty() {
            write!(f, "{{{}}}", options.join(" "))?;
        }
        if let Some(argument) = &self.argument {
            write!(f, "({argument})")?;
        }
        Ok(())
    }
}

/// The whole pipeline with its nesting, as [`Pipeline::parse`] reads it.
impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("builtin.module(")?;
        for (i, group) in self.steps.chunk_by(|a, b| a.anchor == b.anchor).enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            let anchor = group[0].anchor.as_deref().filter(|a| *a != "builtin.module");
            if let Some(anchor) = anchor {
                write!(f, "{anchor}(")?;
            }
            for (j, step) in group.iter().enumerate() {
                if j > 0 {
                    f.write_str(",")?;
                }
                write!(f, "{step}")?;
            }
            if anchor.is_some() {
                f.write_str(")")?;
            }
        }
        f.write_str(")")
    }
}

/// Mistakes after which a text is read no further.
const MOST_MISTAKES: usize = 100;

struct Reader<'a> {
    ctx: &'a Context,
    registry: &'a Registry,
    text: &'a str,
    at: usize,
    source: SourceId,
    found: Vec<Diagnostic>,
    /// Named pipelines that are being expanded, so that one cannot contain itself.
    open: &'a mut Vec<String>,
    out: &'a mut Pipeline,
}

fn read(
    ctx: &Context,
    registry: &Registry,
    text: &str,
    name: &str,
    anchor: Option<&str>,
    open: &mut Vec<String>,
    out: &mut Pipeline,
) -> Vec<Diagnostic> {
    let source = ctx.add_source(name, text);
    let mut reader = Reader { ctx, registry, text, at: 0, source, found: vec![], open, out };
    reader.space();
    if reader.at < text.len() && reader.list(anchor).is_some() && reader.at < text.len() {
        let at = reader.at;
        reader.error("N0800", at..at + 1, "expected `,` or the end of the pipeline".into());
    }
    reader.found
}

impl Reader<'_> {
    fn loc(&self, range: Range<usize>) -> Loc {
        // Whole characters only.
        let boundary = |mut at: usize| {
            while !self.text.is_char_boundary(at) {
                at += 1;
            }
            at
        };
        let end = boundary(range.end.min(self.text.len()));
        let start = boundary(range.start.min(end));
        self.ctx.loc(LocData::Span { source: self.source, start: start as u32, end: end as u32 })
    }
    fn error(&mut self, code: &'static str, range: Range<usize>, message: String) -> &mut Diagnostic {
        let diagnostic = Diagnostic::error(code, self.loc(range), message);
        self.found.push(diagnostic);
        self.found.last_mut().expect("just pushed")
    }
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }
    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }
    fn accept(&mut self, c: char) -> bool {
        self.space();
        let found = self.rest().starts_with(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }
    /// Letters, digits, `-`, `_` and `.`.
    fn word(&mut self) -> Range<usize> {
        self.space();
        let length = self.rest().bytes().take_while(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b)).count();
        self.at += length;
        self.at - length..self.at
    }

    /// `None` when reading cannot go on.
    fn list(&mut self, anchor: Option<&str>) -> Option<()> {
        loop {
            self.element(anchor)?;
            if !self.accept(',') {
                self.space();
                return Some(());
            }
        }
    }

    fn element(&mut self, anchor: Option<&str>) -> Option<()> {
        if self.found.len() >= MOST_MISTAKES {
            return None;
        }
        let range = self.word();
        if range.is_empty() {
            let at = range.start;
            self.error("N0800", at..at + 1, "expected the name of a pass".into());
            return None;
        }
        let name = self.text[range.clone()].to_string();
        if let Some(why) = self.registry.absent_reason(&name) {
            if self.accept('{') {
                self.options(&mut Options::default(), range.start)?;
            }
            if self.accept('(') {
                self.balanced(range.start)?;
            }
            let message = format!("the pass `{name}` is not in this build");
            self.error("N0815", range, message).help = Some(why.to_string());
            return Some(());
        }
        let known = self.registry.get(&name).is_some();
        if !known && self.registry.alias(&name).is_none() && self.accept('(') {
            return self.anchored(&name, range, anchor);
        }
        let (mut options, mut argument_at) = (Options::default(), 0);
        if self.accept('{') {
            self.options(&mut options, range.start)?;
        }
        if known && self.accept('(') {
            self.space();
            argument_at = self.at;
            options.argument = Some(self.balanced(range.start)?);
        }
        self.pass(&name, range, anchor, options, argument_at);
        Some(())
    }

    fn anchored(&mut self, name: &str, range: Range<usize>, around: Option<&str>) -> Option<()> {
        if !name.contains('.') {
            self.unknown(name, range.clone());
        } else if around.is_some_and(|a| a != "builtin.module") {
            let message =
                format!("`{name}` inside `{}`: passes are nested in a module's ops only", around.unwrap_or_default());
            self.error("N0801", range.clone(), message);
        }
        self.space();
        if !self.accept(')') {
            self.list(Some(name))?;
            if !self.accept(')') {
                self.error("N0800", range.start..self.at, "the parenthesis is not closed".into());
                return None;
            }
        }
        Some(())
    }

    fn unknown(&mut self, name: &str, range: Range<usize>) {
        let near = did_you_mean(name, self.registry.names()).map(str::to_string);
        let diagnostic = self.error("N0802", range, format!("there is no pass `{name}`"));
        diagnostic.help = near.map(|n| format!("did you mean `{n}`?"));
    }

    /// Everything up to the parenthesis that closes the one just read.
    fn balanced(&mut self, start: usize) -> Option<String> {
        let begin = self.at;
        let mut depth = 1;
        for (i, c) in self.text[begin..].char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.at = begin + i + 1;
                return Some(self.text[begin..begin + i].trim().to_string());
            }
        }
        self.error("N0800", start..self.text.len(), "the parenthesis is not closed".into());
        None
    }

    fn options(&mut self, options: &mut Options, start: usize) -> Option<()> {
        loop {
            if self.accept('}') {
                return Some(());
            }
            let name = self.word();
            if name.is_empty() {
                let end = if self.at < self.text.len() { self.at + 1 } else { self.at };
                let from = if self.at < self.text.len() { self.at } else { start };
                self.error("N0800", from..end, "expected the name of an option, or `}`".into());
                return None;
            }
            let mut value = "true".to_string();
            if self.accept('=') {
                value = self.value()?;
            }
            let span = name.start..self.at;
            let name = self.text[name].to_string();
            if options.given.iter().any(|g| g.name == name) {
                self.error("N0800", span.clone(), format!("the option `{name}` is given twice"));
            }
            if self.found.len().max(options.given.len()) >= MOST_MISTAKES {
                self.error("N0800", span, format!("more than {MOST_MISTAKES} options"));
                return None;
            }
            options.given.push(Given { name, value, span, used: false });
        }
    }

    /// A value: quoted, in braces, or up to a space or the closing brace.
    fn value(&mut self) -> Option<String> {
        self.space();
        let begin = self.at;
        let first = self.rest().chars().next();
        if let Some(quote @ ('"' | '\'')) = first {
            let Some(length) = self.text[begin + 1..].find(quote) else {
                self.error("N0800", begin..self.text.len(), "the quotes are not closed".into());
                return None;
            };
            self.at = begin + length + 2;
            return Some(self.text[begin + 1..begin + 1 + length].to_string());
        }
        let mut depth = 0usize;
        let mut end = self.text.len();
        for (i, c) in self.text[begin..].char_indices() {
            match c {
                '{' | '(' | '[' => depth += 1,
                ')' | ']' if depth > 0 => depth -= 1,
                '}' if depth > 0 => depth -= 1,
                '}' => {
                    end = begin + i;
                    break;
                }
                c if c.is_whitespace() && depth == 0 => {
                    end = begin + i;
                    break;
                }
                _ => {}
            }
        }
        self.at = end;
        let text = &self.text[begin..end];
        let bare = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        Some(bare.to_string())
    }

    /// `argument_at`: where the text in parentheses begins.
    fn pass(
        &mut self,
        name: &str,
        range: Range<usize>,
        anchor: Option<&str>,
        mut options: Options,
        argument_at: usize,
    ) {
        if let Some(text) = self.registry.alias(name) {
            if self.open.iter().any(|o| o == name) {
                self.error("N0801", range, format!("the pipeline `{name}` contains itself"));
                return;
            }
            if let Some(first) = options.given.first() {
                let span = first.span.clone();
                self.error("N0806", span, format!("`{name}` is a pipeline and takes no options"));
                return;
            }
            self.open.push(name.to_string());
            let found = read(self.ctx, self.registry, text, name, anchor, self.open, self.out);
            self.open.pop();
            self.found.extend(found);
            return;
        }
        let Some(info) = self.registry.get(name) else {
            self.unknown(name, range);
            return;
        };
        let pass = match info.make(&mut options) {
            Ok(pass) => pass,
            Err(error) => {
                let span = options.given.iter().find(|g| g.name == error.name).map_or(range, |g| g.span.clone());
                self.error("N0806", span, format!("option `{}` of `{name}`: {}", error.name, error.message));
                return;
            }
        };
        for Complaint { range, message, help } in std::mem::take(&mut options.complaints) {
            let place = argument_at + range.start..argument_at + range.end;
            self.error("N0816", place, format!("in `{name}(...)`: {message}")).help = help;
        }
        for given in options.given.iter().filter(|g| !g.used) {
            let near = did_you_mean(&given.name, info.options.iter().map(|o| o.name)).map(str::to_string);
            let names: Vec<String> =
                info.options.iter().map(|o| format!("{}={} ({})", o.name, o.value, o.description)).collect();
            let diagnostic =
                self.error("N0806", given.span.clone(), format!("`{name}` has no option `{}`", given.name));
            diagnostic.help = near.map(|n| format!("did you mean `{n}`?"));
            diagnostic.notes.push(match names.is_empty() {
                true => "it has no options".into(),
                false => format!("its options, as they are by default: {}", names.join(", ")),
            });
        }
        if info.argument && options.argument.is_none() {
            self.error("N0816", range.clone(), format!("`{name}` wants a text in parentheses: `{name}(...)`"));
        }
        if options.argument.is_some() && !options.argument_used {
            self.error("N0801", range.clone(), format!("`{name}` is a pass and takes nothing in parentheses"));
        }
        let inside = anchor.filter(|a| *a != "builtin.module");
        let misplaced = match (&pass, inside) {
            (AnyPass::Module(_), Some(inside)) => Some(format!("`{name}` works on modules, not on `{inside}`")),
            (AnyPass::Body(pass), Some(inside)) if !pass.anchors().is_empty() && !pass.anchors().contains(&inside) => {
                Some(format!("`{name}` works on `{}`, not on `{inside}`", pass.anchors().join("`, `")))
            }
            _ => None,
        };
        if let Some(message) = misplaced {
            self.error("N0801", range.clone(), message);
        }
        let loc = Some(self.loc(range));
        self.out.steps.push(Step { pass, anchor: inside.map(str::to_string), argument: options.argument, loc });
    }
}
