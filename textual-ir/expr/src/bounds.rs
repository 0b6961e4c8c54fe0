//! Bounds of expressions from facts.
//!
//! A lower bound is found in two ways and the better one counts. *Interval arithmetic* takes each atom at its own
//! extreme. *Elimination* writes `e = c*t + rest` for an atom `t` and a factor `c` of known sign, and puts a symbolic
//! bound of `t` in its place: the upper bound `N - 1` of an iteration variable, `x - b + 1 <= b*floordiv(x, b) <= x` of a
//! division, each operand of a `min`. What results is pointwise not greater than `e`, so its lower bound is one of `e`.
//! An upper bound is the negated lower bound of `-e`. The search is bounded by fuel; giving up only weakens the answer.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::facts::Facts;
use crate::interval::{Interval, NEG_INF, POS_INF, negate};
use crate::node::{Data, Expr};
use crate::poly::ExprList;
use crate::pool::ExprPool;

/// Eliminations for one question.
const FUEL: u32 = 300;
/// Expressions looked at for one question: a product of n symbols of unknown sign has 2^n parts.
const STEPS: u32 = 2_000;
/// Deepest chain of eliminations and operands.
const MAX_NESTING: u32 = 48;

/// The range of values of an expression; an absent end is not known.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Bounds {
    /// The value is at least this.
    pub min: Option<i64>,
    /// The value is at most this.
    pub max: Option<i64>,
}

impl ExprPool {
    /// The range of values for all assignments that satisfy the facts and give the expression a value.
    pub fn bounds(&self, e: Expr, facts: &Facts) -> Bounds {
        let range = Query::new(self, facts).range(e);
        // A value beyond 64 bits is an overflow and not a value, so such an end may move to the edge.
        let clamp = |v: i128| v.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Bounds {
            min: (range.lo >= i64::MIN.into()).then(|| clamp(range.lo)),
            max: (range.hi <= i64::MAX.into()).then(|| clamp(range.hi)),
        }
    }
}

/// What may stand in place of an atom.
enum Candidate {
    /// This bound.
    Bound(Expr),
    /// The bound `numerator / denominator`, where the denominator is positive.
    Ratio(Expr, Expr),
    /// Any one of these, so the worst one counts.
    AnyOf(ExprList),
}

/// Questions about one set of facts; answers are remembered.
pub(crate) struct Query<'a> {
    pub(crate) pool: &'a ExprPool,
    pub(crate) facts: &'a Facts,
    /// The best lower bound so far, and whether the search was exhausted.
    lower: FxHashMap<Expr, (i128, bool)>,
    fuel: u32,
    steps: u32,
    nesting: u32,
}

impl<'a> Query<'a> {
    pub(crate) fn new(pool: &'a ExprPool, facts: &'a Facts) -> Self {
        Query { pool, facts, lower: FxHashMap::default(), fuel: FUEL, steps: STEPS, nesting: 0 }
    }

    /// Gives the search new fuel, for a next question.
    pub(crate) fn refuel(&mut self) {
        (self.fuel, self.steps) = (FUEL, STEPS);
    }

    pub(crate) fn range(&mut self, e: Expr) -> Interval {
        let lo = self.lower(e, POS_INF);
        let hi = negate(self.lower(self.pool.neg(e), POS_INF));
        Interval { lo, hi }
    }

    /// Whether `e >= 0` is known.
    pub(crate) fn nonnegative(&mut self, e: Expr) -> bool {
        self.lower(e, 0) >= 0
    }

    /// A lower bound; the search stops when it reaches the goal.
    pub(crate) fn lower(&mut self, e: Expr, goal: i128) -> i128 {
        match self.pool.data(e) {
            Data::Const(v) => return i128::from(*v),
            Data::Invalid(_) => return NEG_INF,
            _ => {}
        }
        if let Some(&(best, exhausted)) = self.lower.get(&e)
            && (exhausted || best >= goal)
        {
            return best;
        }
        if self.nesting == MAX_NESTING || self.steps == 0 {
            return NEG_INF;
        }
        self.steps -= 1;
        self.nesting += 1;
        // While the answer is being found, a question about the same expression gets what is known so far.
        self.lower.insert(e, (NEG_INF, true));
        let mut best = self.interval(e).lo;
        self.lower.insert(e, (best, true));
        if best < goal {
            best = self.eliminate(e, goal, best);
        }
        self.lower.insert(e, (best, best < goal));
        self.nesting -= 1;
        best
    }

