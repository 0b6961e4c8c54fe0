//! The one module outside `backends/` that may say `unsafe`: it maps files.

use memmap2::{Mmap, UncheckedAdvice};
use std::{fs::File, io, path::Path};

/// A file's bytes, read-only.
pub(crate) struct Mapping(Mmap);

/// Maps a file read-only.
///
/// The mapping is private. If another process shortens the file while it is mapped, reading past its new end ends
/// the process, as it does for every program that maps files.
#[allow(unsafe_code)]
pub(crate) fn map(path: &Path) -> io::Result<Mapping> {
    let file = File::open(path)?;
    // SAFETY: read-only private mapping; see above for the one condition that the caller's world must hold.
    Ok(Mapping(unsafe { Mmap::map(&file)? }))
}

impl Mapping {
    /// The file's bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Gives back the pages that lie within a part: whoever reads them again gets them from the file.
    #[allow(unsafe_code)]
    pub(crate) fn give_back(&self, start: usize, len: usize) {
        const PAGE: usize = 4096;
        let (from, to) = (start.next_multiple_of(PAGE), (start + len) / PAGE * PAGE);
        if from < to {
            // SAFETY: nobody writes to a private read-only mapping of a file, so its pages come back as they were. A refusal
            // (pages of another size) only costs memory.
            let _ = unsafe { self.0.unchecked_advise_range(UncheckedAdvice::DontNeed, from, to - from) };
        }
    }
}
