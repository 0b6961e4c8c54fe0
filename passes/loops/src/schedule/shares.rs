//! How the rows of a map are shared out to register tiles, whatever their number is.
//!
//! [`Tail::Even`]: `size` rows make `q = ceildiv(size, tile)` tiles of nearly the same number of rows: `floordiv(size, q)`, and one
//! more in the first `mod(size, q)` of them. No tile is much smaller than the others (a tile of one row reads as many vectors as a
//! full one), and a call has tiles of two sizes at most. There is a copy of code for each size that may occur.
//!
//! [`Tail::Guard`]: full tiles, and what is left behind them in a tile of just as many rows where that is known, else in tiles of
//! 8, 4, 2 and 1 rows by the binary digits. Less code, but up to three short tiles.
//!
//! No row is computed in vain either way. What is chosen is computed once, at the kernel's entry; where the number of rows is known
//! it is folded, and bounds of symbols leave fewer copies: with at least `tile * (tile - 1)` rows even tiles have two sizes.

use super::tile::{Group, Tail};
use crate::nest::Nest;
use nim_ir::{Context, Expr, Facts};

/// Values of symbols that stand for a few and for many rows.
const FEW: std::ops::RangeInclusive<i64> = 1..=8;
const MANY: std::ops::RangeInclusive<i64> = 64..=71;
/// What has fewer rows than this when a symbol stands for many is a line of an image behind a few strides, and images are so many times
/// as wide.
const PART: i64 = 16;
const IMAGE: i64 = 4;
/// Weight of a few rows, and where another number is likely.
const FEW_WEIGHT: f64 = 0.25;
const UNLIKELY_WEIGHT: f64 = 0.1;

/// Tiles of a group of rows.
pub struct Shares<'g> {
    group: &'g Group,
    /// Number of tiles.
    pub tiles: Expr,
    /// Numbers of rows that a tile may have, the largest first.
    pub sizes: Vec<i64>,
    /// Even tiles: rows that each has at least, and how many have one more.
    even: (Expr, Expr),
}

impl<'g> Shares<'g> {
    /// The tiles of a group.
    pub fn new(ctx: &Context, group: &'g Group, facts: &Facts) -> Self {
        let pool = &ctx.exprs;
        let tiles = pool.simplify(group.tiles(ctx), facts);
        let even = (pool.floordiv(group.size, tiles), pool.modulo(group.size, tiles));
        Shares { group, tiles, sizes: sizes(ctx, group, facts), even }
    }

    /// Emits the tile with this number: the closure gets its first row and how many there are.
    pub fn tile(&self, ctx: &Context, nest: &mut Nest<'_>, number: Expr, f: &mut dyn FnMut(&mut Nest<'_>, Expr, i64)) {
        let pool = &ctx.exprs;
        let group = self.group;
        let minus = |a: Expr, rows: i64| pool.sub(a, pool.constant(rows));
        let start = match group.tail {
            Tail::Exact | Tail::Overlap => return f(nest, group.base(ctx, number), group.tile),
            Tail::Guard => group.base(ctx, number),
            Tail::Even => {
                let (least, larger) = self.even;
                pool.sum([group.start, pool.mul(number, least), pool.min(number, larger)])
            }
        };
        if let [rows] = self.sizes[..] {
            return f(nest, start, rows);
        }
        if group.tail == Tail::Even {
            let (least, larger) = self.even;
            let more = pool.min(pool.max(pool.sub(larger, number), Expr::ZERO), Expr::ONE);
            let here = pool.add(least, more);
            for (i, &rows) in self.sizes.iter().enumerate() {
                let (below, above) = (minus(here, rows), pool.neg(minus(here, rows)));
                let conditions: &[Expr] = match i {
                    0 => &[below],
                    _ if i + 1 == self.sizes.len() => &[above],
                    _ => &[below, above],
                };
                nest.guard(conditions, |nest| f(nest, start, rows));
            }
            return;
        }
        let end = pool.add(group.start, group.size);
        let left = pool.sub(end, start);
        nest.guard(&[minus(left, group.tile)], |nest| f(nest, start, group.tile));
        nest.guard(&[minus(pool.neg(left), 1 - group.tile)], |nest| {
            let mut rest = left;
            for &rows in &self.sizes[1..] {
                nest.guard(&[minus(rest, rows)], |nest| f(nest, pool.sub(end, rest), rows));
                rest = pool.modulo(rest, pool.constant(rows));
            }
        });
    }
}

