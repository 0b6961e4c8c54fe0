//! Contractions and windows: maps with reductions whose results stay in registers.
//!
//! Every parallel dimension (and every run of them that collapses) is tried as the direction of vectors. Reads that depend
//! on it give vectors: directly where neighbours lie side by side, from a packed copy otherwise. Dimensions that such
//! reads do not depend on are rows of the tile: each vector is used for all of them, and the other reads give one number
//! for all lanes. A product of matrices, a convolution as the product that it is, a convolution along its rows, a
//! depthwise one and a pooling window come out of the same search; an estimate of cycles decides.

use super::access::{self, Access, element_bits};
use super::choice::{Choice, Tiling};
use super::copies::{self, PackedLayout};
use super::tile::{self, Group, Plan, Tail};
use super::words::Words;
use super::{Env, IN_MEMORY, TILES, naive, shares};
use crate::nest::Nest;
use crate::point::Points;
use nim_ir::{Diagnostic, Expr};
use nim_pass::Miss;

/// Size that a symbolic dimension is taken to have in estimates.
pub(super) const ASSUMED: i64 = 64;
/// How much more vectors along a dimension of unknown size are taken to cost: a batch of one would fill a lane of each.
const UNKNOWN_COLUMNS: f64 = 1.5;
/// Part of the second-level cache that a block of rows may fill: vectors stream through the rest.
const BLOCK_SHARE: f64 = 0.4;
/// What a byte of rows costs that is read again, beside one of vectors: an element of a row serves several vectors, which need four to
/// eight times the bytes in the same time; and rows were just written, when vectors (weights) may come from memory.
const ROWS_AGAIN: f64 = 0.25;
/// Bytes of one way of the first-level cache, and its ways.
const PAGE: i64 = 4096;
const WAYS: i64 = 8;
/// Vectors of a tile that fit the first-level cache beside what streams through it, in bytes.
const PANEL_BYTES: f64 = 20.0 * 1024.0;
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

/// One way to walk the map, with its cost.
pub struct Candidate {
    /// Cycles, roughly.
    pub cost: f64,
    /// The way.
    pub plan: Plan,
    packed: Vec<usize>,
    padded: Vec<usize>,
}

impl Candidate {
    /// What it is among all schedules of its map.
    pub fn tiling(&self) -> Tiling {
        let Plan { rows, columns, lanes, row_block, columns_outside, .. } = &self.plan;
        Tiling {
            rows: rows.tile,
            columns: columns.tile / lanes,
            row_dims: rows.dims.clone(),
            column_dims: columns.dims.clone(),
            even: rows.tail == Tail::Even,
            block: *row_block,
            outside: *columns_outside,
            packs: self.packed.clone(),
        }
    }

    /// The choice that this is, of what is summed up a word at a time.
    pub fn in_words(&self) -> Choice {
        match self.plan.registers {
            Some(_) => Choice::TileRegisters,
            None => Choice::Words(self.tiling()),
        }
    }

    /// Whether some results are made twice.
    pub fn repeats(&self) -> bool {
        [&self.plan.rows, &self.plan.columns].iter().any(|group| group.tail == Tail::Overlap)
    }
}

/// The cheapest candidates so far.
pub(super) struct Best {
    /// How many are kept.
    most: usize,
    /// The cheapest first, the first found of equals; one of each tile.
    found: Vec<Candidate>,
}

impl Best {
    /// Whether a candidate of this cost may be among them.
    pub(super) fn takes(&self, cost: f64) -> bool {
        self.found.len() < self.most || self.found.last().is_some_and(|last| cost < last.cost)
    }

    pub(super) fn put(&mut self, new: Candidate) {
        let group = |a: &Group, b: &Group| a.dims == b.dims && a.tile == b.tile;
        let same = |c: &Candidate| {
            let kind = c.plan.registers.is_some() == new.plan.registers.is_some();
            kind && group(&c.plan.rows, &new.plan.rows) && group(&c.plan.columns, &new.plan.columns)
        };
        if let Some(at) = self.found.iter().position(same) {
            if self.found[at].cost <= new.cost {
                return;
            }
            self.found.remove(at);
        }
        let at = self.found.partition_point(|c| c.cost <= new.cost);
        self.found.insert(at, new);
        self.found.truncate(self.most);
    }
}