    fn eliminate(&mut self, e: Expr, goal: i128, mut best: i128) -> i128 {
        let pool = self.pool;
        for atom in self.atoms(e) {
            if self.fuel == 0 {
                return best;
            }
            let Some((factor, rest)) = pool.linear_in_atom(e, atom) else { continue };
            let Some(positive) = self.sign(factor) else { continue };
            for candidate in self.candidates(e, atom, positive, pool.as_const(factor).is_some()) {
                if self.fuel == 0 {
                    return best;
                }
                self.fuel -= 1;
                best = best.max(self.try_candidate(factor, rest, candidate, goal));
                if best >= goal {
                    return best;
                }
            }
        }
        if self.nesting <= 2 {
            let facts = self.facts;
            for &known in facts.nonnegative() {
                if self.fuel == 0 || best >= goal {
                    break;
                }
                self.fuel -= 1;
                best = best.max(self.lower(pool.sub(e, known), goal));
            }
        }
        best
    }

    fn try_candidate(&mut self, factor: Expr, rest: Expr, candidate: Candidate, goal: i128) -> i128 {
        let pool = self.pool;
        match candidate {
            Candidate::Bound(bound) => self.lower(pool.add(pool.mul(factor, bound), rest), goal),
            Candidate::Ratio(numerator, denominator) => {
                if let Some(reduced) = pool.exact_div(factor, denominator) {
                    // The denominator is positive, so the reduced factor has the same sign.
                    return self.lower(pool.add(pool.mul(reduced, numerator), rest), goal);
                }
                let Some(d) = pool.as_const(denominator) else { return NEG_INF };
                // e >= l/d for the bound l of d*e, and e is an integer.
                let scaled = pool.add(pool.mul(factor, numerator), pool.scale(d, rest));
                let d = i128::from(d);
                match self.lower(scaled, goal.saturating_mul(d)) {
                    NEG_INF => NEG_INF,
                    l => l.div_euclid(d) + i128::from(l.rem_euclid(d) != 0),
                }
            }
            Candidate::AnyOf(list) => {
                let mut worst = POS_INF;
                for &bound in &list {
                    worst = worst.min(self.lower(pool.add(pool.mul(factor, bound), rest), goal));
                    if worst == NEG_INF {
                        break;
                    }
                }
                worst
            }
        }
    }

    /// The atoms of a sum of products. Operations come first: replacing them uncovers symbols, never the other way.
    fn atoms(&self, e: Expr) -> ExprList {
        let pool = self.pool;
        let (mut operations, mut symbols) = (ExprList::new(), ExprList::new());
        for (_, m) in pool.terms(e) {
            for &atom in pool.factor_slice(&m) {
                let list = if pool.as_symbol(atom).is_some() { &mut symbols } else { &mut operations };
                if !list.contains(&atom) {
                    list.push(atom);
                }
            }
        }
        operations.extend(symbols);
        operations
    }

    /// Whether the factor is never negative (true) or never positive (false), when either is known.
    fn sign(&mut self, factor: Expr) -> Option<bool> {
        match self.pool.as_const(factor) {
            Some(v) => (v != 0).then_some(v > 0),
            None if self.nonnegative(factor) => Some(true),
            None => self.nonnegative(self.pool.neg(factor)).then_some(false),
        }
    }

