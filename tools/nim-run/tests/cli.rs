//! The command line of `nim-run` on a small model, with the reference interpreter.

use nim_onnx::encode_value;
use nim_tensor::{Tensor, Value, npy};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const MODEL: &str = r#"
func.func @main(%x: tensor<[N]x2xf32>, %y: tensor<[N]x2xf32>) -> tensor<[N]x2xf32>
    attributes {nim.input_names = ["x", "y"], nim.output_names = ["sum"]} {
  %0 = graph.add %x, %y : (tensor<[N]x2xf32>, tensor<[N]x2xf32>) -> tensor<[N]x2xf32>
  return %0 : tensor<[N]x2xf32>
}
"#;

/// A folder of this test's own, with the model in it.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("model.nir"), MODEL).unwrap();
    folder
}

fn nim_run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nim-run"));
    command.current_dir(folder).args(args).arg("--backend=interp").env("NO_COLOR", "1").output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn tensor(values: &[f32]) -> Tensor {
    Tensor::new(&[values.len() / 2, 2], values.to_vec())
}

/// A data set; the expected sum may be wrong.
fn data_set(folder: &Path, number: usize, x: &[f32], y: &[f32], sum: &[f32]) {
    let set = folder.join(format!("test_data_set_{number}"));
    fs::create_dir_all(&set).unwrap();
    for (file, values) in [("input_0.pb", x), ("input_1.pb", y), ("output_0.pb", sum)] {
        fs::write(set.join(file), encode_value(&Value::Tensor(tensor(values)), "").unwrap()).unwrap();
    }
}

#[test]
fn inputs_of_the_command_line() {
    let folder = folder("inputs");
    fs::write(folder.join("x.npy"), npy::write(&tensor(&[1.0, 2.0, 3.0, 4.0])).unwrap()).unwrap();
    let out =
        nim_run(&folder, &["model.nir", "--input", "x=@x.npy", "--input", "y=2x2xf32=10", "--save-outputs", "out"]);
    assert_eq!(text(&out.stdout), "sum: 2x2xf32 [11, 12, 13, 14]\n", "{}", text(&out.stderr));
    let saved = npy::read(&nim_tensor::Blob::new(fs::read(folder.join("out/output_0.npy")).unwrap())).unwrap();
    assert_eq!(saved, tensor(&[11.0, 12.0, 13.0, 14.0]));
    assert!(folder.join("out/output_0.pb").is_file());
}

#[test]
fn inputs_that_do_not_fit() {
    let folder = folder("wrong");
    let message = |args: &[&str]| {
        let out = nim_run(&folder, &[&["model.nir"], args].concat());
        assert_eq!(out.status.code(), Some(1));
        assert_eq!(text(&out.stdout), "");
        text(&out.stderr).to_string()
    };
    assert_eq!(
        message(&["--input", "x=2x2xf32=1", "--input", "y=3x2xf32=1"]),
        "nim-run: error: input \"y\": dimension 0 is 3, but it is N, which is 2 by dimension 0 of input \"x\"\n"
    );
    assert_eq!(
        message(&["--input", "x=2x2xf64=1", "--input", "y=2x2xf32=1"]),
        "nim-run: error: input \"x\": the elements are f64, the model wants f32 ([N]x2xf32)\n"
    );
    assert_eq!(message(&["--input", "x=2x2xf32=1"]), "nim-run: error: no value is given for input \"y\" ([N]x2xf32)\n");
    assert!(message(&["--input", "x=@none.npy", "--input", "y=1x2xf32=1"]).contains("none.npy"));
}

#[test]
fn test_data() {
    let folder = folder("data");
    data_set(&folder, 0, &[1.0, 2.0], &[3.0, 4.0], &[4.0, 6.0]);
    data_set(&folder, 1, &[1.0, 2.0, 3.0, 4.0], &[0.0; 4], &[1.0, 2.0, 3.0, 4.001]);
    let out = nim_run(&folder, &["model.nir", "--test-data", "."]);
    let lines: Vec<&str> = text(&out.stdout).lines().collect();
    assert_eq!(lines[0], "test_data_set_0: ok: output \"sum\": 2 elements agree, largest error 0.0e0");
    assert!(
        lines[1].starts_with("test_data_set_1: ok: output \"sum\": 4 elements agree, largest error 1.0e-3"),
        "{lines:?}"
    );
    assert_eq!((lines[2], out.status.code()), ("2 passed, 0 failed", Some(0)));

    let out = nim_run(&folder, &["model.nir", "--test-data", ".", "--rtol", "1e-5", "--json", "--bench", "3"]);
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&json["passed"], &json["failed"], out.status.code()), (&1.into(), &1.into(), Some(1)));
    assert_eq!(json["sets"][1]["outputs"][0]["passed"], false);
    for key in ["compile_ms", "load_ms", "min_ms", "median_ms", "peak_bytes", "kernels"] {
        assert!(json[key].is_number(), "{key}: {}", json[key]);
    }
    // One set by itself, and a tolerance that is relative to the whole tensor.
    let out =
        nim_run(&folder, &["model.nir", "--test-data", "test_data_set_1", "--rtol", "0", "--scaled-atol", "1e-3"]);
    assert!(text(&out.stdout).ends_with("1 passed, 0 failed\n"));
}

