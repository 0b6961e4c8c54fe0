//! Prints how fast maps run against the FMA peak of one core.
//!
//! `cargo run --release -p nim-llvm --example map_speed`

#![allow(dead_code)]

#[path = "../tests/maps/cases.rs"]
mod cases;
#[path = "../tests/maps/harness.rs"]
mod harness;

use cases::{Conv, matmul_kernel};
use harness::*;
use nim_loops_passes::Options;
use std::time::Instant;

/// 16 lanes a cycle, twice (multiply and add).
const FLOPS_PER_CYCLE: f64 = 32.0;

fn best(mut run: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    let begin = Instant::now();
    for _ in 0..400 {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
        if begin.elapsed().as_secs_f64() > 1.5 {
            break;
        }
    }
    best
}

fn report(name: &str, compiled: &Compiled<'_>, inputs: &[&[u8]], flops: f64, peak: f64) {
    let mut outputs = compiled.outputs(&[]);
    let seconds = best(|| compiled.run(inputs, &mut outputs, &[], 1));
    let rate = flops / seconds / 1e9;
    let [lower, print, machine] = compiled.times.map(|t| t.as_secs_f64() * 1e3);
    println!(
        "{name:<28} {:>9.1} us {rate:>7.1} GFLOP/s {:>5.1} %  (lower {lower:.1}, print {print:.1}, compile {machine:.1} ms)",
        seconds * 1e6,
        100.0 * rate / peak
    );
    let phases = compiled.phase_seconds(inputs, &mut outputs, &[]);
    if phases.len() > 1 {
        let phases: Vec<String> = phases.iter().map(|s| format!("{:.1}", s * 1e6)).collect();
        println!("{:<28} phases: {} us", "", phases.join(", "));
    }
}

fn main() {
    let ghz: f64 = std::env::var("GHZ").ok().and_then(|v| v.parse().ok()).unwrap_or(3.5);
    let peak = ghz * FLOPS_PER_CYCLE;
    let options = Options::default();
    let filter = std::env::args().nth(1).unwrap_or_default();
    for (size, constant) in [(512usize, true), (512, false), (1024, true), (128, true)] {
        let name = format!("matmul {size} constant={constant}");
        if !name.contains(&filter) {
            continue;
        }
        let ctx = context();
        let e = ctx.exprs.constant(size as i64);
        let (module, op) = matmul_kernel(&ctx, e, e, e, &[], constant);
        let compiled = compile(&ctx, &module, op, &options);
        let (a, b) = (bytes(&random(size * size, 1)), bytes(&random(size * size, 2)));
        let inputs = compiled.pack(&[&a, &b], &[&[size, size], &[size, size]]);
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        report(&name, &compiled, &inputs, 2.0 * (size as f64).powi(3), peak);
    }
    let base = Conv { n: 1, c: 64, o: 64, h: 56, w: 56, k: 3, stride: 1, pad: 1, dilation: 1, groups: 1 };
    let cases = [
        ("conv 3x3 64->64 56x56", base),
        ("conv 3x3 128->128 28x28", Conv { c: 128, o: 128, h: 28, w: 28, ..base }),
        ("conv 3x3 256->256 14x14", Conv { c: 256, o: 256, h: 14, w: 14, ..base }),
        ("conv 3x3 512->512 7x7", Conv { c: 512, o: 512, h: 7, w: 7, ..base }),
        ("conv 7x7/2 3->64 224x224", Conv { c: 3, o: 64, h: 224, w: 224, k: 7, stride: 2, pad: 3, ..base }),
        ("conv 1x1 64->256 56x56", Conv { c: 64, o: 256, k: 1, pad: 0, ..base }),
        ("conv 1x1 256->64 56x56", Conv { c: 256, o: 64, k: 1, pad: 0, ..base }),
        ("conv 1x1 512->2048 7x7", Conv { c: 512, o: 2048, h: 7, w: 7, k: 1, pad: 0, ..base }),
        ("depthwise 3x3 64 56x56", Conv { groups: 64, ..base }),
        ("depthwise 3x3/2 64 56x56", Conv { groups: 64, stride: 2, ..base }),
    ];
    for (name, conv) in cases {
        if !name.contains(&filter) {
            continue;
        }
        let ctx = context();
        let (module, op) = conv.kernel(&ctx, true);
        let compiled = compile(&ctx, &module, op, &options);
        let cg = conv.c / conv.groups;
        let x = bytes(&random(conv.n * conv.c * conv.h * conv.w, 1));
        let w = bytes(&random(conv.o * cg * conv.k * conv.k, 2));
        let bias = bytes(&random(conv.o, 3));
        let dims: [&[usize]; 3] = [&[conv.n, conv.c, conv.h, conv.w], &[conv.o, cg, conv.k, conv.k], &[conv.o]];
        let inputs = compiled.pack(&[&x, &w, &bias], &dims);
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        report(name, &compiled, &inputs, conv.flops(), peak);
    }
}
