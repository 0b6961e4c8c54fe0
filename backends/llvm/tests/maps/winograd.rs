//! Winograd's algorithms give what plain sums give, whatever the sizes, borders and windows.

use super::harness::*;
use nim_dataflow::{Combine, MapBuilder};
use nim_ir::{Body, Context, OpId};

/// A convolution of images `[n, h, w, groups*c]` with filters `[groups*o, c, taps...]` in steps of one.
#[derive(Clone, Debug)]
struct Case {
    n: usize,
    size: [usize; 2],
    c: usize,
    o: usize,
    groups: usize,
    /// Windows along the two dimensions; 1 is none.
    taps: [usize; 2],
    /// What stands outside, before and behind.
    pads: [[usize; 2]; 2],
    /// Whether the sizes of images and batch are symbols.
    symbolic: bool,
}

impl Case {
    fn out(&self, d: usize) -> usize {
        self.size[d] + self.pads[d][0] + self.pads[d][1] + 1 - self.taps[d]
    }

    /// The kernel: a map with an addend for each result and a square as its epilogue.
    fn kernel(&self, ctx: &Context) -> (Body, OpId) {
        let pool = &ctx.exprs;
        let num = |v: usize| pool.constant(v as i64);
        let ty = ctx.f32_type();
        let of = |name: &str, v: usize| if self.symbolic { pool.named(name) } else { num(v) };
        let sizes = [of("N", self.n), of("H", self.size[0]), of("W", self.size[1])];
        let more = |d: usize| num(self.pads[d][0] + self.pads[d][1] + 1);
        let outs = [0, 1].map(|d| pool.sub(pool.add(sizes[d + 1], more(d)), num(self.taps[d])));
        let (all_c, all_o) = (num(self.groups * self.c), num(self.groups * self.o));
        let result = ctx.tensor_of(&[sizes[0], outs[0], outs[1], all_o], ty);
        let inputs = [
            ctx.tensor_of(&[sizes[0], sizes[1], sizes[2], all_c], ty),
            ctx.tensor_of(&[all_o, num(self.c), num(self.taps[0]), num(self.taps[1])], ty),
            result,
        ];
        let symbols: &[&str] = if self.symbolic { &["N", "H", "W"] } else { &[] };
        let (mut module, op) = kernel(ctx, &inputs, symbols, |b, args| {
            let iv = |k: usize| i(ctx, k);
            // n, group, y, x, o, c, taps
            let domain = [
                sizes[0],
                num(self.groups),
                outs[0],
                outs[1],
                num(self.o),
                num(self.c),
                num(self.taps[0]),
                num(self.taps[1]),
            ];
            let mut map = MapBuilder::new(&domain);
            let at = |d: usize| pool.sub(pool.add(iv(2 + d), iv(6 + d)), num(self.pads[d][0]));
            let channel = pool.add(pool.scale(self.c as i64, iv(1)), iv(5));
            let filter = pool.add(pool.scale(self.o as i64, iv(1)), iv(4));
            let zero = ctx.float_attr(0.0, ty);
            map.read_or(args[0], &[iv(0), at(0), at(1), channel], zero);
            map.read(args[1], &[filter, iv(5), iv(6), iv(7)]);
            let place = [iv(0), iv(2), iv(3), filter];
            map.epilogue_read(args[2], &place);
            map.reduce(result, &place, Combine::Add, zero);
            let op = map.build_with_epilogue(
                b,
                &[ty],
                |b, args| vec![b.value("arith.mulf", &[args[1], args[0]], ty, &[])],
                |b, args| {
                    let sum = b.value("arith.addf", args, ty, &[]);
                    vec![b.value("arith.mulf", &[sum, sum], ty, &[])]
                },
            );
            vec![b.body.result(op)]
        });
        module.set_attr(ctx, op, "dataflow.constant_args", ctx.i64_array(&[1]));
        (module, op)
    }

    /// The same in plain Rust, with longer sums.
    fn reference(&self, x: &[f32], w: &[f32], addend: &[f32]) -> Vec<f64> {
        let all_c = self.groups * self.c;
        let mut out = vec![];
        for n in 0..self.n {
            for (y, x_at) in (0..self.out(0)).flat_map(|y| (0..self.out(1)).map(move |x| (y, x))) {
                for filter in 0..self.groups * self.o {
                    let mut sum = 0f64;
                    for (c, r, s) in (0..self.c)
                        .flat_map(|c| (0..self.taps[0]).flat_map(move |r| (0..self.taps[1]).map(move |s| (c, r, s))))
                    {
                        let (yy, xx) =
                            ((y + r).wrapping_sub(self.pads[0][0]), (x_at + s).wrapping_sub(self.pads[1][0]));
                        if yy < self.size[0] && xx < self.size[1] {
                            let channel = filter / self.o * self.c + c;
                            let a = x[((n * self.size[0] + yy) * self.size[1] + xx) * all_c + channel];
                            let b = w[((filter * self.c + c) * self.taps[0] + r) * self.taps[1] + s];
                            sum += f64::from(a) * f64::from(b);
                        }
                    }
                    sum += f64::from(addend[out.len()]);
                    out.push(sum * sum);
                }
            }
        }
        out
    }

