//! The same numbers at every level: programs written by hand.

use nim_interp::exec::run;
use nim_ir::{Context, Module, verifier::verify_module};
use nim_tensor::{Tensor, Value};
use nim_text::{ParseOptions, parse_module};

fn module(text: &str) -> (Context, Module) {
    let mut dialects = nim_builtin::DIALECTS.to_vec();
    dialects.extend([&nim_graph::GRAPH, &nim_dataflow::DATAFLOW, &nim_loops::LOOPS, &nim_dyn::DYN]);
    let ctx = Context::new(&dialects);
    let source = ctx.add_source("test", text);
    let (module, mut found) = parse_module(&ctx, source, &ParseOptions::default());
    found.extend(verify_module(&ctx, &module));
    assert!(found.is_empty(), "{}", nim_text::render_all(&ctx, &found, &Default::default()));
    (ctx, module)
}

#[track_caller]
fn outputs(text: &str, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let (ctx, module) = module(text);
    let inputs: Vec<Value> = inputs.iter().cloned().map(Value::Tensor).collect();
    let results = run(&ctx, &module, "main", &inputs).map_err(|d| d.message)?;
    Ok(results.into_iter().map(|v| v.as_tensor().unwrap().clone()).collect())
}

const ROW_SUMS: &str = r#"
loops.kernel @sums(%x: memref<[N]x3xf32>, %y: memref<[N]xf32>) attributes {outputs = 1, symbols = ["N"]} {
  loops.for $0 = 0 to N parallel {
    %zero = arith.constant 0.0 : f32
    %acc = loops.local register : memref<1xf32>
    loops.store %zero, %acc[0] : memref<1xf32>
    loops.for $1 = 0 to 4 step 2 {
      loops.for $2 = 0 to 2 unroll {
        loops.if [2 - $1 - $2] {
          %v = loops.load %x[$0, $1 + $2] : memref<[N]x3xf32>
          %old = loops.load %acc[0] : memref<1xf32>
          %new = arith.addf %old, %v : f32
          loops.store %new, %acc[0] : memref<1xf32>
          loops.yield
        }
        loops.yield
      }
      loops.yield
    }
    %sum = loops.load %acc[0] : memref<1xf32>
    loops.store %sum, %y[$0] : memref<[N]xf32>
    loops.yield
  }
  loops.yield
}
"#;

fn rows() -> Tensor {
    Tensor::new(&[2, 3], vec![1f32, 2.0, 3.0, 4.0, 5.0, 6.0])
}

#[test]
fn loops_called_from_tensors() {
    let text = format!(
        "{ROW_SUMS}
func.func @main(%x: tensor<[N]x3xf32>) -> tensor<[N]xf32> {{
  %y = dataflow.invoke @sums(%x) : (tensor<[N]x3xf32>) -> tensor<[N]xf32>
  return %y : tensor<[N]xf32>
}}"
    );
    assert_eq!(outputs(&text, &[rows()]).unwrap(), [Tensor::new(&[2], vec![6f32, 15.0])]);
}

