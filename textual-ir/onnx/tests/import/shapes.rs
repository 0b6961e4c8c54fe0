//! Shapes follow from the inputs' dimensions, symbolically.

use crate::{F32, I64, context, graph, imported, info, int, ints, node, numbers, refused, result_types, text, weights};
use nim_ir::Diagnostic;
use nim_onnx::{ImportOptions, InputDim, import, proto::type_proto};

#[test]
fn shape_arithmetic_becomes_expressions() {
    // x.reshape(N, S, 12, 64).transpose(0, 2, 1, 3), spelled as exporters do
    let nodes = vec![
        node("Shape(x) -> shape", vec![]),
        node("Gather(shape, zero) -> n", vec![]),
        node("Gather(shape, one) -> s", vec![]),
        node("Unsqueeze(n, axis0) -> n1", vec![]),
        node("Unsqueeze(s, axis0) -> s1", vec![]),
        node("Concat(n1, s1, heads) -> target", vec![int("axis", 0)]),
        node("Reshape(x, target) -> apart", vec![]),
        node("Transpose(apart) -> y", vec![ints("perm", &[0, 2, 1, 3])]),
    ];
    let scalar = |name: &str, v: i64| nim_onnx::tensor_proto(&nim_tensor::Tensor::scalar(v), name);
    let constants = vec![scalar("zero", 0), scalar("one", 1), numbers("axis0", &[0]), numbers("heads", &[12, -1])];
    let graph = graph(vec![info("x", F32, "N,S,768")], constants, nodes, &["y"]);
    assert_eq!(result_types(graph.clone()), ["tensor<[N]x12x[S]x64xf32>"]);
    let text = text(graph);
    assert!(!text.contains("graph.index") && !text.contains("graph.bind"), "{text}");
}

#[test]
fn windows_of_symbolic_images() {
    let attributes = vec![ints("strides", &[2, 2]), ints("pads", &[1, 1, 1, 1])];
    let nodes = vec![node("Conv(x, w) -> y", attributes)];
    let graph = graph(vec![info("x", F32, "N,3,H,W")], vec![weights("w", &[8, 3, 3, 3])], nodes, &["y"]);
    assert_eq!(result_types(graph), ["tensor<[N]x8x[floordiv(H + 1, 2)]x[floordiv(W + 1, 2)]xf32>"]);
}

#[test]
fn slices_backwards_of_what_may_be_empty() {
    let lists = || {
        let list = |name: &str, v: i64| numbers(name, &[v]);
        vec![list("start", -1), list("end", i64::MIN), list("axis", 0), list("step", -1)]
    };
    let nodes = vec![node("Slice(x, start, end, axis, step) -> y", vec![])];
    // As many as there are, none of none.
    let types = result_types(graph(vec![info("x", F32, "N,4")], lists(), nodes, &["y"]));
    assert!(["tensor<[N]x4xf32>", "tensor<[max(N, 0)]x4xf32>"].contains(&types[0].as_str()), "{types:?}");
}

#[test]
fn squeeze_without_axes_goes_by_the_declared_rank() {
    let of = |dims: &str, declared: Option<&str>| {
        let mut g = graph(vec![info("x", F32, dims)], vec![], vec![node("Squeeze(x) -> y", vec![])], &["y"]);
        if let Some(declared) = declared {
            g.output = vec![info("y", F32, declared)];
        }
        g
    };
    assert_eq!(result_types(of("N,1,4", Some("N,4"))), ["tensor<[N]x4xf32>"]);
    assert_eq!(result_types(of("N,1,4", Some("4"))), ["tensor<4xf32>"]);
    assert!(text(of("N,1,4", Some("4"))).contains("an axis that is removed"));
    // Nobody says: what is kept is checked.
    assert_eq!(result_types(of("N,1,4", None)), ["tensor<[N]x4xf32>"]);
    assert!(text(of("N,1,4", None)).contains("an axis that is not removed"));
    assert!(!text(of("N,1,4", Some("N,4"))).contains("an axis that is not removed"));
    let found = refused(of("N,M,4", Some("K,4")));
    assert!(found.iter().any(|d| d.code == "N0603" && d.message.contains("depends on the sizes")), "{found:?}");
}

#[test]
fn a_shape_of_run_time_is_bound_with_its_placeholders_replaced() {
    let nodes = vec![node("Reshape(x, shape) -> y", vec![])];
    let text = text(graph(vec![info("x", F32, "N,6"), info("shape", I64, "2")], vec![], nodes, &["y"]));
    assert!(text.contains("graph.bind") && text.contains("graph.select"), "{text}");
}

#[test]
fn axes_of_run_time_are_chosen_there() {
    let nodes = vec![node("ReduceSum(x, axes) -> y", vec![int("keepdims", 0)])];
    let text = text(graph(vec![info("x", F32, "3,4,5"), info("axes", I64, "1")], vec![], nodes, &["y"]));
    assert_eq!(text.matches("graph.reduce %x").count(), 3, "{text}");
}

#[test]
fn sizes_that_depend_on_data_are_symbols() {
    let nodes = vec![node("NonZero(x) -> y", vec![])];
    let types = result_types(graph(vec![info("x", F32, "N,4")], vec![], nodes, &["y"]));
    assert!(types[0].starts_with("tensor<2x[nonzero_"), "{types:?}");
}

