//! The textual form of the IR: MLIR's grammar with named dimensions.
//!
//! * [`parse_module`] reads a text and finds everything wrong with it in one run.
//! * [`parse_indexed`] also says where names are defined and used, for editors.
//! * [`print_module`] writes pretty or generic form; what it writes reads back as the same module.
//! * [`write_with_blobs`] and [`ParseOptions::blob_dir`] keep large constants in a file beside the text.
//! * [`upstream::Upstream`] is asked about ops of upstream MLIR in its own syntax, where a program has it.
//! * [`render`] shows diagnostics with the lines of source they are about.
//! * [`codes`] explains the codes of this crate's diagnostics.
//! * [`grammar`] lists the forms of types and attributes.
//!
//! Dialects are known only by their tables; this crate has no code for any dialect but `builtin.module`.

pub mod blobs;
pub mod codes;
pub mod format;
pub mod grammar;
pub mod index;
pub mod lexer;
mod numbers;
pub mod parser;
pub mod printer;
pub mod render;
mod stack;
pub mod strings;
pub mod upstream;

pub use index::Index;
pub use parser::{ParseOptions, parse_attr, parse_indexed, parse_module, parse_type};
pub use printer::{
    PrintOptions, print_attr, print_loc, print_module, print_op, print_type, write_module, write_with_blobs,
};
pub use render::{RenderOptions, place_of, render, render_all};
pub use stack::{max_depth, on_deep_stack};
