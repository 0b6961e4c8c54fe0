//! Values and sizes that do not fit a compiled model: the message names the input, the dimension and the node.

use super::*;

/// A model compiled once.
fn compiled(name: &str, model: &ModelProto) -> PathBuf {
    let folder = folder(name);
    write(&folder, model);
    accepted(&compile(&folder));
    folder
}

fn run(folder: &Path, inputs: &[&str]) -> Output {
    let mut args = vec!["model.nimx"];
    inputs.iter().for_each(|i| args.extend(["--input", i]));
    tool("nim-run", folder, &args)
}

#[track_caller]
fn error(folder: &Path, inputs: &[&str], expected: &str) {
    let said = refused(&run(folder, inputs));
    assert_eq!(said, format!("nim-run: error: {expected}\n"));
}

#[test]
fn inputs_of_the_wrong_kind() {
    let inputs = vec![info("x", F32, "N,3"), info("z", F32, "N,3")];
    let f = compiled("kinds", &model(inputs, vec![], vec![node("add7: Add(x, z) -> y")], &["y"]));
    assert_eq!(accepted(&run(&f, &["x=2x3xf32=1", "z=2x3xf32=2"])), "y: 2x3xf32 [3, 3, 3, 3, 3, 3]\n");
    error(
        &f,
        &["x=2x3xf64=1", "z=2x3xf32=2"],
        "input \"x\": the elements are f64, the model wants f32 ([N]x3xf32); node \"add7\" reads it",
    );
    error(
        &f,
        &["x=2x4xf32=1", "z=2x3xf32=2"],
        "input \"x\": dimension 1 is 4, the model wants 3 ([N]x3xf32); node \"add7\" reads it",
    );
    error(
        &f,
        &["x=3xf32=1", "z=2x3xf32=2"],
        "input \"x\": rank 1 (shape [3]) is given, the model wants rank 2 ([N]x3xf32); node \"add7\" reads it",
    );
    error(
        &f,
        &["x=2x3xf32=1", "z=5x3xf32=2"],
        "input \"z\": dimension 0 is 5, but it is N, which is 2 by dimension 0 of input \"x\"; node \"add7\" reads it",
    );
    error(&f, &["x=2x3xf32=1"], "no value is given for input \"z\" ([N]x3xf32)");
    error(&f, &["x=2x3xf32=1", "weights=1xf32=1"], "the model has no input \"weights\". Its inputs are: x, z");
    fs::write(f.join("x.npy"), b"no array").unwrap();
    assert!(refused(&run(&f, &["x=@x.npy", "z=2x3xf32=2"])).contains("input \"x\": x.npy: "));
}

/// What the file declares as two dimensions, but one node needs to be equal.
#[test]
fn sizes_that_nodes_need() {
    let inputs = vec![info("x", F32, "N,K"), info("z", F32, "L,M")];
    let f = compiled("inner", &model(inputs, vec![], vec![node("mm7: MatMul(x, z) -> y")], &["y"]));
    assert_eq!(accepted(&run(&f, &["x=1x3xf32=1", "z=3x2xf32=1"])), "y: 1x2xf32 [3, 3]\n");
    error(
        &f,
        &["x=1x4xf32=1", "z=3x2xf32=1"],
        "inner dimensions of a matrix product: K = 4 must be equal to L = 3, where K = 4 is dimension 1 of input `x` and L = 3 is dimension 0 of input `z` (node `mm7`)",
    );
    let nodes = vec![node("conv1: Conv(x, w) -> y")];
    let f =
        compiled("channels", &model(vec![info("x", F32, "N,C,H,W")], vec![ones("w", &[2, 3, 3, 3])], nodes, &["y"]));
    error(
        &f,
        &["x=1x4x5x5xf32=1"],
        "channels of the input of a convolution and of its weights (times groups): C = 4 must be equal to 3, where C = 4 is dimension 1 of input `x` (node `conv1`)",
    );
    error(
        &f,
        &["x=1x3x1x5xf32=1"],
        "the size H - 2 (where H = 1 is dimension 2 of input `x`) is negative: -1 (node `conv1`)",
    );
    let nodes = vec![with_int(node("cat: Concat(x, z) -> y"), "axis", 0)];
    let f = compiled("concat", &model(vec![info("x", F32, "N,A"), info("z", F32, "M,B")], vec![], nodes, &["y"]));
    let said = refused(&run(&f, &["x=2x3xf32=1", "z=2x4xf32=1"]));
    assert!(said.contains("A = 3") && said.contains("B = 4") && said.contains("(node `cat`)"), "{said}");
}

