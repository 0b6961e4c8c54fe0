//! Test data files to values.
//!
//! A file holds one `TensorProto`, `SequenceProto`, `OptionalProto`, `MapProto` or `SparseTensorProto` and does not say
//! which: the type that the model gives the input or output does. Without a type the kind is guessed: the first of
//! tensor, sequence, optional, map and sparse tensor whose rules the bytes keep. An optional cannot be told from a
//! sequence of at most one value, which has the same bytes, so the guess is a sequence.

use crate::{
    OnnxError,
    dtype::dtype_of,
    error::Place,
    proto::{
        MapProto, OptionalProto, SequenceProto, SparseTensorProto, TensorProto, TypeProto,
        sequence_proto::DataType as Kind, type_proto,
    },
    sparse, tensor,
};
use nim_tensor::{Blob, DType, Tensor, Value};
use prost::{Message, bytes::Bytes};

/// Reads a value; elements are shared with `bytes` where they are stored raw.
pub fn decode_value(bytes: &Blob, ty: Option<&TypeProto>) -> Result<Value, OnnxError> {
    decode_named(bytes, ty).map(|(_, value)| value)
}

/// As [`decode_value`], together with the name that the message carries, which may be empty.
pub fn decode_named(bytes: &Blob, ty: Option<&TypeProto>) -> Result<(String, Value), OnnxError> {
    let bytes = Bytes::from_owner(bytes.clone());
    match ty.and_then(|ty| ty.value.as_ref()) {
        Some(type_proto::Value::TensorType(_)) => decode_tensor(&bytes),
        Some(type_proto::Value::SparseTensorType(_)) => decode_sparse(&bytes),
        Some(type_proto::Value::SequenceType(_)) => decode_sequence(&bytes),
        Some(type_proto::Value::OptionalType(inner)) => decode_declared_optional(&bytes, inner),
        Some(type_proto::Value::MapType(_)) => decode_map(&bytes),
        Some(type_proto::Value::OpaqueType(opaque)) => {
            Err(OnnxError::unsupported(format!("values of opaque type {:?} cannot be read", opaque.name)))
        }
        None => decode_tensor(&bytes)
            .or_else(|error| decode_sequence(&bytes).map_err(|_| error))
            .or_else(|error| decode_optional(&bytes).map_err(|_| error))
            .or_else(|error| decode_map(&bytes).map_err(|_| error))
            .or_else(|error| decode_sparse(&bytes).map_err(|_| error)),
    }
}

/// A tensor may stand in a file of its own where an optional tensor is declared. Read as an `OptionalProto` it seems to
/// be an empty one, as its element type lies where the kind of an optional does; an empty optional is no tensor.
fn decode_declared_optional(bytes: &Bytes, ty: &type_proto::Optional) -> Result<(String, Value), OnnxError> {
    let inner = ty.elem_type.as_ref().and_then(|ty| ty.value.as_ref());
    let decoded = decode_optional(bytes);
    if matches!(inner, Some(type_proto::Value::TensorType(_)))
        && !matches!(decoded, Ok((_, Value::Optional(Some(_)))))
        && let Ok((name, value)) = decode_tensor(bytes)
    {
        return Ok((name, Value::Optional(Some(Box::new(value)))));
    }
    decoded
}

/// Decodes one message, saying which one in the error.
pub(crate) fn message<M: Message + Default>(name: &'static str, bytes: Bytes) -> Result<M, OnnxError> {
    M::decode(bytes).map_err(|source| OnnxError::Protobuf { message: name, source })
}

fn decode_tensor(bytes: &Bytes) -> Result<(String, Value), OnnxError> {
    let proto: TensorProto = message("TensorProto", bytes.clone())?;
    let value = tensor::tensor_of(&proto)?;
    Ok((proto.name, Value::Tensor(value)))
}

fn decode_sparse(bytes: &Bytes) -> Result<(String, Value), OnnxError> {
    let proto: SparseTensorProto = message("SparseTensorProto", bytes.clone())?;
    Ok((sparse::name_of(&proto).to_string(), Value::Tensor(sparse::dense_of(&proto)?)))
}

fn decode_sequence(bytes: &Bytes) -> Result<(String, Value), OnnxError> {
    let proto: SequenceProto = message("SequenceProto", bytes.clone())?;
    let value = sequence(&proto)?;
    Ok((proto.name, value))
}

fn decode_optional(bytes: &Bytes) -> Result<(String, Value), OnnxError> {
    let proto: OptionalProto = message("OptionalProto", bytes.clone())?;
    let value = optional(&proto)?;
    Ok((proto.name, value))
}

fn decode_map(bytes: &Bytes) -> Result<(String, Value), OnnxError> {
    let proto: MapProto = message("MapProto", bytes.clone())?;
    let value = map(&proto)?;
    Ok((proto.name, value))
}

