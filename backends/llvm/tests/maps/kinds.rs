//! One test per kind of map beyond products and convolutions.

use super::harness::*;
use nim_dataflow::{Combine, MapBuilder, load};
use nim_ir::{Builder, Context, FloatKind, ValueId};

fn constant(ctx: &Context, b: &mut Builder<'_>, value: f64) -> ValueId {
    let ty = ctx.f32_type();
    b.value("arith.constant", &[], ty, &[("value", ctx.float_attr(value, ty))])
}

#[test]
fn softmax_is_four_maps() {
    for options in both() {
        let ctx = context();
        let size = dims(&ctx, &["A", "B"]);
        let ty = ctx.f32_type();
        let (full, row) = (ctx.tensor_of(&size, ty), ctx.tensor_of(&size[..1], ty));
        let (at, of_row) = ([i(&ctx, 0), i(&ctx, 1)], [i(&ctx, 0)]);
        let (module, op) = kernel(&ctx, &[full], &["A", "B"], |b, args| {
            let mut map = MapBuilder::new(&size);
            map.read(args[0], &at);
            map.reduce(row, &of_row, Combine::Max, ctx.float_attr(f64::NEG_INFINITY, ty));
            let max = map.build(b, |_, args| args.to_vec());
            let max = b.body.result(max);
            let mut map = MapBuilder::new(&size);
            map.read(args[0], &at);
            map.read(max, &of_row);
            map.write(full, &at);
            let exp = map.build(b, |b, args| {
                let less = b.value("arith.subf", args, ty, &[]);
                vec![b.value("math.exp", &[less], ty, &[])]
            });
            let exp = b.body.result(exp);
            let mut map = MapBuilder::new(&size);
            map.read(exp, &at);
            map.reduce(row, &of_row, Combine::Add, ctx.float_attr(0.0, ty));
            let sum = map.build(b, |_, args| args.to_vec());
            let sum = b.body.result(sum);
            let mut map = MapBuilder::new(&size);
            map.read(exp, &at);
            map.read(sum, &of_row);
            map.write(full, &at);
            let out = map.build(b, |b, args| vec![b.value("arith.divf", args, ty, &[])]);
            vec![b.body.result(out)]
        });
        let compiled = compile(&ctx, &module, op, &options);
        for (h, w) in [(1usize, 1usize), (5, 77), (33, 128)] {
            let x = random(h * w, 6);
            let mut expected = vec![];
            for row in x.chunks(w) {
                let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f32 = row.iter().map(|v| (v - max).exp()).sum();
                expected.extend(row.iter().map(|v| (v - max).exp() / sum));
            }
            let symbols = [("A", h as i64), ("B", w as i64)];
            let mut outputs = compiled.outputs(&symbols);
            compiled.run(&[&bytes(&x)], &mut outputs, &symbols, 2);
            close(&from_bytes::<f32>(&outputs[0]), &expected, 1e-6);
        }
    }
}

#[test]
fn transpose_and_reverse() {
    for options in both() {
        let ctx = context();
        let size = dims(&ctx, &["A", "B", "C"]);
        let ty = ctx.f32_type();
        let pool = &ctx.exprs;
        let out = ctx.tensor_of(&[size[2], size[0], size[1]], ty);
        let (module, op) = kernel(&ctx, &[ctx.tensor_of(&size, ty)], &["A", "B", "C"], |b, args| {
            let mut map = MapBuilder::new(&[size[2], size[0], size[1]]);
            let last = pool.sub(size[1], pool.constant(1));
            map.read(args[0], &[i(&ctx, 1), pool.sub(last, i(&ctx, 2)), i(&ctx, 0)]);
            map.write(out, &[i(&ctx, 0), i(&ctx, 1), i(&ctx, 2)]);
            let op = map.build(b, |_, args| args.to_vec());
            vec![b.body.result(op)]
        });
        let compiled = compile(&ctx, &module, op, &options);
        let (a, b, c) = (3usize, 19usize, 6usize);
        let x = random(a * b * c, 7);
        let mut expected = vec![];
        for z in 0..c {
            for u in 0..a {
                for v in 0..b {
                    expected.push(x[(u * b + (b - 1 - v)) * c + z]);
                }
            }
        }
        let symbols = [("A", a as i64), ("B", b as i64), ("C", c as i64)];
        close(&compiled.f32s(&[&bytes(&x)], &symbols), &expected, 0.0);
    }
}

