//! Division and remainder.
//!
//! All rules follow from `floor(n + x/y) = n + floor(x/y)` for an integer `n`, from `(g*x)/(g*y) = x/y` for `g != 0`, and
//! from `floor(floor(x/a)/c) = floor(x/(a*c))` for positive `a` and `c`. None needs facts about symbols, except that a
//! divisor is not zero.

use crate::node::{Data, Expr, InvalidKind};
use crate::poly::{Checked, ExprList, Poly, gcd};
use crate::pool::ExprPool;

/// Most steps of a polynomial division; more means that it is not worth it.
const DIVISION_STEPS: usize = 128;

impl ExprPool {
    /// `a / b` rounded towards negative infinity.
    pub fn floordiv(&self, a: Expr, b: Expr) -> Expr {
        self.divide(a, b).unwrap_or_else(Expr::invalid)
    }

    /// `a / b` rounded towards positive infinity, which is `-floordiv(-a, b)`.
    pub fn ceildiv(&self, a: Expr, b: Expr) -> Expr {
        match self.as_const(b) {
            Some(c) if c > 0 => self.floordiv(self.add(a, self.constant(c - 1)), b),
            Some(c) if c < 0 => self.ceildiv(self.neg(a), self.neg(b)),
            _ => self.neg(self.floordiv(self.neg(a), b)),
        }
    }

    /// The smallest multiple of `b` that is not below `a`, for positive `b`: `b*ceildiv(a, b)`.
    pub fn align_up(&self, a: Expr, b: Expr) -> Expr {
        self.mul(b, self.ceildiv(a, b))
    }

    /// `a - b*floordiv(a, b)`; in `0..b` for positive `b`, in `b+1..=0` for negative `b`.
    pub fn modulo(&self, a: Expr, b: Expr) -> Expr {
        self.remainder(a, b).unwrap_or_else(Expr::invalid)
    }

    /// The polynomial `q` with `a = b*q`, when there is one (an identity, whatever the values of the symbols).
    pub fn exact_div(&self, a: Expr, b: Expr) -> Option<Expr> {
        if b == Expr::ZERO || self.first_invalid(a, b).is_some() {
            return None;
        }
        let (a, b) = (self.poly(a), self.poly(b));
        let q = match b.len() {
            1 => {
                let (q, r) = self.split_monomial(&a, &b).ok()?;
                (r.len() == 0).then_some(q)?
            }
            _ => self.divide_polynomials(&a, &b)?,
        };
        let q = self.finish(Ok(q));
        self.as_invalid(q).is_none().then_some(q)
    }

    fn first_invalid(&self, a: Expr, b: Expr) -> Option<InvalidKind> {
        self.as_invalid(a).max(self.as_invalid(b))
    }

    fn divide(&self, a: Expr, b: Expr) -> Checked<Expr> {
        if let Some(kind) = self.first_invalid(a, b) {
            return Err(kind);
        }
        match self.as_const(b) {
            Some(0) => Err(InvalidKind::DivisionByZero),
            Some(1) => Ok(a),
            Some(c) if c < 0 => {
                let positive = c.checked_neg().ok_or(InvalidKind::Overflow)?;
                self.divide(self.neg(a), self.constant(positive))
            }
            Some(c) => self.divide_by_const(self.poly(a), i128::from(c)),
            None => self.divide_by_symbolic(self.poly(a), self.poly(b)),
        }
    }

    fn divide_by_const(&self, mut x: Poly, c: i128) -> Checked<Expr> {
        // floor((g*X + k) / (g*c)) = floor((X + floor(k/g)) / c)
        let g = x.terms.iter().fold(c, |g, t| gcd(g, t.0));
        x.terms.iter_mut().for_each(|t| t.0 /= g);
        x.constant = x.constant.div_euclid(g);
        let c = c / g;

        // Coefficients are split towards zero, so that `N - M` stays as it is; the constant into `0..c`.
        let (mut quotient, mut rest) = (Poly::default(), Poly::default());
        for &(k, m) in &x.terms {
            quotient.push(k / c, m)?;
            rest.push(k % c, m)?;
        }
        rest.terms.retain(|t| t.0 != 0);
        quotient.constant = x.constant.div_euclid(c);
        rest.constant = x.constant.rem_euclid(c);
        if !rest.terms.is_empty() {
            let divided = match self.divide_single_term(&rest, c)? {
                Some(e) => e,
                None => {
                    let divisor = i64::try_from(c).map_err(|_| InvalidKind::Overflow)?;
                    let rest = self.finish(Ok(rest));
                    if let Some(kind) = self.as_invalid(rest) {
                        return Err(kind);
                    }
                    self.intern(Data::FloorDiv(rest, self.constant(divisor)))
                }
            };
            self.add_scaled(&mut quotient, 1, divided)?;
        }
        Ok(self.finish(Ok(quotient)))
    }

