//! What the tests must reach: every op, every pass with its options, every rewrite rule, every diagnostic code. What is missing is listed.

use crate::lit::script::Script;
use crate::lit::suite::discover;
use crate::workspace::Workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Looks at the suite's folder and at what the programs in a folder say; tells what is missing.
pub type Check = fn(&Path, &Path) -> Result<(), String>;

/// All of it: the name of the test, and what it says is missing.
pub const CHECKS: &[(&str, Check)] = &[
    ("coverage/ops", every_op_has_an_example),
    ("coverage/passes", every_pass_and_option_is_run),
    ("coverage/rewrites", every_rule_fires),
    ("coverage/codes", every_code_is_expected),
    ("coverage/meanings", every_code_has_one_meaning),
    ("coverage/explanations", every_code_is_explained),
];

fn complain(title: &str, missing: &BTreeSet<String>) -> Result<(), String> {
    if missing.is_empty() {
        return Ok(());
    }
    let mut text = format!("{title} ({}):\n", missing.len());
    for one in missing {
        let _ = writeln!(text, "  {one}");
    }
    Err(text)
}

/// What `nim-opt` prints.
fn listed(tools: &Path, option: &str) -> Result<String, String> {
    let output = Command::new(tools.join("nim-opt")).arg(option).output().map_err(|why| format!("nim-opt: {why}"))?;
    String::from_utf8(output.stdout).map_err(|why| format!("nim-opt {option}: {why}"))
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|why| format!("{}: {why}", path.display()))
}

/// Each registered op stands in a `GENERIC` check of its dialect's folder, which is to say over an example in pretty form.
fn every_op_has_an_example(root: &Path, tools: &Path) -> Result<(), String> {
    let mut shown = BTreeSet::new();
    for name in discover(&root.join("dialects")).map_err(|why| format!("dialects: {why}"))? {
        let dialect = name.split('/').next().unwrap_or_default().to_owned();
        for line in read(&root.join("dialects").join(&name))?.lines().filter(|line| line.contains("// GENERIC")) {
            let op = line.split('"').nth(1).unwrap_or_default();
            if op.split('.').next() == Some(dialect.as_str()) {
                shown.insert(op.to_owned());
            }
        }
    }
    let listed = listed(tools, "--list-dialects")?;
    let ops = listed.lines().filter_map(|line| line.strip_prefix("    ")?.split_whitespace().next());
    let missing = ops.filter(|op| !shown.contains(*op)).map(str::to_owned).collect();
    complain("ops without an example in dialects/<dialect>/", &missing)
}

/// Each registered pass stands in a `RUN:` line, and each of its options in one of the pass.
fn every_pass_and_option_is_run(root: &Path, tools: &Path) -> Result<(), String> {
    let mut runs = Vec::new();
    for name in discover(root).map_err(|why| format!("{}: {why}", root.display()))? {
        let script = Script::parse(&read(&root.join(&name))?).map_err(|why| format!("{name}: {why}"))?;
        runs.extend(script.runs.into_iter().map(|(_, command)| command));
    }
    let mut missing = BTreeSet::new();
    let mut pass = String::new();
    for line in listed(tools, "--list-passes")?.lines() {
        let Some(inner) = line.strip_prefix("    ") else {
            pass = line.to_owned();
            if !runs.iter().any(|run| has_word(run, &pass)) {
                missing.insert(pass.clone());
            }
            continue;
        };
        let option = inner.split(' ').next().and_then(|word| word.split_once('=')).map(|(name, _)| format!("{name}="));
        if let Some(option) = option
            && !runs.iter().any(|run| has_word(run, &pass) && run.contains(&option))
        {
            missing.insert(format!("{pass}{{{option}...}}"));
        }
    }
    complain("passes and options that no RUN line names", &missing)
}

/// Each rewrite rule is seen to fire: a test checks a line of `--trace-rewrites` that says so.
fn every_rule_fires(root: &Path, tools: &Path) -> Result<(), String> {
    let mut checks = String::new();
    for name in discover(root).map_err(|why| format!("{}: {why}", root.display()))? {
        let text = read(&root.join(&name))?;
        for line in text.lines().filter(|line| line.contains("fired") && line.trim_start().starts_with("//")) {
            checks.push_str(line);
        }
    }
    let listed = listed(tools, "--list-rewrites")?;
    let rules = listed.lines().filter_map(|line| line.strip_prefix("    ")?.split_whitespace().next());
    let missing = rules.filter(|rule| !checks.contains(&format!("`{rule}` on `"))).map(str::to_owned).collect();
    complain("rewrite rules that no test sees fire", &missing)
}

