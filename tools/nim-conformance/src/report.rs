//! Reports: cases, failures by reason, operators.

use crate::{
    case::Case,
    run::{Outcome, Run},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// Cases and their operators.
pub fn list(cases: &[Case], as_json: bool) -> String {
    if as_json {
        let all: Vec<_> = cases.iter().map(|c| json!({"case": c.name, "ops": c.ops})).collect();
        return format!("{}\n", json!(all));
    }
    let line = |c: &Case| format!("{}  {}\n", c.name, c.ops.iter().cloned().collect::<Vec<_>>().join(" "));
    cases.iter().map(line).collect()
}

/// Everything, for programs.
pub fn json(cases: &[Case], runs: &[Run]) -> String {
    let outcome = |(case, o): (&Case, &Outcome)| {
        json!({
            "case": case.name,
            "ops": case.ops,
            "passed": o.failure.is_none(),
            "stage": o.failure.as_ref().map(|f| f.stage.name()),
            "message": o.failure.as_ref().map(|f| &f.message),
            // JSON has no infinity.
            "max_error": o.max_error.is_finite().then_some(o.max_error),
            "seconds": o.seconds,
        })
    };
    let run = |r: &Run| {
        json!({
            "mode": r.mode.to_string(),
            "backend": r.backend.to_string(),
            "passed": r.outcomes.len() - r.failed(),
            "failed": r.failed(),
            "cases": cases.iter().zip(&r.outcomes).map(outcome).collect::<Vec<_>>(),
        })
    };
    format!("{}\n", json!({"runs": runs.iter().map(run).collect::<Vec<_>>()}))
}

/// Everything, for people: failed cases, reasons, operators that are not all right, and the sum last.
pub fn text(cases: &[Case], runs: &[Run]) -> String {
    let mut out = String::new();
    for run in runs {
        let title = format!("{} {}", run.mode, run.backend);
        for (case, outcome) in cases.iter().zip(&run.outcomes) {
            if let Some(failure) = &outcome.failure {
                let _ = writeln!(out, "FAILED {title} {}  {failure}", case.name);
            }
        }
        reasons(&mut out, cases, run);
        operators(&mut out, cases, run);
    }
    for run in runs {
        let (passed, failed) = (run.outcomes.len() - run.failed(), run.failed());
        let _ = writeln!(out, "{} {}: {passed} passed, {failed} failed", run.mode, run.backend);
    }
    out
}

fn reasons(out: &mut String, cases: &[Case], run: &Run) {
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (case, outcome) in cases.iter().zip(&run.outcomes) {
        if let Some(failure) = &outcome.failure {
            let reason = format!("{}: {}", failure.stage, generalised(&failure.message));
            found.entry(reason).or_default().push(&case.name);
        }
    }
    if found.is_empty() {
        return;
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.len()));
    let _ = writeln!(out, "\n{} {} by reason:", run.mode, run.backend);
    for (reason, cases) in found {
        let _ =
            writeln!(out, "{:6}  {reason}  [{}{}]", cases.len(), cases[0], if cases.len() > 1 { ", ..." } else { "" });
    }
}

fn operators(out: &mut String, cases: &[Case], run: &Run) {
    let counts = by_operator(cases, run);
    let bad: Vec<String> = counts
        .iter()
        .filter(|(_, c)| c.passed < c.total)
        .map(|(op, c)| format!("{op} {}/{}", c.passed, c.total))
        .collect();
    let good = counts.len() - bad.len();
    let _ = writeln!(out, "\n{} {} by operator: {good} of {} pass all cases", run.mode, run.backend, counts.len());
    if !bad.is_empty() {
        let _ = writeln!(out, "  {}", bad.join(", "));
    }
}

/// The cases of one operator.
#[derive(Clone, Default, Debug)]
pub struct Count {
    /// Cases that passed.
    pub passed: usize,
    /// Cases with the operator.
    pub total: usize,
    /// Why others did not, without numbers and names of single nodes.
    pub reasons: BTreeSet<String>,
}

/// Cases by operator.
pub fn by_operator(cases: &[Case], run: &Run) -> BTreeMap<String, Count> {
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    for (case, outcome) in cases.iter().zip(&run.outcomes) {
        for op in &case.ops {
            let count = counts.entry(op.clone()).or_default();
            count.total += 1;
            match &outcome.failure {
                None => count.passed += 1,
                Some(failure) => {
                    count.reasons.insert(format!("{}: {}", failure.stage, generalised(&failure.message)));
                }
            }
        }
    }
    counts
}

/// A message without what differs from case to case: the node and numbers behind the first sentence.
pub fn generalised(message: &str) -> String {
    let head = message.split(" (node ").next().unwrap_or(message);
    let head = match head.split_once("elements differ") {
        Some(_) => "wrong numbers",
        None => head,
    };
    let mut out = String::new();
    // Digits of a word, as of `f32`, belong to it.
    let (mut in_number, mut in_word) = (false, false);
    for c in head.chars() {
        in_word = c.is_ascii_alphabetic() || in_word && c.is_ascii_digit();
        if c.is_ascii_digit() && !in_word {
            if !in_number {
                out.push('#');
            }
            in_number = true;
        } else {
            in_number = false;
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_by_what_they_say() {
        let text =
            "output \"y\": 3 of 9 elements differ, the first at [0]: 1.0 where 2.0 is expected; largest error 1e0";
        assert_eq!(generalised(text), "wrong numbers");
        assert_eq!(generalised("rank 3 is wrong for f32 (node \"a1\")"), "rank # is wrong for f32");
    }
}
