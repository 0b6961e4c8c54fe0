//! Reference pages, made of the definitions of ops, types, passes and diagnostics, with examples out of the test-suite.
//!
//! * [`ops::op`]: what an op's table says, as Markdown.
//! * [`pages::pages`]: all pages; what has no example is an error.
//! * [`textmate::grammar`]: a grammar for editors.
//! * [`html::page`]: the same as one static page with search.

pub mod bytecode;
pub mod corpus;
pub mod html;
pub mod ops;
pub mod pages;
pub mod textmate;

use nim_ir::diagnostics::Code;

// The crate itself needs LLVM, its table does not.
#[path = "../../../backends/compile/src/codes.rs"]
mod compiler_codes;

/// The codes of every crate.
pub fn codes() -> Vec<&'static Code> {
    nim_opt::codes().into_iter().chain(nim_onnx::codes::CODES).chain(compiler_codes::CODES).collect()
}