/// What the search needs to know.
pub(super) struct Search<'p, 'm> {
    pub(super) points: &'p Points<'m>,
    pub(super) env: &'p Env<'p>,
    pub(super) reads: Vec<Access>,
    writes: Vec<Access>,
    others: Vec<Access>,
    parallel: Vec<usize>,
    pub(super) reductions: Vec<usize>,
    outside: Vec<usize>,
    pub(super) lanes: i64,
    /// Set where products are summed up a word at a time.
    pub(super) words: Option<Words>,
    /// Vectors of a tile and of what it reads.
    registers: i64,
    /// The only way to consider.
    wanted: Option<&'p Tiling>,
    /// Whether only tile registers are.
    only_registers: bool,
}

/// A way that was chosen, with its copies made.
pub struct Chosen {
    plan: Plan,
    cut: bool,
}

/// Chooses a way and makes its copies, if the map has reductions and a parallel dimension.
///
/// # Errors
/// What [`Points`] reports.
pub fn prepare(
    points: &mut Points<'_>,
    nest: &mut Nest<'_>,
    env: &mut Env<'_>,
) -> Result<Result<Chosen, Miss>, Diagnostic> {
    let best = match search(points, env, None).and_then(|best| env.may(points, TILES).map(|()| best)) {
        Ok(best) => best,
        Err(why) => return Ok(Err(why)),
    };
    env.taken = Some(Choice::Tiles(best.tiling()));
    naive::fill_starts(points, nest)?;
    for &read in &best.padded {
        if !copies::pad(points, nest, env, read)? {
            return Ok(Err(Miss("a copy with its border around it has no known size")));
        }
    }
    for &read in &best.packed {
        let inner: Vec<usize> = best.plan.reductions.iter().map(|r| r.0).collect();
        let layout = PackedLayout {
            outer: outer_dims(points, &best.plan, read),
            columns: best.plan.columns.clone(),
            inner: used(points, read, inner),
        };
        copies::pack(points, nest, env, read, &layout)?;
    }
    env.repeats |= best.repeats();
    let shown = points.shown(best.plan.rows.size);
    env.chosen(shares::explain(points.ctx, shown, &best.plan.rows, &best.plan.columns, &env.assumed));
    // Only packed copies have something behind the last column: a tile may reach there when it reads nothing else along it.
    let along = |r: usize| {
        let access = access::read(points, &points.map.view.reads[r]);
        best.plan.columns.dims.iter().any(|&k| access.uses[k])
    };
    let reaches = (0..points.map.view.reads.len()).all(|r| best.packed.contains(&r) || !along(r));
    let whole = !best.packed.is_empty() && reaches || best.plan.columns.tail != Tail::Guard;
    Ok(Ok(Chosen { plan: best.plan, cut: !whole }))
}

/// Those of some dimensions that a read depends on.
pub fn used(points: &Points<'_>, read: usize, dims: Vec<usize>) -> Vec<usize> {
    let access = access::read(points, &points.map.view.reads[read]);
    dims.into_iter().filter(|&k| access.uses[k]).collect()
}

/// The dimensions that a packed copy has outermost: those that are fixed when it is read, those that are walked one by one, and the
/// rows where each has vectors of its own.
pub fn outer_dims(points: &Points<'_>, plan: &Plan, read: usize) -> Vec<usize> {
    let fixed = points.fixed();
    let fixed = (0..fixed.len()).filter(|&k| fixed[k].is_some());
    used(points, read, fixed.chain(plan.batch.iter().copied()).chain(plan.rows.dims.iter().copied()).collect())
}

impl Chosen {
    /// Emits the nest.
    ///
    /// # Errors
    /// What [`Points`] reports.
    pub fn emit(&self, points: &Points<'_>, nest: &mut Nest<'_>) -> Result<(), Diagnostic> {
        let (plan, fixed) = (&self.plan, points.fixed());
        if !self.cut {
            return tile::emit(points, nest, plan, &fixed);
        }
        for (columns, lanes) in plan.columns.cut(points.ctx, plan.lanes) {
            tile::emit(points, nest, &Plan { columns, lanes, ..plan.clone() }, &fixed)?;
        }
        Ok(())
    }
}

