//! Reads the check lines of a file: `CHECK:`, `CHECK-NEXT:`, `CHECK-DAG{LITERAL}:` and so on.

use super::numeric::Declared;
use super::pattern::{Names, Pattern, Style};
use super::{Options, numeric};

/// What a check line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somewhere after the match before; the count is that of `-COUNT-n`, else 1.
    Plain(u32),
    /// On the next line.
    Next,
    /// On the same line.
    Same,
    /// Not between the match before and the match after.
    Not,
    /// Like plain, in any order with its neighbours of this kind.
    Dag,
    /// Splits the input into blocks before anything else is matched.
    Label,
    /// The next line is empty.
    Empty,
    /// The end of the input; made here, never written.
    End,
}

impl Kind {
    fn suffix(self) -> String {
        match self {
            Kind::Plain(1) | Kind::End => String::new(),
            Kind::Plain(n) => format!("-COUNT-{n}"),
            Kind::Next => "-NEXT".into(),
            Kind::Same => "-SAME".into(),
            Kind::Not => "-NOT".into(),
            Kind::Dag => "-DAG".into(),
            Kind::Label => "-LABEL".into(),
            Kind::Empty => "-EMPTY".into(),
        }
    }
}

/// One check line.
#[derive(Debug)]
pub struct Directive {
    /// What it asks for.
    pub kind: Kind,
    /// The prefix that it was found with, `CHECK`.
    pub prefix: String,
    /// Its line in the check file, from 1; `None` for `--implicit-check-not`.
    pub line: Option<usize>,
    /// The text after the colon.
    pub text: String,
    /// That text, understood.
    pub pattern: Pattern,
}

impl Directive {
    /// Its name as written: `CHECK-NEXT`.
    pub fn name(&self) -> String {
        format!("{}{}", self.prefix, self.kind.suffix())
    }
}

/// A positive check, and the `-DAG` and `-NOT` lines that stand before it.
#[derive(Debug)]
pub struct Step {
    /// The `-DAG` and `-NOT` lines, in order.
    pub before: Vec<Directive>,
    /// The check that ends them.
    pub check: Directive,
}

/// Something wrong with the check file or the options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line in the check file, from 1; `None` when it is about no line.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

/// The names declared by `-D` options: text ones, numeric ones.
pub fn declare(options: &Options) -> Names {
    let mut names = Names::default();
    names.strings.extend(options.define.iter().map(|(name, _)| name.clone()));
    for (name, _, format) in &options.define_numbers {
        names.numbers.insert(name.clone(), Declared { format: *format, line: None });
    }
    names
}

/// Reads the check lines of `text`.
pub fn read(text: &str, options: &Options) -> Result<Vec<Step>, Malformed> {
    let mut names = declare(options);
    let style = Style {
        ignore_case: options.ignore_case,
        strict_whitespace: options.strict_whitespace,
        full_lines: options.match_full_lines,
        literal: false,
        keep_space: options.strict_whitespace && options.match_full_lines,
    };
    // one fresh copy before each positive check
    let implicit = |names: &mut Names| -> Result<Vec<Directive>, Malformed> {
        let nots = options.implicit_check_not.iter().map(|text| {
            let style = Style { full_lines: false, ..style };
            let pattern =
                Pattern::parse(text, None, style, names).map_err(|message| Malformed { line: None, message })?;
            Ok(Directive { kind: Kind::Not, prefix: "IMPLICIT-CHECK".into(), line: None, text: text.clone(), pattern })
        });
        nots.collect()
    };
    let (mut steps, mut before, mut unused) = (Vec::new(), implicit(&mut names)?, options.prefixes.clone());
    for (number, line) in (1..).zip(text.split('\n')) {
        let line = if options.strict_whitespace { line.to_owned() } else { super::collapse_spaces(line) };
        let malformed = |message: String| Malformed { line: Some(number), message };
        let Some(found) = find_directive(&line, &options.prefixes, &options.comment_prefixes).map_err(malformed)?
        else {
            continue;
        };
        unused.retain(|prefix| prefix != found.prefix);
        let (kind, prefix) = (found.kind, found.prefix.to_owned());
        let text = if style.keep_space { found.text } else { found.text.trim_matches([' ', '\t']) };
        let pattern = if kind == Kind::Empty {
            if !text.is_empty() {
                return Err(malformed(format!("found non-empty check string for empty check with prefix '{prefix}:'")));
            }
            Pattern::empty_line()
        } else {
            if text.is_empty() {
                return Err(malformed(format!("found empty check string with prefix '{prefix}:'")));
            }
            let full_lines = style.full_lines && kind != Kind::Not;
            let style = Style { full_lines, literal: found.literal, ..style };
            Pattern::parse(text, Some(number), style, &mut names).map_err(malformed)?
        };
        if kind == Kind::Label && pattern.has_variables() {
            return Err(malformed(format!("found '{prefix}-LABEL:' with variable definition or use")));
        }
        let directive = Directive { kind, prefix, line: Some(number), text: text.to_owned(), pattern };
        if matches!(kind, Kind::Next | Kind::Same | Kind::Empty) && steps.is_empty() {
            let (name, prefix) = (directive.name(), &directive.prefix);
            return Err(malformed(format!("found '{name}' without previous '{prefix}: line")));
        }
        if matches!(kind, Kind::Dag | Kind::Not) {
            before.push(directive);
        } else {
            let before = std::mem::replace(&mut before, implicit(&mut names)?);
            steps.push(Step { before, check: directive });
        }
    }
    // with no prefix asked for, a lone --implicit-check-not is check enough
    let nothing = unused.len() == options.prefixes.len() && (before.is_empty() || !options.default_prefix);
    let some = !unused.is_empty() && !options.default_prefix && !options.allow_unused_prefixes;
    if nothing || some {
        let list: Vec<_> = unused.iter().map(|prefix| format!("'{prefix}:'")).collect();
        let plural = if list.len() > 1 { "es" } else { "" };
        return Err(Malformed {
            line: None,
            message: format!("no check strings found with prefix{plural} {}", list.join(", ")),
        });
    }
    if !before.is_empty() {
        let prefix = options.prefixes.first().cloned().unwrap_or_default();
        let check = Directive { kind: Kind::End, prefix, line: None, text: String::new(), pattern: Pattern::end() };
        steps.push(Step { before, check });
    }
    Ok(steps)
}

