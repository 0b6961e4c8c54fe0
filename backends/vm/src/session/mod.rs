//! Running a program.

mod adt;
mod bound;
mod explain;
mod memory;
pub mod native;
mod ops;
mod prepare;
mod profile;
mod run;
mod sizes;
mod trace;

use crate::bytecode::DeviceId;
use crate::error::{RunError, RunErrorKind};
use crate::machine::pool::{Pool, PoolStats};
use crate::machine::slot::Slot;
use crate::machine::threads::Threads;
use crate::program::{Program, SignatureValue};
use crate::runtime::{Draws, Env};
use crate::specialise::{self, Hot};
use nim_tensor::Value;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use bound::BoundSession;
pub(crate) use prepare::{immediate, prepare};
pub use profile::{Profile, SiteTime, Span};
pub(crate) use sizes::Form;

/// How a session runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Threads that work on one kernel; at least 1.
    pub threads: usize,
    /// Whether each of them, and the one that makes the session, stays on a CPU of its own. Only one session should.
    pub pinned: bool,
    /// Most bytes of memory for tensors at a time, inputs and constants not counted.
    pub memory_limit: usize,
    /// Most steps of loops and calls in one run.
    pub max_steps: u64,
    /// Most levels of calls.
    pub max_depth: usize,
    /// Whether to measure the time of each kernel.
    pub profile: bool,
    /// Where random numbers without a seed come from; the clock when absent.
    pub seed: Option<u64>,
    /// Kernels with less work (in scalar operations) run on one thread.
    pub parallel_work: i64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            pinned: false,
            memory_limit: usize::MAX,
            max_steps: u64::MAX,
            max_depth: 200_000,
            profile: false,
            seed: None,
            parallel_work: 1 << 15,
        }
    }
}

/// Time that one kernel took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelTime {
    /// The kernel.
    pub kernel: String,
    /// How often it was called.
    pub calls: u64,
    /// Sum over all calls.
    pub time: Duration,
}

/// What a session has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Runs begun.
    pub runs: u64,
    /// Memory.
    pub memory: PoolStats,
    /// Kernels that were called while profiling, the longest first.
    pub kernels: Vec<KernelTime>,
}

/// Runs a program again and again; keeps memory and threads in between.
#[derive(Debug)]
pub struct Session {
    program: Program,
    options: Options,
    pool: Arc<Pool>,
    /// Memory of the program's devices.
    pools: Vec<Arc<Pool>>,
    threads: Threads,
    env: Env,
    runs: u64,
    /// Where time goes, while somebody wants to know.
    profile: Option<Box<profile::Recorder>>,
    steps: u64,
    scratch: run::Scratch,
    known: Known,
    /// The same of programs for single shapes, by their numbers; the one used last at the end.
    special: Vec<(u64, Known)>,
}

/// What a session remembers of a program between runs.
#[derive(Debug)]
struct Known {
    sizes: sizes::Sizes,
    plans: memory::Plans,
    traces: trace::Traces,
}

impl Known {
    fn of(program: &Program) -> Known {
        let (plans, traces) = Default::default();
        Known { sizes: sizes::Sizes::new(&program.inner), plans, traces }
    }
}