    fn check(&self) {
        let x = random(self.n * self.size[0] * self.size[1] * self.groups * self.c, 1);
        let w = random(self.groups * self.o * self.c * self.taps[0] * self.taps[1], 2);
        let addend = random(self.n * self.out(0) * self.out(1) * self.groups * self.o, 3);
        let expected = self.reference(&x, &w, &addend);
        let largest = expected.iter().copied().fold(1e-3, f64::max);
        let ctx = context();
        let (module, op) = self.kernel(&ctx);
        let options = nim_loops_passes::Options { winograd: true, tolerance: 1e-5, ..Default::default() };
        let compiled = compile(&ctx, &module, op, &options);
        assert!(compiled.transforms(), "plain sums: {self:?}");
        let dims: [&[usize]; 3] = [
            &[self.n, self.size[0], self.size[1], self.groups * self.c],
            &[self.groups * self.o, self.c, self.taps[0], self.taps[1]],
            &[self.n, self.out(0), self.out(1), self.groups * self.o],
        ];
        let inputs = compiled.pack(&[&bytes(&x), &bytes(&w), &bytes(&addend)], &dims);
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let symbols: &[(&str, i64)] = &[("N", self.n as i64), ("H", self.size[0] as i64), ("W", self.size[1] as i64)];
        let symbols = if self.symbolic { symbols } else { &[] };
        for parts in [1, 3] {
            let mut outputs = compiled.outputs(symbols);
            compiled.run(&inputs, &mut outputs, symbols, parts);
            let found = from_bytes::<f32>(&outputs[0]);
            assert_eq!(found.len(), expected.len());
            for (at, (&f, &e)) in found.iter().zip(&expected).enumerate() {
                assert!((f64::from(f) - e).abs() <= 2e-5 * largest, "element {at}: {f}, expected {e}: {self:?}");
            }
        }
    }
}

#[test]
fn windows_of_all_kinds() {
    let base = Case { n: 1, size: [9, 11], c: 5, o: 7, groups: 1, taps: [3, 3], pads: [[1, 1]; 2], symbolic: false };
    let cases = [
        base.clone(),
        Case { pads: [[0, 0]; 2], ..base.clone() },
        Case { pads: [[2, 0], [0, 1]], size: [4, 5], ..base.clone() },
        Case { taps: [3, 1], pads: [[1, 1], [0, 0]], c: 16, o: 16, ..base.clone() },
        Case { taps: [1, 5], pads: [[0, 0], [2, 2]], c: 8, o: 33, ..base.clone() },
        Case { taps: [2, 3], pads: [[0, 0], [1, 1]], ..base.clone() },
        Case { taps: [5, 4], pads: [[2, 2], [1, 2]], ..base.clone() },
        Case { groups: 3, c: 9, o: 10, n: 2, ..base.clone() },
        Case { size: [2, 2], c: 24, o: 40, ..base.clone() },
        Case { size: [2, 30], n: 3, ..base.clone() },
        // More channels than a block's inputs hold: they are transformed first.
        Case { size: [6, 6], c: 700, o: 70, ..base.clone() },
        // Several blocks of columns.
        Case { size: [14, 14], c: 20, o: 260, ..base.clone() },
    ];
    for case in cases {
        for symbolic in [false, true] {
            Case { symbolic, ..case.clone() }.check();
        }
    }
}

#[test]
fn windows_of_random_sizes() {
    let mut state = 11u64;
    let mut next = |least: usize, most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        least + (state >> 33) as usize % (most - least + 1)
    };
    for _ in 0..12 {
        let taps = [next(1, 5), next(2, 5)];
        let pads = taps.map(|t| [next(0, t - 1), next(0, t - 1)]);
        let size = [0, 1].map(|d| next(taps[d] + 1, 20));
        let (n, c, o, groups, symbolic) = (next(1, 3), next(2, 40), next(2, 70), next(1, 2), next(0, 1) == 1);
        Case { n, size, c, o, groups, taps, pads, symbolic }.check();
    }
}

#[test]
fn what_the_tolerance_forbids_is_a_plain_sum() {
    let case = Case { n: 1, size: [8, 8], c: 8, o: 8, groups: 1, taps: [3, 3], pads: [[1, 1]; 2], symbolic: false };
    let fires = |tolerance: f64, reassociate: bool| {
        let ctx = context();
        let (module, op) = case.kernel(&ctx);
        let target = nim_loops_passes::TargetInfo { reassociate, ..Default::default() };
        let options = nim_loops_passes::Options { winograd: true, tolerance, target, ..Default::default() };
        compile(&ctx, &module, op, &options).transforms()
    };
    assert!(fires(1e-5, true) && fires(1e-6, true));
    assert!(!fires(0.0, true) && !fires(2e-7, true) && !fires(1e-5, false));
}
