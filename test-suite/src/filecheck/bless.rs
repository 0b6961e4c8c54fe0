//! `NIM_BLESS=1`: check lines that do not match are written anew from what was printed. Read the diff before you commit it.
//!
//! Two kinds of checks can be: a block that begins with `-LABEL` or a plain check and goes on with `-NEXT` and `-EMPTY`
//! lines only, which is some whole op as it is printed, and a single plain check, which becomes the line that is most like
//! it. Checks with patterns and `-NOT` lines say what somebody meant; they are left to somebody.

use super::{
    Options, canonical, directives,
    directives::Kind,
    matcher,
    pattern::Variables,
    report::{Input, nearest_line},
};

/// Rounds; each changes one block.
const MOST: usize = 500;

/// The check file with lines that match, or nothing when somebody must look at it.
pub fn rewrite(options: &Options, text: &str, input: &[u8]) -> Option<String> {
    let mut text = text.to_owned();
    for _ in 0..MOST {
        match step(options, &text, input)? {
            Some(next) if next == text => return None,
            Some(next) => text = next,
            None => return Some(text),
        }
    }
    None
}

/// A check line of the file.
#[derive(Clone, Copy)]
struct Line {
    /// From 1.
    number: usize,
    kind: Kind,
    literal: bool,
}

/// Changes the first block that fails; `Some(None)` when all match.
fn step(options: &Options, text: &str, input: &[u8]) -> Option<Option<String>> {
    let steps = directives::read(text, options).ok()?;
    let seen = canonical(input, options.strict_whitespace);
    let variables = Variables {
        strings: options.define.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect(),
        numbers: options.define_numbers.iter().map(|(name, value, _)| (name.clone(), *value)).collect(),
    };
    let failures = matcher::run(&steps, &seen, variables, options.enable_var_scope);
    let Some(failure) = failures.first() else { return Some(None) };
    let failed = failure.directive.line?;
    let input = Input::new(input);
    let from = Input::new(&seen).line_of(failure.searched.start);
    let all: Vec<Line> = steps
        .iter()
        .flat_map(|step| step.before.iter().chain([&step.check]))
        .filter_map(|d| {
            let literal = !d.text.contains("{{") && !d.text.contains("[[")
                || text.lines().nth(d.line? - 1)?.contains("{LITERAL}");
            Some(Line { number: d.line?, kind: d.kind, literal })
        })
        .collect();
    let at = all.iter().position(|line| line.number == failed)?;
    let begins = |line: &Line| matches!(line.kind, Kind::Label | Kind::Plain(1));
    let goes_on = |line: &Line| matches!(line.kind, Kind::Next | Kind::Empty);
    // The block around the line: check lines one below the other.
    let mut first = at;
    while first > 0 && goes_on(&all[first]) && all[first - 1].number + 1 == all[first].number {
        first -= 1;
    }
    let mut end = first + 1;
    while end < all.len() && goes_on(&all[end]) && all[end - 1].number + 1 == all[end].number {
        end += 1;
    }
    let block = &all[first..end];
    if !begins(&block[0]) || block.iter().any(|line| !line.literal) {
        return None;
    }
    let lines: Vec<&str> = text.lines().collect();
    let shown = |line: &Line| behind(lines[line.number - 1]);
    let whole = input.text_len();
    // Where the block begins in the output: where it did, or at the line most like it.
    let head = shown(&block[0]).trim();
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let search = if at == first { from } else { from.saturating_sub(block.len()).max(1) };
    let exact =
        (1..=input.lines()).filter(|&n| n >= search).find(|&n| squeezed(&input.line(n)).contains(&squeezed(head)));
    let found = exact.or_else(|| nearest_line(head, &(input.start(from.min(input.lines()))..whole), &input))?;
    let mut taken = vec![found];
    if block.len() > 1 {
        // An op that ends with a brace ends at the brace below its first line.
        let line = input.line(found);
        let indent = line.len() - line.trim_start().len();
        let braced = shown(block.last()?).trim() == "}" && line.trim_end().ends_with('{');
        let closes = |n: &usize| input.line(*n).trim_end() == format!("{}}}", " ".repeat(indent));
        let last = match braced {
            true => (found + 1..=input.lines()).find(closes)?,
            false => (found + block.len() - 1).min(input.lines()),
        };
        taken.extend(found + 1..=last);
    }
    let opening = lines[block[0].number - 1];
    let leader = &opening[..opening.find(options.prefixes.iter().find(|p| opening.contains(p.as_str()))?.as_str())?];
    let prefix = options.prefixes.iter().find(|p| opening[leader.len()..].starts_with(p.as_str()))?;
    let mut new = vec![];
    for (i, &number) in taken.iter().enumerate() {
        let line = input.line(number);
        let line = line.trim_end();
        let suffix = match (i, line.trim().is_empty(), block[0].kind) {
            (0, _, Kind::Label) => "-LABEL",
            (0, ..) => "",
            (_, true, _) => "-EMPTY",
            _ => "-NEXT",
        };
        let literal = if line.contains("[[") || line.contains("{{") { "{LITERAL}" } else { "" };
        // A single check keeps looking for a part of a line.
        let line = if taken.len() == 1 { line.trim_start() } else { line };
        new.push(format!("{leader}{prefix}{suffix}{literal}: {line}").trim_end().to_owned());
    }
    let mut out: Vec<String> = lines[..block[0].number - 1].iter().map(|l| (*l).to_owned()).collect();
    out.extend(new);
    out.extend(lines[block.last()?.number..].iter().map(|l| (*l).to_owned()));
    Some(Some(out.join("\n") + "\n"))
}

