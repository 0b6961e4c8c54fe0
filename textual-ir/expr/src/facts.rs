//! What is known about symbols.

use rustc_hash::FxHashMap;

use crate::node::{Expr, Symbol};
use crate::pool::ExprPool;

/// What is known about one symbol. The default is what holds for any dimension or iteration variable: not negative.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SymbolFacts {
    /// The symbol is at least this.
    pub min: Option<i64>,
    /// The symbol is at most this.
    pub max: Option<i64>,
    /// The symbol is at least each of these.
    pub lower: Vec<Expr>,
    /// The symbol is at most each of these.
    pub upper: Vec<Expr>,
    /// The symbol is a multiple of this positive number.
    pub divisor: i64,
    /// A typical value, for cost models only: nothing is proved from it.
    pub likely: Option<i64>,
}

/// What holds for a symbol that is not mentioned in the facts.
static DEFAULT: SymbolFacts =
    SymbolFacts { min: Some(0), max: None, lower: Vec::new(), upper: Vec::new(), divisor: 1, likely: None };

impl Default for SymbolFacts {
    fn default() -> Self {
        DEFAULT.clone()
    }
}

/// What is known about the symbols of an expression, and inequalities between expressions.
///
/// A symbol without facts is not negative: it is the size of a dimension or an iteration variable (`$0`). Facts are
/// taken to be true together; from contradictory facts anything follows.
#[derive(Default, Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    symbols: FxHashMap<Symbol, SymbolFacts>,
    nonnegative: Vec<Expr>,
}

impl Facts {
    /// No facts beyond the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is known about a symbol.
    pub fn get(&self, s: Symbol) -> &SymbolFacts {
        self.symbols.get(&s).unwrap_or(&DEFAULT)
    }

    /// The facts of a symbol for changing.
    pub fn entry(&mut self, s: Symbol) -> &mut SymbolFacts {
        self.symbols.entry(s).or_default()
    }

    /// Sets the constant lower end; `None` means that it may be any negative number.
    pub fn set_min(&mut self, s: Symbol, min: Option<i64>) -> &mut Self {
        self.entry(s).min = min;
        self
    }

    /// Sets the constant upper end, which is included.
    pub fn set_max(&mut self, s: Symbol, max: Option<i64>) -> &mut Self {
        self.entry(s).max = max;
        self
    }

    /// Sets both constant ends, which are included.
    pub fn set_range(&mut self, s: Symbol, min: i64, max: i64) -> &mut Self {
        self.set_min(s, Some(min)).set_max(s, Some(max))
    }

    /// Adds `s >= e`.
    pub fn add_lower(&mut self, s: Symbol, e: Expr) -> &mut Self {
        let list = &mut self.entry(s).lower;
        if !list.contains(&e) {
            list.push(e);
        }
        self
    }

    /// Adds `s <= e`.
    pub fn add_upper(&mut self, s: Symbol, e: Expr) -> &mut Self {
        let list = &mut self.entry(s).upper;
        if !list.contains(&e) {
            list.push(e);
        }
        self
    }

    /// Adds `s < e`.
    pub fn add_below(&mut self, pool: &ExprPool, s: Symbol, e: Expr) -> &mut Self {
        self.add_upper(s, pool.sub(e, Expr::ONE))
    }

    /// Makes `s` an iteration variable of `begin <= s < end`.
    pub fn set_iteration(&mut self, pool: &ExprPool, s: Symbol, begin: Expr, end: Expr) -> &mut Self {
        *self.entry(s) = SymbolFacts::default();
        match pool.as_const(begin) {
            Some(v) => self.entry(s).min = Some(v),
            None => {
                self.entry(s).min = None;
                self.add_lower(s, begin);
            }
        }
        match pool.as_const(end) {
            Some(v) => self.entry(s).max = v.checked_sub(1),
            None => {
                self.add_below(pool, s, end);
            }
        }
        self
    }

    /// Says that `s` is a multiple of `divisor`; the sign does not matter, and 0 is ignored.
    pub fn set_divisor(&mut self, s: Symbol, divisor: i64) -> &mut Self {
        if let Some(d) = divisor.checked_abs().filter(|&d| d > 0) {
            self.entry(s).divisor = d;
        }
        self
    }

    /// Sets a typical value for cost models.
    pub fn set_likely(&mut self, s: Symbol, value: Option<i64>) -> &mut Self {
        self.entry(s).likely = value;
        self
    }

    /// Adds `e >= 0`.
    pub fn assume_nonnegative(&mut self, e: Expr) -> &mut Self {
        if !self.nonnegative.contains(&e) {
            self.nonnegative.push(e);
        }
        self
    }

    /// Adds `a <= b`.
    pub fn assume_le(&mut self, pool: &ExprPool, a: Expr, b: Expr) -> &mut Self {
        self.assume_nonnegative(pool.sub(b, a))
    }

    /// The expressions that are known not to be negative.
    pub fn nonnegative(&self) -> &[Expr] {
        &self.nonnegative
    }
}

impl ExprPool {
    /// The value for the typical values of its symbols (or their only possible value); none when a symbol has neither.
    pub fn likely_value(&self, e: Expr, facts: &Facts) -> Option<i64> {
        let value = |s| {
            let known = facts.get(s);
            known.likely.or(known.min.filter(|_| known.min == known.max))
        };
        self.eval(e, &value).ok()
    }
}
