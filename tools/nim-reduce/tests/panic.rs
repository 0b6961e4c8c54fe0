//! A pass that is wrong on purpose: its panic is kept while everything else goes, and `--bisect` names its rule.

use nim_ir::{Body, Context, Diagnostic, Module};
use nim_opt::{
    bisect::{Bisect, Finding},
    oracle::Oracle,
};
use nim_pass::{BodyPass, Miss, Owner, PassContext, PassReport, Registry, Rule, RuleInfo, RuleSet, Site};
use nim_reduce::{Case, Keep, keep::Known, reduce};

/// Panics where a negation is negated; turns `graph.sub` around, which is wrong, and `graph.add`, which is not.
struct Wrong;

const RULES: &[Rule] = &[
    Rule::new("turn-add", "`a + b` is `b + a`", &["graph.add"], turn),
    Rule::new("turn-sub", "`a - b` is `b - a`", &["graph.sub"], turn),
];

fn turn(site: &mut Site<'_>) -> Result<(), Miss> {
    site.fire()?;
    let &[a, b] = site.body.operands(site.op).as_slice() else { return Ok(()) };
    site.body.set_operands(site.op, &[b, a]);
    Ok(())
}

impl BodyPass for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }
    fn description(&self) -> &'static str {
        "Is wrong"
    }
    fn rules(&self) -> Vec<RuleInfo> {
        RULES.iter().map(|r| r.info).collect()
    }
    fn run(&self, pass: &PassContext<'_>, _: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut rules = RuleSet::new(pass.rules, RULES);
        for op in body.walk() {
            let inner = body.operands(op).first().and_then(|&v| body.defining_op(v));
            let twice = body.is(pass.ctx, op, "graph.neg") && inner.is_some_and(|i| body.is(pass.ctx, i, "graph.neg"));
            assert!(!twice, "negated twice");
            rules.apply(pass.ctx, body, op);
        }
        Ok(PassReport::new())
    }
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    nim_opt::register_passes(&mut registry);
    registry.body_pass(|_| Ok(Wrong));
    registry
}

const TEXT: &str = "
func.func @other(%x: tensor<[N]xf32>) -> tensor<[N]xf32> {
  return %x : tensor<[N]xf32>
}
func.func @main(%x: tensor<[N]x4xf32>, %y: tensor<[N]x4xf32>) -> (tensor<[N]x4xf32>, tensor<[N]x4xf32>) {
  %a = graph.add %x, %y : (tensor<[N]x4xf32>, tensor<[N]x4xf32>) -> tensor<[N]x4xf32>
  %b = graph.exp %a : (tensor<[N]x4xf32>) -> tensor<[N]x4xf32>
  %c = graph.neg %b : (tensor<[N]x4xf32>) -> tensor<[N]x4xf32>
  %d = graph.neg %c : (tensor<[N]x4xf32>) -> tensor<[N]x4xf32>
  %e = graph.mul %d, %b : (tensor<[N]x4xf32>, tensor<[N]x4xf32>) -> tensor<[N]x4xf32>
  return %a, %e : tensor<[N]x4xf32>, tensor<[N]x4xf32>
}";

#[test]
fn what_makes_a_pass_panic_is_left() {
    let (registry, dialects) = (registry(), nim_opt::dialects());
    let known = Known { registry: &registry, dialects: &dialects };
    let steps = ["cse", "wrong", "dce"].map(String::from).to_vec();
    let reduced = reduce(&known, &Keep::Panic, Case { module: TEXT.into(), steps }, 10_000).expect("it panics");
    assert_eq!(reduced.case.steps, ["wrong"]);
    let ops: Vec<&str> = reduced.case.module.lines().map(str::trim).collect();
    assert_eq!(
        ops,
        [
            "func.func @main(%x: tensor<1x1xf32>) {",
            "%c = graph.neg %x : (tensor<1x1xf32>) -> tensor<1x1xf32>",
            "%d = graph.neg %c : (tensor<1x1xf32>) -> tensor<1x1xf32>",
            "return",
            "}"
        ]
    );
}

#[test]
fn the_rule_that_changes_a_result_is_named() {
    let (registry, dialects) = (registry(), nim_opt::dialects());
    let text = "
func.func @main(%x: tensor<[N]xf32>, %y: tensor<[N]xf32>) -> tensor<[N]xf32> {
  %a = graph.add %x, %y : (tensor<[N]xf32>, tensor<[N]xf32>) -> tensor<[N]xf32>
  %b = graph.add %a, %y : (tensor<[N]xf32>, tensor<[N]xf32>) -> tensor<[N]xf32>
  %c = graph.sub %b, %x : (tensor<[N]xf32>, tensor<[N]xf32>) -> tensor<[N]xf32>
  %d = graph.add %c, %x : (tensor<[N]xf32>, tensor<[N]xf32>) -> tensor<[N]xf32>
  return %d : tensor<[N]xf32>
}";
    let context = || Context::new(&dialects);
    let load = |ctx: &Context| -> Result<Module, String> {
        let source = ctx.add_source("wrong.nir", text);
        Ok(nim_text::parse_module(ctx, source, &nim_text::ParseOptions::default()).0)
    };
    let oracle = Oracle { function: "main".into(), inputs: vec![], tolerance: 1e-4 };
    let find = |pipeline: &str| {
        let bisect = Bisect { registry: &registry, context: &context, load: &load, pipeline, oracle: &oracle };
        bisect.run().expect("it can be run")
    };
    assert_eq!(find("cse,graph-simplify,dce"), Finding::Nothing);
    let Finding::Changed { step, pass, culprit: Some(culprit), .. } = find("cse,wrong,dce") else {
        panic!("nothing was found")
    };
    assert_eq!((step, pass.as_str()), (1, "wrong"));
    assert_eq!((culprit.rule.as_str(), culprit.op.as_str(), culprit.number), ("turn-sub", "graph.sub", 3));
    assert_eq!(culprit.place, "wrong.nir:5:8");
}
