//! Machine code of kernels, kept in a folder of the user's cache: `$NIM_CACHE`, else `$XDG_CACHE_HOME/nim/objects`, else
//! `~/.cache/nim/objects`; an empty `NIM_CACHE` turns it off. Whatever goes wrong here only costs the time to compile again.

use nim_compiler::ObjectCache;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

/// Bytes above which the entries that were not used for longest go, until half is left.
const MOST: u64 = 512 << 20;
/// New bytes after which a process looks how much there is.
const LOOK: u64 = 4 << 20;

/// A folder of objects.
#[derive(Debug)]
pub struct FileCache {
    folder: PathBuf,
    program: String,
    written: AtomicU64,
}

impl FileCache {
    /// The user's; `None` where there is no place for it, or it is turned off.
    pub fn of_user() -> Option<FileCache> {
        let variable = |name: &str| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let folder = match env::var_os("NIM_CACHE") {
            Some(folder) if folder.is_empty() => return None,
            Some(folder) => folder.into(),
            None => variable("XDG_CACHE_HOME")
                .or_else(|| Some(variable("HOME")?.join(".cache")))?
                .join("nim")
                .join("objects"),
        };
        fs::create_dir_all(&folder).ok()?;
        // Another build of this program may make other code of the same text.
        let own = fs::metadata(env::current_exe().ok()?).ok()?;
        let built = own.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        let program = format!("{} {} {built}", env!("CARGO_PKG_VERSION"), own.len());
        Some(FileCache { folder, program, written: AtomicU64::new(0) })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Option<()> {
        let path = self.folder.join(name);
        // Under a name that no other process uses, so that nobody reads half an object.
        let aside = self.folder.join(format!("{name}.{}", std::process::id()));
        let done = fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, &path));
        if done.is_err() {
            let _ = fs::remove_file(&aside);
        }
        done.ok()
    }

    fn trim(&self) -> Option<()> {
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(&self.folder)
            .ok()?
            .flatten()
            .filter_map(|entry| {
                let about = entry.metadata().ok()?;
                Some((about.modified().ok()?, about.len(), entry.path()))
            })
            .collect();
        let mut all: u64 = entries.iter().map(|e| e.1).sum();
        if all <= MOST {
            return None;
        }
        entries.sort();
        for (_, size, path) in entries {
            if all <= MOST / 2 {
                break;
            }
            all -= size;
            let _ = fs::remove_file(path);
        }
        None
    }
}

/// Says that an entry was used: the time of its last change is what [`FileCache::trim`] goes by.
fn touch(path: &Path) -> Option<()> {
    fs::File::options().append(true).open(path).ok()?.set_modified(SystemTime::now()).ok()
}

impl ObjectCache for FileCache {
    fn load(&self, name: &str) -> Option<Vec<u8>> {
        let path = self.folder.join(name);
        let bytes = fs::read(&path).ok()?;
        touch(&path);
        Some(bytes)
    }
    fn store(&self, name: &str, bytes: &[u8]) {
        self.write(name, bytes);
        let new = bytes.len() as u64;
        let before = self.written.fetch_add(new, Ordering::Relaxed);
        if before / LOOK != (before + new) / LOOK {
            self.trim();
        }
    }
    fn program(&self) -> &str {
        &self.program
    }
}
