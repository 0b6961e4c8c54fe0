//! Tokens of MLIR's grammar, each with its bytes in the source.
//!
//! The lexer never stops: what is no token becomes [`Kind::Error`] or [`Kind::OpenString`], and the parser reports it.
//! Dimension lists (`4x[N]x?xf32`) and the insides of dialect attributes are not tokens of this grammar; the parser reads
//! them from the source and continues with [`Tokens::seek`], as MLIR does.

use logos::Logos;
use std::ops::Range;

/// What a token is.
#[derive(Logos, Copy, Clone, PartialEq, Eq, Debug)]
#[logos(skip r"[ \t\r\n\f]+")]
#[logos(skip(r"//[^\n]*", allow_greedy = true))]
pub enum Kind {
    /// `func.func`, `x`
    #[regex(r"[A-Za-z_][A-Za-z0-9_$.]*")]
    BareId,
    /// `%x`, `%0`
    #[regex(r"%([0-9]+|[A-Za-z$._\-][A-Za-z0-9$._\-]*)")]
    PercentId,
    /// `^bb0`
    #[regex(r"\^([0-9]+|[A-Za-z$._\-][A-Za-z0-9$._\-]*)")]
    CaretId,
    /// `@name`, `@"any name"`
    #[regex(r#"@([A-Za-z_][A-Za-z0-9_$.]*|"([^"\\\n]|\\.)*")"#)]
    AtId,
    /// `#alias`, `#dialect.attr`, the `#1` of `%0#1`
    #[regex(r"#([0-9]+|[A-Za-z$._][A-Za-z0-9$._\-]*)")]
    HashId,
    /// `!alias`, `!dialect.type`
    #[regex(r"!([0-9]+|[A-Za-z$._][A-Za-z0-9$._\-]*)")]
    BangId,
    /// `17`
    #[regex(r"[0-9]+")]
    Integer,
    /// `0x1F`
    #[regex(r"0x[0-9A-Fa-f]+")]
    HexInteger,
    /// `1.5e-3`
    #[regex(r"[0-9]+\.[0-9]*([eE][+\-]?[0-9]+)?")]
    Float,
    /// `"text"`
    #[regex(r#""([^"\\\n]|\\.)*""#)]
    String,
    /// A string without its closing quote on the same line.
    #[regex(r#""([^"\\\n]|\\.)*"#)]
    OpenString,
    /// Punctuation; its text says which.
    #[token("->")]
    #[token("::")]
    #[token("...")]
    #[token("{-#")]
    #[token("#-}")]
    #[token("(")]
    #[token(")")]
    #[token("[")]
    #[token("]")]
    #[token("{")]
    #[token("}")]
    #[token("<")]
    #[token(">")]
    #[token(",")]
    #[token(":")]
    #[token("=")]
    #[token("?")]
    #[token("*")]
    #[token("+")]
    #[token("-")]
    #[token("/")]
    #[token("|")]
    #[token("$")]
    Punctuation,
    /// Bytes that are no token.
    Error,
    /// The end of the source; always the last token, empty.
    End,
}

/// A token and its bytes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Token {
    /// Its bytes.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The tokens of a source, one at a time: a text may be larger than what fits in memory as tokens.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    text: &'a str,
    lexer: logos::Lexer<'a, Kind>,
    /// The byte at which `lexer` began.
    base: usize,
    next: Token,
    previous: Option<Token>,
    /// What was taken and is no token.
    bad: Vec<Token>,
}

