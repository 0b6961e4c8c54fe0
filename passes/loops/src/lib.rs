//! How every numeric op reaches machine code: maps become loop nests, loop nests become upstream MLIR.
//!
//! Schedules are chosen from what maps and memlets say (extents, affine coefficients, which dimensions are reductions),
//! never from the names of ops.

mod blocks;
pub mod codes;
pub mod explore_pass;
mod horizon;
mod in_place;
pub mod lower;
pub mod map;
pub mod mlir;
pub mod nest;
pub mod packing;
pub mod point;
mod register;
pub mod schedule;

pub use lower::{LoopsKernel, Options, Weights, constant_args, lower_kernel_to_loops};
pub use mlir::{TargetInfo, function_name, loops_to_mlir_text, phases};
pub use packing::Packing;
pub use register::register;
pub use schedule::explore::Dataflow;
