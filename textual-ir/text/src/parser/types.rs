//! Types: MLIR's builtin ones with our named dimensions, and those of dialects.

use super::Parser;
use crate::{
    codes,
    lexer::{Kind, Token},
};
use nim_ir::{
    Attr, AttrData, Diagnostic, Dim, FloatKind, Signedness, Type, TypeData,
    diagnostics::did_you_mean,
    syntax::{Parse, Reported},
};
use nom::{
    IResult, Parser as _,
    branch::alt,
    bytes::complete::is_not,
    character::complete::{char, digit1},
    combinator::{map, recognize, value},
    multi::many0,
    sequence::{delimited, terminated},
};
use std::ops::Range;

/// Widest integer type, as upstream.
const MAX_INTEGER_WIDTH: u32 = (1 << 24) - 1;

/// A dimension as written.
#[derive(Copy, Clone, PartialEq, Debug)]
enum RawDim<'a> {
    Unknown,
    Number(&'a str),
    /// The text between brackets.
    Bracket(&'a str),
}

/// What an expression in brackets is written with; it holds no brackets itself, except in quotes.
fn bracketed(input: &str) -> IResult<&str, &str> {
    let quoted = (char('"'), many0(is_not("\"\n")), char('"'));
    delimited(char('['), recognize(many0(alt((is_not("[]\"\n"), recognize(quoted))))), char(']')).parse(input)
}

fn raw_dim(input: &str) -> IResult<&str, RawDim<'_>> {
    alt((value(RawDim::Unknown, char('?')), map(bracketed, RawDim::Bracket), map(digit1, RawDim::Number))).parse(input)
}

/// `4x[N]x?x`: dimensions, each with its `x`. MLIR's lexer would make `xf32` one word, so this reads the source.
fn raw_dims(input: &str) -> IResult<&str, Vec<RawDim<'_>>> {
    many0(terminated(raw_dim, char('x'))).parse(input)
}

impl<'c> Parser<'c> {
    /// A type. What is none is reported and read as the error type, so that the rest of the op is still looked at.
    pub(super) fn ty(&mut self) -> Parse<Type> {
        let start = self.tokens.peek();
        let text = self.type_text(start);
        // Whoever wants to know where names are wants it of equal types too.
        let known = text.filter(|_| self.recorder.is_none()).and_then(|text| self.known.types.get(text));
        if let Some(&(known, size)) = known {
            self.aliases.use_again(size);
            match text {
                Some(text) if text.len() > start.range().len() => self.tokens.seek(start.start as usize + text.len()),
                _ => drop(self.tokens.bump()),
            }
            return Ok(known);
        }
        let (found, before) = (self.diagnostics.len(), self.aliases.used());
        match self.nested(Self::strict_type) {
            Ok(ty) => {
                let ty = if self.quiet(found) { self.canonical_type(ty, start) } else { ty };
                if let Some(text) = text.filter(|_| self.quiet(found)) {
                    self.known.types.insert(text, (ty, self.aliases.used().saturating_sub(before)));
                }
                Ok(ty)
            }
            Err(Reported) if self.trying == 0 => {
                self.skip_type(start);
                Ok(self.error_type())
            }
            result => result,
        }
    }

