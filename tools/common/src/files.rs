//! Standard input and output under the name `-`, and files that appear only when they are complete.

use crate::{Failure, Stage};
use nim_files::Output;
pub use nim_files::Scratch;
use nim_tensor::Blob;
use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

/// The name that stands for standard input or output.
pub const STDIO: &str = "-";

/// Whether a path stands for standard input or output.
pub fn is_stdio(path: &Path) -> bool {
    path == Path::new(STDIO)
}

/// A failure to read or write a file.
pub fn io_failure(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Stage::Load, format!("{}: {error}", path.display()))
}

/// The bytes of a file, mapped, or of standard input.
pub fn read(path: &Path) -> Result<Blob, Failure> {
    if !is_stdio(path) {
        return Blob::map_file(path).map_err(|e| io_failure(path, &e));
    }
    let mut bytes = vec![];
    io::stdin().lock().read_to_end(&mut bytes).map_err(|e| io_failure(Path::new("standard input"), &e))?;
    Ok(Blob::new(bytes))
}

/// Writes a file beside its place and renames it, so that its name never stands for half a file; `-` is standard output.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if is_stdio(path) {
        let mut out = io::stdout().lock();
        return match out.write_all(bytes).and_then(|()| out.flush()) {
            // Whoever read it has had enough.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|e| io_failure(Path::new("standard output"), &e)),
        };
    }
    write_with(path, &mut |out| out.write_all(bytes))
}

/// Whether a path stands for a file that can be replaced, or for none yet: not for a device or a pipe.
pub fn is_regular(path: &Path) -> bool {
    !is_stdio(path) && nim_files::is_regular(path)
}

/// As [`write`], for what writes itself; only for files.
pub fn write_with(path: &Path, body: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let done = Output::create(path).and_then(|mut out| body(&mut out).and_then(|()| out.finish()));
    done.map_err(|e| io_failure(path, &e))
}

/// As [`write_with`], for what writes at any position; only for what [`is_regular`].
pub fn write_file(path: &Path, body: &mut dyn FnMut(&fs::File) -> io::Result<()>) -> Result<(), Failure> {
    let done = Output::create(path).and_then(|out| body(out.file()).and_then(|()| out.finish()));
    done.map_err(|e| io_failure(path, &e))
}

/// A folder for files that are needed for a while; gone with the value.
pub fn scratch(purpose: &str) -> Result<Scratch, Failure> {
    Scratch::new(purpose).map_err(|(path, e)| io_failure(&path, &e))
}
