//! What the tests of compiled kernels share.

use nim_llvm::{CompileError, KernelSource, Options, Target, compile_kernels};
use nim_vm::code_image::{CodeImage, LoadedCode};

/// The kernels of `tests/kernels` need AVX2 and FMA.
pub fn v3() -> Target {
    Target::parse("x86-64-v3").expect("target")
}

/// Compiles one kernel, stores the image, reads it back and loads it: the whole way a kernel goes. `None` where this
/// machine cannot run the target.
pub fn load(symbol: &str, text: &str, target: &Target) -> Option<LoadedCode> {
    let image = compile(symbol, text, target).unwrap_or_else(|e| panic!("{e}"));
    let stored = image.to_bytes();
    assert_eq!(CodeImage::from_bytes(&stored).as_ref(), Ok(&image));
    target.supported_on_host().then(|| LoadedCode::load_bytes(&stored).unwrap_or_else(|e| panic!("{e}")))
}

pub fn compile(symbol: &str, text: &str, target: &Target) -> Result<CodeImage, CompileError> {
    compile_kernels(&[KernelSource { symbol, text }], target, &Options::default())
}

/// Numbers in [-1, 1) that are the same in every run.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}
