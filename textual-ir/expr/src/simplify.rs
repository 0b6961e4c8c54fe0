//! Simplification that uses facts.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::bounds::Query;
use crate::eval::floor_div;
use crate::extremum::Extremum;
use crate::facts::Facts;
use crate::interval::{NEG_INF, POS_INF};
use crate::node::{Data, Expr};
use crate::poly::{ExprList, gcd};
use crate::pool::ExprPool;

/// Most rewrites of one expression; a rule that made its own input again would stop here.
const MAX_STEPS: u32 = 2000;

impl ExprPool {
    /// An expression that is equal wherever the facts hold and the original has a value, and that is not longer.
    ///
    /// Divisions and remainders whose result the ranges decide disappear, parts of a dividend below the granularity of
    /// the rest are dropped, operands of `min` and `max` that another one beats are removed, and
    /// `b*floordiv(x, b) + mod(x, b)` becomes `x`.
    pub fn simplify(&self, e: Expr, facts: &Facts) -> Expr {
        let query = Query::new(self, facts);
        Simplifier { pool: self, facts, query, done: FxHashMap::default(), steps: MAX_STEPS }.run(e)
    }
}

struct Simplifier<'a> {
    pool: &'a ExprPool,
    facts: &'a Facts,
    query: Query<'a>,
    done: FxHashMap<Expr, Expr>,
    steps: u32,
}

