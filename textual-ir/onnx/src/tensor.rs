//! `TensorProto` to host tensors: every element type in every form of storage.
//!
//! Raw and external data are shared with the file they come from, not copied, unless elements are packed. An element
//! count that does not fit the shape is found before anything is allocated, so a damaged file cannot ask for memory.

use crate::{
    OnnxError,
    dtype::dtype_of,
    external::{self, ExternalData},
    packed,
    proto::{TensorProto, tensor_proto::DataLocation},
};
use nim_tensor::{Blob, DType, Tensor, tensor::element_count};

/// Reads a tensor whose elements stand in the message itself.
pub fn tensor_of(proto: &TensorProto) -> Result<Tensor, OnnxError> {
    read(proto, None).map_err(|e| e.in_tensor(&proto.name))
}

/// Reads a tensor whose elements may stand in a file next to the model.
pub fn tensor_with(proto: &TensorProto, files: &ExternalData) -> Result<Tensor, OnnxError> {
    read(proto, Some(files)).map_err(|e| e.in_tensor(&proto.name))
}

fn read(proto: &TensorProto, files: Option<&ExternalData>) -> Result<Tensor, OnnxError> {
    let dtype = dtype_of(proto.data_type)?;
    let dims = dims_of(&proto.dims)?;
    let count = element_count(&dims).ok_or_else(|| OnnxError::invalid(format!("shape {:?} overflows", proto.dims)))?;
    if proto.segment.is_some() {
        return Err(OnnxError::unsupported("it is a segment of a larger tensor, which is not supported"));
    }
    let storage = Storage { proto, dtype, dims: &dims, count };
    if proto.data_location == DataLocation::External as i32 {
        let files =
            files.ok_or_else(|| OnnxError::invalid("its data lies in another file, which is not known here"))?;
        if dtype == DType::String {
            return Err(OnnxError::invalid("strings cannot lie in another file"));
        }
        let blob = files.get(&external::Location::of(&proto.external_data)?, storage.packed_size()?)?;
        return storage.raw(blob, "its file");
    }
    storage.check_single_form()?;
    if !proto.raw_data.is_empty() {
        if dtype == DType::String {
            return Err(OnnxError::invalid("strings cannot be stored in raw_data"));
        }
        let window = || Blob::new(proto.raw_data.clone());
        return storage.raw(files.map_or_else(window, |files| files.window(&proto.raw_data)), "raw_data");
    }
    storage.typed()
}

/// Dimensions as tensors want them.
pub(crate) fn dims_of(dims: &[i64]) -> Result<Vec<usize>, OnnxError> {
    let dim =
        |&d| usize::try_from(d).map_err(|_| OnnxError::invalid(format!("shape {dims:?} has a negative dimension")));
    dims.iter().map(dim).collect()
}

/// A tensor message together with what its header says.
struct Storage<'p> {
    proto: &'p TensorProto,
    dtype: DType,
    dims: &'p [usize],
    count: usize,
}

