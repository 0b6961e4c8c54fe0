//! A tuning log replays to the same bytes, and nothing that it says changes a result.

use super::*;

/// A product that has more than one schedule: the weights are constant.
fn product(folder: &Path) {
    let weights = ones("w", &[64, 128]);
    write(folder, &model(vec![info("x", F32, "32,64")], vec![weights], vec![node("mm: MatMul(x, w) -> y")], &["y"]));
}

fn compiled(folder: &Path, out: &str, more: &[&str]) -> (Vec<u8>, String) {
    let done = tool("nim-compile", folder, &[&["model.onnx", "-o", out], more].concat());
    accepted(&done);
    (fs::read(folder.join(out)).unwrap(), String::from_utf8_lossy(&done.stderr).into_owned())
}

fn result(folder: &Path, program: &str) -> String {
    accepted(&tool("nim-run", folder, &[program, "--input", "x=32x64xf32=0.5"]))
}

#[test]
fn a_replayed_log_makes_the_same_program() {
    let folder = folder("tune");
    product(&folder);
    let (plain, _) = compiled(&folder, "plain.nimx", &[]);
    let (tuned, said) = compiled(&folder, "tuned.nimx", &["--tune=1"]);
    assert!(said.contains("tuned 1 of 1"), "{said}");
    for again in ["a.nimx", "b.nimx"] {
        let (replayed, said) = compiled(&folder, again, &["--tune-log=tuned.nimx.tune"]);
        assert!(replayed == tuned && said.is_empty(), "{said}");
    }
    // Another schedule is another program, with the same results.
    let log = fs::read_to_string(folder.join("tuned.nimx.tune")).unwrap();
    let (header, record) = log.split_once('\n').unwrap();
    let with = |schedule: &str| {
        let (before, rest) = record.split_once("\"schedule\":[").unwrap();
        let (_, after) = rest.split_once(']').unwrap();
        fs::write(folder.join("edited.tune"), format!("{header}\n{before}\"schedule\":[{schedule}]{after}")).unwrap();
        compiled(&folder, "edited.nimx", &["--tune-log=edited.tune"]).0
    };
    let expected = result(&folder, "plain.nimx");
    assert_eq!(result(&folder, "tuned.nimx"), expected);
    assert!(with("\"tiles:rows1=$0:columns1=$1\"") != plain);
    assert_eq!(result(&folder, "edited.nimx"), expected);
    // What does not fit, or is no schedule, is passed over.
    for wrong in ["\"tiles:rows14=$0:columns6=$1\"", "\"winograd6\"", "\"nonsense\"", "\"auto\",\"auto\"", ""] {
        assert!(with(wrong) == plain, "{wrong}");
    }
    // A log that was cut off anywhere is what is left of it.
    for end in (0..log.len()).step_by(log.len() / 7) {
        fs::write(folder.join("cut.tune"), &log[..end]).unwrap();
        let (cut, _) = compiled(&folder, "cut.nimx", &["--tune-log=cut.tune"]);
        assert!(cut == plain || cut == tuned);
    }
    fs::write(folder.join("cut.tune"), [0xff, 0xfe, b'\n', 0]).unwrap();
    assert!(compiled(&folder, "cut.nimx", &["--tune-log=cut.tune"]).0 == plain);
}
