//! Derivatives that `nim_graph::gradient` builds against differences of the interpreter's own results.

use nim_graph::{GRAPH, GraphBuilder, gradient::is_differentiable};
use nim_interp::exec::run;
use nim_ir::{Builder, Context, Module, TypeData, ValueId, verifier::verify_module};
use nim_tensor::{DType, Tensor, Value};
use nim_text::{ParseOptions, parse_module};

/// The program with `sum(y * weights)` as its result, or with the derivatives of that by all `f64` arguments.
fn program(text: &str, derived: bool) -> Result<(Context, Module), String> {
    let mut dialects = nim_builtin::DIALECTS.to_vec();
    dialects.push(&GRAPH);
    let ctx = Context::new(&dialects);
    let source = ctx.add_source("test", text);
    let (mut module, found) = parse_module(&ctx, source, &ParseOptions::default());
    assert!(found.is_empty(), "{}", nim_text::render_all(&ctx, &found, &Default::default()));
    let main = module.body.walk().into_iter().find(|&op| module.body.nested(op).is_some()).unwrap();
    let body = module.body.nested_mut(main).unwrap();
    let block = body.entry().unwrap();
    let last = body.last_op(block).unwrap();
    let (y, args) = (body.operand(last, 0), body.block_args(block).to_vec());
    body.erase(last);
    let mut g = GraphBuilder::new(Builder::at_end(&ctx, body, block));
    for &x in &args {
        g.reserve_symbols(g.ty(x));
    }
    let results = finish(&mut g, y, &args, derived)?;
    let types: Vec<_> = results.iter().map(|&v| g.ty(v)).collect();
    g.b.op("func.return", &results, &[], &[]);
    let arg_types: Vec<_> = args.iter().map(|&v| body.ty(v)).collect();
    let ty = ctx.type_attr(ctx.ty(TypeData::Function { inputs: arg_types, results: types }));
    module.body.set_attr(&ctx, main, "function_type", ty);
    let found = verify_module(&ctx, &module);
    assert!(found.is_empty(), "{}", nim_text::render_all(&ctx, &found, &Default::default()));
    Ok((ctx, module))
}

fn finish(g: &mut GraphBuilder<'_>, y: ValueId, args: &[ValueId], derived: bool) -> Result<Vec<ValueId>, String> {
    let mut inner = || {
        // Each element counts differently.
        let shape = g.dims(y)?;
        let mut weights = g.like(y, 0.7)?;
        for axis in 0..shape.len() {
            let at = g.iota(&shape, axis, DType::F64)?;
            let at = g.with_scalar("add", at, 1.3 + axis as f64)?;
            let wave = g.unary("cos", at)?;
            weights = g.binary("add", weights, wave)?;
        }
        let weighted = g.binary("mul", y, weights)?;
        let axes: Vec<usize> = (0..shape.len()).collect();
        let loss = g.reduce("sum", weighted, &axes, false)?;
        if !derived {
            return Ok(vec![loss]);
        }
        let xs: Vec<ValueId> = args.iter().copied().filter(|&x| g.dtype(x).is_ok_and(|d| d == DType::F64)).collect();
        g.gradients(loss, &xs)
    };
    inner().map_err(|d: nim_ir::Diagnostic| format!("{} {}", d.code, d.message))
}

fn evaluated(program: &(Context, Module), inputs: &[Tensor]) -> Vec<Vec<f64>> {
    let inputs: Vec<Value> = inputs.iter().cloned().map(Value::Tensor).collect();
    let results = run(&program.0, &program.1, "main", &inputs).map_err(|d| d.message).unwrap();
    results.into_iter().map(|v| v.as_tensor().unwrap().to_f64s().unwrap()).collect()
}

/// Numbers between 0.1 and 0.9 without a pattern, all different.
fn numbers(count: usize, salt: usize) -> Vec<f64> {
    (0..count).map(|i| 0.1 + 0.8 * (((i + 1) as f64 * 0.618_034 + salt as f64 * 0.37).fract())).collect()
}

/// Checks a program `@main(%x: ..., %y: ...)` whose `f64` arguments have these shapes; integers come last.
#[track_caller]
fn check(text: &str, shapes: &[&[usize]], integers: &[Tensor]) {
    let (value, derivative) = (program(text, false).unwrap(), program(text, true).unwrap());
    let at: Vec<Vec<f64>> = shapes.iter().enumerate().map(|(i, s)| numbers(s.iter().product(), i)).collect();
    let inputs = |at: &[Vec<f64>]| -> Vec<Tensor> {
        let floats = at.iter().zip(shapes).map(|(v, s)| Tensor::new(s, v.clone()));
        floats.chain(integers.iter().cloned()).collect()
    };
    let found = evaluated(&derivative, &inputs(&at));
    let step = 1e-5;
    for (k, of) in found.iter().enumerate() {
        assert_eq!(of.len(), at[k].len());
        for (i, &slope) in of.iter().enumerate() {
            let mut around = at.clone();
            around[k][i] = at[k][i] + step;
            let above = evaluated(&value, &inputs(&around))[0][0];
            around[k][i] = at[k][i] - step;
            let below = evaluated(&value, &inputs(&around))[0][0];
            let wanted = (above - below) / (2.0 * step);
            assert!(
                (slope - wanted).abs() <= 1e-6 * wanted.abs().max(1.0),
                "operand {k}[{i}]: {slope} not {wanted}\n{text}"
            );
        }
    }
}

