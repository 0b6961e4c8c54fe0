//! Parsing the text form, and MLIR's infix `floordiv`, `ceildiv` and `mod`.
//!
//! ```text
//! sum     := product (("+" | "-") product)*
//! product := unary (("*" | "floordiv" | "ceildiv" | "mod") unary)*      left to right
//! unary   := "-"* primary
//! primary := integer | name | '"' string '"' | "(" sum ")" | function "(" sum ("," sum)* ")"
//! ```

use std::fmt;

use crate::extremum::Extremum;
use crate::node::{Expr, InvalidKind};
use crate::pool::ExprPool;
use crate::print::KEYWORDS;

/// Deepest nesting of parentheses, function calls and minus signs.
const MAX_NESTING: u32 = 256;

/// Where and why a text is not an expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// Byte offset into the parsed text.
    pub offset: usize,
    /// What is wrong, as a sentence without a period.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.message)
    }
}

impl std::error::Error for ParseError {}

impl ExprPool {
    /// Reads a whole text as one expression.
    ///
    /// # Errors
    /// The first place that is no expression. A constant expression without value (a division by the literal zero) is
    /// no syntax error: it parses to an invalid expression.
    pub fn parse(&self, text: &str) -> Result<Expr, ParseError> {
        let mut parser = Parser::new(self, text);
        let e = parser.sum()?;
        match parser.peek() {
            None => Ok(e),
            Some(_) => Err(parser.error("expected an operator or the end of the expression")),
        }
    }

    /// Reads the longest expression at the start of the text; returns it with the number of bytes read, without the
    /// white space after it.
    ///
    /// # Errors
    /// The text does not start with an expression.
    pub fn parse_prefix(&self, text: &str) -> Result<(Expr, usize), ParseError> {
        let mut parser = Parser::new(self, text);
        let e = parser.sum()?;
        Ok((e, parser.consumed))
    }
}

struct Parser<'a> {
    pool: &'a ExprPool,
    text: &'a str,
    at: usize,
    /// The end of the last token.
    consumed: usize,
    nesting: u32,
}

type Parsed<T> = Result<T, ParseError>;

