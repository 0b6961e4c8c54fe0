//! Programs for single shapes, made in this process: what [`Program::specialised_by`] wants.

use crate::{Options, compile};
use nim_graph_passes::set_shapes;
use nim_ir::{Context, Diagnostic, Module, verifier::verify_module};
use nim_text::{RenderOptions, render_all};
use nim_vm::{Program, Specialiser};

/// Compiles a module again for each shape that is asked for, as [`compile`] does it with numbers in place of the symbols.
pub struct Recompile<F> {
    module: F,
    options: Options,
}

impl<F: Fn() -> Result<(Context, Module), String> + Send + Sync> Recompile<F> {
    /// `module` makes the module that the program was compiled from, each time in a context of its own.
    pub fn new(module: F, options: Options) -> Self {
        Recompile { module, options }
    }
}

impl<F: Fn() -> Result<(Context, Module), String> + Send + Sync> Specialiser for Recompile<F> {
    fn specialise(&self, shapes: &[Vec<usize>]) -> Result<Program, String> {
        let (ctx, mut module) = (self.module)()?;
        let shapes: Vec<Option<Vec<i64>>> =
            shapes.iter().map(|dims| dims.iter().map(|&d| i64::try_from(d).ok()).collect()).collect();
        set_shapes(&ctx, &mut module, &self.options.entry, &shapes)?;
        let text = |found: Vec<Diagnostic>| render_all(&ctx, &found, &RenderOptions::default());
        let found = verify_module(&ctx, &module);
        if found.iter().any(Diagnostic::is_error) {
            return Err(text(found));
        }
        let compiled = compile(&ctx, &mut module, &self.options).map_err(text)?;
        compiled.program.into_program().map_err(|error| error.to_string())
    }
}
