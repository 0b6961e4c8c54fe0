// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.1 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %s > %t.3
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %t.3 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo > %t.4
// RUN: cmp %t.3 %t.4

// vector and linalg, named and generic.
#id = affine_map<(i, j) -> (i, j)>
#acc = {indexing_maps = [affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (k, j)>, affine_map<(i, j, k) -> (i, j)>], iterator_types = ["parallel", "parallel", "reduction"]}
func.func @vector(%m: memref<?x?xf32>, %i: index, %x: f32, %v: vector<4xf32>, %w: vector<4x8xf32>, %k: vector<4xi1>, %s: vector<[4]xf32>) -> vector<4xf32> {
  %0 = vector.transfer_read %m[%i, %i], %x {in_bounds = [true]} : memref<?x?xf32>, vector<4xf32>
  vector.transfer_write %0, %m[%i, %i] : vector<4xf32>, memref<?x?xf32>
  %1 = vector.load %m[%i, %i] : memref<?x?xf32>, vector<4xf32>
  vector.store %1, %m[%i, %i] : memref<?x?xf32>, vector<4xf32>
  %2 = vector.broadcast %x : f32 to vector<4xf32>
  %3 = vector.extract %w[1] : vector<8xf32> from vector<4x8xf32>
  %4 = vector.insert %x, %v[%i] : f32 into vector<4xf32>
  %5 = vector.fma %v, %2, %4 : vector<4xf32>
  %6 = vector.reduction <add>, %5, %x : vector<4xf32> into f32
  %7 = vector.shuffle %5, %v [0, 5, 2, -1] : vector<4xf32>, vector<4xf32>
  %w2 = "t.v"() : () -> vector<8x4xf32>
  %w3 = "t.v"() : () -> vector<4x4xf32>
  %8 = vector.contract #acc %w, %w2, %w3 : vector<4x8xf32>, vector<8x4xf32> into vector<4x4xf32>
  %9 = vector.outerproduct %v, %v, %8 {kind = #vector.kind<add>} : vector<4xf32>, vector<4xf32>
  %10 = vector.multi_reduction <maximumf>, %w, %v [1] : vector<4x8xf32> to vector<4xf32>
  %11 = vector.transpose %w, [1, 0] : vector<4x8xf32> to vector<8x4xf32>
  %12 = vector.maskedload %m[%i, %i], %k, %v : memref<?x?xf32>, vector<4xi1>, vector<4xf32> into vector<4xf32>
  %13 = vector.shape_cast %w : vector<4x8xf32> to vector<32xf32>
  %14 = vector.extract_strided_slice %w {offsets = [0], sizes = [2], strides = [1]} : vector<4x8xf32> to vector<2x8xf32>
  %15 = vector.create_mask %i : vector<4xi1>
  %16 = vector.mask %15 { vector.reduction <add>, %v : vector<4xf32> into f32 } : vector<4xi1> -> f32
  %17 = vector.bitcast %v : vector<4xf32> to vector<8xi16>
  %18 = vector.constant_mask [2] : vector<4xi1>
  %19:2 = vector.scan <add>, %w, %3 {inclusive = true, reduction_dim = 0 : i64} : vector<4x8xf32>, vector<8xf32>
  %20 = vector.interleave %v, %v : vector<4xf32> -> vector<8xf32>
  %21 = vector.vscale
  %22 = vector.scalable.extract %s[0] : vector<4xf32> from vector<[4]xf32>
  %23 = vector.step : vector<4xindex>
  vector.print %v : vector<4xf32>
  return %7 : vector<4xf32>
}
func.func @linalg(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %c: tensor<4x16xf32>, %x: f32, %m: memref<4x8xf32>) -> tensor<4x16xf32> {
  %r = tensor.empty() : tensor<4xf32>
  %t = tensor.empty() : tensor<8x4xf32>
  %p = tensor.empty() : tensor<4x2x4xf32>
  %0 = linalg.fill ins(%x : f32) outs(%c : tensor<4x16xf32>) -> tensor<4x16xf32>
  %1 = linalg.matmul ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%0 : tensor<4x16xf32>) -> tensor<4x16xf32>
  %2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%1 : tensor<4x16xf32>) outs(%c : tensor<4x16xf32>) {
  ^bb0(%in: f32, %out: f32):
    %i = linalg.index 0 : index
    %3 = arith.addf %in, %out : f32
    linalg.yield %3 : f32
  } -> tensor<4x16xf32>
  %4 = linalg.map { arith.addf } ins(%2, %2 : tensor<4x16xf32>, tensor<4x16xf32>) outs(%c : tensor<4x16xf32>)
  %5 = linalg.reduce ins(%a : tensor<4x8xf32>) outs(%r : tensor<4xf32>) dimensions = [1] (%in: f32, %init: f32) { %6 = arith.addf %in, %init : f32 linalg.yield %6 : f32 }
  %7 = linalg.transpose ins(%a : tensor<4x8xf32>) outs(%t : tensor<8x4xf32>) permutation = [1, 0]
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"], library_call = "f"} outs(%m : memref<4x8xf32>) attrs = {x} { ^bb0(%out: f32): linalg.yield %out : f32 }
  %8 = linalg.pack %a inner_dims_pos = [1] inner_tiles = [4] into %p : tensor<4x8xf32> -> tensor<4x2x4xf32>
  return %4 : tensor<4x16xf32>
}
