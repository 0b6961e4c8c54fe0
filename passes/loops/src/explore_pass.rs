//! `loops-explore-dataflow`: the dataflows of each kernel's contractions, counted and ranked.

use crate::lower::Options;
use crate::schedule::candidates::each_map;
use crate::schedule::choice;
use crate::schedule::explore::Contraction;
use crate::schedule::explore::count::{self, Counts, Hierarchy, short};
use nim_ir::{Context, Diagnostic, Loc, Module, OpId, Severity};
use nim_pass::{Pass, PassContext, PassOption, PassReport};
use std::fmt::Write as _;

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
    let registers = i64::from(options.target.vector_registers);
    let mut out = vec![];
    each_map(ctx, &module.body, kernel, options, &mut |points, env| {
        let found = Contraction::new(points, env).map_err(|why| why.0).map(|c| {
            let operations = count::operations(points, &c, options.target.fma);
            count::rank(ctx, &c, registers, operations, memory)
        });
        out.push((points.map.loc, found));
    })?;
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
            let mut best: Vec<Option<String>> = vec![];
            for (loc, found) in maps {
                let mut note = Diagnostic::warning("N0705", loc, format!("dataflows of @{name}"));
                note.severity = Severity::Note;
                match found {
                    Err(why) => {
                        best.push(None);
                        note.notes.push(format!("none: {why}"));
                    }
                    Ok(mut all) => {
                        report.count("contractions", 1);
                        all.retain(|c| !self.basic || c.dataflow.is_basic());
                        // Sums that are taken in order have no dataflow but that one.
                        best.push(all.first().map(|c| c.dataflow.to_string()));
                        note.notes = table(&all, self.top).lines().map(|l| l.trim_start().to_string()).collect();
                    }
                }
                if self.report {
                    report.diagnostics.push(note);
                }
            }
            if best.iter().any(Option::is_some) && !self.report {
                let one = |best: &Option<String>| ctx.string_attr(best.as_deref().unwrap_or(choice::AUTO));
                let attr = ctx.array_attr(best.iter().map(one));
                module.body.set_attr(ctx, kernel, choice::ATTR, attr);
                report.count("kernels marked", 1);
            }
        }
        if failed.is_empty() { Ok(report) } else { Err(failed) }
    }
}
