//! Opening a model. This tool knows no compiler: what is not compiled yet goes through `nim-compile`, which lies beside it.
//! So a compiled program starts at once, and takes no memory for a compiler that it does not need.

use crate::{Cli, specialise::Compiler};
use nim_onnx::ImportOptions;
use nim_tools::{
    Backend, Engine, Failure, RunOptions, Stage,
    engine::{CpuDevice, Device, Devices, InterpreterDevice, SpecialiseOptions},
    files::{self, Scratch},
    source::{Source, context},
};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Instant,
};

/// A model that is ready to run.
pub struct Model {
    /// What runs it.
    pub engine: Engine,
    /// The back end's name.
    pub backend: Backend,
    /// Milliseconds for reading the file that is run.
    pub load_ms: f64,
    /// Milliseconds that lowering and compiling took.
    pub compile_ms: f64,
}

/// Opens what the command line names.
pub fn open(cli: &Cli) -> Result<Model, Failure> {
    let backend = cli.backend.unwrap_or(Backend::Cpu);
    if !matches!(backend, Backend::Cpu | Backend::Native) && (cli.memory_limit.is_some() || cli.max_steps.is_some()) {
        let message = format!("--memory-limit and --max-steps limit compiled programs, not --backend={backend}");
        return Err(Failure::new(Stage::Load, message));
    }
    for (extension, only) in [("nimx", Backend::Cpu), ("so", Backend::Native)] {
        if cli.model.extension().is_none_or(|e| e != extension) {
            continue;
        }
        if cli.backend.is_some_and(|asked| asked != only) {
            let message = format!("{}: a compiled program runs only with --backend={only}", cli.model.display());
            return Err(Failure::new(Stage::Load, message));
        }
        if !cli.import.to_args().is_empty() {
            let flags = "--symbolic-inputs, --constant and --input-shape are for nim-compile";
            return Err(Failure::new(
                Stage::Load,
                format!("{}: {flags}; this is compiled already", cli.model.display()),
            ));
        }
        if cli.specialise_after.is_some() {
            let message = "--specialise-after compiles the model again: give it, .onnx or .nir";
            return Err(Failure::new(Stage::Load, format!("{}: {message}", cli.model.display())));
        }
        return program(cli, &cli.model, only, 0.0);
    }
    if cli.specialise_after.is_some() {
        let why = match backend {
            Backend::Cpu if !files::is_stdio(&cli.model) => None,
            Backend::Cpu => {
                Some("compiles the model again, and standard input is read once only: give a file".to_owned())
            }
            Backend::Native => {
                Some("puts other bytecode in a program's place, and --backend=native has none".to_owned())
            }
            other => Some(format!("compiles shapes for themselves, and --backend={other} interprets the model")),
        };
        if let Some(why) = why {
            return Err(Failure::new(Stage::Load, format!("--specialise-after {why}")));
        }
    }
    if !cli.device.is_empty() && backend != Backend::Cpu {
        let message = format!("--device is for programs in bytecode: --backend={backend} takes any name as a device");
        let native = "--device is for programs in bytecode: --backend=native runs on the host only";
        let message = if backend == Backend::Native { native.to_owned() } else { message };
        return Err(Failure::new(Stage::Load, message));
    }
    if !files::is_stdio(&cli.model) {
        readable(&cli.model)?;
    }
    match backend {
        Backend::Interp | Backend::Dataflow => {
            interpreted(&cli.model, &cli.import.options()?, backend, &cli.compile.precision, 0.0)
        }
        Backend::Loops | Backend::Dyn => {
            let scratch = files::scratch("nim-run")?;
            let (lowered, compile_ms) = compile(cli, &scratch, &format!("{backend}.nir"), &backend.to_string())?;
            // The module maps the constants that lie beside it, which outlives their names.
            interpreted(&lowered, &ImportOptions::default(), Backend::Interp, "f32", compile_ms)
                .map(|model| Model { backend, ..model })
        }
        Backend::Cpu | Backend::Native => {
            let scratch = files::scratch("nim-run")?;
            let emit = if backend == Backend::Cpu { "nimx" } else { "so" };
            let again = |_| Compiler::new(compiler()?, &cli.model, &cli.import, &cli.compile, &devices(cli)?);
            let again = cli.specialise_after.map(again).transpose()?;
            // What is loaded stays mapped when its name is gone.
            let (path, compile_ms) = compile(cli, &scratch, &format!("model.{emit}"), emit)?;
            let mut model = program(cli, &path, backend, compile_ms)?;
            if let (Some(after), Some(again)) = (cli.specialise_after, again) {
                let inputs = model.engine.interface().inputs.iter().map(|port| port.name.clone()).collect();
                let options = SpecialiseOptions { after, ..SpecialiseOptions::default() };
                model.engine.specialise(Arc::new(again.with_inputs(inputs)), options);
            }
            Ok(model)
        }
    }
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// A model that this tool can read or have read; else says so in its own name.
fn readable(path: &Path) -> Result<(), Failure> {
    if !matches!(path.extension().and_then(|e| e.to_str()), Some("onnx" | "nir" | "mlir")) {
        let message = format!("{}: a model's name ends in .nimx, .so, .onnx or .nir", path.display());
        return Err(Failure::new(Stage::Load, message));
    }
    std::fs::File::open(path).map(|_| ()).map_err(|e| files::io_failure(path, &e))
}

fn program(cli: &Cli, path: &Path, backend: Backend, compile_ms: f64) -> Result<Model, Failure> {
    let start = Instant::now();
    let unlimited = RunOptions::default();
    let options = RunOptions {
        threads: cli.threads.max(1),
        pinned: cli.pin,
        memory_limit: cli.memory_limit.unwrap_or(unlimited.memory_limit),
        max_steps: cli.max_steps.unwrap_or(unlimited.max_steps),
        ..unlimited
    };
    let engine = Engine::load(path, cli.constants.as_deref(), &devices(cli)?, options)?;
    known_devices(cli, engine.devices())?;
    Ok(Model { engine, backend, load_ms: milliseconds(start), compile_ms })
}

/// What stands behind the names of devices.
fn devices(cli: &Cli) -> Result<Devices, Failure> {
    let mut devices = Devices::default();
    for rule in &cli.device {
        let device: Arc<dyn Device> = match rule.split_once('=') {
            Some((name, "cpu")) if !name.is_empty() => Arc::new(CpuDevice),
            Some((name, "interp")) if !name.is_empty() => Arc::new(InterpreterDevice::default()),
            Some((name, kind)) if !name.is_empty() => {
                let message =
                    format!("--device {rule}: there is no device of the kind `{kind}` here, only `cpu` and `interp`");
                return Err(Failure::new(Stage::Load, message));
            }
            _ => return Err(Failure::new(Stage::Load, format!("--device {rule}: NAME=KIND is wanted: npu=cpu"))),
        };
        let name = rule.split('=').next().unwrap_or_default();
        devices.insert(name, device);
    }
    Ok(devices)
}

/// Each `--device` is one that the program has.
fn known_devices(cli: &Cli, known: &[String]) -> Result<(), Failure> {
    let names = cli.device.iter().filter_map(|rule| Some(rule.split_once('=')?.0));
    let Some(name) = names.into_iter().find(|name| !known.iter().any(|known| known == name)) else { return Ok(()) };
    let has = match known {
        [] => "it runs on the host; nim-compile --place puts kernels on devices".to_owned(),
        [one] => format!("its device is `{one}`"),
        more => format!("its devices are {}", more.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")),
    };
    Err(Failure::new(Stage::Load, format!("--device: the program has no device `{name}`: {has}")))
}

fn interpreted(
    path: &Path,
    options: &ImportOptions,
    backend: Backend,
    precision: &str,
    compile_ms: f64,
) -> Result<Model, Failure> {
    let start = Instant::now();
    let ctx = context();
    let module = Source::read(path)?.module(&ctx, options)?;
    let load_ms = milliseconds(start);
    let engine = Engine::interpret(ctx, module, backend, precision)?;
    let compile_ms = compile_ms + engine.compile_ms();
    Ok(Model { engine, backend, load_ms, compile_ms })
}

/// Runs the compiler on the model; what it has to say goes to where this tool's own messages go.
fn compile(cli: &Cli, scratch: &Scratch, name: &str, emit: &str) -> Result<(PathBuf, f64), Failure> {
    let start = Instant::now();
    let (compiler, out) = (compiler()?, scratch.file(name));
    let mut command = Command::new(&compiler);
    command.arg(&cli.model).arg("--output").arg(&out).arg(format!("--emit={emit}"));
    command.arg(format!("--threads={}", cli.threads)).args(cli.import.to_args()).args(cli.compile.to_args());
    // Progress and diagnostics of the compiler are the user's to see; results come from this tool alone.
    let status = command.stdout(Stdio::null()).status().map_err(|e| files::io_failure(&compiler, &e))?;
    if !status.success() {
        return Err(Failure::new(Stage::Compile, format!("{} could not be compiled ({status})", cli.model.display())));
    }
    Ok((out, milliseconds(start)))
}

/// `nim-compile`, which is installed with this tool.
fn compiler() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(|e| files::io_failure(Path::new("nim-run"), &e))?;
    let compiler = own.with_file_name(format!("nim-compile{}", std::env::consts::EXE_SUFFIX));
    if compiler.is_file() {
        return Ok(compiler);
    }
    let message = format!(
        "there is no {}: without the compiler only .nimx files run, and models with --backend=interp",
        compiler.display()
    );
    Err(Failure::new(Stage::Compile, message))
}
