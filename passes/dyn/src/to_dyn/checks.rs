//! Where sizes must be looked at: arguments, and values whose type claims more than where they come from.

use super::Lower;
use nim_builtin::assume;
use nim_dyn::{Check, Guard};
use nim_ir::{BlockId, Expr, OpId, Type, TypeData, ValueId};

impl Lower<'_, '_> {
    /// Arguments are checked against their types. All bare symbols get their values first, so the order of arguments
    /// does not matter.
    pub(super) fn entry_checks(&mut self, entry: BlockId, names: &[String]) {
        let args = self.source.block_args(entry).to_vec();
        for &arg in &args {
            self.define(self.source.ty(arg));
        }
        let around = self.builder.loc;
        let readers = nim_builtin::func::first_readers(self.source, &|_| false);
        for ((arg, name), reader) in args.into_iter().zip(names).zip(readers) {
            let buffer = self.value(arg);
            // The node that asks for the size is the one to name when the size is wrong.
            self.builder.loc = reader.map_or(around, |op| self.ctx.derived_loc(super::NAME, self.source.loc(op)));
            self.check(buffer, &format!("input `{name}`"));
        }
        self.builder.loc = around;
        let assumed: Vec<OpId> =
            self.source.block_ops(entry).filter(|&op| self.source.is(self.ctx, op, assume::NAME)).collect();
        let about = assume::of_arguments(self.ctx, self.source);
        for op in assumed {
            if assume::Assumption::of(self.ctx, self.source, op).is_some_and(|a| about.contains(&a)) {
                self.assume(op);
            }
        }
        self.builder.loc = around;
    }

    /// Guards for what is assumed about a symbol.
    pub(super) fn assume(&mut self, op: OpId) {
        let Some(a) = assume::Assumption::of(self.ctx, self.source, op) else { return };
        self.builder.loc = self.ctx.derived_loc(super::NAME, self.source.loc(op));
        let (ctx, pool) = (self.ctx, &self.ctx.exprs);
        let (symbol, number) = (pool.var(a.symbol), |n: i64| pool.constant(n));
        let rest = |divisor: i64| pool.modulo(symbol, number(divisor));
        let wanted = [
            a.min.map(|min| ("le", number(min), symbol)),
            a.max.map(|max| ("le", symbol, number(max))),
            a.divisor.map(|divisor| ("eq", rest(divisor), Expr::ZERO)),
        ];
        let message = format!("what is assumed about `{}` does not hold", pool.symbol_name(a.symbol));
        for (kind, lhs, rhs) in wanted.into_iter().flatten() {
            let attrs = [
                ("kind", ctx.string_attr(kind)),
                ("lhs", ctx.expr_attr(lhs)),
                ("rhs", ctx.expr_attr(rhs)),
                ("message", ctx.string_attr(&message)),
            ];
            self.builder.op(Guard::NAME, &[], &[], &attrs);
        }
    }

    /// Checks a buffer against its type, unless it has no dimensions.
    pub(super) fn check(&mut self, buffer: ValueId, what: &str) {
        let ty = self.builder.body.ty(buffer);
        if self.dims(ty).is_some_and(|dims| !dims.is_empty()) {
            let what = self.ctx.string_attr(what);
            self.builder.op(Check::NAME, &[buffer], &[], &[("what", what)]);
        }
    }

    /// Whether a value of type `ty` that comes from values of the types `sources` must be checked: a dimension that it
    /// does not define itself is not provably theirs.
    pub(super) fn claims(&self, ty: Type, sources: &[Type]) -> bool {
        let Some(dims) = self.dims(ty) else { return false };
        let mut own = vec![];
        dims.iter().enumerate().any(|(axis, &dim)| {
            if let Some(symbol) = self.ctx.exprs.as_symbol(dim)
                && !self.bound.contains(&symbol)
                && !own.contains(&symbol)
            {
                own.push(symbol);
                return false;
            }
            sources.iter().any(|&source| match self.dims(source).and_then(|d| d.get(axis).copied()) {
                Some(from) => !self.ctx.exprs.prove_eq(from, dim),
                None => true,
            })
        })
    }

    /// Takes note of a value's symbols, and checks it where its type claims more than `sources` do.
    pub(super) fn arrive(&mut self, buffer: ValueId, sources: &[Type], what: &str) {
        let ty = self.builder.body.ty(buffer);
        let claims = self.claims(ty, sources);
        self.define(ty);
        if claims {
            self.check(buffer, what);
        }
    }

    /// The name of a value, for messages.
    pub(super) fn describe(&self, kind: &str, value: ValueId, number: usize) -> String {
        match self.source.value_name(value) {
            Some(name) => format!("{kind} `{}`", self.ctx.str(name)),
            None => format!("{kind} {number}"),
        }
    }

    /// True for tensors whose elements are plain bytes.
    pub(super) fn has_memory(&self, ty: Type) -> bool {
        let element = self.ctx.element_type(ty);
        self.ctx.dims(ty).is_some()
            && element.is_some_and(|e| !matches!(self.ctx.type_data(e), TypeData::Dialect { .. } | TypeData::Opaque(_)))
    }
}
