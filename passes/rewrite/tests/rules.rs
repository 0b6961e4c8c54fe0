//! `rules!`: what patterns match, what replacements make, and what is said when a rule does not fire.

use nim_graph::ops::{
    elementwise::{Add, Mul, Neg, Select, Sub},
    layout::{Pad, Transpose},
};
use nim_ir::{Body, Context, Module};
use nim_rewrite::{Outcome, Rule, RuleControl, RuleSet, RuleSettings, Rules, rules};
use nim_text::{ParseOptions, PrintOptions, parse_module, print_module};
use std::sync::{Arc, Mutex};

rules! {
    /// For these tests.
    const RULES;

    "subtract-itself", "`(x + y) - y` is `x`": Sub { x: Add { x, y }, y } => x;
    "factor-out", "`a*c + b*c` is `(a + b)*c`": Add { x: Mul { x: a, y: c }, y: Mul { x: b, y: c } } => Mul { x: Add { x: a, y: b }, y: c };
    "negate-both", "`-a * -b` is `a * b`": Mul { x: Neg { x: a }, y: Neg { x: b } } => Mul { x: a, y: b, ..op };
    "negate-left", "`-a * b` is `-(a * b)`":
        Mul { x: Neg { x: a }, y: b } | Mul { y: Neg { x: a }, x: b } => Neg { x: Mul { x: a, y: b } };
    "join-transposes", "a transpose of a transpose is one":
        Transpose { x: Transpose { x, perm: first }, perm: second }
            if first.len() == 2, "it is no matrix"
            if let Some(perm) = second.iter().map(|&p| first.get(p as usize).copied()).collect::<Option<Vec<i64>>>(),
                "`perm` names an axis that is not there"
        => Transpose { x, perm };
    "edge", "a mode by its name": Pad { x, mode: "edge", low } if low.is_empty(), "it pads" => x;
    "same-choice", "a choice between equals": Select { x: y, y } => y;
}

/// Reads a function, applies rules until none fits, and prints it; with what is said of a rule that does not fire.
fn rewritten(rules: &[Rule], text: &str, asked: &str) -> (String, Vec<String>) {
    let dialects: Vec<_> = nim_builtin::DIALECTS.iter().copied().chain([&nim_graph::GRAPH]).collect();
    let ctx = Context::new(&dialects);
    let source = ctx.add_source("test", text);
    let (mut module, found): (Module, _) = parse_module(&ctx, source, &ParseOptions::default());
    assert!(found.is_empty(), "{found:?}");
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = Arc::clone(&heard);
    let listener = move |event: &nim_rewrite::RuleEvent<'_>| {
        if let Outcome::Missed(why) = event.outcome {
            told.lock().unwrap().push(why.to_string());
        }
    };
    let reasons = [asked.to_string()].into();
    let settings = RuleSettings { reasons, listener: Some(Box::new(listener)), ..RuleSettings::default() };
    let control = RuleControl::new(settings);
    for (_, body) in module.body.nested_bodies_mut() {
        let body: &mut Body = body;
        let mut set = RuleSet::new(Rules::new("test", Some(&control)), rules);
        set.greedy(&ctx, body, 10, &mut |_| {}).expect("the rules come to rest");
        for op in body.walk().into_iter().rev() {
            if !body.results(op).is_empty() && body.results(op).iter().all(|&r| !body.has_uses(r)) {
                body.erase(op);
            }
        }
    }
    let found = nim_ir::verifier::verify_module(&ctx, &module);
    assert!(found.is_empty(), "{found:?}");
    let printed = print_module(&ctx, &module, &PrintOptions::default());
    let lines = printed.lines().filter_map(|l| l.strip_prefix("  ")).map(|l| l.split(" : ").next().unwrap_or(l));
    drop(control);
    (lines.collect::<Vec<_>>().join("\n"), std::mem::take(&mut heard.lock().unwrap()))
}

fn after(text: &str) -> String {
    rewritten(RULES, &function(text), "").0
}

fn function(text: &str) -> String {
    let types = "tensor<2x3xf32>";
    let ops = text.replace("T2", "(T, T) -> T").replace("T1", "(T) -> T").replace('T', types);
    format!("func.func @f(%a: {types}, %b: {types}, %c: {types}) -> {types} {{\n{ops}\n}}\n")
}

