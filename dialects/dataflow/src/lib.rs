//! The `dataflow` dialect: what moves.
//!
//! One op holds the heart: [`Map`], a scalar body over an index space, with every read and write spelled out. What something
//! is (contraction, stencil, elementwise, reduction) is read off domain and memlets, never off a name.
//!
//! * [`MapView`]: what a map says, typed; what passes look at.
//! * [`MapBuilder`]: makes maps, from nothing or from the parts of another.
//! * [`blocks`]: kernels whose maps run on one block of shared dimensions after the other.
//!
//! The exact meaning of the ops stands in `docs/ARCHITECTURE.md`.

pub mod blocks;
mod build;
pub mod codes;
mod combine;
mod index;
mod kernel;
mod map_syntax;
mod map_verify;
mod ops;
mod small;
mod view;

pub use build::{MapBuilder, MapRegions, index_value, load};
pub use combine::Combine;
pub use index::{
    as_iv, domain_facts, iv, iv_index, iv_symbol, ivs, mentioned_ivs, scalar_type, substitute_block_ivs, substitute_ivs,
};
pub use kernel::kernel_symbols;
pub use ops::{DATAFLOW, Index, Invoke, Kernel, Load, Map, Return, Yield};
pub use view::{MapView, Memlet, Write};
