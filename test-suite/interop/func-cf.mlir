// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.1 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %s > %t.3
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %t.3 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo > %t.4
// RUN: cmp %t.3 %t.4

// func, cf, arith, math, index, complex, ub: pretty form in, generic form compared.
func.func @arith(%a: i32, %b: i32, %x: f32, %y: f32, %v: vector<4xf32>, %t: tensor<4xi8>, %i: index, %c: i1) -> (i32, f32) {
  %0 = arith.addi %a, %b : i32
  %1 = arith.addi %0, %b overflow<nsw, nuw> : i32
  %2 = arith.subi %1, %b : i32
  %3 = arith.muli %2, %b overflow<nsw> : i32
  %4 = arith.divsi %3, %b : i32
  %5 = arith.divui %4, %b exact : i32
  %6 = arith.remsi %5, %b : i32
  %7 = arith.andi %6, %b : i32
  %8 = arith.ori %7, %b : i32
  %9 = arith.xori %8, %b : i32
  %10 = arith.shli %9, %b : i32
  %11 = arith.shrsi %10, %b : i32
  %12 = arith.maxsi %11, %b : i32
  %13 = arith.addf %x, %y fastmath<fast> : f32
  %14 = arith.mulf %13, %y : f32
  %15 = arith.negf %14 : f32
  %16 = arith.cmpi slt, %12, %b : i32
  %17 = arith.cmpf olt, %15, %y fastmath<nnan, ninf> : f32
  %18 = arith.select %16, %12, %b : i32
  %19 = arith.extsi %18 : i32 to i64
  %20 = arith.trunci %19 : i64 to i16
  %21 = arith.sitofp %20 : i16 to f32
  %22 = arith.fptosi %21 : f32 to i8
  %23 = arith.index_cast %18 : i32 to index
  %24 = arith.bitcast %x : f32 to i32
  %25 = arith.constant dense<1.0> : vector<4xf32>
  %26 = arith.addf %v, %25 : vector<4xf32>
  %27 = arith.extf %x : f32 to f64
  %28 = arith.truncf %27 : f64 to bf16
  %sum, %carry = arith.addui_extended %a, %b : i32, i1
  %lo, %hi = arith.mulsi_extended %a, %b : i32
  %29 = arith.ceildivsi %a, %b : i32
  %30 = arith.minimumf %x, %y : f32
  %31 = arith.constant true
  %32 = arith.constant -1.5 : bf16
  %33 = arith.constant 3 : index
  %34 = arith.select %c, %v, %25 : vector<4xf32>
  return %18, %15 : i32, f32
}
func.func @math(%x: f32, %y: f32, %z: f32, %i: i32) -> f32 {
  %0 = math.exp %x : f32
  %1 = math.tanh %0 fastmath<afn> : f32
  %2 = math.fma %x, %y, %z : f32
  %3 = math.powf %1, %2 : f32
  %4 = math.absi %i : i32
  %5 = math.ctlz %4 : i32
  %6 = math.fpowi %x, %i : f32, i32
  %7 = math.erf %3 : f32
  %8 = math.isnan %7 : f32
  %s, %c = math.sincos %x : f32
  return %7 : f32
}
func.func @control(%c: i1, %a: i32, %b: i32) -> i32 {
  cf.cond_br %c weights([90, 10]), ^bb1(%a : i32), ^bb2
^bb1(%x: i32):
  cf.br ^bb3(%x, %a : i32, i32)
^bb2:
  cf.switch %b : i32, [default: ^bb4, 42: ^bb1(%a : i32), 43: ^bb3(%a, %b : i32, i32)]
^bb3(%y: i32, %z: i32):
  cf.assert %c, "it must hold"
  return %y : i32
^bb4:
  %f = func.constant @control : (i1, i32, i32) -> i32
  %r = call_indirect %f(%c, %a, %b) : (i1, i32, i32) -> i32
  %s = call @control(%c, %r, %b) : (i1, i32, i32) -> i32
  return %s : i32
}
func.func @others(%i: index, %z: complex<f32>, %x: f32) -> index {
  %0 = index.add %i, %i
  %1 = index.constant 5
  %2 = index.cmp ult(%0, %1)
  %3 = complex.add %z, %z : complex<f32>
  %4 = complex.constant [1.0 : f32, 2.0 : f32] : complex<f32>
  %5 = complex.create %x, %x : complex<f32>
  %6 = ub.poison : i32
  %7 = builtin.unrealized_conversion_cast %i : index to i64
  %8:2 = builtin.unrealized_conversion_cast %7, %x : i64, f32 to f32, i64
  return %0 : index
}
