//! LLVM: from LLVM modules to optimised machine code, and from objects to a linked [`CodeImage`].
//!
//! This is the only crate that names inkwell. The whole way from MLIR text stands in [`kernels`]; the steps are
//! [`module`] (optimise, print, emit), [`target`] (which machine) and [`link`] (objects to one image).
//!
//! Guarantees: failures are [`CompileError`]s with the words of MLIR, LLVM or the linker; the image for a list of
//! kernels is the same for any number of threads; compiled code calls nothing but the functions listed in
//! [`nim_vm::code_image::imports`].
//!
//! What it deliberately does not do: it does not run code. The loader is `nim-vm`'s and needs no LLVM.

mod error;
mod fatal;
pub mod hoist;
pub mod kernels;
pub mod link;
pub mod module;
pub mod native;
pub mod target;

pub use error::CompileError;
pub use kernels::{Compiler, Dump, KernelSource, StageTimes, compile_kernels};
pub use module::{LlvmContext, LlvmModule, Machine, OptLevel, Options};
pub use nim_vm::code_image::CodeImage;
pub use target::Target;
