//! The passes of this crate for pipelines.

use crate::{blocks, fuse, layouts, numbers, outline, report, residues, signs};
use nim_ir::{Body, Diagnostic, Module, Severity};
use nim_pass::{BodyPass, Owner, Pass, PassContext, PassOption, PassReport, Registry, RuleInfo};

/// Adds all passes of this crate.
pub fn register(registry: &mut Registry) {
    registry.body_pass(|o| {
        let defaults = fuse::FuseOptions::default();
        Ok(Fuse(fuse::FuseOptions {
            inline: o.parsed("inline", defaults.inline)?,
            epilogue: o.parsed("epilogue", defaults.epilogue)?,
        }))
    });
    registry.body_pass(|_| Ok(PackSigns));
    registry.body_pass(|_| Ok(SimplifyNumbers));
    registry.body_pass(|_| Ok(SplitResidues));
    registry.body_pass(|_| Ok(ChooseLayouts));
    registry.body_pass(|o| {
        let defaults = blocks::BlockOptions::default();
        Ok(FuseBlocks(blocks::BlockOptions {
            l2_kib: o.parsed("l2-kib", defaults.l2_kib)?,
            reciprocals: o.bool("reciprocals", defaults.reciprocals)?,
        }))
    });
    registry.module_pass(|_| Ok(Outline));
    registry.module_pass(|_| Ok(Report));
}

/// `dataflow-outline`.
struct Outline;

impl Pass for Outline {
    fn name(&self) -> &'static str {
        outline::NAME
    }
    fn description(&self) -> &'static str {
        "Make each map a kernel that the host function invokes; equal kernels are one"
    }
    fn needs(&self) -> &'static [&'static str] {
        &["maps"]
    }
    fn gives(&self) -> &'static [&'static str] {
        &["kernels outlined"]
    }
    fn rules(&self) -> Vec<RuleInfo> {
        vec![outline::SHARE]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dataflow.map"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let done = outline::outline_under(pass.ctx, module, pass.rules);
        let mut report = PassReport::new();
        report.count("kernels", done.kernels as u64);
        report.count("invocations", done.invokes as u64);
        Ok(report)
    }
}

/// `dataflow-pack-signs`.
struct PackSigns;

impl BodyPass for PackSigns {
    fn name(&self) -> &'static str {
        signs::NAME
    }
    fn description(&self) -> &'static str {
        "Make sums of products of two-valued numbers counts of bits: signs in words, xor and population count"
    }
    fn needs(&self) -> &'static [&'static str] {
        &["maps"]
    }
    fn anchors(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dataflow.map"]
    }
    fn run(&self, pass: &PassContext<'_>, _: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        report.count("contractions", signs::pack_in(pass.ctx, body) as u64);
        Ok(report)
    }
}

/// `dataflow-split-residues`.
struct SplitResidues;

impl BodyPass for SplitResidues {
    fn name(&self) -> &'static str {
        residues::NAME
    }
    fn description(&self) -> &'static str {
        "Make two dimensions of one that memlets take apart by remainders: strided transposed convolutions become plain ones"
    }
    fn rules(&self) -> Vec<RuleInfo> {
        vec![residues::SPLIT]
    }
    fn anchors(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dataflow.map"]
    }
    fn run(&self, pass: &PassContext<'_>, _: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        report.count("dimensions", residues::split_in(pass.ctx, body, pass.rules) as u64);
        Ok(report)
    }
}

/// `dataflow-choose-layouts`.
struct ChooseLayouts;

impl BodyPass for ChooseLayouts {
    fn name(&self) -> &'static str {
        layouts::NAME
    }
    fn description(&self) -> &'static str {
        "Have containers between maps lie in memory as contractions want to run vectors along them"
    }
    fn anchors(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dataflow.map"]
    }
    fn run(&self, pass: &PassContext<'_>, _: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        report.count("containers", layouts::choose_in(pass.ctx, body) as u64);
        Ok(report)
    }
}

