//! The command line. Besides the fixed options each pass has one of its name: `--cse`, `--canonicalize="max-iterations=3"`.

use crate::dump::{Dumps, Which};
use crate::oracle::Oracle;
use crate::rewrites::Rewrites;
use clap::{Arg, ArgAction, ArgMatches, Command, builder::PossibleValuesParser, parser::ValueSource, value_parser};
use nim_pass::Registry;
use std::path::PathBuf;

/// The line between parts of a text.
pub const SPLIT: &str = "// -----";

/// What the command line says.
pub struct Config {
    pub input: String,
    pub output: Option<PathBuf>,
    /// `None` when no pass is to be run.
    pub pipeline: Option<String>,
    /// What stands at the start of the lines between parts.
    pub split: Option<String>,
    pub verify_diagnostics: Option<Verify>,
    /// Write what is found into the comments of the input.
    pub bless_diagnostics: bool,
    pub verify_each: bool,
    pub verify_roundtrip: bool,
    pub dumps: Dumps,
    pub generic: bool,
    pub debug_info: bool,
    pub nameloc: bool,
    pub elide_elements: Option<usize>,
    pub elide_resources: Option<usize>,
    pub allow_unregistered: bool,
    pub irdl_file: Option<String>,
    pub timing: Option<Timing>,
    pub timing_file: Option<PathBuf>,
    /// Where a reproducer is written; `None`: the folder of temporary files.
    pub reproducer: Option<String>,
    /// Where a reproducer is written whatever happens.
    pub always_reproducer: Option<PathBuf>,
    pub run_reproducer: bool,
    pub check_pipeline: bool,
    pub rewrites: Rewrites,
    /// `--bisect`
    pub bisect: Option<Oracle>,
    /// Times of a pass are added up, as `--mlir-timing-display=list` wants it.
    pub timing_list: bool,
    pub statistics: bool,
    /// Numbers of a pass are added up.
    pub statistics_list: bool,
    pub dump_pipeline: bool,
    pub no_output: bool,
    pub bytecode: bool,
    pub threads: usize,
    pub color: bool,
    pub list: Option<List>,
    pub explain: Option<String>,
    /// A dimension of a value, `%v#1`.
    pub explain_dim: Option<String>,
}

/// What is to be listed instead of running.
#[derive(Copy, Clone)]
pub enum List {
    Passes,
    Dialects,
    Rewrites,
}

/// Which diagnostics comments must expect.
#[derive(Copy, Clone, PartialEq, Eq)]
pub enum Verify {
    /// Each error and warning.
    All,
    /// None; those that are expected must be given.
    OnlyExpected,
}

/// How times are told.
#[derive(Copy, Clone, PartialEq, Eq)]
pub enum Timing {
    Text,
    Json,
    Chrome,
}

/// How times may be told.
const TIMINGS: [&str; 3] = ["text", "json", "chrome"];

/// An option; one that upstream's tool has has its name, and answers to it without `mlir-` too.
fn option(name: &'static str) -> Arg {
    let arg = Arg::new(name).long(name);
    match name.strip_prefix("mlir-") {
        Some(short) => arg.visible_alias(short),
        None => arg,
    }
}