impl Session {
    /// A session of a program.
    pub fn new(program: &Program, options: Options) -> Session {
        let seed = options.seed.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            // The address differs between sessions that begin in the same instant.
            now.as_nanos() as u64 ^ (&raw const options) as u64
        });
        Session {
            program: program.clone(),
            pool: Pool::new(options.memory_limit),
            pools: device_pools(program, options.memory_limit),
            threads: Threads::new(options.threads, options.pinned),
            env: Env { limit: options.memory_limit.min(isize::MAX as usize), seeds: Draws { seed }, drawn: 0 },
            runs: 0,
            profile: options.profile.then(Box::default),
            steps: 0,
            scratch: run::Scratch::default(),
            known: Known::of(program),
            special: vec![],
            options,
        }
    }

    /// How it runs.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Runs the program once. Results share memory with nobody who writes to it.
    ///
    /// # Errors
    /// [`RunError`] says what is wrong: an input of the wrong type or shape, a size that cannot be, too little memory,
    /// too many steps. The session stays usable.
    pub fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>, RunError> {
        self.run_iter(inputs.iter())
    }

    fn run_iter<'v>(&mut self, inputs: impl Iterator<Item = &'v Value> + Clone) -> Result<Vec<Value>, RunError> {
        self.runs += 1;
        let program = self.program.clone();
        if let Some(at) = program.inner.devices.iter().position(Option::is_none) {
            let kind = RunErrorKind::Device(program.devices()[at].clone());
            return Err(RunError { kind: Box::new(kind), node: None });
        }
        let args = arguments(&program, inputs)?;
        let start = self.profile.is_some().then(Instant::now);
        let results = match &program.hot {
            None => self.run_program(&program, args)?,
            Some(hot) => self.run_hot(&program, hot, args)?,
        };
        if let (Some(start), Some(profile)) = (start, &mut self.profile) {
            profile.run(start);
        }
        let signature = program.signature();
        let outputs = results.iter().zip(&signature.outputs);
        let values: Option<Vec<Value>> = outputs.map(|(slot, out)| adt::to_value(signature, &out.ty, slot)).collect();
        let missing = || Box::new(RunErrorKind::Program("a result has no value".into()));
        values.ok_or_else(|| RunError { kind: missing(), node: None })
    }

    fn run_program(&mut self, program: &Program, args: Vec<Slot>) -> Result<Vec<Slot>, RunError> {
        self.steps = 0;
        match self.replay(program, &args) {
            Some(results) => Ok(results),
            None => self.main(program, args),
        }
    }

    /// Runs the program that was made for the shapes of the inputs, or the program itself, if there is none or it fails: what is wrong
    /// is said in words of the program that everybody knows.
    fn run_hot(&mut self, program: &Program, hot: &Arc<Hot>, args: Vec<Slot>) -> Result<Vec<Slot>, RunError> {
        let Some(key) = specialise::key(&args) else { return self.run_program(program, args) };
        let Some(special) = hot.find(&key) else {
            let results = self.run_program(program, args)?;
            hot.ran(key);
            return Ok(results);
        };
        let id = special.inner.id;
        let known = self.special.iter().position(|(of, _)| *of == id).map(|at| self.special.remove(at).1);
        if known.is_none() && self.special.len() >= hot.most() {
            self.special.remove(0);
        }
        let base = std::mem::replace(&mut self.known, known.unwrap_or_else(|| Known::of(&special)));
        let before = self.env.clone();
        let results = self.run_program(&special, args.clone());
        self.special.push((id, std::mem::replace(&mut self.known, base)));
        results.or_else(|error| {
            self.env = before;
            let results = self.run_program(program, args)?;
            hot.failed(&key, &error.to_string());
            Ok(results)
        })
    }

    /// Measures where time goes from now on, or no longer; what was measured is forgotten.
    pub fn set_profile(&mut self, on: bool) {
        self.options.profile = on;
        self.profile = on.then(Box::default);
    }

    /// Where the time of all runs went since profiling began; nothing when it did not.
    pub fn profile(&self) -> Profile {
        self.profile.as_ref().map(|p| p.report()).unwrap_or_default()
    }

    /// Memory for tensors so far.
    pub fn memory(&self) -> PoolStats {
        self.pool.stats()
    }

    /// Memory on each device besides the host, by its name.
    pub fn device_memory(&self) -> Vec<(String, PoolStats)> {
        let stats = self.pools.iter().map(|pool| pool.stats());
        self.program.devices().iter().cloned().zip(stats).collect()
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        let mut kernels: Vec<KernelTime> = vec![];
        for site in self.profile().sites.into_iter().filter(|site| site.is_kernel) {
            match kernels.iter_mut().find(|k| k.kernel == site.name) {
                Some(known) => {
                    known.calls += site.calls;
                    known.time += site.time;
                }
                None => kernels.push(KernelTime { kernel: site.name, calls: site.calls, time: site.time }),
            }
        }
        kernels.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.kernel.cmp(&b.kernel)));
        Stats { runs: self.runs, memory: self.pool.stats(), kernels }
    }

    /// Starts measuring times and the peak of memory anew.
    pub fn reset_stats(&mut self) {
        self.runs = 0;
        self.set_profile(self.options.profile);
        self.pool.reset_peak();
        self.pools.iter().for_each(|pool| pool.reset_peak());
    }

    /// Gives memory that no value uses back to the system.
    pub fn trim(&self) {
        self.pool.trim();
        self.pools.iter().for_each(|pool| pool.trim());
    }
}

/// A pool on each device of a program, as far as they are there.
fn device_pools(program: &Program, limit: usize) -> Vec<Arc<Pool>> {
    let devices = program.inner.devices.iter().enumerate();
    devices.map_while(|(at, device)| Some(Pool::on(limit, DeviceId(at as u32 + 1), device.clone()?))).collect()
}

/// Inputs as registers hold them, checked against the signature but for the sizes of dimensions, which the bytecode
/// checks.
fn arguments<'v>(program: &Program, inputs: impl Iterator<Item = &'v Value> + Clone) -> Result<Vec<Slot>, RunError> {
    let signature = program.signature();
    let found = inputs.clone().count();
    if found != signature.inputs.len() {
        let kind = RunErrorKind::InputCount { expected: signature.inputs.len(), found };
        return Err(RunError { kind: Box::new(kind), node: None });
    }
    let slot = |(expected, value): (&SignatureValue, &Value)| {
        adt::from_value(signature, &expected.ty, value).map_err(|found| {
            let (input, expected_type) = (expected.name.clone(), found.expected);
            let kind = RunErrorKind::InputType { input, expected: expected_type, found: found.found };
            RunError { kind: Box::new(kind), node: expected.node.clone() }
        })
    };
    signature.inputs.iter().zip(inputs).map(slot).collect()
}
