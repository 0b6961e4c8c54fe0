//! Aliases of types, attributes and locations: `!t = ...`, `#a = ...`, `#loc1 = loc(...)`.
//!
//! Definitions are found before parsing starts and read when first used, so that they may stand behind their uses, as
//! location aliases do.

use super::Parser;
use crate::{codes, strings};
use nim_ir::{Attr, Diagnostic, Type, diagnostics::did_you_mean, syntax::Parse};
use rustc_hash::FxHashMap;
use std::ops::Range;

#[derive(Copy, Clone)]
enum State {
    Unread,
    Reading,
    Type(Type),
    Attr(Attr),
    Broken,
}

#[derive(Copy, Clone)]
struct Alias {
    /// Byte of its name.
    name_at: usize,
    /// Byte behind `=`.
    value_at: usize,
    state: State,
    /// Bytes that it would be with all aliases in it written out.
    size: usize,
}

/// An alias may be as long as this, written out, and some times as long as the text: aliases of aliases else grow without end.
const LONGEST: usize = 1 << 22;

/// Definitions by name, with `#` or `!`.
#[derive(Default)]
pub(super) struct Aliases {
    all: FxHashMap<String, Alias>,
    /// Bytes of the aliases that were used so far by what is being read.
    used: usize,
}

impl Parser<'_> {
    /// Finds the definitions.
    pub(super) fn collect_aliases(&mut self) {
        let source = self.tokens.source();
        let mut line = 0;
        while line < source.len() {
            let end = source[line..].find('\n').map_or(source.len(), |i| line + i);
            let (text, start) = (&source[line..end], line);
            line = end + 1;
            // `#name =` or `!name =`
            let behind = text.trim_start_matches([' ', '\t', '\r', '\x0C']);
            if !behind.starts_with(['#', '!']) {
                continue;
            }
            let name_at = start + text.len() - behind.len();
            let len = 1 + strings::suffix_id_len(&behind[1..]);
            let rest = behind[len..].trim_start();
            if len == 1 || !rest.starts_with('=') {
                continue;
            }
            let text = behind[..len].to_string();
            let alias = Alias { name_at, value_at: end - rest.len() + 1, state: State::Unread, size: 0 };
            if let Some(first) = self.aliases.all.get(&text).copied() {
                let here = self.span(name_at..name_at + len);
                let there = self.span(first.name_at..first.name_at + text.len());
                self.emit(
                    Diagnostic::error(codes::BAD_ALIAS, here, format!("`{text}` is defined twice"))
                        .label(there, "first defined here"),
                );
                continue;
            }
            self.aliases.all.insert(text, alias);
        }
    }

    /// At a definition: reads it if nobody needed it yet and moves behind it.
    pub(super) fn alias_definition(&mut self) -> Parse<()> {
        let token = self.tokens.bump();
        let text = self.tokens.text(token);
        self.expect_token("=")?;
        let known = self.aliases.all.get(text).copied();
        match known {
            Some(alias) if matches!(alias.state, State::Unread) && alias.name_at == token.start as usize => {
                self.read_alias(text, alias)
            }
            // Read before, or a second definition: only its end is of interest.
            _ if text.starts_with('!') => self.ty().map(drop),
            _ => self.attribute(true).map(drop),
        }
    }

    /// Reads the definition at the current place; stays behind it.
    fn read_alias(&mut self, text: &str, alias: Alias) -> Parse<()> {
        let set = |parser: &mut Self, state, size| {
            parser.aliases.all.insert(text.to_string(), Alias { state, size, ..alias });
        };
        set(self, State::Reading, 0);
        let (start, around) = (self.tokens.offset(), std::mem::take(&mut self.aliases.used));
        let mut result =
            if text.starts_with('!') { self.ty().map(State::Type) } else { self.attribute(true).map(State::Attr) };
        let size = self.aliases.used.saturating_add(self.tokens.offset().saturating_sub(start));
        self.aliases.used = around;
        if result.is_ok() && size > LONGEST + 8 * self.tokens.source().len() {
            let loc = self.span(alias.name_at..alias.name_at + text.len());
            let message = format!("`{text}` is too long with the aliases in it written out");
            result = Err(self.emit(Diagnostic::error(codes::BAD_ALIAS, loc, message)));
        }
        set(self, *result.as_ref().unwrap_or(&State::Broken), size);
        result.map(drop)
    }

    fn alias(&mut self, text: &str) -> Parse<State> {
        let Some(alias) = self.aliases.all.get(text).copied() else {
            let token = self.tokens.previous().unwrap_or(self.tokens.peek());
            let loc = self.loc_of(token);
            let mut candidates: Vec<&str> = self.aliases.all.keys().map(String::as_str).collect();
            candidates.sort_unstable();
            let mut diagnostic =
                Diagnostic::error(codes::UNKNOWN_ALIAS, loc, format!("the alias `{text}` is not defined"));
            if let Some(near) = did_you_mean(text, candidates) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            return Err(self.emit(diagnostic));
        };
        match alias.state {
            State::Unread => {
                let (back, trying) = (self.tokens.offset(), std::mem::take(&mut self.trying));
                self.tokens.seek(alias.value_at);
                let result = self.nested(|p| p.read_alias(text, alias));
                self.tokens.seek(back);
                self.trying = trying;
                result?;
                let read = self.aliases.all.get(text).copied();
                self.aliases.used = self.aliases.used.saturating_add(read.map_or(0, |a| a.size));
                Ok(read.map_or(State::Broken, |a| a.state))
            }
            State::Reading => {
                let loc = self.span(alias.name_at..alias.name_at + text.len());
                Err(self.emit(Diagnostic::error(codes::BAD_ALIAS, loc, format!("`{text}` is defined by itself"))))
            }
            State::Broken => Err(nim_ir::syntax::Reported),
            state => {
                self.aliases.used = self.aliases.used.saturating_add(alias.size);
                Ok(state)
            }
        }
    }

    /// A piece of the source with aliases in it written out, so that it means the same without them.
    pub(super) fn without_aliases(&mut self, range: Range<usize>) -> Parse<String> {
        let source = self.tokens.source();
        let text = &source[range.clone()];
        let mut out = String::new();
        // What was copied to `out` already.
        let (mut copied, mut i, bytes) = (0, 0, text.as_bytes());
        while i < bytes.len() {
            match bytes[i] {
                b'"' => {
                    i += 1;
                    while i < bytes.len() && bytes[i] != b'"' {
                        i += if bytes[i] == b'\\' { 2 } else { 1 };
                    }
                    i += 1;
                }
                b'#' | b'!' => {
                    let end = i + 1 + strings::suffix_id_len(&text[i + 1..]);
                    let name = &text[i..end];
                    if !name.contains('.') && self.aliases.all.contains_key(name) {
                        let written = match name.starts_with('!') {
                            true => crate::print_type(self.ctx, self.type_alias(name)?),
                            false => crate::print_attr(self.ctx, self.attr_alias(name)?),
                        };
                        out.push_str(&text[copied..i]);
                        out.push_str(&written);
                        copied = end;
                    }
                    i = end;
                }
                _ => i += 1,
            }
        }
        out.push_str(&text[copied..]);
        Ok(out)
    }

    /// The type behind `!name`.
    pub(super) fn type_alias(&mut self, text: &str) -> Parse<Type> {
        match self.alias(text)? {
            State::Type(ty) => Ok(ty),
            _ => Ok(self.error_type()),
        }
    }
    /// The attribute behind `#name`.
    pub(super) fn attr_alias(&mut self, text: &str) -> Parse<Attr> {
        match self.alias(text)? {
            State::Attr(attr) => Ok(attr),
            _ => Err(nim_ir::syntax::Reported),
        }
    }
}
