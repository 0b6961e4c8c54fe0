//! `--bisect`: which step of a pipeline changes what a program computes, and which rule of it.
//!
//! The function is run by the interpreter as it is, and after each step. Of the first step that changes a result, rewrite rules
//! are let through one more at a time (by halving), until one application makes the difference.

use crate::oracle::Oracle;
use nim_ir::{Context, Diagnostic, Module};
use nim_pass::{Outcome, Pipeline, Registry, RuleControl, RuleSettings, RunOptions};
use nim_tensor::Value;
use std::sync::{Arc, Mutex, PoisonError};

/// The rule whose application changes a result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Culprit {
    /// Its name.
    pub rule: String,
    /// The op that it was applied to.
    pub op: String,
    /// Where the op comes from.
    pub place: String,
    /// Which of all applications of rules in the step, from 1.
    pub number: u64,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Finding {
    /// No step changes a result.
    Nothing,
    /// A step changes a result.
    Changed {
        /// Its number, from 0.
        step: usize,
        /// The step as the pipeline's text writes it.
        pass: String,
        /// How the result differs, or why there is none.
        difference: String,
        /// The rule, where the step has rules and one of them is to blame.
        culprit: Option<Culprit>,
    },
}

/// What `--bisect` needs: a module that can be read any number of times, and a pipeline.
pub struct Bisect<'a> {
    /// Passes by name.
    pub registry: &'a Registry,
    /// A context without a module.
    pub context: &'a dyn Fn() -> Context,
    /// Reads the module.
    pub load: &'a dyn Fn(&Context) -> Result<Module, String>,
    /// The pipeline's text.
    pub pipeline: &'a str,
    /// What is run, and on what.
    pub oracle: &'a Oracle,
}

/// The op that a rule was applied to last.
type Last = Arc<Mutex<Option<(String, String, String)>>>;

impl Bisect<'_> {
    /// Looks for the step and the rule.
    ///
    /// # Errors
    /// The module or the pipeline cannot be read, or the function cannot be run before the first step.
    pub fn run(&self) -> Result<Finding, String> {
        let ctx = (self.context)();
        let steps = self.parse(&ctx)?.steps.len();
        let module = (self.load)(&ctx)?;
        let inputs = self.oracle.arguments(&ctx, &module)?;
        let run = |module: &Module| self.oracle.run(&ctx, module, &inputs);
        let expected = run(&module).map_err(|e| format!("the function cannot be run as it is: {e}"))?;
        // One module goes through all steps; only the step that is found is done again.
        let (mut module, pipeline) = (module, self.parse(&ctx)?);
        for (i, step) in pipeline.steps.into_iter().enumerate() {
            debug_assert!(i < steps);
            let pass = step.to_string();
            let one = Pipeline { steps: vec![step] };
            let done = one.run(&ctx, Some(self.registry), &mut module, &RunOptions::default(), &mut ());
            let found = done.map_err(|e| said(&e.diagnostics)).and_then(|_| run(&module));
            if let Some(difference) = self.verdict(&found, &expected) {
                let culprit = self.rule(i, &inputs, &expected)?;
                return Ok(Finding::Changed { step: i, pass, difference, culprit });
            }
        }
        Ok(Finding::Nothing)
    }

    fn parse(&self, ctx: &Context) -> Result<Pipeline, String> {
        Pipeline::parse(ctx, self.registry, self.pipeline).map_err(|found| said(&found))
    }

    fn verdict(&self, found: &Result<Vec<Value>, String>, expected: &[Value]) -> Option<String> {
        match found {
            Ok(found) => self.oracle.difference(found, expected),
            Err(why) => Some(why.clone()),
        }
    }

    /// Does everything up to a step, with so many applications of rules in the step itself. Answers whether the result is
    /// another one, how many applications there were, and the last that was let through.
    fn limited(
        &self,
        step: usize,
        limit: Option<u64>,
        inputs: &[Value],
        expected: &[Value],
    ) -> Result<(bool, u64, Last), String> {
        let ctx = (self.context)();
        let mut module = (self.load)(&ctx)?;
        let mut pipeline = self.parse(&ctx)?;
        pipeline.steps.truncate(step + 1);
        let last = pipeline.steps.pop();
        let before = pipeline.run(&ctx, None, &mut module, &RunOptions::default(), &mut ());
        before.map_err(|e| said(&e.diagnostics))?;
        let seen: Last = Arc::default();
        let heard = Arc::clone(&seen);
        let listener = move |event: &nim_pass::RuleEvent<'_>| {
            if event.outcome == Outcome::Fired {
                let place = nim_text::place_of(event.ctx, event.loc);
                *heard.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((event.rule.to_string(), event.op.to_string(), place));
            }
        };
        let settings = RuleSettings { limit, listener: Some(Box::new(listener)), ..RuleSettings::default() };
        let control = Arc::new(RuleControl::new(settings));
        let options = RunOptions { rules: Some(Arc::clone(&control)), ..RunOptions::default() };
        let one = Pipeline { steps: last.into_iter().collect() };
        let done = one.run(&ctx, None, &mut module, &options, &mut ());
        let found = done.map_err(|e| said(&e.diagnostics)).and_then(|_| self.oracle.run(&ctx, &module, inputs));
        Ok((self.verdict(&found, expected).is_some(), control.total(), seen))
    }

    fn rule(&self, step: usize, inputs: &[Value], expected: &[Value]) -> Result<Option<Culprit>, String> {
        let (wrong, total, _) = self.limited(step, None, inputs, expected)?;
        let alone = self.limited(step, Some(0), inputs, expected)?.0;
        if !wrong || total == 0 || alone {
            return Ok(None);
        }
        // `good` applications leave the result as it is, `bad` change it.
        let (mut good, mut bad) = (0, total);
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            match self.limited(step, Some(middle), inputs, expected)?.0 {
                true => bad = middle,
                false => good = middle,
            }
        }
        let (_, _, last) = self.limited(step, Some(bad), inputs, expected)?;
        let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(last.map(|(rule, op, place)| Culprit { rule, op, place, number: bad }))
    }
}

/// Diagnostics in one line.
fn said(found: &[Diagnostic]) -> String {
    let errors = found.iter().filter(|d| d.is_error());
    errors.map(|d| format!("{}: {}", d.code, d.message)).collect::<Vec<_>>().join("; ")
}

/// The finding in words, and whether all is well.
pub fn tell(finding: &Finding) -> (String, bool) {
    match finding {
        Finding::Nothing => ("no step changes a result\n".into(), true),
        Finding::Changed { step, pass, difference, culprit } => {
            let mut text = format!("step {}, `{pass}`, changes a result: {difference}\n", step + 1);
            text += &match culprit {
                Some(Culprit { rule, op, place, number }) => {
                    format!(
                        "{place}: the rule `{rule}` on `{op}`, application {number} of the step; \
                             `--disable-rewrite={rule}` leaves it out\n"
                    )
                }
                None => "none of its rewrite rules alone is to blame\n".into(),
            };
            (text, false)
        }
    }
}
