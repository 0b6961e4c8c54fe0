//! Passes of the `dyn` dialect: when and where.
//!
//! * [`graph_to_dyn`]: tensors become buffers in memory, calls of kernels get their destinations, guards stand where sizes
//!   are first known.
//! * [`place_devices`]: each buffer is on a device; copies stand where it is wanted on another one.
//! * [`plan_memory`]: buffers that are not alive at the same time share memory.
//! * [`alternate_walks`]: kernels in a loop walk back through what they have read in the iteration before.
//! * [`insert_kills`]: memory goes back as soon as its last use is over.

pub mod alternate;
pub mod codes;
pub mod kills;
pub mod place;
pub mod plan;
mod register;
pub mod to_dyn;

pub use alternate::alternate_walks;
pub use kills::insert_kills;
pub use place::place_devices;
pub use plan::plan_memory;
pub use register::register;
pub use to_dyn::graph_to_dyn;
