//! Where the sizes of buffers are known.

use super::liveness::Interval;
use nim_dyn::{Arena, Bind, Loop};
use nim_ir::{BlockId, Body, Context, OpId, Symbol, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};

/// A place from which on some symbols have their values: behind an op of a block, or at its begin.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Anchor {
    pub(super) block: BlockId,
    pub(super) op: Option<OpId>,
}

/// The places where the symbols of a function get their values.
pub(super) struct Scopes {
    entry: BlockId,
    /// In the order of the text. A name may stand for different symbols in different blocks.
    defined: FxHashMap<Symbol, Vec<Anchor>>,
}

impl Scopes {
    pub(super) fn new(ctx: &Context, body: &Body, entry: BlockId) -> Scopes {
        let mut scopes = Scopes { entry, defined: FxHashMap::default() };
        let begin = Anchor { block: entry, op: None };
        // Arguments also give symbols that stand inside of expressions only: they are solved for them.
        for &arg in body.block_args(entry) {
            for dim in ctx.dim_exprs(body.ty(arg)).unwrap_or_default() {
                ctx.exprs.symbols(dim).into_iter().for_each(|s| scopes.define(s, begin));
            }
        }
        for op in body.walk() {
            for &block in body.regions(op).iter().flat_map(|&r| body.blocks(r)) {
                let begin = Anchor { block, op: None };
                body.block_args(block).iter().for_each(|&arg| scopes.define_bare(ctx, body, arg, begin));
                if let Some(iv) =
                    Loop::iv(ctx, body, op).filter(|_| Loop::is(ctx, body, op)).and_then(|a| ctx.as_string(a))
                {
                    scopes.define(ctx.exprs.symbol(iv), begin);
                }
            }
            let Some(block) = body.block(op) else { continue };
            let behind = Anchor { block, op: Some(op) };
            named(ctx, body, op).into_iter().for_each(|s| scopes.define(s, behind));
            body.results(op).iter().for_each(|&result| scopes.define_bare(ctx, body, result, behind));
        }
        scopes
    }

    fn define(&mut self, symbol: Symbol, at: Anchor) {
        self.defined.entry(symbol).or_default().push(at);
    }

    fn define_bare(&mut self, ctx: &Context, body: &Body, value: ValueId, at: Anchor) {
        for dim in ctx.dims(body.ty(value)).unwrap_or_default() {
            if let Some(symbol) = dim.expr().and_then(|e| ctx.exprs.as_symbol(e)) {
                self.define(symbol, at);
            }
        }
    }

    /// The names of all symbols.
    pub(super) fn names<'c>(&self, ctx: &'c Context) -> FxHashSet<&'c str> {
        self.defined.keys().map(|&s| ctx.exprs.symbol_name(s)).collect()
    }

    /// The first place where the size of a buffer is known, if it is known where it is made.
    pub(super) fn anchor(&self, ctx: &Context, body: &Body, buffer: &Interval) -> Option<Anchor> {
        // The blocks around it from the outermost on, each with the op in it that the buffer is made by or inside of.
        let (mut around, mut at) = (vec![], Some(buffer.alloc));
        while let Some(op) = at {
            around.push((body.block(op)?, op));
            at = body.parent_op(op);
        }
        around.reverse();
        let mut found = (0, Anchor { block: self.entry, op: None });
        for symbol in ctx.exprs.symbols(buffer.size) {
            // The first one that can be seen from here is the one that counts.
            let seen = self.defined.get(&symbol)?.iter().find_map(|&anchor| {
                let depth = around.iter().position(|&(block, _)| block == anchor.block)?;
                let before = anchor.op.is_none_or(|op| body.is_before(op, around[depth].1));
                before.then_some((depth, anchor))
            });
            let (depth, anchor) = seen?;
            let later = match (found.1.op, anchor.op) {
                _ if depth != found.0 => depth > found.0,
                (Some(old), Some(new)) => body.is_before(old, new),
                (old, new) => old.is_none() && new.is_some(),
            };
            if later {
                found = (depth, anchor);
            }
        }
        Some(found.1)
    }
}

/// Symbols that an op names as its results.
pub(crate) fn named(ctx: &Context, body: &Body, op: OpId) -> Vec<Symbol> {
    let names = match ctx.op_str(body.op_name(op)) {
        Bind::NAME => Bind::symbols(ctx, body, op),
        Arena::NAME => Arena::symbols(ctx, body, op),
        _ => None,
    };
    let names = names.and_then(|a| ctx.as_array(a)).unwrap_or_default();
    names.iter().filter_map(|&a| ctx.as_string(a)).map(|name| ctx.exprs.symbol(name)).collect()
}