/// What stands behind the colon of a check line.
fn behind(line: &str) -> &str {
    line.split_once(": ").map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filecheck::check;

    fn blessed(checks: &str, output: &str) -> Option<String> {
        let options = Options::parse(&["x".to_owned()]).expect("options");
        let text = rewrite(&options, checks, output.as_bytes())?;
        assert_eq!(check(&options, &text, output.as_bytes()), Ok(()), "{text}");
        Some(text)
    }

    #[test]
    fn whole_ops_and_single_lines() {
        let checks = "\
// RUN: x | FileCheck %s
// CHECK-LABEL: func.func @f(%a: i32) -> i32 {
// CHECK-NEXT:   %0 = arith.addi %a, %a : i32
// CHECK-NEXT:   return %0 : i32
// CHECK-NEXT: }
func @f
// CHECK: func.func @g(%b: i32)
func @g
// CHECK-LABEL: func.func @h
// CHECK-NEXT:   return
// CHECK-NEXT: }
";
        let output = "\
func.func @f(%a: i32) -> i32 {
  %0 = arith.muli %a, %a : i32

  %1 = dense<[[1]]>
  return %0 : i32
}
func.func @g(%b: i64) {
}
func.func @h() {
  return
}
";
        let wanted = checks
            .replace(
                "%0 = arith.addi %a, %a : i32\n",
                "%0 = arith.muli %a, %a : i32\n// CHECK-EMPTY:\n// CHECK-NEXT{LITERAL}:   %1 = dense<[[1]]>\n",
            )
            .replace("// CHECK: func.func @g(%b: i32)", "// CHECK: func.func @g(%b: i64) {");
        assert_eq!(blessed(checks, output).as_deref(), Some(wanted.as_str()));
        assert_eq!(blessed(&wanted, output).as_deref(), Some(wanted.as_str()), "what matches stays");
    }

    #[test]
    fn what_somebody_meant_is_left_to_somebody() {
        assert_eq!(blessed("// CHECK: a\n// CHECK-NOT: b\n// CHECK: c\n", "a\nb\nc\n"), None);
        assert_eq!(blessed("// CHECK: %[[X:.*]] = f %a, %b\n", "%1 = g %a, %b\n"), None);
        assert_eq!(blessed("// CHECK: nothing like it\n", "1\n2\n"), None);
    }
}
