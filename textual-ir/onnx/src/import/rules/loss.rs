//! Losses, and steps of optimisers.

use super::{Family, Importer, Node, Out, attention::pick_class};
use nim_graph::Built;
use nim_ir::ValueId;
use nim_tensor::DType;

pub(super) const RULES: Family = &[("NegativeLogLikelihoodLoss", nll), ("SoftmaxCrossEntropyLoss", cross_entropy)];

/// Operators of `ai.onnx.preview.training`.
pub(super) const TRAINING: Family = &[("Adagrad", adagrad), ("Adam", adam), ("Momentum", momentum)];

/// The negated logarithmic probability of the target class, weighted, reduced.
fn likelihood(im: &mut Importer<'_>, n: &Node<'_>, x: ValueId, target: ValueId, weight: Option<ValueId>) -> Built {
    let target = im.cast_to(target, DType::I64)?;
    let classes = im.dims(x)?[1];
    let ignored = match n.int_opt("ignore_index") {
        Some(i) => {
            let i = im.scalar(DType::I64, i as f64)?;
            Some(im.compare("eq", target, i)?)
        }
        None => None,
    };
    // What is ignored may be no class at all.
    let mut safe = target;
    if let Some(ignored) = ignored {
        let zero = im.scalar(DType::I64, 0.0)?;
        safe = im.select(ignored, zero, target)?;
    }
    let picked = pick_class(im, x, safe)?;
    let mut loss = im.unary("neg", picked)?;
    let mut weights = match weight {
        Some(w) => {
            let count = im.dims(w)?;
            let &[count] = count.as_slice() else {
                return Err(im.error("N0615", "the weights of classes must be a vector"));
            };
            im.guard("eq", count, classes, "weights of a loss and its classes");
            Some(im.gather(w, safe, 0)?)
        }
        None => None,
    };
    if let Some(ignored) = ignored {
        let (zero, one) = (im.like(x, 0.0)?, im.like(x, 1.0)?);
        weights = Some(im.select(ignored, zero, weights.unwrap_or(one))?);
        loss = im.select(ignored, zero, loss)?;
    }
    if let Some(w) = weights {
        loss = im.binary("mul", loss, w)?;
    }
    let axes: Vec<usize> = (0..im.rank(loss)?).collect();
    match (n.string("reduction", "mean").as_str(), weights) {
        ("none", _) => Ok(loss),
        ("sum", _) => im.reduce("sum", loss, &axes, false),
        ("mean", None) => im.mean(loss, &axes, false),
        ("mean", Some(w)) => {
            let (sum, total) = (im.reduce("sum", loss, &axes, false)?, im.reduce("sum", w, &axes, false)?);
            im.binary("div", sum, total)
        }
        (other, _) => Err(im.error("N0614", format!("no reduction is named {other:?}"))),
    }
}

fn nll(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, target) = (n.input(im, 0)?, n.input(im, 1)?);
    check(im, x, target)?;
    Ok(vec![likelihood(im, n, x, target, n.opt(2))?])
}

fn cross_entropy(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, target) = (n.input(im, 0)?, n.input(im, 1)?);
    check(im, x, target)?;
    let log = im.softmax(x, &[1], true)?;
    Ok(vec![likelihood(im, n, log, target, n.opt(2))?, log])
}

fn check(im: &Importer<'_>, x: ValueId, target: ValueId) -> Built<()> {
    if im.rank(x)? < 2 || im.rank(target)? + 1 != im.rank(x)? {
        let (a, b) = (im.ctx().display_type(im.ty(x)), im.ctx().display_type(im.ty(target)));
        return Err(im.error("N0615", format!("scores {a} and targets {b} do not fit")));
    }
    Ok(())
}

/// Inputs of an optimiser: rate, count of updates, then groups of tensors, one of each kind a parameter.
fn groups(im: &Importer<'_>, n: &Node<'_>, kinds: usize) -> Built<(ValueId, ValueId, Vec<Vec<ValueId>>)> {
    let all = n.all(im)?;
    let count = all.len().saturating_sub(2) / kinds;
    if count == 0 || all.len() != 2 + count * kinds {
        return Err(
            im.error("N0610", format!("{} inputs are no {kinds} kinds of tensors behind two scalars", all.len()))
        );
    }
    let list = (0..count).map(|i| (0..kinds).map(|k| all[2 + k * count + i]).collect()).collect();
    Ok((all[0], all[1], list))
}

/// Results by kind, as the operators list them.
fn by_kind(results: Vec<Vec<ValueId>>) -> Vec<ValueId> {
    let kinds = results.first().map_or(0, Vec::len);
    (0..kinds).flat_map(|k| results.iter().map(move |r| r[k]).collect::<Vec<_>>()).collect()
}

