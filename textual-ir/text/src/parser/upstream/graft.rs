//! Reading what upstream made of a run into the body that is being read, with the names and places of the original.

use super::{
    piece::{Piece, name_at},
    scan::Run,
};
use crate::{
    codes,
    lexer::{Kind, Token},
    parser::{ParseOptions, Parser},
    upstream::{FILE, Upstream},
};
use nim_ir::{
    BlockId, Body, Context, Diagnostic, Loc, LocData, Name, OpId,
    syntax::{OperandName, Parse},
};
use rustc_hash::FxHashMap;

/// Where things of a piece come from.
struct Origin<'a, 'c> {
    ctx: &'c Context,
    source: &'c str,
    /// Of the source's first byte.
    at: &'a dyn Fn(usize) -> Loc,
    piece: &'a Piece<'c>,
    /// Names of the results of an op, by the byte of its name.
    names: FxHashMap<usize, Name>,
}

impl<'c> Parser<'c> {
    /// Puts the ops of a run at the end of a block and moves behind its text.
    pub(super) fn graft(
        &mut self,
        block: BlockId,
        upstream: &dyn Upstream,
        run: &Run<'c>,
        piece: &Piece<'c>,
        generic: String,
    ) -> Parse<()> {
        let end = run.end;
        let made = self.read_generic(generic);
        self.tokens.seek(end);
        let made = made.and_then(|op| {
            // Braces that do not match would end the piece early.
            let wrong =
                || Box::new(Diagnostic::error(codes::UPSTREAM_SYNTAX, Loc::UNKNOWN, "the ops are not all there"));
            if self.holds(op, piece) { Ok(op) } else { Err(wrong()) }
        });
        let made = made.map_err(|found| {
            let loc = self.loc_at(run.start);
            let message = format!("what upstream makes of this is not understood: {}", found.message);
            self.emit(Diagnostic::error(codes::UPSTREAM_SYNTAX, loc, message))
        })?;
        let ops = self.adopt(block, piece, made);
        let names = run.results.iter().filter_map(|(&at, names)| Some((at, names.first()?.name))).collect();
        let place = self.place;
        let (ctx, source_id) = (self.ctx, self.source);
        let at = move |at: usize| match place {
            Some(place) => Loc::of_token(place, at as u32),
            None => ctx.loc(LocData::Span { source: source_id, start: at as u32, end: at as u32 }),
        };
        let origin = Origin { ctx, source: self.tokens.source(), at: &at, piece, names };
        let mut places = vec![];
        for &op in &ops {
            places.push(origin.byte_of(self.body_now().loc(op)));
            origin.settle(self.body_now(), op);
        }
        if !self.opts.allow_unregistered {
            self.refuse_unregistered(upstream, &ops);
        }
        for (i, &op) in ops.iter().enumerate() {
            let by_order = run.ops.get(i).filter(|_| run.ops.len() == ops.len());
            if let Some(at) = by_order.and_then(|start| start.loc) {
                self.tokens.seek(at);
                let loc = self.trailing_location();
                self.tokens.seek(end);
                if let Some(loc) = loc? {
                    self.body_now().set_loc(op, loc);
                }
            }
            if !run.holes.is_empty() {
                self.fill_holes(run, op);
                self.tokens.seek(end);
            }
            let names = match by_order {
                Some(start) => Some(&start.names),
                None => places[i].and_then(|at| run.results.get(&at)),
            };
            let loc = self.body_now().loc(op);
            self.name_results(op, names.map_or(&[], Vec::as_slice), loc);
        }
        Ok(())
    }

    /// Reads generic form into the current body; gives the op that holds the piece, which stands in a block of no region.
    fn read_generic(&mut self, generic: String) -> Result<OpId, Box<Diagnostic>> {
        let source = self.ctx.add_source(FILE, generic);
        let options = ParseOptions { allow_unregistered: true, ..ParseOptions::default() };
        let mut inner = Parser::new(self.ctx, source, &options);
        (inner.depth, inner.max_depth) = (self.depth, self.max_depth);
        inner.bodies = vec![std::mem::take(self.body_now())];
        let region = inner.body_now().add_detached_region();
        let block = inner.body_now().add_block(region, &[], &[]);
        inner.push_scope();
        inner.push_region_scope(region);
        let read = inner.piece_op(block);
        inner.pop_region_scope();
        inner.pop_scope();
        *self.body_now() = inner.bodies.pop().unwrap_or_default();
        self.keep_named_aliases(&inner.take_named_aliases());
        let op = read.ok().and_then(|()| self.body_now().first_op(block));
        match (op, inner.finish().into_iter().find(Diagnostic::is_error)) {
            (Some(op), None) => Ok(op),
            (_, found) => {
                let nothing = || Diagnostic::error(codes::UPSTREAM_SYNTAX, Loc::UNKNOWN, "there is no op");
                Err(Box::new(found.unwrap_or_else(nothing)))
            }
        }
    }

