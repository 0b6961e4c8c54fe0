//! Text, and sequences and optional values of run time.

use crate::{F32, I64, graph, info, int, ints, named, node, numbers, refused, result_types, text};
use nim_onnx::proto::{AttributeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType, type_proto};

const STRING: i32 = 8;

/// An input that is a list of tensors.
fn sequence(name: &str, element: i32, dims: &str) -> ValueInfoProto {
    let elem_type = info("", element, dims).r#type.map(Box::new);
    let value = type_proto::Value::SequenceType(Box::new(type_proto::Sequence { elem_type }));
    let r#type = Some(TypeProto { value: Some(value), ..Default::default() });
    ValueInfoProto { name: name.to_string(), r#type, ..Default::default() }
}

fn string(name: &str, s: &str) -> AttributeProto {
    let (name, r#type) = (name.into(), AttributeType::String as i32);
    AttributeProto { name, r#type, s: s.as_bytes().to_vec().into(), ..Default::default() }
}

#[test]
fn known_sequences_leave_nothing_behind() {
    let nodes = vec![
        node("SequenceConstruct(x, y) -> s", vec![]),
        node("SequenceInsert(s, x) -> t", vec![]),
        node("SequenceAt(t, last) -> z", vec![]),
    ];
    let inputs = vec![info("x", F32, "N"), info("y", F32, "2")];
    let last = nim_onnx::tensor_proto(&nim_tensor::Tensor::scalar(-1i64), "last");
    let text = text(graph(inputs, vec![last], nodes, &["z"]));
    assert!(!text.contains("graph.runtime") && text.contains("return %x"), "{text}");
}

#[test]
fn a_position_of_run_time_makes_a_call() {
    let nodes = vec![node("SequenceConstruct(x, y) -> s", vec![]), node("SequenceAt(s, at) -> z", vec![])];
    let inputs = vec![info("x", F32, "N,3"), info("y", F32, "2,3"), info("at", I64, "")];
    let graph = graph(inputs, vec![], nodes, &["z"]);
    let text = text(graph.clone());
    assert!(text.contains("sequence.construct") && text.contains("sequence.at"), "{text}");
    // Both have rank 2; the sizes come at run time.
    assert_eq!(result_types(graph)[0].matches("size_").count(), 2);
}

#[test]
fn inputs_and_outputs_may_be_sequences() {
    let nodes = vec![node("SequenceInsert(s, x) -> t", vec![]), node("SequenceAt(t, at) -> y", vec![])];
    let inputs = vec![sequence("s", F32, "4"), info("x", F32, "N"), info("at", I64, "")];
    let types = result_types(graph(inputs, vec![], nodes, &["t", "y"]));
    assert_eq!(types[0], "!graph.sequence<tensor<*xf32>>");
    assert!(types[1].starts_with("tensor<[size_"), "{types:?}");
}

#[test]
fn a_tensor_of_unknown_rank_is_refused_with_the_reason() {
    let mut s = sequence("s", F32, "");
    if let Some(type_proto::Value::SequenceType(list)) = s.r#type.as_mut().and_then(|t| t.value.as_mut())
        && let Some(type_proto::Value::TensorType(t)) = list.elem_type.as_mut().and_then(|t| t.value.as_mut())
    {
        t.shape = None;
    }
    let nodes = vec![node("SequenceAt(s, at) -> y", vec![])];
    let found = refused(graph(vec![s, info("at", I64, "")], vec![], nodes, &["y"]));
    assert_eq!(found[0].code, "N0642");
    assert!(found[0].notes.iter().any(|n| n.contains("should have a shape")), "{found:?}");
}

#[test]
fn a_map_over_a_sequence_of_run_time_is_a_loop() {
    let mut out = named("b");
    out.r#type = info("", F32, "M").r#type;
    let body = nim_onnx::proto::GraphProto {
        input: vec![info("a", F32, "M")],
        node: vec![node("Neg(a) -> b", vec![])],
        output: vec![out],
        ..Default::default()
    };
    let nodes = vec![node("SequenceMap(s) -> t", vec![crate::subgraph("body", body)])];
    let text = text(graph(vec![sequence("s", F32, "M")], vec![], nodes, &["t"]));
    assert!(text.contains("graph.loop") && text.contains("sequence.insert"), "{text}");
}

#[test]
fn text_goes_to_the_library() {
    let nodes = vec![
        node("StringSplit(x) -> pieces, counts", vec![string("delimiter", ",")]),
        node("RegexFullMatch(x) -> hit", vec![string("pattern", "a+")]),
    ];
    let types = result_types(graph(vec![info("x", STRING, "N")], vec![], nodes, &["pieces", "counts", "hit"]));
    assert!(types[0].starts_with("tensor<[N]x[pieces_"), "{types:?}");
    assert_eq!(types[1..], ["tensor<[N]xi64>", "tensor<[N]xi1>"]);
    let found = refused(graph(
        vec![info("x", F32, "N"), info("y", STRING, "N")],
        vec![],
        vec![node("StringConcat(x, y) -> z", vec![])],
        &["z"],
    ));
    assert_eq!(found[0].code, "N0614");
}

#[test]
fn scales_of_run_time_are_not_guessed_from_sizes() {
    let nodes = vec![node("Resize(x, , scales) -> y", vec![string("mode", "linear")])];
    let graph = graph(vec![info("x", F32, "1,4"), info("scales", F32, "2")], vec![], nodes, &["y"]);
    let text = text(graph);
    assert!(!text.contains("graph.resize") && text.contains("graph.gather"), "{text}");
}

#[test]
fn blocks_of_run_time_are_scattered() {
    let nodes = vec![node("Col2Im(x, image, block) -> y", vec![ints("strides", &[1, 1])])];
    let inputs = vec![info("x", F32, "1,8,6"), info("block", I64, "2")];
    let graph = graph(inputs, vec![numbers("image", &[3, 4])], nodes, &["y"]);
    let (types, text) = (result_types(graph.clone()), text(graph));
    assert!(types[0].ends_with("x3x4xf32>") && text.contains("graph.scatter_nd"), "{types:?} {text}");
}

#[test]
fn trees_that_form_a_circle_are_refused() {
    let list = |name: &str, strings: &[&str]| AttributeProto {
        name: name.into(),
        r#type: AttributeType::Strings as i32,
        strings: strings.iter().map(|s| s.as_bytes().to_vec().into()).collect(),
        ..Default::default()
    };
    let floats = |name: &str, floats: &[f32]| AttributeProto {
        name: name.into(),
        r#type: AttributeType::Floats as i32,
        floats: floats.to_vec(),
        ..Default::default()
    };
    let model = |back: i64| {
        let mut tree = node(
            "TreeEnsembleRegressor(x) -> y",
            vec![
                ints("nodes_treeids", &[0, 0, 0, 0]),
                ints("nodes_nodeids", &[0, 1, 2, 3]),
                ints("nodes_featureids", &[0, 1, 0, 0]),
                ints("nodes_truenodeids", &[1, back, 0, 0]),
                ints("nodes_falsenodeids", &[2, 3, 0, 0]),
                list("nodes_modes", &["BRANCH_LEQ", "BRANCH_LT", "LEAF", "LEAF"]),
                floats("nodes_values", &[0.5, 0.25, 0.0, 0.0]),
                ints("target_treeids", &[0, 0]),
                ints("target_nodeids", &[2, 3]),
                ints("target_ids", &[0, 0]),
                floats("target_weights", &[1.0, 2.0]),
                int("n_targets", 1),
            ],
        );
        tree.domain = "ai.onnx.ml".into();
        graph(vec![info("x", F32, "N,2")], vec![], vec![tree], &["y"])
    };
    assert_eq!(result_types(model(3)), ["tensor<[N]x1xf32>"]);
    let found = refused(model(1));
    assert!(found[0].message.contains("circle"), "{found:?}");
}
