//! Gaussian elimination with partial pivoting, one column an iteration of a loop: determinants and inverses.

use super::{Family, Importer, Node, Out};
use nim_graph::{Built, GraphBuilder};
use nim_ir::{Expr, Facts, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[("Det", det)];
/// Operators of `com.microsoft`.
pub(super) const MICROSOFT: Family = &[("Inverse", inverse)];

/// Rank of the batch and size of a square matrix.
fn square(im: &mut Importer<'_>, x: ValueId, what: &str) -> Built<(usize, Expr)> {
    let dims = im.dims(x)?;
    let sides = |batch: &usize| !im.ctx().exprs.prove_ne(dims[*batch], dims[batch + 1], &Facts::default());
    let Some(batch) = dims.len().checked_sub(2).filter(sides) else {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0624", format!("{what} takes square matrices, found {found}")));
    };
    im.guard("eq", dims[batch], dims[batch + 1], "sides of a matrix that must be square");
    Ok((batch, dims[batch + 1]))
}

/// Column `k` of a matrix with the row of its largest element exchanged into row `k`.
struct Pivoted {
    /// The matrix.
    matrix: ValueId,
    /// Row `k`, with its axis kept.
    row: ValueId,
    /// The pivot, shaped as the batch.
    pivot: ValueId,
    /// Whether the row stood there already, shaped as the batch.
    stays: ValueId,
    /// Which row is row `k`, as a column.
    is_here: ValueId,
    /// Which rows stand below it, as a column.
    below: ValueId,
}

/// Brings the row with the largest element of column `k`, at `k` or below it, to row `k`.
fn pivoted(g: &mut GraphBuilder<'_>, a: ValueId, batch: usize, size: Expr, k: Expr) -> Built<Pivoted> {
    let (rows, cols, last) = (batch, batch + 1, batch as i64);
    let row_index = g.iota(&[size], 0, DType::I64)?;
    let zero = g.like(a, 0.0)?;
    let column = g.at(a, cols, k)?;
    let magnitude = g.unary("abs", column)?;
    let here = g.index(&[k], true)?;
    let open = g.compare("ge", row_index, here)?;
    let minus = g.like(a, -1.0)?;
    let candidates = g.select(open, magnitude, minus)?;
    let ctx = g.ctx();
    let attrs = [("kind", ctx.string_attr("max")), ("axis", ctx.i64_attr(last))];
    let best = g.value("graph.arg_reduce", &[candidates], &attrs)?;
    let best_column = g.unsqueeze(best, &[last])?;
    let is_best = g.compare("eq", row_index, best_column)?;
    let is_best = g.unsqueeze(is_best, &[last + 1])?;
    let is_here = g.compare("eq", row_index, here)?;
    let is_here = g.unsqueeze(is_here, &[1])?;
    let only = g.select(is_best, a, zero)?;
    let row = g.reduce("sum", only, &[rows], true)?;
    let one = g.num(1);
    let row_here = g.slice_axis(a, rows, k, one)?;
    let exchanged = g.select(is_best, row_here, a)?;
    let matrix = g.select(is_here, row, exchanged)?;
    let flat = g.squeeze(row, &[rows])?;
    let pivot = g.at(flat, batch, k)?;
    let stays = g.compare("eq", best, here)?;
    let below = g.compare("gt", row_index, here)?;
    let below = g.unsqueeze(below, &[1])?;
    Ok(Pivoted { matrix, row, pivot, stays, is_here, below })
}

/// The product of the pivots, negated for each exchange of rows.
fn det(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let (batch, size) = square(im, x, "a determinant")?;
    let one = im.like(x, 1.0)?;
    let shape = im.dims(x)?;
    let start = im.broadcast_to(one, &shape[..batch])?;
    let out = im.repeat(size, &[x, start], |g, it| {
        let (a, k, last) = (it.carried[0], it.number, batch as i64);
        let p = pivoted(g, a, batch, size, k)?;
        let negated = g.unary("neg", p.pivot)?;
        let signed = g.select(p.stays, p.pivot, negated)?;
        let product = g.binary("mul", it.carried[1], signed)?;
        // Subtract multiples of it from the rows below.
        let one = g.num(1);
        let column = g.slice_axis(p.matrix, batch + 1, k, one)?;
        let pivot = g.unsqueeze(p.pivot, &[last, last + 1])?;
        let (zero, unit) = (g.like(a, 0.0)?, g.like(a, 1.0)?);
        let none = g.compare("eq", pivot, zero)?;
        let divisor = g.select(none, unit, pivot)?;
        let factor = g.binary("div", column, divisor)?;
        let factor = g.select(p.below, factor, zero)?;
        let taken = g.binary("mul", factor, p.row)?;
        Ok((vec![g.binary("sub", p.matrix, taken)?, product], vec![]))
    })?;
    Ok(vec![out[1]])
}

/// The matrix beside the identity, until the matrix has become the identity (Gauss-Jordan). The inverse of a singular
/// matrix has infinities and NaN.
fn inverse(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let (batch, size) = square(im, x, "an inverse")?;
    let shape = im.dims(x)?;
    let (row, col) = (im.iota(&[size, size], 0, DType::I64)?, im.iota(&[size, size], 1, DType::I64)?);
    let identity = im.compare("eq", row, col)?;
    let element = im.element(x)?;
    let identity = im.cast(identity, element)?;
    let identity = im.broadcast_to(identity, &shape)?;
    let beside = im.concat(&[x, identity], batch + 1)?;
    let out = im.repeat(size, &[beside], |g, it| {
        let (a, k, last) = (it.carried[0], it.number, batch as i64);
        let p = pivoted(g, a, batch, size, k)?;
        let one = g.num(1);
        let column = g.slice_axis(p.matrix, batch + 1, k, one)?;
        let pivot = g.unsqueeze(p.pivot, &[last, last + 1])?;
        let row = g.binary("div", p.row, pivot)?;
        let taken = g.binary("mul", column, row)?;
        let rest = g.binary("sub", p.matrix, taken)?;
        Ok((vec![g.select(p.is_here, row, rest)?], vec![]))
    })?;
    Ok(vec![im.slice_axis(out[0], batch + 1, size, size)?])
}
