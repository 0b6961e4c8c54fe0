//! Whole programs: what is compiled, what cannot be, and random ones.

mod blocks;
mod bytes;
mod codes;
mod dataflows;
mod devices;
mod emulator;
mod malformed;
mod precision;
mod programs;
mod random;
mod residues;
mod signs;
mod specialise;
mod threads;
mod tile_dataflows;
mod tiles;
mod tune;
mod weights;

use nim_compiler::DIALECTS;
use nim_ir::{Context, Module};
use nim_text::{ParseOptions, parse_module, render_all};

/// The module of a text, which must be without mistakes.
fn parse(text: &str) -> (Context, Module) {
    let ctx = Context::new(DIALECTS);
    let source = ctx.add_source("test.nir", text);
    let (module, found) = parse_module(&ctx, source, &ParseOptions::default());
    assert!(found.is_empty(), "{}\n{text}", render_all(&ctx, &found, &Default::default()));
    (ctx, module)
}
