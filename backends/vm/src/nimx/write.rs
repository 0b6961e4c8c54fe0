//! Writing `.nimx` files.

use super::stream::{Checksum, Writer};
use super::{ENTRY, HEADER, MAGIC, VERSION, beside, kind};
use crate::bytecode::{self, field::dtype_code};
use crate::code_image::PAGE;
use crate::program::{Contents, ValueType};
use nim_tensor::{Tensor, tensor::little_endian};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Alignment of constants in the file, and so in memory.
const CONSTANT_ALIGN: u64 = 64;

/// Where each piece goes.
struct Plan {
    tables: Vec<u8>,
    code: Vec<u8>,
    /// Offset within the section, bytes.
    constants: Vec<(u64, nim_tensor::Blob)>,
    constants_len: u64,
}

/// The whole file in memory.
pub(crate) fn to_bytes(contents: &Contents) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing into a vector does not fail.
    let _ = emit(contents, &mut out);
    out
}

/// Writes the file beside its place and then renames it, so that a full disk or a crash leaves an old file as it was.
pub(crate) fn write_file(contents: &Contents, path: &Path) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"))?;
    let mut aside = name.to_owned();
    aside.push(format!(".{}.tmp", std::process::id()));
    let aside = path.with_file_name(aside);
    let remove = Aside(aside.clone());
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&aside)?);
    emit(contents, &mut out)?;
    let file = out.into_inner().map_err(|e| e.into_error())?;
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

/// Writes the file's contents piece by piece; constants come straight from where they are.
pub(crate) fn emit(contents: &Contents, out: &mut impl Write) -> io::Result<()> {
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
    let sum = constants_checksum(&plan)?;
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

    out.write_all(&head.0)?;
    out.write_all(&rest.0)?;
    out.write_all(&plan.tables)?;
    pad(out, code_at - tables_at - plan.tables.len() as u64)?;
    out.write_all(&plan.code)?;
    if inside {
        pad(out, constants_at - code_end)?;
        write_constants(&plan, &mut |bytes| out.write_all(bytes))?;
    }
    out.flush()
}

/// Writes the file of constants that goes with a program whose constants are beside it.
pub(crate) fn emit_constants(contents: &Contents, out: &mut impl Write) -> io::Result<()> {
    let plan = plan(contents);
    out.write_all(&beside::header(plan.constants_len, constants_checksum(&plan)?))?;
    write_constants(&plan, &mut |bytes| out.write_all(bytes))?;
    out.flush()
}

fn constants_checksum(plan: &Plan) -> io::Result<u64> {
    let mut sum = Checksum::new();
    write_constants(plan, &mut |bytes| {
        sum.update(bytes);
        Ok(())
    })?;
    Ok(sum.finish())
}

fn write_constants(plan: &Plan, put: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    const ZEROS: [u8; CONSTANT_ALIGN as usize] = [0; CONSTANT_ALIGN as usize];
    let mut at = 0;
    for (offset, bytes) in &plan.constants {
        put(&ZEROS[..(offset - at) as usize])?;
        put(bytes)?;
        at = offset + bytes.len() as u64;
    }
    put(&ZEROS[..(plan.constants_len - at) as usize])
}

fn pad(out: &mut impl Write, mut count: u64) -> io::Result<()> {
    let zeros = [0; 512];
    while count > 0 {
        let now = count.min(zeros.len() as u64);
        out.write_all(&zeros[..now as usize])?;
        count -= now;
    }
    Ok(())
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
