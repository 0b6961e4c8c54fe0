//! Reads the text of an expression.

use super::{ByteSet, Node};

/// The largest count in `{n,m}`, POSIX's `RE_DUP_MAX`.
const MAX_REPEAT: u32 = 255;

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
