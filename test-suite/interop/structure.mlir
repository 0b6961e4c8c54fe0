// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.1 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %s > %t.3
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %t.3 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo > %t.4
// RUN: cmp %t.3 %t.4

// Regions, blocks, successors, forward references, names, symbols, nesting.
"s.empty"() ({}) : () -> ()
"s.blocks"() ({
^bb0:
}, {}, {
^start:
  "s.br"()[^a, ^c] : () -> ()
^a(%x: i32, %y: f32):
  "s.br"(%x, %y)[^b, ^c] {w} : (i32, f32) -> ()
^b:
  %z = "s.def"() : () -> i64
  "s.br"()[^a] : () -> ()
^c:
  "s.ret"() <{a = 1 : i32}> : () -> ()
}) : () -> ()
"s.use"(%later, %many#1) : (f64, i2) -> ()
%later = "s.def"() : () -> f64
%many:3 = "s.def"() : () -> (i1, i2, i3)
%p, %q:2 = "s.def"() : () -> (i1, i2, i3)
"s.use"(%q#1, %p) : (i3, i1) -> ()
%h = "s.region"() ({
  %c = "s.def"() : () -> i1
  "s.region"() ({
    %d = "s.def"(%c, %h, %later) : (i1, i1, f64) -> i1
    "s.region"() ({ "s.use"(%d, %c, %e) : (i1, i1, i1) -> () }) : () -> ()
  }) : () -> ()
  %e = "s.def"() : () -> i1
}, {
  %c = "s.def"() : () -> i1
}) : () -> i1
module @inner attributes {x.y = 1 : i32} {
  %0 = "s.def"() : () -> i32
  module @innermost {
    %1 = "s.def"() : () -> i32
    func.func private @decl(i32, f32) -> (i32 {a.b}, f32)
    func.func @"quoted name"() attributes {a.c = @inner::@innermost::@decl} { return }
  }
}
func.func @names(%arg0: i32, %arg1: i32) -> i32 {
  %0 = arith.addi %arg0, %arg1 : i32
  %1 = "s.region"(%0) ({
  ^bb0(%arg2: i32):
    %2 = arith.addi %arg2, %0 : i32
    "s.ret"(%2) : (i32) -> ()
  }) : (i32) -> i32
  %3 = arith.addi %1, %1 : i32
  return %3 : i32
}
func.func private @attrs(%a: i32 {x.y = 1 : i32}, %b: f32) -> (i32 {x.z = "r"}, f32) attributes {no_inline, x.w} {
  return %a, %b : i32, f32
}
"s.succ"() ({
  "s.cond"()[^bb1, ^bb2] : () -> ()
^bb1:
  "s.br"()[^bb3] : () -> ()
^bb2:
  "s.br"()[^bb3] : () -> ()
^bb3:
  "s.loop"()[^bb1] : () -> ()
}) : () -> ()
