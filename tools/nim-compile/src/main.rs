//! Compiles a model to one file that `nim-run` runs, or shows it at any level on the way.

mod archive;
mod emit;
mod native;
mod tune;

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
    /// Measure schedules of kernels on this machine for about so many seconds, those that take longest first, and keep what is found
    /// in a log: that of --tune-log, else OUT.tune. What the log knows already is not measured again.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    tune: Option<Duration>,
    /// Say which schedule each kernel has and why, what the estimate says and what was measured, on standard error.
    #[arg(long)]
    explain_schedules: bool,
    #[command(flatten)]
    import: ImportFlags,
    #[command(flatten)]
    compile: CompileFlags,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|n| Duration::try_from_secs_f64(n).ok());
    seconds.ok_or_else(|| "a number of seconds is wanted, as 20 or 0.5".into())
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
    // The log is read once, with what else is said about it.
    let flags = CompileFlags { tune_log: None, ..cli.compile.clone() };
    let mut settings = settings(&flags, cli.threads)?;
    settings.placement = cli.explain_placement.then(Arc::default);
    tune::set_up(cli, &mut settings, &bar)?;
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
    tune::finish(cli, &settings)?;
    if cli.timing {
        for (stage, time) in times {
            eprintln!("{:10.1} ms  {stage}", time.as_secs_f64() * 1e3);
        }
    }
    Ok(())
}
