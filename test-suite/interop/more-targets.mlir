// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.1 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %s > %t.3
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %t.3 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo > %t.4
// RUN: cmp %t.3 %t.4

// arm_neon, arm_sve, arm_sme, mpi, shard, xegpu, smt, wasmssa.
module {
  func.func @neon(%a: vector<8xi8>, %b: vector<8xi8>, %c: vector<4xi32>, %d: vector<16xi8>) {
    %0 = arm_neon.intr.smull %a, %b : vector<8xi8> to vector<8xi16>
    %1 = arm_neon.intr.sdot %c, %d, %d : vector<16xi8>, vector<16xi8> to vector<4xi32>
    return
  }
  func.func @sve(%a: vector<[16]xi8>, %c: vector<[4]xi32>, %m: vector<[4]xi1>, %f: vector<[4]xf32>) {
    %0 = arm_sve.sdot %c, %a, %a : vector<[16]xi8> to vector<[4]xi32>
    %1 = arm_sve.masked.addf %m, %f, %f : vector<[4]xi1>, vector<[4]xf32>
    return
  }
  func.func @sme(%v: vector<[4]xf32>) {
    %0 = arm_sme.zero : vector<[4]x[4]xf32>
    %1 = arm_sme.outerproduct %v, %v : vector<[4]xf32>, vector<[4]xf32>
    return
  }
  func.func @mpi(%r: memref<10xf32>) {
    mpi.init : !mpi.retval
    %c = mpi.comm_world : !mpi.comm
    return
  }
  shard.grid @g(shape = 2x2)
  func.func @xegpu(%src: memref<24x32xf32>) {
    %0 = xegpu.create_nd_tdesc %src : memref<24x32xf32> -> !xegpu.tensor_desc<8x16xf32>
    return
  }
  func.func @smt() {
    smt.solver() : () -> () {
      %0 = smt.constant true
      %1 = smt.declare_fun "x" : !smt.bv<8>
      smt.assert %0
      %2 = smt.eq %1, %1 : !smt.bv<8>
    }
    return
  }
  wasmssa.func exported @w(%a: !wasmssa<local ref to i32>) -> i32 {
    %0 = wasmssa.local_get %a : ref to i32
    wasmssa.return %0 : i32
  }
}
