//! The order of register tiles that reads least, and what streams through the caches then.

use super::access::element_bits;
use super::contraction::{ASSUMED, Search};
use super::tile::Group;

/// Part of the second-level cache that a block of rows may fill: vectors stream through the rest.
const BLOCK_SHARE: f64 = 0.4;
/// What a byte of rows costs that is read again, beside one of vectors: an element of a row serves several vectors, which need four to
/// eight times the bytes in the same time; and rows were just written, when vectors (weights) may come from memory.
const ROWS_AGAIN: f64 = 0.25;

/// An order of tiles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// How many tiles of rows, or units, are walked before the columns move on; 0: all, and there are no blocks.
    pub block: i64,
    /// Whether all blocks are walked before the columns move on nevertheless.
    pub outside: bool,
}

impl Search<'_, '_> {
    /// The dimensions of a batch that are walked as units of rows, and the others.
    pub(super) fn units(&self, rows: &Group, batch: &[usize], vectors: &[usize]) -> (Group, Vec<usize>) {
        let (ctx, domain) = (self.points.ctx, &self.points.map.view.domain);
        let free = |&k: &usize| vectors.iter().all(|&r| !self.reads[r].uses[k]);
        let (walked, batch): (Vec<usize>, Vec<usize>) = batch.iter().copied().partition(free);
        match rows.dims.is_empty() {
            true => (Group::new(ctx, domain, vec![]), [walked, batch].concat()),
            false => (Group::new(ctx, domain, walked), batch),
        }
    }

    /// Cycles in which what all tiles read comes from beyond the second-level cache, in the order that is wanted or best. What rows of no
    /// constant take that are read again is counted only where `rows_count`: an element of them that serves several vectors is awaited
    /// by none.
    pub(super) fn streams(
        &self,
        rows: &Group,
        columns: &Group,
        batch: &[usize],
        vectors: &[usize],
        rows_count: bool,
    ) -> f64 {
        let (units, batch) = self.units(rows, batch, vectors);
        let order = match self.wanted {
            Some(wanted) => Order { block: wanted.block, outside: wanted.outside },
            None => self.order(rows, &units, columns, &batch),
        };
        let steps = match units.dims.is_empty() {
            true => (self.env.estimate(rows.size, ASSUMED) / rows.tile as f64).ceil(),
            false => self.env.estimate(units.size, ASSUMED),
        };
        let blocks = if order.block > 0 { (steps / order.block as f64).ceil() } else { 1.0 };
        let column_tiles = (self.env.estimate(columns.size, ASSUMED) / columns.tile as f64).ceil();
        let of_read = |r: usize| {
            let walks = |dims: &[usize]| dims.iter().any(|&k| self.reads[r].uses[k]);
            let again: f64 = batch.iter().filter(|&&k| !self.reads[r].uses[k]).map(|&k| self.extent(k)).product();
            let bytes = self.bytes_of(r, ASSUMED) * again;
            let rate = self.rate_of(r);
            // A block's rows stay in the second-level cache for all columns, vectors do not from one block to the next.
            let passes = match (walks(&rows.dims) || walks(&units.dims), walks(&columns.dims), order.outside) {
                (false, true, false) => blocks,
                (true, false, true) => column_tiles,
                _ => 1.0,
            };
            match self.env.constant_arg(self.points, r) {
                Some(_) => self.env.weights_time(bytes, passes, 1.0),
                // Rows that were just written are read once in any order.
                None if walks(&rows.dims) || walks(&units.dims) => {
                    if rows_count {
                        bytes * (passes - 1.0) / rate
                    } else {
                        0.0
                    }
                }
                None => bytes * passes / rate,
            }
        };
        (0..self.reads.len()).map(of_read).sum()
    }

    /// Elements of the container that a read reads, where dimensions of unknown size count as so many.
    fn elements_of(&self, read: usize, assumed: i64) -> f64 {
        let ty = self.points.source.ty(self.points.map.view.reads[read].value);
        let dims = self.points.ctx.dim_exprs(ty).unwrap_or_default();
        dims.iter().map(|&d| self.env.estimate(d, assumed)).product()
    }

    /// Its bytes.
    pub(super) fn bytes_of(&self, read: usize, assumed: i64) -> f64 {
        let ty = self.points.source.ty(self.points.map.view.reads[read].value);
        let bits = self.points.ctx.dtype_of(ty).map_or(element_bits(self.points), |dtype| dtype.bits() as u32);
        self.elements_of(read, assumed) * f64::from(bits) / 8.0
    }

    /// Bytes a cycle at which a read's container is read again. A batch of unknown size is taken to be one.
    fn rate_of(&self, read: usize) -> f64 {
        self.env.options.target.machine.rate_of(self.bytes_of(read, 1))
    }

    /// How many tiles of rows, or units, are walked before the columns move on: as many as the second-level cache holds, but few
    /// enough that threads find work, and blocks of about the same size. And whether all blocks are walked before the columns move
    /// on nevertheless, since reading all rows again costs less than reading all vectors again.
    pub(super) fn order(&self, rows: &Group, units: &Group, columns: &Group, batch: &[usize]) -> Order {
        let (mut bytes, mut vectors) = (0.0f64, 0.0f64);
        let (mut rows_rate, mut vectors_rate) = (f64::INFINITY, f64::INFINITY);
        for (r, access) in self.reads.iter().enumerate() {
            let used =
                |dims: &[usize]| -> f64 { dims.iter().filter(|&&k| access.uses[k]).map(|&k| self.extent(k)).product() };
            let walks = |group: &Group| group.dims.iter().any(|&k| access.uses[k]);
            let all = self.elements_of(r, ASSUMED) / used(batch) * f64::from(element_bits(self.points)) / 8.0;
            if !walks(rows) && !walks(units) {
                if walks(columns) {
                    vectors += all;
                    vectors_rate = vectors_rate.min(self.rate_of(r));
                }
                continue;
            }
            // Of a unit where there are units, else of a row.
            let steps = if units.dims.is_empty() { self.env.estimate(rows.size, ASSUMED) } else { used(&units.dims) };
            bytes += all / steps;
            rows_rate = rows_rate.min(self.rate_of(r));
        }
        let (steps, bytes) = match units.dims.is_empty() {
            true => ((self.env.estimate(rows.size, ASSUMED) / rows.tile as f64).ceil(), bytes * rows.tile as f64),
            false => (self.env.estimate(units.size, ASSUMED), bytes),
        };
        let room = BLOCK_SHARE * self.env.options.target.machine.second().bytes;
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
            return Order { block: 0, outside: false };
        }
        let (all_rows, all_vectors) = (bytes * steps, vectors * blocks);
        // Less where rows are nearer than vectors.
        let again = ROWS_AGAIN * if vectors > 0.0 { (vectors_rate / rows_rate).min(1.0) } else { 1.0 };
        Order {
            block: (steps / blocks).ceil() as i64,
            outside: blocks > 1.0 && all_rows * column_tiles * again + vectors < all_vectors + all_rows,
        }
    }
}
