#map = affine_map<(d0)[s0] -> (d0 + s0)>
func.func @tensor(%t: tensor<?x4xf32>, %i: index, %s: f32, %u: tensor<*xf32>) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %d = tensor.dim %t, %c0 : tensor<?x4xf32>
  %r = tensor.rank %u : tensor<*xf32>
  %e = tensor.extract %t[%i, %c0] : tensor<?x4xf32>
  %n = tensor.insert %s into %t[%i, %c0] : tensor<?x4xf32>
  %x = tensor.extract_slice %n[%i, 0] [2, 4] [1, 1] : tensor<?x4xf32> to tensor<2x4xf32>
  %rr = tensor.extract_slice %n[%i, 0] [1, 4] [1, 1] : tensor<?x4xf32> to tensor<4xf32>
  %y = tensor.insert_slice %x into %n[%i, 0] [2, 4] [1, 1] : tensor<2x4xf32> into tensor<?x4xf32>
  %f = tensor.from_elements %e, %s : tensor<2xf32>
  %g = tensor.generate %d {
  ^bb0(%a: index, %b: index):
    %v = arith.addi %a, %b : index
    %w = arith.index_cast %v : index to i32
    %z = arith.sitofp %w : i32 to f32
    tensor.yield %z : f32
  } : tensor<?x4xf32>
  %p = tensor.pad %g low[1, %i] high[0, 0] {
  ^bb0(%a: index, %b: index):
    tensor.yield %s : f32
  } : tensor<?x4xf32> to tensor<?x?xf32>
  %c = tensor.collapse_shape %p [[0, 1]] : tensor<?x?xf32> into tensor<?xf32>
  %q = tensor.expand_shape %c [[0, 1]] output_shape [%d, 4] : tensor<?xf32> into tensor<?x4xf32>
  %cast = tensor.cast %q : tensor<?x4xf32> to tensor<8x4xf32>
  %em = tensor.empty(%d) : tensor<?x4xbf16>
  %sp = tensor.splat %s : tensor<4x4xf32>
  %idx = arith.constant dense<[[0], [1]]> : tensor<2x1xindex>
  %ga = tensor.gather %sp[%idx] gather_dims([0]) : (tensor<4x4xf32>, tensor<2x1xindex>) -> tensor<2x1x4xf32>
  %sh = arith.constant dense<[2, 8]> : tensor<2xi32>
  %re = tensor.reshape %sp(%sh) : (tensor<4x4xf32>, tensor<2xi32>) -> tensor<2x8xf32>
  %bc = tensor.bitcast %sp : tensor<4x4xf32> to tensor<4x4xi32>
  %cat = tensor.concat dim(0) %t, %y : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  scf.forall (%k) in (4) shared_outs(%o = %cast) -> (tensor<8x4xf32>) {
    %part = tensor.extract_slice %o[%k, 0] [1, 4] [1, 1] : tensor<8x4xf32> to tensor<1x4xf32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %part into %o[%k, 0] [1, 4] [1, 1] : tensor<1x4xf32> into tensor<8x4xf32>
    }
  }
  return %y : tensor<?x4xf32>
}
