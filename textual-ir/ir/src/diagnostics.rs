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

/// Names that [`did_you_mean`] looks at, and those that it compares letter by letter: a text may have a million names, and as
/// many mistakes.
const MOST_NAMES: usize = 100_000;
const MOST_COMPARED: usize = 2000;

/// The name in `candidates` that `name` was most likely meant to be. Of very many it compares the first thousand, and of the
/// others those that begin or end as `name` does.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near_length = |c: &&str| name.len().abs_diff(c.len()) <= 1 + name.len().min(c.len()) / 4;
    let ends = |text: &str| (text.bytes().next(), text.bytes().next_back());
    let (first, last) = ends(name);
    let alike = |c: &str| ends(c).0 == first || ends(c).1 == last;
    let candidates = candidates.into_iter().take(MOST_NAMES).filter(near_length).enumerate();
    candidates
        .filter(|(i, c)| *i < MOST_COMPARED / 2 || alike(c))
        .take(MOST_COMPARED)
        .map(|(_, c)| (strsim::osa_distance(name, c), c))
        .filter(|(distance, c)| *distance <= 1 + name.len().min(c.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::did_you_mean;

    #[test]
    fn one_of_many_names_is_meant() {
        let mut names: Vec<String> = (0..50_000).map(|i| format!("value_{i}")).collect();
        names[40_000] = "attention_mask".into();
        let meant = |name: &str| did_you_mean(name, names.iter().map(String::as_str)).map(str::to_owned);
        assert_eq!(meant("atention_mask").as_deref(), Some("attention_mask"));
        assert_eq!(meant("bttention_mask").as_deref(), Some("attention_mask"));
        assert_eq!(meant("hidden_states"), None);
    }
}
