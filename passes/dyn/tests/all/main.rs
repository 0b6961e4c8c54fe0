//! Host programs and their memory.

mod plan;
mod to_dyn;
