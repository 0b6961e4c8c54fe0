//! The grammar for editors knows every token of the whole test-suite, and every op as one.

use regex::Regex;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn grammar() -> String {
    nim_doc::textmate::grammar(&nim_opt::dialects())
}

/// A tokeniser of flat TextMate grammars: the rule that matches first, the earlier one of two.
struct Tokeniser {
    rules: Vec<(String, Regex)>,
}

impl Tokeniser {
    fn new(grammar: &str) -> Tokeniser {
        let value: Value = serde_json::from_str(grammar).expect("the grammar is JSON");
        let rules = value["patterns"].as_array().expect("rules").iter().map(|rule| {
            let text = |key: &str| rule[key].as_str().unwrap_or_else(|| panic!("a rule has a {key}"));
            (text("name").to_owned(), Regex::new(text("match")).expect("a regular expression"))
        });
        Tokeniser { rules: rules.collect() }
    }
    fn line<'l>(&self, line: &'l str) -> Vec<(&str, &'l str)> {
        let (mut tokens, mut at) = (vec![], 0);
        while at < line.len() {
            let found = self.rules.iter().filter_map(|(name, regex)| Some((name.as_str(), regex.find_at(line, at)?)));
            let Some((name, found)) = found.min_by_key(|(_, found)| found.start()) else { break };
            assert!(!found.is_empty(), "`{name}` matches nothing");
            tokens.push((name, found.as_str()));
            at = found.end();
        }
        tokens
    }
}

fn tests_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            tests_below(&path, found);
        } else if path.extension().is_some_and(|e| e == "nir" || e == "mlir") {
            found.push(path);
        }
    }
}

#[test]
fn every_token_of_the_suite_is_known() {
    let tokeniser = Tokeniser::new(&grammar());
    let mut files = vec![];
    tests_below(&root().join("test-suite"), &mut files);
    assert!(files.len() > 80, "where is the test-suite? {}", files.len());
    let mut unknown = vec![];
    for path in files {
        let text = fs::read_to_string(&path).expect("a test");
        for part in text.split("// -----") {
            // What is meant to be no token is none.
            if ["N0101", "N0102"].iter().any(|code| part.contains(code))
                || path.ends_with("diagnostics/Inputs/text.nir")
            {
                continue;
            }
            // Bodies of dialects that nobody knows hold any character.
            let opaque = |line: &&str| path.ends_with("interop/odd.mlir") && line.contains("#foo");
            for line in part.lines().filter(|line| !opaque(line)) {
                let bad = tokeniser.line(line).into_iter().filter(|(name, _)| name.starts_with("invalid"));
                unknown.extend(bad.map(|(_, token)| format!("{}: `{token}` in {line}", path.display())));
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

#[test]
fn every_op_is_coloured_as_one() {
    let tokeniser = Tokeniser::new(&grammar());
    for op in nim_opt::dialects().iter().flat_map(|d| d.ops) {
        let line = format!("  %a:2 = {} %b, %c#1 : i32", op.name);
        let tokens = tokeniser.line(&line);
        assert!(tokens.contains(&("keyword.operator.op.nir", op.name)), "{}: {tokens:?}", op.name);
    }
    let line = "%y = graph.relu %x {axis = 1 : i64} : tensor<[N]x4xf32> // a note";
    let tokens = tokeniser.line(line);
    for wanted in [
        ("variable.other.value.nir", "%y"),
        ("meta.attribute.nir", "axis ="),
        ("storage.type.nir", "tensor<"),
        ("constant.numeric.shape.nir", "]x4xf32"),
        ("comment.line.double-slash.nir", "// a note"),
    ] {
        assert!(tokens.contains(&wanted), "{wanted:?} in {tokens:?}");
    }
}
