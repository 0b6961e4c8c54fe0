//! Files that appear when they are complete: neither an error nor Ctrl-C leaves half of one under its name.

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, Once, PoisonError},
};

/// Files beside their places, which go when the process is stopped.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(vec![]);

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches for signals; where the system refuses, they end the process as they always do.
fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
        let wait = move || {
            for signal in &mut signals {
                // Held until the process ends, so that nothing is renamed any more.
                let files = unfinished();
                files.iter().for_each(|path| drop(fs::remove_file(path)));
                let _ = emulate_default_handler(signal);
                drop(files);
            }
        };
        let _ = std::thread::Builder::new().name("signals".into()).spawn(wait);
    });
}

/// A file that is being written.
pub struct Output {
    to: fs::File,
    /// Where it is written, and where it is to be; `None` for what cannot be replaced: a device, or a file in a folder that
    /// takes no new ones.
    aside: Option<(PathBuf, PathBuf)>,
}

impl Output {
    /// Begins a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: &Path) -> io::Result<Output> {
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Ok(Output { to: fs::OpenOptions::new().write(true).open(path)?, aside: None });
        }
        watch();
        // A link goes on pointing where it did.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        let aside = target.with_file_name(name);
        let mut files = unfinished();
        match fs::File::create(&aside) {
            Ok(to) => {
                files.push(aside.clone());
                Ok(Output { to, aside: Some((aside, target)) })
            }
            Err(_) => Ok(Output { to: fs::File::create(&target)?, aside: None }),
        }
    }

    /// Puts it into its place.
    ///
    /// # Errors
    /// It cannot be put there.
    pub fn finish(mut self) -> io::Result<()> {
        self.to.flush()?;
        let Some((aside, target)) = &self.aside else { return Ok(()) };
        let mut files = unfinished();
        fs::rename(aside, target)?;
        files.retain(|path| path != aside);
        drop(files);
        self.aside = None;
        Ok(())
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

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((aside, _)) = &self.aside {
            let mut files = unfinished();
            let _ = fs::remove_file(aside);
            files.retain(|path| path != aside);
        }
    }
}

/// Writes a whole file.
///
/// # Errors
/// What the system says, with the file's name.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let written = Output::create(path).and_then(|mut to| to.write_all(bytes).and_then(|()| to.finish()));
    written.map_err(|e| format!("cannot write `{}`: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = std::env::temp_dir().join(format!("nim-opt-output-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("out.nir");
        write(&path, b"old").unwrap();
        let mut begun = Output::create(&path).unwrap();
        begun.write_all(b"half").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        drop(begun);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(write(&folder.join("none").join("x"), b"").is_err());
        write(Path::new("/dev/null"), b"x").unwrap();
        fs::remove_dir_all(&folder).unwrap();
    }
}
