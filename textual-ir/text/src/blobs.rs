//! Large constants in a file beside the text.
//!
//! The text refers to them from its resource section:
//! ```text
//! {-#
//!   external_resources: {
//!     nim_blobs: {
//!       fc1_w: "@model.blobs:128:9437184"
//!     }
//!   }
//! #-}
//! ```
//! that is, file beside the text, offset and length in bytes. This is valid MLIR: upstream's tools warn that they do not
//! know `nim_blobs` and go on without the data.
//!
//! The file: the magic `NIMBLOB1`; the number of entries as `u64`; for each entry its offset and length in bytes and the
//! length of its key as `u64`, then the key; then the payloads, each at a multiple of 64 bytes from the start of the file
//! so that it can be used from a memory map. Integers are little-endian; elements are as hosts keep them in tensors.

use nim_ir::Name;
use nim_tensor::Blob;
use std::{io, path::Path};

/// Under which name the text's resource section lists what lies in files.
pub const OWNER: &str = "nim_blobs";
/// First bytes of a file.
pub const MAGIC: &[u8; 8] = b"NIMBLOB1";
/// Payloads start at multiples of this.
pub const ALIGNMENT: usize = 64;

/// Constants to be written to one file.
#[derive(Debug)]
pub struct BlobFile {
    name: String,
    entries: Vec<(String, Blob)>,
    offsets: Vec<usize>,
    first: usize,
}

impl BlobFile {
    /// Lays out a file of this name (without folder).
    pub(crate) fn new(name: &str, entries: Vec<(String, Blob)>) -> BlobFile {
        let table: usize = entries.iter().map(|(key, _)| 24 + key.len()).sum();
        let first = (MAGIC.len() + 8 + table).next_multiple_of(ALIGNMENT);
        let mut at = first;
        let offsets = entries
            .iter()
            .map(|(_, blob)| {
                let start = at;
                at = (at + blob.len()).next_multiple_of(ALIGNMENT);
                start
            })
            .collect();
        BlobFile { name: name.to_string(), entries, offsets, first }
    }
    /// The name the text knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Keys, offsets and lengths.
    pub fn entries(&self) -> impl Iterator<Item = (&str, usize, usize)> {
        self.entries.iter().zip(&self.offsets).map(|((key, blob), &offset)| (key.as_str(), offset, blob.len()))
    }
    /// How the text refers to an entry.
    pub(crate) fn reference(&self, key: &str) -> Option<String> {
        let (_, offset, len) = self.entries().find(|(k, ..)| *k == key)?;
        Some(format!("@{}:{offset}:{len}", self.name))
    }
    /// Writes the file.
    pub fn write_to(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut head = MAGIC.to_vec();
        head.extend((self.entries.len() as u64).to_le_bytes());
        for (key, offset, len) in self.entries() {
            for number in [offset, len, key.len()] {
                head.extend((number as u64).to_le_bytes());
            }
            head.extend(key.as_bytes());
        }
        head.resize(self.first, 0);
        out.write_all(&head)?;
        for (_, blob) in &self.entries {
            blob.pieces(&mut |piece| out.write_all(piece))?;
            let padding = blob.len().next_multiple_of(ALIGNMENT) - blob.len();
            out.write_all(&[0; ALIGNMENT][..padding])?;
        }
        Ok(())
    }
}

/// Maps what a reference names in a folder.
pub(crate) fn load(reference: &str, dir: Option<&Path>) -> Result<Blob, String> {
    let parts = reference.strip_prefix('@').and_then(|r| {
        let (rest, len) = r.rsplit_once(':')?;
        let (file, offset) = rest.rsplit_once(':')?;
        Some((file, offset.parse::<usize>().ok()?, len.parse::<usize>().ok()?))
    });
    let Some((file, offset, len)) = parts else {
        return Err(format!("`{reference}` is not `@file:offset:length`"));
    };
    // A text must not reach files outside its folder.
    if file.is_empty() || file == ".." || file.contains(['/', '\\']) {
        return Err(format!("`{file}` must be the name of a file beside the text"));
    }
    let Some(dir) = dir else {
        return Err(format!("the constants of this text are in `{file}`, but it was read without its folder"));
    };
    let blob = Blob::map_file(&dir.join(file)).map_err(|error| format!("`{file}` cannot be read: {error}"))?;
    let size = blob.len();
    blob.slice(offset, len).ok_or(format!("`{file}` has {size} bytes, too few for {len} at {offset}"))
}

/// Reads the table of a file: key, offset and length of each entry; `None` when it is not such a file.
pub fn read_table(bytes: &[u8]) -> Option<Vec<(String, usize, usize)>> {
    fn number(rest: &mut &[u8]) -> Option<usize> {
        let (head, tail) = rest.split_first_chunk::<8>()?;
        *rest = tail;
        usize::try_from(u64::from_le_bytes(*head)).ok()
    }
    let mut rest = bytes.strip_prefix(MAGIC.as_slice())?;
    let count = number(&mut rest)?;
    let mut entries = vec![];
    for _ in 0..count {
        let (offset, len, key_len) = (number(&mut rest)?, number(&mut rest)?, number(&mut rest)?);
        let key = rest.get(..key_len)?;
        rest = &rest[key_len..];
        if offset.checked_add(len)? > bytes.len() {
            return None;
        }
        entries.push((String::from_utf8(key.to_vec()).ok()?, offset, len));
    }
    Some(entries)
}

/// Keys in the order of their text, without repetition.
pub(crate) fn sorted_keys(ctx: &nim_ir::Context, keys: impl IntoIterator<Item = Name>) -> Vec<Name> {
    let mut keys: Vec<Name> = keys.into_iter().collect();
    keys.sort_by(|&a, &b| ctx.str(a).cmp(ctx.str(b)));
    keys.dedup();
    keys
}
