//! What the machine is made of: memory, registers, threads.

pub mod alone;
pub mod places;
pub mod pool;
pub mod roof;
pub mod slot;
pub mod threads;
