//! The light runtime that runs compiled programs.
//!
//! * [`Program`]: a `.nimx` file, mapped and checked; [`ProgramBuilder`] makes one.
//! * [`Session`]: runs a program; holds memory and threads between runs.
//! * [`bytecode`]: the instruction set. [`runtime`]: library functions. [`code_image`]: machine code.
//!
//! Guarantees: a damaged or foreign file is refused with an error; no bytecode reads or writes outside the memory of its
//! values; every failure of a run is a [`RunError`] that names input, dimension and node. Machine code of kernels is
//! trusted, as that of any program is.
//!
//! What it deliberately does not do: it knows neither the IR nor LLVM, and compiles nothing; a [`Specialiser`] may do that for it.
#![allow(unsafe_code)]

pub mod bytecode;
pub mod code_image;
pub mod device;
mod error;
mod guards;
mod machine;
pub mod nimx;
mod program;
pub mod runtime;
mod session;
mod specialise;

pub use error::{ConstantsProblem, LoadError, RunError, RunErrorKind};
pub use machine::alone;
pub use machine::pool::PoolStats;
pub use machine::roof::{CACHE_BYTES, Products, Roof, multiply};
pub use program::{
    AdtType, KernelCost, LoadOptions, NativeParts, Program, ProgramBuilder, Signature, SignatureValue, ValueType,
};
pub use session::native;
pub use session::{BoundSession, KernelTime, Options, Profile, Session, SiteTime, Span, Stats};
pub use specialise::{SpecialiseOptions, SpecialisedShape, SpecialisedState, Specialiser};
