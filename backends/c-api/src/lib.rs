//! `libnim`: the runtime for programs in C, and in whatever can call C. The header `include/nim.h` is made from these files.
//!
//! Guarantees: no function panics or unwinds into its caller, whatever it is given short of a wild pointer; a failure is an
//! error object with a code and a message; inputs and outputs are not copied unless that is asked for; programs and values
//! may be used from any number of threads at a time, a session from one at a time.
//!
//! What it deliberately does not do: it has no state of its own, and no compiler: [`nim_program_specialise`] takes that of
//! whoever has one.
#![allow(unsafe_code, non_camel_case_types)]

mod error;
mod program;
mod session;
mod specialise;
mod value;

pub use error::*;
pub use program::*;
pub use session::*;
pub use specialise::*;
pub use value::*;
