//! What symbols an expression mentions, substitution, and linear decomposition.

use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use crate::node::{Data, Expr, Symbol};
use crate::poly::Poly;
use crate::pool::ExprPool;

impl ExprPool {
    /// The distinct symbols of an expression, ordered by name (iteration variables by number).
    pub fn symbols(&self, e: Expr) -> SmallVec<[Symbol; 4]> {
        let (mut found, mut seen) = (SmallVec::<[Symbol; 4]>::new(), FxHashSet::default());
        self.visit(e, &mut seen, &mut |node| {
            if let Some(s) = self.as_symbol(node)
                && !found.contains(&s)
            {
                found.push(s);
            }
        });
        found.sort_by(|&a, &b| self.compare_symbols(a, b));
        found
    }

    /// Whether the symbol occurs anywhere in the expression.
    pub fn mentions(&self, e: Expr, s: Symbol) -> bool {
        let bit = 1u64 << (s.0 % 64);
        let record = self.record(e);
        if record.symbol_mask & bit == 0 {
            return false;
        }
        match &record.data {
            Data::Symbol(other) => *other == s,
            data => {
                let mut found = false;
                data.for_each_child(|child| found = found || self.mentions(child, s));
                found
            }
        }
    }

    /// Whether the expression has no symbols.
    pub fn is_closed(&self, e: Expr) -> bool {
        self.record(e).symbol_mask == 0
    }

    /// The terms as coefficient and monomial; a constant term has the monomial [`Expr::ONE`].
    pub fn terms(&self, e: Expr) -> SmallVec<[(i64, Expr); 4]> {
        let terms = self.term_slice(&e);
        terms.iter().map(|&t| self.split_coefficient(t)).filter(|t| t.0 != 0).collect()
    }

    /// Replaces symbols, all at once: what `f` returns is not looked at again.
    pub fn substitute(&self, e: Expr, f: &mut dyn FnMut(Symbol) -> Option<Expr>) -> Expr {
        self.substitute_memo(e, f, &mut FxHashMap::default())
    }

    fn substitute_memo(
        &self,
        e: Expr,
        f: &mut dyn FnMut(Symbol) -> Option<Expr>,
        memo: &mut FxHashMap<Expr, Expr>,
    ) -> Expr {
        if self.is_closed(e) {
            return e;
        }
        if let Some(&done) = memo.get(&e) {
            return done;
        }
        let result = match self.as_symbol(e) {
            Some(s) => f(s).unwrap_or(e),
            None => self.rebuild(e, &mut |child| self.substitute_memo(child, f, memo)),
        };
        memo.insert(e, result);
        result
    }

    /// The node with its operands replaced, canonical again.
    pub(crate) fn rebuild(&self, e: Expr, f: &mut dyn FnMut(Expr) -> Expr) -> Expr {
        let all = |list: &[Expr], f: &mut dyn FnMut(Expr) -> Expr| -> SmallVec<[Expr; 6]> {
            list.iter().map(|&c| f(c)).collect()
        };
        match self.data(e) {
            Data::Const(_) | Data::Symbol(_) | Data::Invalid(_) => e,
            Data::Sum(list) => self.sum(all(list, f)),
            Data::Product { factors, .. } => self.product(all(factors, f)),
            Data::FloorDiv(a, b) => self.floordiv(f(*a), f(*b)),
            Data::CeilDiv(a, b) => self.ceildiv(f(*a), f(*b)),
            Data::Mod(a, b) => self.modulo(f(*a), f(*b)),
            Data::Min(list) => self.min_of(all(list, f)).unwrap_or(e),
            Data::Max(list) => self.max_of(all(list, f)).unwrap_or(e),
        }
    }

    /// `e = coefficient*s + rest` with both free of `s`; none when `e` is not linear in `s`.
    pub fn linear_in(&self, e: Expr, s: Symbol) -> Option<(Expr, Expr)> {
        let (coefficient, rest) = self.linear_in_atom(e, self.var(s))?;
        (!self.mentions(coefficient, s) && !self.mentions(rest, s)).then_some((coefficient, rest))
    }

    /// `e = coefficient*atom + rest`, where `atom` does not occur in a product of the two any more (but may occur inside
    /// other atoms); none when a power of the atom occurs.
    pub(crate) fn linear_in_atom(&self, e: Expr, atom: Expr) -> Option<(Expr, Expr)> {
        if self.as_invalid(e).is_some() {
            return None;
        }
        let poly = self.poly(e);
        let (mut coefficient, mut rest) = (Poly::default(), Poly { constant: poly.constant, ..Poly::default() });
        for &(k, m) in &poly.terms {
            match self.factor_slice(&m).iter().filter(|&&f| f == atom).count() {
                0 => rest.push(k, m).ok()?,
                1 => self.add_scaled(&mut coefficient, k, self.remove_factors(m, &[atom])?).ok()?,
                _ => return None,
            }
        }
        Some((self.finish(Ok(coefficient)), self.finish(Ok(rest))))
    }

    fn visit(&self, e: Expr, seen: &mut FxHashSet<Expr>, f: &mut dyn FnMut(Expr)) {
        if self.is_closed(e) || !seen.insert(e) {
            return;
        }
        f(e);
        self.data(e).for_each_child(|child| self.visit(child, seen, f));
    }
}
