//! Machine code is kept between compilations. What is damaged is made again, and programs are the same bytes either way.

use super::*;

#[test]
fn damaged_entries_are_made_again() {
    let folder = folder("cache");
    write(&folder, &model(vec![info("x", F32, "N,4")], vec![], vec![node("act: Relu(x) -> y")], &["y"]));
    let cache = folder.join("objects");
    let compile = |out: &str, place: &Path| {
        let mut command = command("nim-compile", &folder, &["model.onnx", "-o", out]);
        let done = command.env("NIM_CACHE", place).output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
        fs::read(folder.join(out)).unwrap()
    };
    let entries = || -> Vec<PathBuf> { fs::read_dir(&cache).unwrap().map(|e| e.unwrap().path()).collect() };
    let without = compile("without.nimx", Path::new(""));
    assert!(!cache.exists());
    let first = compile("first.nimx", &cache);
    let kept = entries();
    assert_eq!((first == without, kept.len()), (true, 1));
    let entry = fs::read(&kept[0]).unwrap();
    let changed = entry.iter().enumerate().map(|(i, &b)| if i == entry.len() / 2 { b ^ 1 } else { b }).collect();
    for damaged in [changed, entry[..entry.len() / 2].to_vec(), vec![]] {
        fs::write(&kept[0], damaged).unwrap();
        assert_eq!(compile("again.nimx", &cache), without);
        assert_eq!((entries(), fs::read(&kept[0]).unwrap() == entry), (kept.clone(), true));
    }
    // Another machine is another entry; a place where nothing can be kept does no harm.
    let mut other = command("nim-compile", &folder, &["model.onnx", "-o", "other.nimx", "--target=x86-64"]);
    assert!(other.env("NIM_CACHE", &cache).status().unwrap().success());
    assert_eq!(entries().len(), 2);
    assert_eq!(compile("nowhere.nimx", &folder.join("model.onnx")), without);
}
