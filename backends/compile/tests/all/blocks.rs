//! Kernels that are walked in blocks: softmax, normalisation and attention of random shapes, known when compiling or not, on every kind of
//! machine, with masks that hide whole rows, against the interpreter. Results must not depend on the number of threads by a bit.
//!
//! A score is a sum of up to 100 products of numbers up to 1/2: its order moves it by 100 * 25 * 2^-24 at most, seldom by a tenth of that, and
//! exponentials by as large a part.

use crate::{parse, random::rng::Rng};
use nim_compiler::{Level, Options, Precision, compile, lower, lower_precision_of};
use nim_llvm::Target;
use nim_tensor::{Tensor, Value};
use nim_vm::Session;

const TARGETS: [&str; 4] = ["host", "x86-64-v4", "x86-64-v3", "x86-64"];

/// A program over dimensions that are written `{0}`, `{1}`, ... in its text: their names, or their sizes.
struct Program {
    text: &'static str,
    /// The dimensions of each input.
    inputs: &'static [&'static [usize]],
    /// The input that hides: some elements are -inf, and all of a row.
    mask: Option<usize>,
}

const SOFTMAX: Program = Program {
    text: "func.func @main(%x: tensor<{0}x{1}x{2}xf32>) -> tensor<{0}x{1}x{2}xf32> {
  %m = graph.reduce %x {kind = \"max\", axes = [2], keepdims = true} : (tensor<{0}x{1}x{2}xf32>) -> tensor<{0}x{1}x1xf32>
  %d = graph.sub %x, %m : (tensor<{0}x{1}x{2}xf32>, tensor<{0}x{1}x1xf32>) -> tensor<{0}x{1}x{2}xf32>
  %e = graph.exp %d : (tensor<{0}x{1}x{2}xf32>) -> tensor<{0}x{1}x{2}xf32>
  %s = graph.reduce %e {kind = \"sum\", axes = [2], keepdims = true} : (tensor<{0}x{1}x{2}xf32>) -> tensor<{0}x{1}x1xf32>
  %y = graph.div %e, %s : (tensor<{0}x{1}x{2}xf32>, tensor<{0}x{1}x1xf32>) -> tensor<{0}x{1}x{2}xf32>
  return %y : tensor<{0}x{1}x{2}xf32>
}",
    inputs: &[&[0, 1, 2]],
    mask: Some(0),
};

/// The sum of two is normalised, and returned.
const NORM: Program = Program {
    text: "func.func @main(%x: tensor<{0}x{1}x{2}xf32>, %w: tensor<{2}xf32>) -> (tensor<{0}x{1}x{2}xf32>, tensor<{0}x{1}x{2}xf32>) {
  %a = graph.tanh %x : (tensor<{0}x{1}x{2}xf32>) -> tensor<{0}x{1}x{2}xf32>
  %n = graph.reduce %a {kind = \"sum\", axes = [2], keepdims = true} : (tensor<{0}x{1}x{2}xf32>) -> tensor<{0}x{1}x1xf32>
  %c = graph.constant {value = dense<0.0625> : tensor<f32>} : () -> tensor<f32>
  %m = graph.mul %n, %c : (tensor<{0}x{1}x1xf32>, tensor<f32>) -> tensor<{0}x{1}x1xf32>
  %d = graph.sub %a, %m : (tensor<{0}x{1}x{2}xf32>, tensor<{0}x{1}x1xf32>) -> tensor<{0}x{1}x{2}xf32>
  %q = graph.mul %d, %d : (tensor<{0}x{1}x{2}xf32>, tensor<{0}x{1}x{2}xf32>) -> tensor<{0}x{1}x{2}xf32>
  %v = graph.reduce %q {kind = \"sum\", axes = [2], keepdims = true} : (tensor<{0}x{1}x{2}xf32>) -> tensor<{0}x{1}x1xf32>
  %e = graph.add %v, %c : (tensor<{0}x{1}x1xf32>, tensor<f32>) -> tensor<{0}x{1}x1xf32>
  %r = graph.sqrt %e : (tensor<{0}x{1}x1xf32>) -> tensor<{0}x{1}x1xf32>
  %z = graph.div %d, %r : (tensor<{0}x{1}x{2}xf32>, tensor<{0}x{1}x1xf32>) -> tensor<{0}x{1}x{2}xf32>
  %y = graph.mul %z, %w : (tensor<{0}x{1}x{2}xf32>, tensor<{2}xf32>) -> tensor<{0}x{1}x{2}xf32>
  return %a, %y : tensor<{0}x{1}x{2}xf32>, tensor<{0}x{1}x{2}xf32>
}",
    inputs: &[&[0, 1, 2], &[2]],
    mask: None,
};

/// Batch, heads, queries, keys, and sizes of a head.
const ATTENTION: Program = Program {
    text: "func.func @main(%q: tensor<{0}x{1}x{2}x{4}xf32>, %k: tensor<{0}x{1}x{3}x{4}xf32>, %v: tensor<{0}x{1}x{3}x{5}xf32>, %h: tensor<{2}x{3}xf32>) -> tensor<{0}x{2}x{1}x{5}xf32> {
  %t = graph.transpose %k {perm = [0, 1, 3, 2]} : (tensor<{0}x{1}x{3}x{4}xf32>) -> tensor<{0}x{1}x{4}x{3}xf32>
  %a = graph.matmul %q, %t : (tensor<{0}x{1}x{2}x{4}xf32>, tensor<{0}x{1}x{4}x{3}xf32>) -> tensor<{0}x{1}x{2}x{3}xf32>
  %x = graph.add %a, %h : (tensor<{0}x{1}x{2}x{3}xf32>, tensor<{2}x{3}xf32>) -> tensor<{0}x{1}x{2}x{3}xf32>
  %m = graph.reduce %x {kind = \"max\", axes = [3], keepdims = true} : (tensor<{0}x{1}x{2}x{3}xf32>) -> tensor<{0}x{1}x{2}x1xf32>
  %d = graph.sub %x, %m : (tensor<{0}x{1}x{2}x{3}xf32>, tensor<{0}x{1}x{2}x1xf32>) -> tensor<{0}x{1}x{2}x{3}xf32>
  %e = graph.exp %d : (tensor<{0}x{1}x{2}x{3}xf32>) -> tensor<{0}x{1}x{2}x{3}xf32>
  %s = graph.reduce %e {kind = \"sum\", axes = [3], keepdims = true} : (tensor<{0}x{1}x{2}x{3}xf32>) -> tensor<{0}x{1}x{2}x1xf32>
  %p = graph.div %e, %s : (tensor<{0}x{1}x{2}x{3}xf32>, tensor<{0}x{1}x{2}x1xf32>) -> tensor<{0}x{1}x{2}x{3}xf32>
  %o = graph.matmul %p, %v : (tensor<{0}x{1}x{2}x{3}xf32>, tensor<{0}x{1}x{3}x{5}xf32>) -> tensor<{0}x{1}x{2}x{5}xf32>
  %y = graph.transpose %o {perm = [0, 2, 1, 3]} : (tensor<{0}x{1}x{2}x{5}xf32>) -> tensor<{0}x{2}x{1}x{5}xf32>
  return %y : tensor<{0}x{2}x{1}x{5}xf32>
}",
    inputs: &[&[0, 1, 2, 4], &[0, 1, 3, 4], &[0, 1, 3, 5], &[2, 3]],
    mask: Some(3),
};

impl Program {
    /// The text where dimensions of which nothing is `known` have names.
    fn text(&self, sizes: &[usize], known: &[bool]) -> String {
        let mut text = self.text.to_string();
        for (i, (size, known)) in sizes.iter().zip(known).enumerate() {
            let dim = if *known { size.to_string() } else { format!("[D{i}]") };
            text = text.replace(&format!("{{{i}}}"), &dim);
        }
        text
    }

    fn inputs(&self, rng: &mut Rng, sizes: &[usize]) -> Vec<Value> {
        let one = |(i, dims): (usize, &&[usize])| {
            let dims: Vec<usize> = dims.iter().map(|&d| sizes[d]).collect();
            let row = dims[dims.len() - 1].max(1);
            let hidden = rng.below(4);
            let mut number = |at: usize| match self.mask == Some(i) && (rng.once_in(4) || at / row == hidden) {
                true => f32::NEG_INFINITY,
                false => rng.below(1001) as f32 / 1000.0 - 0.5,
            };
            let numbers: Vec<f32> = (0..dims.iter().product::<usize>()).map(&mut number).collect();
            Tensor::new(&dims, numbers).into()
        };
        self.inputs.iter().enumerate().map(one).collect()
    }
}

fn floats(values: &[Value]) -> Vec<Vec<f64>> {
    values.iter().map(|v| v.as_tensor().and_then(Tensor::to_f64s).expect("a tensor of numbers")).collect()
}

/// Results differ by a part of the largest at most, and are no number at the same places.
fn close(found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64, who: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len(), "{who}");
        let largest = expected.iter().filter(|e| e.is_finite()).fold(0.0f64, |m, e| m.max(e.abs()));
        for (i, (f, e)) in found.iter().zip(expected).enumerate() {
            let same = f.is_nan() && e.is_nan() || f == e || (f - e).abs() <= tolerance * largest;
            assert!(same, "{who}: {f} where {e} is expected, at {i}");
        }
    }
}

/// Compiles for each machine and runs with these sizes of all dimensions, the first of which the text is of.
fn check(program: &Program, rng: &mut Rng, known: &[bool], sizes: &[Vec<usize>], options: &Options, tolerance: f64) {
    let text = program.text(&sizes[0], known);
    let (ctx, mut module) = parse(&text);
    lower_precision_of(&ctx, &mut module, options.precision);
    let cases: Vec<(Vec<Value>, Vec<Vec<f64>>)> = sizes
        .iter()
        .map(|sizes| {
            let inputs = program.inputs(rng, sizes);
            let expected = nim_interp::exec::run(&ctx, &module, "main", &inputs).expect("interprets");
            (inputs, floats(&expected))
        })
        .collect();
    for target in TARGETS.iter().map(|t| Target::parse(t).unwrap()).filter(Target::supported_on_host) {
        let options = Options { target, threads: 1, verify: true, ..options.clone() };
        let who = |what: &str, i: usize| format!("{what}, {}, sizes {:?}:\n{text}", options.target, sizes[i]);
        let (loops_ctx, mut loops) = parse(&text);
        lower(&loops_ctx, &mut loops, &options, Level::Loops).expect("lowers");
        for (i, (inputs, expected)) in cases.iter().enumerate() {
            let found = nim_interp::exec::run(&loops_ctx, &loops, "main", inputs).expect("interprets loops");
            close(&floats(&found), expected, tolerance, &who("loops", i));
        }
        let (ctx, mut module) = parse(&text);
        let compiled = compile(&ctx, &mut module, &options).expect("compiles").program.into_program().unwrap();
        let mut alone: Vec<Vec<Vec<f64>>> = vec![];
        for threads in [1, 2, 4] {
            let mut session =
                Session::new(&compiled, nim_vm::Options { threads, parallel_work: 0, ..Default::default() });
            for (i, (inputs, expected)) in cases.iter().enumerate() {
                let found = floats(&session.run(inputs).unwrap_or_else(|e| panic!("{e}: {}", who("run", i))));
                close(&found, expected, tolerance, &who("code", i));
                match alone.get(i) {
                    None => alone.push(found),
                    Some(one) => {
                        let bits = |v: &[Vec<f64>]| v.iter().flatten().map(|x| x.to_bits()).collect::<Vec<_>>();
                        assert_eq!(bits(one), bits(&found), "{}", who("threads", i));
                    }
                }
            }
        }
    }
}

/// Sizes of all dimensions: small ones, vectors and tiles with what is left of them, ones and nothings.
fn some_sizes(rng: &mut Rng, dims: usize) -> Vec<usize> {
    let mut one = |i: usize| match rng.below(8) {
        0 => 1,
        1 => 32 + rng.below(8),
        2 if i > 1 => 64 + rng.below(20),
        _ => 2 + rng.below(30),
    };
    let mut sizes: Vec<usize> = (0..dims).map(&mut one).collect();
    // Enough rows for blocks.
    sizes[0] = sizes[0].min(2);
    sizes[1] = sizes[1].clamp(4, 8);
    sizes
}

fn rounds() -> std::ops::Range<u64> {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|t| t.parse().ok()).unwrap_or(default);
    let first = number("NIM_RANDOM_FIRST", 0);
    first..first + number("NIM_RANDOM", 1)
}