/// Numbers of rows that a tile of this group may have, the largest first.
pub fn sizes(ctx: &Context, group: &Group, facts: &Facts) -> Vec<i64> {
    let tile = group.tile;
    let some = |sizes: &[i64]| sizes.iter().copied().filter(|&rows| rows > 0).collect();
    match (group.tail, ctx.exprs.as_const(group.size)) {
        (Tail::Exact | Tail::Overlap, _) => vec![tile],
        (Tail::Guard, Some(rows)) => some(&[tile.min(rows / tile * tile), rows % tile]),
        (Tail::Guard, None) => {
            let largest = tile.unsigned_abs().next_power_of_two() as i64 / 2;
            let binary = std::iter::successors(Some(largest), |rows| Some(rows / 2));
            std::iter::once(tile).chain(binary.take_while(|&rows| rows > 0)).collect()
        }
        (Tail::Even, Some(rows)) => {
            let mut sizes: Vec<i64> = pieces(group, &[], rows).into_iter().map(|(_, rows)| rows).collect();
            sizes.dedup();
            sizes
        }
        (Tail::Even, None) => {
            let bounds = ctx.exprs.bounds(group.size, facts);
            let least = bounds.min.unwrap_or(0).max(1);
            // The fewest rows that one of so many tiles has.
            let smallest = |tiles: i64| least.max((tiles - 1) * tile + 1) / tiles;
            let first = (least - 1) / tile + 1;
            let high = bounds.max.map_or(tile, |most| most.clamp(1, tile));
            let low = smallest(first).min(smallest(first + 1)).min(high);
            (low..=high).rev().collect()
        }
    }
}

/// The tiles that so many rows make, of these sizes: how many of each number of rows, the largest first.
pub fn pieces(group: &Group, sizes: &[i64], rows: i64) -> Vec<(i64, i64)> {
    let tiles = (rows - 1) / group.tile + 1;
    let mut rest = rows;
    let all: Vec<(i64, i64)> = match group.tail {
        _ if rows <= 0 => vec![],
        Tail::Exact | Tail::Overlap => vec![(tiles, group.tile)],
        Tail::Even => vec![(rows % tiles, rows / tiles + 1), (tiles - rows % tiles, rows / tiles)],
        Tail::Guard => {
            let mut take = |size: i64| {
                let count = rest / size;
                rest %= size;
                (count, size)
            };
            sizes.iter().map(|&size| take(size)).collect()
        }
    };
    all.into_iter().filter(|&(count, _)| count > 0).collect()
}

/// Numbers of rows that a schedule is judged by, with their weights. Where the number is not known: one, a few and many, since
/// the same code serves all; the likely number counts as the many.
pub fn likely_counts(ctx: &Context, size: Expr, facts: &Facts) -> Vec<(f64, i64)> {
    let pool = &ctx.exprs;
    if let Some(rows) = pool.as_const(size) {
        return vec![(1.0, rows.max(1))];
    }
    let symbols = pool.symbols(size);
    let of = |value: i64, others: i64| {
        let value = |s| {
            let known = facts.get(s);
            let each = if symbols.last() == Some(&s) { value } else { others };
            let multiple = (each.max(known.min.unwrap_or(1)).checked_sub(1)? / known.divisor + 1) * known.divisor;
            Some(known.max.map_or(multiple, |max| multiple.min(max)))
        };
        pool.eval(size, &value).ok().filter(|&rows| rows > 0)
    };
    let likely = pool.likely_value(size, facts);
    let weight = if likely.is_some() { UNLIKELY_WEIGHT } else { FEW_WEIGHT };
    let part = of(*MANY.start(), *MANY.start()).is_some_and(|rows| rows < PART);
    let many = match likely {
        Some(rows) if rows > 0 => vec![rows],
        // Of several dimensions all are large, or all but one are 1, as a batch often is.
        _ if symbols.len() > 1 => MANY.flat_map(|n| [of(n, 1), of(n, n)]).flatten().collect(),
        _ => MANY.map(|n| if part { n * IMAGE } else { n }).filter_map(|n| of(n, n)).collect(),
    };
    let few: Vec<i64> = FEW.filter_map(|n| of(n, 1)).collect();
    if few.is_empty() && many.is_empty() {
        return vec![(1.0, *MANY.start())];
    }
    let shares = if few.is_empty() || many.is_empty() { (1.0, 1.0) } else { (weight, 1.0 - weight) };
    let weighted = |list: Vec<i64>, share: f64| {
        let each = share / list.len().max(1) as f64;
        list.into_iter().map(move |rows| (each, rows))
    };
    weighted(few, shares.0).chain(weighted(many, shares.1)).collect()
}