fn sequence(proto: &SequenceProto) -> Result<Value, OnnxError> {
    let kind = Kind::try_from(proto.elem_type)
        .map_err(|_| OnnxError::invalid(format!("a sequence of unknown kind {}", proto.elem_type)))?;
    let lists = [
        (Kind::Tensor, proto.tensor_values.len()),
        (Kind::SparseTensor, proto.sparse_tensor_values.len()),
        (Kind::Sequence, proto.sequence_values.len()),
        (Kind::Map, proto.map_values.len()),
        (Kind::Optional, proto.optional_values.len()),
    ];
    if let Some((other, _)) = lists.iter().find(|(list, len)| *list != kind && *len > 0) {
        let (kind, other) = (kind.as_str_name(), other.as_str_name());
        return Err(OnnxError::invalid(format!("a sequence of kind {kind} holds values of kind {other}")));
    }
    let values = match kind {
        Kind::Undefined => Ok(Vec::new()),
        Kind::Tensor => elements(&proto.tensor_values, |t| tensor::tensor_of(t).map(Value::Tensor)),
        Kind::SparseTensor => elements(&proto.sparse_tensor_values, |t| sparse::dense_of(t).map(Value::Tensor)),
        Kind::Sequence => elements(&proto.sequence_values, sequence),
        Kind::Map => elements(&proto.map_values, map),
        Kind::Optional => elements(&proto.optional_values, optional),
    };
    Ok(Value::Sequence(values?))
}

/// Reads the elements of a list; an error names the element.
fn elements<P>(protos: &[P], read: impl Fn(&P) -> Result<Value, OnnxError>) -> Result<Vec<Value>, OnnxError> {
    let element = |(i, p): (usize, &P)| read(p).map_err(|e| e.within(Place::Part(format!("element {i}"))));
    protos.iter().enumerate().map(element).collect()
}

fn optional(proto: &OptionalProto) -> Result<Value, OnnxError> {
    // The numbers of OptionalProto.DataType and SequenceProto.DataType are the same.
    let kind = Kind::try_from(proto.elem_type)
        .map_err(|_| OnnxError::invalid(format!("an optional of unknown kind {}", proto.elem_type)))?;
    let fields = [
        (Kind::Tensor, proto.tensor_value.is_some()),
        (Kind::SparseTensor, proto.sparse_tensor_value.is_some()),
        (Kind::Sequence, proto.sequence_value.is_some()),
        (Kind::Map, proto.map_value.is_some()),
        (Kind::Optional, proto.optional_value.is_some()),
    ];
    if let Some((other, _)) = fields.iter().find(|(field, there)| *field != kind && *there) {
        let (kind, other) = (kind.as_str_name(), other.as_str_name());
        return Err(OnnxError::invalid(format!("an optional of kind {kind} holds a value of kind {other}")));
    }
    // A kind without a value says what an empty optional would hold.
    let inner = match kind {
        Kind::Undefined => None,
        Kind::Tensor => proto.tensor_value.as_ref().map(|t| tensor::tensor_of(t).map(Value::Tensor)),
        Kind::SparseTensor => proto.sparse_tensor_value.as_ref().map(|t| sparse::dense_of(t).map(Value::Tensor)),
        Kind::Sequence => proto.sequence_value.as_ref().map(sequence),
        Kind::Map => proto.map_value.as_ref().map(map),
        Kind::Optional => proto.optional_value.as_deref().map(optional),
    };
    Ok(Value::Optional(inner.transpose()?.map(Box::new)))
}

fn map(proto: &MapProto) -> Result<Value, OnnxError> {
    let dtype = dtype_of(proto.key_type).map_err(|e| e.within(Place::Part("keys".to_string())))?;
    let keys = match dtype {
        DType::String if proto.keys.is_empty() => {
            let text = |(i, bytes): (usize, &Bytes)| {
                String::from_utf8(bytes.to_vec()).map_err(|_| OnnxError::invalid(format!("key {i} is not valid UTF-8")))
            };
            let strings: Vec<String> = proto.string_keys.iter().enumerate().map(text).collect::<Result<_, _>>()?;
            Tensor::strings(&[strings.len()], strings)
        }
        _ if dtype.is_integer() && dtype.bits() >= 8 && proto.string_keys.is_empty() => {
            let keys = Tensor::from_i64s(dtype, &[proto.keys.len()], &proto.keys);
            keys.map_err(|e| OnnxError::invalid(e.to_string()))?
        }
        _ => return Err(OnnxError::invalid(format!("a map has keys that do not fit its key type {dtype}"))),
    };
    let values = proto.values.as_ref().map_or(Ok(Value::Sequence(Vec::new())), sequence);
    let values = values.map_err(|e| e.within(Place::Part("values".to_string())))?;
    let count = if let Value::Sequence(values) = &values { values.len() } else { 0 };
    if count != keys.len() {
        return Err(OnnxError::invalid(format!("a map has {} keys and {count} values", keys.len())));
    }
    Ok(Value::Map(keys, Box::new(values)))
}
