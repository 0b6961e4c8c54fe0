//! Sums and products: the polynomial part of the canonical form.
//!
//! A polynomial over atoms has exactly one normal form, so the order in which operands are combined does not matter. The
//! one exception is deliberate: a product of sums with more than `TERM_CAP` terms is not multiplied out. Such a product
//! keeps *primitive* sums (no common factor, positive leading coefficient) as factors, and whether it is kept is decided
//! from the whole set of its factors, so that printing and parsing it again gives the same node.

use smallvec::SmallVec;

use crate::node::{Data, Expr, InvalidKind};
use crate::pool::ExprPool;

/// Most terms (before like terms are collected) that multiplying two sums may give.
const TERM_CAP: usize = 256;

/// A result, or why there is none.
pub(crate) type Checked<T> = Result<T, InvalidKind>;
pub(crate) type ExprList = SmallVec<[Expr; 6]>;

/// A polynomial under construction. Coefficients are wide, so that only the result has to fit in 64 bits.
#[derive(Clone, Default, Debug)]
pub(crate) struct Poly {
    /// Coefficient and monomial (an atom, or a product without constant factor).
    pub(crate) terms: SmallVec<[(i128, Expr); 6]>,
    pub(crate) constant: i128,
}

impl Poly {
    pub(crate) fn push(&mut self, coefficient: i128, monomial: Expr) -> Checked<()> {
        if monomial == Expr::ONE {
            self.constant = self.constant.checked_add(coefficient).ok_or(InvalidKind::Overflow)?;
        } else {
            self.terms.push((coefficient, monomial));
        }
        Ok(())
    }

    /// Sorts, collects like terms and drops zeros.
    pub(crate) fn normalize(&mut self, pool: &ExprPool) -> Checked<()> {
        self.terms.sort_by(|a, b| pool.compare_monomials(a.1, b.1));
        let mut kept = 0;
        for i in 0..self.terms.len() {
            let (k, m) = self.terms[i];
            match kept > 0 && self.terms[kept - 1].1 == m {
                true => {
                    let sum = self.terms[kept - 1].0.checked_add(k);
                    self.terms[kept - 1].0 = sum.ok_or(InvalidKind::Overflow)?;
                }
                false => {
                    self.terms[kept] = (k, m);
                    kept += 1;
                }
            }
        }
        self.terms.truncate(kept);
        self.terms.retain(|t| t.0 != 0);
        Ok(())
    }

    /// The number of terms, counting the constant.
    pub(crate) fn len(&self) -> usize {
        self.terms.len() + usize::from(self.constant != 0)
    }

    /// The greatest common divisor of all coefficients and the constant; 0 for the zero polynomial.
    pub(crate) fn coefficient_gcd(&self) -> i128 {
        self.terms.iter().fold(self.constant.abs(), |g, t| gcd(g, t.0))
    }

    pub(crate) fn leading_is_negative(&self) -> bool {
        self.terms.first().map_or(self.constant, |t| t.0) < 0
    }
}

/// The greatest common divisor, never negative; `gcd(0, 0)` is 0.
pub(crate) fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    // Coefficients are far below the top of the range, so this never saturates in practice.
    i128::try_from(a).unwrap_or(i128::MAX)
}

impl ExprPool {
    /// `a + b`.
    pub fn add(&self, a: Expr, b: Expr) -> Expr {
        self.sum([a, b])
    }

    /// `a - b`.
    pub fn sub(&self, a: Expr, b: Expr) -> Expr {
        self.linear_combination([(1, a), (-1, b)])
    }

    /// `-a`.
    pub fn neg(&self, a: Expr) -> Expr {
        self.linear_combination([(-1, a)])
    }

    /// `a * b`.
    pub fn mul(&self, a: Expr, b: Expr) -> Expr {
        self.product([a, b])
    }

    /// `k * a`.
    pub fn scale(&self, k: i64, a: Expr) -> Expr {
        self.linear_combination([(k, a)])
    }

