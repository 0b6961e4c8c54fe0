//! What fuzzers call: each function takes any bytes and must neither panic nor find two things different that should be equal.
//!
//! `fuzz/` runs them under cargo-fuzz for as long as one likes; `tests/suite/fuzz.rs` runs them a bounded number of times.

use nim_ir::{Context, Diagnostic, Module, verifier::verify_module};
use nim_opt::{
    bisect::{Bisect, Finding},
    oracle::Oracle,
};
use nim_pass::{Pipeline, Registry};
use nim_tensor::Blob;
use nim_text::{ParseOptions, PrintOptions, lexer::Tokens, parse_module, print_module};
use std::fmt::Write;

/// A target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("lexer", lexer),
    ("parser", parser),
    ("round_trip", round_trip),
    ("bytecode", bytecode),
    ("irdl", irdl),
    ("pipeline", pipeline),
    ("passes", passes),
];

fn context() -> Context {
    Context::new(&nim_opt::dialects())
}

fn parse(ctx: &Context, text: &str) -> (Module, bool) {
    let source = ctx.add_source("fuzz.nir", text);
    let options = ParseOptions { allow_unregistered: true, ..ParseOptions::default() };
    let (module, found) = parse_module(ctx, source, &options);
    let good = !found.iter().any(Diagnostic::is_error);
    (module, good)
}

/// Tokens cover the text in order, whatever it is.
pub fn lexer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut end = 0;
    for token in Tokens::new(text) {
        assert!(token.start >= end && token.end > token.start, "tokens overlap");
        end = token.end;
        assert!(text.get(token.range()).is_some(), "a token cuts a character");
    }
}

/// Any text can be read and verified.
pub fn parser(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let ctx = context();
    let (module, good) = parse(&ctx, text);
    if good {
        verify_module(&ctx, &module);
    }
}

/// What is valid is printed, in both forms and as bytes, and comes back.
pub fn round_trip(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let ctx = context();
    let (module, good) = parse(&ctx, text);
    if !good || verify_module(&ctx, &module).iter().any(Diagnostic::is_error) {
        return;
    }
    let print = |ctx: &Context, module: &Module, generic| {
        print_module(ctx, module, &PrintOptions { generic, ..PrintOptions::default() })
    };
    for generic in [false, true] {
        let printed = print(&ctx, &module, generic);
        let other = context();
        let (again, good) = parse(&other, &printed);
        assert!(good, "what was printed cannot be read:\n{printed}");
        assert_eq!(print(&other, &again, generic), printed, "what was printed changes when it is read");
    }
    let other = context();
    let options = nim_bytecode::ReadOptions { allow_unregistered: true, max_depth: nim_text::max_depth() };
    let bytes = Blob::new(nim_bytecode::write_module(&ctx, &module));
    let again = nim_bytecode::read_module(&other, "fuzz.nbc", &bytes, &options);
    let again = again.unwrap_or_else(|found| panic!("bytecode cannot be read: {}", found.message));
    assert_eq!(print(&other, &again, true), print(&ctx, &module, true), "bytecode changes the module");
}

/// Any bytes are refused, or are a module that can be verified and written.
pub fn bytecode(data: &[u8]) {
    let ctx = context();
    let options = nim_bytecode::ReadOptions { allow_unregistered: true, ..Default::default() };
    if let Ok(module) = nim_bytecode::read_module(&ctx, "fuzz.nbc", &Blob::new(data.to_vec()), &options) {
        if !verify_module(&ctx, &module).iter().any(Diagnostic::is_error) {
            print_module(&ctx, &module, &PrintOptions { generic: true, ..PrintOptions::default() });
        }
        nim_bytecode::write_module(&ctx, &module);
    }
}

/// Any text is refused, or is a dialect that modules can be checked against.
pub fn irdl(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let ctx = context();
    if let Ok(definitions) = nim_irdl::Definitions::read(&ctx, "fuzz.irdl", text) {
        let module = "func.func @f(%x: !cmath.complex<f32>, %i: i32) {\n  \"cmath.many\"(%x, %i) {note = 1 : i8, \
                      operand_segment_sizes = array<i32: 1, 1, 0>} : (!cmath.complex<f32>, i32) -> ()\n  return\n}";
        definitions.check(&ctx, &parse(&ctx, module).0);
    }
}

/// All passes.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    nim_opt::register_passes(&mut registry);
    registry
}

/// Any text is refused, or is a pipeline that is printed and read again as the same.
pub fn pipeline(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (ctx, registry) = (context(), registry());
    if let Ok(pipeline) = Pipeline::parse(&ctx, &registry, text) {
        let printed = pipeline.to_string();
        match Pipeline::parse(&ctx, &registry, &printed) {
            Ok(again) => assert_eq!(again.to_string(), printed, "a pipeline changes when it is read"),
            Err(_) => panic!("a pipeline that was printed cannot be read: {printed}"),
        }
    }
}

