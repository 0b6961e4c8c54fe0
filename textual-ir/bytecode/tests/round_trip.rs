//! What is written is read back as the same module; what is damaged is refused, never believed.

use nim_bytecode::{ReadOptions, read_module, write_module};
use nim_ir::{Context, DialectDef, Module};
use nim_tensor::Blob;
use nim_text::{ParseOptions, PrintOptions, parse_module, print_module};
use std::path::{Path, PathBuf};

fn dialects() -> Vec<&'static DialectDef> {
    let mut all = nim_builtin::DIALECTS.to_vec();
    all.push(&nim_graph::GRAPH);
    all
}

fn parse(ctx: &Context, name: &str, text: &str) -> Option<Module> {
    let source = ctx.add_source(name, text);
    let (module, found) = parse_module(ctx, source, &ParseOptions { allow_unregistered: true, blob_dir: None });
    (!found.iter().any(nim_ir::Diagnostic::is_error)).then_some(module)
}

fn read(ctx: &Context, bytes: Vec<u8>) -> Result<Module, nim_ir::Diagnostic> {
    let options = ReadOptions { allow_unregistered: true, max_depth: nim_text::max_depth() };
    read_module(ctx, "module.nbc", &Blob::new(bytes), &options)
}

fn all(generic: bool) -> PrintOptions {
    PrintOptions { generic, debug_info: true, ..PrintOptions::default() }
}

/// Texts of the suite below a folder.
fn texts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            texts(&path, found);
        } else if path.extension().is_some_and(|e| e == "nir" || e == "mlir") {
            found.push(path);
        }
    }
}

#[test]
fn every_text_of_the_suite_comes_back() {
    let mut files = vec![];
    texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test-suite"), &mut files);
    let mut count = 0;
    nim_text::on_deep_stack(|| {
        for path in &files {
            let Ok(text) = std::fs::read_to_string(path) else { continue };
            for part in text.split("// -----") {
                let ctx = Context::new(&dialects());
                let Some(module) = parse(&ctx, "text.nir", part) else { continue };
                let bytes = write_module(&ctx, &module);
                let other = Context::new(&dialects());
                let again = read(&other, bytes.clone());
                let again = again.unwrap_or_else(|found| panic!("{}: {}", path.display(), found.message));
                for generic in [false, true] {
                    let (left, right) =
                        (print_module(&ctx, &module, &all(generic)), print_module(&other, &again, &all(generic)));
                    assert_eq!(left, right, "{}", path.display());
                }
                assert_eq!(write_module(&other, &again), bytes, "{}: other bytes the second time", path.display());
                count += 1;
            }
        }
    });
    assert!(count > 60, "only {count} modules were found");
}

const SAMPLE: &str = r#"
#map = affine_map<(d0) -> (d0)>
module @m attributes {t.note = "x", t.list = [1 : i8, -2 : i64, 0x7FC00000 : f32, true, unit, @a::@b]} {
  func.func private @declared(tensor<[N]x4xf32>) -> !t.box<"a>b">
  func.func @f(%x: tensor<[2*N+1]xf32>, %c: i1) -> tensor<[2*N+1]xf32> {
    %0 = "t.forward"(%later) ({
    ^bb0(%inner: i32):
      %q = arith.constant dense<[1, 2, 3]> : tensor<3xi32>
      "t.end"(%inner)[^bb1] : (i32) -> ()
    ^bb1:
      "t.end"() {m = #map} : () -> ()
    }, {
    }) : (index) -> i32
    %later = arith.constant 5 : index
    %big = arith.constant dense_resource<weights> : tensor<4xf32>
    cf.cond_br %c, ^a(%x : tensor<[2*N+1]xf32>), ^b loc("n"(callsite("f":1:2 at fused<"why">["g":3:4 to :9])))
  ^a(%y: tensor<[2*N+1]xf32>):
    return %y : tensor<[2*N+1]xf32>
  ^b:
    return %x : tensor<[2*N+1]xf32>
  }
}
{-# dialect_resources: { builtin: { weights: "0x400000000000803F000000400000404000008040" } },
    external_resources: { other: { key: "value" } } #-}
"#;

#[test]
fn all_kinds_of_things_come_back() {
    let ctx = Context::new(&dialects());
    // A module may use values before they are defined where ops are not known.
    let text = SAMPLE.replace("%later)", "%c)").replace("(index) -> i32", "(i1) -> i32");
    let module = parse(&ctx, "sample.nir", &text).expect("the sample is fine");
    let other = Context::new(&dialects());
    let again = read(&other, write_module(&ctx, &module)).expect("it was just written");
    for generic in [false, true] {
        assert_eq!(print_module(&ctx, &module, &all(generic)), print_module(&other, &again, &all(generic)));
    }
}

#[test]
fn other_files_are_told_from_damaged_ones() {
    let ctx = Context::new(&dialects());
    let module = parse(&ctx, "m.nir", "\"t.op\"() : () -> ()").expect("a module");
    let bytes = write_module(&ctx, &module);
    let code = |bytes: Vec<u8>| read(&Context::new(&dialects()), bytes).expect_err("it is refused").code;
    assert_eq!(code(b"func.func @f() { return }".to_vec()), "N0140");
    assert_eq!(code(bytes[..bytes.len() / 2].to_vec()), "N0140");
    let mut newer = bytes.clone();
    newer[8] = 200;
    assert_eq!(code(newer), "N0141");
    let found = read_module(&ctx, "m.nbc", &Blob::new(bytes), &ReadOptions::default()).expect_err("it is refused");
    assert_eq!((found.code, found.message.contains("`t.op`")), ("N0142", true));
}

/// A small generator of numbers: the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

/// Changed bytes give a module or an error; a module can be verified, printed and written again.
#[test]
fn damage_is_refused_or_harmless() {
    let ctx = Context::new(&dialects());
    let text = SAMPLE.replace("%later)", "%c)").replace("(index) -> i32", "(i1) -> i32");
    let module = parse(&ctx, "sample.nir", &text).expect("the sample is fine");
    let bytes = write_module(&ctx, &module);
    let rounds = std::env::var("NIM_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let (mut random, mut readable) = (Random(7), 0);
    for _ in 0..rounds {
        let mut changed = bytes.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(changed.len());
            match random.below(4) {
                0 => changed[at] = random.below(256) as u8,
                1 => changed[at] ^= 1 << random.below(8),
                2 => changed[at] = changed[at].wrapping_add(1),
                _ => changed.truncate(at.max(8)),
            }
        }
        let other = Context::new(&dialects());
        if let Ok(module) = read(&other, changed) {
            let found = nim_ir::verifier::verify_module(&other, &module);
            if !found.iter().any(nim_ir::Diagnostic::is_error) {
                print_module(&other, &module, &all(true));
                print_module(&other, &module, &all(false));
            }
            write_module(&other, &module);
            readable += 1;
        }
    }
    assert!(readable > rounds / 100, "only {readable} of {rounds} changed files could be read: little was tried");
}
