//! String literals: MLIR's escapes, and names that need quotes.

/// Bytes that are not UTF-8 are kept as characters of the last private plane: byte `b` as this plus `b`. The characters
/// themselves are kept as their bytes, so nothing is lost.
const RAW_BYTE: u32 = 0x10_FF00;

/// The text that holds these bytes.
fn text_of_bytes(bytes: Vec<u8>) -> String {
    let raw = |out: &mut String, bytes: &[u8]| {
        out.extend(bytes.iter().filter_map(|&b| char::from_u32(RAW_BYTE + u32::from(b))));
    };
    match String::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| u32::from(c) >= RAW_BYTE + 0x80) => text,
        Ok(text) => text_of_chunks(text.as_bytes(), raw),
        Err(error) => text_of_chunks(error.as_bytes(), raw),
    }
}
fn text_of_chunks(bytes: &[u8], raw: impl Fn(&mut String, &[u8])) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                c if u32::from(c) >= RAW_BYTE + 0x80 => raw(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => out.push(c),
            }
        }
        raw(&mut out, chunk.invalid());
    }
    out
}

/// A text as a literal with its quotes. Printable characters, also beyond ASCII, stand as they are.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\22"),
            '\\' => out.push_str("\\\\"),
            c if c.is_ascii_control() => out.push_str(&format!("\\{:02X}", u32::from(c))),
            c if u32::from(c) >= RAW_BYTE + 0x80 => out.push_str(&format!("\\{:02X}", u32::from(c) - RAW_BYTE)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The text of a literal with its quotes; the error is the byte of the literal that is wrong, and why.
pub fn unquote(literal: &str) -> Result<String, (usize, String)> {
    let inner = literal.strip_prefix('"').and_then(|s| s.strip_suffix('"')).unwrap_or(literal);
    let bytes = inner.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] != b'\\' {
            out.push(bytes[i]);
            i += 1;
            continue;
        }
        let hex = |at: usize| bytes.get(at).and_then(|&b| char::from(b).to_digit(16));
        match bytes.get(i + 1) {
            Some(&c @ (b'"' | b'\\')) => {
                out.push(c);
                i += 2;
            }
            Some(b'n') => {
                out.push(b'\n');
                i += 2;
            }
            Some(b't') => {
                out.push(b'\t');
                i += 2;
            }
            _ => match (hex(i + 1), hex(i + 2)) {
                (Some(high), Some(low)) => {
                    out.push((high * 16 + low) as u8);
                    i += 3;
                }
                _ => {
                    return Err((
                        i + 1,
                        "an escape is one of `\\\\`, `\\\"`, `\\n`, `\\t`, or `\\` and two hexadecimal digits".into(),
                    ));
                }
            },
        }
    }
    Ok(text_of_bytes(out))
}

/// Where the literal ends whose opening quote stands at `start`: behind its closing quote, or at the end of the text.
pub fn literal_end(text: &str, start: usize) -> usize {
    let (bytes, mut i) = (text.as_bytes(), start + 1);
    while i < bytes.len() && bytes[i] != b'"' {
        i += if bytes[i] == b'\\' { 2 } else { 1 };
    }
    (i + 1).min(bytes.len())
}

/// How many bytes at the start are the name of an alias or of a dialect's attribute, behind its `#` or `!`.
pub fn suffix_id_len(text: &str) -> usize {
    text.bytes().take_while(|&c| c.is_ascii_alphanumeric() || matches!(c, b'$' | b'.' | b'_' | b'-')).count()
}

/// True when a name is an identifier and so needs no quotes.
pub fn is_bare_id(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_')
        && bytes.all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'$' | b'.'))
}

/// `@name`, quoted where needed.
pub fn symbol(name: &str) -> String {
    if is_bare_id(name) { format!("@{name}") } else { format!("@{}", quote(name)) }
}

/// The key of an attribute or resource, quoted where needed.
pub fn key(name: &str) -> String {
    if is_bare_id(name) { name.to_string() } else { quote(name) }
}

/// Bytes as `0x` and hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(2 + 2 * bytes.len());
    out.push_str("0x");
    for &b in bytes {
        out.push(char::from(DIGITS[usize::from(b >> 4)]));
        out.push(char::from(DIGITS[usize::from(b & 15)]));
    }
    out
}

/// The bytes of `0x` and hexadecimal digits.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    if digits.len() % 2 != 0 {
        return None;
    }
    let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_round_trip() {
        for text in ["", "plain", "quote \" backslash \\ newline \n tab \t nul \0", "größer ≥"] {
            assert_eq!(unquote(&quote(text)).as_deref(), Ok(text));
        }
        assert_eq!(unquote("\"\\C3\\A9\"").as_deref(), Ok("é"));
        // Any bytes come back as they were, also where they look like those that stand for others.
        for literal in ["\"\\FF\"", "\"a\\C3\"", "\"\\F4\\8F\\BF\\80\\80\""] {
            assert_eq!(unquote(literal).map(|text| quote(&text)).as_deref(), Ok(literal));
        }
        assert_eq!(unhex(&hex(&[0, 171, 255])), Some(vec![0, 171, 255]));
        assert_eq!(unhex("0x1"), None);
    }
}
