//! Operators of `ai.onnx.ml`: preprocessing, linear models, and trees.

use super::{Family, Importer, Node, Out, categories::list};
use nim_graph::Built;
use nim_ir::ValueId;
use nim_tensor::{DType, Tensor};

pub(super) const RULES: Family = &[
    ("ArrayFeatureExtractor", array_feature_extractor),
    ("Binarizer", binarizer),
    ("FeatureVectorizer", feature_vectorizer),
    ("Imputer", imputer),
    ("LinearClassifier", linear_classifier),
    ("LinearRegressor", linear_regressor),
    ("Normalizer", normalizer),
    ("Scaler", scaler),
];

/// Numbers of an attribute as an `f32` vector; one number as a scalar.
fn vector(im: &mut Importer<'_>, n: &Node<'_>, name: &str) -> Built<Option<ValueId>> {
    match n.floats(name).filter(|v| !v.is_empty()) {
        None => Ok(None),
        Some(v) if v.len() == 1 => im.constant(&Tensor::scalar(v[0]), name).map(Some),
        Some(v) => im.constant(&Tensor::new(&[v.len()], v), name).map(Some),
    }
}

/// `(x - offset) * scale`
fn scaler(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let mut x = im.cast_to(x, DType::F32)?;
    if let Some(offset) = vector(im, n, "offset")? {
        x = im.binary("sub", x, offset)?;
    }
    if let Some(scale) = vector(im, n, "scale")? {
        x = im.binary("mul", x, scale)?;
    }
    Ok(vec![x])
}

fn binarizer(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let limit = im.like(x, n.float("threshold", 0.0) as f64)?;
    let above = im.compare("gt", x, limit)?;
    let element = im.element(x)?;
    Ok(vec![im.cast(above, element)?])
}

fn array_feature_extractor(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (x, y) = (n.input(im, 0)?, n.input(im, 1)?);
    let rank = im.rank(x)?;
    if rank == 0 {
        return Err(im.error("N0615", "columns of a scalar are asked for"));
    }
    let p = &im.ctx().exprs;
    let count = p.product(im.dims(y)?);
    let y = im.reshape(y, &[count])?;
    let picked = im.gather(x, y, rank - 1)?;
    if rank > 1 {
        return Ok(vec![picked]);
    }
    let one = im.num(1);
    Ok(vec![im.reshape(picked, &[one, count])?])
}

/// All inputs beside each other as floats.
fn feature_vectorizer(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let mut parts = vec![];
    let widths = n.ints("inputdimensions").unwrap_or_default();
    for (i, x) in n.all(im)?.into_iter().enumerate() {
        let mut x = if im.rank(x)? == 1 { im.unsqueeze(x, &[0])? } else { x };
        // So many columns of each: what is missing is 0, what is too much is left out.
        if let Some(&width) = widths.get(i).filter(|&&w| w >= 0) {
            let (width, mut dims) = (im.num(width), im.dims(x)?);
            let start = im.num(0);
            let kept = im.ctx().exprs.min(width, dims[1]);
            x = im.slice_axis(x, 1, start, kept)?;
            dims[1] = width;
            x = im.pad_to(x, &dims)?;
        }
        parts.push(im.cast_to(x, DType::F32)?);
    }
    if parts.is_empty() {
        return Err(im.error("N0610", "needs at least one input"));
    }
    Ok(vec![im.concat(&parts, 1)?])
}

fn imputer(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let float = im.dtype(x)?.is_float();
    let (missing, given) = if float {
        let missing = if n.float("replaced_value_float", 0.0).is_nan() {
            im.unary("isnan", x)?
        } else {
            let v = im.like(x, n.float("replaced_value_float", 0.0) as f64)?;
            im.compare("eq", x, v)?
        };
        (missing, n.floats("imputed_value_floats").unwrap_or_default().into_iter().map(f64::from).collect::<Vec<_>>())
    } else {
        let v = im.like(x, n.int("replaced_value_int64", 0) as f64)?;
        let list = n.ints("imputed_value_int64s").unwrap_or_default();
        (im.compare("eq", x, v)?, list.into_iter().map(|v| v as f64).collect())
    };
    let dtype = im.dtype(x)?;
    let dims: &[usize] = if given.len() == 1 { &[] } else { &[given.len()] };
    let values = Tensor::from_f64s(dtype, dims, &given).map_err(|e| im.error("N0604", e.to_string()))?;
    let values = im.constant(&values, "imputed")?;
    Ok(vec![im.select(missing, values, x)?])
}

/// What stands behind the scores of a model.
fn post_transform(im: &mut Importer<'_>, n: &Node<'_>, x: ValueId) -> Built {
    transformed(im, &n.string("post_transform", "NONE"), x)
}

/// As [`post_transform`], by its name.
pub(super) fn transformed(im: &mut Importer<'_>, name: &str, x: ValueId) -> Built {
    let last = im.rank(x)?.saturating_sub(1);
    match name {
        "NONE" => Ok(x),
        "LOGISTIC" => im.unary("sigmoid", x),
        "SOFTMAX" => im.softmax(x, &[last], false),
        "SOFTMAX_ZERO" => softmax_zero(im, x, last),
        "PROBIT" => probit(im, x),
        other => Err(im.error("N0617", format!("the transformation {other:?} is not supported"))),
    }
}