#[test]
fn loops_called_from_buffers() {
    let text = format!(
        "{ROW_SUMS}
func.func @main(%x: memref<[M]x3xf32>) -> memref<[M]x1xf32> {{
  dyn.check %x, \"input `x`\" : memref<[M]x3xf32>
  %s = dyn.alloc 4*M + 64
  %y = dyn.view %s[64] : memref<[M]xf32>
  dyn.invoke @sums(%x) outs(%y) {{symbols = [#sym.expr<\"M\">]}} : memref<[M]x3xf32>, memref<[M]xf32>
  dyn.kill %x, %s : memref<[M]x3xf32>, !dyn.storage
  %z = dyn.reshape %y : memref<[M]xf32> to memref<[M]x1xf32>
  return %z : memref<[M]x1xf32>
}}"
    );
    assert_eq!(outputs(&text, &[rows()]).unwrap(), [Tensor::new(&[2, 1], vec![6f32, 15.0])]);
}

#[test]
fn what_was_given_up_is_gone() {
    let text = "
func.func @main(%x: memref<2xf32>) -> memref<2xf32> {
  dyn.kill %x : memref<2xf32>
  return %x : memref<2xf32>
}";
    let error = outputs(text, &[Tensor::new(&[2], vec![0f32; 2])]).unwrap_err();
    assert_eq!(error, "an operand has no value");
}

#[test]
fn memory_is_not_overstepped_and_starts_without_meaning() {
    let text = |offset: i64| {
        format!(
            "
func.func @main() -> memref<2xf32> {{
  %s = dyn.alloc 16
  %y = dyn.view %s[{offset}] : memref<2xf32>
  return %y : memref<2xf32>
}}"
        )
    };
    let fresh = outputs(&text(8), &[]).unwrap();
    assert!(fresh[0].elements::<f32>().iter().all(|x| x.is_nan()));
    let error = outputs(&text(12), &[]).unwrap_err();
    assert_eq!(error, "8 bytes at this place do not lie in 16 bytes of memory");
}

#[test]
fn sizes_and_loops_of_the_host() {
    let text = r#"
func.func @main(%n: memref<i64>, %x: memref<[K]xf32>) -> (memref<[K]xf32>, memref<[T]x[K]xf32>, memref<2xi64>) {
  dyn.bind %n ["T"] : memref<i64>
  %s = dyn.alloc 16
  %sizes = dyn.view %s[0] : memref<2xi64>
  dyn.index [T, 2*K + 1] outs(%sizes) : memref<2xi64>
  %last, %all = dyn.loop %i trip(%n : memref<i64>) carry(%h = %x : memref<[K]xf32>) -> (memref<[K]xf32>, memref<[T]x[K]xf32>) {
    %t = dyn.alloc 4*K
    %twice = dyn.view %t[0] : memref<[K]xf32>
    dyn.invoke @double(%h) outs(%twice) : memref<[K]xf32>, memref<[K]xf32>
    dyn.yield %twice, %h : memref<[K]xf32>, memref<[K]xf32>
  }
  return %last, %all, %sizes : memref<[K]xf32>, memref<[T]x[K]xf32>, memref<2xi64>
}
loops.kernel @double(%x: memref<[K]xf32>, %y: memref<[K]xf32>) attributes {outputs = 1, symbols = ["K"]} {
  loops.for $0 = 0 to K vector {
    %v = loops.load %x[$0] : memref<[K]xf32>
    %w = arith.addf %v, %v : f32
    loops.store %w, %y[$0] : memref<[K]xf32>
    loops.yield
  }
  loops.yield
}
"#;
    let inputs = [Tensor::scalar(3i64), Tensor::new(&[2], vec![1f32, 10.0])];
    let found = outputs(text, &inputs).unwrap();
    assert_eq!(found[0], Tensor::new(&[2], vec![8f32, 80.0]));
    assert_eq!(found[1], Tensor::new(&[3, 2], vec![1f32, 10.0, 2.0, 20.0, 4.0, 40.0]));
    assert_eq!(found[2], Tensor::new(&[2], vec![3i64, 5]));
}

#[test]
fn the_runtime_library_is_there() {
    let text = r#"
func.func @main(%x: memref<4xf32>) -> (memref<2xf32>, memref<2xi64>) {
  %v, %i = dyn.runtime "topk"(%x) {config = {axis = 0, k = #sym.expr<"2">, largest = true, sorted = true}}
           : (memref<4xf32>) -> (memref<2xf32>, memref<2xi64>)
  return %v, %i : memref<2xf32>, memref<2xi64>
}
"#;
    let found = outputs(text, &[Tensor::new(&[4], vec![1f32, 4.0, 2.0, 3.0])]).unwrap();
    assert_eq!(found, [Tensor::new(&[2], vec![4f32, 3.0]), Tensor::new(&[2], vec![1i64, 3])]);
}
