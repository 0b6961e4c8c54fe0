//! `--verify-diagnostics`: comments in a text that say which diagnostics it must give.
//!
//! ```text
//! // expected-error@+1 {{part of the message}}
//! ```
//! Kinds are `error`, `warning`, `note`; behind `error-re` and its like what stands in `{{ }}` within the text is a regular expression:
//! `expected-error-re {{expected {{[0-9]+}} operands}}`. Places `@+N`, `@-N`, `@above`, `@below`, `@N`, `@unknown`, or none for the line itself. `@above` and
//! `@below` are the nearest lines that are more than such a comment. The text must be part of `CODE message`, where the message is followed by what is said at its place. Notes stand where their label is; notes
//! and helps without a place count for the line of their diagnostic, and need not be expected.

mod bless;

pub use bless::bless;

use nim_ir::{Context, Diagnostic, Loc, Severity};
use regex::{Regex, RegexBuilder};
use std::collections::BTreeMap;

/// One comment.
struct Expectation {
    severity: Severity,
    /// Line, counted from 1; `None` for a diagnostic without place.
    line: Option<usize>,
    text: String,
    /// Of `expected-error-re`.
    pattern: Option<Regex>,
    /// The comment's own line.
    written: usize,
    /// How many such comments stand before it in that line.
    nth: usize,
}

impl Expectation {
    fn is(&self, said: &Said) -> bool {
        self.severity == said.severity && self.line == said.line
    }
    fn fits(&self, said: &Said) -> bool {
        let Some(pattern) = &self.pattern else { return self.is(said) && said.text.contains(&self.text) };
        // `^` is where the message begins, for those who do not know of codes, and `$` where it ends.
        let message = said.short.split_once(' ').filter(|(code, _)| code.starts_with('N') && code.len() == 5);
        let message = message.map_or(said.short.as_str(), |(_, message)| message);
        self.is(said) && [said.text.as_str(), &said.short, message].iter().any(|text| pattern.is_match(text))
    }
}

/// One thing that was said.
pub struct Said {
    severity: Severity,
    line: Option<usize>,
    text: String,
    /// What a comment is to say of it: code and message.
    short: String,
    must_be_expected: bool,
}

/// Compares; tells what is missing and, unless that may be, what is too much, one message a line.
pub fn compare(ctx: &Context, text: &str, found: &[Diagnostic], others_may_be: bool) -> Vec<String> {
    let (expected, mut problems) = read(text);
    let mut said: Vec<Option<Said>> = found.iter().flat_map(|d| sayings(ctx, text, d)).map(Some).collect();
    for e in &expected {
        match said.iter_mut().find(|s| s.as_ref().is_some_and(|s| e.fits(s))) {
            Some(slot) => *slot = None,
            None => problems.push(format!(
                "line {}: expected {} `{}` {} was not given",
                e.written,
                name(e.severity),
                e.text,
                place(e.line)
            )),
        }
    }
    for s in said.into_iter().flatten().filter(|s| s.must_be_expected && !others_may_be) {
        problems.push(format!("unexpected {} {}: {}", name(s.severity), place(s.line), s.text));
    }
    problems
}

fn name(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn place(line: Option<usize>) -> String {
    line.map_or("without a place".into(), |l| format!("at line {l}"))
}

fn read(text: &str) -> (Vec<Expectation>, Vec<String>) {
    let (mut expected, mut problems) = (vec![], vec![]);
    // The last line that is more than such a comment, and what is expected of the next one.
    let (mut above, mut below): (usize, Vec<usize>) = (0, vec![]);
    for (i, line) in text.lines().enumerate() {
        let written = i + 1;
        let comment = line.split_once("//").map_or("", |(_, comment)| comment);
        let is_comment = comment.contains("expected-") && bless::only_expects(line);
        if !is_comment {
            for at in below.drain(..) {
                let e: &mut Expectation = &mut expected[at];
                e.line = Some(written);
            }
        }
        let mut rest = comment;
        for nth in 0.. {
            let Some(comment) = Comment::next(rest) else { break };
            let Comment { severity, word, is_pattern, place, text, rest: behind } = match comment {
                Ok(comment) => comment,
                Err(wrong) => {
                    problems.push(format!("line {written}: {wrong}"));
                    break;
                }
            };
            rest = behind;
            let pattern = match is_pattern.then(|| pattern(text)).transpose() {
                Ok(pattern) => pattern,
                Err(wrong) => {
                    problems.push(format!("line {written}: `{word}` wants a regular expression: {wrong}"));
                    continue;
                }
            };
            if is_comment && place == "@below" {
                below.push(expected.len());
            }
            match line_of(place, written, above) {
                Some(line) => {
                    expected.push(Expectation { severity, line, text: text.to_string(), pattern, written, nth });
                }
                None => problems.push(format!("line {written}: `{place}` is no place")),
            }
        }
        if !is_comment {
            above = written;
        }
    }
    (expected, problems)
}

/// `expected-error-re@+1 {{text}}`, and what is around it.
struct Comment<'t> {
    severity: Severity,
    /// `expected-error-re`
    word: &'t str,
    is_pattern: bool,
    place: &'t str,
    text: &'t str,
    rest: &'t str,
}

