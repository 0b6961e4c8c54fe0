//! NumPy's `.npy` format, versions 1 to 3, from and to bytes.
//!
//! The format is a magic string, a version, a header that is a Python dictionary literal, and the raw elements
//! (numpy.lib.format, "NEP 1"). Reading a row-major little-endian array shares the bytes. Types that NumPy lacks
//! (`bf16`, the 8-bit floats, 4- and 2-bit types) have no spelling in the format: they are refused in both directions.

use crate::{
    Blob, DType, Tensor,
    tensor::{element_count, little_endian},
};
use std::fmt;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Elements start at a multiple of this, so that a mapped file can be read in place.
const ALIGNMENT: usize = 64;

/// Why bytes are no array that can be read, or a tensor none that can be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NpyError {
    /// The bytes do not start as such a file does.
    NotNpy,
    /// A version of the format other than 1, 2 and 3.
    Version(u8),
    /// The header is cut off or is not the dictionary that the format asks for.
    Header(String),
    /// NumPy's name of an element type that tensors do not have.
    Descr(String),
    /// An element type that NumPy does not have.
    DType(DType),
    /// The elements do not fit the shape.
    Data {
        /// What the header asks for, in bytes.
        expected: usize,
        /// What follows it, in bytes.
        found: usize,
    },
    /// The shape overflows.
    Overflow,
    /// An element of a string array is not Unicode.
    Text(usize),
}

impl fmt::Display for NpyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NpyError::NotNpy => f.write_str("not an .npy file: it does not start with \\x93NUMPY"),
            NpyError::Version(v) => write!(f, ".npy format version {v} is not known; 1, 2 and 3 are"),
            NpyError::Header(why) => write!(f, "bad .npy header: {why}"),
            NpyError::Descr(descr) => write!(f, "no element type stands for NumPy's {descr:?}"),
            NpyError::DType(dtype) => write!(f, "NumPy has no element type for {dtype}; cast the tensor first"),
            NpyError::Data { expected, found } => {
                write!(f, "the .npy header asks for {expected} bytes of elements, {found} follow it")
            }
            NpyError::Overflow => f.write_str("the shape in the .npy header overflows"),
            NpyError::Text(index) => write!(f, "element {index} of the .npy string array is not valid text"),
        }
    }
}
impl std::error::Error for NpyError {}

/// An element type as the header spells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Descr {
    Plain(DType),
    /// `U`: this many UTF-32 code units, padded with zeros.
    Utf32(usize),
    /// `S`: this many bytes, padded with zeros.
    Bytes(usize),
}

fn descr_of(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F64 => "<f8",
        DType::F32 => "<f4",
        DType::F16 => "<f2",
        DType::I64 => "<i8",
        DType::I32 => "<i4",
        DType::I16 => "<i2",
        DType::I8 => "|i1",
        DType::U64 => "<u8",
        DType::U32 => "<u4",
        DType::U16 => "<u2",
        DType::U8 => "|u1",
        DType::Bool => "|b1",
        DType::C64 => "<c8",
        DType::C128 => "<c16",
        _ => return None,
    })
}

fn parse_descr(descr: &str) -> Result<Descr, NpyError> {
    let unknown = || NpyError::Descr(descr.to_string());
    // One-byte types are written with `|` but NumPy accepts any order mark; wider ones must be little endian.
    let plain = DType::ALL.into_iter().find(|&dtype| {
        descr_of(dtype).is_some_and(|d| d == descr || (dtype.size() == 1 && descr.strip_prefix('<') == d.get(1..)))
    });
    if let Some(dtype) = plain {
        return Ok(Descr::Plain(dtype));
    }
    let count = |digits: &str| digits.parse().map_err(|_| unknown());
    if let Some(digits) = descr.strip_prefix("<U") {
        Ok(Descr::Utf32(count(digits)?))
    } else if let Some(digits) = descr.strip_prefix("|S") {
        Ok(Descr::Bytes(count(digits)?))
    } else {
        Err(unknown())
    }
}

