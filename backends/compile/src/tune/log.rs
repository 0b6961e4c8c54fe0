//! What tuning found, as a file that is kept, replayed and handed on: JSON, one line a record.
//!
//! A line that describes a machine begins the records that were measured on it, so that logs of several machines may be put into one
//! file. A record has the key of a kernel (a hash of its text at the level of `dataflow` and of the options that its code depends on),
//! the schedules that were best, and all that were measured. Nothing in a log is believed: a schedule that is no point of the search
//! for the kernel at hand is passed over, so the worst that a wrong log can do is to make a program slower.

use super::machine::Machine;
use nim_ir::{Diagnostic, Loc};
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const FORMAT: u32 = 1;

/// The first line of the records of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    /// The format's version.
    nim_tune: u32,
    /// The version of the toolkit that measured.
    nim: String,
    machine: Machine,
}

/// Schedules of a kernel, one a map, and what they take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// One for each map, as [`nim_loops_passes::schedule::choice::Choice`] is written, or `auto`.
    pub schedule: Vec<String>,
    /// Median of the runs in nanoseconds; none where it was not measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ns: Option<f64>,
    /// The estimate in cycles, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub estimate: Option<f64>,
}

/// What was measured of a kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which kernel, under which options.
    pub key: String,
    /// Its name in the program that was tuned; for readers.
    pub kernel: String,
    /// The best: what is replayed.
    pub schedule: Vec<String>,
    /// Median of its runs in nanoseconds.
    pub ns: f64,
    /// All that were measured; the first is what the search takes.
    pub candidates: Vec<Measured>,
}

/// A log that was read, and what came to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    sections: Vec<(Header, Vec<Record>)>,
}

impl Log {
    /// Reads a log. What is damaged is left out, with a warning that says where (`N0758`).
    pub fn parse(text: &str, name: &str) -> (Log, Vec<Diagnostic>) {
        let (mut log, mut found) = (Log::default(), vec![]);
        // Whether the records at hand belong to a header that was understood.
        let mut inside = false;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let mut damaged = |what: String| {
                let message = format!("tuning log {name}, line {}: {what}", number + 1);
                found.push(Diagnostic::warning("N0758", Loc::UNKNOWN, message).help(
                    "the kernels of this line are compiled as if they were not in the log; --tune measures them anew",
                ));
            };
            if let Ok(header) = serde_json::from_str::<Header>(line) {
                inside = header.nim_tune == FORMAT;
                match inside {
                    true => log.sections.push((header, vec![])),
                    false => damaged(format!("format {} where {FORMAT} is read", header.nim_tune)),
                }
                continue;
            }
            match (serde_json::from_str::<Record>(line), log.sections.last_mut().filter(|_| inside)) {
                (Ok(record), Some((_, records))) => records.push(record),
                (Ok(_), None) => damaged("no machine is named before this record".into()),
                (Err(error), _) => damaged(error.to_string()),
            }
        }
        (log, found)
    }

    /// As text: all sections, each beginning with its machine.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let mut line = |text: Result<String, serde_json::Error>| {
            if let Ok(text) = text {
                out.push_str(&text);
                out.push('\n');
            }
        };
        for (header, records) in &self.sections {
            line(serde_json::to_string(header));
            records.iter().for_each(|record| line(serde_json::to_string(record)));
        }
        out
    }

    /// A warning if none of the log's machines is this one (`N0757`).
    pub fn foreign(&self, name: &str, here: &Machine) -> Option<Diagnostic> {
        let all: Vec<String> = self.sections.iter().map(|(h, _)| h.machine.to_string()).collect();
        let none = !all.is_empty() && self.sections.iter().all(|(h, _)| !h.machine.is_like(here));
        let all = all.join("; ");
        let message = format!("tuning log {name} was measured on {all}; this is {here}: its schedules are not used");
        let help = "--tune-log-any-machine uses them nevertheless, --tune measures here";
        none.then(|| Diagnostic::warning("N0757", Loc::UNKNOWN, message).help(help))
    }

    /// The record of a kernel that was measured on this machine, or on any.
    pub fn find(&self, key: &str, here: &Machine, any: bool) -> Option<&Record> {
        let own = self.sections.iter().filter(|(h, _)| h.machine.is_like(here));
        let others = self.sections.iter().filter(|(h, _)| any && !h.machine.is_like(here));
        // What was measured last counts.
        own.chain(others).find_map(|(_, records)| records.iter().rev().find(|record| record.key == key))
    }

    /// Adds what was measured here.
    pub fn add(&mut self, here: &Machine, record: Record) {
        let at = self.sections.iter().position(|(h, _)| h.machine == *here).unwrap_or_else(|| {
            let nim = env!("CARGO_PKG_VERSION").to_string();
            self.sections.push((Header { nim_tune: FORMAT, nim, machine: here.clone() }, vec![]));
            self.sections.len() - 1
        });
        let records = &mut self.sections[at].1;
        records.retain(|other| other.key != record.key);
        records.push(record);
    }

    /// Adds what another log knows.
    pub fn merge(&mut self, other: &Log) {
        for (header, records) in &other.sections {
            records.iter().for_each(|record| self.add(&header.machine, record.clone()));
        }
    }

    /// How many kernels it knows.
    pub fn len(&self) -> usize {
        self.sections.iter().map(|(_, records)| records.len()).sum()
    }

    /// Whether it knows nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, ns: f64) -> Record {
        let schedule = vec!["tiles:rows4=$0:columns2=$1".to_string()];
        let measured = Measured { schedule: schedule.clone(), ns: Some(ns), estimate: Some(12.5) };
        Record { key: key.into(), kernel: "matmul".into(), schedule, ns, candidates: vec![measured] }
    }

    #[test]
    fn text_comes_back_and_the_last_record_counts() {
        let here = Machine::named("here");
        let other = Machine::named("there");
        let mut log = Log::default();
        log.add(&here, record("a", 2.0));
        log.add(&here, record("a", 1.0));
        log.add(&other, record("b", 3.0));
        let (read, found) = Log::parse(&log.to_text(), "x.tune");
        assert!(found.is_empty(), "{found:?}");
        assert_eq!(read, log);
        assert_eq!(read.len(), 2);
        assert_eq!(read.find("a", &here, false).map(|r| r.ns), Some(1.0));
        assert!(read.find("b", &here, false).is_none());
        assert_eq!(read.find("b", &here, true).map(|r| r.ns), Some(3.0));
        assert!(read.foreign("x.tune", &here).is_none());
        let warning = read.foreign("x.tune", &Machine::named("nowhere")).expect("it is of other machines");
        assert!(["x.tune", "on here", "there", "is nowhere"].iter().all(|part| warning.message.contains(part)));
    }

    #[test]
    fn every_cut_of_a_log_is_read_without_what_was_cut() {
        let here = Machine::named("here");
        let mut log = Log::default();
        log.add(&here, record("a", 1.0));
        log.add(&here, record("b", 2.0));
        let text = log.to_text();
        for end in 0..text.len() {
            let (read, found) = Log::parse(&text[..end], "x.tune");
            let whole = text[..end].is_empty() || text[..end].ends_with(['}', '\n']);
            assert!(read.len() <= 2);
            assert!(whole || !found.is_empty(), "{end}");
        }
        let (read, found) = Log::parse(&text[text.find('\n').unwrap_or(0)..], "x.tune");
        assert!(read.is_empty() && found.len() == 2, "records without a machine");
        let (read, found) = Log::parse(&text.replace("\"nim_tune\":1", "\"nim_tune\":2"), "x.tune");
        assert!(read.is_empty() && found[0].message.contains("format 2"), "{found:?}");
    }
}
