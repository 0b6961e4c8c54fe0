//! Kernels go from MLIR text to numbers.

#![allow(unsafe_code)]

mod common;

use common::{compile, v3};
use nim_llvm::{Compiler, Dump, KernelSource, Options, Target};
use nim_vm::code_image::{CodeImage, LoadedCode};

const GEMM: &str = include_str!("kernels/gemm_6x16.mlir");
const GEMM_TILES: &str = include_str!("kernels/gemm_6x16_tiles.mlir");

/// Compiles one kernel, stores the image, reads it back and loads it: the whole way a kernel goes. `None` where this
/// machine cannot run the target.
fn load(symbol: &str, text: &str, target: &Target) -> Option<LoadedCode> {
    let image = compile(symbol, text, target).unwrap_or_else(|e| panic!("{e}"));
    let stored = image.to_bytes();
    assert_eq!(CodeImage::from_bytes(&stored).as_ref(), Ok(&image));
    target.supported_on_host().then(|| LoadedCode::load_bytes(&stored).unwrap_or_else(|e| panic!("{e}")))
}

/// Numbers in [-1, 1) that are the same in every run.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Entry point as a function pointer of the type wanted.
///
/// # Safety
/// `F` is the `extern "C"` type the kernel was written with, and `code` outlives the calls.
unsafe fn entry<F: Copy>(code: &LoadedCode, symbol: &str) -> F {
    let pointer = code.symbol(symbol).expect("symbol");
    assert_eq!(size_of::<F>(), size_of_val(&pointer));
    // SAFETY: same size, checked above; the type is right by the caller's word.
    unsafe { std::mem::transmute_copy(&pointer) }
}

type Gemm = extern "C" fn(*const f32, *const f32, *mut f32, usize, usize);
type GemmTiles = extern "C" fn(*const f32, *const f32, *mut f32, usize, usize, usize);
type Map = extern "C" fn(*const f32, *mut f32, usize);

#[test]
fn gemm_tile_is_right_for_every_depth() {
    let Some(code) = load("gemm_6x16", GEMM, &v3()) else { return };
    // SAFETY: the kernel's signature in the MLIR text.
    let kernel: Gemm = unsafe { entry(&code, "gemm_6x16") };
    for depth in [0, 1, 2, 7, 256] {
        let (a, b) = (numbers(6 * depth, 1), numbers(16 * depth, 2));
        let ldc = 19;
        let before = numbers(6 * ldc, 3);
        let mut c = before.clone();
        kernel(a.as_ptr(), b.as_ptr(), c.as_mut_ptr(), depth, ldc);
        for i in 0..6 {
            for j in 0..ldc {
                let mut expected = before[i * ldc + j];
                if j < 16 {
                    expected = (0..depth).fold(expected, |sum, k| a[k * 6 + i].mul_add(b[k * 16 + j], sum));
                }
                assert_eq!(c[i * ldc + j], expected, "depth {depth}, row {i}, column {j}");
            }
        }
    }
}

#[test]
fn gemm_over_tiles_is_right() {
    let Some(code) = load("gemm_6x16_tiles", GEMM_TILES, &v3()) else { return };
    // SAFETY: the kernel's signature in the MLIR text.
    let kernel: GemmTiles = unsafe { entry(&code, "gemm_6x16_tiles") };
    let (tiles, depth) = (3, 33);
    let ldc = 16 * tiles;
    let (a, b) = (numbers(6 * depth, 4), numbers(tiles * 16 * depth, 5));
    let mut c = vec![0.0; 6 * ldc];
    kernel(a.as_ptr(), b.as_ptr(), c.as_mut_ptr(), tiles, depth, ldc);
    for i in 0..6 {
        for j in 0..ldc {
            let panel = &b[j / 16 * 16 * depth..];
            let expected = (0..depth).fold(0.0, |sum, k| a[k * 6 + i].mul_add(panel[k * 16 + j % 16], sum));
            assert_eq!(c[i * ldc + j], expected, "row {i}, column {j}");
        }
    }
}

