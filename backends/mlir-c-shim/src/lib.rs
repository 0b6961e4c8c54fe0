//! No code: this crate exists for its build script.
//!
//! `mlir-sys` in shared mode asks the linker for `libMLIR-C.so`. Debian ships MLIR as `libMLIR.so` and keeps the C
//! API in static archives of its own, so the build script writes a linker *script* of that name which groups these
//! archives, and puts its folder on the link search path of whatever binary depends on this crate.
