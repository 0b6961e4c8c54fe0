//! Makes a module and a pipeline smaller while something stays true of them.
//!
//! * [`keep`]: what is to stay true: an error, a panic of a pass, a result that passes change, a command that succeeds.
//! * [`edits`]: what can be made smaller in a module: ops, regions, attributes, sizes, arguments and results.
//! * [`reduce`]: tries edits, many at once first, until none of them is left that keeps it true.

pub mod edits;
pub mod keep;
pub mod reduce;

pub use keep::{Case, Keep};
pub use reduce::{Reduced, reduce};
