// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.1 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %s > %t.3
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %t.3 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo > %t.4
// RUN: cmp %t.3 %t.4

// scf and affine.
#map = affine_map<(d0)[s0] -> (d0 + s0)>
#set = affine_set<(d0) : (d0 - 10 >= 0)>
func.func @scf(%lb: index, %ub: index, %step: index, %c: i1, %x: f32, %m: memref<?xf32>) -> f32 {
  %0 = scf.for %i = %lb to %ub step %step iter_args(%acc = %x) -> (f32) {
    %1 = arith.addf %acc, %x : f32
    scf.yield %1 : f32
  }
  scf.for %i = %lb to %ub step %step { memref.store %x, %m[%i] : memref<?xf32> }
  %2 = scf.if %c -> (f32) { scf.yield %0 : f32 } else { scf.yield %x : f32 }
  scf.if %c { memref.store %x, %m[%lb] : memref<?xf32> }
  scf.if %c { memref.store %x, %m[%lb] : memref<?xf32> } else { memref.store %2, %m[%lb] : memref<?xf32> }
  %3:2 = scf.while (%a = %x, %b = %lb) : (f32, index) -> (f32, index) {
    %4 = arith.cmpi ult, %b, %ub : index
    scf.condition(%4) %a, %b : f32, index
  } do {
  ^bb0(%a: f32, %b: index):
    %5 = arith.addi %b, %step : index
    scf.yield %a, %5 : f32, index
  }
  scf.parallel (%i, %j) = (%lb, %lb) to (%ub, %ub) step (%step, %step) { scf.reduce }
  %6 = scf.parallel (%i) = (%lb) to (%ub) step (%step) init (%x) -> f32 {
    scf.reduce(%x : f32) {
    ^bb0(%l: f32, %r: f32):
      %7 = arith.addf %l, %r : f32
      scf.reduce.return %7 : f32
    }
  }
  %8 = scf.execute_region -> f32 {
    cf.br ^bb1
  ^bb1:
    scf.yield %6 : f32
  }
  %9 = scf.index_switch %lb -> f32
  case 2 { scf.yield %x : f32 }
  case 5 { scf.yield %8 : f32 }
  default { scf.yield %8 : f32 }
  scf.forall (%i, %j) in (%ub, 4) { }
  return %9 : f32
}
func.func @forall(%t: tensor<8xf32>, %o: tensor<8xf32>) -> tensor<8xf32> {
  %0 = scf.forall (%i) in (8) shared_outs(%s = %o) -> (tensor<8xf32>) {
    %1 = tensor.extract_slice %t[%i] [1] [1] : tensor<8xf32> to tensor<1xf32>
    scf.forall.in_parallel { tensor.parallel_insert_slice %1 into %s[%i] [1] [1] : tensor<1xf32> into tensor<8xf32> }
  } {mapping = [#gpu.thread<x>]}
  return %0 : tensor<8xf32>
}
func.func @affine(%n: index, %m: memref<?x?xf32>, %x: f32) -> f32 {
  affine.for %i = 0 to %n {
    affine.for %j = #map(%i)[%n] to min affine_map<(d0)[s0] -> (d0, s0 * 2)>(%i)[%n] step 2 {
      %0 = affine.load %m[%i + 1, %j * 2] : memref<?x?xf32>
      affine.if #set(%i) { affine.store %0, %m[%i, %j] : memref<?x?xf32> } else { affine.store %x, %m[%i, symbol(%n)] : memref<?x?xf32> }
    }
  }
  %1 = affine.apply affine_map<(d0) -> (d0 floordiv 4)>(%n)
  %2 = affine.min affine_map<(d0) -> (d0, 10)>(%n)
  %3 = affine.for %i = 0 to 10 iter_args(%s = %x) -> (f32) { affine.yield %s : f32 }
  affine.parallel (%i, %j) = (0, 0) to (10, %n) step (1, 2) { }
  %v = affine.vector_load %m[%n, %n] : memref<?x?xf32>, vector<4xf32>
  return %3 : f32
}
