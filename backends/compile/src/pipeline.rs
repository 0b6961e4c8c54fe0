//! The stages in order.

use crate::kernels::{code_error, compile_kernels, kernel_texts, kernels_to_loops, target_info, weights};
use crate::pack::pack_constants;
use crate::tune::{self, Tuning};
use crate::{KernelInfo, ObjectCache, emit_program};
use nim_builtin::func;
use nim_dataflow_passes::fuse::FuseOptions;
use nim_dyn_passes::place::Rule as PlaceRule;
use nim_graph_passes::Precision;
use nim_graph_passes::fold::{FoldOptions, fold_body};
use nim_graph_passes::precision::lower_precision;
use nim_graph_passes::simplify::{SimplifyOptions, simplify_body};
use nim_ir::{Body, Context, Diagnostic, DialectDef, Module, verifier::verify_module};
use nim_llvm::module::OptLevel;
use nim_llvm::{Dump, KernelSource, Target};
use nim_loops_passes::Weights;
use nim_tensor::Value;
use nim_vm::ProgramBuilder;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// All dialects that a module meets on its way.
pub const DIALECTS: &[&DialectDef] = &[
    &nim_builtin::module::BUILTIN,
    &nim_builtin::func::FUNC,
    &nim_builtin::arith::ARITH,
    &nim_builtin::math::MATH,
    &nim_graph::GRAPH,
    &nim_dataflow::DATAFLOW,
    &nim_loops::LOOPS,
    &nim_dyn::DYN,
];

/// How far to go.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// Whole tensors, cleaned up.
    Graph,
    /// Maps in kernels, and a host function that invokes them.
    Dataflow,
    /// Kernels as loop nests.
    Loops,
    /// The host function with its memory.
    Dyn,
    /// Kernels as upstream MLIR.
    Mlir,
    /// Kernels as optimised LLVM IR.
    Llvm,
    /// Kernels as assembly.
    Asm,
    /// The host program as bytecode, disassembled.
    Bytecode,
}

impl Level {
    /// All levels in order, with their names and what stands in them.
    pub const ALL: [(Level, &'static str, &'static str); 8] = [
        (Level::Graph, "graph", "Whole tensors, cleaned up"),
        (Level::Dataflow, "dataflow", "Maps in kernels, and a host function that invokes them"),
        (Level::Loops, "loops", "Kernels as loop nests"),
        (Level::Dyn, "dyn", "The host function with its memory"),
        (Level::Mlir, "mlir", "Kernels as upstream MLIR"),
        (Level::Llvm, "llvm", "Kernels as optimised LLVM IR"),
        (Level::Asm, "asm", "Kernels as assembly"),
        (Level::Bytecode, "bytecode", "The host program as bytecode, disassembled"),
    ];
    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
    /// What stands in a module of this level.
    pub fn description(self) -> &'static str {
        Self::ALL[self as usize].2
    }
    /// The level of a name.
    pub fn from_name(name: &str) -> Option<Level> {
        Self::ALL.iter().find(|(_, n, _)| *n == name).map(|(level, ..)| *level)
    }
}

