//! Categories and their numbers in `ai.onnx.ml`: label encoders, category mappers, one-hot encoders.

use super::{Family, Importer, Node, Out, text};
use nim_graph::Built;
use nim_tensor::{DType, Tensor};

pub(super) const RULES: Family =
    &[("CategoryMapper", category_mapper), ("LabelEncoder", label_encoder), ("OneHotEncoder", one_hot_encoder)];

/// The list that an attribute of one of several names holds.
pub(super) fn list(im: &Importer<'_>, n: &Node<'_>, prefix: &str) -> Built<Option<Tensor>> {
    if let Some(proto) = n.tensor(&format!("{prefix}_tensor")) {
        return im.model.tensor(proto).map(Some).map_err(|e| im.error("N0604", e.to_string()));
    }
    if let Some(v) = n.ints(&format!("{prefix}_int64s")) {
        return Ok(Some(Tensor::new(&[v.len()], v)));
    }
    if let Some(v) = n.floats(&format!("{prefix}_floats")) {
        return Ok(Some(Tensor::new(&[v.len()], v)));
    }
    Ok(n.strings(&format!("{prefix}_strings")).map(|v| Tensor::strings(&[v.len()], v)))
}

/// The value that stands beside the key, or a default: all keys compared at once.
fn label_encoder(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let (keys, values) = if n.version < 2 {
        let strings = n.strings("classes_strings").unwrap_or_default();
        let count = strings.len();
        let (names, numbers) = (Tensor::strings(&[count], strings), Tensor::new(&[count], (0..count as i64).collect()));
        if im.dtype(x)? == DType::String { (names, numbers) } else { (numbers, names) }
    } else {
        match (list(im, n, "keys")?, list(im, n, "values")?) {
            (Some(k), Some(v)) => (k, v),
            _ => return Err(im.error("N0610", "keys and values are needed")),
        }
    };
    if keys.len() != values.len() || keys.is_empty() {
        return Err(im.error("N0615", format!("{} keys for {} values", keys.len(), values.len())));
    }
    let default = match (n.tensor("default_tensor"), values.dtype()) {
        (Some(proto), _) => {
            let t = im.model.tensor(proto).map_err(|e| im.error("N0604", e.to_string()))?;
            t.reshaped(&[]).ok_or_else(|| im.error("N0615", "the default must be one value"))?
        }
        (None, DType::String) => Tensor::strings(&[], vec![n.string("default_string", "_Unused")]),
        (None, DType::F32) => Tensor::scalar(n.float("default_float", -0.0)),
        (None, d) => {
            Tensor::from_i64s(d, &[], &[n.int("default_int64", -1)]).map_err(|e| im.error("N0604", e.to_string()))?
        }
    };
    if im.dtype(x)? == DType::String || values.dtype() == DType::String {
        return Ok(vec![text::lookup(im, x, &keys, &values, &default)?]);
    }
    let (keys, values) = (im.constant(&keys, "keys")?, im.constant(&values, "values")?);
    let default = im.constant(&default, "default")?;
    let last = im.rank(x)?;
    let wide = im.unsqueeze(x, &[last as i64])?;
    let mut hit = im.compare("eq", wide, keys)?;
    if im.dtype(x)?.is_float() {
        // NaN is a key like any other.
        let (a, b) = (im.unary("isnan", wide)?, im.unary("isnan", keys)?);
        let both = im.binary("and", a, b)?;
        hit = im.binary("or", hit, both)?;
    }
    let found = im.reduce("or", hit, &[last], false)?;
    let number = im.cast_to(hit, DType::I32)?;
    let ctx = im.ctx();
    let attrs = [("kind", ctx.string_attr("max")), ("axis", ctx.i64_attr(last as i64))];
    let at = im.value("graph.arg_reduce", &[number], &attrs)?;
    let value = im.gather(values, at, 0)?;
    Ok(vec![im.select(found, value, default)?])
}

/// Texts to numbers or back; what is not listed gets the default.
fn category_mapper(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let (texts, numbers) = (n.strings("cats_strings").unwrap_or_default(), n.ints("cats_int64s").unwrap_or_default());
    if texts.len() != numbers.len() || texts.is_empty() {
        return Err(im.error("N0615", format!("{} texts for {} numbers", texts.len(), numbers.len())));
    }
    let texts = Tensor::strings(&[texts.len()], texts);
    let numbers = Tensor::new(&[numbers.len()], numbers);
    let y = if im.dtype(x)? == DType::String {
        text::lookup(im, x, &texts, &numbers, &Tensor::scalar(n.int("default_int64", -1)))?
    } else {
        let default = Tensor::strings(&[], vec![n.string("default_string", "_Unused")]);
        text::lookup(im, x, &numbers, &texts, &default)?
    };
    Ok(vec![y])
}

/// 1 at the category's place along a new last axis. A category that is not listed has zeros only, or is an error.
fn one_hot_encoder(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let is_text = im.dtype(x)? == DType::String;
    let keys = match (n.strings("cats_strings").filter(|_| is_text), n.ints("cats_int64s").filter(|_| !is_text)) {
        (Some(v), _) => Tensor::strings(&[v.len()], v),
        (_, Some(v)) => Tensor::new(&[v.len()], v),
        _ => return Err(im.error("N0610", "categories of the input's kind are needed")),
    };
    let count = keys.len();
    let wanted = if is_text {
        let places = Tensor::new(&[count], (0..count as i64).collect());
        text::lookup(im, x, &keys, &places, &Tensor::scalar(-1i64))?
    } else {
        im.cast_to(x, DType::I64)?
    };
    let column = if is_text {
        let count = im.num(count as i64);
        im.iota(&[count], 0, DType::I64)?
    } else {
        im.constant(&keys, "categories")?
    };
    let wide = im.unsqueeze(wanted, &[-1])?;
    let hit = im.compare("eq", wide, column)?;
    let y = im.cast_to(hit, DType::F32)?;
    if !n.flag("zeros", true) {
        let (rank, elements) = (im.rank(y)?, im.dims(x)?);
        let found = im.cast_to(hit, DType::I64)?;
        let all: Vec<usize> = (0..rank).collect();
        let found = im.reduce("sum", found, &all, false)?;
        let found = im.exprs_or_bind(found, "found")?[0];
        let elements = im.ctx().exprs.product(elements);
        im.guard("eq", found, elements, "each element is one of the categories (`zeros` is 0)");
    }
    Ok(vec![y])
}
