//! Translates between the IR and other forms.

mod machine;
mod report;

use clap::{ArgGroup, Parser};
use nim_tools::{
    Failure, Stage, files,
    flags::{CompileFlags, ImportFlags, all_threads},
    source::{Source, context},
    terminal, text,
};
use std::{path::PathBuf, process::ExitCode};

/// Translates between the IR and other forms.
///
/// --import-onnx writes text that reads back; constants above some size go to a file OUT.blobs beside OUT.nir. --report tells
/// what a model is made of, which back end takes it, and what it costs as formulas of its symbolic dimensions. The other
/// translations show the kernels of a model, lowered as nim-compile does.
#[derive(Parser, Debug)]
#[command(version, about, max_term_width = 120)]
#[command(group(ArgGroup::new("what").required(true).args(["import_onnx", "report", "to_mlir", "to_llvmir", "to_asm"])))]
struct Cli {
    /// The model: .onnx or .nir; - is standard input.
    #[arg(value_name = "MODEL", default_value = "-")]
    model: PathBuf,
    /// ONNX to text of the graph dialect.
    #[arg(long)]
    import_onnx: bool,
    /// Operators and their support, parameters, work, movement and memory.
    #[arg(long)]
    report: bool,
    /// Kernels as upstream MLIR.
    #[arg(long)]
    to_mlir: bool,
    /// Kernels as optimised LLVM IR.
    #[arg(long)]
    to_llvmir: bool,
    /// Kernels as assembly.
    #[arg(long)]
    to_asm: bool,
    /// Where to write; - is standard output.
    #[arg(short, long, value_name = "OUT", default_value = "-")]
    output: PathBuf,
    /// Threads that compile.
    #[arg(long, value_name = "N", default_value_t = all_threads())]
    threads: usize,
    #[command(flatten)]
    import: ImportFlags,
    #[command(flatten)]
    compile: CompileFlags,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    terminal::run("nim-translate", || translate(&cli).map(|()| true))
}

fn translate(cli: &Cli) -> Result<(), Failure> {
    let source = Source::read(&cli.model)?;
    let ctx = context();
    if cli.import_onnx && source.onnx().is_none() {
        let message = format!("{}: this is text, not an ONNX model", cli.model.display());
        return Err(Failure::new(Stage::Load, message));
    }
    if cli.report {
        let text = report::report(&ctx, &source, &cli.import.options()?)?;
        return files::write(&cli.output, text.as_bytes());
    }
    let mut module = source.module(&ctx, &cli.import.options()?)?;
    if cli.import_onnx {
        return text::write_module(&ctx, &module, &cli.output);
    }
    let shown = machine::shown(cli, &ctx, &mut module)?;
    files::write(&cli.output, shown.as_bytes())
}