/// The cheapest way; with `words` one that packs the one factor and reads words of the other.
///
/// # Errors
/// Why there is none.
pub fn search(points: &Points<'_>, env: &Env<'_>, words: Option<Words>) -> Result<Candidate, Miss> {
    Ok(candidates(points, env, words, 1)?.swap_remove(0))
}

/// So many of the cheapest ways, the cheapest first and one of each tile: at least one. Where a choice is wanted, those that are it.
///
/// # Errors
/// Why there is none.
pub fn candidates(
    points: &Points<'_>,
    env: &Env<'_>,
    words: Option<Words>,
    most: usize,
) -> Result<Vec<Candidate>, Miss> {
    let (ctx, map) = (points.ctx, points.map);
    if naive::in_memory(points) {
        return Err(IN_MEMORY);
    }
    if map.view.reads.iter().any(|r| r.subset.is_none()) {
        return Err(Miss("it reads whole containers"));
    }
    let (is_reduction, fixed) = (map.reductions(ctx), points.fixed());
    let walked = |k: &usize| map.view.domain[*k] != Expr::ONE && fixed[*k].is_none();
    let dims = |wanted: bool| -> Vec<usize> {
        (0..map.view.rank()).filter(|&k| is_reduction[k] == wanted).filter(walked).collect()
    };
    let (parallel, mut reductions) = (dims(false), dims(true));
    if reductions.is_empty() || parallel.is_empty() {
        return Err(Miss("it has no reduction, or no parallel dimension"));
    }
    let reads = access::reads(points);
    if let Some(Words { dot, .. }) = words {
        reductions.retain(|&k| k != dot.dim);
        reductions.push(dot.dim);
    } else if env.reorders(points) {
        // Innermost what lies side by side for most reads, so that addresses move by one element.
        let steps = |k: usize| reads.iter().filter(|a| a.contiguous(k)).count();
        let inner = reductions.iter().copied().rev().max_by_key(|&k| steps(k)).filter(|&k| steps(k) > 0);
        reductions.retain(|&k| Some(k) != inner);
        reductions.extend(inner);
    }
    let accumulators = (0..map.view.writes.len()).map(|w| points.accumulator_bits(w)).max().unwrap_or(32);
    let bits = accumulators.max(element_bits(points)).max(8);
    let lanes = i64::from((env.options.target.vector_bits / bits).max(1));
    let outside: Vec<usize> = (0..map.view.reads.len()).filter(|&r| copies::may_be_outside(points, r)).collect();
    if outside.iter().any(|&r| !points.may_copy(r)) {
        return Err(Miss("a read of the block may lie outside of its container"));
    }
    let target = &env.options.target;
    // Where no instruction takes words as they are, what they are taken apart to needs room.
    let apart = words.is_some_and(|w| match w.dot.width {
        4 => target.byte_products < target.vector_bits,
        _ => target.bf16_products < target.vector_bits,
    });
    let registers = i64::from(target.vector_registers) - if apart { 6 } else { 0 };
    let search = Search {
        points,
        env,
        reads,
        writes: access::writes(points),
        others: access::epilogue_reads(points),
        parallel,
        reductions,
        outside,
        lanes,
        words,
        registers,
        wanted: env.wanted.as_ref().and_then(Choice::tiling),
        only_registers: env.wanted == Some(Choice::TileRegisters),
    };
    let mut best = Best { most: most.max(1), found: vec![] };
    for columns in search.runs(&search.parallel) {
        if search.wanted.is_none_or(|wanted| wanted.column_dims == columns) {
            search.try_columns(columns, &mut best);
        }
    }
    match (best.found.is_empty(), search.wanted) {
        (false, _) => Ok(best.found),
        (true, None) if search.only_registers => Err(Miss("the machine has no tile registers, or none that suit it")),
        (true, None) => Err(Miss("no parallel dimension gives vectors")),
        (true, Some(_)) => Err(Miss("it is no point of the space that is searched for this map")),
    }
}

