//! The parser: recursive descent over tokens, with recovery at the next op.
//!
//! It reports everything wrong with a text in one run and still returns a module. A module returned together with
//! errors may hold stand-ins (types `!<error>`, values of ops that stand nowhere) and is good for looking at only.
//! Dialects' own syntax is reached through the tables of `nim-ir`; no dialect is known here but `builtin.module`.

mod aliases;
mod asm;
mod attrs;
mod dense;
mod exprs;
mod format;
mod locations;
mod ops;
mod recovery;
mod regions;
mod resources;
mod scope;
mod types;
mod upstream;

pub(crate) use format::default_text;
pub(crate) use ops::SEGMENTS;
pub(crate) use resources::resource_text;

use crate::{
    codes,
    format::Format,
    index::{Index, Recorder},
    lexer::{Kind, Token, Tokens},
    upstream::Upstream,
};
use nim_ir::{
    Body, Context, Diagnostic, Loc, LocData, Module, Name, OpDef, OpName, SourceId, Type, TypeData, ValueId,
    syntax::{Parse, Reported},
};
use rustc_hash::FxHashMap;
use std::{ops::Range, path::PathBuf, rc::Rc, sync::Arc};

/// How to parse.
#[derive(Clone, Default)]
pub struct ParseOptions {
    /// Keep ops of dialects that are not registered instead of reporting them.
    pub allow_unregistered: bool,
    /// The folder in which the files of `"@file:offset:length"` resources are; `None` refuses such resources.
    pub blob_dir: Option<PathBuf>,
    /// Who reads ops of upstream's dialects that no registered dialect defines, and verifies them.
    pub upstream: Option<Arc<dyn Upstream>>,
    /// Write aliases out in attributes and types of dialects that nobody knows, because somebody reads what is in them.
    pub expand_aliases: bool,
}

/// Parses a text of the context as a module. Diagnostics come in the order of the text; none of them is an error if and
/// only if the module is what the text says.
pub fn parse_module(ctx: &Context, source: SourceId, opts: &ParseOptions) -> (Module, Vec<Diagnostic>) {
    parse_within(ctx, source, opts, u32::MAX)
}

/// As [`parse_module`], of at most so many bytes: places in a text are numbers of 32 bits.
fn parse_within(ctx: &Context, source: SourceId, opts: &ParseOptions, limit: u32) -> (Module, Vec<Diagnostic>) {
    let bytes = ctx.source(source).text.len();
    if bytes as u64 > u64::from(limit) {
        let loc = ctx.loc(LocData::Span { source, start: 0, end: 0 });
        let message = format!("the text has {bytes} bytes, {limit} are possible");
        return (Module::new(), vec![Diagnostic::error(codes::TOO_LARGE, loc, message)]);
    }
    let mut parser = Parser::new(ctx, source, opts);
    let module = parser.module();
    parser.verify_upstream(&module);
    (module, parser.finish())
}

/// As [`parse_module`], with the places of all names. Takes a little longer.
pub fn parse_indexed(ctx: &Context, source: SourceId, opts: &ParseOptions) -> (Module, Vec<Diagnostic>, Index) {
    let text = ctx.source(source).text.as_str();
    if u32::try_from(text.len()).is_err() {
        let (module, found) = parse_module(ctx, source, opts);
        return (module, found, Index::default());
    }
    let mut parser = Parser::new(ctx, source, opts);
    parser.recorder = Some(Box::default());
    let module = parser.module();
    parser.verify_upstream(&module);
    let index = parser.recorder.take().map_or_else(Index::default, |recorder| recorder.finish(ctx));
    (module, parser.finish(), index)
}

/// Parses a text as one type.
pub fn parse_type(ctx: &Context, text: &str) -> Result<Type, Vec<Diagnostic>> {
    parse_fragment(ctx, "<type>", text, |p| p.ty())
}

/// Parses a text as one attribute.
pub fn parse_attr(ctx: &Context, text: &str) -> Result<nim_ir::Attr, Vec<Diagnostic>> {
    parse_fragment(ctx, "<attribute>", text, |p| p.attribute(true))
}

fn parse_fragment<T>(
    ctx: &Context,
    name: &str,
    text: &str,
    parse: impl FnOnce(&mut Parser<'_>) -> Parse<T>,
) -> Result<T, Vec<Diagnostic>> {
    let source = ctx.add_source(name, text);
    let opts = ParseOptions { allow_unregistered: true, ..ParseOptions::default() };
    let mut parser = Parser::new(ctx, source, &opts);
    let result = parse(&mut parser);
    if result.is_ok() && parser.tokens.peek().kind != Kind::End {
        parser.unexpected("the end");
    }
    let found = parser.finish();
    match result {
        Ok(result) if !found.iter().any(Diagnostic::is_error) => Ok(result),
        _ => Err(found),
    }
}

/// What pieces of the text were found to mean: most of a text is the same few types, names and attributes.
#[derive(Default)]
struct Known<'c> {
    names: FxHashMap<&'c str, Name>,
    ops: FxHashMap<&'c str, OpName>,
    /// With the bytes that the aliases in it stand for.
    types: FxHashMap<&'c str, (Type, usize)>,
    attrs: FxHashMap<&'c str, nim_ir::Attr>,
}

