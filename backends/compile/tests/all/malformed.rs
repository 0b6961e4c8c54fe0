//! Host programs that no bytecode can stand for, verified or not: each gets an error, none a panic.

use nim_compiler::{DIALECTS, emit_program};
use nim_ir::Context;
use nim_text::{ParseOptions, parse_module};

/// The codes that making a program of a text gives.
fn codes(text: &str) -> Vec<&'static str> {
    let ctx = Context::new(DIALECTS);
    let source = ctx.add_source("test.nir", text);
    let (module, found) = parse_module(&ctx, source, &ParseOptions::default());
    assert!(found.is_empty(), "{text}: {found:?}");
    match emit_program(&ctx, &module, "main", None, &[]) {
        Ok(_) => vec![],
        Err(found) => found.iter().map(|d| d.code).collect(),
    }
}

/// A function around some ops.
fn main_of(ops: &str) -> String {
    format!("func.func @main(%x: memref<[N]xf32>, %c: memref<i1>) {{\n{ops}\n  return\n}}\n")
}

#[test]
fn each_has_its_code() {
    let cases = [
        ("N0740", "func.func @other() {\n  return\n}\n".to_string()),
        ("N0741", main_of("  %s = dyn.alloc 4*Q")),
        ("N0743", main_of("  %s = dyn.alloc 4\n  %y = dyn.view %s[0] : memref<?xf32>")),
        ("N0744", "func.func @main(%x: memref<[N]xf32>) {\n  dyn.guard eq N, N, \"no return\"\n}\n".into()),
        ("N0745", main_of("  %y = arith.constant 1 : i32")),
        ("N0746", main_of("  %y = dyn.constant dense_resource<nowhere> : tensor<4xf32>")),
        ("N0747", main_of("  dyn.invoke @nowhere(%x) outs(%x) : memref<[N]xf32>, memref<[N]xf32>")),
        ("N0748", main_of("  \"dyn.guard\"() {kind = \"eq\"} : () -> ()")),
        ("N0749", main_of("  func.call @nowhere() : () -> ()")),
        ("N0754", main_of("  %y = dyn.construct leaf() : () -> !graph.adt<@Tree>")),
        ("N0755", "func.func @main(%f: () -> memref<f32>) {\n  return\n}\n".into()),
        ("N0749", main_of("  func.call @declared() : () -> ()") + "func.func private @declared()\n"),
        ("N0750", main_of("  \"dyn.if\"(%c) ({\n    dyn.yield\n  }) : (memref<i1>) -> ()")),
        ("N0751", main_of("  %y = dyn.runtime \"no.such\"(%x) : (memref<[N]xf32>) -> memref<[N]xf32>")),
    ];
    for (code, text) in cases {
        assert_eq!(codes(&text), [code], "{text}");
    }
}

#[test]
fn sizes_that_cannot_be_computed() {
    assert_eq!(codes(&main_of("  %s = dyn.alloc floordiv(N, 0)")), ["N0742"]);
}
