//! Modules through all levels: compiled programs give what the interpreter gives.

use nim_compiler::{DIALECTS, Options, compile};
use nim_ir::{Context, Module};
use nim_tensor::{DType, Tensor, Tolerance, Value, compare};
use nim_text::{ParseOptions, parse_module, render_all};
use nim_vm::{Program, Session};

fn parse(ctx: &Context, text: &str) -> Module {
    let source = ctx.add_source("test.nir", text);
    let (module, found) = parse_module(ctx, source, &ParseOptions::default());
    assert!(found.is_empty(), "{}", render_all(ctx, &found, &Default::default()));
    module
}

fn program(text: &str, options: &Options) -> Program {
    let ctx = Context::new(DIALECTS);
    let mut module = parse(&ctx, text);
    match compile(&ctx, &mut module, options) {
        // Through a file's bytes, as programs travel.
        Ok(compiled) => Program::from_bytes(compiled.program.to_bytes()).unwrap(),
        Err(found) => panic!("{}", render_all(&ctx, &found, &Default::default())),
    }
}

fn interpret(text: &str, inputs: &[Value]) -> Vec<Value> {
    let ctx = Context::new(DIALECTS);
    let module = parse(&ctx, text);
    match nim_interp::exec::run(&ctx, &module, "main", inputs) {
        Ok(values) => values,
        Err(found) => panic!("{}", render_all(&ctx, &[found], &Default::default())),
    }
}

/// Compiles in several ways and compares with the interpreter on each list of inputs.
#[track_caller]
pub(super) fn agree(text: &str, cases: &[Vec<Value>]) {
    let normal = Options { threads: 1, ..Options::default() };
    let variants = [
        normal.clone(),
        Options { fuse: false, plan: false, ..normal.clone() },
        Options { naive: true, fuse: false, strict: true, ..normal },
    ];
    for options in variants {
        let program = program(text, &options);
        let session = |threads| {
            Session::new(&program, nim_vm::Options { threads, parallel_work: 0, ..nim_vm::Options::default() })
        };
        for mut session in [session(1), session(2)] {
            // Shapes that come again are replayed from what the second run writes down.
            for inputs in cases.iter().cycle().take(3 * cases.len()) {
                let expected = interpret(text, inputs);
                let found = session.run(inputs).unwrap_or_else(|e| panic!("{e}\n{}", program.disassemble()));
                assert_eq!(found.len(), expected.len());
                for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let result = compare(found, expected, &Tolerance { rtol: 1e-5, atol: 1e-6, scaled_atol: 0.0 });
                    assert!(
                        result.passed(),
                        "result {i}: {:?}\nfound {:?}\nexpected {:?}\n{}",
                        result.first,
                        found.as_tensor().map(elements),
                        expected.as_tensor().map(elements),
                        program.disassemble()
                    );
                }
            }
            assert_eq!(session.stats().memory.in_use, 0, "memory is kept");
        }
    }
}

fn elements(tensor: &Tensor) -> (Vec<usize>, Vec<f64>) {
    let size = tensor.dtype().size();
    let values = tensor.bytes().chunks_exact(size).take(20).map(|b| nim_tensor::f64_of(tensor.dtype(), b));
    (tensor.dims().to_vec(), values.collect())
}

/// Small numbers of both signs that differ from each other.
fn floats(dims: &[usize], seed: u64) -> Value {
    let draws = nim_vm::runtime::Draws { seed };
    let count = dims.iter().product::<usize>() as u64;
    Tensor::new(dims, (0..count).map(|i| (draws.unit(i) * 4.0 - 2.0) as f32).collect()).into()
}

fn int(value: i64) -> Value {
    Tensor::scalar(value).into()
}

fn flag(value: bool) -> Value {
    Tensor::bools(&[], vec![value]).into()
}

