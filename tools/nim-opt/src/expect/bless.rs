//! `--bless-diagnostics`: comments that do not fit are made to say what was found. Read the diff before you commit it.

use super::{Comment, Expectation, Said, line_of, name, read};

/// One expectation in a line, or text around them.
enum Piece<'t> {
    Text(&'t str),
    /// Which expectation, and the place as it was written.
    Expected(usize, &'t str),
}

/// A line of the new text.
enum Line<'t> {
    /// Line number of the old text, from 1.
    Old(usize),
    /// A comment for something said about an old line.
    New { said: &'t Said, about: Option<usize> },
}

/// The text with its comments as `said` wants them. What fits already stays as it is written.
pub fn bless(text: &str, said: Vec<Said>) -> String {
    let (expected, _) = read(text);
    let mut left: Vec<Option<&Said>> = said.iter().map(Some).collect();
    let mut take = |fits: &dyn Fn(&Said) -> bool| {
        let slot = left.iter_mut().find(|s| s.is_some_and(fits))?;
        slot.take()
    };
    // First what fits, then what is said at the same place in other words.
    let mut texts: Vec<Option<(&str, String)>> = vec![];
    for e in &expected {
        let pattern = if e.pattern.is_some() { "-re" } else { "" };
        texts.push(take(&|s| e.fits(s)).map(|_| (pattern, e.text.clone())));
    }
    for (e, text) in expected.iter().zip(&mut texts) {
        if text.is_none() {
            *text = take(&|s| e.is(s)).map(|s| ("", shown(&s.short)));
        }
    }
    let new: Vec<&Said> = left.into_iter().flatten().filter(|s| s.must_be_expected).collect();
    let old: Vec<&str> = text.lines().collect();
    let stays = |line: usize| {
        let mine: Vec<_> = expected.iter().zip(&texts).filter(|(e, _)| e.written == line).collect();
        let emptied = !mine.is_empty() && mine.iter().all(|(_, text)| text.is_none());
        !(emptied && only_expects(old[line - 1]))
    };
    let mut lines: Vec<Line<'_>> = vec![];
    lines.extend(new.iter().filter(|s| s.line.is_none()).map(|&said| Line::New { said, about: None }));
    for number in 1..=old.len() {
        lines
            .extend(new.iter().filter(|s| s.line == Some(number)).map(|&said| Line::New { said, about: Some(number) }));
        if stays(number) {
            lines.push(Line::Old(number));
        }
    }
    // Where the old lines are now.
    let mut now = vec![0; old.len() + 2];
    for (at, line) in (1..).zip(&lines) {
        if let Line::Old(number) = line {
            now[*number] = at;
        }
    }
    let mut out = String::new();
    for (at, line) in (1..).zip(&lines) {
        match line {
            Line::New { said, about } => {
                let code = about.map_or("", |number| old[number - 1]);
                let indent = &code[..code.len() - code.trim_start().len()];
                let place = about.map_or("@unknown".into(), |number| format!("@+{}", now[number] - at));
                out += &format!("{indent}// expected-{}{place} {{{{{}}}}}\n", name(said.severity), shown(&said.short));
            }
            Line::Old(number) => {
                let mut rest = String::new();
                for piece in pieces(old[number - 1], *number, &expected) {
                    match piece {
                        Piece::Text(text) => rest += text,
                        Piece::Expected(which, place) => {
                            let Some((pattern, text)) = &texts[which] else { continue };
                            let about = expected[which].line;
                            let target = about.map(|line| now.get(line).copied().unwrap_or(line));
                            let near = matches!(place.trim(), "@above" | "@below");
                            let as_far = about.zip(target).is_some_and(|(a, t)| a + at == t + number);
                            let place =
                                if near && as_far { place.trim_end().into() } else { placed(place, at, target) };
                            let kind = name(expected[which].severity);
                            rest += &format!("expected-{kind}{pattern}{place} {{{{{text}}}}}");
                        }
                    }
                }
                let rest = rest.trim_end();
                // A comment that has lost all that it said.
                let kept = rest.strip_suffix("//").filter(|_| rest != old[number - 1].trim_end()).unwrap_or(rest);
                out += kept.trim_end();
                out.push('\n');
            }
        }
    }
    out
}

/// Braces would end the comment's text.
fn shown(text: &str) -> String {
    text.split("}}").next().unwrap_or_default().trim_end().to_string()
}

/// The place as it was written, where that is still right.
fn placed(written: &str, at: usize, target: Option<usize>) -> String {
    if line_of(written.trim(), at, at.saturating_sub(1)) == Some(target) {
        return written.trim_end().to_string();
    }
    match target {
        None => "@unknown".into(),
        Some(line) if line == at => String::new(),
        Some(line) if line > at => format!("@+{}", line - at),
        Some(line) => format!("@-{}", at - line),
    }
}

/// A line in pieces.
fn pieces<'t>(line: &'t str, number: usize, expected: &[Expectation]) -> Vec<Piece<'t>> {
    let code = line.find("//").unwrap_or(line.len());
    let (mut found, mut rest) = (vec![Piece::Text(&line[..code])], &line[code..]);
    for nth in 0.. {
        let Some(Ok(comment)) = Comment::next(rest) else { break };
        let length = rest.len() - comment.rest.len();
        let start = rest.find(comment.word).unwrap_or(length);
        match expected.iter().position(|e| (e.written, e.nth) == (number, nth)) {
            Some(which) => found.extend([Piece::Text(&rest[..start]), Piece::Expected(which, comment.place)]),
            None => found.push(Piece::Text(&rest[..length])),
        }
        rest = comment.rest;
    }
    found.push(Piece::Text(rest));
    found
}

/// A comment that says nothing but what is expected.
pub(super) fn only_expects(line: &str) -> bool {
    let Some(mut rest) = line.trim().strip_prefix("//") else { return false };
    while let Some(Ok(comment)) = Comment::next(rest) {
        if rest.find(comment.word).is_some_and(|at| !rest[..at].trim().is_empty()) {
            return false;
        }
        rest = comment.rest;
    }
    rest.trim().is_empty()
}
