//! `nim-opt`: reads a module, runs passes, prints it. This one has all passes that need no LLVM.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut registry = nim_pass::Registry::new();
    nim_opt::register_passes(&mut registry);
    nim_opt::main_with(registry, &nim_opt::dialects())
}
