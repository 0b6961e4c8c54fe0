//! Attributes and attribute dictionaries.

use super::{Parser, shorten};
use crate::{codes, lexer::Kind, numbers, strings};
use nim_ir::{
    Attr, AttrData, AttrKind, AttrList, Diagnostic, FloatKind, Name, Type, TypeData,
    syntax::{Parse, Reported},
};
use rustc_hash::FxHashMap;

/// Attributes that are kept as text, with what opens them.
const VERBATIM: [(&str, &str); 5] =
    [("affine_map", "<"), ("affine_set", "<"), ("strided", "<"), ("sparse", "<"), ("distinct", "[")];

/// Attributes of a list that are kept in order while it is read.
const SHORT_LIST: usize = 64;

impl Parser<'_> {
    /// An attribute; `typed`: numbers may have `: type` behind them.
    pub(super) fn attribute(&mut self, typed: bool) -> Parse<Attr> {
        self.nested(|p| p.attribute_here(typed))
    }

    fn attribute_here(&mut self, typed: bool) -> Parse<Attr> {
        let token = self.tokens.peek();
        let text = self.tokens.text(token);
        match (token.kind, text) {
            (Kind::AtId, _) => self.symbol_path(),
            (Kind::Integer | Kind::HexInteger | Kind::Float, _) | (Kind::Punctuation, "-") => self.number_attr(typed),
            (Kind::String, _) => {
                let text = self.string_literal()?;
                if typed && self.peek_is(":") {
                    self.tokens.bump();
                    let ty = self.ty()?;
                    return Ok(self.verbatim_text(&format!("{} : ", strings::quote(&text)), ty));
                }
                Ok(self.ctx.string_attr(&text))
            }
            (Kind::HashId, _) => self.hash_attr(typed),
            (Kind::Punctuation, "[") => {
                self.tokens.bump();
                let items = self.list_until("]", |p| p.attribute(true))?;
                Ok(self.ctx.array_attr(items))
            }
            (Kind::Punctuation, "{") => {
                let mut list = AttrList::new();
                self.dictionary(&mut list, false)?;
                Ok(self.ctx.dict_attr(list.iter()))
            }
            (Kind::BareId, "unit") => {
                self.tokens.bump();
                Ok(self.ctx.unit_attr())
            }
            (Kind::BareId, "true" | "false") => {
                self.tokens.bump();
                Ok(self.ctx.bool_attr(text == "true"))
            }
            (Kind::BareId, "dense") => self.dense_attr(),
            (Kind::BareId, "dense_resource") => self.dense_resource_attr(),
            (Kind::BareId, "array") => self.dense_array_attr(),
            (Kind::BareId, "loc") => {
                let loc = self.location()?;
                Ok(self.ctx.attr(AttrData::Loc(loc)))
            }
            (Kind::BareId, word) if VERBATIM.iter().any(|(w, _)| *w == word) => self.verbatim_attr(),
            _ if self.at_type() || token.kind == Kind::BangId => {
                let ty = self.ty()?;
                Ok(self.ctx.type_attr(ty))
            }
            _ => Err(self.unexpected("an attribute")),
        }
    }

    /// `"text"`
    pub(super) fn string_literal(&mut self) -> Parse<String> {
        let token = self.tokens.peek();
        if token.kind != Kind::String {
            return Err(self.unexpected("a string"));
        }
        self.tokens.bump();
        strings::unquote(self.tokens.text(token)).map_err(|(at, message)| {
            let start = token.start as usize + at;
            let loc = self.span(start..(start + 1).min(token.end as usize));
            self.emit(Diagnostic::error(codes::BAD_STRING, loc, message))
        })
    }

    /// `@name`, as its text.
    pub(super) fn symbol_name(&mut self) -> Parse<Name> {
        let token = self.tokens.peek();
        if token.kind != Kind::AtId {
            return Err(self.unexpected("a symbol `@name`"));
        }
        self.tokens.bump();
        let text = &self.tokens.text(token)[1..];
        if !text.starts_with('"') {
            return Ok(self.ctx.name(text));
        }
        match strings::unquote(text) {
            Ok(name) => Ok(self.ctx.name(&name)),
            Err((_, message)) => Err(self.error(codes::BAD_STRING, token, message)),
        }
    }

    fn symbol_path(&mut self) -> Parse<Attr> {
        let mut path = vec![self.symbol_name()?];
        while self.accept_token("::") {
            path.push(self.symbol_name()?);
        }
        Ok(self.ctx.attr(AttrData::SymbolRef(path)))
    }

    fn number_attr(&mut self, typed: bool) -> Parse<Attr> {
        let first = self.tokens.peek();
        let negative = self.accept_token("-");
        let token = self.tokens.bump();
        if !matches!(token.kind, Kind::Integer | Kind::HexInteger | Kind::Float) {
            self.tokens.seek(token.start as usize);
            return Err(self.unexpected("a number"));
        }
        let text = self.tokens.text(token);
        let ty = if typed && self.peek_is(":") {
            self.tokens.bump();
            self.ty()?
        } else if token.kind == Kind::Float {
            self.ctx.float_type(FloatKind::F64)
        } else {
            self.ctx.int_type(64)
        };
        let range = first.start as usize..token.end as usize;
        let wide = self.is_wide(token.kind, text, ty);
        let made = match self.ctx.type_data(ty) {
            TypeData::Float(float) if wide => float_fits(token.kind, negative, text, *float),
            _ => Ok(()),
        };
        let made = made.and_then(|()| match wide {
            true => Ok(self.verbatim_text(&format!("{} : ", &self.tokens.source()[range.clone()]), ty)),
            false => self.number_of_type(token.kind, negative, text, ty),
        });
        made.map_err(|message| {
            let loc = self.span(range);
            self.emit(Diagnostic::error(codes::BAD_NUMBER, loc, message))
        })
    }

    /// True for numbers that our own kinds of attributes cannot hold exactly.
    fn is_wide(&self, kind: Kind, text: &str, ty: Type) -> bool {
        match self.ctx.type_data(ty) {
            TypeData::Float(float) => matches!(float, FloatKind::F80 | FloatKind::F128) && kind != Kind::Integer,
            TypeData::Integer { width, .. } => *width > 127 && integer_value(kind, false, text).is_err(),
            _ => false,
        }
    }
    /// A text that ends before its type, kept as it is.
    pub(super) fn verbatim_text(&self, text: &str, ty: Type) -> Attr {
        let text = format!("{text}{}", crate::print_type(self.ctx, ty));
        self.ctx.attr(AttrData::Verbatim { text: self.ctx.name(&text), ty: Some(ty) })
    }

    /// The attribute of a number token.
    fn number_of_type(&self, kind: Kind, negative: bool, text: &str, ty: Type) -> Result<Attr, String> {
        if let TypeData::Float(float) = self.ctx.type_data(ty) {
            let value = self.float_value(kind, negative, text, *float)?;
            return Ok(self.ctx.float_attr(value, ty));
        }
        if self.is_error_type(ty) {
            return Ok(self.ctx.i64_attr(0));
        }
        let value = numbers::integer_in(self.ctx, ty, integer_value(kind, negative, text)?)?;
        let is_bool = ty == self.ctx.int_type(1);
        Ok(if is_bool { self.ctx.bool_attr(value != 0) } else { self.ctx.int_attr(value, ty) })
    }

    /// A float from a token: decimal, or its bits in hexadecimal.
    pub(super) fn float_value(&self, kind: Kind, negative: bool, text: &str, float: FloatKind) -> Result<f64, String> {
        float_fits(kind, negative, text, float)?;
        if kind == Kind::Float {
            // Some types have no negative zero.
            return Ok(match negative {
                true => numbers::parse_float(float, &format!("-{text}")),
                false => numbers::parse_float(float, text),
            });
        }
        let bits = u128::from_str_radix(&text[2..], 16).ok().and_then(|bits| numbers::float_of_bits(float, bits));
        bits.ok_or_else(|| format!("`{text}` is not the bits of a value of {}", float.name()))
    }

    fn hash_attr(&mut self, typed: bool) -> Parse<Attr> {
        let token = self.tokens.bump();
        let text = self.tokens.text(token);
        let adjacent = self.peek_is("<") && self.tokens.peek().start == token.end;
        if text == "#sym.expr" && adjacent {
            self.tokens.bump();
            let at = self.tokens.peek();
            let text = self.string_literal()?;
            let expr = match self.ctx.exprs.parse(&text) {
                Ok(expr) => expr,
                Err(error) => {
                    return Err(self.error(codes::BAD_EXPRESSION, at, format!("malformed expression: {error}")));
                }
            };
            self.expect_token(">")?;
            return Ok(self.ctx.expr_attr(expr));
        }
        if !text.contains('.') && !adjacent {
            return self.attr_alias(text);
        }
        let start = token.start as usize + 1;
        let range = if adjacent { self.balanced(start)? } else { start..token.end as usize };
        let written = &self.tokens.source()[range.clone()];
        let has_type = typed && self.peek_is(":");
        if let Some(&known) = self.known.attrs.get(written).filter(|_| !has_type) {
            return Ok(known);
        }
        let text = self.opaque_body(range)?;
        if has_type {
            self.tokens.bump();
            let ty = self.ty()?;
            return Ok(self.verbatim_text(&format!("#{text} : "), ty));
        }
        let attr = self.ctx.attr(AttrData::Opaque(self.ctx.name(&text)));
        self.known.attrs.insert(written, attr);
        Ok(attr)
    }

    /// `affine_map<...>` and its like, as they stand.
    fn verbatim_attr(&mut self) -> Parse<Attr> {
        let token = self.tokens.bump();
        let word = self.tokens.text(token);
        let open = VERBATIM.iter().find(|(w, _)| *w == word).map_or("<", |(_, open)| open);
        if !self.peek_is(open) {
            return Err(self.unexpected(&format!("`{open}`")));
        }
        let mut range = self.balanced(token.start as usize)?;
        if word == "distinct" {
            range = self.balanced(token.start as usize)?;
        }
        let text = self.without_aliases(range)?;
        // Sparse elements have a type, which is part of what they are.
        if word == "sparse" {
            self.expect_token(":")?;
            let ty = self.ty()?;
            return Ok(self.verbatim_text(&format!("{text} : "), ty));
        }
        Ok(self.ctx.attr(AttrData::Opaque(self.ctx.name(&text))))
    }

    /// `: type` behind elements.
    pub(super) fn elements_type(&mut self) -> Parse<Type> {
        self.expect_token(":")?;
        self.ty()
    }

    fn dense_resource_attr(&mut self) -> Parse<Attr> {
        self.tokens.bump();
        self.expect_token("<")?;
        let key = self.attribute_key()?;
        self.expect_token(">")?;
        let ty = self.elements_type()?;
        Ok(self.ctx.attr(AttrData::DenseResource { ty, key }))
    }

    fn dense_array_attr(&mut self) -> Parse<Attr> {
        self.tokens.bump();
        self.expect_token("<")?;
        let at = self.tokens.peek();
        let element = self.ty()?;
        let float = match self.ctx.type_data(element) {
            TypeData::Float(FloatKind::F80 | FloatKind::F128) => return self.wide_array(element),
            TypeData::Float(kind) => Some(*kind),
            TypeData::Integer { width: 1 | 8 | 16 | 32 | 64, .. } => None,
            TypeData::Integer { width, .. } if width % 8 == 0 => return self.wide_array(element),
            _ if self.is_error_type(element) => None,
            _ => {
                let message = "the elements of `array<...>` are floats, i1, or integers of whole bytes";
                return Err(self.error(codes::BAD_ATTRIBUTE, at, message));
            }
        };
        if self.accept_token(">") {
            return Ok(self.ctx.attr(AttrData::DenseArray { element, values: vec![] }));
        }
        self.expect_token(":")?;
        let values = self.list_until(">", |p| p.array_element(element, float))?;
        Ok(self.ctx.attr(AttrData::DenseArray { element, values }))
    }

    /// `array<i128: ...>`, behind the element type: numbers that are kept as text.
    fn wide_array(&mut self, element: Type) -> Parse<Attr> {
        let mut text = format!("array<{}", crate::print_type(self.ctx, element));
        if self.accept_token(":") {
            let float = match self.ctx.type_data(element) {
                TypeData::Float(kind) => Some(*kind),
                _ => None,
            };
            let numbers = self.list_until(">", |p| {
                let negative = p.accept_token("-");
                let token = p.tokens.peek();
                let number = match token.kind {
                    Kind::Integer | Kind::HexInteger => true,
                    Kind::Float => float.is_some(),
                    _ => false,
                };
                if !number {
                    return Err(p.unexpected("a number"));
                }
                p.tokens.bump();
                let text = p.tokens.text(token);
                if let Some(Err(message)) = float.map(|float| float_fits(token.kind, negative, text, float)) {
                    return Err(p.error(codes::BAD_NUMBER, token, message));
                }
                Ok(format!("{}{text}", if negative { "-" } else { "" }))
            })?;
            text = format!("{text}: {}", numbers.join(", "));
        } else {
            self.expect_token(">")?;
        }
        Ok(self.ctx.attr(AttrData::Verbatim { text: self.ctx.name(&format!("{text}>")), ty: None }))
    }

    fn array_element(&mut self, element: Type, float: Option<FloatKind>) -> Parse<i64> {
        let first = self.tokens.peek();
        if self.peek_is("true") || self.peek_is("false") {
            self.tokens.bump();
            return Ok(i64::from(self.tokens.text(first) == "true"));
        }
        let negative = self.accept_token("-");
        let token = self.tokens.bump();
        let text = self.tokens.text(token);
        let value = match (token.kind, float) {
            (Kind::Integer | Kind::HexInteger | Kind::Float, Some(kind)) => {
                self.float_value(token.kind, negative, text, kind).map(|x| x.to_bits() as i64)
            }
            (Kind::Integer | Kind::HexInteger, None) if self.is_error_type(element) => Ok(0),
            (Kind::Integer | Kind::HexInteger, None) => integer_value(token.kind, negative, text)
                .and_then(|v| numbers::integer_in(self.ctx, element, v))
                .map(|v| v as i64),
            _ => {
                self.tokens.seek(token.start as usize);
                return Err(self.unexpected("a number"));
            }
        };
        value.map_err(|message| self.error(codes::BAD_NUMBER, token, message))
    }

    /// A key: an identifier or a string.
    pub(super) fn attribute_key(&mut self) -> Parse<Name> {
        match self.peek_kind() {
            Kind::String => {
                let text = self.string_literal()?;
                Ok(self.ctx.name(&text))
            }
            // `f32` is a fine name, numbers are not.
            Kind::BareId => {
                let token = self.tokens.bump();
                Ok(self.name_of(self.tokens.text(token)))
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// `{a = 1, b}`, added to a list. `sugar`: the op's table says which values are expressions.
    pub(super) fn dictionary(&mut self, list: &mut AttrList, sugar: bool) -> Parse<()> {
        // A long list would be searched and moved again and again: the rest of it is sorted in at the end.
        let mut rest: FxHashMap<Name, Attr> = FxHashMap::default();
        let read = self.dictionary_into(list, &mut rest, sugar);
        if !rest.is_empty() {
            list.extend(self.ctx, rest);
        }
        read
    }

    fn dictionary_into(&mut self, list: &mut AttrList, rest: &mut FxHashMap<Name, Attr>, sugar: bool) -> Parse<()> {
        self.expect_token("{")?;
        self.each_until("}", |p| {
            let token = p.tokens.peek();
            let name = p.attribute_key()?;
            let kind = if sugar { p.op.and_then(|op| op.attr(p.ctx.str(name))).map(|a| a.kind) } else { None };
            let attr = if p.accept_token("=") {
                match p.attr_of_kind(kind) {
                    Ok(attr) => attr,
                    Err(Reported) if p.trying == 0 && p.skip_value() => return Ok(()),
                    Err(Reported) => return Err(Reported),
                }
            } else {
                p.ctx.unit_attr()
            };
            if list.get(name).is_some() || rest.contains_key(&name) {
                let text = shorten(p.ctx.str(name));
                p.error(codes::DUPLICATE_ATTRIBUTE, token, format!("the attribute `{text}` is given twice"));
            } else if list.len() < SHORT_LIST {
                list.set(p.ctx, name, attr);
            } else {
                rest.insert(name, attr);
            }
            Ok(())
        })
    }

    /// Behind a value that could not be read: moves to the next `,` or `}` of the dictionary, if it is near.
    fn skip_value(&mut self) -> bool {
        let mut depth = 0;
        loop {
            let token = self.tokens.peek();
            let text = self.tokens.text(token);
            match (token.kind, text) {
                (Kind::End, _) => return false,
                (Kind::Punctuation, "," | "}") if depth == 0 => return true,
                (Kind::Punctuation, "(" | "[" | "{" | "<") => depth += 1,
                (Kind::Punctuation, ")" | "]" | "}" | ">") => depth -= 1,
                _ if self.tokens.starts_line(token) && self.is_op_start() => return false,
                _ => {}
            }
            if depth < 0 {
                return false;
            }
            self.tokens.bump();
        }
    }

    /// A value whose kind the op's table may give: expressions are then written without decoration.
    pub(super) fn attr_of_kind(&mut self, kind: Option<AttrKind>) -> Parse<Attr> {
        match kind {
            Some(AttrKind::Expr) if self.peek_kind() != Kind::HashId => {
                let plain = self.attempt(|p| {
                    let expr = p.expr_prefix()?;
                    if p.peek_is(":") { Err(Reported) } else { Ok(p.ctx.expr_attr(expr)) }
                });
                plain.map_or_else(|| self.attribute(true), Ok)
            }
            Some(AttrKind::Exprs) if self.peek_is("[") => {
                let plain = self.attempt(|p| {
                    p.tokens.bump();
                    p.list_until("]", Self::expr_prefix)
                });
                match plain {
                    Some(exprs) => Ok(self.ctx.exprs_attr(&exprs)),
                    None => self.attribute(true),
                }
            }
            _ => self.attribute(true),
        }
    }
}

/// Why a token is no value of a type of floats, if it is none.
pub(super) fn float_fits(kind: Kind, negative: bool, text: &str, float: FloatKind) -> Result<(), String> {
    let name = float.name();
    let bits = text.get(2..).and_then(|digits| u128::from_str_radix(digits, 16).ok());
    let fits = |bits: u128| float.bits() >= 128 || bits >> float.bits() == 0;
    match kind {
        Kind::Float if negative && float == FloatKind::F8E8M0FNU && text.parse() != Ok(0.0) => {
            Err(format!("{name} has no negative values"))
        }
        Kind::Float => Ok(()),
        Kind::HexInteger if !negative && bits.is_some_and(fits) => Ok(()),
        Kind::HexInteger if negative => Err(format!("bits have no sign before them: `-{text}`")),
        Kind::HexInteger => Err(format!("`{text}` is not the bits of a value of {name}")),
        _ => Err(format!("a value of {name} is written with a decimal point: `{text}.0`")),
    }
}

/// The value of an integer token.
pub(super) fn integer_value(kind: Kind, negative: bool, text: &str) -> Result<i128, String> {
    let magnitude = match kind {
        Kind::Integer => text.parse::<i128>().ok(),
        Kind::HexInteger => i128::from_str_radix(&text[2..], 16).ok(),
        _ => return Err(format!("an integer is needed, found `{text}`")),
    };
    let magnitude = magnitude.ok_or("this integer does not fit in 128 bits")?;
    Ok(if negative { -magnitude } else { magnitude })
}
