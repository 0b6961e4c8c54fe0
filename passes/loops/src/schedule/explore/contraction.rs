//! What a contraction is to its dataflows: dimensions by the operands that they move.

use super::super::access::{self, element_bits};
use super::super::{Env, copies, naive, words};
use crate::point::{Dot, Points};
use nim_ir::{Context, Expr};
use nim_pass::Miss;

/// The operands, in the order of the arrays that have an entry for each.
pub const INPUT: usize = 0;
pub const WEIGHT: usize = 1;
pub const OUTPUT: usize = 2;

/// A dimension of rows and one of reductions that share an index of the input: `stride*row + dilation*tap`.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The dimension of the results.
    pub row: usize,
    /// The dimension of the reduction.
    pub tap: usize,
    /// Inputs from one result to the next.
    pub stride: i64,
    /// Inputs from one tap to the next.
    pub dilation: i64,
    /// Taps.
    pub taps: i64,
    /// The dimension of the input's container that both index.
    pub axis: usize,
}

/// A map that sums up a function of two operands.
#[derive(Clone, Debug)]
pub struct Contraction {
    /// The reads that are the input and the weight.
    pub reads: [usize; 2],
    /// The dimension that vectors run along.
    pub columns: usize,
    /// Lanes of a vector.
    pub lanes: i64,
    /// Parallel dimensions that the weight depends on, but the columns.
    pub batch: Vec<usize>,
    /// Parallel dimensions that it does not depend on, the last innermost.
    pub rows: Vec<usize>,
    /// Reductions that belong to no window.
    pub depth: Vec<usize>,
    /// The window, outermost first; the last belongs to the last of the rows.
    pub windows: Vec<Window>,
    /// Extents of all dimensions.
    pub domain: Vec<Expr>,
    /// Steps along each dimension, vectors along the columns, where they are numbers.
    pub known: Vec<Option<i64>>,
    /// For each operand, for each index of its container, the step along each dimension.
    pub steps: [Vec<Vec<i64>>; 3],
    /// For each operand the bytes of an element.
    pub bytes: [i64; 3],
    /// Bytes of a sum under way.
    pub sum_bytes: i64,
    /// Points that one step along each dimension takes: a word where [`Points::dot`] is.
    pub stride: Vec<i64>,
    /// Set where what fills a word is summed up at a time.
    pub dot: Option<Dot>,
}

