//! What shares memory and what does not.

use nim_dyn_passes::{graph_to_dyn, plan_memory};
use nim_ir::{Context, Module, verifier::verify_module};
use nim_text::{ParseOptions, PrintOptions, parse_module, print_module, render_all};

const KERNEL: &str = r#"
dataflow.kernel @k(%x: tensor<[N]xf32>) -> tensor<[N]xf32> attributes {symbols = ["N"]} {
  dataflow.return %x : tensor<[N]xf32>
}
dataflow.kernel @c(%x: tensor<100xf32>) -> tensor<100xf32> {
  dataflow.return %x : tensor<100xf32>
}
"#;

fn plan(text: &str) -> (String, usize) {
    let ctx = Context::new(&[
        &nim_builtin::func::FUNC,
        &nim_graph::GRAPH,
        &nim_dataflow::DATAFLOW,
        &nim_loops::LOOPS,
        &nim_dyn::DYN,
    ]);
    let source = ctx.add_source("test.nir", format!("{KERNEL}{text}"));
    let (mut module, found) = parse_module(&ctx, source, &ParseOptions::default());
    assert!(found.is_empty(), "{}", render_all(&ctx, &found, &Default::default()));
    let (_, found) = graph_to_dyn(&ctx, &mut module);
    assert!(found.is_empty(), "{}", render_all(&ctx, &found, &Default::default()));
    let buffers = in_main(&ctx, &mut module);
    let found = verify_module(&ctx, &module);
    assert!(found.is_empty(), "{}", render_all(&ctx, &found, &Default::default()));
    (print_module(&ctx, &module, &PrintOptions::default()), buffers)
}

fn in_main(ctx: &Context, module: &mut Module) -> usize {
    plan_memory(ctx, module).iter().map(|(_, planned)| planned.buffers).sum()
}

#[track_caller]
fn check(out: &str, expected: &[&str]) {
    let mut rest = out;
    for line in expected {
        let at = rest.find(line).unwrap_or_else(|| panic!("`{line}` does not follow in\n{out}"));
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn a_chain_needs_two_places_and_its_result_one_of_its_own() {
    let (out, buffers) = plan(
        r#"
func.func @main(%x: tensor<[N]xf32>) -> tensor<[N]xf32> {
  %a = dataflow.invoke @k(%x) : (tensor<[N]xf32>) -> tensor<[N]xf32>
  %b = dataflow.invoke @k(%a) : (tensor<[N]xf32>) -> tensor<[N]xf32>
  %c = dataflow.invoke @k(%b) : (tensor<[N]xf32>) -> tensor<[N]xf32>
  %d = dataflow.invoke @k(%c) : (tensor<[N]xf32>) -> tensor<[N]xf32>
  func.return %d : tensor<[N]xf32>
}"#,
    );
    assert_eq!(buffers, 3);
    check(
        &out,
        &[
            "%arena = dyn.arena [at0 = 4*N, at1 = 4*N apart 0, at2 = 4*N apart 1]",
            "%a = dyn.view %arena[at0]",
            "%b = dyn.view %arena[at1]",
            "%c = dyn.view %arena[at2]",
            "dyn.alloc 4*N",
            "%d = dyn.view",
        ],
    );
}

#[test]
fn numbers_give_numbers() {
    let (out, buffers) = plan(
        r#"
func.func @main(%x: tensor<100xf32>) -> tensor<10x10xf32> {
  %a = dataflow.invoke @c(%x) : (tensor<100xf32>) -> tensor<100xf32>
  %r = graph.reshape %a {shape = [100 : i64]} : (tensor<100xf32>) -> tensor<100xf32>
  %b = dataflow.invoke @c(%x) : (tensor<100xf32>) -> tensor<100xf32>
  %c = dataflow.invoke @c(%r) : (tensor<100xf32>) -> tensor<100xf32>
  %d = graph.reshape %c {shape = [10 : i64, 10 : i64]} : (tensor<100xf32>) -> tensor<10x10xf32>
  func.return %d : tensor<10x10xf32>
}"#,
    );
    // The reshape keeps `a` alive while `b` is made.
    assert_eq!(buffers, 2);
    check(&out, &["%arena = dyn.alloc 896", "%a = dyn.view %arena[0]", "%b = dyn.view %arena[448]"]);
}

#[test]
fn branches_share_and_loops_keep_what_they_carry() {
    let (out, buffers) = plan(
        r#"
func.func @main(%p: tensor<i1>, %n: tensor<i64>, %x: tensor<100xf32>) -> tensor<100xf32> {
  %r = "graph.if"(%p) ({
    %a = dataflow.invoke @c(%x) : (tensor<100xf32>) -> tensor<100xf32>
    "graph.yield"(%a) : (tensor<100xf32>) -> ()
  }, {
    %b = dataflow.invoke @c(%x) : (tensor<100xf32>) -> tensor<100xf32>
    "graph.yield"(%b) : (tensor<100xf32>) -> ()
  }) : (tensor<i1>) -> tensor<100xf32>
  %s = "graph.loop"(%n, %x) ({
  ^bb(%i: tensor<i64>, %h: tensor<100xf32>):
    %c = dataflow.invoke @c(%h) : (tensor<100xf32>) -> tensor<100xf32>
    %d = dataflow.invoke @c(%c) : (tensor<100xf32>) -> tensor<100xf32>
    %e = dataflow.invoke @c(%r) : (tensor<100xf32>) -> tensor<100xf32>
    "graph.yield"(%d) : (tensor<100xf32>) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<i64>, tensor<100xf32>) -> tensor<100xf32>
  %f = dataflow.invoke @c(%s) : (tensor<100xf32>) -> tensor<100xf32>
  func.return %f : tensor<100xf32>
}"#,
    );
    // a, b: one place, until the loop ends; c and e: another; d is carried and f is the result.
    assert_eq!(buffers, 4);
    check(
        &out,
        &[
            "%arena = dyn.alloc 896",
            "%a = dyn.view %arena[0]",
            "%b = dyn.view %arena[0]",
            "%c = dyn.view %arena[448]",
            "dyn.alloc 400",
            "%d = ",
            "%e = dyn.view %arena[448]",
            "dyn.alloc 400",
            "%f = ",
        ],
    );
}
