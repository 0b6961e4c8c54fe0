//! A pass changes something, or its user is told that it ran on nothing: all of them, so that no new one is silent.

use nim_ir::{Context, Diagnostic, Module};
use nim_pass::{Pipeline, Registry, RunOptions};
use nim_text::{ParseOptions, PrintOptions, parse_module, print_module};

/// A function that has to do with no dialect of ours, and something in it for each pass over any ops.
const UNRELATED: &str = r#"
func.func private @nobody()
func.func @unrelated(%x: tensor<?xf32>, %n: i32) -> i32 {
  %a = arith.constant 1 : i32
  %b = arith.constant 1 : i32
  %unused = arith.muli %n, %n : i32
  %c = arith.addi %a, %b : i32
  return %c : i32
}
"#;

fn silent(text: &str) -> Vec<String> {
    let mut registry = Registry::new();
    nim_opt::register_passes(&mut registry);
    let passes: Vec<_> = registry.passes().chain(registry.optional_passes()).map(|p| (p.name, p.argument)).collect();
    assert!(passes.len() > 20, "{passes:?}");
    let mut silent = vec![];
    for (name, argument) in passes {
        let ctx = Context::new(&nim_opt::dialects());
        let source = ctx.add_source("unrelated.nir", text);
        let (mut module, found) = parse_module(&ctx, source, &ParseOptions::default());
        assert!(!found.iter().any(Diagnostic::is_error), "{found:?}");
        let print =
            |module: &Module| print_module(&ctx, module, &PrintOptions { debug_info: true, ..PrintOptions::default() });
        let before = print(&module);
        let text = if argument { format!("{name}(canonicalize)") } else { name.to_string() };
        let pipeline = Pipeline::parse(&ctx, &registry, &text).expect("a pipeline");
        let done = pipeline.run(&ctx, Some(&registry), &mut module, &RunOptions::default(), &mut ());
        // A pass that fails has told its user why.
        let Ok(report) = done else { continue };
        let told = report.diagnostics().filter(|d| d.code == "N0805").count();
        if told > 1 || (told == 0 && print(&module) == before) {
            silent.push(format!("{name}: told {told} times"));
        }
    }
    silent
}

#[test]
fn on_an_empty_module() {
    assert_eq!(silent(""), Vec::<String>::new());
}

#[test]
fn on_an_unrelated_function() {
    assert_eq!(silent(UNRELATED), Vec::<String>::new());
}
