// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.1 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %s > %t.3
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %t.3 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo > %t.4
// RUN: cmp %t.3 %t.4

// Every builtin type, and types of dialects with bodies of any form.
"t.float"() : () -> (f16, bf16, f32, f64, tf32, f80, f128)
"t.small"() : () -> (f8E5M2, f8E4M3, f8E4M3FN, f8E5M2FNUZ, f8E4M3FNUZ, f8E4M3B11FNUZ, f8E3M4, f8E8M0FNU, f6E2M3FN, f6E3M2FN, f4E2M1FN)
"t.integer"() : () -> (i1, i7, si8, ui16, i32, i64, i128, i4096, si1000, ui16777215, index)
"t.none"() : () -> (none, complex<f32>, complex<i8>, complex<f64>, tuple<>, tuple<i32, tuple<f32, index>>)
"t.function"() : () -> (() -> (), (i32) -> f32, (i32, f32) -> (i1, i2), () -> (() -> ()), (() -> i1) -> (() -> i1))
"t.tensor"() : () -> (tensor<f32>, tensor<0x8xf32>, tensor<?x300xbf16>, tensor<*xf32>, tensor<4xcomplex<f64>>, tensor<2x!t.any>)
"t.encoding"() : () -> (tensor<4xf32, "enc">, tensor<4xf32, #t.enc<{a = 1}>>, tensor<?xf32, {a = [1, 2]}>, tensor<4xf32, 3 : i8>)
"t.sparse"() : () -> tensor<?x?xf64, #sparse_tensor.encoding<{ map = (d0, d1) -> (d0 : dense, d1 : compressed), posWidth = 32 }>>
"t.memref"() : () -> (memref<f32>, memref<4x?xf32>, memref<4xf32, 3>, memref<4xf32, "space">, memref<*xf32>, memref<*xi8, 2>)
"t.layout"() : () -> (memref<4x?xf32, strided<[?, 1], offset: ?>>, memref<4x4xf32, strided<[8, 1], offset: 3>, 1 : i32>)
"t.affine"() : () -> (memref<4xf32, affine_map<(d0) -> (d0 + 1)>>, memref<4x?xf32, affine_map<(d0, d1)[s0] -> (d1 + s0, d0)>, 2>)
"t.space"() : () -> (memref<4xf32, #gpu.address_space<workgroup>>, memref<4xf32, {name = "x"}>, memref<2xmemref<3xf32>>)
"t.vector"() : () -> (vector<4xf32>, vector<4x[8]xi1>, vector<f32>, vector<[4]xindex>, vector<2x3x4xi8>)
"t.opaque"() : () -> (!t.plain, !t<"a > b">, !t.thing<any (text -> [here]) "a>b" {x = 1}>, !t.deep<<<1>>, ((2))>, !t.str<"\22 \\ \0A">)
"t.llvm"() : () -> (!llvm.ptr, !llvm.ptr<3>, !llvm.struct<"s", (i32, ptr)>, !llvm.array<4 x f32>, !llvm.struct<packed (i8, i32)>, !llvm.void)
"t.rec"() : () -> !llvm.struct<"r", (ptr, struct<"q", (i32)>)>
"t.quant"() : () -> (!quant.uniform<i8:f32, 2.0:10>, !async.token, !async.value<f32>, !transform.any_op, !transform.op<"scf.for">)
"t.spirv"() : () -> (!spirv.array<4 x i32>, !spirv.struct<(f32, i32)>, !shape.shape, !emitc.opaque<"int">, !pdl.range<operation>)
