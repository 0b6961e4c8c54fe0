//! Runs folders of ONNX backend test cases and reports by operator and by reason.

mod case;
mod report;
mod run;
mod table;

use case::Mode;
use clap::Parser;
use nim_tools::{
    Backend, EngineOptions, Failure, files,
    flags::{CompileFlags, all_threads},
    terminal,
};
use std::{path::PathBuf, process::ExitCode};

/// Runs folders of ONNX backend test cases.
///
/// A folder holds cases (CASE/model.onnx and CASE/test_data_set_*) or is one itself. Outputs are compared within the
/// tolerance of CASE/data.json, else rtol 1e-3 and atol 1e-7. The exit code is 1 when a case failed.
#[derive(Parser, Debug)]
#[command(version, about, max_term_width = 120)]
struct Cli {
    /// Folders of cases.
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// How inputs are taken; several, separated by commas, run one after the other.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "static")]
    mode: Vec<Mode>,
    /// What runs the models; several, separated by commas, run one after the other.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "interp")]
    backend: Vec<Backend>,
    /// Only cases whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// List the cases and their operators instead of running them.
    #[arg(long)]
    list: bool,
    /// One JSON object on standard output instead of text.
    #[arg(long)]
    json: bool,
    /// Cases that run at the same time.
    #[arg(long, value_name = "N", default_value_t = all_threads())]
    threads: usize,
    #[command(flatten)]
    compile: CompileFlags,
    /// Write a Markdown table of operators, with passed and all cases of each mode and back end.
    #[arg(long, value_name = "FILE")]
    write_table: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    terminal::run("nim-conformance", || conformance(&cli))
}

fn conformance(cli: &Cli) -> Result<bool, Failure> {
    let cases = case::find(&cli.folders, cli.filter.as_deref())?;
    if cli.list {
        print(&report::list(&cases, cli.json))?;
        return Ok(true);
    }
    let mut runs = vec![];
    for &mode in &cli.mode {
        for &backend in &cli.backend {
            // Cases run side by side; each is small.
            let compile = CompileFlags { verify_each: true, ..cli.compile.clone() };
            let options = EngineOptions { backend, threads: 1, compile };
            runs.push(run::all(&cases, mode, &options, cli.threads.max(1)));
        }
    }
    let text = if cli.json { report::json(&cases, &runs) } else { report::text(&cases, &runs) };
    print(&text)?;
    if let Some(path) = &cli.write_table {
        files::write(path, table::markdown(&cases, &runs).as_bytes())?;
    }
    Ok(runs.iter().all(|run| run.failed() == 0))
}

fn print(text: &str) -> Result<(), Failure> {
    files::write(files::STDIO.as_ref(), text.as_bytes())
}
