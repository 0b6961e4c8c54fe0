//! POSIX extended regular expressions as FileCheck has them: leftmost-longest matches, back-references, bytes.
//!
//! Crates with this meaning are not to be had: `regex` takes the first alternative instead of the longest and knows no
//! back-references. Search takes time linear in program size times text unless a back-reference is there.
//! Deliberately absent: collating elements, word boundaries, and everything that is not in POSIX (`\d`, lazy repetition).

use std::ops::Range;

/// The largest count in `{n,m}`, POSIX's `RE_DUP_MAX`.
const MAX_REPEAT: u32 = 255;

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

/// Parses one expression. The error says what is wrong in the words of POSIX.
pub fn parse(text: &str) -> Result<Node, String> {
    let mut parser = Parser { text: text.as_bytes(), at: 0, groups: 0, closed: Vec::new() };
    let node = parser.alternatives(false)?;
    if parser.at < parser.text.len() {
        return Err("parentheses not balanced".into());
    }
    Ok(node)
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    groups: u32,
    closed: Vec<u32>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn peek2(&self) -> Option<u8> {
        self.text.get(self.at + 1).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn alternatives(&mut self, in_group: bool) -> Result<Node, String> {
        let mut branches = Vec::new();
        loop {
            let start = self.at;
            let mut sequence = Vec::new();
            while let Some(byte) = self.peek() {
                if byte == b'|' || (in_group && byte == b')') {
                    break;
                }
                sequence.push(self.piece()?);
            }
            if self.at == start {
                return Err("empty (sub)expression".into());
            }
            branches.push(Node::Seq(sequence));
            if !self.eat(b'|') {
                break;
            }
        }
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Alt(branches) })
    }

    fn at_repetition(&self) -> bool {
        match self.peek() {
            Some(b'*' | b'+' | b'?') => true,
            Some(b'{') => self.peek2().is_some_and(|b| b.is_ascii_digit()),
            _ => false,
        }
    }

    fn piece(&mut self) -> Result<Node, String> {
        let bad_repetition = || Err("repetition-operator operand invalid".to_owned());
        if self.at_repetition() {
            return bad_repetition();
        }
        let atom = self.atom()?;
        if !self.at_repetition() {
            return Ok(atom);
        }
        if atom == Node::LineStart {
            return bad_repetition();
        }
        let (min, max) = match self.text[self.at] {
            b'*' => (0, None),
            b'+' => (1, None),
            b'?' => (0, Some(1)),
            _ => {
                self.at += 1;
                let min = self.count()?;
                let max = match self.eat(b',') {
                    false => Some(min),
                    true if self.peek() == Some(b'}') => None,
                    true => Some(self.count()?),
                };
                if max.is_some_and(|max| max < min) || self.peek() != Some(b'}') {
                    return Err("invalid repetition count(s)".into());
                }
                (min, max)
            }
        };
        self.at += 1;
        if self.at_repetition() {
            return bad_repetition();
        }
        Ok(Node::Repeat { body: Box::new(atom), min, max })
    }

    fn count(&mut self) -> Result<u32, String> {
        let mut value = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            value = Some(value.unwrap_or(0) * 10 + u32::from(digit - b'0'));
            self.at += 1;
            if value > Some(MAX_REPEAT) {
                break;
            }
        }
        value.filter(|&v| v <= MAX_REPEAT).ok_or_else(|| "invalid repetition count(s)".into())
    }

    fn atom(&mut self) -> Result<Node, String> {
        let byte = self.text[self.at];
        self.at += 1;
        Ok(match byte {
            b'(' => {
                self.groups += 1;
                let number = self.groups;
                let body = if self.peek() == Some(b')') { Node::Seq(Vec::new()) } else { self.alternatives(true)? };
                if !self.eat(b')') {
                    return Err("parentheses not balanced".into());
                }
                self.closed.push(number);
                Node::Group(Box::new(body))
            }
            b')' => return Err("parentheses not balanced".into()),
            b'^' => Node::LineStart,
            b'$' => Node::LineEnd,
            b'.' => Node::Set(ByteSet::of(b'\n').inverted()),
            b'[' => Node::Set(self.bracket()?),
            b'\\' => {
                let escaped = self.peek().ok_or("trailing backslash (\\)")?;
                self.at += 1;
                match escaped {
                    b'1'..=b'9' if self.closed.contains(&u32::from(escaped - b'0')) => {
                        Node::Backref(u32::from(escaped - b'0'))
                    }
                    b'1'..=b'9' => return Err("invalid backreference number".into()),
                    _ => Node::Set(ByteSet::of(escaped)),
                }
            }
            _ => Node::Set(ByteSet::of(byte)),
        })
    }

    fn bracket(&mut self) -> Result<ByteSet, String> {
        const UNBALANCED: &str = "brackets ([ ]) not balanced";
        let mut set = ByteSet::default();
        let inverted = self.eat(b'^');
        if self.eat(b']') {
            set.insert(b']');
        } else if self.eat(b'-') {
            set.insert(b'-');
        }
        while let Some(byte) = self.peek() {
            if byte == b']' || (byte == b'-' && self.peek2() == Some(b']')) {
                break;
            }
            self.bracket_term(&mut set)?;
        }
        if self.eat(b'-') {
            set.insert(b'-');
        }
        if !self.eat(b']') {
            return Err(UNBALANCED.into());
        }
        if inverted {
            set = set.inverted();
            set.remove(b'\n');
        }
        Ok(set)
    }

    fn bracket_term(&mut self, set: &mut ByteSet) -> Result<(), String> {
        let first = self.text[self.at];
        if first == b'[' && self.peek2() == Some(b':') {
            let rest = &self.text[self.at + 2..];
            let end = rest.windows(2).position(|w| w == b":]").ok_or("brackets ([ ]) not balanced")?;
            let class = class_test(&rest[..end]).ok_or("invalid character class")?;
            (0..=u8::MAX).filter(class).for_each(|byte| set.insert(byte));
            self.at += end + 4;
            return Ok(());
        }
        if first == b'-' {
            return Err("invalid character range".into());
        }
        self.at += 1;
        let mut last = first;
        if self.peek() == Some(b'-') && self.peek2().is_some_and(|byte| byte != b']') {
            last = self.text[self.at + 1];
            self.at += 2;
        }
        if last < first {
            return Err("invalid character range".into());
        }
        (first..=last).for_each(|byte| set.insert(byte));
        Ok(())
    }
}

