//! What goes wrong is said with MLIR's, LLVM's or the linker's own words, and never ends the process.

mod common;

use common::{compile, v3};
use nim_llvm::link::{ImageTarget, ObjectFile, link};
use nim_llvm::{CompileError, Compiler, KernelSource, LlvmContext, Machine, Options, Target, compile_kernels};
use nim_mlir::{MlirContext, Stage};

fn message(symbol: &str, text: &str) -> String {
    compile(symbol, text, &v3()).expect_err("must fail").to_string()
}

#[test]
fn syntax_error_has_line_and_column() {
    let text = "func.func @k(%n: index) {\n  %x = arith.addi %n, %missing : index\n  return\n}";
    let message = message("k", text);
    assert!(message.contains("kernel `k`: MLIR cannot read this text"), "{message}");
    assert!(message.contains("2:23: error: use of undeclared SSA value name"), "{message}");
}

#[test]
fn verifier_error_is_reported_with_its_position() {
    let text = "func.func @k(%n: index) -> f32 {\n  return %n : index\n}";
    let message = message("k", text);
    assert!(message.contains("2:3: error: type of return operand 0 ('index') doesn't match"), "{message}");
}

#[test]
fn operation_without_a_lowering_is_named() {
    let text = "func.func @k(%t: tensor<4xf32>) {\n  %x = tensor.cast %t : tensor<4xf32> to tensor<?xf32>\n  return\n}";
    let message = message("k", text);
    assert!(message.contains("tensor"), "{message}");
}

#[test]
fn pass_pipelines_are_checked() {
    let context = MlirContext::new();
    let mut module = context.parse("module {}").expect("module");
    for (pipeline, part) in [("no-such-pass", "no-such-pass"), ("cse{", "cse"), ("cse\0", "NUL")] {
        let error = module.run_pipeline(pipeline).expect_err("must fail");
        assert_eq!(error.stage, Stage::Pipeline(pipeline.to_owned()));
        assert!(error.to_string().contains(part), "{error}");
    }
    module.run_pipeline("canonicalize,func.func(cse)").expect("good pipeline");
    assert!(context.parse("module {\0}").is_err());
}

#[test]
fn unknown_functions_are_named_at_compile_time() {
    let text =
        "func.func private @launch_missiles()\nfunc.func @k() {\n  call @launch_missiles() : () -> ()\n  return\n}";
    let error = compile("k", text, &v3()).expect_err("must fail");
    let symbol = "launch_missiles".to_owned();
    assert_eq!(error, CompileError::UndefinedSymbol { symbol, kernel: "k".to_owned() });
}

#[test]
fn symbols_must_be_defined_once() {
    let text = "func.func @k() {\n  return\n}";
    let error = compile("other", text, &v3()).expect_err("must fail");
    let defined = vec!["k".to_owned()];
    assert_eq!(error, CompileError::MissingSymbol { kernel: "other".to_owned(), defined });
    let twice = [KernelSource { symbol: "k", text }; 2];
    let error = compile_kernels(&twice, &v3(), &Options::default()).expect_err("must fail");
    assert_eq!(error, CompileError::DuplicateSymbol("k".to_owned()));
}

#[test]
fn all_failing_kernels_are_reported() {
    let good = KernelSource { symbol: "good", text: "func.func @good() {\n  return\n}" };
    let a = KernelSource { symbol: "a", text: "func.func @a( {" };
    let b = KernelSource { symbol: "b", text: "func.func @b() {\n  nonsense\n}" };
    let compiler = Compiler::new(&v3(), &Options::default()).threads(2);
    let Err(CompileError::Many(errors)) = compiler.compile(&[a, good, b]) else { panic!("must fail twice") };
    let names: Vec<String> = errors.iter().map(|e| e.to_string().chars().skip(8).take(1).collect()).collect();
    assert_eq!(names, ["a", "b"]);
    // And the compiler is as good as new.
    compiler.compile(&[good]).expect("image");
}

#[test]
fn wrong_llvm_passes_are_an_error() {
    let options = Options { passes: Some("default<O3>,no-such-pass".to_owned()), ..Options::default() };
    let source = KernelSource { symbol: "k", text: "func.func @k() {\n  return\n}" };
    let error = compile_kernels(&[source], &v3(), &options).expect_err("must fail").to_string();
    assert!(error.contains("no-such-pass"), "{error}");
}

#[test]
fn what_llvm_reports_through_its_context_is_an_error() {
    let context = LlvmContext::new();
    assert!(context.parse_ir("define void @k( {", "k").is_err());
    let text = "define void @k() {\n  call void asm \"no_such_instruction\", \"\"()\n  ret void\n}";
    let module = context.parse_ir(text, "k").expect("module");
    let machine = Machine::new(&v3(), Options::default().level).expect("machine");
    module.optimise(&machine, &Options::default()).expect("optimise");
    let error = module.emit_object(&machine).expect_err("must fail").to_string();
    assert!(error.contains("no_such_instruction"), "{error}");
}

#[test]
fn malformed_objects_are_refused() {
    let source = KernelSource { symbol: "k", text: include_str!("kernels/libm.mlir") };
    let source = KernelSource { symbol: "libm", ..source };
    let objects = Compiler::new(&v3(), &Options::default()).compile_objects(&[source]).expect("object");
    let target = ImageTarget::default();
    link(&objects, &target).expect("image");
    // Damage of any byte gives an error or an image, but no panic.
    let good = &objects[0].bytes;
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0xff;
        let _ = link(&[ObjectFile { kernel: "libm".to_owned(), bytes }], &target);
    }
    assert!(link(&[ObjectFile { kernel: "libm".to_owned(), bytes: Vec::new() }], &target).is_err());
}

#[test]
fn targets_are_checked() {
    assert!(Target::parse("pentium").expect_err("must fail").to_string().contains("x86-64-v3"));
}

/// LLVM ends the process where it cannot select an instruction, so a process of its own is needed to see it.
#[test]
#[cfg(target_arch = "x86_64")]
fn llvm_giving_up_names_the_kernel() {
    const HERE: &str = "NIM_TEST_LLVM_GIVES_UP";
    if std::env::var_os(HERE).is_some() {
        let text = r#"func.func @dot_of_bytes(%p: !llvm.ptr) {
  %a = llvm.load %p : !llvm.ptr -> vector<16xi32>
  %b = llvm.load %p : !llvm.ptr -> vector<64xi8>
  %r = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%a, %b, %b) : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
  llvm.store %r, %p : vector<16xi32>, !llvm.ptr
  return
}"#;
        let _ = compile("dot_of_bytes", text, &Target::parse("x86-64").expect("target"));
        return;
    }
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    let arguments = ["llvm_giving_up_names_the_kernel", "--exact", "--nocapture"];
    let out = command.args(arguments).env(HERE, "1").output().expect("runs");
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("error: LLVM gives up on kernel `dot_of_bytes`: "), "{said}");
}