    /// Whether an op is the piece with the arguments and blocks that it was given.
    fn holds(&mut self, op: OpId, piece: &Piece<'c>) -> bool {
        let ctx = self.ctx;
        let body = self.body_now();
        let &[region] = body.regions(op) else { return false };
        let blocks = body.blocks(region);
        let arguments: usize = piece.given.iter().map(Vec::len).sum();
        let named = |block: BlockId| body.first_op(block).is_some_and(|op| body.is(ctx, op, "nim.block"));
        blocks.len() == piece.blocks.len() + 2
            && body.block_args(blocks[0]).len() == arguments
            && blocks[1..].iter().all(|&block| named(block))
    }

    /// Aliases, then the module that upstream puts around everything, then the piece in it.
    fn piece_op(&mut self, block: BlockId) -> Parse<()> {
        while matches!(self.peek_kind(), Kind::HashId | Kind::BangId) {
            self.alias_definition()?;
        }
        while !self.peek_is("{") && self.peek_kind() != Kind::End {
            self.tokens.bump();
        }
        self.expect_token("{")?;
        self.operation(block)
    }

    /// Moves the ops of the piece to a block; values and blocks that the piece declares become what they stand for.
    fn adopt(&mut self, block: BlockId, piece: &Piece<'c>, holder: OpId) -> Vec<OpId> {
        let body = self.body_now();
        let region = body.regions(holder)[0];
        let blocks = body.blocks(region).to_vec();
        let mut arguments = body.block_args(blocks[0]).to_vec().into_iter();
        let mut ops: Vec<OpId> = body.block_ops(blocks[0]).collect();
        let mut several = 0;
        for values in &piece.given {
            let stand_ins = match &values[..] {
                [_] => arguments.next().into_iter().collect(),
                many => {
                    arguments.nth(many.len() - 1);
                    several += 1;
                    body.results(ops[several - 1]).to_vec()
                }
            };
            for (stand_in, &value) in stand_ins.into_iter().zip(values) {
                body.set_value_name(stand_in, None);
                body.replace_all_uses(stand_in, value);
            }
        }
        ops.drain(..several);
        // The first op of this block only keeps it from being empty.
        let later: Vec<OpId> = body.block_ops(blocks[1]).skip(1).collect();
        for (op, &name) in later.into_iter().zip(&piece.later) {
            let stand_in = self.body_now().result(op);
            let ty = self.body_now().ty(stand_in);
            let used = self.body_now().uses(stand_in).last();
            let at = used.and_then(|u| self.byte_in(piece, u.op));
            let loc = at.map_or(Loc::UNKNOWN, |at| self.loc_at(at));
            let name = self.name_of(name);
            let value = self.lookup(OperandName { name, index: 0, loc }, Some(ty));
            self.body_now().set_value_name(stand_in, None);
            self.body_now().replace_all_uses(stand_in, value);
        }
        for &op in &ops {
            let targets = self.body_now().successors(op).to_vec();
            let loc = self.byte_in(piece, op).map_or(Loc::UNKNOWN, |at| self.loc_at(at));
            let targets = targets.into_iter().map(|target| {
                let name = blocks.iter().position(|&b| b == target).and_then(|i| piece.blocks.get(i.checked_sub(2)?));
                let name = name.map(|&name| self.name_of(name));
                name.and_then(|name| self.block_reference(name, loc)).unwrap_or(target)
            });
            let targets: Vec<BlockId> = targets.collect();
            let body = self.body_now();
            if !targets.is_empty() {
                body.set_successors(op, &targets);
            }
            body.detach(op);
            body.append(block, op);
        }
        self.body_now().erase(holder);
        ops
    }

    fn byte_in(&mut self, piece: &Piece<'c>, op: OpId) -> Option<usize> {
        let loc = self.body_now().loc(op);
        byte_of(self.ctx, piece, loc)
    }

    /// Ops of dialects that nobody has, among those that were read.
    fn refuse_unregistered(&mut self, upstream: &dyn Upstream, ops: &[OpId]) {
        fn collect(ctx: &Context, body: &Body, ops: Vec<OpId>, out: &mut Vec<(String, Loc)>) {
            for op in ops.iter().flat_map(|&op| body.walk_op(op)) {
                if ctx.op_def(body.op_name(op)).is_none() {
                    out.push((ctx.op_str(body.op_name(op)).to_string(), body.loc(op)));
                }
                if let Some(nested) = body.nested(op) {
                    let roots =
                        nested.root_regions().iter().flat_map(|&r| nested.blocks(r)).flat_map(|&b| nested.block_ops(b));
                    collect(ctx, nested, roots.collect(), out);
                }
            }
        }
        let mut found = vec![];
        collect(self.ctx, self.body_now(), ops.to_vec(), &mut found);
        for (name, loc) in found {
            if !name.starts_with("nim.") && name != "builtin.module" && !upstream.has_op(&name) {
                let range = self.ctx.loc_span(loc).map_or(0..0, |(_, range)| range);
                let token = Token { kind: Kind::String, start: range.start as u32, end: range.end as u32 };
                self.unknown_op(token, &name, codes::UNREGISTERED);
            }
        }
    }

