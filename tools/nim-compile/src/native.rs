//! Native programs: an archive or a shared library, and the header beside it.

use crate::emit::archived;
use nim_compiler::{Options, native};
use nim_ir::{Context, Module};
use nim_tools::files;
use nim_tools::{Failure, Stage};
use std::path::Path;
use std::process::Command;

/// Compiles a module to a native program that is named after the file, and writes it and its header.
pub fn write(ctx: &Context, module: &mut Module, options: &Options, shared: bool, path: &Path) -> Result<(), Failure> {
    let wrong = |message: String| Failure::new(Stage::Compile, message);
    if files::is_stdio(path) {
        return Err(wrong("a native program has a name: -o FILE.so or FILE.a".into()));
    }
    let name = native::identifier(&path.file_name().unwrap_or_default().to_string_lossy());
    let program = native::compile_native(ctx, module, options, &name);
    let program = program.map_err(|found| Failure::diagnostics(Stage::Compile, ctx, &found))?;
    match shared {
        true => link(&program, path)?,
        false => files::write(path, &archived(&program.objects)?)?,
    }
    files::write(&path.with_extension("h"), program.header.as_bytes())
}

/// Links a shared library with the system's C compiler, or what the variable CC names. Only the program itself is seen from
/// outside.
fn link(program: &native::NativeProgram, path: &Path) -> Result<(), Failure> {
    let scratch = files::scratch("nim-compile")?;
    let compiler = std::env::var_os("CC").filter(|c| !c.is_empty()).unwrap_or_else(|| "cc".into());
    let mut command = Command::new(&compiler);
    let exports = scratch.file("exports");
    files::write(&exports, format!("{{ global: {}; local: *; }};\n", program.name).as_bytes())?;
    command
        .args(["-shared", "-Wl,-z,noexecstack", "-o"])
        .arg(path)
        .arg(format!("-Wl,--version-script={}", exports.display()));
    for (number, object) in program.objects.iter().enumerate() {
        // Names of kernels may be longer than those of files.
        let file = scratch.file(&format!("{number}.o"));
        files::write(&file, &object.bytes)?;
        command.arg(file);
    }
    let compiler = Path::new(&compiler);
    let output = command.arg("-lm").output().map_err(|e| files::io_failure(compiler, &e))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(Stage::Compile, format!("{} could not link {}: {said}", compiler.display(), path.display())))
}