#[test]
fn max_pool_reads_beyond_the_border() {
    for options in both() {
        let ctx = context();
        let pool = &ctx.exprs;
        let num = |v: i64| pool.constant(v);
        let ty = ctx.f32_type();
        let (c, h, w) = (5usize, 13usize, 18usize);
        let (oh, ow) = ((h + 2 - 3) / 2 + 1, (w + 2 - 3) / 2 + 1);
        let x_type = ctx.tensor_of(&[num(c as i64), num(h as i64), num(w as i64)], ty);
        let out = ctx.tensor_of(&[num(c as i64), num(oh as i64), num(ow as i64)], ty);
        let (module, op) = kernel(&ctx, &[x_type], &[], |b, args| {
            let mut map = MapBuilder::new(&[num(c as i64), num(oh as i64), num(ow as i64), num(3), num(3)]);
            let at = |k: usize, tap: usize| pool.sum([pool.scale(2, i(&ctx, k)), i(&ctx, tap), num(-1)]);
            let low = ctx.float_attr(f64::NEG_INFINITY, ty);
            map.read_or(args[0], &[i(&ctx, 0), at(1, 3), at(2, 4)], low);
            map.reduce(out, &[i(&ctx, 0), i(&ctx, 1), i(&ctx, 2)], Combine::Max, low);
            let op = map.build(b, |_, args| args.to_vec());
            vec![b.body.result(op)]
        });
        let compiled = compile(&ctx, &module, op, &options);
        let x = random(c * h * w, 8);
        let mut expected = vec![];
        for z in 0..c {
            for y in 0..oh {
                for u in 0..ow {
                    let mut best = f32::NEG_INFINITY;
                    for r in 0..3 {
                        for s in 0..3 {
                            let (yy, xx) = ((2 * y + r).wrapping_sub(1), (2 * u + s).wrapping_sub(1));
                            if yy < h && xx < w {
                                best = best.max(x[(z * h + yy) * w + xx]);
                            }
                        }
                    }
                    expected.push(best);
                }
            }
        }
        close(&compiled.f32s(&[&bytes(&x)], &[]), &expected, 0.0);
    }
}

#[test]
fn pad_is_a_read_with_a_border() {
    for options in both() {
        let ctx = context();
        let pool = &ctx.exprs;
        let size = dims(&ctx, &["A", "B"]);
        let wide = [pool.add(size[0], pool.constant(3)), pool.add(size[1], pool.constant(5))];
        let ty = ctx.f32_type();
        let (module, op) = kernel(&ctx, &[ctx.tensor_of(&size, ty)], &["A", "B"], |b, args| {
            let mut map = MapBuilder::new(&wide);
            let at = [pool.sub(i(&ctx, 0), pool.constant(1)), pool.sub(i(&ctx, 1), pool.constant(2))];
            map.read_or(args[0], &at, ctx.float_attr(7.0, ty));
            map.write(ctx.tensor_of(&wide, ty), &[i(&ctx, 0), i(&ctx, 1)]);
            let op = map.build(b, |_, args| args.to_vec());
            vec![b.body.result(op)]
        });
        let compiled = compile(&ctx, &module, op, &options);
        for (h, w) in [(0usize, 4usize), (2, 0), (3, 21)] {
            let x = random(h * w, 10);
            let mut expected = vec![];
            for y in 0..h + 3 {
                for u in 0..w + 5 {
                    let (yy, xx) = (y.wrapping_sub(1), u.wrapping_sub(2));
                    expected.push(if yy < h && xx < w { x[yy * w + xx] } else { 7.0 });
                }
            }
            let symbols = [("A", h as i64), ("B", w as i64)];
            close(&compiled.f32s(&[&bytes(&x)], &symbols), &expected, 0.0);
        }
    }
}

