//! Tuning: the schedules of kernels by measurement instead of by estimate.
//!
//! Between `dataflow-outline` and `dataflow-to-loops` each kernel gets the attribute `loops.schedule` that the log knows for it. With
//! time to measure, kernels that the log does not know are tried under the candidates of the searches, those that take longest first,
//! each for a share of the time as large as its share of the program; what is found goes into the log. From there on nothing differs
//! from a kernel whose schedule somebody wrote by hand.
//!
//! What a log says is never believed: a schedule that does not fit is passed over, see [`log`].

mod data;
mod explain;
pub mod log;
pub mod machine;
mod measure;
mod variants;

use crate::{KernelInfo, cache, kernels::weights};
pub use explain::explain;
use log::{Log, Measured, Record};
use machine::Machine;
use measure::{Refused, Subject, Where};
use nim_dataflow_passes::report::kernel_cost;
use nim_ir::{Context, Diagnostic, Module, OpId};
use nim_loops_passes::schedule::candidates::{self, Candidates};
use nim_loops_passes::schedule::choice;
use nim_loops_passes::{Options as LoopsOptions, TargetInfo, Weights, lower_kernel_to_loops};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Is told after each kernel that was measured, and shown all that is known then.
pub type Watcher = Box<dyn Fn(&Progress, &Log) + Send + Sync>;

/// Schedules that are taken from a log, and measured.
#[derive(Default)]
pub struct Tuning {
    /// How long to measure; `None`: only what the log knows is used.
    pub time: Option<Duration>,
    /// Whether what was measured on other machines is used.
    pub any_machine: bool,
    /// Whether somebody wants to know the candidates of kernels that are not measured.
    pub explain: bool,
    /// What is known, and what is found.
    pub log: Mutex<Log>,
    /// Who is told after each kernel, and shown what is known then.
    pub progress: Option<Watcher>,
    /// What was chosen for each kernel, in the order of the module.
    pub explained: Mutex<Vec<Explained>>,
}

impl fmt::Debug for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tuning").field("time", &self.time).field("any_machine", &self.any_machine).finish()
    }
}

/// A kernel was measured.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Its name.
    pub kernel: String,
    /// How many are done, and how many there are.
    pub done: usize,
    /// See above.
    pub of: usize,
    /// Time since measuring began.
    pub elapsed: Duration,
    /// What the search's schedule takes.
    pub before: Duration,
    /// What the best takes.
    pub after: Duration,
    /// The best, one a map.
    pub schedule: Vec<String>,
    /// How many were measured.
    pub candidates: usize,
}

/// Where a kernel's schedule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the searches' estimates.
    Estimate,
    /// From a measurement just now.
    Tuned,
    /// From a log.
    Replayed,
    /// From the kernel's attribute in the text.
    ByHand,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Estimate => "by estimate",
            Origin::Tuned => "tuned",
            // Nothing in a log is believed, and nothing of it was measured now.
            Origin::Replayed => "replayed; times as the log says",
            Origin::ByHand => "by hand",
        })
    }
}

/// The schedule of a kernel, and why.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The kernel.
    pub kernel: String,
    /// One schedule a map.
    pub schedule: Vec<String>,
    /// Where they come from.
    pub origin: Origin,
    /// Why a kernel was not measured that should have been.
    pub refused: Option<String>,
    /// All that are known, with estimates; measured ones with their times. The first is what the search takes.
    pub candidates: Vec<Measured>,
}

/// Candidates of each kind that are measured at most.
const MOST: usize = 8;
/// Part of the time by which a schedule must be faster to be taken instead of the search's.
const GAIN: f64 = 0.02;
/// Seconds that machine code of a candidate takes, before one was made.
const COMPILE: f64 = 0.15;
/// A kernel is not tuned that takes less than this part of the program.
const LEAST_SHARE: f64 = 0.002;
/// What a machine does at most, to share out time: operations and bytes a second.
const OPERATIONS: f64 = 1e11;
const BYTES: f64 = 2e10;

/// A kernel that may be tuned.
struct Job {
    kernel: OpId,
    name: String,
    key: String,
    maps: Vec<Candidates>,
    /// Seconds of a run of the program, roughly.
    weight: f64,
}

