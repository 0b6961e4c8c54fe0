//! Intervals of integers with open ends, in saturating 128-bit arithmetic.

use crate::eval::floor_div;

/// "No finite lower end is known."
pub(crate) const NEG_INF: i128 = i128::MIN;
/// "No finite upper end is known."
pub(crate) const POS_INF: i128 = i128::MAX;

/// All integers from `lo` to `hi`. A *lower* end that overflows upwards stays finite, which is only weaker, never wrong.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Interval {
    pub(crate) lo: i128,
    pub(crate) hi: i128,
}

impl Interval {
    pub(crate) const ALL: Interval = Interval { lo: NEG_INF, hi: POS_INF };

    pub(crate) fn point(v: i128) -> Self {
        Interval { lo: v, hi: v }
    }

    fn of(lo: i128, hi: i128) -> Self {
        Interval { lo: lo.min(POS_INF - 1), hi: hi.max(NEG_INF + 1) }
    }

    pub(crate) fn add(self, other: Self) -> Self {
        let lo = if self.lo == NEG_INF || other.lo == NEG_INF { NEG_INF } else { self.lo.saturating_add(other.lo) };
        let hi = if self.hi == POS_INF || other.hi == POS_INF { POS_INF } else { self.hi.saturating_add(other.hi) };
        Interval::of(lo, hi)
    }

    pub(crate) fn mul(self, other: Self) -> Self {
        let corners = [
            extended_mul(self.lo, other.lo),
            extended_mul(self.lo, other.hi),
            extended_mul(self.hi, other.lo),
            extended_mul(self.hi, other.hi),
        ];
        let lo = corners.iter().copied().min().unwrap_or(NEG_INF);
        let hi = corners.iter().copied().max().unwrap_or(POS_INF);
        Interval::of(lo, hi)
    }

    /// The `n`-th power; an even power is not negative.
    pub(crate) fn power(self, n: usize) -> Self {
        let mut result = Interval::point(1);
        for _ in 0..n {
            result = result.mul(self);
        }
        if n.is_multiple_of(2) {
            result.lo = result.lo.max(0);
        }
        result
    }

    /// Quotients rounded down, for divisors that are at least 1.
    pub(crate) fn floor_div(self, divisor: Self) -> Self {
        let (least, most) = (divisor.lo.max(1), divisor.hi.max(1));
        // The extreme divisors make the quotient largest or smallest, by the sign of the dividend.
        let at = |v: i128, d: i128| match d {
            POS_INF => {
                if v < 0 {
                    -1
                } else {
                    0
                }
            }
            d => floor_div(v, d).unwrap_or(0),
        };
        let lo = match self.lo {
            NEG_INF => NEG_INF,
            v => at(v, if v >= 0 { most } else { least }),
        };
        let hi = match self.hi {
            POS_INF => POS_INF,
            v => at(v, if v >= 0 { least } else { most }),
        };
        Interval::of(lo, hi)
    }

    pub(crate) fn neg(self) -> Self {
        Interval::of(negate(self.hi), negate(self.lo))
    }
}

/// Negation that maps the infinities to each other.
pub(crate) fn negate(v: i128) -> i128 {
    match v {
        NEG_INF => POS_INF,
        POS_INF => NEG_INF,
        v => -v,
    }
}

fn extended_mul(a: i128, b: i128) -> i128 {
    if a == 0 || b == 0 {
        return 0;
    }
    let infinite = [a, b].iter().any(|&v| v == NEG_INF || v == POS_INF);
    match a.checked_mul(b) {
        Some(v) if !infinite => v,
        _ if (a < 0) == (b < 0) => POS_INF,
        _ => NEG_INF,
    }
}
