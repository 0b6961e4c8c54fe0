//! What a mask hides from all rows of a block is not computed: keys behind the last one that causal attention lets a block's rows see.
//!
//! Where a map compares two of its indices, `$k <= $row + c`, everything behind the *horizon* `row + c` has the same answer. If a value
//! is -inf there, so are sums with it; its exponential is 0, and so are products and quotients with that. A maximum over -inf and a sum over 0
//! leave out what they are over. So maps are followed from the comparison on: each one that reads such results walks its own dimension
//! of them only as far as the horizon of the block's last row, or nothing is changed at all.
//!
//! This takes for granted what sums in another order do: that what is hidden (a score, a value) is finite. At least one point is always
//! walked, so rows that see nothing are what they were.

use nim_dataflow::blocks::Blocks;
use nim_dataflow::{Combine, MapView, as_iv, iv_symbol};
use nim_ir::{AttrData, BlockId, Body, Context, Expr, OpId, ValueId};
use rustc_hash::FxHashMap;

/// Keys are counted in so many: whole vectors are walked.
const STEP: i64 = 64;
/// A dimension of fewer points is walked as it is.
const LONG: i64 = 2 * STEP;

/// How far the maps of a kernel in blocks walk.
#[derive(Clone, Debug)]
pub struct Horizon {
    /// For each map the dimension that ends at the horizon.
    pub dims: Vec<Option<usize>>,
    /// Which shared dimension the rows are.
    rows: usize,
    /// How many points behind a row's own number the last is that it sees.
    beyond: Expr,
}

impl Horizon {
    /// Points of the dimension, of `extent`, that rows up to `end` see.
    pub fn extent(&self, ctx: &Context, extent: Expr, end: Expr) -> Expr {
        let pool = &ctx.exprs;
        let seen = pool.max(pool.add(end, self.beyond), Expr::ONE);
        pool.min(pool.align_up(seen, pool.constant(STEP)), extent)
    }

    /// The shared dimension that rows are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The horizon that a comparison in one of the maps gives all behind it, if any does.
    pub fn of(ctx: &Context, body: &Body, blocks: &Blocks) -> Option<Horizon> {
        for (i, (view, shared)) in blocks.maps.iter().enumerate() {
            let all = [Some(view.body), view.epilogue].into_iter().flatten();
            for op in all.flat_map(|block| body.block_ops(block)) {
                for rows in 0..shared.len() {
                    let Some(seen) = comparison(ctx, body, view, op, shared, rows) else { continue };
                    let mut found = Horizon { dims: vec![None; blocks.maps.len()], rows, beyond: seen.beyond };
                    if found.follow(ctx, body, blocks, i, seen, op).is_some() {
                        return Some(found);
                    }
                }
            }
        }
        None
    }

