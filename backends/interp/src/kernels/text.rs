//! Operations on strings, as the ONNX operators of these names define them.

use super::access::{store_bools, store_ints, store_strings, strings};
use super::error::{KernelError, Result};
use super::index::{broadcast_dims, broadcast_positions, checked_count};
use nim_tensor::{DType, Tensor};
use regex::Regex;

/// Joins the strings of the broadcast operands.
pub fn string_concat(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    const OP: &str = "string_concat";
    let (x, y) = (strings(OP, a)?, strings(OP, b)?);
    let dims = broadcast_dims(OP, &[a.dims(), b.dims()])?;
    let (pa, pb) = (broadcast_positions(a.dims(), &dims), broadcast_positions(b.dims(), &dims));
    store_strings(OP, &dims, pa.iter().zip(&pb).map(|(&i, &j)| format!("{}{}", x[i], y[j])).collect())
}

/// Cuts strings at a delimiter, or at runs of white space when it is empty, at most `limit` times. Gives the pieces
/// along a new last dimension, as long as the longest list, filled up with empty strings, and the `i64` counts.
pub fn string_split(x: &Tensor, delimiter: &str, limit: Option<usize>) -> Result<(Tensor, Tensor)> {
    const OP: &str = "string_split";
    let lists: Vec<_> = strings(OP, x)?.iter().map(|s| split(s, delimiter, limit)).collect();
    let width = lists.iter().map(Vec::len).max().unwrap_or(0);
    let dims = [x.dims(), &[width]].concat();
    checked_count(OP, &dims)?;
    let counts: Vec<_> = lists.iter().map(|l| l.len() as i128).collect();
    let pieces = lists.into_iter().flat_map(|l| {
        let padding = width - l.len();
        l.into_iter().map(str::to_owned).chain(std::iter::repeat_n(String::new(), padding))
    });
    Ok((store_strings(OP, &dims, pieces.collect())?, store_ints(OP, DType::I64, x.dims(), &counts)?))
}

fn split<'s>(text: &'s str, delimiter: &str, limit: Option<usize>) -> Vec<&'s str> {
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

/// What [`string_normalizer`] does to the letters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum LetterCase {
    Keep,
    Lower,
    Upper,
}

/// Removes stop words from strings of shape `[c]` or `[1, c]` and changes the case of the rest, by Unicode's rules for
/// no particular language. When nothing is left, one empty string is.
pub fn string_normalizer(x: &Tensor, case: LetterCase, case_sensitive: bool, stopwords: &[String]) -> Result<Tensor> {
    const OP: &str = "string_normalizer";
    let ([_] | [1, _]) = x.dims() else {
        return Err(KernelError::invalid(OP, format!("shape {:?} is neither [c] nor [1, c]", x.dims())));
    };
    let stopped = |word: &str| {
        stopwords.iter().any(|s| if case_sensitive { s == word } else { s.to_lowercase() == word.to_lowercase() })
    };
    let mut kept: Vec<_> = strings(OP, x)?
        .iter()
        .filter(|s| !stopped(s))
        .map(|s| match case {
            LetterCase::Keep => s.clone(),
            LetterCase::Lower => s.to_lowercase(),
            LetterCase::Upper => s.to_uppercase(),
        })
        .collect();
    if kept.is_empty() {
        kept.push(String::new());
    }
    let mut dims = x.dims().to_vec();
    dims[x.rank() - 1] = kept.len();
    store_strings(OP, &dims, kept)
}

/// Whether each whole string matches a regular expression in RE2's syntax.
pub fn regex_full_match(x: &Tensor, pattern: &str) -> Result<Tensor> {
    const OP: &str = "regex_full_match";
    let texts = strings(OP, x)?;
    let compile = |p: &str| Regex::new(p).map_err(|error| KernelError::invalid(OP, error.to_string()));
    // On its own first: a pattern that only the added parentheses make legal is not legal.
    compile(pattern)?;
    let regex = compile(&format!(r"\A(?:{pattern})\z"))?;
    store_bools(OP, x.dims(), texts.iter().map(|s| regex.is_match(s)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Tensor {
        Tensor::strings(&[words.len()], words.iter().map(|w| w.to_string()).collect())
    }

    #[test]
    fn concat_broadcasts() {
        let y = string_concat(&words(&["a", "b"]), &words(&["!"])).unwrap();
        assert_eq!(y, words(&["a!", "b!"]));
        assert!(string_concat(&words(&["a"]), &Tensor::scalar(1i8)).is_err());
    }

    #[test]
    fn split_follows_python() {
        let (y, n) = string_split(&words(&["a,b,,c", ""]), ",", None).unwrap();
        assert_eq!(y.dims(), [2, 4]);
        assert_eq!(y.as_strings().unwrap(), ["a", "b", "", "c", "", "", "", ""]);
        assert_eq!(n, Tensor::new(&[2], vec![4i64, 1]));
        let (y, n) = string_split(&words(&["  a  b c ", " "]), "", Some(1)).unwrap();
        assert_eq!(y.as_strings().unwrap(), ["a", "b c ", "", ""]);
        assert_eq!(n, Tensor::new(&[2], vec![2i64, 0]));
        assert_eq!(split("x y", "", Some(0)), ["x y"]);
        assert_eq!(string_split(&Tensor::strings(&[0], vec![]), "", None).unwrap().0.dims(), [0, 0]);
    }

    #[test]
    fn normalizer_removes_and_changes() {
        let x = words(&["Monday", "tuesday"]);
        let stop = ["monday".to_owned()];
        assert_eq!(string_normalizer(&x, LetterCase::Upper, true, &stop).unwrap(), words(&["MONDAY", "TUESDAY"]));
        assert_eq!(string_normalizer(&x, LetterCase::Keep, false, &stop).unwrap(), words(&["tuesday"]));
        let one = x.reshaped(&[1, 2]).unwrap();
        let none = string_normalizer(&one, LetterCase::Keep, false, &["MONDAY".into(), "TUESDAY".into()]).unwrap();
        assert_eq!((none.dims(), none.as_strings().unwrap()), (&[1, 1][..], &[String::new()][..]));
        assert!(string_normalizer(&Tensor::strings(&[], vec!["".into()]), LetterCase::Keep, true, &[]).is_err());
    }

    #[test]
    fn regex_matches_all_of_the_string() {
        let y = regex_full_match(&words(&["ab", "abb", "xab"]), "a|ab+").unwrap();
        assert_eq!(y, Tensor::bools(&[3], vec![true, true, false]));
        assert!(regex_full_match(&words(&["a"]), "a)(b").is_err());
    }
}
