//! Ops: results, generic form, default pretty form, and the way to custom syntax.

use super::{Parser, regions::is_isolated, scope::MAX_RESULTS, shorten};
use crate::{
    codes,
    lexer::{Kind, Token},
    upstream::DIALECTS,
};
use nim_ir::{
    AttrList, BlockId, Body, Diagnostic, Loc, Name, OpDef, OpId, OpState, Trait, Type, ValueId,
    builder::infer_types,
    diagnostics::did_you_mean,
    opdef::constraints,
    syntax::{OperandName, Parse, Reported},
};

use smallvec::SmallVec;

/// Attributes that tables do not list but that are inherent upstream.
pub(crate) const SEGMENTS: [&str; 2] = ["operandSegmentSizes", "resultSegmentSizes"];

/// `%a` or `%r:2` before `=`.
#[derive(Copy, Clone)]
pub(super) struct ResultName {
    pub name: Name,
    pub count: usize,
    pub loc: Loc,
}

/// An op as parsed, with the properties of one that is not registered.
struct Parsed {
    state: OpState,
    properties: Option<AttrList>,
}

impl<'c> Parser<'c> {
    /// An op, put at the end of a block.
    pub(super) fn operation(&mut self, block: BlockId) -> Parse<()> {
        let start = self.tokens.peek();
        let mut names = SmallVec::new();
        let before = self.opts.upstream.as_ref().map(|_| self.mark());
        let parsed = self.result_names(&mut names).and_then(|()| self.nested(|p| p.operation_behind_results(start)));
        let Parsed { mut state, properties } = match parsed {
            Ok(parsed) => parsed,
            Err(Reported) => {
                if let Some(before) = before
                    && let Some(read) = self.read_upstream(block, start, before)
                {
                    return read;
                }
                // Uses of its results are not to blame.
                for result in &names {
                    self.poison(result.name, result.loc);
                }
                return Err(Reported);
            }
        };
        let def = self.ctx.op_def(state.name);
        if state.nested.is_none() && is_isolated(self.ctx.op_str(state.name), def) {
            state.nested = Some(Box::new(Body::new()));
        }
        if let (true, Some(recorder), Some(end)) = (state.nested.is_some(), &mut self.recorder, self.tokens.previous())
        {
            recorder.isolated.push(start.start as usize..end.end as usize);
        }
        let OpState { name, loc, mut operands, mut results, attrs, regions, successors, nested } = state;
        let body = self.body_now();
        let op = body.create_op(name, loc, &operands, &results, attrs, &regions, &successors, nested);
        operands.clear();
        results.clear();
        (self.spare.operands, self.spare.results) = (operands, results);
        let body = self.body_now();
        body.set_properties(op, properties);
        body.append(block, op);
        self.name_results(op, &names, loc);
        Ok(())
    }

    pub(super) fn result_names(&mut self, names: &mut SmallVec<[ResultName; 1]>) -> Parse<()> {
        if self.peek_kind() != Kind::PercentId {
            return Ok(());
        }
        loop {
            let token = self.tokens.peek();
            let Some(text) = self.accept_kind(Kind::PercentId) else { return Err(self.unexpected("a value `%name`")) };
            let (name, loc) = (self.name_of(&text[1..]), self.loc_of(token));
            let mut count = 1;
            if self.accept_token(":") {
                let token = self.tokens.peek();
                count = match self.accept_kind(Kind::Integer).map(str::parse::<u32>) {
                    Some(Ok(count @ 1..=MAX_RESULTS)) => count as usize,
                    _ => {
                        return Err(self.error(
                            codes::UNEXPECTED,
                            token,
                            format!("expected the number of results, 1 to {MAX_RESULTS}"),
                        ));
                    }
                };
            }
            names.push(ResultName { name, count, loc });
            if !self.accept_token(",") {
                break;
            }
        }
        self.expect_token("=")
    }

