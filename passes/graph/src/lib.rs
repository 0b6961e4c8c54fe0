//! Passes of the `graph` dialect.
//!
//! * [`graph_to_dataflow`]: every numeric op becomes one or more `dataflow.map`.

mod register;
pub mod to_dataflow;

pub use register::register;
pub use to_dataflow::graph_to_dataflow;
