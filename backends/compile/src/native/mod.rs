//! Ahead of time, without bytecode: a program as objects that a linker takes, and the header that names it.
//!
//! Kernels are compiled as for a `.nimx`. The host program becomes one native function a function of the bytecode
//! ([`code`]): sizes, guards and control flow are machine code, kernels are called directly; memory and the runtime library
//! are those of `libnim` ([`nim_vm::native`]). Tables and constants lie in an object of their own.

mod code;
mod header;

use crate::kernels::{code_error, kernel_objects};
use crate::{Options, emit_program, pipeline};
use nim_ir::{Context, Diagnostic, Module, OpId};
use nim_llvm::link::ObjectFile;
use nim_llvm::native;
use nim_vm::code_image::{CodeImage, ImageInfo};

pub use nim_vm::native::identifier;

/// A native program.
#[derive(Debug)]
pub struct NativeProgram {
    /// The symbol that it exports; all others begin with it.
    pub name: String,
    /// Relocatable ELF objects.
    pub objects: Vec<ObjectFile>,
    /// The text of its header.
    pub header: String,
}

/// Compiles a module of the `graph` dialect to a native program that exports `name`.
///
/// # Errors
/// As [`crate::compile`].
pub fn compile_native(
    ctx: &Context,
    module: &mut Module,
    options: &Options,
    name: &str,
) -> Result<NativeProgram, Vec<Diagnostic>> {
    let kernels = pipeline::lower_fully(ctx, module, options)?;
    let fail = |error| vec![code_error(&error)];
    let mut objects = kernel_objects(ctx, module, options, &format!("{name}_"))?;
    // No code, but the word which machine it is for, which is checked as in any other program.
    let info = ImageInfo {
        arch: options.target.arch().to_owned(),
        target: options.target.name().to_owned(),
        features: options.target.features().to_vec(),
        ..ImageInfo::default()
    };
    only_host(ctx, module)?;
    let builder = emit_program(ctx, module, &options.entry, None, &kernels)?;
    let parts = builder.into_native(CodeImage { info, body: vec![] });
    let text = code::module(&parts, name);
    let llvm = nim_llvm::Options { level: nim_llvm::module::OptLevel::Default, ..options.llvm.clone() };
    objects.push(native::compile_ir(&text, name, &options.target, &llvm).map_err(fail)?);
    objects.push(native::data_object(&format!("{name}_tables"), &parts.tables).map_err(fail)?);
    let header = header::text(&parts.signature, name);
    Ok(NativeProgram { name: name.to_owned(), objects, header })
}

/// Native functions know no other device than the host.
fn only_host(ctx: &Context, module: &Module) -> Result<(), Vec<Diagnostic>> {
    let elsewhere = |op: OpId| {
        let device = nim_dyn::device_attr(ctx, &module.body, op).filter(|&d| d != nim_dyn::Device::HOST)?;
        let name = module.symbol_name(ctx, op).unwrap_or_default();
        let message = format!("native programs run on the host: not on `{}`, as `@{name}` does", device.name(ctx));
        let help = "`--emit=nimx` makes a program for several devices";
        Some(Diagnostic::error("N0756", module.body.loc(op), message).help(help))
    };
    let found: Vec<Diagnostic> = module.ops().filter_map(elsewhere).collect();
    if found.is_empty() { Ok(()) } else { Err(found) }
}
