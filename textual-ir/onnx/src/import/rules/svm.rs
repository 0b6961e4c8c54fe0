//! Support vector machines of `ai.onnx.ml`.
//!
//! A classifier decides between each pair of classes; the class with most votes wins. Probabilities of pairs become those
//! of classes by Wu, Lin and Weng, "Probability estimates for multi-class classification by pairwise coupling" (2004), as
//! LIBSVM does it.

use super::{Family, Importer, Node, Out, ml::transformed};
use nim_graph::Built;
use nim_ir::{Expr, ValueId};
use nim_tensor::{DType, Tensor};

pub(super) const RULES: Family = &[("SVMClassifier", classifier), ("SVMRegressor", regressor)];

/// Machines with more classes are refused: one score a pair.
const MAX_CLASSES: usize = 256;
/// Pairwise probabilities keep this distance from 0 and 1.
const MARGIN: f64 = 1e-7;

/// Numbers as a matrix of so many rows.
fn matrix(im: &mut Importer<'_>, numbers: Vec<f32>, rows: usize, name: &str) -> Built {
    if rows == 0 || numbers.is_empty() || !numbers.len().is_multiple_of(rows) {
        return Err(im.error("N0615", format!("`{name}` has {} numbers for {rows} rows", numbers.len())));
    }
    im.constant(&Tensor::new(&[rows, numbers.len() / rows], numbers), name)
}

/// `k(x, v)` for each row of `x` and each of `vectors`.
fn kernel(im: &mut Importer<'_>, n: &Node<'_>, x: ValueId, vectors: ValueId) -> Built {
    let parameters = n.floats("kernel_params").unwrap_or_default();
    let parameter = |i: usize| f64::from(parameters.get(i).copied().unwrap_or(0.0));
    let (gamma, offset, degree) = (parameter(0), parameter(1), parameter(2));
    let turned = im.transpose(vectors, &[1, 0])?;
    let product = im.matmul(x, turned)?;
    let affine = |im: &mut Importer<'_>| -> Built {
        let y = im.with_scalar("mul", product, gamma)?;
        im.with_scalar("add", y, offset)
    };
    match n.string("kernel_type", "LINEAR").as_str() {
        "LINEAR" => Ok(product),
        "POLY" => {
            let y = affine(im)?;
            im.with_scalar("pow", y, degree)
        }
        "SIGMOID" => {
            let y = affine(im)?;
            im.unary("tanh", y)
        }
        "RBF" => {
            let (a, b) = (im.unsqueeze(x, &[1])?, im.unsqueeze(vectors, &[0])?);
            let difference = im.binary("sub", a, b)?;
            let square = im.binary("mul", difference, difference)?;
            let distance = im.reduce("sum", square, &[2], false)?;
            let y = im.with_scalar("mul", distance, -gamma)?;
            im.unary("exp", y)
        }
        other => Err(im.error("N0614", format!("no kernel is named {other:?}"))),
    }
}

/// Rows of features as `f32`.
fn features(im: &mut Importer<'_>, n: &Node<'_>) -> Built {
    let x = n.input(im, 0)?;
    let x = im.cast_to(x, DType::F32)?;
    match im.rank(x)? {
        1 => im.unsqueeze(x, &[0]),
        2 => Ok(x),
        rank => Err(im.error("N0615", format!("rows of features are needed, found rank {rank}"))),
    }
}

fn regressor(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = features(im, n)?;
    let coefficients = n.floats("coefficients").unwrap_or_default();
    let rho = n.floats("rho").and_then(|r| r.first().copied()).unwrap_or(0.0);
    let supports = usize::try_from(n.int("n_supports", 0)).unwrap_or(0);
    let values = if supports > 0 {
        let vectors = matrix(im, n.floats("support_vectors").unwrap_or_default(), supports, "support_vectors")?;
        kernel(im, n, x, vectors)?
    } else {
        x
    };
    let weights = matrix(im, coefficients, 1, "coefficients")?;
    let weights = im.transpose(weights, &[1, 0])?;
    let y = im.matmul(values, weights)?;
    let mut y = im.with_scalar("add", y, f64::from(rho))?;
    if n.flag("one_class", false) {
        let (zero, inlier, outlier) = (im.like(y, 0.0)?, im.like(y, 1.0)?, im.like(y, -1.0)?);
        let inside = im.compare("gt", y, zero)?;
        y = im.select(inside, inlier, outlier)?;
    }
    Ok(vec![transformed(im, &n.string("post_transform", "NONE"), y)?])
}

