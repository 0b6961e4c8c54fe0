//! After an error: where the next op begins.

use super::Parser;
use crate::lexer::{Kind, Token};
use nim_ir::{Body, OpDef};

impl Parser<'_> {
    /// Moves from where an op went wrong to the next op, block or end of the region that the op stands in. Braces that
    /// the op opened are passed over (ops within them are still looked at), unless a line that looks like an op starts no further right than the op did:
    /// then a closing brace was forgotten.
    pub(super) fn recover(&mut self, start: Token) {
        let here = self.tokens.offset();
        let column = self.tokens.column(start);
        self.tokens.seek(start.start as usize);
        let mut depth = 0i64;
        // The first token always counts as part of the broken op.
        let mut first = true;
        loop {
            let token = self.tokens.peek();
            if token.kind == Kind::End {
                return;
            }
            let behind = !first && token.start as usize >= here;
            if behind && depth <= 0 && self.is(token, "}") {
                return;
            }
            if behind
                && self.tokens.starts_line(token)
                && self.is_op_start()
                && (depth <= 0 || self.tokens.column(token) <= column)
            {
                return;
            }
            let orphan = !first && token.start as usize >= here && self.is(token, "{") && self.opens_ops();
            if orphan && self.orphan_region() {
                continue;
            }
            if self.is(token, "{") {
                depth += 1;
            } else if self.is(token, "}") {
                depth -= 1;
            }
            self.tokens.bump();
            first = false;
        }
    }

    /// True when the next token, a brace, has an op behind it on a line of its own.
    fn opens_ops(&mut self) -> bool {
        let brace = self.tokens.bump();
        let opens = self.tokens.at_line_start() && self.is_op_start();
        self.tokens.seek(brace.start as usize);
        opens
    }

    /// Reads the region of an op that could not be read, for the errors in it. Values from outside are not known, so
    /// undefined ones are not reported.
    fn orphan_region(&mut self) -> bool {
        let mut body = Body::new();
        let region = body.add_root_region();
        self.bodies.push(body);
        self.push_orphan_scope();
        let around = self.op.take();
        let result = self.nested(|p| p.region(region, Some(&[])));
        self.op = around;
        self.pop_scope();
        self.bodies.pop();
        result.is_ok()
    }

    /// True when the next token, taken to be the first of its line, looks like the start of an op, a block or an alias.
    pub(super) fn is_op_start(&self) -> bool {
        let token = self.tokens.peek();
        let next = self.tokens.peek_at(1);
        match token.kind {
            Kind::CaretId => true,
            Kind::PercentId => ["=", ",", ":"].iter().any(|t| self.is(next, t)),
            Kind::String => self.is(next, "("),
            Kind::HashId | Kind::BangId => self.is(next, "="),
            Kind::BareId => {
                let text = self.tokens.text(token);
                self.op_of_word(text).is_some() || (text.contains('.') && !self.is(next, "="))
            }
            Kind::Punctuation => self.tokens.text(token) == "{-#",
            _ => false,
        }
    }

    /// The op that a word names. Without a dialect it may be of `builtin`, of the enclosing op's dialect, or of `func`.
    pub(super) fn op_of_word(&self, word: &str) -> Option<(String, Option<&'static OpDef>)> {
        if word == "module" {
            return Some(("builtin.module".into(), self.ctx.op_def(self.ctx.op_name("builtin.module"))));
        }
        let full = |name: String| {
            let def = self.ctx.op_def(self.ctx.op_name(&name))?;
            Some((name, Some(def)))
        };
        if word == "builtin.module" {
            return Some((word.into(), self.ctx.op_def(self.ctx.op_name(word))));
        }
        if word.contains('.') {
            return full(word.to_string());
        }
        let around = self.op.and_then(|op| op.name.split_once('.')).map_or("func", |(dialect, _)| dialect);
        ["builtin", around, "func"].into_iter().find_map(|dialect| full(format!("{dialect}.{word}")))
    }
}
