//! Kernels that have no form as machine code.

use nim_ir::{Context, Diagnostic};
use nim_loops_passes::{TargetInfo, loops_to_mlir_text};
use nim_text::{ParseOptions, parse_module};

/// What is said of the first kernel of a text, which is valid.
fn refused(text: &str) -> Diagnostic {
    let mut dialects = nim_builtin::DIALECTS.to_vec();
    dialects.push(&nim_loops::LOOPS);
    let ctx = Context::new(&dialects);
    let source = ctx.add_source("kernel.nir", text);
    let (module, mut found) = parse_module(&ctx, source, &ParseOptions::default());
    found.extend(nim_ir::verifier::verify_module(&ctx, &module));
    assert!(found.is_empty(), "{found:?}");
    let kernel = module.ops().next().expect("a kernel");
    loops_to_mlir_text(&ctx, &module.body, kernel, &TargetInfo::default()).expect_err("it has no form")
}

#[test]
fn floats_that_no_register_holds() {
    let found = refused(
        "loops.kernel @k(%x: memref<4xf128>, %y: memref<4xf128>) attributes {outputs = 1 : i64, symbols = []} {
           loops.for $0 = 0 to 4 {
             %v = loops.load %x[$0] : memref<4xf128>
             loops.store %v, %y[$0] : memref<4xf128>
           }
           loops.yield
         }",
    );
    assert_eq!((found.code, found.message.as_str()), ("N0703", "kernels cannot hold f128 in memory"));
}

#[test]
fn ops_that_are_no_scalar_arithmetic() {
    let found = refused(
        "loops.kernel @k(%x: memref<4xf32>, %y: memref<4xf32>) attributes {outputs = 1 : i64, symbols = []} {
           %z = memref.alloca() : memref<4xf32>
           loops.yield
         }",
    );
    assert_eq!((found.code, found.message.as_str()), ("N0703", "memref<4xf32> is no scalar of a kernel"));
}
