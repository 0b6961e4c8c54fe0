//! Shapes of ops that make, move or rearrange elements without computing.

use super::{Inferred, Shapes};
use nim_ir::{AttrData, Expr, Facts, InferInput, Type};

/// The type of the elements in `value`.
pub fn constant(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    match input.attrs.get(input.ctx.name("value")).map(|a| input.ctx.attr_data(a)) {
        Some(AttrData::Dense { ty, .. } | AttrData::DenseStrings { ty, .. } | AttrData::DenseResource { ty, .. }) => {
            Ok(vec![*ty])
        }
        _ => s.error("a constant needs elements in `value`"),
    }
}

/// The same number of elements under `shape`.
pub fn reshape(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (from, to) = (s.dims(0)?, s.exprs_attr("shape")?);
    let (a, b) = (s.pool().product(from), s.pool().product(to.iter().copied()));
    if s.pool().prove_ne(a, b, &Facts::default()) {
        let ty = s.show(s.ty(0)?);
        let shape: Vec<String> = to.iter().map(|&d| s.show_dim(d)).collect();
        return s.error(format!(
            "{ty} has {} elements, the shape [{}] has {}",
            s.show_dim(a),
            shape.join(", "),
            s.show_dim(b)
        ));
    }
    s.one(&to, s.element(0)?)
}

/// Broadcasts to `shape`.
pub fn broadcast_to(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (from, to) = (s.dims(0)?, s.exprs_attr("shape")?);
    if from.len() > to.len() {
        return s.error(format!("cannot broadcast rank {} to rank {}", from.len(), to.len()));
    }
    for (&a, &b) in from.iter().zip(&to[to.len() - from.len()..]) {
        let facts = Facts::default();
        if s.pool().prove_ne(a, b, &facts) && s.pool().prove_ne(a, s.num(1), &facts) {
            return s.error(format!("a dimension of {} cannot broadcast to {}", s.show_dim(a), s.show_dim(b)));
        }
    }
    s.one(&to, s.element(0)?)
}

/// Permutes the axes: axis i of the result is axis `perm[i]` of the operand.
pub fn transpose(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let dims = s.dims(0)?;
    let perm = s.ints_opt("perm")?.unwrap_or_default();
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if sorted != (0..dims.len() as i64).collect::<Vec<_>>() {
        return s.error(format!("`perm` {perm:?} is no permutation of the {} axes", dims.len()));
    }
    let dims: Vec<Expr> = perm.iter().map(|&p| dims[p as usize]).collect();
    s.one(&dims, s.element(0)?)
}

/// Joins along `axis`; all other dimensions are equal.
pub fn concat(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let mut dims = s.dims(0)?;
    let axis = s.axis("axis", 0, dims.len())?;
    s.one_element_type()?;
    for i in 1..s.count() {
        let other = s.dims(i)?;
        if other.len() != dims.len() {
            let (a, b) = (s.show(s.ty(0)?), s.show(s.ty(i)?));
            return s.error(format!("concatenates tensors of one rank, found {a} and {b}"));
        }
        for (k, &d) in other.iter().enumerate() {
            if k == axis {
                dims[k] = s.pool().add(dims[k], d);
            } else {
                s.same(dims[k], d, &format!("dimensions {k} of operands 0 and {i}"))?;
                // The more definite of the two.
                if s.pool().as_const(d).is_some() {
                    dims[k] = d;
                }
            }
        }
    }
    s.one(&dims, s.element(0)?)
}

/// `sizes` elements per axis.
pub fn slice(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (dims, sizes) = (s.dims(0)?, s.exprs_attr("sizes")?);
    for name in ["starts", "steps", "sizes"] {
        let n = s.exprs_attr(name)?.len();
        if n != dims.len() {
            return s.error(format!("`{name}` must have one entry an axis ({}), found {n}", dims.len()));
        }
    }
    s.one(&sizes, s.element(0)?)
}

/// `low + size + high` per axis.
pub fn pad(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (dims, low, high) = (s.dims(0)?, s.exprs_attr("low")?, s.exprs_attr("high")?);
    if low.len() != dims.len() || high.len() != dims.len() {
        return s.error(format!("`low` and `high` must have one entry an axis ({})", dims.len()));
    }
    let dims: Vec<Expr> = (0..dims.len()).map(|i| s.pool().sum([low[i], dims[i], high[i]])).collect();
    s.one(&dims, s.element(0)?)
}

/// The shape in `shape`, the element type in `type`.
pub fn iota(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let shape = s.exprs_attr("shape")?;
    s.axis("axis", 0, shape.len())?;
    s.one(&shape, s.type_attr("type")?)
}

/// The shape in `shape`, the element type in `type`.
pub fn random(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    s.one(&s.exprs_attr("shape")?, s.type_attr("type")?)
}

/// `sizes` elements per axis.
pub fn resize(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (dims, sizes) = (s.dims(0)?, s.exprs_attr("sizes")?);
    if sizes.len() != dims.len() {
        return s.error(format!("`sizes` must have one entry an axis ({}), found {}", dims.len(), sizes.len()));
    }
    s.one(&sizes, s.element(0)?)
}

/// As many `i64` as the operand has dimensions.
pub fn shape_of(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    s.one(&[s.num(s.dims(0)?.len() as i64)], s.int(64))
}

/// The values of `exprs` as `i64`: a vector, or a scalar with `scalar`.
pub fn index(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let n = s.exprs_attr("exprs")?.len();
    if s.bool_attr("scalar", false)? {
        return if n == 1 { s.one(&[], s.int(64)) } else { s.error("a scalar has one expression") };
    }
    s.one(&[s.num(n as i64)], s.int(64))
}