/// Gives kernels the schedules that the log knows or that measuring finds.
///
/// # Errors
/// Candidates that differ in their results, or that do not compile: errors of the compiler.
pub fn choose(
    ctx: &Context,
    module: &mut Module,
    options: &crate::Options,
    loops: &LoopsOptions,
    tuning: &Tuning,
) -> Result<(), Vec<Diagnostic>> {
    let here = Machine::host();
    let kernels: Vec<OpId> = module.ops().filter(|&op| module.body.is(ctx, op, "dataflow.kernel")).collect();
    let (mut jobs, mut explained) = (vec![], vec![]);
    for &kernel in &kernels {
        let name = module.symbol_name(ctx, kernel).unwrap_or_default().to_string();
        let by_hand = module.body.attr_named(ctx, kernel, choice::ATTR).is_some();
        let maps = match tuning.time.is_some() || tuning.explain {
            true => candidates::of_kernel(ctx, &module.body, kernel, loops, MOST).map_err(|d| vec![d])?,
            false => vec![],
        };
        let mut about = Explained {
            kernel: name.clone(),
            schedule: vec![],
            origin: if by_hand { Origin::ByHand } else { Origin::Estimate },
            refused: None,
            candidates: estimated(&maps),
        };
        if !by_hand && let Some(key) = key(ctx, module, kernel, options, loops) {
            let log = tuning.log.lock().unwrap_or_else(PoisonError::into_inner);
            match log.find(&key, &here, tuning.any_machine) {
                Some(record) if set_schedule(ctx, module, kernel, loops, &record.schedule) => {
                    about.origin = Origin::Replayed;
                    about.candidates = record.candidates.clone();
                }
                Some(_) => {
                    about.refused = Some("what the log says does not fit it".into());
                    jobs.push(Job { kernel, name, key, maps, weight: 0.0 });
                }
                None => jobs.push(Job { kernel, name, key, maps, weight: 0.0 }),
            }
        }
        explained.push(about);
    }
    if let Some(time) = tuning.time {
        measure_all(ctx, module, options, loops, tuning, (jobs, &here, time), &mut |kernel, about| {
            if let Some(at) = kernels.iter().position(|&k| k == kernel) {
                explained[at].origin = about.origin;
                explained[at].refused = about.refused.clone();
                if !about.candidates.is_empty() {
                    explained[at].candidates = about.candidates.clone();
                }
            }
        })?;
    }
    *tuning.explained.lock().unwrap_or_else(PoisonError::into_inner) = explained;
    Ok(())
}

/// Says which schedules kernels were lowered under.
pub fn lowered(tuning: &Tuning, kernels: &[KernelInfo]) {
    let mut explained = tuning.explained.lock().unwrap_or_else(PoisonError::into_inner);
    for about in explained.iter_mut() {
        if let Some(kernel) = kernels.iter().find(|k| k.name == about.kernel) {
            about.schedule = kernel.schedules.iter().map(ToString::to_string).collect();
        }
    }
}

/// What the searches say, where there is one map.
fn estimated(maps: &[Candidates]) -> Vec<Measured> {
    let [only] = maps else { return vec![] };
    let one =
        |s: &candidates::Scored| Measured { schedule: vec![s.choice.to_string()], ns: None, estimate: s.estimate };
    only.all.iter().map(one).collect()
}

/// The key of a kernel in a log: its text without its name, and what else its code depends on. `None` where the text is not all.
fn key(ctx: &Context, module: &Module, kernel: OpId, options: &crate::Options, loops: &LoopsOptions) -> Option<String> {
    let text = nim_text::print_op(ctx, &module.body, kernel, &nim_text::PrintOptions::default());
    if text.contains("dense_resource<") {
        return None;
    }
    let name = module.symbol_name(ctx, kernel)?;
    let text = text.replacen(&format!("@{name}("), "@(", 1);
    // What differs from machine to machine of one kind is the log's matter.
    let target = TargetInfo { machine: nim_machine::cpus::GENERIC.machine, ..loops.target.clone() };
    let settings = format!("{target:?} {:?} {:?}", loops.tolerance.to_bits(), options.llvm);
    let mut key = cache::name(&["tune", &settings, &text]);
    key.truncate(32);
    Some(key)
}

