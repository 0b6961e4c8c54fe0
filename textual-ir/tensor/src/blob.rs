//! Shared immutable bytes: owned, a window into a mapped file, or made when they are wanted.
//!
//! Large constants are mostly on their way from one file into another. So who only passes bytes on asks for [`Blob::pieces`] or
//! [`Blob::read`]: what is made on demand is then not kept, and pages of files can be given back behind it. Looking at bytes as
//! a slice keeps them as long as any clone of the blob lives.

use crate::map_file::Mapping;
use std::sync::{Arc, OnceLock};
use std::{fmt, io, ops::Deref, path::Path};

/// Takes bytes piece by piece.
pub type Put<'a> = &'a mut dyn FnMut(&[u8]) -> io::Result<()>;

/// Immutable bytes that are cheap to clone and to cut.
#[derive(Clone)]
pub struct Blob {
    owner: Owner,
    start: usize,
    len: usize,
}

/// Which bytes a blob stands for, whoever holds it.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    owner: usize,
    start: usize,
    len: usize,
}

#[derive(Clone)]
enum Owner {
    Held(Arc<dyn AsRef<[u8]> + Send + Sync>),
    Mapped(Arc<Mapping>),
    Made(Arc<Recipe>),
}

/// How bytes are made, and the bytes once somebody has looked at them.
struct Recipe {
    len: usize,
    make: Box<dyn Fn(Put<'_>) -> io::Result<()> + Send + Sync>,
    bytes: OnceLock<Vec<u8>>,
}

impl Recipe {
    /// All bytes; of a recipe that gives another number of them than it said, as many as it said.
    fn all(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len);
        let made = (self.make)(&mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        });
        debug_assert!(made.is_ok() && bytes.len() == self.len, "{} of {} bytes: {made:?}", bytes.len(), self.len);
        bytes.resize(self.len, 0);
        bytes
    }
}

impl Blob {
    /// Bytes that are handed on at a time: they stay in a core's cache between who makes and who takes them.
    pub const PIECE: usize = 256 << 10;