/// One op with a result of a given type.
fn one(args: &str, op: &str, result: &str) -> String {
    format!("func.func @main({args}) -> {result} {{\n  %r = {op}\n  return %r : {result}\n}}")
}

#[test]
fn one_operand() {
    for op in [
        "identity",
        "neg",
        "abs",
        "exp",
        "log",
        "sqrt",
        "reciprocal",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "asinh",
        "atanh",
        "erf",
        "sigmoid",
        "relu",
        "floor",
        "sign",
    ] {
        let t = "tensor<2x3xf64>";
        check(&one(&format!("%x: {t}"), &format!("\"graph.{op}\"(%x) : ({t}) -> {t}"), t), &[&[2, 3]], &[]);
    }
    // Only above 1.
    let text = "func.func @main(%x: tensor<3xf64>) -> tensor<3xf64> {
      %e = \"graph.exp\"(%x) : (tensor<3xf64>) -> tensor<3xf64>
      %r = \"graph.acosh\"(%e) : (tensor<3xf64>) -> tensor<3xf64>
      return %r : tensor<3xf64> }";
    check(text, &[&[3]], &[]);
    let text = "func.func @main(%x: tensor<[N]xf64>) -> tensor<[N]xf64> {
      %e = \"graph.cast\"(%x) {to = f32} : (tensor<[N]xf64>) -> tensor<[N]xf32>
      %r = \"graph.cast\"(%e) {to = f64} : (tensor<[N]xf32>) -> tensor<[N]xf64>
      return %r : tensor<[N]xf64> }";
    let found = evaluated(&program(text, true).unwrap(), &[Tensor::new(&[1], vec![0.25])]);
    assert!((found[0][0] - (0.7 + 1.3f64.cos())).abs() < 1e-6, "{found:?}");
}

#[test]
fn two_operands_broadcast() {
    for op in ["add", "sub", "mul", "div", "pow", "max", "min", "mod", "fmod"] {
        let op = format!("\"graph.{op}\"(%x, %y) : (tensor<[N]x3xf64>, tensor<2x1x1xf64>) -> tensor<2x[N]x3xf64>");
        let text = one("%x: tensor<[N]x3xf64>, %y: tensor<2x1x1xf64>", &op, "tensor<2x[N]x3xf64>");
        check(&text, &[&[2, 3], &[2, 1, 1]], &[]);
    }
    let text = "func.func @main(%x: tensor<3xf64>, %y: tensor<2x1xf64>) -> tensor<2x3xf64> {
      %c = \"graph.compare\"(%x, %y) {predicate = \"lt\"} : (tensor<3xf64>, tensor<2x1xf64>) -> tensor<2x3xi1>
      %r = \"graph.select\"(%c, %x, %y) : (tensor<2x3xi1>, tensor<3xf64>, tensor<2x1xf64>) -> tensor<2x3xf64>
      return %r : tensor<2x3xf64> }";
    check(text, &[&[3], &[2, 1]], &[]);
}

#[test]
fn products() {
    let cases: [(&[usize], &[usize], &[usize]); 6] = [
        (&[2, 3], &[3, 4], &[2, 4]),
        (&[3], &[3, 4], &[4]),
        (&[2, 3], &[3], &[2]),
        (&[3], &[3], &[]),
        (&[5, 1, 2, 3], &[2, 3, 4], &[5, 2, 2, 4]),
        (&[2, 2, 3], &[3], &[2, 2]),
    ];
    let ty = |s: &[usize]| format!("tensor<{}f64>", s.iter().map(|d| format!("{d}x")).collect::<String>());
    for (x, y, r) in cases {
        let (a, b, c) = (ty(x), ty(y), ty(r));
        let op = format!("\"graph.matmul\"(%x, %y) : ({a}, {b}) -> {c}");
        check(&one(&format!("%x: {a}, %y: {b}"), &op, &c), &[x, y], &[]);
    }
    for (equation, r) in [("ij,jk->ik", &[2usize, 4][..]), ("ij,jk->k", &[4]), ("ij,jk->ki", &[4, 2])] {
        let op = format!(
            "\"graph.einsum\"(%x, %y) {{equation = \"{equation}\"}} : (tensor<2x3xf64>, tensor<3x4xf64>) -> {}",
            ty(r)
        );
        check(&one("%x: tensor<2x3xf64>, %y: tensor<3x4xf64>", &op, &ty(r)), &[&[2, 3], &[3, 4]], &[]);
    }
}

