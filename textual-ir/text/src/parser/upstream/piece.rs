//! The text that upstream is given: aliases, values and blocks that a run uses, and the run itself.

use super::{Later, scan::Run};
use crate::{lexer::Kind, parser::Parser, printer::print_generic_type, strings};
use nim_ir::ValueId;
use rustc_hash::FxHashSet;
use std::{fmt::Write, ops::Range};

/// A text, and where its bytes come from.
#[derive(Default)]
pub(super) struct Piece<'c> {
    pub text: String,
    /// Byte of the text, byte of the source, and whether what follows is a copy of the source.
    map: Vec<(usize, usize, bool)>,
    /// Bytes at which lines of the text start.
    lines: Vec<usize>,
    /// What stands for the arguments of the piece, in order: values of one name each.
    pub given: Vec<Vec<ValueId>>,
    /// Values that are defined later, in the order of the block that declares them.
    pub later: Vec<&'c str>,
    pub blocks: Vec<&'c str>,
}

impl Piece<'_> {
    /// Adds a part of the source, with some of it replaced.
    fn copy(&mut self, source: &str, range: Range<usize>, edits: &[(usize, usize, String)]) {
        let mut at = range.start;
        for (start, end, new) in edits {
            // One that lies in another is part of what that one replaces.
            if *start < at || *end > range.end {
                continue;
            }
            self.map.push((self.text.len(), at, true));
            self.text.push_str(&source[at..*start]);
            self.map.push((self.text.len(), *start, false));
            self.text.push_str(new);
            at = *end;
        }
        self.map.push((self.text.len(), at, true));
        self.text.push_str(&source[at..range.end]);
        self.map.push((self.text.len(), range.end, false));
    }

    /// The byte of the source that a line and a column of the text come from; `None` for what stands only in the text.
    pub fn place(&self, position: Option<(u32, u32)>) -> Option<usize> {
        let (line, column) = position?;
        let start = *self.lines.get((line as usize).checked_sub(1)?)?;
        let at = start + (column as usize).saturating_sub(1);
        let (from, source, copied) = *self.map[..self.map.partition_point(|m| m.0 <= at)].last()?;
        Some(if copied { source + (at - from) } else { source })
    }
}

impl<'c> Parser<'c> {
    /// The piece of a run; `None` when it uses a value that could not be read.
    pub(super) fn piece(&mut self, run: &Run<'c>, later: &[Later<'c>]) -> Option<Piece<'c>> {
        let source = self.tokens.source();
        let mut piece = Piece::default();
        for alias in self.aliases_in_order(&run.aliases) {
            let Some((name, value)) = self.alias_ranges(alias) else { continue };
            let (_, types) = self.inside_alias(value.clone());
            piece.copy(source, name, &[]);
            piece.text.push_str(" = ");
            let edits = self.type_edits(&types);
            piece.copy(source, value, &edits);
            piece.text.push('\n');
        }
        piece.text.push_str("\"nim.piece\"() ({\n^nim$entry(");
        let (mut arguments, mut several) = (vec![], String::new());
        for (i, &name) in run.values.iter().enumerate() {
            let interned = self.name_of(name);
            let Some(values) = self.values_of(interned) else { continue };
            let types: Vec<String> = values
                .iter()
                .map(|&v| {
                    let ty = self.body_now().ty(v);
                    if self.is_error_type(ty) { String::new() } else { print_generic_type(self.ctx, ty) }
                })
                .collect();
            if types.is_empty() || types.iter().any(String::is_empty) {
                return None;
            }
            if let [ty] = &types[..] {
                arguments.push(format!("%{name}: {ty}"));
            } else {
                let names: Vec<String> = (0..types.len()).map(|k| format!("%nim${i}.{k}")).collect();
                arguments.extend(names.iter().zip(&types).map(|(name, ty)| format!("{name}: {ty}")));
                let (names, types) = (names.join(", "), types.join(", "));
                let _ =
                    writeln!(several, "%{name}:{} = \"nim.values\"({names}) : ({types}) -> ({types})", values.len());
            }
            piece.given.push(values);
        }
        let _ = write!(piece.text, "{}):\n{several}", arguments.join(", "));
        let mut edits = run.edits.clone();
        edits.extend(self.type_edits(&run.types));
        edits.sort();
        piece.copy(source, run.start..run.end, &edits);
        piece.text.push_str("\n^nim$later:\n\"nim.block\"() : () -> ()\n");
        for &Later { name, ref ty } in later {
            let _ = writeln!(piece.text, "%{name} = \"nim.later\"() : () -> {ty}");
            piece.later.push(name);
        }
        for &block in &run.blocks {
            let _ = writeln!(piece.text, "^{block}:\n\"nim.block\"() : () -> ()");
            piece.blocks.push(block);
        }
        piece.text.push_str("}) : () -> ()\n");
        piece.lines = std::iter::once(0).chain(piece.text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Some(piece)
    }

    /// Aliases and those that they name, each behind those that it names.
    fn aliases_in_order(&mut self, aliases: &[&'c str]) -> Vec<&'c str> {
        let (mut order, mut seen) = (vec![], FxHashSet::default());
        // Each once to look into it, and once more when what it names is done.
        let mut stack: Vec<(&'c str, bool)> = aliases.iter().rev().map(|&alias| (alias, false)).collect();
        while let Some((alias, done)) = stack.pop() {
            if done {
                order.push(alias);
            } else if seen.insert(alias) {
                stack.push((alias, true));
                if let Some((_, value)) = self.alias_ranges(alias) {
                    stack.extend(self.inside_alias(value).0.into_iter().map(|inner| (inner, false)));
                }
            }
        }
        order
    }

    /// The aliases that a value of an alias names, and where types of ours may be in it.
    fn inside_alias(&self, range: Range<usize>) -> (Vec<&'c str>, Vec<usize>) {
        let mut tokens = self.tokens.from(range.start);
        let (mut aliases, mut types) = (vec![], vec![]);
        while tokens.offset() < range.end && tokens.peek().kind != Kind::End {
            let token = tokens.bump();
            let text = tokens.text(token);
            match token.kind {
                Kind::HashId | Kind::BangId if self.is_alias(text) => aliases.push(text),
                Kind::BareId if matches!(text, "tensor" | "memref") => types.push(token.start as usize),
                _ => {}
            }
        }
        (aliases, types)
    }

    /// Types of ours, as upstream reads them.
    fn type_edits(&mut self, at: &[usize]) -> Vec<(usize, usize, String)> {
        let source = self.tokens.source();
        let (back, mut edits) = (self.tokens.offset(), vec![]);
        for &start in at {
            // Only names of dimensions stand in brackets in front of the element type.
            let rest = &source.as_bytes()[start..];
            if rest.first() != Some(&b'!') && !rest.iter().take_while(|b| !b"\n,>".contains(b)).any(|&b| b == b'[') {
                continue;
            }
            self.tokens.seek(start);
            let read = self.attempt(|p| {
                let ty = p.ty()?;
                Ok((ty, p.tokens.previous().map_or(start, |t| t.end as usize)))
            });
            if let Some((ty, end)) = read {
                edits.push((start, end, print_generic_type(self.ctx, ty)));
            }
        }
        self.tokens.seek(back);
        edits
    }
}

/// The name of a value or block as text has it.
pub(super) fn name_at(source: &str, at: usize) -> Option<&str> {
    let rest = source.get(at..)?.strip_prefix('%')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let len = if digits > 0 { digits } else { strings::suffix_id_len(rest) };
    (len > 0).then(|| &rest[..len])
}
