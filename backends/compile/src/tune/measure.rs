//! Runs a kernel under several schedules, on the same data, in turns.
//!
//! All candidates are compiled into one image. Before each run what the model would find cold is made cold: constants are taken out of
//! the caches that the model's constants do not fit, other inputs are read once, as whoever made them has just written them. The
//! results of all candidates are compared with those of the first.

#![allow(unsafe_code)]

use super::data::{self, Random};
use crate::kernels::{KernelInfo, kernel_info, kernel_objects};
use nim_ir::{Body, Context, Diagnostic, Expr, Loc, Module, OpId, Type};
use nim_loops_passes::packing::pack;
use nim_loops_passes::schedule::choice;
use nim_loops_passes::{Options as LoopsOptions, Packing, constant_args, function_name, lower_kernel_to_loops};
use nim_tensor::{DType, Tensor, Tolerance, compare, tensor::element_count};
use nim_vm::alone::{Alone, Buffer, pinned};
use std::time::{Duration, Instant};

/// Bytes of buffers that a kernel may take to be measured, all candidates together.
const MOST_BYTES: usize = 1 << 30;
/// Runs of a candidate: the fewest, those after which one that is behind is left out, and the most.
const LEAST: usize = 3;
const FEW: usize = 7;
const MOST: usize = 41;
/// How far behind the best a candidate is left out, at once and after [`FEW`] runs.
const FAR_BEHIND: f64 = 1.5;
const BEHIND: f64 = 1.15;
/// What is read to have other data in the second-level cache, if its size is not known.
const SWEEP: usize = 4 << 20;

/// A kernel whose candidates are measured.
pub struct Subject<'a> {
    /// The context.
    pub ctx: &'a Context,
    /// The module that it stands in.
    pub module: &'a mut Module,
    /// The `dataflow.kernel`.
    pub kernel: OpId,
    /// What the compiler is told.
    pub options: &'a crate::Options,
    /// What the lowering to loops is told.
    pub loops: &'a LoopsOptions,
    /// Values of the symbols.
    pub symbols: &'a [i64],
    /// What holds the constants of the whole model.
    pub constants: Where,
    /// Seconds that the last measurement took before its first run.
    pub compiled: f64,
}

/// What the constants of a model are read from in each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// They fit the second-level cache.
    SecondLevel,
    /// They fit the third-level cache.
    ThirdLevel,
    /// They fit none.
    Memory,
}

/// Why a kernel is not measured.
#[derive(Debug)]
pub enum Refused {
    /// It cannot be, for this reason.
    Because(&'static str),
    /// Something failed that should not.
    Failed(Vec<Diagnostic>),
}

/// A kernel under a schedule.
struct Lowered {
    /// Which of the schedules.
    index: usize,
    /// Types of its buffers.
    types: Vec<Type>,
    info: KernelInfo,
}

struct Candidate {
    /// Which of the schedules it is.
    index: usize,
    function: String,
    buffers: Vec<Buffer>,
    /// Numbers of the buffers that hold constants.
    constants: Vec<usize>,
    outputs: std::ops::Range<usize>,
    total: i64,
    times: Vec<Duration>,
    beaten: bool,
}

impl Subject<'_> {
    /// Measures a kernel under each of these schedules for about so long; the first is what others are compared with. The median of each;
    /// none of one that does not fit the kernel, or is the same code as an earlier one.
    ///
    /// # Errors
    /// A kernel that cannot be measured; candidates whose results differ, or that do not compile (`N0759`): errors of the compiler.
    pub fn measure(&mut self, schedules: &[Vec<String>], time: Duration) -> Result<Vec<Option<Duration>>, Refused> {
        let mut out = vec![None; schedules.len()];
        let begun = Instant::now();
        let (scratch, lowered) = self.lower(schedules)?;
        let mut candidates = self.candidates(lowered)?;
        let objects = kernel_objects(self.ctx, &scratch, self.options, "").map_err(Refused::Failed)?;
        let image = nim_llvm::kernels::link_image(&objects, &self.options.target)
            .map_err(|error| Refused::Failed(vec![crate::kernels::code_error(&error)]))?;
        let code = Alone::load(&image).map_err(|_| Refused::Because("its code does not run on this machine"))?;
        let _pinned = pinned();
        let mut sweep = Buffer::zeroed(if self.constants == Where::ThirdLevel { self.sweep() } else { 0 });
        sweep.bytes_mut().fill(1);
        self.compiled = begun.elapsed().as_secs_f64();
        for candidate in &mut candidates {
            self.run(&code, candidate, &sweep);
        }
        self.compare(&candidates, schedules)?;
        let start = Instant::now();
        for round in 0..MOST {
            if round >= LEAST && start.elapsed() > time {
                break;
            }
            let count = candidates.len();
            for i in 0..count {
                // Nobody is always behind the same other one.
                let candidate = &mut candidates[(round + i) % count];
                if candidate.beaten {
                    continue;
                }
                let taken = self.run(&code, candidate, &sweep);
                candidate.times.push(taken);
            }
            if round + 1 >= LEAST {
                let best = candidates.iter().map(|c| median(&c.times)).min().unwrap_or_default();
                let behind = if round + 1 >= FEW { BEHIND } else { FAR_BEHIND };
                for candidate in candidates.iter_mut().skip(1) {
                    candidate.beaten |= median(&candidate.times) > best.mul_f64(behind);
                }
                if candidates.iter().filter(|c| !c.beaten).count() <= 1 && start.elapsed() > time / 4 {
                    break;
                }
            }
        }
        for candidate in &candidates {
            out[candidate.index] = Some(median(&candidate.times));
        }
        Ok(out)
    }