/// A classifier's tables, checked.
struct Machine {
    /// How many support vectors each class has; empty for a linear one.
    per_class: Vec<usize>,
    coefficients: Vec<f32>,
    rho: Vec<f32>,
    /// Factor and offset that make probabilities of the scores of pairs; empty where none are wanted.
    probabilities: Vec<(f32, f32)>,
}

impl Machine {
    fn read(im: &Importer<'_>, n: &Node<'_>, classes: usize) -> Built<Machine> {
        let counts = n.ints("vectors_per_class").unwrap_or_default();
        let per_class: Option<Vec<usize>> = counts.iter().map(|&c| usize::try_from(c).ok()).collect();
        let per_class = per_class.ok_or_else(|| im.error("N0615", "a class has a negative number of vectors"))?;
        let (a, b) = (n.floats("prob_a").unwrap_or_default(), n.floats("prob_b").unwrap_or_default());
        let machine = Machine {
            per_class,
            coefficients: n.floats("coefficients").unwrap_or_default(),
            rho: n.floats("rho").unwrap_or_default(),
            probabilities: a.into_iter().zip(b).collect(),
        };
        let pairs = classes * classes.saturating_sub(1) / 2;
        let total: usize = machine.per_class.iter().fold(0, |sum: usize, &c| sum.saturating_add(c));
        let fits = if machine.per_class.is_empty() {
            !machine.rho.is_empty()
        } else {
            machine.per_class.len() == classes
                && machine.rho.len() >= pairs
                && total.checked_mul(classes.saturating_sub(1)) == Some(machine.coefficients.len())
                && (machine.probabilities.is_empty() || machine.probabilities.len() >= pairs)
        };
        match fits && (1..=MAX_CLASSES).contains(&classes) {
            true => Ok(machine),
            false => Err(im.error(
                "N0615",
                format!(
                    "{} coefficients, {} offsets and {total} vectors do not make a machine of {classes} classes",
                    machine.coefficients.len(),
                    machine.rho.len()
                ),
            )),
        }
    }

    /// Scores of all pairs of classes, `[rows, pairs]`, from the kernel's values `[rows, vectors]`.
    fn pairs(&self, im: &mut Importer<'_>, values: ValueId) -> Built {
        let classes = self.per_class.len();
        let total: usize = self.per_class.iter().sum();
        let starts: Vec<usize> = self
            .per_class
            .iter()
            .scan(0, |at, &c| {
                let start = *at;
                *at += c;
                Some(start)
            })
            .collect();
        // One column of weights a pair: those of the vectors of its two classes.
        let mut weights = vec![];
        for i in 0..classes {
            for j in i + 1..classes {
                let mut row = vec![0f32; total];
                for (class, other) in [(i, j - 1), (j, i)] {
                    let own = starts[class]..starts[class] + self.per_class[class];
                    row[own.clone()].copy_from_slice(&self.coefficients[other * total..][own]);
                }
                weights.extend(row);
            }
        }
        let pairs = classes * (classes - 1) / 2;
        let weights = matrix(im, weights, pairs, "coefficients")?;
        let weights = im.transpose(weights, &[1, 0])?;
        let scores = im.matmul(values, weights)?;
        let rho = im.constant(&Tensor::new(&[pairs], self.rho[..pairs].to_vec()), "rho")?;
        im.binary("add", scores, rho)
    }

    /// Votes of the pairs, `[rows, classes]`.
    fn votes(&self, im: &mut Importer<'_>, scores: ValueId) -> Built {
        let classes = self.per_class.len();
        let (mut won, mut lost) = (vec![], vec![]);
        for i in 0..classes {
            for j in i + 1..classes {
                won.extend((0..classes).map(|c| f32::from(u8::from(c == i))));
                lost.extend((0..classes).map(|c| f32::from(u8::from(c == j))));
            }
        }
        let pairs = classes * (classes - 1) / 2;
        let (won, lost) = (matrix(im, won, pairs, "first")?, matrix(im, lost, pairs, "second")?);
        let zero = im.like(scores, 0.0)?;
        let first = im.compare("gt", scores, zero)?;
        let first = im.unsqueeze(first, &[2])?;
        let votes = im.select(first, won, lost)?;
        im.reduce("sum", votes, &[1], false)
    }

