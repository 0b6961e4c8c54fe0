//! `dataflow-split-residues`: a dimension that memlets take apart by remainders becomes two.
//!
//! A transposed convolution with stride 2 reads its weight at `mod($2, 2)` and its operand at `floordiv($2, 2)`: even and odd results
//! are two convolutions without a stride (its polyphase form). Where the extent is a multiple of the modulus, `$2` becomes
//! `2*$2 + $r` with a dimension `$r` of its own. The divisions are gone, and what is left is an ordinary contraction.

use nim_dataflow::{MapView, iv, iv_symbol, mentioned_ivs, substitute_block_ivs, substitute_ivs};
use nim_ir::{Attr, Body, Context, Expr, ExprNode, Facts, Module};
use nim_pass::{RuleInfo, Rules};

/// The name of the pass.
pub const NAME: &str = "dataflow-split-residues";

/// The rule.
pub(crate) const SPLIT: RuleInfo =
    RuleInfo { name: "split-dimension", description: "a dimension whose remainder is an index becomes two" };

/// Splits in all functions of a module; answers how many dimensions were.
pub fn split_residues(ctx: &Context, module: &mut Module) -> usize {
    module.body.nested_bodies_mut().map(|(_, body)| split_in(ctx, body, Rules::default())).sum()
}

/// Splits in one function; answers how many dimensions were.
pub fn split_in(ctx: &Context, body: &mut Body, rules: Rules<'_>) -> usize {
    let mut done = 0;
    for op in body.walk() {
        // One at a time: what is left of the others is seen in the new form.
        while let Some(view) = MapView::new(ctx, body, op)
            && let Some((k, modulus)) = candidate(ctx, &view)
            && rules.may(SPLIT.name, ctx, body, op)
        {
            split(ctx, body, &view, k, modulus);
            done += 1;
        }
    }
    done
}

/// A parallel dimension of a reduction whose remainder is an index somewhere, with the modulus that divides its extent.
fn candidate(ctx: &Context, view: &MapView) -> Option<(usize, i64)> {
    let parallel = view.is_parallel(ctx);
    if view.has_scatter() || !parallel.contains(&false) {
        return None;
    }
    let indices = view.reads.iter().filter_map(|r| r.subset.as_ref()).flatten();
    let mut found = vec![];
    indices.for_each(|&index| remainders(ctx, index, &mut found));
    found.into_iter().find(|&(k, modulus)| {
        // A dimension of just the modulus is what splitting makes.
        let longer = view.domain.get(k).is_some_and(|&n| n != ctx.exprs.constant(modulus));
        longer && parallel.get(k) == Some(&true) && ctx.exprs.divisor(view.domain[k], &Facts::default()) % modulus == 0
    })
}

/// Variables in `mod(..., m)`, with the modulus that makes their part of it a remainder.
fn remainders(ctx: &Context, expr: Expr, found: &mut Vec<(usize, i64)>) {
    let pool = &ctx.exprs;
    match pool.node(expr) {
        ExprNode::Sum(parts) | ExprNode::Product(parts) | ExprNode::Min(parts) | ExprNode::Max(parts) => {
            parts.iter().for_each(|&part| remainders(ctx, part, found));
        }
        ExprNode::FloorDiv(a, b) | ExprNode::CeilDiv(a, b) => {
            remainders(ctx, a, found);
            remainders(ctx, b, found);
        }
        ExprNode::Mod(a, b) => {
            let Some(modulus) = pool.as_const(b).filter(|&m| m > 1) else { return };
            for k in mentioned_ivs(ctx, a) {
                let step = pool.linear_in(a, iv_symbol(ctx, k)).and_then(|(step, _)| pool.as_const(step));
                if let Some(step) = step {
                    let modulus = modulus / gcd(modulus, step.checked_abs().unwrap_or(modulus));
                    found.extend((modulus > 1).then_some((k, modulus)));
                }
            }
        }
        ExprNode::Const(_) | ExprNode::Symbol(_) | ExprNode::Invalid(_) => {}
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Writes `modulus*$k + $new` for `$k`, throughout the map.
fn split(ctx: &Context, body: &mut Body, view: &MapView, k: usize, modulus: i64) {
    let pool = &ctx.exprs;
    let size = pool.constant(modulus);
    let mut domain = view.domain.clone();
    domain[k] = pool.floordiv(domain[k], size);
    domain.push(size);
    let facts = nim_dataflow::domain_facts(ctx, &domain, &Facts::default());
    let mut with: Vec<Expr> = (0..view.rank()).map(|k| iv(ctx, k)).collect();
    with[k] = pool.add(pool.scale(modulus, with[k]), iv(ctx, view.rank()));
    let subset = |subset: &Option<Vec<Expr>>| -> Attr {
        let Some(indices) = subset else { return ctx.unit_attr() };
        let new: Vec<Expr> = indices.iter().map(|&e| pool.simplify(substitute_ivs(ctx, e, &with), &facts)).collect();
        ctx.exprs_attr(&new)
    };
    let mut set = |name: &str, attr: Attr| body.set_attr(ctx, view.op, name, attr);
    set("domain", ctx.exprs_attr(&domain));
    set("reads", ctx.array_attr(view.reads.iter().map(|r| subset(&r.subset))));
    set("writes", ctx.array_attr(view.writes.iter().map(|w| subset(&w.subset))));
    if !view.epilogue_reads.is_empty() {
        set("epilogue_reads", ctx.array_attr(view.epilogue_reads.iter().map(|r| subset(&r.subset))));
    }
    for block in [Some(view.body), view.epilogue].into_iter().flatten() {
        substitute_block_ivs(ctx, body, block, &with);
    }
}