const PROGRAMS: [(&Program, usize); 3] = [(&SOFTMAX, 3), (&NORM, 3), (&ATTENTION, 6)];

#[test]
fn of_known_sizes() {
    for round in rounds() {
        for (program, dims) in PROGRAMS {
            let mut rng = Rng::new(round);
            let sizes = some_sizes(&mut rng, dims);
            check(program, &mut rng, &vec![true; dims], &[sizes], &Options::default(), 2e-5);
        }
    }
}

#[test]
fn of_any_size() {
    for round in rounds() {
        for (program, dims) in PROGRAMS {
            let mut rng = Rng::new(round);
            // Sizes of heads are known mostly.
            let known: Vec<bool> = (0..dims).map(|i| i > 3 && !rng.once_in(4) || i == 1 && rng.once_in(2)).collect();
            let mut all: Vec<Vec<usize>> = (0..4).map(|_| some_sizes(&mut rng, dims)).collect();
            for i in 0..dims {
                let first = all[0][i];
                all[1..].iter_mut().filter(|_| known[i]).for_each(|sizes| sizes[i] = first);
                // One query, no query, no keys; nothing to hide then.
                for (case, at, size) in [(1, 2, 1), (2, 2, 0), (3, 3, 0)] {
                    if i == at && !known[i] {
                        all[case][i] = size;
                    }
                }
            }
            check(program, &mut rng, &known, &all, &Options::default(), 2e-5);
        }
    }
}

