//! What the tests must reach: every op, every pass with its options. What is missing is listed.

use crate::lit::script::Script;
use crate::lit::suite::discover;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// Looks at the suite's folder and at what the programs in a folder say; tells what is missing.
pub type Check = fn(&Path, &Path) -> Result<(), String>;

/// All of it: the name of the test, and what it says is missing.
pub const CHECKS: [(&str, Check); 2] =
    [("coverage/ops", every_op_has_an_example), ("coverage/passes", every_pass_and_option_is_run)];

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

fn has_word(text: &str, word: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        let begins = !before.ends_with(of_name) && (!before.ends_with('-') || before.ends_with("--"));
        begins && !after.starts_with(of_name) && !after.starts_with('-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_codes() {
        assert!(has_word("nim-opt %s --cse | FileCheck %s", "cse"));
        assert!(has_word("--pass-pipeline='func.func(cse,dce)'", "cse"));
        assert!(!has_word("nim-opt --graph-cse --csexy --cse-all", "cse"));
    }
}
