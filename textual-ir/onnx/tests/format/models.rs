//! Model files and the test data next to them.

use crate::Folder;
use nim_onnx::{
    dataset::{list_data_sets, read_data_set},
    encode_value, load_model, load_model_bytes,
    proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto, type_proto},
    tensor_proto,
};
use nim_tensor::{Blob, Tensor, Value};
use prost::Message;

fn input(name: &str) -> ValueInfoProto {
    let tensor = type_proto::Tensor { elem_type: 1, shape: None };
    let ty = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(ty), ..Default::default() }
}

/// `y = a + b` with a default for `b`, as old models have it: constants are inputs too.
pub(crate) fn small_model() -> ModelProto {
    let add = NodeProto {
        op_type: "Add".into(),
        name: "sum".into(),
        input: vec!["a".into(), "b".into()],
        output: vec!["y".into()],
        attribute: vec![AttributeProto { name: "extra".into(), ints: vec![1, -2, 300], ..Default::default() }],
        ..Default::default()
    };
    let graph = GraphProto {
        name: "g".into(),
        node: vec![add],
        initializer: vec![tensor_proto(&Tensor::new(&[2], vec![1.0f32, 2.0]), "b")],
        input: vec![input("b"), input("a"), input("c")],
        output: vec![input("y")],
        ..Default::default()
    };
    ModelProto { ir_version: 3, graph: Some(graph), ..Default::default() }
}

#[test]
fn weights_are_windows_into_the_file() {
    let blob = Blob::new(small_model().encode_to_vec());
    let model = load_model_bytes(&blob, ".").unwrap();
    let weight = model.tensor(&model.proto.graph.as_ref().unwrap().initializer[0]).unwrap();
    assert_eq!(*weight.elements::<f32>(), [1.0, 2.0]);
    let (inside, all) = (weight.bytes().as_ptr_range(), blob.as_ptr_range());
    assert!(all.start <= inside.start && inside.end <= all.end, "the weight was copied");
}

#[test]
fn files_that_are_no_models() {
    let folder = Folder::new("models-bad");
    let error = |bytes: &[u8]| {
        let path = folder.write("model.onnx", bytes);
        let error = load_model(&path).unwrap_err().to_string();
        error.strip_prefix(&format!("{}: ", path.display())).expect("the error names the file").to_string()
    };
    assert_eq!(error(b""), "not an ONNX model: there is no graph in it");
    assert!(error(b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull"));
    assert!(error(b"hello, this is text").starts_with("not a valid ModelProto, the data is truncated or damaged"));
    let good = small_model().encode_to_vec();
    let cut = error(&good[..good.len() - 3]);
    assert!(cut.contains("truncated") && cut.contains("graph"), "{cut}");
    let missing = load_model(folder.0.join("none.onnx")).unwrap_err().to_string();
    assert!(missing.contains("none.onnx"), "{missing}");
    assert!(load_model(&folder.0).is_err());
}

/// Protobuf length-delimited field.
fn field(number: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encode_length_delimiter(body.len(), &mut out).unwrap();
    out.extend_from_slice(body);
    out
}

#[test]
fn deep_nesting_is_an_error_and_not_a_stack_overflow() {
    // A graph in an attribute of a node of a graph, ten thousand times.
    let mut graph = Vec::new();
    for _ in 0..10_000 {
        graph = field(1, &field(5, &field(6, &graph)));
    }
    let error = load_model_bytes(&Blob::new(field(7, &graph)), ".").unwrap_err().to_string();
    assert!(error.contains("recursion limit"), "{error}");
}

#[test]
fn data_sets_in_numerical_order() {
    let folder = Folder::new("models-data");
    let path = folder.write("model.onnx", &small_model().encode_to_vec());
    let value = |x: f32| Value::Tensor(Tensor::scalar(x));
    let file = |set: usize, name: &str, x: f32, carried: &str| {
        folder.write(&format!("test_data_set_{set}/{name}.pb"), &encode_value(&value(x), carried).unwrap());
    };
    // By position: `b` has a default, so the free inputs are `a` and `c`.
    file(10, "input_0", 1.0, "");
    file(10, "input_1", 2.0, "unknown");
    file(10, "output_0", 3.0, "");
    // By name, out of order; file 10 comes after file 2.
    file(2, "input_10", 10.0, "a");
    file(2, "input_2", 2.0, "b");
    file(2, "output_0", 3.0, "y");
    folder.write("test_data_set_x/input_0.pb", b"");
    let model = load_model(&path).unwrap();
    let sets = list_data_sets(&folder.0).unwrap();
    assert!(sets[0].ends_with("test_data_set_2") && sets[1].ends_with("test_data_set_10") && sets.len() == 2);

    let named = |set: &std::path::Path| {
        let set = read_data_set(set, &model).unwrap();
        let flat = set.inputs.into_iter().chain(set.outputs);
        flat.map(|v| (v.name, v.value.as_tensor().unwrap().to_f64s().unwrap()[0])).collect::<Vec<_>>()
    };
    assert_eq!(named(&sets[0]), [("b".into(), 2.0), ("a".into(), 10.0), ("y".into(), 3.0)]);
    assert_eq!(named(&sets[1]), [("a".into(), 1.0), ("c".into(), 2.0), ("y".into(), 3.0)]);

    file(12, "output_0", 1.0, "");
    file(12, "output_1", 1.0, "");
    let error = read_data_set(&folder.0.join("test_data_set_12"), &model).unwrap_err().to_string();
    file(11, "input_2", 1.0, "");
    let beyond = read_data_set(&folder.0.join("test_data_set_11"), &model).unwrap_err().to_string();
    assert!(beyond.contains("input_2.pb") && beyond.contains("no input for this file"), "{beyond}");
    assert!(error.contains("output_1.pb") && error.contains("no output for this file"), "{error}");
}
