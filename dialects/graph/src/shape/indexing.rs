//! Shapes of gathers, scatters, and of ops whose size depends on data.

use super::{Inferred, Shapes};
use nim_ir::{Expr, InferInput, Type};

/// `x` with `axis` replaced by the shape of the indices.
pub fn gather(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (x, indices) = (s.dims(0)?, s.dims(1)?);
    let axis = s.axis("axis", 0, x.len())?;
    let dims: Vec<Expr> = x[..axis].iter().chain(&indices).chain(&x[axis + 1..]).copied().collect();
    s.one(&dims, s.element(0)?)
}

/// The shape of the indices.
pub fn gather_elements(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (x, indices) = (s.dims(0)?, s.dims(1)?);
    if x.len() != indices.len() {
        return s.error(format!("data of rank {} and indices of rank {} must have one rank", x.len(), indices.len()));
    }
    s.axis("axis", 0, x.len())?;
    s.one(&indices, s.element(0)?)
}

/// Batch dimensions, the indices' without the last, then what the index tuples leave of `x`.
pub fn gather_nd(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (x, indices) = (s.dims(0)?, s.dims(1)?);
    let batch = s.int_attr("batch_dims", 0)? as usize;
    let Some(tuple) = indices.last().and_then(|&d| s.pool().as_const(d)).and_then(|n| usize::try_from(n).ok()) else {
        return s.error("the last dimension of the indices must be a number");
    };
    if batch + tuple > x.len() || batch >= indices.len() {
        return s.error(format!("{tuple} indices behind {batch} batch dimensions do not fit rank {}", x.len()));
    }
    let dims: Vec<Expr> = indices[..indices.len() - 1].iter().chain(&x[batch + tuple..]).copied().collect();
    s.one(&dims, s.element(0)?)
}

/// The data's type.
pub fn scatter_elements(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (x, indices, updates) = (s.dims(0)?, s.dims(1)?, s.dims(2)?);
    if x.len() != indices.len() || x.len() != updates.len() {
        return s.error("data, indices and updates must have one rank");
    }
    s.axis("axis", 0, x.len())?;
    for (k, (&a, &b)) in indices.iter().zip(&updates).enumerate() {
        s.same(a, b, &format!("dimensions {k} of indices and updates"))?;
    }
    s.one(&x, s.element(0)?)
}

/// The data's type.
pub fn scatter_nd(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (x, indices) = (s.dims(0)?, s.dims(1)?);
    match indices.last().and_then(|&d| s.pool().as_const(d)) {
        Some(n) if n >= 0 && n as usize <= x.len() => s.one(&x, s.element(0)?),
        _ => s.error(format!("the last dimension of the indices must be a number up to the rank {}", x.len())),
    }
}

/// `size` elements.
pub fn range(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    s.one(&[s.expr_attr("size")?], s.element(0)?)
}

/// `k` elements along `axis`: values and `i64` indices.
pub fn topk(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let mut dims = s.dims(0)?;
    let axis = s.axis("axis", -1, dims.len())?;
    dims[axis] = s.expr_attr("k")?;
    Ok(vec![s.tensor(&dims, s.element(0)?), s.tensor(&dims, s.int(64))])
}

/// The size of attribute `size` (a fresh symbol bound by the op).
fn fresh(s: &Shapes<'_>) -> Inferred<Expr> {
    match s.exprs_opt("size")?.and_then(|v| v.first().copied()) {
        Some(e) => Ok(e),
        None => Ok(s.pool().named(super::UNKNOWN)),
    }
}

/// `[rank, size]`.
pub fn nonzero(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let rank = s.num(s.dims(0)?.len() as i64);
    s.one(&[rank, fresh(&s)?], s.int(64))
}

/// Distinct elements (or slices along `axis`), first positions, inverse, counts.
pub fn unique(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let x = s.dims(0)?;
    let n = fresh(&s)?;
    let (dims, length) = match input.attrs.get(input.ctx.name("axis")) {
        None => (vec![n], s.pool().product(x)),
        Some(_) => {
            let axis = s.axis("axis", 0, x.len())?;
            let mut dims = x.clone();
            dims[axis] = n;
            (dims, x[axis])
        }
    };
    let i64s = |d| s.tensor(&[d], s.int(64));
    Ok(vec![s.tensor(&dims, s.element(0)?), i64s(n), i64s(length), i64s(n)])
}

/// `[size, 3]`.
pub fn nms(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    s.one(&[fresh(&s)?, s.num(3)], s.int(64))
}