fn class_test(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |b| matches!(b, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |b| matches!(b, b' '..=b'~'),
        b"punct" => u8::is_ascii_punctuation,
        b"space" => |b| matches!(b, b' ' | b'\t'..=b'\r'),
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    })
}

#[derive(Debug)]
enum Inst {
    Set(ByteSet),
    LineStart,
    LineEnd,
    Backref(u32),
    /// Remember the position in a slot.
    Save(usize),
    /// Go on only when something was matched since the position in this slot: ends empty iterations.
    Progress(usize),
    /// Try the first, then the second.
    Split(usize, usize),
    Jump(usize),
    Match,
}

/// A compiled expression.
#[derive(Debug)]
pub struct Program {
    insts: Vec<Inst>,
    slots: usize,
    groups: u32,
    has_backrefs: bool,
    matches_newline: bool,
    first: Option<ByteSet>,
}

/// Where an expression matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The whole match.
    pub range: Range<usize>,
    /// The groups, the first at 0; `None` for one that took no part.
    pub groups: Vec<Option<Range<usize>>>,
}

impl Program {
    /// Compiles. With `ignore_case` letters match both cases.
    pub fn new(node: &Node, ignore_case: bool) -> Program {
        let groups = node.groups();
        let mut program = Program {
            insts: Vec::new(),
            slots: 2 * groups as usize,
            groups,
            has_backrefs: false,
            matches_newline: false,
            first: None,
        };
        let mut next_group = 0;
        program.emit(node, &mut next_group, ignore_case);
        program.insts.push(Inst::Match);
        program.first = first_bytes(&program.insts);
        program
    }

