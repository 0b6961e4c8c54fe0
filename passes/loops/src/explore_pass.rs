//! `loops-explore-dataflow`: the dataflows of each kernel's contractions, counted and ranked.

use crate::lower::{Options, constant_args};
use crate::map::Map;
use crate::point::Points;
use crate::schedule::Env;
use crate::schedule::explore::count::{self, Counts, Hierarchy, short};
use crate::schedule::explore::{Contraction, Dataflow};
use nim_ir::{Context, Diagnostic, Loc, Module, OpId, Severity, ValueId};
use nim_pass::{Pass, PassContext, PassOption, PassReport, Rules};
use rustc_hash::FxHashMap;
use std::fmt::Write as _;

/// The attribute of a kernel that says how its contractions are walked, as [`Dataflow`] is written.
pub const ATTR: &str = "loops.dataflow";

/// A map's points of the space, the fewest predicted cycles first; or why it has none.
pub type Explored = Result<Vec<Counts>, &'static str>;

/// Explores the maps of a `dataflow.kernel`.
///
/// # Errors
/// A map that is not well formed (`N0701`).
pub fn explore_kernel(
    ctx: &Context,
    module: &Module,
    kernel: OpId,
    options: &Options,
    memory: &Hierarchy,
) -> Result<Vec<(Loc, Explored)>, Diagnostic> {
    let Some(source) = module.body.nested(kernel) else { return Ok(vec![]) };
    let Some(entry) = source.entry() else { return Ok(vec![]) };
    let tensors: Vec<ValueId> = source.block_args(entry).to_vec();
    let constants = constant_args(ctx, &module.body, kernel, &tensors);
    let env = Env {
        options,
        ctx,
        constants: &constants,
        tensors: &tensors,
        args: &tensors,
        assumed: nim_builtin::assume::facts_of_kernel(ctx, &module.body, kernel),
        temporaries: vec![],
        packing: vec![],
        repeats: false,
        choices: vec![],
        rules: Rules::default(),
    };
    let registers = i64::from(options.target.vector_registers);
    let buffers = FxHashMap::default();
    let mut out = vec![];
    for op in source.block_ops(entry).filter(|&op| source.is(ctx, op, "dataflow.map")) {
        let map = Map::new(ctx, source, op)?;
        let points = Points::new(ctx, source, &map, &buffers);
        let found = Contraction::new(&points, &env).map_err(|why| why.0).map(|c| {
            let operations = count::operations(&points, &c, options.target.fma);
            count::rank(ctx, &c, registers, operations, memory)
        });
        out.push((map.loc, found));
    }
    Ok(out)
}

/// The table of the best points.
pub fn table(all: &[Counts], most: usize) -> String {
    let header = ["dataflow", "auxiliaries", "registers", "loads", "stores", "to L1", "to L2", "cycles"];
    let mut rows = vec![header.map(String::from)];
    for c in all.iter().take(most) {
        let held: Vec<String> = c.auxiliaries.iter().map(|(name, n)| format!("{name} {n}")).collect();
        rows.push([
            c.dataflow.to_string(),
            if held.is_empty() { "-".into() } else { held.join(", ") },
            c.registers.to_string(),
            short(c.loads.iter().sum()),
            short(c.stores),
            short(c.moved[0]),
            short(c.moved[1]),
            short(c.cycles),
        ]);
    }
    let width = |k: usize| rows.iter().map(|r| r[k].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        // Words to the left, numbers to the right.
        let cell = |(k, text): (usize, &String)| match k < 2 {
            true => format!("{text:<0$}", widths[k]),
            false => format!("{text:>0$}", widths[k]),
        };
        let _ = writeln!(out, "  {}", row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end());
    }
    if all.len() > most {
        let _ = writeln!(out, "  and {} more", all.len() - most);
    }
    out
}

/// The pass.
pub(crate) struct ExploreDataflow {
    pub options: Options,
    pub report: bool,
    pub top: usize,
    pub basic: bool,
}

impl Pass for ExploreDataflow {
    fn name(&self) -> &'static str {
        "loops-explore-dataflow"
    }
    fn description(&self) -> &'static str {
        "Rank the dataflows of each contraction: what is held in registers, loads, stores, bytes moved; mark kernels with the best"
    }
    fn options(&self) -> Vec<PassOption> {
        let target = &self.options.target;
        vec![
            PassOption::new("report", "print the tables and change nothing", self.report),
            PassOption::new("top", "how many points of a table are printed", self.top),
            PassOption::new("basic", "only points that hold nothing but their anchor", self.basic),
            PassOption::new("vector-bits", "width of a vector register in bits", target.vector_bits),
            PassOption::new("vector-registers", "number of vector registers", target.vector_registers),
        ]
    }
    fn needs(&self) -> &'static [&'static str] {
        &["kernels outlined"]
    }
    fn works_on(&self) -> &'static [&'static str] {
        &["dataflow.kernel"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let ctx = pass.ctx;
        let kernels: Vec<OpId> = module.ops().filter(|&op| module.body.is(ctx, op, "dataflow.kernel")).collect();
        let (mut report, mut failed) = (PassReport::new(), vec![]);
        for kernel in kernels {
            let maps = match explore_kernel(ctx, module, kernel, &self.options, &Hierarchy::default()) {
                Ok(maps) => maps,
                Err(diagnostic) => {
                    failed.push(diagnostic);
                    continue;
                }
            };
            let name = module.symbol_name(ctx, kernel).unwrap_or("?").to_string();
            let mut best: Option<Dataflow> = None;
            for (loc, found) in maps {
                let mut note = Diagnostic::warning("N0705", loc, format!("dataflows of @{name}"));
                note.severity = Severity::Note;
                match found {
                    Err(why) => note.notes.push(format!("none: {why}")),
                    Ok(mut all) => {
                        report.count("contractions", 1);
                        all.retain(|c| !self.basic || c.dataflow.is_basic());
                        best = best.or(all.first().map(|c| c.dataflow));
                        note.notes = table(&all, self.top).lines().map(|l| l.trim_start().to_string()).collect();
                    }
                }
                if self.report {
                    report.diagnostics.push(note);
                }
            }
            if let (Some(best), false) = (best, self.report) {
                let attr = ctx.string_attr(&best.to_string());
                module.body.set_attr(ctx, kernel, ATTR, attr);
                report.count("kernels marked", 1);
            }
        }
        if failed.is_empty() { Ok(report) } else { Err(failed) }
    }
}