    fn sweep(&self) -> usize {
        (2.0 * self.loops.target.machine.second().bytes).max(SWEEP as f64) as usize
    }

    /// The kernel under each schedule that fits it, in a module of their own. Of equal code there is one.
    fn lower(&mut self, schedules: &[Vec<String>]) -> Result<(Module, Vec<Lowered>), Refused> {
        let ctx = self.ctx;
        let (mut scratch, mut all, mut texts) = (Module::new(), vec![], vec![]);
        let block = scratch.body.entry_block(scratch.body.root_regions()[0]);
        let Some(block) = block else { return Err(Refused::Because("there is no module")) };
        for (index, schedule) in schedules.iter().enumerate() {
            let attr = ctx.array_attr(schedule.iter().map(|text| ctx.string_attr(text)));
            self.module.body.set_attr(ctx, self.kernel, choice::ATTR, attr);
            let lowered = lower_kernel_to_loops(ctx, &self.module.body, self.kernel, self.loops);
            self.module.body.attrs_mut(self.kernel).remove(ctx.name(choice::ATTR));
            // What does not fit is no candidate.
            let Ok(lowered) = lowered else { continue };
            let block_args = lowered.body.entry().map(|block| lowered.body.block_args(block).to_vec());
            let types = block_args.unwrap_or_default().iter().map(|&arg| lowered.body.ty(arg)).collect();
            let info = kernel_info(ctx, self.module, self.kernel, &lowered);
            let mut state = lowered.into_state(ctx);
            state.attrs.set(ctx, ctx.name("sym_name"), ctx.string_attr("tuned"));
            let op = nim_ir::Builder::at_end(ctx, &mut scratch.body, block).insert(state);
            let text = nim_text::print_op(ctx, &scratch.body, op, &nim_text::PrintOptions::default());
            if texts.contains(&text) || text.contains("dense_resource<") {
                scratch.body.erase(op);
                continue;
            }
            scratch.body.set_attr(ctx, op, "sym_name", ctx.string_attr(&name(index)));
            texts.push(text);
            all.push(Lowered { index, types, info });
        }
        match all.first() {
            Some(Lowered { index: 0, .. }) => Ok((scratch, all)),
            _ => Err(Refused::Because("it has no text to be compiled by itself")),
        }
    }

