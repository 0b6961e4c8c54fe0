//! Errors: all of a text in one run, each at its place, with what helps.

use crate::common::*;

/// Codes and lines of everything that is reported.
fn found(text: &str) -> Vec<(&'static str, usize)> {
    let ctx = context();
    let (_, found) = try_parse(&ctx, text);
    let line = |d: &nim_ir::Diagnostic| {
        let (_, range) = ctx.loc_span(d.labels[0].loc).expect("a place");
        text[..range.start].matches('\n').count() + 1
    };
    found.iter().map(|d| (d.code, line(d))).collect()
}

#[test]
fn all_errors_of_a_text() {
    let text = "\
%a = toy.ad %x, %x : (f32, f32) -> f32
%b = \"x.y\"() : () -> flot
%c = \"x.y\"(%b) : (i32 -> ()
%c2 = \"x.y\"(%a, %c) : (f32, i32) -> i32
%d = \"x.y\"(%undefined) : (i32) -> i32
%d = \"x.y\"() : () -> i32
\"x.y\"(%d) : (f32) -> ()
\"x.y\"(%d#1) : (i32) -> ()
%e, %f = \"x.y\"() : () -> i32
\"x.y\"() {a = 1, a = 2, b = @, c = #nope} : () -> ()
\"x.y\"() ({
  \"x.y\"() [^nowhere] : () -> ()
  %g = ?
  %h = \"x.y\"(%g) : (i1) -> i1
}) : () -> ()
\"x.y\"() {s = \"open} : () -> ()
%i = \"x.y\"() : () -> tensor<[N +]xf32>
}
%j = toy.size %i[1] shape [N] mode fats
\"x.y\"(%h) : (i1) -> ()
";
    assert_eq!(
        found(text),
        [
            ("N0106", 1),
            ("N0108", 2),
            ("N0104", 3),
            ("N0201", 5),
            ("N0202", 6),
            ("N0203", 7),
            ("N0204", 8),
            ("N0205", 9),
            ("N0121", 10),
            ("N0101", 10),
            ("N0113", 10),
            ("N0206", 12),
            ("N0104", 13),
            ("N0102", 16),
            ("N0110", 17),
            ("N0104", 18),
            ("N0112", 19),
            ("N0201", 20),
        ]
    );
}

#[test]
fn rendered() {
    let ctx = context();
    let text = "%a = \"x.y\"() : () -> tensor<[N]xf32>\n\"x.y\"(%a) : (tensor<[M]xf32>) -> ()\n%q = toy.ad %a : f32\n";
    let (_, found) = try_parse(&ctx, text);
    assert_eq!(
        show(&ctx, &found),
        "\
error[N0203]: `%a` is used as tensor<[M]xf32>, but it is tensor<[N]xf32>
  --> <text>:2:7
  |
1 | %a = \"x.y\"() : () -> tensor<[N]xf32>
  | -- this is tensor<[N]xf32>
2 | \"x.y\"(%a) : (tensor<[M]xf32>) -> ()
  |       ^^ expected tensor<[M]xf32>

error[N0106]: there is no op `toy.ad`
  --> <text>:3:6
  |
3 | %q = toy.ad %a : f32
  |      ^^^^^^
  |
  = help: did you mean `toy.add`?

"
    );
}

#[test]
fn places_without_source() {
    use nim_ir::{Diagnostic, Loc, LocData};
    let ctx = context();
    let node = ctx.named_loc("conv1");
    let derived = ctx.loc(LocData::Derived { pass: ctx.name("fold"), pattern: Some(ctx.name("bn")), from: node });
    let text = show(
        &ctx,
        &[
            Diagnostic::error("N0001", derived, "no").note("fact").help("do"),
            Diagnostic::warning("N0002", Loc::UNKNOWN, "hm"),
        ],
    );
    assert_eq!(
        text,
        "error[N0001]: no\n = at node 'conv1'\n = note: made by the pass `fold`, pattern `bn`\n = note: fact\n = help: do\n\n\
         warning[N0002]: hm\n\n"
    );
}

