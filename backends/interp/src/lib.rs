//! Reference interpreter of every dialect we own: slow, obviously right, the oracle of all tests.
//!
//! - [`scalar`] is the one table of scalar arithmetic: tensor kernels and scalar ops both look their functions up there.
//! - [`kernels`] are the tensor operations the `graph` dialect is made of, on host tensors, free of any IR.
//! - [`exec`] runs modules: functions and kernels at every level.
//! - [`device`] runs the kernels of compiled programs, by their IR: a second device wherever there is none.
//!
//! **Invariant**: no input makes a kernel panic; what an operation cannot do is a [`kernels::KernelError`].

pub mod codes;
pub mod device;
pub mod exec;
pub mod kernels;
pub mod scalar;
