//! Which algorithm, in which blocks, and what it costs.

use super::{Convolution, PLAIN_ERROR};
use crate::point::Points;
use crate::schedule::Env;
use crate::schedule::access::estimate;
use crate::schedule::choice::Choice;
use crate::schedule::cook_toom::{CookToom, Matrix};
use nim_ir::Expr;

/// Size that a symbol is taken to have in estimates: images are larger than this more often than not.
const ASSUMED: i64 = 256;
/// Bytes of transformed inputs, and of products, that a block may have; all lie on the stack.
const INPUT_BYTES: i64 = 256 * 1024;
const PRODUCT_BYTES: i64 = 192 * 1024;
/// By how much transformed weights may exceed the weights, unless they have fewer bytes.
const MOST_GROWTH: f64 = 2.0;
const MOST_BYTES: f64 = 4.0 * 1024.0 * 1024.0;
/// Most tiles of a block.
const MOST_TILES: i64 = 96;
/// Blocks that threads find at least, where there is enough to do.
const BLOCKS: i64 = 8;
/// How it is walked.
pub struct Plan {
    pub algorithms: Vec<CookToom>,
    /// The domain with tiles instead of results along windows.
    pub tiles: Vec<Expr>,
    /// Tiles of a block; rows and columns of a tile of products in registers; blocks of column tiles.
    pub block: i64,
    pub rows: i64,
    pub cols: i64,
    pub column_tiles: i64,
    pub block_tiles: i64,
    pub chunks: i64,
    /// Whether all inputs are transformed before anything else.
    pub shared: bool,
    pub cost: f64,
}

impl Plan {
    /// Products of a tile, for one channel and one column.
    pub fn products(&self) -> i64 {
        products(&self.algorithms)
    }

    /// What it is among all schedules of its map.
    pub fn choice(&self) -> Choice {
        Choice::Winograd { products: self.algorithms.first().map_or(0, CookToom::products), shared: self.shared }
    }

    /// Its cost with a surcharge: memory for all inputs is to be worth it.
    fn weight(&self) -> f64 {
        self.cost * if self.shared { 1.1 } else { 1.0 }
    }
}

fn products(algorithms: &[CookToom]) -> i64 {
    algorithms.iter().map(|a| a.products() as i64).product()
}

/// The fastest algorithm within the tolerance, if it beats plain sums or is wanted.
pub fn search(points: &Points<'_>, env: &Env<'_>, found: &Convolution) -> Option<Plan> {
    let plain = plain(points, env, found);
    let wanted = |plan: &Plan| env.wanted.as_ref().is_none_or(|wanted| *wanted == plan.choice());
    let best = plans(points, env, found).into_iter().filter(wanted).min_by(|a, b| a.weight().total_cmp(&b.weight()))?;
    (best.cost < 0.85 * plain || env.options.winograd || env.wanted.is_some()).then_some(best)
}

/// What plain sums cost, in the same cycles.
pub fn plain(points: &Points<'_>, env: &Env<'_>, found: &Convolution) -> f64 {
    let (ctx, view) = (points.ctx, &points.map.view);
    let extent = |k: usize| estimate(ctx, view.domain[k], ASSUMED);
    let lanes = env.lanes(ctx.f32_type()) as f64;
    let taps: f64 = found.windows.iter().map(|w| w.taps as f64).product();
    // A batch of unknown size is taken to be one: what counts is one element of it.
    let alone = |k: &usize| found.windows.iter().any(|w| w.parallel == *k);
    let known = |&&k: &&usize| alone(&k) || ctx.exprs.as_const(view.domain[k]).is_some();
    let results: f64 = found.rows.iter().filter(known).map(|&k| extent(k)).product();
    let per_group = found.channels as f64 * found.columns as f64;
    let groups: f64 = found.batch.iter().map(|&k| extent(k)).product();
    let work = groups * results * taps * per_group / lanes / env.options.target.vector_rate();
    nim_machine::overlapped(work, env.weights_time(4.0 * groups * taps * per_group, 1.0, 1.0))
}

/// All algorithms within the tolerance, each with its inputs transformed block by block and all at once.
pub fn plans(points: &Points<'_>, env: &Env<'_>, found: &Convolution) -> Vec<Plan> {
    let algorithms = [4, 6].into_iter().filter_map(|n| {
        let algorithms: Vec<CookToom> =
            found.windows.iter().map(|w| CookToom::new(n, w.taps)).collect::<Option<Vec<_>>>()?;
        let error = algorithms.iter().map(CookToom::growth).product::<f64>() * PLAIN_ERROR;
        (error <= env.options.tolerance).then_some(algorithms)
    });
    algorithms.flat_map(|algorithms| plans_of(points, env, found, algorithms)).collect()
}