/// Has a kernel walked under schedules if they fit it.
fn set_schedule(ctx: &Context, module: &mut Module, kernel: OpId, loops: &LoopsOptions, schedule: &[String]) -> bool {
    let attr = ctx.array_attr(schedule.iter().map(|text| ctx.string_attr(text)));
    module.body.set_attr(ctx, kernel, choice::ATTR, attr);
    let fits = lower_kernel_to_loops(ctx, &module.body, kernel, loops).is_ok();
    if !fits {
        module.body.attrs_mut(kernel).remove(ctx.name(choice::ATTR));
    }
    fits
}

#[allow(clippy::type_complexity)]
fn measure_all(
    ctx: &Context,
    module: &mut Module,
    options: &crate::Options,
    loops: &LoopsOptions,
    tuning: &Tuning,
    (mut jobs, here, time): (Vec<Job>, &Machine, Duration),
    done: &mut dyn FnMut(OpId, &Explained),
) -> Result<(), Vec<Diagnostic>> {
    let calls = calls(ctx, module);
    let constants = constants(ctx, module, here);
    for job in &mut jobs {
        let times = calls.iter().find(|(name, _)| *name == job.name).map_or(1.0, |(_, times)| *times);
        job.weight = times * seconds(ctx, module, job.kernel);
    }
    let whole: f64 = jobs.iter().map(|job| job.weight).sum();
    jobs.retain(|job| job.maps.iter().any(|map| map.all.len() > 1) && job.weight >= LEAST_SHARE * whole);
    jobs.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let (start, of) = (Instant::now(), jobs.len());
    let mut left: f64 = jobs.iter().map(|job| job.weight).sum();
    let mut compile = COMPILE;
    for (number, job) in jobs.into_iter().enumerate() {
        let rest = time.saturating_sub(start.elapsed());
        let share = rest.mul_f64((job.weight / left.max(f64::MIN_POSITIVE)).clamp(0.0, 1.0));
        left -= job.weight;
        let mut about = Explained {
            kernel: job.name.clone(),
            schedule: vec![],
            origin: Origin::Estimate,
            refused: None,
            candidates: vec![],
        };
        let Some(symbols) = data::symbols(ctx, &module.body, job.kernel) else {
            about.refused = Some("its sizes depend on each other in a way that it does not tell".into());
            done(job.kernel, &about);
            continue;
        };
        let subject =
            Subject { ctx, module, kernel: job.kernel, options, loops, symbols: &symbols, constants, compiled: 0.0 };
        let mut trial = variants::Trial { subject, share, compile };
        match trial.run(&job.maps) {
            Ok(candidates) => {
                compile = trial.compile;
                let Some((best, before, after)) = best(&candidates) else { continue };
                about.origin = Origin::Tuned;
                about.candidates = candidates.clone();
                set_schedule(ctx, module, job.kernel, loops, &best.schedule);
                let nanoseconds = |ns: f64| Duration::from_nanos(ns as u64);
                let record = Record {
                    key: job.key,
                    kernel: job.name.clone(),
                    schedule: best.schedule.clone(),
                    ns: after,
                    candidates: candidates.clone(),
                };
                let mut log = tuning.log.lock().unwrap_or_else(PoisonError::into_inner);
                log.add(here, record);
                if let Some(progress) = &tuning.progress {
                    let now = Progress {
                        kernel: job.name,
                        done: number + 1,
                        of,
                        elapsed: start.elapsed(),
                        before: nanoseconds(before),
                        after: nanoseconds(after),
                        schedule: best.schedule.clone(),
                        candidates: candidates.len(),
                    };
                    progress(&now, &log);
                }
            }
            Err(Refused::Because(why)) => about.refused = Some(why.into()),
            Err(Refused::Failed(found)) => return Err(found),
        }
        done(job.kernel, &about);
    }
    Ok(())
}

