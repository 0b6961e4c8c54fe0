//! The import half of the crate: what models become, and what is said of those that cannot be imported.

mod codes;
mod control;
mod damage;
mod errors;
mod host;
#[path = "../common/random.rs"]
mod random;
mod shapes;
mod variants;

use nim_ir::{Context, Diagnostic, DialectDef, Module, verifier::verify_module};
use nim_onnx::{
    ExternalData, ImportOptions, LoadedModel, import,
    proto::{
        AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto,
        TypeProto, ValueInfoProto,
        attribute_proto::AttributeType,
        tensor_shape_proto::{Dimension, dimension},
        type_proto,
    },
    tensor_proto,
};
use nim_tensor::Tensor;
use std::path::PathBuf;

/// Element types by their numbers in the format.
const F32: i32 = 1;
const I64: i32 = 7;
const BOOL: i32 = 9;

/// A dimension: a number, or a name.
fn dimension(text: &str) -> Dimension {
    let value = match text.parse() {
        Ok(n) => dimension::Value::DimValue(n),
        Err(_) => dimension::Value::DimParam(text.to_string()),
    };
    Dimension { value: Some(value), ..Default::default() }
}

/// A tensor's name, element type and dimensions, separated by commas; "" is rank 0.
fn info(name: &str, element: i32, dims: &str) -> ValueInfoProto {
    let dim = dims.split(',').filter(|d| !d.is_empty()).map(dimension).collect();
    let tensor = type_proto::Tensor { elem_type: element, shape: Some(TensorShapeProto { dim }) };
    let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() });
    ValueInfoProto { name: name.to_string(), r#type, ..Default::default() }
}

/// A name that nothing is said of.
fn named(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: name.to_string(), ..Default::default() }
}

/// `Op(a, b) -> c, d`; an empty input is absent. The node is named after its first output.
fn node(text: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    let (call, outputs) = text.split_once("->").unwrap();
    let (op, inputs) = call.trim().trim_end_matches(')').split_once('(').unwrap();
    let list = |s: &str| -> Vec<String> {
        if s.trim().is_empty() { vec![] } else { s.split(',').map(|n| n.trim().to_string()).collect() }
    };
    let output = list(outputs);
    NodeProto {
        name: output[0].clone(),
        op_type: op.to_string(),
        input: list(inputs),
        output,
        attribute: attributes,
        ..Default::default()
    }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..Default::default() }
}

fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Ints as i32, ints: ints.to_vec(), ..Default::default() }
}

fn subgraph(name: &str, g: GraphProto) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Graph as i32, g: Some(g), ..Default::default() }
}

fn weights(name: &str, dims: &[usize]) -> TensorProto {
    tensor_proto(&Tensor::new(dims, vec![0.5f32; dims.iter().product()]), name)
}

fn numbers(name: &str, values: &[i64]) -> TensorProto {
    tensor_proto(&Tensor::new(&[values.len()], values.to_vec()), name)
}

fn graph(
    input: Vec<ValueInfoProto>,
    initializer: Vec<TensorProto>,
    node: Vec<NodeProto>,
    outputs: &[&str],
) -> GraphProto {
    let output = outputs.iter().map(|o| named(o)).collect();
    GraphProto { name: "g".into(), input, initializer, node, output, ..Default::default() }
}

fn model(graph: GraphProto) -> LoadedModel {
    let opset_import = vec![OperatorSetIdProto { version: 21, ..Default::default() }];
    let proto = ModelProto { ir_version: 9, graph: Some(graph), opset_import, ..Default::default() };
    LoadedModel { proto, path: PathBuf::new(), files: ExternalData::new(".") }
}

fn context() -> Context {
    let dialects: Vec<&'static DialectDef> = nim_builtin::DIALECTS.iter().copied().chain([&nim_graph::GRAPH]).collect();
    Context::new(&dialects)
}

/// Imports and verifies.
fn imported(ctx: &Context, graph: GraphProto) -> Module {
    let module = match import(ctx, &model(graph), &ImportOptions::default()) {
        Ok(module) => module,
        Err(list) => panic!("refused: {list:?}"),
    };
    let found = verify_module(ctx, &module);
    assert!(found.is_empty(), "{found:?}");
    module
}

/// The module as text.
fn text(graph: GraphProto) -> String {
    let ctx = context();
    let module = imported(&ctx, graph);
    nim_text::print_module(&ctx, &module, &nim_text::PrintOptions::default())
}

/// The types of `@main`'s results.
fn result_types(graph: GraphProto) -> Vec<String> {
    let ctx = context();
    let module = imported(&ctx, graph);
    let body = module.body.walk().into_iter().find_map(|op| module.body.nested(op)).unwrap();
    let last = body.last_op(body.entry().unwrap()).unwrap();
    body.operands(last).iter().map(|&v| ctx.display_type(body.ty(v))).collect()
}

/// Why a model is refused.
fn refused(graph: GraphProto) -> Vec<Diagnostic> {
    match import(&context(), &model(graph), &ImportOptions::default()) {
        Ok(_) => panic!("imported"),
        Err(list) => list,
    }
}
