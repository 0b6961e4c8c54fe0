//! Producers computed where they are used: a pointwise map goes into the bodies of all maps that read its result.
//!
//! The producer's memlets are composed with the reader's: where the reader reads `r[s0, s1]` and the producer makes
//! `r[$0, $1]` of `x[$1, 2*$0]`, the fused map reads `x[s1, 2*s0]`. What is computed stays the same, only when changes.

use super::{
    INLINE,
    cost::{body_cost, is_affine, only_converts, only_moves, only_widens, reads_once},
    edit::{bind, copy_block, fuse_locs, reduced_types, replace},
};
use nim_dataflow::{Map, MapBuilder, MapView, Memlet, as_iv, iv_symbol, substitute_ivs};
use nim_ir::{Attr, AttrData, Body, Context, Expr, Facts, OpId, TypeData, ValueId, clone::Mapping};
use nim_pass::Rules;
use rustc_hash::FxHashMap;

/// Most reads of a fused map.
const MAX_READS: usize = 24;
/// Most operations in the body of a fused map.
const MAX_OPS: usize = 256;
/// Operations that one element less to move is worth.
const OPS_PER_MOVE: u64 = 8;

/// Puts a pointwise map into all its readers when that moves less, and erases it. Answers the readers' new ops.
pub fn inline_producer(ctx: &Context, body: &mut Body, producer: OpId, rules: Rules<'_>) -> Option<Vec<OpId>> {
    let view = MapView::new(ctx, body, producer)?;
    let readers = match find(ctx, body, &view) {
        Ok(readers) => readers,
        Err(why) => {
            rules.missed(INLINE.name, ctx, body, producer, why);
            return None;
        }
    };
    if !rules.may(INLINE.name, ctx, body, producer) {
        return None;
    }
    let mut merged = vec![];
    for (reader, reads) in readers {
        // One reader may read another one, which is a new op by now.
        let reader = MapView::new(ctx, body, reader.op)?;
        merged.push(merge(ctx, body, &view, &reader, &reads));
    }
    body.erase(producer);
    Some(merged)
}

/// The readers that a map may go into.
fn find(ctx: &Context, body: &Body, view: &MapView) -> Result<Vec<(MapView, Vec<usize>)>, &'static str> {
    let result = single_pointwise(ctx, body, view).ok_or("it is not pointwise, or has several results")?;
    let readers =
        readers(ctx, body, view.op, result).ok_or("its result is wanted by others than maps that read elements")?;
    match () {
        () if readers.is_empty() => Err("nobody reads its result"),
        () if !worth_it(ctx, body, view, &readers) => Err("computing it where it is read costs more than it saves"),
        () => Ok(readers),
    }
}

/// The result of a map of one write that makes each element once, at the point of its index.
fn single_pointwise(ctx: &Context, body: &Body, view: &MapView) -> Option<ValueId> {
    let alone = view.writes.len() == 1 && view.writes[0].init_value.is_none();
    (alone && view.is_pointwise(ctx)).then(|| body.result(view.op))
}

/// The maps that read a value, each with the numbers of the reads; `None` when it is used in another way too.
fn readers(ctx: &Context, body: &Body, producer: OpId, result: ValueId) -> Option<Vec<(MapView, Vec<usize>)>> {
    let mut users: Vec<OpId> = body.uses(result).map(|u| u.op).collect();
    users.sort_unstable();
    users.dedup();
    let mut all = vec![];
    for user in users {
        if !Map::is(ctx, body, user) || body.block(user) != body.block(producer) {
            return None;
        }
        let view = MapView::new(ctx, body, user)?;
        let mut reads = vec![];
        for (i, read) in view.reads.iter().enumerate() {
            if read.value == result {
                read.subset.as_ref()?;
                reads.push(i);
            }
        }
        let elsewhere = view.epilogue_reads.iter().any(|m| m.value == result)
            || view.writes.iter().any(|w| w.init_value == Some(result));
        if elsewhere {
            return None;
        }
        all.push((view, reads));
    }
    Some(all)
}

