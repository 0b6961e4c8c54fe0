//! The road of the kernels: `dataflow` to `loops` to upstream MLIR to machine code.

use crate::{cache, threads};
use nim_dataflow_passes::report::{KernelCost, kernel_cost};
use nim_ir::{Body, Context, Diagnostic, Expr, Loc, Module, OpId, Type, TypeData};
use nim_llvm::{CompileError, KernelSource, link::ObjectFile};
use nim_loops::{TileKind, TileView};
use nim_loops_passes::schedule::choice::Choice;
use nim_loops_passes::{
    LoopsKernel, Options, Packing, TargetInfo, Weights, function_name, loops_to_mlir_text, lower_kernel_to_loops,
};
use nim_vm::Products;
use nim_vm::code_image::CodeImage;

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
    /// The schedule of each of its maps.
    pub schedules: Vec<Choice>,
    /// What is chosen when it runs, in words.
    pub choices: Vec<String>,
    /// What it computes and moves, by the maps that it was made of.
    pub cost: Option<KernelCost>,
    /// What multiplies its factors.
    pub products: Products,
}

/// What schedules and code generation look at: the facts of the machine, and what may be done to sums.
pub fn target_info(options: &crate::Options) -> TargetInfo {
    TargetInfo::of(options.target.facts(), options.strict, options.precision == crate::Precision::Bf16)
}

/// Bytes of the constants of a program, as far as their sizes are known.
pub(crate) fn weights(ctx: &Context, module: &Module) -> Weights {
    let mut weights = Weights::default();
    for function in module.ops().filter_map(|op| module.body.nested(op)) {
        for op in function.walk().into_iter().filter(|&op| function.is(ctx, op, "graph.constant")) {
            let ty = function.ty(function.result(op));
            let Some(dims) = ctx.static_dims(ty) else { continue };
            let count: f64 = dims.iter().map(|&d| d.max(0) as f64).product();
            let bytes = count * ctx.dtype_of(ty).map_or(0, nim_tensor::DType::size) as f64;
            weights.all += bytes;
            // Channels of both sides and a window.
            weights.windows += if dims.iter().filter(|&&d| d > 1).count() > 2 { bytes } else { 0.0 };
        }
    }
    weights
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
                infos.push(KernelInfo { cost, ..kernel_info(ctx, module, kernel, &lowered) });
                let state = lowered.into_state(ctx);
                nim_ir::Builder::before(ctx, &mut module.body, kernel).insert(state);
                module.body.erase(kernel);
            }
            Err(diagnostic) => failed.push(diagnostic),
        }
    }
    if failed.is_empty() { Ok(infos) } else { Err(failed) }
}

/// What there is to know of a `dataflow.kernel` that was lowered, but for its cost.
pub(crate) fn kernel_info(ctx: &Context, module: &Module, kernel: OpId, lowered: &LoopsKernel) -> KernelInfo {
    let symbols = nim_dataflow::kernel_symbols(ctx, &module.body, kernel);
    KernelInfo {
        name: module.symbol_name(ctx, kernel).unwrap_or("kernel").to_string(),
        symbols: symbols.into_iter().map(str::to_string).collect(),
        temporaries: lowered.temporaries.clone(),
        phases: nim_loops_passes::phases(ctx, &lowered.body),
        packing: lowered.packing.clone(),
        schedules: lowered.schedules.clone(),
        choices: lowered.choices.clone(),
        products: products(ctx, &lowered.body),
        cost: None,
    }
}

/// The fastest instructions that loops multiply by.
fn products(ctx: &Context, body: &Body) -> Products {
    let of = |op: OpId| match TileView::new(ctx, body, op) {
        Some(TileView::Dot { kind: TileKind::Bf16, .. }) => Products::Bf16Tiles,
        Some(TileView::Dot { .. }) => Products::ByteTiles,
        _ if !body.is(ctx, op, "loops.dot") => Products::Single,
        _ => match ctx.type_data(body.ty(body.result(op))) {
            TypeData::Integer { .. } => Products::Bytes,
            _ => Products::Bf16,
        },
    };
    body.walk().into_iter().map(of).max().unwrap_or_default()
}

/// The `loops.kernel`s of a module.
fn loops_kernels(ctx: &Context, module: &Module) -> Vec<OpId> {
    module.ops().filter(|&op| module.body.is(ctx, op, "loops.kernel")).collect()
}

