//! Diagnostics as data: a code, a severity, a message, labelled places, notes and a hint. Rendering is elsewhere.

use crate::Loc;

/// How bad it is.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs)]
pub enum Severity {
    Note,
    Warning,
    Error,
}

/// A place and what is to be said about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// Where.
    pub loc: Loc,
    /// What; may be empty.
    pub message: String,
}

/// One finding.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub struct Diagnostic {
    /// `N0123`; what each code means stands in the documentation.
    pub code: &'static str,
    /// How bad.
    pub severity: Severity,
    /// One sentence without a full stop.
    pub message: String,
    /// The main place first.
    pub labels: Vec<Label>,
    /// Facts that help to understand.
    pub notes: Vec<String>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: &'static str, loc: Loc, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            code,
            severity: Severity::Error,
            message: message.into(),
            labels: vec![Label { loc, message: String::new() }],
            notes: vec![],
            help: None,
        }
    }
    /// A warning at a place.
    pub fn warning(code: &'static str, loc: Loc, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, loc, message) }
    }
    /// Adds a further place.
    pub fn label(mut self, loc: Loc, message: impl Into<String>) -> Diagnostic {
        self.labels.push(Label { loc, message: message.into() });
        self
    }
    /// Says something about the main place.
    pub fn here(mut self, message: impl Into<String>) -> Diagnostic {
        if let Some(label) = self.labels.first_mut() {
            label.message = message.into();
        }
        self
    }
    /// Adds a fact.
    pub fn note(mut self, note: impl Into<String>) -> Diagnostic {
        self.notes.push(note.into());
        self
    }
    /// Says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
    /// True for errors.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// What a code of diagnostics means: an entry of the table of the crate that gives it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Code {
    /// `N0123`
    pub code: &'static str,
    /// A few words.
    pub title: &'static str,
    /// A paragraph: what it means, why it is so, and what to do (Markdown).
    pub explanation: &'static str,
    /// What gives it, in a few words, where no text of the test-suite can show it: of ONNX models, and of faults.
    pub example: Option<&'static str>,
}

/// Makes `CODES`, a crate's table of codes in ascending order: code, title, explanation and perhaps an example.
#[macro_export]
macro_rules! codes {
    ($($code:literal, $title:literal, $explanation:literal $(, $example:literal)?;)*) => {
        /// The codes of this crate's diagnostics in ascending order.
        pub const CODES: &[$crate::diagnostics::Code] = &[$($crate::diagnostics::Code {
            code: $code,
            title: $title,
            explanation: $explanation,
            example: [$(Some($example),)? None][0],
        }),*];
    };
}

/// Names that [`did_you_mean`] looks at: of more than these, in a text that was not typed by hand, none is a likely one.
const MOST_CANDIDATES: usize = 2000;

/// The name in `candidates` that `name` was most likely meant to be.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .take(MOST_CANDIDATES)
        .filter(|c| name.len().abs_diff(c.len()) <= 1 + name.len().min(c.len()) / 4)
        .map(|c| (strsim::osa_distance(name, c), c))
        .filter(|(distance, c)| *distance <= 1 + name.len().min(c.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}
