func.func @bufferization(%t: tensor<?x4xf32>, %m: memref<?x4xf32>, %n: index) -> tensor<?x4xf32> {
  %a = bufferization.alloc_tensor(%n) {memory_space = 1 : i64} : tensor<?x4xf32>
  %b = bufferization.alloc_tensor() copy(%t) : tensor<?x4xf32>
  %c = bufferization.to_tensor %m restrict writable : memref<?x4xf32> to tensor<?x4xf32>
  %d = bufferization.to_buffer %t read_only : tensor<?x4xf32> to memref<?x4xf32, strided<[?, ?], offset: ?>>
  %e = bufferization.clone %m : memref<?x4xf32> to memref<?x4xf32>
  %g = bufferization.materialize_in_destination %t in %b : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  bufferization.materialize_in_destination %t in restrict writable %m : (tensor<?x4xf32>, memref<?x4xf32>) -> ()
  bufferization.dealloc_tensor %c : tensor<?x4xf32>
  return %g : tensor<?x4xf32>
}
