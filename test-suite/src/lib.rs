//! The tests are files: a test says in `RUN:` lines what is run and in `CHECK:` lines what must come out.
//!
//! This crate is the runner of such files (`tests/lit.rs`), with a matcher of check lines of its own (`filecheck`).
//! The files themselves stand in the folders beside `src`; `README.md` says how to write one.

pub mod coverage;
pub mod filecheck;
pub mod fuzz;
pub mod lit;
pub mod scan;
pub mod workspace;
