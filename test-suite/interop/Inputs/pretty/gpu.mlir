module attributes {gpu.container_module} {
  gpu.module @kernels [#nvvm.target<chip = "sm_90">] {
    gpu.func @k(%m: memref<?xf32>, %x: f32) workgroup(%w: memref<32xf32, #gpu.address_space<workgroup>>) private(%p: memref<1xf32, 5>) kernel attributes {gpu.known_block_size = array<i32: 32, 1, 1>} {
      %off = arith.constant 1 : i32
      %width = arith.constant 32 : i32
      %tid = gpu.thread_id x
      %bid = gpu.block_id y upper_bound 64
      %v = memref.load %m[%tid] : memref<?xf32>
      %s = gpu.all_reduce add %v uniform {} : (f32) -> f32
      %sh, %ok = gpu.shuffle xor %s, %off, %width : f32
      %t = gpu.subgroup_reduce add %sh : (f32) -> f32
      gpu.barrier
      %lane = gpu.lane_id
      memref.store %t, %w[%tid] : memref<32xf32, #gpu.address_space<workgroup>>
      gpu.printf "thread %lld\n", %tid : index
      gpu.return
    }
  }
  func.func @host(%m: memref<?xf32>, %n: index, %x: f32) {
    %c1 = arith.constant 1 : index
    %t0 = gpu.wait async
    %d, %t1 = gpu.alloc async [%t0] (%n) : memref<?xf32>
    %t2 = gpu.memcpy async [%t1] %d, %m : memref<?xf32>, memref<?xf32>
    gpu.wait [%t2]
    gpu.launch blocks(%bx, %by, %bz) in (%gx = %n, %gy = %c1, %gz = %c1) threads(%tx, %ty, %tz) in (%sx = %n, %sy = %c1, %sz = %c1) {
      %i = arith.addi %bx, %tx : index
      memref.store %x, %d[%i] : memref<?xf32>
      gpu.terminator
    }
    %u = memref.cast %m : memref<?xf32> to memref<*xf32>
    gpu.host_register %u : memref<*xf32>
    gpu.launch_func @kernels::@k blocks in (%n, %c1, %c1) threads in (%c1, %c1, %c1) args(%m : memref<?xf32>, %x : f32)
    return
  }
}
