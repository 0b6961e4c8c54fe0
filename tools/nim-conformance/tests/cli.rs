//! The command line of `nim-conformance` on cases made here.

use nim_onnx::{
    encode_value,
    proto::{
        GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto,
        tensor_shape_proto::{Dimension, dimension},
        type_proto,
    },
};
use nim_tensor::{Tensor, Value};
use prost::Message;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn port(name: &str) -> ValueInfoProto {
    let dim = Dimension { value: Some(dimension::Value::DimValue(2)), ..Dimension::default() };
    let tensor = type_proto::Tensor { elem_type: 1, shape: Some(TensorShapeProto { dim: vec![dim] }) };
    let ty = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(ty), ..ValueInfoProto::default() }
}

/// A case of one operator with one input.
fn case(folder: &Path, name: &str, op: &str, expected: [f32; 2]) {
    let node =
        NodeProto { op_type: op.into(), input: vec!["x".into()], output: vec!["y".into()], ..NodeProto::default() };
    let graph =
        GraphProto { node: vec![node], input: vec![port("x")], output: vec![port("y")], ..GraphProto::default() };
    let opset = OperatorSetIdProto { domain: String::new(), version: 18 };
    let model = ModelProto { ir_version: 8, graph: Some(graph), opset_import: vec![opset], ..ModelProto::default() };
    let set = folder.join(name).join("test_data_set_0");
    fs::create_dir_all(&set).unwrap();
    fs::write(folder.join(name).join("model.onnx"), model.encode_to_vec()).unwrap();
    for (file, values) in [("input_0.pb", [-1.0, 2.0]), ("output_0.pb", expected)] {
        let value = Value::Tensor(Tensor::new(&[2], values.to_vec()));
        fs::write(set.join(file), encode_value(&value, "").unwrap()).unwrap();
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    case(&folder, "test_abs", "Abs", [1.0, 2.0]);
    case(&folder, "test_neg", "Neg", [1.0, 2.0]);
    case(&folder, "test_nothing", "NoSuchOperator", [1.0, 2.0]);
    folder
}

fn conformance(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nim-conformance"));
    command.arg(folder).args(args).env("NO_COLOR", "1").output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn failures_are_named_with_their_reasons() {
    let out = conformance(&folder("reasons"), &["--mode=static,dynamic,const", "--threads=2"]);
    let text = text(&out.stdout);
    for part in [
        "FAILED static interp reasons/test_neg  compare: output \"y\": 1 of 2 elements differ, the first at [1]: -2.0",
        "FAILED static interp reasons/test_nothing  import: the operator NoSuchOperator is not supported",
        "     1  compare: wrong numbers  [reasons/test_neg]",
        "Neg 0/1",
        "static interp: 1 passed, 2 failed\ndynamic interp: 1 passed, 2 failed\nconst interp: 1 passed, 2 failed\n",
    ] {
        assert!(text.contains(part), "{part}\n---\n{text}");
    }
    assert_eq!(out.status.code(), Some(1));
}

#[test]
fn filter_list_json_and_table() {
    let folder = folder("other");
    let out = conformance(&folder, &["--filter=abs", "--backend=interp,dataflow"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stdout));
    let out = conformance(&folder, &["--list"]);
    assert_eq!(text(&out.stdout).lines().next(), Some("other/test_abs  Abs"));
    let table = folder.join("table.md");
    let out = conformance(&folder, &["--json", "--write-table", table.to_str().unwrap()]);
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(json["runs"][0]["cases"][1]["stage"], "compare");
    let table = fs::read_to_string(table).unwrap();
    assert!(table.contains("| f32 | 1 / 1 |\n| Neg |  |  | 0 / 1 |"), "{table}");
    assert!(table.contains("## Cases that fail\n\n- `other/test_neg` (static interp): compare: output"), "{table}");
}
