//! `nim-opt`: reads a module, runs passes, prints it. With the feature `mlir` it has upstream's syntax and passes too.

use std::process::ExitCode;

/// Modules are millions of small vectors, and half of the time of loading one was the kernel handing out small pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut registry = nim_pass::Registry::new();
    nim_opt::register_passes(&mut registry);
    nim_opt::main_with(registry, &nim_opt::dialects())
}