/// Reads an array. Column-major (Fortran) arrays are brought into row-major order.
pub fn read(bytes: &Blob) -> Result<Tensor, NpyError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(NpyError::NotNpy)?;
    let cut_off = || NpyError::Header("it is cut off".to_string());
    let (&[major, _minor], rest) = rest.split_first_chunk().ok_or_else(cut_off)?;
    let (len, rest) = match major {
        1 => rest.split_first_chunk().map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest)),
        2 | 3 => rest.split_first_chunk().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest)),
        _ => return Err(NpyError::Version(major)),
    }
    .ok_or_else(cut_off)?;
    let (header, data) = rest.split_at_checked(len).ok_or_else(cut_off)?;
    // Versions 1 and 2 are Latin-1 by the book; everything that can be read here is ASCII in all three.
    let header = std::str::from_utf8(header).map_err(|_| NpyError::Header("it is not text".to_string()))?;
    let Header { descr, fortran_order, shape } = Header::parse(header)?;
    let data = bytes.slice(bytes.len() - data.len(), data.len()).ok_or_else(cut_off)?;

    let count = element_count(&shape).ok_or(NpyError::Overflow)?;
    let descr = parse_descr(&descr)?;
    let size = match descr {
        Descr::Plain(dtype) => dtype.size(),
        Descr::Utf32(units) => units.checked_mul(4).ok_or(NpyError::Overflow)?,
        Descr::Bytes(units) => units,
    };
    let expected = count.checked_mul(size).ok_or(NpyError::Overflow)?;
    if data.len() != expected {
        return Err(NpyError::Data { expected, found: data.len() });
    }
    let order = |blob: Blob| if fortran_order { Blob::new(row_major(&blob, &shape, size)) } else { blob };
    match descr {
        Descr::Plain(dtype) => {
            Tensor::from_blob(dtype, &shape, little_endian(order(data), dtype)).map_err(|_| NpyError::Overflow)
        }
        Descr::Utf32(_) | Descr::Bytes(_) if size == 0 => Ok(Tensor::strings(&shape, vec![String::new(); count])),
        Descr::Utf32(_) => strings(&order(data), &shape, size, utf32),
        Descr::Bytes(_) => strings(&order(data), &shape, size, |b| String::from_utf8(b.to_vec()).ok()),
    }
}

/// Writes a row-major array of format version 1 (2 where the header is too long for it).
pub fn write(tensor: &Tensor) -> Result<Vec<u8>, NpyError> {
    let (descr, data) = match tensor.as_strings() {
        Some(strings) => {
            let units = strings.iter().map(|s| s.chars().count()).max().unwrap_or(0);
            (format!("<U{units}"), strings.iter().flat_map(|s| pad_utf32(s, units)).collect())
        }
        None => {
            let dtype = tensor.dtype();
            let descr = descr_of(dtype).ok_or(NpyError::DType(dtype))?;
            let native = tensor.blob().cloned().unwrap_or_else(|| Blob::new(Vec::new()));
            (descr.to_string(), little_endian(native, dtype).to_vec())
        }
    };
    let shape: Vec<String> = tensor.dims().iter().map(|d| format!("{d},")).collect();
    // NumPy writes (2, 3) but (2,); a trailing comma is right in all cases.
    let dict = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", shape.join(" "));
    let padded = |fixed: usize| (fixed + dict.len() + 1).next_multiple_of(ALIGNMENT) - fixed;
    let mut out = MAGIC.to_vec();
    let short = u16::try_from(padded(MAGIC.len() + 4));
    let len = match short {
        Ok(len) => {
            out.extend([1, 0]);
            out.extend(len.to_le_bytes());
            usize::from(len)
        }
        Err(_) => {
            let len = u32::try_from(padded(MAGIC.len() + 6)).map_err(|_| NpyError::Overflow)?;
            out.extend([2, 0]);
            out.extend(len.to_le_bytes());
            len as usize
        }
    };
    out.extend(dict.bytes());
    out.extend(std::iter::repeat_n(b' ', len - 1 - dict.len()));
    out.push(b'\n');
    out.extend(data);
    Ok(out)
}

