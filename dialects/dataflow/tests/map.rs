//! Maps are built, seen and checked.

use nim_dataflow::{Combine, DATAFLOW, MapBuilder, MapView, ivs};
use nim_ir::{Builder, Context, Module, verifier::verify_module};

fn context() -> Context {
    let mut dialects = nim_builtin::DIALECTS.to_vec();
    dialects.push(&DATAFLOW);
    Context::new(&dialects)
}

/// `relu(x * w + b)` as one map with an epilogue; `columns` is the size that the result claims.
fn matmul(ctx: &Context, columns: i64) -> (Module, nim_ir::OpId) {
    let mut module = Module::new();
    let block = module.body.entry().unwrap();
    let f32 = ctx.f32_type();
    let (n, k, m) = (ctx.exprs.named("N"), ctx.exprs.constant(768), ctx.exprs.constant(3072));
    let op = {
        let mut b = Builder::at_end(ctx, &mut module.body, block);
        let x = b.value("test.x", &[], ctx.tensor_of(&[n, k], f32), &[]);
        let w = b.value("test.w", &[], ctx.tensor_of(&[k, m], f32), &[]);
        let bias = b.value("test.b", &[], ctx.tensor_of(&[m], f32), &[]);
        let iv = ivs(ctx, 3);
        let mut map = MapBuilder::new(&[n, m, k]);
        map.read(x, &[iv[0], iv[2]]);
        map.read(w, &[iv[2], iv[1]]);
        map.epilogue_read(bias, &[iv[1]]);
        let result = ctx.tensor_of(&[n, ctx.exprs.constant(columns)], f32);
        let start = Combine::Add.identity(ctx, f32).unwrap();
        map.reduce(result, &[iv[0], iv[1]], Combine::Add, start);
        map.build_with_epilogue(
            &mut b,
            &[f32],
            |b, args| vec![b.value("arith.mulf", args, f32, &[])],
            |b, args| {
                let sum = b.value("arith.addf", args, f32, &[]);
                let zero = b.value("arith.constant", &[], f32, &[("value", b.ctx.float_attr(0.0, f32))]);
                vec![b.value("arith.maximumf", &[sum, zero], f32, &[])]
            },
        )
    };
    (module, op)
}

fn codes(ctx: &Context, module: &Module) -> Vec<&'static str> {
    verify_module(ctx, module).iter().map(|d| d.code).collect()
}

#[test]
fn a_contraction_with_an_epilogue() {
    let ctx = context();
    let (module, op) = matmul(&ctx, 3072);
    assert_eq!(verify_module(&ctx, &module), vec![]);
    let view = MapView::new(&ctx, &module.body, op).unwrap();
    assert_eq!(view.parallel_dims(&ctx), [0, 1]);
    assert_eq!(view.reduction_dims(&ctx), [2]);
    assert!(view.writes[0].covers(&ctx, &view.domain));
    assert!(!view.is_pointwise(&ctx));
    assert_eq!(view.inputs().len(), 3);
    assert_eq!(view.yields(&ctx, &module.body).unwrap().len(), 1);
}

#[test]
fn sizes_must_fit() {
    let ctx = context();
    // The domain goes beyond the result.
    assert_eq!(codes(&ctx, &matmul(&ctx, 100).0), ["N0514"]);
    // The result is larger than the domain, but it has a start.
    assert_eq!(codes(&ctx, &matmul(&ctx, 4000).0), Vec::<&str>::new());
}

#[test]
fn parts_must_fit() {
    let ctx = context();
    let (mut module, op) = matmul(&ctx, 3072);
    module.body.set_attr(&ctx, op, "combine", ctx.array_attr([ctx.string_attr("none")]));
    assert_eq!(codes(&ctx, &module), ["N0521"]);
    module.body.set_attr(&ctx, op, "combine", ctx.array_attr([ctx.string_attr("add")]));
    module.body.set_attr(&ctx, op, "inits", ctx.array_attr([ctx.unit_attr()]));
    assert_eq!(codes(&ctx, &module), ["N0523"]);
    module.body.set_attr(&ctx, op, "inits", ctx.array_attr([ctx.i64_attr(0)]));
    assert_eq!(codes(&ctx, &module), ["N0517"]);
    module.body.set_attr(&ctx, op, "inits", ctx.array_attr([]));
    assert_eq!(codes(&ctx, &module), ["N0510"]);
}

#[test]
fn unknown_iteration_variables_are_refused() {
    let ctx = context();
    let (mut module, op) = matmul(&ctx, 3072);
    let rows = [ctx.exprs.named("$0"), ctx.exprs.named("$7")];
    let columns = [ctx.exprs.named("$2"), ctx.exprs.named("$1")];
    let reads = ctx.array_attr([ctx.exprs_attr(&rows), ctx.exprs_attr(&columns)]);
    module.body.set_attr(&ctx, op, "reads", reads);
    assert_eq!(codes(&ctx, &module), ["N0512"]);
}

#[test]
fn scattered_writes_yield_their_indices() {
    let ctx = context();
    let mut module = Module::new();
    let block = module.body.entry().unwrap();
    let (f32, i64) = (ctx.f32_type(), ctx.int_type(64));
    let (n, m) = (ctx.exprs.named("N"), ctx.exprs.constant(10));
    let op = {
        let mut b = Builder::at_end(&ctx, &mut module.body, block);
        let x = b.value("test.x", &[], ctx.tensor_of(&[n], f32), &[]);
        let at = b.value("test.at", &[], ctx.tensor_of(&[n], i64), &[]);
        let mut map = MapBuilder::new(&[n]);
        map.read(x, &ivs(&ctx, 1));
        map.read(at, &ivs(&ctx, 1));
        map.scatter_init(ctx.tensor_of(&[m], f32), Combine::Add, ctx.float_attr(0.0, f32));
        map.build(&mut b, |b, args| {
            let index = b.value("arith.index_cast", &[args[1]], b.ctx.index_type(), &[]);
            vec![args[0], index]
        })
    };
    assert_eq!(verify_module(&ctx, &module), vec![]);
    let view = MapView::new(&ctx, &module.body, op).unwrap();
    assert!(view.has_scatter());
    assert_eq!(view.yields(&ctx, &module.body).unwrap()[0].1.len(), 1);
}
