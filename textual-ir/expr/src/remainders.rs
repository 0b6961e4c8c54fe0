//! Sums of quotients and remainders that say one thing.

use crate::{Expr, ExprNode, ExprPool};

impl ExprPool {
    /// The same value with fewer divisions: `b*floordiv(a, b) + mod(a, b)` is `a`, whatever stands in front of both. An index that
    /// was taken apart into those of dimensions, and put together again as a position, is the index.
    pub fn cancel_remainders(&self, e: Expr) -> Expr {
        let (mut best, mut now) = (e, e);
        while let Some(next) = self.expand_one(now) {
            now = next;
            if self.divided_terms(now).0 < self.divided_terms(best).0 {
                best = now;
            }
        }
        best
    }

    /// Writes `a - b*floordiv(a, b)` for a remainder where that leaves fewer divisions, or as many with fewer remainders: the
    /// quotient may then cancel another one.
    fn expand_one(&self, e: Expr) -> Option<Expr> {
        let now = self.divided_terms(e);
        let factors = |product: Expr| match self.node(product) {
            ExprNode::Product(factors) => factors.to_vec(),
            _ => vec![product],
        };
        let terms = self.terms(e);
        for &(coefficient, product) in terms.iter() {
            let factors_here = factors(product);
            for (i, &factor) in factors_here.iter().enumerate() {
                let ExprNode::Mod(a, b) = self.node(factor) else { continue };
                let others = factors_here.iter().enumerate().filter(|(j, _)| *j != i);
                let others = others.fold(self.constant(coefficient), |p, (_, &f)| self.mul(p, f));
                let rest = self.sub(e, self.scale(coefficient, product));
                // Quotients that are there already may be of something that differs by multiples of the divisor.
                let quotients = terms.iter().flat_map(|&(_, product)| factors(product));
                let same = quotients.filter_map(|f| match self.node(f) {
                    ExprNode::FloorDiv(x, d) if d == b && self.modulo(self.sub(x, a), b) == Expr::ZERO => Some(x),
                    _ => None,
                });
                for a in same.chain([a]) {
                    let expanded = self.sub(a, self.mul(b, self.floordiv(a, b)));
                    let new = self.add(rest, self.mul(others, expanded));
                    if self.as_invalid(new).is_none() && self.divided_terms(new) < now {
                        return Some(new);
                    }
                }
            }
        }
        None
    }

    /// Terms with a quotient or a remainder among their factors, and those with a remainder.
    fn divided_terms(&self, e: Expr) -> (usize, usize) {
        let remainder = |f: Expr| matches!(self.node(f), ExprNode::Mod(..));
        let divided = |f: Expr| matches!(self.node(f), ExprNode::FloorDiv(..) | ExprNode::CeilDiv(..)) || remainder(f);
        let terms = self.terms(e);
        let count = |with: &dyn Fn(Expr) -> bool| {
            let terms = terms.iter().filter(|&&(_, product)| match self.node(product) {
                ExprNode::Product(factors) => factors.iter().any(|&f| with(f)),
                _ => with(product),
            });
            terms.count()
        };
        (count(&divided), count(&remainder))
    }
}
