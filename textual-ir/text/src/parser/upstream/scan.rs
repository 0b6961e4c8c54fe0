//! Finding the ops that are handed to upstream together, without knowing their syntax.

use super::super::{Parser, ops::ResultName, regions::is_isolated};
use crate::{
    lexer::{Kind, Token, Tokens},
    upstream::Upstream,
};
use rustc_hash::FxHashMap;

/// An op of a run.
pub(super) struct Start {
    /// First byte: of its results, or of its name.
    pub at: usize,
    pub names: Vec<ResultName>,
    /// Where a location stands behind it.
    pub loc: Option<usize>,
}

/// A region that holds ops of our own.
pub(super) struct Hole {
    /// Byte of the brace that opens it.
    pub open: usize,
    /// Where its ops begin, behind the label of its first block.
    pub inside: usize,
}

/// Ops that stand one behind the other in a block.
#[derive(Default)]
pub(super) struct Run<'c> {
    pub start: usize,
    pub end: usize,
    pub ops: Vec<Start>,
    /// Results of ops at any depth, by the byte of the op's name.
    pub results: FxHashMap<usize, Vec<ResultName>>,
    /// Names of values and of successors, without `%` and `^`.
    pub values: Vec<&'c str>,
    pub blocks: Vec<&'c str>,
    /// Names of aliases, with `#` and `!`.
    pub aliases: Vec<&'c str>,
    pub holes: Vec<Hole>,
    /// Bytes that upstream is given something else for.
    pub edits: Vec<(usize, usize, String)>,
    /// Bytes at which a type of ours begins.
    pub types: Vec<usize>,
}

/// `%a, %b:2 =` as far as it was read.
#[derive(Default)]
struct Names {
    at: usize,
    names: Vec<ResultName>,
    /// What may come next in it.
    state: State,
}

#[derive(Copy, Clone, Default, PartialEq, Eq)]
enum State {
    #[default]
    None,
    Name,
    Colon,
    Comma,
    Complete,
}

