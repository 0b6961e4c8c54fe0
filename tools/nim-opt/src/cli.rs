//! The command line. Besides the fixed options each pass has one of its name: `--cse`, `--canonicalize="max-iterations=3"`.

use clap::{Arg, ArgAction, ArgMatches, Command, builder::PossibleValuesParser, parser::ValueSource, value_parser};
use nim_pass::Registry;
use std::path::PathBuf;

/// What the command line says.
pub struct Config {
    pub input: String,
    pub output: Option<PathBuf>,
    /// `None` when no pass is to be run.
    pub pipeline: Option<String>,
    pub split: bool,
    pub verify_diagnostics: bool,
    pub verify_each: bool,
    pub print_before_all: bool,
    pub print_after_all: bool,
    pub print_after_failure: bool,
    pub generic: bool,
    pub debug_info: bool,
    pub elide_large: Option<usize>,
    pub allow_unregistered: bool,
    pub timing: bool,
    pub statistics: bool,
    pub dump_pipeline: bool,
    pub no_output: bool,
    pub threads: usize,
    pub color: bool,
    pub list: Option<List>,
    pub explain: Option<String>,
}

/// What is to be listed instead of running.
#[derive(Copy, Clone)]
pub enum List {
    Passes,
    Dialects,
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// The command with an option for each pass and pipeline of the registry.
pub fn command(registry: &Registry) -> Command {
    let mut command = Command::new("nim-opt")
        .about("Reads a module, runs passes, prints it")
        .version(env!("CARGO_PKG_VERSION"))
        .arg(Arg::new("input").value_name("FILE").default_value("-").help("Text to read; `-` is the standard input"))
        .arg(
            Arg::new("output")
                .short('o')
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Where the module goes [default: standard output]"),
        )
        .arg(
            Arg::new("pass-pipeline")
                .long("pass-pipeline")
                .value_name("TEXT")
                .help("Passes to run: `cse,canonicalize`, `builtin.module(func.func(cse),inline{max-ops=20})`"),
        )
        .arg(flag("split-input-file", "Work on the parts between lines `// -----` one by one"))
        .arg(flag("verify-diagnostics", "Compare diagnostics with `// expected-error {{text}}` comments"))
        .arg(
            Arg::new("verify-each")
                .long("verify-each")
                .value_parser(PossibleValuesParser::new(["true", "false"]))
                .default_value("true")
                .default_missing_value("true")
                .num_args(0..=1)
                .require_equals(true)
                .help("Verify before the first and after each pass"),
        )
        .arg(flag("print-ir-before-all", "Print the module before each pass").alias("mlir-print-ir-before-all"))
        .arg(flag("print-ir-after-all", "Print the module after each pass").alias("mlir-print-ir-after-all"))
        .arg(
            flag("print-ir-after-failure", "Print the module after a pass that failed")
                .alias("mlir-print-ir-after-failure"),
        )
        .arg(flag("print-op-generic", "Print all ops in generic form").alias("mlir-print-op-generic"))
        .arg(flag("print-debuginfo", "Print where ops come from").alias("mlir-print-debuginfo"))
        .arg(
            Arg::new("elide-large")
                .long("elide-large")
                .alias("mlir-elide-elementsattrs-if-larger")
                .value_name("BYTES")
                .value_parser(value_parser!(usize))
                .help("Leave out constants of more than so many bytes"),
        )
        .arg(flag("allow-unregistered-dialect", "Keep ops of dialects that are not known"))
        .arg(flag("timing", "Tell how long passes took").alias("mlir-timing"))
        .arg(flag("statistics", "Tell what passes did").alias("mlir-pass-statistics"))
        .arg(flag("dump-pass-pipeline", "Print the pipeline as it is understood"))
        .arg(flag("no-output", "Print no module"))
        .arg(
            Arg::new("threads")
                .long("threads")
                .value_name("N")
                .value_parser(value_parser!(usize))
                .help("Threads for passes over bodies [default: one a core]"),
        )
        .arg(flag("mlir-disable-threading", "One thread").hide(true))
        .arg(flag("color", "Diagnostics in colour"))
        .arg(flag("list-passes", "List passes with their options"))
        .arg(flag("list-dialects", "List dialects with their ops").alias("show-dialects"))
        .arg(Arg::new("explain").long("explain").value_name("CODE").help("Say what a diagnostic's code means"))
        .next_help_heading("Passes");
    let passes = registry.passes().map(|p| (p.name, p.description));
    for (name, help) in passes.chain(registry.pipelines().map(|(name, description, _)| (name, description))) {
        command = command.arg(
            Arg::new(name)
                .long(name)
                .value_name("OPTIONS")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("")
                .action(ArgAction::Append)
                .help(help)
                .hide_default_value(true),
        );
    }
    command
}

impl Config {
    /// Reads what was matched.
    ///
    /// # Errors
    /// Options that do not go together.
    pub fn new(registry: &Registry, matches: &ArgMatches) -> Result<Config, String> {
        let text = |name: &str| matches.get_one::<String>(name).cloned();
        let set = |name: &str| matches.get_flag(name);
        let short = shortcuts(registry, matches);
        let pipeline = match (text("pass-pipeline"), short.is_empty()) {
            (Some(_), false) => {
                return Err("passes are given by `--pass-pipeline` or by their names, not by both".into());
            }
            (Some(text), true) => Some(text),
            (None, false) => Some(short),
            (None, true) => None,
        };
        let threads = match set("mlir-disable-threading") {
            true => 1,
            false => {
                matches.get_one::<usize>("threads").copied().unwrap_or_else(|| nim_pass::RunOptions::default().threads)
            }
        };
        let list = match (set("list-passes"), set("list-dialects")) {
            (true, _) => Some(List::Passes),
            (_, true) => Some(List::Dialects),
            _ => None,
        };
        Ok(Config {
            input: text("input").unwrap_or_else(|| "-".into()),
            output: matches.get_one::<PathBuf>("output").filter(|p| p.as_os_str() != "-").cloned(),
            pipeline,
            split: set("split-input-file"),
            verify_diagnostics: set("verify-diagnostics"),
            verify_each: text("verify-each").as_deref() != Some("false"),
            print_before_all: set("print-ir-before-all"),
            print_after_all: set("print-ir-after-all"),
            print_after_failure: set("print-ir-after-failure"),
            generic: set("print-op-generic"),
            debug_info: set("print-debuginfo"),
            elide_large: matches.get_one("elide-large").copied(),
            allow_unregistered: set("allow-unregistered-dialect"),
            timing: set("timing"),
            statistics: set("statistics"),
            dump_pipeline: set("dump-pass-pipeline"),
            no_output: set("no-output"),
            threads,
            color: set("color"),
            list,
            explain: text("explain"),
        })
    }
}

/// Passes given by name, in the order of the command line, as a pipeline.
fn shortcuts(registry: &Registry, matches: &ArgMatches) -> String {
    let mut found: Vec<(usize, String)> = vec![];
    for name in registry.names() {
        if matches.value_source(name) != Some(ValueSource::CommandLine) {
            continue;
        }
        let (Some(indices), Some(values)) = (matches.indices_of(name), matches.get_many::<String>(name)) else {
            continue;
        };
        for (index, options) in indices.zip(values) {
            let text = if options.is_empty() { name.to_string() } else { format!("{name}{{{options}}}") };
            found.push((index, text));
        }
    }
    found.sort();
    found.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(",")
}
