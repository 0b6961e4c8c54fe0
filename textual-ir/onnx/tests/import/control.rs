//! If, Loop, Scan and sequences.

use crate::{BOOL, F32, I64, graph, info, int, named, node, numbers, result_types, subgraph, text, weights};
use nim_onnx::{
    proto::{GraphProto, NodeProto},
    tensor_proto,
};
use nim_tensor::Tensor;

fn branch(nodes: Vec<NodeProto>, output: &str) -> GraphProto {
    graph(vec![], vec![], nodes, &[output])
}

fn if_node(yes: GraphProto, no: GraphProto) -> NodeProto {
    node("If(c) -> y", vec![subgraph("then_branch", yes), subgraph("else_branch", no)])
}

#[test]
fn a_known_condition_leaves_one_branch() {
    let nodes =
        vec![if_node(branch(vec![node("Relu(x) -> a", vec![])], "a"), branch(vec![node("Exp(x) -> b", vec![])], "b"))];
    let c = tensor_proto(&Tensor::bools(&[], vec![false]), "c");
    let text = text(graph(vec![info("x", F32, "N")], vec![c], nodes, &["y"]));
    assert!(text.contains("graph.exp") && !text.contains("graph.relu") && !text.contains("graph.if"), "{text}");
}

#[test]
fn sizes_that_differ_between_branches_get_a_symbol() {
    let nodes = vec![if_node(
        branch(vec![node("Relu(x) -> a", vec![])], "a"),
        branch(vec![node("Concat(x, x) -> b", vec![int("axis", 0)])], "b"),
    )];
    let types = result_types(graph(vec![info("c", BOOL, ""), info("x", F32, "N,3")], vec![], nodes, &["y"]));
    assert!(types[0].starts_with("tensor<[if_") && types[0].ends_with("x3xf32>"), "{types:?}");
}

#[test]
fn a_rank_that_depends_on_a_size_is_guarded() {
    // "If the axis has size 1, remove it", as exporters write `squeeze`.
    let mut nodes = vec![node("Shape(x) -> s", vec![int("start", 1)]), node("Equal(s, one) -> c", vec![])];
    nodes.push(if_node(
        branch(vec![node("Squeeze(x, one) -> a", vec![])], "a"),
        branch(vec![node("Identity(x) -> b", vec![])], "b"),
    ));
    let graph = graph(vec![info("x", F32, "N,M")], vec![numbers("one", &[1])], nodes, &["y"]);
    assert_eq!(result_types(graph.clone()), ["tensor<[N]xf32>"]);
    let text = text(graph);
    assert!(text.contains("graph.guard {kind = \"eq\", lhs = M"), "{text}");
}

/// A loop whose body takes `i`, `c` and one carried value.
fn loop_node(carried: &str, nodes: Vec<NodeProto>, outputs: &[&str]) -> NodeProto {
    let inputs = vec![info("i", I64, ""), info("c", BOOL, ""), named("state")];
    let body = graph(inputs, vec![weights("half", &[1, 3])], nodes, outputs);
    let results = if outputs.len() > 2 { "y, ys" } else { "y" };
    node(&format!("Loop(n, , {carried}) -> {results}"), vec![subgraph("body", body)])
}

#[test]
fn what_grows_in_a_loop_gets_a_symbol_for_each_iteration() {
    let body = vec![node("Identity(c) -> c2", vec![]), node("Concat(state, half) -> next", vec![int("axis", 0)])];
    let nodes = vec![loop_node("x", body, &["c2", "next"])];
    let graph = graph(vec![info("n", I64, ""), info("x", F32, "2,3")], vec![], nodes, &["y"]);
    let types = result_types(graph.clone());
    assert!(types[0].starts_with("tensor<[size_") && types[0].ends_with("x3xf32>"), "{types:?}");
    assert!(text(graph).contains("tensor<[carried_"));
}