/// What steers a compilation.
#[derive(Clone, Debug)]
pub struct Options {
    /// The machine that the program is for.
    pub target: Target,
    /// How LLVM optimises.
    pub llvm: nim_llvm::Options,
    /// Where machine code of kernels is kept from one compilation to the next.
    pub cache: Option<Arc<dyn ObjectCache>>,
    /// Threads that compile.
    pub threads: usize,
    /// The function that is the program.
    pub entry: String,
    /// Whether ops of constants are computed when compiling, and constants behind convolutions go into their weights.
    pub fold: bool,
    /// Whether maps are fused.
    pub fuse: bool,
    /// Which kernels run on other devices.
    pub place: Vec<PlaceRule>,
    /// Where it is told where buffers are and why, if anybody wants to know.
    pub placement: Option<Arc<Mutex<Vec<Diagnostic>>>>,
    /// Whether buffers share memory by plan, not only through the pool.
    pub plan: bool,
    /// Plain loop nests instead of schedules: slow, for finding errors.
    pub naive: bool,
    /// Tile registers wherever they can be used, even where they are slower, for finding errors.
    pub tiles: bool,
    /// How contractions are walked, where this has a meaning for them; else as an estimate says.
    pub dataflow: Option<nim_loops_passes::Dataflow>,
    /// Schedules that are taken from a log, or measured.
    pub tuning: Option<Arc<Tuning>>,
    /// Neither contracts products into sums nor changes the order of sums.
    pub strict: bool,
    /// What contractions read: `f32` as the model says, or numbers of fewer digits.
    pub precision: Precision,
    /// Error of a convolution, as a part of its largest result, that may be taken for speed: see
    /// [`nim_loops_passes::Options::tolerance`]. Nothing of it in strict mode.
    pub tolerance: f64,
    /// Whether the module is verified after each stage.
    pub verify: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            target: Target::host(),
            // Schedules have made vectors and unrolled loops where that pays.
            llvm: nim_llvm::Options {
                level: OptLevel::Aggressive,
                auto_vectorize: false,
                ..nim_llvm::Options::default()
            },
            cache: None,
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            entry: "main".into(),
            fold: true,
            fuse: true,
            place: vec![],
            placement: None,
            plan: true,
            naive: false,
            tiles: false,
            dataflow: None,
            tuning: None,
            strict: false,
            precision: Precision::F32,
            // Far below what comparisons of nets allow (1e-3 to 1e-4), above what the algorithms err (2e-6).
            tolerance: 1e-5,
            verify: cfg!(debug_assertions),
        }
    }
}

/// A compiled program and how it came about.
#[derive(Debug)]
pub struct Compiled {
    /// The program, to be written or run.
    pub program: ProgramBuilder,
    /// Its kernels.
    pub kernels: Vec<KernelInfo>,
    /// Time of each stage.
    pub times: Vec<(&'static str, Duration)>,
}

/// A compilation under way.
struct Run<'a> {
    ctx: &'a Context,
    options: &'a Options,
    kernels: Vec<KernelInfo>,
    times: Vec<(&'static str, Duration)>,
}

/// Compiles a module of the `graph` dialect to a program.
///
/// # Errors
/// Everything that some stage cannot lower, with places in the module.
pub fn compile(ctx: &Context, module: &mut Module, options: &Options) -> Result<Compiled, Vec<Diagnostic>> {
    let mut run = Run::new(ctx, options);
    run.lower(module, Level::Dyn)?;
    let start = Instant::now();
    let code = compile_kernels(ctx, module, options)?;
    run.times.push(("machine code", start.elapsed()));
    let start = Instant::now();
    let program = emit_program(ctx, module, &options.entry, Some(code), &run.kernels)?;
    run.times.push(("bytecode", start.elapsed()));
    Ok(Compiled { program, kernels: run.kernels, times: run.times })
}

/// Lowers a module in place as far as a level of the IR; levels behind [`Level::Dyn`] change nothing more.
///
/// # Errors
/// As [`compile`].
pub fn lower(ctx: &Context, module: &mut Module, options: &Options, level: Level) -> Result<(), Vec<Diagnostic>> {
    Run::new(ctx, options).lower(module, level)
}

/// Lowers a module to [`Level::Dyn`]; its kernels.
pub(crate) fn lower_fully(
    ctx: &Context,
    module: &mut Module,
    options: &Options,
) -> Result<Vec<KernelInfo>, Vec<Diagnostic>> {
    let mut run = Run::new(ctx, options);
    run.lower(module, Level::Dyn)?;
    Ok(run.kernels)
}

/// Lowers a module as far as a level and shows it as text there.
///
/// # Errors
/// As [`compile`].
pub fn print_at(
    ctx: &Context,
    module: &mut Module,
    options: &Options,
    level: Level,
) -> Result<String, Vec<Diagnostic>> {
    lower(ctx, module, options, level)?;
    let dump = match level {
        Level::Graph | Level::Dataflow | Level::Loops | Level::Dyn => {
            return Ok(nim_text::print_module(ctx, module, &nim_text::PrintOptions::readable()));
        }
        Level::Bytecode => return Ok(emit_program(ctx, module, &options.entry, None, &[])?.disassemble()),
        Level::Mlir => None,
        Level::Llvm => Some(Dump::OptimisedIr),
        Level::Asm => Some(Dump::Assembly),
    };
    let texts = kernel_texts(ctx, module, options)?;
    let compiler = nim_llvm::Compiler::new(&options.target, &options.llvm);
    let mut out = String::new();
    for (symbol, text) in &texts {
        let source = KernelSource { symbol, text };
        let shown = match dump {
            None => text.clone(),
            Some(what) => compiler.dump(&source, what).map_err(|e| vec![code_error(&e)])?,
        };
        let _ = writeln!(out, "// {symbol}\n{shown}");
    }
    Ok(out)
}

impl<'a> Run<'a> {
    fn new(ctx: &'a Context, options: &'a Options) -> Self {
        Run { ctx, options, kernels: vec![], times: vec![] }
    }

