//! Modules written as text.

use crate::{Failure, files};
use nim_ir::{Context, Module};
use nim_text::{PrintOptions, print_module, write_with_blobs};
use std::path::Path;

/// Writes a module as text that reads back; large constants go to a file `NAME.blobs` beside it. On standard output
/// everything is in the text.
///
/// # Errors
/// A file that cannot be written.
pub fn write_module(ctx: &Context, module: &Module, path: &Path) -> Result<(), Failure> {
    if files::is_stdio(path) {
        return files::write(path, print_module(ctx, module, &PrintOptions::default()).as_bytes());
    }
    let mut name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    name.push_str(".blobs");
    let (text, blobs) = write_with_blobs(ctx, module, &PrintOptions::default(), &name);
    if let Some(blobs) = blobs {
        // First what the text refers to, so that there never is a text without it.
        files::write_with(&path.with_file_name(&name), &mut |out| blobs.write_to(out))?;
    }
    files::write(path, text.as_bytes())
}

/// A module as text for reading: large constants are left out.
pub fn readable(ctx: &Context, module: &Module) -> String {
    print_module(ctx, module, &PrintOptions::readable())
}
