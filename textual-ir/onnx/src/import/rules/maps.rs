//! Maps of `ai.onnx.ml`, values of the type `!graph.map<K, V>`; the runtime library works on them.

use super::{Family, Importer, Node, Out, categories::list, sequence::element_code};
use nim_graph::Built;
use nim_ir::{Expr, Type, ValueId};
use nim_tensor::DType;

pub(super) const RULES: Family = &[("CastMap", cast_map), ("DictVectorizer", dict_vectorizer), ("ZipMap", zip_map)];

/// A map and the element type of its values.
fn map(im: &Importer<'_>, n: &Node<'_>) -> Built<(ValueId, DType)> {
    let m = n.input(im, 0)?;
    let values = im.map_value(im.ty(m)).and_then(|v| im.ctx().dtype_of(v));
    values.map(|dtype| (m, dtype)).ok_or_else(|| {
        let found = im.ctx().display_type(im.ty(m));
        im.error("N0640", format!("input 0 must be a map, found {found}"))
    })
}

fn row(im: &Importer<'_>, dtype: DType, length: Expr) -> Type {
    im.ctx().tensor_of(&[im.num(1), length], im.ctx().type_of_dtype(dtype))
}

/// The values of a map as another type, `[1, n]`: all of them by ascending key, or each at its key.
fn cast_map(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (m, _) = map(im, n)?;
    let dtype = match n.string("cast_to", "TO_FLOAT").as_str() {
        "TO_FLOAT" => DType::F32,
        "TO_INT64" => DType::I64,
        "TO_STRING" => DType::String,
        other => {
            return Err(
                im.error("N0614", format!("`cast_to` must be TO_FLOAT, TO_INT64 or TO_STRING, found {other:?}"))
            );
        }
    };
    let length = match n.string("map_form", "DENSE").as_str() {
        "DENSE" => -1,
        "SPARSE" => n.int("max_map", 1).max(0),
        other => return Err(im.error("N0614", format!("`map_form` must be DENSE or SPARSE, found {other:?}"))),
    };
    let size = if length < 0 { im.fresh_symbol("values") } else { im.num(length) };
    let ty = row(im, dtype, size);
    Ok(vec![im.runtime_value("map.cast", &[m], &[element_code(dtype), length], ty)])
}

/// The values at the keys of a vocabulary, `[1, n]`, zeros where a key is missing.
fn dict_vectorizer(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let (m, dtype) = map(im, n)?;
    let vocabulary = match (n.strings("string_vocabulary"), n.ints("int64_vocabulary")) {
        (Some(v), _) => nim_tensor::Tensor::strings(&[v.len()], v),
        (None, Some(v)) => nim_tensor::Tensor::new(&[v.len()], v),
        (None, None) => return Err(im.error("N0610", "a vocabulary is needed")),
    };
    let size = im.num(vocabulary.len() as i64);
    let keys = im.constant(&vocabulary, "vocabulary")?;
    let ty = row(im, dtype, size);
    Ok(vec![im.runtime_value("map.vector", &[m, keys], &[element_code(dtype)], ty)])
}

/// One map a row, from labels to the row's numbers.
fn zip_map(im: &mut Importer<'_>, n: &Node<'_>) -> Out {
    let x = n.input(im, 0)?;
    let Some(labels) = list(im, n, "classlabels")? else { return Err(im.error("N0610", "class labels are needed")) };
    let dims = im.dims(x)?;
    let Some(&columns) = dims.last().filter(|_| dims.len() <= 2) else {
        let found = im.ctx().display_type(im.ty(x));
        return Err(im.error("N0615", format!("rows of numbers are needed, found {found}")));
    };
    let count = im.num(labels.len() as i64);
    im.guard("eq", columns, count, "columns of a ZipMap: one for each label");
    let (key, dtype) = (im.ctx().type_of_dtype(labels.dtype()), im.dtype(x)?);
    let keys = im.constant(&labels, "labels")?;
    let map = im.map_type(key, dtype);
    let ty = im.wrapper_type("sequence", map);
    Ok(vec![im.runtime_value("map.zip", &[keys, x], &[], ty)])
}
