//! Shapes of elementwise ops: NumPy broadcasting over symbolic dimensions.

use super::{Inferred, Shapes};
use nim_expr::ExprNode;
use nim_ir::{Expr, ExprPool, Facts, InferInput, Type};

/// The common size of two dimensions that meet in a broadcast, or `None` when they provably cannot: 1 gives way, a number beats a
/// symbol (which can then only be 1 or that number), else the larger one; of symbols `min(a*b, max(a, b))`, which is 0 where 0
/// meets 1.
pub fn broadcast_dims(pool: &ExprPool, a: Expr, b: Expr) -> Option<Expr> {
    if a == b {
        return Some(a);
    }
    match (pool.as_const(a), pool.as_const(b)) {
        (Some(1), _) => Some(b),
        (_, Some(1)) => Some(a),
        (Some(_), Some(_)) => None,
        (Some(_), None) => possible(pool, b, a).then_some(a),
        (None, Some(_)) => possible(pool, a, b).then_some(b),
        (None, None) => {
            let mut all = met(pool, a);
            for e in met(pool, b) {
                if !all.contains(&e) {
                    all.push(e);
                }
            }
            let largest = all.iter().copied().reduce(|a, b| pool.max(a, b))?;
            // Sizes that are computed of others are not 0 or 1 by themselves, and their products would grow without end.
            let free = all.iter().all(|&e| pool.as_symbol(e).is_some());
            Some(if free { pool.min(largest, pool.product(all)) } else { largest })
        }
    }
}

/// The dimensions whose common size an expression is, so that it does not matter in which order they meet.
fn met(pool: &ExprPool, e: Expr) -> Vec<Expr> {
    let ExprNode::Min(&[a, b]) = pool.node(e) else { return vec![e] };
    for (largest, product) in [(a, b), (b, a)] {
        if let ExprNode::Max(all) = pool.node(largest)
            && pool.product(all.iter().copied()) == product
        {
            return all.to_vec();
        }
    }
    vec![e]
}

/// A dimension that is not a number may be 1 or `n`.
fn possible(pool: &ExprPool, symbolic: Expr, n: Expr) -> bool {
    let facts = Facts::default();
    !(pool.prove_ne(symbolic, n, &facts) && pool.prove_ne(symbolic, pool.constant(1), &facts))
}

/// The common shape of two shapes, aligned at the end.
pub fn broadcast_shapes(pool: &ExprPool, a: &[Expr], b: &[Expr]) -> Option<Vec<Expr>> {
    let rank = a.len().max(b.len());
    let one = pool.constant(1);
    let at = |s: &[Expr], i: usize| if i + s.len() < rank { one } else { s[i + s.len() - rank] };
    (0..rank).map(|i| broadcast_dims(pool, at(a, i), at(b, i))).collect()
}

fn broadcast_all(s: &Shapes<'_>) -> Inferred<Vec<Expr>> {
    let mut dims = s.dims(0)?;
    for i in 1..s.count() {
        let other = s.dims(i)?;
        match broadcast_shapes(s.pool(), &dims, &other) {
            Some(d) => dims = d,
            None => {
                let (a, b) = (s.show(s.ty(0)?), s.show(s.ty(i)?));
                return s.error(format!("shapes {a} and {b} do not broadcast"));
            }
        }
    }
    Ok(dims)
}

/// All operands broadcast; the element type of the first, which is that of all.
pub fn broadcast(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    s.one_element_type()?;
    s.one(&broadcast_all(&s)?, s.element(0)?)
}

/// As [`broadcast`]; the second operand may have another element type.
pub fn broadcast_mixed(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    s.one(&broadcast_all(&s)?, s.element(0)?)
}

/// All operands broadcast to truth values.
pub fn compare(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    if s.element(0)? != s.element(1)? {
        let (a, b) = (s.show(s.ty(0)?), s.show(s.ty(1)?));
        return s.error(format!("compares values of one element type, found {a} and {b}"));
    }
    s.one(&broadcast_all(&s)?, s.int(1))
}

/// Condition and two values broadcast; the element type of the values.
pub fn select(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    if s.element(1)? != s.element(2)? {
        let (a, b) = (s.show(s.ty(1)?), s.show(s.ty(2)?));
        return s.error(format!("selects between values of one element type, found {a} and {b}"));
    }
    s.one(&broadcast_all(&s)?, s.element(1)?)
}

/// The operand's type.
pub fn unary(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    s.one(&s.dims(0)?, s.element(0)?)
}

/// The operand's shape, truth values.
pub fn unary_to_bool(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    s.one(&s.dims(0)?, s.int(1))
}

/// The operand's shape, the element type of attribute `to`.
pub fn cast(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    s.one(&s.dims(0)?, s.type_attr("to")?)
}
