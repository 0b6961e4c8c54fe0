//! Running a pipeline.

use crate::{
    AnyPass, PassContext, Pipeline, Registry, RuleControl, Rules, RunReport, Step, StepReport, contract, parallel,
};
use nim_ir::{Context, Diagnostic, Loc, Module, verifier::verify_module};
use std::{num::NonZero, sync::Arc, time::Instant};

/// What is called around passes.
pub trait Hooks {
    /// Before a step; `step` is its text.
    fn before(&mut self, _step: &str, _module: &Module) {}
    /// After a step that succeeded, before the verifier.
    fn after(&mut self, _step: &str, _module: &Module) {}
    /// After a step that failed, or whose result is not valid.
    fn failed(&mut self, _step: &str, _module: &Module) {}
}

/// No hooks.
impl Hooks for () {}

/// How a pipeline is run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Verify before the first and after each pass.
    pub verify_each: bool,
    /// Threads for body passes.
    pub threads: usize,
    /// What is wanted of rewrite rules; with it there is one thread only.
    pub rules: Option<Arc<RuleControl>>,
}

impl Default for RunOptions {
    fn default() -> RunOptions {
        RunOptions {
            verify_each: true,
            threads: std::thread::available_parallelism().map_or(1, NonZero::get),
            rules: None,
        }
    }
}

/// Why a pipeline stopped.
#[derive(Clone, Debug)]
pub struct PipelineError {
    /// The step that failed as the pipeline's text writes it; `None` when it did not begin.
    pub step: Option<String>,
    /// The pass is to blame: it panicked, or what it left is not valid.
    pub fault: bool,
    /// What was found; at least one of them is an error.
    pub diagnostics: Vec<Diagnostic>,
    /// What was done before.
    pub report: RunReport,
}

impl Pipeline {
    /// Runs all steps. `registry` is used for hints only.
    ///
    /// # Errors
    /// The module is not valid, a contract is not met, a pass fails, or what it leaves is not valid.
    pub fn run(
        &self,
        ctx: &Context,
        registry: Option<&Registry>,
        module: &mut Module,
        options: &RunOptions,
        hooks: &mut dyn Hooks,
    ) -> Result<RunReport, PipelineError> {
        let mut report = RunReport::default();
        let stop = |step: Option<&str>, diagnostics: Vec<Diagnostic>, report: RunReport| PipelineError {
            step: step.map(str::to_string),
            fault: diagnostics.iter().any(|d| d.code == parallel::PANIC),
            diagnostics,
            report,
        };
        if options.verify_each {
            let found = verify_module(ctx, module);
            if found.iter().any(Diagnostic::is_error) {
                return Err(stop(None, found, report));
            }
        }
        let unmet = contract::check(ctx, registry, self, Some(module));
        if !unmet.is_empty() {
            return Err(stop(None, unmet, report));
        }
        for step in &self.steps {
            let text = step.to_string();
            let (name, rules) = (step.pass.name(), options.rules.as_deref());
            // Counters count in the order of the text.
            let threads = if rules.is_some() { 1 } else { options.threads.max(1) };
            let context = PassContext { ctx, pass: name, threads, rules: Rules::new(name, rules) };
            // Asked before, since passes remove what they work on.
            let nothing = nothing_to_do(ctx, step, module);
            hooks.before(&text, module);
            let start = Instant::now();
            let (bodies, result) = match &step.pass {
                AnyPass::Module(pass) => {
                    let loc = module.loc;
                    (None, parallel::guarded(pass.name(), loc, || pass.run(&context, module)))
                }
                AnyPass::Body(pass) => {
                    let (count, result) = parallel::run(&**pass, &context, step.anchor.as_deref(), module);
                    (Some(count), result)
                }
            };
            let time = start.elapsed();
            let mut told = match result {
                Ok(told) => told,
                Err(diagnostics) => {
                    hooks.failed(&text, module);
                    return Err(stop(Some(&text), diagnostics, report));
                }
            };
            told.diagnostics.extend(nothing);
            told.diagnostics.extend(contract::leftovers(ctx, registry, step, module));
            hooks.after(&text, module);
            let start = Instant::now();
            if options.verify_each {
                let found = verify_module(ctx, module);
                if found.iter().any(Diagnostic::is_error) {
                    hooks.failed(&text, module);
                    let note = format!("after `{text}`; the module was valid before");
                    let found = found.into_iter().map(|d| d.note(note.clone())).collect();
                    return Err(PipelineError { fault: true, ..stop(Some(&text), found, report) });
                }
            }
            report.steps.push(StepReport { step: text, report: told, time, verify_time: start.elapsed(), bodies });
        }
        Ok(report)
    }
}

/// A pass that finds nothing of what it works on did nothing; its user should hear of it.
fn nothing_to_do(ctx: &Context, step: &Step, module: &Module) -> Option<Diagnostic> {
    let missing = contract::missing(ctx, step, module)?;
    Some(ran_on_nothing(step.pass.name(), step.loc.unwrap_or(Loc::UNKNOWN), &missing))
}

/// What is said of a pass that found nothing of what it works on; `missing` says of what, with its article left out.
pub fn ran_on_nothing(pass: &str, loc: Loc, missing: &str) -> Diagnostic {
    Diagnostic::warning("N0805", loc, format!("`{pass}` ran on nothing: there is no {missing}"))
}
