//! What a register tile costs: an estimate of cycles, by operations, loads and the caches that vectors and rows come from. How fast these
//! are, the target's machine says.

use super::access::{Access, element_bits};
use super::contraction::{ASSUMED, Search};
use super::shares;
use super::tile::{self, Group, Tail};
use super::words::Words;
use nim_ir::Expr;

/// How much more vectors along a dimension of unknown size are taken to cost: a batch of one would fill a lane of each.
const UNKNOWN_COLUMNS: f64 = 1.5;
/// Bytes of one way of the first-level cache.
const PAGE: i64 = 4096;
/// Part of the first-level cache that the vectors of a tile may fill beside what streams through it.
const PANEL_SHARE: f64 = 0.625;
/// Iterations of small constant reductions that are written out when there are no others.
const UNROLLED: i64 = 9;
/// Vector operations that are written out inside of a further loop. They hide what the loop costs; with more, LLVM finds
/// elements that several rows of a convolution share, keeps them, and has no registers left for the results: half the speed.
const UNROLLED_OPS: i64 = 16;

/// What it costs to store an element that rows share, where there are no registers for it until it is needed again, in loads.
const SPILLED: f64 = 1.5;
/// What an element of a vector costs that is gathered, in loads: it is loaded and put in its place, which one unit does. Twice as much
/// from this distance on, where each lies in a line of its own and many lines compete for one place.
const GATHERED: f64 = 3.0;
const FAR: i64 = 16;
/// Rows whose addresses registers hold, and what each further one costs, in loads.
const ADDRESSES: f64 = 4.0;
const ADDRESS: f64 = 3.0;

/// What a vector operation costs that is written out once more for a tile of another size, as a part of everything: it is
/// compiled, stored, loaded and fetched, whatever the dimensions are.
const WRITTEN_AGAIN: f64 = 5e-5;

impl Search<'_, '_> {
    /// Whether vectors that follow each other in the innermost reduction lie in different lines, and there are many: they
    /// then compete for few places of the first-level cache.
    pub(super) fn far_apart(&self, read: usize) -> bool {
        let pool = &self.points.ctx.exprs;
        let inner = self.reductions.iter().rev().copied().find(|&k| self.reads[read].uses[k]);
        inner.is_some_and(|k| {
            let stride = self.reads[read].strides[k];
            let far = stride.is_none_or(|s| pool.as_const(s).is_none_or(|s| s >= 64));
            far && self.extent(k) >= 32.0
        })
    }

    /// Whether the elements that the rows of a tile read compete for few places of the first-level cache.
    pub(super) fn collide(&self, access: &Access, rows: &Group) -> bool {
        let [.., k] = rows.dims[..] else { return false };
        let stride = access.strides[k].and_then(|s| self.points.ctx.exprs.as_const(s)).unwrap_or(1);
        let bytes = stride.saturating_mul(i64::from(element_bits(self.points)) / 8).max(1);
        // Powers of two in the distance; a way of the cache is a page.
        let places = (PAGE >> bytes.trailing_zeros().min(12)).min(PAGE / 64);
        let ways = self.env.options.target.machine.first().bytes as i64 / PAGE;
        rows.tile > places * ways
    }

    /// Elements that a read needs for a tile of so many rows and all iterations that are written out, neighbouring rows sharing some
    /// of them, and how many of these wait at a time until they are needed again. `None` where nothing is shared.
    pub(super) fn shared(
        &self,
        access: &Access,
        rows: &Group,
        tile: i64,
        written: &[(usize, bool)],
    ) -> Option<(f64, f64)> {
        let pool = &self.points.ctx.exprs;
        let step = |k: usize| access.strides[k].and_then(|s| pool.as_const(s));
        let row = step(*rows.dims.last()?)?;
        let taps = written.iter().filter(|r| r.1 && access.uses[r.0]);
        let taps: Vec<(Option<i64>, i64)> =
            taps.map(|&(k, _)| Some((step(k), pool.as_const(self.domain(k))?))).collect::<Option<_>>()?;
        let distinct = |steps: &[(Option<i64>, i64)]| {
            let (mut at, mut apart): (Vec<i64>, i64) = ((0..tile).map(|i| i * row).collect(), 1);
            for &(step, count) in steps {
                match step {
                    Some(step) => {
                        at =
                            (0..count).flat_map(|t| at.iter().map(move |&a| a + t * step).collect::<Vec<_>>()).collect()
                    }
                    // The lines of an image of any width: no element is in two of them.
                    None => apart *= count,
                }
            }
            at.sort_unstable();
            at.dedup();
            at.len() as i64 * apart
        };
        let all = distinct(&taps);
        let uses = tile * taps.iter().map(|t| t.1).product::<i64>();
        // What an iteration shares with the next waits for all iterations inside of it.
        let (mut waiting, mut inside) = (0, 1);
        for &(step, count) in taps.iter().rev() {
            waiting += inside * (tile * count - distinct(&[(step, count)])).min(tile);
            inside *= count;
        }
        (all < uses).then_some((all as f64, waiting as f64))
    }

