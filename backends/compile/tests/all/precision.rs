//! Contractions that read `bf16` or `f16`: compiled code, on every kind of machine, against the interpreter on the rounded graph.
//!
//! Tolerances are derived. Factors are rounded alike on both sides, products are exact in `f32`, so one sum of `k` products differs by its
//! order only: at most `k` roundings of 2^-24 each, relative to the sum of magnitudes. A result that is rounded for the next
//! contraction may then fall to the other neighbour, 2^-8 (`f16`: 2^-11) further. All numbers of the chains here are positive, so
//! magnitudes add up to results, and each result bounds its own error.

use crate::{emulator, parse, random::rng::Rng};
use nim_compiler::{Level, Options, Precision, compile, lower, lower_precision_of};
use nim_ir::{Context, Module};
use nim_llvm::Target;
use nim_tensor::{Tensor, Value};
use nim_text::render_all;
use nim_vm::Session;

/// Machines with AVX512-BF16 (if this one has it), without, without F16C, and with the least; tile registers besides.
const TARGETS: [&str; 5] = ["host", "x86-64-v4", "x86-64-v3", "x86-64-v2", "x86-64"];

fn numbers(rng: &mut Rng, dims: &[usize], low: f32) -> Tensor {
    let mut number = || low + (1.0 - low) * (rng.below(1 << 20) as f32 / (1 << 20) as f32);
    Tensor::new(dims, (0..dims.iter().product::<usize>()).map(|_| number()).collect::<Vec<f32>>())
}

/// `%name = graph.constant` of a tensor of positive numbers or of both signs.
fn constant(rng: &mut Rng, name: &str, dims: &[usize], low: f32) -> String {
    let values: Vec<String> = numbers(rng, dims, low).to_f64s().unwrap().iter().map(|v| format!("{v:.6e}")).collect();
    let mut items = values;
    for &d in dims.iter().rev() {
        items = items.chunks(d.max(1)).map(|c| format!("[{}]", c.join(", "))).collect();
    }
    let ty = dims.iter().map(|d| format!("{d}x")).collect::<String>();
    format!(
        "  %{name} = graph.constant {{value = dense<{}> : tensor<{ty}xf32>}} : () -> tensor<{ty}xf32>\n",
        items.concat()
    )
    .replace("xxf32", "xf32")
}

/// Runs a program at a precision on each machine and at the level of loops. Results may differ by `rtol` of themselves and `atol` of the
/// largest. `expects` must stand in the loops.
fn check(text: &str, inputs: &[Value], precision: Precision, (rtol, atol): (f64, f64), expects: Option<&str>) {
    let floats = |values: Vec<Value>| values[0].as_tensor().and_then(Tensor::to_f64s).expect("a tensor of numbers");
    let run = |ctx: &Context, module: &Module| {
        let done = nim_interp::exec::run(ctx, module, "main", inputs);
        floats(done.unwrap_or_else(|found| panic!("{}\n{text}", render_all(ctx, &[found], &Default::default()))))
    };
    let (ctx, mut module) = parse(text);
    lower_precision_of(&ctx, &mut module, precision);
    let expected = run(&ctx, &module);
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let same = |found: &[f64], who: &str| {
        assert_eq!(found.len(), expected.len());
        for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
            let near = (f - e).abs() <= rtol * e.abs() + atol * largest + 1e-30;
            assert!(near, "{who}, {precision}: {f} where {e} is expected, at {i}\n{text}");
        }
    };
    let targets = TARGETS.iter().map(|t| Target::parse(t).unwrap()).filter(Target::supported_on_host);
    for target in targets.chain(emulator::target()) {
        let tiles = target.has("amx-tile");
        let options = Options { threads: 1, verify: true, target, tiles, precision, ..Options::default() };
        let (ctx, mut module) = parse(text);
        lower(&ctx, &mut module, &options, Level::Loops).expect("lowers");
        let loops = nim_text::print_module(&ctx, &module, &Default::default());
        if let Some(expects) = expects {
            let expects = if tiles { "loops.tile_dot" } else { expects };
            assert!(loops.contains(expects), "no {expects}:\n{text}\n{loops}");
        }
        same(&run(&ctx, &module), "loops");
        let (ctx, mut module) = parse(text);
        let compiled = compile(&ctx, &mut module, &options).expect("compiles");
        let program = compiled.program.into_program().unwrap();
        let mut session = Session::new(&program, nim_vm::Options::default());
        same(&floats(session.run(inputs).unwrap()), &options.target.to_string());
    }
}