impl<'c> Parser<'c> {
    /// The run that begins at a token, the first token of an op that upstream knows. It ends before byte `limit`.
    pub(super) fn scan_run(&mut self, upstream: &dyn Upstream, start: Token, mut limit: usize) -> Run<'c> {
        let mut holes = vec![];
        loop {
            match self.scan(upstream, start, limit, &holes) {
                Ok(run) => return run,
                // The op is looked at again on its own.
                Err((_, at)) if at > start.start as usize => limit = limit.min(at),
                Err((hole, _)) if !holes.contains(&hole) => holes.push(hole),
                Err(_) => limit = start.end as usize,
            }
        }
    }

    /// Fails at an op of our own within a region of an op: the region's brace, and where the op begins.
    fn scan(
        &mut self,
        upstream: &dyn Upstream,
        start: Token,
        limit: usize,
        holes: &[usize],
    ) -> Result<Run<'c>, (usize, usize)> {
        let mut tokens = self.tokens.from(start.start as usize);
        let mut run = Run { start: start.start as usize, end: start.start as usize, ..Run::default() };
        let mut open: Vec<Token> = vec![];
        let mut names = Names::default();
        let mut previous: Option<Token> = None;
        loop {
            let token = tokens.peek();
            let (at, text) = (token.start as usize, tokens.text(token));
            let line_start = tokens.starts_line(token);
            let first = previous.is_none();
            if token.kind == Kind::End || at >= limit {
                break;
            }
            if open.is_empty() && !first && self.ends_run(&tokens, token, line_start) {
                break;
            }
            let complete = names.state == State::Complete;
            if let Some((full, generic)) = self.op_at(upstream, &tokens, token, previous, line_start, complete) {
                let op_at = if complete { names.at } else { at };
                let mine = if complete { std::mem::take(&mut names.names) } else { vec![] };
                let def = self.ctx.op_def(self.ctx.op_name(&full));
                let ours = !generic && !upstream.has_op(&full);
                if open.is_empty() {
                    // Isolated ops are read here: only what is in them may need upstream.
                    if !run.ops.is_empty() && (ours || is_isolated(&full, def)) {
                        run.end = run.end.min(op_at);
                        return Ok(self.ended(run, op_at));
                    }
                    if !generic && full != text {
                        run.edits.push((at, token.end as usize, full));
                    }
                    run.ops.push(Start { at: op_at, names: mine.clone(), loc: None });
                } else if ours {
                    let brace = open.iter().find(|t| tokens.is(**t, "{")).unwrap_or(&open[0]);
                    return Err((brace.start as usize, run.ops.last().map_or(run.start, |op| op.at)));
                }
                if !mine.is_empty() {
                    run.results.insert(at, mine);
                }
            }
            self.note_names(&mut names, &tokens, token);
            match (token.kind, text) {
                (Kind::Punctuation, "{") if holes.contains(&at) => {
                    tokens.bump();
                    previous = Some(self.hole(&mut run, &mut tokens, token));
                    run.end = previous.map_or(run.end, |t| t.end as usize);
                    continue;
                }
                (Kind::Punctuation, "(" | "[" | "{") => open.push(token),
                (Kind::Punctuation, ")" | "]" | "}") => drop(open.pop()),
                (Kind::BareId, "loc") if open.is_empty() && is_trailing(&tokens, previous) => {
                    if let Some(op) = run.ops.last_mut() {
                        op.loc = Some(at);
                    }
                    tokens.bump();
                    let end = skip_balanced(&mut tokens);
                    run.edits.push((at, end, String::new()));
                    (previous, run.end) = (Some(token), end);
                    continue;
                }
                _ => self.note(&mut run, &tokens, token, previous, &open),
            }
            tokens.bump();
            (previous, run.end) = (Some(token), token.end as usize);
        }
        Ok(run)
    }

    /// The run without what was noted of the op that begins at a byte: its results' names.
    fn ended(&self, mut run: Run<'c>, at: usize) -> Run<'c> {
        run.edits.retain(|e| e.1 <= at);
        run.end = self.tokens.source()[..at].trim_end().len().max(run.start);
        run
    }

    /// Whether a token outside of brackets cannot be part of an op.
    fn ends_run(&self, tokens: &Tokens<'c>, token: Token, line_start: bool) -> bool {
        match token.kind {
            Kind::Punctuation => matches!(tokens.text(token), "}" | ")" | "]" | "{-#"),
            Kind::CaretId => line_start || is_label(tokens),
            Kind::HashId | Kind::BangId => line_start && tokens.is(tokens.peek_at(1), "="),
            _ => false,
        }
    }

    /// The full name of the op whose name a token is, and whether it is in generic form.
    fn op_at(
        &self,
        upstream: &dyn Upstream,
        tokens: &Tokens<'c>,
        token: Token,
        previous: Option<Token>,
        line_start: bool,
        behind_results: bool,
    ) -> Option<(String, bool)> {
        let text = tokens.text(token);
        let before = previous.map_or("", |t| tokens.text(t));
        let next = tokens.peek_at(1);
        let fresh = previous.is_none() || behind_results || line_start;
        match token.kind {
            Kind::String => {
                let opens = tokens.is(next, "(") && (fresh || before == "{");
                opens.then(|| (text.trim_matches('"').to_string(), true))
            }
            Kind::BareId if text.contains('.') => {
                let known = self.ctx.op_def(self.ctx.op_name(text)).is_some() || upstream.has_op(text);
                let dialect = text.split('.').next().unwrap_or_default();
                let ours = !known && self.ctx.has_dialect(dialect) && upstream.ops_of(dialect).is_empty();
                let value =
                    matches!(before, "," | "(" | "<" | "[" | ":" | "->" | "::") || before == "=" && !behind_results;
                // The name of an attribute in a dictionary.
                let key = matches!(before, "{" | ",") && ["=", ",", "}"].iter().any(|t| tokens.is(next, t));
                let op =
                    (known || ours) && (fresh || !value) && (!key || known && before == "{" && tokens.is(next, "}"));
                op.then(|| (text.to_string(), false))
            }
            Kind::BareId if fresh => self.full_name(text).map(|name| (name, false)),
            _ => None,
        }
    }

    fn note_names(&mut self, names: &mut Names, tokens: &Tokens<'c>, token: Token) {
        let text = tokens.text(token);
        names.state = match (names.state, token.kind, text) {
            (state, Kind::PercentId, _) => {
                if state != State::Comma {
                    (names.at, names.names) = (token.start as usize, vec![]);
                }
                let (name, loc) = (self.name_of(&text[1..]), self.loc_of(token));
                names.names.push(ResultName { name, count: 1, loc });
                State::Name
            }
            (State::Name, Kind::Punctuation, ":") => State::Colon,
            (State::Colon, Kind::Integer, _) => {
                if let Some(last) = names.names.last_mut() {
                    last.count = text.parse().unwrap_or(1);
                }
                State::Name
            }
            (State::Name, Kind::Punctuation, ",") => State::Comma,
            (State::Name, Kind::Punctuation, "=") => State::Complete,
            _ => State::None,
        };
    }

    /// Notes what a piece must declare, and where types of ours may be.
    fn note(&self, run: &mut Run<'c>, tokens: &Tokens<'c>, token: Token, previous: Option<Token>, open: &[Token]) {
        let text = tokens.text(token);
        let add = |list: &mut Vec<&'c str>, text: &'c str| {
            if !list.contains(&text) {
                list.push(text);
            }
        };
        match token.kind {
            Kind::PercentId => add(&mut run.values, &text[1..]),
            Kind::CaretId if !open.iter().any(|t| tokens.is(*t, "{")) => add(&mut run.blocks, &text[1..]),
            Kind::HashId if previous.is_some_and(|t| t.kind == Kind::PercentId && t.end == token.start) => {}
            Kind::HashId | Kind::BangId if self.is_alias(text) => add(&mut run.aliases, text),
            Kind::BangId => {
                let dialect = text[1..].split('.').next().unwrap_or_default();
                if self.ctx.has_dialect(dialect) {
                    run.types.push(token.start as usize);
                }
            }
            Kind::BareId if matches!(text, "tensor" | "memref") && tokens.is(tokens.peek_at(1), "<") => {
                run.types.push(token.start as usize);
            }
            _ => {}
        }
    }

    /// Behind the brace that opens a region with ops of our own: passes over it; gives the brace that closes it.
    fn hole(&mut self, run: &mut Run<'c>, tokens: &mut Tokens<'c>, brace: Token) -> Token {
        if tokens.peek().kind == Kind::CaretId {
            tokens.bump();
            let mut previous = None;
            let mut depth = 0usize;
            while tokens.peek().kind != Kind::End {
                let token = tokens.peek();
                let text = tokens.text(token);
                match text {
                    "(" | "[" | "{" => depth += 1,
                    ")" | "]" | "}" => depth = depth.saturating_sub(1),
                    // Values that are defined here are none that are used.
                    _ if token.kind != Kind::PercentId => self.note(run, tokens, token, previous, &[]),
                    _ => {}
                }
                previous = Some(tokens.bump());
                if depth == 0 && text == ":" {
                    break;
                }
            }
        }
        let inside = tokens.previous().map_or(brace.end, |t| t.end) as usize;
        let mut depth = 0usize;
        loop {
            let token = tokens.bump();
            let closes = match tokens.text(token) {
                "{" if token.kind == Kind::Punctuation => {
                    depth += 1;
                    false
                }
                "}" if token.kind == Kind::Punctuation && depth > 0 => {
                    depth -= 1;
                    false
                }
                "}" if token.kind == Kind::Punctuation => true,
                _ => token.kind == Kind::End,
            };
            if closes {
                let (close, number) = (token.start as usize, run.holes.len());
                run.edits.push((inside, close, format!(" \"nim.region\"() {{index = {number} : i64}} : () -> () ")));
                run.holes.push(Hole { open: brace.start as usize, inside });
                return token;
            }
        }
    }
}

