//! Examples, taken from the test-suite: nothing is written twice, and every example is run by a test.

use nim_ir::{Body, Context, Module};
use nim_text::{ParseOptions, parse_module};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// A file of the suite.
#[derive(Clone, Debug)]
pub struct TestFile {
    /// Its name from the suite's folder, with `/`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A piece of a test.
#[derive(Clone, Debug)]
pub struct Example {
    /// The text, without its indentation.
    pub text: String,
    /// The file.
    pub file: String,
}

/// The files of the suite that hold IR, in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    /// The files.
    pub files: Vec<TestFile>,
    /// Snapshots of what users are shown: name and text.
    pub snapshots: Vec<TestFile>,
}

impl Corpus {
    /// Reads the suite.
    ///
    /// # Errors
    /// A file or folder cannot be read.
    pub fn load(folder: &Path) -> io::Result<Corpus> {
        let mut corpus = Corpus::default();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(&next)? {
                let path: PathBuf = entry?.path();
                let ending = path.extension().and_then(|e| e.to_str());
                let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
                if path.is_dir() && !hidden && !path.ends_with("Inputs") {
                    folders.push(path);
                } else if let Some(ending @ ("nir" | "test" | "snap")) = ending {
                    let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                    let file = TestFile { name, text: fs::read_to_string(&path)? };
                    if ending == "snap" { corpus.snapshots.push(file) } else { corpus.files.push(file) }
                }
            }
        }
        corpus.files.sort_by(|a, b| a.name.cmp(&b.name));
        corpus.snapshots.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(corpus)
    }

    /// One example of each op: the first one below a `GENERIC` check in a file that is read and printed back the same.
    pub fn ops(&self, ctx: &Context) -> BTreeMap<String, Example> {
        let mut found = BTreeMap::new();
        let round_trips = |f: &&TestFile| f.name.starts_with("dialects/") && f.text.contains("| same %s");
        for file in self.files.iter().filter(round_trips) {
            let places = op_places(ctx, file);
            for (number, line) in (1..).zip(file.text.lines()) {
                let Some((_, check)) = line.split_once("// GENERIC") else { continue };
                let Some(name) = check.split('"').nth(1) else { continue };
                let dialect = file.name.split('/').nth(1);
                if name.split('.').next() != dialect || found.contains_key(name) {
                    continue;
                }
                let Some(&(at, _)) = places.iter().find(|(at, op)| *at > number && op == name) else { continue };
                let text = balanced(&file.text, at);
                found.insert(name.to_string(), Example { text, file: file.name.clone() });
            }
        }
        found
    }

    /// The shortest part of a test that expects a code; else what a snapshot shows; else one whose commands give it.
    pub fn code(&self, code: &str) -> Option<Example> {
        let parts = |file| Corpus::parts(file).filter(|text| text.contains(code));
        let expects = |text: &str| text.lines().any(|l| l.contains("expected-") && l.contains(code));
        let shortest = |expected: bool| {
            let all = self.files.iter().flat_map(|file| parts(file).map(move |text| (file, text)));
            all.filter(|(file, text)| !expected || (file.name.ends_with(".nir") && expects(text)))
                .min_by_key(|(_, text)| text.lines().count())
        };
        if let Some((file, text)) = shortest(true) {
            let kept: Vec<&str> = text.lines().filter(|l| !l.starts_with("// RUN:")).collect();
            return Some(Example { text: kept.join("\n").trim().to_string(), file: file.name.clone() });
        }
        for file in &self.snapshots {
            let Some(at) = file.text.find(&format!("[{code}]")) else { continue };
            let start = file.text[..at].rfind('\n').map_or(0, |i| i + 1);
            let text = file.text[start..].split("\n\n\n").next().unwrap_or_default();
            let text = text.split("\n--").next().unwrap_or_default().trim_end().to_string();
            return Some(Example { text, file: file.name.clone() });
        }
        shortest(false).map(|(file, text)| Example { text: text.trim().to_string(), file: file.name.clone() })
    }

    fn parts(file: &TestFile) -> impl Iterator<Item = &str> {
        file.text.split("// -----\n")
    }

    /// Functions, kernels and the like of tests whose commands run just this pass.
    pub fn inputs_of_pass<'a>(&'a self, pass: &'a str) -> impl Iterator<Item = Example> + 'a {
        let runs = move |f: &&TestFile| {
            f.text
                .lines()
                .filter(|l| l.contains("RUN:"))
                .any(|l| l.contains(&format!("--{pass} ")) || l.ends_with(&format!("--{pass}")))
        };
        self.files.iter().filter(runs).flat_map(items)
    }
}

/// Where the ops of a file stand: line and name, in the order of lines. Parts that cannot be read have none.
fn op_places(ctx: &Context, file: &TestFile) -> Vec<(usize, String)> {
    let source = ctx.add_source(&file.name, file.text.as_str());
    let options = ParseOptions { allow_unregistered: true, ..ParseOptions::default() };
    let (module, _) = parse_module(ctx, source, &options);
    let mut places = vec![];
    let mut bodies: Vec<&Body> = vec![&module.body];
    while let Some(body) = bodies.pop() {
        for op in body.walk() {
            if let Some((of, range)) = ctx.loc_span(body.loc(op))
                && of == source
            {
                let line = file.text[..range.start.min(file.text.len())].matches('\n').count() + 1;
                places.push((line, ctx.op_str(body.op_name(op)).to_string()));
            }
            bodies.extend(body.nested(op));
        }
    }
    // The module is an op too, where it is written.
    let written = file.text.lines().position(|l| l.starts_with("module") || l.starts_with("builtin.module"));
    places.extend(written.map(|at| (at + 1, "builtin.module".to_string())));
    places.sort();
    places
}

/// The lines from `line` on until brackets are closed, without their common indentation and without check lines.
fn balanced(text: &str, line: usize) -> String {
    let (mut depth, mut lines) = (0i64, vec![]);
    for next in text.lines().skip(line - 1) {
        if next.trim_start().starts_with("//") {
            continue;
        }
        lines.push(next);
        let code = next.split(" // ").next().unwrap_or(next);
        depth += code.matches(['{', '(', '[']).count() as i64 - code.matches(['}', ')', ']']).count() as i64;
        if depth <= 0 {
            break;
        }
    }
    let indent = lines.iter().map(|l| l.len() - l.trim_start().len()).min().unwrap_or(0);
    lines.iter().map(|l| l.get(indent..).unwrap_or(l)).collect::<Vec<_>>().join("\n")
}

/// What stands at the left margin of a file, one by one.
fn items(file: &TestFile) -> Vec<Example> {
    let mut found = vec![];
    let mut end = 0;
    for (number, line) in (1..).zip(file.text.lines()) {
        let begins = line.starts_with(|c: char| c.is_ascii_lowercase()) && line.ends_with('{');
        if number <= end || !begins {
            continue;
        }
        let text = balanced(&file.text, number);
        let rest = file.text.lines().skip(number - 1);
        end = number + rest.take_while(|l| *l != "}").count();
        found.push(Example { text, file: file.name.clone() });
    }
    found
}

/// A module of a text, or nothing when it has errors.
pub fn read_module(ctx: &Context, name: &str, text: &str) -> Option<Module> {
    let source = ctx.add_source(name, text);
    let (module, found) = parse_module(ctx, source, &ParseOptions::default());
    found.is_empty().then_some(module)
}
