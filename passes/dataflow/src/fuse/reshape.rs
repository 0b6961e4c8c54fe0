//! Reads through `graph.reshape`: the same elements under another shape, so a map may as well read the original.
//!
//! Done only where the index stays a sum of products: where dimensions are split or dimensions of one element come and go.
//! Merging dimensions would need divisions, and is left to the reshape, which costs nothing.

use super::READ_THROUGH;
use nim_dataflow::{MapView, Memlet};
use nim_ir::{Body, Context, Expr, ExprPool, Facts, OpId, ValueId};
use nim_pass::Rules;

/// Makes a map read what reshapes show, where that is simple. The op stays the same.
pub fn read_through_reshapes(ctx: &Context, body: &mut Body, op: OpId, rules: Rules<'_>) {
    let Some(view) = MapView::new(ctx, body, op) else { return };
    let facts = view.facts(ctx, &Facts::default());
    let mut changed: Vec<(usize, ValueId)> = vec![];
    let mut subsets: Vec<Option<Vec<Expr>>> = view.reads.iter().map(|m| m.subset.clone()).collect();
    for (i, read) in view.reads.iter().enumerate() {
        let mut read = read.clone();
        while let Some((value, subset)) = through(ctx, body, &read, &facts) {
            read = Memlet { value, subset: Some(subset), border: read.border };
        }
        if read.value != view.reads[i].value {
            subsets[i] = read.subset;
            changed.push((i, read.value));
        }
    }
    if changed.is_empty() {
        rules.missed(READ_THROUGH.name, ctx, body, op, "it reads no reshape whose index stays a sum of products");
    } else if rules.may(READ_THROUGH.name, ctx, body, op) {
        for (i, value) in changed {
            body.set_operand(op, i, value);
        }
        let unit = ctx.unit_attr();
        let attrs = subsets.iter().map(|s| s.as_ref().map_or(unit, |s| ctx.exprs_attr(s)));
        let attr = ctx.array_attr(attrs);
        body.set_attr(ctx, op, "reads", attr);
    }
}

fn through(ctx: &Context, body: &Body, read: &Memlet, facts: &Facts) -> Option<(ValueId, Vec<Expr>)> {
    let subset = read.subset.as_ref()?;
    let reshape = body.defining_op(read.value)?;
    if !body.is(ctx, reshape, "graph.reshape") {
        return None;
    }
    let source = body.operand(reshape, 0);
    let (from, to) = (ctx.dim_exprs(body.ty(source))?, ctx.dim_exprs(body.ty(read.value))?);
    let subset = original_index(&ctx.exprs, &from, &to, subset, read.border.is_some(), facts)?;
    Some((source, subset))
}

/// The index into shape `from` of the element at `index` of shape `to`. With a `border`, what lies outside of one shape must
/// lie outside of the other, so only dimensions of one element may come and go.
fn original_index(
    p: &ExprPool,
    from: &[Expr],
    to: &[Expr],
    index: &[Expr],
    border: bool,
    facts: &Facts,
) -> Option<Vec<Expr>> {
    let unit = |e: Expr| p.as_const(e) == Some(1);
    let mut out = vec![Expr::ZERO; from.len()];
    let mut pairs = to.iter().copied().zip(index.iter().copied()).filter(|&(size, at)| {
        // An index into one element can only be 0, unless it may lie outside.
        !unit(size) || border && p.simplify(at, facts) != Expr::ZERO
    });
    for (i, &size) in from.iter().enumerate() {
        if unit(size) {
            continue;
        }
        // As many dimensions of the result as make up this one.
        let (first, mut at) = pairs.next()?;
        let mut product = first;
        while product != size {
            if border {
                return None;
            }
            let (next, index) = pairs.next()?;
            product = p.mul(product, next);
            at = p.add(p.mul(at, next), index);
        }
        out[i] = at;
    }
    pairs.next().is_none().then_some(out)
}
