//! What is to stay true of a module and a pipeline.

use nim_ir::{Context, Diagnostic, DialectDef, Module, verifier::verify_module};
use nim_opt::oracle::Oracle;
use nim_pass::{Pipeline, Registry, RunOptions};
use nim_text::{ParseOptions, parse_module};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// What is reduced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// The module as text.
    pub module: String,
    /// Steps of the pipeline, each as a pipeline of its own.
    pub steps: Vec<String>,
}

impl Case {
    /// The steps as one pipeline.
    pub fn pipeline(&self) -> String {
        self.steps.join(",")
    }
}

/// What is to stay true.
pub enum Keep {
    /// Reading, verifying or the passes report an error or a warning of this code.
    Error(String),
    /// A pass panics.
    Panic,
    /// The passes change what a function computes.
    Mismatch(Oracle),
    /// A command succeeds; the name of a file with the module is its last argument.
    Command {
        /// Program and arguments.
        words: Vec<String>,
        /// The file.
        file: PathBuf,
    },
}

/// The passes and dialects that are known.
pub struct Known<'a> {
    /// Passes by name.
    pub registry: &'a Registry,
    /// Dialects.
    pub dialects: &'a [&'static DialectDef],
}

impl Known<'_> {
    /// A context without a module.
    pub fn context(&self) -> Context {
        Context::new(self.dialects)
    }
    /// A module from its text; nothing when the text is none.
    pub fn parse(&self, ctx: &Context, text: &str) -> Option<Module> {
        let (module, found) = read(ctx, text);
        (!found.iter().any(Diagnostic::is_error)).then_some(module)
    }
    /// Whether it is true of a case.
    pub fn holds(&self, keep: &Keep, case: &Case) -> bool {
        match keep {
            Keep::Error(code) => self.codes(case).iter().any(|c| c == code),
            Keep::Panic => self.codes(case).contains(&PANIC),
            Keep::Mismatch(oracle) => self.mismatch(oracle, case).unwrap_or(false),
            Keep::Command { words, file } => {
                let (Some((program, arguments)), Ok(())) = (words.split_first(), std::fs::write(file, &case.module))
                else {
                    return false;
                };
                let mut command = Command::new(program);
                command.args(arguments).arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                command.status().is_ok_and(|status| status.success())
            }
        }
    }

    /// The codes of everything that is found on the way.
    fn codes(&self, case: &Case) -> Vec<&'static str> {
        let ctx = self.context();
        let (mut module, mut found) = read(&ctx, &case.module);
        if !found.iter().any(Diagnostic::is_error) {
            match Pipeline::parse(&ctx, self.registry, &case.pipeline()) {
                // Without passes the module is verified as it is.
                Ok(pipeline) if pipeline.is_empty() => found.extend(verify_module(&ctx, &module)),
                Ok(pipeline) => {
                    match pipeline.run(&ctx, Some(self.registry), &mut module, &RunOptions::default(), &mut ()) {
                        Ok(report) => found.extend(report.diagnostics().cloned()),
                        Err(error) => {
                            found.extend(error.report.diagnostics().cloned());
                            found.extend(error.diagnostics);
                        }
                    }
                }
                Err(wrong) => found.extend(wrong),
            }
        }
        found.iter().map(|d| d.code).collect()
    }

    fn mismatch(&self, oracle: &Oracle, case: &Case) -> Option<bool> {
        let ctx = self.context();
        let mut module = self.parse(&ctx, &case.module)?;
        if verify_module(&ctx, &module).iter().any(Diagnostic::is_error) {
            return None;
        }
        let inputs = oracle.arguments(&ctx, &module).ok()?;
        let expected = oracle.run(&ctx, &module, &inputs).ok()?;
        let pipeline = Pipeline::parse(&ctx, self.registry, &case.pipeline()).ok()?;
        pipeline.run(&ctx, Some(self.registry), &mut module, &RunOptions::default(), &mut ()).ok()?;
        let found = oracle.run(&ctx, &module, &inputs).ok()?;
        Some(oracle.difference(&found, &expected).is_some())
    }
}

/// The code of a pass that panics.
const PANIC: &str = nim_pass::PANIC;

fn read(ctx: &Context, text: &str) -> (Module, Vec<Diagnostic>) {
    let source = ctx.add_source("<reduced>", text);
    parse_module(ctx, source, &ParseOptions { allow_unregistered: true, ..ParseOptions::default() })
}
