//! Printing modules around passes: all of it, only what changed, or into a folder of numbered files.

use crate::{cli::Config, diff::diff};
use nim_ir::{Context, Module};
use nim_pass::Hooks;
use nim_text::{PrintOptions, print_module};
use std::path::PathBuf;

/// Which passes a module is printed before or after.
#[derive(Clone, Default)]
pub struct Which {
    /// All of them.
    pub all: bool,
    /// Those of these names.
    pub names: Vec<String>,
}

impl Which {
    fn has(&self, step: &str) -> bool {
        let name = step.split(['{', '(']).next().unwrap_or(step);
        self.all || self.names.iter().any(|n| n == name)
    }
}

/// What is printed, and how.
#[derive(Clone, Default)]
pub struct Dumps {
    /// Before these passes.
    pub before: Which,
    /// After these passes.
    pub after: Which,
    /// After a pass only if it changed the module.
    pub on_change: bool,
    /// After a pass that failed.
    pub on_failure: bool,
    /// What changed instead of all of it.
    pub as_diff: bool,
    /// Files of this folder instead of the standard error stream.
    pub folder: Option<PathBuf>,
}

/// Prints modules around passes.
pub struct Printer<'a> {
    ctx: &'a Context,
    config: &'a Config,
    options: PrintOptions,
    /// The module before the pass, where that is of interest.
    before: Option<String>,
    count: usize,
    /// What could not be written.
    pub problem: Option<String>,
}

impl<'a> Printer<'a> {
    /// A printer for one pipeline.
    pub fn new(ctx: &'a Context, config: &'a Config, options: PrintOptions) -> Printer<'a> {
        Printer { ctx, config, options, before: None, count: 0, problem: None }
    }

    fn text(&self, module: &Module) -> String {
        print_module(self.ctx, module, &self.options)
    }

    fn show(&mut self, when: &str, step: &str, text: &str) {
        let name = step.split(['{', '(']).next().unwrap_or(step);
        let Some(folder) = &self.config.dumps.folder else {
            crate::say(&format!("// -----// IR Dump {when} {step} //----- //\n{text}\n"));
            return;
        };
        let kind = if self.config.dumps.as_diff { "diff" } else { "nir" };
        let file = folder.join(format!("{}_{}_{name}.{kind}", self.count, when.to_lowercase().replace(' ', "_")));
        let written = std::fs::create_dir_all(folder).and_then(|()| nim_files::write(&file, text.as_bytes()));
        if let Err(error) = written {
            self.problem.get_or_insert(format!("cannot write `{}`: {error}", file.display()));
        }
    }
}

impl Hooks for Printer<'_> {
    fn before(&mut self, step: &str, module: &Module) {
        let dumps = &self.config.dumps;
        if dumps.before.has(step) {
            let text = self.text(module);
            self.show("Before", step, &text);
        }
        let compared = (dumps.on_change || dumps.as_diff) && dumps.after.has(step);
        self.before = compared.then(|| self.text(module));
    }
    fn after(&mut self, step: &str, module: &Module) {
        let dumps = &self.config.dumps;
        if dumps.after.has(step) {
            let text = self.text(module);
            match self.before.take() {
                Some(before) if dumps.on_change && before == text => {}
                Some(before) if dumps.as_diff => self.show("After", step, &diff(&before, &text)),
                _ => self.show("After", step, &text),
            }
        }
        self.count += 1;
    }
    fn failed(&mut self, step: &str, module: &Module) {
        let dumps = &self.config.dumps;
        if dumps.on_failure || dumps.after.has(step) {
            let text = self.text(module);
            self.show("After Failed", step, &text);
        }
    }
}