    pub(super) fn name_results(&mut self, op: OpId, names: &[ResultName], loc: Loc) {
        let results: SmallVec<[ValueId; 4]> = SmallVec::from_slice(self.body_now().results(op));
        let named: usize = names.iter().map(|n| n.count).sum();
        if !names.is_empty() && named != results.len() {
            let (s, t) = (if results.len() == 1 { "" } else { "s" }, if named == 1 { "" } else { "s" });
            let mut diagnostic = Diagnostic::error(
                codes::RESULT_COUNT,
                names.first().map_or(loc, |n| n.loc),
                format!("the op has {} result{s}, but {named} name{t} stand before `=`", results.len()),
            );
            if let [only] = names
                && results.len() > 1
            {
                diagnostic = diagnostic.help(format!("write `%{}:{}`", self.ctx.str(only.name), results.len()));
            }
            self.emit(diagnostic);
        }
        let mut rest = results.as_slice();
        for ResultName { name, count, loc } in names {
            let (mine, others) = rest.split_at((*count).min(rest.len()));
            rest = others;
            if mine.len() == *count { self.define_values(*name, mine, *loc) } else { self.poison(*name, *loc) }
        }
    }

    fn operation_behind_results(&mut self, start: Token) -> Parse<Parsed> {
        let token = self.tokens.peek();
        let loc = self.loc_of(token);
        let around = self.op.take();
        let mut parsed = match token.kind {
            Kind::String => self.generic_op(loc),
            Kind::BareId => {
                self.op = around;
                self.pretty_op(token, loc)
            }
            _ if start.start == token.start => Err(self.unexpected("an op")),
            _ => Err(self.unexpected("the name of an op")),
        };
        self.op = around;
        if let Ok(parsed) = &mut parsed
            && let Some(loc) = self.trailing_location()?
        {
            parsed.state.loc = loc;
        }
        parsed
    }

    // ---- generic form

    fn generic_op(&mut self, loc: Loc) -> Parse<Parsed> {
        let token = self.tokens.peek();
        let op_name = match self.known.ops.get(self.tokens.text(token)) {
            Some(&name) => {
                self.tokens.bump();
                name
            }
            None => {
                let name = self.string_literal()?;
                let name = self.ctx.op_name(&name);
                self.known.ops.insert(self.tokens.text(token), name);
                name
            }
        };
        let name = self.ctx.op_str(op_name);
        let mut state = OpState::of(op_name, loc);
        state.operands = std::mem::take(&mut self.spare.operands);
        let def = self.ctx.op_def(op_name);
        if def.is_none() && name != "builtin.module" && !self.is_upstream_op(name) && !self.opts.allow_unregistered {
            self.unknown_op(token, name, codes::UNREGISTERED);
        }
        self.expect_token("(")?;
        let mut operands = SmallVec::<[OperandName; 4]>::new();
        self.each_until(")", |p| p.operand_name().map(|name| operands.push(name)))?;
        self.successor_list(&mut state)?;
        let mut properties = None;
        if self.accept_token("<") {
            let mut list = AttrList::new();
            self.dictionary(&mut list, false)?;
            self.expect_token(">")?;
            match def {
                // What the table does not know stays apart, so that it is printed where it was.
                Some(_) => {
                    for (name, attr) in list.iter() {
                        let known =
                            self.ctx.attr_def(op_name, name).is_some() || SEGMENTS.contains(&self.ctx.str(name));
                        let target =
                            if known { &mut state.attrs } else { properties.get_or_insert_with(AttrList::new) };
                        target.set(self.ctx, name, attr);
                    }
                }
                None if name == "builtin.module" => state.attrs = list,
                None => properties = Some(list),
            }
        }
        if self.accept_token("(") {
            self.list_until(")", |p| p.region_of(&mut state, None))?;
        }
        if self.peek_is("{") {
            self.dictionary(&mut state.attrs, false)?;
        }
        self.expect_token(":")?;
        let at = self.tokens.peek();
        let mut inputs = SmallVec::<[Type; 4]>::new();
        self.expect_token("(")?;
        self.each_until(")", |p| p.ty().map(|ty| inputs.push(ty)))?;
        self.expect_token("->")?;
        state.results = std::mem::take(&mut self.spare.results);
        if self.accept_token("(") {
            self.each_until(")", |p| p.ty().map(|ty| state.results.push(ty)))?;
        } else {
            state.results.push(self.ty()?);
        }
        self.operands_of_types(&mut state, &operands, &inputs, at)?;
        Ok(Parsed { state, properties })
    }