/// Sizes that are computed from data.
#[test]
fn sizes_out_of_data() {
    let f = compiled(
        "expand",
        &model(vec![info("x", F32, "1"), info("s", I64, "2")], vec![], vec![node("ex: Expand(x, s) -> y")], &["y"]),
    );
    assert_eq!(accepted(&run(&f, &["x=1xf32=7", "s=2xi64=1,2"])), "y: 1x2xf32 [7, 7]\n");
    assert_eq!(accepted(&run(&f, &["x=1xf32=7", "s=2xi64=0,5"])), "y: 0x5xf32 []\n");
    for (sizes, part) in [
        ("4611686018427387904,1", "[4611686018427387904, 1] does not fit in memory"),
        ("4294967296,4294967296", "does not fit in memory"),
        ("3037000500,3037000500", "does not fit in memory"),
        ("1000000000,1000000000", "the system has no 4000000000000000000 bytes of memory left"),
        ("-1,3", "is negative: -1"),
        ("-3,-3", "is negative: -3"),
        ("9223372036854775807,2", "does not fit in memory"),
    ] {
        let said = refused(&run(&f, &["x=1xf32=7", &format!("s=2xi64={sizes}")]));
        assert!(said.contains(part) && said.contains("(node `ex`)"), "{sizes}: {said}");
    }
    // NaN and numbers that are too large, on their way through a conversion.
    let nodes = vec![with_int(node("to_int: Cast(f) -> s"), "to", 7), node("ex: Expand(x, s) -> y")];
    let f = compiled("cast", &model(vec![info("x", F32, "1"), info("f", F32, "2")], vec![], nodes, &["y"]));
    assert_eq!(accepted(&run(&f, &["x=1xf32=7", "f=2xf32=1,2"])), "y: 1x2xf32 [7, 7]\n");
    for value in ["nan,1", "inf,1", "-inf,1", "1e30,1", "-1e30,1"] {
        let said = refused(&run(&f, &["x=1xf32=7", &format!("f=2xf32={value}")]));
        assert!(said.contains("negative") || said.contains("fit") || said.contains("memory"), "{value}: {said}");
        assert!(said.contains("node `"), "{value}: {said}");
    }
    let inputs = vec![info("a", F32, ""), info("b", F32, ""), info("c", F32, "")];
    let f = compiled("range", &model(inputs, vec![], vec![node("rg: Range(a, b, c) -> y")], &["y"]));
    assert_eq!(accepted(&run(&f, &["a=f32=1", "b=f32=3", "c=f32=1"])), "y: 2xf32 [1, 2]\n");
    for (a, b, c) in [("nan", "1", "1"), ("0", "nan", "1"), ("0", "inf", "1"), ("0", "1", "0"), ("0", "1e30", "1")] {
        let said = refused(&run(&f, &[&format!("a=f32={a}"), &format!("b=f32={b}"), &format!("c=f32={c}")]));
        assert!(said.contains("which stands for NaN and for what does not fit in 64 bits (node `rg`)"), "{said}");
    }
}

#[test]
fn nothing_is_read_from_what_is_empty() {
    let inputs = vec![info("x", F32, "N,4"), info("i", I64, "K")];
    let f = compiled("gather", &model(inputs, vec![], vec![node("ga: Gather(x, i) -> y")], &["y"]));
    assert_eq!(accepted(&run(&f, &["x=0x4xf32=1", "i=0xi64=0"])), "y: 0x4xf32 []\n");
    let said = refused(&run(&f, &["x=0x4xf32=1", "i=1xi64=0"]));
    assert!(
        said.contains("an axis that is gathered from must have an element") && said.contains("(node `ga`)"),
        "{said}"
    );
    // Indices outside are told, wherever they point; those that count from the end are inside.
    assert_eq!(accepted(&run(&f, &["x=2x4xf32=1", "i=2xi64=-2,1"])).lines().count(), 1);
    for far in ["1", "-2", "9223372036854775807", "-9223372036854775808"] {
        let said = refused(&run(&f, &["x=1x4xf32=1", &format!("i=2xi64=0,{far}")]));
        assert!(said.contains("along axis 0") && said.contains("(node `ga`)"), "{far}: {said}");
    }
}

#[test]
fn integers_divided_by_zero_end_no_process() {
    for (op, name) in [("Div", "div"), ("Mod", "mod")] {
        let inputs = vec![info("a", I64, "N"), info("b", I64, "N")];
        let f = compiled(name, &model(inputs, vec![], vec![node(&format!("d: {op}(a, b) -> y"))], &["y"]));
        accepted(&run(&f, &["a=3xi64=7,-9223372036854775808,1", "b=3xi64=0,-1,2"]));
    }
}
