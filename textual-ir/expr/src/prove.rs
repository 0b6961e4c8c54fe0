//! Divisibility and proofs of equality and order.
//!
//! Every proof is sound and none is complete: `true` means that the relation holds for all assignments that satisfy the
//! facts and give both sides a value; `false` means only that it was not proved.

use crate::bounds::Query;
use crate::eval::floor_div;
use crate::facts::Facts;
use crate::interval::NEG_INF;
use crate::node::{Data, Expr};
use crate::poly::{Poly, gcd};
use crate::pool::ExprPool;

impl ExprPool {
    /// The largest known number that divides every value: at least 1, or 0 when the value is always 0.
    pub fn divisor(&self, e: Expr, facts: &Facts) -> i64 {
        // A divisor of more than 63 bits comes only from the smallest number; half of it is a divisor too.
        let narrow = |v: i128| i64::try_from(v).unwrap_or(1 << 62);
        match self.data(e) {
            Data::Const(v) => narrow(i128::from(*v).abs()),
            Data::Symbol(s) => {
                let known = facts.get(*s);
                match (known.min, known.max) {
                    (Some(a), Some(b)) if a == b => narrow(i128::from(a).abs()),
                    _ => known.divisor.max(1),
                }
            }
            Data::Sum(list) | Data::Min(list) | Data::Max(list) => {
                narrow(list.iter().fold(0, |g, &t| gcd(g, self.divisor(t, facts).into())))
            }
            Data::Product { factors, .. } => factors.iter().fold(1i64, |p, &f| {
                let d = self.divisor(f, facts);
                // Each of two divisors is a divisor of the product.
                p.checked_mul(d).unwrap_or(p.max(d))
            }),
            Data::FloorDiv(a, b) | Data::CeilDiv(a, b) => match (self.divisor(*a, facts), self.as_const(*b)) {
                (d, Some(c)) if c > 0 && d % c == 0 => d / c,
                _ => 1,
            },
            Data::Mod(a, b) => narrow(gcd(self.divisor(*a, facts).into(), self.divisor(*b, facts).into())),
            Data::Invalid(_) => 1,
        }
    }

    /// Whether `a == b` for all values of all symbols, negative ones too.
    pub fn prove_eq(&self, a: Expr, b: Expr) -> bool {
        let difference = self.sub(a, b);
        if difference == Expr::ZERO {
            return true;
        }
        self.as_invalid(difference).is_none() && self.without_mod(difference) == Expr::ZERO
    }

    /// Whether `a == b` under the facts.
    pub fn prove_eq_given(&self, a: Expr, b: Expr, facts: &Facts) -> bool {
        if self.prove_eq(a, b) {
            return true;
        }
        let difference = self.sub(a, b);
        if self.as_invalid(difference).is_some() {
            return false;
        }
        if self.simplify(self.without_mod(self.simplify(difference, facts)), facts) == Expr::ZERO {
            return true;
        }
        let mut query = Query::new(self, facts);
        query.nonnegative(difference) && query.nonnegative(self.neg(difference))
    }

    /// Whether `a != b` under the facts.
    pub fn prove_ne(&self, a: Expr, b: Expr, facts: &Facts) -> bool {
        let difference = self.sub(a, b);
        if let Some(v) = self.as_const(difference) {
            return v != 0;
        }
        if self.as_invalid(difference).is_some() {
            return false;
        }
        let (rest, constant) = self.split_constant(difference);
        let divisor = self.divisor(rest, facts);
        if divisor == 0 && constant != 0 || divisor > 1 && constant % divisor != 0 {
            return true;
        }
        self.prove_lt(a, b, facts) || self.prove_lt(b, a, facts)
    }

    /// Whether `a <= b` under the facts.
    pub fn prove_le(&self, a: Expr, b: Expr, facts: &Facts) -> bool {
        let difference = self.sub(b, a);
        match self.data(difference) {
            Data::Const(v) => *v >= 0,
            Data::Invalid(_) => false,
            _ => {
                let low = Query::new(self, facts).lower(difference, 0);
                low >= 0 || low != NEG_INF && self.round_up(difference, low, facts) >= 0
            }
        }
    }

    /// Whether `a < b` under the facts.
    pub fn prove_lt(&self, a: Expr, b: Expr, facts: &Facts) -> bool {
        self.prove_le(self.add(a, Expr::ONE), b, facts)
    }

    /// The smallest value not below `low` that the divisibility of the expression allows.
    fn round_up(&self, e: Expr, low: i128, facts: &Facts) -> i128 {
        let (rest, constant) = self.split_constant(e);
        let (divisor, constant) = (i128::from(self.divisor(rest, facts)), i128::from(constant));
        if divisor == 0 {
            return constant;
        }
        let steps = floor_div(constant - low, divisor).unwrap_or(0);
        constant - steps * divisor
    }

    /// Writes `mod` by division, and divisions by constants with coefficients in `0..c`: equal expressions that differ
    /// only in how a division was split become the same.
    pub(crate) fn without_mod(&self, e: Expr) -> Expr {
        if self.is_closed(e) {
            return e;
        }
        let rebuilt = self.rebuild(e, &mut |child| self.without_mod(child));
        let mut result = Poly::default();
        let mut changed = false;
        // Only atoms that stand alone or in products are replaced; operands were handled by the rebuilding.
        for (k, m) in self.terms(rebuilt) {
            let mut term = self.constant(k);
            for &atom in self.factor_slice(&m) {
                let plain = self.plain_division(atom);
                changed |= plain != atom;
                term = self.mul(term, plain);
            }
            if self.add_scaled(&mut result, 1, term).is_err() {
                return rebuilt;
            }
        }
        if changed { self.finish(Ok(result)) } else { rebuilt }
    }

    fn plain_division(&self, atom: Expr) -> Expr {
        match *self.data(atom) {
            Data::Mod(x, b) => {
                let quotient = self.plain_division(self.floordiv(x, b));
                let exact = match self.data(quotient) {
                    Data::FloorDiv(..) => quotient,
                    // The quotient was split: look into it once more.
                    _ => self.without_mod(quotient),
                };
                self.sub(x, self.mul(b, exact))
            }
            Data::FloorDiv(x, b) => {
                let Some(c) = self.as_const(b).map(i128::from) else { return atom };
                let poly = self.poly(x);
                if poly.terms.iter().all(|t| t.0 >= 0) {
                    return atom;
                }
                let (mut quotient, mut rest) = (Poly::default(), Poly { constant: poly.constant, ..Poly::default() });
                for &(k, m) in &poly.terms {
                    // Cannot overflow: terms only move.
                    let _ = quotient.push(k.div_euclid(c), m).and_then(|()| rest.push(k.rem_euclid(c), m));
                }
                let rest = self.finish(Ok(rest));
                self.add(self.finish(Ok(quotient)), self.floordiv(rest, b))
            }
            _ => atom,
        }
    }
}