impl Storage<'_> {
    /// Bytes of all elements as files keep them.
    fn packed_size(&self) -> Result<usize, OnnxError> {
        let size = self.count.div_ceil(packed::elements_per_byte(self.dtype)).checked_mul(self.dtype.size());
        size.ok_or_else(|| OnnxError::invalid(format!("shape {:?} overflows", self.dims)))
    }

    /// At most one form of storage may be in use; which one would count otherwise is not said by the standard.
    fn check_single_form(&self) -> Result<(), OnnxError> {
        let p = self.proto;
        let forms = [
            ("raw_data", p.raw_data.is_empty()),
            ("float_data", p.float_data.is_empty()),
            ("int32_data", p.int32_data.is_empty()),
            ("string_data", p.string_data.is_empty()),
            ("int64_data", p.int64_data.is_empty()),
            ("double_data", p.double_data.is_empty()),
            ("uint64_data", p.uint64_data.is_empty()),
        ];
        let used: Vec<&str> = forms.into_iter().filter(|(_, empty)| !empty).map(|(name, _)| name).collect();
        if let [first, second, ..] = used[..] {
            return Err(OnnxError::invalid(format!("its elements stand in {first} and in {second} at once")));
        }
        Ok(())
    }

    /// The elements from little-endian, packed bytes.
    fn raw(&self, blob: Blob, place: &str) -> Result<Tensor, OnnxError> {
        let expected = self.packed_size()?;
        if blob.len() != expected {
            let (dtype, dims, found) = (self.dtype, self.dims, blob.len());
            return Err(OnnxError::invalid(format!(
                "shape {dims:?} of {dtype} needs {expected} bytes, {place} has {found}"
            )));
        }
        let blob = if packed::elements_per_byte(self.dtype) > 1 {
            Blob::new(packed::unpack(self.dtype, blob.iter().copied(), self.count))
        } else if self.dtype == DType::Bool && blob.iter().any(|&b| b > 1) {
            Blob::new(blob.iter().map(|&b| u8::from(b != 0)).collect::<Vec<u8>>())
        } else {
            nim_tensor::tensor::little_endian(blob, self.dtype)
        };
        self.tensor(blob)
    }

    /// The elements from the typed field of their type.
    fn typed(&self) -> Result<Tensor, OnnxError> {
        let p = self.proto;
        match self.dtype {
            DType::F32 => self.field("float_data", &p.float_data, 1, |x| x.to_ne_bytes()),
            DType::C64 => self.field("float_data", &p.float_data, 2, |x| x.to_ne_bytes()),
            DType::F64 => self.field("double_data", &p.double_data, 1, |x| x.to_ne_bytes()),
            DType::C128 => self.field("double_data", &p.double_data, 2, |x| x.to_ne_bytes()),
            DType::I64 => self.field("int64_data", &p.int64_data, 1, |x| x.to_ne_bytes()),
            DType::U64 => self.field("uint64_data", &p.uint64_data, 1, |x| x.to_ne_bytes()),
            DType::U32 => self.field("uint64_data", &p.uint64_data, 1, |x| (x as u32).to_ne_bytes()),
            DType::I32 => self.field("int32_data", &p.int32_data, 1, |x| x.to_ne_bytes()),
            DType::I16 | DType::U16 | DType::F16 | DType::BF16 => {
                self.field("int32_data", &p.int32_data, 1, |x| (x as u16).to_ne_bytes())
            }
            DType::Bool => self.field("int32_data", &p.int32_data, 1, |x| [u8::from(x != 0)]),
            DType::I8
            | DType::U8
            | DType::F8E4M3FN
            | DType::F8E4M3FNUZ
            | DType::F8E5M2
            | DType::F8E5M2FNUZ
            | DType::F8E8M0FNU => self.field("int32_data", &p.int32_data, 1, |x| [x as u8]),
            DType::F4E2M1FN | DType::I4 | DType::U4 | DType::I2 | DType::U2 => {
                let per_byte = packed::elements_per_byte(self.dtype);
                self.check_count("int32_data", p.int32_data.len(), self.count.div_ceil(per_byte))?;
                let bytes = p.int32_data.iter().map(|&x| x as u8);
                self.tensor(Blob::new(packed::unpack(self.dtype, bytes, self.count)))
            }
            DType::String => {
                self.check_count("string_data", p.string_data.len(), self.count)?;
                let text = |(i, bytes): (usize, &prost::bytes::Bytes)| {
                    String::from_utf8(bytes.to_vec())
                        .map_err(|_| OnnxError::invalid(format!("string {i} is not valid UTF-8")))
                };
                let strings = p.string_data.iter().enumerate().map(text).collect::<Result<_, _>>()?;
                Ok(Tensor::strings(self.dims, strings))
            }
        }
    }

    fn field<T: Copy, const N: usize>(
        &self,
        name: &str,
        items: &[T],
        per_element: usize,
        encode: impl Fn(T) -> [u8; N],
    ) -> Result<Tensor, OnnxError> {
        self.check_count(name, items.len(), self.count.saturating_mul(per_element))?;
        self.tensor(Blob::new(items.iter().flat_map(|&x| encode(x)).collect::<Vec<u8>>()))
    }

    fn check_count(&self, name: &str, found: usize, expected: usize) -> Result<(), OnnxError> {
        if found == expected {
            return Ok(());
        }
        let (dtype, dims) = (self.dtype, self.dims);
        Err(OnnxError::invalid(format!(
            "shape {dims:?} of {dtype} needs {expected} items in {name}, {found} are there"
        )))
    }

    fn tensor(&self, blob: Blob) -> Result<Tensor, OnnxError> {
        Tensor::from_blob(self.dtype, self.dims, blob).map_err(|e| OnnxError::invalid(e.to_string()))
    }
}