    /// The text of a type that begins with this token, if that can be seen without reading it.
    fn type_text(&self, token: Token) -> Option<&'c str> {
        let source = self.tokens.source();
        if !matches!(token.kind, Kind::BareId | Kind::BangId) {
            return None;
        }
        let end = token.end as usize;
        let brackets = match source.as_bytes().get(end) {
            // Not far: types in types would be looked at again and again.
            Some(b'<') => balanced_len(&source.as_bytes()[end..source.len().min(end + 256)])?,
            _ => 0,
        };
        Some(&source[token.start as usize..end + brackets])
    }

    /// Moves behind what was meant to be a type.
    fn skip_type(&mut self, start: Token) {
        self.tokens.seek(start.start as usize);
        let named = matches!(start.kind, Kind::BareId | Kind::BangId);
        if !named || (self.tokens.starts_line(start) && self.is_op_start()) {
            return;
        }
        self.tokens.bump();
        if !self.peek_is("<") {
            return;
        }
        let mut depth = 0;
        loop {
            let token = self.tokens.peek();
            if token.kind == Kind::End || (self.tokens.starts_line(token) && self.is_op_start()) {
                return;
            }
            match self.tokens.text(token) {
                "<" => depth += 1,
                ">" => depth -= 1,
                "{" | "}" => return,
                _ => {}
            }
            self.tokens.bump();
            if depth == 0 {
                return;
            }
        }
    }

    /// True when a type may begin at the next token.
    pub(super) fn at_type(&self) -> bool {
        let token = self.tokens.peek();
        match token.kind {
            Kind::BangId => true,
            Kind::Punctuation => self.tokens.text(token) == "(",
            Kind::BareId => is_type_word(self.tokens.text(token)),
            _ => false,
        }
    }

    fn strict_type(&mut self) -> Parse<Type> {
        let token = self.tokens.peek();
        match token.kind {
            Kind::BangId => self.dialect_type(),
            Kind::Punctuation if self.peek_is("(") => {
                let (inputs, results) = self.function_signature()?;
                Ok(self.ctx.function_type(&inputs, &results))
            }
            Kind::BareId if !(self.tokens.starts_line(token) && self.is_op_start()) => self.builtin_type(token),
            _ => Err(self.unexpected("a type")),
        }
    }

    /// `(types) -> types`
    pub(super) fn function_signature(&mut self) -> Parse<(Vec<Type>, Vec<Type>)> {
        self.expect_token("(")?;
        let inputs = self.list_until(")", Self::ty)?;
        self.expect_token("->")?;
        let results = self.result_types()?;
        Ok((inputs, results))
    }
    /// `type` or `(types)`
    pub(super) fn result_types(&mut self) -> Parse<Vec<Type>> {
        if self.accept_token("(") { self.list_until(")", Self::ty) } else { Ok(vec![self.ty()?]) }
    }

    fn builtin_type(&mut self, token: Token) -> Parse<Type> {
        let word = self.tokens.text(token);
        if let Some(kind) = FloatKind::from_name(word) {
            self.tokens.bump();
            return Ok(self.ctx.float_type(kind));
        }
        if let Some((sign, digits)) = integer_word(word) {
            self.tokens.bump();
            return match digits.parse() {
                Ok(width) if (1..=MAX_INTEGER_WIDTH).contains(&width) => {
                    Ok(self.ctx.ty(TypeData::Integer { width, sign }))
                }
                _ => Err(self.error(
                    codes::BAD_TYPE,
                    token,
                    format!("an integer is 1 to {MAX_INTEGER_WIDTH} bits wide, not {digits}"),
                )),
            };
        }
        if !is_type_word(word) {
            let loc = self.loc_of(token);
            let mut diagnostic = Diagnostic::error(codes::UNKNOWN_TYPE, loc, format!("there is no type `{word}`"));
            if let Some(near) = did_you_mean(word, type_words()) {
                diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
            }
            return Err(self.emit(diagnostic));
        }
        self.tokens.bump();
        match word {
            "none" => Ok(self.ctx.none_type()),
            "index" => Ok(self.ctx.index_type()),
            "complex" => {
                self.expect_token("<")?;
                let element = self.ty()?;
                self.expect_token(">")?;
                if self.is_error_type(element) {
                    return Ok(element);
                }
                if !matches!(self.ctx.type_data(element), TypeData::Integer { .. } | TypeData::Float(_)) {
                    return Err(self.error(codes::BAD_TYPE, token, "a complex number is made of integers or floats"));
                }
                Ok(self.ctx.ty(TypeData::Complex(element)))
            }
            "tuple" => {
                self.expect_token("<")?;
                let types = self.list_until(">", Self::ty)?;
                Ok(self.ctx.ty(TypeData::Tuple(types)))
            }
            "vector" => self.vector_type(token),
            "tensor" => self.tensor_type(),
            _ => self.memref_type(),
        }
    }

    fn dimensions(&mut self) -> Vec<(RawDim<'c>, Range<usize>)> {
        let start = self.tokens.offset();
        let source = self.tokens.source();
        let Ok((rest, dims)) = raw_dims(&source[start..]) else { return vec![] };
        self.tokens.seek(source.len() - rest.len());
        let mut at = start;
        dims.into_iter()
            .map(|dim| {
                let range = match dim {
                    RawDim::Unknown => at..at + 1,
                    RawDim::Number(digits) => at..at + digits.len(),
                    RawDim::Bracket(text) => at + 1..at + 1 + text.len(),
                };
                at = range.end + 1 + usize::from(matches!(dim, RawDim::Bracket(_)));
                (dim, range)
            })
            .collect()
    }

    fn number(&mut self, digits: &str, range: Range<usize>) -> Parse<i64> {
        digits.parse().map_err(|_| {
            let loc = self.span(range);
            self.emit(Diagnostic::error(codes::BAD_TYPE, loc, "this dimension does not fit in 64 bits"))
        })
    }

    fn symbolic_dims(&mut self) -> Parse<Vec<Dim>> {
        let mut dims = vec![];
        for (raw, range) in self.dimensions() {
            dims.push(match raw {
                RawDim::Unknown => Dim::Unknown,
                RawDim::Number(digits) => self.ctx.dim(self.number(digits, range)?),
                RawDim::Bracket(_) => {
                    let expr = self.expr_in(range.clone())?;
                    if self.ctx.exprs.as_const(expr).is_some_and(|n| n < 0) {
                        let loc = self.span(range);
                        return Err(self.emit(Diagnostic::error(
                            codes::BAD_TYPE,
                            loc,
                            "a dimension cannot be negative",
                        )));
                    }
                    if let Some(kind) = self.ctx.exprs.as_invalid(expr) {
                        let loc = self.span(range);
                        return Err(self.emit(Diagnostic::error(codes::BAD_TYPE, loc, format!("not a size: {kind}"))));
                    }
                    Dim::Expr(expr)
                }
            });
        }
        Ok(dims)
    }

    fn vector_type(&mut self, token: Token) -> Parse<Type> {
        self.expect_token("<")?;
        let mut dims = vec![];
        for (raw, range) in self.dimensions() {
            let (digits, scalable) = match raw {
                RawDim::Number(digits) => (digits, false),
                RawDim::Bracket(text) if !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit()) => (text, true),
                _ => {
                    let loc = self.span(range);
                    let message = "a vector's dimension is a number, or a number in brackets when it is scalable";
                    return Err(self.emit(Diagnostic::error(codes::BAD_TYPE, loc, message)));
                }
            };
            let size = self.number(digits, range)?;
            if size == 0 {
                return Err(self.error(codes::BAD_TYPE, token, "a vector's dimension cannot be zero"));
            }
            dims.push((size, scalable));
        }
        let element = self.ty()?;
        self.expect_token(">")?;
        Ok(self.ctx.ty(TypeData::Vector { dims, element }))
    }

    fn unranked(&mut self) -> Parse<bool> {
        if !self.accept_token("*") {
            return Ok(false);
        }
        // `xf32`: cut off the `x`.
        let token = self.tokens.peek();
        if token.kind != Kind::BareId || !self.tokens.text(token).starts_with('x') {
            return Err(self.unexpected("`x` and an element type"));
        }
        self.tokens.seek(token.start as usize + 1);
        Ok(true)
    }

    fn tensor_type(&mut self) -> Parse<Type> {
        self.expect_token("<")?;
        if self.unranked()? {
            let element = self.ty()?;
            self.expect_token(">")?;
            return Ok(self.ctx.ty(TypeData::UnrankedTensor(element)));
        }
        let mut dims = self.symbolic_dims()?;
        let element = self.ty()?;
        let mut encoding = None;
        if self.accept_token(",") {
            encoding = if self.at_sym_dims() { self.sym_dims(&mut dims)? } else { Some(self.attribute(true)?) };
        }
        self.expect_token(">")?;
        Ok(self.ctx.ty(TypeData::Tensor { dims, element, encoding }))
    }

    fn at_sym_dims(&self) -> bool {
        let token = self.tokens.peek();
        token.kind == Kind::HashId && self.tokens.text(token) == "#sym.dims"
    }
    /// `#sym.dims<["N", 300], encoding>`: the dimensions as the generic form carries them past upstream.
    fn sym_dims(&mut self, dims: &mut [Dim]) -> Parse<Option<Attr>> {
        let token = self.tokens.bump();
        self.expect_token("<")?;
        self.named_dims(dims, token)?;
        let encoding = if self.accept_token(",") { Some(self.attribute(true)?) } else { None };
        self.expect_token(">")?;
        Ok(encoding)
    }
    /// `["N", 300]` for a shape that has `?` in place of names.
    fn named_dims(&mut self, dims: &mut [Dim], token: Token) -> Parse<()> {
        self.expect_token("[")?;
        let named = self.list_until("]", |p| match p.tokens.peek().kind {
            Kind::Integer => {
                let token = p.tokens.bump();
                let digits = p.tokens.text(token);
                Ok(p.ctx.dim(p.number(digits, token.range())?))
            }
            Kind::String => {
                let token = p.tokens.peek();
                let text = p.string_literal()?;
                if text == "?" {
                    return Ok(Dim::Unknown);
                }
                match p.ctx.exprs.parse(&text) {
                    Ok(expr) => Ok(Dim::Expr(expr)),
                    Err(error) => Err(p.error(codes::BAD_EXPRESSION, token, format!("malformed expression: {error}"))),
                }
            }
            _ => Err(p.unexpected("a size or a name in quotes")),
        })?;
        let fits =
            named.len() == dims.len() && named.iter().zip(dims.iter()).all(|(n, d)| *d == Dim::Unknown || n == d);
        if !fits {
            return Err(self.error(codes::BAD_TYPE, token, "the named dimensions do not match the shape"));
        }
        dims.copy_from_slice(&named);
        Ok(())
    }

    fn memref_type(&mut self) -> Parse<Type> {
        self.expect_token("<")?;
        if self.unranked()? {
            let element = self.ty()?;
            let space = if self.accept_token(",") { Some(self.attribute(true)?) } else { None };
            self.expect_token(">")?;
            return Ok(self.ctx.ty(TypeData::UnrankedMemRef { element, space }));
        }
        let mut dims = self.symbolic_dims()?;
        let element = self.ty()?;
        let (mut layout, mut space) = (None, None);
        while self.accept_token(",") {
            let token = self.tokens.peek();
            let attr = self.attribute(true)?;
            let is_layout = matches!(self.ctx.attr_data(attr), AttrData::Opaque(text)
                if ["affine_map<", "strided<"].iter().any(|p| self.ctx.str(*text).starts_with(p)));
            match (is_layout, layout, space) {
                (true, None, None) => layout = Some(attr),
                (false, _, None) => space = Some(attr),
                _ => {
                    let message = "a memref has one layout, and one memory space behind it";
                    return Err(self.error(codes::BAD_TYPE, token, message));
                }
            }
        }
        self.expect_token(">")?;
        if let Some(attr) = space {
            space = self.memref_names(attr, &mut dims)?;
        }
        Ok(self.ctx.ty(TypeData::MemRef { dims, element, layout, space }))
    }

    /// `{sym.dims = ["N", 4], sym.space = 1}` as the memory space of the generic form.
    fn memref_names(&mut self, space: Attr, dims: &mut [Dim]) -> Parse<Option<Attr>> {
        let AttrData::Dict(items) = self.ctx.attr_data(space) else { return Ok(Some(space)) };
        let get = |key: &str| items.iter().find(|(n, _)| self.ctx.str(*n) == key).map(|(_, a)| *a);
        let Some(names) = get("sym.dims").and_then(|a| self.ctx.as_array(a)) else { return Ok(Some(space)) };
        let inner = get("sym.space");
        let read = |attr: &Attr| match self.ctx.as_string(*attr) {
            Some("?") => Some(Dim::Unknown),
            Some(text) => self.ctx.exprs.parse(text).ok().map(Dim::Expr),
            None => self.ctx.as_int(*attr).map(|n| self.ctx.dim(n)),
        };
        let named: Option<Vec<Dim>> = names.iter().map(read).collect();
        match named {
            Some(named) if named.len() == dims.len() => dims.copy_from_slice(&named),
            _ => {
                let token = self.tokens.previous().unwrap_or(self.tokens.peek());
                return Err(self.error(codes::BAD_TYPE, token, "the named dimensions do not match the shape"));
            }
        }
        Ok(inner)
    }

    /// `!alias`, `!dialect.type<...>`, `!dialect<"...">`
    fn dialect_type(&mut self) -> Parse<Type> {
        let token = self.tokens.bump();
        let name = &self.tokens.text(token)[1..];
        let adjacent = self.peek_is("<") && self.tokens.peek().start == token.end;
        if !name.contains('.') && !adjacent {
            return self.type_alias(self.tokens.text(token));
        }
        let dialect = name.split('.').next().unwrap_or(name);
        let registered = self.ctx.dialects().iter().find(|d| d.name == dialect);
        // Strings are known everywhere: constants are made of them.
        let known = name == "graph.string" || registered.is_some_and(|d| d.types.iter().any(|t| t.name == name));
        if let Some(dialect) = registered
            && !known
            && !dialect.types.is_empty()
        {
            let loc = self.loc_of(token);
            let mut diagnostic = Diagnostic::error(codes::UNKNOWN_TYPE, loc, format!("there is no type `!{name}`"));
            if let Some(near) = did_you_mean(name, dialect.types.iter().map(|t| t.name)) {
                diagnostic = diagnostic.help(format!("did you mean `!{near}`?"));
            }
            return Err(self.emit(diagnostic));
        }
        if !adjacent {
            return Ok(match known {
                true => self.ctx.ty(TypeData::Dialect { name: self.ctx.name(name), params: vec![] }),
                false => self.ctx.ty(TypeData::Opaque(self.ctx.name(name))),
            });
        }
        if known {
            self.expect_token("<")?;
            let params = self.list_until(">", |p| p.attribute(true))?;
            return Ok(self.ctx.ty(TypeData::Dialect { name: self.ctx.name(name), params }));
        }
        let range = self.balanced(token.start as usize + 1)?;
        let text = self.opaque_body(range)?;
        Ok(self.ctx.ty(TypeData::Opaque(self.ctx.name(&text))))
    }

    /// The text from byte `start` to the end of the brackets that the next token opens; moves behind it.
    pub(super) fn balanced(&mut self, start: usize) -> Parse<Range<usize>> {
        let open = self.tokens.peek();
        let source = self.tokens.source();
        let Some(len) = balanced_len(&source.as_bytes()[open.start as usize..]) else {
            return Err(self.error(
                codes::UNEXPECTED,
                open,
                format!("this `{}` is never closed", self.tokens.text(open)),
            ));
        };
        let end = open.start as usize + len;
        self.tokens.seek(end);
        Ok(start..end)
    }
}

