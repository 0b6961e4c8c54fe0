//! The road of the kernels: `dataflow` to `loops` to upstream MLIR to machine code.

use nim_ir::{Context, Diagnostic, Expr, Loc, Module, OpId, Type};
use nim_llvm::{CompileError, KernelSource, Target};
use nim_loops_passes::{Options, Packing, TargetInfo, function_name, loops_to_mlir_text, lower_kernel_to_loops};
use nim_tensor::{Tensor, tensor::element_count};
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
}

/// The facts of a machine that schedules and code generation look at.
pub fn target_info(target: &Target) -> TargetInfo {
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
        ..TargetInfo::default()
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
    target: &TargetInfo,
) -> Result<Vec<(String, String)>, Vec<Diagnostic>> {
    let (mut texts, mut failed) = (vec![], vec![]);
    for op in module.ops().filter(|&op| module.body.is(ctx, op, "loops.kernel")) {
        match loops_to_mlir_text(ctx, &module.body, op, target) {
            Ok(text) => texts.push((function_name(module.symbol_name(ctx, op).unwrap_or_default()), text)),
            Err(diagnostic) => failed.push(diagnostic),
        }
    }
    if failed.is_empty() { Ok(texts) } else { Err(failed) }
}

/// Machine code of all `loops.kernel`s of a module, on `threads` threads.
///
/// # Errors
/// Kernels without a form in machine code, and what MLIR, LLVM or the linker refuse.
pub fn compile_kernels(
    ctx: &Context,
    module: &Module,
    target: &Target,
    options: &nim_llvm::Options,
    threads: usize,
) -> Result<CodeImage, Vec<Diagnostic>> {
    let texts = kernel_texts(ctx, module, &target_info(target))?;
    let sources: Vec<KernelSource<'_>> = texts.iter().map(|(symbol, text)| KernelSource { symbol, text }).collect();
    let compiler = nim_llvm::Compiler::new(target, options).threads(threads);
    compiler.compile(&sources).map_err(|error| vec![code_error(&error)])
}

/// A failure behind the last level that has locations.
pub fn code_error(error: &CompileError) -> Diagnostic {
    Diagnostic::error("N0753", Loc::UNKNOWN, format!("machine code cannot be made: {error}"))
}

/// A constant in the arrangement that a kernel reads.
///
/// # Errors
/// An index that cannot be computed or a constant of more elements than memory can hold: a defect of the schedule.
pub fn pack(ctx: &Context, tensor: &Tensor, packing: &Packing) -> Result<Tensor, Diagnostic> {
    let error = |what: &str| Diagnostic::error("N0752", Loc::UNKNOWN, format!("a constant cannot be packed: {what}"));
    let shape: Vec<usize> = packing
        .shape
        .iter()
        .map(|&d| usize::try_from(d))
        .collect::<Result<_, _>>()
        .map_err(|_| error("negative size"))?;
    let count = element_count(&shape).ok_or_else(|| error("too large"))?;
    if packing.indices.len() != tensor.rank() {
        return Err(error("the rank is another"));
    }
    let size = tensor.dtype().size();
    let from = tensor.bytes();
    // Each index is a sum of one table per packed dimension wherever it is additive in them, which relayouts are.
    let tables = Tables::new(ctx, &packing.indices, &shape);
    let mut bytes = vec![0u8; count * size];
    let mut at = vec![0usize; shape.len()];
    for chunk in bytes.chunks_exact_mut(size.max(1)) {
        let mut position = Some(0usize);
        for (k, &dim) in tensor.dims().iter().enumerate() {
            let index = tables.index(ctx, k, &at).ok_or_else(|| error("an index cannot be computed"))?;
            position = match (position, usize::try_from(index)) {
                (Some(p), Ok(i)) if i < dim => Some(p * dim + i),
                _ => None,
            };
        }
        if let Some(p) = position {
            chunk.copy_from_slice(&from[p * size..(p + 1) * size]);
        }
        for k in (0..shape.len()).rev() {
            at[k] += 1;
            if at[k] < shape[k] {
                break;
            }
            at[k] = 0;
        }
    }
    Ok(Tensor::from_bytes(tensor.dtype(), &shape, bytes))
}

/// Values of index expressions, precomputed per dimension where the expression is linear.
struct Tables<'a> {
    exprs: &'a [Expr],
    ivs: Vec<nim_ir::Symbol>,
    /// For each expression: constant and one coefficient a dimension, when linear.
    linear: Vec<Option<(i64, Vec<i64>)>>,
}

impl<'a> Tables<'a> {
    fn new(ctx: &Context, exprs: &'a [Expr], shape: &[usize]) -> Tables<'a> {
        let p = &ctx.exprs;
        let ivs: Vec<_> = (0..shape.len()).map(|k| nim_dataflow::iv_symbol(ctx, k)).collect();
        let linear = exprs
            .iter()
            .map(|&e| {
                let mut rest = e;
                let mut coefficients = vec![];
                for &iv in &ivs {
                    let (c, r) = p.linear_in(rest, iv)?;
                    coefficients.push(p.as_const(c)?);
                    rest = r;
                }
                Some((p.as_const(rest)?, coefficients))
            })
            .collect();
        Tables { exprs, ivs, linear }
    }

    fn index(&self, ctx: &Context, k: usize, at: &[usize]) -> Option<i64> {
        if let Some((constant, coefficients)) = &self.linear[k] {
            return Some(constant + coefficients.iter().zip(at).map(|(&c, &i)| c * i as i64).sum::<i64>());
        }
        let lookup = |s| self.ivs.iter().position(|&iv| iv == s).map(|d| at[d] as i64);
        ctx.exprs.eval(self.exprs[k], &lookup).ok()
    }
}