#[test]
fn a_forgotten_brace_costs_one_region() {
    let text = "\"x.f\"() ({\n  \"x.y\"( : () -> ()\n  \"x.g\"() ({\n    \"x.y\"() : () -> ()\n  \"x.z\"(%u) : (i1) -> ()\n}) : () -> ()\n\"x.h\"(%v) : (i1) -> ()\n";
    let codes = found(text);
    assert!(codes.contains(&("N0104", 2)) && codes.iter().any(|&(c, line)| c == "N0201" && line == 5), "{codes:?}");
}

#[test]
fn the_body_of_a_broken_op_is_looked_at() {
    let text = "\
\"x.f\"(%a ({
  %b = \"x.y\"(%outside) : (i32) -> i32
  %c = \"x.y\"(%b) : (f32) -> i32
  %d = toy.if %unknown {
    %e = \"x.y\"() -> i32
  }
}) : () -> ()
%f = \"x.y\"() : () -> flot
";
    assert_eq!(found(text), [("N0104", 1), ("N0203", 3), ("N0205", 4), ("N0104", 5), ("N0108", 8)]);
}

#[test]
fn deep_nesting_is_an_error_not_a_crash() {
    let text = format!("{}{}", "\"x.y\"() ({\n".repeat(5000), "}) : () -> ()\n".repeat(5000));
    assert!(found(&text).iter().any(|(code, _)| *code == "N0105"));
    for text in [
        "[".repeat(100_000),
        "tuple<".repeat(100_000),
        "(".repeat(100_000),
        "loc(".repeat(50_000),
        "{a=".repeat(50_000),
        format!("dense<{}", "[".repeat(100_000)),
        format!("loc(callsite({}", "callsite(".repeat(50_000)),
        format!("tensor<[{}N]xf32>", "(".repeat(100_000)),
        format!("#sym.expr<\"{}\">", "-".repeat(100_000)),
    ] {
        let ctx = context();
        assert!(nim_text::parse_attr(&ctx, &text).is_err());
    }
}

#[test]
fn aliases() {
    assert_eq!(found("#a = #b\n#b = #a\n\"x.y\"() {x = #a} : () -> ()"), [("N0114", 1)]);
    assert_eq!(found("!t = i32\n!t = i64\n"), [("N0114", 2)]);
}

#[test]
fn numbers_and_elements() {
    for (text, code) in [
        ("300 : i8", "N0111"),
        ("1 : f32", "N0111"),
        ("1.0 : i32", "N0111"),
        ("-1 : ui8", "N0111"),
        ("dense<[1, 2]> : tensor<3xi32>", "N0115"),
        ("dense<[[1], [2, 3]]> : tensor<2x1xi32>", "N0115"),
        ("dense<1> : tensor<?xi32>", "N0115"),
        ("dense<[true]> : tensor<1xi32>", "N0115"),
        ("dense<\"0x01\"> : tensor<2xi32>", "N0115"),
        ("array<i7: 1>", "N0112"),
        ("i0", "N0109"),
        ("vector<0xf32>", "N0109"),
        ("tensor<?xf32, #sym.dims<[\"N\", 2]>>", "N0109"),
        ("tensor<[-1]xf32>", "N0109"),
        ("\"\\q\"", "N0103"),
        ("loc(\"f\":1)", "N0104"),
        ("!toy.bax", "N0108"),
    ] {
        let ctx = context();
        match nim_text::parse_attr(&ctx, text) {
            Ok(_) => panic!("{text} was read"),
            Err(found) => assert!(found.iter().any(|d| d.code == code), "{text}: {}", show(&ctx, &found)),
        }
    }
}

#[test]
fn unregistered_ops_are_refused_unless_allowed() {
    let ctx = context();
    let source = ctx.add_source("<text>", "\"x.y\"() : () -> ()\n\"toy.ad\"() : () -> ()\n");
    let (_, found) = nim_text::parse_module(&ctx, source, &Default::default());
    assert_eq!(found.iter().map(|d| d.code).collect::<Vec<_>>(), ["N0107", "N0107"]);
}

#[test]
fn a_format_that_cannot_be_read_is_a_fault_of_the_dialect() {
    assert_eq!(found("toy.broken %x"), [("N0122", 1)]);
    assert_eq!(found("\"toy.broken\"() : () -> ()"), []);
}
