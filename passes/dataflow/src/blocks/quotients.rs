//! Quotients by one number a row become products with its reciprocal, which is taken once a row: a softmax divides each exponential by
//! the sum of all.
//!
//! `x / s` becomes `(x * c) * (1 / (s * c))`, where `c` is 1 unless the reciprocal of `s` would overflow or lose digits: it moves `s`
//! towards 1 by a power of two, and is exact. What is infinite, zero or no number stays so. The result is rounded twice instead
//! of once, so this is not for strict mode.

use nim_dataflow::{MapView, mentioned_ivs};
use nim_ir::{Body, Builder, Context, Expr, FloatKind, InsertPoint, TypeData, ValueId};

/// Numbers beyond `2^64` and below `2^-64` are moved by that much.
const FAR: f64 = 18_446_744_073_709_551_616.0;
/// `arith.cmpf` predicates: ordered greater, and ordered less.
const GREATER: i64 = 2;
const LESS: i64 = 4;

/// Rewrites the quotients in the bodies of a group's maps by what the group made for a whole row.
pub fn multiply_instead(ctx: &Context, body: &mut Body, maps: &[(MapView, Vec<usize>)]) {
    let made: Vec<ValueId> = maps.iter().flat_map(|(view, _)| body.results(view.op)).copied().collect();
    for (view, shared) in maps {
        let args = view.body_args(body).to_vec();
        for op in view.body_ops(body) {
            if !body.is(ctx, op, "arith.divf") {
                continue;
            }
            let (x, s) = (body.operand(op, 0), body.operand(op, 1));
            let ty = body.ty(s);
            let wide = matches!(ctx.type_data(ty), TypeData::Float(FloatKind::F32 | FloatKind::F64));
            let read = args.iter().position(|&a| a == s).map(|i| &view.reads[i]);
            let of_row =
                read.is_some_and(|r| made.contains(&r.value) && is_of_row(ctx, view, shared, r.subset.as_deref()));
            if !wide || !of_row {
                continue;
            }
            let truth = ctx.int_type(1);
            let loc = body.loc(op);
            let mut b = Builder { ctx, body, point: InsertPoint::Before(op), loc };
            let number = |b: &mut Builder<'_>, value: f64| {
                b.value("arith.constant", &[], ty, &[("value", ctx.float_attr(value, ty))])
            };
            let compare = |b: &mut Builder<'_>, predicate: i64, a: ValueId, c: ValueId| {
                b.value("arith.cmpf", &[a, c], truth, &[("predicate", ctx.i64_attr(predicate))])
            };
            let (one, far, near) = (number(&mut b, 1.0), number(&mut b, FAR), number(&mut b, 1.0 / FAR));
            let size = b.value("math.absf", &[s], ty, &[]);
            let (large, small) = (compare(&mut b, GREATER, size, far), compare(&mut b, LESS, size, near));
            let factor = b.value("arith.select", &[small, far, one], ty, &[]);
            let factor = b.value("arith.select", &[large, near, factor], ty, &[]);
            let divisor = b.value("arith.mulf", &[s, factor], ty, &[]);
            let reciprocal = b.value("arith.divf", &[one, divisor], ty, &[]);
            let scaled = b.value("arith.mulf", &[x, factor], ty, &[]);
            let product = b.value("arith.mulf", &[scaled, reciprocal], ty, &[]);
            let old = body.result(op);
            body.replace_all_uses(old, product);
            body.erase(op);
        }
    }
}

/// Whether a place is the same for many points of a block.
fn is_of_row(ctx: &Context, view: &MapView, shared: &[usize], subset: Option<&[Expr]>) -> bool {
    let Some(subset) = subset else { return false };
    let used: Vec<usize> = subset.iter().flat_map(|&e| mentioned_ivs(ctx, e)).collect();
    let others = (0..view.rank()).filter(|k| view.domain[*k] != Expr::ONE && !shared.contains(k));
    used.iter().all(|k| shared.contains(k) || view.domain[*k] == Expr::ONE) && others.count() > 0
}
