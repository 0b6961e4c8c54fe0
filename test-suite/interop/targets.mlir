// REQUIRES: mlir-opt
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic %s > %t.1
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic %t.1 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic > %t.2
// RUN: cmp %t.1 %t.2
// RUN: mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %s > %t.3
// RUN: nim-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo %t.3 | mlir-opt --allow-unregistered-dialect --mlir-print-op-generic --mlir-print-debuginfo > %t.4
// RUN: cmp %t.3 %t.4

// gpu, nvgpu, nvvm, rocdl, llvm, amx, x86vector, async, spirv, emitc, omp, acc, tosa, transform, pdl, irdl, dlti, quant.
#f = #llvm.di_file<"a.c" in "/src">
#cu = #llvm.di_compile_unit<id = distinct[0]<>, sourceLanguage = DW_LANG_C, file = #f, isOptimized = true, emissionKind = Full>
#ty = #llvm.di_subroutine_type<types = #llvm.di_null_type, #llvm.di_basic_type<tag = DW_TAG_base_type, name = "int", sizeInBits = 32, encoding = DW_ATE_signed>>
#sp = #llvm.di_subprogram<id = distinct[1]<>, compileUnit = #cu, scope = #f, name = "debug", file = #f, line = 3, subprogramFlags = "Definition", type = #ty>
#l = loc(fused<#sp>["a.c":3:1])
module attributes {gpu.container_module, dlti.dl_spec = #dlti.dl_spec<i32 = dense<32> : vector<2xi64>, index = 64 : i64>} {
  gpu.module @kernels [#nvvm.target<chip = "sm_90", O = 3>] {
    gpu.func @k(%m: memref<?xf32>, %n: index) workgroup(%w: memref<32xf32, 3>) private(%p: memref<1xf32, 5>) kernel attributes {gpu.known_block_size = array<i32: 32, 1, 1>} {
      %t = gpu.thread_id x
      %b = gpu.block_id x upper_bound 1024
      %d = gpu.block_dim x
      %0 = arith.muli %b, %d : index
      %1 = arith.addi %0, %t : index
      %2 = memref.load %m[%1] : memref<?xf32>
      %3 = gpu.all_reduce add %2 uniform {} : (f32) -> (f32)
      %c1 = arith.constant 1 : i32
      %s, %v = gpu.shuffle xor %3, %c1, %c1 : f32
      gpu.barrier
      gpu.printf "%f", %s : f32
      memref.store %s, %w[%t] : memref<32xf32, 3>
      gpu.return
    }
  }
  func.func @launch(%m: memref<?xf32>, %n: index) {
    %c32 = arith.constant 32 : index
    %0 = gpu.wait async
    %1 = gpu.launch_func async [%0] @kernels::@k blocks in (%n, %n, %n) threads in (%c32, %n, %n) args(%m : memref<?xf32>, %n : index)
    gpu.launch blocks(%bx, %by, %bz) in (%gx = %n, %gy = %n, %gz = %n) threads(%tx, %ty, %tz) in (%sx = %n, %sy = %n, %sz = %n) { gpu.terminator }
    %2, %3 = gpu.alloc async [%1] (%n) : memref<?xf32>
    gpu.wait [%3]
    return
  }
}
module @low {
  llvm.mlir.global internal constant @str("hello\00") {addr_space = 0 : i32}
  llvm.mlir.global external @glob() : i32
  llvm.func @printf(!llvm.ptr, ...) -> i32
  llvm.func @f(%a: i32, %p: !llvm.ptr {llvm.noalias, llvm.align = 16 : i64}, %c: i1) -> f32 attributes {passthrough = ["nounwind", ["k", "v"]]} {
    %0 = llvm.mlir.constant(1.0 : f32) : f32
    %1 = llvm.getelementptr inbounds %p[%a, 2] : (!llvm.ptr, i32) -> !llvm.ptr, !llvm.array<4 x f32>
    %2 = llvm.load %1 {alignment = 4 : i64} : !llvm.ptr -> f32
    llvm.store volatile %2, %p : f32, !llvm.ptr
    %3 = llvm.fadd %2, %0 {fastmathFlags = #llvm.fastmath<fast>} : f32
    %4 = llvm.mlir.addressof @str : !llvm.ptr
    %5 = llvm.call @printf(%4, %a) vararg(!llvm.func<i32 (ptr, ...)>) : (!llvm.ptr, i32) -> i32
    %6 = llvm.mlir.undef : !llvm.struct<(i32, f32)>
    %7 = llvm.insertvalue %a, %6[0] : !llvm.struct<(i32, f32)>
    %8 = llvm.extractvalue %7[0] : !llvm.struct<(i32, f32)>
    %9 = llvm.icmp "slt" %8, %5 : i32
    %10 = llvm.intr.fma(%0, %2, %3) : (f32, f32, f32) -> f32
    %11 = llvm.alloca %a x i32 : (i32) -> !llvm.ptr
    llvm.cond_br %9 weights([1, 2]), ^bb1(%3 : f32), ^bb2
  ^bb1(%x: f32):
    llvm.switch %a : i32, ^bb2 [1: ^bb3]
  ^bb2:
    llvm.unreachable
  ^bb3:
    %12 = llvm.inline_asm has_side_effects "nop", "=r,r" %a : (i32) -> i32
    %13 = llvm.atomicrmw add %p, %a monotonic : !llvm.ptr, i32
    llvm.return %x : f32
  }
  llvm.func @nv() {
    %0 = nvvm.read.ptx.sreg.tid.x : i32
    nvvm.barrier0
    %1 = rocdl.workitem.id.x : i32
    llvm.return
  }
}
func.func @x86(%m: memref<?x?xbf16>, %i: index, %a: vector<16xf32>, %b: vector<32xbf16>) {
  %0 = amx.tile_zero : !amx.tile<16x16xf32>
  %1 = amx.tile_load %m[%i, %i] : memref<?x?xbf16> into !amx.tile<16x32xbf16>
  %2 = amx.tile_mulf %1, %1, %0 : !amx.tile<16x32xbf16>, !amx.tile<16x32xbf16>, !amx.tile<16x16xf32>
  %3 = x86vector.avx512.dot %a, %b, %b : vector<32xbf16> -> vector<16xf32>
  return
}
func.func @nvgpu(%a: vector<4x2xf16>, %b: vector<2x2xf16>, %c: vector<2x2xf16>, %m: memref<128x64xf16, 3>, %i: index) {
  %0 = nvgpu.mma.sync(%a, %b, %c) {mmaShape = [16, 8, 16]} : (vector<4x2xf16>, vector<2x2xf16>, vector<2x2xf16>) -> vector<2x2xf16>
  %1 = nvgpu.ldmatrix %m[%i, %i] {numTiles = 4 : i32, transpose = false} : memref<128x64xf16, 3> -> vector<4x2xf16>
  return
}
func.func @tosa(%x: tensor<1x4x4x3xf32>, %y: tensor<1x4x4x3xf32>) -> tensor<1x4x4x3xf32> {
  %0 = tosa.add %x, %y : (tensor<1x4x4x3xf32>, tensor<1x4x4x3xf32>) -> tensor<1x4x4x3xf32>
  %1 = tosa.clamp %0 {max_val = 6.0 : f32, min_val = 0.0 : f32} : (tensor<1x4x4x3xf32>) -> tensor<1x4x4x3xf32>
  %2 = "tosa.const"() {values = dense<1> : tensor<i32>} : () -> tensor<i32>
  return %1 : tensor<1x4x4x3xf32>
}
func.func @async(%x: f32) {
  %t, %v = async.execute -> !async.value<f32> { async.yield %x : f32 }
  async.await %t : !async.token
  omp.parallel { omp.barrier omp.terminator }
  acc.parallel { acc.yield }
  return
}
emitc.func @emit(%a: i32) -> i32 {
  %0 = emitc.add %a, %a : (i32, i32) -> i32
  %1 = emitc.call_opaque "f"(%0) {args = [0 : index, #emitc.opaque<"x">]} : (i32) -> i32
  emitc.return %1 : i32
}
spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], []> {
  spirv.GlobalVariable @v built_in("GlobalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
  spirv.func @main() -> () "None" {
    %0 = spirv.Constant 1.0 : f32
    %1 = spirv.FAdd %0, %0 : f32
    spirv.Return
  }
  spirv.EntryPoint "GLCompute" @main
}
module attributes {transform.with_named_sequence} {
  transform.named_sequence @__transform_main(%root: !transform.any_op {transform.readonly}) {
    %0 = transform.structured.match ops{["linalg.matmul"]} in %root : (!transform.any_op) -> !transform.any_op
    %1, %loops:2 = transform.structured.tile_using_for %0 tile_sizes [4, 0, [8]] : (!transform.any_op) -> (!transform.any_op, !transform.any_op, !transform.any_op)
    transform.yield
  }
}
pdl.pattern @p : benefit(1) {
  %t = type : i32
  %at = attribute = 3 : i32
  %o = operand : %t
  %r = operation "foo.op"(%o : !pdl.value) {"a" = %at} -> (%t : !pdl.type)
  rewrite %r with "rewriter"
}
irdl.dialect @cmath {
  irdl.type @complex {
    %0 = irdl.is f32
    %1 = irdl.is f64
    %2 = irdl.any_of(%0, %1)
    irdl.parameters(elem: %2)
  }
  irdl.operation @norm {
    %0 = irdl.any
    %1 = irdl.parametric @cmath::@complex<%0>
    irdl.operands(in: %1)
    irdl.results(out: %0)
  }
}
func.func @quant(%x: tensor<4xf32>) -> tensor<4x!quant.uniform<i8:f32, 0.5:3>> {
  %0 = quant.qcast %x : tensor<4xf32> to tensor<4x!quant.uniform<i8:f32, 0.5:3>>
  return %0 : tensor<4x!quant.uniform<i8:f32, 0.5:3>>
}
func.func @debug() { return } loc(#l)
