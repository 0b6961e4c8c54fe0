// y[i] = 2 * x[i] + 1 for i < n: whole vectors, then one masked vector for the rest.
func.func @scale_tail(%xp: memref<f32> {llvm.noalias}, %yp: memref<f32> {llvm.noalias}, %n: index) {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %two = arith.constant dense<2.0> : vector<8xf32>
  %one = arith.constant dense<1.0> : vector<8xf32>
  %zero = arith.constant dense<0.0> : vector<8xf32>
  %x = memref.reinterpret_cast %xp to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32, strided<[1]>>
  %y = memref.reinterpret_cast %yp to offset: [0], sizes: [%n], strides: [1] : memref<f32> to memref<?xf32, strided<[1]>>
  %rest = arith.remui %n, %c8 : index
  %whole = arith.subi %n, %rest : index
  scf.for %i = %c0 to %whole step %c8 {
    %v = vector.load %x[%i] : memref<?xf32, strided<[1]>>, vector<8xf32>
    %m = arith.mulf %v, %two fastmath<contract> : vector<8xf32>
    %r = arith.addf %m, %one fastmath<contract> : vector<8xf32>
    vector.store %r, %y[%i] : memref<?xf32, strided<[1]>>, vector<8xf32>
  }
  %some = arith.cmpi ugt, %rest, %c0 : index
  scf.if %some {
    %mask = vector.create_mask %rest : vector<8xi1>
    %v = vector.maskedload %x[%whole], %mask, %zero : memref<?xf32, strided<[1]>>, vector<8xi1>, vector<8xf32> into vector<8xf32>
    %m = arith.mulf %v, %two fastmath<contract> : vector<8xf32>
    %r = arith.addf %m, %one fastmath<contract> : vector<8xf32>
    vector.maskedstore %y[%whole], %mask, %r : memref<?xf32, strided<[1]>>, vector<8xi1>, vector<8xf32>
  }
  return
}
