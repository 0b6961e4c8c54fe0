//! How large a block is, and whether blocks pay at all.
//!
//! What blocks save are the bytes of results that maps of a group hand to each other. What they may cost: a factor that does not depend
//! on the rows (the keys and values of an attention) is read again for every block, so blocks have several rows then, and the factor
//! must stay in the cache; the block's own results must stay there too; and threads need blocks enough.

use super::BlockOptions;
use nim_dataflow::{MapView, Memlet, mentioned_ivs};
use nim_ir::{Body, Context, Expr, ValueId};

/// Size that a symbolic dimension is taken to have.
const ASSUMED: i64 = 64;
/// Most rows of a block: enough that a factor is seldom read again, few enough that the results of a block are near.
const MOST_ROWS: i64 = 32;
/// Fewest blocks that threads share out.
const FEWEST_BLOCKS: f64 = 8.0;
/// Parts of the second-level cache for what a block hands on, and for a factor.
const BLOCK_SHARE: f64 = 0.25;
const FACTOR_SHARE: f64 = 0.5;
/// An access counts when deciding what vectors run along if it touches at least this part of what the largest one touches.
const LARGE: f64 = 0.25;

type Maps = [(MapView, Vec<usize>)];

fn estimate(ctx: &Context, e: Expr) -> f64 {
    ctx.exprs.eval(e, &|_| Some(ASSUMED)).unwrap_or(ASSUMED).max(1) as f64
}

fn bytes(ctx: &Context, ty: nim_ir::Type) -> i64 {
    ctx.dtype_of(ty).map_or(8, |d| d.bits().div_ceil(8) as i64)
}

/// The dimensions of a map that its large containers lie side by side along.
pub fn vector_dims(ctx: &Context, view: &MapView) -> Vec<usize> {
    let reads = view.reads.iter().filter_map(|m| m.subset.as_ref());
    let subsets: Vec<&Vec<Expr>> = reads.chain(view.writes.iter().filter_map(|w| w.subset.as_ref())).collect();
    let used = |subset: &Vec<Expr>| -> Vec<usize> {
        let mut dims: Vec<usize> = subset.iter().flat_map(|&e| mentioned_ivs(ctx, e)).collect();
        dims.sort_unstable();
        dims.dedup();
        dims.retain(|&k| k < view.rank() && view.domain[k] != Expr::ONE);
        dims
    };
    let size = |dims: &[usize]| -> f64 { dims.iter().map(|&k| estimate(ctx, view.domain[k])).product() };
    let largest = subsets.iter().map(|s| size(&used(s))).fold(0.0, f64::max);
    let mut found = vec![];
    for subset in subsets.into_iter().filter(|s| size(&used(s)) >= LARGE * largest) {
        // The last index that moves, and of it what moves by one.
        let last = subset.iter().rev().find(|&&e| mentioned_ivs(ctx, e).iter().any(|k| used(subset).contains(k)));
        let Some(&last) = last else { continue };
        for k in mentioned_ivs(ctx, last) {
            let step = ctx.exprs.linear_in(last, nim_dataflow::iv_symbol(ctx, k)).map(|(step, _)| step);
            if step.is_none_or(|step| step == Expr::ONE) && used(subset).contains(&k) {
                found.push(k);
            }
        }
    }
    found
}

/// How many points of each shared dimension are a block.
///
/// # Errors
/// Why blocks do not pay.
pub fn choose(
    ctx: &Context,
    body: &Body,
    maps: &Maps,
    extents: &[Expr],
    options: BlockOptions,
) -> Result<Vec<Expr>, &'static str> {
    let pool = &ctx.exprs;
    let cache = f64::from(options.l2_kib) * 1024.0;
    let of_row = |view: &MapView, shared: &[usize], m: &Memlet| {
        let own: Vec<usize> = m.subset.iter().flatten().flat_map(|&e| mentioned_ivs(ctx, e)).collect();
        let inside = (0..view.rank()).filter(|k| own.contains(k) && !shared.contains(k));
        inside.map(|k| estimate(ctx, view.domain[k])).product::<f64>() * bytes(ctx, body.ty(m.value)) as f64
    };
    let made: Vec<ValueId> = maps.iter().flat_map(|(view, _)| body.results(view.op)).copied().collect();
    let mut repeated = vec![false; extents.len()];
    for (view, shared) in maps {
        for read in factors(ctx, view, shared).filter(|r| !made.contains(&r.value)) {
            let own: Vec<usize> = read.subset.iter().flatten().flat_map(|&e| mentioned_ivs(ctx, e)).collect();
            let size = of_row(view, shared, read);
            let again: Vec<usize> = (0..extents.len()).filter(|&s| !own.contains(&shared[s])).collect();
            if !again.is_empty() && is_constant(ctx, body, read.value) {
                return Err("it multiplies with a constant, which is better read once for all rows");
            }
            if !again.is_empty() && size > FACTOR_SHARE * cache {
                return Err("a factor that every block reads does not fit the cache");
            }
            again.into_iter().for_each(|s| repeated[s] = true);
        }
    }
    if maps.iter().any(|(view, shared)| is_product(ctx, view, shared)) {
        return Err("it is a product along the shared dimensions: one result at a time uses no factor again");
    }
    if maps.iter().any(|(view, shared)| view.reads.iter().any(|m| of_row(view, shared, m) > cache)) {
        return Err("a row does not fit the cache");
    }
    let row = row_bytes(ctx, body, maps);
    let room = (BLOCK_SHARE * cache) as i64;
    if estimate(ctx, row) > room as f64 {
        return Err("what one point hands on does not fit the cache");
    }
    // Rows are points of one dimension: the innermost along which factors are the same.
    let rows = (0..extents.len()).rev().find(|&s| repeated[s]);
    let mut sizes = vec![Expr::ONE; extents.len()];
    if let Some(s) = rows {
        let most = pool.floordiv(pool.constant(room), pool.max(row, Expr::ONE));
        let most = pool.max(pool.min(most, pool.constant(MOST_ROWS)), Expr::ONE);
        sizes[s] = match (pool.as_const(most), pool.as_const(extents[s])) {
            // Blocks of about the same size.
            (Some(most), Some(extent)) if extent > 0 => {
                let blocks = (extent - 1) / most + 1;
                pool.constant((extent - 1) / blocks + 1)
            }
            _ => most,
        };
    }
    let blocks: f64 =
        extents.iter().zip(&sizes).map(|(&n, &size)| (estimate(ctx, n) / estimate(ctx, size)).ceil()).product();
    if blocks < FEWEST_BLOCKS {
        return Err("there are too few blocks for threads");
    }
    Ok(sizes)
}