#[test]
fn windows() {
    // The last window leaves a row that no tap reaches; two groups; a dilation.
    let op = "\"graph.conv\"(%x, %y) {strides = [2, 1], pads = [1, 0, 0, 1], dilations = [1, 2], groups = 2}
      : (tensor<2x4x6x5xf64>, tensor<6x2x2x2xf64>) -> tensor<2x6x3x4xf64>";
    let text = one("%x: tensor<2x4x6x5xf64>, %y: tensor<6x2x2x2xf64>", op, "tensor<2x6x3x4xf64>");
    check(&text, &[&[2, 4, 6, 5], &[6, 2, 2, 2]], &[]);
    let op = "\"graph.conv_transpose\"(%x, %y) {strides = [2], pads = [1, 0], output_padding = [1], groups = 2}
      : (tensor<2x4x3xf64>, tensor<4x3x3xf64>) -> tensor<2x6x7xf64>";
    let text = one("%x: tensor<2x4x3xf64>, %y: tensor<4x3x3xf64>", op, "tensor<2x6x7xf64>");
    check(&text, &[&[2, 4, 3], &[4, 3, 3]], &[]);
    for kind in ["max", "sum"] {
        let op = format!(
            "\"graph.pool\"(%x) {{kind = \"{kind}\", kernel = [3, 2], strides = [2, 2], pads = [1, 0, 0, 0]}}
             : (tensor<1x2x6x5xf64>) -> tensor<1x2x3x2xf64>"
        );
        check(&one("%x: tensor<1x2x6x5xf64>", &op, "tensor<1x2x3x2xf64>"), &[&[1, 2, 6, 5]], &[]);
    }
}

#[test]
fn movement_and_reductions() {
    for kind in ["sum", "prod", "max", "min"] {
        let op = format!(
            "\"graph.reduce\"(%x) {{kind = \"{kind}\", axes = [0, 2], keepdims = false}}
             : (tensor<2x3x2xf64>) -> tensor<3xf64>"
        );
        check(&one("%x: tensor<2x3x2xf64>", &op, "tensor<3xf64>"), &[&[2, 3, 2]], &[]);
    }
    let x = "%x: tensor<3x4xf64>";
    for (op, result) in [
        (
            "\"graph.reshape\"(%x) {shape = [#sym.expr<\"6\">, #sym.expr<\"2\">]} : (tensor<3x4xf64>) -> tensor<6x2xf64>",
            "tensor<6x2xf64>",
        ),
        ("\"graph.transpose\"(%x) {perm = [1, 0]} : (tensor<3x4xf64>) -> tensor<4x3xf64>", "tensor<4x3xf64>"),
        (
            "\"graph.broadcast_to\"(%x) {shape = [#sym.expr<\"2\">, #sym.expr<\"3\">, #sym.expr<\"4\">]} : (tensor<3x4xf64>) -> tensor<2x3x4xf64>",
            "tensor<2x3x4xf64>",
        ),
        (
            "\"graph.slice\"(%x) {starts = [#sym.expr<\"2\">, #sym.expr<\"0\">], steps = [#sym.expr<\"-1\">, #sym.expr<\"3\">], sizes = [#sym.expr<\"2\">, #sym.expr<\"2\">]}
             : (tensor<3x4xf64>) -> tensor<2x2xf64>",
            "tensor<2x2xf64>",
        ),
        (
            "\"graph.slice\"(%x) {starts = [#sym.expr<\"1\">, #sym.expr<\"1\">], steps = [#sym.expr<\"1\">, #sym.expr<\"1\">], sizes = [#sym.expr<\"2\">, #sym.expr<\"2\">]}
             : (tensor<3x4xf64>) -> tensor<2x2xf64>",
            "tensor<2x2xf64>",
        ),
        (
            "\"graph.cumsum\"(%x) {axis = 1, exclusive = true, reverse = true} : (tensor<3x4xf64>) -> tensor<3x4xf64>",
            "tensor<3x4xf64>",
        ),
        (
            "\"graph.concat\"(%x, %x) {axis = 1} : (tensor<3x4xf64>, tensor<3x4xf64>) -> tensor<3x8xf64>",
            "tensor<3x8xf64>",
        ),
    ] {
        check(&one(x, op, result), &[&[3, 4]], &[]);
    }
    let op = "\"graph.pad\"(%x, %v) {low = [#sym.expr<\"1\">, #sym.expr<\"-1\">], high = [#sym.expr<\"0\">, #sym.expr<\"2\">], mode = \"constant\"}
      : (tensor<3x4xf64>, tensor<f64>) -> tensor<4x5xf64>";
    check(&one("%x: tensor<3x4xf64>, %v: tensor<f64>", op, "tensor<4x5xf64>"), &[&[3, 4], &[]], &[]);
}

