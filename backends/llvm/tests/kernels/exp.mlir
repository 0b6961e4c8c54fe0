// y[i] = e^x[i] in vectors, no call: 2^n * e^r with r in [-ln2/2, ln2/2] and a polynomial for e^r (Cephes' coefficients).
// n comes from adding 1.5 * 2^23, which leaves the rounded integer in the low bits: unlike arith.fptosi this is defined
// for NaN too. 2^n is applied in two halves, so that overflow gives infinity and underflow gives denormals.
func.func @exp(%xp: memref<f32> {llvm.noalias}, %yp: memref<f32> {llvm.noalias}, %n: index) {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant dense<0.0> : vector<8xf32>
  %x = memref.reinterpret_cast %xp to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32, strided<[1]>>
  %y = memref.reinterpret_cast %yp to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32, strided<[1]>>
  scf.for %i = %c0 to %n step %c8 {
    %left = arith.subi %n, %i : index
    %count = arith.minui %left, %c8 : index
    %mask = vector.create_mask %count : vector<8xi1>
    %v = vector.maskedload %x[%i], %mask, %zero : memref<?xf32, strided<[1]>>, vector<8xi1>, vector<8xf32> into vector<8xf32>
    %e = func.call @exp8(%v) : (vector<8xf32>) -> vector<8xf32>
    vector.maskedstore %y[%i], %mask, %e : memref<?xf32, strided<[1]>>, vector<8xi1>, vector<8xf32>
  }
  return
}

func.func private @exp8(%x: vector<8xf32>) -> vector<8xf32> {
  %high = arith.constant dense<89.0> : vector<8xf32>
  %low = arith.constant dense<-104.0> : vector<8xf32>
  %log2e = arith.constant dense<1.44269504> : vector<8xf32>
  %magic = arith.constant dense<12582912.0> : vector<8xf32>
  %magic_bits = arith.constant dense<0x4B400000> : vector<8xi32>
  %ln2_high = arith.constant dense<-0.693359375> : vector<8xf32>
  %ln2_low = arith.constant dense<2.12194440e-4> : vector<8xf32>
  %p5 = arith.constant dense<1.9875691500e-4> : vector<8xf32>
  %p4 = arith.constant dense<1.3981999507e-3> : vector<8xf32>
  %p3 = arith.constant dense<8.3334519073e-3> : vector<8xf32>
  %p2 = arith.constant dense<4.1665795894e-2> : vector<8xf32>
  %p1 = arith.constant dense<1.6666665459e-1> : vector<8xf32>
  %p0 = arith.constant dense<5.0000001201e-1> : vector<8xf32>
  %one = arith.constant dense<1.0> : vector<8xf32>
  %i1 = arith.constant dense<1> : vector<8xi32>
  %i23 = arith.constant dense<23> : vector<8xi32>
  %bias = arith.constant dense<127> : vector<8xi32>

  %above = arith.cmpf ogt, %x, %high : vector<8xf32>
  %x1 = arith.select %above, %high, %x : vector<8xi1>, vector<8xf32>
  %below = arith.cmpf olt, %x1, %low : vector<8xf32>
  %x2 = arith.select %below, %low, %x1 : vector<8xi1>, vector<8xf32>

  %t = vector.fma %x2, %log2e, %magic : vector<8xf32>
  %nf = arith.subf %t, %magic : vector<8xf32>
  %r0 = vector.fma %nf, %ln2_high, %x2 : vector<8xf32>
  %r = vector.fma %nf, %ln2_low, %r0 : vector<8xf32>
  %q4 = vector.fma %p5, %r, %p4 : vector<8xf32>
  %q3 = vector.fma %q4, %r, %p3 : vector<8xf32>
  %q2 = vector.fma %q3, %r, %p2 : vector<8xf32>
  %q1 = vector.fma %q2, %r, %p1 : vector<8xf32>
  %q0 = vector.fma %q1, %r, %p0 : vector<8xf32>
  %r_r = arith.mulf %r, %r : vector<8xf32>
  %r_1 = arith.addf %r, %one : vector<8xf32>
  %e = vector.fma %q0, %r_r, %r_1 : vector<8xf32>

  %tb = arith.bitcast %t : vector<8xf32> to vector<8xi32>
  %n = arith.subi %tb, %magic_bits : vector<8xi32>
  %n1 = arith.shrsi %n, %i1 : vector<8xi32>
  %n2 = arith.subi %n, %n1 : vector<8xi32>
  %b1 = arith.addi %n1, %bias : vector<8xi32>
  %b2 = arith.addi %n2, %bias : vector<8xi32>
  %e1 = arith.shli %b1, %i23 : vector<8xi32>
  %e2 = arith.shli %b2, %i23 : vector<8xi32>
  %s1 = arith.bitcast %e1 : vector<8xi32> to vector<8xf32>
  %s2 = arith.bitcast %e2 : vector<8xi32> to vector<8xf32>
  %y1 = arith.mulf %e, %s1 : vector<8xf32>
  %y2 = arith.mulf %y1, %s2 : vector<8xf32>
  return %y2 : vector<8xf32>
}
