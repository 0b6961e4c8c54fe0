//! What an op takes for granted about sizes, written down as guards before the op becomes maps.
//!
//! A matrix product reads as many columns on the left as rows on the right. Where the two are one number or one symbol that
//! is proved; where they are `K` and `L` the types cannot say it, and a map has no place to. So a `graph.guard` goes before
//! the op, with the op's location: it is the guard that names the node when the sizes differ at run time. The same holds for
//! loads at computed places, which are clamped into their container: an empty container has no place to clamp into.
//!
//! What is proved gets no guard, and neither does what a guard before it says already (the importer writes some itself).

use super::elementwise;
use super::lower::{Lower, Lowered};
use nim_builtin::assume;
use nim_graph::shape::broadcast_dims;
use nim_ir::{Attr, BlockId, Body, Context, Expr, Facts, OpId};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

const GATHERED: &str = "an axis that is gathered from must have an element";

/// A condition on sizes.
struct Claim {
    kind: &'static str,
    lhs: Expr,
    rhs: Expr,
    what: String,
}

/// Guards that stand already: condition, and the blocks in which it holds from some op on.
pub(super) struct Known {
    /// What the function assumes about its arguments.
    facts: Facts,
    guards: FxHashMap<(Attr, Expr, Expr), Vec<BlockId>>,
}

impl Known {
    pub(super) fn new(ctx: &Context, body: &Body) -> Known {
        Known { facts: assume::facts(assume::of_arguments(ctx, body)), guards: FxHashMap::default() }
    }

    /// Takes note of a guard that somebody wrote.
    pub(super) fn note(&mut self, ctx: &Context, body: &Body, guard: OpId) {
        let get = |name: &str| body.attr_named(ctx, guard, name);
        let side = |name: &str| get(name).and_then(|a| ctx.as_expr(a));
        if let (Some(kind), Some(lhs), Some(rhs), Some(block)) =
            (get("kind"), side("lhs"), side("rhs"), body.block(guard))
        {
            self.guards.entry((kind, lhs, rhs)).or_default().push(block);
        }
    }

    /// Whether the condition holds where an op stands; ops are asked about in their order.
    fn covers(&self, body: &Body, key: &(Attr, Expr, Expr), op: OpId) -> bool {
        let blocks = self.guards.get(key).map(Vec::as_slice).unwrap_or_default();
        blocks.iter().any(|&block| body.ancestor_in(op, block).is_some())
    }
}

/// Puts guards before an op for all that it takes for granted and nobody has proved.
pub(super) fn guard(l: &mut Lower<'_, '_>, name: &str, known: &mut Known) -> Lowered<()> {
    let ctx = l.ctx();
    for claim in claims(l, name)? {
        let key = (ctx.string_attr(claim.kind), claim.lhs, claim.rhs);
        if proved(l, &claim, &known.facts) || known.covers(l.b.body, &key, l.op) {
            continue;
        }
        let attrs = [
            ("kind", key.0),
            ("lhs", ctx.expr_attr(claim.lhs)),
            ("rhs", ctx.expr_attr(claim.rhs)),
            ("message", ctx.string_attr(&claim.what)),
        ];
        let guard = l.b.op("graph.guard", &[], &[], &attrs);
        known.note(ctx, l.b.body, guard);
    }
    Ok(())
}

fn proved(l: &Lower<'_, '_>, claim: &Claim, facts: &Facts) -> bool {
    let p = l.pool();
    let one = |e: Expr| p.as_const(e) == Some(1);
    match claim.kind {
        "le" => p.prove_le(claim.lhs, claim.rhs, facts),
        "broadcast" if one(claim.lhs) || one(claim.rhs) => true,
        _ => p.prove_eq_given(claim.lhs, claim.rhs, facts),
    }
}

