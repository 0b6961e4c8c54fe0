//! The passes of this crate for pipelines.

use crate::{
    fold::{self, ConstantFolder, FoldOptions},
    infer_shapes, lift_lambdas,
    precision::{self, Precision},
    simplify::{self, SimplifyOptions},
    to_dataflow,
};
use nim_ir::{Body, Diagnostic, Module};
use nim_pass::{BodyPass, OptionError, Owner, Pass, PassContext, PassOption, PassReport, Registry, RuleInfo};
use std::sync::Arc;

/// Adds all passes of this crate but `graph-fold`, which needs somebody who computes (see [`register_fold`]).
pub fn register(registry: &mut Registry) {
    registry.body_pass(|o| {
        let defaults = SimplifyOptions::default();
        Ok(Simplify(SimplifyOptions { fold_weights: o.parsed("fold-weights", defaults.fold_weights)? }))
    });
    registry.module_pass(|_| Ok(InferShapes));
    registry.module_pass(|_| Ok(LiftLambdas));
    registry.module_pass(|_| Ok(ToDataflow));
    registry.body_pass(|o| {
        let to = o.string("to", Precision::Bf16.name());
        let precision = to.parse().map_err(|message| OptionError { name: "to".into(), message })?;
        Ok(LowerPrecision(precision))
    });
}

/// Adds `graph-fold`, which computes with this folder.
pub fn register_fold(registry: &mut Registry, folder: Arc<dyn ConstantFolder>) {
    registry.body_pass(move |o| {
        let options = FoldOptions { max_bytes: o.parsed("max-bytes", FoldOptions::default().max_bytes)? };
        Ok(Fold { folder: folder.clone(), options })
    });
}

/// `graph-lift-lambdas`.
struct LiftLambdas;

impl Pass for LiftLambdas {
    fn name(&self) -> &'static str {
        lift_lambdas::NAME
    }
    fn description(&self) -> &'static str {
        "Make functions of the module, and closures, of functions that are written where they are used"
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["graph"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        report.count("lambdas", lift_lambdas::lift_lambdas(pass.ctx, module) as u64);
        Ok(report)
    }
}

/// `graph-infer-shapes`.
struct InferShapes;

impl Pass for InferShapes {
    fn name(&self) -> &'static str {
        infer_shapes::NAME
    }
    fn description(&self) -> &'static str {
        "Give every dimension an expression, and guard what types claim beyond what shape functions tell"
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let done = infer_shapes::infer_shapes(pass.ctx, module);
        let mut report = PassReport::new();
        report.count("dimensions inferred", done.inferred as u64);
        report.count("dimensions named", done.named as u64);
        report.count("guards", done.guards as u64);
        Ok(report)
    }
}

/// `graph-to-dataflow`.
struct ToDataflow;

impl Pass for ToDataflow {
    fn name(&self) -> &'static str {
        to_dataflow::NAME
    }
    fn description(&self) -> &'static str {
        "Make maps of all numeric ops; what steers the host program stays"
    }
    fn gives(&self) -> &'static [&'static str] {
        &["maps"]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["graph"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let found = to_dataflow::graph_to_dataflow(pass.ctx, module);
        if found.is_empty() { Ok(PassReport::new()) } else { Err(found) }
    }
}

/// `graph-simplify`.
struct Simplify(SimplifyOptions);

impl BodyPass for Simplify {
    fn name(&self) -> &'static str {
        simplify::NAME
    }
    fn description(&self) -> &'static str {
        "Remove ops that say nothing; put constants behind convolutions and matrix products into their weights"
    }
    fn options(&self) -> Vec<PassOption> {
        let description = "scale weights by constants that stand behind, which rounds elsewhere";
        vec![PassOption::new("fold-weights", description, self.0.fold_weights)]
    }
    fn anchors(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn rules(&self) -> Vec<RuleInfo> {
        simplify::RULES.iter().map(|rule| rule.info).collect()
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["graph"]
    }
    fn run(&self, pass: &PassContext<'_>, owner: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        let mut fired = |rule| report.count(rule, 1);
        let settled = simplify::simplify_under(pass.ctx, body, self.0, pass.rules, &mut fired);
        report.diagnostics.extend(settled.err().map(|restless| restless.diagnostic(owner.loc)));
        Ok(report)
    }
}

/// `graph-lower-precision`.
struct LowerPrecision(Precision);

impl BodyPass for LowerPrecision {
    fn name(&self) -> &'static str {
        precision::NAME
    }
    fn description(&self) -> &'static str {
        "Have contractions of f32 read bf16 or f16: their factors are rounded, sums stay f32"
    }
    fn options(&self) -> Vec<PassOption> {
        vec![PassOption::new("to", "what factors are rounded to: f32 (not at all), bf16 or f16", self.0)]
    }
    fn anchors(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["graph"]
    }
    fn run(&self, pass: &PassContext<'_>, _: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        report.count("contractions", precision::lower_precision(pass.ctx, body, self.0) as u64);
        Ok(report)
    }
}

/// `graph-fold`.
struct Fold {
    folder: Arc<dyn ConstantFolder>,
    options: FoldOptions,
}

impl BodyPass for Fold {
    fn name(&self) -> &'static str {
        fold::NAME
    }
    fn description(&self) -> &'static str {
        "Compute ops of constants when compiling"
    }
    fn options(&self) -> Vec<PassOption> {
        vec![PassOption::new("max-bytes", "most bytes of a result", self.options.max_bytes)]
    }
    fn anchors(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn rules(&self) -> Vec<RuleInfo> {
        vec![fold::COMPUTE]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["graph"]
    }
    fn run(&self, pass: &PassContext<'_>, _: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        let folded = fold::fold_under(pass.ctx, body, self.folder.as_ref(), self.options, pass.rules);
        report.count("folded", folded as u64);
        Ok(report)
    }
}
