//! What goes wrong behind the last level that has locations says so with a code of its own.

use nim_compiler::kernels::code_error;
use nim_ir::{Context, Expr};
use nim_llvm::{Compiler, KernelSource, Target};
use nim_loops_passes::packing::{Packing, pack};
use nim_tensor::Tensor;

#[test]
fn a_packing_that_does_not_fit_its_constant_is_refused() {
    let ctx = Context::new(&[]);
    let tensor = Tensor::new(&[2, 3], vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let refused = |shape: &[i64], indices: Vec<Expr>| {
        let found = pack(&ctx, &tensor, &Packing { arg: 0, shape: shape.to_vec(), indices, ..Packing::default() })
            .expect_err("it does not fit");
        (found.code, found.message)
    };
    let (i, j) = (ctx.exprs.named("$0"), ctx.exprs.named("$1"));
    assert_eq!(refused(&[3, -2], vec![j, i]), ("N0752", "a constant cannot be packed: negative size".into()));
    assert_eq!(refused(&[3, 2], vec![j]), ("N0752", "a constant cannot be packed: the rank is another".into()));
    let far = refused(&[i64::MAX, i64::MAX], vec![j, i]);
    assert_eq!(far, ("N0752", "a constant cannot be packed: too large".into()));
    let packed = pack(&ctx, &tensor, &Packing { arg: 0, shape: vec![3, 2], indices: vec![j, i], ..Packing::default() })
        .expect("it fits");
    assert_eq!(packed.to_f64s().expect("numbers"), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
}

#[test]
fn what_upstream_refuses_is_told() {
    let compiler = Compiler::new(&Target::host(), &nim_llvm::Options::default());
    let source = KernelSource { symbol: "k", text: "func.func @k(%x: i32) { return %y : i32 }" };
    let error = compiler.compile(&[source]).expect_err("it is not valid");
    let found = code_error(&error);
    assert_eq!(found.code, "N0753");
    assert!(found.message.contains("undeclared SSA value"), "{}", found.message);
}
