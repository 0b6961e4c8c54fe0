// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %s | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: nim-opt --allow-unregistered-dialect --emit-bytecode %s -o %t.bc
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.bc | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.3
// RUN: cmp %t.1 %t.3
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %s | FileCheck %s

// What a dialect that nobody knows has in its brackets stays as it is; what the aliases in it stand for is not lost.
// CHECK: #map = affine_map<(d0) -> (d0 + 2)>
// CHECK-NEXT: #inner = #other.x<#map>
// CHECK-NEXT: !t = tensor<4xf32>
// CHECK-NOT: #unused
// CHECK: function_type = (!foo.bar<#inner, !t>, memref<4xf32, affine_map<(d0) -> (d0 + 2)>>)
#map = affine_map<(d0) -> (d0 + 2)>
#inner = #other.x<#map>
#unused = 1 : i8
!t = tensor<4xf32>
func.func @f(%a: !foo.bar<#inner, !t>, %m: memref<4xf32, #map>) -> !foo.bar<#inner, !t> {
  // A line that only looks like a definition.
  %0 = "foo.op"(%a) {x = #foo.objs<{
    #target = [1]
  }>, y = #foo.objs<{
    #target = [2]
  }>} : (!foo.bar<#inner, !t>) -> !foo.bar<#inner, !t>
  return %0 : !foo.bar<#inner, !t>
}
