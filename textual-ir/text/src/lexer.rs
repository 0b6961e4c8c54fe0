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

/// All tokens of a source and a place among them.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

impl<'a> Tokens<'a> {
    /// The tokens of a text shorter than 4 GiB.
    pub fn new(text: &'a str) -> Tokens<'a> {
        let mut tokens = lex(text, 0, |_| false);
        let end = text.len() as u32;
        tokens.push(Token { kind: Kind::End, start: end, end });
        Tokens { text, tokens, at: 0 }
    }
    /// The whole text.
    pub fn source(&self) -> &'a str {
        self.text
    }
    /// All tokens, the end token last.
    pub fn all(&self) -> &[Token] {
        &self.tokens
    }
    /// The next token.
    pub fn peek(&self) -> Token {
        self.tokens[self.at]
    }
    /// The token `n` behind the next one.
    pub fn peek_at(&self, n: usize) -> Token {
        self.tokens[(self.at + n).min(self.tokens.len() - 1)]
    }
    /// The token before the next one.
    pub fn previous(&self) -> Option<Token> {
        self.at.checked_sub(1).map(|i| self.tokens[i])
    }
    /// Takes the next token; at the end the end token again and again.
    pub fn bump(&mut self) -> Token {
        let token = self.tokens[self.at];
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }
    /// The text of a token.
    pub fn text(&self, token: Token) -> &'a str {
        &self.text[token.range()]
    }
    /// The byte at which the next token starts.
    pub fn offset(&self) -> usize {
        self.tokens[self.at].start as usize
    }
    /// True when the next token is the first on its line.
    pub fn at_line_start(&self) -> bool {
        self.starts_line(self.tokens[self.at])
    }
    /// True when nothing but white space stands before a token on its line.
    pub fn starts_line(&self, token: Token) -> bool {
        // Looks at the white space before the token only: lines may be very long.
        let before = self.text[..token.start as usize].trim_end_matches([' ', '\t', '\r', '\x0C']);
        before.is_empty() || before.ends_with('\n')
    }
    /// Bytes between the start of the line and a token.
    pub fn column(&self, token: Token) -> usize {
        let before = &self.text[..token.start as usize];
        before.len() - before.rfind('\n').map_or(0, |i| i + 1)
    }
    /// Makes the first token at or behind byte `offset` the next one. A token that `offset` cuts is cut.
    pub fn seek(&mut self, offset: usize) {
        let first = self.tokens.partition_point(|t| (t.end as usize) <= offset && t.kind != Kind::End);
        self.at = first;
        if self.tokens[first].start as usize >= offset || self.tokens[first].kind == Kind::End {
            return;
        }
        // Lex again from the cut until token starts agree with the old ones.
        let old = &self.tokens[first + 1..];
        let again = lex(self.text, offset, |start| old.binary_search_by_key(&start, |t| t.start).is_ok());
        let resumed = again.last().map_or(offset as u32, |t| t.end);
        let keep = old.partition_point(|t| t.start < resumed && t.kind != Kind::End);
        self.tokens.splice(first..first + 1 + keep, again);
    }
}

/// Lexes from a byte on, until `stop` says that a token start is known already.
fn lex(text: &str, from: usize, stop: impl Fn(u32) -> bool) -> Vec<Token> {
    let mut tokens: Vec<Token> = vec![];
    for (kind, range) in Kind::lexer(&text[from..]).spanned() {
        let (start, end) = ((from + range.start) as u32, (from + range.end) as u32);
        if stop(start) {
            break;
        }
        let kind = kind.unwrap_or(Kind::Error);
        match tokens.last_mut() {
            // One report for a run of bad bytes.
            Some(last) if kind == Kind::Error && last.kind == Kind::Error && last.end == start => last.end = end,
            _ => tokens.push(Token { kind, start, end }),
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(Kind, &str)> {
        let tokens = Tokens::new(text);
        tokens.all().iter().map(|&t| (t.kind, tokens.text(t))).collect()
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
