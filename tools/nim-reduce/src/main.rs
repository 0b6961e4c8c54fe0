//! Makes a module smaller while something stays true of it.

use clap::{ArgGroup, Parser};
use nim_ir::{Context, Diagnostic};
use nim_opt::oracle::{Input, Oracle};
use nim_pass::{Pipeline, Registry};
use nim_reduce::{Case, Keep, keep::Known, reduce};
use nim_tensor::Blob;
use nim_text::{ParseOptions, PrintOptions, RenderOptions, parse_module, print_module, render_all};
use std::{path::PathBuf, process::ExitCode};

/// Makes a module smaller while something stays true of it.
///
/// Ops, regions, results, arguments, attributes and sizes go, and steps of the pipeline. What is left stands on standard output;
/// its first line is the command that shows what stayed true.
#[derive(Parser, Debug)]
#[command(version, about, max_term_width = 120)]
#[command(group(ArgGroup::new("keep").required(true).args(["keep_error", "keep_panic", "keep_mismatch", "command"])))]
struct Cli {
    /// The module: text or bytecode.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Passes that are run on it.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pass_pipeline: String,
    /// Keep a diagnostic of this code.
    #[arg(long, value_name = "CODE")]
    keep_error: Option<String>,
    /// Keep the panic of a pass.
    #[arg(long)]
    keep_panic: bool,
    /// Keep that the passes change what a function computes.
    #[arg(long)]
    keep_mismatch: bool,
    /// Keep that this command succeeds with the module's file as its last argument.
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// The function that --keep-mismatch runs.
    #[arg(long, value_name = "NAME", default_value = "main")]
    function: String,
    /// An input for --keep-mismatch: x=2x3xf32=1,2,3,4,5,6; others are made up.
    #[arg(long, value_name = "NAME=VALUE")]
    input: Vec<Input>,
    /// How far floats may be off for --keep-mismatch, relatively; 0 for not at all.
    #[arg(long, value_name = "R", default_value_t = 1e-4)]
    tolerance: f64,
    /// Cases that are tried at most.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    max_tries: usize,
    /// Where the module goes.
    #[arg(short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A pass that panics is what is looked for; it need not say so each time.
    std::panic::set_hook(Box::new(|_| {}));
    match nim_text::on_deep_stack(|| run(&cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("nim-reduce: error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), String> {
    let mut registry = Registry::new();
    nim_opt::register_passes(&mut registry);
    let dialects = nim_opt::dialects();
    let known = Known { registry: &registry, dialects: &dialects };
    let case = Case { module: text(&known, cli)?, steps: steps(&known, &cli.pass_pipeline)? };
    let scratch = std::env::temp_dir().join(format!("nim-reduce-{}.nir", std::process::id()));
    let keep = match (&cli.keep_error, &cli.command) {
        (Some(code), _) => Keep::Error(code.clone()),
        (_, Some(command)) => {
            let words = command.split_whitespace().map(str::to_string).collect();
            Keep::Command { words, file: scratch.clone() }
        }
        _ if cli.keep_panic => Keep::Panic,
        _ => Keep::Mismatch(Oracle {
            function: cli.function.clone(),
            inputs: cli.input.clone(),
            tolerance: cli.tolerance,
        }),
    };
    let lines = |text: &str| text.lines().count();
    let (before, steps) = (lines(&case.module), case.steps.len());
    let reduced = reduce(&known, &keep, case, cli.max_tries);
    let _ = std::fs::remove_file(&scratch);
    let reduced = reduced?;
    let case = reduced.case;
    eprintln!(
        "{before} lines and {steps} passes became {} and {} in {} tries",
        lines(&case.module),
        case.steps.len(),
        reduced.tried
    );
    let text = match case.steps.is_empty() {
        true => case.module,
        false => format!("// nim-opt --pass-pipeline='{}'\n{}", case.pipeline(), case.module),
    };
    match &cli.output {
        Some(path) => nim_files::write(path.as_ref(), text.as_bytes()).map_err(|e| format!("{}: {e}", path.display())),
        None => {
            print!("{text}");
            Ok(())
        }
    }
}

/// The steps of a pipeline, each as a pipeline of its own.
fn steps(known: &Known<'_>, text: &str) -> Result<Vec<String>, String> {
    let ctx = known.context();
    let pipeline = Pipeline::parse(&ctx, known.registry, text).map_err(|found| shown(&ctx, &found))?;
    let one = |step: nim_pass::Step| Pipeline { steps: vec![step] }.to_string();
    Ok(pipeline.steps.into_iter().map(one).map(|s| bare(&s).to_string()).collect())
}

/// Without the module around it, which every pipeline has.
fn bare(text: &str) -> &str {
    text.strip_prefix("builtin.module(").and_then(|t| t.strip_suffix(')')).unwrap_or(text)
}

/// The module as text: what cannot be read is kept as it is, it may be what the error is about.
fn text(known: &Known<'_>, cli: &Cli) -> Result<String, String> {
    let name = cli.file.display().to_string();
    let blob = Blob::map_file(&cli.file).map_err(|e| format!("{name}: {e}"))?;
    let ctx = known.context();
    if nim_bytecode::is_bytecode(&blob) {
        let options = nim_bytecode::ReadOptions { allow_unregistered: true, max_depth: nim_text::max_depth() };
        let module = nim_bytecode::read_module(&ctx, &name, &blob, &options);
        let module = module.map_err(|found| shown(&ctx, &[found]))?;
        return Ok(print_module(&ctx, &module, &PrintOptions::default()));
    }
    let text = String::from_utf8(blob.to_vec()).map_err(|e| format!("{name}: {e}"))?;
    let source = ctx.add_source(name, text.as_str());
    let folder = cli.file.parent().map(PathBuf::from);
    let (module, found) = parse_module(
        &ctx,
        source,
        &ParseOptions {
            allow_unregistered: true,
            blob_dir: folder,
            upstream: nim_opt::upstream(),
            ..ParseOptions::default()
        },
    );
    let readable = !found.iter().any(Diagnostic::is_error);
    Ok(if readable { print_module(&ctx, &module, &PrintOptions::default()) } else { text })
}

fn shown(ctx: &Context, found: &[Diagnostic]) -> String {
    render_all(ctx, found, &RenderOptions::default())
}
