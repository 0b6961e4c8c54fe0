//! What `loops-explore-dataflow{measure=N}` measures with, in a program that is built with the compiler.

use nim_loops_passes::explore_pass::Measure;
#[cfg(feature = "llvm")]
use nim_loops_passes::explore_pass::Request;

/// None in this program.
#[cfg(not(feature = "llvm"))]
pub fn measure() -> Option<Measure> {
    None
}

/// The compiler's own way to measure kernels, for this machine with vectors of the wanted size.
#[cfg(feature = "llvm")]
pub fn measure() -> Option<Measure> {
    use nim_compiler::{Options, tune::measure_kernel};
    use nim_llvm::Target;
    use nim_loops_passes::schedule::choice::AUTO;
    let host = Target::host();
    let (machine, vector_bits) = (host.name().to_owned(), host.vector_bits());
    let run =
        std::sync::Arc::new(move |ctx: &_, module: &mut _, kernel, schedules: &[Vec<String>], request: Request| {
            // Narrower ones as machines have them that have no others.
            let level = match request.vector_bits {
                bits if bits == host.vector_bits() => None,
                256 => Target::parse("x86-64-v3").ok(),
                _ => Target::parse("x86-64-v2").ok(),
            };
            let options = Options { target: level.unwrap_or_else(|| host.clone()), ..Options::default() };
            // The usual one first: it fits on any machine, so others may fit or not.
            let usual = schedules.first().map(|names| vec![AUTO.to_string(); names.len()]);
            let all: Vec<Vec<String>> = usual.into_iter().chain(schedules.iter().cloned()).collect();
            let times = measure_kernel(ctx, module, kernel, &options, &all, request.time)?;
            Ok(times.into_iter().skip(1).collect())
        });
    Some(Measure { machine, vector_bits, run })
}
