//! Passes of the `graph` dialect.
//!
//! * [`fold()`]: ops of constants are computed when compiling.
//! * [`simplify()`]: ops that say nothing go; constants behind convolutions go into the weights.
//! * [`graph_to_dataflow`]: every numeric op becomes one or more `dataflow.map`.

mod affine;
pub mod codes;
pub mod fold;
mod integer;
mod invariant;
mod register;
pub mod simplify;
pub mod to_dataflow;

pub use fold::{ConstantFolder, FoldOptions, fold};
pub use register::{register, register_fold};
pub use simplify::{SimplifyOptions, simplify};
pub use to_dataflow::graph_to_dataflow;