#[test]
fn strictly_and_rounded() {
    for round in rounds() {
        let mut rng = Rng::new(round);
        let sizes = some_sizes(&mut rng, 6);
        let strict = Options { strict: true, ..Options::default() };
        check(&ATTENTION, &mut rng, &[true; 6], std::slice::from_ref(&sizes), &strict, 2e-5);
        // Factors are rounded: a probability may fall to the other neighbour.
        let rounded = Options { precision: Precision::Bf16, ..Options::default() };
        check(&ATTENTION, &mut rng, &[true; 6], std::slice::from_ref(&sizes), &rounded, 1e-2);
        // Probabilities of an odd number of keys fill whole words nevertheless.
        let known = [true, true, false, false, true, true];
        let mut odd = sizes.clone();
        odd[3] = sizes[3] | 1;
        check(&ATTENTION, &mut rng, &known, &[sizes, odd], &rounded, 1e-2);
    }
}

/// What maps hand to each other is no larger than what a few blocks need, whatever the number of rows is.
#[test]
fn scores_are_never_whole() {
    let text = ATTENTION.text(&[1, 12, 512, 512, 64, 64], &[true; 6]);
    let (ctx, mut module) = parse(&text);
    lower(&ctx, &mut module, &Options::default(), Level::Loops).expect("lowers");
    let largest = module
        .ops()
        .filter_map(|op| module.body.nested(op))
        .flat_map(|body| {
            body.entry()
                .map(|entry| body.block_args(entry).to_vec())
                .unwrap_or_default()
                .into_iter()
                .map(|a| body.ty(a))
        })
        .filter_map(|ty| ctx.dim_exprs(ty)?.iter().map(|&d| ctx.exprs.as_const(d)).product::<Option<i64>>())
        .max();
    // Queries, keys, values and results are smaller than the scores of a head.
    assert!(largest.is_some_and(|n| n < 12 * 512 * 512 / 4), "{largest:?}");
}
