// nvgpu, nvvm, amx, x86vector
func.func @nvgpu(%m: memref<16x16xf16, 3>, %g: memref<16x16xf16>, %i: index, %a: vector<4x2xf16>, %b: vector<2x2xf16>, %c: vector<2x2xf32>) {
  %f = nvgpu.ldmatrix %m[%i, %i] {numTiles = 4 : i32, transpose = false} : memref<16x16xf16, 3> -> vector<4x2xf16>
  %d = nvgpu.mma.sync (%a, %b, %c) {mmaShape = [16, 8, 16]} : (vector<4x2xf16>, vector<2x2xf16>, vector<2x2xf32>) -> vector<2x2xf32>
  %t = nvgpu.device_async_copy %g[%i, %i], %m[%i, %i], 8 : memref<16x16xf16> to memref<16x16xf16, 3>
  %k = nvgpu.device_async_create_group %t
  nvgpu.device_async_wait %k {numGroups = 1 : i32}
  return
}
llvm.func @nvvm(%x: i32, %p: !llvm.ptr<3>, %f: f32) {
  %tid = nvvm.read.ptx.sreg.tid.x : i32
  %w = nvvm.read.ptx.sreg.ntid.x range <i32, 1, 1025> : i32
  %mask = llvm.mlir.constant(-1 : i32) : i32
  %s = nvvm.shfl.sync bfly %mask, %x, %x, %mask : i32 -> i32
  %pred = llvm.mlir.constant(true) : i1
  %v = nvvm.vote.sync ballot %mask, %pred -> i32
  %r = nvvm.rcp.approx.ftz.f %f : f32
  nvvm.barrier0
  nvvm.mbarrier.init %p, %x : !llvm.ptr<3>, i32
  llvm.return
}
func.func @amx(%m: memref<?x?xbf16>, %n: memref<?x?xf32>, %i: index) {
  %a = amx.tile_load %m[%i, %i] : memref<?x?xbf16> into !amx.tile<16x32xbf16>
  %b = amx.tile_load %m[%i, %i] : memref<?x?xbf16> into !amx.tile<16x32xbf16>
  %z = amx.tile_zero : !amx.tile<16x16xf32>
  %c = amx.tile_mulf %a, %b, %z : !amx.tile<16x32xbf16>, !amx.tile<16x32xbf16>, !amx.tile<16x16xf32>
  amx.tile_store %n[%i, %i], %c : memref<?x?xf32>, !amx.tile<16x16xf32>
  return
}
func.func @x86vector(%a: vector<16xf32>, %k: i16, %b: vector<8xf32>, %w: vector<32xbf16>, %acc: vector<16xf32>) {
  %i = arith.constant 15 : i32
  %0 = x86vector.avx512.mask.rndscale %a, %i, %a, %k, %i : vector<16xf32>
  %1 = x86vector.avx.rsqrt %b : vector<8xf32>
  %2 = x86vector.avx512.dot %acc, %w, %w : vector<32xbf16> -> vector<16xf32>
  return
}
