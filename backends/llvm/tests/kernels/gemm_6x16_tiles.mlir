// C[6x16] += A * B for packed panels: A is K columns of 6, B is K rows of 16, C has rows `ldc` apart.
// The accumulators live in a register tile that is allocated inside the outer loop over tiles of C.
func.func @gemm_6x16_tiles(%ap: memref<f32> {llvm.noalias}, %bp: memref<f32> {llvm.noalias}, %cp: memref<f32> {llvm.noalias}, %tiles: index, %K: index, %ldc: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c3 = arith.constant 3 : index
  %c4 = arith.constant 4 : index
  %c5 = arith.constant 5 : index
  %c8 = arith.constant 8 : index
  %a = memref.reinterpret_cast %ap to offset: [0], sizes: [%K, 6], strides: [6, 1]
    : memref<f32> to memref<?x6xf32, strided<[6, 1]>>
  %c16 = arith.constant 16 : index
  %panel = arith.muli %K, %c16 : index
  %b = memref.reinterpret_cast %bp to offset: [0], sizes: [%tiles, %K, 16], strides: [%panel, 16, 1]
    : memref<f32> to memref<?x?x16xf32, strided<[?, 16, 1]>>
  %c = memref.reinterpret_cast %cp to offset: [0], sizes: [%tiles, 6, 16], strides: [16, %ldc, 1]
    : memref<f32> to memref<?x6x16xf32, strided<[16, ?, 1]>>
  scf.for %j = %c0 to %tiles step %c1 {
    %t = memref.alloca() : memref<6x2xvector<8xf32>>
    %z00 = vector.load %c[%j, %c0, %c0] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    memref.store %z00, %t[%c0, %c0] : memref<6x2xvector<8xf32>>
    %z01 = vector.load %c[%j, %c0, %c8] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    memref.store %z01, %t[%c0, %c1] : memref<6x2xvector<8xf32>>
    %z10 = vector.load %c[%j, %c1, %c0] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    memref.store %z10, %t[%c1, %c0] : memref<6x2xvector<8xf32>>
    %z11 = vector.load %c[%j, %c1, %c8] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    memref.store %z11, %t[%c1, %c1] : memref<6x2xvector<8xf32>>
    %z20 = vector.load %c[%j, %c2, %c0] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    memref.store %z20, %t[%c2, %c0] : memref<6x2xvector<8xf32>>
    %z21 = vector.load %c[%j, %c2, %c8] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    memref.store %z21, %t[%c2, %c1] : memref<6x2xvector<8xf32>>
    %z30 = vector.load %c[%j, %c3, %c0] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    memref.store %z30, %t[%c3, %c0] : memref<6x2xvector<8xf32>>
    %z31 = vector.load %c[%j, %c3, %c8] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    memref.store %z31, %t[%c3, %c1] : memref<6x2xvector<8xf32>>
    %z40 = vector.load %c[%j, %c4, %c0] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    memref.store %z40, %t[%c4, %c0] : memref<6x2xvector<8xf32>>
    %z41 = vector.load %c[%j, %c4, %c8] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    memref.store %z41, %t[%c4, %c1] : memref<6x2xvector<8xf32>>
    %z50 = vector.load %c[%j, %c5, %c0] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    memref.store %z50, %t[%c5, %c0] : memref<6x2xvector<8xf32>>
    %z51 = vector.load %c[%j, %c5, %c8] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    memref.store %z51, %t[%c5, %c1] : memref<6x2xvector<8xf32>>
    scf.for %k = %c0 to %K step %c1 {
      %b0 = vector.load %b[%j, %k, %c0] : memref<?x?x16xf32, strided<[?, 16, 1]>>, vector<8xf32>
      %b1 = vector.load %b[%j, %k, %c8] : memref<?x?x16xf32, strided<[?, 16, 1]>>, vector<8xf32>
      %s0 = memref.load %a[%k, %c0] : memref<?x6xf32, strided<[6, 1]>>
      %v0 = vector.broadcast %s0 : f32 to vector<8xf32>
      %o00 = memref.load %t[%c0, %c0] : memref<6x2xvector<8xf32>>
      %n00 = vector.fma %v0, %b0, %o00 : vector<8xf32>
      memref.store %n00, %t[%c0, %c0] : memref<6x2xvector<8xf32>>
      %o01 = memref.load %t[%c0, %c1] : memref<6x2xvector<8xf32>>
      %n01 = vector.fma %v0, %b1, %o01 : vector<8xf32>
      memref.store %n01, %t[%c0, %c1] : memref<6x2xvector<8xf32>>
      %s1 = memref.load %a[%k, %c1] : memref<?x6xf32, strided<[6, 1]>>
      %v1 = vector.broadcast %s1 : f32 to vector<8xf32>
      %o10 = memref.load %t[%c1, %c0] : memref<6x2xvector<8xf32>>
      %n10 = vector.fma %v1, %b0, %o10 : vector<8xf32>
      memref.store %n10, %t[%c1, %c0] : memref<6x2xvector<8xf32>>
      %o11 = memref.load %t[%c1, %c1] : memref<6x2xvector<8xf32>>
      %n11 = vector.fma %v1, %b1, %o11 : vector<8xf32>
      memref.store %n11, %t[%c1, %c1] : memref<6x2xvector<8xf32>>
      %s2 = memref.load %a[%k, %c2] : memref<?x6xf32, strided<[6, 1]>>
      %v2 = vector.broadcast %s2 : f32 to vector<8xf32>
      %o20 = memref.load %t[%c2, %c0] : memref<6x2xvector<8xf32>>
      %n20 = vector.fma %v2, %b0, %o20 : vector<8xf32>
      memref.store %n20, %t[%c2, %c0] : memref<6x2xvector<8xf32>>
      %o21 = memref.load %t[%c2, %c1] : memref<6x2xvector<8xf32>>
      %n21 = vector.fma %v2, %b1, %o21 : vector<8xf32>
      memref.store %n21, %t[%c2, %c1] : memref<6x2xvector<8xf32>>
      %s3 = memref.load %a[%k, %c3] : memref<?x6xf32, strided<[6, 1]>>
      %v3 = vector.broadcast %s3 : f32 to vector<8xf32>
      %o30 = memref.load %t[%c3, %c0] : memref<6x2xvector<8xf32>>
      %n30 = vector.fma %v3, %b0, %o30 : vector<8xf32>
      memref.store %n30, %t[%c3, %c0] : memref<6x2xvector<8xf32>>
      %o31 = memref.load %t[%c3, %c1] : memref<6x2xvector<8xf32>>
      %n31 = vector.fma %v3, %b1, %o31 : vector<8xf32>
      memref.store %n31, %t[%c3, %c1] : memref<6x2xvector<8xf32>>
      %s4 = memref.load %a[%k, %c4] : memref<?x6xf32, strided<[6, 1]>>
      %v4 = vector.broadcast %s4 : f32 to vector<8xf32>
      %o40 = memref.load %t[%c4, %c0] : memref<6x2xvector<8xf32>>
      %n40 = vector.fma %v4, %b0, %o40 : vector<8xf32>
      memref.store %n40, %t[%c4, %c0] : memref<6x2xvector<8xf32>>
      %o41 = memref.load %t[%c4, %c1] : memref<6x2xvector<8xf32>>
      %n41 = vector.fma %v4, %b1, %o41 : vector<8xf32>
      memref.store %n41, %t[%c4, %c1] : memref<6x2xvector<8xf32>>
      %s5 = memref.load %a[%k, %c5] : memref<?x6xf32, strided<[6, 1]>>
      %v5 = vector.broadcast %s5 : f32 to vector<8xf32>
      %o50 = memref.load %t[%c5, %c0] : memref<6x2xvector<8xf32>>
      %n50 = vector.fma %v5, %b0, %o50 : vector<8xf32>
      memref.store %n50, %t[%c5, %c0] : memref<6x2xvector<8xf32>>
      %o51 = memref.load %t[%c5, %c1] : memref<6x2xvector<8xf32>>
      %n51 = vector.fma %v5, %b1, %o51 : vector<8xf32>
      memref.store %n51, %t[%c5, %c1] : memref<6x2xvector<8xf32>>
    }
    %r00 = memref.load %t[%c0, %c0] : memref<6x2xvector<8xf32>>
    vector.store %r00, %c[%j, %c0, %c0] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    %r01 = memref.load %t[%c0, %c1] : memref<6x2xvector<8xf32>>
    vector.store %r01, %c[%j, %c0, %c8] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    %r10 = memref.load %t[%c1, %c0] : memref<6x2xvector<8xf32>>
    vector.store %r10, %c[%j, %c1, %c0] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    %r11 = memref.load %t[%c1, %c1] : memref<6x2xvector<8xf32>>
    vector.store %r11, %c[%j, %c1, %c8] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    %r20 = memref.load %t[%c2, %c0] : memref<6x2xvector<8xf32>>
    vector.store %r20, %c[%j, %c2, %c0] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    %r21 = memref.load %t[%c2, %c1] : memref<6x2xvector<8xf32>>
    vector.store %r21, %c[%j, %c2, %c8] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    %r30 = memref.load %t[%c3, %c0] : memref<6x2xvector<8xf32>>
    vector.store %r30, %c[%j, %c3, %c0] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    %r31 = memref.load %t[%c3, %c1] : memref<6x2xvector<8xf32>>
    vector.store %r31, %c[%j, %c3, %c8] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    %r40 = memref.load %t[%c4, %c0] : memref<6x2xvector<8xf32>>
    vector.store %r40, %c[%j, %c4, %c0] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    %r41 = memref.load %t[%c4, %c1] : memref<6x2xvector<8xf32>>
    vector.store %r41, %c[%j, %c4, %c8] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    %r50 = memref.load %t[%c5, %c0] : memref<6x2xvector<8xf32>>
    vector.store %r50, %c[%j, %c5, %c0] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
    %r51 = memref.load %t[%c5, %c1] : memref<6x2xvector<8xf32>>
    vector.store %r51, %c[%j, %c5, %c8] : memref<?x6x16xf32, strided<[16, ?, 1]>>, vector<8xf32>
  }
  return
}
