// y[i] = e^x + tanh(x) + erf(x) + x mod 0.75, in scalars: every function is a call of the C library.
func.func @libm(%xp: memref<f32>, %yp: memref<f32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %q = arith.constant 0.75 : f32
  %x = memref.reinterpret_cast %xp to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32, strided<[1]>>
  %y = memref.reinterpret_cast %yp to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32, strided<[1]>>
  scf.for %i = %c0 to %n step %c1 {
    %v = memref.load %x[%i] : memref<?xf32, strided<[1]>>
    %a = math.exp %v : f32
    %b = math.tanh %v : f32
    %c = math.erf %v : f32
    %d = arith.remf %v, %q : f32
    %ab = arith.addf %a, %b : f32
    %cd = arith.addf %c, %d : f32
    %s = arith.addf %ab, %cd : f32
    memref.store %s, %y[%i] : memref<?xf32, strided<[1]>>
  }
  return
}
