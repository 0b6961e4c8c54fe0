//! The image itself: its sections, its tables, and the bytes they are stored as.
//!
//! ```text
//! 0        magic "NIMCODE\0"
//! 8        format version, u32
//! 12       length of the tables, u32
//! 16       checksum of bytes 24.. to the end, u64
//! 24       offset of the body, u64, a multiple of PAGE counted from the start of the image
//! 32       length of the body, u64
//! 40       lengths of code, rodata, relro, data, u64 each; their sum is the length of the body
//! 72       tables: architecture, target, features, symbols, imports, relative words
//! ...      zeros up to the body
//! ```
//! All numbers are little-endian; a string is a u32 length and UTF-8 bytes; a list is a u32 count and its items.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// Bytes in a page. Sections of an image start on page boundaries, since protection is per page.
pub const PAGE: u64 = 4096;

const MAGIC: &[u8; 8] = b"NIMCODE\0";
const VERSION: u32 = 1;
const CHECKSUMMED_FROM: usize = 24;
const FIXED_HEADER: usize = 72;
/// Far above any real model's kernels; stops a damaged length from asking for all memory.
const MAX_BODY: u64 = 1 << 32;

/// Lengths in bytes of the sections of an image, each a multiple of [`PAGE`], laid out one after another in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Functions and the stubs that jump to imports. Mapped read + execute.
    pub code: u64,
    /// Constants. Mapped read-only.
    pub rodata: u64,
    /// Import slots (8 bytes each, in the order of [`ImageInfo::imports`], from the start of this section), then
    /// constants that hold addresses. Written by the loader, then made read-only.
    pub relro: u64,
    /// Global variables. Mapped read + write.
    pub data: u64,
}

impl Layout {
    /// Where the code lies in the body.
    pub fn code_range(&self) -> Range<u64> {
        0..self.code
    }

    /// Where the constants lie in the body.
    pub fn rodata_range(&self) -> Range<u64> {
        self.code..self.code + self.rodata
    }

    /// Where the import slots and address constants lie in the body.
    pub fn relro_range(&self) -> Range<u64> {
        let start = self.code + self.rodata;
        start..start + self.relro
    }

    /// Where the global variables lie in the body.
    pub fn data_range(&self) -> Range<u64> {
        let start = self.code + self.rodata + self.relro;
        start..start + self.data
    }

    /// Length of the whole body.
    pub fn total(&self) -> u64 {
        self.code + self.rodata + self.relro + self.data
    }
}

/// All that is known about an image besides its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageInfo {
    /// Architecture as Rust names it, e.g. `x86_64`.
    pub arch: String,
    /// The target that was compiled for, for messages, e.g. `x86-64-v3`.
    pub target: String,
    /// CPU features the code uses, in LLVM's spelling; the loader refuses a machine that lacks one.
    pub features: Vec<String>,
    /// Sections of the body.
    pub layout: Layout,
    /// Entry points: name to offset in the body.
    pub symbols: BTreeMap<String, u64>,
    /// Functions of the C library that the code calls, in slot order; see [`super::imports`].
    pub imports: Vec<String>,
    /// Offsets in the body of 8-byte words that hold an offset in the body and must hold an address once loaded.
    pub relative: Vec<u64>,
}

/// Linked machine code, ready to be stored or loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeImage {
    /// Tables.
    pub info: ImageInfo,
    /// The sections' bytes, [`Layout::total`] of them.
    pub body: Vec<u8>,
}

/// Why bytes are not a usable image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// The bytes do not start as an image does.
    NotAnImage,
    /// Written by another version of this crate.
    Version(u32),
    /// Shorter than its own header says.
    Truncated,
    /// The checksum does not fit the content.
    Checksum,
    /// Something points outside the image; the text says what.
    Corrupt(String),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnImage => write!(f, "these bytes are not a code image"),
            Self::Version(v) => write!(f, "code image has format version {v}, this runtime reads version {VERSION}"),
            Self::Truncated => write!(f, "code image is shorter than its header says"),
            Self::Checksum => write!(f, "code image is damaged: its checksum does not fit its content"),
            Self::Corrupt(what) => write!(f, "code image is corrupt: {what}"),
        }
    }
}

impl std::error::Error for FormatError {}

