//! What went wrong with a model, and at which stage.

use crate::terminal;
use nim_ir::{Context, Diagnostic};
use nim_onnx::OnnxError;
use nim_text::RenderOptions;
use std::fmt;

/// Where on its way a model failed.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)]
pub enum Stage {
    Load,
    Import,
    Verify,
    Lower,
    Compile,
    Input,
    Run,
    Compare,
    Panic,
}

impl Stage {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Load => "load",
            Stage::Import => "import",
            Stage::Verify => "verify",
            Stage::Lower => "lower",
            Stage::Compile => "compile",
            Stage::Input => "input",
            Stage::Run => "run",
            Stage::Compare => "compare",
            Stage::Panic => "panic",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a tool could not do what it was asked to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// At which stage.
    pub stage: Stage,
    /// What, in one line.
    pub message: String,
    /// Diagnostics in full, with the lines of source they are about; empty when the message is all there is.
    pub details: String,
}

impl Failure {
    /// A failure that one line describes.
    pub fn new(stage: Stage, message: impl Into<String>) -> Failure {
        Failure { stage, message: message.into(), details: String::new() }
    }

    /// A failure made of diagnostics, of which there should be at least one.
    pub fn diagnostics(stage: Stage, ctx: &Context, found: &[Diagnostic]) -> Failure {
        let first = found.iter().find(|d| d.is_error()).or(found.first());
        let message = match first {
            Some(d) => {
                let node = d.labels.iter().find_map(|l| ctx.loc_name(l.loc));
                let place = node.map_or(String::new(), |n| format!(" (node {n:?})"));
                let more = found.len().saturating_sub(1);
                let rest = if more == 0 { String::new() } else { format!(", and {more} more") };
                format!("{}{place}{rest}", d.message)
            }
            None => "failed without a reason".into(),
        };
        let details = nim_text::render_all(ctx, found, &RenderOptions { color: terminal::color() });
        Failure { stage, message, details }
    }

    /// As the user reads it.
    pub fn render(&self, tool: &str) -> String {
        if self.details.is_empty() { format!("{tool}: error: {}\n", self.message) } else { self.details.clone() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.message)
    }
}

impl std::error::Error for Failure {}

impl From<OnnxError> for Failure {
    fn from(error: OnnxError) -> Failure {
        Failure::new(Stage::Load, error.to_string())
    }
}