/// The fastest of some schedules that beats the first clearly, else the first; with the first's time and its own.
fn best(candidates: &[Measured]) -> Option<(&Measured, f64, f64)> {
    let first = candidates.first()?;
    let before = first.ns?;
    let mut best = (first, before);
    for other in candidates {
        let Some(ns) = other.ns else { continue };
        if ns < (1.0 - GAIN) * before && ns < best.1 {
            best = (other, ns);
        }
    }
    Some((best.0, before, best.1))
}

/// How often each kernel is called in a run of the program, loops at a guess.
fn calls(ctx: &Context, module: &Module) -> Vec<(String, f64)> {
    /// Iterations of a loop.
    const AGAIN: f64 = 16.0;
    let mut out: Vec<(String, f64)> = vec![];
    for function in module.ops().filter_map(|op| module.body.nested(op)) {
        for op in function.walk() {
            let callee = function.attr_named(ctx, op, "callee").and_then(|a| ctx.as_symbol_ref(a));
            let Some(callee) = callee.filter(|_| function.is(ctx, op, "dataflow.invoke")) else { continue };
            let mut times = 1.0;
            let mut around = function.parent_op(op);
            while let Some(outer) = around {
                times *= if function.is(ctx, outer, "graph.loop") { AGAIN } else { 1.0 };
                around = function.parent_op(outer);
            }
            match out.iter_mut().find(|(name, _)| name == ctx.str(callee)) {
                Some((_, sum)) => *sum += times,
                None => out.push((ctx.str(callee).to_string(), times)),
            }
        }
    }
    out
}

/// What the constants of a program are read from in each run: the smallest cache that holds them all.
fn constants(ctx: &Context, module: &Module, here: &Machine) -> Where {
    let bytes = weights(ctx, module).all;
    let fits = |level: usize| bytes as u64 <= here.caches_kib[level] * 1024 / 2;
    match () {
        () if fits(1) => Where::SecondLevel,
        () if fits(2) => Where::ThirdLevel,
        () => Where::Memory,
    }
}

/// Seconds that a run of a kernel takes at least, roughly.
fn seconds(ctx: &Context, module: &Module, kernel: OpId) -> f64 {
    let Some(cost) = kernel_cost(ctx, module, kernel) else { return 0.0 };
    let symbols = data::symbols(ctx, &module.body, kernel).unwrap_or_default();
    let names = nim_dataflow::kernel_symbols(ctx, &module.body, kernel);
    let given = |s| names.iter().zip(&symbols).find(|(n, _)| ctx.exprs.symbol(n) == s).map(|(_, &value)| value);
    let value = |e| ctx.exprs.eval(e, &given).unwrap_or(0).max(0) as f64;
    (value(cost.operations) / OPERATIONS).max(value(cost.bytes) / BYTES)
}

/// Measures one kernel of a module under schedules that are named: what tuning does, for those who explore.
///
/// # Errors
/// Candidates that differ in their results, or that do not compile; a kernel that cannot be measured, with the reason (`N0760`).
pub fn measure_kernel(
    ctx: &Context,
    module: &mut Module,
    kernel: OpId,
    options: &crate::Options,
    schedules: &[Vec<String>],
    time: Duration,
) -> Result<Vec<Option<Duration>>, Vec<Diagnostic>> {
    let refused = |why: &str, module: &Module| {
        let message = format!("@{} cannot be measured: {why}", module.symbol_name(ctx, kernel).unwrap_or_default());
        vec![Diagnostic::error("N0760", module.body.loc(kernel), message)]
    };
    let Some(symbols) = data::symbols(ctx, &module.body, kernel) else {
        return Err(refused("its sizes depend on each other in a way that it does not tell", module));
    };
    let loops = crate::pipeline::loops_options(options, Weights::default());
    let constants = constants(ctx, module, &Machine::host());
    let mut subject =
        Subject { ctx, module, kernel, options, loops: &loops, symbols: &symbols, constants, compiled: 0.0 };
    match subject.measure(schedules, time) {
        Ok(all) => Ok(all),
        Err(Refused::Because(why)) => Err(refused(why, module)),
        Err(Refused::Failed(found)) => Err(found),
    }
}
