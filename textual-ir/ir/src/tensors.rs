//! Host tensors as attributes and back.

use crate::{Attr, AttrData, Context, Dim, Name, Type, attrs::Elements};
use nim_tensor::{Blob, DType, Tensor, tensor::Data};

/// Constants of at most this many bytes are written out in the IR; larger ones are resources.
pub const INLINE_BYTES: usize = 256;

impl Context {
    /// The type of a host tensor.
    pub fn type_of_tensor(&self, tensor: &Tensor) -> Type {
        let dims: Vec<Dim> = tensor.dims().iter().map(|&d| self.dim(d as i64)).collect();
        self.tensor_type(&dims, self.type_of_dtype(tensor.dtype()))
    }

    /// A host tensor as an attribute: written out when small, a resource named after `key` when large.
    pub fn tensor_attr(&self, tensor: &Tensor, key: &str) -> Attr {
        let ty = self.type_of_tensor(tensor);
        match tensor.data() {
            Data::Strings(strings) => {
                let elements = strings.iter().map(|s| self.name(s)).collect();
                self.attr(AttrData::DenseStrings { ty, elements })
            }
            Data::Bytes(blob) => {
                let size = tensor.dtype().size();
                // What has to be made first is not made to find that out.
                let splat = tensor.len() > 1 && blob.is_there() && is_splat(blob, size);
                if splat {
                    let bytes = blob.slice(0, size).expect("a splat has an element");
                    let bytes = Blob::new(bytes.to_vec());
                    self.attr(AttrData::Dense { ty, elements: Elements { bytes, splat: true } })
                } else if blob.len() <= INLINE_BYTES {
                    // A copy, so that a small constant does not keep a whole file mapped.
                    let bytes = Blob::new(blob.to_vec());
                    self.attr(AttrData::Dense { ty, elements: Elements { bytes, splat: tensor.len() == 1 } })
                } else {
                    let key = self.add_resource(key, blob.clone());
                    self.attr(AttrData::DenseResource { ty, key })
                }
            }
        }
    }

    /// The host tensor of an elements attribute; `None` when it is none, its type has no host form, or its resource
    /// is missing or of the wrong size.
    pub fn attr_tensor(&self, attr: Attr) -> Option<Tensor> {
        match self.attr_data(attr) {
            AttrData::Dense { ty, elements } => {
                let (dtype, dims) = self.host_shape(*ty)?;
                let count: usize = nim_tensor::tensor::element_count(&dims)?;
                let blob = if elements.splat && count != 1 {
                    Blob::new(elements.bytes.repeat(count))
                } else {
                    elements.bytes.clone()
                };
                Tensor::from_blob(dtype, &dims, blob).ok()
            }
            AttrData::DenseResource { ty, key } => {
                let (dtype, dims) = self.host_shape(*ty)?;
                Tensor::from_blob(dtype, &dims, self.resource(*key)?).ok()
            }
            AttrData::DenseStrings { ty, elements } => {
                let (_, dims) = self.host_shape(*ty)?;
                let strings: Vec<String> = elements.iter().map(|n: &Name| self.str(*n).to_string()).collect();
                (nim_tensor::tensor::element_count(&dims)? == strings.len()).then(|| Tensor::strings(&dims, strings))
            }
            _ => None,
        }
    }

    fn host_shape(&self, ty: Type) -> Option<(DType, Vec<usize>)> {
        let dims = match self.type_data(ty) {
            crate::TypeData::Vector { dims, .. } => dims.iter().map(|&(d, _)| d).collect(),
            _ => self.static_dims(ty)?,
        };
        let dims = dims.into_iter().map(|d| usize::try_from(d).ok()).collect::<Option<_>>()?;
        Some((self.dtype_of(ty)?, dims))
    }
}

fn is_splat(bytes: &[u8], size: usize) -> bool {
    size > 0 && bytes.len() >= size && bytes.chunks_exact(size).all(|c| c == &bytes[..size])
}
