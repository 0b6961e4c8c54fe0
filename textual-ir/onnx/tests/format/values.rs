//! Test data: tensors, sequences, optionals, maps.

use nim_onnx::{
    decode_named, decode_value, encode_value,
    proto::{OptionalProto, SequenceProto, TypeProto, type_proto},
};
use nim_tensor::{Blob, DType, Tensor, Value};
use prost::Message;

fn ty(value: type_proto::Value) -> TypeProto {
    TypeProto { value: Some(value), ..Default::default() }
}
fn tensor_type() -> TypeProto {
    ty(type_proto::Value::TensorType(type_proto::Tensor { elem_type: 1, shape: None }))
}
fn sequence_type(of: TypeProto) -> TypeProto {
    ty(type_proto::Value::SequenceType(Box::new(type_proto::Sequence { elem_type: Some(Box::new(of)) })))
}
fn optional_type(of: TypeProto) -> TypeProto {
    ty(type_proto::Value::OptionalType(Box::new(type_proto::Optional { elem_type: Some(Box::new(of)) })))
}
fn map_type(of: TypeProto) -> TypeProto {
    ty(type_proto::Value::MapType(Box::new(type_proto::Map { key_type: 7, value_type: Some(Box::new(of)) })))
}

fn tensor(x: f32) -> Value {
    Tensor::new(&[2], vec![x, x + 1.0]).into()
}
fn some(value: Value) -> Value {
    Value::Optional(Some(Box::new(value)))
}
fn encode(value: &Value) -> Blob {
    Blob::new(encode_value(value, "name").unwrap())
}

/// What the bytes of an optional look like, all the way down.
fn as_sequence(inner: Value) -> Value {
    match inner {
        Value::Optional(Some(inner)) => Value::Sequence(vec![some(*inner)]),
        other => Value::Sequence(vec![other]),
    }
}

#[test]
fn every_kind_survives_a_round_trip_with_and_without_its_type() {
    let list = Value::Sequence(vec![tensor(1.0), tensor(2.0)]);
    let map = |keys| Value::Map(keys, Box::new(list.clone()));
    let words = map(Tensor::strings(&[2], vec!["a".into(), "b".into()]));
    let numbers = map(Tensor::from_i64s(DType::I16, &[2], &[-5, 7]).unwrap());
    let cases = [
        (tensor(0.0), tensor_type()),
        (list.clone(), sequence_type(tensor_type())),
        (Value::Sequence(vec![list.clone(), list.clone()]), sequence_type(sequence_type(tensor_type()))),
        (some(tensor(1.0)), optional_type(tensor_type())),
        (some(list.clone()), optional_type(sequence_type(tensor_type()))),
        (some(some(tensor(3.0))), optional_type(optional_type(tensor_type()))),
        (some(words.clone()), optional_type(map_type(tensor_type()))),
        (Value::Sequence(vec![some(tensor(1.0)), Value::Optional(None)]), sequence_type(optional_type(tensor_type()))),
        (Value::Sequence(vec![words.clone(), words.clone()]), sequence_type(map_type(tensor_type()))),
        (words, map_type(tensor_type())),
        (numbers, map_type(tensor_type())),
    ];
    for (value, ty) in cases {
        let bytes = encode(&value);
        assert_eq!(decode_value(&bytes, Some(&ty)).unwrap(), value);
        // An optional has the bytes of a sequence of one value.
        let guess = if let Value::Optional(Some(inner)) = value { as_sequence(*inner) } else { value };
        assert_eq!(decode_named(&bytes, None).unwrap(), ("name".to_string(), guess));
    }
}

#[test]
fn the_type_decides_where_bytes_could_be_several_things() {
    let nothing = Value::Optional(None);
    assert_eq!(decode_value(&encode(&nothing), Some(&optional_type(tensor_type()))).unwrap(), nothing);
    let none = Value::Sequence(vec![]);
    assert_eq!(decode_value(&encode(&none), Some(&sequence_type(tensor_type()))).unwrap(), none);
    // An empty optional may say what it would hold.
    let typed = Blob::new(OptionalProto { elem_type: 1, ..Default::default() }.encode_to_vec());
    assert_eq!(decode_value(&typed, Some(&optional_type(tensor_type()))).unwrap(), nothing);
    // A value may stand where an optional is declared.
    assert_eq!(decode_value(&encode(&tensor(1.0)), Some(&optional_type(tensor_type()))).unwrap(), some(tensor(1.0)));
}

#[test]
fn values_share_the_bytes() {
    let bytes = encode(&Value::Sequence(vec![tensor(1.0)]));
    let Value::Sequence(values) = decode_value(&bytes, None).unwrap() else { panic!("a sequence") };
    let inside = values[0].as_tensor().unwrap().bytes().as_ptr_range();
    let all = bytes.as_ptr_range();
    assert!(all.start <= inside.start && inside.end <= all.end);
}

#[test]
fn what_the_messages_cannot_say_is_refused() {
    let keys = Tensor::new(&[1], vec![1i64]);
    let error = |value: Value| encode_value(&value, "").unwrap_err().to_string();
    assert!(error(Value::Sequence(vec![tensor(1.0), Value::Sequence(vec![])])).contains("unlike values"));
    assert!(error(Value::Map(keys.clone(), Box::new(tensor(1.0)))).contains("not a sequence"));
    assert!(error(Value::Map(keys, Box::new(Value::Sequence(vec![])))).contains("keys of shape [1] and 0 values"));
    let floats = Value::Map(Tensor::new(&[1], vec![1f32]), Box::new(Value::Sequence(vec![tensor(1.0)])));
    assert!(error(floats).contains("keys of type f32"));
}

#[test]
fn errors_say_where() {
    let bad = nim_onnx::proto::TensorProto { data_type: 1, dims: vec![3], ..Default::default() };
    let list = SequenceProto { elem_type: 1, ..Default::default() };
    let list = SequenceProto { tensor_values: vec![nim_onnx::tensor_proto(&Tensor::scalar(1f32), "a"), bad], ..list };
    let error = |proto: &SequenceProto| {
        let bytes = Blob::new(proto.encode_to_vec());
        decode_value(&bytes, Some(&sequence_type(tensor_type()))).unwrap_err().to_string()
    };
    assert_eq!(
        error(&list),
        "element 1: a tensor without a name: shape [3] of f32 needs 3 items in float_data, 0 are there"
    );
    let wrong = SequenceProto { elem_type: 3, ..list.clone() };
    assert_eq!(error(&wrong), "a sequence of kind SEQUENCE holds values of kind TENSOR");
    assert!(error(&SequenceProto { elem_type: 9, ..list }).contains("unknown kind 9"));
    let noise = Blob::new(vec![0xff; 40]);
    assert!(decode_value(&noise, None).unwrap_err().to_string().starts_with("not a valid TensorProto"));
}