    /// Division of `floordiv(..) + k` and `mod(..) + k` by a constant.
    fn divide_single_term(&self, x: &Poly, c: i128) -> Checked<Option<Expr>> {
        let &[(1, atom)] = x.terms.as_slice() else { return Ok(None) };
        match *self.data(atom) {
            Data::FloorDiv(y, a) => {
                let Some(a) = self.as_const(a) else { return Ok(None) };
                let a = i128::from(a);
                let (Ok(shift), Ok(divisor)) = (i64::try_from(a * x.constant), i64::try_from(a * c)) else {
                    return Ok(None);
                };
                let numerator = self.add(y, self.constant(shift));
                self.divide(numerator, self.constant(divisor)).map(Some)
            }
            Data::Mod(y, m) => {
                let Some(m) = self.as_const(m) else { return Ok(None) };
                let m = i128::from(m);
                if m - 1 + x.constant < c {
                    return Ok(Some(Expr::ZERO));
                }
                if x.constant != 0 || m % c != 0 {
                    return Ok(None);
                }
                // Both fit, since `c <= m` here.
                let quotient = self.divide(y, self.constant(c as i64))?;
                self.remainder(quotient, self.constant((m / c) as i64)).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn divide_by_symbolic(&self, a: Poly, b: Poly) -> Checked<Expr> {
        let (mut quotient, rest) = self.split_symbolic(a, &b)?;
        if rest.len() == 0 {
            return Ok(self.finish(Ok(quotient)));
        }
        let (_, mut a, mut b) = self.cancel(rest, b)?;
        if b.terms.is_empty() {
            let divided = self.divide(self.finish(Ok(a)), self.finish(Ok(b)))?;
            self.add_scaled(&mut quotient, 1, divided)?;
            return Ok(self.finish(Ok(quotient)));
        }
        if b.leading_is_negative() {
            (a, b) = (negate(a), negate(b));
        }
        let down = !a.leading_is_negative();
        if !down {
            a = negate(a);
        }
        let (a, b) = (self.finish(Ok(a)), self.finish(Ok(b)));
        if let Some(kind) = self.first_invalid(a, b) {
            return Err(kind);
        }
        match down {
            true => self.add_scaled(&mut quotient, 1, self.intern(Data::FloorDiv(a, b)))?,
            false => self.add_scaled(&mut quotient, -1, self.intern(Data::CeilDiv(a, b)))?,
        }
        Ok(self.finish(Ok(quotient)))
    }

    fn remainder(&self, a: Expr, b: Expr) -> Checked<Expr> {
        if let Some(kind) = self.first_invalid(a, b) {
            return Err(kind);
        }
        match self.as_const(b) {
            Some(0) => Err(InvalidKind::DivisionByZero),
            Some(1 | -1) => Ok(Expr::ZERO),
            Some(c) if c < 0 => {
                // mod(a, -c) = -mod(-a, c)
                let positive = c.checked_neg().ok_or(InvalidKind::Overflow)?;
                Ok(self.neg(self.remainder(self.neg(a), self.constant(positive))?))
            }
            Some(c) => self.remainder_const(self.poly(a), i128::from(c)),
            None => self.remainder_symbolic(self.poly(a), self.poly(b)),
        }
    }

    fn remainder_const(&self, a: Poly, c: i128) -> Checked<Expr> {
        // An inner `mod` whose modulus is a multiple of what matters here does nothing.
        let mut x = Poly { terms: Default::default(), constant: a.constant };
        let mut unwrapped = false;
        for &(k, atom) in &a.terms {
            match *self.data(atom) {
                Data::Mod(y, m) if self.as_const(m).is_some_and(|m| (k % c * i128::from(m)) % c == 0) => {
                    self.add_scaled(&mut x, k % c, y)?;
                    unwrapped = true;
                }
                _ => x.push(k % c, atom)?,
            }
        }
        if unwrapped {
            let x = self.finish(Ok(x));
            return self.remainder(x, self.constant(c as i64));
        }
        // mod(g*X + k, g*c) = g*mod(X + floor(k/g), c) + k mod g
        let g = x.terms.iter().fold(c, |g, t| gcd(g, t.0));
        let low = x.constant.rem_euclid(g);
        let c = c / g;
        let mut rest = Poly { terms: Default::default(), constant: x.constant.div_euclid(g).rem_euclid(c) };
        for &(k, m) in &x.terms {
            // The residue nearest to zero: `mod(-N, 64)` rather than `mod(63*N, 64)`.
            let r = (k / g).rem_euclid(c);
            let r = if 2 * r > c { r - c } else { r };
            if r != 0 {
                rest.push(r, m)?;
            }
        }
        let mut result = Poly { terms: Default::default(), constant: low };
        if rest.terms.is_empty() {
            result.constant += g * rest.constant;
            return Ok(self.finish(Ok(result)));
        }
        let fits = match rest.terms.as_slice() {
            [(1, atom)] => match *self.data(*atom) {
                Data::Mod(_, m) => self.as_const(m).is_some_and(|m| i128::from(m) - 1 + rest.constant < c),
                _ => false,
            },
            _ => false,
        };
        let rest = self.finish(Ok(rest));
        if let Some(kind) = self.as_invalid(rest) {
            return Err(kind);
        }
        let inner = if fits { rest } else { self.intern(Data::Mod(rest, self.constant(c as i64))) };
        self.add_scaled(&mut result, g, inner)?;
        Ok(self.finish(Ok(result)))
    }

    fn remainder_symbolic(&self, a: Poly, b: Poly) -> Checked<Expr> {
        let (_, rest) = self.split_symbolic(a, &b)?;
        if rest.len() == 0 {
            return Ok(Expr::ZERO);
        }
        // mod(g*a, g*b) = g*mod(a, b)
        let (common, mut a, mut b) = self.cancel(rest, b)?;
        let inner = if b.terms.is_empty() {
            self.remainder(self.finish(Ok(a)), self.finish(Ok(b)))?
        } else {
            let negative = b.leading_is_negative();
            if negative {
                (a, b) = (negate(a), negate(b));
            }
            let (a, b) = (self.finish(Ok(a)), self.finish(Ok(b)));
            if let Some(kind) = self.first_invalid(a, b) {
                return Err(kind);
            }
            let inner = self.intern(Data::Mod(a, b));
            if negative { self.neg(inner) } else { inner }
        };
        Ok(self.mul(common, inner))
    }

    /// `a = b*quotient + rest`, where the quotient takes what divides as polynomials.
    fn split_symbolic(&self, a: Poly, b: &Poly) -> Checked<(Poly, Poly)> {
        if b.len() == 1 {
            return self.split_monomial(&a, b);
        }
        Ok(match self.divide_polynomials(&a, b) {
            Some(quotient) => (quotient, Poly::default()),
            None => (Poly::default(), a),
        })
    }

    /// `a = b*quotient + rest` for a divisor of one term, which takes every term that divides.
    fn split_monomial(&self, a: &Poly, b: &Poly) -> Checked<(Poly, Poly)> {
        let (kb, mb) = b.terms.first().copied().unwrap_or((b.constant, Expr::ONE));
        let (mut quotient, mut rest) = (Poly::default(), Poly::default());
        let constant = (a.constant != 0).then_some((a.constant, Expr::ONE));
        for (k, m) in a.terms.iter().copied().chain(constant) {
            let exact = (k % kb == 0).then(|| self.divide_monomial(m, mb)).flatten();
            match exact {
                Some(m) => self.add_scaled(&mut quotient, k / kb, m)?,
                None => rest.push(k, m)?,
            }
        }
        Ok((quotient, rest))
    }

    fn divide_monomial(&self, m: Expr, by: Expr) -> Option<Expr> {
        let factors: ExprList = self.factor_slice(&by).into();
        self.remove_factors(m, &factors)
    }

    /// Exact polynomial division by leading terms; none when there is a remainder.
    fn divide_polynomials(&self, a: &Poly, b: &Poly) -> Option<Poly> {
        let &(kb, mb) = b.terms.first()?;
        let (mut quotient, mut rest) = (Poly::default(), a.clone());
        for _ in 0..DIVISION_STEPS {
            if rest.len() == 0 {
                return Some(quotient);
            }
            let &(k, m) = rest.terms.first()?;
            let q = (k % kb == 0).then(|| self.divide_monomial(m, mb)).flatten()?;
            self.add_scaled(&mut quotient, k / kb, q).ok()?;
            let mut step = Poly::default();
            self.add_scaled(&mut step, -(k / kb), q).ok()?;
            let product = self.multiply(&step, b).ok()?;
            rest.constant = rest.constant.checked_add(product.constant)?;
            rest.terms.extend(product.terms);
            rest.normalize(self).ok()?;
        }
        None
    }

    /// Divides both by their greatest common monomial factor (with a positive coefficient), which is returned first.
    fn cancel(&self, mut a: Poly, mut b: Poly) -> Checked<(Expr, Poly, Poly)> {
        let g = gcd(a.coefficient_gcd(), b.coefficient_gcd()).max(1);
        let mut available = self.common_atoms(&b);
        let mut common = self.common_atoms(&a);
        common.retain(|f| match available.iter().position(|o| o == f) {
            Some(at) => {
                available.remove(at);
                true
            }
            None => false,
        });
        for p in [&mut a, &mut b] {
            let mut reduced = Poly { terms: Default::default(), constant: p.constant / g };
            for &(k, m) in &p.terms {
                self.add_scaled(&mut reduced, k / g, self.remove_factors(m, &common).unwrap_or(m))?;
            }
            *p = reduced;
        }
        let mut factor = Poly::default();
        factor.push(g, self.monomial(&common))?;
        Ok((self.finish(Ok(factor)), a, b))
    }
}

fn negate(mut p: Poly) -> Poly {
    p.terms.iter_mut().for_each(|t| t.0 = -t.0);
    p.constant = -p.constant;
    p
}
