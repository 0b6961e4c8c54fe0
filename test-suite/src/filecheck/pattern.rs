//! One check line's pattern: fixed text, `{{regex}}`, `[[VAR:regex]]`, `[[VAR]]`, `[[#number]]`; and matching it.

use super::ere::{self, Node, Program};
use super::numeric::{self, Block, Declared, Format, NoValue};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// What the variables hold while a file is checked.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// Text variables.
    pub strings: HashMap<String, Vec<u8>>,
    /// Numeric variables.
    pub numbers: HashMap<String, i128>,
}

impl Variables {
    /// Forgets all but those with a `$`: what `--enable-var-scope` does at a label.
    pub fn forget_local(&mut self) {
        self.strings.retain(|name, _| name.starts_with('$'));
        self.numbers.retain(|name, _| name.starts_with('$'));
    }
}

/// Which names the lines read so far gave a meaning, and which kind.
#[derive(Debug, Default)]
pub struct Names {
    /// Defined text variables.
    pub strings: HashSet<String>,
    /// Defined numeric variables.
    pub numbers: HashMap<String, Declared>,
}

/// Options that change what a pattern means.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// `--ignore-case`
    pub ignore_case: bool,
    /// `--strict-whitespace`
    pub strict_whitespace: bool,
    /// `--match-full-lines`, and the line is not a `CHECK-NOT`
    pub full_lines: bool,
    /// `{LITERAL}`
    pub literal: bool,
    /// Blanks at the ends count too: `--strict-whitespace` and `--match-full-lines` together.
    pub keep_space: bool,
}

#[derive(Debug)]
enum Part {
    Fixed(Node),
    /// `[[NAME:regex]]`
    Define(String, Node),
    /// `[[NAME]]`
    Use(String),
    Number(Block),
}

#[derive(Debug)]
enum Kind {
    Text(Vec<u8>),
    Regex(Vec<Part>),
    /// The empty line of `CHECK-EMPTY`.
    EmptyLine,
    /// The end of the input.
    End,
}

/// A pattern that can be matched.
#[derive(Debug)]
pub struct Pattern {
    kind: Kind,
    ignore_case: bool,
}

/// Why a pattern did not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// It stands nowhere.
    NotFound,
    /// It uses variables that have no value.
    Undefined(Vec<String>),
    /// A number does not fit its format or 128 bits.
    Overflow,
}

impl Pattern {
    /// `CHECK-EMPTY`.
    pub fn empty_line() -> Pattern {
        Pattern { kind: Kind::EmptyLine, ignore_case: false }
    }

    /// The end of the input: where the last `CHECK-NOT` lines end.
    pub fn end() -> Pattern {
        Pattern { kind: Kind::End, ignore_case: false }
    }

