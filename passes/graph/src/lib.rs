//! Passes of the `graph` dialect.
//!
//! * [`fold()`]: ops of constants are computed when compiling.
//! * [`simplify()`]: ops that say nothing go; constants behind convolutions go into the weights.
//! * [`infer_shapes`]: every dimension gets an expression; what types claim beyond that becomes guards.
//! * [`lift_lambdas`]: functions that are written where they are used become functions of the module.
//! * [`precision`]: contractions read `bf16` or `f16`.
//! * [`set_shapes()`]: a model for just one shape of its inputs.
//! * [`graph_to_dataflow`]: every numeric op becomes one or more `dataflow.map`.

mod affine;
mod affine_integer;
pub mod codes;
pub mod fold;
pub mod infer_shapes;
mod integer;
mod integer_pool;
mod invariant;
pub mod lift_lambdas;
pub mod precision;
mod register;
mod set_shapes;
pub mod simplify;
pub mod to_dataflow;

pub use fold::{ConstantFolder, FoldOptions, fold};
pub use infer_shapes::infer_shapes;
pub use lift_lambdas::lift_lambdas;
pub use precision::Precision;
pub use register::{register, register_fold};
pub use set_shapes::set_shapes;
pub use simplify::{SimplifyOptions, simplify};
pub use to_dataflow::graph_to_dataflow;