    fn emit(&mut self, node: &Node, next_group: &mut usize, ignore_case: bool) {
        match node {
            Node::Set(set) => {
                let mut set = *set;
                if ignore_case {
                    set.fold_case();
                }
                self.matches_newline |= set.contains(b'\n');
                self.insts.push(Inst::Set(set));
            }
            Node::LineStart => self.insts.push(Inst::LineStart),
            Node::LineEnd => self.insts.push(Inst::LineEnd),
            Node::Backref(group) => {
                self.has_backrefs = true;
                self.insts.push(Inst::Backref(*group - 1));
            }
            Node::Seq(nodes) => nodes.iter().for_each(|n| self.emit(n, next_group, ignore_case)),
            Node::Alt(nodes) => self.emit_alternatives(nodes, next_group, ignore_case),
            Node::Group(body) => {
                let slot = 2 * *next_group;
                *next_group += 1;
                self.insts.push(Inst::Save(slot));
                self.emit(body, next_group, ignore_case);
                self.insts.push(Inst::Save(slot + 1));
            }
            Node::Repeat { body, min, max } => {
                // every copy of the body captures into the same groups: the last iteration is what remains
                let first_group = *next_group;
                let mut copy = |program: &mut Program| {
                    *next_group = first_group;
                    program.emit(body, next_group, ignore_case);
                };
                for _ in 0..*min {
                    copy(self);
                }
                match max {
                    Some(max) => {
                        let mut exits = Vec::new();
                        for _ in *min..*max {
                            exits.push(self.insts.len());
                            self.insts.push(Inst::Split(self.insts.len() + 1, 0));
                            copy(self);
                        }
                        let end = self.insts.len();
                        for exit in exits {
                            self.insts[exit] = Inst::Split(exit + 1, end);
                        }
                    }
                    None => {
                        let head = self.insts.len();
                        self.insts.push(Inst::Split(head + 1, 0));
                        let guard = body.can_be_empty().then(|| {
                            self.slots += 1;
                            self.slots - 1
                        });
                        self.insts.extend(guard.map(Inst::Save));
                        copy(self);
                        self.insts.extend(guard.map(Inst::Progress));
                        self.insts.push(Inst::Jump(head));
                        self.insts[head] = Inst::Split(head + 1, self.insts.len());
                    }
                }
                *next_group = first_group + body.groups() as usize;
            }
        }
    }

