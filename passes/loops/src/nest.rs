//! Building loop nests: a cursor into the body of a `loops.kernel`.
//!
//! Iteration variables get fresh numbers (`$0, $1, ...`) in the order of creation, so that no two loops of a kernel
//! share one and substitution never captures.

use nim_ir::{Attr, BlockId, Body, Builder, Context, Expr, Facts, InsertPoint, Loc, Symbol, Type, ValueId};
pub use nim_loops::LoopKind as Kind;
use nim_loops::scalar_type;

/// A cursor at the end of a block of a kernel's body.
pub struct Nest<'a> {
    /// The context.
    pub ctx: &'a Context,
    /// The kernel's body.
    pub body: &'a mut Body,
    /// Where ops are put.
    pub block: BlockId,
    /// The place that new ops get.
    pub loc: Loc,
    /// Ranges of the iteration variables so far.
    pub facts: &'a mut Facts,
    next_iv: &'a mut usize,
    /// Whether loops here are the kernel's outermost.
    top: bool,
}

impl<'a> Nest<'a> {
    /// A cursor at the end of `block`; `next_iv` is the number of the next iteration variable.
    pub fn new(
        ctx: &'a Context,
        body: &'a mut Body,
        block: BlockId,
        loc: Loc,
        facts: &'a mut Facts,
        next_iv: &'a mut usize,
    ) -> Nest<'a> {
        Nest { ctx, body, block, loc, facts, next_iv, top: true }
    }

    /// What an outermost loop over independent results is: shared out to threads, unless there are loops around it already.
    pub fn outermost(&self) -> Kind {
        if self.top { Kind::Parallel } else { Kind::Seq }
    }

    /// A builder at the cursor.
    pub fn builder(&mut self) -> Builder<'_> {
        Builder { ctx: self.ctx, body: self.body, point: InsertPoint::End(self.block), loc: self.loc }
    }

    fn within(&mut self, block: BlockId, f: impl FnOnce(&mut Nest<'_>)) {
        let (facts, next_iv) = (&mut *self.facts, &mut *self.next_iv);
        let mut inner = Nest { ctx: self.ctx, body: self.body, block, loc: self.loc, facts, next_iv, top: false };
        f(&mut inner);
        inner.builder().op("loops.yield", &[], &[], &[]);
    }

    /// `for iv in (lower..upper).step_by(step)`; the closure gets the variable.
    pub fn for_loop(&mut self, lower: Expr, upper: Expr, step: i64, kind: Kind, f: impl FnOnce(&mut Nest<'_>, Expr)) {
        let symbol = self.fresh();
        self.facts.set_iteration(&self.ctx.exprs, symbol, lower, upper);
        self.loop_of(symbol, lower, upper, step, kind, f);
    }

    /// Runs the closure where a symbol, made before by [`Nest::fresh`] and with facts of its own, has this value: a loop of one iteration.
    pub fn given(&mut self, symbol: Symbol, value: Expr, f: impl FnOnce(&mut Nest<'_>)) {
        let next = self.ctx.exprs.add(value, Expr::ONE);
        self.loop_of(symbol, value, next, 1, Kind::Seq, |nest, _| f(nest));
    }

    fn loop_of(
        &mut self,
        symbol: Symbol,
        lower: Expr,
        upper: Expr,
        step: i64,
        kind: Kind,
        f: impl FnOnce(&mut Nest<'_>, Expr),
    ) {
        let ctx = self.ctx;
        let attrs = [
            ("iv", ctx.string_attr(ctx.exprs.symbol_name(symbol))),
            ("kind", ctx.string_attr(kind.name())),
            ("lower", ctx.expr_attr(lower)),
            ("step", ctx.i64_attr(step)),
            ("upper", ctx.expr_attr(upper)),
        ];
        let iv = ctx.exprs.var(symbol);
        let block = self.region_op("loops.for", &attrs);
        self.within(block, |nest| f(nest, iv));
    }

    /// `0..count` with step 1, when `count` is not the constant 1; then the variable is 0.
    pub fn range(&mut self, count: Expr, kind: Kind, f: impl FnOnce(&mut Nest<'_>, Expr)) {
        if count == Expr::ONE {
            return f(self, Expr::ZERO);
        }
        self.for_loop(Expr::ZERO, count, 1, kind, f);
    }

    /// Loops over `0..counts[i]`, the first outermost.
    pub fn ranges(&mut self, counts: &[Expr], kind: Kind, f: &mut dyn FnMut(&mut Nest<'_>, &[Expr])) {
        fn go(
            nest: &mut Nest<'_>,
            counts: &[Expr],
            kind: Kind,
            at: &mut Vec<Expr>,
            f: &mut dyn FnMut(&mut Nest<'_>, &[Expr]),
        ) {
            match counts.split_first() {
                None => f(nest, at),
                Some((&first, rest)) => nest.range(first, kind, |nest, iv| {
                    at.push(iv);
                    go(nest, rest, kind, at, f);
                    at.pop();
                }),
            }
        }
        go(self, counts, kind, &mut vec![], f);
    }

    /// Runs the closure's ops only where all conditions are at least 0.
    pub fn guard(&mut self, conditions: &[Expr], f: impl FnOnce(&mut Nest<'_>)) {
        if conditions.is_empty() {
            return f(self);
        }
        let attrs = [("conditions", self.ctx.exprs_attr(conditions))];
        let block = self.region_op("loops.if", &attrs);
        self.within(block, f);
    }

    /// Runs the first closure's ops where all conditions are at least 0, else those of the second.
    pub fn either(&mut self, conditions: &[Expr], then: impl FnOnce(&mut Nest<'_>), other: impl FnOnce(&mut Nest<'_>)) {
        let (first, then_block) = self.builder().region_with_block(&[]);
        let (second, other_block) = self.builder().region_with_block(&[]);
        self.within(then_block, then);
        self.within(other_block, other);
        let ctx = self.ctx;
        let mut builder = self.builder();
        let state = builder.state("loops.if").attr(ctx, "conditions", ctx.exprs_attr(conditions));
        builder.insert(state.region(first).region(second));
    }

    /// The value of `then` where all conditions are at least 0, else that of `other`.
    pub fn choose(
        &mut self,
        conditions: &[Expr],
        ty: Type,
        then: impl FnOnce(&mut Nest<'_>) -> ValueId,
        other: impl FnOnce(&mut Nest<'_>) -> ValueId,
    ) -> ValueId {
        let (first, then_block) = self.builder().region_with_block(&[]);
        let (second, other_block) = self.builder().region_with_block(&[]);
        self.yielding(then_block, then);
        self.yielding(other_block, other);
        let ctx = self.ctx;
        let mut builder = self.builder();
        let state = builder.state("loops.if").attr(ctx, "conditions", ctx.exprs_attr(conditions));
        let op = builder.insert(state.results(&[ty]).region(first).region(second));
        self.body.result(op)
    }

    fn yielding(&mut self, block: BlockId, f: impl FnOnce(&mut Nest<'_>) -> ValueId) {
        let (facts, next_iv) = (&mut *self.facts, &mut *self.next_iv);
        let mut inner = Nest { ctx: self.ctx, body: self.body, block, loc: self.loc, facts, next_iv, top: false };
        let value = f(&mut inner);
        inner.builder().op("loops.yield", &[value], &[], &[]);
    }

    fn region_op(&mut self, name: &str, attrs: &[(&str, Attr)]) -> BlockId {
        let mut builder = self.builder();
        let (region, block) = builder.region_with_block(&[]);
        let mut state = builder.state(name).region(region);
        for (key, attr) in attrs {
            state = state.attr(builder.ctx, key, *attr);
        }
        builder.insert(state);
        block
    }

    /// A small buffer of constant size: in registers when `register`, else on the stack.
    pub fn local(&mut self, dims: &[i64], element: Type, register: bool) -> ValueId {
        let dims: Vec<Expr> = dims.iter().map(|&d| self.ctx.exprs.constant(d)).collect();
        let ty = self.ctx.memref_of(&dims, element);
        let space = self.ctx.string_attr(if register { "register" } else { "stack" });
        self.builder().value("loops.local", &[], ty, &[("space", space)])
    }

    /// Reads one element; `dynamic` operands stand for `$v0, $v1, ...` in the indices.
    pub fn load(&mut self, buffer: ValueId, indices: &[Expr], dynamic: &[ValueId]) -> ValueId {
        let element = self.ctx.element_type(self.body.ty(buffer)).unwrap_or_else(|| self.ctx.none_type());
        let element = scalar_type(self.ctx, element);
        let mut operands = vec![buffer];
        operands.extend_from_slice(dynamic);
        let indices = self.ctx.exprs_attr(indices);
        self.builder().value("loops.load", &operands, element, &[("indices", indices)])
    }

    /// Says that an element will be read soon.
    pub fn prefetch(&mut self, buffer: ValueId, indices: &[Expr]) {
        let indices = self.ctx.exprs_attr(indices);
        self.builder().op("loops.prefetch", &[buffer], &[], &[("indices", indices)]);
    }

    /// Reads neighbours that fill 32 bits as one number.
    pub fn load_word(&mut self, buffer: ValueId, indices: &[Expr]) -> ValueId {
        let (ty, indices) = (self.ctx.int_type(32), self.ctx.exprs_attr(indices));
        self.builder().value("loops.load_word", &[buffer], ty, &[("indices", indices)])
    }

    /// Writes 32 bits as neighbours.
    pub fn store_word(&mut self, value: ValueId, buffer: ValueId, indices: &[Expr]) {
        let indices = self.ctx.exprs_attr(indices);
        self.builder().op("loops.store_word", &[value, buffer], &[], &[("indices", indices)]);
    }

    /// Writes one element.
    pub fn store(&mut self, value: ValueId, buffer: ValueId, indices: &[Expr], dynamic: &[ValueId]) {
        let mut operands = vec![value, buffer];
        operands.extend_from_slice(dynamic);
        let indices = self.ctx.exprs_attr(indices);
        self.builder().op("loops.store", &operands, &[], &[("indices", indices)]);
    }

    /// The value of an expression.
    pub fn index(&mut self, expr: Expr) -> ValueId {
        let (ty, attr) = (self.ctx.index_type(), self.ctx.expr_attr(expr));
        self.builder().value("loops.index", &[], ty, &[("expr", attr)])
    }

    /// A scalar constant from a typed attribute, read with a given scalar type.
    pub fn constant(&mut self, value: Attr, ty: Type) -> ValueId {
        self.builder().value("arith.constant", &[], ty, &[("value", value)])
    }

    /// A symbol for an iteration variable.
    pub fn fresh(&mut self) -> Symbol {
        let symbol = self.ctx.exprs.symbol(&format!("${}", self.next_iv));
        *self.next_iv += 1;
        symbol
    }
}
