//! LLVM: optimise, object code, linked code images, JIT.