    /// Takes ownership of anything that holds bytes.
    pub fn new(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Blob {
        let len = bytes.as_ref().len();
        Blob { owner: Owner::Held(Arc::new(bytes)), start: 0, len }
    }

    /// Bytes that are made when they are wanted: `make` gives them in order, always the same `len` of them, and fails only
    /// where who takes them does.
    pub fn made(len: usize, make: impl Fn(Put<'_>) -> io::Result<()> + Send + Sync + 'static) -> Blob {
        let recipe = Recipe { len, make: Box::new(make), bytes: OnceLock::new() };
        Blob { owner: Owner::Made(Arc::new(recipe)), start: 0, len }
    }

    /// As [`Blob::made`], at once where there are few of them.
    pub fn made_later(len: usize, make: impl Fn(Put<'_>) -> io::Result<()> + Send + Sync + 'static) -> Blob {
        const FEW: usize = 64 << 10;
        let blob = Blob::made(len, make);
        if len > FEW { blob } else { blob.read() }
    }

    /// Maps a whole file; an empty file gives an empty blob.
    pub fn map_file(path: &Path) -> io::Result<Blob> {
        if std::fs::metadata(path)?.len() == 0 {
            return Ok(Blob::new(Vec::new()));
        }
        let mapping = crate::map_file::map(path)?;
        let len = mapping.bytes().len();
        Ok(Blob { owner: Owner::Mapped(Arc::new(mapping)), start: 0, len })
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The part `start..start + len`, sharing the bytes; `None` when it reaches past the end.
    pub fn slice(&self, start: usize, len: usize) -> Option<Blob> {
        let end = start.checked_add(len)?;
        (end <= self.len).then(|| Blob { owner: self.owner.clone(), start: self.start + start, len })
    }

    /// The part of this blob that `bytes` are, if they lie in it.
    pub fn part(&self, bytes: &[u8]) -> Option<Blob> {
        let start = (bytes.as_ptr() as usize).checked_sub(self.as_ptr() as usize)?;
        self.slice(start, bytes.len())
    }

    /// Which bytes these are: what is equal for two blobs that live says that they share them.
    pub fn identity(&self) -> Identity {
        let owner = match &self.owner {
            Owner::Held(bytes) => Arc::as_ptr(bytes).cast::<u8>() as usize,
            Owner::Mapped(mapping) => Arc::as_ptr(mapping) as usize,
            Owner::Made(recipe) => Arc::as_ptr(recipe) as usize,
        };
        Identity { owner, start: self.start, len: self.len }
    }

    /// Whether the bytes are there, or would have to be made first.
    pub fn is_there(&self) -> bool {
        match &self.owner {
            Owner::Made(recipe) => recipe.bytes.get().is_some(),
            Owner::Held(_) | Owner::Mapped(_) => true,
        }
    }

    /// The bytes for a while: where they have to be made, they go with the result.
    pub fn read(&self) -> Blob {
        match &self.owner {
            Owner::Made(recipe) if !self.is_there() => {
                Blob { owner: Owner::Held(Arc::new(recipe.all())), start: self.start, len: self.len }
            }
            _ => self.clone(),
        }
    }

    /// Gives the bytes in order, piece by piece, and afterwards their pages back.
    ///
    /// # Errors
    /// What `put` says.
    pub fn pieces(&self, put: Put<'_>) -> io::Result<()> {
        if let Owner::Made(recipe) = &self.owner
            && (self.start, self.len) == (0, recipe.len)
            && !self.is_there()
        {
            return (recipe.make)(put);
        }
        let bytes = self.read();
        bytes.chunks(Self::PIECE).try_for_each(put)?;
        self.give_back();
        Ok(())
    }

    /// Says that the bytes will not be looked at soon: memory that can be had again from a file is given back to the system.
    pub fn give_back(&self) {
        if let Owner::Mapped(mapping) = &self.owner {
            mapping.give_back(self.start, self.len);
        }
    }
}

impl Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        let all = match &self.owner {
            Owner::Held(bytes) => (**bytes).as_ref(),
            Owner::Mapped(mapping) => mapping.bytes(),
            Owner::Made(recipe) => recipe.bytes.get_or_init(|| recipe.all()),
        };
        &all[self.start..self.start + self.len]
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
        self.identity() == other.identity() || self.len == other.len && self.read()[..] == other.read()[..]
    }
}
impl Eq for Blob {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn what_is_made_is_kept_only_when_it_is_looked_at() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let blob = Blob::made(6, move |put| {
            count.fetch_add(1, Ordering::Relaxed);
            put(&[1, 2])?;
            put(&[3, 4, 5, 6])
        });
        assert_eq!((blob.len(), made.load(Ordering::Relaxed)), (6, 0));
        assert_eq!(blob.slice(1, 3).unwrap().read()[..], [2, 3, 4]);
        let mut seen = vec![];
        blob.pieces(&mut |piece| {
            seen.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
        assert!(!blob.is_there() && made.load(Ordering::Relaxed) == 2);
        assert_eq!((blob[0], blob.slice(5, 1).unwrap()[0]), (1, 6));
        assert!(blob.is_there() && made.load(Ordering::Relaxed) == 3);
        assert!(blob.pieces(&mut |_| Err(io::ErrorKind::StorageFull.into())).is_err());
    }

    #[test]
    fn parts_share_their_bytes() {
        let path = std::env::temp_dir().join(format!("nim-blob-{}", std::process::id()));
        std::fs::write(&path, (0..20_000u32).map(|i| i as u8).collect::<Vec<u8>>()).unwrap();
        let whole = Blob::map_file(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let part = whole.part(&whole[5000..9000]).unwrap();
        assert_eq!(part.identity(), whole.slice(5000, 4000).unwrap().identity());
        assert_eq!(whole.part(&[1, 2, 3]), None);
        let before = part.to_vec();
        part.give_back();
        assert_eq!(part[..], before[..], "what was given back is there again");
    }
}
