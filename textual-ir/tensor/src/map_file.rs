//! The one module outside `backends/` that may say `unsafe`: it maps files.

use std::{fs::File, io, path::Path};

/// Maps a file read-only.
///
/// The mapping is private. If another process shortens the file while it is mapped, reading past its new end ends
/// the process, as it does for every program that maps files.
#[allow(unsafe_code)]
pub(crate) fn map(path: &Path) -> io::Result<memmap2::Mmap> {
    let file = File::open(path)?;
    // SAFETY: read-only private mapping; see above for the one condition that the caller's world must hold.
    unsafe { memmap2::Mmap::map(&file) }
}
