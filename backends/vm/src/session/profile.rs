//! Where the time of runs goes: for each call of a kernel or of a runtime function, and for each kind of instruction.

use super::explain::Site;
use crate::bytecode::{Instr, KernelId, Size, Text};
use crate::program::{Inner, Program};
use std::time::{Duration, Instant};

/// Most single calls that are kept for a timeline; sums go on behind them.
const MOST_SPANS: usize = 1 << 18;

/// What the calls at one place of a program took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SiteTime {
    /// The kernel or runtime function that is called.
    pub name: String,
    /// Whether it is a kernel.
    pub is_kernel: bool,
    /// The node of the model that the call comes from.
    pub node: Option<String>,
    /// All nodes that a kernel was made of.
    pub nodes: Vec<String>,
    /// How often it was called.
    pub calls: u64,
    /// Sum over all calls.
    pub time: Duration,
    /// Scalar operations of all calls, by the kernel's formula; `None` where it has none.
    pub operations: Option<f64>,
    /// Bytes that the accesses of its maps must move in all calls, by formula.
    pub bytes: Option<f64>,
    /// Bytes of the buffers that the calls were given: what would move if each were read or written once.
    pub buffer_bytes: f64,
}

/// One call in the order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Index into [`Profile::sites`].
    pub site: usize,
    /// When it began, since profiling began.
    pub start: Duration,
    /// How long it took.
    pub time: Duration,
}

/// Where the time of all runs went since profiling began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Number of runs that came to an end.
    pub runs: u64,
    /// Time of all of them.
    pub time: Duration,
    /// Each place that calls a kernel or a runtime function, the longest first.
    pub sites: Vec<SiteTime>,
    /// How often each instruction ran, by its name, the most frequent first.
    pub instructions: Vec<(&'static str, u64)>,
    /// Single calls, as they came; the first 262,144 of them.
    pub spans: Vec<Span>,
    /// When each run began and how long it took.
    pub run_spans: Vec<(Duration, Duration)>,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Kernel(KernelId),
    Library(Text),
}

#[derive(Debug)]
struct Times {
    what: What,
    function: usize,
    at: usize,
    calls: u64,
    time: Duration,
    operations: f64,
    bytes: f64,
    handed: f64,
}

/// What is written down while a session runs.
#[derive(Debug)]
pub(super) struct Recorder {
    begin: Instant,
    /// For each function and instruction, one more than an index into `times`.
    places: Vec<Vec<u32>>,
    times: Vec<Times>,
    spans: Vec<(u32, Duration, Duration)>,
    runs: Vec<(Duration, Duration)>,
    pub(super) instructions: [u64; Instr::COUNT],
}

impl Recorder {
    pub(super) fn new(program: &Program) -> Recorder {
        Recorder {
            begin: Instant::now(),
            places: program.inner.functions.iter().map(|f| vec![0; f.nodes.len()]).collect(),
            times: vec![],
            spans: vec![],
            runs: vec![],
            instructions: [0; Instr::COUNT],
        }
    }

    /// A run that began at `start` has ended.
    pub(super) fn run(&mut self, start: Instant) {
        self.runs.push((start - self.begin, start.elapsed()));
    }

    fn add(&mut self, site: Site<'_>, what: What, start: Instant) -> Option<&mut Times> {
        let time = start.elapsed();
        let place = self.places.get_mut(site.function)?.get_mut(site.at)?;
        if *place == 0 {
            let Site { function, at, .. } = site;
            let zero = Duration::ZERO;
            self.times.push(Times {
                what,
                function,
                at,
                calls: 0,
                time: zero,
                operations: 0.0,
                bytes: 0.0,
                handed: 0.0,
            });
            *place = self.times.len() as u32;
        }
        let index = *place - 1;
        if self.spans.len() < MOST_SPANS {
            self.spans.push((index, start - self.begin, time));
        }
        let times = self.times.get_mut(index as usize)?;
        times.calls += 1;
        times.time += time;
        Some(times)
    }

    pub(super) fn kernel(&mut self, site: Site<'_>, kernel: KernelId, symbols: &[i64], handed: usize, start: Instant) {
        let Some(times) = self.add(site, What::Kernel(kernel), start) else { return };
        times.handed += handed as f64;
        let inner = &site.program.inner;
        if let Some(cost) = inner.contents.costs.get(kernel.index()).and_then(Option::as_ref) {
            times.operations += value(inner, cost.operations, symbols);
            times.bytes += value(inner, cost.bytes, symbols);
        }
    }

    pub(super) fn library(&mut self, site: Site<'_>, name: Text, start: Instant) {
        self.add(site, What::Library(name), start);
    }

    pub(super) fn report(&self, program: &Program) -> Profile {
        let contents = &program.inner.contents;
        let site = |t: &Times| {
            let (name, cost) = match t.what {
                What::Kernel(k) => {
                    (&contents.kernels[k.index()], contents.costs.get(k.index()).and_then(Option::as_ref))
                }
                What::Library(text) => (&contents.texts[text.index()], None),
            };
            SiteTime {
                name: name.clone(),
                is_kernel: matches!(t.what, What::Kernel(_)),
                node: Site { program, function: t.function, at: t.at }.node(),
                nodes: cost.map(|c| c.nodes.clone()).unwrap_or_default(),
                calls: t.calls,
                time: t.time,
                operations: cost.map(|_| t.operations),
                bytes: cost.map(|_| t.bytes),
                buffer_bytes: t.handed,
            }
        };
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(self.times[i].time));
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(to, &from)| place[from] = to);
        let span =
            |&(index, start, time): &(u32, Duration, Duration)| Span { site: place[index as usize], start, time };
        let counted = Instr::TABLE.iter().map(|d| d.mnemonic).zip(self.instructions);
        let mut instructions: Vec<(&'static str, u64)> = counted.filter(|(_, n)| *n > 0).collect();
        instructions.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
        Profile {
            runs: self.runs.len() as u64,
            time: self.runs.iter().map(|r| r.1).sum(),
            sites: order.iter().map(|&i| site(&self.times[i])).collect(),
            instructions,
            spans: self.spans.iter().map(span).collect(),
            run_spans: self.runs.clone(),
        }
    }
}

/// A formula over the kernel's symbols; 0 where it has no value.
fn value(inner: &Inner, size: Size, symbols: &[i64]) -> f64 {
    let value = inner.contents.sizes.get(size.index()).and_then(|s| s.eval(symbols).ok());
    value.map_or(0.0, |v| v.max(0) as f64)
}