impl Search<'_, '_> {
    fn domain(&self, k: usize) -> Expr {
        self.points.map.view.domain[k]
    }
    pub(super) fn extent(&self, k: usize) -> f64 {
        self.env.estimate(self.domain(k), ASSUMED)
    }
    pub(super) fn extents(&self, dims: &[usize]) -> f64 {
        dims.iter().map(|&k| self.extent(k)).product()
    }

    /// Single dimensions, and runs of neighbours that are one dimension to every access.
    fn runs(&self, dims: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = dims.iter().map(|&k| vec![k]).collect();
        for (i, &last) in dims.iter().enumerate() {
            let mut run = vec![last];
            for &k in dims[..i].iter().rev() {
                if !self.collapses(k, run[0]) {
                    break;
                }
                run.insert(0, k);
                groups.push(run.clone());
            }
        }
        groups
    }

    pub(super) fn collapses(&self, outer: usize, inner: usize) -> bool {
        let pool = &self.points.ctx.exprs;
        let reads = self.reads.iter().enumerate();
        let bordered = reads.filter(|(r, _)| self.outside.contains(r)).any(|(_, a)| a.uses[outer] || a.uses[inner]);
        !bordered
            && self.reads.iter().chain(&self.writes).chain(&self.others).all(|a| {
                match (a.strides[outer], a.strides[inner]) {
                    (Some(o), Some(i)) => o == pool.mul(i, self.domain(inner)),
                    _ => false,
                }
            })
    }

    /// Tries vectors along these dimensions; where a copy made at run time may be worth it, with and without.
    fn try_columns(&self, columns: Vec<usize>, best: &mut Best) {
        let copied = self.try_packed(&columns, true, best);
        if copied && self.words.is_none() && self.wanted.is_none() {
            self.try_packed(&columns, false, best);
        }
    }

