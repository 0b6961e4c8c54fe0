//! Runs a model: a compiled `.nimx`, or an `.onnx` or `.nir` that is compiled or interpreted on the way.

mod bench;
mod model;
mod profile;
mod report;
mod specialise;
mod test_data;

use bench::Timing;
use clap::Parser;
use nim_tensor::Value;
use nim_tools::{
    Backend, Engine, Failure, Stage,
    flags::{CompileFlags, ImportFlags, all_threads},
    terminal,
    values::{InputSpec, save_outputs},
};
use profile::Measured;
use report::{Report, say};
use std::{path::PathBuf, process::ExitCode};
use test_data::{Set, TestData};

/// Runs a model on given inputs or on test data.
///
/// Without test data every input needs a value. Outputs are shown in one line each.
#[derive(Parser, Debug)]
#[command(version, about, max_term_width = 120)]
struct Cli {
    /// The model: .nimx (compiled), .so (native), .onnx, .nir, or - for text on standard input.
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// What runs it; cpu unless this tool was built without the compiler. A .nimx always runs on cpu, a .so is
    /// native.
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// An input: NAME=@FILE.npy, NAME=@FILE.pb (NAME=@- reads .npy from standard input), or NAME=1x3x224x224xf32=rand;
    /// also rand:LOW:HIGH, randn, zeros, ones, one number for all elements, or all of them: 2xi64=1,2.
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "test_data")]
    input: Vec<InputSpec>,
    /// Where random inputs begin.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Write outputs as output_0.pb, output_0.npy, ...; with several data sets, in a folder each.
    #[arg(long, value_name = "DIR")]
    save_outputs: Option<PathBuf>,
    /// Run every DIR/test_data_set_* (or DIR itself) and compare: |a-b| <= A + S*max|ref| + R*|ref|. Where DIR/golden.json knows
    /// how far the reference is from itself (its noise), that much more is allowed, and said.
    #[arg(long, value_name = "DIR")]
    test_data: Option<PathBuf>,
    /// R, relative to each element [default: that of DIR/data.json, else 1e-3].
    #[arg(long, value_name = "R", requires = "test_data")]
    rtol: Option<f64>,
    /// A, absolute [default: that of DIR/data.json, else 1e-7].
    #[arg(long, value_name = "A", requires = "test_data")]
    atol: Option<f64>,
    /// S, relative to the largest element of an output [default: 0].
    #[arg(long, value_name = "S", requires = "test_data")]
    scaled_atol: Option<f64>,
    /// Measure N runs, on the first data set if there are several.
    #[arg(long, value_name = "N", default_value_t = 0)]
    bench: usize,
    /// Runs before those that are measured [default: 2 when measuring].
    #[arg(long, value_name = "N")]
    warmup: Option<usize>,
    /// Say where the time goes: for each call of a kernel time, GFLOP/s, bytes and share of what this machine could do, the
    /// longest first. FILE.html: the same as a page with a plot; FILE.json: a timeline for chrome://tracing or Perfetto.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    profile: Option<Option<PathBuf>>,
    /// Show the program's instructions instead of running it.
    #[arg(long, conflicts_with_all = ["input", "test_data", "bench", "profile"])]
    disassemble: bool,
    /// Say what the program checks in each run, and what its kernels choose by the dimensions they get, instead of running it.
    #[arg(long, conflicts_with_all = ["input", "test_data", "bench", "profile", "disassemble"])]
    explain_guards: bool,
    /// The file with the constants, of a .nimx that was compiled with --constants; else the one beside it.
    #[arg(long, value_name = "FILE")]
    constants: Option<PathBuf>,
    /// What the program's device NAME is here: KIND is cpu, the processor with memory of its own, or interp, the interpreter, which
    /// runs kernels by their IR. Programs have the devices that --place gave them.
    #[arg(long, value_name = "NAME=KIND")]
    device: Vec<String>,
    /// Threads that compile, and that work on one kernel.
    #[arg(long, value_name = "N", default_value_t = all_threads())]
    threads: usize,
    /// Keep each thread on a CPU of its own. Only where nothing else runs.
    #[arg(long)]
    pin: bool,
    /// The most bytes of tensors at a time, inputs and constants not counted: 1000000, 512K, 64M, 2G.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    memory_limit: Option<usize>,
    /// The most steps of loops and calls in one run.
    #[arg(long, value_name = "N")]
    max_steps: Option<u64>,
    /// Compile a shape of the inputs that was run N times for itself, in the background: runs never wait for that, but those that
    /// warm up for --bench do. At most 4 shapes; off unless asked for.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    specialise_after: Option<u64>,
    /// One JSON object on standard output instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    import: ImportFlags,
    #[command(flatten)]
    compile: CompileFlags,
}

