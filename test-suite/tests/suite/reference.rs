//! The reference pages and the grammar for editors are what `nim-doc` makes of the definitions and tests; `NIM_BLESS=1` writes
//! them anew.

use nim_test_suite::lit::{build, tools::Tools};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn pages(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let texts = entries.filter_map(|e| Some((e.file_name().into_string().ok()?, fs::read_to_string(e.path()).ok()?)));
    texts.collect()
}

#[test]
fn reference_pages_follow_the_definitions() {
    let tools = build::programs(&Tools::new(PathBuf::new()).llvm).expect("the programs build");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reference");
    let _ = fs::remove_dir_all(&made);
    let run = Command::new(tools.join("nim-doc"))
        .arg("--tests")
        .arg(root.join("test-suite"))
        .arg("--markdown")
        .arg(made.join("markdown"))
        .arg("--textmate")
        .arg(made.join("textmate"))
        .output()
        .expect("nim-doc runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let mut wrong = vec![];
    for (part, kept) in [("markdown", "docs/reference"), ("textmate", "tools/vscode/syntaxes")] {
        wrong.extend(compare(&made.join(part), &root.join(kept)));
    }
    assert!(
        wrong.is_empty(),
        "not what the definitions say:\n{}\nNIM_BLESS=1 cargo test -p nim-test-suite --test suite reference",
        wrong.join("\n")
    );
}

/// What differs between files that were made and those that are kept; writes the latter anew when asked to.
fn compare(made: &Path, kept: &Path) -> Vec<String> {
    let (new, old) = (pages(made), pages(kept));
    assert!(!new.is_empty(), "nothing was made in {}", made.display());
    if std::env::var_os("NIM_BLESS").is_some_and(|value| value != "0") {
        old.keys().filter(|name| !new.contains_key(*name)).for_each(|name| drop(fs::remove_file(kept.join(name))));
        new.iter().for_each(|(name, text)| fs::write(kept.join(name), text).expect("a page is written"));
        return vec![];
    }
    let mut wrong = vec![];
    for name in new.keys().chain(old.keys().filter(|name| !new.contains_key(*name))) {
        let (made, kept) = (new.get(name), old.get(name));
        if made != kept {
            let lines = |text: Option<&String>| {
                text.map(|t| t.lines().map(str::to_owned).collect::<Vec<_>>()).unwrap_or_default()
            };
            let (made, kept) = (lines(made), lines(kept));
            let at = made.iter().zip(&kept).take_while(|(a, b)| a == b).count();
            let line = |of: &[String]| of.get(at).cloned().unwrap_or_else(|| "the end".into());
            wrong.push(format!("{name}:{}\n  - {}\n  + {}", at + 1, line(&kept), line(&made)));
        }
    }
    wrong
}

/// One file that needs no other: nothing is fetched, every op has its section, every link within the page has its place.
#[test]
fn reference_html_stands_alone() {
    let tools = build::programs(&Tools::new(PathBuf::new()).llvm).expect("the programs build");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reference-html");
    let suite = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = Command::new(tools.join("nim-doc")).arg("--tests").arg(suite).arg("--html").arg(&folder).output();
    assert!(run.expect("nim-doc runs").status.success());
    let page = fs::read_to_string(folder.join("index.html")).expect("the page is there");
    for fetched in ["<link", "src=", "@import", "url(", "fetch(", "http://", "https://"] {
        assert!(!page.contains(fetched), "the page fetches something: {fetched}");
    }
    for id in ["graph/graphmatmul", "passes/cse", "diagnostics/n0201-undefined-value", "types/tensor"] {
        assert!(page.contains(&format!("id=\"{id}\"")), "no section {id}");
    }
    let ids: Vec<&str> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let targets = page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
    let lost: Vec<&str> = targets.filter(|target| !ids.contains(target)).collect();
    assert!(lost.is_empty(), "links to nowhere: {lost:?}");
}
