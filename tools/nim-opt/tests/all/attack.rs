//! Pipelines and IRDL files that nobody would write cost what they are long, and are refused or understood.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
    time::{Duration, Instant},
};

const MANY: usize = 100_000;

/// A file of these bytes.
fn file(name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).expect("a file");
    path
}

/// What the tool says; it neither crashes nor takes long.
fn run(args: &[&str]) -> (Output, String) {
    let start = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_nim-opt")).args(args).output().expect("the program starts");
    let said = String::from_utf8(output.stderr.clone()).expect("text");
    let end = said.char_indices().nth(200).map_or(said.len(), |(at, _)| at);
    assert!(matches!(output.status.code(), Some(0..=2)), "{:?}: {}", output.status, &said[..end]);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}: {}", start.elapsed(), &said[..end]);
    (output, said)
}

fn pipeline(name: &str, text: impl AsRef<[u8]>) -> (Output, String) {
    let path = file(name, text);
    run(&["--check-pipeline", "--pass-pipeline-file", path.to_str().expect("a path")])
}

#[test]
fn pipelines() {
    let nested = |open: &str, inside: &str| format!("{}{inside}{}", open.repeat(MANY), ")".repeat(MANY));
    assert!(pipeline("deep.txt", nested("builtin.module(", "cse")).0.status.success());
    assert!(pipeline("long.txt", vec!["cse"; MANY].join(",")).0.status.success());
    for (name, text, code) in [
        ("misplaced.txt", nested("func.func(", "cse"), "N0801"),
        ("open.txt", "builtin.module(".repeat(MANY), "N0800"),
        ("braces.txt", "cse{".repeat(MANY), "N0800"),
        ("twice.txt", format!("canonicalize{{{}}}", "max-iterations=1 ".repeat(MANY)), "N0800"),
        (
            "options.txt",
            format!("canonicalize{{{}}}", (0..MANY).map(|i| format!("a{i}=1 ")).collect::<String>()),
            "N0800",
        ),
        ("digits.txt", format!("canonicalize{{max-iterations={}}}", "9".repeat(MANY)), "N0806"),
        ("letters.txt", "csé\u{202e}\u{1f600}{\0=ü}".to_string(), "N0802"),
    ] {
        let (output, said) = pipeline(name, text);
        assert!(!output.status.success(), "{name}");
        assert!(said.contains(code), "{name}");
    }
    let (output, said) = pipeline("bytes.txt", b"cse{\xff\xfe}");
    assert!(output.status.code() == Some(2) && said.contains("UTF-8"));
}

/// An op `d.o` whose operand satisfies the last of these constraints, checked against an `i32`.
fn irdl(name: &str, constraints: &str, last: usize) -> (Output, String) {
    let text = format!(
        "irdl.dialect @d {{\n  irdl.type @t {{\n    %p = irdl.any\n    irdl.parameters(p: %p)\n  }}\n  irdl.operation @o {{\n\
         {constraints}    irdl.operands(x: %{last})\n  }}\n}}\n"
    );
    let definitions = file(&format!("{name}.irdl"), text);
    let module = file(&format!("{name}.nir"), "%0 = \"x.y\"() : () -> i32\n\"d.o\"(%0) : (i32) -> ()\n");
    let path = |p: &PathBuf| p.to_str().expect("a path").to_string();
    run(&["--allow-unregistered-dialect", "--irdl-file", &path(&definitions), &path(&module)])
}

#[test]
fn irdl_files() {
    let chain = |first: &str, step: &dyn Fn(usize) -> String, n: usize| {
        let steps: String = (1..n).map(|i| format!("    %{i} = {}\n", step(i - 1))).collect();
        (format!("    %0 = irdl.is {first}\n{steps}"), n - 1)
    };
    let twice = |i: usize| format!("irdl.any_of(%{i}, %{i})");
    let (text, last) = chain("i32", &twice, MANY);
    assert!(irdl("alternatives", &text, last).0.status.success());
    // Each alternative fails, and was looked at 2 to the power of 100,000 times.
    let (text, last) = chain("i64", &twice, MANY);
    let (_, said) = irdl("no-alternative", &text, last);
    assert!(said.contains("N0154") && said.len() < 2000, "{}", said.len());
    let (text, last) = chain("i32", &|i| format!("irdl.parametric @d::@t<%{i}>"), MANY);
    assert!(irdl("parametric", &text, last).1.contains("`irdl.parametric` wants `d.t`"));
    let tuple = format!("{}i32{}", "tuple<".repeat(MANY), ">".repeat(MANY));
    assert!(irdl("tuples", &format!("    %0 = irdl.is {tuple}\n"), 0).1.contains("N0154"));
    assert!(irdl("wide", "    %0 = irdl.is i99999999999999999999\n", 0).1.contains("N0150"));
    let many = "    %r = irdl.region with size 99999999999999999999999\n    irdl.regions(r: %r)\n    %0 = irdl.any\n";
    assert!(irdl("regions", many, 0).1.contains("N0153"));
    assert!(irdl("names", "    %0 = irdl.is \u{202e}\u{1f600}\n", 0).1.contains("N0150"));
}