#[test]
fn gather_and_scatter() {
    for options in both() {
        let ctx = context();
        let size = dims(&ctx, &["V", "W", "N"]);
        let (ty, i64_type, index) = (ctx.f32_type(), ctx.int_type(64), ctx.index_type());
        let table = ctx.tensor_of(&size[..2], ty);
        let ids = ctx.tensor_of(&size[2..], i64_type);
        let rows = ctx.tensor_of(&[size[2], size[1]], ty);
        // gather: rows[n, w] = table[ids[n], w]; scatter: table[ids[n], w] += rows[n, w]
        let (module, op) = kernel(&ctx, &[table, ids], &["V", "W", "N"], |b, args| {
            let mut map = MapBuilder::new(&[size[2], size[1]]);
            map.read_whole(args[0]);
            map.read(args[1], &[i(&ctx, 0)]);
            map.write(rows, &[i(&ctx, 0), i(&ctx, 1)]);
            let gathered = map.build(b, |b, args| {
                let id = b.value("arith.index_cast", &args[1..2], index, &[]);
                let w = nim_dataflow::index_value(b, i(&ctx, 1));
                vec![load(b, args[0], &[id, w])]
            });
            let gathered = b.body.result(gathered);
            let mut map = MapBuilder::new(&[size[2], size[1]]);
            map.read(args[1], &[i(&ctx, 0)]);
            map.read(gathered, &[i(&ctx, 0), i(&ctx, 1)]);
            map.scatter(table, Combine::Add, args[0]);
            let scattered = map.build(b, |b, args| {
                let id = b.value("arith.index_cast", &args[..1], index, &[]);
                let w = nim_dataflow::index_value(b, i(&ctx, 1));
                vec![args[1], id, w]
            });
            vec![gathered, b.body.result(scattered)]
        });
        let compiled = compile(&ctx, &module, op, &options);
        let (v, w, n) = (11usize, 20usize, 7usize);
        let x = random(v * w, 11);
        let ids: Vec<i64> = vec![3, 0, 10, 3, 25, -4, 5];
        let mut expected = vec![];
        let mut table = x.clone();
        for &id in &ids {
            let row = id.clamp(0, v as i64 - 1) as usize;
            expected.extend_from_slice(&x[row * w..(row + 1) * w]);
        }
        for (k, &id) in ids.iter().enumerate() {
            if (0..v as i64).contains(&id) {
                for u in 0..w {
                    table[id as usize * w + u] += expected[k * w + u];
                }
            }
        }
        let symbols = [("V", v as i64), ("W", w as i64), ("N", n as i64)];
        let mut outputs = compiled.outputs(&symbols);
        compiled.run(&[&bytes(&x), &bytes(&ids)], &mut outputs, &symbols, 1);
        close(&from_bytes::<f32>(&outputs[0]), &expected, 0.0);
        close(&from_bytes::<f32>(&outputs[1]), &table, 1e-6);
    }
}

#[test]
fn integer_product_of_bytes() {
    for options in both() {
        let ctx = context();
        let size = dims(&ctx, &["M", "N", "K"]);
        let (byte, word) = (ctx.int_type(8), ctx.int_type(32));
        let unsigned = ctx.ty(nim_ir::TypeData::Integer { width: 8, sign: nim_ir::Signedness::Unsigned });
        let inputs = [ctx.tensor_of(&[size[0], size[2]], unsigned), ctx.tensor_of(&[size[2], size[1]], byte)];
        let (module, op) = kernel(&ctx, &inputs, &["M", "N", "K"], |b, args| {
            let mut map = MapBuilder::new(&size);
            map.read(args[0], &[i(&ctx, 0), i(&ctx, 2)]);
            map.read(args[1], &[i(&ctx, 2), i(&ctx, 1)]);
            let zero = ctx.int_attr(0, word);
            map.reduce(ctx.tensor_of(&size[..2], word), &[i(&ctx, 0), i(&ctx, 1)], Combine::Add, zero);
            let op = map.build(b, |b, args| {
                let x = b.value("arith.extui", &args[..1], word, &[]);
                let y = b.value("arith.extsi", &args[1..2], word, &[]);
                vec![b.value("arith.muli", &[x, y], word, &[])]
            });
            vec![b.body.result(op)]
        });
        let compiled = compile(&ctx, &module, op, &options);
        let (m, n, k) = (9usize, 21usize, 30usize);
        let a: Vec<u8> = (0..m * k).map(|v| (v * 37 % 256) as u8).collect();
        let b: Vec<i8> = (0..k * n).map(|v| (v * 91 % 256) as u8 as i8).collect();
        let mut expected = vec![0i32; m * n];
        for y in 0..m {
            for x in 0..n {
                expected[y * n + x] = (0..k).map(|z| i32::from(a[y * k + z]) * i32::from(b[z * n + x])).sum();
            }
        }
        let symbols = [("M", m as i64), ("N", n as i64), ("K", k as i64)];
        let mut outputs = compiled.outputs(&symbols);
        compiled.run(&[&a, &bytes(&b)], &mut outputs, &symbols, 1);
        assert_eq!(from_bytes::<i32>(&outputs[0]), expected);
    }
}

