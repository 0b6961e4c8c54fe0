//! A matcher of `CHECK` lines with the meaning of LLVM's FileCheck, compared against FileCheck-22 in `tests.rs`.
//!
//! There: all directives, `{LITERAL}`, regexes, text and numeric variables, prefixes, implicit nots. Not there: dumping
//! the annotated input (the report shows the lines around the failure instead), and overlapping `-DAG` matches.

pub mod bless;
mod directives;
pub mod ere;
mod matcher;
mod numeric;
mod pattern;
mod report;
#[cfg(test)]
mod tests;

pub use directives::Malformed;
use numeric::Format;
use pattern::Variables;

/// The command line of FileCheck.
#[derive(Clone, Debug)]
pub struct Options {
    /// `--check-prefix`, `--check-prefixes`; `CHECK` where none is given.
    pub prefixes: Vec<String>,
    /// Whether no prefix was given.
    pub default_prefix: bool,
    /// `--comment-prefixes`
    pub comment_prefixes: Vec<String>,
    /// `--implicit-check-not`
    pub implicit_check_not: Vec<String>,
    /// `--allow-empty`
    pub allow_empty: bool,
    /// `--allow-unused-prefixes`
    pub allow_unused_prefixes: bool,
    /// `--strict-whitespace`
    pub strict_whitespace: bool,
    /// `--match-full-lines`
    pub match_full_lines: bool,
    /// `--ignore-case`
    pub ignore_case: bool,
    /// `--enable-var-scope`
    pub enable_var_scope: bool,
    /// `-DNAME=text`
    pub define: Vec<(String, String)>,
    /// `-D#NAME=value`
    pub define_numbers: Vec<(String, i128, Format)>,
    /// The file with the check lines.
    pub check_file: String,
    /// `--input-file`; standard input where none is given.
    pub input_file: Option<String>,
}

impl Options {
    /// Reads a command line, without the program's name.
    pub fn parse(arguments: &[String]) -> Result<Options, String> {
        let mut options = Options {
            prefixes: Vec::new(),
            default_prefix: false,
            comment_prefixes: vec!["COM".into(), "RUN".into()],
            implicit_check_not: Vec::new(),
            allow_empty: false,
            allow_unused_prefixes: false,
            strict_whitespace: false,
            match_full_lines: false,
            ignore_case: false,
            enable_var_scope: false,
            define: Vec::new(),
            define_numbers: Vec::new(),
            check_file: String::new(),
            input_file: None,
        };
        let mut files = Vec::new();
        let mut list = arguments.iter();
        while let Some(argument) = list.next() {
            let Some(option) = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')) else {
                files.push(argument.clone());
                continue;
            };
            if let Some(definition) = option.strip_prefix('D') {
                options.define(definition)?;
                continue;
            }
            let (name, mut value) = option.split_once('=').map_or((option, None), |(n, v)| (n, Some(v.to_owned())));
            let mut text =
                || value.take().or_else(|| list.next().cloned()).ok_or(format!("{argument}: a value is missing"));
            let words = |text: String| text.split(',').map(str::to_owned).collect::<Vec<_>>();
            match name {
                "check-prefix" | "check-prefixes" => options.prefixes.extend(words(text()?)),
                "comment-prefixes" => options.comment_prefixes = words(text()?),
                "implicit-check-not" => options.implicit_check_not.push(text()?),
                "input-file" => options.input_file = Some(text()?),
                // how LLVM's tool shows failures: accepted, so that a RUN line works with either
                "dump-input" | "dump-input-filter" | "dump-input-context" | "color" => drop(text()?),
                "v" | "vv" => {}
                "allow-empty" => options.allow_empty = true,
                "allow-unused-prefixes" => options.allow_unused_prefixes = value.as_deref() != Some("false"),
                "strict-whitespace" => options.strict_whitespace = true,
                "match-full-lines" => options.match_full_lines = true,
                "ignore-case" => options.ignore_case = true,
                "enable-var-scope" => options.enable_var_scope = true,
                _ => return Err(format!("unknown option {argument}")),
            }
        }
        if options.prefixes.is_empty() {
            options.default_prefix = true;
            options.prefixes.push("CHECK".into());
        }
        for prefix in options.prefixes.iter().chain(&options.comment_prefixes) {
            let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if !prefix.starts_with(|c: char| c.is_ascii_alphabetic()) || !prefix.chars().all(fine) {
                return Err(format!(
                    "prefix '{prefix}': a letter first, then letters, digits, hyphens and underscores"
                ));
            }
        }
        match <[String; 1]>::try_from(files) {
            Ok([file]) => options.check_file = file,
            Err(files) => return Err(format!("one check file is wanted, not {}", files.len())),
        }
        Ok(options)
    }

    fn define(&mut self, definition: &str) -> Result<(), String> {
        if let Some(number) = definition.strip_prefix('#') {
            let number = directives::parse_number_definition(number, self)?;
            self.define_numbers.push(number);
            return Ok(());
        }
        let (name, value) = definition.split_once('=').ok_or("missing equal sign in global definition")?;
        let mut rest = name;
        let taken = numeric::take_name(&mut rest)?;
        if !rest.is_empty() || taken.starts_with('@') {
            return Err(format!("invalid name in string variable definition '{name}'"));
        }
        self.define.push((name.to_owned(), value.to_owned()));
        Ok(())
    }
}