    /// Runs a stage, takes its time, and looks at what it leaves behind.
    fn stage(
        &mut self,
        name: &'static str,
        module: &mut Module,
        step: impl FnOnce(&mut Self, &mut Module) -> Result<(), Vec<Diagnostic>>,
    ) -> Result<(), Vec<Diagnostic>> {
        let start = Instant::now();
        step(self, module)?;
        self.times.push((name, start.elapsed()));
        let found = if self.options.verify { verify_module(self.ctx, module) } else { vec![] };
        match found.iter().any(Diagnostic::is_error) {
            false => Ok(()),
            true => Err(found
                .into_iter()
                .map(|d| d.note(format!("found after {name}: an error of the compiler")))
                .collect()),
        }
    }

    fn lower(&mut self, module: &mut Module, level: Level) -> Result<(), Vec<Diagnostic>> {
        let ctx = self.ctx;
        self.stage("clean up", module, |run, module| {
            each_function(ctx, module, |body| {
                if run.options.fold {
                    fold_constants(ctx, body, run.options.strict);
                }
                nim_transforms::cse::merge_equal_ops(ctx, body);
                nim_transforms::dce::remove_dead_ops(ctx, body);
            });
            Ok(())
        })?;
        if self.options.precision != Precision::F32 {
            // Last at this level: what widens constants must not be computed.
            self.stage("graph-lower-precision", module, |run, module| {
                lower_precision_of(ctx, module, run.options.precision);
                Ok(())
            })?;
        }
        if level == Level::Graph {
            return Ok(());
        }
        self.stage("graph-to-dataflow", module, |_, module| errors(nim_graph_passes::graph_to_dataflow(ctx, module)))?;
        if !self.options.naive {
            self.stage("dataflow-pack-signs", module, |_, module| {
                nim_dataflow_passes::pack_signs(ctx, module);
                Ok(())
            })?;
        }
        if self.options.fuse {
            self.stage("dataflow-fuse", module, |_, module| {
                nim_dataflow_passes::fuse::fuse(ctx, module, FuseOptions::default());
                each_function(ctx, module, |body| {
                    nim_transforms::dce::remove_dead_ops(ctx, body);
                });
                Ok(())
            })?;
        }
        if !self.options.naive {
            self.stage("dataflow-simplify-numbers", module, |_, module| {
                nim_dataflow_passes::simplify_numbers(ctx, module);
                Ok(())
            })?;
            self.stage("dataflow-split-residues", module, |_, module| {
                nim_dataflow_passes::split_residues(ctx, module);
                Ok(())
            })?;
            self.stage("dataflow-choose-layouts", module, |_, module| {
                nim_dataflow_passes::choose_layouts(ctx, module);
                Ok(())
            })?;
        }
        if self.options.fuse && !self.options.naive {
            self.stage("dataflow-fuse-blocks", module, |run, module| {
                let options = nim_dataflow_passes::BlockOptions {
                    l2_kib: (run.options.target.machine().second().bytes / 1024.0) as u32,
                    reciprocals: !run.options.strict,
                };
                nim_dataflow_passes::fuse_blocks(ctx, module, options);
                Ok(())
            })?;
        }
        self.stage("dataflow-outline", module, |_, module| {
            nim_dataflow_passes::outline(ctx, module);
            Ok(())
        })?;
        if let Some(tuning) = self.options.tuning.clone() {
            self.stage("choose schedules", module, |run, module| {
                let loops = loops_options(run.options, weights(ctx, module));
                tune::choose(ctx, module, run.options, &loops, &tuning)
            })?;
        }
        if level == Level::Dataflow {
            return Ok(());
        }
        self.stage("dataflow-to-loops", module, |run, module| {
            let loops = loops_options(run.options, weights(ctx, module));
            run.kernels = kernels_to_loops(ctx, module, &loops)?;
            if let Some(tuning) = &run.options.tuning {
                tune::lowered(tuning, &run.kernels);
            }
            Ok(())
        })?;
        // At once, so that host and kernels agree at every level from here on.
        self.stage("pack constants", module, |_, module| pack_constants(ctx, module).map(|_| ()))?;
        if level == Level::Loops {
            return Ok(());
        }
        self.stage("graph-to-dyn", module, |_, module| errors(nim_dyn_passes::graph_to_dyn(ctx, module).1))?;
        self.stage("dyn-place-devices", module, |run, module| {
            let placed = nim_dyn_passes::place_devices(ctx, module, &run.options.place)?;
            if let Some(notes) = &run.options.placement {
                notes.lock().unwrap_or_else(PoisonError::into_inner).extend(placed.explanation);
            }
            Ok(())
        })?;
        self.stage("dyn-alternate-walks", module, |_, module| {
            nim_dyn_passes::alternate_walks(ctx, module, nim_dyn_passes::alternate::LEAST_BYTES);
            Ok(())
        })?;
        if self.options.plan {
            self.stage("dyn-plan-memory", module, |_, module| {
                nim_dyn_passes::plan_memory(ctx, module);
                Ok(())
            })?;
        }
        self.stage("dyn-insert-kills", module, |_, module| {
            each_function(ctx, module, |body| {
                nim_dyn_passes::insert_kills(ctx, body);
            });
            Ok(())
        })
    }
}

/// What kernels are lowered to loops under.
pub(crate) fn loops_options(options: &Options, weights: Weights) -> nim_loops_passes::Options {
    nim_loops_passes::Options {
        tiles: options.tiles,
        naive: options.naive,
        winograd: false,
        dataflow: options.dataflow,
        weights,
        target: target_info(options),
        tolerance: if options.strict { 0.0 } else { options.tolerance },
    }
}

/// Computes what is known, again and again: constants that go into weights leave constant ops behind, and rules look for
/// constants.
fn fold_constants(ctx: &Context, body: &mut Body, strict: bool) {
    let compute = |ctx: &Context, body: &Body, op, operands: &[Value]| {
        // What cannot be computed says so when it runs.
        nim_interp::exec::fold_op(ctx, body, op, operands).ok()
    };
    let options = FoldOptions::default();
    fold_body(ctx, body, &compute, options);
    for _ in 0..2 {
        simplify_body(ctx, body, SimplifyOptions { fold_weights: !strict });
        fold_body(ctx, body, &compute, options);
    }
}

/// Has the contractions of all functions read another precision: what [`Options::precision`] means.
pub fn lower_precision_of(ctx: &Context, module: &mut Module, precision: Precision) {
    each_function(ctx, module, |body| {
        lower_precision(ctx, body, precision);
    });
}

fn errors(found: Vec<Diagnostic>) -> Result<(), Vec<Diagnostic>> {
    if found.iter().any(Diagnostic::is_error) { Err(found) } else { Ok(()) }
}

/// Works on the bodies of all functions.
fn each_function(ctx: &Context, module: &mut Module, mut f: impl FnMut(&mut Body)) {
    for op in module.ops().collect::<Vec<_>>() {
        if func::Func::is(ctx, &module.body, op)
            && let Some(body) = module.body.nested_mut(op)
        {
            f(body);
        }
    }
}
