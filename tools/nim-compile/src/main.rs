//! Compiles a model to one file that `nim-run` runs, or shows it at any level on the way.

mod archive;
mod emit;
mod native;

use clap::Parser;
use emit::Emit;
use indicatif::ProgressBar;
use nim_text::RenderOptions;
use nim_tools::{
    Failure, Stage,
    flags::{CompileFlags, ImportFlags, all_threads},
    source::{Source, context},
    terminal,
};
use nim_tools_compiler::settings;
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, PoisonError},
    time::Duration,
};

/// Compiles a model to one file that nim-run runs, or shows it at any level on the way.
#[derive(Parser, Debug)]
#[command(version, about, max_term_width = 120)]
struct Cli {
    /// The model: .onnx or .nir; - is standard input.
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Where to write; - is standard output. Levels of the IR read back if this ends in .nir; else large constants are
    /// left out.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// What to write.
    #[arg(long, value_enum, default_value = "nimx")]
    emit: Emit,
    /// Keep the constants out of the program, in FILE: it is looked for beside the program, or where nim-run --constants
    /// says.
    #[arg(long, value_name = "FILE")]
    constants: Option<PathBuf>,
    /// Threads that compile.
    #[arg(long, value_name = "N", default_value_t = all_threads())]
    threads: usize,
    /// Say how long each stage took, on standard error.
    #[arg(long)]
    timing: bool,
    /// Say on which device each buffer is, why, and what is copied, on standard error.
    #[arg(long)]
    explain_placement: bool,
    #[command(flatten)]
    import: ImportFlags,
    #[command(flatten)]
    compile: CompileFlags,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    terminal::run("nim-compile", || compile(&cli).map(|()| true))
}

fn compile(cli: &Cli) -> Result<(), Failure> {
    let bar = if terminal::interactive() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    bar.enable_steady_tick(Duration::from_millis(100));
    bar.set_message("importing");
    if cli.constants.is_some() && cli.emit != Emit::Program {
        return Err(Failure::new(Stage::Compile, "--constants goes with --emit=nimx only"));
    }
    let ctx = context();
    let mut module = Source::read(&cli.model)?.module(&ctx, &cli.import.options()?)?;
    bar.set_message("compiling");
    let mut settings = settings(&cli.compile, cli.threads)?;
    settings.placement = cli.explain_placement.then(Arc::default);
    let done = emit::emit(&ctx, &mut module, &settings, cli.emit, &cli.output, cli.constants.as_deref());
    bar.finish_and_clear();
    let times = done?;
    if let Some(notes) = &settings.placement {
        let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        match notes.is_empty() {
            true => eprintln!("nim-compile: all is on the host: --place says otherwise"),
            false => eprint!("{}", nim_text::render_all(&ctx, &notes, &RenderOptions { color: terminal::color() })),
        }
    }
    if cli.timing {
        for (stage, time) in times {
            eprintln!("{:10.1} ms  {stage}", time.as_secs_f64() * 1e3);
        }
    }
    Ok(())
}
