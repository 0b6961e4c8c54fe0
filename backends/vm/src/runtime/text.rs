//! Text: joining, cutting, matching, counting, comparing.

use super::access::{Elements, elements, take as take_elements};
use super::{Call, broadcast::Broadcast};
use nim_tensor::{DType, Tensor, Value, convert};
use regex::Regex;
use std::collections::HashMap;

/// The elements of a tensor of text.
fn strings(tensor: &Tensor) -> Result<&[String], String> {
    tensor.as_strings().ok_or_else(|| format!("text is needed, found {tensor:?}"))
}

/// The only element of a tensor of text.
fn single(tensor: &Tensor) -> Result<&str, String> {
    match strings(tensor)? {
        [text] => Ok(text),
        list => Err(format!("one text is needed, found {}", list.len())),
    }
}

/// `text.concat(a, b) -> c`: joins the broadcast operands element by element.
pub(super) fn concat(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    let (x, y) = (strings(a)?, strings(b)?);
    let shape = Broadcast::of(a.dims(), b.dims())?;
    call.env.admit(DType::String, &shape.dims)?;
    let joined = shape.pairs().map(|(i, j)| format!("{}{}", x[i], y[j])).collect();
    Ok(vec![Tensor::strings(&shape.dims, joined).into()])
}

/// `text.compare(a, b) -> c`: truth values, by Unicode code points. ints: 0 to 5 for eq, ne, lt, le, gt, ge.
pub(super) fn compare(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    let (x, y) = (strings(a)?, strings(b)?);
    let shape = Broadcast::of(a.dims(), b.dims())?;
    call.env.admit(DType::Bool, &shape.dims)?;
    let holds: fn(&str, &str) -> bool = match call.int(0)? {
        0 => |a, b| a == b,
        1 => |a, b| a != b,
        2 => |a, b| a < b,
        3 => |a, b| a <= b,
        4 => |a, b| a > b,
        5 => |a, b| a >= b,
        other => return Err(format!("there is no predicate {other}")),
    };
    let found = shape.pairs().map(|(i, j)| holds(&x[i], &y[j])).collect();
    Ok(vec![Tensor::bools(&shape.dims, found).into()])
}

/// `text.cast(x) -> y`: numbers of text, or text of numbers. ints: element type.
pub(super) fn cast(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let cast = convert::cast(call.tensor(0)?, call.dtype(0)?, true);
    Ok(vec![cast.map_err(|e| e.to_string())?.into()])
}

/// `text.split(x, delimiter) -> pieces, counts`: cuts at a delimiter, or at runs of white space when it is empty, at most
/// as often as ints says (no limit when negative). The pieces lie along a new last axis as long as the longest list, filled
/// up with empty text.
pub(super) fn split(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (x, delimiter) = (call.tensor(0)?, single(call.tensor(1)?)?);
    let limit = usize::try_from(call.int(0)?).ok();
    let lists: Vec<_> = strings(x)?.iter().map(|s| pieces(s, delimiter, limit)).collect();
    let width = lists.iter().map(Vec::len).max().unwrap_or(0);
    let dims = [x.dims(), &[width]].concat();
    call.env.admit(DType::String, &dims)?;
    let counts = lists.iter().map(|l| l.len() as i64).collect();
    let filled = lists.into_iter().flat_map(|l| {
        let padding = width - l.len();
        l.into_iter().map(str::to_owned).chain(std::iter::repeat_n(String::new(), padding))
    });
    Ok(vec![Tensor::strings(&dims, filled.collect()).into(), Tensor::new::<i64>(x.dims(), counts).into()])
}

fn pieces<'s>(text: &'s str, delimiter: &str, limit: Option<usize>) -> Vec<&'s str> {
    if !delimiter.is_empty() {
        return text.splitn(limit.map_or(usize::MAX, |n| n.saturating_add(1)), delimiter).collect();
    }
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(char::is_whitespace).filter(|_| limit.is_none_or(|n| pieces.len() < n));
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        pieces.push(piece);
        rest = after.trim_start();
    }
    pieces
}

