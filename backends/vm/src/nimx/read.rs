//! Reading `.nimx` files. Nothing in a file is believed: every offset and index is checked before it is used.

use super::stream::{Checksum, Reader, constants_checksum};
use super::write::CONSTANT_ALIGN;
use super::{ENTRY, HEADER, MAGIC, MAX_SECTIONS, VERSION, beside, kind};
use crate::bytecode::{self, DeviceId, Function, Origin, Size, Text, field::dtype_of_code, size::SizeExpr};
use crate::code_image::LoadedCode;
use crate::error::{ConstantsProblem, LoadError};
use crate::machine::roof::Products;
use crate::program::{AdtType, Contents, KernelCost, LoadOptions, Signature, SignatureValue, ValueType};
use nim_tensor::{Blob, DType, Tensor, tensor::little_endian};
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

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

/// Where the constants of a program are.
enum Constants {
    Inside(Section),
    Beside { len: u64, checksum: u64 },
}

/// The constants, and what it means if they do not have their checksum.
struct Opened {
    all: Blob,
    checksum: u64,
    damaged: Box<dyn Fn() -> LoadError>,
}

pub(crate) fn load_file(path: &Path, options: &LoadOptions) -> Result<Limited, LoadError> {
    let io = |e| LoadError::Io(path.to_owned(), e);
    let file = File::open(path).map_err(io)?;
    let blob = Blob::map_file(path).map_err(io)?;
    load(blob, Some((&file, path)), options)
}

pub(crate) fn load_bytes(bytes: Blob, options: &LoadOptions) -> Result<Limited, LoadError> {
    load(bytes, None, options)
}

fn load(blob: Blob, file: Option<(&File, &Path)>, options: &LoadOptions) -> Result<Limited, LoadError> {
    let (tables, code, constants) = sections(&blob)?;
    for (s, what) in [(tables, "tables"), (code, "code")] {
        if Checksum::of(&blob[s.offset..s.offset + s.len]) != s.checksum {
            return Err(LoadError::Damaged(what));
        }
    }
    let window = |s: Section| blob.slice(s.offset, s.len).ok_or(LoadError::Truncated);
    let open = |name: &str| match constants {
        Constants::Inside(section) => {
            let damaged = || LoadError::Damaged("constants");
            Ok(Opened { all: window(section)?, checksum: section.checksum, damaged: Box::new(damaged) })
        }
        Constants::Beside { len, checksum } => {
            // Where the caller says, else beside the program, whatever folder the name in the file has.
            let name = Path::new(name).file_name().unwrap_or_default();
            let path = match (&options.constants, file) {
                (Some(path), _) => path.clone(),
                (None, Some((_, program))) => program.with_file_name(name),
                (None, None) => return Err(LoadError::Constants(name.into(), ConstantsProblem::NotGiven)),
            };
            let all = beside::open(&path, len, checksum)?;
            let damaged = move || LoadError::Constants(path.clone(), ConstantsProblem::Damaged);
            Ok(Opened { all, checksum, damaged: Box::new(damaged) })
        }
    };
    let contents = contents(&window(tables)?, open, options.check_constants)?;
    let code = match (code.len, file) {
        (0, _) => None,
        (_, Some((file, _))) => Some(LoadedCode::load_file(file, code.offset as u64, code.len as u64)),
        (_, None) => Some(LoadedCode::load_bytes(&blob[code.offset..code.offset + code.len])),
    };
    Ok(Limited { contents, code: code.transpose().map_err(LoadError::Code)? })
}

fn sections(blob: &[u8]) -> Result<(Section, Section, Constants), LoadError> {
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
    let mut found = [None; 4];
    for _ in 0..count {
        let mut next = || header.u64().ok_or(LoadError::Truncated);
        let (kind, offset, len, checksum) = (next()?, next()?, next()?, next()?);
        let inside = offset.checked_add(len).is_some_and(|end| end <= blob.len() as u64);
        let (true, 1..=4) = (inside || kind == kind::BESIDE, kind) else { return Err(LoadError::Damaged("header")) };
        found[kind as usize - 1] = Some(Section { offset: offset as usize, len: len as usize, checksum });
    }
    debug_assert_eq!([kind::TABLES, kind::CODE, kind::CONSTANTS, kind::BESIDE], [1, 2, 3, 4]);
    match found {
        [Some(tables), Some(code), Some(constants), None] => Ok((tables, code, Constants::Inside(constants))),
        [Some(tables), Some(code), None, Some(Section { len, checksum, .. })] => {
            Ok((tables, code, Constants::Beside { len: len as u64, checksum }))
        }
        _ => Err(LoadError::Damaged("header")),
    }
}