#[test]
fn gathers_and_scatters() {
    let pairs = Tensor::new(&[2, 2], vec![1i64, -1, 1, 0]);
    let op = "\"graph.gather\"(%x, %i) {axis = 1} : (tensor<3x2xf64>, tensor<2x2xi64>) -> tensor<3x2x2xf64>";
    let text = one("%x: tensor<3x2xf64>, %i: tensor<2x2xi64>", op, "tensor<3x2x2xf64>");
    check(&text, &[&[3, 2]], std::slice::from_ref(&pairs));
    let op = "\"graph.gather_elements\"(%x, %i) {axis = 1} : (tensor<3x2xf64>, tensor<2x2xi64>) -> tensor<2x2xf64>";
    let text = one("%x: tensor<3x2xf64>, %i: tensor<2x2xi64>", op, "tensor<2x2xf64>");
    check(&text, &[&[3, 2]], std::slice::from_ref(&pairs));
    for (batch, result) in [(0, "tensor<2xf64>"), (1, "tensor<2xf64>")] {
        let shape = if batch == 0 { "2x2" } else { "2x2x2" };
        let op = format!(
            "\"graph.gather_nd\"(%x, %i) {{batch_dims = {batch} : i64}} : (tensor<{shape}xf64>, tensor<2x2xi64>) -> {result}"
        );
        let text = one(&format!("%x: tensor<{shape}xf64>, %i: tensor<2x2xi64>"), &op, result);
        let dims: &[usize] = if batch == 0 { &[2, 2] } else { &[2, 2, 2] };
        check(&text, &[dims], std::slice::from_ref(&pairs));
    }
    for reduction in ["none", "add"] {
        let distinct = Tensor::new(&[2, 2], vec![1i64, 2, 0, 1]);
        let op = format!(
            "\"graph.scatter_elements\"(%x, %i, %y) {{axis = 0, reduction = \"{reduction}\"}}
             : (tensor<3x2xf64>, tensor<2x2xi64>, tensor<2x2xf64>) -> tensor<3x2xf64>"
        );
        let args = "%x: tensor<3x2xf64>, %y: tensor<2x2xf64>, %i: tensor<2x2xi64>";
        check(&one(args, &op, "tensor<3x2xf64>"), &[&[3, 2], &[2, 2]], std::slice::from_ref(&distinct));
        let op = format!(
            "\"graph.scatter_nd\"(%x, %i, %y) {{reduction = \"{reduction}\"}}
             : (tensor<3x3xf64>, tensor<2x2xi64>, tensor<2xf64>) -> tensor<3x3xf64>"
        );
        let args = "%x: tensor<3x3xf64>, %y: tensor<2xf64>, %i: tensor<2x2xi64>";
        check(&one(args, &op, "tensor<3x3xf64>"), &[&[3, 3], &[2]], std::slice::from_ref(&distinct));
    }
}

/// What has no derivative says so; the list is the whole of it.
#[test]
fn the_rest_is_refused() {
    let without: Vec<&str> = GRAPH.ops.iter().map(|op| op.name).filter(|name| !is_differentiable(name)).collect();
    assert_eq!(
        without,
        [
            "graph.resize",
            "graph.topk",
            "graph.nonzero",
            "graph.unique",
            "graph.nms",
            "graph.bind",
            "graph.guard",
            "graph.assume",
            "graph.match_cast",
            "graph.runtime",
            "graph.if",
            "graph.loop",
            "graph.yield",
            "graph.adt",
            "graph.construct",
            "graph.match",
            "graph.closure",
            "graph.lambda"
        ]
    );
    let text = "func.func @main(%x: tensor<3xf64>) -> tensor<2xf64> {
      %v, %i = \"graph.topk\"(%x) {axis = 0, k = #sym.expr<\"2\">, largest = true, sorted = true}
        : (tensor<3xf64>) -> (tensor<2xf64>, tensor<2xi64>)
      return %v : tensor<2xf64> }";
    assert_eq!(program(text, true).err().unwrap(), "N0414 graph.topk has no derivative here");
    let text = one(
        "%x: tensor<[A]xf64>, %y: tensor<[B]xf64>",
        "\"graph.add\"(%x, %y) : (tensor<[A]xf64>, tensor<[B]xf64>) -> tensor<[max(A, B)]xf64>",
        "tensor<[max(A, B)]xf64>",
    );
    assert!(program(&text, true).err().unwrap().starts_with("N0414 a derivative needs to know whether size"));
}
