//! Folding and simplification keep the numbers and leave few ops.

use crate::support::{context, function, ops, same_numbers};
use nim_graph::GraphBuilder;
use nim_graph_passes::{FoldOptions, SimplifyOptions, fold, simplify};
use nim_ir::{Body, Context, OpId, ValueId};
use nim_tensor::{Tensor, Value};

fn interpreter(ctx: &Context, body: &Body, op: OpId, operands: &[Value]) -> Option<Vec<Value>> {
    nim_interp::exec::fold_op(ctx, body, op, operands).ok()
}

/// Folds and simplifies; `main` then has these ops besides constants.
#[track_caller]
fn left(expected: &[&str], inputs: &[&str], f: impl FnOnce(&mut GraphBuilder<'_>, &[ValueId]) -> Vec<ValueId>) {
    let ctx = context();
    let mut module = function(&ctx, inputs, f);
    same_numbers(&ctx, &mut module, |module| {
        fold(&ctx, module, &interpreter, FoldOptions::default());
        simplify(&ctx, module, SimplifyOptions::default());
        fold(&ctx, module, &interpreter, FoldOptions::default());
    });
    let ops = ops(&ctx, &module);
    let found: Vec<&str> = ops.iter().filter_map(|n| n.strip_prefix("graph.")).filter(|n| *n != "constant").collect();
    assert_eq!(found, expected);
}

fn floats(g: &mut GraphBuilder<'_>, dims: &[usize]) -> ValueId {
    let count = dims.iter().product();
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin() + 0.1).collect();
    g.constant(&Tensor::new(dims, values), "c").unwrap()
}

#[test]
fn what_says_nothing_goes() {
    left(&[], &["N 3 4 f32"], |g, x| {
        let y = g.unary("identity", x[0]).unwrap();
        let y = g.transpose(y, &[2, 0, 1]).unwrap();
        let y = g.transpose(y, &[1, 2, 0]).unwrap();
        let dims = g.dims(x[0]).unwrap();
        let y = g.reshape(y, &[dims[0], g.num(12)]).unwrap();
        let y = g.reshape(y, &dims).unwrap();
        let y = g.with_scalar("mul", y, 1.0).unwrap();
        let y = g.with_scalar("sub", y, 0.0).unwrap();
        vec![g.with_scalar("div", y, 1.0).unwrap()]
    });
    left(&["transpose"], &["N 3 4 f32"], |g, x| {
        let y = g.transpose(x[0], &[2, 0, 1]).unwrap();
        vec![g.transpose(y, &[2, 0, 1]).unwrap()]
    });
    // This broadcasts, and adding zero changes -0.
    left(&["mul", "add"], &["N f32"], |g, x| {
        let ones = g.constant(&Tensor::new(&[2, 1], vec![1f32, 1.0]), "ones").unwrap();
        let y = g.binary("mul", x[0], ones).unwrap();
        vec![g.with_scalar("add", y, 0.0).unwrap()]
    });
}

#[test]
fn constants_are_computed() {
    left(&["add"], &["N 3 f32"], |g, x| {
        let c = floats(g, &[3, 3]);
        let d = g.transpose(c, &[1, 0]).unwrap();
        let d = g.binary("add", c, d).unwrap();
        let d = g.reduce("max", d, &[0], false).unwrap();
        vec![g.binary("add", x[0], d).unwrap()]
    });
    left(&[], &["4 3 f32"], |g, x| vec![g.value("graph.shape_of", &x[..1], &[]).unwrap()]);
}

#[test]
fn batch_normalisation_goes_into_weights() {
    left(&["conv", "add", "relu"], &["N 4 5 5 f32"], |g, x| {
        let w = floats(g, &[6, 2, 3, 3]);
        let groups = g.ctx().i64_attr(2);
        let y = g.value("graph.conv", &[x[0], w], &[("groups", groups)]).unwrap();
        let (mean, scale, bias) = (floats(g, &[6, 1, 1]), floats(g, &[1, 6, 1, 1]), floats(g, &[6, 1, 1]));
        let y = g.binary("sub", y, mean).unwrap();
        let y = g.binary("mul", scale, y).unwrap();
        let y = g.with_scalar("div", y, 3.0).unwrap();
        let y = g.binary("add", bias, y).unwrap();
        vec![g.unary("relu", y).unwrap()]
    });
    left(&["matmul"], &["B N 4 f32"], |g, x| {
        let w = floats(g, &[4, 6]);
        let y = g.matmul(x[0], w).unwrap();
        vec![g.with_scalar("mul", y, 0.125).unwrap()]
    });
    left(&["matmul", "add"], &["N 4 f32"], |g, x| {
        let w = floats(g, &[4, 6]);
        let y = g.matmul(x[0], w).unwrap();
        let c = floats(g, &[6]);
        let y = g.binary("add", y, c).unwrap();
        vec![g.binary("sub", c, y).unwrap()]
    });
    // What others want to see stays.
    left(&["matmul", "mul"], &["N 4 f32"], |g, x| {
        let w = floats(g, &[4, 6]);
        let y = g.matmul(x[0], w).unwrap();
        vec![g.with_scalar("mul", y, 0.125).unwrap(), y]
    });
}
