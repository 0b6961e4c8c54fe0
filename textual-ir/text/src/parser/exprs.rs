//! Symbolic expressions, read from the source by `nim-expr`.

use super::Parser;
use crate::{
    codes,
    lexer::{Kind, Tokens},
};
use nim_ir::{Diagnostic, Expr, syntax::Parse};
use std::ops::Range;

/// Words of expressions that are no names.
const FUNCTIONS: [&str; 5] = ["floordiv", "ceildiv", "mod", "min", "max"];

impl Parser<'_> {
    /// The expression that a part of the source is.
    pub(super) fn expr_in(&mut self, range: Range<usize>) -> Parse<Expr> {
        let text = &self.tokens.source()[range.clone()];
        self.record_dims(range.clone());
        self.ctx.exprs.parse(text).map_err(|error| {
            let at = range.start + error.offset.min(text.len());
            let end = (at + 1).min(range.end).max(at);
            self.bad_expr(at..end, &error.message)
        })
    }

    /// The longest expression from the next token on. `%name` in it is the symbol `%name`, which dialects replace.
    pub(super) fn expr_prefix(&mut self) -> Parse<Expr> {
        let start = self.tokens.offset();
        // Text with values as quoted symbols, and where each of its parts came from.
        let mut text = String::new();
        let mut pieces: Vec<(usize, Range<usize>)> = vec![];
        let mut at = start;
        let mut depth = 0usize;
        for n in 0.. {
            let token = self.tokens.peek_at(n);
            let word = self.tokens.text(token);
            match (token.kind, word) {
                (Kind::Punctuation, "(") => depth += 1,
                (Kind::Punctuation, ")") if depth > 0 => depth -= 1,
                (Kind::Punctuation, ",") if depth > 0 => {}
                (Kind::Punctuation, "+" | "-" | "*" | "$") => {}
                (Kind::Integer | Kind::BareId | Kind::String | Kind::PercentId, _) => {}
                _ => break,
            }
            text.push_str(&self.tokens.source()[at..token.start as usize]);
            pieces.push((text.len(), token.range()));
            match token.kind {
                Kind::PercentId => text.push_str(&format!("\"{word}\"")),
                _ => text.push_str(word),
            }
            at = token.end as usize;
        }
        let origin = |offset: usize| {
            let piece = pieces.partition_point(|(o, _)| *o <= offset).checked_sub(1).map(|i| &pieces[i]);
            piece.map_or(start, |(o, range)| (range.start + (offset - o)).min(range.end))
        };
        match self.ctx.exprs.parse_prefix(&text) {
            Ok((expr, consumed)) => {
                // The last byte read belongs to the last token of the expression.
                let last = pieces.partition_point(|(o, _)| *o < consumed).checked_sub(1).map(|i| pieces[i].1.end);
                self.tokens.seek(last.unwrap_or(start));
                self.record_dims(start..last.unwrap_or(start));
                Ok(expr)
            }
            Err(error) => {
                let at = origin(error.offset);
                Err(self.bad_expr(at..(at + 1).min(self.tokens.source().len()), &error.message))
            }
        }
    }

    /// Notes the names in an expression.
    fn record_dims(&mut self, range: Range<usize>) {
        let Some(recorder) = &mut self.recorder else { return };
        let text = &self.tokens.source()[range.clone()];
        let mut before = None;
        for token in Tokens::new(text) {
            let word = &text[token.range()];
            // `$name` is an iteration variable.
            let variable = before == Some("$");
            if token.kind == Kind::BareId && !variable && !FUNCTIONS.contains(&word) {
                recorder.dims.push(range.start + token.start as usize..range.start + token.end as usize);
            }
            before = Some(word);
        }
    }

    fn bad_expr(&mut self, mut range: Range<usize>, message: &str) -> nim_ir::syntax::Reported {
        // Whole characters only.
        while !self.tokens.source().is_char_boundary(range.end) {
            range.end += 1;
        }
        while !self.tokens.source().is_char_boundary(range.start) {
            range.start -= 1;
        }
        let loc = self.span(range);
        self.emit(Diagnostic::error(codes::BAD_EXPRESSION, loc, format!("malformed expression: {message}")))
    }
}