fn plans_of(points: &Points<'_>, env: &Env<'_>, found: &Convolution, algorithms: Vec<CookToom>) -> Vec<Plan> {
    let (ctx, view) = (points.ctx, &points.map.view);
    let pool = &ctx.exprs;
    let lanes = env.lanes(ctx.f32_type());
    let products = products(&algorithms);
    let mut tiles = view.domain.clone();
    for (window, algorithm) in found.windows.iter().zip(&algorithms) {
        tiles[window.parallel] = pool.ceildiv(tiles[window.parallel], pool.constant(algorithm.results() as i64));
    }
    let along = |k: usize| found.windows.iter().any(|w| w.parallel == k);
    let known = found.rows.iter().filter(|&&k| along(k) || pool.as_const(tiles[k]).is_some());
    let count = known.map(|&k| estimate(ctx, tiles[k], ASSUMED)).product::<f64>().max(1.0);
    let groups: f64 = found.batch.iter().map(|&k| estimate(ctx, view.domain[k], ASSUMED)).product();
    // Register tiles: all registers for sums but those of a row of the other factor and a number.
    let registers = i64::from(env.options.target.vector_registers);
    let wide = 2.min((found.columns + lanes - 1) / lanes);
    let most_rows = ((registers - wide - 1) / wide).min(14);
    let cols = wide * lanes;
    let column_tiles = (found.columns + cols - 1) / cols;
    let bytes = 4.0 * groups * products as f64 * (found.channels * column_tiles * cols) as f64;
    // A patch at the border is copied on the stack.
    if 4 * products * found.channels > INPUT_BYTES {
        return vec![];
    }
    // Programs are not to become much larger for it.
    let plain: f64 = found.windows.iter().map(|w| w.taps as f64).product();
    if bytes > MOST_BYTES && products as f64 > MOST_GROWTH * plain {
        return vec![];
    }
    let blocked = |shared: bool| {
        let fits = match shared {
            true => PRODUCT_BYTES / (4 * products * cols),
            false => INPUT_BYTES / (4 * products * padded(found.channels)),
        };
        if fits < 2 {
            return None;
        }
        let blocks = (count / fits.min(MOST_TILES) as f64).ceil();
        let block = (count / blocks).ceil() as i64;
        let row_tiles = (block + most_rows - 1) / most_rows;
        let rows = (block + row_tiles - 1) / row_tiles;
        let block = rows * row_tiles;
        let block_tiles = column_tiles.min(PRODUCT_BYTES / (4 * products * block * cols));
        if block_tiles < 1 {
            return None;
        }
        let column_blocks = (column_tiles + block_tiles - 1) / block_tiles;
        let wanted = (BLOCKS as f64 / (blocks * groups)).ceil() as i64;
        // Where nothing is transformed twice for it, blocks of columns may be as small as threads want them.
        let (block_tiles, chunks) = match shared {
            true => {
                let block_tiles = block_tiles.min((column_tiles + wanted - 1) / wanted.max(1)).max(1);
                (block_tiles, (column_tiles + block_tiles - 1) / block_tiles)
            }
            false => (block_tiles, wanted.clamp(1, column_blocks)),
        };
        // Work for a tile: the transforms of vectors of channels and of columns, and the products.
        let (channels, columns) = (found.channels as f64 / lanes as f64, (column_tiles * wide) as f64);
        let sums = products as f64 * found.channels as f64 * columns * (1.0 + 0.15 * (wide as f64 + 3.0) / rows as f64);
        let results: f64 = algorithms.iter().map(|a| a.results() as f64).product();
        let times = if shared { 1.0 } else { chunks as f64 };
        // Transforms load and store as much as they compute: a second unit does not help them.
        let each = sums / env.options.target.vector_rate()
            + 0.7 * transform_ops(&algorithms, |a| &a.input) * channels * times
            + (0.7 * transform_ops(&algorithms, |a| &a.output) + 3.0 * results) * columns;
        let tiles_in_all = (blocks * block as f64).min(count * 1.1);
        let copy = if shared { 2.0 * products as f64 * channels * count } else { 0.0 };
        // Every block reads all weights. Where they grow, those of the program's other convolutions do.
        let growth = (products as f64 / plain).max(1.0);
        let cost =
            nim_machine::overlapped(groups * (tiles_in_all * each + copy), env.weights_time(bytes, blocks, growth));
        let (algorithms, tiles) = (algorithms.clone(), tiles.clone());
        Some(Plan { algorithms, tiles, block, rows, cols, column_tiles, block_tiles, chunks, shared, cost })
    };
    [false, true].into_iter().filter_map(blocked).collect()
}

/// Vector operations of a transform of one tile.
fn transform_ops(algorithms: &[CookToom], pick: fn(&CookToom) -> &Matrix) -> f64 {
    let (mut inside, mut total) = (1.0, 0.0);
    let mut products = 1.0;
    for (i, algorithm) in algorithms.iter().enumerate() {
        let outside: f64 = algorithms[i + 1..].iter().map(|a| a.products() as f64).product();
        let terms: usize = pick(algorithm).iter().map(|row| row.iter().filter(|x| **x != 0.0).count() - 1).sum();
        total += inside * outside * terms as f64;
        inside *= pick(algorithm).len() as f64;
        products *= algorithm.products() as f64;
    }
    total + products + inside
}

/// Elements of a row with room behind them, so that rows do not begin at the same place of a page.
pub fn padded(n: i64) -> i64 {
    (n + 15) / 16 * 16 + 16
}