    /// `r[i, j]`: how probable class `i` is if it is `i` or `j`, `[rows, classes, classes]`, 0 on the diagonal.
    fn pair_probabilities(&self, im: &mut Importer<'_>, scores: ValueId) -> Built {
        let classes = self.per_class.len();
        let pairs = classes * (classes - 1) / 2;
        let (a, b): (Vec<f32>, Vec<f32>) = self.probabilities[..pairs].iter().copied().unzip();
        let (a, b) =
            (im.constant(&Tensor::new(&[pairs], a), "prob_a")?, im.constant(&Tensor::new(&[pairs], b), "prob_b")?);
        let y = im.binary("mul", scores, a)?;
        let y = im.binary("add", y, b)?;
        let y = im.unary("neg", y)?;
        let y = im.unary("sigmoid", y)?;
        let y = im.with_scalar("max", y, MARGIN)?;
        let upper = im.with_scalar("min", y, 1.0 - MARGIN)?;
        let minus = im.unary("neg", upper)?;
        let lower = im.with_scalar("add", minus, 1.0)?;
        let zero = im.like(upper, 0.0)?;
        let rows = im.dims(scores)?[0];
        let zero = im.broadcast_to(zero, &[rows, Expr::ONE])?;
        // Columns: all pairs, all pairs the other way round, 0.
        let all = im.concat(&[upper, lower, zero], 1)?;
        let number = |i: usize, j: usize| (i * (2 * classes - i - 1) / 2 + j - i - 1) as i64;
        let mut columns = vec![];
        for i in 0..classes {
            for j in 0..classes {
                columns.push(match i.cmp(&j) {
                    std::cmp::Ordering::Less => number(i, j),
                    std::cmp::Ordering::Greater => pairs as i64 + number(j, i),
                    std::cmp::Ordering::Equal => 2 * pairs as i64,
                });
            }
        }
        let columns = im.constant(&Tensor::new(&[classes, classes], columns), "columns")?;
        im.gather(all, columns, 1)
    }

    /// Probabilities of classes, `[rows, classes]`, that fit those of pairs best.
    fn probabilities(&self, im: &mut Importer<'_>, scores: ValueId) -> Built {
        let classes = self.per_class.len();
        let r = self.pair_probabilities(im, scores)?;
        let rows = im.dims(r)?[0];
        let (count, shape) = (im.num(classes as i64), im.dims(r)?);
        // Q[t, t] = sum of r[j, t]^2 over j; Q[t, j] = -r[j, t]*r[t, j].
        let turned = im.transpose(r, &[0, 2, 1])?;
        let square = im.binary("mul", turned, turned)?;
        let sums = im.reduce("sum", square, &[2], true)?;
        let product = im.binary("mul", r, turned)?;
        let product = im.unary("neg", product)?;
        let (row, col) = (im.iota(&shape[1..], 0, DType::I64)?, im.iota(&shape[1..], 1, DType::I64)?);
        let diagonal = im.compare("eq", row, col)?;
        let q = im.select(diagonal, sums, product)?;
        let own = im.squeeze(sums, &[2])?;
        let even = im.like(q, 1.0 / classes as f64)?;
        let start = im.broadcast_to(even, &[rows, count])?;
        let rounds = im.num(100.max(classes as i64));
        let out = im.repeat(rounds, &[start], |g, it| {
            let mut p = it.carried[0];
            let column = g.unsqueeze(p, &[2])?;
            let qp = g.matmul(q, column)?;
            let mut qp = g.squeeze(qp, &[2])?;
            let weighted = g.binary("mul", p, qp)?;
            let mut pqp = g.reduce("sum", weighted, &[1], true)?;
            let error = g.binary("sub", qp, pqp)?;
            let error = g.unary("abs", error)?;
            let error = g.reduce("max", error, &[1], true)?;
            let limit = g.like(error, 0.005 / classes as f64)?;
            let done = g.compare("lt", error, limit)?;
            for t in 0..classes {
                let (t, one) = (g.num(t as i64), g.num(1));
                let (qt, own) = (g.slice_axis(qp, 1, t, one)?, g.slice_axis(own, 1, t, one)?);
                let difference = g.binary("sub", pqp, qt)?;
                let diff = g.binary("div", difference, own)?;
                let grown = g.with_scalar("add", diff, 1.0)?;
                // (pQp + diff*(diff*Q[t,t] + 2*Qp[t])) / (1 + diff)^2
                let a = g.binary("mul", diff, own)?;
                let b = g.with_scalar("mul", qt, 2.0)?;
                let a = g.binary("add", a, b)?;
                let a = g.binary("mul", diff, a)?;
                let a = g.binary("add", pqp, a)?;
                let a = g.binary("div", a, grown)?;
                pqp = g.binary("div", a, grown)?;
                let row = g.at(q, 1, t)?;
                let moved = g.binary("mul", diff, row)?;
                let moved = g.binary("add", qp, moved)?;
                qp = g.binary("div", moved, grown)?;
                let place = g.iota(&[count], 0, DType::I64)?;
                let here = g.index(&[t], true)?;
                let here = g.compare("eq", place, here)?;
                let more = g.binary("add", p, diff)?;
                let more = g.select(here, more, p)?;
                p = g.binary("div", more, grown)?;
            }
            Ok((vec![g.select(done, it.carried[0], p)?], vec![]))
        })?;
        Ok(out[0])
    }
}

