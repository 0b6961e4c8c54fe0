//! Passes over graphs keep the numbers.

mod claims;
mod lowering;
mod simplify;
mod support;