    /// The sum of all items; 0 when there are none.
    pub fn sum(&self, items: impl IntoIterator<Item = Expr>) -> Expr {
        self.linear_combination(items.into_iter().map(|e| (1, e)))
    }

    /// `k0*e0 + k1*e1 + ...`; 0 when there are none.
    pub fn linear_combination(&self, items: impl IntoIterator<Item = (i64, Expr)>) -> Expr {
        let (mut poly, mut invalid) = (Poly::default(), None);
        for (k, e) in items {
            // All operands are looked at, so that which error wins does not depend on their order.
            let result = match self.data(e) {
                Data::Invalid(kind) => Err(*kind),
                _ => self.add_scaled(&mut poly, i128::from(k), e),
            };
            invalid = invalid.max(result.err());
        }
        self.finish(match invalid {
            Some(kind) => Err(kind),
            None => Ok(poly),
        })
    }

    /// The product of all items; 1 when there are none.
    pub fn product(&self, items: impl IntoIterator<Item = Expr>) -> Expr {
        let mut parts = Factors { coefficient: 1, ..Factors::default() };
        let mut invalid = None;
        for e in items {
            if let Data::Invalid(kind) = self.data(e) {
                invalid = invalid.max(Some(*kind));
            } else {
                parts.collect(self, e);
            }
        }
        if let Some(kind) = invalid {
            return Expr::invalid(kind);
        }
        if parts.zero {
            return Expr::ZERO;
        }
        self.multiply_out(parts).unwrap_or_else(Expr::invalid)
    }

    /// The polynomial of an expression. An invalid expression must have been handled before.
    pub(crate) fn poly(&self, e: Expr) -> Poly {
        let mut poly = Poly::default();
        for &term in self.term_slice(&e) {
            match self.split_coefficient(term) {
                (k, Expr::ONE) => poly.constant = i128::from(k),
                (k, m) => poly.terms.push((i128::from(k), m)),
            }
        }
        poly
    }

    /// `poly += k * e`.
    pub(crate) fn add_scaled(&self, poly: &mut Poly, k: i128, e: Expr) -> Checked<()> {
        if let Data::Invalid(kind) = self.data(e) {
            return Err(*kind);
        }
        for &term in self.term_slice(&e) {
            let (c, m) = self.split_coefficient(term);
            poly.push(k.checked_mul(i128::from(c)).ok_or(InvalidKind::Overflow)?, m)?;
        }
        Ok(())
    }

    /// The canonical expression of a polynomial; terms may be unsorted and repeated.
    pub(crate) fn finish(&self, poly: Checked<Poly>) -> Expr {
        let build = |mut poly: Poly| -> Checked<Expr> {
            poly.normalize(self)?;
            let narrow = |v: i128| i64::try_from(v).map_err(|_| InvalidKind::Overflow);
            let mut terms = ExprList::new();
            for &(k, m) in &poly.terms {
                terms.push(self.term(narrow(k)?, m));
            }
            if poly.constant != 0 || terms.is_empty() {
                terms.push(self.constant(narrow(poly.constant)?));
            }
            if let Some(kind) = terms.iter().find_map(|&t| self.as_invalid(t)) {
                return Err(kind);
            }
            Ok(match terms.as_slice() {
                [single] => *single,
                _ => self.intern(Data::Sum(terms.as_slice().into())),
            })
        };
        poly.and_then(build).unwrap_or_else(Expr::invalid)
    }

    /// `k * monomial`.
    fn term(&self, k: i64, monomial: Expr) -> Expr {
        match k {
            0 => Expr::ZERO,
            1 => monomial,
            _ => {
                let factors = std::iter::once(self.constant(k)).chain(self.factor_slice(&monomial).iter().copied());
                let factors = factors.collect();
                self.intern(Data::Product { coefficient: k, monomial, factors })
            }
        }
    }

