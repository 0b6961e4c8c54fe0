//! Importing, as far as it needs no model of the outside world.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn translate(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nim-translate"));
    command.current_dir(env!("CARGO_TARGET_TMPDIR")).args(args).env("NO_COLOR", "1").output().unwrap()
}

#[test]
fn one_translation_must_be_named() {
    let out = translate(&["x.onnx"]);
    assert_eq!(out.status.code(), Some(2));
    let help = String::from_utf8(out.stderr).unwrap();
    assert!(help.contains("--import-onnx|--report|--to-mlir|--to-llvmir|--to-asm"), "{help}");
}

#[test]
fn files_that_are_no_models() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::write(folder.join("empty.onnx"), "").unwrap();
    fs::write(folder.join("text.nir"), "").unwrap();
    for (file, part) in [
        ("empty.onnx", "not an ONNX model: there is no graph in it"),
        ("text.nir", "text.nir: this is text, not an ONNX model"),
        ("gone.onnx", "gone.onnx: "),
    ] {
        let out = translate(&["--import-onnx", file, "-o", "never.nir"]);
        let message = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(1), "{message}");
        assert!(message.starts_with("nim-translate: error: ") && message.contains(part), "{message}");
        assert!(!folder.join("never.nir").exists());
    }
}