/// Copies column-major elements of `size` bytes into row-major order.
fn row_major(data: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    if data.is_empty() {
        return out;
    }
    let mut strides = vec![size; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    while out.len() < data.len() {
        out.extend_from_slice(&data[at..at + size]);
        // Count the index up like an odometer, last axis first.
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            at += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            at -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    out
}

fn strings(
    data: &[u8],
    shape: &[usize],
    size: usize,
    decode: impl Fn(&[u8]) -> Option<String>,
) -> Result<Tensor, NpyError> {
    let element = |(index, bytes)| {
        let text = decode(bytes).ok_or(NpyError::Text(index))?;
        Ok(text.trim_end_matches('\0').to_string())
    };
    Ok(Tensor::strings(shape, data.chunks_exact(size).enumerate().map(element).collect::<Result<_, _>>()?))
}

fn utf32(bytes: &[u8]) -> Option<String> {
    bytes.chunks_exact(4).map(|unit| char::from_u32(u32::from_le_bytes(unit.try_into().ok()?))).collect()
}

fn pad_utf32(text: &str, units: usize) -> Vec<u8> {
    text.chars().map(u32::from).chain(std::iter::repeat(0)).take(units).flat_map(u32::to_le_bytes).collect()
}

/// The header's dictionary.
#[derive(Debug)]
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, keys in any order.
    fn parse(text: &str) -> Result<Header, NpyError> {
        let bad = |why: String| NpyError::Header(why);
        let (mut descr, mut order, mut shape) = (None, None, None);
        let mut rest = expect(text.trim(), "{")?;
        while !rest.starts_with('}') {
            let (key, after) = quoted(rest)?;
            rest = expect(after, ":")?;
            match key {
                "descr" => {
                    // A list here describes a record type.
                    let (value, after) = quoted(rest).map_err(|_| NpyError::Descr(rest.to_string()))?;
                    (descr, rest) = (Some(value.to_string()), after);
                }
                "fortran_order" => {
                    let yes = rest.starts_with("True");
                    rest = expect(rest, if yes { "True" } else { "False" })?;
                    order = Some(yes);
                }
                "shape" => {
                    let (inside, after) = expect(rest, "(")?
                        .split_once(')')
                        .ok_or_else(|| bad("the shape has no closing parenthesis".to_string()))?;
                    let dims = inside.split(',').map(str::trim).filter(|d| !d.is_empty());
                    // Python 2 wrote long integers as `3L`.
                    let dims = dims.map(|d| d.trim_end_matches('L').parse());
                    let dims: Result<Vec<usize>, _> = dims.collect();
                    shape = Some(dims.map_err(|_| bad(format!("({inside}) is not a shape")))?);
                    rest = after;
                }
                other => return Err(bad(format!("unknown key {other:?}"))),
            }
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        let missing = |key: &str| bad(format!("key {key:?} is missing"));
        Ok(Header {
            descr: descr.ok_or_else(|| missing("descr"))?,
            fortran_order: order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }
}

fn expect<'t>(text: &'t str, token: &str) -> Result<&'t str, NpyError> {
    let rest = text.strip_prefix(token).map(str::trim_start);
    rest.ok_or_else(|| NpyError::Header(format!("{token:?} is missing before {:?}", shorten(text))))
}

fn quoted(text: &str) -> Result<(&str, &str), NpyError> {
    let quote = if text.starts_with('"') { "\"" } else { "'" };
    let inside = text.strip_prefix(quote).and_then(|t| t.split_once(quote));
    let (word, rest) =
        inside.ok_or_else(|| NpyError::Header(format!("a quoted word is missing before {:?}", shorten(text))))?;
    Ok((word, rest.trim_start()))
}

fn shorten(text: &str) -> &str {
    text.split_at_checked(20).map_or(text, |(head, _)| head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(version: u8, header: &str, data: &[u8]) -> Blob {
        let mut out = MAGIC.to_vec();
        out.extend([version, 0]);
        match version {
            1 => out.extend((header.len() as u16).to_le_bytes()),
            _ => out.extend((header.len() as u32).to_le_bytes()),
        }
        out.extend(header.bytes());
        out.extend(data);
        Blob::new(out)
    }

    #[test]
    fn every_type_numpy_has_survives_a_round_trip() {
        for dtype in DType::ALL {
            let dims = [2, 1, 3];
            if dtype == DType::String {
                let words = ["", "a", "äß", "x\u{1F600}", "  ", "end"].map(str::to_string).to_vec();
                let x = Tensor::strings(&dims, words);
                assert_eq!(read(&Blob::new(write(&x).unwrap())).unwrap(), x);
                continue;
            }
            let x = Tensor::from_i64s(dtype, &dims, &[0, 1, 0, 1, 1, 0]).unwrap();
            match write(&x) {
                Ok(bytes) => {
                    assert_eq!(bytes.len() - x.bytes().len(), 128);
                    assert_eq!(read(&Blob::new(bytes)).unwrap(), x);
                }
                Err(error) => {
                    assert_eq!(error, NpyError::DType(dtype));
                    assert!(descr_of(dtype).is_none());
                }
            }
        }
        assert!(write(&Tensor::from_f64s(DType::BF16, &[], &[1.0]).unwrap()).is_err());
    }

    #[test]
    fn shapes_of_every_rank() {
        for dims in [vec![], vec![0], vec![5], vec![2, 0, 3], vec![1; 30]] {
            let x = Tensor::new(&dims, vec![1.5f32; dims.iter().product()]);
            assert_eq!(read(&Blob::new(write(&x).unwrap())).unwrap(), x);
        }
        // A header beyond 64 KiB needs version 2.
        let x = Tensor::new(&vec![1; 40_000], vec![7u8]);
        let bytes = write(&x).unwrap();
        assert_eq!(bytes[6], 2);
        assert_eq!(read(&Blob::new(bytes)).unwrap(), x);
    }

    #[test]
    fn versions_orders_and_spellings() {
        let data: Vec<u8> = (0..6).collect();
        let row = Tensor::new(&[2, 3], vec![0u8, 2, 4, 1, 3, 5]);
        for version in [1, 2, 3] {
            let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }   \n";
            assert_eq!(read(&file(version, header, &data)).unwrap(), row);
        }
        let header = "{\"shape\":(6L,),\"fortran_order\":False,\"descr\":\"<u1\"}";
        assert_eq!(read(&file(1, header, &data)).unwrap(), Tensor::new(&[6], data));
        let header = "{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }";
        let words = Tensor::strings(&[2], vec!["ab".into(), "cde".into()]);
        assert_eq!(read(&file(1, header, b"ab\0cde")).unwrap(), words);
    }

    #[test]
    fn reading_shares_the_bytes() {
        let bytes = Blob::new(write(&Tensor::new(&[4], vec![1i32, 2, 3, 4])).unwrap());
        let x = read(&bytes).unwrap();
        assert_eq!(x.bytes().as_ptr(), bytes[bytes.len() - 16..].as_ptr());
    }

    #[test]
    fn bad_files_are_refused_with_a_reason() {
        let error = |header: &str, data: &[u8]| read(&file(1, header, data)).unwrap_err().to_string();
        assert_eq!(read(&Blob::new(b"PK\x03\x04".to_vec())).unwrap_err(), NpyError::NotNpy);
        assert_eq!(read(&file(4, "{}", &[])).unwrap_err(), NpyError::Version(4));
        assert_eq!(error("{}", &[]), "bad .npy header: key \"descr\" is missing");
        let head = |descr: &str, shape: &str| format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}");
        assert_eq!(error(&head("'>f4'", "(1,)"), &[0; 4]), "no element type stands for NumPy's \">f4\"");
        assert_eq!(error(&head("'|O'", "(1,)"), &[]), "no element type stands for NumPy's \"|O\"");
        assert!(error(&head("[('a', '<f4')]", "(1,)"), &[]).starts_with("no element type stands for"));
        assert!(error(&head("'<f4'", "(2,)"), &[0; 4]).contains("asks for 8 bytes of elements, 4 follow"));
        assert!(error(&head("'<f4'", "(-2,)"), &[]).contains("(-2,) is not a shape"));
        assert!(error(&head("'<f4'", "(4294967296, 4294967296)"), &[]).contains("overflows"));
        assert!(error(&head("'<U4611686018427387904'", "(3,)"), &[]).contains("overflows"));
    }

    #[test]
    fn damaged_files_never_panic() {
        let good = write(&Tensor::new(&[2, 3], vec![1.0f32; 6])).unwrap();
        for cut in 0..good.len() {
            assert!(read(&Blob::new(good[..cut].to_vec())).is_err());
        }
        for at in 0..good.len() {
            for flip in [1, 0x20, 0x80] {
                let mut bad = good.clone();
                bad[at] ^= flip;
                let _ = read(&Blob::new(bad));
            }
        }
    }
}
