//! The structural order of expressions.
//!
//! Monomials follow the graded lexicographic order, which is admissible (it is kept by multiplication), so polynomial
//! division terminates. Names compare as text, except that `$2` comes before `$10`. The order of creation plays no part.

use std::cmp::Ordering;

use crate::node::{Data, Expr, Symbol};
use crate::pool::ExprPool;

impl ExprPool {
    /// A total order that depends on names and structure only: higher degrees first, then by name, constants last.
    /// Use it wherever an order of expressions becomes visible.
    pub fn compare(&self, a: Expr, b: Expr) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        let (terms_a, terms_b) = (self.term_slice(&a), self.term_slice(&b));
        for (&x, &y) in terms_a.iter().zip(terms_b) {
            let ((kx, mx), (ky, my)) = (self.split_coefficient(x), self.split_coefficient(y));
            let order = self.compare_monomials(mx, my).then(kx.cmp(&ky));
            if order != Ordering::Equal {
                return order;
            }
        }
        terms_a.len().cmp(&terms_b.len())
    }

    /// Orders symbols by name, numbers of iteration variables (`$2`, `$10`) by value.
    pub fn compare_symbols(&self, a: Symbol, b: Symbol) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        let (a, b) = (self.symbol_name(a), self.symbol_name(b));
        let number = |s: &str| {
            let digits = s.strip_prefix('$')?;
            digits.bytes().all(|c| c.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten()
        };
        match (number(a), number(b)) {
            (Some(x), Some(y)) => x.cmp(&y).then_with(|| a.cmp(b)),
            _ => a.cmp(b),
        }
    }

    /// The terms of a sum, or the expression alone.
    pub(crate) fn term_slice<'a>(&'a self, e: &'a Expr) -> &'a [Expr] {
        match self.data(*e) {
            Data::Sum(terms) => terms,
            _ => std::slice::from_ref(e),
        }
    }

    /// The factors of a monomial (no constant factor), or the atom alone; none for 1.
    pub(crate) fn factor_slice<'a>(&'a self, monomial: &'a Expr) -> &'a [Expr] {
        match self.data(*monomial) {
            Data::Product { factors, .. } => factors,
            Data::Const(_) => &[],
            _ => std::slice::from_ref(monomial),
        }
    }

    /// A term as coefficient and monomial; a constant has the monomial 1.
    pub(crate) fn split_coefficient(&self, term: Expr) -> (i64, Expr) {
        match self.data(term) {
            Data::Const(v) => (*v, Expr::ONE),
            Data::Product { coefficient, monomial, .. } if *coefficient != 1 => (*coefficient, *monomial),
            _ => (1, term),
        }
    }

    pub(crate) fn compare_monomials(&self, a: Expr, b: Expr) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        let (fa, fb) = (self.factor_slice(&a), self.factor_slice(&b));
        fb.len().cmp(&fa.len()).then_with(|| self.compare_lists(fa, fb, |x, y| self.compare_atoms(x, y)))
    }

    pub(crate) fn compare_atoms(&self, a: Expr, b: Expr) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        let pair = |a1: Expr, a2: Expr, b1: Expr, b2: Expr| self.compare(a1, b1).then_with(|| self.compare(a2, b2));
        match (self.data(a), self.data(b)) {
            (Data::Symbol(x), Data::Symbol(y)) => self.compare_symbols(*x, *y),
            (Data::FloorDiv(a1, a2), Data::FloorDiv(b1, b2))
            | (Data::CeilDiv(a1, a2), Data::CeilDiv(b1, b2))
            | (Data::Mod(a1, a2), Data::Mod(b1, b2)) => pair(*a1, *a2, *b1, *b2),
            (Data::Min(x), Data::Min(y)) | (Data::Max(x), Data::Max(y)) => {
                self.compare_lists(x, y, |x, y| self.compare(x, y))
            }
            (Data::Sum(_), Data::Sum(_)) => self.compare(a, b),
            (x, y) => rank(x).cmp(&rank(y)),
        }
    }

    fn compare_lists(&self, a: &[Expr], b: &[Expr], compare: impl Fn(Expr, Expr) -> Ordering) -> Ordering {
        let first = a.iter().zip(b).map(|(&x, &y)| compare(x, y)).find(|&o| o != Ordering::Equal);
        first.unwrap_or_else(|| a.len().cmp(&b.len()))
    }
}

/// Symbols before operations, so that `N + floordiv(N, 2)` reads from the simple to the complicated.
fn rank(data: &Data) -> u8 {
    match data {
        Data::Symbol(_) => 0,
        Data::FloorDiv(..) => 1,
        Data::CeilDiv(..) => 2,
        Data::Mod(..) => 3,
        Data::Min(_) => 4,
        Data::Max(_) => 5,
        Data::Sum(_) => 6,
        Data::Product { .. } => 7,
        Data::Const(_) => 8,
        Data::Invalid(_) => 9,
    }
}