/// The whole point of a register tile: no load or store of the stack anywhere, even with the tile in an inner loop.
#[test]
fn register_tiles_become_registers() {
    for (symbol, text) in [("gemm_6x16", GEMM), ("gemm_6x16_tiles", GEMM_TILES)] {
        let compiler = Compiler::new(&v3(), &Options::default());
        let assembly = compiler.dump(&KernelSource { symbol, text }, Dump::Assembly).expect("assembly");
        assert!(assembly.contains("vfmadd231ps"), "{assembly}");
        let stack: Vec<&str> = assembly.lines().filter(|l| l.contains("ymm") && l.contains("(%rsp)")).collect();
        assert!(stack.is_empty(), "{symbol} spills: {stack:?}");
    }
}

#[test]
fn masked_tail_touches_nothing_behind_the_end() {
    let Some(code) = load("scale_tail", include_str!("kernels/scale_tail.mlir"), &v3()) else { return };
    // SAFETY: the kernel's signature in the MLIR text.
    let kernel: Map = unsafe { entry(&code, "scale_tail") };
    for n in 0..40 {
        let x = numbers(n, n as u64);
        let mut y = vec![-7.0; n + 8];
        kernel(x.as_ptr(), y.as_mut_ptr(), n);
        for (i, got) in y.iter().enumerate() {
            let expected = if i < n { x[i].mul_add(2.0, 1.0) } else { -7.0 };
            assert_eq!(*got, expected, "n = {n}, element {i}");
        }
    }
}

#[test]
fn vector_exp_is_within_two_units_in_the_last_place() {
    let text = include_str!("kernels/exp.mlir");
    let image = compile("exp", text, &v3()).expect("image");
    assert!(image.info.imports.is_empty(), "calls {:?}", image.info.imports);
    let Some(code) = load("exp", text, &v3()) else { return };
    // SAFETY: the kernel's signature in the MLIR text.
    let kernel: Map = unsafe { entry(&code, "exp") };
    let mut x: Vec<f32> = (-110_000..95_000).map(|i| i as f32 * 1e-3).collect();
    x.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN, 1e-38]);
    let mut y = vec![0.0; x.len()];
    kernel(x.as_ptr(), y.as_mut_ptr(), x.len());
    for (x, got) in x.iter().zip(&y) {
        let exact = f64::from(*x).exp();
        let expected = exact as f32;
        let same = got.to_bits() == expected.to_bits() || (got.is_nan() && expected.is_nan());
        let ulp = f64::from(f32::EPSILON) * exact.max(f64::from(f32::MIN_POSITIVE));
        assert!(same || (f64::from(*got) - exact).abs() <= 2.0 * ulp, "exp({x}) = {got}, expected {expected}");
    }
}

