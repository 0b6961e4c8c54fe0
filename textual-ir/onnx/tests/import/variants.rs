//! Variants of operators that are rarely met: what they mean stands in the cases of `gen_extra_tests.py`; here is that each is
//! imported with the right types.

use crate::{F32, I64, context, graph, info, model, node};
use nim_ir::{Context, Module};
use nim_onnx::{
    ImportOptions,
    import::{import, inventory},
    proto::{FunctionProto, GraphProto, ModelProto, OperatorSetIdProto, TypeProto, ValueInfoProto, type_proto},
};

const STRING: i32 = 8;

fn imported(proto: ModelProto, graph: GraphProto) -> (Context, Module) {
    let ctx = context();
    let mut loaded = model(graph);
    loaded.proto.functions = proto.functions;
    loaded.proto.opset_import.extend(proto.opset_import);
    let module = import(&ctx, &loaded, &ImportOptions::default()).unwrap_or_else(|d| panic!("{d:?}"));
    (ctx, module)
}

fn text(ctx: &Context, module: &Module) -> String {
    nim_text::print_module(ctx, module, &nim_text::PrintOptions::default())
}

fn map(name: &str, key: i32, value: i32) -> ValueInfoProto {
    let tensor = type_proto::Tensor { elem_type: value, shape: None };
    let value = TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    let map = type_proto::Map { key_type: key, value_type: Some(Box::new(value)) };
    let ty = TypeProto { value: Some(type_proto::Value::MapType(Box::new(map))), ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(ty), ..Default::default() }
}

#[test]
fn maps_are_values() {
    let mut cast = node("CastMap(m) -> y", vec![]);
    cast.domain = "ai.onnx.ml".into();
    let mut zip = node("ZipMap(x) -> z", vec![crate::ints("classlabels_int64s", &[3, 5])]);
    zip.domain = "ai.onnx.ml".into();
    let g = graph(vec![map("m", I64, F32), info("x", F32, "N,2")], vec![], vec![cast, zip], &["y", "z"]);
    let (ctx, module) = imported(ModelProto::default(), g);
    let text = text(&ctx, &module);
    assert!(text.contains("%m: !graph.map<i64, tensor<*xf32>>"), "{text}");
    assert!(text.contains("-> !graph.sequence<!graph.map<i64, tensor<*xf32>>>"), "{text}");
}

#[test]
fn what_is_no_map_is_refused() {
    let mut cast = node("CastMap(x) -> y", vec![]);
    cast.domain = "ai.onnx.ml".into();
    let bad = model(graph(vec![info("x", F32, "2")], vec![], vec![cast], &["y"]));
    let list = import(&context(), &bad, &ImportOptions::default()).err().unwrap();
    assert_eq!((list[0].code, list[0].message.contains("must be a map")), ("N0640", true), "{list:?}");
    let with_keys =
        |key| model(graph(vec![map("m", key, F32)], vec![], vec![node("Identity(m) -> y", vec![])], &["y"]));
    assert!(import(&context(), &with_keys(STRING), &ImportOptions::default()).is_ok());
    let list = import(&context(), &with_keys(F32), &ImportOptions::default()).err().unwrap();
    assert_eq!((list[0].code, list[0].message.contains("keys of a map")), ("N0603", true), "{list:?}");
}

#[test]
fn overloads_are_told_apart() {
    let function = |overload: &str, op: &str| FunctionProto {
        name: "F".into(),
        domain: "my".into(),
        overload: overload.into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![node(&format!("{op}(a) -> b"), vec![])],
        ..Default::default()
    };
    let call = |text: &str, overload: &str| {
        let mut call = node(text, vec![]);
        (call.domain, call.overload) = ("my".into(), overload.into());
        call
    };
    let nodes = vec![call("F(x) -> y", "one"), call("F(y) -> z", "two")];
    let own = OperatorSetIdProto { domain: "my".into(), version: 1 };
    let proto = ModelProto {
        functions: vec![function("one", "Neg"), function("two", "Abs")],
        opset_import: vec![own],
        ..Default::default()
    };
    let (ctx, module) = imported(proto, graph(vec![info("x", F32, "3")], vec![], nodes, &["z"]));
    let text = text(&ctx, &module);
    let (neg, abs) = (text.find("graph.neg"), text.find("graph.abs"));
    assert!(neg.is_some() && neg < abs, "{text}");
}

/// Each operator with a rule stands in a case that is run: ONNX's own, or one of ours.
#[test]
fn every_rule_has_a_case() {
    let Some(cases) = crate::damage::cases().filter(|c| c.join("extra").is_dir() && c.join("fuzz").is_dir()) else {
        println!("skipped: no cases in the model cache");
        return;
    };
    let mut found = std::collections::BTreeSet::new();
    for kind in ["node", "simple", "pytorch-converted", "pytorch-operator", "light", "extra", "fuzz"] {
        for case in std::fs::read_dir(cases.join(kind)).into_iter().flatten().flatten() {
            let Ok(one) = nim_onnx::load_model(case.path().join("model.onnx")) else { continue };
            found.extend(inventory::operators(&one).into_iter().map(|o| (o.domain, o.name)));
        }
    }
    let met = |op: &(&str, &str)| found.contains(&(op.0.to_string(), op.1.to_string()));
    let missing: Vec<_> = inventory::known().into_iter().filter(|op| !met(op)).collect();
    assert!(missing.is_empty(), "operators without a case: {missing:?}");
}