    fn emit_alternatives(&mut self, nodes: &[Node], next_group: &mut usize, ignore_case: bool) {
        let mut exits = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let split = self.insts.len();
            let last = i + 1 == nodes.len();
            if !last {
                self.insts.push(Inst::Split(split + 1, 0));
            }
            self.emit(node, next_group, ignore_case);
            if !last {
                exits.push(self.insts.len());
                self.insts.push(Inst::Jump(0));
                self.insts[split] = Inst::Split(split + 1, self.insts.len());
            }
        }
        let end = self.insts.len();
        for exit in exits {
            self.insts[exit] = Inst::Jump(end);
        }
    }

    /// The leftmost of all matches in `text`, the longest of those.
    pub fn find(&self, text: &[u8]) -> Option<Found> {
        if self.matches_newline {
            return self.find_in(text, 0..text.len());
        }
        // nothing here crosses a line: one line at a time keeps the tables small
        let mut start = 0;
        loop {
            let end = text[start..].iter().position(|&b| b == b'\n').map_or(text.len(), |n| start + n);
            if let found @ Some(_) = self.find_in(text, start..end) {
                return found;
            }
            if end == text.len() {
                return None;
            }
            start = end + 1;
        }
    }

    fn find_in(&self, text: &[u8], window: Range<usize>) -> Option<Found> {
        let mut seen = Seen::default();
        for start in window.clone() {
            if self.first.is_some_and(|first| !first.contains(text[start])) {
                continue;
            }
            if let found @ Some(_) = self.longest_at(text, &window, start, &mut seen) {
                return found;
            }
        }
        let at_end = self.first.is_none();
        if at_end { self.longest_at(text, &window, window.end, &mut seen) } else { None }
    }

    /// The longest match that starts at `start`. Without back-references, what can follow depends only on instruction and
    /// position: each pair is tried once, over all starts, since the earlier starts found nothing.
    fn longest_at(&self, text: &[u8], window: &Range<usize>, start: usize, seen: &mut Seen) -> Option<Found> {
        enum Todo {
            Run(usize, usize),
            Restore(usize, Option<usize>),
        }
        let mut slots = vec![None; self.slots];
        let mut best: Option<(usize, Vec<Option<usize>>)> = None;
        let mut stack = vec![Todo::Run(0, start)];
        while let Some(todo) = stack.pop() {
            let (mut pc, mut at) = match todo {
                Todo::Run(pc, at) => (pc, at),
                Todo::Restore(slot, old) => {
                    slots[slot] = old;
                    continue;
                }
            };
            loop {
                let state = (at - window.start) * self.insts.len() + pc;
                if !self.has_backrefs && !seen.insert(state) {
                    break;
                }
                match &self.insts[pc] {
                    Inst::Set(set) => {
                        if at >= window.end || !set.contains(text[at]) {
                            break;
                        }
                        at += 1;
                        pc += 1;
                    }
                    Inst::LineStart if at == 0 || text[at - 1] == b'\n' => pc += 1,
                    Inst::LineEnd if at == text.len() || text[at] == b'\n' => pc += 1,
                    Inst::LineStart | Inst::LineEnd => break,
                    Inst::Backref(group) => {
                        let group = 2 * *group as usize;
                        let (Some(from), Some(to)) =
                            (slots.get(group).copied().flatten(), slots.get(group + 1).copied().flatten())
                        else {
                            break;
                        };
                        if !text[at..window.end].starts_with(&text[from..to]) {
                            break;
                        }
                        at += to - from;
                        pc += 1;
                    }
                    Inst::Save(slot) => {
                        stack.push(Todo::Restore(*slot, slots[*slot]));
                        slots[*slot] = Some(at);
                        pc += 1;
                    }
                    Inst::Progress(slot) if slots[*slot] == Some(at) => break,
                    Inst::Progress(_) => pc += 1,
                    Inst::Split(first, second) => {
                        stack.push(Todo::Run(*second, at));
                        pc = *first;
                    }
                    Inst::Jump(to) => pc = *to,
                    Inst::Match => {
                        if best.as_ref().is_none_or(|(end, _)| at > *end) {
                            best = Some((at, slots.clone()));
                        }
                        break;
                    }
                }
            }
        }
        best.map(|(end, slots)| Found {
            range: start..end,
            groups: (0..self.groups as usize).map(|g| Some(slots[2 * g]?..slots[2 * g + 1]?)).collect(),
        })
    }
}

/// The bytes a match can begin with; `None` when it can be empty or begins with a condition.
fn first_bytes(insts: &[Inst]) -> Option<ByteSet> {
    let (mut set, mut seen, mut todo) = (ByteSet::default(), vec![false; insts.len()], vec![0]);
    while let Some(pc) = todo.pop() {
        if std::mem::replace(&mut seen[pc], true) {
            continue;
        }
        match &insts[pc] {
            Inst::Set(s) => (0..4).for_each(|i| set.0[i] |= s.0[i]),
            Inst::Save(_) | Inst::Progress(_) | Inst::LineStart => todo.push(pc + 1),
            Inst::Split(a, b) => todo.extend([*a, *b]),
            Inst::Jump(to) => todo.push(*to),
            Inst::LineEnd | Inst::Backref(_) | Inst::Match => return None,
        }
    }
    Some(set)
}

/// A bit set that grows.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    /// True when it was not there.
    fn insert(&mut self, index: usize) -> bool {
        let (word, bit) = (index / 64, 1 << (index % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }
}
