//! Where buffers lie in the arena.
//!
//! Sizes are expressions, and which of two is the larger may depend on the symbols. There are two ways to go about it, and
//! the one that needs less memory at typical sizes is taken.

mod families;
mod slots;

use super::liveness::Interval;
use nim_ir::{Expr, ExprPool, Facts};

/// The arena.
pub(super) struct Placement {
    /// Offset of each buffer.
    pub(super) offsets: Vec<Expr>,
    /// Size of the arena.
    pub(super) size: Expr,
    /// The part of it for buffers whose sizes are numbers.
    pub(super) constant: i64,
    /// Number of regions behind that: families or slots.
    pub(super) regions: usize,
}

/// Values of all symbols at which ways are compared: one image, a sentence, a batch, a page.
const TYPICAL: [i64; 4] = [1, 16, 64, 500];

/// Places all buffers; those that meet never overlap.
pub(super) fn place(pool: &ExprPool, facts: &Facts, intervals: &[Interval], align: i64) -> Placement {
    let families = families::place(pool, facts, intervals, align);
    if families.regions < 2 {
        // Numbers and one family: nothing is incomparable.
        return families;
    }
    let slots = slots::place(pool, facts, intervals, align);
    let cost = |placement: &Placement| -> f64 {
        let size = |value| pool.eval(placement.size, &|_| Some(value)).unwrap_or(i64::MAX);
        TYPICAL.iter().map(|&value| (size(value).max(1) as f64).ln()).sum()
    };
    if cost(&slots) < cost(&families) { slots } else { families }
}

/// Offsets and lengths of the buffers of a family, in its units: the largest first, each into the smallest gap between
/// those that it meets (Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020: greedy by size).
fn numeric(intervals: &[Interval], sizes: &[Option<i64>], align: i64) -> Vec<Option<(i64, i64)>> {
    let mut placed: Vec<Option<(i64, i64)>> = vec![None; intervals.len()];
    let mut order: Vec<(usize, i64)> = sizes.iter().enumerate().filter_map(|(i, s)| Some((i, (*s)?))).collect();
    // Equal sizes in the order of the text, so that the result does not depend on anything else.
    order.sort_by_key(|&(i, size)| (std::cmp::Reverse(size), i));
    for (i, size) in order {
        let length = size.checked_add(align - 1).map_or(size, |s| s / align * align).max(0);
        let mut taken: Vec<(i64, i64)> =
            (0..intervals.len()).filter(|&j| intervals[j].meets(&intervals[i])).filter_map(|j| placed[j]).collect();
        taken.sort_unstable();
        let (mut best, mut end) = (None::<(i64, i64)>, 0i64);
        for (at, len) in taken {
            let gap = at - end;
            if gap >= length && best.is_none_or(|(_, smallest)| gap < smallest) {
                best = Some((end, gap));
            }
            end = end.max(at.saturating_add(len));
        }
        placed[i] = Some((best.map_or(end, |(at, _)| at), length));
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;
    use nim_ir::OpId;
    use nim_ir::entity::EntityId;

    fn interval(pool: &ExprPool, size: &str, begin: u32, end: u32) -> Interval {
        Interval { alloc: OpId::from_index(0), size: pool.parse(size).unwrap(), begin, end, branches: vec![] }
    }

    /// No two buffers that meet overlap, for these values of `N` and `M`.
    fn check(pool: &ExprPool, intervals: &[Interval], placement: &Placement) {
        for (n, m) in [(0, 0), (1, 1), (1, 1000), (999, 3), (64, 64)] {
            let value = |e| pool.eval(e, &|s| Some(if pool.symbol_name(s) == "N" { n } else { m })).unwrap();
            let places: Vec<(i64, i64)> =
                intervals.iter().zip(&placement.offsets).map(|(i, &o)| (value(o), value(i.size))).collect();
            for (i, &(at, len)) in places.iter().enumerate() {
                assert_eq!(at % 64, 0);
                assert!(at + len <= value(placement.size), "{i} lies outside");
                for (j, &(other, more)) in places.iter().enumerate().take(i) {
                    let apart = at + len <= other || other + more <= at;
                    assert!(apart || !intervals[i].meets(&intervals[j]), "{i} and {j} overlap at N = {n}, M = {m}");
                }
            }
        }
    }

    #[test]
    fn chains_share_two_places() {
        let pool = ExprPool::new();
        for (size, bytes) in [("6400", "12800"), ("64*N", "128*N")] {
            let chain: Vec<Interval> = (0..20).map(|i| interval(&pool, size, i, i + 1)).collect();
            let placement = place(&pool, &Facts::default(), &chain, 64);
            check(&pool, &chain, &placement);
            assert_eq!(placement.size, pool.parse(bytes).unwrap());
        }
    }

    #[test]
    fn the_ways_of_a_branch_share() {
        let pool = ExprPool::new();
        for size in ["6400", "64*N"] {
            let way = |op: usize, way: usize| Interval {
                branches: vec![(OpId::from_index(op), way)],
                ..interval(&pool, size, 0, 9)
            };
            let places = |list: &[Interval]| {
                let placement = place(&pool, &Facts::default(), list, 64);
                check(&pool, list, &placement);
                placement.offsets.iter().collect::<std::collections::BTreeSet<_>>().len()
            };
            assert_eq!(places(&[way(1, 0), way(1, 1)]), 1);
            assert_eq!(places(&[way(1, 0), way(1, 0)]), 2);
            assert_eq!(places(&[way(1, 0), way(2, 1)]), 2);
        }
    }

    #[test]
    fn what_meets_never_overlaps() {
        let pool = ExprPool::new();
        let sizes = ["0", "100", "4096", "65", "4*N", "8*N", "4*N*M", "4*N + 4", "12*M", "4*max(N, M)"];
        let mut state = 1u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for _ in 0..50 {
            let intervals: Vec<Interval> = (0..40)
                .map(|_| {
                    let begin = next(100) as u32;
                    let branches = vec![(OpId::from_index(next(3) as usize), next(2) as usize)];
                    let made = interval(&pool, sizes[next(10) as usize], begin, begin + next(30) as u32);
                    Interval { branches, ..made }
                })
                .collect();
            for way in [place, families::place, slots::place] {
                check(&pool, &intervals, &way(&pool, &Facts::default(), &intervals, 64));
            }
        }
    }

    /// A small buffer goes where a large one was, and two small ones lie side by side in its place.
    #[test]
    fn families_are_packed_as_numbers_are() {
        let pool = ExprPool::new();
        let list = [("6400*N", 0, 1), ("3200*N", 2, 5), ("3200*N", 3, 5)].map(|(s, b, e)| interval(&pool, s, b, e));
        let placement = place(&pool, &Facts::default(), &list, 64);
        check(&pool, &list, &placement);
        assert_eq!(placement.size, pool.parse("6400*N").unwrap());
    }
}