fn has_word(text: &str, word: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        let begins = !before.ends_with(of_name) && (!before.ends_with('-') || before.ends_with("--"));
        begins && !after.starts_with(of_name) && !after.starts_with('-')
    })
}

/// The codes `N0123` in a text.
fn codes_in(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('N').filter_map(|(at, _)| {
        let code = text.get(at..at + 5)?;
        let alone = !text[at + 5..].starts_with(|c: char| c.is_ascii_alphanumeric());
        (alone && code[1..].bytes().all(|byte| byte.is_ascii_digit())).then_some(code)
    })
}

/// All files below a folder with one of these endings.
fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                files(&path, endings, found)?;
            }
        } else if path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)) {
            found.push(path);
        }
    }
    Ok(())
}

/// Sources, and what in them is a test: behind the first `#[cfg(test)]` of a file.
fn halves(text: &str) -> (&str, &str) {
    text.split_at(text.find("#[cfg(test)]").unwrap_or(text.len()))
}

/// Codes, and the crates that give them.
type Givers = BTreeMap<String, BTreeSet<String>>;

/// The codes that each crate gives, and those that its Rust tests expect. Tables of explanations give none.
fn codes(workspace: &Workspace) -> Result<(Givers, BTreeSet<String>), String> {
    let (mut given, mut expected) = (Givers::new(), BTreeSet::new());
    for one in workspace.crates.iter().filter(|one| one.folder != "test-suite") {
        let folder = workspace.root.join(&one.folder);
        let mut sources = Vec::new();
        files(&folder, &["rs"], &mut sources)?;
        for path in sources {
            let text = read(&path)?;
            let is_test = !path.starts_with(folder.join("src"));
            let (source, test) = if is_test { ("", text.as_str()) } else { halves(&text) };
            expected.extend(codes_in(test).map(str::to_owned));
            // The text's codes are constants of its table.
            let table = one.name != "nim-text" && path.ends_with("codes.rs");
            let literals = source.lines().filter(|line| !line.trim_start().starts_with("//"));
            for code in literals.flat_map(|line| line.split('"').skip(1).step_by(2)).filter(|text| text.len() == 5) {
                if !table && codes_in(code).next().is_some() {
                    given.entry(code.to_owned()).or_default().insert(one.name.clone());
                }
            }
        }
    }
    Ok((given, expected))
}

/// Each code that some source gives is expected by a file here or by a Rust test.
fn every_code_is_expected(root: &Path, _: &Path) -> Result<(), String> {
    let (given, mut expected) = codes(&Workspace::load()?)?;
    let mut tests = Vec::new();
    files(root, &["nir", "mlir", "test", "snap", "check"], &mut tests)?;
    for path in tests {
        expected.extend(codes_in(&read(&path)?).map(str::to_owned));
    }
    let missing = given.iter().filter(|(code, _)| !expected.contains(*code));
    let missing = missing.map(|(code, crates)| format!("{code} of {}", list(crates))).collect();
    complain("codes that no test expects", &missing)
}

/// A code is given by one crate only: else it means two things.
fn every_code_has_one_meaning(_: &Path, _: &Path) -> Result<(), String> {
    let (given, _) = codes(&Workspace::load()?)?;
    let twice = given.iter().filter(|(_, crates)| crates.len() > 1);
    let twice = twice.map(|(code, crates)| format!("{code} of {}", list(crates))).collect();
    complain("codes that several crates give", &twice)
}

/// The reference pages, which `--explain` shows, have a section of each code that is given, and of no other.
fn every_code_is_explained(_: &Path, _: &Path) -> Result<(), String> {
    let workspace = Workspace::load()?;
    let (given, _) = codes(&workspace)?;
    let page = read(&workspace.root.join("docs/reference/diagnostics.md"))?;
    let explained: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("## ")?.split(':').next()).collect();
    let missing = given.iter().filter(|(code, _)| !explained.contains(code.as_str()));
    let missing = missing.map(|(code, crates)| format!("{code} of {}", list(crates))).collect();
    complain("codes without an explanation (in the giving crate's codes.rs)", &missing)?;
    let stale = explained.iter().filter(|code| !given.contains_key(**code)).map(|code| (*code).to_owned()).collect();
    complain("explanations of codes that nothing gives", &stale)
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_codes() {
        assert!(has_word("nim-opt %s --cse | FileCheck %s", "cse"));
        assert!(has_word("--pass-pipeline='func.func(cse,dce)'", "cse"));
        assert!(!has_word("nim-opt --graph-cse --csexy --cse-all", "cse"));
        assert_eq!(codes_in("N0123 xN0456: N04567 N012 ÄN0001").collect::<Vec<_>>(), ["N0123", "N0456", "N0001"]);
    }
}
