//! Native programs: they give what the same program gives as bytecode, bit by bit, errors included.

use crate::support::{Link, build_with, model, root, run, scratch};
use nim_compiler::{DIALECTS, Options, native};
use nim_ir::Context;
use nim_tensor::{DType, Made, Tensor, Value};
use nim_vm::{Program, Session};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles a model to a native program in `folder`: its shared library.
fn shared(folder: &Path, text: &str, name: &str) -> PathBuf {
    let program = compiled(text, name);
    let mut cc = Command::new("cc");
    let out = folder.join(format!("{name}.so"));
    cc.args(["-shared", "-Wl,-z,noexecstack", "-Wl,-z,defs", "-o"]).arg(&out).args(write(folder, &program)).arg("-lm");
    run(&mut cc);
    out
}

fn compiled(text: &str, name: &str) -> native::NativeProgram {
    let ctx = Context::new(DIALECTS);
    let source = ctx.add_source("model.nir", text);
    let (mut module, found) = nim_text::parse_module(&ctx, source, &nim_text::ParseOptions::default());
    assert!(found.is_empty(), "{}", nim_text::render_all(&ctx, &found, &Default::default()));
    let options = Options { threads: 1, ..Options::default() };
    let program = native::compile_native(&ctx, &mut module, &options, name);
    program.unwrap_or_else(|e| panic!("{}", nim_text::render_all(&ctx, &e, &Default::default())))
}

/// Writes header and objects of a program; the objects' files.
fn write(folder: &Path, program: &native::NativeProgram) -> Vec<PathBuf> {
    std::fs::write(folder.join(format!("{}.h", program.name)), &program.header).expect("the header");
    let object = |(number, object): (usize, &nim_llvm::link::ObjectFile)| {
        let file = folder.join(format!("{}_{number}.o", program.name));
        std::fs::write(&file, &object.bytes).expect("an object");
        file
    };
    program.objects.iter().enumerate().map(object).collect()
}

/// Runs a model both ways with some options on lists of inputs.
fn agree(test: &str, text: &str, options: nim_vm::Options, cases: &[Vec<Value>]) -> Vec<Result<Vec<Value>, String>> {
    let folder = scratch(test);
    let bytecode = Program::load(model(&folder, text)).expect("the program loads");
    let native = Program::load_shared(shared(&folder, text, test)).expect("the native program loads");
    assert_eq!(native.signature(), bytecode.signature());
    let mut sessions = [&bytecode, &native].map(|p| Session::new(p, options.clone()));
    // Results hold memory of the session that made them: those of both are kept.
    let (mut all, mut kept) = (vec![], vec![]);
    for inputs in cases {
        let [expected, found] = sessions.each_mut().map(|s| s.run(inputs).map_err(|e| e.to_string()));
        assert_eq!(found, expected, "{test}");
        all.push(found);
        kept.push(expected);
    }
    let [expected, found] = sessions.map(|s| (s.memory().in_use, s.memory().peak));
    assert_eq!(found, expected, "memory of {test}");
    all
}

fn options() -> nim_vm::Options {
    nim_vm::Options { threads: 1, seed: Some(7), ..nim_vm::Options::default() }
}

fn floats(dims: &[usize], seed: u64) -> Value {
    let draws = nim_vm::runtime::Draws { seed };
    let count = dims.iter().product::<usize>() as u64;
    Tensor::new(dims, (0..count).map(|i| (draws.unit(i) * 4.0 - 2.0) as f32).collect()).into()
}

fn int(value: i64) -> Value {
    Tensor::scalar(value).into()
}

