//! Rust source text without its comments and literals: what is left is code, and a word in it means what it says.

/// The source with every comment, string and character literal replaced by spaces; line breaks stay.
pub fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if end == at {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        out.extend(bytes[at..end].iter().map(|&byte| if byte == b'\n' { b'\n' } else { b' ' }));
        at = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none does.
fn literal_end(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    let find = |from: usize, wanted: &[u8]| {
        let found = text[from.min(text.len())..].windows(wanted.len()).position(|window| window == wanted);
        found.map_or(text.len(), |offset| from + offset + wanted.len())
    };
    match rest[0] {
        b'/' if rest.starts_with(b"//") => text[at..].iter().position(|&b| b == b'\n').map_or(text.len(), |n| at + n),
        b'/' if rest.starts_with(b"/*") => block_comment_end(text, at),
        b'"' => quoted_end(text, at + 1),
        b'r' if !continues_word(text, at) || is_byte_prefix(text, at) => {
            let hashes = rest[1..].iter().take_while(|&&b| b == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return at;
            }
            let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
            find(at + 2 + hashes, &close)
        }
        b'\'' => character_end(text, at),
        _ => at,
    }
}

fn continues_word(text: &[u8], at: usize) -> bool {
    at > 0 && (text[at - 1].is_ascii_alphanumeric() || text[at - 1] == b'_')
}

/// The `b` of `br"..."`, the `c` of `cr"..."`.
fn is_byte_prefix(text: &[u8], at: usize) -> bool {
    at > 0 && matches!(text[at - 1], b'b' | b'c') && !continues_word(text, at - 1)
}

fn block_comment_end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < text.len() {
        if text[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn quoted_end(text: &[u8], mut at: usize) -> usize {
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'"' => return at + 1,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// A character literal, or `at` for the start of a lifetime.
fn character_end(text: &[u8], at: usize) -> usize {
    if text.get(at + 1) == Some(&b'\\') {
        let close = text[at + 3..].iter().position(|&b| b == b'\'');
        return close.map_or(text.len(), |n| at + 4 + n);
    }
    // one character of up to four bytes, then the quote
    let width = text.get(at + 1).map_or(1, |byte| (byte.leading_ones() as usize).max(1));
    if text.get(at + 1 + width) == Some(&b'\'') { at + 2 + width } else { at }
}

/// The lines, from 1, on which a word stands in code.
pub fn lines_with_word(code: &str, word: &str) -> Vec<usize> {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let has = |line: &str| line.split(|c: char| !in_word(c)).any(|found| found == word);
    (1..).zip(code.lines()).filter(|(_, line)| has(line)).map(|(number, _)| number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_only_code() {
        let source = "\
// word
/* word /* word */ word */ let s = \"word \\\" word\";
let r = br#\"word \" word\"#; let c = '\\''; let d = '\"'; // word
fn f<'word_>(x: &'a str) { word() } let e = 'w'; let u = 'ä'; \"word\";
let unsafe_word = wordy;
";
        assert_eq!(lines_with_word(&code_only(source), "word"), [4]);
        assert_eq!(code_only(source).lines().count(), source.lines().count());
    }
}