/// `text.normalize(x, stopwords) -> y`: removes stop words from a list of shape `[c]` or `[1, c]` and changes the case of
/// the rest, by Unicode's rules for no particular language. When nothing is left, one empty text is. ints: 0 to keep the
/// case, 1 lower, 2 upper; whether case matters for stop words.
pub(super) fn normalize(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (x, stopwords) = (call.tensor(0)?, strings(call.tensor(1)?)?);
    let ([_] | [1, _]) = x.dims() else {
        return Err(format!("shape {:?} is neither [c] nor [1, c]", x.dims()));
    };
    let (case, sensitive) = (call.int(0)?, call.int(1)? != 0);
    let stopped = |word: &str| {
        stopwords.iter().any(|s| if sensitive { s == word } else { s.to_lowercase() == word.to_lowercase() })
    };
    let changed = |s: &String| match case {
        1 => s.to_lowercase(),
        2 => s.to_uppercase(),
        _ => s.clone(),
    };
    let mut kept: Vec<_> = strings(x)?.iter().filter(|s| !stopped(s)).map(changed).collect();
    if kept.is_empty() {
        kept.push(String::new());
    }
    let mut dims = x.dims().to_vec();
    dims[x.rank() - 1] = kept.len();
    Ok(vec![Tensor::strings(&dims, kept).into()])
}

/// `text.matches(x, pattern) -> y`: whether each whole text matches a regular expression in RE2's syntax.
pub(super) fn matches(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (x, pattern) = (call.tensor(0)?, single(call.tensor(1)?)?);
    let compile = |p: &str| Regex::new(p).map_err(|error| error.to_string());
    // On its own first: a pattern that only the added parentheses make legal is not legal.
    compile(pattern)?;
    let regex = compile(&format!(r"\A(?:{pattern})\z"))?;
    let found = strings(x)?.iter().map(|s| regex.is_match(s)).collect();
    Ok(vec![Tensor::bools(x.dims(), found).into()])
}

/// Words as numbers that are equal when the words are.
fn word_numbers<'t>(pool: &'t Tensor, text: &'t Tensor) -> Result<(Vec<i64>, Vec<i64>), String> {
    match (elements(pool)?, elements(text)?) {
        (Elements::Ints(pool), Elements::Ints(text)) => Ok((pool, text)),
        (Elements::Strings(pool), Elements::Strings(text)) => {
            let mut known: HashMap<&'t str, i64> = HashMap::new();
            let mut number = |s: &'t String| {
                let next = known.len() as i64;
                *known.entry(s.as_str()).or_insert(next)
            };
            Ok((pool.iter().map(&mut number).collect(), text.iter().map(&mut number).collect()))
        }
        _ => Err(format!("n-grams of {pool:?} are sought in {text:?}")),
    }
}

/// `text.ngrams(x, pool, weights) -> y`: how often each n-gram of the pool occurs in `x` of shape `[c]` or `[b, c]`, with up
/// to `max_skip` words left out between two of its words (the same number each time); see TfIdfVectorizer in the ONNX
/// standard.
///
/// ints: 0 counts, 1 whether there are any times the weight, 2 counts times the weight; shortest and longest n-gram; most
/// words left out; size of the result's last axis; number of starts; where in the pool n-grams of each length start; the
/// place in the result of each n-gram of the pool.
pub(super) fn ngrams(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (x, pool, weights) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (pool, words) = word_numbers(pool, x)?;
    let weights = weights.elements::<f32>();
    let size = |i: usize| call.int(i).and_then(super::count);
    let (mode, shortest, longest, max_skip, width) = (call.int(0)?, size(1)?, size(2)?, size(3)?, size(4)?);
    let lengths = size(5)?;
    let starts = call.ints.get(6..).and_then(|l| l.get(..lengths)).ok_or("starts of n-grams are missing")?;
    let places = &call.ints[6 + lengths..];
    let (rows, row) = match *x.dims() {
        [] => (1, 1),
        [c] => (1, c),
        [b, c] => (b, c),
        _ => return Err(format!("shape {:?} is neither [c] nor [b, c]", x.dims())),
    };
    let mut wanted: HashMap<&[i64], usize> = HashMap::new();
    let mut number = 0;
    for (i, &start) in starts.iter().enumerate() {
        let n = i + 1;
        let start = super::count(start)?;
        let end = starts.get(n).map_or(Ok(pool.len()), |&e| super::count(e))?;
        let part = pool.get(start..end).ok_or_else(|| format!("n-grams from {start} to {end} of {}", pool.len()))?;
        for gram in part.chunks_exact(n) {
            let place = places.get(number).ok_or_else(|| format!("n-gram {number} has no place in the result"))?;
            let place = super::count(*place)?;
            if place >= width {
                return Err(format!("place {place} lies outside of a result of {width}"));
            }
            if (shortest..=longest).contains(&n) {
                wanted.insert(gram, number);
            }
            number += 1;
        }
    }
    let dims: &[usize] = if x.rank() < 2 { &[width] } else { &[rows, width] };
    let total = call.env.admit(DType::F32, dims)?;
    let mut out = vec![0f32; total];
    let mut gram = vec![];
    for r in 0..rows {
        let text = &words[r * row..(r + 1) * row];
        let mut counts = vec![0u32; number];
        for n in shortest.max(1)..=longest.min(lengths) {
            // One word has nothing between its words.
            for step in 1..=(if n == 1 { 1 } else { max_skip.saturating_add(1) }) {
                let Some(reach) = (n - 1).checked_mul(step).filter(|&reach| reach < row) else { break };
                for start in 0..row - reach {
                    gram.clear();
                    gram.extend((0..n).map(|k| text[start + k * step]));
                    if let Some(&number) = wanted.get(gram.as_slice()) {
                        counts[number] += 1;
                    }
                }
            }
        }
        for (number, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let weight = weights.get(number).copied().unwrap_or(1.0);
            // Places were checked above.
            out[r * width + places[number] as usize] += match mode {
                0 => count as f32,
                1 => weight,
                _ => count as f32 * weight,
            };
        }
    }
    Ok(vec![Tensor::new(dims, out).into()])
}

