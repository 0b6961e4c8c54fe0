//! Maps from the dataflow level to running machine code, against plain Rust loops.

// Shared with the example that measures; each uses a part of it.
#[allow(dead_code)]
mod cases;
mod harness;
mod kinds;
mod winograd;

use cases::Conv;
use harness::*;
use nim_dataflow::{Combine, MapBuilder};

#[test]
fn matmul_of_odd_and_symbolic_sizes() {
    for options in both() {
        let ctx = context();
        let (m, n, k) = ("M", "N", "K");
        let size = dims(&ctx, &[m, n, k]);
        let f32_type = ctx.f32_type();
        let inputs = [ctx.tensor_of(&[size[0], size[2]], f32_type), ctx.tensor_of(&[size[2], size[1]], f32_type)];
        let (module, op) = kernel(&ctx, &inputs, &[m, n, k], |b, args| {
            vec![matmul(&ctx, b, args[0], args[1], &[size[0], size[1], size[2]])]
        });
        let compiled = compile(&ctx, &module, op, &options);
        // All numbers of rows that a tile can leave over, few enough sums for one part and for several.
        let rows = (1usize..=16).flat_map(|m| [(m, 40, 9), (m, 16, 67)]);
        for (m, n, k) in rows.chain([(1, 1, 1), (7, 17, 5), (13, 33, 64), (50, 7, 31)]) {
            let (a, b) = (random(m * k, 1), random(k * n, 2));
            let mut expected = vec![0.0; m * n];
            for y in 0..m {
                for x in 0..n {
                    expected[y * n + x] = (0..k).map(|z| a[y * k + z] * b[z * n + x]).sum();
                }
            }
            let symbols = [("M", m as i64), ("N", n as i64), ("K", k as i64)];
            let found = compiled.f32s(&[&bytes(&a), &bytes(&b)], &symbols);
            close(&found, &expected, 1e-4);
        }
    }
}

#[test]
fn elementwise_with_broadcast() {
    for options in both() {
        let ctx = context();
        let size = dims(&ctx, &["N", "5", "19"]);
        let f32_type = ctx.f32_type();
        let inputs = [ctx.tensor_of(&size, f32_type), ctx.tensor_of(&size[1..2], f32_type)];
        let (module, op) = kernel(&ctx, &inputs, &["N"], |b, args| {
            let mut map = MapBuilder::new(&size);
            let point = [i(&ctx, 0), i(&ctx, 1), i(&ctx, 2)];
            map.read(args[0], &point);
            map.read(args[1], &point[1..2]);
            map.write(ctx.tensor_of(&size, f32_type), &point);
            let op = map.build(b, |b, args| {
                let zero = b.value("arith.constant", &[], f32_type, &[("value", ctx.float_attr(0.0, f32_type))]);
                let sum = b.value("arith.addf", args, f32_type, &[]);
                vec![b.value("arith.maximumf", &[sum, zero], f32_type, &[])]
            });
            vec![b.body.result(op)]
        });
        let compiled = compile(&ctx, &module, op, &options);
        for n in [0usize, 1, 3] {
            let (x, c) = (random(n * 95, 3), random(5, 4));
            let expected: Vec<f32> = (0..n * 95).map(|i| (x[i] + c[i / 19 % 5]).max(0.0)).collect();
            let found = compiled.f32s(&[&bytes(&x), &bytes(&c)], &[("N", n as i64)]);
            close(&found, &expected, 0.0);
        }
    }
}

/// `combine` over the last dimension.
#[test]
fn reductions_of_rows_and_columns() {
    for options in both() {
        for rows in [true, false] {
            for combine in [Combine::Add, Combine::Max] {
                let ctx = context();
                let size = dims(&ctx, &["A", "B"]);
                let f32_type = ctx.f32_type();
                let (kept, gone) = if rows { (0, 1) } else { (1, 0) };
                let (module, op) = kernel(&ctx, &[ctx.tensor_of(&size, f32_type)], &["A", "B"], |b, args| {
                    let mut map = MapBuilder::new(&[size[kept], size[gone]]);
                    let point = if rows { [i(&ctx, 0), i(&ctx, 1)] } else { [i(&ctx, 1), i(&ctx, 0)] };
                    map.read(args[0], &point);
                    let start = combine.identity(&ctx, f32_type).expect("identity");
                    map.reduce(ctx.tensor_of(&size[kept..=kept], f32_type), &[i(&ctx, 0)], combine, start);
                    let op = map.build(b, |_, args| args.to_vec());
                    vec![b.body.result(op)]
                });
                let compiled = compile(&ctx, &module, op, &options);
                for (h, w) in [(1usize, 1usize), (3, 100), (40, 7), (65, 65)] {
                    let x = random(h * w, 5);
                    let at = |k: usize, g: usize| if rows { x[k * w + g] } else { x[g * w + k] };
                    let (keep, lose) = if rows { (h, w) } else { (w, h) };
                    let expected: Vec<f32> = (0..keep)
                        .map(|k| match combine {
                            Combine::Add => (0..lose).map(|g| at(k, g)).sum(),
                            _ => (0..lose).map(|g| at(k, g)).fold(f32::NEG_INFINITY, f32::max),
                        })
                        .collect();
                    let found = compiled.f32s(&[&bytes(&x)], &[("A", h as i64), ("B", w as i64)]);
                    close(&found, &expected, 1e-5);
                }
            }
        }
    }
}