    /// Follows what is hidden through the maps; none where one of them needs more than is seen.
    fn follow(
        &mut self,
        ctx: &Context,
        body: &Body,
        blocks: &Blocks,
        start: usize,
        seen: Comparison,
        op: OpId,
    ) -> Option<()> {
        // The index of a result that ends at the horizon, and what stands behind it where that is known.
        let mut ends: FxHashMap<ValueId, (usize, Option<f64>)> = FxHashMap::default();
        let mut reduced = false;
        for (i, (view, _)) in blocks.maps.iter().enumerate().skip(start) {
            let mut dim = (i == start).then_some(seen.dim);
            let mut known: FxHashMap<ValueId, f64> = FxHashMap::default();
            if i == start {
                known.insert(body.result(op), f64::from(u8::from(seen.behind)));
            }
            let args = [view.body_args(body).to_vec(), epilogue_args(body, view)];
            for (memlets, args) in [&view.reads, &view.epilogue_reads].into_iter().zip(&args) {
                for (memlet, &arg) in memlets.iter().zip(args) {
                    let Some(&(place, value)) = ends.get(&memlet.value) else { continue };
                    let k = as_iv(ctx, *memlet.subset.as_ref()?.get(place)?)?;
                    if *dim.get_or_insert(k) != k {
                        return None;
                    }
                    known.extend(value.map(|value| (arg, value)));
                }
            }
            let Some(k) = dim else { continue };
            let long = ctx.exprs.as_const(view.domain[k]).is_none_or(|n| n >= LONG);
            if !long {
                return None;
            }
            self.dims[i] = Some(k);
            let yielded = evaluate(ctx, body, view.body, &mut known)?;
            let is_parallel = view.is_parallel(ctx);
            let mut handed_on = vec![];
            for (w, write) in view.writes.iter().enumerate() {
                let value = yielded.get(w).copied().flatten();
                let subset = write.subset.as_ref()?;
                let place = subset.iter().position(|&e| as_iv(ctx, e) == Some(k));
                let Some(place) = place else {
                    let left_out = match write.combine {
                        Combine::Max => value == Some(f64::NEG_INFINITY),
                        Combine::Add => value == Some(0.0),
                        _ => false,
                    };
                    if !left_out || is_parallel[k] {
                        return None;
                    }
                    reduced = true;
                    continue;
                };
                if subset.iter().filter(|&&e| ctx.exprs.mentions(e, iv_symbol(ctx, k))).count() > 1 {
                    return None;
                }
                let sum = match write.combine {
                    Combine::None => value,
                    Combine::Add if !write.has_init() || write.init_value.is_none() => value.filter(|&v| v == 0.0),
                    _ => None,
                };
                handed_on.push((w, place, sum));
            }
            let results = body.results(view.op).to_vec();
            if let Some(epilogue) = view.epilogue {
                for (&arg, w) in body.block_args(epilogue).iter().zip(0..view.writes.len()) {
                    let sum = handed_on.iter().find(|h| h.0 == w).and_then(|h| h.2);
                    known.extend(sum.map(|sum| (arg, sum)));
                }
                let finished = evaluate(ctx, body, epilogue, &mut known)?;
                for (w, _, value) in &mut handed_on {
                    *value = finished.get(*w).copied().flatten();
                }
            }
            for (w, place, value) in handed_on {
                let result = *results.get(w)?;
                if !blocks.inner.contains(&result) {
                    return None;
                }
                ends.insert(result, (place, value));
            }
        }
        reduced.then_some(())
    }
}

fn epilogue_args(body: &Body, view: &MapView) -> Vec<ValueId> {
    let args = view.epilogue.map_or(vec![], |block| body.block_args(block).to_vec());
    args.into_iter().skip(view.writes.len()).collect()
}

/// A comparison that has one answer for all points of a dimension behind the horizon.
#[derive(Clone, Copy)]
struct Comparison {
    dim: usize,
    beyond: Expr,
    behind: bool,
}

/// What an op says if it compares a dimension's index with that of the rows.
fn comparison(
    ctx: &Context,
    body: &Body,
    view: &MapView,
    op: OpId,
    shared: &[usize],
    rows: usize,
) -> Option<Comparison> {
    let pool = &ctx.exprs;
    if ctx.op_str(body.op_name(op)) != "arith.cmpi" {
        return None;
    }
    let predicate = predicate(ctx, body, op)?;
    let index = |at: usize| index_of(ctx, body, body.operand(op, at));
    let difference = pool.sub(index(0)?, index(1)?);
    let (row, _) = pool.linear_in(difference, iv_symbol(ctx, shared[rows]))?;
    let row = pool.as_const(row).filter(|row| row.abs() == 1)?;
    let dims = (0..view.rank()).filter(|k| !shared.contains(k));
    let mut against = dims.filter(|&k| {
        pool.linear_in(difference, iv_symbol(ctx, k)).is_some_and(|(c, _)| pool.as_const(c) == Some(-row))
    });
    let dim = against.next()?;
    // With its sign so that the dimension's index counts up: `$dim - $row + rest`, compared with 0.
    let (difference, turned) = if row < 0 { (difference, false) } else { (pool.neg(difference), true) };
    let rest = pool.sub(difference, pool.sub(pool.var(iv_symbol(ctx, dim)), pool.var(iv_symbol(ctx, shared[rows]))));
    if (0..view.rank()).any(|k| pool.mentions(rest, iv_symbol(ctx, k))) {
        return None;
    }
    // `difference < limit` up to the horizon, else behind it.
    let (limit, behind) = match (predicate, turned) {
        ("slt", false) | ("sgt", true) => (Expr::ZERO, false),
        ("sle", false) | ("sge", true) => (Expr::ONE, false),
        ("sge", false) | ("sle", true) => (Expr::ZERO, true),
        ("sgt", false) | ("slt", true) => (Expr::ONE, true),
        _ => return None,
    };
    // Seen are `$dim < $row + limit - rest`; of the last row, whose end is one more, `end - 1 + limit - rest` points.
    let beyond = pool.sub(pool.sub(limit, rest), Expr::ONE);
    Some(Comparison { dim, beyond, behind })
}

