//! What is to be removed when the process is stopped.

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
    low_level::emulate_default_handler,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, Once, PoisonError, atomic::AtomicBool},
};

static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(vec![]);

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches for Ctrl-C and its like: what is not finished is removed, and the process ends at once, in the way that the system
/// expects of it (a shell shows 130 after Ctrl-C). Where the system refuses, they end the process as they always do. A file above
/// the shell's limit is an error of the write from now on, and not the end of the process.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else { return };
        let wait = move || {
            for signal in &mut signals {
                // Held until the process ends: nothing is renamed any more, and who stumbles over what is gone waits here when it
                // gives up, instead of ending the process with an error of its own.
                let all = unfinished();
                all.iter().for_each(|path| remove(path));
                // What comes back from it has no effect: there is nobody left to be told.
                let _ = emulate_default_handler(signal);
                drop(all);
            }
        };
        let _ = std::thread::Builder::new().name("signals".into()).spawn(wait);
    });
}

/// A file or folder that goes when this value does, or when the process is stopped.
#[derive(Debug)]
pub struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    /// A new file beside another one, under a name that no other process uses.
    pub fn file_beside(target: &Path) -> io::Result<(fs::File, Unfinished)> {
        watch();
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        let path = target.with_file_name(name);
        let mut all = unfinished();
        let file = fs::File::create(&path)?;
        all.push(path.clone());
        Ok((file, Unfinished { path }))
    }

    /// A new folder.
    pub fn folder(path: PathBuf) -> io::Result<Unfinished> {
        watch();
        let mut all = unfinished();
        fs::create_dir(&path)?;
        all.push(path.clone());
        Ok(Unfinished { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it a finished file.
    pub fn rename(self, to: &Path) -> io::Result<()> {
        let mut all = unfinished();
        fs::rename(&self.path, to)?;
        all.retain(|path| *path != self.path);
        drop(all);
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let mut all = unfinished();
        // One that was renamed is none of ours any more.
        if let Some(at) = all.iter().position(|path| *path == self.path) {
            remove(&self.path);
            all.swap_remove(at);
        }
    }
}

fn remove(path: &Path) {
    // It may be gone already; that it cannot be removed adds nothing to the reason why it is not finished.
    let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
}
