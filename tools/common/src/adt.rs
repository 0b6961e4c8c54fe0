//! Values of algebraic data types as they are written and shown: `node(leaf(1x4xf32=rand), leaf(@x.npy))`.

use crate::values::{InputSource, parse_made, summary};
use nim_tensor::{Made, Value};

/// Deeper values come from programs, not from command lines.
const MAX_DEPTH: usize = 200;

/// Reads a value that begins with a constructor; `None` when the text does not.
pub(crate) fn parse(text: &str, depth: usize) -> Option<Result<InputSource, String>> {
    let text = text.trim();
    let (constructor, rest) = text.split_once('(')?;
    let word = |c: char| c.is_alphanumeric() || c == '_';
    if constructor.is_empty() || !constructor.chars().all(word) {
        return None;
    }
    let Some(inner) = rest.strip_suffix(')') else {
        return Some(Err(format!("`)` is missing at the end of {text:?}")));
    };
    if depth > MAX_DEPTH {
        return Some(Err(format!("values are nested deeper than {MAX_DEPTH}")));
    }
    let fields = fields(inner).and_then(|fields| {
        fields.iter().map(|field| parse(field, depth + 1).unwrap_or_else(|| parse_made(field))).collect()
    });
    Some(fields.map(|fields| InputSource::Adt { constructor: constructor.to_owned(), fields }))
}

/// The fields between commas that stand in no brackets. What follows a comma and is only a number belongs to the
/// elements before it: `leaf(2xf32=1,2)` has one field.
fn fields(text: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut depth, mut field) = (vec![], 0usize, String::new());
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or_else(|| format!("there is a `)` too many in {text:?}"))?,
            ',' if depth == 0 => {
                fields.push(std::mem::take(&mut field));
                continue;
            }
            _ => {}
        }
        field.push(c);
    }
    if depth > 0 {
        return Err(format!("`)` is missing in {text:?}"));
    }
    if !fields.is_empty() || !field.trim().is_empty() {
        fields.push(field);
    }
    let mut whole: Vec<String> = vec![];
    for field in fields {
        match whole.last_mut().filter(|last| last.contains('=') && field.trim().parse::<f64>().is_ok()) {
            Some(last) => {
                last.push(',');
                last.push_str(field.trim());
            }
            None => whole.push(field),
        }
    }
    Ok(whole)
}

/// `node(leaf(2xf32 [1, 2]), nil())`; of long values the first constructors only.
pub(crate) fn show(made: &Made) -> String {
    const SHOWN: usize = 32;
    enum Part<'a> {
        Value(&'a Value),
        Text(&'static str),
    }
    fn open<'a>(made: &'a Made, parts: &mut Vec<Part<'a>>) {
        parts.push(Part::Text(")"));
        for (i, field) in made.fields.iter().enumerate().rev() {
            parts.push(Part::Value(field));
            parts.extend((i > 0).then_some(Part::Text(", ")));
        }
        parts.push(Part::Text("("));
    }
    let (mut out, mut shown, mut parts) = (made.name.to_string(), 1, vec![]);
    open(made, &mut parts);
    while let Some(part) = parts.pop() {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Value(Value::Adt(made)) => {
                out.push_str(&made.name);
                shown += 1;
                if shown > SHOWN {
                    out.push_str("(...)");
                } else {
                    open(made, &mut parts);
                }
            }
            Part::Value(value) => out.push_str(&summary(value)),
        }
    }
    out
}
