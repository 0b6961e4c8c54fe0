//! What the tools that compile share. It stands apart from `nim-tools` so that tools which only run or read do not load
//! LLVM: that costs more time and memory than many a model.

mod cache;
mod tune;

pub use cache::FileCache;
pub use tune::{save, tuning};

use nim_compiler::{Level, ObjectCache, Options, compile, lower};
use nim_ir::{Context, Module};
use nim_llvm::Target;
use nim_tools::{Backend, Engine, EngineOptions, Failure, Interface, RunOptions, Stage, flags::CompileFlags};
use std::sync::Arc;
use std::time::Instant;

/// The compiler's settings.
///
/// # Errors
/// An unknown target.
pub fn settings(flags: &CompileFlags, threads: usize) -> Result<Options, Failure> {
    let target = Target::parse(&flags.target).map_err(|e| Failure::new(Stage::Compile, e.to_string()))?;
    let rule = |text: &String| text.parse().map_err(|message| Failure::new(Stage::Compile, message));
    let place = flags.place.iter().map(rule).collect::<Result<_, _>>()?;
    let default = Options::default();
    let cache = if flags.no_cache { None } else { FileCache::of_user() };
    Ok(Options {
        target,
        cache: cache.map(|cache| -> Arc<dyn ObjectCache> { Arc::new(cache) }),
        threads: threads.max(1),
        fuse: !flags.no_fuse,
        place,
        plan: !flags.no_plan,
        naive: flags.naive,
        tuning: match &flags.tune_log {
            Some(path) => Some(Arc::new(tuning(flags, path, None)?)),
            None => None,
        },
        strict: flags.strict,
        precision: flags.precision.parse().map_err(|message: String| Failure::new(Stage::Compile, message))?,
        tolerance: flags.tolerance.unwrap_or(default.tolerance),
        verify: default.verify || flags.verify_each,
        ..default
    })
}

/// Makes a module ready to run by any back end. The function `@main` is the model.
///
/// # Errors
/// What the back end cannot lower or compile.
pub fn engine(ctx: Context, mut module: Module, options: &EngineOptions) -> Result<Engine, Failure> {
    let start = Instant::now();
    let level = match options.backend {
        Backend::Interp | Backend::Dataflow => {
            return Engine::interpret(ctx, module, options.backend, &options.compile.precision);
        }
        Backend::Loops => Some(Level::Loops),
        Backend::Dyn => Some(Level::Dyn),
        Backend::Cpu => None,
        Backend::Native => {
            let message = "--backend=native is for nim-run, which loads what nim-compile --emit=so writes";
            return Err(Failure::new(Stage::Compile, message));
        }
    };
    let interface = Interface::of_function(&ctx, &module, "main")?;
    let settings = settings(&options.compile, options.threads)?;
    let elapsed = || start.elapsed().as_secs_f64() * 1e3;
    if let Some(level) = level {
        lower(&ctx, &mut module, &settings, level).map_err(|found| Failure::diagnostics(Stage::Lower, &ctx, &found))?;
        return Ok(Engine::interpreter(interface, ctx, module, elapsed()));
    }
    let compiled =
        compile(&ctx, &mut module, &settings).map_err(|found| Failure::diagnostics(Stage::Compile, &ctx, &found))?;
    let program = compiled.program.into_program().map_err(|e| Failure::new(Stage::Load, e.to_string()))?;
    let run = RunOptions { threads: options.threads.max(1), ..RunOptions::default() };
    Ok(Engine::program(interface, &program, run, elapsed()))
}