/// What was filled and emptied before: room for what comes next.
#[derive(Default)]
struct Spare {
    bodies: Vec<Body>,
    operands: Vec<ValueId>,
    results: Vec<Type>,
}

pub(crate) struct Parser<'c> {
    ctx: &'c Context,
    opts: &'c ParseOptions,
    source: SourceId,
    /// Of the source's first byte, for locations.
    place: Option<u32>,
    tokens: Tokens<'c>,
    known: Known<'c>,
    diagnostics: Vec<Diagnostic>,
    /// Where names are, if somebody wants to know.
    recorder: Option<Box<Recorder>>,
    depth: u32,
    max_depth: u32,
    /// Above zero, errors are not recovered from within types and attributes: somebody tries something.
    trying: u32,
    /// The body that ops are parsed into now, and those around it.
    bodies: Vec<Body>,
    spare: Spare,
    scopes: Vec<scope::Scope>,
    table: scope::Table,
    aliases: aliases::Aliases,
    /// The op whose custom syntax is being read, for the meaning of its attributes.
    op: Option<&'static OpDef>,
    /// Formats that were read, by op.
    formats: FxHashMap<&'static str, Result<Rc<Format>, String>>,
    /// There are ops that only upstream can verify.
    has_upstream_ops: bool,
}

impl<'c> Parser<'c> {
    fn new(ctx: &'c Context, source: SourceId, opts: &'c ParseOptions) -> Parser<'c> {
        let tokens = Tokens::new(&ctx.source(source).text);
        let mut parser = Parser {
            ctx,
            opts,
            source,
            place: ctx.source(source).place,
            tokens,
            known: Known::default(),
            diagnostics: vec![],
            recorder: None,
            depth: 0,
            max_depth: crate::stack::max_depth(),
            trying: 0,
            bodies: vec![Body::new()],
            spare: Spare::default(),
            scopes: vec![],
            table: scope::Table::default(),
            aliases: aliases::Aliases::default(),
            op: None,
            formats: FxHashMap::default(),
            has_upstream_ops: false,
        };
        parser.collect_aliases();
        parser
    }

    /// Diagnostics of parsing and of the lexer, in the order of the text.
    fn finish(mut self) -> Vec<Diagnostic> {
        for token in self.tokens.bad() {
            let loc = self.loc_of(token);
            let text = self.tokens.text(token);
            self.diagnostics.push(match token.kind {
                Kind::OpenString => Diagnostic::error(codes::OPEN_STRING, loc, "this string is not closed on its line"),
                _ => Diagnostic::error(codes::BAD_CHARACTER, loc, format!("`{text}` is no token")),
            });
        }
        let ctx = self.ctx;
        let start =
            |d: &Diagnostic| d.labels.first().and_then(|l| ctx.loc_span(l.loc)).map_or(0, |(_, range)| range.start);
        self.diagnostics.sort_by_key(start);
        self.diagnostics
    }

    // ---- tokens

    #[inline]
    fn loc_of(&self, token: Token) -> Loc {
        match self.place {
            Some(place) => Loc::of_token(place, token.start),
            None => self.span(token.range()),
        }
    }
    fn span(&self, range: Range<usize>) -> Loc {
        self.ctx.loc(LocData::Span { source: self.source, start: range.start as u32, end: range.end as u32 })
    }
    fn peek_kind(&self) -> Kind {
        self.tokens.peek().kind
    }
    #[inline(always)]
    fn is(&self, token: Token, text: &str) -> bool {
        matches!(token.kind, Kind::Punctuation | Kind::BareId) && self.tokens.is(token, text)
    }
    #[inline(always)]
    fn peek_is(&self, text: &str) -> bool {
        self.is(self.tokens.peek(), text)
    }
    #[inline(always)]
    fn accept_token(&mut self, text: &str) -> bool {
        let found = self.peek_is(text);
        if found {
            self.tokens.bump();
        }
        found
    }
    #[inline(always)]
    fn expect_token(&mut self, text: &str) -> Parse<()> {
        if self.accept_token(text) { Ok(()) } else { Err(self.missing(text)) }
    }
    #[cold]
    fn missing(&mut self, text: &str) -> Reported {
        self.unexpected(&format!("`{text}`"))
    }
    /// The text of the next token if it is of a kind; takes it.
    fn accept_kind(&mut self, kind: Kind) -> Option<&'c str> {
        let token = self.tokens.peek();
        (token.kind == kind).then(|| {
            self.tokens.bump();
            self.tokens.text(token)
        })
    }

    // ---- what is known

    /// The name of a piece of the text.
    fn name_of(&mut self, text: &'c str) -> Name {
        if let Some(number) = number_name(text) {
            return number;
        }
        let ctx = self.ctx;
        *self.known.names.entry(text).or_insert_with(|| ctx.name(text))
    }
    /// True when what was read since can be taken from the text again without a word.
    fn quiet(&self, found: usize) -> bool {
        self.diagnostics.len() == found
    }

    // ---- reporting

    fn emit(&mut self, diagnostic: Diagnostic) -> Reported {
        // Recovery may come to the same place twice.
        let place = diagnostic.labels.first().map(|l| l.loc);
        let again = |d: &Diagnostic| d.code == diagnostic.code && d.labels.first().map(|l| l.loc) == place;
        if !self.diagnostics.iter().rev().take(8).any(again) {
            self.diagnostics.push(diagnostic);
        }
        Reported
    }
    fn error(&mut self, code: &'static str, token: Token, message: impl Into<String>) -> Reported {
        let loc = self.loc_of(token);
        self.emit(Diagnostic::error(code, loc, message))
    }
    /// Reports the next token as not being what was expected.
    fn unexpected(&mut self, expected: &str) -> Reported {
        let token = self.tokens.peek();
        let found = match token.kind {
            Kind::End => "the end of the text".to_string(),
            // The lexer's own report says more.
            Kind::Error | Kind::OpenString => return Reported,
            _ => format!("`{}`", shorten(self.tokens.text(token))),
        };
        // At the start of a line the mistake is most likely at the end of the line before.
        let place = match self.tokens.previous() {
            Some(previous) if token.kind == Kind::End || self.tokens.at_line_start() => {
                previous.end as usize..previous.end as usize
            }
            _ => token.range(),
        };
        let loc = self.span(place);
        self.emit(Diagnostic::error(codes::UNEXPECTED, loc, format!("expected {expected}, found {found}")))
    }

    // ---- helpers

    /// Runs a step one level deeper.
    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= self.max_depth {
            let (token, most) = (self.tokens.peek(), self.max_depth);
            return Err(self.error(codes::TOO_DEEP, token, format!("nested more than {most} levels deep")));
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }
    /// Runs a step; when it fails, everything is as before and nothing was reported.
    fn attempt<T>(&mut self, f: impl FnOnce(&mut Self) -> Parse<T>) -> Option<T> {
        let (offset, found) = (self.tokens.offset(), self.diagnostics.len());
        let dims = self.recorder.as_ref().map_or(0, |r| r.dims.len());
        self.trying += 1;
        let result = f(self);
        self.trying -= 1;
        if result.is_err() || self.diagnostics.len() > found {
            self.tokens.seek(offset);
            self.diagnostics.truncate(found);
            if let Some(recorder) = &mut self.recorder {
                recorder.dims.truncate(dims);
            }
            return None;
        }
        result.ok()
    }
    /// Items separated by commas up to a closing token, which is taken.
    fn list_until<T>(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> Parse<T>) -> Parse<Vec<T>> {
        let mut items = vec![];
        self.each_until(close, |p| item(p).map(|item| items.push(item)))?;
        Ok(items)
    }
    /// As [`Self::list_until`], where what is read is put away by whoever reads it.
    fn each_until(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> Parse<()>) -> Parse<()> {
        if self.accept_token(close) {
            return Ok(());
        }
        loop {
            item(self)?;
            if !self.accept_token(",") {
                break;
            }
        }
        if !self.accept_token(close) {
            return Err(self.unexpected(&format!("`,` or `{close}`")));
        }
        Ok(())
    }
    /// The type that stands for one that could not be read.
    fn error_type(&self) -> Type {
        self.ctx.ty(TypeData::Opaque(self.ctx.name(ERROR_TYPE)))
    }
    fn is_error_type(&self, ty: Type) -> bool {
        matches!(self.ctx.type_data(ty), TypeData::Opaque(name) if self.ctx.str(*name) == ERROR_TYPE)
    }
    fn body_now(&mut self) -> &mut Body {
        self.bodies.last_mut().expect("the module's body is there from the start")
    }
}

const ERROR_TYPE: &str = "<error>";

/// The name of a number without leading zeros.
fn number_name(text: &str) -> Option<Name> {
    match text.as_bytes() {
        [b'0'] => Name::of_number(0),
        [b'1'..=b'9', ..] => text.parse().ok().and_then(Name::of_number),
        _ => None,
    }
}

/// The start of a long text, for messages.
fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_string();
    }
    text.chars().take(37).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_beyond_the_limit_is_refused() {
        let ctx = Context::new(&[]);
        let source = ctx.add_source("long.nir", "module {\n}\n");
        let (_, found) = parse_within(&ctx, source, &ParseOptions::default(), 10);
        assert_eq!((found[0].code, found.len()), ("N0120", 1));
        assert_eq!(found[0].message, "the text has 11 bytes, 10 are possible");
        assert!(parse_within(&ctx, source, &ParseOptions::default(), 11).1.is_empty());
    }
}
