//! `nim-compile` and `nim-run` as a user meets them: models that are wrong, values that do not fit, disks that are full.
//! Whatever is wrong is said on standard error with exit code 1, and nothing half written is left.

mod cache;
mod files;
mod models;
mod sizes;
mod tune;

use nim_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};
use nim_onnx::tensor_proto;
use nim_tensor::Tensor;
use prost::Message;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const F32: i32 = 1;
const I64: i32 = 7;

/// A folder of one test's own.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nim-compile-cli").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// One of the project's programs, beside `nim-compile`.
fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_nim-compile")).with_file_name(name);
    assert!(path.is_file(), "{name} is not built; `cargo build --bins` builds it");
    path
}

fn command(name: &str, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program(name));
    command.current_dir(folder).args(args).env("NO_COLOR", "1").env("NIM_CACHE", "");
    command
}

fn tool(name: &str, folder: &Path, args: &[&str]) -> Output {
    command(name, folder, args).output().unwrap()
}

/// What a program says that has to fail: exit code 1, nothing on standard output, no panic.
#[track_caller]
fn refused(out: &Output) -> String {
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(out.stdout.is_empty(), "{}", String::from_utf8_lossy(&out.stdout));
    assert!(said.contains("error") && !said.contains("panicked") && said.ends_with('\n'), "{said}");
    said
}

/// What a program says that has to succeed.
#[track_caller]
fn accepted(out: &Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Dimensions separated by commas: numbers and names; "" is rank 0.
fn info(name: &str, element: i32, dims: &str) -> ValueInfoProto {
    let dimension = |text: &str| {
        let name = || dimension::Value::DimParam(text.to_string());
        Dimension {
            value: Some(text.parse().map_or_else(|_| name(), dimension::Value::DimValue)),
            ..Default::default()
        }
    };
    let dim = dims.split(',').filter(|d| !d.is_empty()).map(dimension).collect();
    let tensor = type_proto::Tensor { elem_type: element, shape: Some(TensorShapeProto { dim }) };
    let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() });
    ValueInfoProto { name: name.to_string(), r#type, ..Default::default() }
}

/// `name: Op(a, b) -> c`.
fn node(text: &str) -> NodeProto {
    let (name, rest) = text.split_once(": ").unwrap();
    let (call, outputs) = rest.split_once(" -> ").unwrap();
    let (op, inputs) = call.trim_end_matches(')').split_once('(').unwrap();
    let list = |s: &str| s.split(", ").filter(|n| !n.is_empty()).map(str::to_string).collect::<Vec<_>>();
    NodeProto {
        name: name.into(),
        op_type: op.into(),
        input: list(inputs),
        output: list(outputs),
        ..NodeProto::default()
    }
}

fn with_int(mut node: NodeProto, name: &str, value: i64) -> NodeProto {
    let attribute =
        AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..Default::default() };
    node.attribute.push(attribute);
    node
}

fn ones(name: &str, dims: &[usize]) -> TensorProto {
    tensor_proto(&Tensor::new(dims, vec![1f32; dims.iter().product()]), name)
}

/// A model of opset 17; outputs of rank 0 mean nothing and are left without a type.
fn model(
    inputs: Vec<ValueInfoProto>,
    initializer: Vec<TensorProto>,
    node: Vec<NodeProto>,
    outputs: &[&str],
) -> ModelProto {
    let output = outputs.iter().map(|n| ValueInfoProto { name: n.to_string(), ..Default::default() }).collect();
    let graph = GraphProto { name: "g".into(), input: inputs, initializer, node, output, ..Default::default() };
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        graph: Some(graph),
        ..Default::default()
    }
}

/// Writes a model into a folder, and compiles it if it is to.
fn write(folder: &Path, model: &ModelProto) {
    fs::write(folder.join("model.onnx"), model.encode_to_vec()).unwrap();
}

fn compile(folder: &Path) -> Output {
    tool("nim-compile", folder, &["model.onnx", "-o", "model.nimx"])
}

/// A tensor whose elements lie in another file.
fn external(name: &str, dims: &[i64], entries: &[(&str, &str)]) -> TensorProto {
    let entry = |&(k, v): &(&str, &str)| StringStringEntryProto { key: k.into(), value: v.into() };
    TensorProto {
        name: name.into(),
        data_type: F32,
        dims: dims.to_vec(),
        data_location: 1,
        external_data: entries.iter().map(entry).collect(),
        ..Default::default()
    }
}
