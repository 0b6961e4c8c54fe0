//! Shared immutable bytes: owned, or a window into a mapped file.

use std::{fmt, io, ops::Deref, path::Path, sync::Arc};

/// Immutable bytes that are cheap to clone and to cut.
#[derive(Clone)]
pub struct Blob {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    start: usize,
    len: usize,
}

impl Blob {
    /// Takes ownership of anything that holds bytes.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Blob {
        let len = bytes.as_ref().len();
        Blob { owner: Arc::new(bytes), start: 0, len }
    }

    /// Maps a whole file; an empty file gives an empty blob.
    pub fn map_file(path: &Path) -> io::Result<Blob> {
        if std::fs::metadata(path)?.len() == 0 {
            return Ok(Blob::new(Vec::new()));
        }
        Ok(Blob::new(crate::map_file::map(path)?))
    }

    /// The part `start..start + len`, sharing the bytes; `None` when it reaches past the end.
    pub fn slice(&self, start: usize, len: usize) -> Option<Blob> {
        let end = start.checked_add(len)?;
        (end <= self.len).then(|| Blob { owner: self.owner.clone(), start: self.start + start, len })
    }
}

impl Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &(*self.owner).as_ref()[self.start..self.start + self.len]
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len)
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Blob) -> bool {
        self[..] == other[..]
    }
}
impl Eq for Blob {}