#[test]
fn names_that_stand_twice_mean_one_value() {
    let text = "%0 = graph.add %a, %b : T2\n%1 = graph.sub %0, %b : T2\nreturn %1 : T";
    assert_eq!(after(text), "return %a");
    let other = text.replace("%0, %b", "%0, %c");
    assert!(after(&other).contains("graph.sub"));
    let (_, why) = rewritten(RULES, &function(&other), "subtract-itself");
    assert_eq!(why, ["`y` is another value than the first `y`"]);
}

#[test]
fn ops_are_operands_of_ops() {
    let text = "%0 = graph.mul %a, %c : T2\n%1 = graph.mul %b, %c : T2\n%2 = graph.add %0, %1 : T2\nreturn %2 : T";
    assert_eq!(after(text), "%0 = graph.add %a, %b\n%1 = graph.mul %0, %c\nreturn %1");
}

#[test]
fn alternatives_are_tried_in_order() {
    let text = "%0 = graph.neg %a : T1\n%1 = graph.mul %b, %0 : T2\nreturn %1 : T";
    assert_eq!(after(text), "%0 = graph.mul %a, %b\n%1 = graph.neg %0\nreturn %1");
    let both = "%0 = graph.neg %a : T1\n%1 = graph.neg %b : T1\n%2 = graph.mul %0, %1 : T2\nreturn %2 : T";
    assert_eq!(after(both), "%0 = graph.mul %a, %b\nreturn %0");
}

#[test]
fn attributes_are_typed_and_conditions_say_why() {
    let transposes = |perm: &str| {
        function(&format!(
            "%0 = graph.transpose %a {{perm = array<i64: 1, 0>}} : (T) -> tensor<3x2xf32>\n\
             %1 = graph.transpose %0 {{perm = {perm}}} : (tensor<3x2xf32>) -> T\nreturn %1 : T"
        ))
    };
    let (text, _) = rewritten(RULES, &transposes("array<i64: 1, 0>"), "");
    assert_eq!(text, "%0 = graph.transpose %a {perm = array<i64: 0, 1>}\nreturn %0");
    let (_, why) = rewritten(RULES, &transposes("array<i64: 1, 0>"), "join-transposes");
    // The first transpose, once for both rounds, and the new one.
    assert_eq!(why, ["`x` is not made by a `Transpose`"; 2]);
    let pad = "%0 = graph.pad %a {low = [0, 0], high = [0, 0], mode = \"wrap\"} : T1\nreturn %0 : T";
    let (_, why) = rewritten(RULES, &function(pad), "edge");
    assert_eq!(why, ["`mode` is not \"edge\""]);
    let (_, why) = rewritten(RULES, &function(&pad.replace("wrap", "edge")), "edge");
    assert_eq!(why, ["it pads"]);
}

#[test]
fn rules_that_undo_each_other_are_named() {
    rules! {
        const CIRCLE;
        "turn", "`x + y` is `y + x`": Add { x, y } => Add { x: y, y: x };
        "to-sub", "`x * y` is `-x * -y`": Mul { x, y } => Mul { x: Neg { x }, y: Neg { x: y } };
        "quiet", "never": Sub { x, y: x } => x;
    }
    let ctx = Context::new(&[nim_builtin::DIALECTS, &[&nim_graph::GRAPH]].concat());
    let text = function("%0 = graph.add %a, %b : T2\n%1 = graph.mul %0, %c : T2\nreturn %1 : T");
    let source = ctx.add_source("test", text);
    let (mut module, _) = parse_module(&ctx, source, &ParseOptions::default());
    let (_, body) = module.body.nested_bodies_mut().next().expect("the function");
    let rest = RuleSet::new(Rules::default(), CIRCLE).greedy(&ctx, body, 4, &mut |_| {}).expect_err("a circle");
    assert_eq!(rest.rules.keys().copied().collect::<Vec<_>>(), ["to-sub", "turn"]);
    let warning = rest.diagnostic(nim_ir::Loc::UNKNOWN);
    assert_eq!(warning.code, "N0820");
    assert_eq!(warning.message, "no canonical form after 4 rounds: the rules `to-sub` and `turn` do not come to rest");
}