    /// Lower bounds of the atom when `lower`, else upper bounds.
    fn candidates(&mut self, e: Expr, atom: Expr, lower: bool, constant_factor: bool) -> SmallVec<[Candidate; 4]> {
        let (pool, facts) = (self.pool, self.facts);
        let mut found = SmallVec::new();
        match pool.data(atom) {
            Data::Symbol(s) => {
                let known = facts.get(*s);
                let list = if lower { &known.lower } else { &known.upper };
                found.extend(list.iter().map(|&b| Candidate::Bound(b)));
            }
            &(Data::FloorDiv(x, b) | Data::CeilDiv(x, b)) if self.nonnegative(b) => {
                // A divisor that is not negative is at least 1 wherever the expression has a value.
                let slack = pool.sub(b, Expr::ONE);
                let rounded_down = matches!(pool.data(atom), Data::FloorDiv(..));
                let numerator = match (lower, rounded_down) {
                    (true, true) => pool.sub(x, slack),
                    (false, false) => pool.add(x, slack),
                    _ => x,
                };
                found.push(Candidate::Ratio(numerator, b));
                if !lower && self.nonnegative(x) {
                    found.push(Candidate::Bound(x));
                }
            }
            &Data::Mod(x, b) if self.nonnegative(b) => {
                if !lower {
                    found.push(Candidate::Bound(pool.sub(b, Expr::ONE)));
                    if self.nonnegative(x) {
                        found.push(Candidate::Bound(x));
                    }
                }
                let quotient = pool.floordiv(x, b);
                if self.atoms(e).contains(&quotient) {
                    found.push(Candidate::Bound(pool.sub(x, pool.mul(b, quotient))));
                }
            }
            Data::Min(list) if lower => found.push(Candidate::AnyOf(list.iter().copied().collect())),
            Data::Max(list) if !lower => found.push(Candidate::AnyOf(list.iter().copied().collect())),
            Data::Min(list) | Data::Max(list) => found.extend(list.iter().map(|&b| Candidate::Bound(b))),
            _ => {}
        }
        // With a constant factor, interval arithmetic has used the constant end already.
        if !constant_factor {
            let range = self.range(atom);
            let end = if lower { range.lo } else { range.hi };
            if let Ok(end) = i64::try_from(end) {
                found.push(Candidate::Bound(pool.constant(end)));
            }
        }
        found
    }

    fn interval(&mut self, e: Expr) -> Interval {
        let pool = self.pool;
        match pool.data(e) {
            Data::Sum(_) | Data::Product { .. } => {
                let mut total = Interval::point(0);
                let terms = pool.terms(e);
                // The upper end of an atom is asked for as the lower end of its negation: that must not ask back.
                if let [(-1, atom)] = *terms.as_slice()
                    && pool.factor_slice(&atom).len() == 1
                {
                    return self.interval(atom).neg();
                }
                for (k, m) in terms {
                    let mut product = Interval::point(i128::from(k));
                    for run in pool.factor_slice(&m).chunk_by(|a, b| a == b) {
                        product = product.mul(self.range(run[0]).power(run.len()));
                    }
                    total = total.add(product);
                    if total == Interval::ALL {
                        break;
                    }
                }
                total
            }
            Data::Const(v) => Interval::point(i128::from(*v)),
            Data::Symbol(s) => {
                let known = self.facts.get(*s);
                Interval { lo: known.min.map_or(NEG_INF, i128::from), hi: known.max.map_or(POS_INF, i128::from) }
            }
            &Data::FloorDiv(x, b) if self.nonnegative(b) => self.range(x).floor_div(self.range(b)),
            &Data::CeilDiv(x, b) if self.nonnegative(b) => self.range(x).neg().floor_div(self.range(b)).neg(),
            &Data::Mod(x, b) if self.nonnegative(b) => {
                let (x, b) = (self.range(x), self.range(b));
                if x.lo >= 0 && x.hi < b.lo {
                    return x;
                }
                let most = if b.hi == POS_INF { POS_INF } else { (b.hi - 1).max(0) };
                Interval { lo: 0, hi: if x.lo >= 0 { most.min(x.hi) } else { most } }
            }
            Data::Min(list) => list.iter().fold(Interval { lo: POS_INF, hi: POS_INF }, |acc, &x| {
                let r = self.range(x);
                Interval { lo: acc.lo.min(r.lo), hi: acc.hi.min(r.hi) }
            }),
            Data::Max(list) => list.iter().fold(Interval { lo: NEG_INF, hi: NEG_INF }, |acc, &x| {
                let r = self.range(x);
                Interval { lo: acc.lo.max(r.lo), hi: acc.hi.max(r.hi) }
            }),
            _ => Interval::ALL,
        }
    }
}
