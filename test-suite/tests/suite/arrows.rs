//! The architecture's invariants, mostly absences: which crate may depend on which, where `unsafe` may stand, what no
//! file may say. Each test collects all violations before it fails.

use nim_test_suite::lit::build::NEED_LLVM;
use nim_test_suite::scan::{code_only, lines_with_word};
use nim_test_suite::workspace::{Crate, Workspace};
use std::path::{Path, PathBuf};

/// The floors of the house, from the ground up: a crate may depend on those of lower floors, and of its own.
/// The first prefix of a crate's folder that matches is its floor.
const FLOORS: &[(&str, u32)] = &[
    ("textual-ir/expr", 0),
    ("textual-ir/tensor", 0),
    ("textual-ir/irdl", 1),
    ("textual-ir/ir", 0), // and ir-macros
    ("textual-ir/text", 1),
    ("textual-ir/bytecode", 1),
    ("dialects/", 1),
    ("textual-ir/onnx", 2),
    ("passes/", 3),
    ("backends/", 4),
    ("tools/", 5),
    ("test-suite", 6),
    ("docs/tutorial", 6),
];

/// Files and folders that are not sources.
const NOT_OURS: [&str; 4] = [".git", "target", "__pycache__", "node_modules"];

fn workspace() -> Workspace {
    Workspace::load().expect("the workspace can be read")
}

fn floor(one: &Crate) -> u32 {
    let found = FLOORS.iter().find(|(prefix, _)| one.folder.starts_with(prefix));
    found.unwrap_or_else(|| panic!("{} stands in none of the folders that are given", one.folder)).1
}

fn none(violations: Vec<String>) {
    assert!(violations.is_empty(), "{} violations:\n  {}", violations.len(), violations.join("\n  "));
}

/// Every arrow between two of our crates, but those of tests.
fn arrows(workspace: &Workspace) -> impl Iterator<Item = (&Crate, &Crate)> {
    workspace.crates.iter().flat_map(move |from| {
        let real = from.dependencies.iter().filter(|dependency| !dependency.dev);
        real.filter_map(move |dependency| Some((from, workspace.find(&dependency.name)?)))
    })
}

#[test]
fn arrows_point_down() {
    let workspace = workspace();
    let up = arrows(&workspace).filter(|(from, to)| floor(from) < floor(to));
    none(up.map(|(from, to)| format!("{} depends on {}, which stands above it", from.name, to.name)).collect());
}

#[test]
fn dialects_know_no_parser_and_the_parser_no_dialect() {
    let workspace = workspace();
    let side = |one: &Crate| (one.folder.starts_with("dialects/"), one.name == "nim-text");
    let wrong = arrows(&workspace).filter(|(from, to)| side(from).0 && side(to).1 || side(from).1 && side(to).0);
    none(wrong.map(|(from, to)| format!("{} depends on {}", from.name, to.name)).collect());
}

#[test]
fn interpreter_and_runtime_know_no_llvm() {
    let workspace = workspace();
    let mut wrong = Vec::new();
    for name in ["nim-interp", "nim-vm", "nim-c-api", "nim-run"] {
        let one = workspace.find(name).unwrap_or_else(|| panic!("{name} is gone: this test guards nothing"));
        let needs = workspace.needs(one);
        let llvm = needs.iter().filter(|n| NEED_LLVM.contains(n) || ["nim-mlir", "nim-llvm"].contains(n));
        wrong.extend(llvm.map(|llvm| format!("{name} needs {llvm}")));
    }
    none(wrong);
}

#[test]
fn what_cargo_builds_by_default_needs_no_llvm() {
    let workspace = workspace();
    let mut wrong = Vec::new();
    for one in workspace.crates.iter().filter(|one| one.is_default) {
        let needs = workspace.needs(one);
        wrong.extend(needs.iter().filter(|n| NEED_LLVM.contains(n)).map(|n| format!("{} needs {n}", one.name)));
    }
    assert!(workspace.crates.iter().any(|one| one.is_default), "no default members");
    none(wrong);
}

#[test]
fn one_crate_names_each_library_of_llvm() {
    let workspace = workspace();
    let mut wrong = Vec::new();
    for (library, binding, home) in [
        ("melior", "melior", "backends/mlir"),
        ("mlir-sys", "mlir_sys", "backends/mlir"),
        ("inkwell", "inkwell", "backends/llvm"),
        ("llvm-sys", "llvm_sys", "backends/llvm"),
    ] {
        // the crate itself, or its shim: backends/mlir-c-shim
        let at_home = |folder: &str| folder.starts_with(home);
        for one in workspace.crates.iter().filter(|one| !at_home(&one.folder)) {
            if one.dependencies.iter().any(|dependency| dependency.name == library) {
                wrong.push(format!("{} depends on {library}", one.name));
            }
        }
        for (name, text) in sources(&workspace.root, "rs").into_iter().filter(|(name, _)| !at_home(name)) {
            let lines = lines_with_word(&code_only(&text), binding);
            wrong.extend(lines.iter().map(|line| format!("{name}:{line} names {binding}")));
        }
    }
    none(wrong);
}