fn value(name: &'static str, what: &'static str, help: &'static str) -> Arg {
    option(name).value_name(what).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    option(name).action(ArgAction::SetTrue).help(help)
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
        .arg(option("pass-pipeline").value_name("TEXT").help(
            "Passes to run: `cse,canonicalize`, `builtin.module(func.func(cse),inline{max-ops=20})`; `mlir(...)` runs \
                     passes of upstream, in a build with LLVM",
        ))
        .arg(
            option("split-input-file")
                .value_name("MARKER")
                .default_missing_value(SPLIT)
                .num_args(0..=1)
                .require_equals(true)
                .help("Work on the parts between lines `// -----`, or of another marker, one by one"),
        )
        .arg(
            option("verify-diagnostics")
                .value_parser(PossibleValuesParser::new(["all", "only-expected"]))
                .default_missing_value("all")
                .num_args(0..=1)
                .require_equals(true)
                .help(
                    "Compare diagnostics with `// expected-error {{text}}` comments; `only-expected` lets those be \
                     that no comment expects",
                ),
        )
        .arg(
            flag(
                "bless-diagnostics",
                "Write the `expected-` comments of the file as `--verify-diagnostics` wants them",
            )
            .requires("verify-diagnostics"),
        )
        .arg(
            option("verify-each")
                .value_parser(PossibleValuesParser::new(["true", "false", "1", "0"]))
                .default_value("true")
                .default_missing_value("true")
                .num_args(0..=1)
                .require_equals(true)
                .help("Verify before the first and after each pass"),
        )
        .arg(flag("verify-roundtrip", "Read back what is printed, in both forms, and compare"))
        .arg(value("pass-pipeline-file", "FILE", "Passes to run, as `--pass-pipeline` writes them, from a file"))
        .arg(value("pipeline", "NAME", "A pipeline by its name"))
        .arg(flag("check-pipeline", "Check what passes need and give; no module is read"))
        .arg(value("mlir-print-ir-before", "PASSES", "Print the module before these passes").value_delimiter(','))
        .arg(value("mlir-print-ir-after", "PASSES", "Print the module after these passes").value_delimiter(','))
        .arg(flag("mlir-print-ir-before-all", "Print the module before each pass"))
        .arg(flag("mlir-print-ir-after-all", "Print the module after each pass"))
        .arg(flag("mlir-print-ir-after-change", "After a pass, print only what it changed: nothing if it is as before"))
        .arg(flag("mlir-print-ir-after-failure", "Print the module after a pass that failed"))
        .arg(flag("print-ir-diff", "After a pass, print what it changed, line by line"))
        .arg(
            value("mlir-print-ir-tree-dir", "FOLDER", "Print modules into numbered files of a folder")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(flag("mlir-print-ir-module-scope", "The whole module is printed in any case").hide(true))
        .arg(flag("mlir-print-op-generic", "Print all ops in generic form"))
        .arg(flag("mlir-print-debuginfo", "Print where ops come from"))
        .arg(flag("mlir-print-local-scope", "Print without aliases, which is how it is printed in any case"))
        .arg(flag("mlir-use-nameloc-as-prefix", "Call values after the names in their locations"))
        .arg(
            value(
                "mlir-elide-elementsattrs-if-larger",
                "N",
                "Leave out the elements of constants that have more than so many",
            )
            .value_parser(value_parser!(usize))
            .alias("elide-large"),
        )
        .arg(
            value(
                "mlir-elide-resource-strings-if-larger",
                "N",
                "Leave out resources whose text is longer than so many characters",
            )
            .value_parser(value_parser!(usize)),
        )
        .arg(flag("allow-unregistered-dialect", "Keep ops of dialects that are not known"))
        .arg(value(
            "irdl-file",
            "FILE",
            "Dialects that a file in upstream's IRDL defines; modules are checked against it",
        ))
        .arg(
            option("mlir-timing")
                .value_parser(PossibleValuesParser::new(TIMINGS))
                .default_missing_value("text")
                .num_args(0..=1)
                .require_equals(true)
                .help("Tell how long passes took; `chrome` is a trace for its viewer"),
        )
        .arg(
            option("mlir-timing-display")
                .value_name("VIEW")
                .value_parser(PossibleValuesParser::new(["list", "tree"]))
                .default_value("tree")
                .help("`list` adds up the runs of each pass, the longest first; `tree` has them in their order"),
        )
        .arg(
            value("mlir-output-format", "FORM", "How times are told, as `--mlir-timing=FORM`")
                .value_parser(PossibleValuesParser::new(TIMINGS))
                .hide(true),
        )
        .arg(
            value("timing-file", "FILE", "Where times go [default: standard error]")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            value(
                "mlir-pass-pipeline-crash-reproducer",
                "FILE",
                "Write module and pipeline here when a pass fails [default: a file for temporary ones]; `none` never does",
            )
            .visible_alias("reproducer"),
        )
        .arg(
            value("mlir-generate-reproducer", "FILE", "Write module and pipeline here in any case")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(flag("run-reproducer", "Run the pipeline that the text of a reproducer names"))
        .arg(
            option("trace-rewrites")
                .value_name("RULES")
                .value_delimiter(',')
                .num_args(0..=1)
                .require_equals(true)
                .help("Tell where rewrite rules fire; of rules that are named, also where they do not and why"),
        )
        .arg(value("disable-rewrite", "RULES", "Leave out these rewrite rules").value_delimiter(','))
        .arg(
            value("mlir-debug-counter", "COUNTERS", "Let a rule fire in part only: `RULE-skip=N`, `RULE-count=N`")
                .value_delimiter(','),
        )
        .arg(flag("mlir-print-debug-counter", "Tell how often each rewrite rule was about to fire"))
        .arg(flag("bisect", "Run the module after each pass; name the first pass and rule that change a result"))
        .arg(
            value("with-input", "NAME=VALUE", "An input for `--bisect`: `x=2x3xf32=1,2,3,4,5,6`; others are made up")
                .long("input")
                .action(ArgAction::Append)
                .requires("bisect"),
        )
        .arg(
            value("bisect-function", "NAME", "The function that `--bisect` runs")
                .default_value("main")
                .requires("bisect"),
        )
        .arg(
            value("tolerance", "R", "How far floats may be off for `--bisect`, relatively; 0 for not at all")
                .value_parser(value_parser!(f64))
                .default_value("1e-4")
                .requires("bisect"),
        )
        .arg(flag("mlir-pass-statistics", "Tell what passes did").visible_alias("statistics"))
        .arg(
            option("mlir-pass-statistics-display")
                .value_name("VIEW")
                .value_parser(PossibleValuesParser::new(["list", "pipeline"]))
                .default_value("pipeline")
                .help("`list` adds up the runs of each pass, by name; `pipeline` has them in their order"),
        )
        .arg(flag("dump-pass-pipeline", "Print the pipeline as it is understood"))
        .arg(flag("no-output", "Print no module"))
        .arg(
            flag("emit-bytecode", "Write the module as bytecode, which is read like text but faster")
                .conflicts_with("split-input-file"),
        )
        .arg(
            option("threads")
                .value_name("N")
                .value_parser(value_parser!(usize))
                .help("Threads for passes over bodies [default: one a core]"),
        )
        .arg(flag("mlir-disable-threading", "One thread, as `--threads=1`"))
        .arg(flag("color", "Diagnostics in colour"))
        .arg(flag("list-passes", "List passes with their options"))
        .arg(flag("show-dialects", "List dialects with their ops").visible_alias("list-dialects"))
        .arg(flag("list-rewrites", "List rewrite rules with the passes that have them"))
        .arg(option("explain").value_name("CODE").help("Say what a diagnostic's code means"))
        .arg(value("explain-dim", "DIM", "Say where a dimension comes from: `%v#1`; no pass is run"))
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
        let from_file = match text("pass-pipeline-file") {
            Some(path) => {
                let read = std::fs::read_to_string(&path);
                Some(read.map_err(|e| format!("cannot read `{path}`: {e}"))?.trim().to_string())
            }
            None => None,
        };
        let given = [text("pass-pipeline"), from_file, text("pipeline"), Some(short).filter(|s| !s.is_empty())];
        let mut given = given.into_iter().flatten();
        let pipeline = given.next();
        if given.next().is_some() {
            return Err("passes are given by `--pass-pipeline`, `--pass-pipeline-file`, `--pipeline` or by their \
                        names, not by several of these"
                .into());
        }
        let list_of = |name: &str| matches.get_many::<String>(name).into_iter().flatten().cloned().collect::<Vec<_>>();
        let mut dumps = Dumps {
            before: Which { all: set("mlir-print-ir-before-all"), names: list_of("mlir-print-ir-before") },
            after: Which { all: set("mlir-print-ir-after-all"), names: list_of("mlir-print-ir-after") },
            on_change: set("mlir-print-ir-after-change"),
            on_failure: set("mlir-print-ir-after-failure"),
            as_diff: set("print-ir-diff"),
            folder: matches.get_one("mlir-print-ir-tree-dir").cloned(),
        };
        if let Some(name) = dumps.before.names.iter().chain(&dumps.after.names).find(|n| registry.get(n).is_none()) {
            let near = nim_ir::diagnostics::did_you_mean(name, registry.names());
            let hint = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            return Err(format!("there is no pass `{name}` to print a module around{hint}"));
        }
        // A way of printing without a pass means all passes.
        let told = dumps.on_change || dumps.as_diff || dumps.folder.is_some();
        let nowhere = dumps.after.names.is_empty() && dumps.before.names.is_empty() && !dumps.before.all;
        dumps.after.all |= told && nowhere;
        let threads = match set("mlir-disable-threading") {
            true => 1,
            false => {
                matches.get_one::<usize>("threads").copied().unwrap_or_else(|| nim_pass::RunOptions::default().threads)
            }
        };
        let lists =
            [("list-passes", List::Passes), ("show-dialects", List::Dialects), ("list-rewrites", List::Rewrites)];
        let list = lists.into_iter().find(|(name, _)| set(name)).map(|(_, list)| list);
        let rewrites = Rewrites {
            traced: (matches.value_source("trace-rewrites") == Some(ValueSource::CommandLine))
                .then(|| list_of("trace-rewrites")),
            disabled: list_of("disable-rewrite"),
            counters: list_of("mlir-debug-counter"),
            print_counters: set("mlir-print-debug-counter"),
        };
        rewrites.check(registry)?;
        let bisect = match set("bisect") {
            false => None,
            true => Some(Oracle {
                function: text("bisect-function").unwrap_or_default(),
                inputs: list_of("with-input").iter().map(|i| i.parse()).collect::<Result<_, String>>()?,
                tolerance: matches.get_one::<f64>("tolerance").copied().unwrap_or_default(),
            }),
        };
        Ok(Config {
            input: text("input").unwrap_or_else(|| "-".into()),
            output: matches.get_one::<PathBuf>("output").filter(|p| p.as_os_str() != "-").cloned(),
            pipeline,
            split: text("split-input-file"),
            verify_diagnostics: text("verify-diagnostics").map(|which| match which.as_str() {
                "only-expected" => Verify::OnlyExpected,
                _ => Verify::All,
            }),
            bless_diagnostics: set("bless-diagnostics"),
            verify_each: !matches!(text("verify-each").as_deref(), Some("false" | "0")),
            verify_roundtrip: set("verify-roundtrip"),
            dumps,
            generic: set("mlir-print-op-generic"),
            debug_info: set("mlir-print-debuginfo"),
            nameloc: set("mlir-use-nameloc-as-prefix"),
            elide_elements: matches.get_one("mlir-elide-elementsattrs-if-larger").copied(),
            elide_resources: matches.get_one("mlir-elide-resource-strings-if-larger").copied(),
            allow_unregistered: set("allow-unregistered-dialect"),
            irdl_file: text("irdl-file"),
            timing: text("mlir-timing").map(|how| match text("mlir-output-format").unwrap_or(how).as_str() {
                "json" => Timing::Json,
                "chrome" => Timing::Chrome,
                _ => Timing::Text,
            }),
            timing_file: matches.get_one("timing-file").cloned(),
            reproducer: text("mlir-pass-pipeline-crash-reproducer"),
            always_reproducer: matches.get_one("mlir-generate-reproducer").cloned(),
            run_reproducer: set("run-reproducer"),
            check_pipeline: set("check-pipeline"),
            rewrites,
            bisect,
            timing_list: text("mlir-timing-display").as_deref() == Some("list"),
            statistics: set("mlir-pass-statistics"),
            statistics_list: text("mlir-pass-statistics-display").as_deref() == Some("list"),
            dump_pipeline: set("dump-pass-pipeline"),
            no_output: set("no-output"),
            bytecode: set("emit-bytecode"),
            threads,
            color: set("color"),
            list,
            explain: text("explain"),
            explain_dim: text("explain-dim"),
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
