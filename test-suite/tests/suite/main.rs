//! The tests of this crate that are Rust: the architecture's invariants, and snapshots of what the programs say.

mod arrows;
mod fuzz;
mod reference;
mod snapshots;
