//! Random small graphs: the interpreter at every level and the machine code give the same numbers.
//!
//! The seeds are the same in every run. `NIM_RANDOM=5000` tries so many of them, `NIM_RANDOM_FIRST=17` begins at another
//! one, `NIM_RANDOM_SHOW=1` shows the modules: a failure names its seed, the module cut off behind the first step that differs, and the sizes of its symbols.

mod generate;
mod levels;
mod rng;

use generate::Case;

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

#[test]
fn all_levels_agree() {
    let (first, count) = (number("NIM_RANDOM_FIRST", 0), number("NIM_RANDOM", 60));
    let show = number("NIM_RANDOM_SHOW", 0) != 0;
    let mut failures = vec![];
    for seed in first..first + count {
        let case = Case::new(seed, generate::STEPS);
        if show {
            eprintln!("// seed {seed}\n{}", case.text);
        }
        if let Err(why) = levels::check(&case) {
            let smaller = reduced(seed).unwrap_or_else(|| format!("{}\n{why}", case.text));
            failures.push(format!("seed {seed}, {smaller}"));
        }
    }
    assert!(failures.is_empty(), "{} of {count} graphs:\n\n{}", failures.len(), failures.join("\n\n"));
}