/// Pipelines that must not change what a program computes; all passes are in them.
pub const SAME: &[&str] = &[
    "canonicalize,cse,dce",
    "inline,strip-debuginfo",
    "graph-infer-shapes,graph-lift-lambdas,dce",
    "graph-fold,graph-simplify,cse",
    "graph-to-dataflow,dataflow-fuse,dataflow-simplify-numbers,canonicalize,cse",
    "graph-to-dataflow,dataflow-pack-signs,dataflow-split-residues,dataflow-choose-layouts,dataflow-fuse,dataflow-report",
    "graph-simplify,graph-to-dataflow,dataflow-outline,loops-explore-dataflow,dataflow-to-loops,canonicalize",
    "graph-to-dataflow,dataflow-fuse,dataflow-fuse-blocks,dataflow-outline,dataflow-to-loops",
    "graph-to-dataflow,dataflow-fuse,dataflow-outline,graph-to-dyn,dyn-place-devices,dyn-alternate-walks,dyn-plan-memory,dyn-insert-kills",
];

/// Bytes as choices: what a program is made of.
struct Choices<'a> {
    data: std::iter::Copied<std::slice::Iter<'a, u8>>,
}

impl Choices<'_> {
    fn below(&mut self, n: usize) -> usize {
        usize::from(self.data.next().unwrap_or(0)) % n.max(1)
    }
}

/// A valid program of whole tensors: every choice of bytes gives one.
pub fn program(data: &[u8]) -> String {
    const T: &str = "tensor<[N]x4xf32>";
    let mut choices = Choices { data: data.iter().copied() };
    let mut text = format!(
        "func.func private @callee(%v: {T}) -> {T} {{\n  %w = graph.neg %v : ({T}) -> {T}\n  return %w : {T}\n}}\n\
         func.func @main(%x: {T}, %y: {T}) -> ({T}, {T}) {{\n"
    );
    let mut values = vec!["x".to_string(), "y".to_string()];
    for i in 0..data.len().min(24) {
        let a = values[choices.below(values.len())].clone();
        let b = values[choices.below(values.len())].clone();
        let name = format!("v{i}");
        let unary = ["neg", "abs", "relu", "tanh", "identity", "sigmoid", "floor"];
        let binary = ["add", "sub", "mul", "max", "min"];
        let number = ["0.0", "1.0", "-2.5", "0.125"][choices.below(4)];
        let _ = match choices.below(8) {
            0 | 1 => writeln!(text, "  %{name} = graph.{} %{a} : ({T}) -> {T}", unary[choices.below(unary.len())]),
            2 | 3 => {
                writeln!(
                    text,
                    "  %{name} = graph.{} %{a}, %{b} : ({T}, {T}) -> {T}",
                    binary[choices.below(binary.len())]
                )
            }
            4 => writeln!(
                text,
                "  %c{i} = graph.constant {{value = dense<{number}> : tensor<f32>}} : () -> tensor<f32>\n  \
                 %{name} = graph.{} %{a}, %c{i} : ({T}, tensor<f32>) -> {T}",
                binary[choices.below(3)]
            ),
            5 => writeln!(
                text,
                "  %t{i} = graph.transpose %{a} {{perm = array<i64: 1, 0>}} : ({T}) -> tensor<4x[N]xf32>\n  \
                 %{name} = graph.transpose %t{i} {{perm = array<i64: 1, 0>}} : (tensor<4x[N]xf32>) -> {T}"
            ),
            6 => writeln!(
                text,
                "  %r{i} = graph.reduce %{a} {{axes = array<i64: 1>, keepdims = true, kind = \"sum\"}} : ({T}) -> \
                 tensor<[N]x1xf32>\n  %{name} = graph.mul %{b}, %r{i} : ({T}, tensor<[N]x1xf32>) -> {T}"
            ),
            _ => writeln!(text, "  %{name} = func.call @callee(%{a}) : ({T}) -> {T}"),
        };
        values.push(name);
    }
    let (first, last) = (&values[choices.below(values.len())], &values[values.len() - 1]);
    let _ = writeln!(text, "  return %{first}, %{last} : {T}, {T}\n}}");
    text
}

/// No pass changes what a program computes, as the interpreter sees it.
pub fn passes(data: &[u8]) {
    let (text, registry) = (program(data), registry());
    let oracle = Oracle { function: "main".into(), inputs: vec![], tolerance: 1e-3 };
    let load = |ctx: &Context| -> Result<Module, String> {
        let (module, good) = parse(ctx, &text);
        let valid = good && !verify_module(ctx, &module).iter().any(Diagnostic::is_error);
        if valid { Ok(module) } else { Err(format!("the program is not valid:\n{text}")) }
    };
    for pipeline in SAME {
        let bisect = Bisect { registry: &registry, context: &context, load: &load, pipeline, oracle: &oracle };
        match bisect.run() {
            Ok(Finding::Nothing) => {}
            Ok(finding) => panic!("{pipeline}: {}\n{text}", nim_opt::bisect::tell(&finding).0),
            Err(why) => panic!("{pipeline}: {why}\n{text}"),
        }
    }
}

/// The bytecode of a text, if it is a module: what the bytecode target begins with.
pub fn as_bytecode(text: &[u8]) -> Option<Vec<u8>> {
    let ctx = context();
    let (module, good) = parse(&ctx, std::str::from_utf8(text).ok()?);
    good.then(|| nim_bytecode::write_module(&ctx, &module))
}
