//! What MLIR complains about, as data.

use melior::diagnostic::{Diagnostic, DiagnosticSeverity};
use melior::ir::Location;
use std::fmt;

/// How bad a diagnostic is; MLIR's own four levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The step failed.
    Error,
    /// Suspicious, yet the step went on.
    Warning,
    /// Information a pass offers.
    Remark,
    /// Belongs to the diagnostic that holds it.
    Note,
}

/// One message of MLIR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlirDiagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The message as MLIR words it.
    pub message: String,
    /// The location as MLIR prints it, e.g. `loc("-":3:5)`.
    pub location: String,
    /// Line and column in the text that was parsed, both from 1, when the location leads to one.
    pub position: Option<(usize, usize)>,
    /// The name of the text of `position`.
    pub file: Option<String>,
    /// Messages that explain this one.
    pub notes: Vec<MlirDiagnostic>,
}

impl MlirDiagnostic {
    /// An error that MLIR did not have to find.
    pub(crate) fn own(message: String, position: Option<(usize, usize)>) -> Self {
        let location = "loc(unknown)".to_owned();
        Self { severity: Severity::Error, message, location, position, file: None, notes: Vec::new() }
    }
    pub(crate) fn from_melior(diagnostic: &Diagnostic) -> Self {
        let location = diagnostic.location();
        let (file, position) = position(location, 0).map(|(file, line, column)| (file, (line, column))).unzip();
        Self {
            severity: match diagnostic.severity() {
                DiagnosticSeverity::Error => Severity::Error,
                DiagnosticSeverity::Warning => Severity::Warning,
                DiagnosticSeverity::Remark => Severity::Remark,
                DiagnosticSeverity::Note => Severity::Note,
            },
            message: diagnostic.to_string(),
            location: location.to_string(),
            position,
            file,
            notes: (0..diagnostic.note_count())
                .filter_map(|i| diagnostic.note(i).ok())
                .map(|note| Self::from_melior(&note))
                .collect(),
        }
    }
}

/// Follows names, fusions and calls to the first file position.
fn position(location: Location, depth: usize) -> Option<(String, usize, usize)> {
    // Locations nest as deep as inlining went; past this nobody learns from the position any more.
    if depth > 16 {
        None
    } else if location.is_file_line_col_range() {
        let file = location.file_line_col_range_filename();
        let file = file.as_string_ref().as_str().unwrap_or_default().to_owned();
        Some((file, location.file_line_col_range_start_line(), location.file_line_col_range_start_column()))
    } else if location.is_name() {
        position(location.name_child_location(), depth + 1)
    } else if location.is_call_site() {
        position(location.call_site_callee(), depth + 1)
    } else if location.is_fused() {
        (0..location.fused_num_locations()).find_map(|i| position(location.fused_location(i), depth + 1))
    } else {
        None
    }
}

impl fmt::Display for MlirDiagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{line}:{column}: ")?,
            None if self.location != "loc(unknown)" => write!(f, "{}: ", self.location)?,
            None => {}
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Remark => "remark",
            Severity::Note => "note",
        };
        write!(f, "{severity}: {}", self.message)?;
        for note in &self.notes {
            write!(f, "\n  {note}")?;
        }
        Ok(())
    }
}

/// Which step of the way failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Reading the text.
    Parse,
    /// Reading the text of this pass pipeline.
    Pipeline(String),
    /// Running this pass pipeline.
    Passes(String),
    /// From the `llvm` dialect to an LLVM module.
    Translate,
    /// Printing the module.
    Print,
}

/// A failed step, with all that MLIR said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MlirError {
    /// The step.
    pub stage: Stage,
    /// MLIR's messages, in the order they came. Empty when MLIR failed silently.
    pub diagnostics: Vec<MlirDiagnostic>,
}

impl fmt::Display for MlirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.stage {
            Stage::Parse => write!(f, "MLIR cannot read this text")?,
            Stage::Pipeline(text) => write!(f, "MLIR does not understand the pass pipeline `{text}`")?,
            Stage::Passes(text) => write!(f, "MLIR pass pipeline `{text}` failed")?,
            Stage::Translate => write!(f, "MLIR cannot translate this module to LLVM IR")?,
            Stage::Print => write!(f, "MLIR cannot print this module")?,
        }
        if self.diagnostics.is_empty() {
            return write!(f, ", and said nothing about why");
        }
        self.diagnostics.iter().try_for_each(|d| write!(f, "\n{d}"))
    }
}

impl std::error::Error for MlirError {}
