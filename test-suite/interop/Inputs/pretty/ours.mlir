// Ops of dialects that are ours in part: what our own definitions lack, or spell in another way.
memref.global "private" constant @g : memref<2xf32> = dense<[1.0, 2.0]> {alignment = 64}
func.func @main(%m: memref<?x8xf32>, %n: index, %x: f32, %u: memref<*xf32>, %v: vector<4x8xf32>, %c: i1, %b: vector<8xi1>) -> f32 attributes {llvm.emit_c_interface} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %g = memref.get_global @g : memref<2xf32>
  %s = memref.subview %m[%n, 0] [4, 8] [1, 1] : memref<?x8xf32> to memref<4x8xf32, strided<[8, 1], offset: ?>>
  %cl = memref.collapse_shape %m [[0, 1]] : memref<?x8xf32> into memref<?xf32>
  %e = memref.expand_shape %cl [[0, 1]] output_shape [%n, 8] : memref<?xf32> into memref<?x8xf32>
  %al = memref.alloca_scope -> (f32) {
    %tmp = memref.alloca() : memref<1xf32>
    %ld = memref.load %tmp[%c0] : memref<1xf32>
    memref.alloca_scope.return %ld : f32
  }
  %base, %off, %sizes:2, %strides:2 = memref.extract_strided_metadata %m : memref<?x8xf32> -> memref<f32>, index, index, index, index, index
  %old = memref.atomic_rmw addf %x, %cl[%n] : (f32, memref<?xf32>) -> f32
  %gr = memref.generic_atomic_rmw %cl[%n] : memref<?xf32> {
  ^bb0(%cur: f32):
    %nx = arith.addf %cur, %x : f32
    memref.atomic_yield %nx : f32
  }
  memref.assume_alignment %m, 64 : memref<?x8xf32>
  memref.prefetch %m[%n, %c0], write, locality<2>, data : memref<?x8xf32>
  %rk = memref.rank %u : memref<*xf32>
  %tr = memref.transpose %m (i, j) -> (j, i) : memref<?x8xf32> to memref<8x?xf32, strided<[1, 8]>>
  %row = vector.extract %v[1] : vector<8xf32> from vector<4x8xf32>
  %mask = vector.create_mask %n : vector<8xi1>
  %rd = vector.mask %mask { vector.reduction <add>, %row : vector<8xf32> into f32 } : vector<8xi1> -> f32
  %sc:2 = vector.scan <add>, %v, %row {inclusive = true, reduction_dim = 0 : i64} : vector<4x8xf32>, vector<8xf32>
  vector.print %row : vector<8xf32>
  vector.compressstore %m[%n, %c0], %b, %row : memref<?x8xf32>, vector<8xi1>, vector<8xf32>
  %par = scf.parallel (%i, %j) = (%c0, %c0) to (%n, %n) step (%c1, %c1) init (%x) -> f32 {
    %ld = memref.load %m[%i, %j] : memref<?x8xf32>
    scf.reduce(%ld : f32) {
    ^bb0(%l: f32, %r: f32):
      %a = arith.addf %l, %r : f32
      scf.reduce.return %a : f32
    }
  }
  %sw = scf.index_switch %n -> f32
  case 2 {
    scf.yield %x : f32
  }
  default {
    scf.yield %par : f32
  }
  %ex = scf.execute_region -> f32 {
    cf.cond_br %c, ^bb1, ^bb2
  ^bb1:
    cf.br ^bb3(%x : f32)
  ^bb2:
    cf.br ^bb3(%sw : f32)
  ^bb3(%z: f32):
    scf.yield %z : f32
  }
  %w:2 = scf.while (%q = %ex, %k = %c0) : (f32, index) -> (f32, index) {
    scf.condition(%c) %q, %k : f32, index
  } do {
  ^bb0(%q: f32, %k: index):
    %k2 = arith.addi %k, %c1 : index
    scf.yield %q, %k2 : f32, index
  }
  %i32 = arith.constant 7 : i32
  cf.switch %i32 : i32, [
    default: ^bb4,
    3: ^bb5(%w#0 : f32)
  ]
^bb4:
  %fn = func.constant @callee : (f32) -> f32
  %y = func.call_indirect %fn(%x) : (f32) -> f32
  cf.br ^bb5(%y : f32)
^bb5(%res: f32):
  %sin, %cos = math.sincos %res : f32
  %cl2 = math.clampf %sin to [%x, %cos] : f32
  return %cl2 : f32
}
func.func private @callee(f32) -> f32
