//! Every dataflow of tile registers gives what the map means: bytes exactly, `bf16` but for the order of sums; at the level of loops, and
//! a few of each case as machine code, [emulated](crate::emulator) where this machine has no tile registers. `NIM_RANDOM=100` tries so
//! many cases of each kind, `NIM_RANDOM_FIRST=7` begins at another one.

use crate::tiles::{self, KINDS, Program, name, product};
use crate::{dataflows, emulator, parse, random::rng::Rng};
use nim_compiler::{Level, Options, compile, lower, target_info};
use nim_ir::{Context, Module};
use nim_loops_passes::Dataflow;
use nim_loops_passes::schedule::{candidates, choice::Choice, explore::Anchor};
use nim_tensor::{Tensor, Value};
use nim_text::render_all;
use nim_vm::Session;

/// Points of a case that become machine code.
const COMPILED: usize = 3;

fn numbers(values: &[Value]) -> Vec<f64> {
    let of = |t: &Tensor| t.to_f64s().or_else(|| Some(t.to_i64s()?.into_iter().map(|v| v as f64).collect()));
    values.iter().flat_map(|v| v.as_tensor().and_then(of).expect("numbers")).collect()
}

fn run(ctx: &Context, module: &Module, inputs: &[Value], text: &str) -> Vec<f64> {
    let done = nim_interp::exec::run(ctx, module, "main", inputs);
    numbers(&done.unwrap_or_else(|found| panic!("{}\n{text}", render_all(ctx, &[found], &Default::default()))))
}

/// Checks all points of a program; those there are.
fn check(program: &Program, rng: &mut Rng) -> Vec<Dataflow> {
    let Some(target) = emulator::target() else { return vec![] };
    let Program { text, inputs, terms } = program;
    let (ctx, module) = parse(text);
    let expected = run(&ctx, &module, inputs, text);
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let error = if text.contains("bf16") { 4.0 * *terms as f64 / f64::from(1 << 24) * largest } else { 0.0 };
    let same = |found: &[f64], place: &str| {
        assert_eq!(found.len(), expected.len(), "{place}");
        for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
            assert!((f - e).abs() <= error, "{f} where {e} is expected, at {i}: {place}");
        }
    };
    let options = Options { threads: 1, verify: true, fold: false, target, ..Options::default() };
    let points: Vec<Dataflow> = dataflows::space(text, &options).into_iter().filter(|point| point.tiles).collect();
    for &point in &points {
        let options = Options { dataflow: Some(point), ..options.clone() };
        let (ctx, mut module) = parse(text);
        lower(&ctx, &mut module, &options, Level::Loops).expect("lowers");
        let place = format!("{point} at the level of loops\n{text}");
        let loops = nim_text::print_module(&ctx, &module, &Default::default());
        // The lowering of other points differs: this is the one that was asked for.
        let loads = |what: &str| loops.matches(what).count();
        assert!(loads("loops.tile_dot") > 0, "{place}");
        let held = point.anchor == Anchor::Output;
        assert_eq!(loads("loops.tile_zero") > 0, held, "{place}\n{loops}");
        same(&run(&ctx, &module, inputs, text), &place);
    }
    for _ in 0..COMPILED.min(points.len()) {
        let point = points[rng.below(points.len())];
        let options = Options { dataflow: Some(point), ..options.clone() };
        let (ctx, mut module) = parse(text);
        let compiled = compile(&ctx, &mut module, &options).expect("compiles");
        let program = compiled.program.into_program().expect("a program");
        for threads in [1, 2] {
            let place = format!("{point} as machine code, {threads} threads\n{text}");
            let settings = nim_vm::Options { threads, parallel_work: 0, ..nim_vm::Options::default() };
            let before = emulator::products();
            same(&numbers(&Session::new(&program, settings).run(inputs).expect("runs")), &place);
            assert!(!emulator::is_in_use() || emulator::products() > before, "no products in tiles: {place}");
            assert!(emulator::is_released(), "tile registers stay in use: {place}");
        }
    }
    points
}

/// Cases of all kinds of numbers, among whose points are all anchors.
fn all(make: fn(u64) -> Program) {
    if emulator::target().is_none() {
        return;
    }
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|t| t.parse().ok()).unwrap_or(default);
    let kinds = KINDS.len() as u64;
    let (first, count) = (number("NIM_RANDOM_FIRST", 0), number("NIM_RANDOM", 1));
    for kind in 0..kinds {
        let mut found = vec![];
        for seed in first..first + count {
            let seed = 20_000 + seed * kinds + kind;
            found.extend(check(&make(seed), &mut Rng::new(seed)));
        }
        for anchor in Anchor::ALL {
            assert!(found.iter().any(|point| point.anchor == anchor), "{anchor:?} {:?}", KINDS[kind as usize]);
        }
    }
}

#[test]
fn products() {
    all(Program::matrices);
}

#[test]
fn convolutions() {
    all(Program::convolution);
}

/// Products of which no size is known before the program runs.
fn unknown(seed: u64) -> Program {
    let mut rng = Rng::new(seed);
    let (a, b) = KINDS[seed as usize % KINDS.len()];
    let (body, sum, zero) = product(a, b);
    let (m, n, k) = (1 + rng.below(70), 1 + rng.below(100), 1 + rng.below(200));
    let (x, w) = (tiles::numbers(&mut rng, &[m, k], a), tiles::numbers(&mut rng, &[k, n], b));
    let (a, b) = (name(a), name(b));
    let text = format!(
        "func.func @main(%x: tensor<[M]x[K]x{a}>, %w: tensor<[K]x[N]x{b}>) -> tensor<[M]x[N]x{sum}> {{\n  \
           %y = dataflow.map [$0 < M, $1 < N, $2 < K] reads(%p = %x[$0, $2], %q = %w[$2, $1]) \
             writes([$0, $1] add init {zero} : {sum}) {{\n{body}  }} : tensor<[M]x[N]x{sum}>\n  \
           return %y : tensor<[M]x[N]x{sum}>\n}}\n"
    );
    Program { text, inputs: vec![x.into(), w.into()], terms: k }
}

#[test]
fn products_of_unknown_size() {
    all(unknown);
}

/// What tuning measures on a machine with tile registers: the best of each anchor, in vectors and in tiles. None of it needs the machine.
#[test]
fn tuning_tries_each_anchor() {
    let options = Options {
        threads: 1,
        target: nim_llvm::Target::parse(emulator::TARGETS[0]).expect("a target"),
        ..Options::default()
    };
    let (ctx, mut module) = parse(&Program::matrices(20_000).text);
    lower(&ctx, &mut module, &options, Level::Dataflow).expect("lowers");
    let settings = nim_loops_passes::Options { target: target_info(&options), ..Default::default() };
    let kernel = module.ops().find(|&op| module.body.is(&ctx, op, "dataflow.kernel")).expect("a kernel");
    let maps = candidates::of_kernel(&ctx, &module.body, kernel, &settings, 8).expect("has schedules");
    let dataflow = |scored: &candidates::Scored| match scored.choice {
        Choice::Dataflow(point) => Some((point.anchor, point.tiles)),
        _ => None,
    };
    let found: Vec<_> = maps.iter().flat_map(|map| map.all.iter().filter_map(dataflow)).collect();
    for anchor in Anchor::ALL {
        for tiles in [false, true] {
            assert!(found.contains(&(anchor, tiles)), "{anchor:?} {tiles} {found:?}");
        }
    }
}