    /// Reads the text after the colon of the check line numbered `line`.
    pub fn parse(text: &str, line: Option<usize>, style: Style, names: &mut Names) -> Result<Pattern, String> {
        let text = if style.keep_space { text } else { text.trim_end_matches([' ', '\t']) };
        let plain = !text.contains("{{") && !text.contains("[[");
        if style.literal || (plain && !style.full_lines) {
            return Ok(Pattern { kind: Kind::Text(text.as_bytes().to_vec()), ignore_case: style.ignore_case });
        }
        let mut parts = Parts { list: Vec::new(), groups: 0, defined_here: HashMap::new(), line };
        let spaces = || Node::Repeat { body: Box::new(Node::literal(b" ")), min: 0, max: None };
        if style.full_lines {
            parts.push(Node::LineStart);
            if !style.strict_whitespace {
                parts.push(spaces());
            }
        }
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("{{") {
                let end = after.find("}}").ok_or("found start of regex string with no end '}}'")?;
                let mut node = regex(&after[..end])?;
                // like `[[X:a|b]]`: an alternative must not reach into its neighbours
                if rest.contains('|') {
                    node = Node::Group(Box::new(node));
                }
                parts.push(node);
                rest = &after[end + 2..];
            } else if let Some(after) = rest.strip_prefix("[[") {
                let end = block_end(after)?;
                parts.block(&after[..end], names)?;
                rest = &after[end + 2..];
            } else {
                let next = |token| rest.find(token).unwrap_or(rest.len());
                let end = next("{{").min(next("[["));
                parts.push(Node::literal(&rest.as_bytes()[..end]));
                rest = &rest[end..];
            }
        }
        if style.full_lines {
            if !style.strict_whitespace {
                parts.push(spaces());
            }
            parts.push(Node::LineEnd);
        }
        Ok(Pattern { kind: Kind::Regex(parts.list), ignore_case: style.ignore_case })
    }

    /// Whether it defines text variables or uses any, which `CHECK-LABEL` must not.
    pub fn has_variables(&self) -> bool {
        let is_variable = |part: &Part| !matches!(part, Part::Fixed(_) | Part::Number(Block { expr: None, .. }));
        matches!(&self.kind, Kind::Regex(parts) if parts.iter().any(is_variable))
    }

    /// The variables it uses and the values they have, for messages.
    pub fn substitutions(&self, variables: &Variables) -> Vec<(String, String)> {
        let Kind::Regex(parts) = &self.kind else { return Vec::new() };
        let mut list = Vec::new();
        for part in parts {
            match part {
                Part::Use(name) => {
                    if let Some(value) = variables.strings.get(name) {
                        list.push((name.clone(), String::from_utf8_lossy(value).into_owned()));
                    }
                }
                Part::Number(Block { expr: Some(expr), format, .. }) => {
                    if let Some(text) = expr.value(&variables.numbers).ok().and_then(|v| format.write(v)) {
                        list.push(("#".into(), text));
                    }
                }
                _ => {}
            }
        }
        list
    }

    /// The leftmost match in `text`. Variables that it defines take their values.
    pub fn find(&self, text: &[u8], variables: &mut Variables) -> Result<Range<usize>, Miss> {
        match &self.kind {
            Kind::End => Ok(text.len()..text.len()),
            Kind::Text(wanted) => find_text(text, wanted, self.ignore_case).ok_or(Miss::NotFound),
            // the line break before the empty line is part of the match, but not of its range
            Kind::EmptyLine => text
                .iter()
                .enumerate()
                .find(|&(i, &byte)| byte == b'\n' && matches!(text.get(i + 1), None | Some(b'\n')))
                .map(|(i, _)| i + 1..i + 1)
                .ok_or(Miss::NotFound),
            Kind::Regex(parts) => self.find_regex(parts, text, variables),
        }
    }

    fn find_regex(&self, parts: &[Part], text: &[u8], variables: &mut Variables) -> Result<Range<usize>, Miss> {
        let (mut nodes, mut undefined, mut groups) = (Vec::new(), Vec::new(), 0);
        let mut definitions = Vec::new();
        for part in parts {
            let node = match part {
                Part::Fixed(node) => node.clone(),
                Part::Define(name, node) => {
                    definitions.push((groups, name, None));
                    Node::Group(Box::new(node.clone()))
                }
                Part::Use(name) => match variables.strings.get(name) {
                    Some(value) => Node::literal(value),
                    None => {
                        undefined.push(name.clone());
                        continue;
                    }
                },
                Part::Number(block) => {
                    let body = match &block.expr {
                        None => block.format.wildcard(),
                        Some(expr) => match expr.value(&variables.numbers) {
                            Ok(value) => Node::literal(block.format.write(value).ok_or(Miss::Overflow)?.as_bytes()),
                            Err(NoValue::Overflow) => return Err(Miss::Overflow),
                            Err(NoValue::Undefined(name)) => {
                                undefined.push(name);
                                continue;
                            }
                        },
                    };
                    match &block.defines {
                        Some(name) => {
                            definitions.push((groups, name, Some(block.format)));
                            Node::Group(Box::new(body))
                        }
                        None => body,
                    }
                }
            };
            groups += node.groups() as usize;
            nodes.push(node);
        }
        if !undefined.is_empty() {
            return Err(Miss::Undefined(undefined));
        }
        if nodes.iter().all(|node| matches!(node, Node::Seq(inner) if inner.is_empty())) {
            return Err(Miss::NotFound); // POSIX knows no empty expression, and neither does FileCheck
        }
        let found = Program::new(&Node::Seq(nodes), self.ignore_case).find(text).ok_or(Miss::NotFound)?;
        for (group, name, format) in definitions {
            let value = found.groups[group].clone().map_or(&[][..], |range| &text[range]);
            match format {
                None => {
                    variables.strings.insert(name.clone(), value.to_vec());
                }
                Some(format) => {
                    let number = format.read(&String::from_utf8_lossy(value)).ok_or(Miss::Overflow)?;
                    variables.numbers.insert(name.clone(), number);
                }
            }
        }
        Ok(found.range)
    }
}

