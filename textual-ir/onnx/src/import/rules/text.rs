//! Text: all of it is done by the runtime library.

use super::{Family, Importer, Node, Out};
use nim_graph::Built;
use nim_ir::{Expr, ValueId};
use nim_tensor::{DType, Tensor};

pub(super) const RULES: Family = &[
    ("RegexFullMatch", regex_full_match),
    ("StringConcat", string_concat),
    ("StringNormalizer", string_normalizer),
    ("StringSplit", string_split),
    ("TfIdfVectorizer", ngrams),
];

/// An operand that must be text.
fn text(im: &Importer<'_>, n: &Node<'_>, i: usize) -> Built {
    let x = n.input(im, i)?;
    match im.dtype(x)? {
        DType::String => Ok(x),
        other => Err(im.error("N0614", format!("input {i} must be text, found {other}"))),
    }
}

fn text_constant(im: &mut Importer<'_>, texts: Vec<String>, name: &str) -> Built {
    im.constant(&Tensor::strings(&[texts.len()], texts), name)
}

fn string_concat(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (a, b) = (text(im, n, 0)?, text(im, n, 1)?);
    let dims = im.common_shape(&[a, b])?;
    let ty = im.ctx().tensor_of(&dims, im.element(a)?);
    Ok(vec![im.runtime_value("text.concat", &[a, b], &[], ty)])
}

fn string_split(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = text(im, n, 0)?;
    let dims = im.dims(x)?;
    let delimiter = text_constant(im, vec![n.string("delimiter", "")], "delimiter")?;
    let width = im.fresh_symbol("pieces");
    let ctx = im.ctx();
    let pieces = ctx.tensor_of(&dims.iter().copied().chain([width]).collect::<Vec<Expr>>(), im.element(x)?);
    let counts = ctx.tensor_of(&dims, ctx.int_type(64));
    // No number of cuts is no limit.
    let limit = n.int_opt("maxsplit").unwrap_or(-1);
    Ok(im.runtime("text.split", &[x, delimiter], &[limit], &[pieces, counts]))
}

fn string_normalizer(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = text(im, n, 0)?;
    let case = match n.string("case_change_action", "NONE").as_str() {
        "NONE" => 0,
        "LOWER" => 1,
        "UPPER" => 2,
        other => return Err(im.error("N0614", format!("no change of case is named {other:?}"))),
    };
    let mut dims = im.dims(x)?;
    let rank = dims.len();
    if !(1..=2).contains(&rank) {
        return Err(im.error("N0615", format!("text of rank 1 or 2 is normalised, found rank {rank}")));
    }
    if rank == 2 {
        let one = im.num(1);
        im.guard("eq", dims[0], one, "rows of the text to normalise");
        dims[0] = one;
    }
    dims[rank - 1] = im.fresh_symbol("words");
    let ty = im.ctx().tensor_of(&dims, im.element(x)?);
    let stopwords = text_constant(im, n.strings("stopwords").unwrap_or_default(), "stopwords")?;
    let sensitive = n.flag("is_case_sensitive", false).into();
    Ok(vec![im.runtime_value("text.normalize", &[x, stopwords], &[case, sensitive], ty)])
}

fn regex_full_match(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = text(im, n, 0)?;
    let pattern = text_constant(im, vec![n.string("pattern", "")], "pattern")?;
    let ty = im.ctx().tensor_of(&im.dims(x)?, im.ctx().int_type(1));
    Ok(vec![im.runtime_value("text.matches", &[x, pattern], &[], ty)])
}

/// TfIdfVectorizer.
fn ngrams(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let mode = match n.string("mode", "").as_str() {
        "TF" => 0,
        "IDF" => 1,
        "TFIDF" => 2,
        other => return Err(im.error("N0614", format!("`mode` must be TF, IDF or TFIDF, found {other:?}"))),
    };
    let is_text = im.dtype(x)? == DType::String;
    let pool = match (n.strings("pool_strings"), n.ints("pool_int64s")) {
        (Some(v), _) if is_text => Tensor::strings(&[v.len()], v),
        (_, Some(v)) if !is_text => Tensor::new(&[v.len()], v),
        _ => return Err(im.error("N0610", "the pool of n-grams is missing, or is not of the input's type")),
    };
    let (starts, places) = (n.ints("ngram_counts").unwrap_or_default(), n.ints("ngram_indexes").unwrap_or_default());
    let width = places.iter().max().map_or(0, |m| m.saturating_add(1));
    if places.iter().any(|&p| p < 0) || width > 1 << 31 {
        return Err(im.error("N0615", "`ngram_indexes` has a place that no result has"));
    }
    let mut ints = vec![mode, n.int("min_gram_length", 1), n.int("max_gram_length", 1), n.int("max_skip_count", 0)];
    if ints[1..].iter().any(|&v| v < 0) {
        return Err(im.error("N0615", "lengths of n-grams are not negative"));
    }
    ints.extend([width, starts.len() as i64]);
    ints.extend(starts);
    ints.extend(&places);
    let weights = n.floats("weights").unwrap_or_default();
    if !weights.is_empty() && weights.len() != places.len() {
        return Err(im.error("N0615", format!("{} weights for {} n-grams", weights.len(), places.len())));
    }
    let mut dims = im.dims(x)?;
    let rank = dims.len();
    if !(1..=2).contains(&rank) {
        return Err(im.error("N0615", format!("words of rank 1 or 2 are needed, found rank {rank}")));
    }
    dims[rank - 1] = im.num(width);
    let ty = im.ctx().tensor_of(&dims, im.ctx().f32_type());
    let x = if is_text { x } else { im.cast_to(x, DType::I64)? };
    let (pool, weights) =
        (im.constant(&pool, "pool")?, im.constant(&Tensor::new(&[weights.len()], weights), "weights")?);
    Ok(vec![im.runtime_value("text.ngrams", &[x, pool, weights], &ints, ty)])
}

/// The value beside the key that equals an element, or the default, where keys or values are text.
pub(super) fn lookup(im: &mut Importer<'_>, x: ValueId, keys: &Tensor, values: &Tensor, default: &Tensor) -> Built {
    let ty = im.ctx().tensor_of(&im.dims(x)?, im.ctx().type_of_dtype(values.dtype()));
    let keys = im.constant(keys, "keys")?;
    let (values, default) = (im.constant(values, "values")?, im.constant(default, "default")?);
    Ok(im.runtime_value("text.lookup", &[x, keys, values, default], &[], ty))
}
