//! Options of a pass as the pipeline's text gives them: `{size=4 fast=true order=0,2,1}`.

use nim_ir::diagnostics::did_you_mean;
use std::str::FromStr;

/// An option that a pass cannot use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OptionError {
    /// Which option.
    pub name: String,
    /// What is wrong with its value.
    pub message: String,
}

/// One option as written.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub name: String,
    /// `true` when nothing stands behind the name.
    pub value: String,
    /// Bytes of the pipeline's text.
    pub span: std::ops::Range<usize>,
    pub used: bool,
}

/// Options as written, to be asked for by name.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) given: Vec<Given>,
    /// Text in parentheses behind the name, for passes that take another language: `mlir(cse,canonicalize)`.
    pub(crate) argument: Option<String>,
    pub(crate) argument_used: bool,
    pub(crate) complaints: Vec<Complaint>,
}

/// What is wrong with the text in parentheses.
#[derive(Clone, Debug)]
pub(crate) struct Complaint {
    /// Bytes of that text.
    pub range: std::ops::Range<usize>,
    pub message: String,
    pub help: Option<String>,
}

impl Options {
    fn take(&mut self, name: &str) -> Option<&str> {
        let given = self.given.iter_mut().find(|g| g.name == name)?;
        given.used = true;
        Some(&given.value)
    }

    /// A number, or anything that can be read from text.
    ///
    /// # Errors
    /// The text is no such thing.
    pub fn parsed<T: FromStr>(&mut self, name: &str, default: T) -> Result<T, OptionError> {
        match self.take(name) {
            None => Ok(default),
            Some(text) => {
                let message = format!("`{text}` is no {}", short_type_name::<T>());
                text.parse().map_err(|_| OptionError { name: name.into(), message })
            }
        }
    }
    /// An integer.
    ///
    /// # Errors
    /// The text is none.
    pub fn int(&mut self, name: &str, default: i64) -> Result<i64, OptionError> {
        self.parsed(name, default)
    }
    /// A truth value; the name alone means true.
    ///
    /// # Errors
    /// The text is neither `true` nor `false`.
    pub fn bool(&mut self, name: &str, default: bool) -> Result<bool, OptionError> {
        match self.take(name) {
            None => Ok(default),
            Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(text) => {
                Err(OptionError { name: name.into(), message: format!("`{text}` is neither true nor false") })
            }
        }
    }
    /// A text.
    pub fn string(&mut self, name: &str, default: &str) -> String {
        self.take(name).unwrap_or(default).to_string()
    }
    /// One of several words.
    ///
    /// # Errors
    /// The text is none of them.
    pub fn choice(&mut self, name: &str, default: &str, words: &[&str]) -> Result<String, OptionError> {
        let text = self.string(name, default);
        match words.contains(&text.as_str()) {
            true => Ok(text),
            false => {
                let near = did_you_mean(&text, words.iter().copied());
                let hint = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                let message = format!("`{text}` is none of {}{hint}", words.join(", "));
                Err(OptionError { name: name.into(), message })
            }
        }
    }
    /// Integers separated by commas.
    ///
    /// # Errors
    /// One of them is none.
    pub fn ints(&mut self, name: &str, default: &[i64]) -> Result<Vec<i64>, OptionError> {
        match self.take(name) {
            None => Ok(default.to_vec()),
            Some("") => Ok(vec![]),
            Some(text) => text
                .split(',')
                .map(|n| n.trim().parse())
                .collect::<Result<_, _>>()
                .map_err(|_| OptionError { name: name.into(), message: format!("`{text}` is no list of integers") }),
        }
    }
    /// Words separated by commas.
    pub fn strings(&mut self, name: &str) -> Vec<String> {
        match self.take(name) {
            None | Some("") => vec![],
            Some(text) => text.split(',').map(|w| w.trim().to_string()).collect(),
        }
    }
    /// The text in parentheses behind the name.
    pub fn argument(&mut self) -> Option<String> {
        self.argument_used = true;
        self.argument.clone()
    }
    /// Says what is wrong with the text in parentheses, at these bytes of it. The pipeline is not run then.
    pub fn complain(&mut self, range: std::ops::Range<usize>, message: String, help: Option<String>) {
        self.complaints.push(Complaint { range, message, help });
    }
}

fn short_type_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    match name {
        "i64" | "i32" | "i128" | "isize" => "integer",
        "u64" | "u32" | "usize" => "integer of at least 0",
        "f32" | "f64" => "number",
        "bool" => "truth value (`true` or `false`)",
        _ => name.rsplit("::").next().unwrap_or(name),
    }
}