/// Why a check did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The check file or the input cannot be used; FileCheck's exit code 2.
    Malformed(Malformed),
    /// Some check failed; FileCheck's exit code 1. The text shows which, where and what stood there instead.
    Failed(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Malformed(Malformed { line: Some(line), message }) => write!(f, "line {line}: {message}"),
            Error::Malformed(Malformed { line: None, message }) => f.write_str(message),
            Error::Failed(report) => f.write_str(report),
        }
    }
}

/// Matches the check lines of `check_text` against `input`.
pub fn check(options: &Options, check_text: &str, input: &[u8]) -> Result<(), Error> {
    let steps = directives::read(check_text, options).map_err(Error::Malformed)?;
    if input.is_empty() && !options.allow_empty {
        let message = "the input is empty (--allow-empty permits that)".into();
        return Err(Error::Malformed(Malformed { line: None, message }));
    }
    let input = canonical(input, options.strict_whitespace);
    let variables = Variables {
        strings: options.define.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect(),
        numbers: options.define_numbers.iter().map(|(name, value, _)| (name.clone(), *value)).collect(),
    };
    let failures = matcher::run(&steps, &input, variables, options.enable_var_scope);
    if failures.is_empty() {
        return Ok(());
    }
    Err(Error::Failed(report::render(&failures, &options.check_file, &input)))
}

/// The directive names that a line of text uses which are none, though they begin like one: `CHECK-NXT:`.
/// FileCheck passes over them in silence, so a test with such a line checks less than it says.
pub fn unknown_directives(text: &str, prefixes: &[String]) -> Vec<(usize, String)> {
    let mut unknown = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let comment = line.trim_start().trim_start_matches(['/', '#', ';']).trim_start();
        let word = &comment[..comment.find(|c| !is_word(c)).unwrap_or(comment.len())];
        let meant =
            prefixes.iter().any(|prefix| word.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('-')));
        let known = ["-NEXT", "-SAME", "-NOT", "-DAG", "-LABEL", "-EMPTY"];
        let is_known = |word: &str| {
            prefixes.iter().any(|prefix| {
                word.strip_prefix(prefix.as_str())
                    .is_some_and(|rest| rest.is_empty() || known.contains(&rest) || rest.starts_with("-COUNT-"))
            })
        };
        let after = &comment[word.len()..];
        if meant && after.trim_start().starts_with(':') && (!is_known(word) || !after.starts_with(':')) {
            unknown.push((number, word.to_owned()));
        }
    }
    unknown
}

/// The text with every run of blanks as one space: how all text is compared unless `--strict-whitespace` says not to.
fn collapse_spaces(text: &str) -> String {
    String::from_utf8_lossy(&canonical(text.as_bytes(), false)).into_owned()
}

fn canonical(text: &[u8], strict: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (i, &byte) in text.iter().enumerate() {
        match byte {
            b'\r' if text.get(i + 1) == Some(&b'\n') => {}
            b' ' | b'\t' if !strict => {
                if !matches!(i.checked_sub(1).map(|before| text[before]), Some(b' ' | b'\t')) {
                    out.push(b' ');
                }
            }
            _ => out.push(byte),
        }
    }
    out
}