#[test]
fn a_layer() {
    let text = r#"
func.func @main(%x: tensor<[N]x37xf32>, %w: tensor<37x65xf32>, %b: tensor<65xf32>) -> tensor<[N]x65xf32> {
  %h = "graph.matmul"(%x, %w) : (tensor<[N]x37xf32>, tensor<37x65xf32>) -> tensor<[N]x65xf32>
  %z = "graph.add"(%h, %b) : (tensor<[N]x65xf32>, tensor<65xf32>) -> tensor<[N]x65xf32>
  %y = "graph.relu"(%z) : (tensor<[N]x65xf32>) -> tensor<[N]x65xf32>
  func.return %y : tensor<[N]x65xf32>
}"#;
    let case = |n| vec![floats(&[n, 37], 1), floats(&[37, 65], 2), floats(&[65], 3)];
    agree(text, &[case(1), case(16), case(33), case(0)]);
}

#[test]
fn constants_and_views() {
    let text = r#"
func.func @main(%x: tensor<[N]x3xf32>) -> (tensor<3x[N]xf32>, tensor<[3*N]xf32>, tensor<2xi64>, tensor<2x2xf32>) {
  %w = "graph.constant"() {value = dense<[1.0, 2.0, 4.0]> : tensor<3xf32>} : () -> tensor<3xf32>
  %c = "graph.constant"() {value = dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>} : () -> tensor<2x2xf32>
  %s = "graph.mul"(%x, %w) : (tensor<[N]x3xf32>, tensor<3xf32>) -> tensor<[N]x3xf32>
  %t = "graph.transpose"(%s) {perm = array<i64: 1, 0>} : (tensor<[N]x3xf32>) -> tensor<3x[N]xf32>
  %r = "graph.reshape"(%s) {shape = [#sym.expr<"3*N">]} : (tensor<[N]x3xf32>) -> tensor<[3*N]xf32>
  %i = "graph.index"() {exprs = [#sym.expr<"N">, #sym.expr<"N*N">]} : () -> tensor<2xi64>
  func.return %t, %r, %i, %c : tensor<3x[N]xf32>, tensor<[3*N]xf32>, tensor<2xi64>, tensor<2x2xf32>
}"#;
    agree(text, &[vec![floats(&[4, 3], 1)], vec![floats(&[1, 3], 2)]]);
}

#[test]
fn branches() {
    let text = r#"
func.func @main(%c: tensor<i1>, %x: tensor<[N]xf32>) -> (tensor<[K]xf32>, tensor<[N]xf32>) {
  %e = "graph.exp"(%x) : (tensor<[N]xf32>) -> tensor<[N]xf32>
  %a, %b = "graph.if"(%c) ({
    %n = "graph.neg"(%x) : (tensor<[N]xf32>) -> tensor<[N]xf32>
    %d = "graph.concat"(%n, %e) {axis = 0 : i64} : (tensor<[N]xf32>, tensor<[N]xf32>) -> tensor<[2*N]xf32>
    "graph.yield"(%d, %n) : (tensor<[2*N]xf32>, tensor<[N]xf32>) -> ()
  }, {
    "graph.yield"(%x, %e) : (tensor<[N]xf32>, tensor<[N]xf32>) -> ()
  }) : (tensor<i1>) -> (tensor<[K]xf32>, tensor<[N]xf32>)
  %s = "graph.sqrt"(%a) : (tensor<[K]xf32>) -> tensor<[K]xf32>
  func.return %s, %b : tensor<[K]xf32>, tensor<[N]xf32>
}"#;
    agree(text, &[vec![flag(true), floats(&[5], 1)], vec![flag(false), floats(&[3], 2)]]);
}

#[test]
fn loops_with_state_and_stacks() {
    let text = r#"
func.func @main(%n: tensor<i64>, %x: tensor<[N]xf32>, %y: tensor<[N]xf32>)
    -> (tensor<[N]xf32>, tensor<[N]xf32>, tensor<[T]x[N]xf32>) {
  %a, %b, %s = "graph.loop"(%n, %x, %y) ({
  ^bb(%i: tensor<i64>, %u: tensor<[N]xf32>, %v: tensor<[N]xf32>):
    %f = "graph.cast"(%i) {to = f32} : (tensor<i64>) -> tensor<f32>
    %w = "graph.add"(%u, %f) : (tensor<[N]xf32>, tensor<f32>) -> tensor<[N]xf32>
    %m = "graph.mul"(%w, %v) : (tensor<[N]xf32>, tensor<[N]xf32>) -> tensor<[N]xf32>
    "graph.yield"(%v, %w, %m) : (tensor<[N]xf32>, tensor<[N]xf32>, tensor<[N]xf32>) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 2>}
    : (tensor<i64>, tensor<[N]xf32>, tensor<[N]xf32>) -> (tensor<[N]xf32>, tensor<[N]xf32>, tensor<[T]x[N]xf32>)
  func.return %a, %b, %s : tensor<[N]xf32>, tensor<[N]xf32>, tensor<[T]x[N]xf32>
}"#;
    let case = |trip, n| vec![int(trip), floats(&[n], 1), floats(&[n], 2)];
    agree(text, &[case(0, 3), case(1, 3), case(4, 2), case(7, 1)]);
}

#[test]
fn loops_that_swap_their_state() {
    let text = r#"
func.func @main(%n: tensor<i64>, %x: tensor<2xf32>, %y: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %a, %b = "graph.loop"(%n, %x, %y) ({
  ^bb(%i: tensor<i64>, %u: tensor<2xf32>, %v: tensor<2xf32>):
    "graph.yield"(%v, %u) : (tensor<2xf32>, tensor<2xf32>) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 2>}
    : (tensor<i64>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>)
  func.return %a, %b : tensor<2xf32>, tensor<2xf32>
}"#;
    let case = |trip| vec![int(trip), floats(&[2], 1), floats(&[2], 2)];
    agree(text, &[case(0), case(1), case(2)]);
}

#[test]
fn loops_end_when_data_say_so_and_state_may_grow() {
    let text = r#"
func.func @main(%x: tensor<[N]xf32>, %limit: tensor<f32>) -> (tensor<[M]xf32>, tensor<[T]xf32>) {
  %true = "graph.constant"() {value = dense<true> : tensor<i1>} : () -> tensor<i1>
  %r, %s = "graph.loop"(%true, %x) ({
  ^bb(%i: tensor<i64>, %u: tensor<[K]xf32>):
    %d = "graph.concat"(%u, %u) {axis = 0 : i64} : (tensor<[K]xf32>, tensor<[K]xf32>) -> tensor<[2*K]xf32>
    %sum = "graph.reduce"(%d) {kind = "sum", axes = array<i64: 0>, keepdims = false} : (tensor<[2*K]xf32>) -> tensor<f32>
    %go = "graph.compare"(%sum, %limit) {predicate = "lt"} : (tensor<f32>, tensor<f32>) -> tensor<i1>
    "graph.yield"(%go, %d, %sum) : (tensor<i1>, tensor<[2*K]xf32>, tensor<f32>) -> ()
  }) {operandSegmentSizes = array<i32: 0, 1, 1>, has_condition = true}
    : (tensor<i1>, tensor<[N]xf32>) -> (tensor<[M]xf32>, tensor<[T]xf32>)
  func.return %r, %s : tensor<[M]xf32>, tensor<[T]xf32>
}"#;
    let x: Value = Tensor::new(&[3], vec![1f32, 2.0, 3.0]).into();
    let limit = |v: f32| -> Value { Tensor::scalar(v).into() };
    agree(text, &[vec![x.clone(), limit(0.0)], vec![x, limit(100.0)]]);
}

#[test]
fn sizes_from_data() {
    let text = r#"
func.func @main(%x: tensor<[N]x[M]xf32>, %n: tensor<1xi64>) -> (tensor<2x[Z]xi64>, tensor<[K]xf32>, tensor<[N]x2xf32>, tensor<[N]x2xi64>) {
  "graph.bind"(%n) {symbols = ["K"]} : (tensor<1xi64>) -> ()
  "graph.guard"() {kind = "le", lhs = #sym.expr<"K">, rhs = #sym.expr<"N*M">, message = "K elements of x"} : () -> ()
  %r = "graph.relu"(%x) : (tensor<[N]x[M]xf32>) -> tensor<[N]x[M]xf32>
  %z = "graph.nonzero"(%r) {size = [#sym.expr<"Z">]} : (tensor<[N]x[M]xf32>) -> tensor<2x[Z]xi64>
  %zz = "graph.add"(%z, %z) : (tensor<2x[Z]xi64>, tensor<2x[Z]xi64>) -> tensor<2x[Z]xi64>
  %f = "graph.reshape"(%r) {shape = [#sym.expr<"N*M">]} : (tensor<[N]x[M]xf32>) -> tensor<[N*M]xf32>
  %k = "graph.slice"(%f) {starts = [0 : i64], steps = [1 : i64], sizes = [#sym.expr<"K">]} : (tensor<[N*M]xf32>) -> tensor<[K]xf32>
  %v, %i = "graph.topk"(%x) {axis = 1 : i64, k = 2 : i64} : (tensor<[N]x[M]xf32>) -> (tensor<[N]x2xf32>, tensor<[N]x2xi64>)
  func.return %zz, %k, %v, %i : tensor<2x[Z]xi64>, tensor<[K]xf32>, tensor<[N]x2xf32>, tensor<[N]x2xi64>
}"#;
    let case = |n, m, k: i64| vec![floats(&[n, m], 5), Tensor::new(&[1], vec![k]).into()];
    agree(text, &[case(2, 3, 4), case(1, 2, 0), case(5, 7, 35)]);
    let program = program(text, &Options::default());
    let error = Session::new(&program, nim_vm::Options::default()).run(&case(2, 3, 7)).unwrap_err();
    assert!(error.to_string().starts_with("K elements of x: K = 7 must not be greater than M*N = 6"), "{error}");
}

#[test]
fn random_numbers_depend_on_the_seed_alone() {
    let text = r#"
func.func @main() -> (tensor<100xf32>, tensor<100xf32>) {
  %a = "graph.random"() {kind = "uniform", shape = [100 : i64], type = f32, a = 1.0 : f32, b = 3.0 : f32, seed = 7.0 : f32} : () -> tensor<100xf32>
  %b = "graph.random"() {kind = "normal", shape = [100 : i64], type = f32, a = 0.0 : f32, b = 1.0 : f32} : () -> tensor<100xf32>
  func.return %a, %b : tensor<100xf32>, tensor<100xf32>
}"#;
    let program = program(text, &Options::default());
    let mut session = Session::new(&program, nim_vm::Options::default());
    let (first, second) = (session.run(&[]).unwrap(), session.run(&[]).unwrap());
    assert_eq!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
    let values = first[0].as_tensor().unwrap();
    assert_eq!(values.dtype(), DType::F32);
    assert!(values.elements::<f32>().iter().all(|v| (1.0..3.0).contains(v)));
}

#[test]
fn wrong_shapes_are_refused_in_the_words_of_the_model() {
    let text = r#"
func.func @main(%x: tensor<[N]x4xf32>, %y: tensor<[2*N]xf32>, %z: tensor<[3*M + 1]xf32>) -> tensor<[M]xi64> {
  %i = "graph.iota"() {shape = [#sym.expr<"M">], axis = 0 : i64, type = i64} : () -> tensor<[M]xi64>
  func.return %i : tensor<[M]xi64>
}"#;
    let program = program(text, &Options::default());
    let mut session = Session::new(&program, nim_vm::Options::default());
    let mut run = |n: usize, four, y, z| {
        session.run(&[floats(&[n, four], 1), floats(&[y], 1), floats(&[z], 1)]).map_err(|e| e.to_string())
    };
    assert_eq!(run(3, 4, 6, 7).unwrap(), [Tensor::new(&[2], vec![0i64, 1]).into()]);
    assert_eq!(run(3, 5, 6, 7).unwrap_err(), "dimension 1 of input `x` is 5, it must be 4; the shape is [3, 5]");
    assert_eq!(
        run(3, 4, 7, 7).unwrap_err(),
        "dimension 0 of input `y` is 7, it must be 2*N = 6, where N = 3 is dimension 0 of input `x`; the shape is [7]"
    );
    assert_eq!(
        run(3, 4, 6, 8).unwrap_err(),
        "dimension 0 of input `z` is 8, it must be 3*M + 1 = 7, where M = 2; the shape is [8]"
    );
}