    /// `[^bb1, ^bb2]` if it is next.
    fn successor_list(&mut self, state: &mut OpState) -> Parse<()> {
        if self.peek_is("[") && self.tokens.peek_at(1).kind == Kind::CaretId {
            self.tokens.bump();
            state.successors = self.list_until("]", Self::successor_name)?;
        }
        Ok(())
    }
    /// `^bb1`
    pub(super) fn successor_name(&mut self) -> Parse<BlockId> {
        let token = self.tokens.peek();
        let Some(text) = self.accept_kind(Kind::CaretId) else { return Err(self.unexpected("a block `^name`")) };
        let (name, loc) = (self.name_of(&text[1..]), self.loc_of(token));
        self.block_reference(name, loc)
            .ok_or_else(|| self.error(codes::UNDEFINED_BLOCK, token, "there is no block outside of a region"))
    }

    /// `%name` or `%name#1`
    pub(super) fn operand_name(&mut self) -> Parse<OperandName> {
        let token = self.tokens.peek();
        let Some(text) = self.accept_kind(Kind::PercentId) else { return Err(self.unexpected("a value `%name`")) };
        let name = self.name_of(&text[1..]);
        let number = self.tokens.peek();
        if number.kind != Kind::HashId || number.start != token.end {
            return Ok(OperandName { name, index: 0, loc: self.loc_of(token) });
        }
        self.tokens.bump();
        let loc = self.loc_of(token);
        match self.tokens.text(number)[1..].parse() {
            Ok(index) => Ok(OperandName { name, index, loc }),
            Err(_) => Err(self.error(codes::NO_SUCH_RESULT, number, "expected `#` and the number of a result")),
        }
    }

    pub(super) fn operands_of_types(
        &mut self,
        state: &mut OpState,
        operands: &[OperandName],
        types: &[Type],
        at: Token,
    ) -> Parse<()> {
        if operands.len() != types.len() {
            let message = format!("{} operands, but {} types of operands", operands.len(), types.len());
            return Err(self.error(codes::OPERAND_COUNT, at, message));
        }
        state.operands.reserve_exact(operands.len());
        for (&operand, &ty) in operands.iter().zip(types) {
            let value = self.lookup(operand, Some(ty));
            state.operands.push(value);
        }
        Ok(())
    }

    #[cold]
    pub(super) fn unknown_op(&mut self, token: Token, name: &str, code: &'static str) -> Reported {
        let loc = self.loc_of(token);
        let mut diagnostic = Diagnostic::error(code, loc, format!("there is no op `{}`", shorten(name)));
        let dialect = name.split_once('.').map(|(dialect, _)| dialect);
        // Ops of `func` and of the enclosing op's dialect are also known by their short names.
        let around = self.op.and_then(|op| op.name.split_once('.')).map_or("func", |(dialect, _)| dialect);
        let short =
            |op: &'static OpDef| op.name.split_once('.').filter(|(d, _)| *d == "func" || *d == around).map(|(_, n)| n);
        let names = self.ctx.all_ops().flat_map(|op| [Some(op.name), short(op)]).flatten();
        let upstream = self.opts.upstream.as_ref().zip(dialect).map(|(u, d)| u.ops_of(d)).unwrap_or_default();
        let lacking = code == codes::UNKNOWN_OP
            && self.opts.upstream.is_none()
            && dialect.is_some_and(|dialect| DIALECTS.contains(&dialect));
        let mut known: Vec<&str> = names.collect();
        known.extend(upstream.iter().map(String::as_str));
        let near = did_you_mean(name, known)
            // An op of another dialect is hardly meant where upstream most likely has this one.
            .filter(|near| !lacking || near.split('.').next() == dialect);
        if let Some(near) = near {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        } else if lacking {
            diagnostic.code = codes::NEEDS_UPSTREAM;
            diagnostic.message = format!("this program has no syntax for `{name}`");
            diagnostic =
                diagnostic.note("ops of upstream's that are not defined here are read by programs built with LLVM");
            diagnostic = diagnostic.help(format!(
                "`cargo build -p nim-opt --features mlir` builds one; all read the generic form with \
                 --allow-unregistered-dialect: `\"{name}\"(...) : (...) -> ...`"
            ));
        } else if let Some(dialect) = dialect.filter(|d| !self.ctx.has_dialect(d)) {
            diagnostic = diagnostic.note(format!("the dialect `{dialect}` is not registered"));
            diagnostic = match self.opts.allow_unregistered {
                true => diagnostic.help(format!("write such ops in generic form: `\"{name}\"(...) : (...) -> ...`")),
                false => diagnostic.help("--allow-unregistered-dialect keeps such ops as they are, in generic form"),
            };
        }
        self.emit(diagnostic)
    }