impl CodeImage {
    /// Stores the image as bytes. For mapping from a file, put them at a multiple of [`PAGE`] in it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let info = &self.info;
        let mut tables = Writer::default();
        tables.string(&info.arch);
        tables.string(&info.target);
        tables.strings(&info.features);
        tables.u32(info.symbols.len() as u32);
        for (name, offset) in &info.symbols {
            tables.string(name);
            tables.u64(*offset);
        }
        tables.strings(&info.imports);
        tables.u32(info.relative.len() as u32);
        for offset in &info.relative {
            tables.u64(*offset);
        }
        let body_offset = (FIXED_HEADER + tables.0.len()).next_multiple_of(PAGE as usize);

        let mut out = Writer(Vec::with_capacity(body_offset + self.body.len()));
        out.0.extend_from_slice(MAGIC);
        out.u32(VERSION);
        out.u32(tables.0.len() as u32);
        out.u64(0);
        out.u64(body_offset as u64);
        out.u64(self.body.len() as u64);
        for length in [info.layout.code, info.layout.rodata, info.layout.relro, info.layout.data] {
            out.u64(length);
        }
        out.0.extend_from_slice(&tables.0);
        out.0.resize(body_offset, 0);
        out.0.extend_from_slice(&self.body);
        let sum = checksum(&out.0[CHECKSUMMED_FROM..]);
        out.0[16..24].copy_from_slice(&sum.to_le_bytes());
        out.0
    }

    /// Reads an image back.
    ///
    /// # Errors
    /// Any [`FormatError`]: the bytes are not an image, of another version, damaged, or inconsistent.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let (info, body) = parse(bytes)?;
        Ok(Self { info, body: bytes[body].to_vec() })
    }

    /// Offset of an entry point in the body.
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.info.symbols.get(name).copied()
    }
}

/// Reads the tables and says where in `bytes` the body lies, without copying it.
pub(super) fn parse(bytes: &[u8]) -> Result<(ImageInfo, Range<usize>), FormatError> {
    let mut fixed = Reader { bytes, at: 0 };
    if fixed.take(8).map_err(|_| FormatError::NotAnImage)? != MAGIC {
        return Err(FormatError::NotAnImage);
    }
    let version = fixed.u32()?;
    if version != VERSION {
        return Err(FormatError::Version(version));
    }
    let tables_len = fixed.u32()? as usize;
    let expected_sum = fixed.u64()?;
    let body_offset = fixed.u64()?;
    let body_len = fixed.u64()?;
    let layout = Layout { code: fixed.u64()?, rodata: fixed.u64()?, relro: fixed.u64()?, data: fixed.u64()? };

    let sections = [layout.code, layout.rodata, layout.relro, layout.data];
    if sections.iter().any(|n| n % PAGE != 0 || *n > MAX_BODY) || layout.total() != body_len {
        return Err(FormatError::Corrupt("section lengths do not add up".to_owned()));
    }
    if body_offset % PAGE != 0 || body_offset > MAX_BODY || body_offset < (FIXED_HEADER + tables_len) as u64 {
        return Err(FormatError::Corrupt("the body overlaps the tables".to_owned()));
    }
    // Both summands are below 2^35, so neither the sum nor the casts can overflow.
    let end = (body_offset + body_len) as usize;
    let whole = bytes.get(..end).ok_or(FormatError::Truncated)?;
    if checksum(&whole[CHECKSUMMED_FROM..]) != expected_sum {
        return Err(FormatError::Checksum);
    }

    let mut tables = Reader { bytes: &whole[..FIXED_HEADER + tables_len], at: FIXED_HEADER };
    let arch = tables.string()?;
    let target = tables.string()?;
    let features = tables.strings()?;
    let mut symbols = BTreeMap::new();
    for _ in 0..tables.u32()? {
        symbols.insert(tables.string()?, tables.u64()?);
    }
    let imports = tables.strings()?;
    let mut relative = Vec::new();
    for _ in 0..tables.u32()? {
        relative.push(tables.u64()?);
    }
    let info = ImageInfo { arch, target, features, layout, symbols, imports, relative };
    check(&info, &whole[body_offset as usize..])?;
    Ok((info, body_offset as usize..end))
}

