//! Derivatives of gathers and scatters: each is the other.

use super::{Forward, Rule, movement::scatter_rows};
use crate::build::{Built, GraphBuilder};
use nim_ir::ValueId;
use nim_tensor::DType;

pub(super) const RULES: &[(&str, Rule)] = &[
    ("graph.gather", |g, f, a| {
        let axis = usize::try_from(f.int(g, "axis", 0)).unwrap_or(0);
        let empty = g.zeros_like(f.x[0])?;
        Ok(vec![Some(scatter_rows(g, empty, axis, f.x[1], a)?), None])
    }),
    ("graph.gather_elements", |g, f, a| {
        let empty = g.zeros_like(f.x[0])?;
        let ctx = g.ctx();
        let attrs = [("axis", ctx.i64_attr(f.int(g, "axis", 0))), ("reduction", ctx.string_attr("add"))];
        Ok(vec![Some(g.value("graph.scatter_elements", &[empty, f.x[1], a], &attrs)?), None])
    }),
    ("graph.gather_nd", gather_nd),
    ("graph.scatter_elements", |g, f, a| {
        let axis = ("axis", g.ctx().i64_attr(f.int(g, "axis", 0)));
        let updates = g.value("graph.gather_elements", &[a, f.x[1]], &[axis])?;
        scatter(g, f, a, updates, &[axis])
    }),
    ("graph.scatter_nd", |g, f, a| {
        let updates = g.gather_nd(a, f.x[1], 0)?;
        scatter(g, f, a, updates, &[])
    }),
];

/// Tuples that count in all axes: those that were shared are written out.
fn gather_nd(g: &mut GraphBuilder<'_>, f: &Forward, a: ValueId) -> Built<Vec<Option<ValueId>>> {
    let mut tuples = g.cast_to(f.x[1], DType::I64)?;
    let batch = usize::try_from(f.int(g, "batch_dims", 0)).unwrap_or(0);
    let mut shape = g.dims(tuples)?;
    if let Some(last) = shape.last_mut() {
        *last = g.num(1);
    }
    let mut columns = vec![];
    for axis in 0..batch {
        columns.push(g.iota(&shape, axis, DType::I64)?);
    }
    if !columns.is_empty() {
        columns.push(tuples);
        tuples = g.concat(&columns, shape.len() - 1)?;
    }
    let empty = g.zeros_like(f.x[0])?;
    let reduction = g.ctx().string_attr("add");
    Ok(vec![Some(g.value("graph.scatter_nd", &[empty, tuples, a], &[("reduction", reduction)])?), None])
}

/// What was replaced does not count any more; what was added to does.
fn scatter(
    g: &mut GraphBuilder<'_>,
    f: &Forward,
    a: ValueId,
    updates: ValueId,
    attrs: &[(&str, nim_ir::Attr)],
) -> Built<Vec<Option<ValueId>>> {
    let data = match f.word(g, "reduction") {
        "add" => a,
        "none" => {
            let nothing = g.zeros_like(f.x[2])?;
            let name = g.ctx().op_str(g.b.body.op_name(f.op));
            let mut attrs = attrs.to_vec();
            attrs.push(("reduction", g.ctx().string_attr("none")));
            g.value(name, &[a, f.x[1], nothing], &attrs)?
        }
        other => return f.refused(g, &format!("values are combined by {other}")),
    };
    Ok(vec![Some(data), None, Some(updates)])
}
