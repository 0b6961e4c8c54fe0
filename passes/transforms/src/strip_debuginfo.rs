//! `strip-debuginfo`: forgets where ops come from.

use nim_ir::{Body, Diagnostic, Loc, Module};
use nim_pass::{Pass, PassContext, PassReport};

/// The pass.
pub struct StripDebugInfo;

impl Pass for StripDebugInfo {
    fn name(&self) -> &'static str {
        "strip-debuginfo"
    }
    fn description(&self) -> &'static str {
        "Forget the locations of all ops"
    }
    fn run(&self, _: &PassContext<'_>, module: &mut Module) -> Result<PassReport, Vec<Diagnostic>> {
        let mut report = PassReport::new();
        module.loc = Loc::UNKNOWN;
        report.count("locations forgotten", strip(&mut module.body));
        Ok(report)
    }
}

fn strip(body: &mut Body) -> u64 {
    let mut count = 0;
    for op in body.walk() {
        count += u64::from(body.loc(op) != Loc::UNKNOWN);
        body.set_loc(op, Loc::UNKNOWN);
    }
    count + body.nested_bodies_mut().map(|(_, b)| strip(b)).sum::<u64>()
}
