//! What the machine is made of: memory, registers, threads.

pub mod pool;
pub mod roof;
pub mod slot;
pub mod threads;
