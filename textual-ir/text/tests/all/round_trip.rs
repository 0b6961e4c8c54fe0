//! Text to IR and back: what is printed reads back and prints as the same text, in pretty and generic form.

use crate::common::*;

/// Checks that texts are printed as they stand.
fn stays(text: &str) {
    let ctx = context();
    let printed = pretty(&ctx, &parse(&ctx, text));
    assert_eq!(printed, text);
}

/// Checks that a text, printed in either form and read again, prints the same in either form.
fn round_trips(text: &str) {
    let ctx = context();
    let module = parse(&ctx, text);
    let (plain, raw) = (pretty(&ctx, &module), generic(&ctx, &module));
    for again in [&plain, &raw] {
        let module = parse(&ctx, again);
        assert_eq!(pretty(&ctx, &module), plain, "read from:\n{again}");
        assert_eq!(generic(&ctx, &module), raw, "read from:\n{again}");
    }
}

#[test]
fn default_form() {
    stays(
        "toy.func ({
^bb0(%x: tensor<[N]x4xf32>):
  %y = toy.add %x, %x : (tensor<[N]x4xf32>, tensor<[N]x4xf32>) -> tensor<[N]x4xf32>
  toy.yield %y : (tensor<[N]x4xf32>) -> ()
}) {sym_name = \"main\"}
",
    );
}

