//! Many threads run one program at the same time with changing shapes: the results are those of one thread.

use nim_compiler::{DIALECTS, Options, compile};
use nim_ir::Context;
use nim_tensor::{Tensor, Value};
use nim_text::{ParseOptions, parse_module, render_all};
use nim_vm::{Program, Session};

/// Attention over S positions, a loop over them, and as many positions as are positive: kernels, an arena whose places depend on the
/// shapes, control flow, and a function of the runtime whose result has a size of its own.
pub const TEXT: &str = r#"
func.func @main(%x: tensor<[S]x8xf32>) -> (tensor<[S]x8xf32>, tensor<1x8xf32>, tensor<2x[P]xi64>) {
  %t = graph.transpose %x {perm = [1, 0]} : (tensor<[S]x8xf32>) -> tensor<8x[S]xf32>
  %s = graph.matmul %x, %t : (tensor<[S]x8xf32>, tensor<8x[S]xf32>) -> tensor<[S]x[S]xf32>
  %e = graph.tanh %s : (tensor<[S]x[S]xf32>) -> tensor<[S]x[S]xf32>
  %y = graph.matmul %e, %x : (tensor<[S]x[S]xf32>, tensor<[S]x8xf32>) -> tensor<[S]x8xf32>
  %n = graph.index {exprs = [#sym.expr<"S">], scalar = true} : () -> tensor<i64>
  %z = graph.constant {value = dense<0.0> : tensor<1x8xf32>} : () -> tensor<1x8xf32>
  %h = "graph.loop"(%n, %z) ({
  ^bb0(%i: tensor<i64>, %a: tensor<1x8xf32>):
    %r = graph.slice %y {sizes = [1, 8], starts = [#sym.expr<"I">, 0], steps = [1, 1]} : (tensor<[S]x8xf32>) -> tensor<1x8xf32>
    %b = graph.add %a, %r : (tensor<1x8xf32>, tensor<1x8xf32>) -> tensor<1x8xf32>
    %c = graph.tanh %b : (tensor<1x8xf32>) -> tensor<1x8xf32>
    "graph.yield"(%c) : (tensor<1x8xf32>) -> ()
  }) {iv = "I", operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<i64>, tensor<1x8xf32>) -> tensor<1x8xf32>
  %zero = graph.constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %g = graph.compare %y, %zero {predicate = "gt"} : (tensor<[S]x8xf32>, tensor<f32>) -> tensor<[S]x8xi1>
  %p = graph.nonzero %g {size = ["P"]} : (tensor<[S]x8xi1>) -> tensor<2x[P]xi64>
  return %y, %h, %p : tensor<[S]x8xf32>, tensor<1x8xf32>, tensor<2x[P]xi64>
}
"#;

/// A random input: some lengths come again, others do not.
fn input(state: &mut u64) -> Vec<Value> {
    let mut next = |most: u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % most
    };
    let length = 1 + next(30) as usize;
    let elements = (0..8 * length).map(|_| next(2001) as f32 / 1000.0 - 1.0).collect();
    vec![Tensor::new(&[length, 8], elements).into()]
}

/// What runs of a session give, as numbers to compare: bits of all results, summed up.
fn sums(program: &Program, thread: u64, calls: usize) -> Vec<u64> {
    let mut session = Session::new(program, nim_vm::Options { threads: 1, ..nim_vm::Options::default() });
    let mut state = 1000 + thread;
    let sum = |values: Vec<Value>| {
        let bytes = values.iter().filter_map(Value::as_tensor).flat_map(|t| t.bytes().to_vec());
        bytes.fold(values.len() as u64, |sum, byte| sum.wrapping_mul(0x100_0000_01b3) ^ u64::from(byte))
    };
    (0..calls).map(|_| sum(session.run(&input(&mut state)).expect("it runs"))).collect()
}

/// `NIM_CALLS=10000` does as many in each thread.
#[test]
fn threads_give_what_one_gives() {
    let calls = std::env::var("NIM_CALLS").ok().and_then(|n| n.parse().ok()).unwrap_or(500);
    let ctx = Context::new(DIALECTS);
    let source = ctx.add_source("test.nir", TEXT);
    let (mut module, found) = parse_module(&ctx, source, &ParseOptions::default());
    assert!(found.is_empty(), "{}", render_all(&ctx, &found, &Default::default()));
    let compiled = compile(&ctx, &mut module, &Options::default());
    let compiled = compiled.unwrap_or_else(|found| panic!("{}", render_all(&ctx, &found, &Default::default())));
    let program = compiled.program.into_program().unwrap();
    let serial: Vec<Vec<u64>> = (0..8).map(|thread| sums(&program, thread, calls)).collect();
    let parallel: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                scope.spawn({
                    let program = &program;
                    move || sums(program, thread, calls)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(serial == parallel, "threads disturb each other");
}
