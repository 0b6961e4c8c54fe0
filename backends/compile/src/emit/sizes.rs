//! Symbols and size expressions of a function.

use super::function::Emitter;
use nim_ir::{Expr, OpId, Symbol, Type, ValueId};
use nim_vm::bytecode::{Instr, Reg, Size, Sym};

impl Emitter<'_, '_> {
    /// The register of a symbol, made when it is first asked for.
    pub(super) fn symbol(&mut self, symbol: Symbol) -> Sym {
        let at = self.symbols.iter().position(|&s| s == symbol).unwrap_or_else(|| {
            self.symbols.push(symbol);
            self.symbols.len() - 1
        });
        Sym(at as u32)
    }

    /// A symbol that no program can name.
    pub(super) fn temporary(&mut self, what: &str) -> Symbol {
        let symbol = self.shared.ctx.exprs.symbol(&format!("{what} {}", self.symbols.len()));
        self.symbol(symbol);
        self.bound.insert(symbol);
        symbol
    }

    /// An expression for the program. An error when it names a symbol that has no value here.
    pub(super) fn size(&mut self, op: Option<OpId>, expr: Expr) -> Size {
        let pool = &self.shared.ctx.exprs;
        for symbol in pool.symbols(expr) {
            if !self.bound.contains(&symbol) {
                let name = pool.symbol_name(symbol).to_string();
                self.error(op, "N0741", format!("nothing gives the symbol `{name}` a value before it is used"));
                self.bound.insert(symbol);
            }
            self.symbol(symbol);
        }
        let symbols = &self.symbols;
        let mut register = |s| symbols.iter().position(|&k| k == s).map(|i| i as u32);
        match self.shared.builder.size(pool, expr, &mut register) {
            Ok(size) => size,
            Err(error) => {
                let message = format!("the size {} cannot be computed: {error}", pool.display(expr));
                self.error(op, "N0742", message);
                self.shared.builder.constant_size(0)
            }
        }
    }

    pub(super) fn size_list(&mut self, op: Option<OpId>, exprs: &[Expr]) -> Box<[Size]> {
        exprs.iter().map(|&e| self.size(op, e)).collect()
    }

    /// The dimensions of a type for the program.
    pub(super) fn dims(&mut self, op: Option<OpId>, ty: Type) -> Box<[Size]> {
        match self.shared.ctx.dim_exprs(ty) {
            Some(dims) => self.size_list(op, &dims),
            None => {
                let message = format!("{} has a dimension that is not known", self.shared.ctx.display_type(ty));
                self.error(op, "N0743", message);
                [].into()
            }
        }
    }

    /// Gives the bare symbols of a value's type their values, unless they have some already.
    pub(super) fn define(&mut self, value: ValueId, reg: Reg) {
        let pool = &self.shared.ctx.exprs;
        let Some(dims) = self.shared.ctx.dims(self.body.ty(value)) else { return };
        for (axis, dim) in dims.iter().enumerate() {
            let Some(symbol) = dim.expr().and_then(|e| pool.as_symbol(e)) else { continue };
            if self.bound.insert(symbol) {
                let symbol = self.symbol(symbol);
                self.push(Instr::Dim { symbol, from: reg, axis: axis as u32 });
            }
        }
    }

    /// Symbols that arguments have only inside expressions: `N` from `2*N + 1`. The check that follows at the function's
    /// begin refuses a size that has no such `N`.
    pub(super) fn solve(&mut self, value: ValueId, reg: Reg) {
        let pool = &self.shared.ctx.exprs;
        let Some(dims) = self.shared.ctx.dim_exprs(self.body.ty(value)) else { return };
        for (axis, dim) in dims.into_iter().enumerate() {
            let open: Vec<Symbol> = pool.symbols(dim).into_iter().filter(|s| !self.bound.contains(s)).collect();
            let [symbol] = open.as_slice() else { continue };
            let Some((factor, rest)) = pool.linear_in(dim, *symbol) else { continue };
            let size = self.temporary("size");
            let at = self.symbol(size);
            self.push(Instr::Dim { symbol: at, from: reg, axis: axis as u32 });
            let value = self.size(None, pool.floordiv(pool.sub(pool.var(size), rest), factor));
            let target = self.symbol(*symbol);
            self.push(Instr::Eval { symbol: target, value });
            self.bound.insert(*symbol);
        }
    }
}