#[test]
fn unsafe_stands_only_in_back_ends() {
    let mut wrong = Vec::new();
    for (name, text) in sources(&workspace().root, "rs") {
        if !name.starts_with("backends/") && name != "textual-ir/tensor/src/map_file.rs" {
            let lines = lines_with_word(&code_only(&text), "unsafe");
            wrong.extend(lines.iter().map(|line| format!("{name}:{line}")));
        }
    }
    none(wrong);
}

#[test]
fn files_have_a_readable_length() {
    const MOST: usize = 1000;
    let long = sources(&workspace().root, "rs").into_iter().map(|(name, text)| (name, text.lines().count()));
    none(long.filter(|(_, lines)| *lines > MOST).map(|(name, lines)| format!("{name}: {lines} lines")).collect());
}

#[test]
fn no_file_names_a_place_on_one_machine() {
    let root = workspace().root;
    let mut places: Vec<String> = ["root", "work", "home"].iter().map(|top| format!("/{top}/")).collect();
    // a folder of the system above us, as in a container, is named with good reason
    let system = ["/usr", "/opt", "/tmp", "/var", "/srv", "/mnt", "/src", "/app", "/build", "/etc", "/dev", "/"];
    let own = [root.parent().map(Path::to_owned), std::env::var_os("HOME").map(PathBuf::from)];
    for place in own.into_iter().flatten().filter(|place| !system.iter().any(|known| place == Path::new(known))) {
        places.push(format!("{}/", place.display()));
    }
    let mut wrong = Vec::new();
    for (name, text) in sources(&root, "") {
        for (number, line) in (1..).zip(text.lines()) {
            if places.iter().any(|place| names_path(line, place)) || leaves_the_tree(&name, line) {
                wrong.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    none(wrong);
}

/// Whether the path stands in the line as a whole and not as the middle of a longer one.
fn names_path(line: &str, path: &str) -> bool {
    let before = |at: usize| line[..at].chars().next_back();
    let longer = |c: char| c.is_alphanumeric() || "/._-~}*])>".contains(c);
    line.match_indices(path).any(|(at, _)| !before(at).is_some_and(longer))
}

/// Whether a relative path in the line climbs out of the repository, seen from the file's own folder.
fn leaves_the_tree(name: &str, line: &str) -> bool {
    let depth = name.matches('/').count();
    let climb = "../".repeat(depth + 1);
    let shared = ["..", "shared"].join("/");
    line.contains(&climb) || line.contains(&shared)
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let root = workspace().root;
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
    let (manifest, reasons) = (read("Cargo.toml"), read("docs/dependencies.md"));
    let table = manifest.split("[workspace.dependencies]").nth(1).expect("a table of dependencies");
    let lines = table.lines().skip(1).take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| Some(line.split_once('=')?.0.trim())).filter(|name| !name.starts_with('#'));
    let others: Vec<&str> = names.filter(|name| !name.starts_with("nim-")).collect();
    assert!(others.len() > 5, "the table of dependencies is not understood");
    let silent = others.iter().filter(|name| !reasons.contains(&format!("`{name}`")));
    let mut wrong: Vec<String> = silent.map(|name| format!("{name} has no line in docs/dependencies.md")).collect();
    for row in reasons.lines().filter(|line| line.starts_with("| `")) {
        let first = row.split('|').nth(1).unwrap_or_default();
        let named = first.split('`').skip(1).step_by(2);
        wrong.extend(
            named.filter(|name| !others.contains(name)).map(|name| format!("{name} is no dependency any more")),
        );
    }
    none(wrong);
}

/// The names and texts of all files with this ending (of all text files, for an empty one), from the root.
fn sources(root: &Path, ending: &str) -> Vec<(String, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
        for entry in entries.flatten() {
            let (path, file) = (entry.path(), entry.file_name());
            if NOT_OURS.iter().any(|name| file == *name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if ending.is_empty() || path.extension().is_some_and(|e| e == ending) {
                // what is not text names nothing
                if let (Ok(text), Ok(name)) = (std::fs::read_to_string(&path), path.strip_prefix(root)) {
                    found.push((name.to_string_lossy().into_owned(), text));
                }
            }
        }
    }
    assert!(!found.is_empty(), "no sources below {}", root.display());
    found.sort();
    found
}
