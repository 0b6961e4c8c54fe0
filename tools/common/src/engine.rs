//! Modules made ready to run by one of the back ends.

use crate::{Failure, Interface, Stage, flags::CompileFlags, source::verified};
use clap::ValueEnum;
pub use nim_interp::device::InterpreterDevice;
use nim_ir::{Context, Diagnostic, Module};
use nim_tensor::Value;
pub use nim_vm::Program;
pub use nim_vm::device::{CpuDevice, Device, Devices};
use nim_vm::{LoadOptions, Session};
pub use nim_vm::{Options as RunOptions, PoolStats, Products, Profile, Roof, SiteTime};
pub use nim_vm::{SpecialiseOptions, SpecialisedShape, Specialiser};
use std::{fmt, path::Path, sync::Arc, time::Instant};

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
    /// The whole program compiled to machine code, without bytecode.
    Native,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Interp => "interp",
            Backend::Dataflow => "dataflow",
            Backend::Loops => "loops",
            Backend::Dyn => "dyn",
            Backend::Cpu => "cpu",
            Backend::Native => "native",
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
    Interpreter { ctx: Box<Context>, module: Box<Module> },
    Program(Box<Session>),
}

impl Engine {
    /// Interprets a module: as it is, or after `graph-to-dataflow`. The function `@main` is the model. What a precision means is what
    /// the graph computes that says so.
    ///
    /// # Errors
    /// What cannot be lowered, an unknown precision, and back ends that need the compiler.
    pub fn interpret(ctx: Context, mut module: Module, backend: Backend, precision: &str) -> Result<Engine, Failure> {
        let start = Instant::now();
        let interface = Interface::of_function(&ctx, &module, "main")?;
        let precision = precision.parse().map_err(|message: String| Failure::new(Stage::Lower, message))?;
        for (_, body) in module.body.nested_bodies_mut() {
            nim_graph_passes::precision::lower_precision(&ctx, body, precision);
        }
        match backend {
            Backend::Interp => {}
            Backend::Dataflow => {
                let found = nim_graph_passes::graph_to_dataflow(&ctx, &mut module);
                if found.iter().any(Diagnostic::is_error) {
                    return Err(Failure::diagnostics(Stage::Lower, &ctx, &found));
                }
                verified(&ctx, &module)?;
            }
            Backend::Loops | Backend::Dyn | Backend::Cpu | Backend::Native => {
                let message = format!("--backend={backend} needs the compiler, which this tool was built without");
                return Err(Failure::new(Stage::Compile, message));
            }
        }
        Ok(Engine::interpreter(interface, ctx, module, start.elapsed().as_secs_f64() * 1e3))
    }

    /// Interprets a module that is lowered as far as it shall be; that took `compile_ms`.
    pub fn interpreter(interface: Interface, ctx: Context, module: Module, compile_ms: f64) -> Engine {
        Engine { interface, runner: Runner::Interpreter { ctx: Box::new(ctx), module: Box::new(module) }, compile_ms }
    }

    /// Runs a program that took `compile_ms` to make.
    pub fn program(interface: Interface, program: &Program, options: RunOptions, compile_ms: f64) -> Engine {
        Engine { interface, runner: Runner::Program(Box::new(Session::new(program, options))), compile_ms }
    }

    /// Maps a compiled program (.nimx, or native: .so), and its constants where they are in a file of their own: `constants`, or the one beside it.
    ///
    /// # Errors
    /// A file that is no program, is damaged, or is for another machine.
    pub fn load(path: &Path, constants: Option<&Path>, devices: &Devices, run: RunOptions) -> Result<Engine, Failure> {
        let program = load(path, constants, devices)?;
        Ok(Engine::program(Interface::of_program(program.signature()), &program, run, 0.0))
    }

    /// Has programs made for shapes that are run often; of a program that has not run yet. The interpreter needs none.
    pub fn specialise(&mut self, maker: Arc<dyn Specialiser>, options: SpecialiseOptions) {
        if let Runner::Program(session) = &mut self.runner {
            let program = session.program().specialised_by(maker, options);
            **session = Session::new(&program, session.options().clone());
        }
    }

    /// Shapes that it was run with and what became of them, where programs are made for some.
    pub fn specialised(&self) -> Vec<SpecialisedShape> {
        match &self.runner {
            Runner::Interpreter { .. } => vec![],
            Runner::Program(session) => session.program().specialised(),
        }
    }

    /// Whether a program for some shape is being made.
    pub fn is_specialising(&self) -> bool {
        matches!(&self.runner, Runner::Program(session) if session.program().is_specialising())
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

    /// Measures each kernel from now on.
    pub fn profile(&mut self) {
        if let Runner::Program(session) = &mut self.runner {
            session.set_profile(true);
        }
    }

    /// Where time went since [`Engine::profile`]; nothing of the interpreter.
    pub fn profiled(&self) -> Option<Profile> {
        match &self.runner {
            Runner::Interpreter { .. } => None,
            Runner::Program(session) => Some(session.profile()),
        }
    }

    /// The bytecode of a program as text.
    pub fn disassemble(&self) -> Option<String> {
        match &self.runner {
            Runner::Interpreter { .. } => None,
            Runner::Program(session) => Some(session.program().disassemble()),
        }
    }

    /// What a program checks in each run and what its kernels choose, as text.
    pub fn explain_guards(&self) -> Option<String> {
        match &self.runner {
            Runner::Interpreter { .. } => None,
            Runner::Program(session) => Some(session.program().explain_guards()),
        }
    }

    /// The most bytes that its tensors took at a time, inputs and constants not counted; of the interpreter, which does
    /// not count them, the most that the whole process took, where the system says.
    pub fn peak_bytes(&self) -> Option<usize> {
        match &self.runner {
            Runner::Interpreter { .. } => process_peak(),
            Runner::Program(session) => Some(session.memory().peak),
        }
    }

    /// What the memory of its tensors was asked for; not known of the interpreter.
    pub fn memory(&self) -> Option<PoolStats> {
        match &self.runner {
            Runner::Interpreter { .. } => None,
            Runner::Program(session) => Some(session.stats().memory),
        }
    }

    /// Names of the devices that the program wants besides the host; the interpreter takes any.
    pub fn devices(&self) -> &[String] {
        match &self.runner {
            Runner::Interpreter { .. } => &[],
            Runner::Program(session) => session.program().devices(),
        }
    }

    /// The same on each device besides the host.
    pub fn device_memory(&self) -> Vec<(String, PoolStats)> {
        match &self.runner {
            Runner::Interpreter { .. } => vec![],
            Runner::Program(session) => session.device_memory(),
        }
    }

    /// Bytes of its constants, as kernels read them; not known of the interpreter.
    pub fn constant_bytes(&self) -> Option<usize> {
        match &self.runner {
            Runner::Interpreter { .. } => None,
            Runner::Program(session) => Some(session.program().constant_bytes()),
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

/// Maps a compiled program, as [`Engine::load`] does.
///
/// # Errors
/// A file that is no program, is damaged, or is for another machine.
pub fn load(path: &Path, constants: Option<&Path>, devices: &Devices) -> Result<Program, Failure> {
    let (constants, devices) = (constants.map(Path::to_owned), devices.clone());
    let options = LoadOptions { constants, devices, ..LoadOptions::default() };
    let program = match path.extension() {
        Some(extension) if extension == "so" => Program::load_shared(path),
        _ => Program::load_with(path, &options),
    };
    program.map_err(|e| Failure::new(Stage::Load, format!("{}: {e}", path.display())))
}

/// The most memory that this process has had, in bytes; Linux only.
pub fn process_peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? << 10)
}
