//! Matrix products, Einstein sums, determinants.

use super::{Family, Importer, Node, Out};
use nim_graph::Built;
use nim_tensor::DType;

pub(super) const RULES: Family = &[("Det", det), ("Einsum", einsum), ("Gemm", gemm), ("MatMul", matmul)];

fn matmul(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, y) = (n.input(im, 0)?, n.input(im, 1)?);
    Ok(vec![im.matmul(x, y)?])
}

/// `alpha * A' * B' + beta * C`
pub(super) fn gemm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (mut a, mut b) = (n.input(im, 0)?, n.input(im, 1)?);
    if n.flag("transA", false) {
        a = im.transpose(a, &[1, 0])?;
    }
    if n.flag("transB", false) {
        b = im.transpose(b, &[1, 0])?;
    }
    let mut y = im.matmul(a, b)?;
    let alpha = n.float("alpha", 1.0) as f64;
    if alpha != 1.0 {
        y = im.with_scalar("mul", y, alpha)?;
    }
    if let Some(mut c) = n.opt(2) {
        let beta = n.float("beta", 1.0) as f64;
        if beta != 1.0 {
            c = im.with_scalar("mul", c, beta)?;
        }
        y = im.binary("add", y, c)?;
    }
    Ok(vec![y])
}

/// The equation with letters for the axes of an ellipsis, without spaces, and with an output.
fn explicit_equation(im: &Importer<'_>, equation: &str, ranks: &[usize]) -> Built<String> {
    let clean: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = match clean.split_once("->") {
        Some((i, o)) => (i.to_string(), Some(o.to_string())),
        None => (clean.clone(), None),
    };
    let bad = |why: &str| im.error("N0624", format!("the equation {equation:?} {why}"));
    let terms: Vec<&str> = inputs.split(',').collect();
    if terms.len() != ranks.len() {
        return Err(bad(&format!("has {} terms for {} inputs", terms.len(), ranks.len())));
    }
    let letters = |term: &str| term.replace("...", "").chars().count();
    let mut spare = 0;
    for (term, &rank) in terms.iter().zip(ranks) {
        if letters(term) > rank || !term.contains("...") && letters(term) != rank {
            return Err(bad(&format!("does not fit an input of rank {rank}")));
        }
        spare = spare.max(rank - letters(term));
    }
    let free: Vec<char> = ('A'..='Z').chain('a'..='z').filter(|c| !clean.contains(*c)).collect();
    if free.len() < spare {
        return Err(bad("has too many axes"));
    }
    // An ellipsis aligns at its end, as broadcasting does.
    let dots = |n: usize| free[spare - n..spare].iter().collect::<String>();
    let new_terms: Vec<String> =
        terms.iter().zip(ranks).map(|(t, &rank)| t.replace("...", &dots(rank - letters(t)))).collect();
    let output = match output {
        Some(o) => o.replace("...", &dots(spare)),
        None => {
            let all: String = terms.join("").replace("...", "");
            let mut once: Vec<char> = all.chars().filter(|&c| all.matches(c).count() == 1).collect();
            once.sort_unstable();
            let lead = if inputs.contains("...") { dots(spare) } else { String::new() };
            lead + &once.into_iter().collect::<String>()
        }
    };
    let valid = |c: char| c.is_ascii_alphabetic();
    if !new_terms.iter().all(|t| t.chars().all(valid)) || !output.chars().all(valid) {
        return Err(bad("has characters that are no letters"));
    }
    Ok(format!("{}->{output}", new_terms.join(",")))
}

fn einsum(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let xs = n.all(im)?;
    let ranks = xs.iter().map(|&x| im.rank(x)).collect::<Built<Vec<_>>>()?;
    let equation = explicit_equation(im, &n.string("equation", ""), &ranks)?;
    let equation = im.ctx().string_attr(&equation);
    Ok(vec![im.value("graph.einsum", &xs, &[("equation", equation)])?])
}

/// Gaussian elimination with partial pivoting, one column an iteration: the determinant is the product of the pivots,
/// negated for each exchange of rows.
fn det(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let dims = im.dims(x)?;
    let Some(batch) = dims.len().checked_sub(2) else {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0624", format!("a determinant takes square matrices, found {found}")));
    };
    let (rows, cols) = (batch, batch + 1);
    let size = dims[cols];
    im.guard("eq", dims[rows], size, "sides of a matrix whose determinant is computed");
    let one = im.like(x, 1.0)?;
    let start = im.broadcast_to(one, &dims[..batch])?;
    let out = im.repeat(size, &[x, start], |g, it| {
        let (a, k) = (it.carried[0], it.number);
        let row_index = g.iota(&[size], 0, DType::I64)?;
        let zero = g.like(a, 0.0)?;
        // The row with the largest element of column k, at k or below it.
        let column = g.at(a, cols, k)?;
        let magnitude = g.unary("abs", column)?;
        let here = g.index(&[k], true)?;
        let open = g.compare("ge", row_index, here)?;
        let minus = g.like(a, -1.0)?;
        let candidates = g.select(open, magnitude, minus)?;
        let (ctx, last) = (g.ctx(), batch as i64);
        let attrs = [("kind", ctx.string_attr("max")), ("axis", ctx.i64_attr(last))];
        let best = g.value("graph.arg_reduce", &[candidates], &attrs)?;
        let best_column = g.unsqueeze(best, &[last])?;
        let is_best = g.compare("eq", row_index, best_column)?;
        let is_best = g.unsqueeze(is_best, &[last + 1])?;
        let is_here = g.compare("eq", row_index, here)?;
        let is_here = g.unsqueeze(is_here, &[1])?;
        // Exchange it with row k.
        let only = g.select(is_best, a, zero)?;
        let pivot_row = g.reduce("sum", only, &[rows], true)?;
        let one = g.num(1);
        let row_here = g.slice_axis(a, rows, k, one)?;
        let exchanged = g.select(is_best, row_here, a)?;
        let exchanged = g.select(is_here, pivot_row, exchanged)?;
        let flat = g.squeeze(pivot_row, &[rows])?;
        let pivot = g.at(flat, batch, k)?;
        let stays = g.compare("eq", best, here)?;
        let negated = g.unary("neg", pivot)?;
        let signed = g.select(stays, pivot, negated)?;
        let product = g.binary("mul", it.carried[1], signed)?;
        // Subtract multiples of it from the rows below.
        let column = g.slice_axis(exchanged, cols, k, one)?;
        let pivot = g.unsqueeze(pivot, &[last, last + 1])?;
        let unit = g.like(a, 1.0)?;
        let none = g.compare("eq", pivot, zero)?;
        let divisor = g.select(none, unit, pivot)?;
        let factor = g.binary("div", column, divisor)?;
        let below = g.compare("gt", row_index, here)?;
        let below = g.unsqueeze(below, &[1])?;
        let factor = g.select(below, factor, zero)?;
        let taken = g.binary("mul", factor, pivot_row)?;
        Ok((vec![g.binary("sub", exchanged, taken)?, product], vec![]))
    })?;
    Ok(vec![out[1]])
}