    /// Reads the regions that upstream was not given.
    fn fill_holes(&mut self, run: &Run<'c>, op: OpId) {
        let number = self.ctx.name("index");
        let around = self.op.take();
        for (i, hole) in run.holes.iter().enumerate() {
            let ctx = self.ctx;
            let body = self.body_now();
            let is_stub = |&inner: &OpId| {
                body.is(ctx, inner, "nim.region")
                    && body.attr(inner, number).and_then(|a| ctx.as_int(a)) == Some(i as i64)
            };
            let Some(stub) = body.walk_op(op).into_iter().find(is_stub) else { continue };
            let Some(block) = body.block(stub) else { continue };
            let Some(region) = body.block_region(block) else { continue };
            // The terminator that the op implies.
            let implied = body.next(stub);
            if let Some(implied) = implied {
                body.detach(implied);
            }
            body.erase(stub);
            self.push_region_scope(region);
            for i in 0..self.body_now().block_args(block).len() {
                let (value, loc) = (self.body_now().block_args(block)[i], self.body_now().arg_loc(block, i));
                let at = self.ctx.plain_span(loc).filter(|(source, _)| *source == self.source);
                if let Some(name) = at.and_then(|(_, range)| name_at(self.tokens.source(), range.start)) {
                    let name = self.name_of(name);
                    self.define_values(name, &[value], loc);
                }
            }
            self.tokens.seek(hole.inside);
            let open = Token { kind: Kind::Punctuation, start: hole.open as u32, end: hole.open as u32 + 1 };
            let _ = self.nested(|p| {
                p.ops_until_brace(region, Some(block), open);
                Ok(())
            });
            self.pop_region_scope();
            if let Some(implied) = implied {
                let ctx = self.ctx;
                let body = self.body_now();
                let end = *body.blocks(region).last().unwrap_or(&block);
                let ends = body.last_op(end).is_some_and(|last| {
                    let terminator = |d: &nim_ir::OpDef| d.has(nim_ir::Trait::Terminator);
                    body.op_name(last) == body.op_name(implied)
                        || ctx.op_def(body.op_name(last)).is_some_and(terminator)
                });
                if ends { body.erase(implied) } else { body.append(end, implied) }
            }
        }
        self.op = around;
    }
}

/// The byte of the source that a location of a piece means.
fn byte_of(ctx: &Context, piece: &Piece<'_>, loc: Loc) -> Option<usize> {
    match ctx.loc_data(loc) {
        LocData::File { file, line, column } if ctx.str(*file) == FILE => piece.place(Some((*line, *column))),
        _ => None,
    }
}

impl<'c> Origin<'_, 'c> {
    fn byte_of(&self, loc: Loc) -> Option<usize> {
        byte_of(self.ctx, self.piece, loc)
    }

    /// A location with places in the source instead of the piece.
    fn loc(&self, loc: Loc) -> Loc {
        let ctx = self.ctx;
        match ctx.loc_data(loc) {
            LocData::File { file, .. } if ctx.str(*file) == FILE => self.byte_of(loc).map_or(Loc::UNKNOWN, self.at),
            LocData::Name(name, child) => ctx.loc(LocData::Name(*name, self.loc(*child))),
            LocData::CallSite(callee, caller) => ctx.loc(LocData::CallSite(self.loc(*callee), self.loc(*caller))),
            LocData::Fused(locs, data) => ctx.loc(LocData::Fused(locs.iter().map(|&l| self.loc(l)).collect(), *data)),
            _ => loc,
        }
    }

    /// Gives an op and all in it the places and names of the original.
    fn settle(&self, body: &mut Body, op: OpId) {
        for op in body.walk_op(op) {
            let loc = body.loc(op);
            let name = self.byte_of(loc).and_then(|at| self.names.get(&at)).copied().filter(|n| n.number().is_none());
            body.set_loc(op, self.loc(loc));
            for (i, result) in body.results(op).to_vec().into_iter().enumerate() {
                body.set_value_name(result, name.filter(|_| i == 0));
            }
            for region in body.regions(op).to_vec() {
                for block in body.blocks(region).to_vec() {
                    self.settle_arguments(body, block);
                }
            }
            if let Some(mut nested) = body.take_nested(op) {
                for region in nested.root_regions().to_vec() {
                    for block in nested.blocks(region).to_vec() {
                        self.settle_arguments(&mut nested, block);
                        let ops: Vec<OpId> = nested.block_ops(block).collect();
                        ops.into_iter().for_each(|op| self.settle(&mut nested, op));
                    }
                }
                body.set_nested(op, nested);
            }
        }
    }

    fn settle_arguments(&self, body: &mut Body, block: BlockId) {
        for (i, argument) in body.block_args(block).to_vec().into_iter().enumerate() {
            let loc = body.arg_loc(block, i);
            let name = self.byte_of(loc).and_then(|at| name_at(self.source, at));
            let name = name.filter(|n| !n.starts_with(|c: char| c.is_ascii_digit())).map(|n| self.ctx.name(n));
            body.set_value_name(argument, name);
            body.set_arg_loc(block, i, self.loc(loc));
        }
    }
}