/// `open` gives the constants, by the name of their file if they have one of their own; `check` whether they are read.
fn contents(
    tables: &[u8],
    open: impl FnOnce(&str) -> Result<Opened, LoadError>,
    check: bool,
) -> Result<Contents, LoadError> {
    let mut r = Reader(tables);
    let damaged = || LoadError::Damaged("tables");
    let producer = r.string().ok_or_else(damaged)?;
    let beside = r.string().ok_or_else(damaged)?;
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
    let costs = r.list(cost).ok_or_else(damaged)?;
    let functions = r.list(function).ok_or_else(damaged)?;
    let functions: Vec<Function> =
        functions.into_iter().collect::<Result<_, _>>().map_err(|p| LoadError::Bytecode(p.0))?;
    let origins = match r.u32().ok_or_else(damaged)? {
        0 => None,
        _ => Some(functions.iter().map(|_| origins(&mut r)).collect::<Option<_>>().ok_or_else(damaged)?),
    };
    let devices = r.list(Reader::string).ok_or_else(damaged)?;
    let mut ids = || Some(r.words()?.into_iter().map(DeviceId).collect());
    let (kernel_devices, constant_devices) = (ids().ok_or_else(damaged)?, ids().ok_or_else(damaged)?);
    let kernel_sources = r.list(Reader::string).ok_or_else(damaged)?;
    let section = open(&beside)?;
    let entries = r.list(|r| entry(r, &section.all)).ok_or_else(damaged)?;
    // Before anything in them is looked at.
    if check && checksum_of(&entries) != section.checksum {
        return Err((section.damaged)());
    }
    let constants = entries.into_iter().map(constant).collect::<Option<_>>().ok_or_else(damaged)?;
    let beside = (!beside.is_empty()).then_some(beside);
    let signature = Signature { inputs, outputs, types };
    Ok(Contents {
        producer,
        beside,
        signature,
        texts,
        sizes,
        size_texts,
        kernels,
        costs,
        functions,
        origins,
        constants,
        devices,
        kernel_devices,
        kernel_sources,
        constant_devices,
        code: None,
    })
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

fn cost(r: &mut Reader<'_>) -> Option<Option<KernelCost>> {
    match r.u32()? {
        0 => Some(None),
        1 => {
            let (operations, bytes) = (Size(r.u32()?), Size(r.u32()?));
            let products = *Products::ALL.get(r.u32()? as usize)?;
            let (nodes, choices) = (r.list(Reader::string)?, r.list(Reader::string)?);
            Some(Some(KernelCost { operations, bytes, products, nodes, choices }))
        }
        _ => None,
    }
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

fn origins(r: &mut Reader<'_>) -> Option<Vec<Option<Origin>>> {
    let words = r.words()?;
    let origin = |of: &[u32]| (of[0] != u32::MAX).then_some(Origin { what: Text(of[0]), axis: of[1], rank: of[2] });
    Some(words.chunks_exact(3).map(origin).collect())
}

/// The checksum of constants, read on several threads where that takes less time than starting them.
fn checksum_of(entries: &[Entry]) -> u64 {
    let parts: Vec<&Blob> = entries.iter().map(|entry| &entry.padded).collect();
    const WORTH_A_THREAD: usize = 4 << 20;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = cores.min(parts.iter().map(|part| part.len()).sum::<usize>() / WORTH_A_THREAD).min(parts.len());
    let sums: Vec<AtomicU64> = parts.iter().map(|_| AtomicU64::new(0)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((part, sum)) = parts.iter().zip(&sums).nth(next.fetch_add(1, Ordering::Relaxed)) {
            sum.store(Checksum::of(part), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    constants_checksum(sums.into_iter().map(AtomicU64::into_inner))
}

/// A constant as the tables have it.
struct Entry {
    dtype: DType,
    dims: Vec<usize>,
    bytes: Blob,
    /// The bytes and the zeros behind them.
    padded: Blob,
}

fn entry(r: &mut Reader<'_>, section: &Blob) -> Option<Entry> {
    let dtype = dtype_of_code(r.u32()?)?;
    let dims = r.list(|r| usize::try_from(r.u64()?).ok())?;
    let (at, len) = (usize::try_from(r.u64()?).ok()?, usize::try_from(r.u64()?).ok()?);
    let bytes = section.slice(at, len)?;
    let padded = len.checked_next_multiple_of(CONSTANT_ALIGN as usize)?.min(section.len() - at);
    Some(Entry { dtype, dims, bytes, padded: section.slice(at, padded)? })
}

fn constant(Entry { dtype, dims, bytes: blob, .. }: Entry) -> Option<Tensor> {
    if dtype == DType::String {
        let mut strings = Reader(&blob);
        let count = nim_tensor::tensor::element_count(&dims)?;
        // Each string takes at least its length.
        let list =
            (count <= blob.len() / 4).then(|| (0..count).map(|_| strings.string()).collect::<Option<Vec<_>>>())??;
        return Some(Tensor::strings(&dims, list));
    }
    Tensor::from_blob(dtype, &dims, little_endian(blob, dtype)).ok()
}
