//! Shapes of reductions and scans.

use super::{Inferred, Shapes};
use nim_ir::{Expr, InferInput, Type};

fn drop_axes(s: &Shapes<'_>, dims: &[Expr], axes: &[usize], keep: bool) -> Vec<Expr> {
    let reduced = |i: usize| axes.contains(&i);
    dims.iter()
        .enumerate()
        .filter(|(i, _)| keep || !reduced(*i))
        .map(|(i, &d)| if reduced(i) { s.num(1) } else { d })
        .collect()
}

/// Drops `axes`, or makes them 1 with `keepdims`.
pub fn reduce(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let dims = s.dims(0)?;
    let mut axes = vec![];
    for axis in s.ints_opt("axes")?.unwrap_or_default() {
        let axis = s.wrap_axis(axis, dims.len())?;
        if axes.contains(&axis) {
            return s.error(format!("axis {axis} is reduced twice"));
        }
        axes.push(axis);
    }
    s.one(&drop_axes(&s, &dims, &axes, s.bool_attr("keepdims", false)?), s.element(0)?)
}

/// Drops `axis`, or makes it 1 with `keepdims`; `i64` indices.
pub fn arg_reduce(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let dims = s.dims(0)?;
    let axis = s.axis("axis", 0, dims.len())?;
    s.one(&drop_axes(&s, &dims, &[axis], s.bool_attr("keepdims", false)?), s.int(64))
}

/// The operand's type; checks the axis.
pub fn cumsum(input: &InferInput<'_>) -> Inferred<Vec<Type>> {
    let s = Shapes::new(input);
    let dims = s.dims(0)?;
    s.axis("axis", 0, dims.len())?;
    s.one(&dims, s.element(0)?)
}
