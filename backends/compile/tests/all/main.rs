//! Whole programs: what is compiled, what cannot be, and random ones.

mod bytes;
mod codes;
mod dataflows;
mod malformed;
mod precision;
mod programs;
mod random;
mod residues;
mod signs;
mod threads;
mod weights;
