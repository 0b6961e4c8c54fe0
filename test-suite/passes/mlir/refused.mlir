// What upstream does not take is said in its words.
// REQUIRES: mlir
// RUN: not nim-opt %s --pass-pipeline='mlir(canonicalize)' 2>&1 | FileCheck %s

// CHECK: error[N0817]: invalid properties {overflowFlags = "none"} for op arith.addi
// CHECK: upstream does not accept this part of the module
func.func @f(%a: i32, %b: i32) -> i32 {
  %0 = "arith.addi"(%a, %b) <{overflowFlags = "none"}> : (i32, i32) -> i32
  return %0 : i32
}
