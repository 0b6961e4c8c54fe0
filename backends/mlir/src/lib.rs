//! Bridge to upstream MLIR: text in, upstream passes over it, an LLVM module out.
//!
//! This is the only crate that names melior. It meets `nim-llvm` in one place, [`MlirModule::translate`], where an
//! LLVM context comes in and an LLVM module goes out as bare pointers, so that neither crate sees the other's bindings.
//!
//! Guarantees: every failure is an [`MlirError`] that holds MLIR's own diagnostics with their locations; nothing is
//! written to stderr. A context is used by one thread at a time (MLIR's own thread pool stays off), and as many
//! contexts as wanted work in parallel.
//!
//! On top of that stand [`Upstream`], by which the parser of `nim-text` reads ops in upstream's own syntax, and the pass
//! `mlir(...)`, which runs upstream's passes as a step of our pipelines ([`register`]).

mod bridge;
mod context;
mod diagnostics;
mod distinct;
mod module;
pub mod pipeline;
mod segment;

pub use bridge::Upstream;
pub use context::MlirContext;
pub use diagnostics::{MlirDiagnostic, MlirError, Severity, Stage};
pub use module::{MlirModule, RawLlvmModule};
pub use segment::register;
