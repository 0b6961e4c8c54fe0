//! `nim-toy-opt`: nim-opt, with the dialect and the passes of the tutorial.

mod lower;
mod ops;
mod simplify;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut registry = nim_pass::Registry::new();
    nim_opt::register_passes(&mut registry);
    simplify::Simplify::register(&mut registry);
    lower::ToGraph::register(&mut registry);
    let mut dialects = nim_opt::dialects();
    dialects.push(&ops::ACT);
    nim_opt::main_with(registry, &dialects)
}
