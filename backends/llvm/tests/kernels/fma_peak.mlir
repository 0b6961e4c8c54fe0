// 12 independent chains of fused multiply-adds and nothing else: the arithmetic peak of one AVX2 core.
func.func @fma_peak(%out: memref<f32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = arith.constant dense<0.999> : vector<8xf32>
  %b = arith.constant dense<0.001> : vector<8xf32>
  %o = memref.reinterpret_cast %out to offset: [0], sizes: [12, 8], strides: [8, 1] : memref<f32> to memref<12x8xf32>
  %r:12 = scf.for %i = %c0 to %n step %c1
    iter_args(%x0 = %b, %x1 = %b, %x2 = %b, %x3 = %b, %x4 = %b, %x5 = %b, %x6 = %b, %x7 = %b, %x8 = %b, %x9 = %b, %x10 = %b, %x11 = %b)
    -> (vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>) {
    %y0 = vector.fma %x0, %a, %b : vector<8xf32>
    %y1 = vector.fma %x1, %a, %b : vector<8xf32>
    %y2 = vector.fma %x2, %a, %b : vector<8xf32>
    %y3 = vector.fma %x3, %a, %b : vector<8xf32>
    %y4 = vector.fma %x4, %a, %b : vector<8xf32>
    %y5 = vector.fma %x5, %a, %b : vector<8xf32>
    %y6 = vector.fma %x6, %a, %b : vector<8xf32>
    %y7 = vector.fma %x7, %a, %b : vector<8xf32>
    %y8 = vector.fma %x8, %a, %b : vector<8xf32>
    %y9 = vector.fma %x9, %a, %b : vector<8xf32>
    %y10 = vector.fma %x10, %a, %b : vector<8xf32>
    %y11 = vector.fma %x11, %a, %b : vector<8xf32>
    scf.yield %y0, %y1, %y2, %y3, %y4, %y5, %y6, %y7, %y8, %y9, %y10, %y11
      : vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>, vector<8xf32>
  }
  %i0 = arith.constant 0 : index
  vector.store %r#0, %o[%i0, %c0] : memref<12x8xf32>, vector<8xf32>
  %i1 = arith.constant 1 : index
  vector.store %r#1, %o[%i1, %c0] : memref<12x8xf32>, vector<8xf32>
  %i2 = arith.constant 2 : index
  vector.store %r#2, %o[%i2, %c0] : memref<12x8xf32>, vector<8xf32>
  %i3 = arith.constant 3 : index
  vector.store %r#3, %o[%i3, %c0] : memref<12x8xf32>, vector<8xf32>
  %i4 = arith.constant 4 : index
  vector.store %r#4, %o[%i4, %c0] : memref<12x8xf32>, vector<8xf32>
  %i5 = arith.constant 5 : index
  vector.store %r#5, %o[%i5, %c0] : memref<12x8xf32>, vector<8xf32>
  %i6 = arith.constant 6 : index
  vector.store %r#6, %o[%i6, %c0] : memref<12x8xf32>, vector<8xf32>
  %i7 = arith.constant 7 : index
  vector.store %r#7, %o[%i7, %c0] : memref<12x8xf32>, vector<8xf32>
  %i8 = arith.constant 8 : index
  vector.store %r#8, %o[%i8, %c0] : memref<12x8xf32>, vector<8xf32>
  %i9 = arith.constant 9 : index
  vector.store %r#9, %o[%i9, %c0] : memref<12x8xf32>, vector<8xf32>
  %i10 = arith.constant 10 : index
  vector.store %r#10, %o[%i10, %c0] : memref<12x8xf32>, vector<8xf32>
  %i11 = arith.constant 11 : index
  vector.store %r#11, %o[%i11, %c0] : memref<12x8xf32>, vector<8xf32>
  return
}