#[test]
fn scalar_functions_of_the_c_library_are_called_through_slots() {
    let text = include_str!("kernels/libm.mlir");
    let image = compile("libm", text, &v3()).expect("image");
    assert_eq!(image.info.imports, ["erff", "expf", "fmodf", "tanhf"]);
    let Some(code) = load("libm", text, &v3()) else { return };
    // SAFETY: the kernel's signature in the MLIR text.
    let kernel: Map = unsafe { entry(&code, "libm") };
    let x = [0.5_f32, -2.0, 3.25, 10.0];
    let mut y = [0.0_f32; 4];
    kernel(x.as_ptr(), y.as_mut_ptr(), x.len());
    for (x, got) in x.iter().zip(y) {
        // erf(1/2), and erf(x) = 1 up to rounding for the rest of what is tried.
        let erf = [(0.5, 0.520_499_9_f32), (-2.0, -0.995_322_3), (3.25, 0.999_995_7), (10.0, 1.0)];
        let erf = erf.iter().find(|(at, _)| at == x).expect("known").1;
        let expected = x.exp() + x.tanh() + erf + x % 0.75;
        assert!((got - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{x}: {got}, expected {expected}");
    }
}

/// One text, every target: the baseline has no FMA and no wide vectors, and gives the same numbers.
#[test]
fn every_level_of_x86_64_compiles_the_same_text() {
    let text = include_str!("kernels/scale_tail.mlir");
    let mut widths = Vec::new();
    for name in ["x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "host"] {
        let target = Target::parse(name).expect("target");
        widths.push(target.vector_bits());
        let Some(code) = load("scale_tail", text, &target) else { continue };
        // SAFETY: the kernel's signature in the MLIR text.
        let kernel: Map = unsafe { entry(&code, "scale_tail") };
        let x: Vec<f32> = (0..29_u8).map(f32::from).collect();
        let mut y = vec![0.0; x.len()];
        kernel(x.as_ptr(), y.as_mut_ptr(), x.len());
        assert!(x.iter().zip(&y).all(|(x, y)| *y == 2.0 * x + 1.0), "{name}: {y:?}");
    }
    assert_eq!(widths[..4], [128, 128, 256, 512]);
}

/// Without F16C and FMA, conversions and multiply-adds are calls, whose arguments travel as the ABI says.
#[test]
fn half_precision_and_fma_on_every_level() {
    let text = include_str!("kernels/half.mlir");
    for name in ["x86-64", "x86-64-v2", "x86-64-v3", "host"] {
        let target = Target::parse(name).expect("target");
        let image = compile("half", text, &target).unwrap_or_else(|e| panic!("{e}"));
        let calls_fma = image.info.imports.iter().any(|i| i == "fmaf");
        assert_eq!(calls_fma, !target.has("fma"), "{name}: {:?}", image.info.imports);
        let Some(code) = load("half", text, &target) else { continue };
        let kernel = code.symbol("half").expect("symbol");
        // SAFETY: the kernel's signature in the MLIR text.
        let kernel: extern "C" fn(*const u16, *mut u16, *mut u16, usize) = unsafe { std::mem::transmute(kernel) };
        // 0.5, -1.25, 65504 (the largest half), 2^-24 (the smallest), infinity, NaN
        let x: [u16; 6] = [0x3800, 0xbd00, 0x7bff, 0x0001, 0x7c00, 0x7e00];
        let (mut y, mut z) = ([0_u16; 6], [0_u16; 6]);
        kernel(x.as_ptr(), y.as_mut_ptr(), z.as_mut_ptr(), x.len());
        // x * x + x as half, and as bfloat: 0.75, 0.3125, beyond the range of a half, 2^-24 + 2^-48.
        assert_eq!(y, [0x3a00, 0x3500, 0x7c00, 0x0001, 0x7c00, 0x7e00], "{name}: {y:04x?}");
        assert_eq!(z, [0x3f40, 0x3ea0, 0x4f80, 0x3380, 0x7f80, 0x7fc0], "{name}: {z:04x?}");
    }
}

#[test]
fn wide_targets_get_wide_registers() {
    let text = include_str!("kernels/scale_tail.mlir").replace("<8x", "<16x").replace("constant 8 :", "constant 16 :");
    let compiler = Compiler::new(&Target::parse("x86-64-v4").expect("target"), &Options::default());
    let assembly = compiler.dump(&KernelSource { symbol: "scale_tail", text: &text }, Dump::Assembly);
    let assembly = assembly.expect("assembly");
    assert!(assembly.contains("zmm") && assembly.contains("{%k1}"), "{assembly}");
}

/// Operations that upstream lowers in passes of their own, which the pipeline must not forget.
#[test]
fn operations_with_lowerings_of_their_own_compile() {
    let text = include_str!("kernels/operations.mlir");
    for name in ["x86-64-v3", "x86-64-v4", "x86-64-v4+avx512bf16"] {
        let target = Target::parse(name).expect("target");
        let image = compile("operations", text, &target).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(
            image.info.imports.iter().all(|i| i == "memcpy" || i == "__truncsfbf2"),
            "{name}: {:?}",
            image.info.imports
        );
    }
}

#[test]
fn many_kernels_make_the_same_image_on_any_number_of_threads() {
    let sources = [
        KernelSource { symbol: "gemm_6x16", text: GEMM },
        KernelSource { symbol: "scale_tail", text: include_str!("kernels/scale_tail.mlir") },
        KernelSource { symbol: "exp", text: include_str!("kernels/exp.mlir") },
        KernelSource { symbol: "libm", text: include_str!("kernels/libm.mlir") },
        KernelSource { symbol: "gemm_6x16_tiles", text: GEMM_TILES },
    ];
    let one = Compiler::new(&v3(), &Options::default()).threads(1).compile(&sources).expect("image");
    let compiler = Compiler::new(&v3(), &Options::default()).threads(4);
    for _ in 0..2 {
        assert_eq!(compiler.compile(&sources).expect("image"), one);
    }
    assert_eq!(one.info.symbols.len(), sources.len());
}
