//! Programs for shapes that are run often: `nim-compile` makes them, beside this process, while the model runs.

use nim_onnx::import::inventory;
use nim_tools::engine::{Devices, Program, Specialiser};
use nim_tools::{
    Failure, engine,
    files::{Scratch, scratch},
    flags::{CompileFlags, ImportFlags},
    source::Source,
    values::InputSource,
};
use std::{
    collections::BTreeSet,
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
    /// What the model is made of, and how that was when it was compiled first.
    files: Vec<PathBuf>,
    before: Vec<Stamp>,
    count: AtomicUsize,
    running: Mutex<Running>,
}

/// A file's length and when it was changed; nothing of a file that is not there.
type Stamp = Option<(u64, Option<SystemTime>)>;

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
        let files = sources(model, import, compile)?;
        // Shapes are given whole.
        let import = ImportFlags { symbolic_inputs: false, input_shape: vec![], ..import.clone() };
        Ok(Compiler {
            command,
            model: model.to_owned(),
            inputs: vec![],
            devices: devices.clone(),
            flags: import.to_args().into_iter().chain(compile.to_args()).collect(),
            scratch: scratch("nim-run")?,
            before: stamps(&files),
            files,
            count: AtomicUsize::new(0),
            running: Mutex::default(),
        })
    }

    /// Says what the inputs of the model are called, in order.
    pub fn with_inputs(self, inputs: Vec<String>) -> Compiler {
        Compiler { inputs, ..self }
    }

    fn is_unchanged(&self) -> bool {
        stamps(&self.files) == self.before
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

/// The files that a model is compiled from, wherever they are: its own, those of its constants, and those that flags name.
fn sources(model: &Path, import: &ImportFlags, compile: &CompileFlags) -> Result<Vec<PathBuf>, Failure> {
    let mut files = vec![model.to_owned()];
    let folder = model.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match Source::read(model)? {
        Source::Onnx(onnx) => files.extend(inventory::external_files(&onnx)),
        // Constants of a text lie beside it: it says `@FILE:OFFSET:LENGTH`.
        Source::Text { text, .. } => {
            let named: BTreeSet<&str> =
                text.split('@').skip(1).filter_map(|rest| Some(rest.split_once(':')?.0)).collect();
            files.extend(named.into_iter().map(|name| folder.join(name)).filter(|path| path.is_file()));
        }
        Source::Bytecode { .. } => {}
    }
    let constants = import.constant.iter().filter_map(|constant| match &constant.from {
        InputSource::File(file) => Some(PathBuf::from(file)),
        _ => None,
    });
    files.extend(constants.chain(compile.tune_log.clone()));
    Ok(files)
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| {
        let data = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some((data.len(), data.modified().ok()))
    };
    files.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An initializer `w` of a model whose elements are in `weights/w.bin`, as protobuf.
    fn model() -> Vec<u8> {
        let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
        let entry = |key: &[u8], value: &[u8]| field(13, &[field(1, key), field(2, value)].concat());
        // TensorProto: dims 2, FLOAT, name, external_data, data_location EXTERNAL.
        let tensor =
            [vec![8, 2, 16, 1], field(8, b"w"), entry(b"location", b"weights/w.bin"), vec![14 << 3, 1]].concat();
        // ModelProto: ir_version 8, a graph with this initializer.
        [vec![8, 8], field(7, &field(5, &tensor))].concat()
    }

    #[test]
    fn a_change_of_any_file_of_the_model_is_seen() {
        let folder = scratch("nim-run-test").expect("a folder");
        let (path, weights) = (folder.file("model.onnx"), folder.file("weights"));
        let (log, constant) = (folder.file("log.tune"), folder.file("c.npy"));
        fs::create_dir_all(&weights).expect("a folder in it");
        let all = [path.clone(), weights.join("w.bin"), constant.clone(), log.clone()];
        fs::write(&all[0], model()).expect("the model");
        all[1..].iter().for_each(|file| fs::write(file, b"12345678").expect("a file"));
        let import = ImportFlags {
            constant: vec![format!("c=@{}", constant.display()).parse().expect("an input")],
            ..ImportFlags::default()
        };
        let compile = CompileFlags { tune_log: Some(log), ..CompileFlags::default() };
        let files = sources(&path, &import, &compile).expect("the model is read");
        assert_eq!(files, all);
        for file in &all[1..] {
            let before = stamps(&files);
            fs::write(file, b"123456789").expect("a file");
            assert_ne!(stamps(&files), before, "{}", file.display());
        }
        fs::remove_file(&all[1]).expect("it was there");
        assert_eq!(stamps(&files)[1], None);

        let (text, blobs) = (folder.file("model.nir"), folder.file("model.blobs"));
        fs::write(&text, "func.func @main(%x: i64)\n{-# builtin: { w: \"@model.blobs:0:8\" } #-}").expect("a text");
        fs::write(&blobs, b"12345678").expect("its constants");
        let files = sources(&text, &ImportFlags::default(), &CompileFlags::default()).expect("the text is read");
        assert_eq!(files, [text, blobs]);
    }
}
