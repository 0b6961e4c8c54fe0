//! Modules made ready to run by one of the back ends.

use crate::{Failure, Interface, Stage, source::verified};
use clap::ValueEnum;
use nim_ir::{Context, Module};
use nim_tensor::Value;
use std::fmt;

/// What runs a model.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, ValueEnum)]
pub enum Backend {
    /// The reference interpreter, on the module as it is.
    Interp,
    /// The reference interpreter, after graph-to-dataflow.
    Dataflow,
}

impl Backend {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Interp => "interp",
            Backend::Dataflow => "dataflow",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A model that can be run any number of times.
pub struct Engine {
    interface: Interface,
    runner: Runner,
}

enum Runner {
    Interpreter { ctx: Context, module: Module },
}

impl Engine {
    /// Makes a module ready for a back end. The function `@main` is the model.
    ///
    /// # Errors
    /// What the back end cannot lower or compile.
    pub fn new(ctx: Context, mut module: Module, backend: Backend) -> Result<Engine, Failure> {
        let interface = Interface::of_function(&ctx, &module, "main")?;
        let runner = match backend {
            Backend::Interp => Runner::Interpreter { ctx, module },
            Backend::Dataflow => {
                let found = nim_graph_passes::graph_to_dataflow(&ctx, &mut module);
                if found.iter().any(nim_ir::Diagnostic::is_error) {
                    return Err(Failure::diagnostics(Stage::Lower, &ctx, &found));
                }
                verified(&ctx, &module)?;
                Runner::Interpreter { ctx, module }
            }
        };
        Ok(Engine { interface, runner })
    }

    /// What the model takes and gives.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// Runs the model on inputs in order.
    ///
    /// # Errors
    /// Inputs that do not fit, and whatever goes wrong on the way.
    pub fn run(&mut self, inputs: &[Value]) -> Result<Vec<Value>, Failure> {
        self.interface.check(inputs)?;
        match &self.runner {
            Runner::Interpreter { ctx, module } => nim_interp::exec::run(ctx, module, "main", inputs)
                .map_err(|d| Failure::diagnostics(Stage::Run, ctx, &[d])),
        }
    }
}
