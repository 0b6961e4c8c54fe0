//! `loops-explore-dataflow`: the dataflows of each kernel's contractions, counted and ranked.

use crate::lower::Options;
use crate::schedule::candidates::each_map;
use crate::schedule::choice;
use crate::schedule::explore::count::{Counts, short};
use crate::schedule::explore::ranked;
use nim_ir::{Context, Diagnostic, Loc, Module, OpId, Severity};
use nim_pass::{Pass, PassContext, PassOption, PassReport};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// A map's points of the space, the fewest predicted cycles first; or why it has none.
pub type Explored = Result<Vec<Counts>, &'static str>;

/// Who measures kernels.
#[derive(Clone)]
pub struct Measure {
    /// The machine that it measures on.
    pub machine: String,
    /// Bits of its widest vectors.
    pub vector_bits: u32,
    /// Measures a kernel under schedules, each with a name for each map. The median of each; none of one that does not fit the kernel,
    /// or is the same code as an earlier one.
    #[allow(clippy::type_complexity)]
    pub run: Arc<dyn Fn(&Context, &mut Module, OpId, &[Vec<String>], Request) -> Measured + Send + Sync>,
}

/// What is found, or why nothing is.
pub type Measured = Result<Vec<Option<Duration>>, Vec<Diagnostic>>;

/// What is to be measured.
#[derive(Copy, Clone, Debug)]
pub struct Request {
    /// Bits of a vector.
    pub vector_bits: u32,
    /// How long it may take.
    pub time: Duration,
}

/// Time for each point that is measured.
const TIME: Duration = Duration::from_millis(100);

/// Explores the maps of a `dataflow.kernel`.
///
/// # Errors
/// A map that is not well formed (`N0701`).
pub fn explore_kernel(
    ctx: &Context,
    module: &Module,
    kernel: OpId,
    options: &Options,
) -> Result<Vec<(Loc, Explored)>, Diagnostic> {
    let mut out = vec![];
    each_map(ctx, &module.body, kernel, options, &mut |points, env| {
        out.push((points.map.loc, ranked(points, env).map_err(|why| why.0)));
    })?;
    Ok(out)
}

/// The table of the best points; with a column for the times that were measured, if any were.
pub fn table(all: &[Counts], most: usize, measured: &[Option<Duration>]) -> String {
    let header = ["dataflow", "auxiliaries", "registers", "loads", "stores", "to L1", "to L2", "cycles", "measured"];
    let header = &header[..header.len() - usize::from(measured.is_empty())];
    let mut rows = vec![header.iter().map(ToString::to_string).collect::<Vec<_>>()];
    for (i, c) in all.iter().take(most).enumerate() {
        let held: Vec<String> = c.auxiliaries.iter().map(|(name, n)| format!("{name} {n}")).collect();
        let mut row = vec![
            c.dataflow.to_string(),
            if held.is_empty() { "-".into() } else { held.join(", ") },
            c.registers.to_string(),
            short(c.loads.iter().sum()),
            short(c.stores),
            short(c.moved[0]),
            short(c.moved[1]),
            short(c.cycles),
        ];
        let time = measured.get(i).copied().flatten();
        let time = time.map_or("-".into(), |time| format!("{:.1} us", time.as_secs_f64() * 1e6));
        row.extend((!measured.is_empty()).then_some(time));
        rows.push(row);
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
    pub target: String,
    pub options: Options,
    pub report: bool,
    pub top: usize,
    pub basic: bool,
    /// How many of the best are measured, where that can be done.
    pub measured: usize,
    pub measure: Option<Measure>,
}

impl ExploreDataflow {
    /// Times of the best points of one of a kernel's maps, all others walked as usual.
    fn times(&self, ctx: &Context, module: &mut Module, kernel: OpId, maps: [usize; 2], all: &[Counts]) -> Measured {
        let best = all.iter().take(self.measured);
        let schedules: Vec<Vec<String>> = best
            .map(|c| {
                let mut names = vec![choice::AUTO.to_string(); maps[1]];
                names[maps[0]] = c.dataflow.to_string();
                names
            })
            .collect();
        if schedules.is_empty() {
            return Ok(vec![]);
        }
        let cannot = |message: String| Diagnostic::error("N0708", module.body.loc(kernel), message);
        let Some(measure) = &self.measure else {
            let how = "`cargo build -p nim-opt --features llvm` builds one that has it; it needs LLVM 22";
            return Err(vec![cannot("this program has no compiler to measure with".into()).help(how)]);
        };
        let vector_bits = self.options.target.vector_bits;
        if vector_bits > measure.vector_bits {
            let message = format!("vectors of {vector_bits} bits cannot be measured on {}", measure.machine);
            let note = format!("this machine has vectors of {} bits", measure.vector_bits);
            return Err(vec![cannot(message).note(note)]);
        }
        let time = TIME * schedules.len() as u32;
        (measure.run)(ctx, module, kernel, &schedules, Request { vector_bits, time })
    }
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
            PassOption::new("measure", "how many points of a table are measured on this machine", self.measured),
            PassOption::new("target", crate::register::TARGET, &self.target),
            PassOption::new("vector-bits", "width of a vector register in bits", target.vector_bits),
            PassOption::new("vector-registers", "number of vector registers", target.vector_registers),
            PassOption::new("tile-registers", crate::register::TILES, target.byte_tiles),
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
            let maps = match explore_kernel(ctx, module, kernel, &self.options) {
                Ok(maps) => maps,
                Err(diagnostic) => {
                    failed.push(diagnostic);
                    continue;
                }
            };
            let name = module.symbol_name(ctx, kernel).unwrap_or("?").to_string();
            let mut best: Vec<Option<String>> = vec![];
            let count = maps.len();
            for (number, (loc, found)) in maps.into_iter().enumerate() {
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
                        let measured = match self.times(ctx, module, kernel, [number, count], &all) {
                            Ok(measured) => measured,
                            Err(found) => {
                                failed.extend(found);
                                continue;
                            }
                        };
                        let table = table(&all, self.top.max(self.measured), &measured);
                        note.notes = table.lines().map(|l| l.trim_start().to_string()).collect();
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
