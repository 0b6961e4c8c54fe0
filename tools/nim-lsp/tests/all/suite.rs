//! The whole test-suite, opened as an editor would.

use crate::client::{Client, edited};
use nim_ir::Context;
use nim_text::{ParseOptions, PrintOptions, parse_module, print_module};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn tests() -> Vec<(String, String)> {
    let (mut found, mut folders) = (vec![], vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-suite")]);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(&folder).expect("the test-suite").flatten().map(|e| e.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "nir") {
                let text = fs::read_to_string(&path).expect("a test");
                found.push((format!("file://{}", PathBuf::from(&path).display()), text));
            }
        }
    }
    found.sort();
    assert!(found.len() > 70, "where is the test-suite? {}", found.len());
    found
}

/// Lines, from 0, on which an error is expected.
fn expected(text: &str) -> BTreeSet<u64> {
    let mut lines = BTreeSet::new();
    for (number, line) in (0u64..).zip(text.lines()) {
        for rest in line.split("expected-error").skip(1) {
            let place = rest.split("{{").next().unwrap_or_default().trim();
            let at = match place {
                "" => Some(number),
                "@above" => number.checked_sub(1),
                "@below" => Some(number + 1),
                _ => place.strip_prefix("@+").and_then(|n| n.parse::<u64>().ok()).map(|n| number + n).or_else(|| {
                    place.strip_prefix("@-").and_then(|n| n.parse::<u64>().ok()).and_then(|n| number.checked_sub(n))
                }),
            };
            lines.extend(at);
        }
    }
    lines
}

/// What tests of the parser and the verifier expect is shown where they expect it; texts that are fine have no error.
#[test]
fn errors_are_where_tests_expect_them() {
    let mut client = Client::start();
    let mut checked = 0;
    // The server reads without upstream's parser.
    for (uri, text) in tests().into_iter().filter(|(_, text)| !text.contains("REQUIRES: mlir\n")) {
        let found = client.open(&uri, &text);
        let errors: BTreeSet<u64> =
            found.iter().filter(|d| d["severity"] == 1).filter_map(|d| d["range"]["start"]["line"].as_u64()).collect();
        let runs: Vec<&str> = text.lines().filter(|l| l.contains("RUN:")).collect();
        let plain = |run: &&str| {
            run.contains("--verify-diagnostics")
                && !run.contains("not nim-opt")
                && run.matches("--").count() <= 3
                && run.contains("nim-opt %s")
        };
        let only_read = runs.iter().all(|run| {
            ["--verify-diagnostics", "--split-input-file", "--allow-unregistered-dialect"]
                .iter()
                .fold(run.matches("--").count(), |n, o| n - usize::from(run.contains(o)))
                == 0
        });
        if runs.iter().any(plain) && only_read {
            assert_eq!(errors, expected(&text), "{uri}");
            checked += 1;
        } else if runs.iter().any(|run| run.contains("| same %s")) {
            assert!(found.is_empty(), "{uri}: {found:?}");
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} tests were compared");
    client.stop();
}

/// Formatting any test keeps what it means, and formatting again changes nothing.
#[test]
fn formatting_keeps_the_meaning() {
    let mut client = Client::start();
    let meaning = |text: &str| {
        let parts = text.split("// -----\n").map(|part| {
            let ctx = Context::new(&nim_opt::dialects());
            let source = ctx.add_source("text", part);
            let options = ParseOptions { allow_unregistered: true, ..ParseOptions::default() };
            let (module, found) = parse_module(&ctx, source, &options);
            let codes: Vec<_> = found.iter().map(|d| d.code).collect();
            (print_module(&ctx, &module, &PrintOptions { generic: true, ..PrintOptions::default() }), codes)
        });
        parts.collect::<Vec<_>>()
    };
    for (uri, text) in tests() {
        client.open(&uri, &text);
        let asked = json!({ "textDocument": { "uri": uri }, "options": { "tabSize": 2, "insertSpaces": true } });
        let edits = client.ask("textDocument/formatting", asked.clone());
        let after = edited(&text, edits.as_array().expect("edits"));
        if after == text {
            continue;
        }
        // Recovery looks at columns: what it makes of a broken text may differ.
        let (old, new) = (meaning(&text), meaning(&after));
        for (old, new) in old.into_iter().zip(new) {
            assert!(!old.1.is_empty() || old == new, "{uri}");
        }
        client.change(&uri, 2, &after);
        assert_eq!(client.ask("textDocument/formatting", asked), json!([]), "{uri}");
    }
    client.stop();
}