struct Parts {
    list: Vec<Part>,
    groups: u32,
    /// Text variables of this very line, and the number of their group.
    defined_here: HashMap<String, u32>,
    line: Option<usize>,
}

impl Parts {
    fn push(&mut self, node: Node) {
        self.groups += node.groups();
        self.list.push(Part::Fixed(node));
    }

    /// What stands between `[[` and `]]`.
    fn block(&mut self, text: &str, names: &mut Names) -> Result<(), String> {
        if let Some(numeric) = text.strip_prefix('#') {
            return self.number(numeric, false, names);
        }
        let head = text.split(':').next().unwrap_or(text);
        if head.contains([' ', '\t']) {
            return Err("unexpected whitespace".into());
        }
        let mut rest = text;
        let name = numeric::take_name(&mut rest)?.to_owned();
        if name.starts_with('@') {
            return match text.contains(':') {
                true => Err("invalid name in string variable definition".into()),
                false => self.number(text, true, names),
            };
        }
        if let Some(body) = rest.strip_prefix(':') {
            if names.numbers.contains_key(&name) {
                return Err(format!("numeric variable with name '{name}' already exists"));
            }
            self.defined_here.insert(name.clone(), self.groups + 1);
            names.strings.insert(name.clone());
            // an empty expression is one that matches nothing and takes nothing
            let node = if body.is_empty() { Node::Seq(Vec::new()) } else { regex(body)? };
            self.groups += 1 + node.groups();
            self.list.push(Part::Define(name, node));
        } else if !rest.is_empty() {
            let what = if text.contains(':') { "definition" } else { "use" };
            return Err(format!("invalid name in string variable {what}"));
        } else if let Some(&group) = self.defined_here.get(&name) {
            if group > 9 {
                return Err("Can't back-reference more than 9 variables".into());
            }
            self.push(Node::Backref(group));
        } else {
            self.list.push(Part::Use(name));
        }
        Ok(())
    }

    fn number(&mut self, text: &str, legacy: bool, names: &mut Names) -> Result<(), String> {
        let block = numeric::parse(text, self.line, legacy, &names.numbers)?;
        for name in block.expr.iter().flat_map(|expr| expr.variables()) {
            let first_use = Declared { format: Format::UNSIGNED, line: None };
            names.numbers.entry(name.to_owned()).or_insert(first_use);
        }
        if let Some(name) = &block.defines {
            if names.strings.contains(name) {
                return Err(format!("string variable with name '{name}' already exists"));
            }
            self.groups += 1;
            names.numbers.insert(name.clone(), Declared { format: block.format, line: self.line });
        }
        if block.expr.is_none() {
            self.groups += block.format.wildcard().groups();
        }
        self.list.push(Part::Number(block));
        Ok(())
    }
}

fn regex(text: &str) -> Result<Node, String> {
    ere::parse(text).map_err(|why| format!("invalid regex: {why}"))
}

/// Where the `]]` stands that ends a block: brackets of the regex nest, and a backslash hides the next character.
fn block_end(text: &str) -> Result<usize, String> {
    let (bytes, mut at, mut depth) = (text.as_bytes(), 0, 0usize);
    while at < bytes.len() {
        match bytes[at] {
            b']' if depth == 0 && bytes.get(at + 1) == Some(&b']') => return Ok(at),
            b'\\' => at += 1,
            b'[' => depth += 1,
            b']' => depth = depth.checked_sub(1).ok_or("missing closing \"]\" for regex variable")?,
            _ => {}
        }
        at += 1;
    }
    Err("Invalid substitution block, no ]] found".into())
}

fn find_text(text: &[u8], wanted: &[u8], ignore_case: bool) -> Option<Range<usize>> {
    if wanted.is_empty() {
        return Some(0..0);
    }
    let equal = |window: &[u8]| if ignore_case { window.eq_ignore_ascii_case(wanted) } else { window == wanted };
    text.windows(wanted.len()).position(equal).map(|at| at..at + wanted.len())
}
