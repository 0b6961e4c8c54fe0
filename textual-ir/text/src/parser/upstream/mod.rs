//! Ops in upstream's own syntax.
//!
//! Where an op of upstream's dialects is not defined here, or not with the syntax that the text has, it is handed to upstream as
//! text, together with the ops behind it that upstream knows too (a *run*). The piece declares the values and blocks that the run
//! uses; what comes back in generic form is read into the body, with places and names of the original. A region that holds ops
//! of our own is left out of the piece and read here, once upstream has said what its arguments are.
//!
//! Nothing is verified on the way: [`Parser::verify_upstream`] does that for the whole module at the end.

mod graft;
mod piece;
mod scan;
mod verify;

use super::Parser;
use crate::{
    codes,
    lexer::{Kind, Token},
    upstream::{Complaint, Upstream},
};
use nim_ir::{
    BlockId, Diagnostic, Loc, OpId, Severity, Type, TypeData, diagnostics::did_you_mean, entity::EntityId,
    syntax::Parse,
};
use piece::Piece;
use scan::Run;

/// What was there before an op was tried.
#[derive(Copy, Clone)]
pub(super) struct Mark {
    diagnostics: usize,
    ops: usize,
}

/// A value that the text defines later: its name, and its type as far as known.
struct Later<'c> {
    name: &'c str,
    ty: String,
}

/// More than so many answers to one piece mean that upstream says something that is not understood.
const MAX_TRIES: usize = 100;

impl<'c> Parser<'c> {
    pub(super) fn mark(&mut self) -> Mark {
        Mark { diagnostics: self.diagnostics.len(), ops: self.body_now().op_capacity() }
    }

    /// Whether upstream has an op that is not defined here.
    pub(super) fn is_upstream_op(&mut self, name: &str) -> bool {
        let known = self.opts.upstream.as_ref().is_some_and(|u| u.has_op(name));
        self.has_upstream_ops |= known;
        known
    }

    /// A type that holds texts of dialects, spelled as upstream spells it: equal types must have equal texts.
    pub(super) fn canonical_type(&mut self, ty: Type, start: Token) -> Type {
        let Some(upstream) = &self.opts.upstream else { return ty };
        let end = self.tokens.previous().map_or(start.end, |t| t.end).max(start.end);
        let text = &self.tokens.source()[start.start as usize..end as usize];
        let spelled = match self.ctx.type_data(ty) {
            TypeData::Opaque(_) => text.contains('.'),
            TypeData::Tensor { encoding, .. } => encoding.is_some(),
            TypeData::MemRef { layout, space, .. } => layout.is_some() || space.is_some() && text.contains('#'),
            TypeData::UnrankedMemRef { space, .. } => space.is_some() && text.contains('#'),
            _ => false,
        };
        if !spelled || self.is_error_type(ty) {
            return ty;
        }
        let ours = crate::printer::print_generic_type(self.ctx, ty);
        match upstream.canonical_type(&ours) {
            Some(theirs) if theirs != ours => super::parse_type(self.ctx, &theirs).unwrap_or(ty),
            _ => ty,
        }
    }

    /// At an op that could not be read: asks upstream about it. `None` when upstream has no such op, or cannot read it either.
    pub(super) fn read_upstream(&mut self, block: BlockId, start: Token, before: Mark) -> Option<Parse<()>> {
        let upstream = self.opts.upstream.clone()?;
        let name = self.name_behind_results(start).filter(|name| upstream.has_op(name))?;
        // Where an op of ours is understood, and wrong, upstream has nothing to add; it may even fall over it.
        let defined = self.ctx.op_def(self.ctx.op_name(&name)).is_some();
        if defined && self.diagnostics[before.diagnostics..].iter().any(|d| !d.code.starts_with("N01")) {
            return None;
        }
        let resume = self.tokens.offset();
        let ours = self.diagnostics.split_off(before.diagnostics);
        self.forget_ops(before.ops);
        let mut limit = usize::MAX;
        loop {
            let run = self.scan_run(&*upstream, start, limit);
            let (piece, complaint) = match self.exchange(&*upstream, &run) {
                None => break,
                Some(Ok((piece, generic))) => {
                    self.has_upstream_ops = true;
                    self.tokens.forgive(run.start..run.end);
                    return Some(self.graft(block, &*upstream, &run, &piece, generic));
                }
                Some(Err(wrong)) => *wrong,
            };
            // What stands before the op that is wrong may still be right; the op alone says best what is wrong with it.
            let at = piece.place(complaint.position);
            match run.ops.get(1..).unwrap_or_default().iter().rev().find(|op| at.is_none_or(|at| op.at <= at)) {
                Some(op) => limit = op.at,
                None if run.ops.len() > 1 => limit = run.ops[1].at,
                None => {
                    if ours.is_empty() && !defined {
                        self.complain(&*upstream, &name, &piece, &complaint, start);
                    }
                    break;
                }
            }
        }
        self.diagnostics.extend(ours);
        self.tokens.seek(resume);
        None
    }

