//! Imports every `model.onnx` under some folders and says what came of each: how many were imported, and by which
//! reasons the others were refused. Every imported module is verified.
//!
//! `cargo run --example import_all -- [--list] [--print] FOLDER...`

use nim_ir::{Context, Diagnostic, DialectDef, Severity, verifier::verify_module};
use nim_onnx::{ImportOptions, import, load_model};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::ExitCode,
};

fn models(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            models(&path, out);
        } else if path.file_name().is_some_and(|n| n == "model.onnx") {
            out.push(path);
        }
    }
}

/// The node that a diagnostic is about.
fn place<'c>(ctx: &'c Context, d: &Diagnostic) -> &'c str {
    d.labels.first().and_then(|l| ctx.loc_name(l.loc)).unwrap_or("?")
}

/// What became of one model: a summary, or the reason why not.
fn attempt(path: &Path, types: bool) -> Result<String, String> {
    let model = load_model(path).map_err(|e| format!("unreadable: {e}"))?;
    let dialects: Vec<&'static DialectDef> = nim_builtin::DIALECTS.iter().copied().chain([&nim_graph::GRAPH]).collect();
    let ctx = Context::new(&dialects);
    let module = import(&ctx, &model, &ImportOptions::default()).map_err(|list| {
        let lines: Vec<String> = list
            .iter()
            .map(|d| format!("{} [{}] {} ({})", d.code, place(&ctx, d), d.message, d.notes.join("; ")))
            .collect();
        lines.join("\n      ")
    })?;
    let found = verify_module(&ctx, &module);
    if let Some(d) = found.iter().find(|d| d.severity == Severity::Error) {
        return Err(format!("INVALID {} [{}] {}", d.code, place(&ctx, d), d.message));
    }
    if types {
        let options = nim_text::PrintOptions { elide_elements: Some(64), ..Default::default() };
        println!("{}", nim_text::print_module(&ctx, &module, &options));
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut total = 0;
    for op in module.body.walk() {
        let Some(nested) = module.body.nested(op) else { continue };
        for inner in nested.walk() {
            total += 1;
            *counts.entry(ctx.op_str(nested.op_name(inner))).or_default() += 1;
        }
    }
    let number = |name: &str| counts.get(name).copied().unwrap_or(0);
    Ok(format!(
        "{total} ops, {} bind, {} guard, {} if, {} loop",
        number("graph.bind"),
        number("graph.guard"),
        number("graph.if"),
        number("graph.loop")
    ))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (list, types) = (args.iter().any(|a| a == "--list"), args.iter().any(|a| a == "--print"));
    let mut paths = vec![];
    for folder in args.iter().filter(|a| !a.starts_with("--")) {
        models(Path::new(folder), &mut paths);
    }
    let mut imported = 0;
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in &paths {
        let name = path.parent().unwrap_or(path).display().to_string();
        let outcome = catch_unwind(AssertUnwindSafe(|| attempt(path, types))).unwrap_or_else(|_| Err("PANIC".into()));
        match outcome {
            Ok(summary) => {
                imported += 1;
                if list {
                    println!("ok {name}: {summary}");
                }
            }
            Err(reason) => {
                if list {
                    println!("no {name}: {reason}");
                }
                let kind = reason.split('(').next().unwrap_or(&reason).to_string();
                let kind = if kind.starts_with("N0601") { kind.replace('\n', ";") } else { reason.clone() };
                refused.entry(kind).or_default().push(name);
            }
        }
    }
    println!("{imported} of {} models imported", paths.len());
    let mut reasons: Vec<_> = refused.into_iter().collect();
    reasons.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    for (reason, names) in &reasons {
        let example = names[0].rsplit('/').next().unwrap_or("");
        println!("{:5}  {reason}  e.g. {example}", names.len());
    }
    if reasons.iter().any(|(r, _)| r.starts_with("PANIC") || r.starts_with("INVALID")) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
