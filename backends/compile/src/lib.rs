//! All levels in one call: a module of the `graph` dialect becomes a program that `nim-vm` runs.
//!
//! * [`kernels`]: `dataflow.kernel` to `loops.kernel`, to upstream MLIR, to machine code; constants brought into the
//!   arrangement that kernels want.

pub mod kernels;

pub use kernels::{KernelInfo, compile_kernels, kernels_to_loops, target_info};
