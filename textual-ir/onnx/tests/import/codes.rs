//! Each code of the importer, by a node that deserves it: the place is the node, and a note names operator and inputs.

use crate::{BOOL, F32, I64, context, graph, info, int, ints, model, node, numbers, subgraph, weights};
use nim_ir::Diagnostic;
use nim_onnx::{
    ImportOptions, import,
    proto::{
        AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
        ValueInfoProto, attribute_proto::AttributeType,
    },
};

fn text(name: &str, s: &str) -> AttributeProto {
    let (name, r#type) = (name.into(), AttributeType::String as i32);
    AttributeProto { name, r#type, s: s.as_bytes().to_vec().into(), ..Default::default() }
}

/// Inputs that most nodes can do with: `x` 2x3, `v` 4, `n` and `c` scalars, `u` a list of unknown length, `r` of rank 3.
fn inputs() -> Vec<ValueInfoProto> {
    vec![
        info("x", F32, "2,3"),
        info("v", F32, "4"),
        info("r", F32, "N,S,8"),
        info("i", F32, "N,3,H,W"),
        info("n", I64, ""),
        info("c", BOOL, ""),
        info("u", I64, "U"),
        info("four", I64, "4"),
        info("two", I64, "2"),
    ]
}

/// Tables of integers by name: `one` is [1], `seven` is [7], and so on.
fn tables() -> Vec<TensorProto> {
    vec![
        numbers("one", &[1]),
        numbers("seven", &[7]),
        numbers("minus", &[-1]),
        numbers("pair", &[2, 2]),
        numbers("shape", &[-1, -1]),
        weights("w", &[4, 3, 3, 3]),
        weights("scales", &[2]),
    ]
}

fn found(graph: GraphProto) -> Vec<Diagnostic> {
    match import(&context(), &model(graph), &ImportOptions::default()) {
        Ok(_) => panic!("imported"),
        Err(list) => list,
    }
}

/// The only error of nodes that are called as their outputs; the last one is wrong.
#[track_caller]
fn refused(code: &str, message: &str, nodes: Vec<NodeProto>) {
    let (name, op) = (nodes.last().unwrap().name.clone(), nodes.last().unwrap().op_type.clone());
    let ctx = context();
    let outputs = [name.as_str()];
    let list = match import(&ctx, &model(graph(inputs(), tables(), nodes, &outputs)), &ImportOptions::default()) {
        Ok(_) => panic!("imported"),
        Err(list) => list,
    };
    let [error] = list.as_slice() else { panic!("{list:?}") };
    assert_eq!((error.code, error.message.contains(message)), (code, true), "{error:?}");
    assert_eq!(error.labels.first().and_then(|l| ctx.loc_name(l.loc)), Some(name.as_str()), "{error:?}");
    assert!(error.notes.iter().any(|n| n.starts_with(&format!("operator {op} of opset"))), "{error:?}");
}

#[test]
fn inputs_and_attributes() {
    refused("N0610", "input 1 is missing", vec![node("MatMul(x) -> y", vec![])]);
    refused("N0610", "`kernel_shape` is missing", vec![node("MaxPool(i) -> y", vec![])]);
    refused("N0611", "the subgraph `then_branch` is missing", vec![node("If(c) -> y", vec![])]);
    refused(
        "N0614",
        "`direction` must be LEFT or RIGHT",
        vec![node("BitShift(n, n) -> y", vec![text("direction", "UP")])],
    );
    refused("N0614", "element type 99 is not in the standard", vec![node("Cast(x) -> y", vec![int("to", 99)])]);
    refused(
        "N0615",
        "`strides` must have 2 numbers, found 1",
        vec![node("Conv(i, w) -> y", vec![ints("strides", &[1])])],
    );
    refused("N0613", "axis 5 lies outside a tensor of rank 2", vec![node("Softmax(x) -> y", vec![int("axis", 5)])]);
}

#[test]
fn what_must_be_known_when_compiling() {
    refused("N0612", "axes must be known", vec![node("ReduceSum(x, u) -> y", vec![])]);
    let same = vec![text("auto_pad", "SAME_UPPER"), ints("strides", &[2, 2])];
    refused("N0616", "`auto_pad` with a stride", vec![node("Conv(i, w) -> y", same)]);
    let old = vec![subgraph("body", graph(vec![], vec![], vec![], &[])), int("num_scan_inputs", 1)];
    let mut scan = model(graph(inputs(), tables(), vec![node("Scan(u, x) -> y", old)], &["y"]));
    scan.proto.opset_import[0].version = 8;
    let list = import(&context(), &scan, &ImportOptions::default()).err().unwrap();
    // The body takes nothing, which is said before.
    assert_eq!(list[0].code, "N0632", "{list:?}");
    let mut odd =
        node("MatMulNBits(x, x, x) -> y", vec![int("K", 3), int("N", 2), int("block_size", 16), int("bits", 3)]);
    odd.domain = "com.microsoft".into();
    refused("N0617", "weights 2 x 3 of 3 bits in blocks of 16", vec![odd]);
}

#[test]
fn shapes_and_parts() {
    refused("N0618", "-1 is no dimension", vec![node("Reshape(x, shape) -> y", vec![])]);
    refused("N0619", "is removed but its size is not 1", vec![node("Squeeze(x, one) -> y", vec![])]);
    refused("N0620", "cannot be expanded", vec![node("Expand(x, pair) -> y", vec![])]);
    refused("N0621", "a split into 70000 parts", vec![node("Split(x) -> y", vec![int("num_outputs", 70_000)])]);
    refused("N0621", "1 starts, 2 ends", vec![node("Slice(x, one, pair) -> y", vec![])]);
    refused("N0622", "1 repeats for 2 axes", vec![node("Tile(x, one) -> y", vec![])]);
    refused("N0623", "1 pads for an input of rank 2", vec![node("Pad(x, one) -> y", vec![])]);
    refused("N0624", "has 2 terms for 1 inputs", vec![node("Einsum(x) -> y", vec![text("equation", "ij,jk->ik")])]);
    refused("N0624", "takes square matrices, found tensor<2x3xf32>", vec![node("Det(x) -> y", vec![])]);
    refused("N0625", "7 elements along axis 1", vec![node("TopK(x, seven) -> y", vec![])]);
    refused("N0626", "do not fit 4 axes", vec![node("Resize(i, , scales) -> y", vec![])]);
    refused("N0627", "does not fit", vec![node("QuantizeLinear(i, x) -> y", vec![])]);
    refused("N0628", "a vector of known length", vec![node("Reshape(x, u) -> y", vec![])]);
}

#[test]
fn control_flow() {
    let branch = || graph(vec![], vec![], vec![node("Identity(x) -> b", vec![])], &["b"]);
    let parts = || vec![subgraph("then_branch", branch()), subgraph("else_branch", branch())];
    refused("N0630", "a condition must be a truth value", vec![node("If(n) -> y", parts())]);
    let body = |out: &[&str]| {
        let nodes = vec![node("Identity(k) -> k2", vec![]), node("SequenceInsert(s, x) -> s2", vec![])];
        graph(vec![info("t", I64, ""), info("k", BOOL, ""), crate::named("s")], vec![], nodes, out)
    };
    let grows = vec![
        node("SequenceConstruct(x) -> list", vec![]),
        node("Loop(one, , list) -> y", vec![subgraph("body", body(&["k2", "s2", "k2"]))]),
    ];
    // One iteration that stacks: fine. None: there is nothing to stack.
    let mut none = grows.clone();
    none[1].input[0] = "zero".into();
    let mut g = graph(inputs(), tables(), none, &["y"]);
    g.initializer.push(numbers("zero", &[0]));
    let list = found(g);
    assert_eq!((list[0].code, list[0].message.contains("never runs")), ("N0633", true), "{list:?}");
    refused("N0632", "values are carried", vec![node("Loop(one, , x) -> y", vec![subgraph("body", body(&["k2"]))])]);
}

#[test]
fn recurrence_and_attention() {
    let three = |name: &str, dims: &[usize]| weights(name, dims);
    let lstm = node("LSTM(r, wl, rl) -> y", vec![int("hidden_size", 5), text("direction", "sideways")]);
    let mut g = graph(inputs(), vec![three("wl", &[1, 20, 8]), three("rl", &[1, 20, 5])], vec![lstm], &["y"]);
    g.initializer.extend(tables());
    let list = found(g);
    assert_eq!((list[0].code, list[0].message.contains("no direction")), ("N0634", true), "{list:?}");
    let heads = vec![int("q_num_heads", 2), int("kv_num_heads", 2)];
    refused("N0635", "cannot have the type", vec![node("Attention(x, x, x) -> y", heads)]);
}

#[test]
fn sequences() {
    refused("N0640", "input 0 must be a sequence", vec![node("SequenceLength(x) -> y", vec![])]);
    let nodes = vec![node("SequenceConstruct(x) -> s", vec![]), node("SequenceAt(s, at) -> y", vec![])];
    let mut g = graph(inputs(), tables(), nodes, &["y"]);
    g.initializer.push(nim_onnx::tensor_proto(&nim_tensor::Tensor::scalar(3i64), "at"));
    let list = found(g);
    assert_eq!((list[0].code, list[0].message.contains("position 3 lies outside")), ("N0641", true), "{list:?}");
}

#[test]
fn what_stands_around_the_nodes() {
    let empty = nim_onnx::LoadedModel { proto: ModelProto::default(), ..model(GraphProto::default()) };
    let list = import(&context(), &empty, &ImportOptions::default()).err().unwrap();
    assert_eq!((list[0].code, list[0].message.as_str()), ("N0600", "the model has no graph"));
    let list = found(graph(vec![crate::named("x")], vec![], vec![node("Relu(x) -> y", vec![])], &["y"]));
    assert_eq!((list[0].code, list[0].message.as_str()), ("N0603", "input \"x\": it has no type"));
    let options =
        ImportOptions { shapes: [("z".to_string(), vec![])].into_iter().collect(), ..ImportOptions::default() };
    let known = model(graph(inputs(), vec![], vec![node("Relu(x) -> y", vec![])], &["y"]));
    let list = import(&context(), &known, &options).err().unwrap();
    assert_eq!((list[0].code, list[0].message.as_str()), ("N0608", "\"z\" is not an input of the model"));
    let mut short = weights("w", &[4]);
    short.raw_data.truncate(3);
    short.float_data.truncate(1);
    let list = found(graph(vec![], vec![short], vec![node("Relu(w) -> y", vec![])], &["y"]));
    assert_eq!((list[0].code, list[0].message.contains("tensor \"w\"")), ("N0604", true), "{list:?}");
    let mut sparse = graph(vec![], vec![], vec![node("Relu(s) -> y", vec![])], &["y"]);
    sparse.sparse_initializer = vec![SparseTensorProto { dims: vec![4], ..Default::default() }];
    assert_eq!(found(sparse)[0].code, "N0604");
    let itself = FunctionProto {
        name: "Again".into(),
        input: vec!["a".into()],
        output: vec!["b".into()],
        node: vec![node("Again(a) -> b", vec![])],
        ..Default::default()
    };
    let mut endless = model(graph(inputs(), vec![], vec![node("Again(x) -> y", vec![])], &["y"]));
    endless.proto.functions = vec![itself];
    let list = import(&context(), &endless, &ImportOptions::default()).err().unwrap();
    assert_eq!((list[0].code, list[0].message.contains("calls itself")), ("N0607", true), "{list:?}");
}

#[test]
fn a_node_without_a_name_is_called_as_its_output_and_the_file_is_named() {
    let mut bad = node("MatMul(x, v) -> product", vec![]);
    bad.name.clear();
    let ctx = context();
    let mut loaded = model(graph(inputs(), vec![], vec![bad], &["product"]));
    loaded.path = "folder/some.onnx".into();
    let list = import(&ctx, &loaded, &ImportOptions::default()).err().unwrap();
    assert_eq!(ctx.loc_name(list[0].labels[0].loc), Some("product"), "{list:?}");
    assert!(list[0].notes.iter().any(|n| n == "in the model folder/some.onnx"), "{list:?}");
    let nodes = vec![node("Add(x, b) -> a", vec![]), node("Relu(a) -> b", vec![])];
    let nodes = nodes.into_iter().map(|n| NodeProto { name: String::new(), ..n }).collect();
    let list = found(graph(inputs(), vec![], nodes, &["b"]));
    assert!(list[0].message.contains("\"a\", \"b\""), "{list:?}");
}

#[test]
fn a_derivative_that_does_not_exist() {
    let strings = |name: &str, list: &[&str]| AttributeProto {
        name: name.into(),
        r#type: AttributeType::Strings as i32,
        strings: list.iter().map(|s| s.as_bytes().to_vec().into()).collect(),
        ..Default::default()
    };
    let mut derive = node("Gradient(x) -> y", vec![strings("xs", &["x"]), text("y", "t")]);
    derive.domain = "ai.onnx.preview.training".into();
    // The place is the node that has none.
    let nodes = vec![node("TopK(x, one) -> t, k", vec![]), derive.clone()];
    let ctx = context();
    let list = import(&ctx, &model(graph(inputs(), tables(), nodes, &["y"])), &ImportOptions::default()).err().unwrap();
    assert_eq!((list[0].code, list[0].message.as_str()), ("N0414", "graph.topk has no derivative here"));
    assert_eq!(ctx.loc_name(list[0].labels[0].loc), Some("t"), "{list:?}");
    derive.input.push("v".into());
    refused("N0610", "1 tensors are named, 2 are given", vec![node("Relu(x) -> t", vec![]), derive]);
}
