//! Modules, regions and blocks.

use super::Parser;
use crate::{
    codes,
    lexer::{Kind, Token},
};
use nim_ir::{
    AttrList, BlockId, Body, Diagnostic, LocData, Module, OpDef, OpState, RegionId, Trait, Type,
    syntax::{OperandName, Parse},
};

/// True when an op's regions are a body of their own.
pub(super) fn is_isolated(name: &str, def: Option<&'static OpDef>) -> bool {
    name == "builtin.module" || def.is_some_and(|d| d.has(Trait::IsolatedFromAbove))
}

impl Parser<'_> {
    /// The whole text.
    pub(super) fn module(&mut self) -> Module {
        // Of a module that a text does not say in so many words the place is the whole file.
        let file = self.ctx.name(&self.ctx.source(self.source).name);
        let loc = self.ctx.loc(LocData::File { file, line: 0, column: 0 });
        let mut module = Module { loc, ..Module::new() };
        self.bodies = vec![std::mem::take(&mut module.body)];
        let region = self.bodies[0].root_regions()[0];
        let block = self.bodies[0].blocks(region)[0];
        self.push_scope();
        self.push_region_scope(region);
        loop {
            let token = self.tokens.peek();
            let step = match (token.kind, self.tokens.text(token)) {
                (Kind::End, _) => break,
                (Kind::HashId | Kind::BangId, _) if self.is(self.tokens.peek_at(1), "=") => self.alias_definition(),
                (Kind::Punctuation, "{-#") => self.resource_section(),
                (Kind::Punctuation, "}") => {
                    self.tokens.bump();
                    self.error(codes::UNEXPECTED, token, "this `}` closes nothing");
                    Ok(())
                }
                _ => self.operation(block),
            };
            if step.is_err() {
                self.recover(token);
            }
        }
        self.pop_region_scope();
        self.pop_scope();
        module.body = self.bodies.pop().unwrap_or_default();
        let mut ops = module.ops();
        if let (Some(only), None) = (ops.next(), ops.next())
            && module.body.is(self.ctx, only, "builtin.module")
        {
            drop(ops);
            return self.unwrap_module(module, only);
        }
        drop(ops);
        module
    }

    /// The module that a text says in so many words.
    fn unwrap_module(&self, mut outer: Module, op: nim_ir::OpId) -> Module {
        let body = outer.body.take_nested(op).map(|b| *b).unwrap_or_default();
        Module { body: with_block(body), attrs: outer.body.attrs(op).clone(), loc: outer.body.loc(op) }
    }

    /// `module @name attributes {...} {...}`, behind the word.
    pub(super) fn module_op(&mut self, state: &mut OpState) -> Parse<()> {
        if self.peek_kind() == Kind::AtId {
            let name = self.symbol_name()?;
            state.attrs.set(self.ctx, self.ctx.name("sym_name"), self.ctx.string_attr(self.ctx.str(name)));
        }
        if self.accept_token("attributes") {
            self.dictionary(&mut state.attrs, false)?;
        }
        self.region_of(state, Some(&[]))
    }

    /// `{...}`: a region of the op, in the body that it belongs to. `entry`: the arguments of the entry block, which
    /// then exists even when the braces hold nothing; `None` leaves the region as written.
    pub(super) fn region_of(&mut self, state: &mut OpState, entry: Option<&[(OperandName, Type)]>) -> Parse<()> {
        let name = self.ctx.op_str(state.name);
        let def = self.ctx.op_def(state.name);
        let around = std::mem::replace(&mut self.op, def);
        let result = if is_isolated(name, def) {
            let spare = || self.spare.bodies.pop().unwrap_or_default();
            let mut body = state.nested.take().map_or_else(spare, |b| *b);
            let region = body.add_root_region();
            self.bodies.push(body);
            self.push_scope();
            if let Some(recorder) = &mut self.recorder {
                recorder.owners.push(state.loc);
            }
            let result = self.nested(|p| p.region(region, entry));
            if let Some(recorder) = &mut self.recorder {
                recorder.owners.pop();
            }
            self.pop_scope();
            if let Some(mut body) = self.bodies.pop() {
                state.nested = Some(Box::new(body.take_fitted()));
                self.spare.bodies.push(body);
            }
            result
        } else {
            let region = self.body_now().add_detached_region();
            state.regions.push(region);
            let result = self.nested(|p| p.region(region, entry));
            if result.is_ok() && entry.is_some() {
                self.implicit_terminator(def, region);
            }
            result
        };
        self.op = around;
        result
    }

    /// Adds `<dialect>.yield` to a region of a structured op that does not end with a terminator.
    fn implicit_terminator(&mut self, def: Option<&'static OpDef>, region: RegionId) {
        let Some(def) = def.filter(|d| d.has(Trait::StructuredControlFlow) && !d.has(Trait::NoTerminator)) else {
            return;
        };
        let Some((dialect, _)) = def.name.split_once('.') else { return };
        let ctx = self.ctx;
        let name = ctx.op_name(&format!("{dialect}.yield"));
        if !ctx.op_def(name).is_some_and(|d| d.has(Trait::Terminator)) {
            return;
        }
        let end = self.tokens.previous().unwrap_or(self.tokens.peek());
        let loc = self.loc_of(end);
        let upstream = self.opts.upstream.as_ref();
        let body = self.bodies.last_mut().expect("the module's body is there from the start");
        let &[block] = body.blocks(region) else { return };
        let ends = body.last_op(block).is_some_and(|op| {
            match ctx.op_def(body.op_name(op)) {
                Some(def) => def.has(Trait::Terminator),
                // As upstream has it: what nobody knows ends no block here.
                None => upstream.is_some_and(|u| u.is_terminator(ctx.op_str(body.op_name(op)))),
            }
        });
        if !ends {
            let op = body.create_op(name, loc, &[], &[], AttrList::new(), &[], &[], None);
            body.append(block, op);
        }
    }

    /// `{...}`, read into a region; see [`Parser::region_of`].
    pub(super) fn region(&mut self, region: RegionId, entry: Option<&[(OperandName, Type)]>) -> Parse<()> {
        let open = self.tokens.peek();
        self.expect_token("{")?;
        self.push_region_scope(region);
        let mut block = None;
        if let Some(args @ [_, ..]) = entry {
            let types: Vec<Type> = args.iter().map(|(_, ty)| *ty).collect();
            let entry = self.body_now().add_block(region, &types, &[]);
            for (i, (arg, _)) in args.iter().enumerate() {
                let value = self.body_now().block_args(entry)[i];
                self.body_now().set_arg_loc(entry, i, arg.loc);
                self.define_values(arg.name, &[value], arg.loc);
            }
            block = Some(entry);
        }
        self.ops_until_brace(region, block, open);
        if entry.is_some() && self.body_now().blocks(region).is_empty() {
            self.body_now().add_block(region, &[], &[]);
        }
        self.pop_region_scope();
        Ok(())
    }

    /// Blocks and ops up to the brace that closes `open`, which is taken.
    pub(super) fn ops_until_brace(&mut self, region: RegionId, mut block: Option<BlockId>, open: Token) {
        let closed = loop {
            let token = self.tokens.peek();
            let step = match token.kind {
                Kind::End => break false,
                Kind::Punctuation if self.peek_is("}") => break true,
                // The text of an enclosing level: a brace is missing.
                Kind::Punctuation if self.peek_is("{-#") => break false,
                Kind::CaretId => self.block_header().map(|b| block = Some(b)),
                _ => {
                    let block = *block.get_or_insert_with(|| self.body_now().add_block(region, &[], &[]));
                    self.operation(block)
                }
            };
            if step.is_err() {
                self.recover(token);
            }
        };
        if closed {
            self.tokens.bump();
        } else {
            let end = self.tokens.peek();
            let (loc, there) = (self.loc_of(end), self.loc_of(open));
            self.emit(
                Diagnostic::error(codes::UNCLOSED, loc, "expected `}`, found the end of the text")
                    .label(there, "this region is not closed"),
            );
        }
    }

    /// `^bb1(%a: i32, %b: f32):`
    fn block_header(&mut self) -> Parse<BlockId> {
        let token = self.tokens.bump();
        let name = self.name_of(&self.tokens.text(token)[1..]);
        let loc = self.loc_of(token);
        let Some(block) = self.block_definition(name, loc) else {
            return Err(self.error(codes::UNEXPECTED, token, "a block label stands outside of a region"));
        };
        if self.accept_token("(") {
            self.list_until(")", |p| {
                let arg = p.operand_name()?;
                p.expect_token(":")?;
                let ty = p.ty()?;
                let loc = p.trailing_location()?.unwrap_or(arg.loc);
                let body = p.body_now();
                let value = body.add_block_arg(block, ty, None);
                body.set_arg_loc(block, body.block_args(block).len() - 1, loc);
                p.define_values(arg.name, &[value], arg.loc);
                Ok(())
            })?;
        }
        self.expect_token(":")?;
        Ok(block)
    }
}

/// A module's body has one region of one block, whatever was written.
fn with_block(mut body: Body) -> Body {
    let region = body.root_regions().first().copied().unwrap_or_else(|| body.add_root_region());
    if body.blocks(region).is_empty() {
        body.add_block(region, &[], &[]);
    }
    body
}
