//! `nim-toy-model FILE`: writes a small ONNX model, so that the tutorial needs no other program.

use nim_onnx::{proto, tensor_proto};
use nim_tensor::Tensor;
use prost::Message;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: nim-toy-model FILE");
        return ExitCode::from(2);
    };
    match std::fs::write(&path, model().encode_to_vec()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Four numbers to the probabilities of three classes: two layers, and a softmax.
fn model() -> proto::ModelProto {
    let node = |kind: &str, inputs: &[&str], output: &str| proto::NodeProto {
        op_type: kind.into(),
        name: output.into(),
        input: inputs.iter().map(|name| name.to_string()).collect(),
        output: vec![output.into()],
        ..Default::default()
    };
    let weights = |name: &str, dims: &[usize], values: &[f32]| tensor_proto(&Tensor::new(dims, values.to_vec()), name);
    let graph = proto::GraphProto {
        name: "classifier".into(),
        input: vec![value("x", 4)],
        output: vec![value("probabilities", 3)],
        initializer: vec![
            weights(
                "w1",
                &[4, 5],
                &[
                    0.5, -1.0, 0.25, 0.0, 1.0, //
                    0.0, 0.75, -0.5, 1.0, 0.5, //
                    -0.25, 0.5, 1.0, -1.0, 0.0, //
                    1.0, 0.0, 0.5, 0.25, -0.75,
                ],
            ),
            weights("b1", &[5], &[0.1, -0.2, 0.0, 0.3, -0.1]),
            weights(
                "w2",
                &[5, 3],
                &[
                    1.0, -0.5, 0.0, //
                    -1.0, 0.5, 0.25, //
                    0.5, 1.0, -1.0, //
                    0.0, -0.25, 1.0, //
                    0.75, 0.0, 0.5,
                ],
            ),
            weights("b2", &[3], &[0.0, 0.1, -0.1]),
        ],
        node: vec![
            node("Gemm", &["x", "w1", "b1"], "hidden"),
            node("Relu", &["hidden"], "active"),
            node("Gemm", &["active", "w2", "b2"], "scores"),
            node("Softmax", &["scores"], "probabilities"),
        ],
        ..Default::default()
    };
    let opset = proto::OperatorSetIdProto { version: 17, ..Default::default() };
    proto::ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..Default::default() }
}

/// An input or output of a named number of rows.
fn value(name: &str, columns: i64) -> proto::ValueInfoProto {
    use proto::tensor_shape_proto::{Dimension, dimension::Value};
    let dims = [Value::DimParam("batch".into()), Value::DimValue(columns)];
    let dim = dims.into_iter().map(|value| Dimension { value: Some(value), ..Default::default() }).collect();
    let tensor = proto::type_proto::Tensor {
        elem_type: proto::tensor_proto::DataType::Float as i32,
        shape: Some(proto::TensorShapeProto { dim }),
    };
    let ty = proto::TypeProto { value: Some(proto::type_proto::Value::TensorType(tensor)), ..Default::default() };
    proto::ValueInfoProto { name: name.into(), r#type: Some(ty), ..Default::default() }
}
