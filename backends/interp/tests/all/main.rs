//! The reference interpreter: every level, every shape, every error.

mod any_shape;
mod errors;
mod gradients;
mod levels;