/// In words how rows are shared out when their number, which is to be `shown` so, is known, where it is not known before.
pub fn explain(ctx: &Context, shown: Expr, rows: &Group, facts: &Facts) -> Option<String> {
    let pool = &ctx.exprs;
    if pool.as_const(rows.size).is_some() || rows.tile == 1 {
        return None;
    }
    let sizes: Vec<String> = sizes(ctx, rows, facts).iter().map(i64::to_string).collect();
    let how = match rows.tail {
        Tail::Exact => format!("full tiles only, {} divides them", rows.tile),
        Tail::Overlap => "full tiles, the last of which repeats results of the one before".into(),
        Tail::Even => format!("shared out evenly to tiles of {}", sizes.join(", ")),
        Tail::Guard => format!("full tiles, what is left in tiles of {}", sizes[1..].join(", ")),
    };
    let likely = pool.likely_value(rows.size, facts).map_or(String::new(), |rows| format!("; {rows} is likely"));
    Some(format!("{} rows, {how}{likely}", pool.display(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of all numbers of rows up to some every row is in one tile, and each tile has a size that was said to occur.
    #[test]
    fn every_row_is_in_one_tile_of_a_size_that_occurs() {
        let ctx = Context::new(&[]);
        let pool = &ctx.exprs;
        let n = pool.symbol("N");
        for tail in [Tail::Even, Tail::Guard] {
            for tile in 1..=14 {
                for least in [0, 1, 5, 30, 200] {
                    let mut facts = Facts::default();
                    facts.set_min(n, Some(least));
                    let mut group = Group::new(&ctx, &[pool.var(n)], vec![0]);
                    (group.tile, group.tail) = (tile, tail);
                    let shares = Shares::new(&ctx, &group, &facts);
                    for rows in least.max(1)..least + 4 * tile + 3 {
                        let mut fixed = group.clone();
                        fixed.size = pool.constant(rows);
                        let known = sizes(&ctx, &fixed, &facts);
                        assert!(known.len() <= 2);
                        for (sizes, group) in [(&shares.sizes, &group), (&known, &fixed)] {
                            let pieces = pieces(group, sizes, rows);
                            assert_eq!(pieces.iter().map(|(count, size)| count * size).sum::<i64>(), rows);
                            let occur = pieces.iter().all(|(_, size)| sizes.contains(size));
                            assert!(occur, "{rows} in tiles of {tile}: {pieces:?}, {sizes:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn bounds_leave_few_sizes() {
        let ctx = Context::new(&[]);
        let n = ctx.exprs.symbol("N");
        let mut group = Group::new(&ctx, &[ctx.exprs.var(n)], vec![0]);
        (group.tile, group.tail) = (4, Tail::Even);
        let mut facts = Facts::default();
        assert_eq!(sizes(&ctx, &group, &facts), [4, 3, 2, 1]);
        facts.set_min(n, Some(5));
        assert_eq!(sizes(&ctx, &group, &facts), [4, 3, 2]);
        facts.set_min(n, Some(12));
        assert_eq!(sizes(&ctx, &group, &facts), [4, 3]);
        facts.set_range(n, 1, 2);
        assert_eq!(sizes(&ctx, &group, &facts), [2, 1]);
    }
}