/// Checks that every table entry points where it may. The loader relies on this and repeats no check.
pub(super) fn check(info: &ImageInfo, body: &[u8]) -> Result<(), FormatError> {
    let layout = &info.layout;
    let sections = [layout.code, layout.rodata, layout.relro, layout.data];
    if sections.iter().any(|n| n % PAGE != 0 || *n > MAX_BODY) || layout.total() != body.len() as u64 {
        return Err(FormatError::Corrupt("section lengths do not add up".to_owned()));
    }
    if let Some((name, _)) = info.symbols.iter().find(|(_, at)| **at >= layout.total()) {
        return Err(FormatError::Corrupt(format!("symbol `{name}` lies outside")));
    }
    if info.imports.len() as u64 * 8 > layout.relro {
        return Err(FormatError::Corrupt("more imports than slots".to_owned()));
    }
    let writable = layout.relro_range().start..layout.total();
    for at in &info.relative {
        if *at % 8 != 0 || *at < writable.start || at.saturating_add(8) > writable.end {
            return Err(FormatError::Corrupt(format!("address word at {at:#x} lies outside")));
        }
        let mut word = [0; 8];
        word.copy_from_slice(&body[*at as usize..*at as usize + 8]);
        // One past the end is a legal address in C, so it is here.
        if u64::from_le_bytes(word) > layout.total() {
            return Err(FormatError::Corrupt(format!("address word at {at:#x} points outside")));
        }
    }
    Ok(())
}

/// Detects damage, not malice: an FNV-style hash over 8-byte words, several GB/s.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ bytes.len() as u64;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let mut w = [0; 8];
        w.copy_from_slice(word);
        // The rotation carries high bits down, which multiplication alone never does.
        hash = (hash ^ u64::from_le_bytes(w)).wrapping_mul(PRIME).rotate_left(29);
    }
    for byte in words.remainder() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME).rotate_left(29);
    }
    hash
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn string(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn strings(&mut self, list: &[String]) {
        self.u32(list.len() as u32);
        for text in list {
            self.string(text);
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], FormatError> {
        let end = self.at.checked_add(n).ok_or(FormatError::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(FormatError::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, FormatError> {
        let mut b = [0; 4];
        b.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(b))
    }

    fn u64(&mut self) -> Result<u64, FormatError> {
        let mut b = [0; 8];
        b.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(b))
    }

    fn string(&mut self) -> Result<String, FormatError> {
        let n = self.u32()? as usize;
        String::from_utf8(self.take(n)?.to_vec()).map_err(|_| FormatError::Corrupt("a name is not UTF-8".to_owned()))
    }

    fn strings(&mut self) -> Result<Vec<String>, FormatError> {
        let n = self.u32()?;
        (0..n).map(|_| self.string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> CodeImage {
        let layout = Layout { code: PAGE, rodata: 0, relro: PAGE, data: 0 };
        let mut body = vec![0xc3; layout.total() as usize];
        body[PAGE as usize + 8..PAGE as usize + 16].copy_from_slice(&16_u64.to_le_bytes());
        CodeImage {
            info: ImageInfo {
                arch: "x86_64".to_owned(),
                target: "x86-64-v3".to_owned(),
                features: vec!["avx2".to_owned()],
                layout,
                symbols: BTreeMap::from([("k".to_owned(), 16)]),
                imports: vec!["expf".to_owned()],
                relative: vec![PAGE + 8],
            },
            body,
        }
    }

    #[test]
    fn bytes_round_trip() {
        let image = sample();
        assert_eq!(CodeImage::from_bytes(&image.to_bytes()), Ok(image));
    }

    #[test]
    fn every_damaged_byte_is_noticed() {
        let good = sample().to_bytes();
        for at in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(CodeImage::from_bytes(&bad).is_err(), "byte {at}");
        }
        for len in [0, 7, 71, 100, good.len() - 1] {
            assert!(CodeImage::from_bytes(&good[..len]).is_err(), "length {len}");
        }
    }

    #[test]
    fn inconsistent_tables_are_refused() {
        let mut image = sample();
        image.info.symbols.insert("far".to_owned(), 1 << 20);
        assert!(matches!(CodeImage::from_bytes(&image.to_bytes()), Err(FormatError::Corrupt(_))));
        let mut image = sample();
        image.info.relative = vec![0];
        assert!(matches!(CodeImage::from_bytes(&image.to_bytes()), Err(FormatError::Corrupt(_))));
    }
}
