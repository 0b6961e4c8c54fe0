llvm.mlir.global internal constant @str("text\00") {addr_space = 0 : i32}
llvm.mlir.global external @arr() : !llvm.array<4 x i32> {
  %0 = llvm.mlir.undef : !llvm.array<4 x i32>
  llvm.return %0 : !llvm.array<4 x i32>
}
llvm.func @printf(!llvm.ptr, ...) -> i32
llvm.func internal fastcc @f(%a: i32 {llvm.signext}, %p: !llvm.ptr {llvm.noalias, llvm.nonnull}) -> (i32 {llvm.zeroext}) attributes {passthrough = ["nounwind", ["align", "16"]], memory_effects = #llvm.memory_effects<other = read, argMem = none, inaccessibleMem = none, errnoMem = none, targetMem0 = none, targetMem1 = none>} {
  %c = llvm.mlir.constant(4 : i32) : i32
  %s = llvm.alloca %c x !llvm.struct<"named", (i32, array<2 x f32>, ptr)> {alignment = 16 : i64} : (i32) -> !llvm.ptr
  %g = llvm.getelementptr inbounds %s[%a, 1, 0] : (!llvm.ptr, i32) -> !llvm.ptr, !llvm.struct<"named", (i32, array<2 x f32>, ptr)>
  %v = llvm.load volatile %p atomic syncscope("agent") acquire {alignment = 4 : i64} : !llvm.ptr -> i32
  llvm.store %v, %p {alignment = 4 : i64} : i32, !llvm.ptr
  %m = llvm.intr.smax(%v, %a) : (i32, i32) -> i32
  %o = llvm.add %v, %m overflow<nsw, nuw> : i32
  %adr = llvm.mlir.addressof @str : !llvm.ptr
  %n = llvm.call @printf(%adr, %o) vararg(!llvm.func<i32 (ptr, ...)>) : (!llvm.ptr, i32) -> i32
  %st = llvm.mlir.poison : !llvm.struct<(i32, f32)>
  %in = llvm.insertvalue %o, %st[0] : !llvm.struct<(i32, f32)>
  %ex = llvm.extractvalue %in[0] : !llvm.struct<(i32, f32)>
  llvm.switch %ex : i32, ^bb1(%o : i32) [
    0: ^bb2,
    7: ^bb1(%n : i32)
  ]
^bb1(%x: i32):
  %q = llvm.icmp "slt" %x, %o : i32
  llvm.cond_br %q weights([1, 99]), ^bb2, ^bb1(%v : i32)
^bb2:
  %asm = llvm.inline_asm has_side_effects asm_dialect = intel "mov $0, $1", "=r,r" %v : (i32) -> i32
  %cm = llvm.cmpxchg %p, %v, %o acq_rel monotonic : !llvm.ptr, i32
  %rm = llvm.atomicrmw add %p, %v seq_cst : !llvm.ptr, i32
  %vec = llvm.mlir.constant(dense<[1.0, 2.0]> : vector<2xf32>) : vector<2xf32>
  %f = llvm.mlir.zero : f32
  %ie = llvm.insertelement %f, %vec[%v : i32] : vector<2xf32>
  llvm.return %asm : i32
}
llvm.comdat @any { llvm.comdat_selector @any_comdat any }
module { llvm.func @nested() }