impl<'a> Parser<'a> {
    fn new(pool: &'a ExprPool, text: &'a str) -> Self {
        Parser { pool, text, at: 0, consumed: 0, nesting: 0 }
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError { offset: self.at, message: message.into() }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
        self.consumed = self.at;
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.advance(1);
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Parsed<()> {
        match self.eat(byte) {
            true => Ok(()),
            false => Err(self.error(format!("expected `{}`", char::from(byte)))),
        }
    }

    /// The identifier at the current place, without reading it.
    fn word(&mut self) -> &'a str {
        self.peek();
        let rest = &self.text[self.at..];
        let starts = rest.bytes().next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_');
        let end = rest.bytes().position(|c| !(c.is_ascii_alphanumeric() || c == b'_' || c == b'.'));
        if starts { &rest[..end.unwrap_or(rest.len())] } else { "" }
    }

    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting == MAX_NESTING {
            return Err(self.error(format!("nested more than {MAX_NESTING} levels deep")));
        }
        self.nesting += 1;
        let result = f(self);
        self.nesting -= 1;
        result
    }

    fn sum(&mut self) -> Parsed<Expr> {
        let mut terms = vec![(1, self.product()?)];
        loop {
            let sign = match self.peek() {
                Some(b'+') => 1,
                Some(b'-') => -1,
                _ => break,
            };
            self.advance(1);
            terms.push((sign, self.product()?));
        }
        // Like the product below: at once, so that a long chain takes linear time.
        Ok(self.pool.linear_combination(terms))
    }

    fn product(&mut self) -> Parsed<Expr> {
        // All factors of a chain are multiplied at once: that is how a product that is not multiplied out was printed.
        let mut factors = vec![self.unary()?];
        loop {
            if self.eat(b'*') {
                factors.push(self.unary()?);
                continue;
            }
            let word = self.word();
            let combine = match word {
                "floordiv" => ExprPool::floordiv,
                "ceildiv" => ExprPool::ceildiv,
                "mod" => ExprPool::modulo,
                _ => break,
            };
            self.advance(word.len());
            let left = self.pool.product(factors.drain(..));
            let right = self.unary()?;
            factors.push(combine(self.pool, left, right));
        }
        Ok(self.pool.product(factors))
    }

    fn unary(&mut self) -> Parsed<Expr> {
        if !self.eat(b'-') {
            return self.primary(false);
        }
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            return self.primary(true);
        }
        let e = self.nested(Self::unary)?;
        Ok(self.pool.neg(e))
    }

    /// `negative` belongs to an integer literal, so that the smallest number can be written.
    fn primary(&mut self, negative: bool) -> Parsed<Expr> {
        match self.peek() {
            Some(b'0'..=b'9') => self.integer(negative),
            Some(b'(') => {
                self.advance(1);
                let e = self.nested(Self::sum)?;
                self.expect(b')')?;
                Ok(e)
            }
            Some(b'"') => self.quoted(),
            Some(b'$') => {
                let rest = &self.text[self.at + 1..];
                let digits = rest.bytes().position(|c| !c.is_ascii_digit()).unwrap_or(rest.len());
                if digits == 0 {
                    return Err(self.error("expected digits after `$`; any other name with `$` is written in quotes"));
                }
                let name = &self.text[self.at..self.at + 1 + digits];
                self.advance(name.len());
                Ok(self.pool.named(name))
            }
            _ => self.name_or_call(),
        }
    }

    fn integer(&mut self, negative: bool) -> Parsed<Expr> {
        let rest = &self.text[self.at..];
        let digits = &rest[..rest.bytes().position(|c| !c.is_ascii_digit()).unwrap_or(rest.len())];
        let magnitude: Option<i128> = digits.parse().ok();
        let value = magnitude.map(|m| if negative { -m } else { m }).and_then(|v| i64::try_from(v).ok());
        let Some(value) = value else {
            return Err(self.error("this integer does not fit in 64 bits"));
        };
        self.advance(digits.len());
        Ok(self.pool.constant(value))
    }

    fn name_or_call(&mut self) -> Parsed<Expr> {
        let word = self.word();
        if word.is_empty() {
            let message = match self.peek() {
                None => "expected an expression, found the end",
                Some(_) => "expected an integer, a name or `(`",
            };
            return Err(self.error(message));
        }
        if !KEYWORDS.contains(&word) {
            self.advance(word.len());
            return Ok(self.pool.named(word));
        }
        let start = self.at;
        self.advance(word.len());
        if self.peek() != Some(b'(') {
            let message =
                format!("`{word}` is a function and needs arguments; a symbol of this name is written \"{word}\"");
            return Err(ParseError { offset: start, message });
        }
        self.advance(1);
        if word == "invalid" {
            let kind = self.word();
            let Some(kind) = InvalidKind::ALL.into_iter().find(|k| k.name() == kind) else {
                return Err(self.error("expected `overflow`, `division_by_zero` or `too_complex`"));
            };
            self.advance(kind.name().len());
            self.expect(b')')?;
            return Ok(Expr::invalid(kind));
        }
        let mut arguments = vec![self.nested(Self::sum)?];
        while self.eat(b',') {
            arguments.push(self.nested(Self::sum)?);
        }
        self.expect(b')')?;
        let pool = self.pool;
        match (word, arguments.as_slice()) {
            ("min", _) => Ok(pool.extremum(Extremum::Min, arguments)),
            ("max", _) => Ok(pool.extremum(Extremum::Max, arguments)),
            ("floordiv", &[a, b]) => Ok(pool.floordiv(a, b)),
            ("ceildiv", &[a, b]) => Ok(pool.ceildiv(a, b)),
            ("mod", &[a, b]) => Ok(pool.modulo(a, b)),
            (_, found) => {
                let message = format!("`{word}` takes 2 arguments, found {}", found.len());
                Err(ParseError { offset: start, message })
            }
        }
    }

    fn quoted(&mut self) -> Parsed<Expr> {
        let start = self.at;
        let unterminated = || ParseError { offset: start, message: "this string has no closing quote".into() };
        let mut name = String::new();
        let mut chars = self.text[start + 1..].char_indices();
        loop {
            let (i, c) = chars.next().ok_or_else(unterminated)?;
            match c {
                '"' => {
                    self.advance(i + 2);
                    return Ok(self.pool.named(&name));
                }
                '\\' => {
                    let (_, escape) = chars.next().ok_or_else(unterminated)?;
                    let at = start + 1 + i;
                    match escape {
                        '"' | '\\' => name.push(escape),
                        'n' => name.push('\n'),
                        't' => name.push('\t'),
                        'u' => {
                            let rest = chars.as_str();
                            let code = rest.strip_prefix('{').and_then(|r| r.split_once('}')).map(|(code, _)| code);
                            let c = code.and_then(|c| u32::from_str_radix(c, 16).ok()).and_then(char::from_u32);
                            let (Some(code), Some(c)) = (code, c) else {
                                let message = "expected a character code such as `\\u{1f}`".into();
                                return Err(ParseError { offset: at, message });
                            };
                            name.push(c);
                            // The code is all ASCII hexadecimal digits: one byte each.
                            for _ in 0..code.len() + 2 {
                                chars.next();
                            }
                        }
                        _ => {
                            let message = "unknown escape; use \\\" \\\\ \\n \\t or \\u{..}".into();
                            return Err(ParseError { offset: at, message });
                        }
                    }
                }
                c => name.push(c),
            }
        }
    }
}
