//! Dialects at run time: types, attributes and ops that a file in upstream's IRDL defines, so that a dialect can be tried without
//! compiling anything.
//!
//! [`Definitions::read`] reads the file; [`Definitions::check`] compares a module with it. What satisfies a constraint is what
//! satisfies it upstream: a constraint value stands for one attribute or type in an op, so two operands of one value are equal.
//!
//! Ops of such dialects stand in generic form, their types and attributes as `!dialect.name<parameters>`, `#dialect.name<...>`.
//! Files of upstream's `irdl` dialect are read in its own syntax and in generic form. `irdl.c_pred` is C++ and cannot be checked here: it is refused.

mod check;
pub mod codes;
mod constraint;
mod define;
mod generic;
mod lex;

pub use define::Definitions;

/// The code of an IRDL file that cannot be read.
const MALFORMED: &str = "N0150";
/// The code of constraints that cannot be checked.
const UNSUPPORTED: &str = "N0151";
/// The code of what an IRDL dialect does not have.
const UNKNOWN: &str = "N0152";
/// The code of wrong numbers of operands, results, regions, blocks, arguments or parameters, and of missing attributes.
const COUNT: &str = "N0153";
/// The code of a constraint that does not hold.
const CONSTRAINT: &str = "N0154";
/// The code of an op that neither a registered dialect nor the IRDL file has.
const FOREIGN: &str = "N0155";
