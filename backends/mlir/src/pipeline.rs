//! The way from kernels in upstream's dialects to the `llvm` dialect.
//!
//! Kernels keep C's calling convention: `func.func @k(%x: memref<f32>, %n: index)` becomes `void k(ptr, i64)`. The
//! attribute `llvm.bareptr` on each function asks for it; [`crate::MlirModule::lower_to_llvm_dialect`] sets it.

/// Passes for the CPU, in order.
///
/// `convert-to-llvm` alone would do for most kernels, but not all of the vector dialect and of math is reached by it:
/// - `convert-vector-to-scf` unrolls multi-dimensional transfers;
/// - `expand-strided-metadata` and `lower-affine` turn subviews into address arithmetic;
/// - `convert-vector-to-llvm` knows shape casts, transposes, gathers, masks and multi-dimensional reductions;
/// - `convert-math-to-llvm` makes intrinsics, `convert-math-to-libm` calls for what has no intrinsic (`math.erf`, ...).
pub const CPU: &str = "convert-vector-to-scf,convert-scf-to-cf,expand-strided-metadata,lower-affine,\
    convert-vector-to-llvm,convert-math-to-llvm,convert-math-to-libm,convert-to-llvm,reconcile-unrealized-casts";

/// Puts a pass list into the module anchor that the pass manager expects; leaves an anchored pipeline as it is.
pub(crate) fn anchored(pipeline: &str) -> String {
    let text = pipeline.trim();
    if text.starts_with("builtin.module(") || text.starts_with("any(") {
        text.to_owned()
    } else {
        format!("builtin.module({text})")
    }
}
