//! Reproducers: a module together with the pipeline that failed on it, in one file that replays it.
//!
//! The form is upstream's: the pipeline stands in the resource section, under `mlir_reproducer`, so either tool can run it.

use nim_ir::{Context, DialectDef, Module};
use nim_text::{PrintOptions, print_module, strings};
use std::path::{Path, PathBuf};

const OWNER: &str = "mlir_reproducer";

/// Writes what reproduces a failure: the module as it was read, the pipeline, and the version of the tool. `load` reads the
/// module again.
///
/// # Errors
/// The file cannot be written.
pub fn write(
    dialects: &[&'static DialectDef],
    verify_each: bool,
    load: &dyn Fn(&Context) -> Module,
    pipeline: &str,
    path: &Path,
) -> Result<(), String> {
    let ctx = Context::new(dialects);
    let module = load(&ctx);
    let version = concat!("nim-opt ", env!("CARGO_PKG_VERSION"));
    ctx.add_foreign_resource(OWNER, "pipeline", &strings::quote(pipeline));
    ctx.add_foreign_resource(OWNER, "disable_threading", "true");
    ctx.add_foreign_resource(OWNER, "verify_each", if verify_each { "true" } else { "false" });
    ctx.add_foreign_resource("nim_reproducer", "version", &strings::quote(version));
    let out = print_module(&ctx, &module, &PrintOptions { debug_info: true, ..PrintOptions::default() });
    crate::write(path, out.as_bytes())
}

/// Where a reproducer goes when nobody said where: one file a process.
pub fn default_path() -> PathBuf {
    std::env::temp_dir().join(format!("nim-opt-reproducer-{}.nir", std::process::id()))
}

/// Whether the text of a reproducer wants modules verified between passes.
pub fn verifies(ctx: &Context) -> bool {
    !ctx.foreign_resources().into_iter().any(|found| found == (OWNER, "verify_each", "false"))
}

/// The pipeline that the text of a reproducer names.
pub fn pipeline(ctx: &Context) -> Option<String> {
    let quoted = ctx.foreign_resources().into_iter().find(|(owner, key, _)| (*owner, *key) == (OWNER, "pipeline"))?.2;
    strings::unquote(quoted).ok()
}
