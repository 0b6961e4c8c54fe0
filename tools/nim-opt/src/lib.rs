//! The pass driver as a library: a tool is [`main_with`] and a registry of passes. Tools with back ends add theirs.

pub mod bisect;
mod cli;
pub mod codes;
mod diff;
pub mod dims;
mod dump;
mod expect;
mod explain;
#[cfg(feature = "mlir")]
mod kernels;
mod measure;
mod named;
pub mod oracle;
mod reproducer;
mod rewrites;
mod run;

use nim_ir::{Body, Context, DialectDef, diagnostics::Code};
use nim_pass::Registry;
use nim_tensor::Value;
use nim_text::upstream::Upstream;
use std::process::ExitCode;
use std::sync::Arc;

/// All dialects of the toolkit.
pub fn dialects() -> Vec<&'static DialectDef> {
    let mut all = nim_builtin::DIALECTS.to_vec();
    all.extend([&nim_graph::GRAPH, &nim_dataflow::DATAFLOW, &nim_loops::LOOPS, &nim_dyn::DYN]);
    all
}

/// The diagnostics of all crates that this one knows.
pub fn codes() -> Vec<&'static Code> {
    let tables = [
        codes::CODES,
        nim_ir::codes::CODES,
        nim_text::codes::CODES,
        nim_bytecode::codes::CODES,
        nim_irdl::codes::CODES,
        nim_builtin::codes::CODES,
        nim_graph::codes::CODES,
        nim_dataflow::codes::CODES,
        nim_loops::codes::CODES,
        nim_dyn::codes::CODES,
        nim_pass::codes::CODES,
        nim_rewrite::codes::CODES,
        nim_graph_passes::codes::CODES,
        nim_dataflow_passes::codes::CODES,
        nim_loops_passes::codes::CODES,
        nim_dyn_passes::codes::CODES,
        nim_interp::codes::CODES,
    ];
    tables.into_iter().flatten().collect()
}

/// Upstream MLIR, where this program has it: who reads ops in upstream's own syntax.
pub fn upstream() -> Option<Arc<dyn Upstream>> {
    #[cfg(feature = "mlir")]
    {
        static UPSTREAM: std::sync::LazyLock<Arc<nim_mlir::Upstream>> = std::sync::LazyLock::new(Arc::default);
        Some(Arc::clone(&*UPSTREAM) as Arc<dyn Upstream>)
    }
    #[cfg(not(feature = "mlir"))]
    None
}

/// Adds all passes; those of upstream, `mlir(...)`, where this program is built with it.
pub fn register_passes(registry: &mut Registry) {
    #[cfg(feature = "mlir")]
    {
        nim_mlir::register(registry);
        registry.optional_module_pass(|_| Ok(kernels::LoopsToMlir));
    }
    #[cfg(not(feature = "mlir"))]
    for name in ["mlir", "loops-to-mlir"] {
        registry
            .absent(name, "`cargo build -p nim-opt --features mlir` builds a program that has it; it needs LLVM 22");
    }
    nim_transforms::register(registry);
    nim_graph_passes::register(registry);
    let compute = |ctx: &Context, body: &Body, op, operands: &[Value]| {
        // What cannot be computed says so when it runs.
        nim_interp::exec::fold_op(ctx, body, op, operands).ok()
    };
    nim_graph_passes::register_fold(registry, Arc::new(compute));
    nim_dataflow_passes::register(registry);
    nim_loops_passes::register(registry, measure::measure());
    nim_dyn_passes::register(registry);
    registry.pipeline("cpu", "From whole tensors to loops and a host program in memory, as nim-compile does it", CPU);
}

/// What nim-compile runs, as far as these are passes; it also packs constants as the loops want them.
const CPU: &str = "graph-fold,graph-simplify,graph-fold,cse,dce,graph-to-dataflow,dataflow-pack-signs,dataflow-fuse,dce,\
                   dataflow-simplify-numbers,dataflow-split-residues,dataflow-choose-layouts,dataflow-fuse-blocks,dataflow-outline,\
                   dataflow-to-loops,graph-to-dyn,dyn-alternate-walks,dyn-plan-memory,dyn-insert-kills";

/// Writes a whole file.
///
/// # Errors
/// What the system says, with the file's name.
pub(crate) fn write(path: &std::path::Path, bytes: &[u8]) -> Result<(), String> {
    nim_files::write(path, bytes).map_err(|e| format!("cannot write `{}`: {e}", path.display()))
}

/// Says something on the standard error stream. Whoever listened may have gone.
pub(crate) fn say(text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}

/// Reads the command line and does what it says. The exit code is 0 when all went well, 1 when something was found, 2 when the
/// command line makes no sense.
pub fn main_with(registry: Registry, dialects: &[&'static DialectDef]) -> ExitCode {
    main_from(registry, dialects, std::env::args_os())
}

/// As [`main_with`], with arguments of the caller's; the first is the name of the program.
pub fn main_from<A: Into<std::ffi::OsString> + Clone>(
    registry: Registry,
    dialects: &[&'static DialectDef],
    args: impl IntoIterator<Item = A>,
) -> ExitCode {
    let args: Vec<std::ffi::OsString> = args.into_iter().map(Into::into).collect();
    nim_text::on_deep_stack(|| run_on(registry, dialects, args))
}

fn run_on(registry: Registry, dialects: &[&'static DialectDef], args: Vec<std::ffi::OsString>) -> ExitCode {
    let matches = match cli::command(&registry).try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version are no errors; clap knows which stream they belong to.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match cli::Config::new(&registry, &matches).and_then(|config| run::run(&registry, dialects, &config)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            say(&format!("error: {message}\n"));
            ExitCode::from(2)
        }
    }
}