impl<'a> Tokens<'a> {
    /// The tokens of a text shorter than 4 GiB.
    pub fn new(text: &'a str) -> Tokens<'a> {
        let next = Token { kind: Kind::End, start: 0, end: 0 };
        let mut tokens = Tokens { text, lexer: Kind::lexer(text), base: 0, next, previous: None, bad: vec![] };
        tokens.next = tokens.lex();
        tokens
    }
    fn lex(&mut self) -> Token {
        let Some(kind) = self.lexer.next() else {
            let end = self.text.len() as u32;
            return Token { kind: Kind::End, start: end, end };
        };
        let span = self.lexer.span();
        let (start, mut end) = (self.base + span.start, self.base + span.end);
        if kind.is_err() {
            // One report for a run of bad bytes.
            let mut ahead = self.lexer.clone();
            while ahead.next().is_some_and(|k| k.is_err()) && self.base + ahead.span().start == end {
                end = self.base + ahead.span().end;
                self.lexer = ahead.clone();
            }
        }
        Token { kind: kind.unwrap_or(Kind::Error), start: start as u32, end: end as u32 }
    }
    /// Tokens of the same text from a byte on.
    pub fn from(&self, offset: usize) -> Tokens<'a> {
        let mut tokens = Tokens { bad: vec![], lexer: self.lexer.clone(), ..*self };
        tokens.seek(offset);
        tokens
    }
    /// The whole text.
    pub fn source(&self) -> &'a str {
        self.text
    }
    /// The next token.
    #[inline]
    pub fn peek(&self) -> Token {
        self.next
    }
    /// The token `n` behind the next one.
    pub fn peek_at(&self, n: usize) -> Token {
        // Looked at rarely, so it is read again when it is taken.
        let mut ahead = Tokens { bad: vec![], lexer: self.lexer.clone(), ..*self };
        for _ in 0..n {
            ahead.bump();
        }
        ahead.next
    }
    /// The token that was taken last; behind a jump, the place where the text before it ends.
    pub fn previous(&self) -> Option<Token> {
        self.previous
    }
    /// Takes the next token; at the end the end token again and again.
    pub fn bump(&mut self) -> Token {
        let token = self.next;
        match token.kind {
            Kind::End => return token,
            Kind::Error | Kind::OpenString => self.bad.push(token),
            _ => {}
        }
        self.previous = Some(token);
        self.next = self.lex();
        token
    }
    /// What was taken so far and is no token, in the order of the text.
    pub fn bad(&self) -> Vec<Token> {
        let mut bad = self.bad.clone();
        bad.sort_by_key(|t| t.start);
        bad.dedup();
        bad
    }
    /// Forgets what is no token within these bytes: somebody else can read them.
    pub fn forgive(&mut self, range: Range<usize>) {
        self.bad.retain(|t| !range.contains(&(t.start as usize)));
    }
    /// The text of a token.
    #[inline]
    pub fn text(&self, token: Token) -> &'a str {
        &self.text[token.range()]
    }
    /// True when a token is written like this.
    #[inline(always)]
    pub fn is(&self, token: Token, text: &str) -> bool {
        // Most are one character: no call for those.
        let (bytes, wanted) = (self.text.as_bytes(), text.as_bytes());
        (token.end - token.start) as usize == wanted.len()
            && bytes.get(token.start as usize) == wanted.first()
            && (wanted.len() <= 1 || bytes.get(token.range()) == Some(wanted))
    }
    /// The byte at which the next token starts.
    pub fn offset(&self) -> usize {
        self.next.start as usize
    }
    /// True when the next token is the first on its line.
    pub fn at_line_start(&self) -> bool {
        self.starts_line(self.next)
    }
    /// True when nothing but white space stands before a token on its line.
    pub fn starts_line(&self, token: Token) -> bool {
        // Looks at the white space before the token only: lines may be very long.
        let before = self.text.as_bytes()[..token.start as usize].iter().rev();
        before.copied().find(|c| !matches!(c, b' ' | b'\t' | b'\r' | b'\x0C')).is_none_or(|c| c == b'\n')
    }
    /// Bytes between the start of the line and a token.
    pub fn column(&self, token: Token) -> usize {
        let before = &self.text[..token.start as usize];
        before.len() - before.rfind('\n').map_or(0, |i| i + 1)
    }
    /// Makes the first token at or behind byte `offset` the next one. A token that `offset` cuts is cut.
    pub fn seek(&mut self, offset: usize) {
        if offset == self.offset() {
            return;
        }
        let end = self.text[..offset].trim_end().len() as u32;
        self.previous = Some(Token { kind: Kind::Punctuation, start: end.saturating_sub(1), end });
        (self.lexer, self.base) = (Kind::lexer(&self.text[offset..]), offset);
        self.next = self.lex();
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;
    /// Takes the next token; `None` at the end.
    fn next(&mut self) -> Option<Token> {
        (self.peek().kind != Kind::End).then(|| self.bump())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        let mut tokens = Tokens::new(text);
        let mut found = vec![];
        loop {
            let token = tokens.bump();
            found.push((token.kind, tokens.text(token)));
            if token.kind == Kind::End {
                return found;
            }
        }
    }

    #[test]
    fn tokens_of_every_kind() {
        use Kind::*;
        let found = kinds("%r:2 = a.b %0#1 ^bb @s::@\"q r\" 0x1F 1.5e-3 -7 \"a\\22\" {-# #-} !t.u<> -> // note\n...");
        let expected = [
            (PercentId, "%r"),
            (Punctuation, ":"),
            (Integer, "2"),
            (Punctuation, "="),
            (BareId, "a.b"),
            (PercentId, "%0"),
            (HashId, "#1"),
            (CaretId, "^bb"),
            (AtId, "@s"),
            (Punctuation, "::"),
            (AtId, "@\"q r\""),
            (HexInteger, "0x1F"),
            (Float, "1.5e-3"),
            (Punctuation, "-"),
            (Integer, "7"),
            (String, "\"a\\22\""),
            (Punctuation, "{-#"),
            (Punctuation, "#-}"),
            (BangId, "!t.u"),
            (Punctuation, "<"),
            (Punctuation, ">"),
            (Punctuation, "->"),
            (Punctuation, "..."),
            (End, ""),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn bad_bytes_do_not_stop() {
        use Kind::*;
        let found = kinds("a ;;é b \"open\nc");
        assert_eq!(
            found,
            [(BareId, "a"), (Error, ";;é"), (BareId, "b"), (OpenString, "\"open"), (BareId, "c"), (End, "")]
        );
    }

    #[test]
    fn seeking_into_a_token_cuts_it() {
        let mut tokens = Tokens::new("tensor<0x8xf32> %a");
        let next = |tokens: &mut Tokens<'static>| {
            let token = tokens.bump();
            tokens.text(token)
        };
        tokens.seek(11);
        assert_eq!([next(&mut tokens), next(&mut tokens), next(&mut tokens)], ["f32", ">", "%a"]);
        tokens.seek(0);
        assert_eq!(next(&mut tokens), "tensor");
    }
}