#[test]
fn convolutions() {
    let base = Conv { n: 1, c: 5, o: 7, h: 9, w: 11, k: 3, stride: 1, pad: 1, dilation: 1, groups: 1 };
    let cases = [
        base,
        Conv { stride: 2, ..base },
        Conv { n: 2, c: 4, o: 6, groups: 2, ..base },
        Conv { c: 6, o: 6, groups: 6, ..base },
        Conv { c: 6, o: 6, groups: 6, stride: 2, h: 16, w: 16, ..base },
        Conv { k: 1, pad: 0, c: 16, o: 24, ..base },
        Conv { dilation: 2, pad: 2, ..base },
        Conv { n: 3, c: 3, o: 33, k: 5, stride: 3, pad: 2, h: 20, w: 17, ..base },
        Conv { c: 64, o: 64, h: 7, w: 7, ..base },
    ];
    for conv in cases {
        let cg = conv.c / conv.groups;
        let x = random(conv.n * conv.c * conv.h * conv.w, 1);
        let w = random(conv.o * cg * conv.k * conv.k, 2);
        let bias = random(conv.o, 3);
        let expected = conv.reference(&x, &w, &bias);
        for options in both() {
            for constant in [false, true] {
                let ctx = context();
                let (module, op) = conv.kernel(&ctx, constant);
                let compiled = compile(&ctx, &module, op, &options);
                let dims: [&[usize]; 3] = [&[conv.n, conv.c, conv.h, conv.w], &[conv.o, cg, conv.k, conv.k], &[conv.o]];
                let inputs = compiled.pack(&[&bytes(&x), &bytes(&w), &bytes(&bias)], &dims);
                let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
                for parts in [1, 3] {
                    let mut outputs = compiled.outputs(&[]);
                    compiled.run(&inputs, &mut outputs, &[], parts);
                    close(&from_bytes::<f32>(&outputs[0]), &expected, 1e-4);
                }
            }
        }
    }
}

/// Distance in units in the last place of `expected`.
fn ulps(found: f32, expected: f64) -> f64 {
    let nearest = expected as f32;
    if found == nearest || (found.is_nan() && nearest.is_nan()) {
        return 0.0;
    }
    let next = f32::from_bits(nearest.abs().to_bits() + 1) - nearest.abs();
    (f64::from(found) - expected).abs() / f64::from(next.max(f32::from_bits(1)))
}

/// Error function by a series of positive terms (Abramowitz and Stegun 7.1.6), for reference.
fn erf(x: f64) -> f64 {
    if x.abs() > 6.0 || x.is_nan() {
        return if x.is_nan() { x } else { x.signum() };
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..400 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    sum * 2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp()
}

#[test]
fn functions_are_within_two_units() {
    type Function = (&'static str, fn(f64) -> f64, f32, f32);
    let functions: [Function; 5] = [
        ("math.exp", f64::exp, -105.0, 90.0),
        ("math.exp2", f64::exp2, -151.0, 129.0),
        ("math.log", f64::ln, 0.0, 100.0),
        ("math.tanh", f64::tanh, -11.0, 11.0),
        ("math.erf", erf, -5.0, 5.0),
    ];
    for (name, reference, low, high) in functions {
        let ctx = context();
        let f32_type = ctx.f32_type();
        let size = dims(&ctx, &["N"]);
        let (module, op) = kernel(&ctx, &[ctx.tensor_of(&size, f32_type)], &["N"], |b, args| {
            let mut map = MapBuilder::new(&size);
            map.read(args[0], &[i(&ctx, 0)]);
            map.write(ctx.tensor_of(&size, f32_type), &[i(&ctx, 0)]);
            let op = map.build(b, |b, args| vec![b.value(name, args, f32_type, &[])]);
            vec![b.body.result(op)]
        });
        let compiled = compile(&ctx, &module, op, &both()[1]);
        let count = 200_003;
        let mut x: Vec<f32> = (0..count).map(|k| low + (high - low) * k as f32 / count as f32).collect();
        x.extend(random(5000, 9).iter().map(|v| v * 1e-3));
        x.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1.0, -1.0, 1e-40, f32::MAX, f32::MIN]);
        let found = compiled.f32s(&[&bytes(&x)], &[("N", x.len() as i64)]);
        let mut worst = (0.0, 0.0);
        for (&x, &y) in x.iter().zip(&found) {
            let expected = reference(f64::from(x));
            let distance = ulps(y, expected);
            if distance > worst.0 || distance.is_nan() {
                worst = (distance, x);
            }
        }
        assert!(worst.0 <= 2.0, "{name}: {} units at {}", worst.0, worst.1);
    }
}