fn predicate<'c>(ctx: &'c Context, body: &Body, op: OpId) -> Option<&'c str> {
    const NAMES: [&str; 6] = ["eq", "ne", "slt", "sle", "sgt", "sge"];
    let attr = body.attr_named(ctx, op, "predicate")?;
    ctx.as_string(attr).or_else(|| NAMES.get(usize::try_from(ctx.as_int(attr)?).ok()?).copied())
}

/// The expression that an integer is, through conversions that keep it and sums, which no sizes of tensors make overflow 64 bits.
fn index_of(ctx: &Context, body: &Body, value: ValueId) -> Option<Expr> {
    let op = body.defining_op(value)?;
    let wide = |value: ValueId| ctx.dtype_of_type(body.ty(value)).is_none_or(|d| d.bits() == 64);
    match ctx.op_str(body.op_name(op)) {
        "dataflow.index" => body.attr_named(ctx, op, "expr").and_then(|a| ctx.as_expr(a)),
        // Indices have 64 bits: in as many nothing is lost.
        "arith.index_cast" if wide(value) => index_of(ctx, body, body.operand(op, 0)),
        name @ ("arith.addi" | "arith.subi") if wide(value) => {
            let [a, b] = [0, 1].map(|at| index_of(ctx, body, body.operand(op, at)));
            Some(if name == "arith.addi" { ctx.exprs.add(a?, b?) } else { ctx.exprs.sub(a?, b?) })
        }
        "arith.constant" => match *ctx.attr_data(body.attr_named(ctx, op, "value")?) {
            AttrData::Int { value, .. } => i64::try_from(value).ok().map(|v| ctx.exprs.constant(v)),
            _ => None,
        },
        _ => None,
    }
}

/// Values of a block that are known behind the horizon; what it yields.
fn evaluate(
    ctx: &Context,
    body: &Body,
    block: BlockId,
    known: &mut FxHashMap<ValueId, f64>,
) -> Option<Vec<Option<f64>>> {
    for op in body.block_ops(block) {
        let name = ctx.op_str(body.op_name(op));
        let operand =
            |known: &FxHashMap<ValueId, f64>, at: usize| body.operands(op).get(at).and_then(|v| known.get(v).copied());
        if name == "dataflow.yield" {
            return Some(body.operands(op).iter().map(|v| known.get(v).copied()).collect());
        }
        let [a, b, c] = [0, 1, 2].map(|at| operand(known, at));
        let value = match name {
            "arith.constant" => match *ctx.attr_data(body.attr_named(ctx, op, "value")?) {
                AttrData::Float { bits, .. } => Some(f64::from_bits(bits)),
                AttrData::Int { value, .. } => Some(value as f64),
                AttrData::Bool(b) => Some(f64::from(u8::from(b))),
                _ => None,
            },
            "arith.select" => match a {
                Some(0.0) => c,
                Some(_) => b,
                None => b.filter(|_| b == c),
            },
            "arith.andi" if a == Some(0.0) || b == Some(0.0) => Some(0.0),
            "arith.ori" if is_truth(ctx, body, op) && (a == Some(1.0) || b == Some(1.0)) => Some(1.0),
            "arith.addf" => [a, b].contains(&Some(f64::NEG_INFINITY)).then_some(f64::NEG_INFINITY),
            "arith.subf" if a == Some(f64::NEG_INFINITY) && b != a => a,
            "arith.mulf" => match [a, b] {
                [Some(f64::NEG_INFINITY), Some(x)] | [Some(x), Some(f64::NEG_INFINITY)] if x > 0.0 => {
                    Some(f64::NEG_INFINITY)
                }
                [Some(x), y] | [y, Some(x)] if x == 0.0 && y != Some(f64::NEG_INFINITY) => Some(0.0),
                _ => None,
            },
            "arith.divf" if a == Some(0.0) => a,
            "math.exp" | "math.exp2" if a == Some(f64::NEG_INFINITY) => Some(0.0),
            "arith.extf" | "arith.truncf" => a,
            _ => None,
        };
        if let (Some(value), [result]) = (value, body.results(op)) {
            known.insert(*result, value);
        }
    }
    None
}

/// Whether an op gives a truth value.
fn is_truth(ctx: &Context, body: &Body, op: OpId) -> bool {
    ctx.dtype_of_type(body.ty(body.result(op))).is_some_and(|d| d.bits() == 1)
}
