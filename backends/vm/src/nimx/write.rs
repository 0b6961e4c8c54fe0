//! Writing `.nimx` files.

use super::stream::{Checksum, Writer, constants_checksum};
use super::{ENTRY, HEADER, MAGIC, VERSION, beside, kind};
use crate::bytecode::{self, field::dtype_code};
use crate::code_image::PAGE;
use crate::program::{Contents, ValueType};
use nim_tensor::{Tensor, tensor::little_endian};
use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Alignment of constants in the file, and so in memory.
pub(super) const CONSTANT_ALIGN: u64 = 64;

/// Where each piece goes.
struct Plan {
    tables: Vec<u8>,
    code: Vec<u8>,
    /// Offset within the section, bytes.
    constants: Vec<(u64, nim_tensor::Blob)>,
    constants_len: u64,
}

/// Somewhere to put bytes at positions, from any thread. What is never put reads as zeros.
pub trait Place: Sync {
    /// Puts bytes at a position.
    ///
    /// # Errors
    /// What the system says.
    fn put(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
}

impl Place for File {
    fn put(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }
}

impl Place for Mutex<Vec<u8>> {
    fn put(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut all = self.lock().unwrap_or_else(PoisonError::into_inner);
        let end = at as usize + bytes.len();
        if all.len() < end {
            all.resize(end, 0);
        }
        all[at as usize..end].copy_from_slice(bytes);
        Ok(())
    }
}

/// The whole file in memory.
pub(crate) fn to_bytes(contents: &Contents) -> Vec<u8> {
    let out = Mutex::new(Vec::new());
    // Writing into a vector does not fail.
    let _ = emit(contents, &out, 1);
    out.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the file beside its place and then renames it, so that a full disk or a crash leaves an old file as it was.
pub(crate) fn write_file(contents: &Contents, path: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
    let mut aside = name.to_owned();
    aside.push(format!(".{}.tmp", std::process::id()));
    let aside = path.with_file_name(aside);
    let remove = Aside(aside.clone());
    let file = File::create(&aside)?;
    emit(contents, &file, std::thread::available_parallelism().map_or(1, NonZeroUsize::get))?;
    // A full disk may be reported only now.
    file.sync_all()?;
    drop(file);
    std::fs::rename(&aside, path)?;
    std::mem::forget(remove);
    Ok(())
}

/// Removes an unfinished file.
struct Aside(PathBuf);

impl Drop for Aside {
    fn drop(&mut self) {
        // There may be nothing to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes the file's contents; constants go straight from where they are, or are made, to where they belong, a piece at a
/// time on each thread.
pub(crate) fn emit(contents: &Contents, out: &dyn Place, threads: usize) -> io::Result<()> {
    let plan = plan(contents);
    let align = |at: u64, to: u64| at.next_multiple_of(to);
    let tables_at = (HEADER + 3 * ENTRY) as u64;
    let code_at = align(tables_at + plan.tables.len() as u64, PAGE);
    let code_end = code_at + plan.code.len() as u64;
    let inside = contents.beside.is_none();
    let (constants_at, kind) = match inside {
        true => (align(code_end, PAGE), kind::CONSTANTS),
        false => (code_end, kind::BESIDE),
    };
    let end = if inside { constants_at + plan.constants_len } else { code_end };
    // The file is as long as its header says, whether or not something stands at its end.
    out.put(end - 1, &[0])?;
    let sum = write_constants(&plan, inside.then_some((out, constants_at)), threads)?;
    let mut rest = Writer::default();
    rest.u64(end);
    for (kind, at, len, sum) in [
        (kind::TABLES, tables_at, plan.tables.len() as u64, Checksum::of(&plan.tables)),
        (kind::CODE, code_at, plan.code.len() as u64, Checksum::of(&plan.code)),
        (kind, constants_at, plan.constants_len, sum),
    ] {
        [kind, at, len, sum].into_iter().for_each(|v| rest.u64(v));
    }
    let mut head = Writer::default();
    head.0.extend_from_slice(&MAGIC);
    head.u32(VERSION);
    head.u32(3);
    head.u64(Checksum::of(&rest.0));
    head.0.extend(rest.0);
    head.0.extend(plan.tables);
    out.put(0, &head.0)?;
    out.put(code_at, &plan.code)
}

/// Writes the file of constants that goes with a program whose constants are beside it.
pub(crate) fn emit_constants(contents: &Contents, out: &dyn Place, threads: usize) -> io::Result<()> {
    let plan = plan(contents);
    let sum = write_constants(&plan, Some((out, beside::HEADER as u64)), threads)?;
    out.put(0, &beside::header(plan.constants_len, sum))
}

/// Most threads that write constants: each holds what its constant is made of, and the system writes one after the other anyway.
const WRITERS: usize = 4;

/// Writes all constants to a place, if one is given, from a position on; their checksum.
fn write_constants(plan: &Plan, out: Option<(&dyn Place, u64)>, threads: usize) -> io::Result<u64> {
    let sums: Vec<AtomicU64> = plan.constants.iter().map(|_| AtomicU64::new(0)).collect();
    let next = AtomicUsize::new(0);
    let work = || -> io::Result<()> {
        while let Some((i, (offset, blob))) =
            plan.constants.iter().enumerate().nth(next.fetch_add(1, Ordering::Relaxed))
        {
            let (mut sum, mut at) = (Checksum::new(), *offset);
            blob.pieces(&mut |bytes| {
                sum.update(bytes);
                let start = at;
                at += bytes.len() as u64;
                out.map_or(Ok(()), |(place, from)| place.put(from + start, bytes))
            })?;
            if at != offset + blob.len() as u64 {
                return Err(io::Error::other("a constant is not made as it should be: an error of the compiler"));
            }
            // The zeros behind it are no less noticed when they change.
            let behind = (at.next_multiple_of(CONSTANT_ALIGN) - at) as usize;
            sum.update(&[0; CONSTANT_ALIGN as usize][..behind]);
            sums[i].store(sum.finish(), Ordering::Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(WRITERS).min(plan.constants.len())).map(|_| scope.spawn(work)).collect();
        let mine = work();
        let others = others.into_iter().map(|t| t.join().unwrap_or_else(|p| std::panic::resume_unwind(p)));
        others.fold(mine, Result::and)
    })?;
    if let Some((place, from)) = out.filter(|_| plan.constants_len > 0) {
        // The last one may end before a multiple of the alignment.
        let end = plan.constants.last().map_or(0, |(at, blob)| at + blob.len() as u64);
        place.put(from + end, &[0; CONSTANT_ALIGN as usize][..(plan.constants_len - end) as usize])?;
    }
    Ok(constants_checksum(sums.into_iter().map(AtomicU64::into_inner)))
}

fn plan(contents: &Contents) -> Plan {
    let mut constants = Vec::new();
    let mut entries = Vec::new();
    let mut at = 0u64;
    for tensor in &contents.constants {
        let blob = constant_bytes(tensor);
        entries.push((at, blob.len() as u64));
        let len = blob.len() as u64;
        constants.push((at, blob));
        at = (at + len).next_multiple_of(CONSTANT_ALIGN);
    }
    let code = contents.code.as_ref().map(|image| image.to_bytes()).unwrap_or_default();
    Plan { tables: tables(contents, &entries), code, constants, constants_len: at }
}

/// A constant as the file has it: little-endian elements, or for strings a length and UTF-8 bytes each.
fn constant_bytes(tensor: &Tensor) -> nim_tensor::Blob {
    match (tensor.blob(), tensor.as_strings()) {
        (Some(blob), _) => little_endian(blob.clone(), tensor.dtype()),
        (None, strings) => {
            let mut out = Writer::default();
            strings.unwrap_or_default().iter().for_each(|s| out.string(s));
            nim_tensor::Blob::new(out.0)
        }
    }
}

fn value_type(w: &mut Writer, ty: &ValueType) {
    match ty {
        ValueType::Tensor { dtype, dims } => {
            w.u32(0);
            w.u32(dtype_code(*dtype).into());
            w.u32(dims.len() as u32);
            dims.iter().for_each(|d| w.string(d));
        }
        ValueType::Other(text) => {
            w.u32(1);
            w.string(text);
        }
        ValueType::Adt(name) => {
            w.u32(2);
            w.string(name);
        }
    }
}

fn tables(contents: &Contents, constants: &[(u64, u64)]) -> Vec<u8> {
    let mut w = Writer::default();
    w.string(&contents.producer);
    w.string(contents.beside.as_deref().unwrap_or_default());
    for list in [&contents.signature.inputs, &contents.signature.outputs] {
        w.u32(list.len() as u32);
        for value in list {
            w.string(&value.name);
            value_type(&mut w, &value.ty);
            w.string(value.node.as_deref().unwrap_or_default());
        }
    }
    w.u32(contents.signature.types.len() as u32);
    for adt in &contents.signature.types {
        w.string(&adt.name);
        w.u32(adt.constructors.len() as u32);
        for (name, fields) in &adt.constructors {
            w.string(name);
            w.u32(fields.len() as u32);
            fields.iter().for_each(|field| value_type(&mut w, field));
        }
    }
    w.u32(contents.texts.len() as u32);
    contents.texts.iter().for_each(|t| w.string(t));
    w.u32(contents.sizes.len() as u32);
    let mut words = Vec::new();
    for (size, text) in contents.sizes.iter().zip(&contents.size_texts) {
        size.encode(&mut words);
        w.string(text);
    }
    w.words(&words);
    w.u32(contents.kernels.len() as u32);
    contents.kernels.iter().for_each(|k| w.string(k));
    w.u32(contents.costs.len() as u32);
    for cost in &contents.costs {
        w.u32(cost.is_some().into());
        if let Some(cost) = cost {
            w.u32(cost.operations.0);
            w.u32(cost.bytes.0);
            w.u32(cost.products as u32);
            w.u32(cost.nodes.len() as u32);
            cost.nodes.iter().for_each(|n| w.string(n));
            w.u32(cost.choices.len() as u32);
            cost.choices.iter().for_each(|c| w.string(c));
        }
    }
    w.u32(contents.functions.len() as u32);
    for function in &contents.functions {
        w.string(&function.name);
        [function.regs, function.inputs, function.outputs].into_iter().for_each(|v| w.u32(v));
        w.u32(function.symbols.len() as u32);
        function.symbols.iter().for_each(|s| w.string(s));
        w.words(&bytecode::encode(&function.code));
        let nodes: Vec<u32> = function.nodes.iter().map(|n| n.map_or(u32::MAX, |t| t.0)).collect();
        w.words(&nodes);
    }
    w.u32(contents.origins.is_some().into());
    for function in contents.origins.iter().flatten() {
        let words = function.iter().flat_map(|o| o.map_or([u32::MAX, 0, 0], |o| [o.what.0, o.axis, o.rank]));
        w.words(&words.collect::<Vec<u32>>());
    }
    w.u32(contents.devices.len() as u32);
    contents.devices.iter().for_each(|name| w.string(name));
    for list in [&contents.kernel_devices, &contents.constant_devices] {
        w.words(&list.iter().map(|id| id.0).collect::<Vec<u32>>());
    }
    w.u32(contents.kernel_sources.len() as u32);
    contents.kernel_sources.iter().for_each(|source| w.string(source));
    w.u32(contents.constants.len() as u32);
    for (tensor, &(at, len)) in contents.constants.iter().zip(constants) {
        w.u32(dtype_code(tensor.dtype()).into());
        w.u32(tensor.rank() as u32);
        tensor.dims().iter().for_each(|&d| w.u64(d as u64));
        w.u64(at);
        w.u64(len);
    }
    w.0
}
