//! Writing and reading files: full disks, interrupted runs, damaged programs.

use super::*;
use std::{
    io::Write,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::Stdio,
    time::{Duration, Instant},
};

fn relu(folder: &Path) {
    write(folder, &model(vec![info("x", F32, "N,4")], vec![], vec![node("act: Relu(x) -> y")], &["y"]));
}

/// A model that is large in a file: a megabyte of weights.
fn large(folder: &Path) {
    let nodes = vec![node("big: Add(x, w) -> y")];
    let tensor = Tensor::new(&[512, 512], (0..512 * 512).map(|i| i as f32).collect());
    write(folder, &model(vec![info("x", F32, "512,512")], vec![tensor_proto(&tensor, "w")], nodes, &["y"]));
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A limit on the size of files stands for a full disk: both end a write in its middle.
#[test]
fn a_full_disk_leaves_the_old_file() {
    let folder = folder("full");
    large(&folder);
    for (tool, args, out) in [
        ("nim-compile", "model.onnx -o model.nimx", "model.nimx"),
        ("nim-compile", "model.onnx -o model.nir --emit=graph", "model.nir"),
        ("nim-translate", "--import-onnx model.onnx -o model.nir", "model.nir"),
    ] {
        fs::write(folder.join(out), "old").unwrap();
        let limited = format!("ulimit -f 100; exec '{}' {args}", program(tool).display());
        let mut shell = Command::new("sh");
        let said = refused(&shell.args(["-c", &limited]).current_dir(&folder).env("NO_COLOR", "1").output().unwrap());
        assert!(said.contains("File too large"), "{said}");
        assert_eq!(fs::read(folder.join(out)).unwrap(), b"old", "{tool} {args}");
        fs::remove_file(folder.join(out)).unwrap();
        assert_eq!(names(&folder), ["model.onnx"], "{tool} {args}");
    }
    let said = refused(&tool("nim-translate", &folder, &["--import-onnx", "model.onnx", "-o", "/dev/full"]));
    assert!(said.contains("No space left on device"), "{said}");
    let said = refused(&tool("nim-compile", &folder, &["model.onnx", "-o", "no/such/folder/model.nimx"]));
    assert!(said.contains("no/such/folder"), "{said}");
}

#[test]
fn damaged_programs() {
    let folder = folder("damaged-program");
    relu(&folder);
    accepted(&compile(&folder));
    let good = fs::read(folder.join("model.nimx")).unwrap();
    let run = |bytes: &[u8]| {
        fs::write(folder.join("bad.nimx"), bytes).unwrap();
        let said = refused(&tool("nim-run", &folder, &["bad.nimx", "--input", "x=1x4xf32=1"]));
        assert!(said.starts_with("nim-run: error: bad.nimx: "), "{said}");
        said
    };
    for len in [0, 1, 7, 30, 100, good.len() / 2, good.len() - 1] {
        let said = run(&good[..len]);
        assert!(said.contains("cut off") || said.contains("not a compiled program"), "{len}: {said}");
    }
    for part in 0..20 {
        let mut bytes = good.clone();
        let at = 20 + part * (good.len() - 21) / 20;
        bytes[at] ^= 0x55;
        fs::write(folder.join("bad.nimx"), &bytes).unwrap();
        let out = tool("nim-run", &folder, &["bad.nimx", "--input", "x=1x4xf32=1"]);
        // A byte between two sections has no meaning; one inside must be noticed.
        assert!(out.status.success() && good[at] == 0 || refused(&out).contains("damaged"), "byte {at}");
    }
    let mut older = good.clone();
    older[8] = 1;
    let said = run(&older);
    assert!(said.contains("format version 1, this runtime reads version "), "{said}");
    assert!(said.contains(": compile the model again"), "{said}");
    assert!(run(b"hello").contains("not a compiled program"));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn programs_for_another_machine() {
    if std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512fp16") {
        // There is no level above what this machine has.
        return;
    }
    let folder = folder("machine");
    relu(&folder);
    let lacking = if std::arch::is_x86_feature_detected!("avx512f") { "x86-64-v4+avx512fp16" } else { "x86-64-v4" };
    accepted(&tool("nim-compile", &folder, &["model.onnx", "-o", "model.nimx", "--target", lacking]));
    let said = refused(&tool("nim-run", &folder, &["model.nimx", "--input", "x=1x4xf32=1"]));
    assert!(said.contains(&format!("the code is for {lacking}")) && said.contains("avx512f"), "{said}");
}

/// Ctrl-C ends a compilation at once; the shell sees 130, the old file stays, and nothing is left aside.
#[test]
fn interrupted() {
    let folder = folder("interrupted");
    // Many kernels, no two of which are equal, take LLVM a while.
    let nodes = (0..400).map(|i| node(&format!("s{i}: Softmax(x{i}) -> y{i}"))).collect();
    let inputs = (0..400).map(|i| info(&format!("x{i}"), F32, &format!("3,{}", i + 5))).collect();
    let outputs: Vec<String> = (0..400).map(|i| format!("y{i}")).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    write(&folder, &model(inputs, vec![], nodes, &outputs));
    let scratch = folder.join("scratch");
    fs::create_dir(&scratch).unwrap();
    fs::write(folder.join("model.nimx"), "old").unwrap();
    let compile = ["model.onnx", "-o", "model.nimx"];
    for (tool, args, signal) in
        [("nim-compile", &compile[..], "INT"), ("nim-compile", &compile, "TERM"), ("nim-run", &compile[..1], "INT")]
    {
        // A terminal sends the signal to all that it has started: to the compiler that nim-run calls, too.
        let mut child = command(tool, &folder, args)
            .process_group(0)
            .env("TMPDIR", &scratch)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(400));
        assert!(child.try_wait().unwrap().is_none(), "the model compiles too fast to be interrupted");
        let start = Instant::now();
        assert!(
            Command::new("kill")
                .args([&format!("-{signal}"), "--", &format!("-{}", child.id())])
                .status()
                .unwrap()
                .success()
        );
        let status = child.wait().unwrap();
        // Loaded machines take their time; a whole compilation takes longer still.
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        let number = if signal == "INT" { 2 } else { 15 };
        assert_eq!(status.signal(), Some(number), "{status}");
        assert_eq!(fs::read(folder.join("model.nimx")).unwrap(), b"old");
        assert_eq!(names(&folder), ["model.nimx", "model.onnx", "scratch"]);
        assert_eq!(names(&scratch), Vec::<String>::new());
    }
}

