//! Files that appear under their names when they are complete, and folders for a while: neither an error nor Ctrl-C leaves half of
//! one behind.

mod unfinished;

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};
use unfinished::Unfinished;
pub use unfinished::watch;

/// Bytes that are collected before they are written.
const BUFFER: usize = 1 << 20;

/// Whether a path stands for a file that can be replaced, or for none yet: not for a device or a pipe.
pub fn is_regular(path: &Path) -> bool {
    fs::metadata(path).map_or(true, |found| found.is_file())
}

/// A file that is being written: beside its place, until [`Output::finish`]. What is not finished is removed.
#[derive(Debug)]
pub struct Output {
    to: BufWriter<fs::File>,
    /// Where it is written, and where it is to be; `None` for what cannot be replaced: a device, a pipe, or a file in a folder that
    /// takes no new ones.
    aside: Option<(Unfinished, PathBuf)>,
}

impl Output {
    /// Begins a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: &Path) -> io::Result<Output> {
        let output = |to, aside| Output { to: BufWriter::with_capacity(BUFFER, to), aside };
        if !is_regular(path) {
            return Ok(output(fs::OpenOptions::new().write(true).open(path)?, None));
        }
        // A link goes on pointing where it did.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        match Unfinished::file_beside(&target) {
            Ok((to, aside)) => Ok(output(to, Some((aside, target)))),
            Err(_) => Ok(output(fs::File::create(&target)?, None)),
        }
    }

    /// The file, for who writes at any position; nothing may have been written before.
    pub fn file(&self) -> &fs::File {
        self.to.get_ref()
    }

    /// Puts it into its place. It is not waited for until the disk has it all: a result is made again faster than that.
    ///
    /// # Errors
    /// It cannot be put there.
    pub fn finish(mut self) -> io::Result<()> {
        self.to.flush()?;
        match self.aside.take() {
            Some((aside, target)) => aside.rename(&target),
            None => Ok(()),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes a whole file.
///
/// # Errors
/// What the system says.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut output = Output::create(path)?;
    output.write_all(bytes)?;
    output.finish()
}

/// A folder for files that are needed for a while; gone with this value.
#[derive(Debug)]
pub struct Scratch(Unfinished);

impl Scratch {
    /// Makes a folder where the system keeps such.
    ///
    /// # Errors
    /// What the system says, and the folder's name.
    pub fn new(purpose: &str) -> Result<Scratch, (PathBuf, io::Error)> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("{purpose}-{}-{number}", std::process::id()));
        match Unfinished::folder(path.clone()) {
            Ok(folder) => Ok(Scratch(folder)),
            Err(why) => Err((path, why)),
        }
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = Scratch::new("nim-files-test").unwrap();
        let path = folder.file("out");
        write(&path, b"old").unwrap();
        let mut begun = Output::create(&path).unwrap();
        begun.write_all(b"half").unwrap();
        begun.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(begun);
        assert_eq!(names(path.parent().unwrap()), 1, "nothing is left aside");
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(write(&folder.file("none").join("x"), b"").is_err());
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
        assert!(!is_regular(Path::new("/dev/null")));
    }
}
