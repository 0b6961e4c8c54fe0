//! The passes of this crate for pipelines.

use crate::outline;
use nim_ir::{Diagnostic, Module};
use nim_pass::{Pass, PassContext, PassReport, Registry};

/// Adds all passes of this crate.
pub fn register(registry: &mut Registry) {
    registry.module_pass(|_| Ok(Outline));
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
    fn gives(&self) -> &'static [&'static str] {
        &["kernels outlined"]
    }
    fn run(&self, pass: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let done = outline::outline(pass.ctx, module);
        let mut report = PassReport::new();
        report.count("kernels", done.kernels as u64);
        report.count("invocations", done.invokes as u64);
        Ok(report)
    }
}
