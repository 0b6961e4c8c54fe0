//! A bounded run of each fuzz target: texts of the suite, changed here and there. `NIM_FUZZ_ROUNDS=100000` runs longer.

use nim_test_suite::fuzz::{self, TARGETS};
use std::path::{Path, PathBuf};

/// A small generator of numbers: the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

fn rounds(usual: usize) -> usize {
    std::env::var("NIM_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
    found.sort();
}

/// Pieces of the suite's texts below a folder, not too long each.
fn texts(folder: &str, ending: &str) -> Vec<Vec<u8>> {
    let mut paths = vec![];
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), ending, &mut paths);
    let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let parts = paths.iter().map(read).flat_map(|t| t.split("// -----").map(str::to_owned).collect::<Vec<_>>());
    let parts: Vec<Vec<u8>> = parts.filter(|t| t.len() < 4000).map(String::into_bytes).collect();
    assert!(!parts.is_empty(), "{folder} has no texts");
    parts
}

/// Some bytes changed, removed, doubled, or taken from elsewhere.
fn change(random: &mut Random, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = seed.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(out.len());
        let end = (at + 1 + random.below(12)).min(out.len());
        match random.below(5) {
            0 if !out.is_empty() => out[at] = b" {}()<>[]=,:%@#!\"0129-x?"[random.below(24)],
            1 => drop(out.drain(at..end)),
            2 => {
                let copy = out[at..end].to_vec();
                out.splice(at..at, copy);
            }
            3 => {
                let from = random.below(other.len());
                let to = (from + random.below(40)).min(other.len());
                out.splice(at..end, other[from..to].iter().copied());
            }
            _ if !out.is_empty() => out[at] = out[at].wrapping_add(1),
            _ => {}
        }
    }
    out
}

fn run(name: &str, seeds: &[Vec<u8>], count: usize) {
    let target = TARGETS.iter().find(|(n, _)| *n == name).expect("a target of this name").1;
    let mut random = Random(name.len() as u64);
    seeds.iter().for_each(|seed| target(seed));
    for _ in 0..rounds(count) {
        let (seed, other) = (random.below(seeds.len()), random.below(seeds.len()));
        target(&change(&mut random, &seeds[seed], &seeds[other]));
    }
}

#[test]
fn lexer() {
    run("lexer", &texts("dialects", "nir"), 3000);
}
#[test]
fn parser() {
    run("parser", &texts("dialects", "nir"), 1500);
}
#[test]
fn round_trip() {
    run("round_trip", &texts("dialects", "nir"), 1500);
}
#[test]
fn bytecode() {
    let modules: Vec<Vec<u8>> = texts("dialects", "nir").iter().filter_map(|t| fuzz::as_bytecode(t)).collect();
    assert!(modules.len() > 10, "few texts are modules");
    run("bytecode", &modules, 4000);
}
#[test]
fn irdl() {
    run("irdl", &texts("tools/nim-opt/Inputs", "irdl"), 3000);
}
#[test]
fn pipeline() {
    let seeds = [
        "builtin.module(func.func(cse,canonicalize{max-iterations=3}),inline{max-ops=20})",
        "graph-to-dataflow,dataflow-fuse{inline=false epilogue=true},dataflow-outline",
        "dataflow-to-loops{schedule=naive},dce",
    ];
    run("pipeline", &seeds.map(|s| s.as_bytes().to_vec()), 4000);
}
#[test]
fn passes() {
    let mut random = Random(11);
    let target = TARGETS.iter().find(|(n, _)| *n == "passes").expect("the target").1;
    for _ in 0..rounds(40) {
        let length = 4 + random.below(70);
        let data: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        target(&data);
    }
}

/// No pass is left out of what programs are compared before and after, but one that is there to round: `precision.rs` of the compiler's
/// tests holds it against its own meaning.
#[test]
fn passes_are_all_run() {
    let mut run: Vec<&str> = fuzz::SAME.iter().flat_map(|pipeline| pipeline.split(',')).collect();
    run.push("graph-lower-precision");
    let registry = fuzz::registry();
    let missing: Vec<&str> = registry.passes().map(|p| p.name).filter(|name| !run.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Each target has a program under cargo-fuzz, and each of those is a target.
#[test]
fn targets_are_programs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut paths = vec![];
    files(&folder.join("fuzz_targets"), "rs", &mut paths);
    let mut programs: Vec<String> = paths.iter().filter_map(|p| Some(p.file_stem()?.to_str()?.to_owned())).collect();
    programs.sort();
    let mut names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    names.sort();
    assert_eq!(programs, names);
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("the manifest of the fuzz targets");
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is no program of fuzz/Cargo.toml");
    }
}