/// `text.lookup(x, keys, values, default) -> y`: the value beside the key that equals each element (the first of equal
/// keys), else the default. Every NaN equals every other.
pub(super) fn lookup(call: &mut Call<'_>) -> Result<Vec<Value>, String> {
    let (x, keys) = (call.tensor(0)?, call.tensor(1)?);
    let (values, default) = (call.tensor(2)?, call.tensor(3)?);
    if keys.len() != values.len() || default.len() != 1 || values.dtype() != default.dtype() {
        return Err(format!("{} keys, {} values and {} defaults", keys.len(), values.len(), default.len()));
    }
    let places: Vec<Option<usize>> = match (elements(x)?, elements(keys)?) {
        (Elements::Strings(x), Elements::Strings(keys)) => {
            let mut known: HashMap<&str, usize> = HashMap::new();
            keys.iter().enumerate().for_each(|(i, k)| {
                known.entry(k.as_str()).or_insert(i);
            });
            x.iter().map(|s| known.get(s.as_str()).copied()).collect()
        }
        (Elements::Ints(x), Elements::Ints(keys)) => x.iter().map(|v| keys.iter().position(|k| k == v)).collect(),
        (Elements::Floats(x), Elements::Floats(keys)) => {
            x.iter().map(|v| keys.iter().position(|k| k == v || k.is_nan() && v.is_nan())).collect()
        }
        _ => return Err(format!("elements of {x:?} are looked for among keys {keys:?}")),
    };
    call.env.admit(values.dtype(), x.dims())?;
    // The default stands behind the values.
    let all = match (values.as_strings(), default.as_strings()) {
        (Some(v), Some(d)) => Tensor::strings(&[v.len() + 1], v.iter().chain(d).cloned().collect()),
        _ => Tensor::from_bytes(values.dtype(), &[values.len() + 1], [values.bytes(), default.bytes()].concat()),
    };
    let places = places.into_iter().map(|p| p.unwrap_or(values.len()));
    Ok(vec![take_elements(&all, x.dims(), places).into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::{Env, Function, random::Draws};

    fn run(function: Function, ints: &[i64], ins: &[Tensor]) -> Result<Vec<Tensor>, String> {
        let ins: Vec<Value> = ins.iter().cloned().map(Value::Tensor).collect();
        let env = &mut Env { limit: 1 << 20, seeds: Draws { seed: 1 }, drawn: 0 };
        let out = function(&mut Call { ints, sizes: &[], ins: &ins, env })?;
        Ok(out.iter().map(|v| v.as_tensor().unwrap().clone()).collect())
    }
    fn words(words: &[&str]) -> Tensor {
        Tensor::strings(&[words.len()], words.iter().map(|w| w.to_string()).collect())
    }
    fn one(word: &str) -> Tensor {
        words(&[word]).reshaped(&[]).unwrap()
    }

    #[test]
    fn concat_and_compare_broadcast() {
        let (ab, b) = (words(&["a", "b"]), words(&["b"]));
        assert_eq!(run(concat, &[], &[ab.clone(), one("!")]).unwrap()[0], words(&["a!", "b!"]));
        assert!(run(concat, &[], &[ab.clone(), Tensor::scalar(1i8)]).is_err());
        assert!(run(concat, &[], &[ab.clone(), words(&["x", "y", "z"])]).is_err());
        assert_eq!(run(compare, &[2], &[ab, b]).unwrap()[0], Tensor::bools(&[2], vec![true, false]));
    }

    #[test]
    fn taking_checks_positions() {
        let operands = |at| [Tensor::new(&[2], vec![at, 0i64]), words(&["a"]), words(&["b", "c"])];
        let take = crate::runtime::access::take_from_all;
        assert_eq!(run(take, &[], &operands(2)).unwrap()[0], words(&["c", "a"]));
        assert!(run(take, &[], &operands(3)).is_err() && run(take, &[], &operands(-1)).is_err());
    }

    #[test]
    fn split_follows_python() {
        let out = run(split, &[-1], &[words(&["a,b,,c", ""]), one(",")]).unwrap();
        assert_eq!(out[0].dims(), [2, 4]);
        assert_eq!(out[0].as_strings().unwrap(), ["a", "b", "", "c", "", "", "", ""]);
        assert_eq!(out[1], Tensor::new(&[2], vec![4i64, 1]));
        let out = run(split, &[1], &[words(&["  a  b c ", " "]), one("")]).unwrap();
        assert_eq!(out[0].as_strings().unwrap(), ["a", "b c ", "", ""]);
        assert_eq!(out[1], Tensor::new(&[2], vec![2i64, 0]));
        assert_eq!(pieces("x y", "", Some(0)), ["x y"]);
        assert_eq!(run(split, &[-1], &[Tensor::strings(&[0], vec![]), one("")]).unwrap()[0].dims(), [0, 0]);
    }

    #[test]
    fn normalizing_removes_and_changes() {
        let (x, stop) = (words(&["Monday", "tuesday"]), words(&["monday"]));
        assert_eq!(run(normalize, &[2, 1], &[x.clone(), stop.clone()]).unwrap()[0], words(&["MONDAY", "TUESDAY"]));
        assert_eq!(run(normalize, &[0, 0], &[x.clone(), stop]).unwrap()[0], words(&["tuesday"]));
        let row = x.reshaped(&[1, 2]).unwrap();
        let none = run(normalize, &[0, 0], &[row, words(&["MONDAY", "TUESDAY"])]).unwrap();
        assert_eq!((none[0].dims(), none[0].as_strings().unwrap()), (&[1, 1][..], &[String::new()][..]));
        assert!(run(normalize, &[0, 1], &[one(""), words(&[])]).is_err());
    }

    #[test]
    fn matching_is_of_the_whole_text() {
        let y = run(matches, &[], &[words(&["ab", "abb", "xab"]), one("a|ab+")]).unwrap();
        assert_eq!(y[0], Tensor::bools(&[3], vec![true, true, false]));
        assert!(run(matches, &[], &[words(&["a"]), one("a)(b")]).is_err());
    }

    #[test]
    fn ngrams_may_leave_words_out() {
        // The pool: "a", then "a b" and "b c"; the result has them at 2, 0, 1.
        let pool = words(&["a", "a", "b", "b", "c"]);
        let x = words(&["a", "x", "b", "c"]);
        let weights = Tensor::new(&[3], vec![2f32, 3.0, 5.0]);
        let count = |mode, skip| {
            let ints = [mode, 1, 2, skip, 3, 2, 0, 1, 2, 0, 1];
            run(ngrams, &ints, &[x.clone(), pool.clone(), weights.clone()]).unwrap()[0].clone()
        };
        assert_eq!(count(0, 0), Tensor::new(&[3], vec![0f32, 1.0, 1.0]));
        assert_eq!(count(0, 1), Tensor::new(&[3], vec![1f32, 1.0, 1.0]));
        assert_eq!(count(2, 1), Tensor::new(&[3], vec![3f32, 5.0, 2.0]));
    }

    #[test]
    fn lookup_knows_nan_and_defaults() {
        let keys = Tensor::new(&[2], vec![f32::NAN, 1.0]);
        let x = Tensor::new(&[3], vec![1.0, f32::NAN, 7.0]);
        let out = run(lookup, &[], &[x, keys, words(&["nan", "one"]), one("?")]).unwrap();
        assert_eq!(out[0], words(&["one", "nan", "?"]));
        let bad = run(lookup, &[], &[words(&["a"]), words(&["a"]), words(&[]), one("?")]);
        assert!(bad.is_err());
    }
}
