//! Slots behind each other, each of which serves one buffer after the other and is as large as the largest of them. Buffers
//! whose sizes cannot be compared share a slot where they are not alive together.

use super::{Interval, Placement, numeric};
use nim_ir::{Expr, ExprPool, Facts};

/// A piece of the arena that serves one buffer after the other.
struct Slot {
    size: Expr,
    members: Vec<usize>,
}

pub(super) fn place(pool: &ExprPool, facts: &Facts, intervals: &[Interval], align: i64) -> Placement {
    let mut offsets = vec![Expr::ZERO; intervals.len()];
    let sizes: Vec<Option<i64>> = intervals.iter().map(|i| pool.as_const(i.size)).collect();
    let numbers = numeric(intervals, &sizes, align);
    let constant = numbers.iter().flatten().map(|&(at, len)| at + len).max().unwrap_or(0);
    for (offset, place) in offsets.iter_mut().zip(&numbers) {
        if let Some((at, _)) = place {
            *offset = pool.constant(*at);
        }
    }

    let mut slots: Vec<Slot> = vec![];
    for (i, interval) in intervals.iter().enumerate() {
        if sizes[i].is_some() {
            continue;
        }
        let free = |slot: &Slot| slot.members.iter().all(|&m| !intervals[m].meets(interval));
        let le = |a: Expr, b: Expr| pool.prove_le(a, b, facts);
        // The same size first; then a slot that is large enough, then one that grows, and rather either than a new one.
        let fit = |slot: &Slot| match (
            slot.size == interval.size,
            le(interval.size, slot.size),
            le(slot.size, interval.size),
        ) {
            (true, ..) => 0,
            (_, true, _) => 1,
            (_, _, true) => 2,
            _ => 3,
        };
        let best = slots.iter().enumerate().filter(|(_, s)| free(s)).min_by_key(|(_, s)| fit(s)).map(|(k, _)| k);
        match best {
            Some(k) => {
                let slot = &mut slots[k];
                slot.members.push(i);
                slot.size = match (le(interval.size, slot.size), le(slot.size, interval.size)) {
                    (true, _) => slot.size,
                    (_, true) => interval.size,
                    _ => pool.max(slot.size, interval.size),
                };
            }
            None => slots.push(Slot { size: interval.size, members: vec![i] }),
        }
    }
    let mut at = pool.constant(constant);
    for slot in &slots {
        slot.members.iter().for_each(|&m| offsets[m] = at);
        at = pool.add(at, pool.align_up(slot.size, pool.constant(align)));
    }
    Placement { offsets, size: at, constant, regions: slots.len() }
}
