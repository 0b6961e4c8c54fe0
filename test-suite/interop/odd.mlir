// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.1 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %s > %t.3
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %t.3 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo > %t.4
// RUN: cmp %t.3 %t.4
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-elementsattrs-with-hex-if-larger=1 %s > %t.5
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.5 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.6
// RUN: cmp %t.1 %t.6

// Locations within locations, graph regions, successors with arguments, opaque bodies with brackets and quotes.
#loc1 = loc("a.c":1:2)
#loc2 = loc("named"(#loc1))
#loc3 = loc(callsite(#loc2 at callsite("x" at unknown)))
#loc4 = loc(fused<{k = [1, #loc1]}>[#loc1, #loc2, unknown])
#al = loc(fused["a", "b"("c")])
func.func @f(%a: i32 loc(#loc2), %b: f32 loc("q\22uote")) {
  "t.a"() {l = loc("x":1:1 to :5), r = loc("f":1:2 to 3:4), u = loc(unknown), al = #loc4} : () -> () loc(#loc3)
  "t.r"() ({
  ^bb0(%x: i32 loc("arg"), %y: f32):
    "t.b"(%x) [^bb1, ^bb2] : (i32) -> () loc(#al)
  ^bb1:
    "t.c"()[^bb0x] : () -> () loc(fused[])
  ^bb0x:
    "t.e"()[^bb2] : () -> () loc(fused<"m">["z"])
  ^bb2:
    "t.d"() : () -> () loc(callsite(fused["p", "q"] at "r":0:0))
  }, {
  }, {
  ^bb0:
  }, {
  ^bb0(%only: none):
  }) : () -> () loc(#loc4)
  return loc(unknown)
} loc("outer"("in.c":4:5))
"t.o"() {a = #foo.a<b<c>, "str>\22", [1, (2)], {x -> y}, <>>, b = #foo<bare body here>, c = #foo.just, d = distinct[0]<42 : i32>, e = distinct[0]<42 : i32>, f = distinct[1]<42 : i32>, g = distinct[2]<>, h = #foo.m<"a\\b", 'c'>, i = !foo.t<->>, j = !foo<"x">, k = #foo.n<a::b, %c, @d, ^e>, l = [distinct[0]<42 : i32>], m = #foo.x<"]})">, n = #foo<"y">, o = #foo.a-b<1>, p = #foo.e< >} : () -> ()
%0:3 = "t.m"() : () -> (i32, f32, !foo.t<[{(<>)}]>)
"t.u"(%0#2, %0#0, %0#1) : (!foo.t<[{(<>)}]>, i32, f32) -> ()
%g1 = "t.g"(%g2) : (i32) -> i32
%g2 = "t.g"(%g1) : (i32) -> i32
"t.region"() ({
  %z = "t.late"(%w) : (i8) -> i8
  %w = "t.late"(%z) : (i8) -> i8
}) {attr = affine_set<() : (1 >= 0)>, m = affine_map<(d0, d1, d2) -> (d0 + d1 * 2 + 3, 0)>} : () -> ()
func.func @s(%a: i32, %c: i1) -> i32 {
  cf.cond_br %c, ^bb1(%a, %a : i32, i32), ^bb2(%c : i1)
^bb1(%x: i32, %y: i32):
  cf.switch %x : i32, [ default: ^bb1(%x, %y : i32, i32), 1: ^bb2(%c : i1), -5: ^bb3 ]
^bb2(%q: i1):
  "t.br"(%a, %q)[^bb3, ^bb1, ^bb2] <{p = 1 : i64}> ({ "t.in"() : () -> () }) {d = 2 : i64} : (i32, i1) -> ()
^bb3:
  return %a : i32
}
"func.func"() <{function_type = () -> (), sym_name = "g", sym_visibility = "private"}> ({}) : () -> ()
"builtin.module"() <{sym_name = "inner"}> ({
^bb0:
}) {dlti.dl_spec = #dlti.dl_spec<index = 32 : i64, i64 = dense<[32, 64]> : vector<2xi64>>, foo.bar = #foo<x>} : () -> ()
"t.empty"() <{}> : () -> ()
"t.both"() <{a = 1 : i32}> {a = 2 : i32, operandSegmentSizes = array<i32: 1, 2>} : () -> ()
"t.unicode_ünï"() {"ключ" = 1 : i32} : () -> ()
