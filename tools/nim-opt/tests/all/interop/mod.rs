//! What upstream's `mlir-opt` prints in generic form reads here and prints so that it reads it back as the same module.
//!
//! Inputs are modules of a seeded generator; files of all dialects are in `test-suite/interop`.
//! Without `mlir-opt` the tests count themselves as skipped, unless `NIM_EXPECT` names it.

mod generate;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const GENERIC: [&str; 3] = ["--allow-unregistered-dialect", "--mlir-print-op-generic", "--split-input-file"];

/// Upstream's tool, if it is installed.
fn mlir_opt() -> Option<PathBuf> {
    let prefix = std::env::var_os("MLIR_SYS_220_PREFIX").map_or("/usr/lib/llvm-22".into(), PathBuf::from);
    let tool = prefix.join("bin/mlir-opt");
    let expected = std::env::var("NIM_EXPECT").is_ok_and(|names| names.split_whitespace().any(|n| n == "mlir-opt"));
    assert!(tool.is_file() || !expected, "NIM_EXPECT names mlir-opt, but {} is not there", tool.display());
    if !tool.is_file() {
        eprintln!("skipped: mlir-opt is not installed");
    }
    tool.is_file().then_some(tool)
}

/// What a program prints for this input.
fn filter(program: &Path, args: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that gives up early closes its end; what it says about it matters.
            let _ = stdin.write_all(input.as_bytes());
        });
        child.wait_with_output().expect("the program ends")
    });
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).expect("text")),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The first line in which two texts differ.
fn difference(a: &str, b: &str) -> String {
    let lines = a.lines().zip(b.lines()).find(|(x, y)| x != y);
    lines.map_or_else(|| "one text ends early".into(), |(x, y)| format!("  {x}\nbecame\n  {y}"))
}

/// Upstream's generic form through our tool and back, with and without locations.
fn round_trip(upstream: &Path, name: &str, text: &str) {
    let ours = Path::new(env!("CARGO_BIN_EXE_nim-opt"));
    for locations in [None, Some("--mlir-print-debuginfo")] {
        let args: Vec<&str> = GENERIC.into_iter().chain(locations).collect();
        let original = filter(upstream, &args, text).unwrap_or_else(|e| panic!("{name} is not valid upstream:\n{e}"));
        let printed = filter(ours, &args, &original).unwrap_or_else(|e| panic!("{name} is not read:\n{e}"));
        let again = filter(upstream, &args, &printed).unwrap_or_else(|e| panic!("{name} is not read back:\n{e}"));
        assert!(again == original, "{name}:\n{}", difference(&original, &again));
    }
}

#[test]
fn generated_modules_come_back_identical() {
    let Some(upstream) = mlir_opt() else { return };
    for seed in 0..8 {
        let text = generate::module(seed, 600);
        round_trip(&upstream, &format!("the module of seed {seed}"), &text);
    }
}

#[cfg(feature = "mlir")]
#[test]
fn generated_modules_are_read_in_upstreams_own_syntax() {
    let Some(upstream) = mlir_opt() else { return };
    let ours = Path::new(env!("CARGO_BIN_EXE_nim-opt"));
    for seed in 100..104 {
        let text = generate::module(seed, 300);
        let pretty = filter(&upstream, &["--allow-unregistered-dialect", "--split-input-file"], &text).expect("valid");
        let original = filter(&upstream, &GENERIC, &pretty).expect("what upstream prints it reads");
        let printed = filter(ours, &GENERIC, &pretty).unwrap_or_else(|e| panic!("seed {seed} is not read:\n{e}"));
        let again =
            filter(&upstream, &GENERIC, &printed).unwrap_or_else(|e| panic!("seed {seed} is not read back:\n{e}"));
        assert!(again == original, "seed {seed}:\n{}", difference(&original, &again));
    }
}