impl Simplifier<'_> {
    fn run(&mut self, e: Expr) -> Expr {
        let pool = self.pool;
        if pool.is_closed(e) {
            return e;
        }
        if let Some(&done) = self.done.get(&e) {
            return done;
        }
        let mut current = e;
        loop {
            let rebuilt = pool.rebuild(current, &mut |child| self.run(child));
            let next = if rebuilt == current { self.step(current) } else { rebuilt };
            if next == current || self.steps == 0 {
                break;
            }
            self.steps -= 1;
            // Simplification must not lose an expression because an intermediate form is too large.
            if pool.as_invalid(next).is_some() {
                break;
            }
            current = next;
        }
        self.done.insert(e, current);
        current
    }

    /// One rewrite at the root; the same expression when there is none.
    fn step(&mut self, e: Expr) -> Expr {
        self.query.refuel();
        match *self.pool.data(e) {
            Data::Symbol(s) => {
                let known = self.facts.get(s);
                match (known.min, known.max) {
                    (Some(a), Some(b)) if a == b => self.pool.constant(a),
                    _ => e,
                }
            }
            Data::FloorDiv(x, b) => self.floordiv(e, x, b),
            Data::CeilDiv(x, b) => self.ceildiv(e, x, b),
            Data::Mod(x, b) => self.modulo(e, x, b),
            Data::Min(ref list) => self.extremum(Extremum::Min, list),
            Data::Max(ref list) => self.extremum(Extremum::Max, list),
            Data::Sum(_) | Data::Product { .. } => self.divisions_in_sum(e),
            Data::Const(_) | Data::Invalid(_) => e,
        }
    }

    fn floordiv(&mut self, e: Expr, x: Expr, b: Expr) -> Expr {
        let pool = self.pool;
        if let Some(c) = pool.as_const(b) {
            if let Some(q) = self.constant_quotient(x, c.into()) {
                return q;
            }
            // floor((g*X + r) / (g*c)) = floor(X / c) for r in 0..g
            return match self.split_fine(x, c) {
                Some((coarse, _)) => pool.floordiv(coarse, b),
                None => e,
            };
        }
        if self.query.nonnegative(x) && self.query.nonnegative(pool.sub(pool.sub(b, Expr::ONE), x)) {
            return Expr::ZERO;
        }
        match *pool.data(x) {
            Data::FloorDiv(y, a) if self.query.nonnegative(b) => pool.floordiv(y, pool.mul(a, b)),
            _ => e,
        }
    }

    fn ceildiv(&mut self, e: Expr, x: Expr, b: Expr) -> Expr {
        let pool = self.pool;
        if self.query.nonnegative(pool.sub(x, Expr::ONE)) && self.query.nonnegative(pool.sub(b, x)) {
            return Expr::ONE;
        }
        match *pool.data(x) {
            Data::CeilDiv(y, a) if self.query.nonnegative(b) => pool.ceildiv(y, pool.mul(a, b)),
            _ => e,
        }
    }

    fn modulo(&mut self, e: Expr, x: Expr, b: Expr) -> Expr {
        let pool = self.pool;
        if let Some(c) = pool.as_const(b) {
            if let Some(q) = self.constant_quotient(x, c.into()) {
                return pool.sub(x, pool.mul(q, b));
            }
            if pool.divisor(x, self.facts) % c == 0 {
                return Expr::ZERO;
            }
            return match self.split_fine(x, c) {
                Some((coarse, fine)) => pool.add(pool.modulo(coarse, b), fine),
                None => e,
            };
        }
        if self.query.nonnegative(x) && self.query.nonnegative(pool.sub(pool.sub(b, Expr::ONE), x)) {
            return x;
        }
        e
    }

    /// `floor(x / c)` when it is the same for the whole range of `x`.
    fn constant_quotient(&mut self, x: Expr, c: i128) -> Option<Expr> {
        let range = self.query.range(x);
        if range.lo == NEG_INF || range.hi == POS_INF {
            return None;
        }
        let (a, b) = (floor_div(range.lo, c).ok()?, floor_div(range.hi, c).ok()?);
        (a == b).then(|| i64::try_from(a).ok()).flatten().map(|q| self.pool.constant(q))
    }

    /// `x = coarse + fine`, where for some divisor `g` of `c` (`c` itself included) `coarse` is a multiple of `g` and
    /// `fine` is in `0..g` and not zero.
    fn split_fine(&mut self, x: Expr, c: i64) -> Option<(Expr, Expr)> {
        let pool = self.pool;
        let terms = pool.terms(x);
        let divisor = |k: i64, m: Expr| gcd(pool.divisor(pool.mul(pool.constant(k), m), self.facts).into(), c.into());
        let divisors: SmallVec<[i128; 4]> = terms.iter().map(|&(k, m)| divisor(k, m)).collect();
        let mut candidates: SmallVec<[i128; 4]> = divisors.iter().copied().filter(|&g| g > 1).collect();
        candidates.sort_unstable_by(|a, b| b.cmp(a));
        candidates.dedup();
        for g in candidates {
            let part = |coarse: bool| {
                let chosen = terms.iter().zip(&divisors).filter(|(_, d)| (**d % g == 0) == coarse);
                pool.linear_combination(chosen.map(|(&t, _)| t))
            };
            let (coarse, fine) = (part(true), part(false));
            if fine == Expr::ZERO {
                continue;
            }
            if let Some(q) = self.constant_quotient(fine, g) {
                // `fine` is in q*g .. q*g + g.
                let shift = pool.scale(i64::try_from(g).ok()?, q);
                let (coarse, fine) = (pool.add(coarse, shift), pool.sub(fine, shift));
                if coarse != x {
                    return Some((coarse, fine));
                }
            }
        }
        None
    }

    fn extremum(&mut self, which: Extremum, list: &[Expr]) -> Expr {
        let pool = self.pool;
        let mut kept: ExprList = list.iter().copied().collect();
        let mut i = 0;
        while i < kept.len() {
            let beaten = (0..kept.len()).filter(|&j| j != i).any(|j| {
                let difference = match which {
                    Extremum::Min => pool.sub(kept[i], kept[j]),
                    Extremum::Max => pool.sub(kept[j], kept[i]),
                };
                self.query.refuel();
                self.query.nonnegative(difference)
            });
            if beaten {
                kept.remove(i);
            } else {
                i += 1;
            }
        }
        pool.extremum(which, kept)
    }

    /// Rewrites one division or remainder of a sum of products together with the rest of the sum.
    fn divisions_in_sum(&mut self, e: Expr) -> Expr {
        let pool = self.pool;
        let terms = pool.terms(e);
        let mut atoms = ExprList::new();
        for (_, m) in &terms {
            atoms.extend(pool.factor_slice(m).iter().copied().filter(|a| !atoms.contains(a)).collect::<ExprList>());
        }
        let shorter = |new: Expr| pool.as_invalid(new).is_none() && pool.terms(new).len() < terms.len();
        for atom in atoms {
            let Some((factor, rest)) = pool.linear_in_atom(e, atom) else { continue };
            match *pool.data(atom) {
                Data::Mod(x, b) => {
                    // mod(x, b) = x - b*floordiv(x, b)
                    let value = pool.sub(x, pool.mul(b, pool.floordiv(x, b)));
                    let new = pool.add(pool.mul(factor, value), rest);
                    if shorter(new) {
                        return new;
                    }
                }
                Data::FloorDiv(x, b) => {
                    let Some(reduced) = pool.exact_div(factor, b) else { continue };
                    let c = pool.as_const(b).unwrap_or(0);
                    if c > 0 && pool.divisor(x, self.facts) % c == 0 {
                        return pool.add(pool.mul(reduced, x), rest);
                    }
                    // b*floordiv(x, b) = x - mod(x, b)
                    let value = pool.sub(x, pool.modulo(x, b));
                    let new = pool.add(pool.mul(reduced, value), rest);
                    if shorter(new) {
                        return new;
                    }
                }
                _ => {}
            }
        }
        e
    }
}