/// One sum of so many products: its order only.
fn order(k: usize) -> f64 {
    k as f64 / f64::from(1 << 24)
}

/// Half the distance of neighbours, twice: a value that falls to the other side.
fn other_side(precision: Precision) -> f64 {
    if precision == Precision::Bf16 { 1.0 / 256.0 } else { 1.0 / 2048.0 }
}

const SHORT: [Precision; 2] = [Precision::Bf16, Precision::F16];

#[test]
fn matrices() {
    for seed in 0..8 {
        let mut rng = Rng::new(seed);
        let (m, k, n) = (1 + rng.below(40), 2 + rng.below(70), 1 + rng.below(70));
        let x = numbers(&mut rng, &[m, k], -1.0);
        let text = format!(
            "func.func @main(%x: tensor<[N]x{k}xf32>) -> tensor<[N]x{n}xf32> {{\n{}  \
               %y = graph.matmul %x, %w : (tensor<[N]x{k}xf32>, tensor<{k}x{n}xf32>) -> tensor<[N]x{n}xf32>\n  \
               return %y : tensor<[N]x{n}xf32>\n}}\n",
            constant(&mut rng, "w", &[k, n], -1.0)
        );
        for precision in SHORT {
            let words = (precision == Precision::Bf16 && n > 1).then_some("loops.dot");
            check(&text, &[x.clone().into()], precision, (0.0, 4.0 * order(k)), words);
        }
    }
}

/// Two factors that are no constants: both are arranged when running.
#[test]
fn products_of_inputs() {
    for seed in 0..6 {
        let mut rng = Rng::new(100 + seed);
        let (b, m, k, n) = (1 + rng.below(3), 1 + rng.below(30), 2 + rng.below(40), 1 + rng.below(40));
        let (x, y) = (numbers(&mut rng, &[b, m, k], -1.0), numbers(&mut rng, &[b, n, k], -1.0));
        let text = format!(
            "func.func @main(%x: tensor<[B]x[M]x{k}xf32>, %y: tensor<[B]x[L]x{k}xf32>) -> tensor<[B]x[M]x[L]xf32> {{\n  \
               %t = graph.transpose %y {{perm = [0, 2, 1]}} : (tensor<[B]x[L]x{k}xf32>) -> tensor<[B]x{k}x[L]xf32>\n  \
               %z = graph.matmul %x, %t : (tensor<[B]x[M]x{k}xf32>, tensor<[B]x{k}x[L]xf32>) -> tensor<[B]x[M]x[L]xf32>\n  \
               return %z : tensor<[B]x[M]x[L]xf32>\n}}\n"
        );
        for precision in SHORT {
            check(&text, &[x.clone().into(), y.clone().into()], precision, (0.0, 4.0 * order(k)), None);
        }
    }
}

