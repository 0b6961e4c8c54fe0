#set = affine_set<(d0)[s0] : (d0 - 10 >= 0, s0 - d0 - 9 >= 0)>
#lb = affine_map<(d0)[s0] -> (d0, s0)>
func.func @affine(%m: memref<100x100xf32>, %n: index, %v: vector<8xf32>) -> f32 {
  %zero = arith.constant 0.0 : f32
  %sum = affine.for %i = 0 to %n iter_args(%acc = %zero) -> (f32) {
    %x = affine.load %m[%i + 1, symbol(%n)] : memref<100x100xf32>
    %in = affine.if #set(%i)[%n] -> f32 {
      affine.yield %x : f32
    } else {
      affine.yield %zero : f32
    }
    %next = arith.addf %acc, %in : f32
    affine.yield %next : f32
  }
  affine.for %i = max #lb(%n)[%n] to min affine_map<(d0) -> (d0, 100)>(%n) step 2 {
    affine.for %j = 0 to affine_map<(d0) -> (d0)>(%i) {
      affine.store %sum, %m[%i, %j] : memref<100x100xf32>
      %w = affine.vector_load %m[%i, %j] : memref<100x100xf32>, vector<8xf32>
      affine.vector_store %v, %m[%i, %j] : memref<100x100xf32>, vector<8xf32>
      affine.prefetch %m[%i, %j + 5], read, locality<3>, data : memref<100x100xf32>
    } {tag = "inner"}
  }
  %par = affine.parallel (%i, %j) = (0, 0) to (10, min(20, %n)) step (1, 2) reduce ("addf") -> (f32) {
    %x = affine.load %m[%i, %j] : memref<100x100xf32>
    affine.yield %x : f32
  }
  %a = affine.apply affine_map<(d0)[s0] -> (d0 ceildiv 4 + s0 mod 3)>(%n)[%n]
  %mi = affine.min affine_map<(d0)[s0] -> (d0, s0 * 2)>(%n)[%n]
  %ma = affine.max affine_map<(d0) -> (d0, -d0)>(%n)
  %li:2 = affine.delinearize_index %n into (4, 8) : index, index
  %l = affine.linearize_index disjoint [%li#0, %li#1] by (4, 8) : index
  return %par : f32
}