fn worth_it(ctx: &Context, body: &Body, producer: &MapView, readers: &[(MapView, Vec<usize>)]) -> bool {
    let (moves, widens) = (only_moves(body, producer), only_widens(ctx, body, producer));
    let cost = body_cost(ctx, body, producer.body);
    let converts = only_converts(ctx, body, producer);
    // What is made of indices and numbers alone moves nothing wherever it is made.
    let generates = producer.reads.is_empty() && cost <= OPS_PER_MOVE;
    let ops = producer.body_ops(body).len();
    let whole = producer.reads.iter().any(|m| m.subset.is_none());
    for (reader, reads) in readers {
        let facts = reader.facts(ctx, &Facts::default());
        let too_large = reader.reads.len() + reads.len() * producer.reads.len() > MAX_READS
            || reader.body_ops(body).len() + reads.len() * ops > MAX_OPS;
        if too_large {
            return false;
        }
        for &i in reads {
            let read = &reader.reads[i];
            let Some(subset) = &read.subset else { return false };
            if let Some(border) = read.border
                && (border_before(ctx, body, producer, border).is_none()
                    || !keeps_outside(ctx, body, producer, subset, &facts))
            {
                return false;
            }
            if !reads_once(ctx, subset, &reader.domain) {
                // Each element would be made many times, at places that change in the innermost loops.
                let composed = producer.reads.iter().filter_map(|m| compose(ctx, m, subset, &facts));
                let simple = composed.flatten().all(|e| is_affine(ctx, e));
                let pointwise = reader.reduction_dims(ctx).is_empty();
                // A constant is best read as it is stored, whoever reads it.
                let constant =
                    |m: &Memlet| body.defining_op(m.value).is_some_and(|op| body.is(ctx, op, "graph.constant"));
                let narrow = converts && producer.reads.iter().all(constant);
                let cheap = moves || widens || narrow || pointwise && (converts || generates);
                if whole || !cheap || !simple {
                    return false;
                }
            }
        }
    }
    if readers.len() == 1 && readers[0].1.len() == 1 || cost == 0 || generates {
        return true;
    }
    // Several readers each do the work again. Elements moved are counted in units of the producer's domain; a read that is
    // constant along some dimension of it counts nothing.
    let uses: u64 = readers.iter().map(|(_, reads)| reads.len() as u64).sum();
    let full = |m: &&Memlet| {
        let mentions = |s: &Vec<Expr>, k: usize| s.iter().any(|&e| ctx.exprs.mentions(e, iv_symbol(ctx, k)));
        m.subset.as_ref().is_none_or(|s| (0..producer.rank()).all(|k| mentions(s, k)))
    };
    let inputs = producer.reads.iter().filter(full).count() as u64;
    let (apart, fused) = (inputs + 1 + readers.len() as u64, readers.len() as u64 * inputs);
    // Reads of one map that are equal become one, and so does their work.
    let repeated = if uses > readers.len() as u64 && !same_place(readers) { uses } else { readers.len() as u64 };
    fused <= apart && (repeated - 1) * cost <= OPS_PER_MOVE * (apart - fused)
}

/// True when each reader reads at one place only.
fn same_place(readers: &[(MapView, Vec<usize>)]) -> bool {
    readers.iter().all(|(reader, reads)| reads.windows(2).all(|w| reader.reads[w[0]] == reader.reads[w[1]]))
}

/// The border of what a producer reads that makes this one of its result: the same where it only moves elements, and zero is
/// zero in any type.
fn border_before(ctx: &Context, body: &Body, producer: &MapView, border: Attr) -> Option<Attr> {
    if only_moves(body, producer) {
        return Some(border);
    }
    let zero = match ctx.attr_data(border) {
        AttrData::Int { value, .. } => *value == 0,
        AttrData::Float { bits, .. } => *bits == 0,
        _ => false,
    };
    let [argument] = producer.body_args(body) else { return None };
    let ty = body.ty(*argument);
    (zero && only_widens(ctx, body, producer)).then(|| match ctx.type_data(ty) {
        TypeData::Float(_) => ctx.float_attr(0.0, ty),
        _ => ctx.int_attr(0, ty),
    })
}