    /// The full name of the op that begins at a token.
    fn name_behind_results(&self, start: Token) -> Option<String> {
        let mut tokens = self.tokens.from(start.start as usize);
        let mut token = tokens.bump();
        while token.kind == Kind::PercentId
            || token.kind == Kind::Integer
            || [",", ":", "="].iter().any(|t| tokens.is(token, t))
        {
            token = tokens.bump();
        }
        let text = tokens.text(token);
        (token.kind == Kind::BareId).then(|| match text.contains('.') {
            true => text.to_string(),
            false => self.full_name(text).unwrap_or_default(),
        })
    }

    /// The full name of an op that a word without a dot names; upstream leaves out `func`.
    fn full_name(&self, word: &str) -> Option<String> {
        let known = |name: &String| self.opts.upstream.as_ref().is_some_and(|u| u.has_op(name));
        self.op_of_word(word).map(|(name, _)| name).or_else(|| Some(format!("func.{word}")).filter(known))
    }

    /// Erases the ops that were made since, in an attempt that failed.
    fn forget_ops(&mut self, since: usize) {
        self.forget_forwards(since);
        let body = self.body_now();
        for op in (since..body.op_capacity()).rev().map(OpId::from_index) {
            if !body.is_erased(op) {
                body.erase(op);
            }
        }
    }

    /// The run in generic form. `None` when it uses what could not be read itself.
    #[allow(clippy::type_complexity)]
    fn exchange(
        &mut self,
        upstream: &dyn Upstream,
        run: &Run<'c>,
    ) -> Option<Result<(Piece<'c>, String), Box<(Piece<'c>, Complaint)>>> {
        let mut later: Vec<Later<'c>> = vec![];
        for _ in 0..MAX_TRIES {
            let piece = self.piece(run, &later)?;
            let complaints = match upstream.generic(&piece.text) {
                Ok(generic) => return Some(Ok((piece, generic))),
                Err(complaints) => complaints,
            };
            let nothing = || {
                let message = "upstream does not say why".into();
                Complaint { severity: Severity::Error, message, position: None, notes: vec![] }
            };
            let complaint = complaints.into_iter().find(|c| c.severity == Severity::Error).unwrap_or_else(nothing);
            if !self.learn(run, &piece, &complaint, &mut later) {
                return Some(Err(Box::new((piece, complaint))));
            }
        }
        None
    }

    /// Values that are used before the text defines them are declared too: upstream says which, and of what type they are.
    fn learn(&self, run: &Run<'c>, piece: &Piece<'c>, complaint: &Complaint, later: &mut Vec<Later<'c>>) -> bool {
        if complaint.message.starts_with("use of undeclared SSA value name") {
            let source = self.tokens.source();
            let at = piece.place(complaint.position).filter(|&at| source.is_char_boundary(at));
            let Some(at) = at else { return false };
            let tokens = self.tokens.from(at);
            let name = tokens.text(tokens.peek()).strip_prefix('%').filter(|n| !later.iter().any(|l| l.name == *n));
            // Of several results nobody knows how many there are.
            let plain = !self.tokens.source()[tokens.peek().end as usize..].starts_with('#');
            let Some(name) = name.filter(|n| plain && run.values.contains(n)) else { return false };
            later.push(Later { name, ty: "index".into() });
            return true;
        }
        // definition of SSA value '%x#0' has type 'index'; previously used here with type 'f32'
        let defined =
            complaint.message.strip_prefix("definition of SSA value '%").and_then(|rest| rest.split_once('#'));
        let used = complaint.notes.iter().find_map(|n| n.message.strip_prefix("previously used here with type '"));
        let (Some((name, _)), Some(ty)) = (defined, used.and_then(|ty| ty.strip_suffix('\''))) else { return false };
        match later.iter_mut().find(|l| l.name == name && l.ty != ty) {
            Some(l) => {
                l.ty = ty.into();
                true
            }
            None => false,
        }
    }

    fn complain(
        &mut self,
        upstream: &dyn Upstream,
        name: &str,
        piece: &Piece<'c>,
        complaint: &Complaint,
        start: Token,
    ) {
        let at = piece.place(complaint.position);
        let loc = at.map_or_else(|| self.loc_of(start), |at| self.loc_at(at));
        let mut diagnostic = Diagnostic::error(codes::UPSTREAM_SYNTAX, loc, complaint.message.trim_end());
        for note in &complaint.notes {
            diagnostic = match piece.place(note.position) {
                Some(at) => diagnostic.label(self.loc_at(at), note.message.clone()),
                None => diagnostic.note(note.message.clone()),
            };
        }
        let dialect = name.split('.').next().unwrap_or_default();
        let near = did_you_mean(name, upstream.ops_of(dialect).iter().map(String::as_str).filter(|n| *n != name))
            .map(str::to_string);
        let generic = format!("the generic form, `\"{name}\"(...) : (...) -> ...`, needs no syntax of the op's own");
        diagnostic = diagnostic.note(format!("this is what upstream's parser says of `{name}`"));
        self.emit(diagnostic.help(near.map_or(generic, |near| format!("did you mean `{near}`?"))));
    }

    /// The location of the token at a byte.
    fn loc_at(&self, at: usize) -> Loc {
        match self.place {
            Some(place) => Loc::of_token(place, at as u32),
            None => self.span(at..at),
        }
    }
}
