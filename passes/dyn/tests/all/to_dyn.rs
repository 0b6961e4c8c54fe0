//! Functions before and after: what `graph-to-dyn` and `dyn-insert-kills` make of them.

use nim_dyn_passes::{graph_to_dyn, insert_kills};
use nim_ir::{Context, Module, verifier::verify_module};
use nim_text::{ParseOptions, PrintOptions, parse_module, print_module, render_all};

fn context() -> Context {
    let dialects =
        [&nim_builtin::func::FUNC, &nim_graph::GRAPH, &nim_dataflow::DATAFLOW, &nim_loops::LOOPS, &nim_dyn::DYN];
    Context::new(&dialects)
}

fn parse(ctx: &Context, text: &str) -> Module {
    let source = ctx.add_source("test.nir", text);
    let (module, found) = parse_module(ctx, source, &ParseOptions::default());
    assert!(found.is_empty(), "{}", render_all(ctx, &found, &Default::default()));
    module
}

fn lower(text: &str) -> String {
    let ctx = context();
    let mut module = parse(&ctx, text);
    let (_, found) = graph_to_dyn(&ctx, &mut module);
    assert!(found.is_empty(), "{}", render_all(&ctx, &found, &Default::default()));
    for op in module.ops().collect::<Vec<_>>() {
        if module.body.is(&ctx, op, "func.func")
            && let Some(mut body) = module.body.take_nested(op)
        {
            insert_kills(&ctx, &mut body);
            module.body.set_nested(op, body);
        }
    }
    let found = verify_module(&ctx, &module);
    assert!(found.is_empty(), "{}", render_all(&ctx, &found, &Default::default()));
    let out = print_module(&ctx, &module, &PrintOptions::default());
    // What is printed reads back.
    parse(&context(), &out);
    out
}

/// The lines of `expected` must occur in this order.
#[track_caller]
fn check(out: &str, expected: &str) {
    let mut rest = out;
    for line in expected.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let at = rest.find(line).unwrap_or_else(|| panic!("`{line}` does not follow in\n{out}"));
        rest = &rest[at + line.len()..];
    }
}

const KERNEL: &str = r#"
dataflow.kernel @double(%x: tensor<[N]x3xf32>) -> tensor<[N]x3xf32> attributes {symbols = ["N"]} {
  dataflow.return %x : tensor<[N]x3xf32>
}
"#;

