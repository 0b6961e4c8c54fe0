//! Running cases, several at a time. Whatever happens in one case stays there.

use crate::case::{Case, Mode};
use indicatif::{ProgressBar, ProgressStyle};
use nim_ir::{Context, Module};
use nim_onnx::{
    ImportOptions, LoadedModel,
    dataset::{DataSet, read_data_set},
    load_model,
};
use nim_tensor::{Tolerance, compare::Difference};
use nim_tools::{
    Backend, Engine, EngineOptions, Failure, Stage,
    dataset::{Noise, OutputResult, all_agree, compare_outputs, data_sets, inputs, tolerance},
    source::{context, verified},
    terminal,
};
use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

/// Deep recursion over a model's graph needs more than a thread has by default.
const STACK: usize = 256 << 20;

/// What became of one case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The reason, if it failed.
    pub failure: Option<Failure>,
    /// The largest absolute error of any output.
    pub max_error: f64,
    /// Seconds from reading the model to the last comparison.
    pub seconds: f64,
}

/// All cases in one mode on one back end.
pub struct Run {
    /// How inputs were taken.
    pub mode: Mode,
    /// What ran the models.
    pub backend: Backend,
    /// One a case, in their order.
    pub outcomes: Vec<Outcome>,
}

impl Run {
    /// How many cases failed.
    pub fn failed(&self) -> usize {
        self.outcomes.iter().filter(|o| o.failure.is_some()).count()
    }
}

thread_local! {
    /// What the panic of this thread said and where.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs all cases.
pub fn all(cases: &[Case], mode: Mode, options: &EngineOptions, threads: usize) -> Run {
    let before = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(|l| format!(" at {}:{}", l.file(), l.line())).unwrap_or_default();
        let text = info.payload_as_str().unwrap_or("panicked");
        PANIC.with(|p| *p.borrow_mut() = format!("{text}{place}"));
    }));
    let bar = progress(cases.len(), &format!("{mode} {}", options.backend));
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(vec![None; cases.len()]);
    thread::scope(|scope| {
        for _ in 0..threads.min(cases.len()) {
            let work = || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    let outcome = one(case, mode, options);
                    bar.inc(1);
                    if let Ok(mut all) = outcomes.lock() {
                        all[at] = Some(outcome);
                    }
                }
            };
            if thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).is_err() {
                // Without a thread of its own the work is done here.
                work();
            }
        }
    });
    bar.finish_and_clear();
    panic::set_hook(before);
    let outcomes = outcomes.into_inner().unwrap_or_default().into_iter().flatten().collect();
    Run { mode, backend: options.backend, outcomes }
}

fn progress(count: usize, what: &str) -> ProgressBar {
    if !terminal::interactive() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} [{bar:40}] {pos}/{len} {eta}");
    let bar = ProgressBar::new(count as u64).with_prefix(what.to_string());
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn one(case: &Case, mode: Mode, options: &EngineOptions) -> Outcome {
    let start = Instant::now();
    let mut max_error = 0.0;
    // Nothing of a case outlives it, so nothing half changed can be seen afterwards.
    let done = panic::catch_unwind(AssertUnwindSafe(|| test(case, mode, options, &mut max_error)));
    let failure = match done {
        Ok(result) => result.err(),
        Err(_) => Some(Failure::new(Stage::Panic, PANIC.with(|p| p.take()))),
    };
    Outcome { failure, max_error, seconds: start.elapsed().as_secs_f64() }
}

fn test(case: &Case, mode: Mode, options: &EngineOptions, max_error: &mut f64) -> Result<(), Failure> {
    let model = load_model(case.folder.join("model.onnx"))?;
    let tolerance = tolerance(&case.folder)?;
    let mut engine = None;
    for folder in data_sets(&case.folder)? {
        let set = read_data_set(&folder, &model)?;
        // Constants are those of one data set.
        if mode == Mode::Const {
            engine = None;
        }
        let engine = match &mut engine {
            Some(engine) => engine,
            None => engine.insert(prepare(&model, &set, mode, options)?),
        };
        let results = check(engine, &set, &tolerance, max_error)?;
        let right_shape = |r: &OutputResult| {
            matches!(r.comparison.first.as_ref().map(|m| &m.difference), None | Some(Difference::Element { .. }))
        };
        if !(case.random && results.iter().all(right_shape)) {
            all_agree(&results)?;
        }
    }
    Ok(())
}

fn prepare(model: &LoadedModel, set: &DataSet, mode: Mode, engine: &EngineOptions) -> Result<Engine, Failure> {
    let mut options = ImportOptions { symbolic_inputs: mode == Mode::Dynamic, ..ImportOptions::default() };
    if mode == Mode::Const {
        let tensors = set.inputs.iter().filter_map(|i| Some((i.name.clone(), i.value.as_tensor()?.clone())));
        options.constants = tensors.collect();
    }
    let ctx = context();
    let module = nim_onnx::import(&ctx, model, &options).map_err(|d| Failure::diagnostics(Stage::Import, &ctx, &d))?;
    verified(&ctx, &module)?;
    ready(ctx, module, engine)
}

#[cfg(feature = "llvm")]
fn ready(ctx: Context, module: Module, options: &EngineOptions) -> Result<Engine, Failure> {
    nim_tools_compiler::engine(ctx, module, options)
}

#[cfg(not(feature = "llvm"))]
fn ready(ctx: Context, module: Module, options: &EngineOptions) -> Result<Engine, Failure> {
    Engine::interpret(ctx, module, options.backend, &options.compile.precision)
}

fn check(
    engine: &mut Engine,
    set: &DataSet,
    tolerance: &Tolerance,
    max_error: &mut f64,
) -> Result<Vec<OutputResult>, Failure> {
    let inputs = inputs(set, engine.interface())?;
    let found = engine.run(&inputs)?;
    let results = compare_outputs(&found, set, engine.interface(), tolerance, &Noise::new())?;
    *max_error = results.iter().map(|r| r.comparison.max_abs_error).fold(*max_error, f64::max);
    Ok(results)
}
