//! Standard input and output under the name `-`, and files that appear only when they are complete.

use crate::{Failure, Stage};
use nim_tensor::Blob;
use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
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

/// As [`write`], for what writes itself; only for files.
pub fn write_with(path: &Path, body: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let aside = aside(path);
    let done = fs::File::create(&aside).and_then(|file| {
        let mut out = io::BufWriter::new(file);
        body(&mut out)?;
        out.flush()?;
        fs::rename(&aside, path)
    });
    done.map_err(|e| {
        // The reason is told below; that the rest of it could not be removed adds nothing.
        let _ = fs::remove_file(&aside);
        io_failure(path, &e)
    })
}

/// A name beside a file that no other process uses.
fn aside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}
