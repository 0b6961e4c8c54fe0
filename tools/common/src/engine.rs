//! Modules made ready to run by one of the back ends.

use crate::{Failure, Interface, Stage, flags::CompileFlags, source::verified};
use clap::ValueEnum;
use nim_ir::{Context, Diagnostic, Module};
use nim_tensor::Value;
use nim_vm::{Program, Session};
use std::{fmt, path::Path, time::Instant};

/// What runs a model.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, ValueEnum)]
pub enum Backend {
    /// The reference interpreter, on the module as it is.
    Interp,
    /// The reference interpreter, after graph-to-dataflow.
    Dataflow,
    /// The reference interpreter, after lowering the kernels to loop nests.
    Loops,
    /// The reference interpreter, after lowering the host program to buffers too.
    Dyn,
    /// Compiled to machine code.
    Cpu,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Interp => "interp",
            Backend::Dataflow => "dataflow",
            Backend::Loops => "loops",
            Backend::Dyn => "dyn",
            Backend::Cpu => "cpu",
        })
    }
}

/// How a module is made ready and run.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// What runs it.
    pub backend: Backend,
    /// Threads that compile, and that work on one kernel.
    pub threads: usize,
    /// What steers the compiler.
    pub compile: CompileFlags,
}

/// A model that can be run any number of times.
pub struct Engine {
    interface: Interface,
    runner: Runner,
    /// Milliseconds from the module to something that runs.
    compile_ms: f64,
}

enum Runner {
    Interpreter { ctx: Box<Context>, module: Module },
    Program(Box<Session>),
}

impl Engine {
    /// Makes a module ready. The function `@main` is the model.
    ///
    /// # Errors
    /// What the back end cannot lower or compile.
    pub fn new(ctx: Context, mut module: Module, options: &EngineOptions) -> Result<Engine, Failure> {
        let start = Instant::now();
        let interface = Interface::of_function(&ctx, &module, "main")?;
        let runner = match options.backend {
            Backend::Interp => Runner::Interpreter { ctx: Box::new(ctx), module },
            Backend::Dataflow => {
                let found = nim_graph_passes::graph_to_dataflow(&ctx, &mut module);
                if found.iter().any(Diagnostic::is_error) {
                    return Err(Failure::diagnostics(Stage::Lower, &ctx, &found));
                }
                verified(&ctx, &module)?;
                Runner::Interpreter { ctx: Box::new(ctx), module }
            }
            Backend::Loops | Backend::Dyn => {
                lowered(&ctx, &mut module, options)?;
                Runner::Interpreter { ctx: Box::new(ctx), module }
            }
            Backend::Cpu => Runner::Program(Box::new(session(&compiled(&ctx, &mut module, options)?, options.threads))),
        };
        Ok(Engine { interface, runner, compile_ms: start.elapsed().as_secs_f64() * 1e3 })
    }

    /// Maps a compiled program.
    ///
    /// # Errors
    /// A file that is no program, is damaged, or is for another machine.
    pub fn load(path: &Path, threads: usize) -> Result<Engine, Failure> {
        let program = Program::load(path).map_err(|e| Failure::new(Stage::Load, format!("{}: {e}", path.display())))?;
        let interface = Interface::of_program(program.signature());
        let runner = Runner::Program(Box::new(session(&program, threads)));
        Ok(Engine { interface, runner, compile_ms: 0.0 })
    }

    /// What the model takes and gives.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Milliseconds that lowering and compiling took.
    pub fn compile_ms(&self) -> f64 {
        self.compile_ms
    }

    /// How many kernels of machine code it has.
    pub fn kernels(&self) -> usize {
        match &self.runner {
            Runner::Interpreter { .. } => 0,
            Runner::Program(session) => session.program().kernels().len(),
        }
    }

    /// The most bytes that its tensors took at a time, inputs and constants not counted; of the interpreter, which does
    /// not count them, the most that the whole process took, where the system says.
    pub fn peak_bytes(&self) -> Option<usize> {
        match &self.runner {
            Runner::Interpreter { .. } => process_peak(),
            Runner::Program(session) => Some(session.stats().memory.peak),
        }
    }

    /// Runs the model on inputs in order; [`Interface::arrange`] checks them.
    ///
    /// # Errors
    /// Whatever goes wrong on the way.
    pub fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>, Failure> {
        match &mut self.runner {
            Runner::Interpreter { ctx, module } => nim_interp::exec::run(ctx, module, "main", inputs)
                .map_err(|d| Failure::diagnostics(Stage::Run, ctx, &[d])),
            Runner::Program(session) => session.run(inputs).map_err(|e| Failure::new(Stage::Run, e.to_string())),
        }
    }
}

fn session(program: &Program, threads: usize) -> Session {
    Session::new(program, nim_vm::Options { threads: threads.max(1), ..nim_vm::Options::default() })
}

#[cfg(feature = "llvm")]
fn compiled(ctx: &Context, module: &mut Module, options: &EngineOptions) -> Result<Program, Failure> {
    let settings = options.compile.settings(options.threads)?;
    let compiled = nim_compiler::compile(ctx, module, &settings)
        .map_err(|found| Failure::diagnostics(Stage::Compile, ctx, &found))?;
    compiled.program.into_program().map_err(|e| Failure::new(Stage::Load, e.to_string()))
}

/// Lowers a module as far as its back end interprets it.
#[cfg(feature = "llvm")]
fn lowered(ctx: &Context, module: &mut Module, options: &EngineOptions) -> Result<(), Failure> {
    let settings = options.compile.settings(options.threads)?;
    let level = if options.backend == Backend::Loops { nim_compiler::Level::Loops } else { nim_compiler::Level::Dyn };
    nim_compiler::lower(ctx, module, &settings, level).map_err(|found| Failure::diagnostics(Stage::Lower, ctx, &found))
}

#[cfg(not(feature = "llvm"))]
fn lowered(_: &Context, _: &mut Module, _: &EngineOptions) -> Result<(), Failure> {
    Err(Failure::new(Stage::Compile, WITHOUT_COMPILER))
}

#[cfg(not(feature = "llvm"))]
fn compiled(_: &Context, _: &mut Module, _: &EngineOptions) -> Result<Program, Failure> {
    Err(Failure::new(Stage::Compile, WITHOUT_COMPILER))
}

#[cfg(not(feature = "llvm"))]
const WITHOUT_COMPILER: &str =
    "this tool was built without the compiler (feature `llvm`); compiled .nimx files run, and the interpreter does";

/// The most memory that this process has had, in bytes; Linux only.
fn process_peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? << 10)
}
