//! Iteration variables `$0, $1, ...` of maps: making them, recognising them, replacing them.

use crate::Index;
use nim_ir::{BlockId, Body, Context, Expr, Facts, Symbol, Type, TypeData};

/// The iteration variable of dimension `k`: `$k`.
pub fn iv(ctx: &Context, k: usize) -> Expr {
    ctx.exprs.named(&format!("${k}"))
}

/// The symbol of iteration variable `k`.
pub fn iv_symbol(ctx: &Context, k: usize) -> Symbol {
    ctx.exprs.symbol(&format!("${k}"))
}

/// The iteration variables of all dimensions of a domain of this rank.
pub fn ivs(ctx: &Context, rank: usize) -> Vec<Expr> {
    (0..rank).map(|k| iv(ctx, k)).collect()
}

/// `k` if the symbol is `$k`.
pub fn iv_index(ctx: &Context, symbol: Symbol) -> Option<usize> {
    ctx.exprs.symbol_name(symbol).strip_prefix('$')?.parse().ok()
}

/// `k` if the expression is `$k` alone.
pub fn as_iv(ctx: &Context, expr: Expr) -> Option<usize> {
    iv_index(ctx, ctx.exprs.as_symbol(expr)?)
}

/// The iteration variables that an expression mentions, in ascending order.
pub fn mentioned_ivs(ctx: &Context, expr: Expr) -> Vec<usize> {
    let mut found: Vec<usize> = ctx.exprs.symbols(expr).iter().filter_map(|&s| iv_index(ctx, s)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The expression with `with[k]` in place of `$k`; variables beyond `with` stay.
pub fn substitute_ivs(ctx: &Context, expr: Expr, with: &[Expr]) -> Expr {
    ctx.exprs.substitute(expr, &mut |s| with.get(iv_index(ctx, s)?).copied())
}

/// Adds `0 <= $k < domain[k]` to what is known.
pub fn domain_facts(ctx: &Context, domain: &[Expr], known: &Facts) -> Facts {
    let mut facts = known.clone();
    let zero = ctx.exprs.constant(0);
    for (k, &extent) in domain.iter().enumerate() {
        facts.set_iteration(&ctx.exprs, iv_symbol(ctx, k), zero, extent);
    }
    facts
}

/// The type that a scalar has inside bodies: integers lose their sign (`ui8` reads as `i8`), since `arith` knows none.
pub fn scalar_type(ctx: &Context, element: Type) -> Type {
    match ctx.type_data(element) {
        TypeData::Integer { width, .. } => ctx.int_type(*width),
        _ => element,
    }
}

/// Puts `with[k]` in place of `$k` in all `dataflow.index` ops of a block and of what is nested in it: what has to happen when
/// a body moves into a map with another domain.
pub fn substitute_block_ivs(ctx: &Context, body: &mut Body, block: BlockId, with: &[Expr]) {
    let ops: Vec<_> = body.block_ops(block).flat_map(|op| body.walk_op(op)).collect();
    for op in ops {
        let expr = Index::is(ctx, body, op).then(|| Index::expr(ctx, body, op)).flatten().and_then(|a| ctx.as_expr(a));
        if let Some(expr) = expr {
            let new = substitute_ivs(ctx, expr, with);
            body.set_attr(ctx, op, "expr", ctx.expr_attr(new));
        }
    }
}
