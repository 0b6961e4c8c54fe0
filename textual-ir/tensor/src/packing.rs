//! Where buffers lie in one piece of memory, when it is known which of them live at the same time.
//!
//! The smallest piece of memory is hard to find (it is dynamic storage allocation, NP-hard), but what lives together is a
//! lower bound that greedy placement mostly meets: several orders are tried, and the first that meets it ends the search.
//! The same code plans when compiling, where sizes are numbers, and when a program meets new values of its symbols.

use std::cmp::Reverse;

/// Places of buffers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packing {
    /// The offset of each buffer, a multiple of the alignment.
    pub offsets: Vec<i64>,
    /// Bytes of the whole; `i64::MAX` when they do not fit in 63 bits.
    pub size: i64,
}

/// Rounds of moving what lies highest to the front.
const ROUNDS: usize = 24;

/// Places buffers of `sizes` bytes (negative ones count as 0) at multiples of `align`. `apart[i]` names buffers before
/// the `i`-th, with which it must not overlap; a missing list is an empty one.
///
/// Each buffer goes into the smallest gap between those that it must not overlap and that are placed already, in several
/// orders: by size, by how many and by how much lives beside it (Pisarchyk and Lee, "Efficient Memory Management for Deep
/// Neural Net Inference", 2020: greedy by size, greedy by breadth), the last one first; then again the best of these with
/// what lay highest moved to the front.
pub fn pack<L: AsRef<[u32]>>(sizes: &[i64], apart: &[L], align: i64) -> Packing {
    let align = align.max(1);
    let lengths: Vec<i64> = sizes.iter().map(|&s| round_up(s.max(0), align)).collect();
    let mut beside: Vec<Vec<usize>> = vec![vec![]; sizes.len()];
    // What lives when a buffer begins to live: no packing is smaller than the largest of these sums, unless buffers
    // named there do not have to be apart from each other.
    let mut bound = 0i64;
    let mut breadth = vec![0i64; sizes.len()];
    for (i, list) in apart.iter().enumerate().take(sizes.len()) {
        let earlier = || list.as_ref().iter().map(|&j| j as usize).filter(|&j| j < i);
        breadth[i] = earlier().fold(lengths[i], |sum, j| sum.saturating_add(lengths[j]));
        bound = bound.max(breadth[i]);
        for j in earlier() {
            beside[i].push(j);
            beside[j].push(i);
        }
    }
    let widest: Vec<i64> = (0..sizes.len())
        .map(|i| beside[i].iter().filter(|&&j| j > i).map(|&j| breadth[j]).fold(breadth[i], i64::max))
        .collect();

    // Buffers without bytes lie anywhere. Equal keys stay in order, so that the result depends on nothing else.
    let all: Vec<usize> = (0..sizes.len()).filter(|&i| lengths[i] > 0).collect();
    let sorted = |key: &dyn Fn(usize) -> (i64, i64)| {
        let mut order = all.clone();
        order.sort_by_key(|&i| Reverse(key(i)));
        order
    };
    let mut best: Option<(Packing, Vec<usize>)> = None;
    let mut taken = vec![];
    let mut attempt = |order: Vec<usize>, best: &mut Option<(Packing, Vec<usize>)>| {
        let packing = place(&lengths, &beside, &order, &mut taken);
        let better = best.as_ref().is_none_or(|(old, _)| packing.size < old.size);
        if better {
            *best = Some((packing, order));
        }
        better
    };
    let done = |best: &Option<(Packing, Vec<usize>)>| best.as_ref().is_some_and(|(packing, _)| packing.size <= bound);
    let orders: [&dyn Fn(usize) -> (i64, i64); 4] =
        [&|i| (lengths[i], 0), &|i| (beside[i].len() as i64, lengths[i]), &|i| (widest[i], lengths[i]), &|i| {
            (i as i64, 0)
        }];
    for key in orders {
        attempt(sorted(key), &mut best);
        if done(&best) {
            break;
        }
    }
    for _ in 0..ROUNDS {
        let Some((packing, order)) = &best else { break };
        if done(&best) {
            break;
        }
        let highest = |&i: &usize| packing.offsets[i].saturating_add(lengths[i]) == packing.size;
        let (mut front, rest): (Vec<usize>, Vec<usize>) = order.iter().partition(|i| highest(i));
        front.extend(rest);
        if front == *order || !attempt(front, &mut best) {
            break;
        }
    }
    best.map(|(packing, _)| packing).unwrap_or_default()
}

fn round_up(n: i64, align: i64) -> i64 {
    n.checked_add(align - 1).map_or(i64::MAX / align * align, |n| n / align * align)
}