#[test]
fn sizes_guards_and_loops() {
    let text = r#"
func.func @main(%x: tensor<[N]x[M]xf32>, %y: tensor<[N]xf32>, %n: tensor<i64>, %c: tensor<i1>)
    -> (tensor<[N]x[M]xf32>, tensor<[K]x[N]xf32>, tensor<[P]xf32>, tensor<4xi64>) {
  %e = graph.tanh %x : (tensor<[N]x[M]xf32>) -> tensor<[N]x[M]xf32>
  %last, %all = graph.loop %n, %y ({
  ^bb0(%i: tensor<i64>, %h: tensor<[N]xf32>):
    %t = graph.add %h, %y : (tensor<[N]xf32>, tensor<[N]xf32>) -> tensor<[N]xf32>
    graph.yield %t, %t : (tensor<[N]xf32>, tensor<[N]xf32>) -> ()
  }) {operandSegmentSizes = array<i32: 1, 0, 1>} : (tensor<i64>, tensor<[N]xf32>) -> (tensor<[N]xf32>, tensor<[K]x[N]xf32>)
  %p = graph.if %c ({
    %d = graph.concat %last, %y {axis = 0 : i64} : (tensor<[N]xf32>, tensor<[N]xf32>) -> tensor<[2*N]xf32>
    graph.yield %d : (tensor<[2*N]xf32>) -> ()
  }, {
    graph.yield %last : (tensor<[N]xf32>) -> ()
  }) : (tensor<i1>) -> tensor<[P]xf32>
  %s = graph.index {exprs = [floordiv(N - 3, 2), mod(N - 3, 4), ceildiv(M - 5, 3), min(N*M, max(N, 7))]} : () -> tensor<4xi64>
  graph.guard {kind = "le", lhs = N*M, message = "too many", rhs = 90}
  return %e, %all, %p, %s : tensor<[N]x[M]xf32>, tensor<[K]x[N]xf32>, tensor<[P]xf32>, tensor<4xi64>
}"#;
    let case = |n: usize, m: usize, k: i64, c: bool| {
        vec![floats(&[n, m], 1), floats(&[n], 2), int(k), Tensor::bools(&[], vec![c]).into()]
    };
    let mut cases = vec![case(4, 3, 3, true), case(1, 1, 0, false), case(9, 10, 1, true), case(10, 10, 1, true)];
    cases.push(case(0, 4, 2, false));
    // Sizes that do not fit each other.
    cases.push(vec![floats(&[3, 2], 1), floats(&[4], 2), int(1), Tensor::bools(&[], vec![true]).into()]);
    cases.push(vec![floats(&[3, 2], 1), int(1), int(1), Tensor::bools(&[], vec![true]).into()]);
    let found = agree("sizes", text, options(), &cases);
    let failed: Vec<bool> = found.iter().map(Result::is_err).collect();
    assert_eq!(failed, [false, false, false, true, false, true, true], "{found:?}");
    // Several threads take the other way to the kernels.
    agree("sizes_threads", text, nim_vm::Options { threads: 2, parallel_work: 0, ..options() }, &cases);
    // Limits of memory and of steps.
    let small = nim_vm::Options { memory_limit: 64, ..options() };
    assert!(agree("sizes_memory", text, small, &cases[..1])[0].is_err());
    let short = nim_vm::Options { max_steps: 10, ..options() };
    assert!(agree("sizes_steps", text, short, &[case(4, 3, 1000, true)])[0].is_err());
}

