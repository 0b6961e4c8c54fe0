//! Passes of the `dyn` dialect: when and where.
//!
//! * [`graph_to_dyn`]: tensors become buffers in memory, calls of kernels get their destinations, guards stand where sizes
//!   are first known.
//! * [`insert_kills`]: memory goes back as soon as its last use is over.

pub mod kills;
mod register;
pub mod to_dyn;

pub use kills::insert_kills;
pub use register::register;
pub use to_dyn::graph_to_dyn;