/// Softmax in which scores of 0 stay 0 and do not count.
fn softmax_zero(im: &mut Importer<'_>, x: ValueId, axis: usize) -> Built {
    let max = im.reduce("max", x, &[axis], true)?;
    let shifted = im.binary("sub", x, max)?;
    let exp = im.unary("exp", shifted)?;
    let size = im.unary("abs", x)?;
    let smallest = im.like(x, 1e-7)?;
    let counts = im.compare("gt", size, smallest)?;
    let zero = im.like(x, 0.0)?;
    let exp = im.select(counts, exp, zero)?;
    let sum = im.reduce("sum", exp, &[axis], true)?;
    im.binary("div", exp, sum)
}

/// The quantile of the normal distribution, with the inverse error function of Winitzki, "A handy approximation for the
/// error function and its inverse" (2008), which is what other runtimes compute.
fn probit(im: &mut Importer<'_>, x: ValueId) -> Built {
    const A: f64 = 0.147;
    let y = im.with_scalar("mul", x, 2.0)?;
    let y = im.with_scalar("sub", y, 1.0)?;
    let sign = im.unary("sign", y)?;
    let square = im.binary("mul", y, y)?;
    let rest = im.unary("neg", square)?;
    let rest = im.with_scalar("add", rest, 1.0)?;
    let log = im.unary("log", rest)?;
    let half = im.with_scalar("mul", log, 0.5)?;
    let v = im.with_scalar("add", half, 2.0 / (std::f64::consts::PI * A))?;
    let square = im.binary("mul", v, v)?;
    let rest = im.with_scalar("mul", log, 1.0 / A)?;
    let root = im.binary("sub", square, rest)?;
    let root = im.unary("sqrt", root)?;
    let difference = im.binary("sub", root, v)?;
    let root = im.unary("sqrt", difference)?;
    let signed = im.binary("mul", sign, root)?;
    im.with_scalar("mul", signed, std::f64::consts::SQRT_2)
}

/// `x * coefficients' + intercepts`, one row of coefficients a target.
fn linear(im: &mut Importer<'_>, n: &Node<'_>, targets: usize) -> Built {
    let x = n.input(im, 0)?;
    let x = im.cast_to(x, DType::F32)?;
    let coefficients = n.floats("coefficients").unwrap_or_default();
    if targets == 0 || coefficients.is_empty() || !coefficients.len().is_multiple_of(targets) {
        return Err(im.error("N0615", format!("{} coefficients for {targets} targets", coefficients.len())));
    }
    let w = im.constant(&Tensor::new(&[targets, coefficients.len() / targets], coefficients), "coefficients")?;
    let w = im.transpose(w, &[1, 0])?;
    let y = im.matmul(x, w)?;
    match vector(im, n, "intercepts")? {
        Some(b) => im.binary("add", y, b),
        None => Ok(y),
    }
}

fn linear_regressor(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let targets = usize::try_from(n.int("targets", 1)).unwrap_or(0);
    let y = linear(im, n, targets)?;
    Ok(vec![post_transform(im, n, y)?])
}

/// The label of the largest score, and the scores.
fn linear_classifier(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let Some(labels) = list(im, n, "classlabels")?.or(n.ints("classlabels_ints").map(|v| Tensor::new(&[v.len()], v)))
    else {
        return Err(im.error("N0610", "class labels are needed"));
    };
    let intercepts = n.floats("intercepts").map_or(0, |v| v.len());
    let classes = if intercepts > 0 { intercepts } else { labels.len() };
    let mut scores = linear(im, n, classes)?;
    if classes == 1 && labels.len() == 2 {
        // One score decides between two classes.
        let other = im.unary("neg", scores)?;
        scores = im.concat(&[other, scores], 1)?;
    }
    let ctx = im.ctx();
    let attrs = [("kind", ctx.string_attr("max")), ("axis", ctx.i64_attr(1))];
    let best = im.value("graph.arg_reduce", &[scores], &attrs)?;
    let labels = im.constant(&labels, "labels")?;
    let label = im.gather(labels, best, 0)?;
    Ok(vec![label, post_transform(im, n, scores)?])
}

/// Rows divided by their norm; a row of zeros stays.
fn normalizer(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let x = im.cast_to(x, DType::F32)?;
    let last = im.rank(x)?.saturating_sub(1);
    let norm = match n.string("norm", "MAX").as_str() {
        // Of the numbers themselves: the standard takes no absolute values here.
        "MAX" => im.reduce("max", x, &[last], true)?,
        "L1" => {
            let abs = im.unary("abs", x)?;
            im.reduce("sum", abs, &[last], true)?
        }
        "L2" => {
            let square = im.binary("mul", x, x)?;
            let sum = im.reduce("sum", square, &[last], true)?;
            im.unary("sqrt", sum)?
        }
        other => return Err(im.error("N0614", format!("no norm is named {other:?}"))),
    };
    let (zero, one) = (im.like(norm, 0.0)?, im.like(norm, 1.0)?);
    let none = im.compare("eq", norm, zero)?;
    let norm = im.select(none, one, norm)?;
    Ok(vec![im.binary("div", x, norm)?])
}