/// A convolution, what is done to its result in `f32`, and a second one that reads it rounded; the first result is a residual too.
#[test]
fn convolutions() {
    for seed in 0..8 {
        let mut rng = Rng::new(1000 + seed);
        let (c, o, h, w) = (1 + rng.below(9), 1 + rng.below(40), 3 + rng.below(9), 3 + rng.below(9));
        let (r, stride, pad) = ([1, 3][rng.below(2)], 1 + rng.below(2), rng.below(2));
        let groups = if rng.below(3) == 0 { o } else { 1 };
        let (oh, ow) = ((h + 2 * pad - r) / stride + 1, (w + 2 * pad - r) / stride + 1);
        let x = numbers(&mut rng, &[2, c, h, w], 0.0);
        let (t, inner) = (format!("tensor<[N]x{o}x{oh}x{ow}xf32>"), o / groups);
        let text = format!(
            "func.func @main(%x: tensor<[N]x{c}x{h}x{w}xf32>) -> {t} {{\n{}{}{}  \
               %p = graph.conv %x, %a {{pads = [{pad}, {pad}, {pad}, {pad}], strides = [{stride}, {stride}]}} : \
                 (tensor<[N]x{c}x{h}x{w}xf32>, tensor<{o}x{c}x{r}x{r}xf32>) -> {t}\n  \
               %q = graph.add %p, %c : ({t}, tensor<{o}x1x1xf32>) -> {t}\n  \
               %s = graph.conv %q, %b {{pads = [1, 1, 1, 1], groups = {groups}}} : ({t}, tensor<{o}x{inner}x3x3xf32>) -> {t}\n  \
               %z = graph.add %s, %q : ({t}, {t}) -> {t}\n  \
               return %z : {t}\n}}\n",
            constant(&mut rng, "a", &[o, c, r, r], 0.0),
            constant(&mut rng, "b", &[o, inner, 3, 3], 0.0),
            constant(&mut rng, "c", &[o, 1, 1], 0.0),
        );
        for precision in SHORT {
            let tolerance = (other_side(precision) + order(c * r * r + inner * 9), 0.0);
            check(&text, &[x.clone().into()], precision, tolerance, None);
        }
    }
}

/// What a loop carries is rounded in each step, and weights from outside are read as they are stored.
#[test]
fn recurrences() {
    let mut rng = Rng::new(5);
    let (steps, n) = (4, 48);
    let x = numbers(&mut rng, &[3, n], 0.0);
    let ty = format!("tensor<[B]x{n}xf32>");
    let text = format!(
        "func.func @main(%x: {ty}) -> {ty} {{\n{}{}  \
           %t = graph.constant {{value = dense<{steps}> : tensor<i64>}} : () -> tensor<i64>\n  \
           %h = graph.loop %t, %x ({{\n  ^bb0(%i: tensor<i64>, %c: {ty}):\n    \
             %p = graph.matmul %c, %w : ({ty}, tensor<{n}x{n}xf32>) -> {ty}\n    \
             %q = graph.mul %p, %s : ({ty}, tensor<f32>) -> {ty}\n    \
             graph.yield %q : ({ty}) -> ()\n  }}) {{has_condition = false, operandSegmentSizes = array<i32: 1, 0, 1>}} : \
             (tensor<i64>, {ty}) -> {ty}\n  \
           return %h : {ty}\n}}\n",
        constant(&mut rng, "w", &[n, n], 0.0),
        "  %s = graph.constant {value = dense<0.05> : tensor<f32>} : () -> tensor<f32>\n",
    );
    for precision in SHORT {
        let tolerance = (steps as f64 * (other_side(precision) + order(n)), 0.0);
        let words = (precision == Precision::Bf16).then_some("loops.dot");
        check(&text, &[x.clone().into()], precision, tolerance, words);
    }
}

/// Infinities and what is no number stay so, and stay where they are: words are filled up with zeros on both sides.
#[test]
fn odd_numbers() {
    let text = "func.func @main(%x: tensor<4x3xf32>, %w: tensor<3x20xf32>) -> tensor<4x20xf32> {\n  \
        %y = graph.matmul %x, %w : (tensor<4x3xf32>, tensor<3x20xf32>) -> tensor<4x20xf32>\n  return %y : tensor<4x20xf32>\n}\n";
    let mut rows = vec![1.0f32; 12];
    (rows[0], rows[4], rows[8]) = (f32::INFINITY, f32::NAN, 1e-40);
    let inputs: [Value; 2] = [Tensor::new(&[4, 3], rows).into(), Tensor::new(&[3, 20], vec![1.0f32; 60]).into()];
    for precision in SHORT {
        let options = Options { threads: 1, precision, ..Options::default() };
        let (ctx, mut module) = parse(text);
        let program = compile(&ctx, &mut module, &options).expect("compiles").program.into_program().unwrap();
        let found = Session::new(&program, nim_vm::Options::default()).run(&inputs).unwrap();
        let found = found[0].as_tensor().and_then(Tensor::to_f64s).unwrap();
        for column in 0..20 {
            let at = |row: usize| found[20 * row + column];
            assert!(at(0) == f64::INFINITY && at(1).is_nan() && at(2) == 2.0 && at(3) == 3.0, "{precision}: {found:?}");
        }
    }
}
