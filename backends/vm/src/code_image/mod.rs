//! Machine code of compiled kernels: the format it is kept in, and the loader that makes it callable.
//!
//! A [`CodeImage`] is one flat, position-independent piece of linked code. The compiler (`nim-llvm`) writes it; this
//! module reads it back and maps it. Nothing here knows LLVM: a program that only runs models needs this module and
//! the C library.
//!
//! Guarantees: no page is ever writable and executable at once; an image made for other CPU features than this
//! machine has is refused before a byte of it runs; a damaged image is refused by its checksum; every offset in an
//! image is checked before it is used.
//!
//! What it deliberately does not do: symbols are not resolved lazily, and images do not see each other. All that an
//! image may call outside itself stands in [`imports`].

#![allow(unsafe_code)]

pub mod amx;
pub mod cpu;
pub mod format;
pub mod imports;
mod load;
mod memory;

pub use format::{CodeImage, FormatError, ImageInfo, Layout, PAGE};
pub use load::{LoadError, LoadedCode};

#[cfg(test)]
pub(crate) use format::checksum as checksum_of;
