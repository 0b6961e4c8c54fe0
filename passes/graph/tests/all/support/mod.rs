//! Small functions of one or a few ops, run before and after a pass.

// Each test file uses a part of it.
#![allow(dead_code)]

use nim_graph::GraphBuilder;
use nim_ir::{Body, Builder, Context, Expr, Module, OpState, Type, ValueId, verifier::verify_module};
use nim_tensor::{
    DType, Tensor, Value,
    compare::{Tolerance, compare},
};

/// Every named dimension has this size when a function runs.
pub const SIZE: i64 = 3;

pub fn context() -> Context {
    let mut dialects = nim_builtin::DIALECTS.to_vec();
    dialects.extend([&nim_graph::GRAPH, &nim_dataflow::DATAFLOW]);
    Context::new(&dialects)
}

/// A type such as `2 N 3 f32`.
pub fn ty(ctx: &Context, text: &str) -> Type {
    let mut words: Vec<&str> = text.split(' ').collect();
    let name = words.pop().unwrap();
    let dims: Vec<Expr> = words.iter().map(|w| ctx.exprs.parse(w).unwrap()).collect();
    let dtype = DType::ALL.into_iter().find(|d| d.name() == name).unwrap();
    ctx.tensor_of(&dims, ctx.type_of_dtype(dtype))
}

/// A module with one function `main` of these inputs.
pub fn function(
    ctx: &Context,
    inputs: &[&str],
    f: impl FnOnce(&mut GraphBuilder<'_>, &[ValueId]) -> Vec<ValueId>,
) -> Module {
    let inputs: Vec<Type> = inputs.iter().map(|t| ty(ctx, t)).collect();
    let mut body = Body::new();
    let region = body.add_root_region();
    let block = body.add_block(region, &inputs, &[]);
    let args = body.block_args(block).to_vec();
    let mut g = GraphBuilder::new(Builder::at_end(ctx, &mut body, block));
    let results = f(&mut g, &args);
    g.b.op("func.return", &results, &[], &[]);
    let types: Vec<Type> = results.iter().map(|&r| body.ty(r)).collect();
    let mut module = Module::new();
    let entry = module.body.entry().unwrap();
    let state = OpState::new(ctx, "func.func", nim_ir::Loc::UNKNOWN)
        .attr(ctx, "sym_name", ctx.string_attr("main"))
        .attr(ctx, "function_type", ctx.type_attr(ctx.function_type(&inputs, &types)))
        .nested(body);
    Builder::at_end(ctx, &mut module.body, entry).insert(state);
    module
}

/// Names of the ops of `main`, those nested in regions excepted.
pub fn ops(ctx: &Context, module: &Module) -> Vec<String> {
    let main = module.lookup(ctx, ctx.name("main")).unwrap();
    let body = module.body.nested(main).unwrap();
    body.block_ops(body.entry().unwrap()).map(|op| ctx.op_str(body.op_name(op)).to_string()).collect()
}

/// Inputs for `main`: small numbers, the same at each run.
pub fn inputs(ctx: &Context, module: &Module) -> Vec<Value> {
    let main = module.lookup(ctx, ctx.name("main")).unwrap();
    let body = module.body.nested(main).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as i64
    };
    let args = body.block_args(body.entry().unwrap()).to_vec();
    args.iter()
        .map(|&arg| {
            let ty = body.ty(arg);
            let size = |e: &Expr| ctx.exprs.eval(*e, &|_| Some(SIZE)).unwrap() as usize;
            let dims: Vec<usize> = ctx.dim_exprs(ty).unwrap().iter().map(size).collect();
            let count = dims.iter().product();
            let dtype = ctx.dtype_of(ty).unwrap();
            let tensor = if dtype == DType::Bool {
                Tensor::bools(&dims, (0..count).map(|_| next() % 2 == 0).collect())
            } else if dtype.is_float() {
                let values: Vec<f64> = (0..count).map(|_| (next() % 4001 - 2000) as f64 / 1000.0).collect();
                Tensor::from_f64s(dtype, &dims, &values).unwrap()
            } else {
                // Inside of a dimension of the usual size, counted from either end.
                let low = if dtype.is_signed_integer() { SIZE } else { 0 };
                let values: Vec<i64> = (0..count).map(|_| next() % (SIZE + low) - low).collect();
                Tensor::from_i64s(dtype, &dims, &values).unwrap()
            };
            Value::Tensor(tensor)
        })
        .collect()
}

/// Applies a pass; the function must give the same numbers as before, and verify.
#[track_caller]
pub fn same_numbers(ctx: &Context, module: &mut Module, pass: impl FnOnce(&mut Module)) {
    assert_eq!(verify_module(ctx, module), [], "before");
    let inputs = inputs(ctx, module);
    let expected = nim_interp::exec::run(ctx, module, "main", &inputs).unwrap_or_else(|e| panic!("before: {e:?}"));
    let before = nim_text::print_module(ctx, module, &nim_text::PrintOptions::default());
    pass(module);
    let after = nim_text::print_module(ctx, module, &nim_text::PrintOptions::default());
    let verified = verify_module(ctx, module);
    assert!(verified.is_empty(), "{verified:?}\n{after}");
    let found = nim_interp::exec::run(ctx, module, "main", &inputs).unwrap_or_else(|e| panic!("{e:?}\n{after}"));
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let short = matches!(expected.dtype(), Some(DType::F16 | DType::BF16));
        let rtol = if short { 1e-2 } else { 2e-6 };
        let result = compare(found, expected, &Tolerance { rtol, atol: 0.0, scaled_atol: rtol });
        assert!(result.passed(), "result {i}: {result:?}\n{before}\n{after}");
    }
}
