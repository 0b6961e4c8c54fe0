//! Shapes of matrix products and general contractions.

use super::{Inferred, Shapes, broadcast_shapes};
use nim_ir::{Expr, InferInput, Type};
use std::collections::BTreeMap;

/// `numpy.matmul`: 1-d operands are a row (left) or a column (right) whose dimension is dropped again; leading
/// dimensions broadcast.
pub fn matmul(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let (a, b) = (s.dims(0)?, s.dims(1)?);
    s.one_element_type()?;
    if a.is_empty() || b.is_empty() {
        return s.error("a matrix product needs operands of rank 1 or more");
    }
    let inner = if b.len() == 1 { b[0] } else { b[b.len() - 2] };
    if s.pool().prove_ne(a[a.len() - 1], inner, &nim_ir::Facts::default()) {
        let (l, r) = (s.show(s.ty(0)?), s.show(s.ty(1)?));
        let (x, y) = (s.show_dim(a[a.len() - 1]), s.show_dim(inner));
        return s.error(format!("cannot multiply {l} by {r}: inner dimensions are {x} and {y}"));
    }
    let (batch_a, batch_b) = (&a[..a.len().saturating_sub(2)], &b[..b.len().saturating_sub(2)]);
    let Some(mut dims) = broadcast_shapes(s.pool(), batch_a, batch_b) else {
        let (l, r) = (s.show(s.ty(0)?), s.show(s.ty(1)?));
        return s.error(format!("batch dimensions of {l} and {r} do not broadcast"));
    };
    if a.len() > 1 {
        dims.push(a[a.len() - 2]);
    }
    if b.len() > 1 {
        dims.push(b[b.len() - 1]);
    }
    s.one(&dims, s.element(0)?)
}

/// Einstein summation over an explicit equation (`ij,jk->ik`): every letter has one size.
pub fn einsum(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let equation = s.str_attr("equation")?;
    s.one_element_type()?;
    let Some((inputs, output)) = equation.split_once("->") else {
        return s.error(format!("the equation `{equation}` has no `->`"));
    };
    let terms: Vec<&str> = inputs.split(',').collect();
    if terms.len() != s.count() {
        return s.error(format!("the equation `{equation}` has {} operands, found {}", terms.len(), s.count()));
    }
    let mut sizes: BTreeMap<char, Expr> = BTreeMap::new();
    for (i, term) in terms.iter().enumerate() {
        let dims = s.dims(i)?;
        if term.chars().count() != dims.len() {
            let ty = s.show(s.ty(i)?);
            return s.error(format!("term `{term}` does not fit operand {i} of type {ty}"));
        }
        for (letter, dim) in term.chars().zip(dims) {
            match sizes.get(&letter) {
                Some(&known) if s.pool().as_const(known) != Some(1) => {
                    if s.pool().as_const(dim) != Some(1) {
                        s.same(known, dim, &format!("sizes of `{letter}`"))?;
                    }
                }
                _ => {
                    sizes.insert(letter, dim);
                }
            }
        }
    }
    let mut dims = vec![];
    for letter in output.chars() {
        match sizes.get(&letter) {
            Some(&d) => dims.push(d),
            None => return s.error(format!("`{letter}` of the result stands in no operand")),
        }
    }
    s.one(&dims, s.element(0)?)
}
