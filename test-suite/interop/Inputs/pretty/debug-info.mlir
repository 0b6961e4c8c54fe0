// Numbers of `distinct` that several ops share, some of which upstream reads.
#file = #llvm.di_file<"a.c" in "/tmp">
#cu = #llvm.di_compile_unit<id = distinct[7]<>, sourceLanguage = DW_LANG_C, file = #file, isOptimized = false, emissionKind = Full>
#cu2 = #llvm.di_compile_unit<id = distinct[9]<>, sourceLanguage = DW_LANG_C, file = #file, isOptimized = false, emissionKind = Full>
#sp = #llvm.di_subprogram<id = distinct[3]<>, compileUnit = #cu, scope = #file, name = "f", file = #file, line = 1, subprogramFlags = Definition>
#sp2 = #llvm.di_subprogram<id = distinct[5]<>, compileUnit = #cu2, scope = #file, name = "g", file = #file, line = 1, subprogramFlags = Definition>
module attributes {test.a = distinct[3]<>, test.b = distinct[9]<>} {
  llvm.func @f(%a: i32) -> i32 attributes {test.c = distinct[5]<>, test.d = #sp} {
    %0 = llvm.add %a, %a {test.e = #sp} : i32 loc(fused<#sp>["x"])
    llvm.return %0 : i32
  } loc(fused<#sp>["f"])
  func.func private @between(tensor<4xf32, #sp2>) attributes {test.h = distinct[9]<>}
  llvm.func @g(%a: i32) -> i32 {
    %0 = llvm.add %a, %a {test.f = #sp2, test.g = distinct[11]<#cu>} : i32 loc(fused<#sp2>["x"])
    llvm.return %0 : i32
  } loc(fused<#sp2>["f"])
}
