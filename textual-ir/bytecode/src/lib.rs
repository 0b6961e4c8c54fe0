//! Modules of the IR as bytes. They say all that the text says, and are read many times faster: nothing is looked up by name
//! but once, and large constants stay in the mapped file.
//!
//! # The format, version 1
//! Integers are little-endian, or LEB128 where they are called numbers. A file is
//! * the magic `\xefNIMIRBC`, the version and the number of sections (`u32` each), and for each section its offset and length
//!   in bytes (`u64` each);
//! * *strings*: how many; for each its length, then its bytes (UTF-8);
//! * *entities*: how many; types, attributes, locations and expressions, each behind a byte that says which. They refer to
//!   entities that stand before them only, by their number among those of their kind;
//! * *lists*: attribute lists that ops have, so that ops with equal attributes share them;
//! * *resources*: keys, alignments, offsets and lengths within *data*; then resources of other tools;
//! * *positions*: a file's name, then lines and columns, each relative to the one before: one for each op in their order
//!   whose location is in that file;
//! * *module*: its attributes, location and body;
//! * *data*: large constants at multiples of 64 bytes, so that they can be used where they are.
//!
//! A body is how many regions, blocks, ops, values and operands it has, then its regions; a region is its blocks with their arguments, then their ops; an op is its name, a byte that says what
//! it has, and that. Values have numbers in the order in which they are defined; operands are written relative to the next.
//!
//! # What holds
//! Reading never panics, takes memory in proportion to the file, and checks each number before it is used; what is read is as
//! well-formed as what the parser of the text makes. Whether it is valid is the verifier's question, as with text.

pub mod codes;
mod reader;
mod stream;
mod writer;

pub use reader::{ReadOptions, read_module};
pub use writer::write_module;

/// First bytes of a file. The first one is no UTF-8, so no text begins with them.
pub const MAGIC: &[u8; 8] = b"\xefNIMIRBC";
/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;
/// Sections of a file in their order.
const SECTIONS: usize = 7;
/// Large constants begin at multiples of this.
const ALIGNMENT: usize = 64;
/// Elements of more bytes are kept in the data section.
const INLINE_BYTES: usize = 512;

/// Whether bytes are a module of any version.
pub fn is_bytecode(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Tags of entities.
mod tag {
    pub const TYPE_NONE: u8 = 0;
    pub const TYPE_INDEX: u8 = 1;
    pub const TYPE_INTEGER: u8 = 2;
    pub const TYPE_FLOAT: u8 = 3;
    pub const TYPE_COMPLEX: u8 = 4;
    pub const TYPE_TUPLE: u8 = 5;
    pub const TYPE_FUNCTION: u8 = 6;
    pub const TYPE_TENSOR: u8 = 7;
    pub const TYPE_UNRANKED_TENSOR: u8 = 8;
    pub const TYPE_MEMREF: u8 = 9;
    pub const TYPE_UNRANKED_MEMREF: u8 = 10;
    pub const TYPE_VECTOR: u8 = 11;
    pub const TYPE_DIALECT: u8 = 12;
    pub const TYPE_OPAQUE: u8 = 13;
    pub const ATTR_UNIT: u8 = 64;
    pub const ATTR_FALSE: u8 = 65;
    pub const ATTR_TRUE: u8 = 66;
    pub const ATTR_INT: u8 = 67;
    pub const ATTR_FLOAT: u8 = 68;
    pub const ATTR_STRING: u8 = 69;
    pub const ATTR_ARRAY: u8 = 70;
    pub const ATTR_DICT: u8 = 71;
    pub const ATTR_TYPE: u8 = 72;
    pub const ATTR_SYMBOL: u8 = 73;
    pub const ATTR_DENSE: u8 = 74;
    pub const ATTR_SPLAT: u8 = 75;
    pub const ATTR_DENSE_FAR: u8 = 76;
    pub const ATTR_DENSE_STRINGS: u8 = 77;
    pub const ATTR_RESOURCE: u8 = 78;
    pub const ATTR_DENSE_ARRAY: u8 = 79;
    pub const ATTR_EXPR: u8 = 80;
    pub const ATTR_LOC: u8 = 81;
    pub const ATTR_OPAQUE: u8 = 82;
    pub const ATTR_VERBATIM: u8 = 83;
    pub const LOC_FILE: u8 = 128;
    pub const LOC_RANGE: u8 = 129;
    pub const LOC_NAME: u8 = 130;
    pub const LOC_FUSED: u8 = 131;
    pub const LOC_CALL: u8 = 132;
    pub const LOC_DERIVED: u8 = 133;
    pub const EXPR: u8 = 192;
}

/// What an op has, a bit each.
mod has {
    pub const RESULTS: u8 = 1;
    pub const ATTRS: u8 = 2;
    pub const PROPERTIES: u8 = 4;
    pub const REGIONS: u8 = 8;
    pub const SUCCESSORS: u8 = 16;
    pub const NESTED: u8 = 32;
    pub const NAMES: u8 = 64;
    /// A location that is not the next of the positions.
    pub const LOCATION: u8 = 128;
}