    /// As [`Search::try_columns`]; `copies` allows copies of vectors that could be read where they lie. Says whether there is one.
    fn try_packed(&self, columns: &[usize], copies: bool, best: &mut Best) -> bool {
        let ctx = self.points.ctx;
        let last = columns[columns.len() - 1];
        let along = |a: &Access| columns.iter().any(|&k| a.uses[k]);
        let vectors: Vec<usize> = (0..self.reads.len()).filter(|&r| along(&self.reads[r])).collect();
        let others: Vec<usize> = self.parallel.iter().copied().filter(|k| !columns.contains(k)).collect();
        let free: Vec<usize> =
            others.iter().copied().filter(|&k| vectors.iter().all(|&r| !self.reads[r].uses[k])).collect();
        let (mut packed, mut gathered, mut copied) = (vec![], vec![], false);
        for &r in &vectors {
            let direct = self.reads[r].contiguous(last) && (columns.len() == 1 || !self.outside.contains(&r));
            let pack = match self.wanted {
                Some(wanted) => wanted.packs.contains(&r) && self.may_pack(r, columns, &others),
                None => self.worth_packing(r, columns, &others, &free) && (!direct || self.far_apart(r)),
            };
            // Of a constant the copy costs nothing.
            let at_run_time = pack && direct && self.env.constant_arg(self.points, r).is_none();
            copied |= at_run_time;
            let pack = pack && (copies || !at_run_time || self.wanted.is_some());
            if self.words.is_some() || pack {
                packed.push(r);
            } else if !direct {
                gathered.push(r);
            }
        }
        if self.wanted.is_some_and(|wanted| wanted.packs != packed) {
            return copied;
        }
        if let Some(words) = self.words
            && (columns.len() > 1
                || vectors != [words.packed]
                || !self.worth_packing(words.packed, columns, &others, &free))
        {
            return copied;
        }
        // All free dimensions as one index, runs of them that are one to every access, and single ones. An outer dimension of
        // unknown size is more often a batch of one than long enough for rows.
        let known = |&k: &usize| self.points.ctx.exprs.as_const(self.domain(k)).is_some();
        let mut row_groups: Vec<Vec<usize>> = vec![];
        if let Some(&last) = free.last() {
            row_groups = self.runs(&free);
            row_groups.retain(|group| group.contains(&last) || group.iter().all(known));
            // The first of equals is taken: what lies nearest together.
            row_groups.sort_by_key(|group| std::cmp::Reverse(group.last().copied()));
            if !row_groups.contains(&free) {
                row_groups.push(free.clone());
            }
        } else {
            row_groups.push(vec![]);
            row_groups.extend(others.iter().rev().filter(|&k| known(k) || Some(k) == others.last()).map(|&k| vec![k]));
        }
        for rows in row_groups {
            if self.wanted.is_some_and(|wanted| wanted.row_dims != rows) {
                continue;
            }
            let batch: Vec<usize> = others.iter().copied().filter(|k| !rows.contains(k)).collect();
            if self.wanted.is_none() {
                self.try_tile_registers(&rows, columns, &batch, best);
            }
            if self.only_registers || self.words.is_some_and(|words| !words.in_vectors()) {
                continue;
            }
            let all = Group::new(ctx, &self.points.map.view.domain, rows.clone());
            let counts = shares::likely_counts(ctx, all.size, &self.env.assumed);
            for row_tile in 1..=14i64 {
                for vectors_wide in 1..=6i64 {
                    let other = |w: &Tiling| (w.rows, w.columns) != (row_tile, vectors_wide);
                    if row_tile * vectors_wide + vectors_wide + 1 > self.registers || self.wanted.is_some_and(other) {
                        continue;
                    }
                    let domain = &self.points.map.view.domain;
                    let mut row_group = Group::new(ctx, domain, rows.clone());
                    let mut column_group = Group::new(ctx, domain, columns.to_vec());
                    if rows.is_empty() && row_tile > 1 {
                        continue;
                    }
                    let repeat = self.may_repeat();
                    row_group.set_tile(ctx, &self.env.assumed, row_tile, repeat);
                    let wide = vectors_wide * self.lanes;
                    column_group.set_tile(ctx, &self.env.assumed, wide, repeat && packed.is_empty());
                    let shared = [Tail::Guard, Tail::Even];
                    let tails = if row_group.tail == Tail::Guard { &shared[..] } else { &[row_group.tail] };
                    for &tail in tails {
                        if self.wanted.is_some_and(|wanted| wanted.even != (tail == Tail::Even)) {
                            continue;
                        }
                        let row_group = Group { tail, ..row_group.clone() };
                        let cost = self.cost(&row_group, &counts, &column_group, &batch, &vectors, &packed, &gathered);
                        if let Some(c) = cost.filter(|&c| best.takes(c)) {
                            let columns = column_group.clone();
                            best.put(self.candidate(c, row_group, columns, &batch, &vectors, &packed));
                        }
                    }
                }
            }
        }
        copied
    }

    /// Results may be made twice unless they start from what lies in their own buffer.
    fn may_repeat(&self) -> bool {
        self.points.map.view.writes.iter().all(|w| w.init_value.is_none())
    }

    /// Whether vectors of a read are worth a copy: each element is used by enough rows.
    fn worth_packing(&self, read: usize, columns: &[usize], others: &[usize], free: &[usize]) -> bool {
        let serves = self.points.block.as_ref().map_or(1.0, |block| block.serves);
        let often = self.env.constant_arg(self.points, read).is_some() || self.extents(free) * serves >= 8.0;
        often && self.may_pack(read, columns, others)
    }

    /// Whether there may be a packed copy of a read: it is no larger than the container.
    fn may_pack(&self, read: usize, columns: &[usize], others: &[usize]) -> bool {
        let access = &self.reads[read];
        let ctx = self.points.ctx;
        if self.outside.contains(&read)
            || !self.points.may_copy(read)
            || self.points.map.view.writes.iter().any(|w| w.init_value.is_some())
        {
            return false;
        }
        let used: Vec<usize> =
            others.iter().chain(columns).chain(&self.reductions).copied().filter(|&k| access.uses[k]).collect();
        let copy = self.extents(&used);
        let dims = ctx.dim_exprs(self.points.source.ty(self.points.map.view.reads[read].value)).unwrap_or_default();
        let size: f64 = dims.iter().map(|&d| self.env.estimate(d, ASSUMED)).product();
        copy <= 1.5 * size + 64.0
    }

