//! Objects that are no kernels: a host program as LLVM IR text, and bytes as they are.

use crate::error::CompileError;
use crate::fatal::Working;
use crate::link::ObjectFile;
use crate::module::{LlvmContext, Machine, Options};
use crate::target::Target;
use object::write::{Object, StandardSection, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolKind, SymbolScope};

/// Compiles LLVM's textual IR to a relocatable ELF object. `name` names it in errors.
///
/// # Errors
/// The text does not parse, or LLVM refuses it.
pub fn compile_ir(text: &str, name: &str, target: &Target, options: &Options) -> Result<ObjectFile, CompileError> {
    let _working = Working::on(name);
    let machine = Machine::new(target, options.level)?;
    let context = LlvmContext::new();
    let module = context.parse_ir(text, name)?;
    module.optimise(&machine, options)?;
    Ok(ObjectFile { kernel: name.to_owned(), bytes: module.emit_object(&machine)? })
}

/// An ELF object that has bytes under a symbol, read-only and at a multiple of 64, seen by what it is linked with only.
///
/// # Errors
/// More bytes than an object can have.
pub fn data_object(symbol: &str, bytes: &[u8]) -> Result<ObjectFile, CompileError> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let section = object.section_id(StandardSection::ReadOnlyData);
    let value = object.append_section_data(section, bytes, 64);
    object.add_symbol(Symbol {
        name: symbol.as_bytes().to_vec(),
        value,
        size: bytes.len() as u64,
        kind: SymbolKind::Data,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    });
    let failed = |e: object::write::Error| CompileError::Link { kernel: symbol.to_owned(), message: e.to_string() };
    Ok(ObjectFile { kernel: symbol.to_owned(), bytes: object.write().map_err(failed)? })
}
