//! A pass that panics or fails leaves a file that does it again: module, pipeline, version.

use nim_ir::{Body, Diagnostic};
use nim_pass::{BodyPass, Owner, PassContext, PassReport, Registry};
use std::path::Path;

/// Panics on functions.
struct Broken;

impl BodyPass for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }
    fn description(&self) -> &'static str {
        "Panics"
    }
    fn anchors(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn run(&self, _: &PassContext<'_>, _: &Owner, _: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        panic!("broken on purpose")
    }
}

/// Runs the tool with that pass; whether all went well.
fn run(args: &[&str]) -> bool {
    let mut registry = Registry::new();
    nim_opt::register_passes(&mut registry);
    registry.body_pass(|_| Ok(Broken));
    let args = ["nim-opt", "--no-output"].iter().chain(args).copied();
    let code = nim_opt::main_from(registry, &nim_opt::dialects(), args);
    code == std::process::ExitCode::SUCCESS
}

#[test]
fn a_panic_writes_a_file_that_panics_again() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reproducer");
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = |name: &str| folder.join(name).to_str().expect("a name").to_string();
    let (input, first, second) = (path("input.nir"), path("first.nir"), path("second.nir"));
    std::fs::write(&input, "func.func @f(%x: i32) -> i32 {\n  return %x : i32\n}\n").expect("written");
    assert!(!run(&[&input, "--pass-pipeline=cse,broken,dce", "--reproducer", &first]));
    let text = std::fs::read_to_string(&first).expect("the reproducer was written");
    assert!(text.contains("pipeline: \"builtin.module(cse,broken,dce)\""), "{text}");
    assert!(text.contains(&format!("version: \"nim-opt {}\"", env!("CARGO_PKG_VERSION"))), "{text}");
    assert!(text.contains("func.func @f"), "{text}");
    assert!(!run(&[&first, "--run-reproducer", "--reproducer", &second]));
    assert_eq!(std::fs::read_to_string(&second).expect("it does it again"), text);
}

#[test]
fn a_failure_writes_a_file_unless_told_otherwise() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reproducer-default");
    std::fs::create_dir_all(&folder).expect("a folder");
    let input = folder.join("input.nir").to_str().expect("a name").to_string();
    std::fs::write(&input, "func.func @f(%x: i32) -> i32 {\n  return %x : i32\n}\n").expect("written");
    let usual = std::env::temp_dir().join(format!("nim-opt-reproducer-{}.nir", std::process::id()));
    assert!(!run(&[&input, "--pass-pipeline=broken", "--reproducer=none"]) && !usual.exists());
    assert!(!run(&[&input, "--pass-pipeline=broken"]));
    let text = std::fs::read_to_string(&usual).expect("the reproducer was written");
    std::fs::remove_file(&usual).expect("removed");
    assert!(text.contains("pipeline: \"builtin.module(broken)\"") && text.contains("func.func @f"), "{text}");

    // A pass that refuses the module; in the same test, since the file is one a process.
    let module = "func.func @g(%p: tensor<4xi1>) -> tensor<4xi1> {\n  %y = graph.pow %p, %p : (tensor<4xi1>, tensor<4xi1>) -> tensor<4xi1>\n  return %y : tensor<4xi1>\n}\n";
    std::fs::write(&input, module).expect("written");
    assert!(!run(&[&input, "--graph-to-dataflow"]));
    let text = std::fs::read_to_string(&usual).expect("the reproducer was written");
    std::fs::remove_file(&usual).expect("removed");
    assert!(
        text.contains("pipeline: \"builtin.module(graph-to-dataflow)\"") && text.contains("func.func @g"),
        "{text}"
    );
}
