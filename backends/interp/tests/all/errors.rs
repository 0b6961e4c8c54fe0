//! What cannot be run says so: with a code, never with a panic.

use nim_interp::exec::run;
use nim_ir::Context;
use nim_tensor::{Tensor, Value};
use nim_text::{ParseOptions, parse_module};

/// The code of the error that running a function gives.
fn code(text: &str, function: &str, inputs: &[Value]) -> Option<&'static str> {
    let mut dialects = nim_builtin::DIALECTS.to_vec();
    dialects.extend([&nim_graph::GRAPH, &nim_dataflow::DATAFLOW, &nim_loops::LOOPS, &nim_dyn::DYN]);
    let ctx = Context::new(&dialects);
    let source = ctx.add_source("test.nir", text);
    let (module, found) = parse_module(&ctx, source, &ParseOptions::default());
    assert!(found.is_empty(), "{text}: {found:?}");
    run(&ctx, &module, function, inputs).err().map(|found| found.code)
}

fn ones(dims: &[usize]) -> Value {
    Tensor::new(dims, vec![1.0_f32; dims.iter().product()]).into()
}

#[test]
fn functions_and_inputs() {
    let text = "
func.func private @declared(tensor<[N]xf32>) -> tensor<[N]xf32>
func.func @same(%x: tensor<[N]xf32>, %y: tensor<[N]xf32>) -> tensor<[N]xf32> {
  return %x : tensor<[N]xf32>
}
func.func @again(%x: tensor<[N]xf32>) -> tensor<[N]xf32> {
  %y = func.call @again(%x) : (tensor<[N]xf32>) -> tensor<[N]xf32>
  return %y : tensor<[N]xf32>
}";
    assert_eq!(code(text, "nowhere", &[]), Some("N0761"));
    assert_eq!(code(text, "declared", &[ones(&[2])]), Some("N0762"));
    assert_eq!(code(text, "same", &[ones(&[2])]), Some("N0762"));
    // one name, two sizes
    assert_eq!(code(text, "same", &[ones(&[2]), ones(&[3])]), Some("N0763"));
    assert_eq!(code(text, "same", &[ones(&[2]), ones(&[2])]), None);
}

#[test]
fn conditions_that_do_not_hold() {
    let text = "
func.func @guarded(%x: tensor<[N]xf32>) -> tensor<[N]xf32> {
  graph.guard {kind = \"eq\", lhs = N, message = \"three\", rhs = 3}
  return %x : tensor<[N]xf32>
}";
    assert_eq!(code(text, "guarded", &[ones(&[3])]), None);
    assert_eq!(code(text, "guarded", &[ones(&[4])]), Some("N0764"));
}

#[test]
fn reads_outside_of_a_buffer() {
    let text = "
loops.kernel @k(%x: memref<[N]xf32>, %y: memref<[N]xf32>) attributes {outputs = 1 : i64, symbols = [\"N\"]} {
  %v = loops.load %x[N + 7] : memref<[N]xf32>
  loops.store %v, %y[0] : memref<[N]xf32>
  loops.yield
}
func.func @main(%x: memref<[N]xf32>) -> memref<[N]xf32> {
  %s = dyn.alloc 4*N
  %y = dyn.view %s[0] : memref<[N]xf32>
  dyn.invoke @k(%x) outs(%y) : memref<[N]xf32>, memref<[N]xf32>
  return %y : memref<[N]xf32>
}";
    assert_eq!(code(text, "main", &[ones(&[2])]), Some("N0765"));
}