/// The length of the bracketed text at the start; `->`, `<=` and `>=` are no brackets, brackets in strings do not count.
fn balanced_len(bytes: &[u8]) -> Option<usize> {
    let mut open = smallvec::SmallVec::<[u8; 16]>::new();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'<' | b'>' if bytes.get(i + 1) == Some(&b'=') => i += 1,
            b'<' => open.push(b'>'),
            b'(' => open.push(b')'),
            b'[' => open.push(b']'),
            b'{' => open.push(b'}'),
            b'-' if bytes.get(i + 1) == Some(&b'>') => i += 1,
            c @ (b'>' | b')' | b']' | b'}') => {
                if open.pop() != Some(c) {
                    return None;
                }
                if open.is_empty() {
                    return Some(i + 1);
                }
            }
            b'"' => {
                i += 1;
                while *bytes.get(i)? != b'"' {
                    i += if bytes[i] == b'\\' { 2 } else { 1 };
                }
            }
            _ => {}
        }
        i += 1;
    }
    None
}

fn integer_word(word: &str) -> Option<(Signedness, &str)> {
    let (sign, digits) = if let Some(rest) = word.strip_prefix("si") {
        (Signedness::Signed, rest)
    } else if let Some(rest) = word.strip_prefix("ui") {
        (Signedness::Unsigned, rest)
    } else {
        (Signedness::Signless, word.strip_prefix('i')?)
    };
    (!digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())).then_some((sign, digits))
}

