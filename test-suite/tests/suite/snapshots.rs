//! Whole texts as they are shown, reviewed once and then guarded: errors as a user sees them, `--help` of each program,
//! three small models at every level. `INSTA_UPDATE=always` accepts what is printed now; read the diff.

use nim_test_suite::lit::{build, tools::Tools};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// The folder of the programs; they are built once.
static TOOLS: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| build::programs(&Tools::new(PathBuf::new()).llvm));

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a program says on both streams, run in the folder of the suite; `None` where it is not built, for want of LLVM.
fn run(program: &str, arguments: &[&str], input: &str) -> Option<String> {
    let path = TOOLS.as_ref().expect("the programs build").join(program);
    if !path.is_file() {
        return None;
    }
    let mut child = Command::new(path)
        .args(arguments)
        .current_dir(folder())
        .envs([("NO_COLOR", "1"), ("TERM", "dumb"), ("LC_ALL", "C"), ("COLUMNS", "100")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    use std::io::Write;
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the program reads");
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(text(&output.stdout) + &text(&output.stderr))
}

fn check(name: &str, text: &str) {
    if std::env::var_os("NIM_BLESS").is_some_and(|value| value != "0") {
        // As insta writes it; its own variable cannot be set from inside.
        let path = folder().join("snapshots").join(format!("{name}.snap"));
        let header = "---\nsource: test-suite/tests/suite/snapshots.rs\n---\n";
        std::fs::write(path, format!("{header}{}\n", text.trim_end())).expect("a snapshot is written");
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder().join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Each part of a file of mistakes, and what is said to it.
fn mistakes(name: &str) {
    let file = folder().join(format!("diagnostics/Inputs/{name}.nir"));
    let text = std::fs::read_to_string(&file).expect("the mistakes are there");
    let said = text.split("// -----\n").map(|part| {
        let said = run("nim-opt", &["--no-output"], part).expect("nim-opt needs no LLVM");
        assert!(said.contains("error"), "no error in\n{part}");
        format!("{part}\n{said}")
    });
    check(&format!("mistakes_{name}"), &said.collect::<Vec<_>>().join("\n"));
}

#[test]
fn mistakes_in_text() {
    mistakes("text");
}

#[test]
fn mistakes_in_shapes() {
    mistakes("shapes");
}

#[test]
fn mistakes_in_maps() {
    mistakes("maps");
}

#[test]
fn mistakes_in_pipelines() {
    let module = "func.func @f(%x: i32) -> i32 {\n  return %x : i32\n}\n";
    let pipelines = [
        "csee",
        "cse,dc e",
        "func.func(cse",
        "canonicalize{max-iterations=many}",
        "canonicalize{rounds=3}",
        "func.func(dataflow-outline)",
        "graph-to-dyn",
        "dataflow.kernel(cse)",
    ];
    let said = pipelines.map(|text| {
        let said = run("nim-opt", &["--no-output", &format!("--pass-pipeline={text}")], module);
        format!("--pass-pipeline='{text}'\n{}", said.expect("nim-opt needs no LLVM"))
    });
    check("mistakes_pipelines", &said.join("\n"));
}

#[test]
fn help() {
    for program in ["nim-opt", "nim-reduce", "nim-translate", "nim-compile", "nim-run", "nim-conformance"] {
        if let Some(text) = run(program, &["--help"], "") {
            // the number of threads is that of this machine
            let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
            check(&format!("help_{program}"), &text.replace(&format!("[default: {cores}]"), "[default: one a core]"));
        }
    }
}

/// The plain loop nests: schedules are a matter of `conversions/dataflow-to-loops`.
fn lowering(model: &str) {
    let file = format!("lowerings/Inputs/{model}.nir");
    for level in ["graph", "dataflow", "dyn", "mlir"] {
        let emit = format!("--emit={level}");
        let arguments = [file.as_str(), &emit, "--naive", "--target=x86-64-v3", "--threads=1", "-o", "-"];
        let Some(text) = run("nim-compile", &arguments, "") else {
            return;
        };
        check(&format!("lowering_{model}_{level}"), &text);
    }
}

#[test]
fn a_convolution_net() {
    lowering("conv_net");
}

#[test]
fn an_lstm() {
    lowering("lstm");
}

#[test]
fn attention() {
    lowering("attention");
}
