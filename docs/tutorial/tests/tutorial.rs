//! The tutorials are true: their Rust blocks are the sources of this crate, all of them; their tests pass; their commands
//! print what stands below them. `NIM_BLESS=1` writes what commands print into the text.

use nim_test_suite::lit::{
    build,
    suite::{Suite, discover},
    tools::Tools,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn blessing() -> bool {
    std::env::var_os("NIM_BLESS").is_some_and(|value| value != "0")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// A fenced block: the words behind its fence, its text, and the line on which the text begins.
struct Block {
    words: Vec<String>,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block> {
    let (mut found, mut open): (Vec<Block>, Option<Block>) = (vec![], None);
    for (number, line) in (1..).zip(page.lines()) {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(words)) => {
                let words = words.split_whitespace().map(str::to_owned).collect();
                open = Some(Block { words, text: String::new(), line: number + 1 });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => block.text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

fn pages() -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder()).expect("the folder of the tutorial").flatten().map(|e| e.path());
    let mut pages: Vec<_> =
        entries.filter(|p| p.extension().is_some_and(|e| e == "md")).map(|p| (p.clone(), read(&p))).collect();
    pages.sort();
    assert!(pages.len() >= 2, "the tutorials are gone");
    pages
}

#[test]
fn blocks_are_the_sources() {
    let mut left: BTreeMap<String, String> = BTreeMap::new();
    for (path, page) in pages() {
        for block in blocks(&page) {
            let [language, file] = block.words.as_slice() else { continue };
            if !["rust", "toml", "mlir"].contains(&language.as_str())
                || !file.contains(['/', '.'])
                || file.ends_with(".nir") && !file.contains('/')
            {
                continue;
            }
            let rest = left.entry(file.clone()).or_insert_with(|| read(&folder().join(file)));
            let place = format!("{}:{}", path.display(), block.line);
            let at = rest.find(&block.text).unwrap_or_else(|| panic!("{place}: this does not stand in {file}"));
            rest.replace_range(at..at + block.text.len(), "");
        }
    }
    for file in [
        "Cargo.toml",
        "src/ops.rs",
        "src/simplify.rs",
        "src/lower.rs",
        "src/main.rs",
        "tests/act.nir",
        "tests/invalid.nir",
    ] {
        let rest = left.get(file).unwrap_or_else(|| panic!("no tutorial shows {file}"));
        assert_eq!(rest.trim(), "", "{file} has lines that no tutorial shows");
    }
}

/// What defining things may cost: the numbers are promises of the tutorial.
#[test]
fn definitions_are_short() {
    let ops = read(&folder().join("src/ops.rs"));
    let lines = |from: &str, to: &str| {
        let start = ops.find(from).unwrap_or_else(|| panic!("`{from}` is gone"));
        let end = ops[start..].find(to).map_or(ops.len(), |at| start + at + to.len());
        ops[start..end].lines().filter(|line| !line.trim().is_empty()).count()
    };
    let plain = lines("/// The operand where it", "\n}\n");
    assert!(plain <= 12, "an op without verifier takes {plain} lines");
    let full = lines("/// The operand, but not below", "Clamp::x(site.ctx, site.body, inner));\n    Ok(())\n}\n");
    assert!(full <= 40, "an op with verifier, folder and syntax takes {full} lines");
}

#[test]
fn tests_pass() {
    let own = Path::new(env!("CARGO_BIN_EXE_nim-toy-opt")).parent().expect("a folder").to_owned();
    let tools = Tools::new(own);
    let suite = Suite {
        root: folder().join("tests"),
        scratch: Path::new(env!("CARGO_TARGET_TMPDIR")).join("tests"),
        features: tools.features(),
        tools,
        bless: false,
        limit: Duration::from_secs(60),
    };
    let names = discover(&suite.root).expect("the tests of the tutorial");
    assert_eq!(names, ["act.nir", "invalid.nir"]);
    for name in names {
        let (script, _) = suite.load(&name).expect("a test");
        suite.run(&name, &script).unwrap_or_else(|why| panic!("{why}"));
    }
}

/// Runs the commands of a page, one after the other in a folder of its own; gives the page with what they print.
fn run_commands(page: &str, scratch: &Path, path: &std::ffi::OsStr, has_compiler: bool) -> String {
    let mut out: Vec<String> = page.lines().map(str::to_owned).collect();
    let mut shift = 0isize;
    for block in blocks(page) {
        if let [language, file] = block.words.as_slice()
            && language == "mlir"
            && !file.contains('/')
        {
            fs::write(scratch.join(file), &block.text).expect("a file of the tutorial is written");
        }
        let runs = block.words.first().is_some_and(|word| word == "console");
        // What needs the compiler is left as it is where there is none.
        if !runs || (block.words.contains(&"llvm".to_owned()) && !has_compiler) {
            continue;
        }
        let mut text = vec![];
        for command in block.text.lines().filter_map(|line| line.strip_prefix("$ ")) {
            let run = Command::new("sh")
                .arg("-c")
                .arg(format!("{command} 2>&1"))
                .current_dir(scratch)
                .env("PATH", path)
                .envs([("NO_COLOR", "1"), ("TERM", "dumb"), ("LC_ALL", "C"), ("RUST_BACKTRACE", "0")])
                .output()
                .expect("a shell");
            assert_ne!(run.status.code(), Some(101), "`{command}` panicked");
            assert_ne!(run.status.code(), Some(127), "`{command}`: no such program");
            let (failed, may) = (!run.status.success(), block.words.contains(&"fails".to_owned()));
            assert_eq!(failed, may, "`{command}`: {}", String::from_utf8_lossy(&run.stdout));
            text.push(format!("$ {command}"));
            text.extend(String::from_utf8_lossy(&run.stdout).lines().map(|line| line.trim_end().to_owned()));
        }
        let (start, old) = ((block.line as isize - 1 + shift) as usize, block.text.lines().count());
        shift += text.len() as isize - old as isize;
        out.splice(start..start + old, text);
    }
    out.join("\n") + "\n"
}

#[test]
fn commands_print_what_is_written() {
    let own = Path::new(env!("CARGO_BIN_EXE_nim-toy-opt")).parent().expect("a folder").to_owned();
    let tools = build::programs(&Tools::new(PathBuf::new()).llvm).expect("the programs build");
    let has_compiler = tools.join("nim-compile").is_file();
    let system = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths([own, tools].into_iter().chain(std::env::split_paths(&system))).expect("a search path");
    for (file, page) in pages() {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file.file_stem().expect("a name"));
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch).expect("a folder");
        let now = run_commands(&page, &scratch, &path, has_compiler);
        if blessing() {
            fs::write(&file, &now).expect("the tutorial is written");
            continue;
        }
        let differs = page.lines().zip(now.lines()).enumerate().find(|(_, (old, new))| old != new);
        if let Some((number, (old, new))) = differs {
            panic!("{}:{}: not what is printed\n- {old}\n+ {new}", file.display(), number + 1);
        }
        assert_eq!(page.lines().count(), now.lines().count(), "{}: commands print more or less", file.display());
    }
}
