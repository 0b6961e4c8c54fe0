//! What ops take for granted about sizes becomes guards, which stop a run instead of wrong numbers.

use crate::support::{context, function, ops};
use nim_graph::GraphBuilder;
use nim_graph_passes::graph_to_dataflow;
use nim_ir::{Context, Module, ValueId};
use nim_tensor::{DType, Tensor, Value};

fn lowered(ctx: &Context, inputs: &[&str], f: impl FnOnce(&mut GraphBuilder<'_>, &[ValueId]) -> ValueId) -> Module {
    let mut module = function(ctx, inputs, |g, x| vec![f(g, x)]);
    assert_eq!(graph_to_dataflow(ctx, &mut module), []);
    module
}

fn run(ctx: &Context, module: &Module, shapes: &[Given]) -> Result<(), String> {
    let value = |&(dims, dtype): &Given| {
        let count: usize = dims.iter().product();
        Value::Tensor(Tensor::from_bytes(dtype, dims, vec![0; count * dtype.size()]))
    };
    let inputs: Vec<Value> = shapes.iter().map(value).collect();
    nim_interp::exec::run(ctx, module, "main", &inputs).map(|_| ()).map_err(|d| d.message)
}

/// Shape and element type of a value.
type Given = (&'static [usize], DType);

const F: DType = DType::F32;

/// Sizes that fit run, the others stop with this message.
#[track_caller]
fn claim(
    inputs: &[&str],
    f: impl FnOnce(&mut GraphBuilder<'_>, &[ValueId]) -> ValueId,
    good: &[Given],
    bad: &[Given],
    message: &str,
) {
    let ctx = context();
    let module = lowered(&ctx, inputs, f);
    run(&ctx, &module, good).unwrap();
    let error = run(&ctx, &module, bad).unwrap_err();
    assert!(error.contains(message), "{error}");
}

#[test]
fn contractions() {
    let good: [Given; 2] = [(&[2, 3], F), (&[3, 4], F)];
    let bad: [Given; 2] = [(&[2, 4], F), (&[3, 4], F)];
    let inner = "inner dimensions of a matrix product";
    claim(&["N K f32", "L M f32"], |g, x| g.value("graph.matmul", x, &[]).unwrap(), &good, &bad, inner);
    let equation = |g: &mut GraphBuilder<'_>, x: &[ValueId]| {
        let equation = g.ctx().string_attr("ik,kj->ij");
        g.value("graph.einsum", x, &[("equation", equation)]).unwrap()
    };
    claim(&["N K f32", "L M f32"], equation, &good, &bad, "sizes of `k` in an einsum");
    claim(
        &["B 2 3 f32", "C 3 2 f32"],
        |g, x| g.value("graph.matmul", x, &[]).unwrap(),
        &[(&[1, 2, 3], F), (&[5, 3, 2], F)],
        &[(&[4, 2, 3], F), (&[5, 3, 2], F)],
        "batch dimensions of a matrix product",
    );
}

#[test]
fn joined_and_scattered() {
    let concat = |g: &mut GraphBuilder<'_>, x: &[ValueId]| {
        let axis = g.ctx().i64_attr(0);
        g.value("graph.concat", x, &[("axis", axis)]).unwrap()
    };
    let message = "dimensions 1 of what is concatenated along axis 0";
    claim(&["N A f32", "M B f32"], concat, &[(&[1, 2], F), (&[0, 2], F)], &[(&[1, 2], F), (&[1, 3], F)], message);
}

#[test]
fn empty_axes_are_not_gathered_from() {
    let gather = |g: &mut GraphBuilder<'_>, x: &[ValueId]| {
        let axis = g.ctx().i64_attr(0);
        g.value("graph.gather", x, &[("axis", axis)]).unwrap()
    };
    let (good, bad): ([Given; 2], [Given; 2]) =
        ([(&[0, 4], F), (&[0], DType::I64)], [(&[0, 4], F), (&[1], DType::I64)]);
    claim(&["N 4 f32", "K i64"], gather, &good, &bad, "must have an element");
}

#[test]
fn what_is_proved_or_guarded_gets_no_guard() {
    let ctx = context();
    let guards = |module: &Module| ops(&ctx, module).iter().filter(|n| *n == "graph.guard").count();
    let matmul = |g: &mut GraphBuilder<'_>, x: &[ValueId]| g.value("graph.matmul", x, &[]).unwrap();
    assert_eq!(guards(&lowered(&ctx, &["N K f32", "K M f32"], matmul)), 0);
    // The builder guards broadcasts; that is enough.
    assert_eq!(guards(&lowered(&ctx, &["N f32", "M f32"], |g, x| g.binary("add", x[0], x[1]).unwrap())), 1);
    let twice = |g: &mut GraphBuilder<'_>, x: &[ValueId]| {
        let a = matmul(g, &x[..2]);
        let b = matmul(g, &x[..2]);
        g.binary("add", a, b).unwrap()
    };
    assert_eq!(guards(&lowered(&ctx, &["N K f32", "L M f32"], twice)), 1);
}
