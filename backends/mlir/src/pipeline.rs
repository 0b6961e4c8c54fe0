//! The way from kernels in upstream's dialects to the `llvm` dialect.
//!
//! Kernels keep C's calling convention: `func.func @k(%x: memref<f32>, %n: index)` becomes `void k(ptr, i64)`. The
//! attribute `llvm.bareptr` on each function asks for it; [`crate::MlirModule::lower_to_llvm_dialect`] sets it.
//!
//! # What makes good code
//! - Mark pointer arguments `{llvm.noalias}` where they are. A kernel that works in place must not claim it.
//! - Register tiles are `memref.alloca() : memref<6x2xvector<8xf32>>`, accessed with constant indices only.
//! - Read and write vectors with `vector.load` and `vector.store` on a memref of *scalars*: that assumes the alignment of
//!   the scalar. `memref.load` on a `memref<vector<8xf32>>` that came in as an argument assumes 32 bytes.
//! - Sums across a vector need `fastmath<reassoc>` on `vector.reduction`, or they run lane after lane. `maxnumf` and
//!   `minnumf` need `fastmath<nnan>` (and then must not meet NaN).
//! - `arith.maximumf` (NaN wins, +0 above -0) costs 3 instructions with a constant and 5 without. The select
//!   `arith.cmpf ogt, %a, %b` then `%a`, else `%b` is one `vmaxps`; it answers `%b` when either is NaN, so that
//!   `%zero` as `%a` makes an exact relu.
//! - `math.exp`, `tanh`, `erf`, `powf`, `sin`, `log` on vectors become one call of the C library per lane. `sqrt`,
//!   `rsqrt`, `floor`, `ceil`, `trunc`, `round`, `roundeven`, `absf`, `copysign`, `fma` become instructions.
//! - Without the CPU feature `fma`, `vector.fma` and `math.fma` are calls too.
//! - `arith.truncf` to bf16 is a call per lane unless the target has `avx512bf16` or `avxneconvert`: write it as integer
//!   arithmetic on `vector<8xi32>`, NaN check included, then `arith.trunci` and `vector.bitcast`.
//! - `arith.fptosi` is undefined for NaN and for values out of range; add and subtract 1.5 * 2^23 instead, or clamp.
//! - A whole matrix in one `vector.transpose` makes twice the shuffles needed; write the network with `vector.shuffle`.
//! - `vector.maskedstore` is slow on some CPUs: keep it to the tail, never in the body of a loop.
//! - `memref.copy` of contiguous memory is a call of `memcpy`; of anything else, and `memref.alloc`, they are calls that
//!   the runtime refuses to offer, which is an error that names them.

/// Passes for the CPU, in order.
///
/// `convert-to-llvm` alone would do for most kernels, but not all of vector and math is reached by it:
/// - `convert-vector-to-scf` unrolls multi-dimensional transfers;
/// - `expand-strided-metadata` and `lower-affine` turn subviews into address arithmetic;
/// - `convert-vector-to-llvm` knows shape casts, transposes, gathers and masks;
/// - `convert-math-to-llvm` makes intrinsics, `convert-math-to-libm` calls for what has none (`math.erf`, ...).
///
/// `arith-expand` is left out on purpose: rounding divisions lower without it, and it would turn `arith.maximumf` and
/// `arith.minimumf` into selects that answer -0 for the maximum of -0 and +0.
pub const CPU: &str = "func.func(lower-vector-multi-reduction),convert-vector-to-scf,expand-strided-metadata,lower-affine,\
    convert-scf-to-cf,convert-vector-to-llvm,convert-math-to-llvm,convert-math-to-libm,convert-to-llvm,\
    reconcile-unrealized-casts";

/// Puts a pass list into the module anchor that the pass manager expects; leaves an anchored pipeline as it is.
pub(crate) fn anchored(pipeline: &str) -> String {
    let text = pipeline.trim();
    if text.starts_with("builtin.module(") || text.starts_with("any(") {
        text.to_owned()
    } else {
        format!("builtin.module({text})")
    }
}
