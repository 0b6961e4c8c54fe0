//! Where the time of runs goes: for each call of a kernel or of a runtime function, and for each kind of instruction.

use super::explain::Site;
use crate::bytecode::{DeviceId, Instr, KernelId, Size, Text};
use crate::machine::roof::Products;
use crate::program::Inner;
use std::collections::HashMap;
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
    /// What multiplies the factors of a kernel.
    pub products: Products,
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

/// What is written down while a session runs, of its program and of those for single shapes.
#[derive(Debug)]
pub(super) struct Recorder {
    begin: Instant,
    /// An index into `sites` for each program, function and instruction.
    places: HashMap<(u64, usize, usize), u32>,
    sites: Vec<SiteTime>,
    spans: Vec<(u32, Duration, Duration)>,
    runs: Vec<(Duration, Duration)>,
    pub(super) instructions: [u64; Instr::COUNT],
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder {
            begin: Instant::now(),
            places: HashMap::new(),
            sites: vec![],
            spans: vec![],
            runs: vec![],
            instructions: [0; Instr::COUNT],
        }
    }
}

impl Recorder {
    /// A run that began at `start` has ended.
    pub(super) fn run(&mut self, start: Instant) {
        self.runs.push((start - self.begin, start.elapsed()));
    }

    /// A call at some place has ended; `new` says what is called there.
    fn add(&mut self, site: Site<'_>, start: Instant, new: impl FnOnce() -> SiteTime) -> &mut SiteTime {
        let time = start.elapsed();
        let sites = &mut self.sites;
        let index = *self.places.entry((site.program.inner.id, site.function, site.at)).or_insert_with(|| {
            sites.push(SiteTime { node: site.node(), ..new() });
            sites.len() as u32 - 1
        });
        if self.spans.len() < MOST_SPANS {
            self.spans.push((index, start - self.begin, time));
        }
        let site = &mut self.sites[index as usize];
        site.calls += 1;
        site.time += time;
        site
    }

    pub(super) fn kernel(&mut self, site: Site<'_>, kernel: KernelId, symbols: &[i64], handed: usize, start: Instant) {
        let inner = &site.program.inner;
        let cost = inner.contents.costs.get(kernel.index()).and_then(Option::as_ref);
        let times = self.add(site, start, || SiteTime {
            name: inner.contents.kernels[kernel.index()].clone(),
            is_kernel: true,
            nodes: cost.map(|c| c.nodes.clone()).unwrap_or_default(),
            operations: cost.map(|_| 0.0),
            products: cost.map(|c| c.products).unwrap_or_default(),
            bytes: cost.map(|_| 0.0),
            ..SiteTime::default()
        });
        times.buffer_bytes += handed as f64;
        let more = |sum: &mut Option<f64>, size: Size| *sum = sum.map(|sum| sum + value(inner, size, symbols));
        if let Some(cost) = cost {
            more(&mut times.operations, cost.operations);
            more(&mut times.bytes, cost.bytes);
        }
    }

    pub(super) fn library(&mut self, site: Site<'_>, name: Text, start: Instant) {
        let name = || site.program.inner.contents.texts[name.index()].clone();
        self.add(site, start, || SiteTime { name: name(), ..SiteTime::default() });
    }

    /// A copy from one device to another.
    pub(super) fn copy(&mut self, site: Site<'_>, (from, to): (DeviceId, DeviceId), bytes: usize, start: Instant) {
        let name = |id: DeviceId| match id.index().checked_sub(1) {
            None => "host",
            Some(at) => site.program.devices().get(at).map_or("?", String::as_str),
        };
        let called = || format!("copy from {} to {}", name(from), name(to));
        let times = self.add(site, start, || SiteTime { name: called(), ..SiteTime::default() });
        times.buffer_bytes += bytes as f64;
    }

    pub(super) fn report(&self) -> Profile {
        let mut order: Vec<usize> = (0..self.sites.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(self.sites[i].time));
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
            sites: order.iter().map(|&i| self.sites[i].clone()).collect(),
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
