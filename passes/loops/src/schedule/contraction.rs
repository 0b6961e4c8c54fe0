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
use super::order::Order;
use super::tile::{self, Group, Plan, Tail};
use super::words::Words;
use super::{Env, IN_MEMORY, TILES, naive, shares};
use crate::nest::Nest;
use crate::point::Points;
use nim_ir::{Diagnostic, Expr};
use nim_pass::Miss;

/// Size that a symbolic dimension is taken to have in estimates.
pub(super) const ASSUMED: i64 = 64;

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
    pub(super) writes: Vec<Access>,
    pub(super) others: Vec<Access>,
    pub(super) parallel: Vec<usize>,
    pub(super) reductions: Vec<usize>,
    pub(super) outside: Vec<usize>,
    pub(super) lanes: i64,
    /// Set where products are summed up a word at a time.
    pub(super) words: Option<Words>,
    /// Vectors of a tile and of what it reads.
    pub(super) registers: i64,
    /// The only way to consider.
    pub(super) wanted: Option<&'p Tiling>,
    /// Whether only tile registers are.
    pub(super) only_registers: bool,
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
    env.chosen(shares::explain(points.ctx, shown, &best.plan.rows, &env.assumed));
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
    /// How the map is walked.
    pub fn plan_mut(&mut self) -> &mut Plan {
        &mut self.plan
    }

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
        let joined = dot.window.and_then(|window| window.joined);
        reductions.retain(|&k| k != dot.dim && Some(k) != joined);
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
    pub(super) fn domain(&self, k: usize) -> Expr {
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
            // Rows along one dimension of unknown size may be one row: where another follows it, both have as many as there are.
            let runs = row_groups.clone();
            let longer = |group: &Vec<usize>| runs.iter().any(|run| run.len() > group.len() && run.ends_with(group));
            row_groups.retain(|group| self.wanted.is_some() || group.iter().all(known) || !longer(group));
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

    pub(super) fn candidate(
        &self,
        cost: f64,
        rows: Group,
        columns: Group,
        batch: &[usize],
        vectors: &[usize],
        packed: &[usize],
    ) -> Candidate {
        let reductions = self.written_out(rows.tile * columns.tile / self.lanes).0;
        let (units, batch) = self.units(&rows, batch, vectors);
        let order = match self.wanted {
            Some(wanted) => Order { block: wanted.block, outside: wanted.outside },
            None => self.order(&rows, &units, &columns, &batch),
        };
        let reorders = self.env.reorders(self.points);
        let ahead = self.worth_asking_ahead(&rows, &units, packed);
        let plan = Plan {
            ahead,
            batch,
            units,
            rows,
            columns,
            columns_end: None,
            lanes: self.lanes,
            reductions,
            row_block: order.block,
            columns_outside: order.outside,
            reorders,
            registers: None,
        };
        Candidate { cost, plan, packed: packed.to_vec(), padded: self.outside.clone() }
    }
}
