//! Sparse tensors, made dense.

use crate::{
    OnnxError,
    external::ExternalData,
    proto::SparseTensorProto,
    tensor::{dims_of, tensor_of, tensor_with},
};
use nim_tensor::{Blob, DType, Tensor, tensor::element_count};

/// Largest dense form in bytes. A few bytes of a damaged file can name any shape; this bounds what it may cost.
const MAX_DENSE: usize = 1 << 31;

/// Reads a sparse tensor into a dense one; elements that are not listed are zero, or empty strings.
pub fn dense_of(proto: &SparseTensorProto) -> Result<Tensor, OnnxError> {
    read(proto, None)
}

/// As [`dense_of`], for values and indices that may lie in files next to the model.
pub fn dense_with(proto: &SparseTensorProto, files: &ExternalData) -> Result<Tensor, OnnxError> {
    read(proto, Some(files))
}

/// A sparse tensor's name is that of its values.
pub fn name_of(proto: &SparseTensorProto) -> &str {
    proto.values.as_ref().map_or("", |values| &values.name)
}

fn read(proto: &SparseTensorProto, files: Option<&ExternalData>) -> Result<Tensor, OnnxError> {
    densify(proto, files).map_err(|e| e.in_tensor(name_of(proto)))
}

fn densify(proto: &SparseTensorProto, files: Option<&ExternalData>) -> Result<Tensor, OnnxError> {
    let part = |tensor: &Option<crate::proto::TensorProto>, what: &str| {
        let tensor = tensor.as_ref().ok_or_else(|| OnnxError::invalid(format!("a sparse tensor without {what}")))?;
        files.map_or_else(|| tensor_of(tensor), |files| tensor_with(tensor, files))
    };
    let values = part(&proto.values, "values")?;
    let indices = part(&proto.indices, "indices")?;
    let dims = dims_of(&proto.dims)?;
    let dtype = values.dtype();
    let element_size = if dtype == DType::String { size_of::<String>() } else { dtype.size() };
    let count = element_count(&dims)
        .filter(|count| count.checked_mul(element_size).is_some_and(|size| size <= MAX_DENSE))
        .ok_or_else(|| OnnxError::unsupported(format!("sparse shape {dims:?} is too large to be made dense")))?;
    if values.rank() != 1 {
        return Err(OnnxError::invalid(format!("sparse values have shape {:?}, one axis is wanted", values.dims())));
    }
    let positions = positions(&indices, values.len(), &dims)?;

    if let Some(strings) = values.as_strings() {
        let mut out = vec![String::new(); count];
        positions.iter().zip(strings).for_each(|(&at, text)| out[at].clone_from(text));
        return Ok(Tensor::strings(&dims, out));
    }
    let mut out = vec![0; count * element_size];
    for (&at, element) in positions.iter().zip(values.bytes().chunks_exact(element_size)) {
        out[at * element_size..][..element_size].copy_from_slice(element);
    }
    Tensor::from_blob(dtype, &dims, Blob::new(out)).map_err(|e| OnnxError::invalid(e.to_string()))
}

/// Row-major positions of the values: checked to be inside the shape and ascending.
fn positions(indices: &Tensor, count: usize, dims: &[usize]) -> Result<Vec<usize>, OnnxError> {
    let numbers = match indices.dtype() {
        DType::I64 => indices.elements::<i64>(),
        other => return Err(OnnxError::invalid(format!("sparse indices are {other}, i64 is wanted"))),
    };
    let total = element_count(dims).unwrap_or(0);
    let outside = |index: &[i64]| OnnxError::invalid(format!("sparse index {index:?} is outside of shape {dims:?}"));
    let linear = |index: &[i64]| {
        let mut at = 0;
        for (&i, &d) in index.iter().zip(dims) {
            let i = usize::try_from(i).ok().filter(|&i| i < d).ok_or_else(|| outside(index))?;
            at = at * d + i;
        }
        Ok(at)
    };
    let positions: Vec<usize> = match *indices.dims() {
        [n] if n == count => numbers
            .iter()
            .map(|&i| usize::try_from(i).ok().filter(|&i| i < total).ok_or_else(|| outside(&[i])))
            .collect::<Result<_, _>>()?,
        [n, rank] if n == count && rank == dims.len() && rank > 0 => {
            numbers.chunks_exact(rank).map(linear).collect::<Result<_, _>>()?
        }
        ref found => {
            return Err(OnnxError::invalid(format!(
                "sparse indices have shape {found:?}, [{count}] or [{count}, {}] is wanted",
                dims.len()
            )));
        }
    };
    if !positions.is_sorted_by(|a, b| a < b) {
        return Err(OnnxError::invalid("sparse indices are not in ascending order"));
    }
    Ok(positions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::tensor_proto;

    fn sparse(values: Tensor, indices: Tensor, dims: &[i64]) -> SparseTensorProto {
        SparseTensorProto {
            values: Some(tensor_proto(&values, "w")),
            indices: Some(tensor_proto(&indices, "")),
            dims: dims.to_vec(),
        }
    }
    fn ints(dims: &[usize], x: &[i64]) -> Tensor {
        Tensor::new(dims, x.to_vec())
    }

    #[test]
    fn both_kinds_of_indices() {
        let values = Tensor::new(&[2], vec![1.5f32, -2.0]);
        let dense = Tensor::new(&[2, 3], vec![0.0f32, 1.5, 0.0, 0.0, 0.0, -2.0]);
        assert_eq!(dense_of(&sparse(values.clone(), ints(&[2], &[1, 5]), &[2, 3])).unwrap(), dense);
        assert_eq!(dense_of(&sparse(values, ints(&[2, 2], &[0, 1, 1, 2]), &[2, 3])).unwrap(), dense);
        let words = Tensor::strings(&[1], vec!["x".into()]);
        let dense = Tensor::strings(&[2], vec![String::new(), "x".into()]);
        assert_eq!(dense_of(&sparse(words, ints(&[1], &[1]), &[2])).unwrap(), dense);
        let none = sparse(Tensor::new::<u8>(&[0], vec![]), ints(&[0, 2], &[]), &[1, 2]);
        assert_eq!(dense_of(&none).unwrap(), Tensor::new(&[1, 2], vec![0u8, 0]));
    }

    #[test]
    fn bad_indices_and_shapes() {
        let error = |indices: Tensor, dims: &[i64]| {
            dense_of(&sparse(Tensor::new(&[2], vec![1u8, 2]), indices, dims)).unwrap_err().to_string()
        };
        assert_eq!(error(ints(&[2], &[1, 6]), &[2, 3]), "tensor \"w\": sparse index [6] is outside of shape [2, 3]");
        assert!(error(ints(&[2], &[-1, 2]), &[2, 3]).contains("outside"));
        assert!(error(ints(&[2, 2], &[0, 0, 0, 3]), &[2, 3]).contains("[0, 3] is outside"));
        assert!(error(ints(&[2], &[3, 3]), &[2, 3]).contains("ascending"));
        assert!(error(ints(&[3], &[1, 2, 3]), &[2, 3]).contains("[2] or [2, 2] is wanted"));
        assert!(error(ints(&[2], &[0, 1]), &[1 << 40]).contains("too large"));
        assert!(error(ints(&[2], &[0, 1]), &[-1]).contains("negative"));
        assert!(dense_of(&SparseTensorProto::default()).unwrap_err().to_string().contains("without values"));
    }
}
