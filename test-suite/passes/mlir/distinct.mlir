// What upstream numbers anew keeps its number, and what it makes gets one that nothing else of the module has: neither in the part
// that it is given nor in what stays, nor in a location.
//
// REQUIRES: mlir
// RUN: nim-opt %s --mlir-print-op-generic --mlir-print-debuginfo --pass-pipeline='mlir(canonicalize,ensure-debug-info-scope-on-llvm-func)' | FileCheck %s

// CHECK-DAG: distinct[5]<"mine">
// CHECK-DAG: distinct[9]<"kept">
// CHECK-DAG: #llvm.di_compile_unit<id = distinct[10]<>
// CHECK-DAG: id = distinct[11]<>
// CHECK-NOT: nim.distinct
"llvm.func"() <{CConv = #llvm.cconv<ccc>, function_type = !llvm.func<void ()>, linkage = #llvm.linkage<external>, sym_name = "f", visibility_ = 0 : i64}> ({
  "llvm.return"() {note = distinct[5]<"mine">} : () -> ()
}) : () -> () loc("a.c":1:1)
func.func @kept(%x: tensor<4xf32>) -> tensor<4xf32> attributes {note = distinct[9]<"kept">} {
  %y = graph.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