#[test]
fn the_noise_of_a_reference_is_allowed_and_said() {
    let folder = folder("noise");
    data_set(&folder, 0, &[1.0, 2.0], &[3.0, 4.0], &[4.0, 6.4]);
    data_set(&folder, 1, &[1.0, 2.0], &[3.0, 4.0], &[4.0, 6.4]);
    let golden = r#"{"settings": [{"outputs": {"sum": {"noise": 0.5}}}, {"outputs": {"sum": {"noise": 0.1}}}]}"#;
    fs::write(folder.join("golden.json"), golden).unwrap();
    let out = nim_run(&folder, &["model.nir", "--test-data", "."]);
    let lines: Vec<&str> = text(&out.stdout).lines().collect();
    let loose = "test_data_set_0: ok: output \"sum\": 2 elements agree, largest error 4.0e-1 (within the reference's own noise, \
                 5.0e-1)";
    assert_eq!(lines[0], loose);
    assert!(lines[1].starts_with("test_data_set_1: WRONG: output \"sum\": 1 of 2 elements differ"), "{lines:?}");
    assert_eq!((lines[2], out.status.code()), ("1 passed, 1 failed", Some(1)));
    // What agrees without it is not said to need it.
    let out = nim_run(&folder, &["model.nir", "--test-data", "test_data_set_1", "--rtol", "0.1"]);
    assert!(!text(&out.stdout).contains("noise"));
    fs::write(folder.join("golden.json"), "no JSON").unwrap();
    let out = nim_run(&folder, &["model.nir", "--test-data", "."]);
    assert!(text(&out.stdout).contains("golden.json"), "{}", text(&out.stdout));
}

#[test]
fn a_model_on_standard_input() {
    let folder = folder("stdin");
    let mut child = Command::new(env!("CARGO_BIN_EXE_nim-run"))
        .args(["-", "--backend=interp", "--input", "x=1x2xf32=1", "--input", "y=1x2xf32=2"])
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(MODEL.as_bytes()).unwrap();
    assert_eq!(text(&child.wait_with_output().unwrap().stdout), "sum: 1x2xf32 [3, 3]\n");
}

#[test]
fn flags_of_the_import_are_for_onnx_models() {
    let folder = folder("flags");
    for flag in ["--constant=y=1x2xf32=2", "--symbolic-inputs"] {
        let out = nim_run(&folder, &["model.nir", "--input", "x=1x2xf32=1", "--input", "y=1x2xf32=1", flag]);
        assert_eq!(out.status.code(), Some(1), "{flag}");
        assert!(text(&out.stderr).contains("say how an ONNX model is imported"), "{flag}: {}", text(&out.stderr));
    }
    let out = nim_run(&folder, &["model.nir", "--input-shape=x=[N]x2"]);
    assert!(text(&out.stderr).contains("a model of the IR has its symbols"), "{}", text(&out.stderr));
    for bad in ["--input-shape=x", "--input-shape=x=N", "--input-shape=x=[N]xx2"] {
        assert_eq!(nim_run(&folder, &["model.nir", bad]).status.code(), Some(2), "{bad}");
    }
}

#[test]
fn what_is_no_model() {
    let folder = folder("none");
    fs::write(folder.join("bad.nir"), "func.func @main( {").unwrap();
    fs::write(folder.join("bad.nimx"), "no program").unwrap();
    for (file, part) in
        [("bad.nir", "error"), ("bad.nimx", "bad.nimx"), ("missing.onnx", "missing.onnx"), ("x.txt", ".onnx")]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nim-run"));
        let out = command.current_dir(&folder).arg(file).env("NO_COLOR", "1").output().unwrap();
        assert_eq!(out.status.code(), Some(1), "{file}");
        assert!(text(&out.stderr).contains(part), "{file}: {}", text(&out.stderr));
    }
}