fn claims(l: &Lower<'_, '_>, name: &str) -> Lowered<Vec<Claim>> {
    let mut found = vec![];
    let mut claim = |kind, lhs, rhs, what: &str| found.push(Claim { kind, lhs, rhs, what: what.to_string() });
    let p = l.pool();
    let shapes = || l.operands().into_iter().map(|v| l.dims(v)).collect::<Lowered<Vec<_>>>();
    // A load at a computed place needs an element to be there, unless nothing is loaded.
    let result = || l.dims_of(l.result_type());
    let loads = |dims: &[Expr]| p.min(Expr::ONE, p.product(dims.iter().copied()));
    match name {
        "matmul" => {
            let shapes = shapes()?;
            let (a, b) = (&shapes[0], &shapes[1]);
            if let (Some(&columns), Some(&rows)) = (a.last(), b.get(b.len().saturating_sub(2))) {
                claim("eq", columns, rows, "inner dimensions of a matrix product");
            }
            let batch = [&a[..a.len().saturating_sub(2)], &b[..b.len().saturating_sub(2)]];
            pairs(l, &batch, &mut |a, b| claim("broadcast", a, b, "batch dimensions of a matrix product"));
        }
        "einsum" => {
            let terms = l.str_attr("equation")?.split("->").next().unwrap_or("");
            let mut sizes: BTreeMap<char, Expr> = BTreeMap::new();
            for (term, dims) in terms.split(',').zip(shapes()?) {
                for (letter, dim) in term.chars().zip(dims) {
                    // As in the shape function: a size of 1 gives way.
                    match sizes.get(&letter) {
                        Some(&size) if p.as_const(size) != Some(1) => {
                            claim("broadcast", size, dim, &format!("sizes of `{letter}` in an einsum"));
                        }
                        _ => {
                            sizes.insert(letter, dim);
                        }
                    }
                }
            }
        }
        "conv" => {
            let (shapes, groups) = (shapes()?, l.num(l.int_attr("groups", 1)));
            let what = "channels of the input of a convolution and of its weights (times groups)";
            claim("eq", shapes[0][1], p.mul(shapes[1][1], groups), what);
        }
        "conv_transpose" => {
            let shapes = shapes()?;
            claim(
                "eq",
                shapes[0][1],
                shapes[1][0],
                "channels of the input of a transposed convolution and of its weights",
            );
        }
        "concat" => {
            let shapes = shapes()?;
            let axis = l.axis("axis", 0, shapes[0].len())?;
            for other in &shapes[1..] {
                for (i, (&a, &b)) in shapes[0].iter().zip(other).enumerate().filter(|(i, _)| *i != axis) {
                    claim("eq", a, b, &format!("dimensions {i} of what is concatenated along axis {axis}"));
                }
            }
        }
        "broadcast_to" => {
            pairs(l, &[&shapes()?[0], &result()?], &mut |a, b| {
                claim("broadcast", a, b, "dimensions that are broadcast")
            });
        }
        "gather" => {
            let dims = l.dims(l.operand(0))?;
            let axis = l.axis("axis", 0, dims.len())?;
            claim("le", loads(&result()?), dims[axis], GATHERED);
        }
        "gather_elements" => {
            let (dims, indices) = (l.dims(l.operand(0))?, l.dims(l.operand(1))?);
            let axis = l.axis("axis", 0, dims.len())?;
            claim("le", loads(&indices), dims[axis], GATHERED);
            for (i, (&index, &dim)) in indices.iter().zip(&dims).enumerate().filter(|(i, _)| *i != axis) {
                claim("le", index, dim, &format!("dimension {i} of the indices of GatherElements and of its data"));
            }
        }
        "gather_nd" => {
            let (dims, indices) = (l.dims(l.operand(0))?, l.dims(l.operand(1))?);
            let batch = usize::try_from(l.int_attr("batch_dims", 0)).unwrap_or(0).min(dims.len()).min(indices.len());
            for (i, (&a, &b)) in dims.iter().zip(&indices).take(batch).enumerate() {
                claim("eq", a, b, &format!("batch dimensions {i} of GatherND's data and indices"));
            }
            let count = indices.last().and_then(|&n| p.as_const(n)).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
            let loaded = loads(&result()?);
            for &dim in dims.iter().skip(batch).take(count) {
                claim("le", loaded, dim, GATHERED);
            }
        }
        "scatter_elements" => {
            let (indices, updates) = (l.dims(l.operand(1))?, l.dims(l.operand(2))?);
            for (i, (&a, &b)) in indices.iter().zip(&updates).enumerate() {
                claim("eq", a, b, &format!("dimensions {i} of the indices and the updates of a scatter"));
            }
        }
        "scatter_nd" => {
            let shapes = shapes()?;
            let (data, indices) = (&shapes[0], &shapes[1]);
            let count = indices.last().and_then(|&n| p.as_const(n)).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
            let outer = &indices[..indices.len().saturating_sub(1)];
            let wanted = outer.iter().chain(data.get(count..).unwrap_or_default());
            for (i, (&a, &b)) in wanted.zip(&shapes[2]).enumerate() {
                claim(
                    "eq",
                    a,
                    b,
                    &format!("dimension {i} of ScatterND's updates, and what its indices and data ask for"),
                );
            }
        }
        "resize" => {
            let dims = result()?;
            let loaded = loads(&dims);
            for (dim, to) in l.dims(l.operand(0))?.into_iter().zip(dims).filter(|(dim, to)| !p.prove_eq(*dim, *to)) {
                claim("le", loaded, dim, &format!("an axis that is resized to {} must have an element", p.display(to)));
            }
        }
        "pad" if l.str_opt("mode").is_some_and(|mode| mode != "constant") => {
            let dims = result()?;
            let loaded = loads(&dims);
            for (dim, _) in l.dims(l.operand(0))?.into_iter().zip(dims).filter(|(dim, to)| !p.prove_eq(*dim, *to)) {
                claim("le", loaded, dim, "an axis that is padded with its own elements must have one");
            }
        }
        _ if l.operands().len() > 1 && elementwise::broadcasts(name) => {
            let shapes = shapes()?;
            let shapes: Vec<&[Expr]> = shapes.iter().map(Vec::as_slice).collect();
            pairs(l, &shapes, &mut |a, b| claim("broadcast", a, b, "dimensions that meet in a broadcast"));
        }
        _ => {}
    }
    Ok(found)
}

/// Pairs of dimensions that meet where shapes are broadcast, aligned at their ends.
fn pairs(l: &Lower<'_, '_>, shapes: &[&[Expr]], meet: &mut dyn FnMut(Expr, Expr)) {
    let p = l.pool();
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    for axis in 0..rank {
        let mut seen: Option<Expr> = None;
        for shape in shapes {
            let dim = (axis + shape.len()).checked_sub(rank).and_then(|i| shape.get(i)).copied();
            let Some(dim) = dim.filter(|&d| p.as_const(d) != Some(1)) else { continue };
            match seen {
                Some(other) if other != dim => {
                    meet(other, dim);
                    seen = broadcast_dims(p, other, dim);
                }
                _ => seen = Some(dim),
            }
        }
    }
}
