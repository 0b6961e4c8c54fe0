//! Weights that are asked for before they are needed.
//!
//! A register tile walks over the rows with one panel of packed weights (as many columns as it has) before it takes the next panel. The
//! first tile of rows brings the panel from afar and waits for it; the others find it in the second-level cache, and memory has
//! nothing to do meanwhile. So each of them asks for a part of the next panel: in the step that multiplies by the vectors of this one,
//! tile number `n` asks for vector `n` of the same step in the next. Where that is from memory, the time of both becomes that of the
//! slower one, instead of their sum.
//!
//! With 53 rows by 768 a panel of 64 columns is 196 KB: 14 us from memory at 14 GB/s, and 21 us to multiply by at 247 GFLOP/s.

use super::contraction::{ASSUMED, Search};
use super::tile::{Group, Tile};
use crate::nest::Nest;
use nim_ir::Diagnostic;

impl Search<'_, '_> {
    /// The packed weights that are worth it: constants that the second-level cache does not hold, and that several tiles use.
    pub(super) fn worth_asking_ahead(&self, rows: &Group, units: &Group, packed: &[usize]) -> Option<usize> {
        let pool = &self.points.ctx.exprs;
        let once = |group: &Group, tile: i64| pool.as_const(group.size).is_some_and(|n| n <= tile);
        if once(rows, rows.tile) && once(units, 1) {
            return None;
        }
        let far = |read: usize| {
            let machine = &self.env.options.target.machine;
            let alone = rows.dims.iter().chain(&units.dims).all(|&k| !self.reads[read].uses[k]);
            alone && machine.rate_of(self.bytes_of(read, ASSUMED)) < machine.second().rate
        };
        packed.iter().copied().find(|&read| self.env.constant_arg(self.points, read).is_some() && far(read))
    }
}

impl Tile<'_> {
    /// Asks for one vector of the next columns; the point has all reductions.
    pub(super) fn ask_ahead(&self, nest: &mut Nest<'_>) -> Result<(), Diagnostic> {
        let (points, plan) = (self.points, self.plan);
        // A tile that sums up in parts has few rows: loads are what it waits for already.
        let Some(read) = plan.ahead.filter(|_| self.parts.is_none()) else { return Ok(()) };
        let pool = &points.ctx.exprs;
        let vectors = plan.columns.tile / plan.lanes;
        let vector = pool.min(self.number, pool.constant(vectors - 1));
        let next = pool.sum([self.column, pool.constant(plan.columns.tile), pool.scale(plan.lanes, vector)]);
        let mut point = self.point.clone();
        plan.columns.split(points.ctx, &points.map.view.domain, next, &mut point);
        let (buffer, indices) = points.read_from(read)?;
        nest.prefetch(buffer, &points.map.all_at(points.ctx, indices, &point));
        Ok(())
    }
}
