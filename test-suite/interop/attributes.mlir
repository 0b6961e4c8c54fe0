// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.1 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %s > %t.3
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %t.3 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo > %t.4
// RUN: cmp %t.3 %t.4

// Every kind of attribute, on ops that nobody knows.
"a.simple"() {u, b = true, c = false, i = 5, j = -3 : i8, x = 7 : index, s = "text", t = i32, f = (i32) -> f32} : () -> ()
"a.bool"() {a = true, b = 1 : i1, c = 0 : i1} : () -> ()
"a.int"() {a = 255 : i8, b = -128 : i8, c = 255 : ui8, d = -7 : si64, e = 0x7F : i16, f = 170141183460469231731687303715884105727 : i128,
  g = -170141183460469231731687303715884105728 : i128, h = 123456789012345678901234567890123456789012345678901234567890 : i256,
  i = -123456789012345678901234567890123456789012345678901234567890 : si300, j = 18446744073709551615 : ui64} : () -> ()
"a.float"() {a = 1.0, b = 1.5e-3 : f32, c = -0.0 : f16, d = 1.0e10 : bf16, e = 3.14159265358979 : f64, f = 1.0e-45 : f32,
  g = 4.9e-324 : f64, h = 0.1 : f32, i = 123456.789 : f32, j = 1.0e300 : f64} : () -> ()
"a.hex"() {a = 0x7FC00000 : f32, b = 0xFF800000 : f32, c = 0x7F800001 : f32, d = 0xFFC0ABCD : f32, e = 0x7FF0000000000001 : f64,
  f = 0x7C01 : f16, g = 0xFF81 : bf16, h = 0x7F : f8E5M2, i = 0x7F : f8E4M3FN, j = 0x80 : f8E4M3FNUZ, k = 0x3F800000 : f32, l = 0xFF : f8E8M0FNU} : () -> ()
"a.small"() {a = 1.5 : f8E5M2, b = 448.0 : f8E4M3FN, c = 0.5 : f8E3M4, d = 4.0 : f8E8M0FNU, e = 1.0 : f6E2M3FN, f = 1.0 : f6E3M2FN, g = 6.0 : f4E2M1FN,
  h = 1.0 : tf32, i = 1.0 : f8E4M3, j = 1.0 : f8E5M2FNUZ, k = 1.0 : f8E4M3B11FNUZ} : () -> ()
"a.wide"() {a = 1.0 : f80, b = 3.14159265358979323846264338327950288 : f128, c = 0x7FFF8000000000000000 : f80, d = 0.1 : f80, e = 1.0e4000 : f128,
  g = 0x7FFF8000000000000000000000000000 : f128} : () -> ()
"a.string"() {a = "", b = "q \22 b \\ n \0A t \09 nul \00", c = "gr\C3\B6\C3\9Fer", d = "\FF\FE", e = "\F4\8F\BF\80", f = "typed" : i32, g = "typed" : !t.x} : () -> ()
"a.array"() {a = [], b = [1, 2 : i32, "a", [true], 1.0, unit], c = {}, d = {a = 1, b, "c d" = {e = [unit]}, "0" = 1}} : () -> ()
"a.names"() {"with space" = 1, with.dot = 2, _under = 3, "9lives" = 4, a$b = 5, "quo\22te" = 6} : () -> ()
"a.symbols"() {a = @sym, b = @a::@b::@c, c = @"b c"::@"\22", d = @_x.y$z} : () -> ()
"a.dense"() {a = dense<1.0> : tensor<4xf32>, b = dense<[1, 2]> : tensor<2xi32>, c = dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi64>,
  d = dense<> : tensor<0xf32>, e = dense<> : tensor<2x0xi8>, f = dense<[true, false, true]> : tensor<3xi1>, g = dense<true> : tensor<i1>,
  h = dense<[-1, 7]> : tensor<2xi4>, i = dense<(1.0, -2.0)> : tensor<2xcomplex<f32>>, j = dense<[(1, 2), (3, 4)]> : tensor<2xcomplex<i8>>,
  k = dense<18446744073709551615> : tensor<ui64>, l = dense<[0x7FC00000, -0.0, 1.0, 0x7F800001]> : tensor<4xf32>, m = dense<0.0> : vector<4xf32>,
  n = dense<[1, 2]> : tensor<2xi3>, o = dense<["a", "b c"]> : tensor<2x!t.str>, p = dense<[1.0, 2.0]> : tensor<2xf80>, q = dense<[1, 2]> : tensor<2xi200>,
  r = dense<1> : tensor<2x2xindex>, s = dense<[1.0, 2.0]> : tensor<2xbf16>, t = dense<2.0> : vector<[4]xf32>, u = dense<[1.0, 448.0]> : tensor<2xf8E4M3FN>,
  v = dense<[1.0, 6.0]> : tensor<2xf4E2M1FN>, w = dense<[1, 2, 3]> : tensor<3xsi16>, x = dense<1.0> : tensor<f128>, y = dense<[1.0, 2.0]> : tensor<2xtf32>,
  z = dense<1.0> : memref<4xf32>} : () -> ()