const TYPE_WORDS: [&str; 7] = ["tensor", "memref", "vector", "tuple", "complex", "none", "index"];

fn type_words() -> impl Iterator<Item = &'static str> {
    let integers = ["i1", "i4", "i8", "i16", "i32", "i64", "ui8", "ui16", "ui32", "ui64"];
    TYPE_WORDS.into_iter().chain(FloatKind::NAMES.into_iter().map(|(_, name)| name)).chain(integers)
}

/// True for the first word of a builtin type.
fn is_type_word(word: &str) -> bool {
    TYPE_WORDS.contains(&word) || FloatKind::from_name(word).is_some() || integer_word(word).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimension_lists() {
        use RawDim::*;
        assert_eq!(raw_dims("4x[N]x?xf32"), Ok(("f32", vec![Number("4"), Bracket("N"), Unknown])));
        assert_eq!(raw_dims("0x8xi1"), Ok(("i1", vec![Number("0"), Number("8")])));
        assert_eq!(raw_dims("[max(N, 1) - 1]xf32>"), Ok(("f32>", vec![Bracket("max(N, 1) - 1")])));
        assert_eq!(raw_dims("[\"a]b\"]xf32>"), Ok(("f32>", vec![Bracket("\"a]b\"")])));
        assert_eq!(raw_dims("f32"), Ok(("f32", vec![])));
    }

    #[test]
    fn brackets_match() {
        assert_eq!(balanced_len(b"<(d0) -> (d0)> rest"), Some(14));
        assert_eq!(balanced_len(b"<\">\\\">\"> rest"), Some(8));
        assert_eq!(balanced_len(b"<(>)"), None);
    }
}
