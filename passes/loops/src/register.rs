//! The passes of this crate for pipelines.

use crate::explore_pass::{ExploreDataflow, Measure};
use crate::lower::{Options, Weights, lower_under};
use crate::mlir::TargetInfo;
use crate::schedule;
use nim_ir::{Builder, Diagnostic, Module, OpId};
use nim_machine::{Target, UnknownTarget};
use nim_pass::{OptionError, Pass, PassContext, PassOption, PassReport, Registry, RuleInfo};

/// Adds all passes of this crate. With `measure`, exploring can also measure.
pub fn register(registry: &mut Registry, measure: Option<Measure>) {
    registry.module_pass(|o| {
        let (name, target) = target(o)?;
        let schedule = o.choice("schedule", "auto", &SCHEDULES)?;
        let mut target = TargetInfo {
            reassociate: o.bool("reassociate", target.reassociate)?,
            // how sums and products are rounded is a matter of code generation
            ..target
        };
        let weights = o.parsed("weights-mib", 0.0)? * MIB;
        let second = &mut target.machine.caches[1];
        second.bytes = o.parsed("l2-kib", second.bytes / 1024.0)? * 1024.0;
        Ok(ToLoops(
            Options {
                naive: schedule == "naive",
                winograd: schedule == "winograd",
                tiles: schedule == "tile-registers",
                tolerance: o.parsed("tolerance", 0.0)?,
                target,
                dataflow: match o.string("dataflow", "").as_str() {
                    "" => None,
                    text => Some(text.parse().map_err(|message| OptionError { name: "dataflow".into(), message })?),
                },
                weights: Weights { all: weights, windows: weights },
            },
            name,
        ))
    });
    registry.module_pass(move |o| {
        let (name, target) = target(o)?;
        Ok(ExploreDataflow {
            target: name,
            options: Options { target, ..Options::default() },
            report: o.bool("report", false)?,
            top: o.parsed("top", 12)?,
            basic: o.bool("basic", false)?,
            measured: o.parsed("measure", 0)?,
            measure: measure.clone(),
        })
    });
}

/// The option of that name.
pub(crate) const TILES: &str = "whether there are tile registers (AMX) for bytes and bf16";
/// The machine that options name, with what they say of its vectors and tile registers.
fn target(o: &mut nim_pass::Options) -> Result<(String, TargetInfo), OptionError> {
    let name = o.string("target", &Target::default().name);
    let unknown = |error: UnknownTarget| OptionError { name: "target".into(), message: error.to_string() };
    let target = TargetInfo::of(&Target::parse(&name).map_err(unknown)?, false, false);
    let tiles = o.bool("tile-registers", target.byte_tiles)?;
    let target = TargetInfo {
        vector_bits: o.parsed("vector-bits", target.vector_bits)?,
        vector_registers: o.parsed("vector-registers", target.vector_registers)?,
        byte_tiles: tiles,
        bf16_tiles: tiles,
        ..target
    };
    Ok((name, target))
}

const MIB: f64 = 1024.0 * 1024.0;
/// The option of that name.
pub(crate) const TARGET: &str =
    "the machine that estimates are for: a level or a CPU as `nim-compile --target` takes them, but the host";
/// What may be asked for.
const SCHEDULES: [&str; 4] = ["auto", "naive", "winograd", "tile-registers"];

/// `dataflow-to-loops`.
struct ToLoops(Options, String);

impl Pass for ToLoops {
    fn name(&self) -> &'static str {
        "dataflow-to-loops"
    }
    fn description(&self) -> &'static str {
        "Walk the maps of each kernel in loop nests: register tiles, vectors, packed and padded copies"
    }
    fn options(&self) -> Vec<PassOption> {
        let target = &self.0.target;
        let schedule = match &self.0 {
            options if options.naive => "naive",
            options if options.winograd => "winograd",
            options if options.tiles => "tile-registers",
            _ => "auto",
        };
        let schedules = "auto, naive: plain nests, winograd: Winograd's algorithms wherever the tolerance allows them, or tile-registers: those wherever there is a way";
        let dataflow = self.0.dataflow.map(|d| d.to_string()).unwrap_or_default();
        vec![
            PassOption::new("schedule", schedules, schedule),
            PassOption::new("dataflow", "how contractions are walked, where this has a meaning for them", dataflow),
            PassOption::new("target", TARGET, &self.1),
            PassOption::new("vector-bits", "width of a vector register in bits", target.vector_bits),
            PassOption::new("vector-registers", "number of vector registers", target.vector_registers),
            PassOption::new("tile-registers", TILES, target.byte_tiles),
            PassOption::new("l2-kib", "second-level cache of a core in KiB", target.machine.second().bytes / 1024.0),
            PassOption::new(
                "weights-mib",
                "MiB of constants of convolutions that the whole program reads; 0: a kernel's own only",
                self.0.weights.all / MIB,
            ),
            PassOption::new("reassociate", "whether sums of floats may be taken in another order", target.reassociate),
            PassOption::new(
                "tolerance",
                "error, as a part of the largest result, that faster sums may have",
                self.0.tolerance,
            ),
        ]
    }
    fn needs(&self) -> &'static [&'static str] {
        &["kernels outlined"]
    }
    fn gives(&self) -> &'static [&'static str] {
        &["no_op(dataflow.kernel)"]
    }
    fn rules(&self) -> Vec<RuleInfo> {
        schedule::RULES.to_vec()
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let ctx = pass.ctx;
        let kernels: Vec<OpId> = module.ops().filter(|&op| module.body.is(ctx, op, "dataflow.kernel")).collect();
        let (mut report, mut failed) = (PassReport::new(), vec![]);
        for kernel in kernels {
            match lower_under(ctx, &module.body, kernel, &self.0, pass.rules) {
                Ok(lowered) => {
                    report.count("kernels", 1);
                    report.count("temporaries", lowered.temporaries.len() as u64);
                    report.count("packed constants", lowered.packing.len() as u64);
                    let state = lowered.into_state(ctx);
                    Builder::before(ctx, &mut module.body, kernel).insert(state);
                    module.body.erase(kernel);
                }
                Err(diagnostic) => failed.push(diagnostic),
            }
        }
        if failed.is_empty() { Ok(report) } else { Err(failed) }
    }
}
