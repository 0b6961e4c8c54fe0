//! Standard input and output under the name `-`, and files that appear only when they are complete.

use crate::{Failure, Stage};
use nim_tensor::Blob;
use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
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
    !is_stdio(path) && fs::metadata(path).map_or(true, |m| m.is_file())
}

/// As [`write`], for what writes itself; only for files.
pub fn write_with(path: &Path, body: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    if !is_regular(path) {
        // A device or a pipe cannot be replaced, and holds no old contents.
        let out = fs::OpenOptions::new().write(true).open(path);
        return out.and_then(|mut out| body(&mut out).and_then(|()| out.flush())).map_err(|e| io_failure(path, &e));
    }
    write_file(path, &mut |file| {
        let mut out = io::BufWriter::with_capacity(1 << 20, file);
        body(&mut out)?;
        out.flush()
    })
}

/// As [`write_with`], for what writes at any position; only for what [`is_regular`].
pub fn write_file(path: &Path, body: &mut dyn FnMut(&fs::File) -> io::Result<()>) -> Result<(), Failure> {
    // A link is followed, so that it goes on pointing where it did; what has no file yet is made.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let aside = Unfinished::beside(&target);
    // It is not waited for until the disk has it all: a program is compiled again faster than that.
    let done =
        fs::File::create(&aside.path).and_then(|file| body(&file)).and_then(|()| fs::rename(&aside.path, &target));
    done.map_err(|e| io_failure(path, &e))
}

/// A folder for files that are needed for a while; gone with this value.
#[derive(Debug)]
pub struct Scratch(Unfinished);

impl Scratch {
    /// Makes a folder where the system keeps such.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(purpose: &str) -> Result<Scratch, Failure> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("{purpose}-{}-{number}", std::process::id()));
        fs::create_dir(&path).map_err(|e| io_failure(&path, &e))?;
        Ok(Scratch(Unfinished::new(path)))
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path.join(name)
    }
}

/// What is to be removed when the process is stopped.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(vec![]);

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or folder that goes when this value does, or when the process is stopped; a file that was renamed stays.
#[derive(Debug)]
struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    fn new(path: PathBuf) -> Unfinished {
        unfinished().push(path.clone());
        Unfinished { path }
    }

    /// A name beside a file that no other process uses.
    fn beside(path: &Path) -> Unfinished {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.part", std::process::id()));
        Unfinished::new(path.with_file_name(name))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut all = unfinished();
        remove(&self.path);
        all.retain(|path| *path != self.path);
    }
}

fn remove(path: &Path) {
    // It may be gone already; that it cannot be removed adds nothing to the reason why it is not finished.
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}

/// Removes everything that is not finished; the process ends after that.
pub(crate) fn remove_unfinished() {
    unfinished().iter().for_each(|path| remove(path));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = Scratch::new("nim-files-test").unwrap();
        let path = folder.file("out");
        write(&path, b"old").unwrap();
        let failed = write_with(&path, &mut |out| {
            out.write_all(b"new")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.unwrap_err().message.starts_with(&path.display().to_string()));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left aside");
        let kept = path.parent().unwrap().to_path_buf();
        drop(folder);
        assert!(!kept.exists());
    }

    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = Scratch::new("nim-files-test").unwrap();
        let (target, link) = (folder.file("target"), folder.file("link"));
        fs::write(&target, b"old").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write(&link, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        write(Path::new("/dev/null"), b"anything").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