/// A number of bytes: `1000000`, or with a unit of powers of 1024.
fn bytes(text: &str) -> Result<usize, String> {
    let units = [("K", 10), ("M", 20), ("G", 30)];
    let (number, shift) =
        units.iter().find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, shift))).unwrap_or((text, 0));
    let number = number.parse::<usize>().map_err(|_| "a number of bytes is wanted, or one with K, M or G behind it")?;
    number.checked_mul(1 << shift).ok_or_else(|| "more bytes than a machine can have".into())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    terminal::run("nim-run", || run(&cli))
}

fn run(cli: &Cli) -> Result<bool, Failure> {
    let mut model = model::open(cli)?;
    if cli.disassemble {
        return disassemble(&model.engine);
    }
    if cli.explain_guards {
        return explain_guards(&model.engine);
    }
    let mut report = Report::new(cli, &model);
    let inputs = match &cli.test_data {
        Some(folder) => test(cli, &mut model, folder, &mut report)?,
        None => once(cli, &mut model.engine, &mut report)?,
    };
    if cli.bench > 0 {
        if let Some(after) = cli.specialise_after {
            bench::settle(&mut model.engine, &inputs, after)?;
        }
        let timing = Timing::measure(&mut model.engine, &inputs, cli.warmup.unwrap_or(2), cli.bench)?;
        report.timing(cli, timing)?;
    }
    if let Some(file) = &cli.profile {
        profile::check(file.as_deref())?;
        model.engine.profile();
        for _ in 0..cli.bench.max(1) {
            model.engine.run(&inputs)?;
        }
        let found = model.engine.profiled().ok_or_else(|| profile::interpreted(model.backend))?;
        report.profile(cli, file.as_deref(), &Measured::new(found, cli.threads))?;
    }
    report.finish(cli, &model.engine)
}

/// Shows the program's instructions.
fn disassemble(engine: &Engine) -> Result<bool, Failure> {
    let text = engine.disassemble().ok_or_else(|| Failure::new(Stage::Run, "the interpreter has no instructions"))?;
    nim_tools::files::write(nim_tools::files::STDIO.as_ref(), text.as_bytes())?;
    Ok(true)
}

/// Shows what is checked and chosen in each run.
fn explain_guards(engine: &Engine) -> Result<bool, Failure> {
    let text = engine.explain_guards().ok_or_else(|| Failure::new(Stage::Run, "the interpreter chooses nothing"))?;
    let text = if text.is_empty() { "nothing is checked or chosen\n".into() } else { text };
    nim_tools::files::write(nim_tools::files::STDIO.as_ref(), text.as_bytes())?;
    Ok(true)
}

/// Runs on the inputs of the command line; gives them back.
fn once(cli: &Cli, engine: &mut Engine, report: &mut Report) -> Result<Vec<Value>, Failure> {
    let named = |spec: &InputSpec| Ok((spec.name.clone(), spec.value(engine.interface(), cli.seed)?));
    let given = cli.input.iter().map(named).collect::<Result<Vec<_>, Failure>>()?;
    let inputs = engine.interface().arrange(given)?;
    let outputs = engine.run(&inputs)?;
    if let Some(folder) = &cli.save_outputs {
        save_outputs(folder, engine.interface(), &outputs)?;
    }
    report.outputs(cli, engine.interface(), &outputs)?;
    Ok(inputs)
}

/// Runs all data sets; gives the inputs of the first one back.
fn test(
    cli: &Cli,
    model: &mut model::Model,
    folder: &std::path::Path,
    report: &mut Report,
) -> Result<Vec<Value>, Failure> {
    let data = TestData::open(cli, folder)?;
    let mut first = None;
    for path in &data.sets {
        let set = Set::read(path, model);
        let done = set.and_then(|set| {
            let outputs = model.engine.run(&set.inputs)?;
            if let Some(to) = &cli.save_outputs {
                let to = if data.sets.len() > 1 { to.join(path.file_name().unwrap_or_default()) } else { to.clone() };
                save_outputs(&to, model.engine.interface(), &outputs)?;
            }
            let results = set.compare(&outputs, model.engine.interface(), &data.tolerance)?;
            first.get_or_insert(set.inputs);
            Ok(results)
        });
        report.set(cli, path, done)?;
    }
    match first {
        Some(inputs) => Ok(inputs),
        None if cli.bench == 0 && cli.profile.is_none() => Ok(vec![]),
        None => {
            say(&report.summary())?;
            Err(Failure::new(Stage::Run, "no data set could be run, so there is nothing to measure"))
        }
    }
}
