//! What the tests of compiled kernels share.

use nim_llvm::{CompileError, KernelSource, Options, Target, compile_kernels};
use nim_vm::code_image::CodeImage;

/// The kernels of `tests/kernels` need AVX2 and FMA.
pub fn v3() -> Target {
    Target::parse("x86-64-v3").expect("target")
}

pub fn compile(symbol: &str, text: &str, target: &Target) -> Result<CodeImage, CompileError> {
    compile_kernels(&[KernelSource { symbol, text }], target, &Options::default())
}
