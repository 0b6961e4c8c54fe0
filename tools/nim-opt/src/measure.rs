//! What `loops-explore-dataflow{measure=N}` measures with, in a program that is built with the compiler.

use nim_loops_passes::explore_pass::Measure;

/// None in this program.
#[cfg(not(feature = "llvm"))]
pub fn measure() -> Option<Measure> {
    None
}

/// The compiler's own way to measure kernels, for this machine with vectors of the wanted size.
#[cfg(feature = "llvm")]
pub fn measure() -> Option<Measure> {
    use nim_compiler::{Options, tune::measure_kernel};
    use nim_ir::Diagnostic;
    use nim_llvm::Target;
    Some(std::sync::Arc::new(|ctx, module, kernel, schedules, request| {
        let host = Target::host();
        let level = match request.vector_bits {
            bits if bits == host.vector_bits() => Ok(host),
            bits if bits > host.vector_bits() => {
                let message = format!("vectors of {bits} bits cannot be measured on {}", host.name());
                let note = format!("this machine has vectors of {} bits", host.vector_bits());
                return Err(vec![Diagnostic::error("N0711", module.body.loc(kernel), message).note(note)]);
            }
            256 => Target::parse("x86-64-v3"),
            _ => Target::parse("x86-64-v2"),
        };
        let target = level.map_err(|e| vec![Diagnostic::error("N0711", module.body.loc(kernel), e.to_string())])?;
        let options = Options { target, ..Options::default() };
        measure_kernel(ctx, module, kernel, &options, schedules, request.time)
    }))
}
