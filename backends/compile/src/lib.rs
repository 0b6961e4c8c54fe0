//! All levels in one call: a module of the `graph` dialect becomes a program that `nim-vm` runs.
//!
//! * [`compile`]: the whole way, in memory; [`print_at`]: the same way up to any level, as text.
//! * [`kernels`]: `dataflow.kernel` to `loops.kernel`, to upstream MLIR, to machine code.
//! * [`pack`]: constants brought into the arrangement that kernels want.
//! * [`Recompile`]: the same again for shapes that are run often, while the program runs.
//! * [`tune`]: schedules by measurement.
//! * [`emit`]: the host program, from `dyn` to bytecode. [`native`]: the same as machine code, without bytecode.

mod cache;
pub mod codes;
pub mod emit;
pub mod kernels;
pub mod native;
pub mod pack;
mod pipeline;
mod specialise;
mod threads;
pub mod tune;

pub use cache::ObjectCache;
pub use emit::emit_program;
pub use kernels::{KernelInfo, compile_kernels, kernel_objects, kernels_to_loops, target_info};
pub use nim_graph_passes::Precision;
pub use pipeline::{Compiled, DIALECTS, Level, Options, compile, lower, lower_precision_of, print_at};
pub use specialise::Recompile;
