//! Maps that tests and measurements share.

use super::harness::*;
use nim_dataflow::{Combine, MapBuilder};
use nim_ir::{Body, Context, Expr, OpId};

/// A convolution of images `[n, c, h, w]` with filters `[o, c/groups, k, k]`.
#[derive(Clone, Copy)]
pub struct Conv {
    pub n: usize,
    pub c: usize,
    pub o: usize,
    pub h: usize,
    pub w: usize,
    pub k: usize,
    pub stride: usize,
    pub pad: usize,
    pub dilation: usize,
    pub groups: usize,
}

impl Conv {
    pub fn out(&self, size: usize) -> usize {
        (size + 2 * self.pad - self.dilation * (self.k - 1) - 1) / self.stride + 1
    }
    pub fn flops(&self) -> f64 {
        let per_output = 2 * self.c / self.groups * self.k * self.k;
        (self.n * self.o * self.out(self.h) * self.out(self.w) * per_output) as f64
    }
    /// The kernel: a map with `bias` and `relu` as its epilogue.
    pub fn kernel(&self, ctx: &Context, constant_weights: bool) -> (Body, OpId) {
        let pool = &ctx.exprs;
        let num = |v: usize| pool.constant(v as i64);
        let f32_type = ctx.f32_type();
        let (cg, og) = (self.c / self.groups, self.o / self.groups);
        let (oh, ow) = (self.out(self.h), self.out(self.w));
        let inputs = [
            ctx.tensor_of(&[num(self.n), num(self.c), num(self.h), num(self.w)], f32_type),
            ctx.tensor_of(&[num(self.o), num(cg), num(self.k), num(self.k)], f32_type),
            ctx.tensor_of(&[num(self.o)], f32_type),
        ];
        let out = ctx.tensor_of(&[num(self.n), num(self.o), num(oh), num(ow)], f32_type);
        let (mut module, op) = kernel(ctx, &inputs, &[], |b, args| {
            // n, g, o, y, x, c, r, s
            let domain = [self.n, self.groups, og, oh, ow, cg, self.k, self.k].map(num);
            let mut map = MapBuilder::new(&domain);
            let iv = |k: usize| i(ctx, k);
            let window = |at: usize, tap: usize| {
                let tap = pool.scale(self.dilation as i64, iv(tap));
                let start = pool.sub(pool.scale(self.stride as i64, iv(at)), num(self.pad));
                pool.add(start, tap)
            };
            let channel = pool.add(pool.scale(cg as i64, iv(1)), iv(5));
            let filter = pool.add(pool.scale(og as i64, iv(1)), iv(2));
            let zero = ctx.float_attr(0.0, f32_type);
            map.read_or(args[0], &[iv(0), channel, window(3, 6), window(4, 7)], zero);
            map.read(args[1], &[filter, iv(5), iv(6), iv(7)]);
            map.epilogue_read(args[2], &[filter]);
            map.reduce(out, &[iv(0), filter, iv(3), iv(4)], Combine::Add, zero);
            let op = map.build_with_epilogue(
                b,
                &[f32_type],
                |b, args| vec![b.value("arith.mulf", &args[..2], f32_type, &[])],
                |b, args| {
                    let zero = b.value("arith.constant", &[], f32_type, &[("value", zero)]);
                    let sum = b.value("arith.addf", args, f32_type, &[]);
                    vec![b.value("arith.maximumf", &[sum, zero], f32_type, &[])]
                },
            );
            vec![b.body.result(op)]
        });
        if constant_weights {
            module.set_attr(ctx, op, "dataflow.constant_args", ctx.i64_array(&[1]));
        }
        (module, op)
    }
    /// The same in plain Rust.
    pub fn reference(&self, x: &[f32], w: &[f32], bias: &[f32]) -> Vec<f32> {
        let (cg, og) = (self.c / self.groups, self.o / self.groups);
        let (oh, ow) = (self.out(self.h), self.out(self.w));
        let mut out = Vec::with_capacity(self.n * self.o * oh * ow);
        for n in 0..self.n {
            for o in 0..self.o {
                let g = o / og;
                for y in 0..oh {
                    for x_at in 0..ow {
                        let mut sum = 0.0;
                        for c in 0..cg {
                            for r in 0..self.k {
                                for s in 0..self.k {
                                    let yy = (y * self.stride + r * self.dilation).wrapping_sub(self.pad);
                                    let xx = (x_at * self.stride + s * self.dilation).wrapping_sub(self.pad);
                                    if yy < self.h && xx < self.w {
                                        let a = x[((n * self.c + g * cg + c) * self.h + yy) * self.w + xx];
                                        sum += a * w[((o * cg + c) * self.k + r) * self.k + s];
                                    }
                                }
                            }
                        }
                        out.push((sum + bias[o]).max(0.0));
                    }
                }
            }
        }
        out
    }
}

/// `a[m, k] x b[k, n]`, with `b` constant or not.
pub fn matmul_kernel(ctx: &Context, m: Expr, n: Expr, k: Expr, symbols: &[&str], constant: bool) -> (Body, OpId) {
    let f32_type = ctx.f32_type();
    let inputs = [ctx.tensor_of(&[m, k], f32_type), ctx.tensor_of(&[k, n], f32_type)];
    let (mut module, op) = kernel(ctx, &inputs, symbols, |b, args| vec![matmul(ctx, b, args[0], args[1], &[m, n, k])]);
    if constant {
        module.set_attr(ctx, op, "dataflow.constant_args", ctx.i64_array(&[1]));
    }
    (module, op)
}
