//! The passes of this crate for pipelines.

use crate::{alternate, kills, place, plan, to_dyn};
use nim_ir::{Body, Diagnostic, Module};
use nim_pass::{BodyPass, OptionError, Owner, Pass, PassContext, PassOption, PassReport, Registry, RuleInfo};

/// Adds all passes of this crate.
pub fn register(registry: &mut Registry) {
    registry.module_pass(|_| Ok(ToDyn));
    registry.module_pass(|o| {
        let rule = |text: String| text.parse().map_err(|message| OptionError { name: "kernels".into(), message });
        let rules = o.strings("kernels").into_iter().map(rule).collect::<Result<_, _>>()?;
        Ok(PlaceDevices { rules, explain: o.bool("explain", false)? })
    });
    registry.module_pass(|o| Ok(AlternateWalks { least: o.parsed("bytes", alternate::LEAST_BYTES)? }));
    registry.module_pass(|_| Ok(PlanMemory));
    registry.body_pass(|_| Ok(InsertKills));
}

/// `graph-to-dyn`.
struct ToDyn;

impl Pass for ToDyn {
    fn name(&self) -> &'static str {
        to_dyn::NAME
    }
    fn description(&self) -> &'static str {
        "Place the tensors of host functions in memory and give kernels their destinations"
    }
    fn needs(&self) -> &'static [&'static str] {
        &["kernels outlined"]
    }
    fn gives(&self) -> &'static [&'static str] {
        // Data types stay: they are what values are made of at every level.
        &["no_dialect(graph except graph.adt)", "host in memory"]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let (done, found) = to_dyn::graph_to_dyn(pass.ctx, module);
        let mut report = PassReport::new();
        report.count("functions", done.functions as u64);
        report.count("buffers", done.buffers as u64);
        if found.is_empty() { Ok(report) } else { Err(found) }
    }
}

/// `dyn-place-devices`.
struct PlaceDevices {
    rules: Vec<place::Rule>,
    explain: bool,
}

impl Pass for PlaceDevices {
    fn name(&self) -> &'static str {
        place::NAME
    }
    fn description(&self) -> &'static str {
        "Say on which device each buffer is, and copy what is wanted on another one"
    }
    fn options(&self) -> Vec<PassOption> {
        let rules: Vec<String> = self.rules.iter().map(place::Rule::to_string).collect();
        let kernels = "PATTERN:DEVICE, ...: kernels that match run there; `*` stands for anything";
        vec![
            PassOption::new("kernels", kernels, rules.join(",")),
            PassOption::new("explain", "tell where everything is and why", self.explain),
        ]
    }
    fn needs(&self) -> &'static [&'static str] {
        &["host in memory"]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dyn"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let placed = place::place_devices(pass.ctx, module, &self.rules)?;
        let mut report = PassReport::new();
        report.count("kernels on devices", placed.kernels as u64);
        report.count("copies", placed.copies as u64);
        report.count("copies out of loops", placed.hoisted as u64);
        report.count("uses of another's copy", placed.shared as u64);
        report.count("constants on devices", placed.constants as u64);
        if self.explain {
            report.diagnostics = placed.explanation;
        }
        Ok(report)
    }
}

/// `dyn-alternate-walks`.
struct AlternateWalks {
    least: i64,
}

impl Pass for AlternateWalks {
    fn name(&self) -> &'static str {
        alternate::NAME
    }
    fn description(&self) -> &'static str {
        "Let kernels in a loop walk back through what they have read in the iteration before"
    }
    fn options(&self) -> Vec<PassOption> {
        vec![PassOption::new("bytes", "least size of what is read again and again", self.least)]
    }
    fn needs(&self) -> &'static [&'static str] {
        &["host in memory"]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dyn", "loops.kernel"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        report.count("kernels", alternate::alternate_walks(pass.ctx, module, self.least) as u64);
        Ok(report)
    }
}

/// `dyn-insert-kills`.
struct InsertKills;

impl BodyPass for InsertKills {
    fn name(&self) -> &'static str {
        kills::NAME
    }
    fn description(&self) -> &'static str {
        "Give memory back after its last use"
    }
    fn needs(&self) -> &'static [&'static str] {
        // A planned buffer is given back with its arena.
        &["host in memory", "memory planned"]
    }
    fn rules(&self) -> Vec<RuleInfo> {
        vec![kills::KILL]
    }
    fn anchors(&self) -> &'static [&'static str] {
        &["func.func"]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dyn"]
    }
    fn run(&self, pass: &PassContext<'_>, _: &Owner, body: &mut Body) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        report.count("kills", kills::insert_kills_under(pass.ctx, body, pass.rules) as u64);
        Ok(report)
    }
}

/// `dyn-plan-memory`.
struct PlanMemory;

impl Pass for PlanMemory {
    fn name(&self) -> &'static str {
        plan::NAME
    }
    fn description(&self) -> &'static str {
        "Place buffers that are not alive at the same time in the same memory"
    }
    fn needs(&self) -> &'static [&'static str] {
        &["host in memory"]
    }
    fn gives(&self) -> &'static [&'static str] {
        &["memory planned"]
    }
    fn rules(&self) -> Vec<RuleInfo> {
        vec![plan::TAKE_PLACE]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dyn"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        for (_, done) in plan::plan_memory_under(pass.ctx, module, pass.rules) {
            report.count("buffers", done.buffers as u64);
            report.count("in place", done.in_place as u64);
            report.count("arenas", done.arenas.len() as u64);
            // Formulas stand in nim-translate's report; here are those that are numbers.
            if let Some(bytes) = pass.ctx.exprs.as_const(done.bytes) {
                report.count("bytes", bytes.unsigned_abs());
                let peak = pass.ctx.exprs.as_const(done.peak(&pass.ctx.exprs));
                report.count("peak bytes", peak.unwrap_or(0).unsigned_abs());
            }
        }
        Ok(report)
    }
}
