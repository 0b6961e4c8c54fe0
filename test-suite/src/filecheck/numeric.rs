//! Numbers in check lines: `[[#N:]]`, `[[#N+1]]`, `[[#%x,ADDR:]]`, `[[#@LINE-1]]`, `[[#mul(N,2)]]`.
//!
//! The meaning is that of the FileCheck manual, "Numeric Substitution Blocks"; values are 128-bit instead of unbounded.

use super::ere::{self, Node};
use std::collections::HashMap;

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Radix {
    /// `%u`
    Unsigned,
    /// `%d`
    Signed,
    /// `%x`
    HexLower,
    /// `%X`
    HexUpper,
}

/// A matching format: `%#.8x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The digits.
    pub radix: Radix,
    /// The least count of digits, filled with zeros; 0 where none is asked for.
    pub precision: u32,
    /// Whether `0x` stands before the digits.
    pub prefixed: bool,
}

impl Format {
    /// `%u`: what an expression has that names no format.
    pub const UNSIGNED: Format = Format { radix: Radix::Unsigned, precision: 0, prefixed: false };

    /// The expression that matches any number in this format.
    pub fn wildcard(&self) -> Node {
        let (sign, first, digit) = match self.radix {
            Radix::Unsigned => ("", "[1-9]", "[0-9]"),
            Radix::Signed => ("-?", "[1-9]", "[0-9]"),
            Radix::HexLower => ("", "[1-9a-f]", "[0-9a-f]"),
            Radix::HexUpper => ("", "[1-9A-F]", "[0-9A-F]"),
        };
        let prefix = if self.prefixed { "0x" } else { "" };
        let text = match self.precision {
            0 => format!("{sign}{prefix}{digit}+"),
            n => format!("{sign}{prefix}({first}{digit}*)?{digit}{{{n}}}"),
        };
        ere::parse(&text).unwrap_or_else(|_| Node::literal(&[]))
    }

    /// A value in this format; `None` for one that it cannot write.
    pub fn write(&self, value: i128) -> Option<String> {
        let magnitude = value.unsigned_abs();
        let digits = match self.radix {
            Radix::Signed | Radix::Unsigned => magnitude.to_string(),
            Radix::HexLower => format!("{magnitude:x}"),
            Radix::HexUpper => format!("{magnitude:X}"),
        };
        if value < 0 && self.radix != Radix::Signed {
            return None;
        }
        let sign = if value < 0 { "-" } else { "" };
        let prefix = if self.prefixed { "0x" } else { "" };
        Some(format!("{sign}{prefix}{digits:0>width$}", width = self.precision as usize))
    }

    /// The value of text that [`Format::wildcard`] matched; `None` when it is too large.
    pub fn read(&self, text: &str) -> Option<i128> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let digits = if self.prefixed { digits.strip_prefix("0x").unwrap_or(digits) } else { digits };
        let radix = if matches!(self.radix, Radix::Signed | Radix::Unsigned) { 10 } else { 16 };
        i128::from_str_radix(digits, radix).ok().map(|value| if negative { -value } else { value })
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letter = match self.radix {
            Radix::Unsigned => 'u',
            Radix::Signed => 'd',
            Radix::HexLower => 'x',
            Radix::HexUpper => 'X',
        };
        let precision = if self.precision > 0 { format!(".{}", self.precision) } else { String::new() };
        write!(f, "%{}{precision}{letter}", if self.prefixed { "#" } else { "" })
    }
}

/// A numeric expression.
#[derive(Clone, Debug)]
pub enum Expr {
    /// A literal, or `@LINE`.
    Literal(i128),
    /// A variable's value at the time of matching.
    Variable(String),
    /// An operation on two values; `None` of it means overflow.
    Binary(Operation, Box<Expr>, Box<Expr>),
}

/// What [`Expr::Binary`] computes.
pub type Operation = fn(i128, i128) -> Option<i128>;

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoValue {
    /// This variable has none.
    Undefined(String),
    /// It does not fit, or is a division by zero.
    Overflow,
}

impl Expr {
    /// The value, given those of the variables.
    pub fn value(&self, numbers: &HashMap<String, i128>) -> Result<i128, NoValue> {
        match self {
            Expr::Literal(value) => Ok(*value),
            Expr::Variable(name) => numbers.get(name).copied().ok_or_else(|| NoValue::Undefined(name.clone())),
            Expr::Binary(operation, left, right) => {
                operation(left.value(numbers)?, right.value(numbers)?).ok_or(NoValue::Overflow)
            }
        }
    }
}

impl Expr {
    /// The variables it uses.
    pub fn variables(&self) -> Vec<&str> {
        match self {
            Expr::Literal(_) => Vec::new(),
            Expr::Variable(name) => vec![name],
            Expr::Binary(_, left, right) => [left.variables(), right.variables()].concat(),
        }
    }
}

