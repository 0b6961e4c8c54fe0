//! Where sizes must be looked at: arguments, and values whose type claims more than where they come from.

use super::Lower;
use nim_dyn::Check;
use nim_ir::{BlockId, Type, TypeData, ValueId};

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
