//! Reading `.nimx` files. Nothing in a file is believed: every offset and index is checked before it is used.

use super::stream::{Checksum, Reader};
use super::{ENTRY, HEADER, MAGIC, MAX_SECTIONS, VERSION, kind};
use crate::bytecode::{self, Function, Text, field::dtype_of_code, size::SizeExpr};
use crate::code_image::LoadedCode;
use crate::error::LoadError;
use crate::program::{AdtType, Contents, Signature, SignatureValue, ValueType};
use nim_tensor::{Blob, DType, Tensor, tensor::little_endian};
use std::fs::File;
use std::path::Path;

/// What a file holds: the contents but for the code, which is loaded already.
pub(crate) struct Limited {
    pub(crate) contents: Contents,
    pub(crate) code: Option<LoadedCode>,
}

/// Where a section lies.
#[derive(Clone, Copy)]
struct Section {
    offset: usize,
    len: usize,
    checksum: u64,
}

pub(crate) fn load_file(path: &Path, check_constants: bool) -> Result<Limited, LoadError> {
    let io = |e| LoadError::Io(path.to_owned(), e);
    let file = File::open(path).map_err(io)?;
    let blob = Blob::map_file(path).map_err(io)?;
    load(blob, Some(&file), check_constants)
}

pub(crate) fn load_bytes(bytes: Blob, check_constants: bool) -> Result<Limited, LoadError> {
    load(bytes, None, check_constants)
}

fn load(blob: Blob, file: Option<&File>, check_constants: bool) -> Result<Limited, LoadError> {
    let [tables, code, constants] = sections(&blob)?;
    for (section, what) in
        [(Some(tables), "tables"), (Some(code), "code"), (check_constants.then_some(constants), "constants")]
    {
        if let Some(s) = section
            && Checksum::of(&blob[s.offset..s.offset + s.len]) != s.checksum
        {
            return Err(LoadError::Damaged(what));
        }
    }
    let window = |s: Section| blob.slice(s.offset, s.len).ok_or(LoadError::Truncated);
    let contents = contents(&window(tables)?, &window(constants)?)?;
    let code = match (code.len, file) {
        (0, _) => None,
        (_, Some(file)) => Some(LoadedCode::load_file(file, code.offset as u64, code.len as u64)),
        (_, None) => Some(LoadedCode::load_bytes(&blob[code.offset..code.offset + code.len])),
    };
    Ok(Limited { contents, code: code.transpose().map_err(LoadError::Code)? })
}

fn sections(blob: &[u8]) -> Result<[Section; 3], LoadError> {
    let magic = &blob[..blob.len().min(MAGIC.len())];
    if magic != &MAGIC[..magic.len()] || magic.is_empty() {
        return Err(LoadError::NotAProgram);
    }
    let mut fixed = Reader(blob.get(MAGIC.len()..).ok_or(LoadError::Truncated)?);
    let truncated = LoadError::Truncated;
    let version = fixed.u32().ok_or(LoadError::Truncated)?;
    if version != VERSION {
        return Err(LoadError::Version { found: version, expected: VERSION });
    }
    let count = fixed.u32().ok_or(LoadError::Truncated)?;
    let checksum = fixed.u64().ok_or(LoadError::Truncated)?;
    if count > MAX_SECTIONS {
        return Err(LoadError::Damaged("header"));
    }
    let end = HEADER + count as usize * ENTRY;
    let header = blob.get(HEADER - 8..end).ok_or(truncated)?;
    if Checksum::of(header) != checksum {
        return Err(LoadError::Damaged("header"));
    }
    let mut header = Reader(header);
    let len = header.u64().ok_or(LoadError::Truncated)?;
    if (blob.len() as u64) < len {
        return Err(LoadError::Truncated);
    }
    let mut found = [None; 3];
    for _ in 0..count {
        let mut next = || header.u64().ok_or(LoadError::Truncated);
        let (kind, offset, len, checksum) = (next()?, next()?, next()?, next()?);
        let inside = offset.checked_add(len).is_some_and(|end| end <= blob.len() as u64);
        let (true, 1..=3) = (inside, kind) else { return Err(LoadError::Damaged("header")) };
        found[kind as usize - 1] = Some(Section { offset: offset as usize, len: len as usize, checksum });
    }
    let [Some(tables), Some(code), Some(constants)] = found else { return Err(LoadError::Damaged("header")) };
    debug_assert_eq!([kind::TABLES, kind::CODE, kind::CONSTANTS], [1, 2, 3]);
    Ok([tables, code, constants])
}

