// One of each operation that needs a pass besides convert-to-llvm. Compiled, not run.
memref.global "private" constant @table : memref<8xf32> = dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]>

func.func @operations(%xp: memref<f32>, %yp: memref<f32>, %bp: memref<bf16>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  %z = arith.constant 0.0 : f32
  %zeros = arith.constant dense<0.0> : vector<8xf32>
  %all = arith.constant dense<true> : vector<8xi1>
  %x = memref.reinterpret_cast %xp to offset: [0], sizes: [%n, 8], strides: [8, 1] : memref<f32> to memref<?x8xf32>
  %y = memref.reinterpret_cast %yp to offset: [%n], sizes: [%n, 8], strides: [%n, 1] : memref<f32> to memref<?x8xf32, strided<[?, 1], offset: ?>>
  %b = memref.reinterpret_cast %bp to offset: [0], sizes: [%n], strides: [1] : memref<bf16> to memref<?xbf16>
  %table = memref.get_global @table : memref<8xf32>

  affine.for %i = 0 to %n {
    affine.for %j = 0 to 8 {
      %v = affine.load %x[%i, %j] : memref<?x8xf32>
      %w = affine.load %table[%j] : memref<8xf32>
      %s = arith.addf %v, %w : f32
      affine.store %s, %x[%i, %j] : memref<?x8xf32>
    }
  }
  %half = arith.ceildivui %n, %c7 : index
  %down = arith.floordivsi %n, %c7 : index
  scf.parallel (%i) = (%half) to (%n) step (%c1) {
    %view = memref.subview %y[%i, 0] [4, 8] [1, 1] : memref<?x8xf32, strided<[?, 1], offset: ?>> to memref<4x8xf32, strided<[?, 1], offset: ?>>
    %m = vector.transfer_read %view[%c0, %c0], %z {in_bounds = [true, true]} : memref<4x8xf32, strided<[?, 1], offset: ?>>, vector<4x8xf32>
    %r = vector.multi_reduction <add>, %m, %zeros [0] : vector<4x8xf32> to vector<8xf32>
    vector.store %r, %view[%c0, %c0] : memref<4x8xf32, strided<[?, 1], offset: ?>>, vector<8xf32>
    memref.prefetch %x[%i, %c0], read, locality<3>, data : memref<?x8xf32>
    scf.reduce
  }
  %tile = memref.alloca() : memref<8x8xf32>
  %from = memref.subview %x[%down, 0] [8, 8] [1, 1] : memref<?x8xf32> to memref<8x8xf32, strided<[8, 1], offset: ?>>
  memref.copy %from, %tile : memref<8x8xf32, strided<[8, 1], offset: ?>> to memref<8x8xf32>
  %q = vector.transfer_read %tile[%c0, %c0], %z {in_bounds = [true, true]} : memref<8x8xf32>, vector<8x8xf32>
  %t = vector.transpose %q, [1, 0] : vector<8x8xf32> to vector<8x8xf32>
  %flat = vector.shape_cast %t : vector<8x8xf32> to vector<64xf32>
  %row = vector.extract_strided_slice %flat {offsets = [8], sizes = [8], strides = [1]} : vector<64xf32> to vector<8xf32>
  %steps = vector.step : vector<8xindex>
  %gathered = vector.gather %x[%down, %c0] [%steps], %all, %row : memref<?x8xf32>, vector<8xindex>, vector<8xi1>, vector<8xf32> into vector<8xf32>
  %narrow = arith.truncf %gathered : vector<8xf32> to vector<8xbf16>
  vector.store %narrow, %b[%c0] : memref<?xbf16>, vector<8xbf16>
  return
}
