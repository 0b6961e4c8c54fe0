//! Host tensors and values to ONNX messages, for test data and for writing models.

use crate::{
    OnnxError,
    dtype::data_type_of,
    packed,
    proto::{MapProto, OptionalProto, SequenceProto, TensorProto, sequence_proto},
};
use nim_tensor::{DType, Tensor, Value, tensor::little_endian};
use prost::{Message, bytes::Bytes};

/// A tensor as a message, its elements in `raw_data` (strings in `string_data`). The bytes are shared, not copied,
/// unless elements are packed.
pub fn tensor_proto(tensor: &Tensor, name: &str) -> TensorProto {
    let dtype = tensor.dtype();
    let mut proto = TensorProto {
        name: name.to_string(),
        data_type: data_type_of(dtype) as i32,
        dims: tensor.dims().iter().map(|&d| d as i64).collect(),
        ..TensorProto::default()
    };
    if let Some(strings) = tensor.as_strings() {
        proto.string_data = strings.iter().map(|s| Bytes::copy_from_slice(s.as_bytes())).collect();
    } else if packed::elements_per_byte(dtype) > 1 {
        proto.raw_data = packed::pack(dtype, tensor.bytes()).into();
    } else if let Some(blob) = tensor.blob() {
        proto.raw_data = Bytes::from_owner(little_endian(blob.clone(), dtype));
    }
    proto
}

/// A value as the bytes of a test data file: a `TensorProto`, `SequenceProto`, `OptionalProto` or `MapProto`.
///
/// Fails on what these messages cannot say: a sequence of unlike values, and a map whose keys are not integers or
/// strings or whose values are not a sequence of as many.
pub fn encode_value(value: &Value, name: &str) -> Result<Vec<u8>, OnnxError> {
    Ok(match value {
        Value::Tensor(tensor) => tensor_proto(tensor, name).encode_to_vec(),
        Value::Sequence(values) => sequence(values, name)?.encode_to_vec(),
        Value::Optional(inner) => optional(inner.as_deref(), name)?.encode_to_vec(),
        Value::Map(keys, values) => map(keys, values, name)?.encode_to_vec(),
        Value::Adt(_) | Value::Function(_) => return Err(no_form()),
    })
}

fn no_form() -> OnnxError {
    OnnxError::invalid("values of algebraic data types and functions have no ONNX form")
}

fn kind_of(value: &Value) -> sequence_proto::DataType {
    match value {
        Value::Tensor(_) => sequence_proto::DataType::Tensor,
        Value::Sequence(_) => sequence_proto::DataType::Sequence,
        Value::Optional(_) => sequence_proto::DataType::Optional,
        Value::Map(..) => sequence_proto::DataType::Map,
        // Refused by whoever encodes it.
        Value::Adt(_) | Value::Function(_) => sequence_proto::DataType::Undefined,
    }
}

fn sequence(values: &[Value], name: &str) -> Result<SequenceProto, OnnxError> {
    // An empty sequence does not know what it would hold; tensors are the usual thing.
    let kind = values.first().map_or(sequence_proto::DataType::Tensor, kind_of);
    let mut proto = SequenceProto { name: name.to_string(), elem_type: kind as i32, ..SequenceProto::default() };
    for value in values {
        if kind_of(value) != kind {
            return Err(OnnxError::invalid("a sequence of unlike values has no ONNX form"));
        }
        match value {
            Value::Tensor(tensor) => proto.tensor_values.push(tensor_proto(tensor, "")),
            Value::Sequence(values) => proto.sequence_values.push(sequence(values, "")?),
            Value::Optional(inner) => proto.optional_values.push(optional(inner.as_deref(), "")?),
            Value::Map(keys, values) => proto.map_values.push(map(keys, values, "")?),
            Value::Adt(_) | Value::Function(_) => return Err(no_form()),
        }
    }
    Ok(proto)
}

fn optional(inner: Option<&Value>, name: &str) -> Result<OptionalProto, OnnxError> {
    let mut proto = OptionalProto { name: name.to_string(), ..OptionalProto::default() };
    // The numbers of OptionalProto.DataType and SequenceProto.DataType are the same.
    proto.elem_type = inner.map_or(0, |value| kind_of(value) as i32);
    match inner {
        None => {}
        Some(Value::Tensor(tensor)) => proto.tensor_value = Some(tensor_proto(tensor, "")),
        Some(Value::Sequence(values)) => proto.sequence_value = Some(sequence(values, "")?),
        Some(Value::Optional(inner)) => proto.optional_value = Some(Box::new(optional(inner.as_deref(), "")?)),
        Some(Value::Map(keys, values)) => proto.map_value = Some(map(keys, values, "")?),
        Some(Value::Adt(_) | Value::Function(_)) => return Err(no_form()),
    }
    Ok(proto)
}

fn map(keys: &Tensor, values: &Value, name: &str) -> Result<MapProto, OnnxError> {
    let Value::Sequence(values) = values else {
        return Err(OnnxError::invalid("the values of a map are not a sequence"));
    };
    if keys.rank() != 1 || keys.len() != values.len() {
        let (dims, count) = (keys.dims(), values.len());
        return Err(OnnxError::invalid(format!("a map has keys of shape {dims:?} and {count} values")));
    }
    let mut proto = MapProto {
        name: name.to_string(),
        key_type: data_type_of(keys.dtype()) as i32,
        values: Some(sequence(values, "")?),
        ..MapProto::default()
    };
    match (keys.as_strings(), keys.to_i64s()) {
        (Some(strings), _) => {
            proto.string_keys = strings.iter().map(|s| Bytes::copy_from_slice(s.as_bytes())).collect();
        }
        (None, Some(numbers)) if keys.dtype() != DType::Bool => proto.keys = numbers,
        _ => return Err(OnnxError::invalid(format!("a map has keys of type {}", keys.dtype()))),
    }
    Ok(proto)
}
