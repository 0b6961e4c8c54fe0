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
