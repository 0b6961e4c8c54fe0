//! Each file of `cases/` is a pipeline (`// PASSES: ...`), a module, and behind `// -----` what it becomes. With
//! `NIM_BLESS=1` the last part is rewritten.

use nim_ir::{Context, Diagnostic};
use nim_pass::{Pipeline, Registry, RunOptions};
use nim_text::{ParseOptions, PrintOptions, RenderOptions, parse_module, print_module, render_all};
use std::{fs, path::Path};

fn context() -> Context {
    let mut dialects = nim_builtin::DIALECTS.to_vec();
    dialects.extend([&nim_dataflow::DATAFLOW, &nim_loops::LOOPS]);
    Context::new(&dialects)
}

fn run(name: &str, text: &str) -> String {
    let ctx = context();
    let mut registry = Registry::new();
    nim_transforms::register(&mut registry);
    let passes = text.lines().find_map(|l| l.strip_prefix("// PASSES: ")).expect("a case names its passes");
    let pipeline = Pipeline::parse(&ctx, &registry, passes).unwrap();
    let source = ctx.add_source(name, text);
    let (mut module, found) = parse_module(&ctx, source, &ParseOptions { allow_unregistered: true, blob_dir: None });
    let complain = |found: &[Diagnostic]| panic!("{}", render_all(&ctx, found, &RenderOptions::default()));
    if !found.is_empty() {
        complain(&found);
    }
    if let Err(error) = pipeline.run(&ctx, Some(&registry), &mut module, &RunOptions::default(), &mut ()) {
        complain(&error.diagnostics);
    }
    print_module(&ctx, &module, &PrintOptions::default()).trim_end().to_string() + "\n"
}

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let whole = fs::read_to_string(&file).unwrap();
        let (input, expected) = whole.split_once("// -----\n").unwrap_or((&whole, ""));
        let name = file.file_name().unwrap().to_string_lossy();
        let found = run(&name, input);
        if std::env::var_os("NIM_BLESS").is_some() {
            fs::write(&file, format!("{input}// -----\n{found}")).unwrap();
        } else {
            assert_eq!(found, expected, "{name}");
        }
    }
}
