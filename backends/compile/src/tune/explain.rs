//! The schedule of each kernel in words: which, why, and what the others take.

use super::log::Measured;
use super::{Explained, Origin};
use std::fmt::Write;

/// Candidates that are shown of each kernel.
const MOST: usize = 8;

/// A paragraph for each kernel: its schedule and where that comes from, then the candidates, the fastest first where they were measured,
/// else in the order in which they would be.
pub fn explain(all: &[Explained]) -> String {
    let mut out = String::new();
    for about in all {
        let schedule = if about.schedule.is_empty() { "in blocks".into() } else { about.schedule.join(", ") };
        let _ = write!(out, "@{}: {schedule}", about.kernel);
        let _ = match &about.refused {
            Some(why) => writeln!(out, " ({}; not measured: {why})", about.origin),
            None => writeln!(out, " ({})", about.origin),
        };
        let measured = about.candidates.iter().any(|c| c.ns.is_some());
        if about.candidates.len() < 2 && about.origin != Origin::Tuned {
            continue;
        }
        let mut candidates: Vec<&Measured> = about.candidates.iter().filter(|c| c.ns.is_some() == measured).collect();
        let first = candidates.first().copied();
        if measured {
            candidates.sort_by(|a, b| a.ns.unwrap_or(f64::MAX).total_cmp(&b.ns.unwrap_or(f64::MAX)));
        }
        let shown = candidates.iter().take(MOST).copied();
        // The search's own, wherever it stands.
        let own = first.filter(|first| !candidates.iter().take(MOST).any(|c| c == first));
        for candidate in shown.chain(own) {
            let time = candidate.ns.map_or(String::new(), |ns| format!("{:>9.1} us", ns / 1e3));
            let estimate = candidate.estimate.map_or("-".into(), |cycles| format!("{:.1}k", cycles / 1e3));
            let mark = if first.is_some_and(|first| first == candidate) { "  (the search's)" } else { "" };
            let _ = writeln!(out, "  {time} {estimate:>10} cycles  {}{mark}", candidate.schedule.join(", "));
        }
        if candidates.len() > MOST {
            let _ = writeln!(out, "  and {} more", candidates.len() - MOST);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_searchs_own_schedule_is_marked_and_the_fastest_comes_first() {
        let one = |text: &str, ns| Measured { schedule: vec![text.into()], ns: Some(ns), estimate: Some(2000.0) };
        let all = [Explained {
            kernel: "k".into(),
            schedule: vec!["b".into()],
            origin: Origin::Tuned,
            refused: None,
            candidates: vec![one("a", 2000.0), one("b", 1000.0)],
        }];
        let text = explain(&all);
        assert_eq!(
            text,
            "@k: b (tuned)\n        1.0 us       2.0k cycles  b\n        2.0 us       2.0k cycles  a  (the search's)\n"
        );
    }
}
