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

    /// Cycles in which the vectors of all tiles come from beyond the second-level cache, in the order that is wanted or best.
    pub(super) fn streams(&self, rows: &Group, columns: &Group, batch: &[usize], vectors: &[usize]) -> f64 {
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
        let passes = if order.outside { 1.0 } else { blocks };
        let machine = &self.env.options.target.machine;
        let walks = |read: usize, dims: &[usize]| dims.iter().any(|&k| self.reads[read].uses[k]);
        let streamed = vectors.iter().filter(|&&r| !walks(r, &rows.dims) && !walks(r, &units.dims));
        streamed
            .map(|&r| {
                let again: f64 = batch.iter().filter(|&&k| !self.reads[r].uses[k]).map(|&k| self.extent(k)).product();
                let (bytes, times) = (self.bytes_of(r), passes * again);
                match self.env.constant_arg(self.points, r) {
                    Some(_) => self.env.weights_time(bytes, times, 1.0),
                    None => bytes * times / machine.rate_of(bytes),
                }
            })
            .sum()
    }

    /// Bytes of the container that a read reads.
    fn bytes_of(&self, read: usize) -> f64 {
        let ty = self.points.source.ty(self.points.map.view.reads[read].value);
        let dims = self.points.ctx.dim_exprs(ty).unwrap_or_default();
        let all: f64 = dims.iter().map(|&d| self.env.estimate(d, ASSUMED)).product();
        all * f64::from(element_bits(self.points)) / 8.0
    }

    /// How many tiles of rows, or units, are walked before the columns move on: as many as the second-level cache holds, but few
    /// enough that threads find work, and blocks of about the same size. And whether all blocks are walked before the columns move
    /// on nevertheless, since reading all rows again costs less than reading all vectors again.
    pub(super) fn order(&self, rows: &Group, units: &Group, columns: &Group, batch: &[usize]) -> Order {
        let (mut bytes, mut vectors) = (0.0f64, 0.0f64);
        for (r, access) in self.reads.iter().enumerate() {
            let used =
                |dims: &[usize]| -> f64 { dims.iter().filter(|&&k| access.uses[k]).map(|&k| self.extent(k)).product() };
            let walks = |group: &Group| group.dims.iter().any(|&k| access.uses[k]);
            let all = self.bytes_of(r) / used(batch);
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
        Order {
            block: (steps / blocks).ceil() as i64,
            outside: blocks > 1.0 && all_rows * column_tiles * ROWS_AGAIN + vectors < all_vectors + all_rows,
        }
    }
}
