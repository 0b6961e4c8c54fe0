//! Each thing that can be written.

use crate::{archive, native};
use clap::{ValueEnum, builder::PossibleValue};
use nim_compiler::{Level, Options};
use nim_ir::{Context, Diagnostic, Module};
use nim_llvm::link::ObjectFile;
use nim_tools::{Failure, Stage, files, text};
use std::{path::Path, time::Duration};

/// What to write.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Emit {
    /// The module at a level.
    At(Level),
    /// Kernels as ELF objects in an archive.
    Objects,
    /// The whole program as objects in an archive, and its header.
    Native,
    /// The whole program as a shared library, and its header.
    Shared,
    /// The program, for nim-run.
    Program,
}

impl ValueEnum for Emit {
    fn value_variants<'a>() -> &'a [Emit] {
        const ALL: [Emit; Level::ALL.len() + 4] = {
            let mut all = [Emit::Objects; Level::ALL.len() + 4];
            let mut at = 0;
            while at < Level::ALL.len() {
                all[at] = Emit::At(Level::ALL[at].0);
                at += 1;
            }
            (all[at + 1], all[at + 2], all[at + 3]) = (Emit::Native, Emit::Shared, Emit::Program);
            all
        };
        &ALL
    }
    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Emit::At(level) => (level.name(), level.description()),
            Emit::Objects => ("obj", "Kernels as ELF objects in an archive"),
            Emit::Native => {
                ("obj+h", "The whole program as ELF objects in an archive, and its header beside it; needs libnim")
            }
            Emit::Shared => ("so", "The whole program as a shared library, and its header beside it; needs libnim"),
            Emit::Program => ("nimx", "The program, for nim-run"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

/// How long each stage took; known of whole compilations.
pub type Times = Vec<(&'static str, Duration)>;

/// Compiles a module as far as needed and writes it.
pub fn emit(
    ctx: &Context,
    module: &mut Module,
    options: &Options,
    what: Emit,
    path: &Path,
    constants: Option<&Path>,
) -> Result<Times, Failure> {
    let fail = |found: Vec<Diagnostic>| Failure::diagnostics(Stage::Compile, ctx, &found);
    if let Emit::At(level) = what {
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
    if what == Emit::Objects {
        files::write(path, &objects(ctx, module, options)?)?;
        return Ok(vec![]);
    }
    if let Emit::Native | Emit::Shared = what {
        native::write(ctx, module, options, what == Emit::Shared, path)?;
        return Ok(vec![]);
    }
    let mut compiled = nim_compiler::compile(ctx, module, options).map_err(fail)?;
    if let Some(constants) = constants {
        let name = constants.file_name().unwrap_or_default().to_string_lossy();
        compiled.program.constants_beside(&name);
        files::write_file(constants, &mut |out| compiled.program.write_constants(out, options.threads))?;
    }
    if files::is_regular(path) {
        files::write_file(path, &mut |out| compiled.program.write_to(out, options.threads))?;
    } else {
        files::write(path, &compiled.program.to_bytes())?;
    }
    Ok(compiled.times)
}

/// All kernels as an archive of one object each.
fn objects(ctx: &Context, module: &mut Module, options: &Options) -> Result<Vec<u8>, Failure> {
    let fail = |found: Vec<Diagnostic>| Failure::diagnostics(Stage::Compile, ctx, &found);
    nim_compiler::lower(ctx, module, options, Level::Loops).map_err(fail)?;
    let objects = nim_compiler::kernel_objects(ctx, module, options, "").map_err(fail)?;
    archived(&objects)
}

/// Objects as an archive.
pub fn archived(objects: &[ObjectFile]) -> Result<Vec<u8>, Failure> {
    let members: Vec<archive::Member<'_>> = objects
        .iter()
        .map(|o| archive::Member { name: format!("{}.o", o.kernel), symbol: &o.kernel, bytes: &o.bytes })
        .collect();
    archive::write(&members).map_err(|e| Failure::new(Stage::Compile, e))
}
