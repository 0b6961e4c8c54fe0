//! Buffers sorted into *families* whose sizes are numbers times one expression: `1024*N` and `4096*N` are 1024 and 4096
//! units of `N`, plain numbers are units of 1. Within a family it is known which of two is the larger whatever the symbols
//! are, so buffers are packed as numbers are. Families lie one behind the other.

use super::{Interval, Placement, numeric};
use nim_ir::{Expr, ExprPool, Facts};

/// Buffers of at most so many units waste at most so many alignments.
const FEW: i64 = 16;

fn gcd(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A size as a number times an expression without common factor.
fn factored(pool: &ExprPool, size: Expr) -> (i64, Expr) {
    if let Some(n) = pool.as_const(size) {
        return (n, Expr::ONE);
    }
    let content = pool.terms(size).iter().map(|(factor, _)| factor.saturating_abs()).fold(0, gcd).max(1);
    match pool.exact_div(size, pool.constant(content)) {
        Some(unit) => (content, unit),
        None => (1, size),
    }
}

pub(super) fn place(pool: &ExprPool, facts: &Facts, intervals: &[Interval], align: i64) -> Placement {
    let mut offsets = vec![Expr::ZERO; intervals.len()];
    // Numbers first, then families in the order of the text.
    let mut families: Vec<(Expr, Vec<Option<i64>>)> = vec![(Expr::ONE, vec![None; intervals.len()])];
    for (i, interval) in intervals.iter().enumerate() {
        let (count, unit) = factored(pool, interval.size);
        let known = families.iter().position(|(other, _)| *other == unit).unwrap_or_else(|| {
            families.push((unit, vec![None; intervals.len()]));
            families.len() - 1
        });
        families[known].1[i] = Some(count);
    }
    let (mut at, mut constant) = (Expr::ZERO, 0);
    for (unit, counts) in &mut families {
        // Buffers begin at multiples of the alignment: all counts are such, or the unit becomes one, which is little
        // where buffers are few units long, or each beginning is moved up to one.
        let numbers = *unit == Expr::ONE;
        let aligned = |counts: &[Option<i64>]| counts.iter().flatten().all(|&count| count % align == 0);
        let common = counts.iter().flatten().copied().fold(0, gcd).max(1);
        let step = if numbers || aligned(counts) { align } else { 1 };
        if step == 1 && counts.iter().flatten().all(|&count| count / common <= FEW) {
            *unit = pool.align_up(pool.scale(common, *unit), pool.constant(align));
            counts.iter_mut().flatten().for_each(|count| *count /= common);
        }
        let exact = step == align || pool.divisor(*unit, facts) % align == 0;
        let places = numeric(intervals, counts, step);
        let end = places.iter().flatten().map(|&(at, len)| at.saturating_add(len)).max().unwrap_or(0);
        let mut begins: Vec<i64> = places.iter().flatten().map(|&(begin, _)| begin).chain([end]).collect();
        begins.sort_unstable();
        begins.dedup();
        let address = |begin: i64| {
            let exactly = pool.scale(begin, *unit);
            if exact {
                return exactly;
            }
            // Moving up may close a gap by less than one alignment, so as much is added at each beginning.
            let before = begins.partition_point(|&b| b < begin) as i64;
            pool.add(pool.align_up(exactly, pool.constant(align)), pool.constant(before.saturating_mul(align)))
        };
        for (offset, place) in offsets.iter_mut().zip(&places) {
            if let Some((begin, _)) = place {
                *offset = pool.add(at, address(*begin));
            }
        }
        let size = address(end);
        // A buffer of negative size may stand where it is never made; it must not move the others.
        let size = if pool.prove_le(Expr::ZERO, size, facts) { size } else { pool.max(size, Expr::ZERO) };
        at = pool.add(at, size);
        if numbers {
            constant = end;
        }
    }
    Placement { offsets, size: at, constant, regions: families.len() - 1 }
}
