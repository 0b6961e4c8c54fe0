//! The pages: one a dialect, one each for types, attributes, passes, diagnostics and bytecode, and an index.

use crate::{
    corpus::{Corpus, Example, read_module},
    ops::{attr_kind, op, table},
};
use nim_ir::{AttrKind, Context, DialectDef, diagnostics::Code};
use nim_pass::{PassInfo, Pipeline, Registry, RunOptions};
use nim_text::{PrintOptions, grammar, print_module};
use std::fmt::Write;

/// A page in Markdown.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its file without the ending: `graph`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Where files of the test-suite are, seen from the folder of the pages.
const SUITE: &str = "../../test-suite";
/// An example of a pass may have so many lines, before and after together.
const MOST_LINES: usize = 60;

/// All pages.
///
/// # Errors
/// What has no example, one a line.
pub fn pages(
    dialects: &[&'static DialectDef],
    registry: &Registry,
    codes: &[&'static Code],
    corpus: &Corpus,
) -> Result<Vec<Page>, Vec<String>> {
    let ctx = Context::new(dialects);
    let mut missing = vec![];
    let mut pages = dialect_pages(&ctx, dialects, registry, corpus, &mut missing);
    let dialects_count = pages.len();
    pages.push(Page { name: "types".into(), text: types(dialects, corpus, &mut missing) });
    pages.push(Page { name: "attributes".into(), text: attributes() });
    pages.push(Page { name: "passes".into(), text: passes(dialects, registry, corpus) });
    pages.push(Page { name: "diagnostics".into(), text: diagnostics(codes, corpus, &mut missing) });
    pages.push(Page { name: "bytecode".into(), text: crate::bytecode::page() });
    let mut index = String::from(
        "# Reference\n\nMade by `nim-doc` of the definitions and of the tests; `NIM_BLESS=1 cargo test -p nim-test-suite \
         --test suite reference` writes it anew. `nim-doc --html FOLDER` makes one page of it that can be searched.\n",
    );
    let rows = dialects.iter().zip(&pages[..dialects_count]).map(|(d, page)| {
        [format!("[{}]({}.md)", d.name, page.name), d.ops.len().to_string(), d.description.to_string()]
    });
    table(&mut index, ["dialect", "ops", ""], rows);
    index.push_str(
        "\n[Types](types.md), [attributes](attributes.md), [passes](passes.md), [diagnostics](diagnostics.md),\n\
         [bytecode](bytecode.md) of compiled programs\n",
    );
    pages.insert(0, Page { name: "README".into(), text: index });
    if missing.is_empty() { Ok(pages) } else { Err(missing) }
}

fn show(out: &mut String, example: &Example) {
    let Example { text, file } = example;
    let _ = writeln!(out, "\n```mlir\n{text}\n```\n([{file}]({SUITE}/{file}))");
}

fn dialect_pages(
    ctx: &Context,
    dialects: &[&'static DialectDef],
    registry: &Registry,
    corpus: &Corpus,
    missing: &mut Vec<String>,
) -> Vec<Page> {
    let examples = corpus.ops(ctx);
    let mut pages = vec![];
    for dialect in dialects {
        let mut text = format!("# Dialect `{}`\n\n{}\n", dialect.name, dialect.description);
        let mut sorted = dialect.ops.to_vec();
        sorted.sort_by_key(|def| def.name);
        let _ = writeln!(text);
        for def in &sorted {
            let _ = writeln!(text, "- [`{}`](#{}): {}", def.name, anchor(def.name), def.summary);
        }
        for def in &sorted {
            let _ = write!(text, "\n## `{}`\n\n{}", def.name, op(def));
            let passes = registry.passes().filter(|pass| pass.works_on.contains(&def.name));
            let link = |pass: &PassInfo| format!("[`{0}`](passes.md#{1})", pass.name, anchor(pass.name));
            let passes: Vec<String> = passes.map(link).collect();
            if !passes.is_empty() {
                let _ = writeln!(text, "\nPasses that work on it: {}.", passes.join(", "));
            }
            match examples.get(def.name) {
                Some(example) => show(&mut text, example),
                None => missing.push(format!("the op `{}` has no example in dialects/{}", def.name, dialect.name)),
            }
        }
        pages.push(Page { name: dialect.name.into(), text });
    }
    pages
}

/// The name of a heading in links.
pub fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '))
        .collect::<String>()
        .replace(' ', "-")
}

fn forms(out: &mut String, forms: &[grammar::Form]) {
    for form in forms {
        let examples = form.examples.join("\n");
        let _ = write!(out, "\n## {}\n\n{}\n\n```mlir\n{examples}\n```\n", form.name, form.description);
    }
}

fn types(dialects: &[&'static DialectDef], corpus: &Corpus, missing: &mut Vec<String>) -> String {
    let mut out = String::from("# Types\n");
    forms(&mut out, grammar::TYPES);
    for ty in dialects.iter().flat_map(|d| d.types) {
        let _ = writeln!(out, "\n## `!{}`\n\n{}", ty.name, ty.description);
        // The first line of the tests that has it.
        let word = format!("!{}", ty.name);
        let found = corpus.files.iter().filter(|f| f.name.ends_with(".nir") && !f.name.contains("invalid"));
        let mut lines = found.flat_map(|f| f.text.lines().map(move |l| (f, l)));
        match lines.find(|(_, l)| l.contains(&word) && !l.trim_start().starts_with("//")) {
            Some((file, text)) => {
                show(&mut out, &Example { text: text.trim().into(), file: file.name.clone() });
            }
            None => missing.push(format!("the type `{word}` has no example in the tests")),
        }
    }
    out
}

fn attributes() -> String {
    let mut out = String::from("# Attributes\n\nAn op's table says of which kind each of its attributes is:\n");
    const KINDS: [(AttrKind, &str); 16] = [
        (AttrKind::Any, "any form below"),
        (AttrKind::Unit, "unit"),
        (AttrKind::Bool, "bool"),
        (AttrKind::Int, "integer"),
        (AttrKind::Float, "float"),
        (AttrKind::String, "string"),
        (AttrKind::Enum(&["one", "of", "these"]), "string"),
        (AttrKind::Type, "type"),
        (AttrKind::SymbolRef, "symbol reference"),
        (AttrKind::SymbolName, "string"),
        (AttrKind::Array, "array"),
        (AttrKind::Ints, "dense array"),
        (AttrKind::Expr, "expression, or integer"),
        (AttrKind::Exprs, "array of expressions and integers"),
        (AttrKind::Elements, "dense, dense strings, dense resource"),
        (AttrKind::Dict, "dictionary"),
    ];
    let rows = KINDS.iter().map(|&(kind, form)| {
        let name = format!("{kind:?}");
        [format!("`{}`", name.split('(').next().unwrap_or_default()), attr_kind(kind), form.to_string()]
    });
    table(&mut out, ["kind", "what it asks for", "form"], rows);
    forms(&mut out, grammar::ATTRIBUTES);
    out
}

fn passes(dialects: &[&'static DialectDef], registry: &Registry, corpus: &Corpus) -> String {
    let mut out = String::from("# Passes\n\n");
    for pass in registry.passes() {
        let _ = writeln!(out, "- [`{}`](#{}): {}", pass.name, anchor(pass.name), pass.description);
    }
    for pass in registry.passes() {
        let _ = writeln!(out, "\n## `{}`\n\n{}.", pass.name, pass.description.trim_end_matches('.'));
        let rows = pass.options.iter().map(|o| {
            let default = if o.value.is_empty() { String::new() } else { format!("`{}`", o.value) };
            [format!("`{}`", o.name), default, o.description.to_string()]
        });
        table(&mut out, ["option", "default", "meaning"], rows);
        let rules = pass.rules.iter().map(|rule| [format!("`{}`", rule.name), rule.description.to_string()]);
        table(&mut out, ["rule", "what it does"], rules);
        let quoted = |list: &[&str]| list.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ");
        if !pass.works_on.is_empty() {
            let word = |name: &&str| if name.contains('.') { format!("`{name}`") } else { format!("all of `{name}`") };
            let _ = writeln!(out, "\nWorks on {}.", pass.works_on.iter().map(word).collect::<Vec<_>>().join(", "));
        }
        if !pass.needs.is_empty() {
            let _ = writeln!(out, "\nNeeds {}.", quoted(pass.needs));
        }
        if !pass.gives.is_empty() {
            let _ = writeln!(out, "\nGives {}.", quoted(pass.gives));
        }
        match before_and_after(dialects, registry, corpus, pass) {
            Some((before, after)) => {
                show(&mut out, &before);
                let _ = writeln!(out, "\n`--{}` makes of it\n\n```mlir\n{after}\n```", pass.name);
            }
            None => {
                if let Some(example) = corpus.inputs_of_pass(pass.name).next() {
                    let _ = writeln!(out, "\nTests: [{0}]({SUITE}/{0})", example.file);
                }
            }
        }
    }
    let pipelines: Vec<_> = registry.pipelines().collect();
    if !pipelines.is_empty() {
        out.push_str("\n# Pipelines\n");
    }
    for (name, description, text) in pipelines {
        let _ = writeln!(out, "\n## `{name}`\n\n{}.\n\n```\n{text}\n```", description.trim_end_matches('.'));
    }
    out
}

/// The shortest function of the pass's tests that the pass changes, and what it makes of it.
fn before_and_after(
    dialects: &[&'static DialectDef],
    registry: &Registry,
    corpus: &Corpus,
    pass: &PassInfo,
) -> Option<(Example, String)> {
    let mut best: Option<(usize, Example, String)> = None;
    for example in corpus.inputs_of_pass(pass.name) {
        let ctx = Context::new(dialects);
        let Some(mut module) = read_module(&ctx, &example.file, &example.text) else { continue };
        let Ok(pipeline) = Pipeline::parse(&ctx, registry, pass.name) else { continue };
        let options = RunOptions { threads: 1, ..RunOptions::default() };
        let print = |module: &_| print_module(&ctx, module, &PrintOptions::default()).trim_end().to_string();
        let before = print(&module);
        // What the pass refuses is no example of what it does.
        if pipeline.run(&ctx, Some(registry), &mut module, &options, &mut ()).is_err() {
            continue;
        }
        let after = print(&module);
        let lines = example.text.lines().count() + after.lines().count();
        let worth = before != after && !after.is_empty() && lines <= MOST_LINES;
        if worth && best.as_ref().is_none_or(|(least, ..)| lines < *least) {
            best = Some((lines, example, after));
        }
    }
    best.map(|(_, example, after)| (example, after))
}

fn diagnostics(codes: &[&'static Code], corpus: &Corpus, missing: &mut Vec<String>) -> String {
    let mut out = String::from(
        "# Diagnostics\n\nWhat each code means, as `nim-opt --explain CODE` says it. Comments in an example say what is \
         reported where.\n",
    );
    let mut sorted = codes.to_vec();
    sorted.sort_by_key(|c| c.code);
    for code in sorted {
        let _ = writeln!(out, "\n## {}: {}\n\n{}", code.code, code.title, code.explanation);
        match (corpus.code(code.code), code.example) {
            (Some(example), _) => show(&mut out, &example),
            (None, Some(example)) => drop(writeln!(out, "\nFor example: {example}.")),
            (None, None) => missing.push(format!("the code {} has no example", code.code)),
        }
    }
    out
}