/// The function that a kernel becomes.
fn function_of(ctx: &Context, module: &Module, kernel: OpId) -> String {
    function_name(module.symbol_name(ctx, kernel).unwrap_or_default())
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
    texts_of(ctx, module, options, &loops_kernels(ctx, module))
}

fn texts_of(
    ctx: &Context,
    module: &Module,
    options: &crate::Options,
    kernels: &[OpId],
) -> Result<Vec<(String, String)>, Vec<Diagnostic>> {
    let target = target_info(options);
    let texts = threads::map(options.threads, kernels, |&op| {
        loops_to_mlir_text(ctx, &module.body, op, &target).map(|text| (function_of(ctx, module, op), text))
    });
    let (texts, failed): (Vec<_>, Vec<_>) = texts.into_iter().partition(Result::is_ok);
    match failed.is_empty() {
        true => Ok(texts.into_iter().flatten().collect()),
        false => Err(failed.into_iter().filter_map(Result::err).collect()),
    }
}

/// Machine code of all `loops.kernel`s of a module.
///
/// # Errors
/// As [`kernel_objects`], and what the linker refuses.
pub fn compile_kernels(ctx: &Context, module: &Module, options: &crate::Options) -> Result<CodeImage, Vec<Diagnostic>> {
    let objects = kernel_objects(ctx, module, options, "")?;
    nim_llvm::kernels::link_image(&objects, &options.target).map_err(|error| vec![code_error(&error)])
}

/// An object of each `loops.kernel` of a module, whose function has a prefix before its name. What the cache has of them is neither
/// lowered nor compiled.
///
/// # Errors
/// Kernels without a form in machine code, and what MLIR or LLVM refuse.
pub fn kernel_objects(
    ctx: &Context,
    module: &Module,
    options: &crate::Options,
    prefix: &str,
) -> Result<Vec<ObjectFile>, Vec<Diagnostic>> {
    let kernels = loops_kernels(ctx, module);
    let cache = options.cache.as_deref();
    let machine = format!("{:?} {:?} {:?}", options.target, options.llvm, target_info(options));
    let mut kept = threads::map(options.threads, &kernels, |&op| {
        let Some(cache) = cache else { return Kept::default() };
        let text = nim_text::print_op(ctx, &module.body, op, &nim_text::PrintOptions::default());
        // Constants that stand elsewhere are no part of the text.
        if text.contains("dense_resource<") {
            return Kept::default();
        }
        let name = cache::name(&[cache.program(), &machine, prefix, &text]);
        Kept { object: cache::load(cache, &name), name: Some(name) }
    });
    let missing: Vec<usize> = (0..kernels.len()).filter(|&i| kept[i].object.is_none()).collect();
    let texts = texts_of(ctx, module, options, &missing.iter().map(|&i| kernels[i]).collect::<Vec<_>>())?;
    // Kernels of different programs may have the same names.
    let own = |symbol: &str| format!("{prefix}{symbol}");
    let renamed: Vec<(String, String)> = texts
        .into_iter()
        .map(|(symbol, text)| match prefix {
            "" => (symbol, text),
            _ => (own(&symbol), text.replace(&format!("@\"{symbol}\"("), &format!("@\"{}\"(", own(&symbol)))),
        })
        .collect();
    let sources: Vec<KernelSource<'_>> = renamed.iter().map(|(symbol, text)| KernelSource { symbol, text }).collect();
    let compiler = nim_llvm::Compiler::new(&options.target, &options.llvm).threads(options.threads);
    let made = compiler.compile_objects(&sources).map_err(|error| vec![code_error(&error)])?;
    for (&i, object) in missing.iter().zip(made) {
        if let (Some(cache), Some(name)) = (cache, &kept[i].name) {
            cache::store(cache, name, &object.bytes);
        }
        kept[i].object = Some(object.bytes);
    }
    let object = |(&op, kept): (&OpId, Kept)| {
        Some(ObjectFile { kernel: own(&function_of(ctx, module, op)), bytes: kept.object? })
    };
    Ok(kernels.iter().zip(kept).filter_map(object).collect())
}

/// What the cache has of a kernel: the name under which it would be, and the object.
#[derive(Default)]
struct Kept {
    name: Option<String>,
    object: Option<Vec<u8>>,
}

/// A failure behind the last level that has locations.
pub fn code_error(error: &CompileError) -> Diagnostic {
    Diagnostic::error("N0753", Loc::UNKNOWN, format!("machine code cannot be made: {error}"))
}