/// A check line's parts.
struct Found<'a> {
    prefix: &'a str,
    kind: Kind,
    literal: bool,
    text: &'a str,
}

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// The first check line in a line of text, unless a comment prefix stands before it.
fn find_directive<'a>(
    line: &'a str,
    prefixes: &'a [String],
    comments: &'a [String],
) -> Result<Option<Found<'a>>, String> {
    let mut from = 0;
    loop {
        // the earliest prefix, of those the longest: CHECK-FOO before CHECK
        let candidates = prefixes.iter().chain(comments).filter(|prefix| !prefix.is_empty());
        let hits = candidates.filter_map(|prefix| line[from..].find(prefix.as_str()).map(|at| (from + at, prefix)));
        let Some((at, prefix)) = hits.min_by_key(|(at, prefix)| (*at, usize::MAX - prefix.len())) else {
            return Ok(None);
        };
        let after = &line[at + prefix.len()..];
        let starts_word = at == 0 || !in_word(line.as_bytes()[at - 1]);
        if starts_word && comments.contains(prefix) && !prefixes.contains(prefix) {
            if after.starts_with(':') {
                return Ok(None);
            }
        } else if starts_word && let Some((kind, literal, text)) = suffix(after)? {
            return Ok(Some(Found { prefix, kind, literal, text }));
        }
        let word = after.bytes().position(|byte| !in_word(byte)).unwrap_or(after.len());
        from = at + prefix.len() + word;
    }
}

/// What follows a prefix: the kind, whether it is `{LITERAL}`, and the text; `None` when this is no check line.
fn suffix(after: &str) -> Result<Option<(Kind, bool, &str)>, String> {
    if let Some(text) = after.strip_prefix(':') {
        return Ok(Some((Kind::Plain(1), false, text)));
    }
    if after.starts_with('{') {
        return Ok(modifiers(Kind::Plain(1), after));
    }
    let (misspelled, rest) = match (after.strip_prefix('-'), after.strip_prefix('_')) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Ok(None),
    };
    let kind_and_rest = if let Some(count) = rest.strip_prefix("COUNT-") {
        let digits = count.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(count.len());
        let number = count[..digits].parse::<u32>().ok().filter(|&n| n > 0 && n <= i32::MAX as u32);
        let (Some(number), true) = (number, count[digits..].starts_with([':', '{'])) else {
            return Err("invalid count in -COUNT specification".into());
        };
        Some((Kind::Plain(number), &count[digits..]))
    } else {
        const BOTH: [&str; 8] =
            ["DAG-NOT", "NOT-DAG", "NEXT-NOT", "NOT-NEXT", "SAME-NOT", "NOT-SAME", "EMPTY-NOT", "NOT-EMPTY"];
        if BOTH.iter().any(|both| rest.strip_prefix(both).is_some_and(|rest| rest.starts_with(':'))) {
            return Err("unsupported -NOT combo".into());
        }
        let kinds = [
            ("NEXT", Kind::Next),
            ("SAME", Kind::Same),
            ("NOT", Kind::Not),
            ("DAG", Kind::Dag),
            ("LABEL", Kind::Label),
            ("EMPTY", Kind::Empty),
        ];
        kinds.iter().find_map(|(name, kind)| rest.strip_prefix(name).map(|rest| (*kind, rest)))
    };
    let found = kind_and_rest.and_then(|(kind, rest)| modifiers(kind, rest));
    match found {
        Some(_) if misspelled => Err("misspelled directive: '_' should be '-'".into()),
        _ => Ok(found),
    }
}

/// `:` or `{LITERAL}:`.
fn modifiers(kind: Kind, text: &str) -> Option<(Kind, bool, &str)> {
    if let Some(text) = text.strip_prefix(':') {
        return Some((kind, false, text));
    }
    let (inside, text) = text.strip_prefix('{')?.split_once("}:")?;
    inside.split(',').all(|word| word.trim() == "LITERAL").then_some((kind, true, text))
}

/// Reads `-D` of a numeric variable: `NAME=value` with an optional format before it.
pub fn parse_number_definition(text: &str, options: &Options) -> Result<(String, i128, numeric::Format), String> {
    let (name, value) = text.split_once('=').ok_or("missing equal sign in global definition")?;
    let names = declare(options);
    // a definition on the command line reads like one in a file
    let block = numeric::parse(&format!("{name}:{value}"), None, false, &names.numbers)?;
    let values = options.define_numbers.iter().map(|(name, value, _)| (name.clone(), *value)).collect();
    let value = match block.expr {
        None => return Err("missing expression".into()),
        Some(expr) => expr.value(&values).map_err(|why| format!("{why:?}"))?,
    };
    Ok((block.defines.ok_or("missing variable name")?, value, block.format))
}
