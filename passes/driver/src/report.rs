//! What passes tell when they are done.

use nim_ir::Diagnostic;
use std::{collections::BTreeMap, fmt::Write, time::Duration};

/// What one pass did.
#[derive(Clone, Debug, Default)]
pub struct PassReport {
    /// Numbers by name: `folded: 12`.
    pub statistics: BTreeMap<&'static str, u64>,
    /// Warnings and notes.
    pub diagnostics: Vec<Diagnostic>,
}

impl PassReport {
    /// Nothing to tell.
    pub fn new() -> PassReport {
        PassReport::default()
    }
    /// Adds to a number.
    pub fn count(&mut self, name: &'static str, n: u64) {
        *self.statistics.entry(name).or_default() += n;
    }
    /// Adds another report's numbers and diagnostics.
    pub fn merge(&mut self, other: PassReport) {
        for (name, n) in other.statistics {
            self.count(name, n);
        }
        self.diagnostics.extend(other.diagnostics);
    }
}

/// What one step of a pipeline did, and how long it took.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The pass with its options, as the pipeline's text writes it.
    pub step: String,
    /// What it told.
    pub report: PassReport,
    /// Time of the pass.
    pub time: Duration,
    /// Time of the verifier after it.
    pub verify_time: Duration,
    /// How many bodies it worked on; `None` for a pass over the module.
    pub bodies: Option<usize>,
}

/// What a pipeline did.
#[derive(Clone, Debug, Default)]
pub struct RunReport {
    /// Its steps in order.
    pub steps: Vec<StepReport>,
}

impl StepReport {
    /// The pass without its options.
    pub fn pass(&self) -> &str {
        self.step.split('{').next().unwrap_or_default()
    }
}

impl RunReport {
    /// All warnings and notes in order.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.steps.iter().flat_map(|s| &s.report.diagnostics)
    }
    /// A table of times: one line a step, then the sum.
    pub fn timing_table(&self) -> String {
        let mut out = String::from("     time   verify  pass\n");
        let (mut time, mut verify) = (Duration::ZERO, Duration::ZERO);
        for step in &self.steps {
            let _ = writeln!(
                out,
                "{:>7.3} s {:>6.3} s  {}",
                step.time.as_secs_f64(),
                step.verify_time.as_secs_f64(),
                step.step
            );
            time += step.time;
            verify += step.verify_time;
        }
        let _ = writeln!(out, "{:>7.3} s {:>6.3} s  total", time.as_secs_f64(), verify.as_secs_f64());
        out
    }
    /// The same with one line a pass, whatever its options and however often it ran, the longest first.
    pub fn timing_list(&self) -> String {
        let mut passes: BTreeMap<&str, StepReport> = BTreeMap::new();
        for step in &self.steps {
            let sum = passes.entry(step.pass()).or_insert_with(|| StepReport {
                step: step.pass().into(),
                report: PassReport::new(),
                time: Duration::ZERO,
                verify_time: Duration::ZERO,
                bodies: None,
            });
            sum.time += step.time;
            sum.verify_time += step.verify_time;
        }
        let mut steps: Vec<StepReport> = passes.into_values().collect();
        steps.sort_by_key(|s| std::cmp::Reverse(s.time));
        RunReport { steps }.timing_table()
    }
    /// The times as JSON: a list of passes with seconds of the pass and of the verifier.
    pub fn timing_json(&self) -> String {
        let steps: Vec<String> = self
            .steps
            .iter()
            .map(|s| {
                let (time, verify) = (s.time.as_secs_f64(), s.verify_time.as_secs_f64());
                format!("  {{\"pass\": {}, \"seconds\": {time:.6}, \"verify\": {verify:.6}}}", json(&s.step))
            })
            .collect();
        format!("[\n{}\n]\n", steps.join(",\n"))
    }
    /// The times as a trace that Chrome and Perfetto show: each pass, then its verifier.
    pub fn timing_chrome(&self) -> String {
        let (mut events, mut at) = (vec![], Duration::ZERO);
        for step in &self.steps {
            for (name, time) in [(step.step.clone(), step.time), (format!("verify {}", step.step), step.verify_time)] {
                let (start, length) = (at.as_micros(), time.as_micros());
                events.push(format!(
                    "  {{\"name\": {}, \"ph\": \"X\", \"ts\": {start}, \"dur\": {length}, \"pid\": 1, \"tid\": 1}}",
                    json(&name)
                ));
                at += time;
            }
        }
        format!("{{\"traceEvents\": [\n{}\n]}}\n", events.join(",\n"))
    }
    /// A table of numbers: one line a statistic.
    pub fn statistics_table(&self) -> String {
        let mut out = String::new();
        for step in &self.steps {
            for (name, n) in &step.report.statistics {
                let _ = writeln!(out, "{n:>9}  {}: {name}", step.step);
            }
        }
        out
    }
    /// The same with the numbers of all runs of a pass added up, sorted by its name.
    pub fn statistics_list(&self) -> String {
        let mut passes: BTreeMap<&str, PassReport> = BTreeMap::new();
        for step in &self.steps {
            step.report.statistics.iter().for_each(|(name, n)| passes.entry(step.pass()).or_default().count(name, *n));
        }
        let lines =
            passes.iter().flat_map(|(pass, report)| report.statistics.iter().map(move |(name, n)| (pass, name, n)));
        lines.fold(String::new(), |mut out, (pass, name, n)| {
            let _ = writeln!(out, "{n:>9}  {pass}: {name}");
            out
        })
    }
}

/// A text as JSON.
fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}
