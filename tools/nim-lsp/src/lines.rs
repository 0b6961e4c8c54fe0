//! Places: the protocol counts lines and UTF-16 units, the parser bytes.

use lsp_types::{Position, Range};
use std::ops;

/// Where the lines of a text begin.
#[derive(Clone, Debug)]
pub struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// Of a text.
    pub fn new(text: &str) -> Lines {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Lines { starts: std::iter::once(0).chain(breaks).collect() }
    }
    /// The number of the line, from 0, that a byte is on.
    pub fn line_of(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }
    /// The first byte of a line; the end of the text for one behind it.
    pub fn start(&self, text: &str, line: usize) -> usize {
        self.starts.get(line).copied().unwrap_or(text.len())
    }
    /// A line without its break.
    pub fn text<'t>(&self, text: &'t str, line: usize) -> &'t str {
        text[self.start(text, line)..self.start(text, line + 1)].trim_end_matches(['\n', '\r'])
    }
    /// The place of a byte.
    pub fn position(&self, text: &str, byte: usize) -> Position {
        let byte = text.floor_char_boundary(byte);
        let line = self.line_of(byte);
        let units = text[self.start(text, line)..byte].encode_utf16().count();
        Position::new(u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(units).unwrap_or(u32::MAX))
    }
    /// The places of some bytes.
    pub fn range(&self, text: &str, bytes: ops::Range<usize>) -> Range {
        Range::new(self.position(text, bytes.start), self.position(text, bytes.end))
    }
    /// The byte of a place; the end of its line for one behind it.
    pub fn byte(&self, text: &str, position: Position) -> usize {
        let line = position.line as usize;
        let start = self.start(text, line);
        let mut units = 0;
        for (at, c) in self.text(text, line).char_indices() {
            if units >= position.character {
                return start + at;
            }
            units += c.len_utf16() as u32;
        }
        start + self.text(text, line).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_places() {
        let text = "a\n\u{e4}\u{1f600}b\r\nend";
        let lines = Lines::new(text);
        for (byte, line, character) in
            [(0, 0, 0), (1, 0, 1), (2, 1, 0), (4, 1, 1), (8, 1, 3), (9, 1, 4), (11, 2, 0), (14, 2, 3)]
        {
            assert_eq!(lines.position(text, byte), Position::new(line, character), "byte {byte}");
            assert_eq!(lines.byte(text, Position::new(line, character)), byte, "{line}:{character}");
        }
        assert_eq!(lines.byte(text, Position::new(1, 99)), 9, "the end of the line");
        assert_eq!(lines.byte(text, Position::new(99, 0)), text.len());
    }
}
