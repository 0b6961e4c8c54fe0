// y[i] = x[i]^2 + x[i] from half precision to half and to bfloat, with one rounding in f32 in between.
func.func @half(%xp: memref<f16> {llvm.noalias}, %yp: memref<f16> {llvm.noalias}, %zp: memref<bf16> {llvm.noalias}, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %x = memref.reinterpret_cast %xp to offset: [0], sizes: [%n], strides: [1] : memref<f16> to memref<?xf16, strided<[1]>>
  %y = memref.reinterpret_cast %yp to offset: [0], sizes: [%n], strides: [1] : memref<f16> to memref<?xf16, strided<[1]>>
  %z = memref.reinterpret_cast %zp to offset: [0], sizes: [%n], strides: [1] : memref<bf16> to memref<?xbf16, strided<[1]>>
  scf.for %i = %c0 to %n step %c1 {
    %h = memref.load %x[%i] : memref<?xf16, strided<[1]>>
    %f = arith.extf %h : f16 to f32
    %r = math.fma %f, %f, %f : f32
    %a = arith.truncf %r : f32 to f16
    %b = arith.truncf %r : f32 to bf16
    memref.store %a, %y[%i] : memref<?xf16, strided<[1]>>
    memref.store %b, %z[%i] : memref<?xbf16, strided<[1]>>
  }
  return
}