    /// The product of sorted atoms.
    pub(crate) fn monomial(&self, atoms: &[Expr]) -> Expr {
        match atoms {
            [] => Expr::ONE,
            [single] => *single,
            _ => self.intern(Data::Product { coefficient: 1, monomial: Expr::ZERO, factors: atoms.into() }),
        }
    }

    /// The coefficient gcd and the common atoms of all terms, and the polynomial divided by both and by the sign of its
    /// leading coefficient: `poly = k * common * primitive`.
    pub(crate) fn content(&self, poly: &Poly) -> Checked<(i128, ExprList, Poly)> {
        let mut k = poly.coefficient_gcd().max(1);
        if poly.leading_is_negative() {
            k = -k;
        }
        let common = self.common_atoms(poly);
        let mut primitive = Poly { terms: SmallVec::new(), constant: poly.constant / k };
        for &(c, m) in &poly.terms {
            self.add_scaled(&mut primitive, c / k, self.remove_factors(m, &common).unwrap_or(m))?;
        }
        Ok((k, common, primitive))
    }

    /// The atoms (with repetition) that divide every term.
    pub(crate) fn common_atoms(&self, poly: &Poly) -> ExprList {
        let Some(((_, first), others)) = poly.terms.split_first().filter(|_| poly.constant == 0) else {
            return ExprList::new();
        };
        let mut common: ExprList = self.factor_slice(first).into();
        for (_, m) in others {
            let mut available: ExprList = self.factor_slice(m).into();
            common.retain(|f| match available.iter().position(|a| a == f) {
                Some(at) => {
                    available.remove(at);
                    true
                }
                None => false,
            });
        }
        common
    }

    /// `monomial / product of factors`, when it divides exactly. The result is a sum when the monomial was a product of
    /// sums of which too few are left to keep it from being multiplied out.
    pub(crate) fn remove_factors(&self, monomial: Expr, factors: &[Expr]) -> Option<Expr> {
        if factors.is_empty() {
            return Some(monomial);
        }
        let mut left: ExprList = self.factor_slice(&monomial).into();
        for f in factors {
            let at = left.iter().position(|l| l == f)?;
            left.remove(at);
        }
        let is_sum = |f: &Expr| matches!(self.data(*f), Data::Sum(_));
        Some(if factors.iter().any(is_sum) && left.iter().any(is_sum) {
            self.product(left)
        } else {
            self.monomial(&left)
        })
    }

    /// `poly += k * a * b` for monomials `a` and `b`.
    pub(crate) fn push_product(&self, poly: &mut Poly, k: i128, a: Expr, b: Expr) -> Checked<()> {
        if a == Expr::ONE || b == Expr::ONE {
            return poly.push(k, if a == Expr::ONE { b } else { a });
        }
        let (fa, fb) = (self.factor_slice(&a), self.factor_slice(&b));
        let has_sum = |list: &[Expr]| list.iter().any(|&f| matches!(self.data(f), Data::Sum(_)));
        if has_sum(fa) && has_sum(fb) {
            // Whether two kept products together are kept is for the whole set of factors to decide.
            let product = self.product([a, b]);
            return self.add_scaled(poly, k, product);
        }
        let mut atoms: ExprList = fa.iter().chain(fb).copied().collect();
        atoms.sort_by(|&x, &y| self.compare_atoms(x, y));
        let m = self.monomial(&atoms);
        match self.as_invalid(m) {
            Some(kind) => Err(kind),
            None => poly.push(k, m),
        }
    }

    pub(crate) fn multiply(&self, a: &Poly, b: &Poly) -> Checked<Poly> {
        let mut product = Poly::default();
        let terms = |p: &Poly| -> SmallVec<[(i128, Expr); 8]> {
            let constant = (p.constant != 0).then_some((p.constant, Expr::ONE));
            p.terms.iter().copied().chain(constant).collect()
        };
        let right = terms(b);
        for (ka, ma) in terms(a) {
            for &(kb, mb) in &right {
                let k = ka.checked_mul(kb).ok_or(InvalidKind::Overflow)?;
                self.push_product(&mut product, k, ma, mb)?;
            }
        }
        product.normalize(self)?;
        Ok(product)
    }

