//! Opening a model.

use crate::Cli;
use nim_onnx::LoadedModel;
use nim_tools::{
    Backend, Engine, EngineOptions, Failure, Stage,
    source::{Source, context},
};
use std::time::Instant;

/// A model that is ready to run.
pub struct Model {
    /// What runs it.
    pub engine: Engine,
    /// The back end's name.
    pub backend: Backend,
    /// The ONNX file it came from, which says how test data is to be read.
    pub onnx: Option<LoadedModel>,
    /// Milliseconds for reading the file and, if it is none that is compiled, importing it.
    pub load_ms: f64,
}

/// What runs models that nothing else is said of.
const DEFAULT: Backend = if cfg!(feature = "llvm") { Backend::Cpu } else { Backend::Interp };

/// Opens what the command line names.
pub fn open(cli: &Cli) -> Result<Model, Failure> {
    let start = Instant::now();
    let elapsed = |start: Instant| start.elapsed().as_secs_f64() * 1e3;
    if cli.model.extension().is_some_and(|e| e == "nimx") {
        if cli.backend.is_some_and(|b| b != Backend::Cpu) {
            let message = format!("{}: a compiled program runs only with --backend=cpu", cli.model.display());
            return Err(Failure::new(Stage::Load, message));
        }
        let engine = Engine::load(&cli.model, cli.threads)?;
        return Ok(Model { engine, backend: Backend::Cpu, onnx: None, load_ms: elapsed(start) });
    }
    let source = Source::read(&cli.model)?;
    let ctx = context();
    let module = source.module(&ctx, &cli.import.options()?)?;
    let load_ms = elapsed(start);
    let backend = cli.backend.unwrap_or(DEFAULT);
    let options = EngineOptions { backend, threads: cli.threads, compile: cli.compile.clone() };
    let engine = Engine::new(ctx, module, &options)?;
    let onnx = match source {
        Source::Onnx(model) => Some(*model),
        Source::Text { .. } => None,
    };
    Ok(Model { engine, backend, onnx, load_ms })
}