    /// Buffers for each candidate: the same numbers for all, constants arranged as each wants them.
    fn candidates(&self, lowered: Vec<Lowered>) -> Result<Vec<Candidate>, Refused> {
        let ctx = self.ctx;
        let pool = &ctx.exprs;
        let unknown = || Refused::Because("a size is not known");
        let source = self.module.body.nested(self.kernel).ok_or_else(unknown)?;
        let entry = source.entry().ok_or_else(unknown)?;
        let names = nim_dataflow::kernel_symbols(ctx, &self.module.body, self.kernel);
        let given = |s| names.iter().position(|n| pool.symbol(n) == s).map(|at| self.symbols[at]);
        let value = |e: Expr| pool.eval(e, &given).ok();
        let shape = |ty: Type| -> Option<(DType, Vec<usize>, usize)> {
            let dims = ctx.dim_exprs(ty)?.into_iter().map(|d| usize::try_from(value(d)?).ok());
            let (dtype, dims) = (ctx.dtype_of(ty)?, dims.collect::<Option<Vec<usize>>>()?);
            let count = element_count(&dims)?;
            Some((dtype, dims, count))
        };
        let tensors = source.block_args(entry).to_vec();
        let constants = constant_args(ctx, &self.module.body, self.kernel, &tensors);
        let (mut random, mut inputs, mut bytes) = (Random::new(1), vec![], 0usize);
        for &arg in source.block_args(entry) {
            let (dtype, dims, count) = shape(source.ty(arg)).ok_or_else(unknown)?;
            bytes = bytes.saturating_add(count.saturating_mul(dtype.size()));
            if bytes.saturating_mul(lowered.len() + 1) > MOST_BYTES {
                return Err(Refused::Because("its buffers are too large"));
            }
            let contents = data::fill(dtype, count, &mut random);
            let contents = contents.ok_or(Refused::Because("it reads what cannot be made up"))?;
            inputs.push(Tensor::from_bytes(dtype, &dims, contents));
        }
        let results = source.last_op(entry).map_or(0, |end| source.operands(end).len());
        let mut out = vec![];
        for Lowered { index, types, info } in lowered {
            let mut buffers = vec![];
            for (i, &ty) in types.iter().enumerate() {
                let packing = info.packing.iter().find(|p: &&Packing| p.arg == i);
                buffers.push(match (inputs.get(i), packing) {
                    (Some(tensor), Some(packing)) => {
                        let packed = pack(ctx, tensor, packing).map_err(|d| Refused::Failed(vec![d]))?;
                        Buffer::new(packed.bytes())
                    }
                    (Some(tensor), None) => Buffer::new(tensor.bytes()),
                    (None, _) => {
                        let (dtype, _, count) = shape(ty).ok_or_else(unknown)?;
                        let size = count.checked_mul(dtype.size()).filter(|&n| n <= MOST_BYTES / 4);
                        Buffer::zeroed(size.ok_or(Refused::Because("its buffers are too large"))?)
                    }
                });
            }
            let total = info.phases.iter().map(|&e| value(e)).sum::<Option<i64>>().ok_or_else(unknown)?;
            out.push(Candidate {
                index,
                function: function_name(&name(index)),
                constants: (0..inputs.len()).filter(|&i| constants.contains(&tensors[i])).collect(),
                outputs: inputs.len()..inputs.len() + results,
                buffers,
                total,
                times: vec![],
                beaten: false,
            });
        }
        Ok(out)
    }

    /// One run with constants where the model finds them, and all else in the nearest cache that it fits.
    fn run(&self, code: &Alone, candidate: &mut Candidate, sweep: &Buffer) -> Duration {
        for &i in &candidate.constants {
            match self.constants {
                Where::Memory => candidate.buffers[i].evict(),
                Where::ThirdLevel | Where::SecondLevel => candidate.buffers[i].touch(),
            }
        }
        sweep.touch();
        for (i, buffer) in candidate.buffers.iter().enumerate() {
            if !candidate.constants.contains(&i) {
                buffer.touch();
            }
        }
        let mut buffers: Vec<&mut Buffer> = candidate.buffers.iter_mut().collect();
        // SAFETY: the function was compiled from the kernel whose arguments these buffers were made for, at the values of the symbols
        // at which all accesses of its maps were found to lie inside.
        let time = unsafe { code.run(&candidate.function, &mut buffers, self.symbols, candidate.total) };
        time.unwrap_or_default()
    }

