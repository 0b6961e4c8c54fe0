//! Programs for shapes that are run often: `nim-compile` makes them, beside this process, while the model runs.

use nim_tools::engine::{Devices, Program, Specialiser};
use nim_tools::flags::{CompileFlags, ImportFlags};
use nim_tools::{
    Failure, engine,
    files::{Scratch, scratch},
};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

/// The compiler, and what it is to compile.
pub struct Compiler {
    command: PathBuf,
    model: PathBuf,
    /// Names of the inputs, in order.
    inputs: Vec<String>,
    devices: Devices,
    flags: Vec<String>,
    scratch: Scratch,
    /// What lay beside the model when it was compiled first.
    before: Vec<Stamp>,
    count: AtomicUsize,
    running: Mutex<Running>,
}

/// A file, its length and when it was changed.
type Stamp = (PathBuf, u64, Option<SystemTime>);

#[derive(Default)]
struct Running {
    child: Option<Child>,
    stopped: bool,
}

/// How often it is looked whether the compiler is done.
const LOOK: Duration = Duration::from_millis(5);

impl Compiler {
    /// Of the compiler at `command`, for a model that is not compiled yet: the files that it is made of have to stay as they are.
    pub fn new(
        command: PathBuf,
        model: &Path,
        import: &ImportFlags,
        compile: &CompileFlags,
        devices: &Devices,
    ) -> Result<Compiler, Failure> {
        // Shapes are given whole.
        let import = ImportFlags { symbolic_inputs: false, input_shape: vec![], ..import.clone() };
        Ok(Compiler {
            command,
            model: model.to_owned(),
            inputs: vec![],
            devices: devices.clone(),
            flags: import.to_args().into_iter().chain(compile.to_args()).collect(),
            scratch: scratch("nim-run")?,
            before: stamps(model),
            count: AtomicUsize::new(0),
            running: Mutex::default(),
        })
    }

    /// Says what the inputs of the model are called, in order.
    pub fn with_inputs(self, inputs: Vec<String>) -> Compiler {
        Compiler { inputs, ..self }
    }

    fn is_unchanged(&self) -> bool {
        let now = stamps(&self.model);
        self.before.iter().all(|stamp| now.binary_search(stamp).is_ok())
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the compiler to its end, or until nobody wants that any more.
    fn wait(&self, mut command: Command) -> io::Result<ExitStatus> {
        let stopped = || io::Error::other("nobody waits for it");
        let mut running = self.running();
        if running.stopped {
            return Err(stopped());
        }
        running.child = Some(command.spawn()?);
        drop(running);
        loop {
            thread::sleep(LOOK);
            let mut running = self.running();
            let Some(child) = &mut running.child else { return Err(stopped()) };
            if let Some(status) = child.try_wait()? {
                running.child = None;
                return Ok(status);
            }
        }
    }
}

impl Specialiser for Compiler {
    fn specialise(&self, shapes: &[Vec<usize>]) -> Result<Program, String> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let file = |ending: &str| self.scratch.file(&format!("{number}.{ending}"));
        let [program, constants, messages] = [file("nimx"), file("constants"), file("txt")];
        let mut command = Command::new(&self.command);
        command.arg(&self.model).arg("--output").arg(&program).arg("--constants").arg(&constants);
        // The model runs on the others.
        command.arg("--threads=1").args(&self.flags);
        for (name, dims) in self.inputs.iter().zip(shapes) {
            let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
            command.arg(format!("--input-shape={name}={}", dims.join("x")));
        }
        let out = File::create(&messages).map_err(|e| e.to_string())?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(out);
        let status = self.wait(command).map_err(|e| e.to_string());
        let said = fs::read_to_string(&messages).unwrap_or_default();
        let made = status.and_then(|status| match status.success() {
            // What was changed meanwhile is another model.
            true if !self.is_unchanged() => Err("files of the model have changed".into()),
            true => engine::load(&program, Some(&constants), &self.devices).map_err(|e| e.to_string()),
            false => Err(said.lines().next().map_or_else(|| status.to_string(), str::to_owned)),
        });
        // What is loaded stays mapped when its name is gone.
        for file in [program, constants, messages] {
            let _ = fs::remove_file(file);
        }
        made
    }

    fn cancel(&self) {
        let mut running = self.running();
        running.stopped = true;
        if let Some(mut child) = running.child.take() {
            // It may have ended just now.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The files in the model's folder, where its constants lie too.
fn stamps(model: &Path) -> Vec<Stamp> {
    let folder = model.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stamp = |entry: fs::DirEntry| {
        let data = fs::metadata(entry.path()).ok().filter(fs::Metadata::is_file)?;
        Some((entry.path(), data.len(), data.modified().ok()))
    };
    let mut all: Vec<Stamp> = fs::read_dir(folder).into_iter().flatten().flatten().filter_map(stamp).collect();
    all.sort();
    all
}