/// True for a producer that moves elements so that what lies outside of its result also lies outside of what it reads:
/// each of its dimensions is an index of as large a dimension, or has a single point, which is the one that is read at `at`.
fn keeps_outside(ctx: &Context, body: &Body, producer: &MapView, at: &[Expr], facts: &Facts) -> bool {
    let [read] = producer.reads.as_slice() else { return false };
    let (Some(subset), Some(dims)) = (&read.subset, ctx.dim_exprs(body.ty(read.value))) else { return false };
    let mut seen = vec![false; producer.rank()];
    for (&index, &dim) in subset.iter().zip(&dims) {
        match as_iv(ctx, index) {
            Some(k) if k < seen.len() && producer.domain[k] == dim => seen[k] = true,
            _ if ctx.exprs.as_const(index) == Some(0) && ctx.exprs.as_const(dim) == Some(1) => {}
            _ => return false,
        }
    }
    let single = |k: usize| {
        producer.domain[k] == Expr::ONE && at.get(k).is_some_and(|&e| ctx.exprs.simplify(e, facts) == Expr::ZERO)
    };
    read.border.is_none() && seen.into_iter().enumerate().all(|(k, seen)| seen || single(k))
}

/// The producer's memlet at a place of its result.
fn compose(ctx: &Context, memlet: &Memlet, at: &[Expr], facts: &Facts) -> Option<Vec<Expr>> {
    let subset = memlet.subset.as_ref()?;
    Some(subset.iter().map(|&e| ctx.exprs.simplify(substitute_ivs(ctx, e, at), facts)).collect())
}

/// The reader with the producer's body in place of these reads.
fn merge(ctx: &Context, body: &mut Body, producer: &MapView, reader: &MapView, reads: &[usize]) -> OpId {
    let facts = reader.facts(ctx, &Facts::default());
    let mut parts = MapBuilder::from_view(reader);
    parts.reads = vec![];
    // Where the arguments of the reader's body come from: a read of the new map, or the producer run at a place.
    let mut kept: FxHashMap<usize, usize> = FxHashMap::default();
    let mut inlined: Vec<(usize, Vec<Expr>, usize)> = vec![];
    for (i, read) in reader.reads.iter().enumerate() {
        match &read.subset {
            Some(at) if reads.contains(&i) => {
                inlined.push((i, at.clone(), parts.reads.len()));
                for memlet in &producer.reads {
                    let subset = compose(ctx, memlet, at, &facts);
                    // At most one of the two has a border.
                    let outer = || border_before(ctx, body, producer, read.border?);
                    let border = memlet.border.or_else(outer);
                    parts.reads.push(Memlet { value: memlet.value, subset, border });
                }
            }
            _ => {
                kept.insert(i, parts.reads.len());
                parts.reads.push(read.clone());
            }
        }
    }
    let loc = fuse_locs(ctx, body.loc(producer.op), body.loc(reader.op));
    let reduced = reader.epilogue.map(|_| reduced_types(ctx, body, reader));
    let count = producer.reads.len();
    replace(
        ctx,
        body,
        reader.op,
        loc,
        &parts,
        reduced.as_deref(),
        |b, args| {
            let reader_args = b.body.block_args(reader.body).to_vec();
            let mut mapping = Mapping::default();
            for (i, new) in kept {
                mapping.map(reader_args[i], args[new]);
            }
            for (i, at, first) in inlined {
                let mut inner = Mapping::default();
                bind(b.body, producer.body, &args[first..first + count], &mut inner);
                let made = copy_block(b, producer.body, &mut inner, Some((&at, &facts)));
                mapping.map(reader_args[i], made[0]);
            }
            copy_block(b, reader.body, &mut mapping, None)
        },
        |b, args| {
            let mut mapping = Mapping::default();
            let Some(epilogue) = reader.epilogue else { return args.to_vec() };
            bind(b.body, epilogue, args, &mut mapping);
            copy_block(b, epilogue, &mut mapping, None)
        },
    )
}
