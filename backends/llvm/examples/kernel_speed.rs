//! Prints how fast the register-tile kernel runs against the machine's own peak, and what compiling costs per stage.
//!
//! `cargo run --release -p nim-llvm --example kernel_speed`

#![allow(unsafe_code)]

use nim_llvm::{Compiler, KernelSource, Options, StageTimes, Target};
use nim_vm::code_image::LoadedCode;
use std::error::Error;
use std::time::Instant;

const GEMM: &str = include_str!("../tests/kernels/gemm_6x16.mlir");
const PEAK: &str = include_str!("../tests/kernels/fma_peak.mlir");
const TAIL: &str = include_str!("../tests/kernels/scale_tail.mlir");

/// Best of many runs, in seconds: what is slower was disturbed by something else on the machine.
fn best(mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..200 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn print_times(what: &str, kernels: u32, times: &StageTimes, before: &StageTimes) {
    let ms =
        |now: std::time::Duration, then: std::time::Duration| (now - then).as_secs_f64() * 1e3 / f64::from(kernels);
    println!(
        "{what}: set-up {:.2}, parse {:.2}, passes {:.2}, translate {:.2}, optimise {:.2}, emit {:.2}, link {:.2} ms",
        ms(times.setup, before.setup),
        ms(times.parse, before.parse),
        ms(times.passes, before.passes),
        ms(times.translate, before.translate),
        ms(times.optimise, before.optimise),
        ms(times.emit, before.emit),
        ms(times.link, before.link)
    );
}

fn main() -> Result<(), Box<dyn Error>> {
    let target = Target::parse("x86-64-v3")?;
    if !target.supported_on_host() {
        return Err("this machine has no AVX2 and FMA".into());
    }
    let sources = [
        KernelSource { symbol: "gemm_6x16", text: GEMM },
        KernelSource { symbol: "fma_peak", text: PEAK },
        KernelSource { symbol: "scale_tail", text: TAIL },
    ];
    for auto_vectorize in [true, false] {
        let compiler = Compiler::new(&target, &Options { auto_vectorize, ..Options::default() }).threads(1);
        let mut before = StageTimes::default();
        println!("compile times per kernel, auto_vectorize = {auto_vectorize}");
        for (what, source) in [("  first ever", 0), ("  gemm again", 0), ("  tail", 2), ("  tail again", 2)] {
            compiler.compile(&sources[source..=source])?;
            let now = compiler.times();
            print_times(what, 1, &now, &before);
            before = now;
        }
        for _ in 0..10 {
            compiler.compile(&sources[..1])?;
        }
        print_times("  gemm, mean of 10", 10, &compiler.times(), &before);
    }

    let image = Compiler::new(&target, &Options::default()).compile(&sources)?;
    let start = Instant::now();
    let code = LoadedCode::load(&image)?;
    println!("load: {:.3} ms", start.elapsed().as_secs_f64() * 1e3);
    let gemm = code.symbol("gemm_6x16").ok_or("no gemm_6x16")?;
    let peak = code.symbol("fma_peak").ok_or("no fma_peak")?;
    // SAFETY: the signatures in the MLIR texts; `code` lives to the end of this function.
    let gemm: extern "C" fn(*const f32, *const f32, *mut f32, usize, usize) = unsafe { std::mem::transmute(gemm) };
    // SAFETY: as above.
    let peak: extern "C" fn(*mut f32, usize) = unsafe { std::mem::transmute(peak) };

    let mut out = vec![0.0_f32; 96];
    let steps = 100_000;
    let peak_rate = (steps * 96 * 2) as f64 / best(|| peak(out.as_mut_ptr(), steps)) / 1e9;
    println!("FMA peak of one core: {peak_rate:.1} GFLOP/s");
    for depth in [64, 256, 512] {
        let (a, b) = (vec![0.5_f32; 6 * depth], vec![0.25_f32; 16 * depth]);
        let mut c = vec![0.0_f32; 96];
        let calls = 1000;
        let seconds = best(|| (0..calls).for_each(|_| gemm(a.as_ptr(), b.as_ptr(), c.as_mut_ptr(), depth, 16)));
        let rate = (calls * 96 * 2 * depth) as f64 / seconds / 1e9;
        println!("gemm_6x16, depth {depth}: {rate:.1} GFLOP/s, {:.1} % of peak", 100.0 * rate / peak_rate);
    }
    Ok(())
}
