//! Sums of quotients and remainders that say one thing.

use crate::{Expr, ExprNode, ExprPool};

impl ExprPool {
    /// The same value with fewer divisions: `b*floordiv(a, b) + mod(a, b)` is `a`, whatever stands in front of both. An index that
    /// was taken apart into those of dimensions, and put together again as a position, is the index.
    pub fn cancel_remainders(&self, e: Expr) -> Expr {
        let mut best = e;
        while let Some(better) = self.expand_one(best) {
            best = better;
        }
        best
    }

    /// Writes `a - b*floordiv(a, b)` for a remainder where that leaves fewer divisions.
    fn expand_one(&self, e: Expr) -> Option<Expr> {
        let now = self.divided_terms(e);
        for &(coefficient, product) in self.terms(e).iter() {
            let factors = match self.node(product) {
                ExprNode::Product(factors) => factors.to_vec(),
                _ => vec![product],
            };
            for (i, &factor) in factors.iter().enumerate() {
                let ExprNode::Mod(a, b) = self.node(factor) else { continue };
                let others = factors.iter().enumerate().filter(|(j, _)| *j != i);
                let others = others.fold(self.constant(coefficient), |p, (_, &f)| self.mul(p, f));
                let expanded = self.sub(a, self.mul(b, self.floordiv(a, b)));
                let rest = self.sub(e, self.scale(coefficient, product));
                let new = self.add(rest, self.mul(others, expanded));
                if self.as_invalid(new).is_none() && self.divided_terms(new) < now {
                    return Some(new);
                }
            }
        }
        None
    }

    /// Terms with a quotient or a remainder among their factors.
    fn divided_terms(&self, e: Expr) -> usize {
        let divided =
            |f: Expr| matches!(self.node(f), ExprNode::Mod(..) | ExprNode::FloorDiv(..) | ExprNode::CeilDiv(..));
        let terms = self.terms(e);
        let with = terms.iter().filter(|&&(_, product)| match self.node(product) {
            ExprNode::Product(factors) => factors.iter().any(|&f| divided(f)),
            _ => divided(product),
        });
        with.count()
    }
}