fn contents(tables: &[u8], constants: &Blob) -> Result<Contents, LoadError> {
    let mut r = Reader(tables);
    let damaged = || LoadError::Damaged("tables");
    let producer = r.string().ok_or_else(damaged)?;
    let inputs = r.list(value).ok_or_else(damaged)?;
    let outputs = r.list(value).ok_or_else(damaged)?;
    let types = r.list(adt).ok_or_else(damaged)?;
    let texts = r.list(Reader::string).ok_or_else(damaged)?;
    let size_texts = r.list(Reader::string).ok_or_else(damaged)?;
    let words = r.words().ok_or_else(damaged)?;
    let mut words = &words[..];
    let sizes: Option<Vec<SizeExpr>> = size_texts.iter().map(|_| SizeExpr::decode(&mut words)).collect();
    let sizes = sizes.ok_or_else(damaged)?;
    let kernels = r.list(Reader::string).ok_or_else(damaged)?;
    let functions = r.list(function).ok_or_else(damaged)?;
    let functions = functions.into_iter().collect::<Result<_, _>>().map_err(|p| LoadError::Bytecode(p.0))?;
    let constants = r.list(|r| constant(r, constants)).ok_or_else(damaged)?;
    let signature = Signature { inputs, outputs, types };
    Ok(Contents { producer, signature, texts, sizes, size_texts, kernels, functions, constants, code: None })
}

fn value(r: &mut Reader<'_>) -> Option<SignatureValue> {
    let (name, ty, node) = (r.string()?, value_type(r)?, r.string()?);
    Some(SignatureValue { name, ty, node: (!node.is_empty()).then_some(node) })
}

fn value_type(r: &mut Reader<'_>) -> Option<ValueType> {
    Some(match r.u32()? {
        0 => ValueType::Tensor { dtype: dtype_of_code(r.u32()?)?, dims: r.list(Reader::string)? },
        1 => ValueType::Other(r.string()?),
        2 => ValueType::Adt(r.string()?),
        _ => return None,
    })
}

fn adt(r: &mut Reader<'_>) -> Option<AdtType> {
    let name = r.string()?;
    let constructors = r.list(|r| Some((r.string()?, r.list(value_type)?)))?;
    Some(AdtType { name, constructors })
}

fn function(r: &mut Reader<'_>) -> Option<Result<Function, bytecode::Problem>> {
    let name = r.string()?;
    let (regs, inputs, outputs) = (r.u32()?, r.u32()?, r.u32()?);
    let symbols = r.list(Reader::string)?;
    let code = bytecode::decode(&r.words()?);
    let nodes = r.words()?.into_iter().map(|n| (n != u32::MAX).then_some(Text(n))).collect();
    Some(code.map(|code| Function { name, regs, symbols, inputs, outputs, code, nodes }))
}

fn constant(r: &mut Reader<'_>, section: &Blob) -> Option<Tensor> {
    let dtype = dtype_of_code(r.u32()?)?;
    let dims = r.list(|r| usize::try_from(r.u64()?).ok())?;
    let (at, len) = (usize::try_from(r.u64()?).ok()?, usize::try_from(r.u64()?).ok()?);
    let blob = section.slice(at, len)?;
    if dtype == DType::String {
        let mut strings = Reader(&blob);
        let count = nim_tensor::tensor::element_count(&dims)?;
        // Each string takes at least its length.
        let list = (count <= len / 4).then(|| (0..count).map(|_| strings.string()).collect::<Option<Vec<_>>>())??;
        return Some(Tensor::strings(&dims, list));
    }
    Tensor::from_blob(dtype, &dims, little_endian(blob, dtype)).ok()
}
