//! Bad models are refused with a code, the node's name, and the facts.

use crate::{F32, I64, context, graph, info, int, node, numbers, refused, subgraph, weights};
use nim_ir::Diagnostic;
use nim_onnx::proto::GraphProto;

/// The only error of a model, whose place is a node.
fn one(graph: GraphProto, code: &str, node: &str) -> Diagnostic {
    let ctx = context();
    let list = match nim_onnx::import(&ctx, &crate::model(graph), &nim_onnx::ImportOptions::default()) {
        Ok(_) => panic!("imported"),
        Err(list) => list,
    };
    let [error] = list.as_slice() else { panic!("{list:?}") };
    assert_eq!(error.code, code, "{error:?}");
    let place = error.labels.first().and_then(|l| ctx.loc_name(l.loc)).unwrap_or("");
    assert_eq!(place, node, "{error:?}");
    error.clone()
}

#[test]
fn shapes_that_do_not_fit_are_both_told() {
    let inputs = || vec![info("x", F32, "N,4"), info("w", F32, "5,3")];
    let error = one(graph(inputs(), vec![], vec![node("MatMul(x, w) -> y", vec![])], &["y"]), "N0401", "y");
    assert!(error.message.contains("tensor<[N]x4xf32>") && error.message.contains("tensor<5x3xf32>"), "{error:?}");
    let error = one(graph(inputs(), vec![], vec![node("Add(x, w) -> y", vec![])], &["y"]), "N0401", "y");
    assert!(error.message.contains("tensor<[N]x4xf32>") && error.message.contains("tensor<5x3xf32>"), "{error:?}");
}

#[test]
fn reshapes_tell_both_counts() {
    let nodes = vec![node("Reshape(x, s) -> y", vec![])];
    let error = one(graph(vec![info("x", F32, "2,3")], vec![numbers("s", &[4, 2])], nodes, &["y"]), "N0401", "y");
    assert!(error.message.contains("6 elements") && error.message.contains("8"), "{error:?}");
}

#[test]
fn all_unknown_operators_are_listed_at_once() {
    let nodes = vec![node("Foo(x) -> a", vec![]), node("Bar(a) -> b", vec![]), node("Foo(b) -> y", vec![])];
    let list = refused(graph(vec![info("x", F32, "N")], vec![], nodes, &["y"]));
    let messages: Vec<&str> = list.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(messages, ["the operator Bar is not supported", "the operator Foo is not supported"]);
    assert!(list[1].notes[0].contains("2 node(s)"), "{list:?}");
}

#[test]
fn missing_names_and_cycles() {
    let error = &refused(graph(vec![info("x", F32, "N")], vec![], vec![node("Relu(z) -> y", vec![])], &["y"]))[0];
    assert!(error.code == "N0605" && error.message.contains("\"z\""), "{error:?}");
    let nodes = vec![node("Add(x, b) -> a", vec![]), node("Relu(a) -> b", vec![])];
    let error = &refused(graph(vec![info("x", F32, "N")], vec![], nodes, &["b"]))[0];
    assert!(error.code == "N0605" && error.message.contains("cycle"), "{error:?}");
    let error = &refused(graph(vec![info("x", F32, "N")], vec![], vec![], &["y"]))[0];
    assert_eq!(error.code, "N0602");
}

#[test]
fn the_files_own_claims_are_checked() {
    let mut g = graph(vec![info("x", F32, "N,4")], vec![], vec![node("Relu(x) -> y", vec![])], &[]);
    g.output = vec![info("y", I64, "N,4")];
    let error = &refused(g.clone())[0];
    assert!(error.code == "N0606" && error.message.contains("tensor<[N]x4xf32>"), "{error:?}");
    // Wrong sizes and ranks are converters' mistakes: real models have them.
    for dims in ["N,5", "N,4,1"] {
        g.output = vec![info("y", F32, dims)];
        assert_eq!(crate::result_types(g.clone()), ["tensor<[N]x4xf32>"]);
    }
}

#[test]
fn loops_and_branches_tell_types() {
    let branch = |op: &str| graph(vec![], vec![], vec![node(op, vec![])], &["r"]);
    let parts =
        vec![subgraph("then_branch", branch("Identity(x) -> r")), subgraph("else_branch", branch("Shape(x) -> r"))];
    let inputs = vec![info("c", crate::BOOL, ""), info("x", F32, "N,4")];
    let error = one(graph(inputs, vec![], vec![node("If(c) -> y", parts)], &["y"]), "N0631", "y");
    assert!(error.message.contains("tensor<[N]x4xf32>") && error.message.contains("tensor<2xi64>"), "{error:?}");
}

#[test]
fn windows_and_axes() {
    let nodes = vec![node("Conv(x, w) -> y", vec![])];
    let inputs = vec![info("x", F32, "1,3,1,1")];
    let error = one(graph(inputs, vec![weights("w", &[4, 3, 3, 3])], nodes, &["y"]), "N0401", "y");
    assert!(error.message.contains("larger than the padded input"), "{error:?}");
    let nodes = vec![node("Gather(x, i) -> y", vec![int("axis", 2)])];
    let error = one(graph(vec![info("x", F32, "2,3"), info("i", I64, "")], vec![], nodes, &["y"]), "N0613", "y");
    assert!(error.notes.iter().any(|n| n.contains("tensor<2x3xf32>")), "{error:?}");
}
