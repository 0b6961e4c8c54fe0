//! The road of the kernels: `dataflow` to `loops` to upstream MLIR to machine code.

use nim_dataflow_passes::report::{KernelCost, kernel_cost};
use nim_ir::{Context, Diagnostic, Expr, Loc, Module, OpId, Type};
use nim_llvm::{CompileError, KernelSource};
use nim_loops_passes::{Options, Packing, TargetInfo, function_name, loops_to_mlir_text, lower_kernel_to_loops};
use nim_vm::code_image::CodeImage;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What the host program has to know of a kernel to call it.
#[derive(Clone, Debug)]
pub struct KernelInfo {
    /// Its symbol in the module; the code image has its [`function_name`].
    pub name: String,
    /// Symbols it is given, in the order of the ABI.
    pub symbols: Vec<String>,
    /// Types of the buffers behind those of its inputs and results, which the host allocates for it.
    pub temporaries: Vec<Type>,
    /// Iterations of each phase, over its symbols: their sum is what `end` may be.
    pub phases: Vec<Expr>,
    /// Constant arguments that it reads in another arrangement.
    pub packing: Vec<Packing>,
    /// What is chosen when it runs, in words.
    pub choices: Vec<String>,
    /// What it computes and moves, by the maps that it was made of.
    pub cost: Option<KernelCost>,
}

/// What schedules and code generation look at: the facts of the machine, and what may be done to sums.
pub fn target_info(options: &crate::Options) -> TargetInfo {
    let target = &options.target;
    let default = TargetInfo::default();
    TargetInfo {
        vector_bits: target.vector_bits(),
        vector_registers: target.vector_registers(),
        fma: target.has("fma"),
        byte_products: match () {
            () if target.has("avx512vnni") && target.has("avx512vl") => 512,
            () if target.has("avxvnni") => 256,
            () => 0,
        },
        pair_products: match () {
            () if target.has("avx512bw") => 512,
            () if target.has("avx2") => 256,
            () => 128,
        },
        contract: default.contract && !options.strict,
        reassociate: default.reassociate && !options.strict,
    }
}

/// Replaces every `dataflow.kernel` of a module by its `loops.kernel`.
///
/// # Errors
/// One diagnostic for each kernel that cannot be lowered; those are left as they are.
pub fn kernels_to_loops(
    ctx: &Context,
    module: &mut Module,
    options: &Options,
) -> Result<Vec<KernelInfo>, Vec<Diagnostic>> {
    let (mut infos, mut failed) = (vec![], vec![]);
    let kernels: Vec<OpId> = module.ops().filter(|&op| module.body.is(ctx, op, "dataflow.kernel")).collect();
    for kernel in kernels {
        let cost = kernel_cost(ctx, module, kernel);
        match lower_kernel_to_loops(ctx, &module.body, kernel, options) {
            Ok(lowered) => {
                let name = module.symbol_name(ctx, kernel).unwrap_or("kernel").to_string();
                let symbols = nim_dataflow::kernel_symbols(ctx, &module.body, kernel);
                infos.push(KernelInfo {
                    name,
                    symbols: symbols.into_iter().map(str::to_string).collect(),
                    temporaries: lowered.temporaries.clone(),
                    phases: nim_loops_passes::phases(ctx, &lowered.body),
                    packing: lowered.packing.clone(),
                    choices: lowered.choices.clone(),
                    cost,
                });
                let state = lowered.into_state(ctx);
                nim_ir::Builder::before(ctx, &mut module.body, kernel).insert(state);
                module.body.erase(kernel);
            }
            Err(diagnostic) => failed.push(diagnostic),
        }
    }
    if failed.is_empty() { Ok(infos) } else { Err(failed) }
}

/// Each `loops.kernel` of a module as upstream MLIR: the function that it becomes, and the text.
///
/// # Errors
/// One diagnostic for each kernel that machine code has no form for.
pub fn kernel_texts(
    ctx: &Context,
    module: &Module,
    options: &crate::Options,
) -> Result<Vec<(String, String)>, Vec<Diagnostic>> {
    let target = target_info(options);
    let ops: Vec<OpId> = module.ops().filter(|&op| module.body.is(ctx, op, "loops.kernel")).collect();
    let (next, texts) = (AtomicUsize::new(0), Mutex::new(vec![]));
    let work = || {
        while let Some(&op) = ops.get(next.fetch_add(1, Ordering::Relaxed)) {
            let name = function_name(module.symbol_name(ctx, op).unwrap_or_default());
            let text = loops_to_mlir_text(ctx, &module.body, op, &target).map(|text| (name, text));
            texts.lock().unwrap_or_else(PoisonError::into_inner).push((op, text));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.threads.min(ops.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut texts = texts.into_inner().unwrap_or_else(PoisonError::into_inner);
    texts.sort_by_key(|(op, _)| ops.iter().position(|o| o == op));
    let (texts, failed): (Vec<_>, Vec<_>) = texts.into_iter().map(|(_, text)| text).partition(Result::is_ok);
    match failed.is_empty() {
        true => Ok(texts.into_iter().flatten().collect()),
        false => Err(failed.into_iter().filter_map(Result::err).collect()),
    }
}

/// Machine code of all `loops.kernel`s of a module.
///
/// # Errors
/// Kernels without a form in machine code, and what MLIR, LLVM or the linker refuse.
pub fn compile_kernels(ctx: &Context, module: &Module, options: &crate::Options) -> Result<CodeImage, Vec<Diagnostic>> {
    let texts = kernel_texts(ctx, module, options)?;
    let sources: Vec<KernelSource<'_>> = texts.iter().map(|(symbol, text)| KernelSource { symbol, text }).collect();
    let compiler = nim_llvm::Compiler::new(&options.target, &options.llvm).threads(options.threads);
    compiler.cache(options.cache.clone()).compile(&sources).map_err(|error| vec![code_error(&error)])
}

/// A failure behind the last level that has locations.
pub fn code_error(error: &CompileError) -> Diagnostic {
    Diagnostic::error("N0753", Loc::UNKNOWN, format!("machine code cannot be made: {error}"))
}
