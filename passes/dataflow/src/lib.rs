//! Passes of the `dataflow` dialect.
//!
//! * [`outline`]: maps become kernels that the host function invokes.

mod names;
pub mod outline;
mod register;

pub use outline::outline;
pub use register::register;