    /// Whether vectors that follow each other in the innermost reduction lie in different lines, and there are many: they
    /// then compete for few places of the first-level cache.
    fn far_apart(&self, read: usize) -> bool {
        let pool = &self.points.ctx.exprs;
        let inner = self.reductions.iter().rev().copied().find(|&k| self.reads[read].uses[k]);
        inner.is_some_and(|k| {
            let stride = self.reads[read].strides[k];
            let far = stride.is_none_or(|s| pool.as_const(s).is_none_or(|s| s >= 64));
            far && self.extent(k) >= 32.0
        })
    }

    /// Whether the elements that the rows of a tile read compete for few places of the first-level cache.
    fn collide(&self, access: &Access, rows: &Group) -> bool {
        let [.., k] = rows.dims[..] else { return false };
        let stride = access.strides[k].and_then(|s| self.points.ctx.exprs.as_const(s)).unwrap_or(1);
        let bytes = stride.saturating_mul(i64::from(element_bits(self.points)) / 8).max(1);
        // Powers of two in the distance; a way of the cache is a page.
        let places = (PAGE >> bytes.trailing_zeros().min(12)).min(PAGE / 64);
        rows.tile > places * WAYS
    }

    /// Elements that a read needs for a tile of so many rows and all iterations that are written out, neighbouring rows sharing some
    /// of them, and how many of these wait at a time until they are needed again. `None` where nothing is shared.
    fn shared(&self, access: &Access, rows: &Group, tile: i64, written: &[(usize, bool)]) -> Option<(f64, f64)> {
        let pool = &self.points.ctx.exprs;
        let step = |k: usize| access.strides[k].and_then(|s| pool.as_const(s));
        let row = step(*rows.dims.last()?)?;
        let taps = written.iter().filter(|r| r.1 && access.uses[r.0]);
        let taps: Vec<(i64, i64)> =
            taps.map(|&(k, _)| Some((step(k)?, pool.as_const(self.domain(k))?))).collect::<Option<_>>()?;
        let distinct = |steps: &[(i64, i64)]| {
            let mut at: Vec<i64> = (0..tile).map(|i| i * row).collect();
            for &(step, count) in steps {
                at = (0..count).flat_map(|t| at.iter().map(move |&a| a + t * step).collect::<Vec<_>>()).collect();
            }
            at.sort_unstable();
            at.dedup();
            at.len() as i64
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
    fn cost(
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
            let numbers = self.extent(dot.dim);
            depth *= (numbers / dot.width as f64).ceil() / numbers;
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
        // A panel of vectors that exceeds the first-level cache comes from the second, at half the speed.
        let panel = depth * columns.tile as f64 * f64::from(element_bits(self.points)) / 8.0;
        let from_far = if panel > PANEL_BYTES { 2.0 } else { 1.0 };
        let rate = f64::from(self.env.options.target.vector_rate.max(1));
        // A tile of so many rows and vectors.
        let tile = |m: f64, wide: f64| {
            let (written, copies) = self.written_out(((m * wide) as i64).max(1));
            // What is loaded, and of this the vectors with the time that they take from where they lie.
            let (mut loads, mut fetched) = (0.0, 0.0);
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
                    fetched += here * from_far;
                } else {
                    // Beyond a few, addresses of their own have no registers either.
                    let addresses = if apart { 1.5 + ADDRESS * (per_row - ADDRESSES).max(0.0) / per_row } else { 1.0 };
                    loads += per_row * addresses * if self.collide(access, rows) { 2.0 } else { 1.0 };
                }
            }
            let work = m * wide;
            // Numbers for all lanes are loaded while vectors come from afar.
            let all = loads + fetched * (1.0 - 1.0 / from_far);
            let step = (work / rate).max(fetched / 2.0).max(loads / 2.0).max((work + all) / 4.0).max(4.0) + 0.1 * all;
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
    fn written_out(&self, vectors: i64) -> (Vec<(usize, bool)>, i64) {
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

    pub(super) fn candidate(
        &self,
        cost: f64,
        rows: Group,
        columns: Group,
        batch: &[usize],
        vectors: &[usize],
        packed: &[usize],
    ) -> Candidate {
        let ctx = self.points.ctx;
        let reductions = self.written_out(rows.tile * columns.tile / self.lanes).0;
        let free = |&k: &usize| vectors.iter().all(|&r| !self.reads[r].uses[k]);
        let (walked, batch): (Vec<usize>, Vec<usize>) = batch.iter().copied().partition(free);
        let units =
            Group::new(ctx, &self.points.map.view.domain, if rows.dims.is_empty() { vec![] } else { walked.clone() });
        let batch = if rows.dims.is_empty() { [walked, batch].concat() } else { batch };
        let (row_block, columns_outside) = match self.wanted {
            Some(wanted) => (wanted.block, wanted.outside),
            None => self.order(&rows, &units, &columns, &batch),
        };
        let reorders = self.env.reorders(self.points);
        let plan = Plan {
            batch,
            units,
            rows,
            columns,
            lanes: self.lanes,
            reductions,
            row_block,
            columns_outside,
            reorders,
            registers: None,
        };
        Candidate { cost, plan, packed: packed.to_vec(), padded: self.outside.clone() }
    }

    /// How many tiles of rows, or units, are walked before the columns move on: as many as the second-level cache holds, but few
    /// enough that threads find work, and blocks of about the same size. And whether all blocks are walked before the columns move
    /// on nevertheless, since reading all rows again costs less than reading all vectors again.
    fn order(&self, rows: &Group, units: &Group, columns: &Group, batch: &[usize]) -> (i64, bool) {
        let ctx = self.points.ctx;
        let (mut bytes, mut vectors) = (0.0f64, 0.0f64);
        for (r, access) in self.reads.iter().enumerate() {
            let used =
                |dims: &[usize]| -> f64 { dims.iter().filter(|&&k| access.uses[k]).map(|&k| self.extent(k)).product() };
            let walks = |group: &Group| group.dims.iter().any(|&k| access.uses[k]);
            let ty = self.points.source.ty(self.points.map.view.reads[r].value);
            let dims = ctx.dim_exprs(ty).unwrap_or_default();
            let all: f64 = dims.iter().map(|&d| self.env.estimate(d, ASSUMED)).product();
            let all = all / used(batch) * f64::from(element_bits(self.points)) / 8.0;
            if !walks(rows) && !walks(units) {
                vectors += if walks(columns) { all } else { 0.0 };
                continue;
            }
            // Of a unit where there are units, else of a row.
            let steps = if units.dims.is_empty() { self.env.estimate(rows.size, ASSUMED) } else { used(&units.dims) };
            bytes += all / steps;
        }
        let (steps, bytes) = match units.dims.is_empty() {
            true => ((self.env.estimate(rows.size, ASSUMED) / rows.tile as f64).ceil(), bytes * rows.tile as f64),
            false => (self.env.estimate(units.size, ASSUMED), bytes),
        };
        let room = BLOCK_SHARE * f64::from(self.env.options.target.l2_kib) * 1024.0;
        let fits = (room / bytes.max(1.0)).floor().max(1.0);
        let column_tiles = (self.env.estimate(columns.size, ASSUMED) / columns.tile as f64).ceil();
        let wanted = (16.0 / (self.extents(batch) * column_tiles)).ceil().max(1.0);
        let shared = (steps / wanted).ceil().max(1.0);
        let most = fits.min(shared).min(steps).max(1.0);
        let blocks = (steps / most).ceil();
        // Of an unknown number of rows the blocks are found by divisions, which cost as much as a tile of little depth: none where all
        // rows fit and others give threads enough to do.
        let walked = if units.dims.is_empty() { rows.size } else { units.size };
        if wanted <= 1.0 && blocks <= 1.0 && self.points.ctx.exprs.as_const(walked).is_none() {
            return (0, false);
        }
        let (all_rows, all_vectors) = (bytes * steps, vectors * blocks);
        (
            (steps / blocks).ceil() as i64,
            blocks > 1.0 && all_rows * column_tiles * ROWS_AGAIN + vectors < all_vectors + all_rows,
        )
    }
}
