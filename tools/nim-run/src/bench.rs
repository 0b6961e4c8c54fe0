//! Measuring.

use nim_tensor::Value;
use nim_tools::{Engine, Failure};
use std::time::{Duration, Instant};

/// Milliseconds of runs.
#[derive(Clone, Debug)]
pub struct Timing {
    /// How many were measured.
    pub runs: usize,
    /// The shortest.
    pub min_ms: f64,
    /// The one in the middle.
    pub median_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Timing {
    /// Runs `warmup` times, then measures `runs` runs, at least one.
    pub fn measure(engine: &mut Engine, inputs: &[Value], warmup: usize, runs: usize) -> Result<Timing, Failure> {
        for _ in 0..warmup {
            engine.run(inputs)?;
        }
        let mut times = Vec::with_capacity(runs.max(1));
        for _ in 0..runs.max(1) {
            let start = Instant::now();
            let outputs = engine.run(inputs)?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
            // Giving the outputs back is not part of a run.
            drop(outputs);
        }
        Ok(Timing::of(times))
    }

    fn of(mut times: Vec<f64>) -> Timing {
        times.sort_by(f64::total_cmp);
        let middle = times.len() / 2;
        let median_ms = if times.len() % 2 == 1 { times[middle] } else { (times[middle - 1] + times[middle]) / 2.0 };
        Timing { runs: times.len(), min_ms: times[0], median_ms, max_ms: times[times.len() - 1] }
    }
}

/// Runs until the shape of the inputs has been run so often, and whatever is made for it then is there.
pub fn settle(engine: &mut Engine, inputs: &[Value], runs: u64) -> Result<(), Failure> {
    for _ in 0..runs {
        engine.run(inputs)?;
    }
    while engine.is_specialising() {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median() {
        let odd = Timing::of(vec![3.0, 1.0, 2.0]);
        assert_eq!((odd.min_ms, odd.median_ms, odd.max_ms), (1.0, 2.0, 3.0));
        assert_eq!(Timing::of(vec![4.0, 1.0, 2.0, 3.0]).median_ms, 2.5);
    }
}
