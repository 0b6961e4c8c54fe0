//! Aliases of types, attributes and locations: `!t = ...`, `#a = ...`, `#loc1 = loc(...)`.
//!
//! Definitions are found before parsing starts and read when first used, so that they may stand behind their uses, as
//! location aliases do.

use super::Parser;
use crate::{codes, strings, upstream};
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
    /// The parser came by: it is no line within something else.
    defined: bool,
}

/// An alias may be as long as this, written out, and some times as long as the text: aliases of aliases else grow without end.
const LONGEST: usize = 1 << 22;

/// Definitions by name, with `#` or `!`.
#[derive(Default)]
pub(super) struct Aliases {
    all: FxHashMap<String, Alias>,
    /// Bytes of the aliases that were used so far by what is being read.
    used: usize,
    /// Those that a text from upstream names.
    named: Vec<String>,
}

impl Aliases {
    pub(super) fn used(&self) -> usize {
        self.used
    }
    /// What was read once is used again.
    pub(super) fn use_again(&mut self, size: usize) {
        self.used = self.used.saturating_add(size);
    }
}

/// Where `#name` and `!name` stand in a text, outside of strings: aliases, if they are defined.
pub(crate) fn alias_ranges_in(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut i, bytes) = (vec![], 0, text.as_bytes());
    while i < bytes.len() {
        match bytes[i] {
            b'"' => i = strings::literal_end(text, i),
            b'#' | b'!' => {
                let end = i + 1 + strings::suffix_id_len(&text[i + 1..]);
                if end > i + 1 && !text[i..end].contains('.') {
                    found.push(i..end);
                }
                i = end;
            }
            _ => i += 1,
        }
    }
    found
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
            let alias =
                Alias { name_at, value_at: end - rest.len() + 1, state: State::Unread, size: 0, defined: false };
            // A second one is an error if it is a definition; a line within an attribute may look like one.
            self.aliases.all.entry(text).or_insert(alias);
        }
    }

    /// At a definition: reads it if nobody needed it yet and moves behind it.
    pub(super) fn alias_definition(&mut self) -> Parse<()> {
        let token = self.tokens.bump();
        let text = self.tokens.text(token);
        self.expect_token("=")?;
        if let Some(alias) = self.aliases.all.get_mut(text).filter(|a| a.name_at == token.start as usize) {
            alias.defined = true;
        }
        let known = self.aliases.all.get(text).copied();
        match known {
            Some(alias) if matches!(alias.state, State::Unread) && alias.name_at == token.start as usize => {
                self.read_alias(text, alias)
            }
            Some(first) if first.name_at != token.start as usize => {
                let at = token.range();
                if first.defined {
                    let there = self.span(first.name_at..first.name_at + text.len());
                    self.emit(
                        Diagnostic::error(codes::BAD_ALIAS, self.span(at), format!("`{text}` is defined twice"))
                            .label(there, "first defined here"),
                    );
                    return self.skip_definition(text);
                }
                // What was found first only looks like a definition.
                let value_at = self.tokens.offset();
                let alias = Alias { name_at: at.start, value_at, state: State::Unread, size: 0, defined: true };
                self.aliases.all.insert(text.to_string(), alias);
                self.read_alias(text, alias)
            }
            // Read before: only its end is of interest.
            _ => self.skip_definition(text),
        }
    }

    fn skip_definition(&mut self, text: &str) -> Parse<()> {
        if text.starts_with('!') { self.ty().map(drop) } else { self.attribute(true).map(drop) }
    }

    /// Reads the definition at the current place; stays behind it.
    fn read_alias(&mut self, text: &str, alias: Alias) -> Parse<()> {
        let set = |parser: &mut Self, state, size| {
            let defined = parser.aliases.all.get(text).is_some_and(|a| a.defined);
            parser.aliases.all.insert(text.to_string(), Alias { state, size, defined, ..alias });
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

    pub(super) fn is_alias(&self, text: &str) -> bool {
        self.aliases.all.contains_key(text)
    }

    /// The bytes of an alias' name and of what it stands for, as far as that can be read.
    pub(super) fn alias_ranges(&mut self, text: &str) -> Option<(Range<usize>, Range<usize>)> {
        let Alias { name_at, value_at, .. } = self.aliases.all.get(text).copied()?;
        let back = self.tokens.offset();
        self.tokens.seek(value_at);
        let end = self.attempt(|p| {
            if text.starts_with('!') { p.ty().map(drop) } else { p.attribute(true).map(drop) }?;
            Ok(p.tokens.previous().map_or(value_at, |t| t.end as usize))
        });
        self.tokens.seek(back);
        let source = self.tokens.source();
        // What is not understood here may still be upstream's.
        let line_end = || source[value_at..].find('\n').map_or(source.len(), |i| value_at + i);
        Some((name_at..name_at + text.len(), value_at..end.unwrap_or_else(line_end)))
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

    /// The text of an attribute or type that no registered dialect has, `dialect.name<...>` or `dialect<...>`. Upstream keeps
    /// those of dialects that it does not have as they are, with the aliases in them: so it is here, and what these stand for
    /// is printed too.
    pub(super) fn opaque_body(&mut self, range: Range<usize>) -> Parse<String> {
        let text = &self.tokens.source()[range.clone()];
        let dialect = text.split(['.', '<']).next().unwrap_or_default();
        let known = self.ctx.has_dialect(dialect) || upstream::DIALECTS.contains(&dialect);
        if known || self.opts.expand_aliases {
            return self.without_aliases(range);
        }
        for name in alias_ranges_in(text) {
            if !self.keep_alias(&text[name])? {
                return self.without_aliases(range);
            }
        }
        Ok(text.to_owned())
    }

    /// Has the context keep an alias, if this is one. False when its name means something else there.
    fn keep_alias(&mut self, name: &str) -> Parse<bool> {
        // In a text that comes back from upstream these are the aliases of what it was given.
        if self.ctx.source(self.source).name == upstream::FILE {
            self.aliases.named.push(name.to_owned());
            return Ok(true);
        }
        if !self.is_alias(name) {
            return Ok(true);
        }
        // The text does not grow by what it names.
        let used = self.aliases.used;
        let value = self.written(name)?;
        self.aliases.used = used;
        Ok(self.ctx.keep_alias(name, &value))
    }

    /// What texts of unknown dialects name, in what comes back from upstream.
    pub(super) fn take_named_aliases(&mut self) -> Vec<String> {
        std::mem::take(&mut self.aliases.named)
    }

    /// Keeps what upstream left as it was.
    pub(super) fn keep_named_aliases(&mut self, named: &[String]) {
        for name in named {
            // Definitions that are wrong are reported where they stand.
            self.attempt(|p| p.keep_alias(name));
        }
    }

    /// What an alias stands for, as text.
    fn written(&mut self, name: &str) -> Parse<String> {
        Ok(match name.starts_with('!') {
            true => crate::printer::print_generic_type(self.ctx, self.type_alias(name)?),
            false => crate::print_attr(self.ctx, self.attr_alias(name)?),
        })
    }

    /// A piece of the source with aliases in it written out, so that it means the same without them.
    pub(super) fn without_aliases(&mut self, range: Range<usize>) -> Parse<String> {
        let text = &self.tokens.source()[range];
        let mut out = String::new();
        let mut copied = 0;
        for name in alias_ranges_in(text) {
            if self.is_alias(&text[name.clone()]) {
                out.push_str(&text[copied..name.start]);
                out.push_str(&self.written(&text[name.clone()])?);
                copied = name.end;
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