#[test]
fn stacked_values_have_the_trip_count() {
    let body = vec![node("Identity(c) -> c2", vec![]), node("Add(state, half) -> next", vec![])];
    let nodes = vec![
        node("Shape(x) -> shape", vec![int("end", 1)]),
        node("Squeeze(shape) -> n", vec![]),
        loop_node("z", body, &["c2", "next", "next"]),
    ];
    let graph = graph(vec![info("x", F32, "N"), info("z", F32, "2,3")], vec![], nodes, &["y", "ys"]);
    assert_eq!(result_types(graph.clone()), ["tensor<2x3xf32>", "tensor<[N]x2x3xf32>"]);
    assert!(text(graph).contains("trip_count = N"));
}

#[test]
fn a_condition_that_counts_is_a_trip_count() {
    // while (i + 1 < N) as converters from TensorFlow write it
    let inputs = vec![info("i", I64, ""), info("c", BOOL, ""), info("k", I64, ""), named("state")];
    let body_nodes =
        vec![node("Add(k, one) -> k2", vec![]), node("Less(k2, n) -> c2", vec![]), node("Exp(state) -> next", vec![])];
    let body = graph(inputs, vec![], body_nodes, &["c2", "k2", "next", "next"]);
    let nodes = vec![
        node("Shape(x) -> shape", vec![int("end", 1)]),
        node("Squeeze(shape) -> n", vec![]),
        node("Less(zero, n) -> c0", vec![]),
        node("Loop(, c0, zero, z) -> k, y, ys", vec![subgraph("body", body)]),
    ];
    let scalar = |name: &str, v: i64| tensor_proto(&Tensor::scalar(v), name);
    let constants = vec![scalar("zero", 0), scalar("one", 1)];
    let graph = graph(vec![info("x", F32, "N"), info("z", F32, "4")], constants, nodes, &["ys"]);
    assert_eq!(result_types(graph), ["tensor<[N]x4xf32>"]);
}

#[test]
fn scans_slice_and_stack() {
    let body = graph(
        vec![named("sum"), named("element")],
        vec![],
        vec![node("Add(sum, element) -> next", vec![]), node("Identity(next) -> out", vec![])],
        &["next", "out"],
    );
    let attributes = vec![subgraph("body", body), int("num_scan_inputs", 1)];
    let nodes = vec![node("Scan(start, x) -> y, ys", attributes)];
    let graph = graph(vec![info("start", F32, "3"), info("x", F32, "T,3")], vec![], nodes, &["y", "ys"]);
    assert_eq!(result_types(graph), ["tensor<3xf32>", "tensor<[T]x3xf32>"]);
}

#[test]
fn sequences_exist_while_importing_only() {
    let nodes = vec![
        node("SequenceEmpty() -> s0", vec![]),
        node("SequenceInsert(s0, x) -> s1", vec![]),
        node("SequenceInsert(s1, x) -> s2", vec![]),
        node("SequenceLength(s2) -> n", vec![]),
        node("ConcatFromSequence(s2) -> y", vec![int("axis", 0)]),
    ];
    let types = result_types(graph(vec![info("x", F32, "N,3")], vec![], nodes, &["y", "n"]));
    assert_eq!(types, ["tensor<[2*N]x3xf32>", "tensor<i64>"]);
}

#[test]
fn a_loop_that_carries_a_sequence_is_unrolled() {
    let inputs = vec![info("i", I64, ""), info("c", BOOL, ""), named("list")];
    let body_nodes = vec![node("Identity(c) -> c2", vec![]), node("SequenceInsert(list, x) -> next", vec![])];
    let body = graph(inputs, vec![], body_nodes, &["c2", "next"]);
    let nodes = vec![
        node("SequenceEmpty() -> s0", vec![]),
        node("Loop(n, , s0) -> s", vec![subgraph("body", body)]),
        node("ConcatFromSequence(s) -> y", vec![int("axis", 0)]),
    ];
    let n = tensor_proto(&Tensor::scalar(3i64), "n");
    assert_eq!(result_types(graph(vec![info("x", F32, "2,N")], vec![n], nodes, &["y"])), ["tensor<6x[N]xf32>"]);
}
