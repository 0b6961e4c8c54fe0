//! Tensor operations on host tensors: the semantics of the `graph` dialect's primitives.
//!
//! What holds for all of them:
//! - Floating-point results are computed in `f64` and rounded once to the result type: the nearest thing to the exact
//!   value that is simple to state. Integers are exact, in two's complement, and wrap.
//! - Every shape is legal: rank 0, dimensions of size 0. What contradicts the definition is a [`KernelError`].
//! - Operations that only move elements work on every element type, strings included.
//!
//! One operation family a file. Nothing here is fast on purpose, and nothing here knows the IR.

pub mod access;
pub mod choose;
pub mod col2im;
pub mod contract;
pub mod conv;
pub mod deform_conv;
pub mod det;
pub mod dft;
pub mod elementwise;
pub mod error;
pub mod gather;
pub mod grid_sample;
pub mod index;
pub mod movement;
pub mod order;
pub mod pad;
pub mod pool;
pub mod random;
pub mod reduce;
pub mod resize;
pub mod roi;
pub mod scan;
pub mod scatter;
pub mod window;

pub use error::{KernelError, Result};
