//! Deep nesting neither overflows the stack nor costs more than it is long.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// What the tool prints for this text.
fn run(args: &[&str], text: String) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nim-opt"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(text.as_bytes()).expect("written"));
        child.wait_with_output().expect("the program ends")
    });
    assert!(output.status.success(), "{:?}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// `open` so many times, `inside`, `close` as often.
fn nest(levels: usize, open: &str, inside: &str, close: &str) -> String {
    format!("{}{inside}{}", open.repeat(levels), close.repeat(levels))
}

fn ifs(levels: usize) -> String {
    let body = nest(levels, "scf.if %c {\n", "\"t.op\"() : () -> ()\n", "}\n");
    format!("func.func @f(%c: i1) {{\n{body}return\n}}\n")
}

#[test]
fn ops_in_regions() {
    let text = run(&["--allow-unregistered-dialect", "--canonicalize", "--cse"], ifs(20_000));
    assert_eq!(text.matches("scf.if").count(), 20_000);
}

#[test]
fn modules_in_modules() {
    assert_eq!(run(&[], nest(20_000, "module {\n", "", "}\n")).matches("module").count(), 20_000);
}

#[test]
fn attributes_and_types() {
    let (array, tuple) = (nest(20_000, "[", "1", "]"), nest(20_000, "tuple<", "i1", ">"));
    let text = format!("\"t.op\"() {{a = {array}}} : () -> {tuple}\n");
    let printed = run(&["--allow-unregistered-dialect"], text);
    assert!(printed.contains(&array) && printed.contains(&tuple));
}

#[test]
fn the_cost_is_that_of_the_length() {
    let time = |levels| {
        let start = Instant::now();
        run(&["--allow-unregistered-dialect"], ifs(levels));
        start.elapsed()
    };
    // Ten times the text; a hundred times the time would be the square. Room is left for a busy machine.
    let (short, long) = (time(2_000), time(20_000));
    assert!(long < 40 * short + Duration::from_secs(2), "{short:?} for 2,000 levels, {long:?} for 20,000");
}
