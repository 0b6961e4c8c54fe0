//! Where an op comes from.

use crate::Name;

/// A source text of a [`crate::Context`].
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SourceId(pub(crate) u32);

/// An interned location.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Loc(pub(crate) u32);

impl Loc {
    /// Nothing is known. Always id 0.
    pub const UNKNOWN: Loc = Loc(0);
    /// Where this bit is set, the others are the place of a token's first byte among all texts of the context: most
    /// locations are that, and cost nothing so.
    const TOKEN: u32 = 1 << 31;

    /// The location of the token at a byte of a text whose first byte has the place `base`.
    pub fn of_token(base: u32, start: u32) -> Loc {
        Loc((base + start) | Loc::TOKEN)
    }
    /// The location so many places behind the first of [`crate::Context::add_positions`].
    pub fn nth(self, n: u32) -> Loc {
        Loc(self.0 + n)
    }
    pub(crate) fn token_place(self) -> Option<u32> {
        (self.0 & Loc::TOKEN != 0).then_some(self.0 & !Loc::TOKEN)
    }
}

/// Where the token at a byte of a text ends, roughly: enough to underline it.
pub(crate) fn token_end(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default().as_bytes();
    let word = |from: usize| {
        let in_word = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'$' | b'.' | b'-');
        from + rest[from..].iter().take_while(|&c| in_word(c)).count()
    };
    let string = |from: usize| {
        let mut i = from + 1;
        while i < rest.len() && rest[i] != b'"' && rest[i] != b'\n' {
            i += if rest[i] == b'\\' { 2 } else { 1 };
        }
        (i + 1).min(rest.len())
    };
    start
        + match rest {
            [] => 0,
            [b'"', ..] => string(0),
            [b'@', b'"', ..] => string(1),
            [b'%' | b'^' | b'@' | b'#' | b'!', ..] => word(1),
            [c, ..] if c.is_ascii_alphanumeric() || *c == b'_' => word(0),
            _ => text[start..].chars().next().map_or(0, char::len_utf8),
        }
}

/// What a location says.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum LocData {
    /// Nothing.
    Unknown,
    /// Bytes `start..end` of a text that the context holds.
    Span {
        /// The text.
        source: SourceId,
        /// First byte.
        start: u32,
        /// One past the last byte.
        end: u32,
    },
    /// `loc("file":line:column)` as some text said it; both count from 1.
    File {
        /// File name.
        file: Name,
        /// Line.
        line: u32,
        /// Column.
        column: u32,
    },
    /// `loc("file":3:4 to 5:6)`: a range as some text said it.
    FileRange {
        /// File name.
        file: Name,
        /// Line and column of the first character.
        start: (u32, u32),
        /// Line and column where it ends.
        end: (u32, u32),
    },
    /// `loc("name"(child))`: a name, say of an ONNX node, and where that stands.
    Name(Name, Loc),
    /// `loc(fused<metadata>[...])`: several places at once.
    Fused(Vec<Loc>, Option<crate::Attr>),
    /// `loc(callsite(callee at caller))`.
    CallSite(Loc, Loc),
    /// Made by a pass (and a named pattern of it) from something else.
    Derived {
        /// The pass.
        pass: Name,
        /// The pattern within it, if it has several.
        pattern: Option<Name>,
        /// From where.
        from: Loc,
    },
}