    /// Whether all candidates give what the first gives.
    fn compare(&self, candidates: &[Candidate], schedules: &[Vec<String>]) -> Result<(), Refused> {
        let [first, others @ ..] = candidates else { return Ok(()) };
        let ctx = self.ctx;
        let source = self.module.body.nested(self.kernel);
        let ends = source.and_then(|s| Some(s.operands(s.last_op(s.entry()?)?).to_vec())).unwrap_or_default();
        let exact = source.is_some_and(|source| computes_exactly(ctx, source));
        for other in others {
            for (at, &value) in first.outputs.clone().zip(&ends) {
                let Some(dtype) = source.and_then(|s| ctx.dtype_of(s.ty(value))) else { continue };
                let tensor = |c: &Candidate| {
                    let bytes = c.buffers[at].bytes();
                    Tensor::from_bytes(dtype, &[bytes.len() / dtype.size().max(1)], bytes.to_vec())
                };
                let (found, expected) = (tensor(other), tensor(first));
                if let Some(what) = differ(found, expected, exact) {
                    let pair = [&schedules[other.index], &schedules[first.index]];
                    let name = self.module.symbol_name(ctx, self.kernel).unwrap_or_default();
                    let found = mismatch(name, pair, &what, self.module.body.loc(self.kernel));
                    return Err(Refused::Failed(vec![found]));
                }
            }
        }
        Ok(())
    }
}

/// Two schedules of a kernel whose results differ.
fn mismatch(name: &str, [other, first]: [&Vec<String>; 2], what: &str, loc: Loc) -> Diagnostic {
    let (other, first) = (other.join("`, `"), first.join("`, `"));
    let message =
        format!("kernel @{name} gives other results under the schedule `{other}` than under `{first}`: {what}");
    Diagnostic::error("N0759", loc, message)
        .help("this is an error of the compiler; without --tune the second schedule is taken")
}

fn name(index: usize) -> String {
    format!("tuned_{index}")
}

/// Whether nothing in a kernel is rounded.
fn computes_exactly(ctx: &Context, source: &Body) -> bool {
    let float = |op: OpId| {
        let values = source.results(op).iter().copied().chain(source.operands(op));
        values.map(|v| source.ty(v)).any(|ty| matches!(ctx.type_data(ty), nim_ir::TypeData::Float(_)))
    };
    !source.walk().into_iter().any(float)
}

/// Parts of the results that may be elsewhere after a rounding that fell to the other side.
const ROUNDED: f64 = 0.01;

/// How two results differ by more than the order of sums explains. Where something is rounded to whole numbers or compared on the way,
/// a few results may be others.
fn differ(found: Tensor, expected: Tensor, exact: bool) -> Option<String> {
    let rtol = match expected.dtype() {
        DType::BF16 => 1.6e-2,
        DType::F16 => 2e-3,
        _ => 1e-4,
    };
    let tolerance = if exact { Tolerance::default() } else { Tolerance { rtol, atol: 1e-6, scaled_atol: 2e-4 } };
    let result = compare(&found.into(), &expected.into(), &tolerance);
    let few = !exact && (result.failures as f64) <= ROUNDED * result.elements as f64;
    let first = result.first.filter(|_| !few)?;
    Some(format!("{} of {} elements, first {:?}", result.failures, result.elements, first.difference))
}

/// The median of some times.
fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_that_differ_are_told_apart_from_rounding() {
        let tensor = |list: &[f32]| Tensor::new(&[list.len()], list.to_vec());
        let many: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let mut close = many.clone();
        close[7] += 1e-3;
        assert!(differ(tensor(&close), tensor(&many), false).is_none());
        let wrong: Vec<f32> = many.iter().map(|x| x + 5.0).collect();
        assert!(differ(tensor(&wrong), tensor(&many), false).is_some());
        let ints = |list: &[i32]| Tensor::new(&[list.len()], list.to_vec());
        assert!(differ(ints(&[1, 2, 3]), ints(&[1, 2, 4]), true).is_some());
        assert!(differ(ints(&[1, 2, 3]), ints(&[1, 2, 3]), true).is_none());
        let what = differ(ints(&[1, 2, 3]), ints(&[1, 2, 4]), true).unwrap_or_default();
        let found = mismatch("k", [&vec!["rows".into()], &vec!["auto".into()]], &what, Loc::UNKNOWN);
        assert_eq!(found.code, "N0759");
        assert!(found.message.contains("@k") && found.message.contains("1 of 3 elements"), "{}", found.message);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let times: Vec<Duration> = [5, 1, 9].map(Duration::from_nanos).to_vec();
        assert_eq!(median(&times), Duration::from_nanos(5));
        assert_eq!(median(&[]), Duration::MAX);
    }
}
