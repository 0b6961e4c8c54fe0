//! Matrix products and Einstein sums.

use super::{Family, Importer, Node, Out};
use nim_graph::Built;
use nim_tensor::DType;

pub(super) const RULES: Family = &[("Einsum", einsum), ("Gemm", gemm), ("MatMul", matmul)];

fn matmul(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, y) = (n.input(im, 0)?, n.input(im, 1)?);
    Ok(vec![im.matmul(x, y)?])
}

/// `alpha * A' * B' + beta * C`
pub(super) fn gemm(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (mut a, mut b, mut c) = (n.input(im, 0)?, n.input(im, 1)?, n.opt(2));
    let (alpha, beta) = (n.float("alpha", 1.0) as f64, n.float("beta", 1.0) as f64);
    // Factors may have fractions where the matrices are integers.
    let own = im.dtype(a)?;
    let is_mixed = own.is_integer() && (alpha.fract() != 0.0 || beta.fract() != 0.0);
    if is_mixed {
        (a, b) = (im.cast_to(a, DType::F64)?, im.cast_to(b, DType::F64)?);
        c = c.map(|c| im.cast_to(c, DType::F64)).transpose()?;
    }
    if n.flag("transA", false) {
        a = im.transpose(a, &[1, 0])?;
    }
    if n.flag("transB", false) {
        b = im.transpose(b, &[1, 0])?;
    }
    let mut y = im.matmul(a, b)?;
    if alpha != 1.0 {
        y = im.with_scalar("mul", y, alpha)?;
    }
    if let Some(mut c) = c {
        if beta != 1.0 {
            c = im.with_scalar("mul", c, beta)?;
        }
        y = im.binary("add", y, c)?;
    }
    Ok(vec![if is_mixed { im.cast_to(y, own)? } else { y }])
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
