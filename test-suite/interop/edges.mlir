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

// Numbers at the edges of their types, texts with every escape, elements in every form, resources.
#m = affine_map<(d0, d1)[s0, s1] -> (d0 floordiv 2 - s0, (d1 mod 3) * -1, s1 ceildiv 4, -d0 + 9223372036854775807)>
#empty = affine_map<() -> ()>
#set = affine_set<(d0, d1)[s0] : (d0 - d1 == 0, s0 - 5 >= 0)>
#noset = affine_set<(d0) : (0 == 0)>
!t = tensor<4xf32>
!nest = tuple<!t, tuple<>, (i32) -> (), ((f32) -> f32) -> (f32, f32)>
module @"odd name\22\0A" attributes {a.b = @x::@"y z"::@w, test.d = {}, test.u} {
  "t.p"() <{m = #m, s = #set, t = !nest, e = #empty, n = #noset, "quo ted" = unit, arr = [], nested = [[1 : i1, true, false], {k = "v"}]}> : () -> ()
  "t.sym"() {a = @a::@b::@c, b = @"with space"::@"q\22q", c = [@x, @y]} : () -> ()
  "t.int"() {a = -128 : i8, b = 255 : ui8, c = -1 : si8, d = 340282366920938463463374607431768211455 : i128, e = 0xFF : i64, f = -170141183460469231731687303715884105728 : si128, g = 1 : i1, h = 0 : i1, i = 18446744073709551615 : ui64, j = 9223372036854775807 : index, k = 123456789012345678901234567890123456789012345678901234567890 : i256, l = -1 : i3, m = 7 : i17} : () -> ()
  "t.flt"() {a = 0x7FC00000 : f32, b = 0xFFF0000000000000 : f64, c = 1.0e-45 : f32, d = 0x7E00 : f16, e = 0x7FC0 : bf16, f = -0.0 : f32, g = 1.0e+30 : f80, h = 1.5 : f128, i = 0x7F : f8E5M2, j = 1.0 : f8E4M3FN, k = 0.5 : f4E2M1FN, l = 2.0 : f8E8M0FNU, m = 0.1 : f64, n = 0xFF800000 : f32, o = 1.0 : tf32, p = 3.0 : f6E3M2FN, q = 0x80 : f8E4M3FNUZ} : () -> ()
  "t.str"() {a = "\00\01\1F\7F\FF\\\22\n\t\09", b = "é ü 漢字", c = "a\\22", d = "typed" : i32, e = ""} : () -> ()
}
"t.dense"() {
 a = dense<true> : tensor<4xi1>, b = dense<[true, false, true]> : tensor<3xi1>, c = dense<> : tensor<0xi32>, d = dense<[[], []]> : tensor<2x0xi32>,
 e = dense<1> : tensor<i32>, f = dense<"0x0100000002000000"> : tensor<2xi32>, g = dense<(1.0, -2.0)> : tensor<2xcomplex<f32>>, h = dense<[(1, 2), (3, 4)]> : tensor<2xcomplex<i32>>,
 i = dense<[0x7F800000, 0xFF800000, 0x7FC00000]> : tensor<3xf32>, j = dense<["a", "b\00c", "\22"]> : tensor<3x!t.s>, k = dense<"one"> : tensor<2x!t.s>, l = dense<"0xFF"> : tensor<8xi1>,
 m = dense<[1, -1]> : tensor<2xi3>, n = dense<[0.5, 1.5]> : tensor<2xbf16>, o = dense<[1, 2]> : vector<2xi128>, p = dense<1.0> : vector<[4]xf32>, q = dense<[[1, 2], [3, 4]]> : tensor<2x2xindex>,
 r = sparse<[[0, 1], [2, 3]], [1.0, 2.0]> : tensor<4x4xf32>, s = sparse<0, 1> : tensor<4xi32>, t = sparse<[[1]], ["x"]> : tensor<4x!t.s>, u = array<i32>, v = array<i64: 1, -2>, w = array<f32: 1.0, 0x7FC00000>, x = array<i1: true, false>, y = array<i8: -128>,
 z = dense_resource<blob> : tensor<4xi8>, za = dense<[0x7F, 0x00]> : tensor<2xf8E5M2>, zb = dense<2.0> : tensor<3xf4E2M1FN>, zc = dense<[1.0, 2.0]> : tensor<2xf80>, zd = dense<1> : tensor<2x3xui8>, ze = dense<[-1, 2]> : tensor<2xsi8>, zf = dense<(0x7FC00000, 0.0)> : tensor<complex<f32>>, zg = dense<[true]> : vector<1xi1>, zh = array<f64: -0.0>, zi = dense<-0.0> : tensor<2xf32>, zj = dense<12345678901234567890123> : tensor<i100>
} : () -> ()
{-#
  dialect_resources: { builtin: { blob: "0x0400000001020304" } },
  external_resources: { other: { key: "value", flag: true, "k 2": "0x04000000AA" } }
#-}
