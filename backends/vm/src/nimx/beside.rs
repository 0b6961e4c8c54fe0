//! Constants in a file of their own, which many programs or machines may share and which is bound when a program is loaded.
//!
//! ```text
//! 0    magic "NIMC\r\n\x1a\n"
//! 8    format version, u32; 4 bytes of zeros
//! 16   length of the constants, u64
//! 24   their checksum, u64
//! 32   zeros
//! 64   the constants, each at a multiple of 64
//! ```
//! The program knows length and checksum too: only just these constants fit.

use super::VERSION;
use super::stream::{Reader, Writer};
use crate::error::{ConstantsProblem, LoadError};
use nim_tensor::Blob;
use std::path::Path;

const MAGIC: [u8; 8] = *b"NIMC\r\n\x1a\n";
pub(super) const HEADER: usize = 64;

/// The first bytes of a file of constants.
pub(super) fn header(len: u64, checksum: u64) -> Vec<u8> {
    let mut w = Writer::default();
    w.0.extend_from_slice(&MAGIC);
    w.u32(VERSION);
    w.u32(0);
    w.u64(len);
    w.u64(checksum);
    w.0.resize(HEADER, 0);
    w.0
}

/// Maps a file of constants that must have this length and, by its own word, this checksum.
pub(super) fn open(path: &Path, len: u64, checksum: u64) -> Result<Blob, LoadError> {
    let fail = |problem| LoadError::Constants(path.to_owned(), problem);
    let blob = Blob::map_file(path).map_err(|e| fail(ConstantsProblem::Io(e)))?;
    if !blob.starts_with(&MAGIC[..blob.len().clamp(1, MAGIC.len())]) {
        return Err(fail(ConstantsProblem::NotConstants));
    }
    let mut head = Reader(blob.get(MAGIC.len()..HEADER).ok_or_else(|| fail(ConstantsProblem::Truncated))?);
    let truncated = || fail(ConstantsProblem::Truncated);
    let (_, _) = (head.u32().ok_or_else(truncated)?, head.u32());
    let (found, sum) = (head.u64().ok_or_else(truncated)?, head.u64().ok_or_else(truncated)?);
    if (found, sum) != (len, checksum) {
        return Err(fail(ConstantsProblem::Other));
    }
    usize::try_from(len).ok().and_then(|len| blob.slice(HEADER, len)).ok_or_else(truncated)
}