    fn multiply_out(&self, mut parts: Factors) -> Checked<Expr> {
        if parts.overflow {
            return Err(InvalidKind::Overflow);
        }
        let sums = match parts.sums.as_slice() {
            [] => Some(Poly { terms: SmallVec::new(), constant: 1 }),
            [single] => Some(self.poly(*single)),
            _ => {
                parts.make_primitive(self)?;
                self.fold_sums(&parts.sums)?
            }
        };
        parts.atoms.sort_by(|&x, &y| self.compare_atoms(x, y));
        let (others, sums) = match sums {
            Some(sums) => (self.monomial(&parts.atoms), sums),
            None => {
                parts.atoms.extend(parts.sums);
                parts.atoms.sort_by(|&x, &y| self.compare_atoms(x, y));
                (self.monomial(&parts.atoms), Poly { terms: SmallVec::new(), constant: 1 })
            }
        };
        if let Some(kind) = self.as_invalid(others) {
            return Err(kind);
        }
        let mut scaled = Poly::default();
        for &(k, m) in sums.terms.iter().chain(&(sums.constant != 0).then_some((sums.constant, Expr::ONE))) {
            let k = k.checked_mul(parts.coefficient).ok_or(InvalidKind::Overflow)?;
            self.push_product(&mut scaled, k, m, others)?;
        }
        Ok(self.finish(Ok(scaled)))
    }

    /// The product of primitive sums, or nothing when it would be too large.
    fn fold_sums(&self, sums: &[Expr]) -> Checked<Option<Poly>> {
        let mut polys: Vec<(Expr, Poly)> = sums.iter().map(|&s| (s, self.poly(s))).collect();
        polys.sort_by(|a, b| a.1.len().cmp(&b.1.len()).then_with(|| self.compare(a.0, b.0)));
        let mut product = Poly { terms: SmallVec::new(), constant: 1 };
        for (_, poly) in &polys {
            if product.len() * poly.len() > TERM_CAP && product.len() > 1 {
                return Ok(None);
            }
            product = self.multiply(&product, poly)?;
        }
        Ok(Some(product))
    }
}

/// The factors of a product, by kind.
#[derive(Default)]
struct Factors {
    coefficient: i128,
    atoms: ExprList,
    sums: ExprList,
    zero: bool,
    overflow: bool,
}

impl Factors {
    fn collect(&mut self, pool: &ExprPool, e: Expr) {
        match pool.data(e) {
            Data::Const(0) => self.zero = true,
            Data::Const(v) => self.scale(i128::from(*v)),
            Data::Sum(_) => self.sums.push(e),
            Data::Product { factors, .. } => factors.iter().for_each(|&f| self.collect(pool, f)),
            _ => self.atoms.push(e),
        }
    }

    fn scale(&mut self, k: i128) {
        match self.coefficient.checked_mul(k) {
            Some(product) => self.coefficient = product,
            None => self.overflow = true,
        }
    }

    /// Moves the content of every sum to the coefficient and the atoms.
    fn make_primitive(&mut self, pool: &ExprPool) -> Checked<()> {
        let mut pending = std::mem::take(&mut self.sums);
        while let Some(sum) = pending.pop() {
            let (k, common, primitive) = pool.content(&pool.poly(sum))?;
            if k == 1 && common.is_empty() {
                self.sums.push(sum);
                continue;
            }
            self.scale(k);
            let primitive = pool.finish(Ok(primitive));
            if let Some(kind) = pool.as_invalid(primitive) {
                return Err(kind);
            }
            for f in common.into_iter().chain([primitive]) {
                match pool.data(f) {
                    Data::Sum(_) => pending.push(f),
                    _ => self.atoms.push(f),
                }
            }
        }
        match self.overflow {
            true => Err(InvalidKind::Overflow),
            false => Ok(()),
        }
    }
}
