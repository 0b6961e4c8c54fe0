//! `--profile`: where the time of runs went, held against what the machine could do.

mod html;
mod trace;

use nim_tools::{Backend, Failure, Products, Profile, Roof, SiteTime, Stage};
use serde_json::{Value as Json, json};
use std::path::Path;

/// A profile, and the machine that it was made on.
pub struct Measured {
    profile: Profile,
    roof: Roof,
    threads: usize,
}

/// One place of the program, per run.
struct Row<'a> {
    site: &'a SiteTime,
    calls: f64,
    ms: f64,
    /// Part of the time of all runs.
    share: f64,
    /// Of kernels whose cost is known: operations and bytes a second in billions, and part of the roof.
    rates: Option<Rates>,
}

struct Rates {
    gflops: f64,
    gbytes: f64,
    /// Operations a byte.
    intensity: f64,
    /// Least time by the roof over the time it took.
    roof: f64,
}

impl Measured {
    /// Measures the machine too.
    pub fn new(profile: Profile, threads: usize) -> Measured {
        Measured { profile, roof: Roof::measure(threads), threads }
    }

    fn runs(&self) -> f64 {
        self.profile.runs.max(1) as f64
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let all = self.profile.time.as_secs_f64().max(1e-12);
        let row = |site| {
            let seconds = seconds(site);
            let (calls, ms) = (site.calls as f64 / self.runs(), 1e3 * seconds / self.runs());
            Row { site, calls, ms, share: seconds / all, rates: self.rates(site, seconds) }
        };
        self.profile.sites.iter().map(row).collect()
    }

    fn rates(&self, site: &SiteTime, seconds: f64) -> Option<Rates> {
        let (operations, bytes) = (site.operations?, site.bytes?);
        let calls = site.calls.max(1) as f64;
        let operations_of = (operations, site.products);
        let least = self.roof.least_time(operations_of, bytes, site.buffer_bytes / calls).as_secs_f64();
        let seconds = seconds.max(1e-12);
        Some(Rates {
            gflops: operations / seconds / 1e9,
            gbytes: bytes / seconds / 1e9,
            intensity: operations / bytes.max(1.0),
            roof: least / seconds,
        })
    }

    /// Time of a run that no call of the table accounts for, in milliseconds.
    fn rest_ms(&self) -> f64 {
        let counted: f64 = self.profile.sites.iter().map(seconds).sum();
        1e3 * (self.profile.time.as_secs_f64() - counted).max(0.0) / self.runs()
    }

    /// The machine in one line.
    fn machine(&self) -> String {
        let giga = |rate: f64| rate / 1e9;
        let others = self.peaks().into_iter().filter(|(of, _)| *of != Products::Single);
        let others: Vec<String> =
            others.map(|(of, rate)| format!(", {:.1} of {}", giga(rate), of.describe())).collect();
        format!(
            "roof with {} thread{}: {:.1} GFLOP/s{}, {:.1} GB/s from memory, {:.1} GB/s from cache",
            self.threads,
            if self.threads == 1 { "" } else { "s" },
            giga(self.roof.rate(Products::Single)),
            others.concat(),
            giga(self.roof.memory),
            giga(self.roof.cache)
        )
    }

    /// Operations a second on single numbers, and on factors of all other kinds that some kernel multiplies.
    fn peaks(&self) -> Vec<(Products, f64)> {
        let used = |of: Products| of == Products::Single || self.profile.sites.iter().any(|site| site.products == of);
        Products::ALL.into_iter().filter(|&of| used(of)).map(|of| (of, self.roof.rate(of))).collect()
    }
}

fn seconds(site: &SiteTime) -> f64 {
    site.time.as_secs_f64()
}

/// The node of a place, or nothing.
fn node(site: &SiteTime) -> &str {
    site.node.as_deref().unwrap_or("")
}