#[test]
fn recurrent_networks_are_loops_over_time() {
    let nodes = vec![node("LSTM(x, w, r) -> y, h, c", vec![int("hidden_size", 5)])];
    let constants = vec![weights("w", &[1, 20, 7]), weights("r", &[1, 20, 5])];
    let graph = graph(vec![info("x", F32, "T,B,7")], constants, nodes, &["y", "h", "c"]);
    assert_eq!(result_types(graph.clone()), ["tensor<[T]x1x[B]x5xf32>", "tensor<1x[B]x5xf32>", "tensor<1x[B]x5xf32>"]);
    let text = text(graph);
    let (before, inside) = text.split_once("graph.loop").unwrap();
    assert!(before.contains("graph.matmul %x") && inside.contains("trip_count = T"), "{text}");
}

#[test]
fn symbolic_inputs_keep_what_operators_need() {
    let nodes = vec![node("Conv(x, w) -> y", vec![])];
    let graph = graph(vec![info("x", F32, "1,3,8,8"), info("w", F32, "4,3,3,3")], vec![], nodes, &["y"]);
    let ctx = context();
    let options = ImportOptions { symbolic_inputs: true, ..ImportOptions::default() };
    let module = import(&ctx, &crate::model(graph), &options).unwrap();
    let text = nim_text::print_module(&ctx, &module, &nim_text::PrintOptions::default());
    assert!(text.contains("%x: tensor<[x_0]x[x_1]x[x_2]x[x_3]xf32>"), "{text}");
    assert!(text.contains("%w: tensor<4x3x3x3xf32>"), "{text}");
}

#[test]
fn unused_ops_are_gone() {
    let nodes = vec![node("Shape(x) -> s", vec![]), node("Relu(x) -> y", vec![])];
    let ctx = context();
    let module = imported(&ctx, graph(vec![info("x", F32, "N")], vec![weights("w", &[3])], nodes, &["y"]));
    let body = module.body.walk().into_iter().find_map(|op| module.body.nested(op)).unwrap();
    let names: Vec<&str> = body.walk().into_iter().map(|op| ctx.op_str(body.op_name(op))).collect();
    assert_eq!(names, ["graph.relu", "func.return"]);
}

/// A model with the shapes of some inputs removed; `given` are shapes from outside.
fn without_shapes(
    mut graph: nim_onnx::proto::GraphProto,
    names: &[&str],
    given: &[(&str, &[&str])],
) -> Result<String, Vec<Diagnostic>> {
    for input in graph.input.iter_mut().filter(|i| names.contains(&i.name.as_str())) {
        if let Some(type_proto::Value::TensorType(t)) = input.r#type.as_mut().and_then(|t| t.value.as_mut()) {
            t.shape = None;
        }
    }
    let shape = |dims: &[&str]| dims.iter().map(|d| d.parse::<InputDim>().unwrap()).collect();
    let shapes = given.iter().map(|(name, dims)| (name.to_string(), shape(dims))).collect();
    let ctx = context();
    let module = import(&ctx, &crate::model(graph), &ImportOptions { shapes, ..ImportOptions::default() })?;
    Ok(nim_text::print_module(&ctx, &module, &nim_text::PrintOptions::default()))
}

#[test]
fn a_rank_that_the_file_leaves_open_is_the_one_that_fits() {
    let conv = |op: &str| {
        let nodes = vec![node(&format!("{op}(x, w) -> y"), vec![])];
        graph(vec![info("x", F32, "N,3,H,W")], vec![weights("w", &[8, 3, 3, 3])], nodes, &["y"])
    };
    let text = without_shapes(conv("Conv"), &["x"], &[]).unwrap();
    assert!(text.contains("%x: tensor<[x_0]x[x_1]x[x_2]x[x_3]xf32>"), "{text}");
    let found = without_shapes(conv("Mul"), &["x"], &[]).unwrap_err();
    assert_eq!(found[0].code, "N0603");
    assert_eq!(found[0].message, "the rank of input \"x\" is not known, and the model can be read with 0 and with 1");
    let text = without_shapes(conv("Mul"), &["x"], &[("x", &["[B]", "1", "3"])]).unwrap();
    assert!(text.contains("%x: tensor<[B]x1x3xf32>"), "{text}");
    // Something else is wrong with it.
    let found = without_shapes(conv("MaxPool"), &["x"], &[]).unwrap_err();
    assert!(found[0].message.ends_with("the model can be read with none up to 6"), "{found:?}");
}

#[test]
fn shapes_from_outside_have_the_rank_of_the_file() {
    let relu = || graph(vec![info("x", F32, "1,3,8")], vec![], vec![node("Relu(x) -> y", vec![])], &["y"]);
    let text = without_shapes(relu(), &[], &[("x", &["[N]", "3", "16"])]).unwrap();
    assert!(text.contains("%x: tensor<[N]x3x16xf32>"), "{text}");
    let found = without_shapes(relu(), &[], &[("x", &["3"])]).unwrap_err();
    assert_eq!(found[0].message, "input \"x\": its rank is 3, but it is given a shape of rank 1");
    for bad in ["", "-1", "[]", "[1a]", "N", "[a", "99999999999"] {
        assert!(bad.parse::<InputDim>().is_err(), "{bad}");
    }
}
