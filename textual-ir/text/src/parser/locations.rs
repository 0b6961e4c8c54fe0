//! `loc(...)` in all its forms.

use super::Parser;
use crate::{codes, lexer::Kind};
use nim_ir::{AttrData, Loc, LocData, syntax::Parse};

impl Parser<'_> {
    /// `loc(...)`
    pub(super) fn location(&mut self) -> Parse<Loc> {
        self.expect_token("loc")?;
        self.expect_token("(")?;
        let loc = self.nested(Self::location_inside)?;
        self.expect_token(")")?;
        Ok(loc)
    }

    /// `loc(...)` if it is next.
    pub(super) fn trailing_location(&mut self) -> Parse<Option<Loc>> {
        if self.peek_is("loc") && self.is(self.tokens.peek_at(1), "(") { self.location().map(Some) } else { Ok(None) }
    }

    fn location_inside(&mut self) -> Parse<Loc> {
        let token = self.tokens.peek();
        match (token.kind, self.tokens.text(token)) {
            (Kind::HashId, text) => {
                self.tokens.bump();
                let attr = self.attr_alias(text)?;
                match self.ctx.attr_data(attr) {
                    AttrData::Loc(loc) => Ok(*loc),
                    _ => Err(self.error(codes::BAD_LOCATION, token, format!("`{text}` is not a location"))),
                }
            }
            (Kind::String, _) => self.file_or_name(),
            // Nested locations may be written with their `loc`.
            (Kind::BareId, "loc") => self.location(),
            (Kind::BareId, "unknown") => {
                self.tokens.bump();
                Ok(Loc::UNKNOWN)
            }
            (Kind::BareId, "callsite") => {
                self.tokens.bump();
                self.expect_token("(")?;
                let callee = self.nested(Self::location_inside)?;
                self.expect_token("at")?;
                let caller = self.nested(Self::location_inside)?;
                self.expect_token(")")?;
                Ok(self.ctx.loc(LocData::CallSite(callee, caller)))
            }
            (Kind::BareId, "fused") => self.fused(),
            _ => Err(self.error(codes::BAD_LOCATION, token, "expected a location")),
        }
    }

    fn file_or_name(&mut self) -> Parse<Loc> {
        let text = self.string_literal()?;
        let name = self.ctx.name(&text);
        if self.accept_token("(") {
            let child = self.nested(Self::location_inside)?;
            self.expect_token(")")?;
            return Ok(self.ctx.loc(LocData::Name(name, child)));
        }
        if !self.accept_token(":") {
            return Ok(self.ctx.loc(LocData::Name(name, Loc::UNKNOWN)));
        }
        let line = self.position()?;
        self.expect_token(":")?;
        let column = self.position()?;
        // `to 3:4`, or `to :4` on the same line.
        if self.accept_token("to") {
            let end_line = if self.peek_is(":") { line } else { self.position()? };
            self.expect_token(":")?;
            let end = (end_line, self.position()?);
            return Ok(self.ctx.loc(LocData::FileRange { file: name, start: (line, column), end }));
        }
        Ok(self.ctx.loc(LocData::File { file: name, line, column }))
    }

    fn position(&mut self) -> Parse<u32> {
        let token = self.tokens.peek();
        match self.accept_kind(Kind::Integer).map(str::parse) {
            Some(Ok(number)) => Ok(number),
            _ => Err(self.error(codes::BAD_LOCATION, token, "expected a line or column number")),
        }
    }

    fn fused(&mut self) -> Parse<Loc> {
        self.tokens.bump();
        let mut metadata = None;
        if self.accept_token("<") {
            metadata = Some(self.attribute(true)?);
            self.expect_token(">")?;
        }
        self.expect_token("[")?;
        let locs = self.list_until("]", |p| p.nested(Self::location_inside))?;
        if let (Some(metadata), &[from]) = (metadata, locs.as_slice())
            && let Some((pass, pattern)) = self.derivation(metadata)
        {
            return Ok(self.ctx.loc(LocData::Derived { pass, pattern, from }));
        }
        Ok(self.ctx.loc(LocData::Fused(locs, metadata)))
    }

    /// `{sym.pass = "...", sym.pattern = "..."}`: how a location that a pass derived is written.
    fn derivation(&self, metadata: nim_ir::Attr) -> Option<(nim_ir::Name, Option<nim_ir::Name>)> {
        let AttrData::Dict(items) = self.ctx.attr_data(metadata) else { return None };
        let get = |key: &str| {
            let attr = items.iter().find(|(n, _)| self.ctx.str(*n) == key)?.1;
            match self.ctx.attr_data(attr) {
                AttrData::String(text) => Some(*text),
                _ => None,
            }
        };
        Some((get("sym.pass")?, get("sym.pattern")))
    }
}