/// Whether a block's name begins it: a colon is behind it, and no type behind that.
fn is_label(tokens: &Tokens<'_>) -> bool {
    let mut tokens = tokens.clone();
    tokens.bump();
    if tokens.is(tokens.peek(), "(") {
        skip_balanced(&mut tokens);
    }
    tokens.is(tokens.peek(), ":") && !tokens.is(tokens.peek_at(1), "(")
}

/// Whether `loc` stands behind an op: not as the value of an attribute.
fn is_trailing(tokens: &Tokens<'_>, previous: Option<Token>) -> bool {
    let before = previous.map_or("=", |t| tokens.text(t));
    tokens.is(tokens.peek_at(1), "(") && !matches!(before, "=" | "," | "(" | "[" | "<" | "{")
}

/// Passes over a bracket and all that is in it; gives the byte behind it.
fn skip_balanced(tokens: &mut Tokens<'_>) -> usize {
    let mut depth = 0usize;
    loop {
        let token = tokens.bump();
        match tokens.text(token) {
            "(" | "[" | "{" if token.kind == Kind::Punctuation => depth += 1,
            ")" | "]" | "}" if token.kind == Kind::Punctuation => depth = depth.saturating_sub(1),
            _ if token.kind == Kind::End => return token.end as usize,
            _ => {}
        }
        if depth == 0 {
            return token.end as usize;
        }
    }
}