"a.hexdense"() {a = dense<"0x0100000002000000"> : tensor<2xi32>, b = dense<"0x05"> : tensor<3xi1>, c = dense<"0xFFFF807F"> : tensor<2xbf16>} : () -> ()
"a.sparse"() {a = sparse<[[0, 1]], [1.0]> : tensor<2x2xf32>, b = sparse<[0], 3> : tensor<4xi32>, c = sparse<[[0, 0], [1, 2]], [1, 5]> : tensor<3x4xi32>} : () -> ()
"a.densearray"() {a = array<i64>, b = array<i64: 1, -2>, c = array<f32: 1.0, 0x7FC00000>, d = array<i1: true, false>, e = array<i8: -1, 127>,
  f = array<bf16: 1.0, 2.5>, g = array<f16: 1.0>, h = array<i128: 170141183460469231731687303715884105727>, i = array<f64: 1.0e300>, j = array<f128: 1.0>,
  k = array<i24: -5, 5>, l = array<f8E4M3FN: 1.0>} : () -> ()
"a.resource"() {a = dense_resource<blob1> : tensor<3xi64>, b = dense_resource<"blob 2"> : tensor<1xf32>, c = dense_resource<__elided__> : tensor<4xf32>} : () -> ()
"a.affine"() {a = affine_map<(d0, d1)[s0] -> (d0 + s0, d1)>, b = affine_map<() -> ()>, c = affine_map<(d0) -> (d0 floordiv 2, d0 mod 3, d0 ceildiv 4, d0 * -2)>,
  d = affine_set<(d0, d1)[s0] : (d0 - 10 >= 0, d1 - s0 == 0)>, e = affine_set<() : (0 == 0)>, f = affine_map<(d0)[s0, s1] -> ((d0 + s0) * 2 - s1)>} : () -> ()
"a.strided"() {a = strided<[1, ?], offset: 3>, b = strided<[]>, c = strided<[4, 1]>} : () -> ()
"a.type"() {a = tensor<4xf32>, b = !t.x<1>, c = () -> (), d = vector<4xi1>, e = none} : () -> ()
"a.loc"() {a = loc("a.py":3:4), b = loc("node"), c = loc(unknown), d = loc(fused<"m">["a", unknown])} : () -> ()
"a.distinct"() {a = distinct[0]<42 : i32>, b = distinct[1]<42 : i32>, c = distinct[0]<42 : i32>, d = distinct[2]<>} : () -> ()
"a.opaque"() {a = #foo.bar, b = #foo<"bar \22>\22 [1]">, c = #foo.x<(a -> b), [1 : i32], {"}"}>, d = #foo.typed<1> : tensor<4xf32>, e = #foo<"x"> : i32} : () -> ()
"a.known"() {a = #arith.fastmath<fast>, b = #arith.overflow<nsw, nuw>, c = #vector.kind<add>, d = #complex.number<:f32 1.0, 2.0>, e = #gpu.address_space<global>,
  f = #llvm.linkage<external>, g = #spirv.vce<v1.0, [Shader], []>, h = #dlti.dl_spec<"a" = 1 : i32>, i = #nvvm.target<chip = "sm_90">, j = #ub.poison} : () -> ()
"a.both"() <{p = 1 : i32, q = "x"}> {d = 2 : i64, p2} : () -> ()
{-#
  dialect_resources: {
    builtin: {
      blob1: "0x08000000010000000000000002000000000000000300000000000000",
      "blob 2": "0x040000000000803F"
    }
  },
  external_resources: {
    some_tool: { entry: "text", flag: true, bytes: "0x0400000001020304" }
  }
#-}
