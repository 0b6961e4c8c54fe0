//! Random small graphs: the interpreter at every level and the machine code give the same numbers.
//!
//! The seeds are the same in every run. `NIM_RANDOM=5000` tries so many of them (else they end after half a minute),
//! `NIM_RANDOM_FIRST=17` begins at another one, `NIM_RANDOM_SHOW=1` shows the modules. A failure names its seed, the
//! module cut off behind the first step that differs, and the sizes of its symbols.

mod generate;
mod levels;
pub mod rng;

use self::generate::Case;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The first step whose result differs, when only that is given back.
fn reduced(seed: u64) -> Option<String> {
    (1..=generate::STEPS).find_map(|steps| {
        let case = Case::new(seed, steps);
        levels::check(&case).err().map(|why| format!("cut off behind step {steps}:\n{}\n{why}", case.text))
    })
}

/// Seeds that are tried however long it takes, unless it is said how many.
const LEAST: u64 = 20;
/// The others begin within this time.
const TIME: Duration = Duration::from_secs(30);

#[test]
fn all_levels_agree() {
    let first = number("NIM_RANDOM_FIRST", 0);
    let count = std::env::var("NIM_RANDOM").ok().and_then(|text| text.parse::<u64>().ok());
    let show = number("NIM_RANDOM_SHOW", 0) != 0;
    let (started, next, failures) = (Instant::now(), AtomicU64::new(0), Mutex::new(vec![]));
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let more = count.map_or(at < LEAST || started.elapsed() < TIME, |count| at < count);
            if !more {
                return;
            }
            let seed = first + at;
            let case = Case::new(seed, generate::STEPS);
            if show {
                eprintln!("// seed {seed}\n{}", case.text);
            }
            if let Err(why) = levels::check(&case) {
                let smaller = reduced(seed).unwrap_or_else(|| format!("{}\n{why}", case.text));
                failures.lock().expect("no thread panics while it adds").push(format!("seed {seed}, {smaller}"));
            }
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no step panics"));
    });
    let failures = failures.into_inner().expect("no thread panics while it adds");
    assert!(failures.is_empty(), "{} graphs:\n\n{}", failures.len(), failures.join("\n\n"));
}