#[test]
fn standard_input_and_output() {
    let folder = folder("pipes");
    relu(&folder);
    let feed = |name: &str, args: &[&str], bytes: &[u8]| {
        let mut child = command(name, &folder, args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        child.wait_with_output().unwrap()
    };
    let onnx = fs::read(folder.join("model.onnx")).unwrap();
    let text = feed("nim-translate", &["--import-onnx", "-"], &onnx);
    assert!(accepted(&text).contains("graph.relu %x : "), "{text:?}");
    let program = feed("nim-compile", &["-", "-o", "-"], &text.stdout);
    fs::write(folder.join("piped.nimx"), &program.stdout).unwrap();
    let run = tool("nim-run", &folder, &["piped.nimx", "--input", "x=1x4xf32=-1,2,-3,4"]);
    assert_eq!(accepted(&run), "y: 1x4xf32 [0, 2, 0, 4]\n");
    // The model itself through the pipe, compiled on the way.
    let run = feed("nim-run", &["-", "--input", "x=1x4xf32=-1,2,-3,4"], &onnx);
    assert_eq!(accepted(&run), "y: 1x4xf32 [0, 2, 0, 4]\n");
    for backend in ["interp", "dataflow", "loops", "dyn", "cpu"] {
        let backend = format!("--backend={backend}");
        let run = tool("nim-run", &folder, &["model.onnx", "--input", "x=1x4xf32=-1,2,-3,4", &backend]);
        assert_eq!(accepted(&run), "y: 1x4xf32 [0, 2, 0, 4]\n", "{backend}");
    }
}
