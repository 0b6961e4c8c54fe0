//! Passes, pipelines and how they are run.
//!
//! * [`Pass`] works on a module, [`BodyPass`] on one body at a time; bodies are worked on in parallel, and what comes out is the
//!   same for any number of threads.
//! * [`Registry`] knows passes by name; it is passed along, there is no global one.
//! * [`Pipeline`] is read from text as upstream writes it, `builtin.module(func.func(cse),canonicalize)`, and printed back.
//!   Nesting may be left out.
//! * [`Rule`]s of `nim-rewrite` have names, by which a run can watch them, leave them out or count them ([`RuleControl`]).
//! * [`Pipeline::run`] checks contracts before the first pass, verifies after each, and calls hooks around them.
//!
//! Nothing here reads or writes text or files.

pub mod codes;
mod contract;
mod options;
mod parallel;
mod pass;
mod pipeline;
mod registry;
mod report;
mod run;

pub use contract::holds;
/// What passes need of `nim-rewrite`.
pub use nim_rewrite::{
    Miss, Outcome, Restless, Rule, RuleControl, RuleEvent, RuleInfo, RuleSet, RuleSettings, Rules, Site, Window,
};
pub use options::{OptionError, Options};
pub use parallel::PANIC;
pub use pass::{AnyPass, BodyPass, Owner, Pass, PassContext, PassOption, greedy};
pub use pipeline::{Pipeline, Step};
pub use registry::{PassInfo, Registry};
pub use report::{PassReport, RunReport, StepReport};
pub use run::{Hooks, PipelineError, RunOptions, ran_on_nothing};
