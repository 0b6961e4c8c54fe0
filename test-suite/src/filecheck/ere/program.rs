//! Compiles an expression to instructions, and searches with them.

use super::{ByteSet, Node};
use std::ops::Range;

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