    // ---- pretty forms

    fn pretty_op(&mut self, token: Token, loc: Loc) -> Parse<Parsed> {
        let word = self.tokens.text(token);
        let Some((name, def)) = self.op_of_word(word) else {
            if self.is_upstream_op(word) || !word.contains('.') && self.is_upstream_op(&format!("func.{word}")) {
                // Upstream is asked next.
                return Err(Reported);
            }
            // A word that does not even look like an op.
            if !word.contains('.') && !self.is_op_start() && did_you_mean(word, ["module", "return", "call"]).is_none()
            {
                return Err(self.unexpected("an op"));
            }
            return Err(self.unknown_op(token, word, codes::UNKNOWN_OP));
        };
        self.tokens.bump();
        let mut state = OpState::new(self.ctx, &name, loc);
        let around = std::mem::replace(&mut self.op, def);
        let result = match def {
            _ if name == "builtin.module" => self.module_op(&mut state),
            Some(OpDef { parse: Some(parse), .. }) => parse(self, &mut state),
            Some(def @ OpDef { format: Some(_), .. }) => self.formatted_op(def, &mut state),
            Some(def) => self.default_form(def, &mut state),
            None => Err(Reported),
        };
        self.op = around;
        result?;
        Ok(Parsed { state, properties: None })
    }

    /// `%a, %b [^bb1] ({...}) {attributes} : (types) -> types`; the types may be left out where they follow from the
    /// operands, regions may also stand at the end.
    fn default_form(&mut self, def: &'static OpDef, state: &mut OpState) -> Parse<()> {
        let mut operands = vec![];
        if self.peek_kind() == Kind::PercentId {
            operands.push(self.operand_name()?);
            while self.accept_token(",") {
                operands.push(self.operand_name()?);
            }
        }
        self.successor_list(state)?;
        self.region_list(state)?;
        if self.peek_is("{") {
            self.dictionary(&mut state.attrs, true)?;
        }
        if self.accept_token(":") {
            let at = self.tokens.peek();
            let (inputs, results) = self.function_signature()?;
            self.operands_of_types(state, &operands, &inputs, at)?;
            state.results = results;
            return self.region_list(state);
        }
        for operand in operands {
            let value = self.lookup(operand, None);
            state.operands.push(value);
        }
        self.region_list(state)?;
        self.infer_results(def, state)
    }

    fn region_list(&mut self, state: &mut OpState) -> Parse<()> {
        if self.peek_is("(") && self.is(self.tokens.peek_at(1), "{") {
            self.tokens.bump();
            self.list_until(")", |p| p.region_of(state, None))?;
        }
        Ok(())
    }

    /// Result types that the text leaves out.
    pub(super) fn infer_results(&mut self, def: &'static OpDef, state: &mut OpState) -> Parse<()> {
        if def.results.is_empty() {
            return Ok(());
        }
        let body = self.body_now();
        let types: Vec<Type> = state.operands.iter().map(|&v| body.ty(v)).collect();
        if types.iter().any(|&t| self.is_error_type(t)) {
            state.results = vec![self.error_type(); def.results.len()];
            return Ok(());
        }
        if def.infer.is_some() {
            state.results =
                infer_types(self.ctx, state.name, &types, &state.attrs, state.loc).map_err(|d| self.emit(d))?;
            return Ok(());
        }
        if def.has(Trait::SameOperandsAndResultType)
            && let Some(&ty) = types.first()
        {
            state.results = vec![ty; def.results.len()];
            return Ok(());
        }
        let fixed: Option<Vec<Type>> = def.results.iter().map(|r| self.only_type(r.constraint.description)).collect();
        match fixed {
            Some(types) => {
                state.results = types;
                Ok(())
            }
            None => {
                let message = format!("the result types of `{}` cannot be inferred, they must be written", def.name);
                Err(self.emit(Diagnostic::error(codes::UNKNOWN_RESULT_TYPE, state.loc, message)))
            }
        }
    }

    /// The type that a constraint allows, if it is just one.
    pub(super) fn only_type(&self, constraint: &str) -> Option<Type> {
        if constraint == constraints::INDEX.description {
            return Some(self.ctx.index_type());
        }
        (constraint == constraints::BOOL.description).then(|| self.ctx.int_type(1))
    }
}