#[test]
fn kernels_get_destinations() {
    let out = lower(&format!(
        "{KERNEL}
func.func @main(%x: tensor<[2*M]x3xf32>, %m: tensor<[M]xi64>) -> tensor<[6*M]xf32> {{
  %y = dataflow.invoke @double(%x) : (tensor<[2*M]x3xf32>) -> tensor<[2*M]x3xf32>
  %z = dataflow.invoke @double(%y) : (tensor<[2*M]x3xf32>) -> tensor<[2*M]x3xf32>
  %r = graph.reshape %z {{shape = [#sym.expr<\"6*M\">]}} : (tensor<[2*M]x3xf32>) -> tensor<[6*M]xf32>
  func.return %r : tensor<[6*M]xf32>
}}"
    ));
    check(
        &out,
        r#"func.func @main(%x: memref<[2*M]x3xf32>, %m: memref<[M]xi64>) -> memref<[6*M]xf32>
           dyn.check %x, "input `x`" : memref<[2*M]x3xf32>
           dyn.check %m, "input `m`" : memref<[M]xi64>
           dyn.kill %m
           dyn.alloc 24*M
           %y = dyn.view
           dyn.invoke @double(%x) outs(%y)
           symbols = [2*M]
           dyn.kill %x
           dyn.invoke @double(%y) outs(%z)
           dyn.kill %y
           %r = dyn.reshape %z : memref<[2*M]x3xf32> to memref<[6*M]xf32>
           dyn.kill %z
           return %r"#,
    );
}

#[test]
fn temporaries_of_lowered_kernels_get_memory() {
    let out = lower(
        r#"
loops.kernel @k(%x: memref<[N]xf32>, %y: memref<[N]xf32>, %t: memref<[N + 1]xf32>)
    attributes {symbols = ["N"], outputs = 2 : i64} {
  loops.yield
}
func.func @main(%x: tensor<[M]xf32>) -> tensor<[M]xf32> {
  %y = dataflow.invoke @k(%x) : (tensor<[M]xf32>) -> tensor<[M]xf32>
  func.return %y : tensor<[M]xf32>
}"#,
    );
    check(
        &out,
        r#"dyn.alloc 4*M
           dyn.alloc 4*M + 4
           dyn.view
           dyn.invoke @k(%x) outs(%y, "#,
    );
}

#[test]
fn branches_pass_references() {
    let out = lower(
        r#"
func.func @main(%c: tensor<i1>, %x: tensor<[N]xf32>, %y: tensor<[M]xf32>) -> tensor<[K]xf32> {
  %r = "graph.if"(%c) ({
    "graph.yield"(%x) : (tensor<[N]xf32>) -> ()
  }, {
    "graph.yield"(%y) : (tensor<[M]xf32>) -> ()
  }) : (tensor<i1>) -> tensor<[K]xf32>
  func.return %r : tensor<[K]xf32>
}"#,
    );
    check(
        &out,
        "%r = dyn.if %c : memref<i1> -> (memref<[K]xf32>)
         dyn.yield %x
         dyn.yield %y
         dyn.kill %c
         return %r",
    );
    assert!(!out.contains("dyn.check %r"), "{out}");
}

#[test]
fn what_a_result_claims_is_checked() {
    let out = lower(
        r#"
func.func @main(%c: tensor<i1>, %x: tensor<[N]xf32>, %y: tensor<[M]xf32>) -> tensor<[N]xf32> {
  %r = "graph.if"(%c) ({
    "graph.yield"(%x) : (tensor<[N]xf32>) -> ()
  }, {
    "graph.yield"(%y) : (tensor<[M]xf32>) -> ()
  }) : (tensor<i1>) -> tensor<[N]xf32>
  func.return %r : tensor<[N]xf32>
}"#,
    );
    check(&out, "dyn.check %r, \"result `r`\" : memref<[N]xf32>");
}

#[test]
fn loops_and_sizes() {
    let out = lower(
        r#"
func.func @main(%n: tensor<i64>, %x: tensor<[N]xf32>) -> (tensor<[K]xf32>, tensor<[T]x1xi64>) {
  %r, %s = "graph.loop"(%n, %x) ({
  ^bb(%i: tensor<i64>, %h: tensor<[K]xf32>):
    %size = "graph.index"() {exprs = [#sym.expr<"K + I">]} : () -> tensor<1xi64>
    "graph.bind"(%size) {symbols = ["L"]} : (tensor<1xi64>) -> ()
    "graph.guard"() {kind = "le", lhs = #sym.expr<"L">, rhs = 100 : i64, message = "too long"} : () -> ()
    "graph.yield"(%h, %size) : (tensor<[K]xf32>, tensor<1xi64>) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>, iv = "I"} : (tensor<i64>, tensor<[N]xf32>) -> (tensor<[K]xf32>, tensor<[T]x1xi64>)
  func.return %r, %s : tensor<[K]xf32>, tensor<[T]x1xi64>
}"#,
    );
    check(
        &out,
        r#"dyn.loop %i = "I" trip(%n : memref<i64>) carry(%h = %x : memref<[N]xf32> to memref<[K]xf32>) -> (memref<[K]xf32>, memref<[T]x1xi64>)
           dyn.kill %i
           dyn.index [I + K] outs(%size)
           dyn.bind %size
           dyn.guard le L, 100, "too long"
           dyn.yield %h, %size
           dyn.kill %n, %x"#,
    );
}

#[test]
fn the_runtime_is_asked_for_the_rest() {
    let out = lower(
        r#"
func.func @main(%x: tensor<[N]xf32>) -> (tensor<2xf32>, tensor<1x[Z]xi64>) {
  %v, %i = "graph.topk"(%x) {axis = 0 : i64, k = 2 : i64} : (tensor<[N]xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  %z = "graph.nonzero"(%x) {size = [#sym.expr<"Z">]} : (tensor<[N]xf32>) -> tensor<1x[Z]xi64>
  func.return %v, %z : tensor<2xf32>, tensor<1x[Z]xi64>
}"#,
    );
    check(
        &out,
        r#"%v, %i = dyn.runtime "topk"(%x) {config = {axis = 0 : i64, k = 2 : i64}}
           dyn.kill %i
           %z = dyn.runtime "nonzero"(%x)"#,
    );
}

#[test]
fn what_cannot_be_is_reported() {
    let ctx = context();
    let mut module = parse(
        &ctx,
        r#"
func.func @main(%x: tensor<?xf32>) -> tensor<?xf32> {
  %y = "graph.exp"(%x) : (tensor<?xf32>) -> tensor<?xf32>
  %z = "graph.shape_of"(%y) : (tensor<?xf32>) -> tensor<1xi64>
  func.return %y : tensor<?xf32>
}"#,
    );
    let (done, found) = graph_to_dyn(&ctx, &mut module);
    assert_eq!(done.functions, 0);
    let messages: Vec<&str> = found.iter().map(|d| d.message.as_str()).collect();
    assert_eq!(
        messages,
        ["`graph.exp` cannot stand in a host program", "the shape has a dimension that is not known as an expression"]
    );
}
