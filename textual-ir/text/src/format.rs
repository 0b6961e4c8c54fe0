//! Declarative assembly formats of ops, in the notation of upstream's ODS, as data.
//!
//! ```text
//! format    := element*
//! element   := '`' literal '`' | '$' name | 'attr-dict' | 'attr-dict-with-keyword' | 'operands' | 'results'
//!            | 'regions' | 'successors' | 'type' '(' target ')' | 'functional-type' '(' target ',' target ')'
//!            | 'qualified' '(' element ')' | '(' element* ')' (':' '(' element* ')')? '?'
//! target    := '$' name | 'operands' | 'results'
//! ```
//! One element of an optional group has `^` behind it: the group is printed when that element is there. The group is
//! parsed when its first element is there. `` ` ` `` is a space, ``` `` ``` no space, `` `\n` `` a new line.

use nom::{
    IResult, Parser,
    branch::alt,
    bytes::complete::{tag, take_till, take_while1},
    character::complete::{char, multispace0},
    combinator::{map, opt, value},
    error::ErrorKind,
    multi::many0,
    sequence::{delimited, preceded},
};

/// What types are asked of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// All operands.
    Operands,
    /// All results.
    Results,
    /// An operand or result field.
    Field(String),
}

/// One part of a format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Element {
    /// Punctuation or a keyword.
    Literal(String),
    /// A space, or none where one would be printed.
    Space(bool),
    /// A new line.
    Newline,
    /// An operand, attribute or region field.
    Field(String),
    /// `{...}` of the attributes that stand nowhere else; with the word `attributes` before it.
    AttrDict(bool),
    /// All operands.
    Operands,
    /// All regions.
    Regions,
    /// All successors.
    Successors,
    /// Types of some values.
    Type(Target),
    /// `(types) -> types`
    FunctionalType(Target, Target),
    /// Elements that are there or not.
    Group {
        /// The elements.
        elements: Vec<Element>,
        /// Which of them decides.
        anchor: usize,
        /// What stands there otherwise.
        otherwise: Vec<Element>,
    },
}

/// A format.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Format {
    /// Its parts in order.
    pub elements: Vec<Element>,
}

impl Format {
    /// Reads a format; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Format, String> {
        let (rest, elements) = many0(element).parse(text).map_err(|e| format!("malformed format: {e}"))?;
        let rest = rest.trim_start();
        match rest.is_empty() {
            true => Ok(Format { elements }),
            false => Err(format!("malformed format at `{rest}`")),
        }
    }

    /// All parts, those of groups too.
    pub fn all(&self) -> Vec<&Element> {
        fn add<'a>(elements: &'a [Element], out: &mut Vec<&'a Element>) {
            for element in elements {
                out.push(element);
                if let Element::Group { elements, otherwise, .. } = element {
                    add(elements, out);
                    add(otherwise, out);
                }
            }
        }
        let mut out = vec![];
        add(&self.elements, &mut out);
        out
    }

    /// True when a field stands somewhere by itself.
    pub fn has_field(&self, name: &str) -> bool {
        self.all().into_iter().any(|e| matches!(e, Element::Field(n) if n == name))
    }
}

type Step<'a, T> = IResult<&'a str, T>;

fn spaced<'a, O>(
    inner: impl Parser<&'a str, Output = O, Error = nom::error::Error<&'a str>>,
) -> impl Parser<&'a str, Output = O, Error = nom::error::Error<&'a str>> {
    preceded(multispace0, inner)
}

fn name(input: &str) -> Step<'_, String> {
    map(take_while1(|c: char| c.is_ascii_alphanumeric() || c == '_'), str::to_string).parse(input)
}

fn field(input: &str) -> Step<'_, String> {
    spaced(preceded(char('$'), name)).parse(input)
}

/// A directive as a whole word.
fn word<'a>(text: &'static str) -> impl Parser<&'a str, Output = &'a str, Error = nom::error::Error<&'a str>> {
    move |input: &'a str| {
        let (rest, found) =
            preceded(multispace0, take_while1(|c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_'))
                .parse(input)?;
        match found == text {
            true => Ok((rest, found)),
            false => Err(nom::Err::Error(nom::error::Error::new(input, ErrorKind::Tag))),
        }
    }
}

fn target(input: &str) -> Step<'_, Target> {
    alt((map(field, Target::Field), value(Target::Operands, word("operands")), value(Target::Results, word("results"))))
        .parse(input)
}

fn literal(input: &str) -> Step<'_, Element> {
    let (rest, text) = spaced(delimited(char('`'), take_till(|c| c == '`'), char('`'))).parse(input)?;
    let element = match text {
        "" => Element::Space(false),
        " " => Element::Space(true),
        "\\n" => Element::Newline,
        text => Element::Literal(text.to_string()),
    };
    Ok((rest, element))
}

fn group(input: &str) -> Step<'_, Element> {
    let (rest, elements) =
        delimited(spaced(char('(')), many0((element, map(opt(spaced(char('^'))), |c| c.is_some()))), spaced(char(')')))
            .parse(input)?;
    let otherwise = delimited(spaced(char('(')), many0(element), spaced(char(')')));
    let (rest, otherwise) = opt(preceded(spaced(char(':')), otherwise)).parse(rest)?;
    let (rest, _) = spaced(char('?')).parse(rest)?;
    let Some(anchor) = elements.iter().position(|(_, anchor)| *anchor) else {
        return Err(nom::Err::Failure(nom::error::Error::new(input, ErrorKind::Verify)));
    };
    let elements = elements.into_iter().map(|(e, _)| e).collect();
    Ok((rest, Element::Group { elements, anchor, otherwise: otherwise.unwrap_or_default() }))
}

fn element(input: &str) -> Step<'_, Element> {
    alt((
        literal,
        map(field, Element::Field),
        value(Element::AttrDict(true), word("attr-dict-with-keyword")),
        value(Element::AttrDict(false), word("attr-dict")),
        value(Element::Operands, word("operands")),
        value(Element::Regions, word("regions")),
        value(Element::Successors, word("successors")),
        map(preceded(word("type"), delimited(spaced(char('(')), target, spaced(char(')')))), Element::Type),
        map(
            preceded(
                word("functional-type"),
                delimited(spaced(char('(')), (target, preceded(spaced(tag(",")), target)), spaced(char(')'))),
            ),
            |(a, b)| Element::FunctionalType(a, b),
        ),
        preceded(word("qualified"), delimited(spaced(char('(')), element, spaced(char(')')))),
        group,
    ))
    .parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read() {
        let format =
            Format::parse("$a `,` $b (`step` $c^ `:` type($c))? attr-dict `:` functional-type(operands, results)");
        let Ok(format) = format else { panic!("{format:?}") };
        assert_eq!(format.elements.len(), 7);
        assert!(matches!(&format.elements[3], Element::Group { anchor: 1, elements, .. } if elements.len() == 4));
        assert!(format.has_field("c"));
        assert!(Format::parse("$a (`x` $b)?").is_err());
        assert!(Format::parse("$a nonsense").is_err());
    }
}
