#id = affine_map<(d0, d1) -> (d0, d1)>
#trait = {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
func.func @linalg(%a: tensor<4x8xf32>, %b: tensor<8x16xf32>, %c: tensor<4x16xf32>, %x: f32, %m: memref<4x8xf32>, %img: tensor<1x8x8x3xf32>, %k: tensor<3x3x3x4xf32>, %o: tensor<1x6x6x4xf32>, %ba: tensor<2x4x8xf32>, %bb: tensor<2x8x4xf32>, %bc: tensor<2x4x4xf32>, %v: tensor<8xf32>, %r: tensor<4xf32>) -> tensor<4x16xf32> {
  %0 = linalg.fill ins(%x : f32) outs(%c : tensor<4x16xf32>) -> tensor<4x16xf32>
  %1 = linalg.matmul ins(%a, %b : tensor<4x8xf32>, tensor<8x16xf32>) outs(%0 : tensor<4x16xf32>) -> tensor<4x16xf32>
  %2 = linalg.generic #trait ins(%1 : tensor<4x16xf32>) outs(%c : tensor<4x16xf32>) {
  ^bb0(%in: f32, %out: f32):
    %i = linalg.index 0 : index
    %s = arith.addf %in, %out : f32
    linalg.yield %s : f32
  } -> tensor<4x16xf32>
  %3 = linalg.map { arith.mulf } ins(%2, %1 : tensor<4x16xf32>, tensor<4x16xf32>) outs(%c : tensor<4x16xf32>)
  %4 = linalg.map ins(%3 : tensor<4x16xf32>) outs(%c : tensor<4x16xf32>) (%in: f32, %out: f32) { %e = math.exp %in : f32 linalg.yield %e : f32 }
  %5 = linalg.reduce { arith.addf } ins(%a : tensor<4x8xf32>) outs(%r : tensor<4xf32>) dimensions = [1]
  %6 = linalg.broadcast ins(%r : tensor<4xf32>) outs(%c : tensor<4x16xf32>) dimensions = [1]
  %7 = linalg.conv_2d_nhwc_hwcf {dilations = dense<1> : tensor<2xi64>, strides = dense<1> : tensor<2xi64>} ins(%img, %k : tensor<1x8x8x3xf32>, tensor<3x3x3x4xf32>) outs(%o : tensor<1x6x6x4xf32>) -> tensor<1x6x6x4xf32>
  %8 = linalg.batch_matmul ins(%ba, %bb : tensor<2x4x8xf32>, tensor<2x8x4xf32>) outs(%bc : tensor<2x4x4xf32>) -> tensor<2x4x4xf32>
  %9 = linalg.matvec ins(%a, %v : tensor<4x8xf32>, tensor<8xf32>) outs(%r : tensor<4xf32>) -> tensor<4xf32>
  %10 = linalg.elementwise kind=#linalg.elementwise_kind<add> ins(%1, %2 : tensor<4x16xf32>, tensor<4x16xf32>) outs(%c : tensor<4x16xf32>) -> tensor<4x16xf32>
  %11 = linalg.exp ins(%10 : tensor<4x16xf32>) outs(%c : tensor<4x16xf32>) -> tensor<4x16xf32>
  %12 = linalg.softmax dimension(1) ins(%11 : tensor<4x16xf32>) outs(%c : tensor<4x16xf32>) -> tensor<4x16xf32>
  linalg.fill ins(%x : f32) outs(%m : memref<4x8xf32>)
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"], library_call = "f"} outs(%m : memref<4x8xf32>) attrs = {x} {
  ^bb0(%out: f32):
    linalg.yield %out : f32
  }
  return %12 : tensor<4x16xf32>
}