    /// Cycles, roughly: as many vector operations as the machine begins, two loads a cycle, four cycles from one sum to the next.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn cost(
        &self,
        rows: &Group,
        counts: &[(f64, i64)],
        columns: &Group,
        batch: &[usize],
        vectors: &[usize],
        packed: &[usize],
        gathered: &[usize],
    ) -> Option<f64> {
        let ctx = self.points.ctx;
        let wide = (columns.tile / self.lanes) as f64;
        let lanes = self.lanes as f64;
        let (row_size, column_size) = (self.env.estimate(rows.size, ASSUMED), self.env.estimate(columns.size, ASSUMED));
        let mut depth = self.extents(&self.reductions);
        if let Some(Words { dot, .. }) = self.words {
            let numbers = self.env.estimate(self.points.numbers(dot), ASSUMED);
            depth *= (numbers / dot.width as f64).ceil() / self.extent(dot.dim);
        }
        let fixed = |e: Expr| ctx.exprs.as_const(e).is_some();
        // Whole tiles, the tile of vectors that are left over, those of parts of a vector, and single columns: see `Group::cut`.
        let reaches = !packed.is_empty() && vectors.iter().all(|r| packed.contains(r));
        let (mut column_tiles, mut left, mut short, mut single) = (column_size / columns.tile as f64, 0.0, 0.0, 0.0);
        if !reaches && columns.tail == Tail::Guard {
            if let Some(size) = ctx.exprs.as_const(columns.size) {
                let rest = size % columns.tile;
                column_tiles = column_tiles.floor();
                left = (rest / self.lanes) as f64;
                short = f64::from((rest % self.lanes).count_ones());
            } else {
                (left, single) = (wide / 2.0, lanes / 4.0);
            }
        } else if fixed(columns.size) {
            column_tiles = column_tiles.ceil();
        } else {
            column_tiles += 0.5;
        }
        // Rows that are not one dimension to the reads: each has an address of its own, which divisions find.
        let apart = rows.dims.windows(2).any(|w| !self.collapses(w[0], w[1]));
        // Cycles that a vector takes from the first-level cache, and from the second, where a panel of them comes from that exceeds the first.
        let target = &self.env.options.target;
        let (first, second) = (target.machine.first(), target.machine.second());
        let panel = depth * columns.tile as f64 * f64::from(element_bits(self.points)) / 8.0;
        let rate = target.vector_rate();
        let from_first = 1.0 / rate.min(2.0);
        let from_second = from_first.max(f64::from(target.vector_bits / 8) / second.rate);
        let is_far = panel > PANEL_SHARE * first.bytes;
        // A tile of so many rows and vectors.
        let tile = |m: f64, wide: f64| {
            let (written, copies) = self.written_out(((m * wide) as i64).max(1));
            // What is loaded, and of this the vectors, by the cache that they come from.
            let (mut loads, mut near, mut afar) = (0.0, 0.0, 0.0);
            for (r, access) in self.reads.iter().enumerate() {
                let per_row = if rows.dims.iter().any(|&k| access.uses[k]) { m } else { 1.0 };
                if gathered.contains(&r) {
                    let last = columns.dims[columns.dims.len() - 1];
                    let apart = access.strides[last].and_then(|s| ctx.exprs.as_const(s)).is_none_or(|s| s >= FAR);
                    loads += per_row * wide * lanes * GATHERED * if apart { 2.0 } else { 1.0 };
                } else if vectors.contains(&r) {
                    // Unaligned vectors cross a line every other time.
                    let far = if self.far_apart(r) { 1.5 } else { 1.25 };
                    let far = if packed.contains(&r) { 1.0 } else { far };
                    let shared = if per_row > 1.0 { self.shared(access, rows, m as i64, &written) } else { None };
                    // Elements that rows share are loaded once if registers hold them until they are needed again; else what held
                    // them is stored and loaded in between.
                    let each = match shared.map(|(all, waiting)| (all / copies as f64, waiting)) {
                        Some((all, waiting)) if (m + waiting + 1.0) * wide <= self.registers as f64 => all,
                        Some((all, _)) => per_row + SPILLED * all,
                        None => per_row,
                    };
                    let here = each * wide * far;
                    loads += here;
                    *if is_far { &mut afar } else { &mut near } += here;
                } else {
                    // Beyond a few, addresses of their own have no registers either.
                    let addresses = if apart { 1.5 + ADDRESS * (per_row - ADDRESSES).max(0.0) / per_row } else { 1.0 };
                    loads += per_row * addresses * if self.collide(access, rows) { 2.0 } else { 1.0 };
                }
            }
            let work = m * wide;
            // Numbers are loaded twice a cycle, also while vectors come from afar; near vectors as fast as they are computed with.
            let fetch = near * from_first + afar * from_second;
            let all = loads + 2.0 * fetch - (near + afar);
            let step = (work / rate).max(fetch).max(loads / 2.0).max((work + all) / 4.0).max(4.0) + 0.1 * all;
            let write: f64 =
                self.writes
                    .iter()
                    .map(|w| {
                        if w.contiguous(columns.dims[columns.dims.len() - 1]) { work * 1.5 } else { work * lanes * 1.5 }
                    })
                    .sum();
            depth * step + write + 20.0 + if apart { 30.0 * m } else { 0.0 }
        };
        // All columns of a tile of so many rows.
        let strip = |m: f64| {
            let mut sum = column_tiles * tile(m, wide) + single * (depth * m.max(2.0) + 10.0);
            if left > 0.0 {
                sum += tile(m, left);
            }
            sum + if short > 0.0 { short * tile(m, 1.0) } else { 0.0 }
        };
        let sizes = shares::sizes(ctx, rows, &self.env.assumed);
        let mut total = 0.0;
        let strips: Vec<(i64, f64)> = sizes.iter().map(|&m| (m, strip(m as f64))).collect();
        for &(weight, count) in counts {
            let cost_of = |m: i64| strips.iter().find(|s| s.0 == m).map_or(f64::INFINITY, |s| s.1);
            let all: f64 = shares::pieces(rows, &sizes, count).iter().map(|&(n, m)| n as f64 * cost_of(m)).sum();
            total += weight * all / count as f64;
        }
        total *= self.extents(batch) * row_size;
        total = nim_machine::overlapped(total, self.streams(rows, columns, batch, vectors, false));
        // Code for the other sizes of tiles.
        let written = |rows: i64| {
            let vectors = rows * columns.tile / self.lanes;
            vectors * self.written_out(vectors).1 * self.points.body_ops() + tile::epilogue_code(self.points, vectors)
        };
        let again: i64 = sizes[1..].iter().map(|&rows| written(rows)).sum();
        total *= 1.0 + WRITTEN_AGAIN * again as f64;
        for &r in packed {
            if self.env.constant_arg(self.points, r).is_none() {
                let access = &self.reads[r];
                let fixed = self.points.fixed();
                let used: Vec<usize> =
                    (0..access.uses.len()).filter(|&k| access.uses[k] && fixed[k].is_none()).collect();
                total += 2.0 * self.extents(&used) / self.points.block.as_ref().map_or(1.0, |block| block.serves);
            }
        }
        if !fixed(columns.size) {
            total *= UNKNOWN_COLUMNS;
        }
        total.is_finite().then_some(total)
    }

    /// The reductions, and whether they are written out for a tile of so many vectors: small constant ones, innermost first. Also
    /// how many copies that makes.
    pub(super) fn written_out(&self, vectors: i64) -> (Vec<(usize, bool)>, i64) {
        let pool = &self.points.ctx.exprs;
        let mut reductions: Vec<(usize, bool)> = self.reductions.iter().map(|&k| (k, false)).collect();
        let mut copies = 1;
        let all = self.reductions.iter().try_fold(1i64, |n, &k| n.checked_mul(pool.as_const(self.domain(k))?));
        let most = if all.is_some_and(|n| n <= UNROLLED) { UNROLLED } else { UNROLLED.min(UNROLLED_OPS / vectors) };
        for entry in reductions.iter_mut().rev() {
            match pool.as_const(self.domain(entry.0)) {
                Some(n) if n * copies <= most => {
                    entry.1 = true;
                    copies *= n;
                }
                _ => break,
            }
        }
        (reductions, copies)
    }
}
