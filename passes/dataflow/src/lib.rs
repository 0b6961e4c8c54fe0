//! Passes of the `dataflow` dialect.
//!
//! * [`blocks`]: maps that hand each other rows run on one block of rows after the other.
//! * [`fuse`]: maps that move less together become one.
//! * [`layouts`]: in which order containers lie in memory.
//! * [`numbers`]: what bodies compute of quantised numbers, in fewer operations.
//! * [`outline`]: maps become kernels that the host function invokes.
//! * [`residues`]: dimensions that memlets take apart by remainders become two.
//! * [`signs`]: sums of products of signs become counts of bits.
//! * [`report()`]: what moves, as formulas.

pub mod blocks;
pub mod codes;
pub mod fuse;
pub mod layouts;
mod names;
pub mod numbers;
pub mod outline;
mod register;
pub mod report;
pub mod residues;
pub mod signs;

pub use blocks::{BlockOptions, fuse_blocks};
pub use fuse::{FuseOptions, fuse};
pub use layouts::choose_layouts;
pub use numbers::simplify_numbers;
pub use outline::outline;
pub use register::register;
pub use report::report;
pub use residues::split_residues;
pub use signs::pack_signs;
