//! What lies behind the IR: upstream MLIR, LLVM IR, assembly.

use crate::Cli;
use nim_ir::{Context, Module};
use nim_tools::{Failure, Stage};

/// The kernels of a module in the form that the command line asks for.
#[cfg(feature = "llvm")]
pub fn shown(cli: &Cli, ctx: &Context, module: &mut Module) -> Result<String, Failure> {
    use nim_compiler::Level;
    let level = if cli.to_mlir {
        Level::Mlir
    } else if cli.to_llvmir {
        Level::Llvm
    } else {
        Level::Asm
    };
    let settings = nim_tools_compiler::settings(&cli.compile, cli.threads)?;
    nim_compiler::print_at(ctx, module, &settings, level)
        .map_err(|found| Failure::diagnostics(Stage::Compile, ctx, &found))
}

/// Without the compiler there is no such form.
#[cfg(not(feature = "llvm"))]
pub fn shown(_: &Cli, _: &Context, _: &mut Module) -> Result<String, Failure> {
    let message = "this tool was built without the compiler (feature `llvm`): it only imports";
    Err(Failure::new(Stage::Compile, message))
}
