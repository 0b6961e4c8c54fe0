//! Objects with everything LLVM can put into them are linked, stored, loaded and run.

#![allow(unsafe_code)]

use nim_llvm::link::{ImageTarget, ObjectFile, link};
use nim_llvm::{CompileError, LlvmContext, Machine, OptLevel, Options, Target};
use nim_vm::code_image::{CodeImage, LoadedCode};

fn object(kernel: &str, text: &str, level: OptLevel) -> ObjectFile {
    let target = Target::parse("x86-64").expect("target");
    let context = LlvmContext::new();
    let machine = Machine::new(&target, level).expect("machine");
    let module = context.parse_ir(text, kernel).expect("IR");
    module.optimise(&machine, &Options { level, ..Options::default() }).expect("optimise");
    ObjectFile { kernel: kernel.to_owned(), bytes: module.emit_object(&machine).expect("object") }
}

fn image_target() -> ImageTarget {
    ImageTarget { arch: "x86_64".to_owned(), name: "x86-64".to_owned(), features: vec!["sse2".to_owned()] }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn tables_globals_and_calls_between_objects() {
    for level in [OptLevel::None, OptLevel::Aggressive] {
        let tables = object("tables", include_str!("kernels/tables.ll"), level);
        let square = object("square", include_str!("kernels/square.ll"), level);
        let image = link(&[tables, square], &image_target()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(image.info.imports, ["cosf", "expf", "logf", "sinf", "tanf"]);
        assert!(image.info.layout.data > 0 && image.info.relative.len() >= 2, "{:?}", image.info);
        let stored = image.to_bytes();
        let code = LoadedCode::load(&CodeImage::from_bytes(&stored).expect("image")).expect("load");
        let tables = code.symbol("tables").expect("symbol");
        // SAFETY: the signature in the IR text.
        let tables: extern "C" fn(u64, u64) -> u64 = unsafe { std::mem::transmute(tables) };
        assert_eq!(tables(0, 5), 26 + 1000);
        assert_eq!(tables(1, 5), 50 + 1000 + 1);
        assert_eq!(tables(1, 3), 18 + 1000 + 2);
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn jump_tables() {
    for level in [OptLevel::None, OptLevel::Aggressive] {
        let choose = object("choose", include_str!("kernels/tables.ll"), level);
        let square = object("square", include_str!("kernels/square.ll"), level);
        let image = link(&[choose, square], &image_target()).unwrap_or_else(|e| panic!("{e}"));
        assert!(image.info.layout.rodata > 0, "the jump table is gone: {:?}", image.info);
        let code = LoadedCode::load(&image).expect("load");
        let choose = code.symbol("choose").expect("symbol");
        // SAFETY: the signature in the IR text.
        let choose: extern "C" fn(u64, f32) -> f32 = unsafe { std::mem::transmute(choose) };
        let x = 0.75_f32;
        for (which, expected) in [x.exp(), x.ln(), x.sin(), x.cos(), x.tan(), 0.0].into_iter().enumerate() {
            assert!((choose(which as u64, x) - expected).abs() <= 1e-6, "case {which}");
        }
    }
}

#[test]
fn missing_objects_are_named() {
    let tables = object("tables", include_str!("kernels/tables.ll"), OptLevel::None);
    let error = link(&[tables], &image_target()).expect_err("must fail");
    let (symbol, kernel) = ("square".to_owned(), "tables".to_owned());
    assert_eq!(error, CompileError::UndefinedSymbol { symbol, kernel });
}