impl<'t> Comment<'t> {
    /// The first one of a text.
    fn next(text: &'t str) -> Option<Result<Comment<'t>, String>> {
        const KINDS: [(&str, Severity); 3] =
            [("error", Severity::Error), ("warning", Severity::Warning), ("note", Severity::Note)];
        let (start, kind, severity) = text.match_indices("expected-").find_map(|(at, word)| {
            let behind = &text[at + word.len()..];
            KINDS.into_iter().find(|(kind, _)| behind.starts_with(kind)).map(|(kind, s)| (at, kind, s))
        })?;
        let end = start + "expected-".len() + kind.len();
        let is_pattern = text[end..].starts_with("-re");
        let (word, behind) = text[start..].split_at(end - start + if is_pattern { "-re".len() } else { 0 });
        let Some((place, behind)) = behind.split_once("{{") else {
            return Some(Err(format!("expected `{{{{text}}}}` behind `{word}`")));
        };
        let Some(close) = closing(behind, is_pattern) else { return Some(Err("`{{` is not closed".into())) };
        let (text, rest) = (&behind[..close], &behind[close + "}}".len()..]);
        Some(Ok(Comment { severity, word, is_pattern, place: place.trim(), text, rest }))
    }
}

/// Where the braces close that stand before a text; with `is_pattern` there are others in it.
fn closing(text: &str, is_pattern: bool) -> Option<usize> {
    let mut from = 0;
    loop {
        let close = from + text[from..].find("}}")?;
        match text[from..close].find("{{").filter(|_| is_pattern) {
            Some(_) => from = close + "}}".len(),
            None => return Some(close),
        }
    }
}

/// A text with regular expressions in `{{ }}`; the rest stands for itself.
fn pattern(text: &str) -> Result<Regex, String> {
    let (mut all, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once("{{") {
        let (inside, behind) = behind.split_once("}}").ok_or("`{{` is not closed")?;
        all += &format!("{}(?:{inside})", regex::escape(before));
        rest = behind;
    }
    all += &regex::escape(rest);
    RegexBuilder::new(&all).dot_matches_new_line(true).build().map_err(|e| match e.to_string().lines().last() {
        Some(last) => last.trim_start_matches("error: ").to_string(),
        None => "it is malformed".to_string(),
    })
}

/// The line that `@+1`, `@above`, ... means, where `above` is the last one that is more than a comment; the inner `None` is
/// "without a place".
fn line_of(place: &str, written: usize, above: usize) -> Option<Option<usize>> {
    if place.is_empty() {
        return Some(Some(written));
    }
    let line = match place.strip_prefix('@')? {
        "above" => above,
        "below" => written + 1,
        "unknown" => return Some(None),
        n if n.starts_with('+') => written + n[1..].parse::<usize>().ok()?,
        n if n.starts_with('-') => written.checked_sub(n[1..].parse().ok()?)?,
        n => n.parse().ok()?,
    };
    Some(Some(line))
}

fn line(ctx: &Context, text: &str, loc: Loc) -> Option<usize> {
    let (source, range) = ctx.loc_span(loc)?;
    // Other texts, such as the pipeline, have no lines in this one.
    (ctx.source(source).text == text).then(|| text[..range.start.min(text.len())].matches('\n').count() + 1)
}

/// What a diagnostic says, place by place.
pub fn sayings(ctx: &Context, text: &str, diagnostic: &Diagnostic) -> Vec<Said> {
    let mut lines: BTreeMap<usize, Loc> = BTreeMap::new();
    for (i, label) in diagnostic.labels.iter().enumerate() {
        lines.insert(i, label.loc);
    }
    let main = lines.get(&0).and_then(|&loc| line(ctx, text, loc));
    let here = diagnostic.labels.first().map(|l| l.message.as_str()).filter(|m| !m.is_empty());
    let mut said = vec![Said {
        severity: diagnostic.severity,
        line: main,
        text: [diagnostic.code, &diagnostic.message].into_iter().chain(here).collect::<Vec<_>>().join(" "),
        short: format!("{} {}", diagnostic.code, diagnostic.message.lines().next().unwrap_or_default()),
        must_be_expected: diagnostic.severity != Severity::Note,
    }];
    let note = |line, text: &str| Said {
        severity: Severity::Note,
        line,
        text: text.into(),
        short: text.into(),
        must_be_expected: false,
    };
    said.extend(diagnostic.labels.iter().skip(1).map(|l| note(line(ctx, text, l.loc), &l.message)));
    said.extend(diagnostic.notes.iter().chain(&diagnostic.help).map(|n| note(main, n)));
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use nim_ir::LocData;

    fn problems(text: &str, codes: &[(usize, &'static str)]) -> Vec<String> {
        let ctx = Context::new(&[]);
        let source = ctx.add_source("test", text);
        let found: Vec<Diagnostic> = codes
            .iter()
            .map(|&(line, message)| {
                let start = text.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>() as u32;
                Diagnostic::error("N0001", ctx.loc(LocData::Span { source, start, end: start + 1 }), message)
            })
            .collect();
        compare(&ctx, text, &found, false)
    }

    #[test]
    fn places() {
        let text =
            "// expected-error@+1 {{bad}}\nx\ny // expected-error {{worse}} expected-error@above {{N0001 also}}\n";
        assert_eq!(problems(text, &[(2, "bad thing"), (3, "much worse"), (2, "also bad")]), Vec::<String>::new());
    }

    #[test]
    fn regular_expressions() {
        let text = "x // expected-error-re {{bad {{[0-9]+}} (or {{a|b}})}} expected-error-re {{{{^}}plain{{$}}}}\n";
        assert_eq!(problems(text, &[(1, "a bad 42 (or b) thing"), (1, "plain")]), Vec::<String>::new());
        assert_eq!(problems(text, &[(1, "bad x (or b)"), (1, "plain too")]).len(), 4);
        assert_eq!(
            problems("x // expected-error-re {{a {{(}} b}}\n", &[]),
            ["line 1: `expected-error-re` wants a regular expression: unclosed group"]
        );
        assert_eq!(problems("x // expected-error-re {{a {{b}}\n", &[]), ["line 1: `{{` is not closed"]);
        // What fits stays a pattern, what does not becomes a plain text.
        let text = "x // expected-error-re {{bad {{[0-9]+}}}}\ny // expected-error-re@-1 {{{{x}}}}\n";
        assert_eq!(
            blessed(text, &[(1, "bad 42"), (1, "new")]),
            "x // expected-error-re {{bad {{[0-9]+}}}}\ny // expected-error@-1 {{N0001 new}}\n"
        );
    }

    #[test]
    fn above_and_below_pass_over_lines_that_expect_something() {
        let text = "// expected-error@below {{a}}\n// expected-error@below {{b}}\nx\n// expected-error@above {{c}}\n\
                    // expected-error@above {{d}}\n";
        assert_eq!(problems(text, &[(3, "a"), (3, "b"), (3, "c"), (3, "d")]), Vec::<String>::new());
    }

    #[test]
    fn what_is_missing_and_what_is_too_much() {
        let found = problems("x // expected-error {{one}}\ny\n", &[(2, "two")]);
        assert_eq!(
            found,
            ["line 1: expected error `one` at line 1 was not given", "unexpected error at line 2: N0001 two",]
        );
        assert_eq!(problems("// expected-error@x {{y}}", &[]), ["line 1: `@x` is no place"]);
    }

    /// What is said of a text with these codes on these lines, as the text is blessed.
    fn blessed(text: &str, said: &[(usize, &str)]) -> String {
        let said = said.iter().map(|&(line, message)| Said {
            severity: Severity::Error,
            line: Some(line),
            text: format!("N0001 {message}, and more"),
            short: format!("N0001 {message}"),
            must_be_expected: true,
        });
        bless(text, said.collect())
    }

    #[test]
    fn blessing_changes_only_what_is_wrong() {
        let text = "a\n// expected-error@+1 {{good}}\nb\n  // expected-error@+1 {{old}}\n  c\nd // expected-error {{gone}}\ne\n// expected-error@-1 {{e}}\n";
        assert_eq!(
            blessed(text, &[(3, "good"), (5, "new"), (7, "e"), (7, "f"), (1, "first")]),
            "\
// expected-error@+1 {{N0001 first}}
a
// expected-error@+1 {{good}}
b
  // expected-error@+1 {{N0001 new}}
  c
d
// expected-error@+1 {{N0001 f}}
e
// expected-error@-1 {{e}}
"
        );
        let fine = "a\n// expected-error@below {{x}}\n// expected-error@below {{y}}\nb // expected-error@above {{z}}\n";
        assert_eq!(blessed(fine, &[(4, "x"), (4, "y"), (1, "z")]), fine, "what is right stays");
        // One more line between a comment and what it is about.
        let far = "// expected-error@+2 {{far}}\na\nb\n";
        assert_eq!(
            blessed(far, &[(3, "far"), (3, "near")]),
            "\
// expected-error@+3 {{far}}
a
// expected-error@+1 {{N0001 near}}
b
"
        );
        assert_eq!(blessed("// expected-error@+1 {{x}}\ny\n", &[]), "y\n");
    }
}
