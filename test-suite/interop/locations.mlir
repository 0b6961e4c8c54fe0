// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.1 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %s > %t.3
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %t.3 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo > %t.4
// RUN: cmp %t.3 %t.4

// Locations in all forms, with aliases before and behind.
#before = loc("before.py":1:2)
#behind = loc("behind"(#before))
!alias = tensor<4xf32>
!later = tuple<i32, !alias>
#map = affine_map<(d0) -> (d0 + 2)>
#attr = {a = 1 : i8}
"l.file"() : () -> () loc("a.mlir":10:8)
"l.name"() : () -> () loc("name")
"l.child"() : () -> () loc("name"("a.mlir":1:2))
"l.call"() : () -> () loc(callsite("foo" at "mysource.cc":10:8))
"l.nested"() : () -> () loc(callsite("a" at callsite("b" at "c"("d":1:1))))
"l.fused"() : () -> () loc(fused["a", "b":1:2, unknown])
"l.meta"() : () -> () loc(fused<{x = 1 : i32}>["a", "b"])
"l.unknown"() : () -> () loc(unknown)
"l.range"() : () -> () loc("a.mlir":1:2 to 3:4)
"l.line"() : () -> () loc("a.mlir":1:2 to :9)
"l.alias"() {t = !alias, a = #attr} : () -> () loc(#before)
"l.behind"() : () -> !later loc(#behind)
"l.text"() {a = #foo.opaque<#attr, !alias>, m = memref<4xf32, #map>} : () -> !foo.box<!alias, #attr>
"l.region"() ({
^bb0(%a: i32 loc("arg":1:1), %b: !alias loc(fused["x", "y"]), %c: i1):
  "l.use"(%a, %b, %c) : (i32, !alias, i1) -> () loc("inner")
^bb1(%d: f32 loc(#behind)):
  "l.use"(%d) : (f32) -> ()
}) : () -> () loc("region")
func.func @f(%x: i32 loc("x":1:1), %y: f32 {a.b = 1 : i32} loc("y":1:1)) -> i32 {
  %0 = arith.addi %x, %x : i32 loc("add"(#before))
  return %0 : i32 loc(callsite(#before at #behind))
} loc("f")