/// The label, and scores or probabilities.
fn classifier(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = features(im, n)?;
    let labels = match (n.strings("classlabels_strings"), n.ints("classlabels_ints")) {
        (Some(v), _) if !v.is_empty() => Tensor::strings(&[v.len()], v),
        (_, Some(v)) if !v.is_empty() => Tensor::new(&[v.len()], v),
        _ => return Err(im.error("N0610", "class labels are needed")),
    };
    let classes = labels.len();
    let machine = Machine::read(im, n, classes)?;
    let (scores, ranked, certain) = if machine.per_class.is_empty() {
        let weights = matrix(im, machine.coefficients.clone(), classes, "coefficients")?;
        let weights = im.transpose(weights, &[1, 0])?;
        let y = im.matmul(x, weights)?;
        let y = im.with_scalar("add", y, f64::from(machine.rho[0]))?;
        (y, y, false)
    } else {
        let total = machine.per_class.iter().sum();
        let vectors = matrix(im, n.floats("support_vectors").unwrap_or_default(), total, "support_vectors")?;
        let values = kernel(im, n, x, vectors)?;
        let pairs = machine.pairs(im, values)?;
        let votes = machine.votes(im, pairs)?;
        match machine.probabilities.is_empty() {
            true => (pairs, votes, false),
            false => (machine.probabilities(im, pairs)?, votes, true),
        }
    };
    let ctx = im.ctx();
    let attrs = [("kind", ctx.string_attr("max")), ("axis", ctx.i64_attr(1))];
    let best = im.value("graph.arg_reduce", &[ranked], &attrs)?;
    let labels = im.constant(&labels, "labels")?;
    let binary = machine.rho.len() == 1 && classes == 2;
    let mut label = im.gather(labels, best, 0)?;
    if binary && !certain && machine.coefficients.iter().all(|&c| c >= 0.0) {
        // Weights that are all positive are taken for probabilities of the second class.
        let most = im.reduce("max", ranked, &[1], false)?;
        let half = im.like(most, 0.5)?;
        let second = im.compare("ge", most, half)?;
        let one = im.num(1);
        let other = im.at(labels, 0, one)?;
        label = im.select(second, other, label)?;
    }
    Ok(vec![label, final_scores(im, n, scores, binary)?])
}

/// Scores behind the transformation. The one score of two classes is written for both.
fn final_scores(im: &mut Importer<'_>, n: &Node<'_>, scores: ValueId, binary: bool) -> Built {
    let transform = n.string("post_transform", "NONE");
    let columns = im.dims(scores)?[1];
    if !binary || im.ctx().exprs.as_const(columns) != Some(1) {
        return transformed(im, &transform, scores);
    }
    let negated = im.unary("neg", scores)?;
    let both = im.concat(&[negated, scores], 1)?;
    transformed(im, &transform, both)
}