/// Places buffers in an order.
fn place(lengths: &[i64], beside: &[Vec<usize>], order: &[usize], taken: &mut Vec<(i64, i64)>) -> Packing {
    let mut offsets = vec![-1i64; lengths.len()];
    let mut size = 0;
    for &i in order {
        taken.clear();
        taken.extend(beside[i].iter().filter(|&&j| offsets[j] >= 0).map(|&j| (offsets[j], lengths[j])));
        taken.sort_unstable();
        let (mut best, mut end) = (None::<(i64, i64)>, 0i64);
        for &(at, length) in taken.iter() {
            let gap = at - end;
            if gap >= lengths[i] && best.is_none_or(|(_, smallest)| gap < smallest) {
                best = Some((end, gap));
            }
            end = end.max(at.saturating_add(length));
        }
        offsets[i] = best.map_or(end, |(at, _)| at);
        size = size.max(offsets[i].saturating_add(lengths[i]));
    }
    offsets.iter_mut().for_each(|offset| *offset = (*offset).max(0));
    Packing { offsets, size }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buffers with the first and last moment of their lives, in the order of the first.
    fn apart(lives: &[(u32, u32)]) -> Vec<Vec<u32>> {
        let meets = |a: (u32, u32), b: (u32, u32)| a.0 <= b.1 && b.0 <= a.1;
        (0..lives.len()).map(|i| (0..i).filter(|&j| meets(lives[i], lives[j])).map(|j| j as u32).collect()).collect()
    }

    fn check(sizes: &[i64], lists: &[Vec<u32>], packing: &Packing) {
        for (i, list) in lists.iter().enumerate() {
            let (at, end) = (packing.offsets[i], packing.offsets[i] + sizes[i].max(0));
            assert!(at >= 0 && at % 64 == 0 && end <= packing.size, "{i} lies outside");
            for &j in list {
                let (other, other_end) =
                    (packing.offsets[j as usize], packing.offsets[j as usize] + sizes[j as usize].max(0));
                assert!(end <= other || other_end <= at || at == end || other == other_end, "{i} and {j} overlap");
            }
        }
    }

    #[test]
    fn a_chain_needs_its_two_largest_neighbours() {
        let lives: Vec<(u32, u32)> = (0..20).map(|i| (i, i + 1)).collect();
        let sizes: Vec<i64> = (0..20).map(|i| 64 * (1 + (i * 7) % 11)).collect();
        let lists = apart(&lives);
        let packing = pack(&sizes, &lists, 64);
        check(&sizes, &lists, &packing);
        assert_eq!(packing.size, sizes.windows(2).map(|w| w[0] + w[1]).max().unwrap());
    }

    #[test]
    fn small_ones_lie_side_by_side_where_a_large_one_was() {
        let lists = apart(&[(0, 1), (2, 5), (3, 5)]);
        assert_eq!(pack(&[6400, 3200, 3200], &lists, 64), Packing { offsets: vec![0, 0, 3200], size: 6400 });
    }

    #[test]
    fn sizes_that_cannot_be() {
        let none: [Vec<u32>; 0] = [];
        assert_eq!(pack(&[], &none, 64), Packing::default());
        assert_eq!(pack(&[-5, 10], &[vec![], vec![0]], 64), Packing { offsets: vec![0, 0], size: 64 });
        let huge = pack(&[i64::MAX, i64::MAX, 1], &[vec![], vec![0], vec![0, 1, 7]], 64);
        assert_eq!(huge.size, i64::MAX);
        assert!(huge.offsets.iter().all(|&at| at >= 0));
    }

    #[test]
    fn random_lives_need_little_more_than_what_lives_together() {
        let mut state = 1u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let (mut sum, mut least) = (0.0, 0.0);
        for _ in 0..200 {
            let count = 1 + next(60) as u32;
            let lives: Vec<(u32, u32)> = (0..count).map(|i| (i, i + next(9) as u32)).collect();
            let sizes: Vec<i64> = (0..count).map(|_| 64 * next(100) as i64).collect();
            let lists = apart(&lives);
            let packing = pack(&sizes, &lists, 64);
            check(&sizes, &lists, &packing);
            let together =
                |t| lives.iter().zip(&sizes).filter(|(l, _)| l.0 <= t && t <= l.1).map(|(_, s)| s).sum::<i64>();
            let bound = (0..count).map(together).max().unwrap();
            assert!(packing.size >= bound);
            (sum, least) = (sum + packing.size as f64, least + bound as f64);
        }
        assert!(sum <= 1.04 * least, "{} times what lives together", sum / least);
    }
}
