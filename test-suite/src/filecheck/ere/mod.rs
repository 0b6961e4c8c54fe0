//! POSIX extended regular expressions as FileCheck has them: leftmost-longest matches, back-references, bytes.
//!
//! Crates with this meaning are not to be had: `regex` takes the first alternative instead of the longest and knows no
//! back-references. Search takes time linear in program size times text unless a back-reference is there.
//! Deliberately absent: collating elements, word boundaries, and everything that is not in POSIX (`\d`, lazy repetition).

mod parse;
mod program;

pub use parse::parse;
pub use program::{Found, Program};

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn remove(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] &= !(1 << (byte & 63));
    }

    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    fn inverted(self) -> Self {
        ByteSet(self.0.map(|word| !word))
    }

    fn of(byte: u8) -> Self {
        let mut set = ByteSet::default();
        set.insert(byte);
        set
    }

    /// Adds the other case of every letter in the set.
    fn fold_case(&mut self) {
        for byte in b'a'..=b'z' {
            let upper = byte.to_ascii_uppercase();
            if self.contains(byte) || self.contains(upper) {
                self.insert(byte);
                self.insert(upper);
            }
        }
    }
}

/// A parsed expression. Groups are numbered by the order of their opening, when the whole is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// One byte of a set.
    Set(ByteSet),
    /// Start of a line.
    LineStart,
    /// End of a line.
    LineEnd,
    /// What the group of this number matched.
    Backref(u32),
    /// One after the other.
    Seq(Vec<Node>),
    /// One of several.
    Alt(Vec<Node>),
    /// At least `min` and at most `max` times.
    Repeat {
        /// What is repeated.
        body: Box<Node>,
        /// The least count.
        min: u32,
        /// The greatest count; `None` for no bound.
        max: Option<u32>,
    },
    /// A capture group.
    Group(Box<Node>),
}

impl Node {
    /// The expression that matches exactly this text.
    pub fn literal(text: &[u8]) -> Node {
        Node::Seq(text.iter().map(|&byte| Node::Set(ByteSet::of(byte))).collect())
    }

    /// How many capture groups it holds.
    pub fn groups(&self) -> u32 {
        match self {
            Node::Seq(nodes) | Node::Alt(nodes) => nodes.iter().map(Node::groups).sum(),
            Node::Repeat { body, .. } => body.groups(),
            Node::Group(body) => 1 + body.groups(),
            _ => 0,
        }
    }

    fn can_be_empty(&self) -> bool {
        match self {
            Node::Set(_) => false,
            Node::LineStart | Node::LineEnd | Node::Backref(_) => true,
            Node::Seq(nodes) => nodes.iter().all(Node::can_be_empty),
            Node::Alt(nodes) => nodes.iter().any(Node::can_be_empty),
            Node::Repeat { body, min, .. } => *min == 0 || body.can_be_empty(),
            Node::Group(body) => body.can_be_empty(),
        }
    }
}