/// The table, the longest first.
pub fn table(measured: &Measured) -> Vec<String> {
    let mut lines = vec![
        measured.machine(),
        "      ms      %  calls   GFLOP/s     GB/s  moved MB  buffers MB  roof %  kernel  node".into(),
    ];
    for row in measured.rows() {
        let runs = measured.runs();
        let rates = match &row.rates {
            Some(r) => format!(
                "{:9.2} {:8.2} {:9.3} {:11.3} {:7.1}",
                r.gflops,
                r.gbytes,
                row.site.bytes.unwrap_or(0.0) / runs / 1e6,
                row.site.buffer_bytes / runs / 1e6,
                100.0 * r.roof
            ),
            None => format!("{:>9} {:>8} {:>9} {:>11} {:>7}", "-", "-", "-", "-", "-"),
        };
        let (ms, share, calls) = (row.ms, 100.0 * row.share, row.calls);
        lines.push(
            format!("{ms:8.3} {share:6.1} {calls:6} {rates}  {}  {}", row.site.name, node(row.site)).trim_end().into(),
        );
    }
    let (all, rest) = (1e3 * measured.profile.time.as_secs_f64() / measured.runs(), measured.rest_ms());
    let share = 100.0 * rest / all.max(1e-12);
    lines.push(format!("{rest:8.3} {share:6.1}  outside of these: instructions, memory, and looking at the clock"));
    lines.push(format!("{all:8.3}  a run"));
    let counts =
        measured.profile.instructions.iter().map(|(name, n)| format!("{name} {}", *n as f64 / measured.runs()));
    lines.push(format!("instructions a run: {}", counts.collect::<Vec<_>>().join(", ")));
    lines
}

/// The same for machines.
pub fn json(measured: &Measured) -> Json {
    let runs = measured.runs();
    let row = |row: &Row<'_>| {
        let each = |sum: f64| sum / runs;
        json!({
            "kernel": row.site.name, "is_kernel": row.site.is_kernel, "node": row.site.node, "nodes": row.site.nodes,
            "calls": row.calls, "ms": row.ms,
            "operations": row.site.operations.map(each), "bytes": row.site.bytes.map(each),
            "buffer_bytes": each(row.site.buffer_bytes),
            "products": row.site.products.describe(), "gflops": row.rates.as_ref().map(|r| r.gflops), "roof_share": row.rates.as_ref().map(|r| r.roof),
        })
    };
    let peaks = measured.peaks().into_iter().map(|(of, rate)| (of.describe().to_string(), json!(rate)));
    let peaks: serde_json::Map<String, Json> = peaks.collect();
    let counts: serde_json::Map<String, Json> =
        measured.profile.instructions.iter().map(|(name, n)| (name.to_string(), json!(*n as f64 / runs))).collect();
    json!({
        "runs": measured.profile.runs,
        "ms": 1e3 * measured.profile.time.as_secs_f64() / runs,
        "other_ms": measured.rest_ms(),
        "roof": {"flops": measured.roof.rate(Products::Single), "products": peaks, "memory": measured.roof.memory, "cache": measured.roof.cache},
        "sites": measured.rows().iter().map(row).collect::<Vec<_>>(),
        "instructions": counts,
    })
}

/// Fails when a file's name does not say what shall be written.
pub fn check(file: Option<&Path>) -> Result<(), Failure> {
    match file {
        Some(file) if !is(file, "json") && !is(file, "html") => {
            let message = format!("{}: a profile is written as .html (a page) or .json (a timeline)", file.display());
            Err(Failure::new(Stage::Run, message))
        }
        _ => Ok(()),
    }
}

/// Why there is no profile.
pub fn interpreted(backend: Backend) -> Failure {
    Failure::new(Stage::Run, format!("--backend={backend} has no profile: only compiled programs have one"))
}

/// What a file of this name shall contain.
pub fn file(path: &Path, model: &str, measured: &Measured) -> String {
    if is(path, "html") { html::page(model, measured) } else { trace::timeline(model, &measured.profile) }
}

fn is(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e == extension)
}