/// `dataflow-fuse`.
struct Fuse(fuse::FuseOptions);

impl BodyPass for Fuse {
    fn name(&self) -> &'static str {
        fuse::NAME
    }
    fn description(&self) -> &'static str {
        "Fuse maps so that fewer elements move: pointwise ones into readers, and onto reductions as epilogues"
    }
    fn options(&self) -> Vec<PassOption> {
        vec![
            PassOption::new("inline", "compute pointwise maps where they are read", self.0.inline),
            PassOption::new("epilogue", "make pointwise maps the epilogues of reductions", self.0.epilogue),
        ]
    }
    fn needs(&self) -> &'static [&'static str] {
        &["maps"]
    }
    fn anchors(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn rules(&self) -> Vec<RuleInfo> {
        fuse::RULES.to_vec()
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dataflow.map"]
    }
    fn run(&self, pass: &PassContext<'_>, _: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let done = fuse::fuse_under(pass.ctx, body, self.0, pass.rules);
        let mut report = PassReport::new();
        report.count("producers inlined", done.inlined as u64);
        report.count("epilogues", done.epilogues as u64);
        Ok(report)
    }
}

/// `dataflow-simplify-numbers`.
struct SimplifyNumbers;

impl BodyPass for SimplifyNumbers {
    fn name(&self) -> &'static str {
        numbers::NAME
    }
    fn description(&self) -> &'static str {
        "Leave out conversions and bounds that change no number; bound numbers before they are divided and rounded"
    }
    fn anchors(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn rules(&self) -> Vec<RuleInfo> {
        numbers::RULES.iter().map(|rule| rule.info).collect()
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dataflow.map"]
    }
    fn run(&self, pass: &PassContext<'_>, owner: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        let mut fired = |rule| report.count(rule, 1);
        let settled = numbers::simplify_under(pass.ctx, body, pass.rules, &mut fired);
        report.diagnostics.extend(settled.err().map(|restless| restless.diagnostic(owner.loc)));
        Ok(report)
    }
}

/// `dataflow-fuse-blocks`.
struct FuseBlocks(blocks::BlockOptions);

impl BodyPass for FuseBlocks {
    fn name(&self) -> &'static str {
        blocks::NAME
    }
    fn description(&self) -> &'static str {
        "Have maps that hand each other rows run on one block of rows after the other: softmax, normalisation, attention"
    }
    fn options(&self) -> Vec<PassOption> {
        vec![
            PassOption::new("l2-kib", "second-level cache of a core in KiB", self.0.l2_kib),
            PassOption::new("reciprocals", "divide by what is one number a row once a row", self.0.reciprocals),
        ]
    }
    fn needs(&self) -> &'static [&'static str] {
        &["maps"]
    }
    fn anchors(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn rules(&self) -> Vec<RuleInfo> {
        vec![blocks::JOIN]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dataflow.map"]
    }
    fn run(&self, pass: &PassContext<'_>, _: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let done = blocks::fuse_blocks_in(pass.ctx, body, self.0, pass.rules);
        let mut report = PassReport::new();
        report.count("groups", done.groups as u64);
        report.count("maps in groups", done.maps as u64);
        Ok(report)
    }
}

/// `dataflow-report`.
struct Report;

impl Pass for Report {
    fn name(&self) -> &'static str {
        report::NAME
    }
    fn description(&self) -> &'static str {
        "Tell what moves and what is computed, as formulas; changes nothing"
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dataflow"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let mut told = PassReport::new();
        for function in report::report(pass.ctx, module) {
            let mut note = Diagnostic::warning("N0711", module.loc, format!("movement of @{}", function.name));
            note.severity = Severity::Note;
            note.notes = function.text(pass.ctx).lines().skip(1).map(|l| l.trim_start().to_string()).collect();
            told.diagnostics.push(note);
        }
        Ok(told)
    }
}
