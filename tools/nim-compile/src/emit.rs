//! Each thing that can be written.

use crate::archive;
use clap::ValueEnum;
use nim_compiler::{Level, Options, kernels};
use nim_ir::{Context, Diagnostic, Module};
use nim_llvm::{Compiler, KernelSource};
use nim_tools::{Failure, Stage, files, text};
use std::{path::Path, time::Duration};

/// What to write.
#[derive(Copy, Clone, PartialEq, Eq, Debug, ValueEnum)]
pub enum Emit {
    /// Whole tensors, cleaned up.
    Graph,
    /// Maps in kernels, and a host function that invokes them.
    Dataflow,
    /// Kernels as loop nests.
    Loops,
    /// The host function with its memory.
    Dyn,
    /// Kernels as upstream MLIR.
    Mlir,
    /// Kernels as optimised LLVM IR.
    Llvm,
    /// Kernels as assembly.
    Asm,
    /// Kernels as ELF objects in an archive.
    Obj,
    /// The host program as bytecode, disassembled.
    Bytecode,
    /// The program, for nim-run.
    Nimx,
}

impl Emit {
    /// The level to stop at; none for the things that go all the way.
    fn level(self) -> Option<Level> {
        Some(match self {
            Emit::Graph => Level::Graph,
            Emit::Dataflow => Level::Dataflow,
            Emit::Loops => Level::Loops,
            Emit::Dyn => Level::Dyn,
            Emit::Mlir => Level::Mlir,
            Emit::Llvm => Level::Llvm,
            Emit::Asm => Level::Asm,
            Emit::Bytecode => Level::Bytecode,
            Emit::Obj | Emit::Nimx => return None,
        })
    }
}

/// How long each stage took; known of whole compilations.
pub type Times = Vec<(&'static str, Duration)>;

/// Compiles a module as far as needed and writes it.
pub fn emit(ctx: &Context, module: &mut Module, options: &Options, what: Emit, path: &Path) -> Result<Times, Failure> {
    let fail = |found: Vec<Diagnostic>| Failure::diagnostics(Stage::Compile, ctx, &found);
    if let Some(level) = what.level() {
        // A text that is to be read back needs all of its constants.
        if level <= Level::Dyn && path.extension().is_some_and(|e| e == "nir") {
            nim_compiler::lower(ctx, module, options, level).map_err(fail)?;
            text::write_module(ctx, module, path)?;
        } else {
            let shown = nim_compiler::print_at(ctx, module, options, level).map_err(fail)?;
            files::write(path, shown.as_bytes())?;
        }
        return Ok(vec![]);
    }
    if what == Emit::Obj {
        files::write(path, &objects(ctx, module, options)?)?;
        return Ok(vec![]);
    }
    let compiled = nim_compiler::compile(ctx, module, options).map_err(fail)?;
    if files::is_stdio(path) {
        files::write(path, &compiled.program.to_bytes())?;
    } else {
        files::write_with(path, &mut |mut out| compiled.program.write_to(&mut out))?;
    }
    Ok(compiled.times)
}

/// All kernels as an archive of one object each.
fn objects(ctx: &Context, module: &mut Module, options: &Options) -> Result<Vec<u8>, Failure> {
    let fail = |found: Vec<Diagnostic>| Failure::diagnostics(Stage::Compile, ctx, &found);
    nim_compiler::lower(ctx, module, options, Level::Loops).map_err(fail)?;
    let texts = kernels::kernel_texts(ctx, module, &nim_compiler::target_info(&options.target)).map_err(fail)?;
    let sources: Vec<KernelSource<'_>> = texts.iter().map(|(symbol, text)| KernelSource { symbol, text }).collect();
    let compiler = Compiler::new(&options.target, &options.llvm).threads(options.threads);
    let objects = compiler.compile_objects(&sources).map_err(|e| Failure::new(Stage::Compile, format!("{e}")))?;
    let members: Vec<archive::Member<'_>> = objects
        .iter()
        .map(|o| archive::Member { name: format!("{}.o", o.kernel), symbol: &o.kernel, bytes: &o.bytes })
        .collect();
    archive::write(&members).map_err(|e| Failure::new(Stage::Compile, e))
}
