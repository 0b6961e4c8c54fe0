// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.1 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %s > %t.3
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %t.3 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo > %t.4
// RUN: cmp %t.3 %t.4

// memref, tensor, bufferization, sparse_tensor, shape.
memref.global "private" constant @g : memref<2xf32> = dense<[1.0, 2.0]> {alignment = 64 : i64}
memref.global @u : memref<4xi32> = uninitialized
memref.global "private" @e : memref<f32>
func.func @memref(%n: index, %x: f32, %m: memref<?x?xf32>, %s: memref<4x4xf32, strided<[?, 1], offset: ?>>, %u: memref<*xf32>) -> index {
  %0 = memref.alloc(%n) {alignment = 64 : i64} : memref<?x4xf32>
  %1 = memref.alloca() : memref<4xf32, 5>
  %2 = memref.load %m[%n, %n] : memref<?x?xf32>
  memref.store %2, %m[%n, %n] {nontemporal = true} : memref<?x?xf32>
  %3 = memref.dim %m, %n : memref<?x?xf32>
  %4 = memref.subview %m[%n, 0] [4, %n] [1, 2] : memref<?x?xf32> to memref<4x?xf32, strided<[?, 2], offset: ?>>
  %5 = memref.cast %0 : memref<?x4xf32> to memref<?x?xf32>
  %6 = memref.reinterpret_cast %u to offset: [0], sizes: [%n], strides: [1] : memref<*xf32> to memref<?xf32>
  %7 = memref.collapse_shape %0 [[0, 1]] : memref<?x4xf32> into memref<?xf32>
  %8 = memref.expand_shape %7 [[0, 1]] output_shape [%n, 4] : memref<?xf32> into memref<?x4xf32>
  %9 = memref.get_global @g : memref<2xf32>
  %10 = memref.transpose %m (d0, d1) -> (d1, d0) : memref<?x?xf32> to memref<?x?xf32, strided<[1, ?]>>
  %11 = memref.atomic_rmw addf %x, %m[%n, %n] : (f32, memref<?x?xf32>) -> f32
  %base, %off, %sz:2, %st:2 = memref.extract_strided_metadata %m : memref<?x?xf32> -> memref<f32>, index, index, index, index, index
  memref.copy %5, %m : memref<?x?xf32> to memref<?x?xf32>
  %12 = "t.bytes"() : () -> memref<?xi8>
  %13 = memref.view %12[%n][%n] : memref<?xi8> to memref<?xf32>
  memref.dealloc %0 : memref<?x4xf32>
  memref.prefetch %m[%n, %n], read, locality<3>, data : memref<?x?xf32>
  return %3 : index
}
func.func @tensor(%n: index, %x: f32, %t: tensor<?x?xf32>, %u: tensor<*xf32>) -> tensor<?xf32> {
  %0 = tensor.empty(%n) : tensor<?x4xf32>
  %1 = tensor.extract %t[%n, %n] : tensor<?x?xf32>
  %2 = tensor.insert %x into %t[%n, %n] : tensor<?x?xf32>
  %3 = tensor.extract_slice %2[0, %n] [4, %n] [1, 1] : tensor<?x?xf32> to tensor<4x?xf32>
  %4 = tensor.insert_slice %3 into %t[0, %n] [4, %n] [1, 1] : tensor<4x?xf32> into tensor<?x?xf32>
  %5 = tensor.pad %4 low[1, %n] high[0, 2] { ^bb0(%i: index, %j: index): tensor.yield %x : f32 } : tensor<?x?xf32> to tensor<?x?xf32>
  %6 = tensor.generate %n { ^bb0(%i: index): tensor.yield %x : f32 } : tensor<?xf32>
  %7 = tensor.from_elements %x, %1 : tensor<2xf32>
  %8 = tensor.collapse_shape %0 [[0, 1]] : tensor<?x4xf32> into tensor<?xf32>
  %9 = tensor.cast %8 : tensor<?xf32> to tensor<7xf32>
  %10 = tensor.splat %x : tensor<4xf32>
  %11 = tensor.dim %t, %n : tensor<?x?xf32>
  %12 = tensor.rank %u : tensor<*xf32>
  %13 = tensor.concat dim(0) %7, %10 : (tensor<2xf32>, tensor<4xf32>) -> tensor<6xf32>
  %14 = tensor.bitcast %10 : tensor<4xf32> to tensor<4xi32>
  %15 = bufferization.to_buffer %t : tensor<?x?xf32> to memref<?x?xf32>
  %16 = bufferization.to_tensor %15 restrict writable : memref<?x?xf32> to tensor<?x?xf32>
  %17 = bufferization.alloc_tensor(%n) : tensor<?xf32>
  bufferization.materialize_in_destination %16 in restrict writable %15 : (tensor<?x?xf32>, memref<?x?xf32>) -> ()
  %18 = shape.shape_of %t : tensor<?x?xf32> -> tensor<?xindex>
  %19 = shape.const_shape [1, 2, 3] : !shape.shape
  return %6 : tensor<?xf32>
}
#CSR = #sparse_tensor.encoding<{ map = (d0, d1) -> (d0 : dense, d1 : compressed) }>
func.func @sparse(%t: tensor<4x4xf64, #CSR>, %d: tensor<4x4xf64>) -> tensor<4x4xf64> {
  %0 = sparse_tensor.convert %d : tensor<4x4xf64> to tensor<4x4xf64, #CSR>
  %1 = sparse_tensor.values %0 : tensor<4x4xf64, #CSR> to memref<?xf64>
  %2 = sparse_tensor.convert %t : tensor<4x4xf64, #CSR> to tensor<4x4xf64>
  return %2 : tensor<4x4xf64>
}