#[test]
fn formats() {
    let text = "\
%a = \"toy.source\"() : () -> f32
%i = \"toy.source\"() : () -> index
%t = toy.scale %a by 2*N + 1 {note = \"x\"} : f32
%u = toy.scale %a : f32
%m = toy.mix %a, %a step %i into %t, %u : f32, f32, f32, f32 -> tensor<4xf32>
%n = toy.mix %a into %t : f32, f32 -> tensor<4xf32>
%d = toy.size %m[2] shape [N, 2*N] mode fast
toy.if %d {
  toy.yield
} else {
  toy.yield
}
toy.if %d {
  ^bb0(%k: i32):
  toy.yield
}
";
    round_trips(text);
    let ctx = context();
    let printed = pretty(&ctx, &parse(&ctx, text));
    for line in [
        "%t = toy.scale %a by 2*N + 1 {note = \"x\"} : f32",
        "%u = toy.scale %a : f32",
        "%m = toy.mix %a, %a step %i into %t, %u : f32, f32, f32, f32 -> tensor<4xf32>",
        "%n = toy.mix %a into %t : f32, f32 -> tensor<4xf32>",
        "%d = toy.size %m[2] shape [N, 2*N] mode fast",
        "} else {",
    ] {
        assert!(printed.contains(line), "{line}\nnot in\n{printed}");
    }
}

#[test]
fn types() {
    let types = [
        "i1",
        "si8",
        "ui64",
        "i129",
        "index",
        "none",
        "f32",
        "bf16",
        "f8E4M3FN",
        "f80",
        "tf32",
        "complex<f32>",
        "tuple<>",
        "tuple<i32, tuple<f32>>",
        "() -> ()",
        "(i32) -> (f32, f32)",
        "(() -> i1) -> (() -> i1)",
        "tensor<f32>",
        "tensor<0x8xf32>",
        "tensor<?x300xf32>",
        "tensor<[N]x[2*N + 1]x?x300xf32>",
        "tensor<*xf32>",
        "tensor<[max(N, 3)]x[floordiv(N, 2)]xi8>",
        "tensor<4xf32, #foo.enc<{a = 1}>>",
        "tensor<[N]xf32, \"enc\">",
        "tensor<4xcomplex<f64>>",
        "tensor<4x!toy.box<tensor<[N]xf32>>>",
        "memref<4xf32>",
        "memref<[N]x?xf32, 3>",
        "memref<[N]x4xf32>",
        "memref<4x?xf32, strided<[?, 1], offset: ?>, 1 : i32>",
        "memref<*xf32>",
        "memref<*xf32, 2>",
        "memref<4xf32, affine_map<(d0) -> (d0 + 1)>>",
        "memref<4xf32, #gpu.address_space<workgroup>>",
        "vector<4xf32>",
        "vector<4x[8]xi1>",
        "vector<f32>",
        "!toy.box<i32, 3 : i64, \"a\">",
        "!toy.plain",
        "!other.thing<any (text -> [here]) \"a>b\">",
        "!other.plain",
        "!graph.string",
        "tensor<1x0x0xbf16>",
        "tensor<2x!graph.string>",
    ];
    let ctx = context();
    for text in types {
        let ty = nim_text::parse_type(&ctx, text).unwrap_or_else(|e| panic!("{text}: {}", show(&ctx, &e)));
        assert_eq!(nim_text::print_type(&ctx, ty), text);
        round_trips(&format!("%0 = \"x.y\"() {{t = {text}}} : () -> ({text})\n"));
    }
}

#[test]
fn symbolic_dimensions_in_generic_form() {
    let ctx = context();
    let text = "%0 = \"x.y\"() : () -> tensor<[N]x300x?xf32>\n\
                %1 = \"x.y\"() : () -> tensor<[N]xf32, #foo.bar>\n\
                %2 = \"x.y\"() : () -> memref<[2*N]x4xf32, 1>\n";
    let raw = generic(&ctx, &parse(&ctx, text));
    assert!(raw.contains("tensor<?x300x?xf32, #sym.dims<[\"N\", 300, \"?\"]>>"), "{raw}");
    assert!(raw.contains("tensor<?xf32, #sym.dims<[\"N\"], #foo.bar>>"), "{raw}");
    assert!(raw.contains("memref<?x4xf32, {sym.dims = [\"2*N\", 4], sym.space = 1 : i64}>"), "{raw}");
    assert_eq!(pretty(&ctx, &parse(&ctx, &raw)), text);
}

#[test]
fn attributes() {
    let attrs = [
        "unit",
        "true",
        "5 : i64",
        "-3 : i8",
        "7 : index",
        "1.000000e+00 : f32",
        "1.500000e-03 : f64",
        "0x7FC00000 : f32",
        "0xFF800000 : f32",
        "0x7C00 : f16",
        "1.000977e-01 : bf16",
        "\"text \\22quoted\\22 \\\\ \\0A\"",
        "[]",
        "[1, 2 : i32, \"a\", [true], 1.000000e+00]",
        "{}",
        "{a = 1 : i64, b, \"c d\" = {}}",
        "@sym",
        "@a::@\"b c\"",
        "tensor<[N]xf32>",
        "i32",
        "(i32) -> i32",
        "dense<1.000000e+00> : tensor<4xf32>",
        "dense<[1, 2]> : tensor<2xi32>",
        "dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi64>",
        "dense<> : tensor<0xf32>",
        "dense<> : tensor<2x0xi8>",
        "dense<[true, false]> : tensor<2xi1>",
        "dense<true> : tensor<i1>",
        "dense<[-1, 7]> : tensor<2xi4>",
        "dense<[(1.000000e+00, 2.000000e+00), (0.000000e+00, -1.000000e+00)]> : tensor<2xcomplex<f32>>",
        "dense<[\"a\", \"b c\"]> : tensor<2x!graph.string>",
        "dense<18446744073709551615> : tensor<ui64>",
        "dense<[0x7FC00000, -0.000000e+00]> : tensor<2xf32>",
        "dense<0.000000e+00> : vector<4xf32>",
        "dense<[1, 2]> : tensor<2xi3>",
        "array<i64>",
        "array<i64: 1, -2>",
        "array<f32: 1.000000e+00, 0x7FC00000>",
        "array<i1: true, false>",
        "affine_map<(d0, d1)[s0] -> (d0 + s0, d1)>",
        "affine_set<(d0) : (d0 >= 0)>",
        "strided<[1, ?], offset: 3>",
        "#foo.bar",
        "#foo<bar \">\" [1]>",
        "#sym.expr<\"2*N + 1\">",
        "distinct[0]<42 : i32>",
        "sparse<[[0, 1]], [1.0]> : tensor<2x2xf32>",
        "loc(\"a.py\":3:4)",
        "loc(\"node\")",
        "loc(fused<\"m\">[\"a\", unknown])",
        "loc(callsite(\"f\" at \"g\"(\"h\":1:2)))",
        "loc(fused<{sym.pass = \"fold\", sym.pattern = \"p\"}>[\"conv1\"])",
    ];
    let ctx = context();
    for text in attrs {
        let attr = nim_text::parse_attr(&ctx, text).unwrap_or_else(|e| panic!("{text}: {}", show(&ctx, &e)));
        assert_eq!(nim_text::print_attr(&ctx, attr), text);
        round_trips(&format!("\"x.y\"() {{a = {text}}} : () -> ()\n"));
    }
    for (text, printed) in [
        ("255 : i8", "-1 : i8"),
        ("1 : i1", "true"),
        ("0x10", "16 : i64"),
        ("1.0", "1.000000e+00 : f64"),
        ("dense<[1.0, 1.0]> : tensor<2xf32>", "dense<1.000000e+00> : tensor<2xf32>"),
        ("dense<\"0x0100000002000000\"> : tensor<2xi32>", "dense<[1, 2]> : tensor<2xi32>"),
        ("dense<\"0x05\"> : tensor<3xi1>", "dense<[true, false, true]> : tensor<3xi1>"),
    ] {
        let attr = nim_text::parse_attr(&ctx, text).unwrap_or_else(|e| panic!("{text}: {}", show(&ctx, &e)));
        assert_eq!(nim_text::print_attr(&ctx, attr), printed);
    }
}

#[test]
fn long_elements_are_hexadecimal() {
    let items: Vec<String> = (0..200).map(|i| i.to_string()).collect();
    round_trips(&format!("\"x.y\"() {{a = dense<[{}]> : tensor<200xi16>}} : () -> ()", items.join(", ")));
}

#[test]
fn values_and_names() {
    let text = "\
%a, %b:2 = \"x.y\"() : () -> (i32, f32, f32)
\"x.use\"(%b#1, %a) : (f32, i32) -> ()
%0:3 = \"x.y\"() : () -> (i1, i1, i1)
\"x.use\"(%0#2) : (i1) -> ()
%h = \"x.region\"() ({
  %c = \"x.y\"() : () -> i1
  \"x.use\"(%c, %later) : (i1, f64) -> ()
}, {
  %c = \"x.y\"() : () -> i1
}) : () -> i1
%later = \"x.y\"() : () -> f64
";
    stays(text);
    round_trips(text);
}