/// `g + norm_coefficient * x`
fn regularized(im: &mut Importer<'_>, n: &Node<'_>, x: ValueId, g: ValueId) -> Built {
    let decay = im.with_scalar("mul", x, n.float("norm_coefficient", 0.0) as f64)?;
    im.binary("add", decay, g)
}

/// The count of updates as a float, and whether it is positive.
fn counted(im: &mut Importer<'_>, t: ValueId, like: ValueId) -> Built<(ValueId, ValueId)> {
    let element = im.element(like)?;
    let t = im.cast(t, element)?;
    let zero = im.like(t, 0.0)?;
    let later = im.compare("gt", t, zero)?;
    Ok((t, later))
}

/// A sum `a*x + b*y`.
fn blend(im: &mut Importer<'_>, x: ValueId, a: f64, y: ValueId, b: f64) -> Built {
    let (x, y) = (im.with_scalar("mul", x, a)?, im.with_scalar("mul", y, b)?);
    im.binary("add", x, y)
}

fn adam(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (rate, t, list) = groups(im, n, 4)?;
    let (alpha, beta) = (n.float("alpha", 0.9) as f64, n.float("beta", 0.999) as f64);
    let mut out = vec![];
    for group in list {
        let [x, g, v, h] = group[..] else { continue };
        let g = regularized(im, n, x, g)?;
        let v = blend(im, v, alpha, g, 1.0 - alpha)?;
        let square = im.binary("mul", g, g)?;
        let h = blend(im, h, beta, square, 1.0 - beta)?;
        let root = im.unary("sqrt", h)?;
        let root = im.with_scalar("add", root, n.float("epsilon", 0.0) as f64)?;
        // rate * sqrt(1 - beta^t) / (1 - alpha^t), but for t = 0
        let (t, later) = counted(im, t, x)?;
        let one = im.like(t, 1.0)?;
        let (a, b) = (im.like(t, alpha)?, im.like(t, beta)?);
        let (a, b) = (im.binary("pow", a, t)?, im.binary("pow", b, t)?);
        let (a, b) = (im.binary("sub", one, a)?, im.binary("sub", one, b)?);
        let b = im.unary("sqrt", b)?;
        let factor = im.binary("div", b, a)?;
        let factor = im.select(later, factor, one)?;
        let rate = im.binary("mul", rate, factor)?;
        let step = im.binary("div", v, root)?;
        let step = im.binary("mul", rate, step)?;
        let x = im.binary("sub", x, step)?;
        let x = im.with_scalar("mul", x, 1.0 - n.float("norm_coefficient_post", 0.0) as f64)?;
        out.push(vec![x, v, h]);
    }
    Ok(by_kind(out))
}

fn adagrad(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (rate, t, list) = groups(im, n, 3)?;
    let mut out = vec![];
    for group in list {
        let [x, g, h] = group[..] else { continue };
        // rate / (1 + t * decay)
        let element = im.element(x)?;
        let t = im.cast(t, element)?;
        let below = im.with_scalar("mul", t, n.float("decay_factor", 0.0) as f64)?;
        let below = im.with_scalar("add", below, 1.0)?;
        let rate = im.binary("div", rate, below)?;
        let g = regularized(im, n, x, g)?;
        let square = im.binary("mul", g, g)?;
        let h = im.binary("add", h, square)?;
        let root = im.unary("sqrt", h)?;
        let root = im.with_scalar("add", root, n.float("epsilon", 0.0) as f64)?;
        let step = im.binary("mul", rate, g)?;
        let step = im.binary("div", step, root)?;
        out.push(vec![im.binary("sub", x, step)?, h]);
    }
    Ok(by_kind(out))
}

fn momentum(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (rate, t, list) = groups(im, n, 3)?;
    let (alpha, beta) = (n.float("alpha", 0.0) as f64, n.float("beta", 0.0) as f64);
    let nesterov = n.string("mode", "standard") == "nesterov";
    let mut out = vec![];
    for group in list {
        let [x, g, v] = group[..] else { continue };
        let g = regularized(im, n, x, g)?;
        // The first gradient counts in full.
        let (_, later) = counted(im, t, x)?;
        let (one, beta) = (im.like(x, 1.0)?, im.like(x, beta)?);
        let beta = im.select(later, beta, one)?;
        let kept = im.with_scalar("mul", v, alpha)?;
        let new = im.binary("mul", beta, g)?;
        let v = im.binary("add", kept, new)?;
        let step = if nesterov {
            let ahead = im.with_scalar("mul", v, alpha)?;
            im.binary("add", g, ahead)?
        } else {
            v
        };
        let step = im.binary("mul", rate, step)?;
        out.push(vec![im.binary("sub", x, step)?, v]);
    }
    Ok(by_kind(out))
}
