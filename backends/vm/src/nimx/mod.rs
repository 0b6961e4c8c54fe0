//! `.nimx`: a compiled program as one file that is mapped and run.
//!
//! ```text
//! 0    magic "NIMX\r\n\x1a\n" (a transfer that changes line ends is noticed)
//! 8    format version, u32
//! 12   number of sections, u32
//! 16   checksum of the header behind this field, u64
//! 24   length of the file, u64
//! 32   sections, 32 bytes each: kind, offset, length, checksum, u64 each
//! ...  the sections: tables; code image, at a multiple of the page size; constants, each at a multiple of 64
//! ```
//! The checksum of the constants is that of their checksums, each with the zeros behind it. Constants may be in a file of their own instead, see `beside`. All numbers are little-endian. The tables hold signature, texts, size expressions, bytecode, and where each constant
//! lies. Which machine the code is for stands in the code image, and is checked when it is loaded.

mod beside;
#[cfg(test)]
mod fuzz;
mod read;
mod stream;
mod write;

pub(crate) use read::{Limited, load_bytes, load_file};
pub use write::Place;
pub(crate) use write::{emit, emit_constants, to_bytes, write_file};

/// First bytes of a file.
pub const MAGIC: [u8; 8] = *b"NIMX\r\n\x1a\n";
/// The version that this crate writes and reads.
pub const VERSION: u32 = 8;

const HEADER: usize = 32;
const ENTRY: usize = 32;
/// More sections than any version has; stops a damaged count.
const MAX_SECTIONS: u32 = 16;

/// Kinds of sections.
mod kind {
    pub(super) const TABLES: u64 = 1;
    pub(super) const CODE: u64 = 2;
    pub(super) const CONSTANTS: u64 = 3;
    /// Instead of constants: length and checksum of those in a file of their own, see `beside`.
    pub(super) const BESIDE: u64 = 4;
}
