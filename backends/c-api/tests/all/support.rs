//! Compiling models, and programs in C that run them.

use nim_compiler::{DIALECTS, Options, compile};
use nim_ir::Context;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two folders up").to_owned()
}

/// A folder for what one test makes.
pub fn scratch(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A model of this text as a `.nimx` file.
pub fn model(folder: &Path, text: &str) -> PathBuf {
    model_for(folder, text, None)
}

/// The same for inputs of just these dimensions, beside it.
pub fn model_for(folder: &Path, text: &str, shapes: Option<&[&[i64]]>) -> PathBuf {
    let ctx = Context::new(DIALECTS);
    let source = ctx.add_source("model.nir", text);
    let (mut module, found) = nim_text::parse_module(&ctx, source, &nim_text::ParseOptions::default());
    assert!(found.is_empty(), "{}", nim_text::render_all(&ctx, &found, &Default::default()));
    if let Some(shapes) = shapes {
        let wanted: Vec<Option<Vec<i64>>> = shapes.iter().map(|dims| Some(dims.to_vec())).collect();
        nim_graph_passes::set_shapes(&ctx, &mut module, "main", &wanted).expect("the model can have these shapes");
    }
    let options = Options { threads: 1, ..Options::default() };
    let compiled = compile(&ctx, &mut module, &options);
    let compiled = compiled.unwrap_or_else(|e| panic!("{}", nim_text::render_all(&ctx, &e, &Default::default())));
    let text = |dims: &&[i64]| dims.iter().map(i64::to_string).collect::<Vec<_>>().join("x");
    let shapes = shapes.map(|shapes| shapes.iter().map(text).collect::<Vec<_>>().join(","));
    let path = folder.join(shapes.map_or("model.nimx".into(), |shapes| format!("model-{shapes}.nimx")));
    compiled.program.write_nimx(&path).expect("the program can be written");
    path
}

/// How a program gets the library.
#[derive(Clone, Copy, Debug)]
pub enum Link {
    Shared,
    Static,
}

/// Where Cargo put the library: beside this test.
fn libraries() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().expect("its folder").to_owned();
    assert!(folder.join("libnim.so").is_file(), "there is no libnim.so in {}", folder.display());
    folder
}

/// Compiles a program in C with all warnings as errors.
pub fn build(source: &Path, folder: &Path, link: Link) -> PathBuf {
    build_with(source, folder, link, &[])
}

/// As [`build`], with more arguments in front of the library.
pub fn build_with(source: &Path, folder: &Path, link: Link, more: &[OsString]) -> PathBuf {
    let (out, libraries) = (folder.join(format!("program-{link:?}")), libraries());
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-pthread", "-I"]);
    cc.arg(root().join("backends/c-api/include")).arg(source).args(more).arg("-o").arg(&out);
    match link {
        Link::Shared => cc.arg("-L").arg(&libraries).arg("-lnim").arg(format!("-Wl,-rpath,{}", libraries.display())),
        Link::Static => cc.arg(libraries.join("libnim.a")).args(["-lm", "-ldl", "-lpthread"]),
    };
    run(&mut cc);
    out
}

/// Runs a command that must succeed; what it says.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}