/// Whether a map that shares these dimensions multiplies and sums up factors that it uses again.
pub fn is_contraction(ctx: &Context, view: &MapView, shared: &[usize]) -> bool {
    factors(ctx, view, shared).next().is_some()
}

/// What a contraction multiplies and sums up: it has results of its own beside the shared dimensions that use each element again.
fn factors<'m>(ctx: &'m Context, view: &'m MapView, shared: &'m [usize]) -> impl Iterator<Item = &'m Memlet> {
    let many = |k: &usize| view.domain[*k] != Expr::ONE;
    let reduced: Vec<usize> = view.reduction_dims(ctx).into_iter().filter(many).collect();
    let others = view.parallel_dims(ctx).iter().any(|k| many(k) && !shared.contains(k));
    let summed = move |m: &&Memlet| match &m.subset {
        Some(subset) => subset.iter().flat_map(|&e| mentioned_ivs(ctx, e)).any(|k| reduced.contains(&k)),
        None => true,
    };
    view.reads.iter().filter(move |_| others).filter(summed)
}

/// Whether a map sums up products of factors that are each the same along a shared dimension which another depends on: its rows and its
/// columns are both shared.
fn is_product(ctx: &Context, view: &MapView, shared: &[usize]) -> bool {
    let reduced: Vec<usize> = view.reduction_dims(ctx).into_iter().filter(|&k| view.domain[k] != Expr::ONE).collect();
    let dims = |m: &Memlet| -> Vec<usize> { m.subset.iter().flatten().flat_map(|&e| mentioned_ivs(ctx, e)).collect() };
    let along: Vec<Vec<usize>> =
        view.reads.iter().map(dims).filter(|d| d.iter().any(|k| reduced.contains(k))).collect();
    let only = |a: &[usize], b: &[usize]| shared.iter().any(|k| a.contains(k) && !b.contains(k));
    along.iter().enumerate().any(|(i, a)| along[..i].iter().any(|b| only(a, b) && only(b, a)))
}

/// Whether a block has room for what the body of a map of the group gives at each of its points.
pub fn has_room(ctx: &Context, body: &Body, maps: &Maps, map: usize, options: BlockOptions) -> bool {
    let (view, shared) = &maps[map];
    let own = (0..view.rank()).filter(|k| !shared.contains(k)).map(|k| estimate(ctx, view.domain[k])).product::<f64>();
    let widest = view.writes.iter().map(|w| bytes(ctx, w.ty)).max().unwrap_or(0) as f64;
    own * widest + estimate(ctx, row_bytes(ctx, body, maps)) <= BLOCK_SHARE * f64::from(options.l2_kib) * 1024.0
}

/// Bytes that maps hand to each other for one point of the shared dimensions.
fn row_bytes(ctx: &Context, body: &Body, maps: &Maps) -> Expr {
    let pool = &ctx.exprs;
    let mut sum = Expr::ZERO;
    for (view, shared) in maps {
        for (write, &result) in view.writes.iter().zip(body.results(view.op)) {
            let inside = |user| maps.iter().any(|(m, _)| m.op == user);
            if !body.uses(result).all(|u| inside(u.op)) {
                continue;
            }
            let mut size = pool.constant(bytes(ctx, write.ty));
            for k in write.subset.iter().flatten().flat_map(|&e| mentioned_ivs(ctx, e)).filter(|k| !shared.contains(k))
            {
                size = pool.mul(size, view.domain[k]);
            }
            sum = pool.add(sum, size);
        }
    }
    sum
}

/// A constant, or another view of one.
fn is_constant(ctx: &Context, body: &Body, value: ValueId) -> bool {
    let Some(op) = body.defining_op(value) else { return false };
    match ctx.op_str(body.op_name(op)) {
        "graph.constant" => true,
        "graph.reshape" => is_constant(ctx, body, body.operand(op, 0)),
        _ => false,
    }
}