impl Contraction {
    /// Reads a map as a contraction.
    ///
    /// # Errors
    /// Why it is none.
    pub fn new(points: &Points<'_>, env: &Env<'_>) -> Result<Contraction, Miss> {
        let (ctx, map) = (points.ctx, points.map);
        let pool = &ctx.exprs;
        let view = &map.view;
        if naive::in_memory(points) {
            return Err(super::super::IN_MEMORY);
        }
        let ([_], [_, _]) = (view.writes.as_slice(), view.reads.as_slice()) else {
            return Err(Miss("a dataflow is for one result and two operands"));
        };
        let is_reduction = map.reductions(ctx);
        let walked: Vec<usize> = (0..view.rank()).filter(|&k| view.domain[k] != Expr::ONE).collect();
        let (reductions, parallel): (Vec<usize>, Vec<usize>) = walked.iter().partition(|&&k| is_reduction[k]);
        if reductions.is_empty() || parallel.is_empty() {
            return Err(Miss("it has no reduction, or no parallel dimension"));
        }
        let accesses = access::reads(points);
        let extent = |k: usize| access::estimate(ctx, view.domain[k], super::count::ASSUMED);
        let longest = |dims: &mut dyn Iterator<Item = usize>| dims.max_by(|&a, &b| extent(a).total_cmp(&extent(b)));
        // The columns are the longest dimension that only one operand depends on; that operand is the weight: a constant if there
        // is one, else the second.
        let constant = (0..2).find(|&r| env.constant_arg(points, r).is_some()).unwrap_or(1);
        let mut found = None;
        for weight in [constant, 1 - constant] {
            let own = |k: &usize| accesses[weight].uses[*k] && !accesses[1 - weight].uses[*k];
            if let Some(k) = longest(&mut parallel.iter().copied().filter(own)) {
                found = Some((weight, k));
                break;
            }
        }
        let shared = || {
            let both = parallel.iter().copied().filter(|&k| accesses.iter().all(|a| a.uses[k]));
            longest(&mut both.filter(|&k| accesses[1 - constant].contiguous(k))).map(|k| (constant, k))
        };
        let (weight, columns) = found.or_else(shared).ok_or(Miss("no dimension gives vectors of the weight"))?;
        let input = 1 - weight;
        let reads = [input, weight];
        let steps =
            [steps(points, input)?, steps(points, weight)?, steps_of(ctx, map, view.writes[0].subset.as_deref())?];
        let mut windows = vec![];
        for (axis, step) in steps[INPUT].iter().enumerate() {
            let (rows, taps): (Vec<usize>, Vec<usize>) =
                walked.iter().copied().filter(|&k| step[k] != 0).partition(|&k| !is_reduction[k]);
            if let (&[row], &[tap]) = (rows.as_slice(), taps.as_slice()) {
                let once = |k: usize| steps[INPUT].iter().filter(|s| s[k] != 0).count() == 1;
                let taps = pool.as_const(view.domain[tap]).filter(|&n| n <= 16);
                let fits = once(row) && once(tap) && step[row] > 0 && step[tap] > 0 && row != columns;
                if let (true, Some(taps)) = (fits && !accesses[weight].uses[row], taps) {
                    windows.push(Window { row, tap, stride: step[row], dilation: step[tap], taps, axis });
                }
            }
        }
        let depth: Vec<usize> = reductions.iter().copied().filter(|k| windows.iter().all(|w| w.tap != *k)).collect();
        let mut rows: Vec<usize> =
            parallel.iter().copied().filter(|&k| k != columns && !accesses[weight].uses[k]).collect();
        let batch: Vec<usize> =
            parallel.iter().copied().filter(|&k| k != columns && accesses[weight].uses[k]).collect();
        windows.sort_by_key(|w| w.row);
        if let Some(last) = windows.last() {
            rows.retain(|&k| k != last.row);
            rows.push(last.row);
        }
        let sum_bits = points.accumulator_bits(0).max(8);
        let dot = words::dot(points, weight, input);
        let (lanes, mut stride) = match dot {
            Some(_) => (env.options.target.vector_bits / 32, vec![1; view.rank()]),
            None => (env.options.target.vector_bits / sum_bits.max(element_bits(points)), vec![1; view.rank()]),
        };
        if let Some(dot) = dot {
            stride[dot.dim] = dot.width;
        }
        let size = |ty| ctx.dtype_of(ty).map_or(4, |d| d.size() as i64);
        let source = points.source;
        let bytes = [
            size(source.ty(view.reads[input].value)),
            size(source.ty(view.reads[weight].value)),
            size(view.writes[0].ty),
        ];
        // The dimension that words lie along goes innermost.
        let mut depth = depth;
        if let Some(dot) = dot.filter(|dot| depth.contains(&dot.dim)) {
            depth.retain(|&k| k != dot.dim);
            depth.push(dot.dim);
        }
        if copies::may_be_outside(points, weight) {
            return Err(Miss("the weight has a border"));
        }
        if !env.reorders(points) {
            return Err(Miss("its sums may not be taken in another order"));
        }
        let lanes = i64::from(lanes.max(1));
        let whole = pool.divisor(view.domain[columns], &env.assumed) % lanes == 0;
        if view.writes[0].init_value.is_some() && !whole {
            return Err(Miss("what its sums start from is no multiple of a vector"));
        }
        if copies::overhang(points, input).is_none() {
            return Err(Miss("how far a read reaches beyond its border is not known"));
        }
        let step = |k: usize| if k == columns { lanes } else { stride[k] };
        let known = |k: usize| pool.as_const(view.domain[k]).map(|n| (n + step(k) - 1) / step(k));
        Ok(Contraction {
            reads,
            columns,
            lanes,
            known: (0..view.rank()).map(known).collect(),
            batch,
            rows,
            depth,
            windows,
            domain: view.domain.clone(),
            steps,
            bytes,
            sum_bytes: i64::from(sum_bits) / 8,
            stride,
            dot,
        })
    }

    /// Whether an operand depends on a dimension.
    pub fn moves(&self, operand: usize, k: usize) -> bool {
        self.steps[operand].iter().any(|s| s[k] != 0)
    }

    /// Reductions, outermost first.
    pub fn reductions(&self) -> Vec<usize> {
        self.depth.iter().copied().chain(self.windows.iter().map(|w| w.tap)).collect()
    }

    /// Points that one step along a dimension takes.
    pub fn step(&self, k: usize) -> i64 {
        if k == self.columns { self.lanes } else { self.stride[k] }
    }
}

fn steps(points: &Points<'_>, read: usize) -> Result<Vec<Vec<i64>>, Miss> {
    steps_of(points.ctx, points.map, points.map.view.reads[read].subset.as_deref())
}

/// For each index the step along each dimension.
fn steps_of(ctx: &Context, map: &crate::map::Map, subset: Option<&[Expr]>) -> Result<Vec<Vec<i64>>, Miss> {
    const APART: Miss = Miss("an index is not a sum of multiples of iteration variables");
    let pool = &ctx.exprs;
    let indices = subset.ok_or(Miss("it reads whole containers"))?;
    let of = |&index: &Expr| {
        let step = |&iv| pool.linear_in(index, iv).and_then(|(step, _)| pool.as_const(step)).ok_or(APART);
        map.ivs.iter().map(step).collect::<Result<Vec<i64>, Miss>>()
    };
    indices.iter().map(of).collect()
}
