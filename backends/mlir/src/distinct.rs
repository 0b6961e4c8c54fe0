//! `distinct[3]<...>` keeps its number on the way through upstream, which counts anew in every text that it prints.

use std::collections::HashMap;

/// An op behind the text, one for each number, that tells what upstream made of it.
const WITNESS: &str = "\"nim.distinct\"() {id = ";
const WITNESS_OP: &str = "nim.distinct";

/// The bytes of the numbers in brackets behind `distinct`, outside of strings.
fn numbers(text: &str) -> Vec<std::ops::Range<usize>> {
    let (bytes, mut found, mut i) = (text.as_bytes(), vec![], 0);
    while i < bytes.len() {
        match bytes[i] {
            b'"' => {
                i = nim_text::strings::literal_end(text, i);
                continue;
            }
            b'd' if text[i..].starts_with("distinct[") => {
                let start = i + "distinct[".len();
                let end = start + bytes[start..].iter().take_while(|b| b.is_ascii_digit()).count();
                found.push(start..end);
                i = end;
                continue;
            }
            _ => {}
        }
        i += 1;
    }
    found
}

/// `distinct[..]<..>` whose number stands here, to the bracket that closes it.
fn whole(text: &str, number: &std::ops::Range<usize>) -> Option<String> {
    let start = number.end + 1;
    let (mut depth, mut quoted, mut before) = (0usize, false, ' ');
    for (at, c) in text.get(start..)?.char_indices() {
        match c {
            '"' if before != '\\' => quoted = !quoted,
            _ if quoted => {}
            '<' => depth += 1,
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(format!("distinct[{}]{}", &text[number.clone()], &text[start..=start + at]));
        }
        before = if before == '\\' && c == '\\' { ' ' } else { c };
    }
    None
}

/// The largest number in a text.
pub(crate) fn largest(text: &str) -> Option<u64> {
    numbers(text).into_iter().filter_map(|number| text[number].parse().ok()).max()
}

/// Whether an op is one of those that [`keep`] puts behind a text.
pub(crate) fn is_witness(op: &str) -> bool {
    op == WITNESS_OP
}

/// What upstream prints of a text, with the numbers that the text has; numbers of its own come after those and after what is
/// `taken`, which is asked for where upstream prints some.
pub(crate) fn keep<E>(
    text: &str,
    taken: impl FnOnce() -> Option<u64>,
    print: impl FnOnce(&str) -> Result<String, E>,
) -> Result<String, E> {
    let mut ids: Vec<(&str, String)> = vec![];
    if text.contains("distinct[") {
        for number in numbers(text) {
            let id = &text[number.clone()];
            if let (false, Some(attr)) = (ids.iter().any(|i| i.0 == id), whole(text, &number)) {
                ids.push((id, attr));
            }
        }
    }
    // Behind the text, so that no position in it changes.
    let mut with = if ids.is_empty() { String::new() } else { format!("{}\n", text.trim_end()) };
    for (_, attr) in &ids {
        with.push_str(&format!("{WITNESS}{attr}}} : () -> ()\n"));
    }
    let printed = print(if ids.is_empty() { text } else { &with })?;
    if !printed.contains("distinct[") {
        return Ok(printed);
    }
    let mut known: HashMap<&str, &str> = HashMap::new();
    let mut witnesses = ids.iter();
    for line in printed.lines() {
        let Some(rest) = line.trim_start().strip_prefix(WITNESS) else { continue };
        let alias = rest.starts_with('#').then(|| rest.split([' ', '}']).next().unwrap_or_default());
        let definition = alias.and_then(|a| printed.lines().find_map(|l| l.strip_prefix(a)?.strip_prefix(" = ")));
        let there = definition.unwrap_or(rest);
        if let (Some((id, _)), Some(number)) = (witnesses.next(), numbers(there).first()) {
            known.insert(&there[number.clone()], id);
        }
    }
    let given = ids.iter().filter_map(|i| i.0.parse::<u64>().ok());
    // `None`: there is none yet, and the first is 0.
    let mut last = given.chain(taken()).max();
    let mut fresh: HashMap<&str, String> = HashMap::new();
    let (mut out, mut copied) = (String::with_capacity(printed.len()), 0);
    for range in numbers(&printed) {
        let found = &printed[range.clone()];
        out.push_str(&printed[copied..range.start]);
        match known.get(found) {
            Some(id) => out.push_str(id),
            None => out.push_str(fresh.entry(found).or_insert_with(|| {
                let next = last.map_or(0, |last| last.saturating_add(1));
                last = Some(next);
                next.to_string()
            })),
        }
        copied = range.end;
    }
    out.push_str(&printed[copied..]);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let text = "#a = distinct[7]<\"distinct[1]<>\">\n\"x\"() {b = distinct[3]<#a>} : () -> ()";
        assert_eq!(largest(text), Some(7));
        let out = keep(
            text,
            || None,
            |given| {
                assert_eq!(given.matches("nim.distinct").count(), 2);
                assert!(given.starts_with(text));
                let printed = "#d = distinct[1]<\"distinct[1]<>\">\n\"x\"() {b = distinct[0]<#d>, c = distinct[2]<>}\n";
                Ok::<_, ()>(format!("{printed}  {WITNESS}#d}} : () -> ()\n  {WITNESS}distinct[0]<#d>}} : () -> ()\n"))
            },
        );
        let out = out.unwrap_or_default();
        assert!(out.contains("#d = distinct[7]<\"distinct[1]<>\">"), "{out}");
        assert!(out.contains("{b = distinct[3]<#d>, c = distinct[8]<>}"), "{out}");
    }

    #[test]
    fn numbers_of_others_are_taken() {
        let made =
            |_: &str| Ok::<_, ()>("\"x\"() {a = distinct[0]<>, b = distinct[1]<>, c = distinct[0]<>}".to_string());
        let out = keep("", || Some(4), made).unwrap_or_default();
        assert_eq!(out, "\"x\"() {a = distinct[5]<>, b = distinct[6]<>, c = distinct[5]<>}");
    }
}
