//! Which schedules of a kernel are measured, and in how much time: first those that the searches put first, then neighbours of the best.

use super::log::Measured;
use super::measure::{Refused, Subject};
use nim_loops_passes::schedule::candidates::{Candidates, Scored};
use nim_loops_passes::schedule::choice::{AUTO, Choice, Tiling};
use std::time::Duration;

/// Part of the time that the first round may take.
const FIRST: f64 = 0.6;
/// Most candidates of a round.
const MOST: usize = 16;

/// The trial of one kernel.
pub struct Trial<'a> {
    /// What is measured.
    pub subject: Subject<'a>,
    /// How long it may take.
    pub share: Duration,
    /// Seconds that the machine code of a candidate takes; learned on the way.
    pub compile: f64,
}

impl Trial<'_> {
    /// Measures candidates of each map in turn, the others as they are best so far: all that were measured, the search's own first.
    ///
    /// # Errors
    /// As [`Subject::measure`].
    pub fn run(&mut self, maps: &[Candidates]) -> Result<Vec<Measured>, Refused> {
        let mut best: Vec<String> = maps.iter().map(|_| AUTO.to_string()).collect();
        let mut all: Vec<Measured> = vec![];
        let many = maps.iter().filter(|map| map.all.len() > 1).count().max(1) as f64;
        for (at, map) in maps.iter().enumerate().filter(|(_, map)| map.all.len() > 1) {
            let share = self.share.as_secs_f64() / many;
            let own = |scored: &Scored| (scored.choice.to_string(), scored.estimate);
            let list: Vec<(String, Option<f64>)> = map.all.iter().map(own).collect();
            let winner = self.round(&mut all, &mut best, at, list, FIRST * share)?;
            // Neighbours of what was best, if anything was measured.
            if let Some(tiling) = winner {
                let list = neighbours(&tiling).into_iter().map(|choice| (choice.to_string(), None)).collect();
                self.round(&mut all, &mut best, at, list, (1.0 - FIRST) * share)?;
            }
        }
        Ok(all)
    }

    /// Measures schedules of one map for so many seconds; the best of all so far, where that is tiles.
    fn round(
        &mut self,
        all: &mut Vec<Measured>,
        best: &mut [String],
        at: usize,
        list: Vec<(String, Option<f64>)>,
        seconds: f64,
    ) -> Result<Option<Choice>, Refused> {
        let with = |best: &[String], text: &str| {
            let mut schedule = best.to_vec();
            schedule[at] = text.to_string();
            schedule
        };
        let mut schedules: Vec<(Vec<String>, Option<f64>)> = vec![];
        let fresh: Vec<(Vec<String>, Option<f64>)> = list
            .into_iter()
            .map(|(text, estimate)| (with(best, &text), estimate))
            .filter(|(schedule, _)| all.iter().all(|known| known.schedule != *schedule))
            .collect();
        // What others are compared with: at first the search's own.
        if !all.is_empty() {
            schedules.push((best.to_vec(), None));
        }
        let threads = self.subject.options.threads.max(1) as f64;
        let most = (0.7 * seconds / (self.compile / threads)) as usize;
        if most < 2 {
            return Ok(None);
        }
        schedules.extend(fresh.into_iter().take(most.min(MOST)));
        if schedules.len() < 2 {
            return Ok(best.get(at).and_then(|text| text.parse().ok()));
        }
        let texts: Vec<Vec<String>> = schedules.iter().map(|(schedule, _)| schedule.clone()).collect();
        let time = Duration::from_secs_f64(0.5 * seconds);
        let timed = self.subject.measure(&texts, time)?;
        let made = self.subject.compiled * threads / texts.len() as f64;
        self.compile = 0.5 * self.compile + 0.5 * made.max(0.01);
        let nanoseconds = |d: Duration| d.as_nanos() as f64;
        // Later rounds on the scale of the first: the machine may have become slower or faster.
        let known = all.iter().find(|known| known.schedule == texts[0]).and_then(|known| known.ns);
        let scale = match (known, timed[0]) {
            (Some(known), Some(now)) if !now.is_zero() => known / nanoseconds(now),
            _ => 1.0,
        };
        for (one, (schedule, estimate)) in timed.iter().zip(schedules) {
            let Some(time) = one.filter(|_| all.iter().all(|known| known.schedule != schedule)) else { continue };
            all.push(Measured { schedule, ns: Some(scale * nanoseconds(time)), estimate });
        }
        let time = |m: &&Measured| m.ns.unwrap_or(f64::MAX);
        if let Some(least) = all.iter().min_by(|a, b| time(a).total_cmp(&time(b))) {
            best.clone_from_slice(&least.schedule);
        }
        Ok(best.get(at).and_then(|text| text.parse().ok()))
    }
}

/// Tiles of nearly the same size, and the same tile in other orders.
fn neighbours(choice: &Choice) -> Vec<Choice> {
    let Some(tiling) = choice.tiling() else { return vec![] };
    let mut out: Vec<Tiling> = vec![];
    let mut add = |other: Tiling| {
        if other != *tiling && !out.contains(&other) {
            out.push(other);
        }
    };
    add(Tiling { outside: !tiling.outside, ..tiling.clone() });
    for block in [tiling.block * 2, tiling.block / 2, 0, tiling.block * 4, 1] {
        add(Tiling { block: block.max(0), ..tiling.clone() });
    }
    for rows in [tiling.rows + 1, tiling.rows - 1, tiling.rows + 2, tiling.rows - 2] {
        for even in [tiling.even, !tiling.even] {
            add(Tiling { rows: rows.max(1), even, ..tiling.clone() });
        }
    }
    add(Tiling { even: !tiling.even, ..tiling.clone() });
    for columns in [tiling.columns + 1, tiling.columns - 1] {
        add(Tiling { columns: columns.max(1), ..tiling.clone() });
    }
    let words = matches!(choice, Choice::Words(_));
    out.into_iter().map(|tiling| if words { Choice::Words(tiling) } else { Choice::Tiles(tiling) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_others_and_keep_their_dimensions() {
        let choice: Choice = "tiles:rows6=$0:columns2=$1:block4".parse().expect("parses");
        let all = neighbours(&choice);
        assert!(all.len() > 8 && all.iter().all(|other| *other != choice));
        let dims = |c: &Choice| c.tiling().map(|t| (t.row_dims.clone(), t.column_dims.clone()));
        assert!(all.iter().all(|other| dims(other) == dims(&choice)));
        assert!(neighbours(&Choice::Rows(None)).is_empty());
    }
}