/// What is known of a numeric variable while the check file is read.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// The format of its definition; that of its first use, `%u`, where that stands before any definition.
    pub format: Format,
    /// The line of its latest definition; `None` for the command line and for a use before any definition.
    pub line: Option<usize>,
}

/// What stands between `[[#` and `]]`.
#[derive(Clone, Debug)]
pub struct Block {
    /// The variable it defines.
    pub defines: Option<String>,
    /// The value it must have; `None` matches any number.
    pub expr: Option<Expr>,
    /// How the number is written.
    pub format: Format,
}

/// Takes a variable's name off the front: the name, with its `$` or `@`.
pub fn take_name<'a>(text: &mut &'a str) -> Result<&'a str, String> {
    let sigil = usize::from(text.starts_with(['$', '@']));
    let body = &text[sigil..];
    if body.is_empty() && sigil == 0 {
        return Err("empty variable name".into());
    }
    if !body.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return Err("invalid variable name".into());
    }
    let len = body.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(body.len());
    let (name, rest) = text.split_at(sigil + len);
    *text = rest;
    Ok(name)
}

/// Reads one block. `legacy` is the older `[[@LINE+1]]`, which allows only that.
pub fn parse(
    text: &str,
    line: Option<usize>,
    legacy: bool,
    declared: &HashMap<String, Declared>,
) -> Result<Block, String> {
    let mut rest = text;
    let mut explicit = None;
    if let Some(comma) = rest.find(',').filter(|&comma| rest.find('(').is_none_or(|call| comma < call)) {
        explicit = Some(parse_format(rest[..comma].trim_matches(SPACE))?);
        rest = &rest[comma + 1..];
    }
    let definition = rest.split_once(':').map(|(name, after)| {
        rest = after;
        name
    });
    rest = rest.trim_start_matches(SPACE);
    let constrained = rest.strip_prefix("==").map(|after| rest = after.trim_start_matches(SPACE)).is_some();
    let mut reader = Reader { rest: rest.trim_end_matches(SPACE), line, legacy, declared };
    let mut implicit = None;
    let expr = if reader.rest.is_empty() {
        if constrained {
            return Err("empty numeric expression should not have a constraint".into());
        }
        None
    } else {
        let (expr, format) = reader.sum()?;
        if !reader.rest.is_empty() {
            return Err("unexpected characters at end of expression".into());
        }
        implicit = format;
        Some(expr)
    };
    let format = explicit.or(implicit).unwrap_or(Format::UNSIGNED);
    let defines = definition.map(|name| defined_name(name, format, declared)).transpose()?;
    Ok(Block { defines, expr, format })
}

const SPACE: [char; 2] = [' ', '\t'];

fn defined_name(text: &str, format: Format, declared: &HashMap<String, Declared>) -> Result<String, String> {
    let mut rest = text.trim_start_matches(SPACE);
    let name = take_name(&mut rest)?;
    if name.starts_with('@') {
        return Err("definition of pseudo numeric variable unsupported".into());
    }
    if !rest.trim_matches(SPACE).is_empty() {
        return Err("unexpected characters after numeric variable name".into());
    }
    match declared.get(name) {
        Some(before) if before.format != format => Err("format different from previous variable definition".into()),
        _ => Ok(name.to_owned()),
    }
}

fn parse_format(text: &str) -> Result<Format, String> {
    let mut rest = text.strip_prefix('%').ok_or("invalid matching format specification in expression")?;
    let prefixed = rest.strip_prefix('#').map(|after| rest = after).is_some();
    let mut precision = 0;
    if let Some(after) = rest.strip_prefix('.') {
        let len = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        precision = after[..len].parse().ok().filter(|n| *n <= 255).ok_or("invalid precision in format specifier")?;
        rest = &after[len..];
    }
    let radix = match rest {
        "" | "u" => Radix::Unsigned,
        "d" => Radix::Signed,
        "x" => Radix::HexLower,
        "X" => Radix::HexUpper,
        _ => return Err("invalid format specifier in expression".into()),
    };
    if prefixed && matches!(radix, Radix::Unsigned | Radix::Signed) {
        return Err("alternate form only supported for hex values".into());
    }
    Ok(Format { radix, precision, prefixed })
}

struct Reader<'a> {
    rest: &'a str,
    line: Option<usize>,
    legacy: bool,
    declared: &'a HashMap<String, Declared>,
}

