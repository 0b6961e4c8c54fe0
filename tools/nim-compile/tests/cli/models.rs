//! Model files that are wrong.

use super::*;

/// Compiling fails, and no output appears.
#[track_caller]
fn wrong(name: &str, model: &ModelProto) -> String {
    let folder = folder(name);
    write(&folder, model);
    let said = refused(&compile(&folder));
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["model.onnx"]);
    said
}

fn relu() -> ModelProto {
    model(vec![info("x", F32, "N,4")], vec![], vec![node("act: Relu(x) -> y")], &["y"])
}

#[test]
fn damaged_files() {
    let folder = folder("damaged");
    let whole = relu().encode_to_vec();
    let noise: Vec<u8> = (0..500u32).map(|i| (i.wrapping_mul(2654435761) >> 13) as u8).collect();
    for (bytes, part) in
        [(&whole[..whole.len() / 2], "truncated"), (b"", "no graph"), (&noise, "not"), (b"hello, world\n", "not")]
    {
        fs::write(folder.join("model.onnx"), bytes).unwrap();
        let said = refused(&compile(&folder));
        assert!(said.starts_with("nim-compile: error: model.onnx: ") && said.contains(part), "{said}");
    }
    fs::write(folder.join("model.pb"), &whole).unwrap();
    let said = refused(&tool("nim-compile", &folder, &["model.pb", "-o", "model.nimx"]));
    assert!(said.contains("model.pb: a model's name ends in .onnx or .nir"), "{said}");
    let said = refused(&tool("nim-compile", &folder, &["gone.onnx", "-o", "model.nimx"]));
    assert!(said.contains("gone.onnx: No such file"), "{said}");
}

#[test]
fn what_is_not_supported() {
    let nodes = vec![node("frob1: Frobnicate(x) -> a"), node("frob2: Reluu(a) -> y")];
    let said = wrong("operators", &model(vec![info("x", F32, "3")], vec![], nodes, &["y"]));
    assert!(said.contains("Frobnicate") && said.contains("frob1"), "{said}");
    assert!(said.contains("Reluu") && said.contains("frob2"), "all of them at once: {said}");
    let mut newer = relu();
    newer.opset_import[0].version = 1000;
    assert!(wrong("opset", &newer).contains("opset 1000 is not supported: the newest one known is"));
    let typed = model(vec![info("x", 77, "3")], vec![], vec![node("act: Relu(x) -> y")], &["y"]);
    assert!(wrong("type", &typed).contains("77"));
}

#[test]
fn graphs_that_are_none() {
    let x = || vec![info("x", F32, "3")];
    let cycle = vec![node("n1: Add(x, b) -> a"), node("n2: Relu(a) -> b")];
    assert!(wrong("cycle", &model(x(), vec![], cycle, &["b"])).contains("a cycle through nodes \"n1\", \"n2\""));
    let said = wrong("undefined", &model(x(), vec![], vec![node("n1: Add(x, nowhere) -> y")], &["y"]));
    assert!(said.contains("\"nowhere\", an input of node \"n1\" (Add), is defined nowhere"), "{said}");
    let twice = vec![node("n1: Relu(x) -> y"), node("n2: Neg(x) -> y")];
    assert!(wrong("twice", &model(x(), vec![], twice, &["y"])).contains("\"y\" is defined twice"));
}

#[test]
fn shapes_that_contradict_each_other() {
    let fc = model(vec![info("x", F32, "N,4")], vec![ones("w", &[5, 3])], vec![node("fc1: MatMul(x, w) -> y")], &["y"]);
    let said = wrong("matmul", &fc);
    assert!(said.contains("tensor<[N]x4xf32>") && said.contains("tensor<5x3xf32>") && said.contains("fc1"), "{said}");
    let mut claimed = relu();
    claimed.graph.as_mut().unwrap().output = vec![info("y", 6, "N,4")];
    let said = wrong("claim", &claimed);
    assert!(said.contains("a tensor of i32") && said.contains("tensor<[N]x4xf32>") && said.contains("act"), "{said}");
    let mixed = vec![info("x", F32, "2,4"), info("z", 6, "2,4")];
    let said = wrong("types", &model(mixed, vec![], vec![node("sum: Add(x, z) -> y")], &["y"]));
    assert!(said.contains("tensor<2x4xf32>") && said.contains("tensor<2x4xi32>") && said.contains("sum"), "{said}");
}

#[test]
fn sizes_that_no_memory_has() {
    let relu = |dims: &str| model(vec![info("x", F32, dims)], vec![], vec![node("act: Relu(x) -> y")], &["y"]);
    assert!(wrong("huge", &relu("4611686018427387904,4")).contains("larger than any memory"));
    assert!(wrong("overflow", &relu("4294967296,4294967296")).contains("larger than any memory"));
    let shape = tensor_proto(&Tensor::new(&[2], vec![1i64 << 31, 1 << 31]), "s");
    let said =
        wrong("expand", &model(vec![info("x", F32, "1")], vec![shape], vec![node("ex: Expand(x, s) -> y")], &["y"]));
    assert!(said.contains("larger than any memory") && said.contains("ex"), "{said}");
    let small = model(
        vec![info("x", F32, "1,1,1,1")],
        vec![ones("w", &[1, 1, 3, 3])],
        vec![node("c: Conv(x, w) -> y")],
        &["y"],
    );
    assert!(wrong("window", &small).contains("larger than the padded input"));
}

#[test]
fn external_data() {
    let with = |entries: &[(&str, &str)]| {
        let nodes = vec![node("mm: MatMul(x, w) -> y")];
        model(vec![info("x", F32, "N,3")], vec![external("w", &[3, 4], entries)], nodes, &["y"])
    };
    let said = wrong("missing", &with(&[("location", "nothere.bin")]));
    assert!(said.contains("tensor \"w\"") && said.contains("nothere.bin"), "{said}");
    for outside in ["../../secret.bin", "/etc/passwd"] {
        let said = wrong("outside", &with(&[("location", outside)]));
        assert!(said.contains("tensor \"w\"") && said.contains(outside), "{said}");
    }
    let folder = folder("short");
    fs::write(folder.join("w.bin"), [0u8; 20]).unwrap();
    for (offset, part) in [
        ("0", "48 bytes at offset 0 reach past the end of \"w.bin\", which has 20 bytes"),
        ("9223372036854775807", "reach past the end"),
        ("1000000000000000000000000000000", "which is no byte count"),
        ("-4", "which is no byte count"),
    ] {
        write(&folder, &with(&[("location", "w.bin"), ("offset", offset)]));
        let said = refused(&compile(&folder));
        assert!(said.contains("tensor \"w\"") && said.contains(part), "{said}");
    }
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link.bin")).unwrap();
    write(&folder, &with(&[("location", "link.bin")]));
    assert!(refused(&compile(&folder)).contains("symbolic link that leaves the model's folder"));
}

#[test]
fn targets_that_do_not_exist() {
    let folder = folder("target");
    write(&folder, &relu());
    let said = refused(&tool("nim-compile", &folder, &["model.onnx", "-o", "m.nimx", "--target=x86-64-v9"]));
    assert!(said.contains("x86-64-v9") && said.contains("x86-64-v3"), "{said}");
}