#[test]
fn control_flow() {
    round_trips(
        "\"x.func\"() ({
         ^entry(%x: i32, %y: f32 loc(\"a\":1:1)):
           \"cf.br\"(%x)[^loop] : (i32) -> ()
         ^loop(%i: i32):
           \"cf.cond\"(%i)[^loop, ^exit] {w} : (i32) -> ()
         ^exit:
           \"x.ret\"() <{a = 1 : i32}> : () -> ()
         }, {}, {^bb0:}) : () -> () loc(\"here\":3:4)",
    );
}

#[test]
fn modules() {
    stays("module @m attributes {a = 1 : i64} {\n  \"x.y\"() : () -> ()\n}\n");
    stays("module {\n}\n");
    round_trips("module { module @inner { \"x.y\"() : () -> () } }");
    round_trips("module @a {} module @b attributes {x} {}");
    round_trips("\"builtin.module\"() <{sym_name = \"q\"}> ({ \"x.y\"() : () -> () }) {other = 1 : i32} : () -> ()");
}

#[test]
fn isolated_ops_have_bodies_of_their_own() {
    let ctx = context();
    let module =
        parse(&ctx, "toy.func ({\n^bb0(%x: f32):\n  toy.yield %x : (f32) -> ()\n}) {sym_name = \"f\"} : () -> ()\n");
    let op = module.ops().next().expect("an op");
    let nested = module.body.nested(op).expect("a body");
    assert_eq!(nested.root_regions().len(), 1);
    assert_eq!(nested.block_args(nested.entry().expect("an entry")).len(), 1);
    assert!(module.body.regions(op).is_empty());
}

#[test]
fn aliases_may_stand_behind_their_uses() {
    let ctx = context();
    let text = "!t = tensor<[N]xf32>\n#a = {x = #b}\n%0 = \"x.y\"() {a = #a} : () -> !t loc(#loc1)\n#b = 3 : i8\n\
                #loc = loc(\"f\":1:2)\n#loc1 = loc(\"n\"(#loc))\n";
    let module = parse(&ctx, text);
    assert_eq!(pretty(&ctx, &module), "%0 = \"x.y\"() {a = {x = 3 : i8}} : () -> tensor<[N]xf32>\n");
    assert!(debug(&ctx, &module).contains("loc(\"n\"(\"f\":1:2))"));
}

#[test]
fn locations() {
    let ctx = context();
    let text = "\"x.y\"() : () -> () loc(\"a\":1:2)\n\"x.y\"() : () -> () loc(unknown)\n\"x.y\"() : () -> ()\n";
    let once = debug(&ctx, &parse(&ctx, text));
    assert!(once.contains("\"x.y\"() : () -> () loc(\"a\":1:2)") && once.contains("loc(\"<text>\":3:1)"), "{once}");
    assert_eq!(debug(&ctx, &parse(&ctx, &once)), once);
}

#[test]
fn resources() {
    let ctx = context();
    let bytes: Vec<u8> = (0..=255u8).cycle().take(8192).collect();
    let key = ctx.add_resource("big", nim_tensor::Blob::new(bytes.clone()));
    let small = ctx.add_resource("small key", nim_tensor::Blob::new(vec![1, 2, 3, 4]));
    let text = "\"x.y\"() {a = dense_resource<big> : tensor<2048xf32>, b = dense_resource<\"small key\"> : tensor<1xf32>} : () -> ()";
    let module = parse(&ctx, text);
    let printed = pretty(&ctx, &module);
    let other = context();
    let again = parse(&other, &printed);
    assert_eq!(other.resource(other.name("big")).map(|b| b.to_vec()), Some(bytes.clone()));
    assert_eq!(pretty(&other, &again), printed);
    assert_eq!(ctx.resource(small).map(|b| b.len()), Some(4));

    let opts = nim_text::PrintOptions { elide_elements: Some(100), ..Default::default() };
    assert!(nim_text::print_module(&ctx, &module, &opts).contains("dense_resource<__elided__> : tensor<2048xf32>"));

    let (text, file) = nim_text::write_with_blobs(&ctx, &module, &Default::default(), "m.blobs");
    let file = file.expect("a large resource");
    assert!(text.contains("big: \"@m.blobs:") && text.contains("\"small key\": \"0x40000000"), "{text}");
    let dir = std::env::temp_dir().join(format!("nim-text-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    let mut out = std::fs::File::create(dir.join("m.blobs")).expect("a file");
    file.write_to(&mut out).expect("written");
    drop(out);
    let table = nim_text::blobs::read_table(&std::fs::read(dir.join("m.blobs")).expect("read"));
    assert_eq!(table.expect("a table").len(), 1);
    let third = context();
    let source = third.add_source("m.nir", text.as_str());
    let opts = nim_text::ParseOptions { allow_unregistered: true, blob_dir: Some(dir.clone()) };
    let (module, found) = nim_text::parse_module(&third, source, &opts);
    assert!(found.is_empty(), "{}", show(&third, &found));
    assert_eq!(third.resource(third.name("big")).map(|b| b.to_vec()), Some(bytes));
    assert_eq!(pretty(&third, &module), printed);
    std::fs::remove_dir_all(dir).expect("removed");
    let _ = key;
}
