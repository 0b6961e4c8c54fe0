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

// Types of every form, and types and attributes of dialects with bodies of their own.
func.func private @types(i1, i16777215, ui3, si7, index, none, f8E3M4, complex<i8>, tuple<i32, tuple<f32>>, vector<f32>, vector<[4]xf32>, vector<2x[4]x[8]xi1>, tensor<f32>, tensor<0x?xf32>, tensor<*xf32>, tensor<4xf32, "enc">, tensor<4xf32, #foo.bar<[1, "x>", {a}]>>, memref<f32>, memref<4x?xf32, strided<[?, 1], offset: ?>>, memref<4xf32, strided<[2]>>, memref<4xf32, strided<[-2], offset: 3>>, memref<4x4xf32, affine_map<(d0, d1) -> (d1, d0)>>, memref<4x4xf32, affine_map<(d0, d1) -> (d1, d0)>, 3>, memref<*xf32, 3>, memref<*xi1>, tensor<2x!foo.t<a, "b", [c], {d = <e>}>>, () -> (), (i32) -> ((i32) -> i32), memref<4xmemref<4xf32>>, memref<4x4xf32, strided<[4, 1], offset: 0>>, tensor<?x?xf32, affine_map<(d0, d1) -> (d1, d0)>>, tensor<4xf32, dense<1> : tensor<2xi32>>)
module @m attributes {test.f = 0x41424344 : f32, test.nan = [0x7FC00001 : f32, 0xFFC00000 : f32, 0x7FF0000000000001 : f64, 0x7C01 : f16, 0xFC00 : f16], test.k = 1.7976931348623157E+308 : f64, test.sub = 4.9406564584124654E-324 : f64} {
  "t.x"() {a} : () -> ()
}
"t.types"() {a = vector<4x[2]x1xf8E4M3>, b = !llvm.struct<"a b<", (i32, struct<"rec", (ptr<3>, array<4 x struct<packed (i8, i32)>>)>)>, c = !llvm.func<void (i32, ...)>, d = !llvm.target<"spirv.Image", i32, 0>, f = !spirv.ptr<!spirv.struct<(f32 [0], !spirv.rtarray<i32, stride=4> [4])>, StorageBuffer>, g = !spirv.array<4 x vector<4xf32>, stride=16>, h = !emitc.opaque<"std::vector<int>">, i = !emitc.ptr<!emitc.opaque<"a\"b">>, j = !async.value<f32>, k = !quant.uniform<i8<-127:127>:f32, 0.5:3>, l = !quant.uniform<i8:f32:1, {0.5, 2.0:1}>, m = !shape.shape, n = !transform.op<"a.b">, p = !amx.tile<16x32xbf16>, q = !nvgpu.warpgroup.accumulator<fragmented = vector<64x128xf32>>, r = !gpu.mma_matrix<16x16xf16, "AOp">, s = !pdl.range<value>, t = !omp.map_bounds_ty, u = !xegpu.tensor_desc<8x16xf32>} : () -> ()
"t.attrs"() {a = #llvm.di_basic_type<tag = DW_TAG_base_type, name = "int", sizeInBits = 32, encoding = DW_ATE_signed>, b = #spirv.vce<v1.0, [Shader], [SPV_KHR_vulkan_memory_model]>, c = #sparse_tensor.encoding<{ map = (d0, d1) -> (d0 : dense, d1 : compressed(nonordered)) }>, d = #dlti.map<"k" = 1 : i32>, e = #gpu.address_space<workgroup>, f = #arith.fastmath<fast,nnan>, g = #llvm.loop_annotation<disableNonforced = true>, h = #llvm.tbaa_root<id = "x">, i = #emitc.opaque<"x">, j = #nvvm.target<chip = "sm_90", flags = {fast}>, k = #vector.kind<add>, l = #linalg.iterator_type<parallel>, n = #ub.poison, o = #llvm.zero, q = #omp<orderkind concurrent>} : () -> ()
func.func @st(%t: tensor<4x4xf32, #sparse_tensor.encoding<{ map = (d0, d1) -> (d0 : dense, d1 : compressed) }>>) { return }