/// Bits of an `f32` as `bf16`, rounded half to even.
fn bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

#[test]
fn short_floats_are_summed_up_in_long_ones() {
    for options in both() {
        let ctx = context();
        let size = dims(&ctx, &["A", "B"]);
        let ty = ctx.float_type(FloatKind::BF16);
        let (module, op) = kernel(&ctx, &[ctx.tensor_of(&size, ty)], &["A", "B"], |b, args| {
            let mut map = MapBuilder::new(&size);
            map.read(args[0], &[i(&ctx, 0), i(&ctx, 1)]);
            map.reduce(ctx.tensor_of(&size[..1], ty), &[i(&ctx, 0)], Combine::Add, ctx.float_attr(0.0, ty));
            let op = map.build(b, |b, args| vec![b.value("arith.mulf", &[args[0], args[0]], ty, &[])]);
            vec![b.body.result(op)]
        });
        let compiled = compile(&ctx, &module, op, &options);
        let (h, w) = (4usize, 300usize);
        let x: Vec<u16> = random(h * w, 12).into_iter().map(bf16).collect();
        let value = |v: u16| f64::from(f32::from_bits(u32::from(v) << 16));
        let symbols = [("A", h as i64), ("B", w as i64)];
        let mut outputs = compiled.outputs(&symbols);
        compiled.run(&[&bytes(&x)], &mut outputs, &symbols, 1);
        for (row, found) in x.chunks(w).zip(from_bytes::<u16>(&outputs[0])) {
            let sum: f64 = row.iter().map(|&v| value(v) * value(v)).sum();
            assert!((value(found) - sum).abs() <= sum / 256.0, "{} {sum}", value(found));
        }
    }
}

#[test]
fn truth_values_and_indices() {
    for options in both() {
        let ctx = context();
        let size = dims(&ctx, &["A", "B"]);
        let (ty, truth, index) = (ctx.f32_type(), ctx.int_type(1), ctx.index_type());
        // where($1 <= $0, x, -1), and whether any is above zero
        let (module, op) = kernel(&ctx, &[ctx.tensor_of(&size, ty)], &["A", "B"], |b, args| {
            let at = [i(&ctx, 0), i(&ctx, 1)];
            let mut map = MapBuilder::new(&size);
            map.read(args[0], &at);
            map.write(ctx.tensor_of(&size, ty), &at);
            let lower = map.build(b, |b, args| {
                let (r, c) = (nim_dataflow::index_value(b, at[0]), nim_dataflow::index_value(b, at[1]));
                let keep = b.value("arith.cmpi", &[c, r], truth, &[("predicate", ctx.i64_attr(3))]);
                let other = constant(&ctx, b, -1.0);
                vec![b.value("arith.select", &[keep, args[0], other], ty, &[])]
            });
            let _ = index;
            let lower = b.body.result(lower);
            let mut map = MapBuilder::new(&size);
            map.read(lower, &at);
            map.reduce(ctx.tensor_of(&size[..1], truth), &at[..1], Combine::Or, ctx.bool_attr(false));
            let any = map.build(b, |b, args| {
                let zero = constant(&ctx, b, 0.0);
                vec![b.value("arith.cmpf", &[args[0], zero], truth, &[("predicate", ctx.i64_attr(2))])]
            });
            vec![lower, b.body.result(any)]
        });
        let compiled = compile(&ctx, &module, op, &options);
        let (h, w) = (23usize, 37usize);
        let x = random(h * w, 13);
        let at = |r: usize, c: usize| if c <= r { x[r * w + c] } else { -1.0 };
        let expected: Vec<f32> = (0..h * w).map(|k| at(k / w, k % w)).collect();
        let any: Vec<u8> = (0..h).map(|r| u8::from((0..w).any(|c| at(r, c) > 0.0))).collect();
        let symbols = [("A", h as i64), ("B", w as i64)];
        let mut outputs = compiled.outputs(&symbols);
        compiled.run(&[&bytes(&x)], &mut outputs, &symbols, 1);
        close(&from_bytes::<f32>(&outputs[0]), &expected, 0.0);
        assert_eq!(outputs[1], any);
    }
}
