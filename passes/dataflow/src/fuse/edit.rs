//! Taking maps apart and putting them together again: what all fusions share.

use nim_dataflow::{Index, MapBuilder, MapView, substitute_ivs};
use nim_ir::{
    BlockId, Body, Builder, Context, Expr, Facts, InsertPoint, Loc, LocData, OpId, Type, ValueId, clone::Mapping,
};

/// Most places in the location of a fused map.
const MAX_PLACES: usize = 8;

/// Copies the ops of a block, but for its terminator, to where the builder stands; what `dataflow.index` says is
/// rewritten to `ivs` when they are given. Answers what the terminator's operands became.
pub fn copy_block(
    b: &mut Builder<'_>,
    source: BlockId,
    mapping: &mut Mapping,
    ivs: Option<(&[Expr], &Facts)>,
) -> Vec<ValueId> {
    let ops: Vec<OpId> = b.body.block_ops(source).collect();
    let Some((&end, inner)) = ops.split_last() else { return vec![] };
    for &op in inner {
        let copy = b.body.clone_op(op, mapping);
        b.place(copy);
        if let Some((ivs, facts)) = ivs
            && Index::is(b.ctx, b.body, copy)
            && let Some(expr) = Index::expr(b.ctx, b.body, copy).and_then(|a| b.ctx.as_expr(a))
        {
            let expr = b.ctx.exprs.simplify(substitute_ivs(b.ctx, expr, ivs), facts);
            b.body.set_attr(b.ctx, copy, "expr", b.ctx.expr_attr(expr));
        }
    }
    b.body.operands(end).iter().map(|&v| mapping.get(v)).collect()
}

/// Maps the arguments of a block to values.
pub fn bind(body: &Body, block: BlockId, values: &[ValueId], mapping: &mut Mapping) {
    for (&arg, &value) in body.block_args(block).iter().zip(values) {
        mapping.map(arg, value);
    }
}

/// A map of these parts in place of an op that has as many results of the same types. `fill` makes the body, `finish` the
/// epilogue if `reduced`, the types of the reduced values, are given.
#[expect(clippy::too_many_arguments, reason = "two closures with what they need; a struct would be as long")]
pub fn replace(
    ctx: &Context,
    body: &mut Body,
    op: OpId,
    loc: Loc,
    parts: &MapBuilder,
    reduced: Option<&[Type]>,
    fill: impl FnOnce(&mut Builder<'_>, &[ValueId]) -> Vec<ValueId>,
    finish: impl FnOnce(&mut Builder<'_>, &[ValueId]) -> Vec<ValueId>,
) -> OpId {
    let mut b = Builder { ctx, body, point: InsertPoint::Before(op), loc };
    let new = match reduced {
        Some(reduced) => parts.build_with_epilogue(&mut b, reduced, fill, finish),
        None => parts.build(&mut b, fill),
    };
    for i in 0..body.results(op).len() {
        let (old, result) = (body.results(op)[i], body.results(new)[i]);
        body.replace_all_uses(old, result);
    }
    body.erase(op);
    new
}

/// Types of the values that a map's body yields for its writes; what an epilogue gets.
pub fn reduced_types(ctx: &Context, body: &Body, view: &MapView) -> Vec<Type> {
    match view.yields(ctx, body) {
        Some(yields) => yields.iter().map(|(v, _)| body.ty(*v)).collect(),
        None => vec![],
    }
}

/// The place of what was made of ops at two places; each name stands in it once.
pub fn fuse_locs(ctx: &Context, first: Loc, second: Loc) -> Loc {
    let mut parts: Vec<Loc> = vec![];
    for loc in [first, second] {
        let all = match ctx.loc_data(loc) {
            LocData::Fused(locs, _) => locs.clone(),
            _ => vec![loc],
        };
        for part in all {
            let known =
                parts.iter().any(|&p| p == part || ctx.loc_name(p).is_some() && ctx.loc_name(p) == ctx.loc_name(part));
            if !known && part != Loc::UNKNOWN {
                parts.push(part);
            }
        }
    }
    if parts.len() > MAX_PLACES {
        // The ends say most.
        parts.drain(MAX_PLACES / 2..parts.len() - MAX_PLACES / 2);
    }
    match parts.as_slice() {
        [] => Loc::UNKNOWN,
        [one] => *one,
        _ => ctx.loc(LocData::Fused(parts, None)),
    }
}
