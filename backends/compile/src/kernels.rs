//! The road of the kernels: `dataflow` to `loops` to upstream MLIR to machine code.

use nim_dataflow_passes::report::{KernelCost, kernel_cost};
use nim_ir::{Context, Diagnostic, Expr, Loc, Module, OpId, Type};
use nim_llvm::{CompileError, KernelSource};
use nim_loops_passes::{Options, Packing, TargetInfo, function_name, loops_to_mlir_text, lower_kernel_to_loops};
use nim_tensor::{Tensor, tensor::element_count};
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
    let mut bytes = vec![0u8; count * size];
    if count > 0 && size > 0 {
        let tables = Tables::new(ctx, &packing.indices, &shape);
        let failed = || error("an index cannot be computed");
        let copied = match tables.all_linear() {
            Some(linear) if !shape.is_empty() && [1, 2, 4, 8].contains(&size) => {
                copy_linear(&linear, tensor, &shape, &mut bytes)
            }
            _ => copy_any(ctx, &tables, tensor, &shape, &mut bytes),
        };
        copied.ok_or_else(failed)?;
    }
    Ok(Tensor::from_bytes(tensor.dtype(), &shape, bytes))
}

/// Counts `at` on by one within `shape`; false behind the end.
fn advance(at: &mut [usize], shape: &[usize]) -> bool {
    for (i, &n) in at.iter_mut().zip(shape).rev() {
        *i += 1;
        if *i < n {
            return true;
        }
        *i = 0;
    }
    false
}

/// Element by element.
fn copy_any(ctx: &Context, tables: &Tables<'_>, tensor: &Tensor, shape: &[usize], bytes: &mut [u8]) -> Option<()> {
    let (size, from) = (tensor.dtype().size(), tensor.bytes());
    let mut at = vec![0usize; shape.len()];
    for chunk in bytes.chunks_exact_mut(size) {
        let mut position = Some(0usize);
        for (k, &dim) in tensor.dims().iter().enumerate() {
            let index = tables.index(ctx, k, &at)?;
            position = match (position, usize::try_from(index)) {
                (Some(p), Ok(i)) if i < dim => Some(p * dim + i),
                _ => None,
            };
        }
        if let Some(p) = position {
            chunk.copy_from_slice(&from[p * size..(p + 1) * size]);
        }
        advance(&mut at, shape);
    }
    Some(())
}

/// Elements of `SIZE` bytes of one row.
fn copy_row<const SIZE: usize>(row: &mut [u8], from: &[u8], range: std::ops::Range<i64>, start: i64, step: i64) {
    let (to, _) = row.as_chunks_mut::<SIZE>();
    let (from, _) = from.as_chunks::<SIZE>();
    for i in range {
        to[i as usize] = from[(start + i * step) as usize];
    }
}

/// Row by row along the last packed dimension: where a row is inside of the tensor is known before it is walked.
fn copy_linear(linear: &[(i64, &[i64])], tensor: &Tensor, shape: &[usize], bytes: &mut [u8]) -> Option<()> {
    let (size, from) = (tensor.dtype().size(), tensor.bytes());
    let (&width, outer) = shape.split_last()?;
    let mut at = vec![0usize; outer.len()];
    for row in bytes.chunks_exact_mut(width * size) {
        // Elements `begin..end` of the row come from `start + i*step`.
        let (mut begin, mut end, mut start, mut step) = (0i64, i64::try_from(width).ok()?, 0i64, 0i64);
        for (&(constant, coefficients), &dim) in linear.iter().zip(tensor.dims()) {
            let dim = i64::try_from(dim).ok()?;
            let first = coefficients.iter().zip(&at).map(|(&c, &i)| c * i as i64).sum::<i64>() + constant;
            let along = *coefficients.last()?;
            // The `i` with `0 <= first + i*along < dim`.
            let (low, high) = match along {
                0 if (0..dim).contains(&first) => (begin, end),
                0 => (0, 0),
                1.. => ((-first + along - 1).div_euclid(along), (dim - first + along - 1).div_euclid(along)),
                _ => ((first - dim).div_euclid(-along) + 1, first.div_euclid(-along) + 1),
            };
            (begin, end) = (begin.max(low), end.min(high));
            (start, step) = (start * dim + first, step * dim + along);
        }
        match size {
            1 => copy_row::<1>(row, from, begin..end, start, step),
            2 => copy_row::<2>(row, from, begin..end, start, step),
            4 => copy_row::<4>(row, from, begin..end, start, step),
            _ => copy_row::<8>(row, from, begin..end, start, step),
        }
        advance(&mut at, outer);
    }
    Some(())
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

    /// Constant and coefficients of all indices, where all are linear.
    fn all_linear(&self) -> Option<Vec<(i64, &[i64])>> {
        self.linear.iter().map(|l| l.as_ref().map(|(constant, c)| (*constant, c.as_slice()))).collect()
    }

    fn index(&self, ctx: &Context, k: usize, at: &[usize]) -> Option<i64> {
        if let Some((constant, coefficients)) = &self.linear[k] {
            return Some(constant + coefficients.iter().zip(at).map(|(&c, &i)| c * i as i64).sum::<i64>());
        }
        let lookup = |s| self.ivs.iter().position(|&iv| iv == s).map(|d| at[d] as i64);
        ctx.exprs.eval(self.exprs[k], &lookup).ok()
    }
}
