//! Reading tokens of an IRDL file one after the other.

use crate::MALFORMED;
use nim_ir::{Context, Diagnostic, Loc, LocData, SourceId};
use nim_text::lexer::{Kind, Token, Tokens};

/// The tokens of a file that its context holds.
pub struct Stream<'a> {
    ctx: &'a Context,
    source: SourceId,
    text: &'a str,
    tokens: Tokens<'a>,
}

/// Something read, or what is wrong.
pub type Read<T> = Result<T, Box<Diagnostic>>;

impl<'a> Stream<'a> {
    pub fn new(ctx: &'a Context, source: SourceId) -> Stream<'a> {
        let text = ctx.source(source).text.as_str();
        Stream { ctx, source, text, tokens: Tokens::new(text) }
    }
    pub fn loc(&self, token: Token) -> Loc {
        self.ctx.loc(LocData::Span { source: self.source, start: token.start, end: token.end })
    }
    pub fn peek(&self) -> &'a str {
        &self.text[self.tokens.peek().range()]
    }
    pub fn kind(&self) -> Kind {
        self.tokens.peek().kind
    }
    pub fn token(&self) -> Token {
        self.tokens.peek()
    }
    pub fn bump(&mut self) -> (Token, &'a str) {
        let token = self.tokens.bump();
        (token, &self.text[token.range()])
    }
    pub fn accept(&mut self, text: &str) -> bool {
        let found = self.peek() == text && self.kind() != Kind::End;
        if found {
            self.bump();
        }
        found
    }
    pub fn wrong<T>(&self, wanted: &str) -> Read<T> {
        let found = match self.kind() {
            Kind::End => "the end of the file".to_string(),
            _ => format!("`{}`", self.peek()),
        };
        let message = format!("expected {wanted}, found {found}");
        Err(Box::new(Diagnostic::error(MALFORMED, self.loc(self.token()), message)))
    }
    pub fn expect(&mut self, text: &str) -> Read<()> {
        if self.accept(text) { Ok(()) } else { self.wrong(&format!("`{text}`")) }
    }
    /// A token of a kind.
    pub fn of_kind(&mut self, kind: Kind, what: &str) -> Read<(Token, &'a str)> {
        if self.kind() == kind { Ok(self.bump()) } else { self.wrong(what) }
    }
    /// `@name`, without the `@` and quotes.
    pub fn symbol(&mut self) -> Read<&'a str> {
        let (_, text) = self.of_kind(Kind::AtId, "a symbol: `@name`")?;
        Ok(text[1..].trim_matches('"'))
    }
    /// Things separated by commas up to a closing token, which is taken.
    pub fn list<T>(&mut self, close: &str, item: &mut dyn FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let mut items = vec![];
        if self.accept(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if self.accept(close) {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }
    /// The text of an attribute: up to the next statement or the end of the block.
    pub fn attribute(&mut self) -> Read<(Token, &'a str)> {
        let first = self.token();
        let (mut depth, mut last) = (0usize, None);
        loop {
            let (kind, text) = (self.kind(), self.peek());
            let next = kind == Kind::PercentId || text.starts_with("irdl.") || text == "}" || kind == Kind::End;
            if next && depth == 0 || kind == Kind::End {
                break;
            }
            match text {
                "<" | "(" | "[" | "{" => depth += 1,
                ">" | ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            last = Some(self.bump().0);
        }
        match last {
            Some(last) => {
                let token = Token { end: last.end, ..first };
                Ok((token, &self.text[token.range()]))
            }
            None => self.wrong("an attribute or type"),
        }
    }
}