#[test]
fn the_runtime_library() {
    let text = r#"
func.func @main(%x: tensor<[N]xf32>, %s: tensor<[M]x!graph.string>)
    -> (tensor<2xf32>, tensor<2xi64>, tensor<1x[K]xi64>, tensor<[N]xf32>, tensor<[M]x!graph.string>) {
  %v, %i = graph.topk %x {axis = 0 : i64, k = 2} : (tensor<[N]xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  %r = graph.relu %x : (tensor<[N]xf32>) -> tensor<[N]xf32>
  %nz = graph.nonzero %r {size = [K]} : (tensor<[N]xf32>) -> tensor<1x[K]xi64>
  %d = graph.random {a = 0.000000e+00 : f32, b = 1.000000e+00 : f32, kind = "uniform", shape = [N], type = f32} : () -> tensor<[N]xf32>
  return %v, %i, %nz, %d, %s : tensor<2xf32>, tensor<2xi64>, tensor<1x[K]xi64>, tensor<[N]xf32>, tensor<[M]x!graph.string>
}"#;
    let strings = |n: usize| Value::Tensor(Tensor::strings(&[n], (0..n).map(|i| format!("ü{i}")).collect()));
    let found = agree(
        "runtime_library",
        text,
        options(),
        &[vec![floats(&[9], 3), strings(2)], vec![floats(&[1], 3), strings(0)]],
    );
    assert!(found[0].is_ok() && found[1].is_err(), "{found:?}");
}

#[test]
fn data_types_functions_and_recursion() {
    let text = std::fs::read_to_string(root().join("docs/examples/lists.nir")).expect("the example");
    let by = Value::Tensor(Tensor::scalar(0.5f32));
    let cases: Vec<Vec<Value>> = [0, 4, 1000, 100_000].iter().map(|&n| vec![int(n), by.clone()]).collect();
    let found = agree("lists", &text, options(), &cases);
    assert!(found.iter().all(Result::is_ok), "100,000 levels deep");
    let shallow = nim_vm::Options { max_depth: 50, ..options() };
    assert!(agree("lists_depth", &text, shallow, &cases[2..3])[0].is_err());

    let text = std::fs::read_to_string(root().join("docs/examples/tree_lstm.nir")).expect("the example");
    let leaf = |seed| Made::adt("leaf", vec![floats(&[1, 4], seed)]);
    let mut tree = leaf(0);
    for seed in 1..20 {
        tree = Made::adt("node", vec![tree, leaf(seed)]);
    }
    let folder = scratch("tree");
    let signature = Program::load(model(&folder, &text)).expect("it loads").signature().clone();
    let inputs = signature.inputs.iter().map(|input| match &input.ty {
        nim_vm::ValueType::Tensor { dtype: DType::F32, dims } => {
            let dims: Vec<usize> = dims.iter().map(|d| d.parse().unwrap_or(3)).collect();
            floats(&dims, 5)
        }
        _ => tree.clone(),
    });
    let found = agree("tree", &text, options(), &[inputs.collect()]);
    assert!(found[0].is_ok(), "{found:?}");
}

#[test]
fn a_program_in_c_links_it() {
    let folder = scratch("linked");
    let text = std::fs::read_to_string(root().join("docs/examples/recurrent.nir")).expect("the model");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/linked.c");
    shared(&folder, &text, "recurrent");
    let objects = write(&folder, &compiled(&text, "recurrent"));
    let library = folder.join("recurrent.so");
    let rpath = format!("-Wl,-rpath,{}", folder.display());
    let include = format!("-I{}", folder.display());
    let with_library: Vec<_> = [library.into_os_string(), rpath.into(), include.clone().into()].into();
    let mut with_objects: Vec<_> = objects.into_iter().map(PathBuf::into_os_string).collect();
    with_objects.push(include.into());
    for (link, more) in [(Link::Shared, with_library), (Link::Static, with_objects)] {
        let program = build_with(&source, &folder, link, &more);
        assert_eq!(run(&mut Command::new(program)), "3 x 3: 1 0 0 | 0 0 0 | 0 0 1\n", "{link:?}");
    }
}

#[test]
fn other_libraries_are_refused() {
    let folder = scratch("refused");
    let fail = |path: &Path| Program::load_shared(path).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(fail(&folder.join("none.so")).contains("none.so"));
    let source = folder.join("other.c");
    std::fs::write(&source, "int something;\nconst unsigned long long old[7] = {99};\n").expect("a file");
    for (name, expected) in [("other", "exports no program `other`"), ("old", "version 99")] {
        let out = folder.join(format!("{name}.so"));
        run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&out).arg(&source));
        assert!(fail(&out).contains(expected), "{}", fail(&out));
    }
}
