//! What a person reads when a check failed: the check line, the input around the place, and the nearest line as a diff.

use super::matcher::{Failure, Why};
use super::pattern::Miss;
use std::fmt::Write;
use std::ops::Range;

/// Lines shown around a place in the input.
const CONTEXT: usize = 4;
/// How far after the start of the search the nearest line is looked for, in lines.
const NEAR: usize = 400;

/// Renders the failures of one file.
pub fn render(failures: &[Failure<'_>], check_file: &str, input: &[u8]) -> String {
    let input = Input::new(input);
    let mut out = String::new();
    for failure in failures {
        // writing to a String cannot fail
        let _ = one(&mut out, failure, check_file, &input);
    }
    out
}

fn one(out: &mut String, failure: &Failure<'_>, check_file: &str, input: &Input) -> std::fmt::Result {
    let directive = failure.directive;
    let place = directive.line.map_or("command line".to_owned(), |line| format!("{check_file}:{line}"));
    let (text, name) = (&directive.text, directive.name());
    let started = input.line_of(failure.searched.start);
    let mut marks = vec![(started, '>')];
    match &failure.why {
        Why::Missed(Miss::NotFound) if failure.matched > 0 => {
            writeln!(
                out,
                "{place}: error: {name}: only {} matches after line {started} of the output",
                failure.matched
            )?;
        }
        Why::Missed(Miss::NotFound) => {
            let end = input.line_of(failure.searched.end);
            writeln!(out, "{place}: error: {name}: not found in lines {started} to {end} of the output")?;
        }
        Why::Missed(Miss::Undefined(names)) => {
            writeln!(out, "{place}: error: {name}: undefined variable {}", names.join(", "))?;
        }
        Why::Missed(Miss::Overflow) => writeln!(out, "{place}: error: {name}: a number does not fit its format")?,
        Why::Excluded(found) => {
            let line = input.line_of(found.start);
            writeln!(out, "{place}: error: {name}: excluded text stands in line {line} of the output")?;
            marks.push((line, '!'));
        }
        Why::WrongLine(0, found) => {
            let line = input.line_of(found.start);
            writeln!(
                out,
                "{place}: error: {name}: matches on the same line as the check before, line {line} of the output"
            )?;
            marks.push((line, '!'));
        }
        Why::WrongLine(lines, found) => {
            let line = input.line_of(found.start);
            let between = lines - 1;
            writeln!(out, "{place}: error: {name}: matches {between} lines too late, in line {line} of the output")?;
            marks.push((line, '!'));
        }
        Why::OtherLine(found) => {
            let line = input.line_of(found.start);
            writeln!(out, "{place}: error: {name}: matches only on another line, line {line} of the output")?;
            marks.push((line, '!'));
        }
    }
    writeln!(out, "  {name}: {text}")?;
    for (variable, value) in directive.pattern.substitutions(&failure.variables) {
        writeln!(out, "  where {variable} is {value:?}")?;
    }
    let missed = matches!(failure.why, Why::Missed(Miss::NotFound) | Why::WrongLine(1.., _) | Why::OtherLine(_));
    let nearest = missed.then(|| nearest_line(text, &failure.searched, input)).flatten();
    if let Some(line) = nearest {
        marks.push((line, '?'));
    }
    input.excerpt(out, &marks)?;
    let mut legend = vec!["> the search begins here"];
    if marks.iter().any(|(_, mark)| *mark == '!') {
        legend.push("! it is here");
    }
    if let Some(line) = nearest {
        legend.push("? the nearest line");
        writeln!(out, "  ({})", legend.join(", "))?;
        writeln!(out, "  - {}", text.trim())?;
        return writeln!(out, "  + {}", input.line(line).trim());
    }
    writeln!(out, "  ({})", legend.join(", "))
}

/// The input by lines.
pub struct Input {
    text: Vec<u8>,
    starts: Vec<usize>,
}

impl Input {
    /// Of a text.
    pub fn new(text: &[u8]) -> Input {
        let breaks = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(i, _)| i + 1);
        Input { text: text.to_vec(), starts: std::iter::once(0).chain(breaks.filter(|&i| i < text.len())).collect() }
    }

    /// The line of a position, from 1.
    pub fn line_of(&self, at: usize) -> usize {
        self.starts.partition_point(|&start| start <= at)
    }

    /// How many lines there are.
    pub fn lines(&self) -> usize {
        self.starts.len()
    }

    /// The first byte of a line.
    pub fn start(&self, number: usize) -> usize {
        self.starts[number - 1]
    }

    /// Bytes in all.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// A line, counted from 1, without its break.
    pub fn line(&self, number: usize) -> String {
        let start = self.starts[number - 1];
        let end = self.starts.get(number).copied().unwrap_or(self.text.len());
        String::from_utf8_lossy(&self.text[start..end]).trim_end_matches('\n').to_owned()
    }

    /// The lines around the marked ones, marked.
    fn excerpt(&self, out: &mut String, marks: &[(usize, char)]) -> std::fmt::Result {
        let mut last = 0;
        for number in 1..=self.starts.len() {
            // more is to be seen after a place than before it
            if !marks.iter().any(|&(line, _)| number + 2 >= line && number <= line + CONTEXT) {
                continue;
            }
            if number > last + 1 {
                writeln!(out, "        ...")?;
            }
            last = number;
            let mark: String = marks.iter().filter(|(line, _)| *line == number).map(|(_, mark)| *mark).collect();
            writeln!(out, "  {mark:>2} {number:>4} | {}", shortened(&self.line(number)))?;
        }
        if last < self.starts.len() {
            writeln!(out, "        ... {} lines in all", self.starts.len())?;
        }
        Ok(())
    }
}

fn shortened(line: &str) -> String {
    const MOST: usize = 240;
    match line.char_indices().nth(MOST) {
        Some((cut, _)) => format!("{}...", &line[..cut]),
        None => line.to_owned(),
    }
}

/// The line most like the pattern, when one is like it at all.
pub fn nearest_line(pattern: &str, searched: &Range<usize>, input: &Input) -> Option<usize> {
    let wanted = words(pattern);
    let first = input.line_of(searched.start);
    let last = input.line_of(searched.end.saturating_sub(1)).min(first + NEAR);
    let scored = (first..=last).map(|number| {
        let line = input.line(number);
        let found = words(&line);
        let common = common_words(&wanted, &found);
        (number, 2.0 * common as f64 / (wanted.len() + found.len()).max(1) as f64)
    });
    // of equally good lines the earliest
    let best = scored
        .fold(None, |best: Option<(usize, f64)>, it| if best.is_none_or(|b| it.1 > b.1) { Some(it) } else { best });
    best.filter(|(_, score)| *score >= 0.4).map(|(number, _)| number)
}

/// Identifiers, numbers, and single other characters.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let len = if in_word(first) { rest.find(|c| !in_word(c)).unwrap_or(rest.len()) } else { first.len_utf8() };
        words.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    words
}

/// The length of the longest common subsequence.
fn common_words(a: &[&str], b: &[&str]) -> usize {
    const MOST: usize = 200;
    let (a, b) = (&a[..a.len().min(MOST)], &b[..b.len().min(MOST)]);
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if x == y { diagonal + 1 } else { above.max(row[j]) };
            diagonal = above;
        }
    }
    row[b.len()]
}
