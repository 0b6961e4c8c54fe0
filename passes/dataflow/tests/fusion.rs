//! Fusion keeps the numbers, and finds what it should in the patterns that models are made of.

#[path = "../../graph/tests/all/support/mod.rs"]
mod support;

use nim_dataflow_passes::{FuseOptions, fuse, outline};
use nim_graph::GraphBuilder;
use nim_graph_passes::graph_to_dataflow;
use nim_ir::{Module, ValueId};
use nim_tensor::{DType, Tensor};
use support::{context, function, ops, same_numbers};

/// Lowers, fuses and outlines a function; it then has `count` maps, of the same numbers as before.
#[track_caller]
fn fused(count: usize, inputs: &[&str], f: impl FnOnce(&mut GraphBuilder<'_>, &[ValueId]) -> Vec<ValueId>) {
    let ctx = context();
    let mut module = function(&ctx, inputs, f);
    same_numbers(&ctx, &mut module, |module: &mut Module| {
        assert_eq!(graph_to_dataflow(&ctx, module), []);
        fuse(&ctx, module, FuseOptions::default());
    });
    let found = ops(&ctx, &module).iter().filter(|n| *n == "dataflow.map").count();
    let text = nim_text::print_module(&ctx, &module, &nim_text::PrintOptions::default());
    assert_eq!(found, count, "{text}");
    same_numbers(&ctx, &mut module, |module| {
        let done = outline(&ctx, module);
        assert_eq!(done.invokes, count);
    });
}

fn conv(g: &mut GraphBuilder<'_>, x: ValueId, w: ValueId, stride: i64, pad: i64) -> ValueId {
    let ctx = g.ctx();
    let attrs = [("strides", ctx.i64_array(&[stride; 2])), ("pads", ctx.i64_array(&[pad; 4]))];
    g.value("graph.conv", &[x, w], &attrs).unwrap()
}

#[test]
fn convolution_with_bias_and_relu_is_one_map() {
    fused(1, &["N 4 5 5 f32", "6 4 3 3 f32", "6 1 1 f32"], |g, x| {
        let y = conv(g, x[0], x[1], 1, 1);
        let y = g.binary("add", y, x[2]).unwrap();
        vec![g.unary("relu", y).unwrap()]
    });
}

#[test]
fn dimensions_of_one_element_are_no_obstacle() {
    fused(1, &["1 8 f32", "8 6 f32", "6 f32", "1 6 f32"], |g, x| {
        let y = g.matmul(x[0], x[1]).unwrap();
        let y = g.binary("add", y, x[2]).unwrap();
        let y = g.unary("sigmoid", y).unwrap();
        vec![g.binary("mul", y, x[3]).unwrap()]
    });
    // A dense layer behind global pooling.
    fused(2, &["N 4 5 5 f32", "4 6 f32", "6 f32"], |g, x| {
        let y = g.mean(x[0], &[2, 3], true).unwrap();
        let dims = g.dims(y).unwrap();
        let y = g.reshape(y, &dims[..2]).unwrap();
        let y = g.matmul(y, x[1]).unwrap();
        vec![g.binary("add", y, x[2]).unwrap()]
    });
}

#[test]
fn residual_block_is_one_map_a_convolution() {
    fused(2, &["N 4 5 5 f32", "4 4 3 3 f32", "4 4 3 3 f32", "4 1 1 f32"], |g, x| {
        let y = conv(g, x[0], x[1], 1, 1);
        let y = g.binary("add", y, x[3]).unwrap();
        let y = g.unary("relu", y).unwrap();
        let z = conv(g, y, x[2], 1, 1);
        let z = g.binary("add", z, x[3]).unwrap();
        let z = g.binary("add", z, x[0]).unwrap();
        vec![g.unary("relu", z).unwrap()]
    });
    // Where both branches are convolutions, the sum goes onto one of them.
    fused(2, &["N 4 5 5 f32", "8 4 3 3 f32", "8 4 1 1 f32"], |g, x| {
        let a = conv(g, x[0], x[1], 2, 1);
        let b = conv(g, x[0], x[2], 2, 0);
        let y = g.binary("add", a, b).unwrap();
        vec![g.unary("relu", y).unwrap()]
    });
}

#[test]
fn a_result_that_others_read_stays() {
    fused(2, &["N 4 5 5 f32", "4 4 3 3 f32"], |g, x| {
        let y = conv(g, x[0], x[1], 1, 1);
        vec![g.unary("relu", y).unwrap(), y]
    });
}

#[test]
fn softmax_is_three_maps() {
    fused(3, &["N 7 f32"], |g, x| vec![g.softmax(x[0], &[1], false).unwrap()]);
}

#[test]
fn layer_norm_is_three_maps() {
    fused(3, &["N 7 f32", "7 f32", "7 f32"], |g, x| {
        let mean = g.mean(x[0], &[1], true).unwrap();
        let d = g.binary("sub", x[0], mean).unwrap();
        let squares = g.binary("mul", d, d).unwrap();
        let variance = g.mean(squares, &[1], true).unwrap();
        let variance = g.with_scalar("add", variance, 1e-5).unwrap();
        let deviation = g.unary("sqrt", variance).unwrap();
        let y = g.binary("div", d, deviation).unwrap();
        let y = g.binary("mul", y, x[1]).unwrap();
        vec![g.binary("add", y, x[2]).unwrap()]
    });
}

#[test]
fn elementwise_chains_are_one_map() {
    // GELU with the error function.
    fused(1, &["N 8 f32"], |g, x| {
        let y = g.with_scalar("mul", x[0], 0.5f64.sqrt()).unwrap();
        let y = g.unary("erf", y).unwrap();
        let y = g.with_scalar("add", y, 1.0).unwrap();
        let y = g.binary("mul", x[0], y).unwrap();
        vec![g.with_scalar("mul", y, 0.5).unwrap()]
    });
    fused(1, &["N 8 f16", "8 f16", "N 1 i32"], |g, x| {
        let t = g.transpose(x[0], &[1, 0]).unwrap();
        let t = g.unary("exp", t).unwrap();
        let t = g.transpose(t, &[1, 0]).unwrap();
        let s = g.cast_to(x[2], DType::F16).unwrap();
        let y = g.binary("mul", t, s).unwrap();
        let y = g.unary("sigmoid", y).unwrap();
        let y = g.binary("sub", y, x[1]).unwrap();
        vec![g.reverse(y, 1).unwrap()]
    });
}

#[test]
fn movement_goes_into_contractions() {
    fused(1, &["N 8 f32", "5 8 f32", "5 f32"], |g, x| {
        let w = g.transpose(x[1], &[1, 0]).unwrap();
        let y = g.matmul(x[0], w).unwrap();
        vec![g.binary("add", y, x[2]).unwrap()]
    });
    fused(1, &["N 4 5 6 f32", "6 4 3 3 f32"], |g, x| {
        let ctx = g.ctx();
        let attrs = [
            ("low", ctx.exprs_attr(&[0, 0, 1, 2].map(|n| g.num(n)))),
            ("high", ctx.exprs_attr(&[0, 0, 1, 0].map(|n| g.num(n)))),
            ("mode", ctx.string_attr("constant")),
        ];
        let padded = g.value("graph.pad", &[x[0]], &attrs).unwrap();
        vec![conv(g, padded, x[1], 1, 0)]
    });
    // A transposition in front of a read with a border.
    fused(1, &["N 5 6 4 f32", "6 4 3 3 f32"], |g, x| {
        let y = g.transpose(x[0], &[0, 3, 1, 2]).unwrap();
        vec![conv(g, y, x[1], 1, 1)]
    });
    // A slice in front of one must stay: outside of it are other elements, not the border.
    fused(2, &["N 4 9 9 f32", "6 4 3 3 f32"], |g, x| {
        let y = g.slice_axis(x[0], 2, g.num(2), g.num(5)).unwrap();
        vec![conv(g, y, x[1], 1, 1)]
    });
    // Arithmetic in front of a contraction would be done again for each element of the result.
    fused(2, &["N 8 f32", "8 5 f32"], |g, x| {
        let y = g.unary("exp", x[0]).unwrap();
        vec![g.matmul(y, x[1]).unwrap()]
    });
    fused(1, &["N 8 i8", "8 5 ui8"], |g, x| {
        let (a, b) = (g.cast_to(x[0], DType::I32).unwrap(), g.cast_to(x[1], DType::I32).unwrap());
        vec![g.matmul(a, b).unwrap()]
    });
}

#[test]
fn attention() {
    // Three projections, scores (with scale), softmax (maximum, sum, quotient), values, projection; heads that are split and
    // merged by reshapes: one copy.
    fused(9, &["B S 6 f32", "6 6 f32", "6 6 f32", "6 6 f32", "6 6 f32"], |g, x| {
        let dims = g.dims(x[0]).unwrap();
        let mut heads = vec![];
        for &w in &x[1..4] {
            let y = g.matmul(x[0], w).unwrap();
            let y = g.reshape(y, &[dims[0], dims[1], g.num(2), g.num(3)]).unwrap();
            heads.push(g.transpose(y, &[0, 2, 1, 3]).unwrap());
        }
        let keys = g.transpose(heads[1], &[0, 1, 3, 2]).unwrap();
        let scores = g.matmul(heads[0], keys).unwrap();
        let scores = g.with_scalar("mul", scores, 0.25).unwrap();
        let weights = g.softmax(scores, &[3], false).unwrap();
        let y = g.matmul(weights, heads[2]).unwrap();
        let y = g.transpose(y, &[0, 2, 1, 3]).unwrap();
        let y = g.reshape(y, &dims).unwrap();
        vec![g.matmul(y, x[4]).unwrap()]
    });
}

#[test]
fn concatenation_takes_its_producers_in() {
    let ctx = context();
    let mut module = function(&ctx, &["N 2 f32", "N 3 f32"], |g, x| {
        let a = g.unary("exp", x[0]).unwrap();
        let b = g.unary("neg", x[1]).unwrap();
        vec![g.concat(&[a, b, x[1]], 1).unwrap()]
    });
    same_numbers(&ctx, &mut module, |module: &mut Module| {
        assert_eq!(graph_to_dataflow(&ctx, module), []);
        fuse(&ctx, module, FuseOptions::default());
    });
    assert_eq!(ops(&ctx, &module), ["dataflow.map", "dataflow.map", "dataflow.map", "func.return"]);
    // All parts are written into one buffer by one kernel.
    same_numbers(&ctx, &mut module, |module| assert_eq!(outline(&ctx, module).kernels, 1));
}

#[test]
fn equal_maps_share_a_kernel() {
    let ctx = context();
    let mut module = function(&ctx, &["N 4 f32", "4 4 f32"], |g, x| {
        let w = g.constant(&Tensor::new(&[4, 4], (0..16).map(|i| i as f32).collect::<Vec<_>>()), "w").unwrap();
        let a = g.matmul(x[0], w).unwrap();
        let b = g.matmul(a, w).unwrap();
        let c = g.matmul(b, x[1]).unwrap();
        vec![c, g.unary("exp", c).unwrap()]
    });
    same_numbers(&ctx, &mut module, |module: &mut Module| {
        assert_eq!(graph_to_dataflow(&ctx, module), []);
        fuse(&ctx, module, FuseOptions::default());
        let done = outline(&ctx, module);
        assert_eq!((done.kernels, done.invokes), (2, 4));
    });
}

#[test]
fn reports_are_formulas() {
    let ctx = context();
    let mut module = function(&ctx, &["N 768 f32", "768 3072 f32", "3072 f32"], |g, x| {
        let y = g.matmul(x[0], x[1]).unwrap();
        let y = g.binary("add", y, x[2]).unwrap();
        vec![g.unary("relu", y).unwrap()]
    });
    assert_eq!(graph_to_dataflow(&ctx, &mut module), []);
    let shown = |module: &Module| {
        let found = nim_dataflow_passes::report(&ctx, module);
        let show = |e| ctx.exprs.display(e).to_string();
        let moved: Vec<String> =
            found[0].containers.iter().map(|c| format!("{}+{}", show(c.moved), show(c.writes))).collect();
        (moved.join(" "), show(found[0].operations(&ctx.exprs)), show(found[0].bytes(&ctx.exprs)))
    };
    let (moved, operations, _) = shown(&module);
    assert_eq!(moved, "768*N+0 2359296+0 3072*N+3072*N 3072+0 3072*N+3072*N 0+3072*N");
    assert_eq!(operations, "4727808*N");
    fuse(&ctx, &mut module, FuseOptions::default());
    let (moved, _, bytes) = shown(&module);
    assert_eq!(moved, "768*N+0 2359296+0 3072+0 0+3072*N");
    outline(&ctx, &mut module);
    assert_eq!((moved, bytes.as_str()), (shown(&module).0, "15360*N + 9449472"));
    let text = nim_dataflow_passes::report(&ctx, &module)[0].text(&ctx);
    assert!(text.contains("768*N") && text.contains("3072*N"), "{text}");
}
