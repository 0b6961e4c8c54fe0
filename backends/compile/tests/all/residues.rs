//! Kernels for any size: every remainder of the tiles and vectors that schedules choose, on every kind of machine, against the
//! interpreter.

use crate::{parse, random::rng::Rng};
use nim_compiler::{Options, compile};
use nim_llvm::Target;
use nim_tensor::{DType, Tensor, Value};
use nim_vm::Session;

/// Machines with masks for all elements (if this one has them), for those of 32 bits and more, and with none.
const TARGETS: [&str; 4] = ["host", "x86-64-v4", "x86-64-v3", "x86-64"];
/// More than twice the largest tile, and more than a vector of the narrowest elements.
const MOST: usize = 2 * 14 + 3;

fn random(rng: &mut Rng, dims: &[usize], dtype: DType) -> Tensor {
    let count = dims.iter().product::<usize>();
    match dtype {
        DType::F32 => Tensor::new(dims, (0..count).map(|_| rng.below(2001) as f32 / 1000.0 - 1.0).collect::<Vec<_>>()),
        _ => Tensor::from_bytes(dtype, dims, (0..count * dtype.size()).map(|_| rng.below(256) as u8).collect()),
    }
}

/// A constant of random numbers, as text.
fn constant(rng: &mut Rng, name: &str, dims: [usize; 2]) -> String {
    let hex: String = random(rng, &dims, DType::F32).bytes().iter().map(|b| format!("{b:02x}")).collect();
    let ty = format!("tensor<{}x{}xf32>", dims[0], dims[1]);
    format!("%{name} = graph.constant {{value = dense<\"0x{hex}\"> : {ty}}} : () -> {ty}")
}

/// Compiles once for each machine, runs with every size that is asked for, and compares with the interpreter. `shapes` are those of
/// the inputs, by the size; some kernel must have chosen something in each of the words in `chosen`.
fn check(
    text: &str,
    dtype: DType,
    sizes: impl Iterator<Item = usize> + Clone,
    shapes: &dyn Fn(usize) -> Vec<Vec<usize>>,
    chosen: &[&str],
) {
    let (ctx, module) = parse(text);
    for target in TARGETS.iter().map(|t| Target::parse(t).unwrap()).filter(Target::supported_on_host) {
        let options = Options { threads: 1, verify: true, target, ..Options::default() };
        let (compiled_ctx, mut compiled) = parse(text);
        let program = compile(&compiled_ctx, &mut compiled, &options).expect("compiles").program;
        let program = program.into_program().expect("loads");
        let told = program.explain_guards();
        for word in chosen {
            let masks = options.target.vector_bits() >= 256 || *word != "under a mask";
            assert!(!masks || told.contains(word), "no {word}:\n{text}\n{told}");
        }
        let mut session = Session::new(&program, nim_vm::Options::default());
        let mut rng = Rng::new(7);
        for size in sizes.clone() {
            let inputs: Vec<Value> = shapes(size).iter().map(|d| random(&mut rng, d, dtype).into()).collect();
            let expected = nim_interp::exec::run(&ctx, &module, "main", &inputs).expect("interprets");
            let found = session.run(&inputs).unwrap_or_else(|e| panic!("{}, size {size}: {e}", options.target));
            for (found, expected) in found.iter().zip(&expected) {
                let (found, expected) = (found.as_tensor().expect("tensor"), expected.as_tensor().expect("tensor"));
                assert_eq!(found.dims(), expected.dims());
                close(found, expected, &format!("{}, size {size}: {text}", options.target));
            }
        }
    }
}

fn close(found: &Tensor, expected: &Tensor, about: &str) {
    if found.dtype() != DType::F32 {
        return assert_eq!(found.bytes(), expected.bytes(), "{about}");
    }
    let (found, expected) = (found.to_f64s().unwrap(), expected.to_f64s().unwrap());
    let scale = expected.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
        assert!((f - e).abs() <= 1e-5 * scale, "{about}: element {i} is {f}, not {e}");
    }
}

/// A dense layer: `assume` says something of its number of rows.
fn dense(assume: &str) -> String {
    let mut rng = Rng::new(1);
    format!(
        "func.func @main(%x: tensor<[M]x37xf32>) -> tensor<[M]x100xf32> {{
  {assume}
  {}
  {}
  %h = graph.matmul %x, %w : (tensor<[M]x37xf32>, tensor<37x100xf32>) -> tensor<[M]x100xf32>
  %z = graph.add %h, %b : (tensor<[M]x100xf32>, tensor<1x100xf32>) -> tensor<[M]x100xf32>
  %y = graph.sigmoid %z : (tensor<[M]x100xf32>) -> tensor<[M]x100xf32>
  return %y : tensor<[M]x100xf32>
}}
",
        constant(&mut rng, "w", [37, 100]),
        constant(&mut rng, "b", [1, 100]),
    )
}

#[test]
fn rows_of_constant_weights() {
    check(&dense(""), DType::F32, 0..=MOST, &|m| vec![vec![m, 37]], &[": M rows, "]);
    // Bounds leave fewer sizes of tiles, a divisor one.
    let few = dense("graph.assume M {min = 5, max = 9}");
    check(&few, DType::F32, 5..=9, &|m| vec![vec![m, 37]], &[]);
    let many = dense("graph.assume M {min = 60, likely = 65}");
    check(&many, DType::F32, 60..=75, &|m| vec![vec![m, 37]], &["65 is likely"]);
    let eights = dense("graph.assume M {divisor = 8}");
    check(&eights, DType::F32, (0..=64).step_by(8), &|m| vec![vec![m, 37]], &[]);
}

