//! The passes of this crate for pipelines.

use crate::to_dataflow;
use nim_ir::{Diagnostic, Module};
use nim_pass::{Pass, PassContext, PassReport, Registry};

/// Adds all passes of this crate.
pub fn register(registry: &mut Registry) {
    registry.module_pass(|_| Ok(ToDataflow));
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
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let found = to_dataflow::graph_to_dataflow(pass.ctx, module);
        if found.is_empty() { Ok(PassReport::new()) } else { Err(found) }
    }
}
