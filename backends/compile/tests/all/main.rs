//! Whole programs: what is compiled, what cannot be, and random ones.

mod bytes;
mod codes;
mod malformed;
mod programs;
mod random;
mod threads;
