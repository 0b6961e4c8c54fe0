//! Compiles ONNX models, runs them on the test data beside them, compares, and says how long everything takes:
//! `cargo run --release -p nim-compiler --example run -- [--naive] [--times N] [--threads N] [--profile] MODEL.onnx...`

use nim_compiler::{DIALECTS, Options, compile};
use nim_ir::{Context, Diagnostic};
use nim_onnx::{dataset, import, load_model};
use nim_tensor::{Tolerance, Value, compare};
use nim_vm::Session;
use std::path::Path;
use std::time::Instant;

type Failure = Box<dyn std::error::Error>;

fn failure(ctx: &Context, found: &[Diagnostic]) -> Failure {
    nim_text::render_all(ctx, found, &Default::default()).into()
}

struct Settings {
    naive: bool,
    profile: bool,
    times: usize,
    threads: usize,
}

fn main() {
    let mut settings = Settings { naive: false, profile: false, times: 0, threads: 1 };
    let mut models = vec![];
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok()).unwrap_or(1);
        match arg.as_str() {
            "--naive" => settings.naive = true,
            "--profile" => settings.profile = true,
            "--times" => settings.times = number(),
            "--threads" => settings.threads = number(),
            _ => models.push(arg),
        }
    }
    let mut failed = 0;
    for model in &models {
        match run(Path::new(model), &settings) {
            Ok(()) => println!("{model}: ok"),
            Err(error) => {
                failed += 1;
                println!("{model}: FAILED: {error}");
            }
        }
    }
    println!("{} of {} models run", models.len() - failed, models.len());
    std::process::exit(i32::from(failed > 0));
}

fn run(path: &Path, settings: &Settings) -> Result<(), Failure> {
    let start = Instant::now();
    let ctx = Context::new(DIALECTS);
    let model = load_model(path)?;
    let mut module = import(&ctx, &model, &nim_onnx::ImportOptions::default()).map_err(|e| failure(&ctx, &e))?;
    let imported = start.elapsed();
    let options = Options { naive: settings.naive, ..Options::default() };
    let compiled = compile(&ctx, &mut module, &options).map_err(|e| failure(&ctx, &e))?;
    eprintln!("  import {imported:.2?}, {} kernels, {:.2?}", compiled.kernels.len(), compiled.times);
    let program = compiled.program.into_program()?;
    let options =
        nim_vm::Options { threads: settings.threads, profile: settings.profile, ..nim_vm::Options::default() };
    let mut session = Session::new(&program, options);
    let folder = path.parent().unwrap_or(Path::new("."));
    for set in dataset::list_data_sets(folder)? {
        let data = dataset::read_data_set(&set, &model)?;
        let by_name = |name: &str| data.inputs.iter().find(|i| i.name == name).map(|i| i.value.clone());
        let inputs: Option<Vec<Value>> = program.signature().inputs.iter().map(|i| by_name(&i.name)).collect();
        let inputs = inputs.ok_or("the data set lacks an input")?;
        let outputs = session.run(&inputs)?;
        for (found, expected) in outputs.iter().zip(&data.outputs) {
            let tolerance = Tolerance { rtol: 1e-3, atol: 1e-5, scaled_atol: 1e-4 };
            let result = compare(found, &expected.value, &tolerance);
            if let Some(first) = &result.first {
                return Err(format!(
                    "{}: {} of {} elements differ: {first:?}",
                    expected.name, result.failures, result.elements
                )
                .into());
            }
            eprintln!("  {}: {}: largest error {:.2e}", set.display(), expected.name, result.max_abs_error);
        }
        if settings.times > 0 {
            session.reset_stats();
            let mut best = f64::INFINITY;
            for _ in 0..settings.times {
                let start = Instant::now();
                session.run(&inputs)?;
                best = best.min(start.elapsed().as_secs_f64());
            }
            let memory = session.stats().memory;
            eprintln!("  best of {}: {:.3} ms; peak {} KiB", settings.times, best * 1e3, memory.peak >> 10);
            for kernel in session.stats().kernels.iter().take(12) {
                let each = kernel.time.as_secs_f64() * 1e6 / kernel.calls as f64;
                eprintln!("    {:>6} x {each:9.1} us  {}", kernel.calls / settings.times as u64, kernel.kernel);
            }
        }
    }
    Ok(())
}