/// Nothing is packed when compiling, rows are two dimensions, columns have an unknown size too.
#[test]
fn rows_and_columns_of_products() {
    let text = "func.func @main(%x: tensor<[B]x[M]x20xf32>, %w: tensor<20x[N]xf32>) -> tensor<[B]x[M]x[N]xf32> {
  %h = graph.matmul %x, %w : (tensor<[B]x[M]x20xf32>, tensor<20x[N]xf32>) -> tensor<[B]x[M]x[N]xf32>
  return %h : tensor<[B]x[M]x[N]xf32>
}
";
    check(text, DType::F32, 0..=MOST, &|n| vec![vec![2, n, 20], vec![20, n]], &[" rows, "]);
    check(text, DType::F32, 0..=MOST, &|n| vec![vec![n, 3, 20], vec![20, 17]], &[]);
}

/// Scores, their softmax, and the sum that it weighs: vectors end under a mask.
#[test]
fn attention_of_any_length() {
    let text = "func.func @main(%q: tensor<2x[S]x24xf32>, %k: tensor<2x[S]x24xf32>, %v: tensor<2x[S]x24xf32>) -> tensor<2x[S]x24xf32> {
  %t = graph.transpose %k {perm = [0, 2, 1]} : (tensor<2x[S]x24xf32>) -> tensor<2x24x[S]xf32>
  %s = graph.matmul %q, %t : (tensor<2x[S]x24xf32>, tensor<2x24x[S]xf32>) -> tensor<2x[S]x[S]xf32>
  %m = graph.reduce %s {kind = \"max\", axes = [2], keepdims = true} : (tensor<2x[S]x[S]xf32>) -> tensor<2x[S]x1xf32>
  %l = graph.sub %s, %m : (tensor<2x[S]x[S]xf32>, tensor<2x[S]x1xf32>) -> tensor<2x[S]x[S]xf32>
  %e = graph.exp %l : (tensor<2x[S]x[S]xf32>) -> tensor<2x[S]x[S]xf32>
  %n = graph.reduce %e {kind = \"sum\", axes = [2], keepdims = true} : (tensor<2x[S]x[S]xf32>) -> tensor<2x[S]x1xf32>
  %p = graph.div %e, %n : (tensor<2x[S]x[S]xf32>, tensor<2x[S]x1xf32>) -> tensor<2x[S]x[S]xf32>
  %y = graph.matmul %p, %v : (tensor<2x[S]x[S]xf32>, tensor<2x[S]x24xf32>) -> tensor<2x[S]x24xf32>
  return %y : tensor<2x[S]x24xf32>
}
";
    check(text, DType::F32, 0..=70, &|s| vec![vec![2, s, 24]; 3], &["under a mask"]);
}

#[test]
fn reductions_along_any_length() {
    for kind in ["sum", "prod", "max", "min"] {
        let text = format!(
            "func.func @main(%x: tensor<3x[S]xf32>) -> (tensor<3xf32>, tensor<3x[S]xf32>) {{
  %r = graph.reduce %x {{kind = \"{kind}\", axes = [1], keepdims = false}} : (tensor<3x[S]xf32>) -> tensor<3xf32>
  %y = graph.exp %x : (tensor<3x[S]xf32>) -> tensor<3x[S]xf32>
  return %r, %y : tensor<3xf32>, tensor<3x[S]xf32>
}}
"
        );
        check(&text, DType::F32, 1..=140, &|s| vec![vec![3, s]], &["under a mask"]);
    }
}

/// Narrow elements have masks on some machines only; what is switched off divides by zero nowhere.
#[test]
fn elements_of_other_widths() {
    for (dtype, name) in
        [(DType::I8, "i8"), (DType::U8, "ui8"), (DType::I16, "i16"), (DType::I32, "i32"), (DType::I64, "i64")]
    {
        let text = format!(
            "func.func @main(%x: tensor<[S]x{name}>, %z: tensor<[S]x{name}>) -> tensor<[S]x{name}> {{
  %a = graph.mul %x, %z : (tensor<[S]x{name}>, tensor<[S]x{name}>) -> tensor<[S]x{name}>
  %o = graph.or %a, %z : (tensor<[S]x{name}>, tensor<[S]x{name}>) -> tensor<[S]x{name}>
  return %o : tensor<[S]x{name}>
}}
"
        )
        .replace("graph.or", "graph.bitwise_or");
        check(&text, dtype, 0..=140, &|s| vec![vec![s], vec![s]], &[]);
    }
    let text = "func.func @main(%x: tensor<[S]xi32>, %z: tensor<[S]xi32>) -> tensor<[S]xi32> {
  %o = graph.bitwise_or %z, %z : (tensor<[S]xi32>, tensor<[S]xi32>) -> tensor<[S]xi32>
  %q = graph.mod %x, %o : (tensor<[S]xi32>, tensor<[S]xi32>) -> tensor<[S]xi32>
  return %q : tensor<[S]xi32>
}
";
    check(text, DType::I32, 0..=40, &|s| vec![vec![s], vec![s]], &[]);
}
