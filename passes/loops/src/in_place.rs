//! Which outputs of a kernel may be the same memory as one of its inputs.
//!
//! An output may take an input's place when each element of the input is read only where the same element of the output is
//! made, and before it is written. Two things are looked at, since each knows half of it:
//!
//! * the maps: the output's element is written once, at `[$0, $1, ...]`, and the input is read by the same map, at the same
//!   index, and by nothing else;
//! * the loop nests that they have become: no index is a minimum, which is how a tile that would reach beyond the end is moved
//!   back over what is there already; each read of the input is followed, in its innermost loop, by the write to the same
//!   element, each write is preceded by such a read, and the output is never read back. So a schedule that copies the input,
//!   keeps sums in the output or reads ahead is seen.
//!
//! A kernel with a schedule that makes some results twice ([`crate::schedule::Env::repeats`]) is not asked at all.

use crate::map::Map;
use nim_dataflow::as_iv;
use nim_expr::ExprNode;
use nim_ir::{BlockId, Body, Context, Expr, ValueId};
use nim_loops::AccessView;
use rustc_hash::FxHashMap;

/// Pairs of an input and an output, both as numbers of arguments, that may share memory.
///
/// `inputs` are the tensors of the first arguments, `results` those of the arguments behind them, where they are known.
pub(crate) fn pairs(
    ctx: &Context,
    maps: &[Map],
    inputs: &[ValueId],
    results: &[Option<ValueId>],
    body: &Body,
) -> Vec<(usize, usize)> {
    let Some(entry) = body.entry() else { return vec![] };
    let args = body.block_args(entry);
    let accesses: Vec<(BlockId, AccessView)> =
        body.walk().into_iter().filter_map(|op| Some((body.block(op)?, AccessView::new(ctx, body, op)?))).collect();
    let mut found = vec![];
    for (k, &result) in results.iter().enumerate() {
        let made = |map: &Map| map.results.iter().position(|&r| Some(r) == result);
        let Some((map, number)) = maps.iter().find_map(|map| Some((map, made(map)?))) else { continue };
        let write = &map.view.writes[number];
        let once =
            |index: &Vec<Expr>| write.init_value.is_none() && is_plain(ctx, index) && is_made_once(ctx, map, index);
        let Some(index) = write.subset.as_ref().filter(|&index| once(index)) else { continue };
        for (i, &input) in inputs.iter().enumerate() {
            let (from, to) = (args[i], args[inputs.len() + k]);
            if body.ty(from) == body.ty(to)
                && [from, to].into_iter().all(|buffer| is_only_accessed(ctx, body, buffer))
                && reads_only_at(ctx, maps, map, input, index)
                && reads_before_it_writes(ctx, &accesses, body, from, to)
            {
                found.push((i, inputs.len() + k));
            }
        }
    }
    found
}

/// Each index is an iteration variable of its own: no element is written twice.
fn is_plain(ctx: &Context, index: &[Expr]) -> bool {
    let ivs: Option<Vec<usize>> = index.iter().map(|&e| as_iv(ctx, e)).collect();
    ivs.is_some_and(|mut ivs| {
        ivs.sort_unstable();
        ivs.windows(2).all(|pair| pair[0] != pair[1])
    })
}

/// No parallel dimension has several points for one element, as it may have where another result is larger.
fn is_made_once(ctx: &Context, map: &Map, index: &[Expr]) -> bool {
    let reductions = map.reductions(ctx);
    (0..reductions.len()).all(|k| {
        let counted = index.iter().any(|&e| as_iv(ctx, e) == Some(k));
        reductions[k] || map.view.domain[k] == Expr::ONE || counted
    })
}

/// Nothing but loads and stores touches a buffer.
fn is_only_accessed(ctx: &Context, body: &Body, buffer: ValueId) -> bool {
    body.uses(buffer).all(|u| AccessView::new(ctx, body, u.op).is_some_and(|access| access.buffer == buffer))
}

/// The input is read by this map alone, at this index alone: in its body when nothing is summed up, else in its epilogue.
fn reads_only_at(ctx: &Context, maps: &[Map], map: &Map, input: ValueId, index: &[Expr]) -> bool {
    let reduces = map.reductions(ctx).contains(&true);
    maps.iter().all(|other| {
        let view = &other.view;
        let here = other.view.op == map.view.op;
        let body = view.reads.iter().filter(|r| r.value == input);
        let starts = view.writes.iter().any(|w| w.init_value == Some(input));
        let at = |subset: &Option<Vec<Expr>>| subset.as_deref() == Some(index);
        !starts
            && body.into_iter().all(|r| here && !reduces && at(&r.subset))
            && view.epilogue_reads.iter().filter(|r| r.value == input).all(|r| here && at(&r.subset))
    })
}

/// What loops do with the two buffers.
fn reads_before_it_writes(
    ctx: &Context,
    accesses: &[(BlockId, AccessView)],
    body: &Body,
    from: ValueId,
    to: ValueId,
) -> bool {
    type ByBlock<'a> = FxHashMap<BlockId, Vec<&'a AccessView>>;
    let (mut loads, mut stores) = (ByBlock::default(), ByBlock::default());
    for (block, access) in accesses {
        match access.stored {
            None if access.buffer == to => return false,
            None if access.buffer == from => loads.entry(*block).or_default().push(access),
            Some(_) if access.buffer == to => stores.entry(*block).or_default().push(access),
            _ => {}
        }
    }
    loads.len() == stores.len()
        && loads.iter().all(|(block, loads)| {
            let Some([store]) = stores.get(block).map(Vec::as_slice) else { return false };
            let once = store.indices.iter().all(|&index| !has_extremum(ctx, index));
            let same = |load: &AccessView| once && load.values.is_empty() && load.indices == store.indices;
            loads.iter().all(|load| same(load) && body.is_before(load.op, store.op))
        })
}

/// True when a minimum or maximum stands somewhere in an expression.
fn has_extremum(ctx: &Context, expr: Expr) -> bool {
    match ctx.exprs.node(expr) {
        ExprNode::Min(_) | ExprNode::Max(_) => true,
        ExprNode::Sum(items) | ExprNode::Product(items) => items.iter().any(|&e| has_extremum(ctx, e)),
        ExprNode::FloorDiv(a, b) | ExprNode::CeilDiv(a, b) | ExprNode::Mod(a, b) => {
            has_extremum(ctx, a) || has_extremum(ctx, b)
        }
        _ => false,
    }
}