type Typed = (Expr, Option<Format>);

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(SPACE);
    }

    fn eat(&mut self, token: char) -> bool {
        let after = self.rest.strip_prefix(token);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Operands joined by `+` and `-`, up to the end or a closing parenthesis or comma.
    fn sum(&mut self) -> Result<Typed, String> {
        let mut left = self.operand(false)?;
        loop {
            self.skip_space();
            let operation: Operation = match self.rest.chars().next() {
                None | Some(')' | ',') => return Ok(left),
                Some('+') => i128::checked_add,
                Some('-') => i128::checked_sub,
                Some(other) => return Err(format!("unsupported operation '{other}'")),
            };
            self.rest = &self.rest[1..];
            self.skip_space();
            if self.rest.is_empty() {
                return Err("missing operand in expression".into());
            }
            let right = self.operand(self.legacy)?;
            left = join(operation, left, right)?;
            if self.legacy {
                return Ok(left); // `[[@LINE+1+1]]` never was allowed
            }
        }
    }

    fn operand(&mut self, only_literal: bool) -> Result<Typed, String> {
        self.skip_space();
        if self.rest.starts_with('(') {
            if self.legacy {
                return Err("parenthesized expression not permitted here".into());
            }
            self.eat('(');
            let inner = self.sum()?;
            self.skip_space();
            return if self.eat(')') { Ok(inner) } else { Err("missing ')' at end of nested expression".into()) };
        }
        if !only_literal {
            let mut after = self.rest;
            match take_name(&mut after) {
                Ok(name) => {
                    self.rest = after;
                    return if after.trim_start_matches(SPACE).starts_with('(') {
                        self.call(name.to_owned())
                    } else {
                        self.variable(name.to_owned())
                    };
                }
                Err(why) if self.legacy => return Err(why),
                Err(_) => {}
            }
        }
        self.literal()
    }

    fn literal(&mut self) -> Result<Typed, String> {
        const BAD: &str = "invalid operand format";
        let negative = self.eat('-');
        let (radix, digits) = match self.rest.get(..2) {
            _ if self.legacy => (10, self.rest),
            Some("0x" | "0X") => (16, &self.rest[2..]),
            Some("0b" | "0B") => (2, &self.rest[2..]),
            Some("0o") => (8, &self.rest[2..]),
            Some(two) if two.starts_with('0') && two.as_bytes()[1].is_ascii_digit() => (8, &self.rest[1..]),
            _ => (10, self.rest),
        };
        let len = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        let value = i128::from_str_radix(&digits[..len], radix).map_err(|_| BAD)?;
        self.rest = &digits[len..];
        Ok((Expr::Literal(if negative { -value } else { value }), None))
    }

    fn variable(&mut self, name: String) -> Result<Typed, String> {
        if name.starts_with('@') {
            return match (name.as_str(), self.line) {
                ("@LINE", Some(line)) => Ok((Expr::Literal(line as i128), None)),
                _ => Err(format!("invalid pseudo numeric variable '{name}'")),
            };
        }
        let declared = self.declared.get(&name);
        if declared.is_some_and(|d| d.line.is_some() && d.line == self.line) {
            return Err(format!("numeric variable '{name}' defined earlier in the same CHECK directive"));
        }
        let format = declared.map_or(Format::UNSIGNED, |d| d.format);
        Ok((Expr::Variable(name), Some(format)))
    }

    fn call(&mut self, name: String) -> Result<Typed, String> {
        if self.legacy {
            return Err("unexpected function call".into());
        }
        let operation: Operation = match name.as_str() {
            "add" => i128::checked_add,
            "sub" => i128::checked_sub,
            "mul" => i128::checked_mul,
            "div" => i128::checked_div,
            "max" => |a, b| Some(a.max(b)),
            "min" => |a, b| Some(a.min(b)),
            _ => return Err(format!("call to undefined function '{name}'")),
        };
        self.skip_space();
        self.eat('(');
        let mut arguments = Vec::new();
        self.skip_space();
        while !self.rest.is_empty() && !self.rest.starts_with(')') {
            if self.rest.starts_with(',') {
                return Err("missing argument".into());
            }
            arguments.push(self.sum()?);
            self.skip_space();
            if !self.eat(',') {
                break;
            }
            self.skip_space();
            if self.rest.starts_with(')') {
                return Err("missing argument".into());
            }
        }
        if !self.eat(')') {
            return Err("missing ')' at end of call expression".into());
        }
        let count = arguments.len();
        let [left, right] = <[Typed; 2]>::try_from(arguments)
            .map_err(|_| format!("function '{name}' takes 2 arguments but {count} given"))?;
        join(operation, left, right)
    }
}

fn join(operation: Operation, left: Typed, right: Typed) -> Result<Typed, String> {
    let format = match (left.1, right.1) {
        (Some(a), Some(b)) if a != b => {
            return Err(format!("implicit format conflict between {a} and {b}, need an explicit format specifier"));
        }
        (a, b) => a.or(b),
    };
    Ok((Expr::Binary(operation, Box::new(left.0), Box::new(right.0)), format))
}
