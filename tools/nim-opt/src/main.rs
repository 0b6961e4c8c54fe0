//! `nim-opt`: reads a module, runs passes, prints it. With the feature `mlir` it has upstream's syntax and passes too.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut registry = nim_pass::Registry::new();
    nim_opt::register_passes(&mut registry);
    nim_opt::main_with(registry, &nim_opt::dialects())
}
