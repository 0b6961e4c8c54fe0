//! Definitions, read from the file.

use crate::{
    MALFORMED, UNKNOWN, UNSUPPORTED, generic,
    lex::{Read, Stream},
};
use nim_ir::{Attr, Context, Diagnostic, Loc, diagnostics::did_you_mean};
use nim_text::{lexer::Kind, parse_attr};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// A constraint of a definition; its number is that of the value that stands for it.
#[derive(Clone, Debug)]
pub enum Constraint {
    /// Anything.
    Any,
    /// Just this.
    Is(Attr),
    /// A type or attribute of this definition, `dialect.name`, whatever its parameters.
    Base(String),
    /// A type or attribute of a kind that is built in: `!builtin.integer`.
    Builtin(String),
    /// A type or attribute of this definition whose parameters satisfy these.
    Parametric(String, Vec<usize>),
    /// One of these at least.
    AnyOf(Vec<usize>),
    /// Each of these.
    AllOf(Vec<usize>),
}

/// How often an operand or result stands.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Variadicity {
    Single,
    Optional,
    Variadic,
}

/// An operand or result.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub variadicity: Variadicity,
    pub constraint: usize,
}

/// What a region must be like.
#[derive(Clone, Default, Debug)]
pub struct Region {
    pub name: String,
    /// Constraints on the arguments of its entry block.
    pub arguments: Option<Vec<usize>>,
    /// Number of its blocks.
    pub blocks: Option<u64>,
}

/// A type, an attribute or an op.
#[derive(Clone, Default, Debug)]
pub struct Definition {
    pub constraints: Vec<Constraint>,
    pub parameters: Vec<(String, usize)>,
    pub operands: Vec<Field>,
    pub results: Vec<Field>,
    pub attributes: Vec<(String, usize)>,
    pub regions: Vec<Region>,
}

/// All that a file defines, by full names: `dialect.name`.
#[derive(Default, Debug)]
pub struct Definitions {
    pub(crate) dialects: Vec<String>,
    pub(crate) types: BTreeMap<String, Definition>,
    pub(crate) attrs: BTreeMap<String, Definition>,
    pub(crate) ops: BTreeMap<String, Definition>,
    /// References to other definitions, to be looked up when all are known.
    references: Vec<(String, Loc)>,
}

impl Definitions {
    /// Reads a text of the `irdl` dialect, in its own syntax or in generic form.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(ctx: &Context, name: &str, text: &str) -> Result<Definitions, Vec<Diagnostic>> {
        let source = ctx.add_source(name, text);
        let mut all = Definitions::default();
        if generic::is_generic(text) {
            generic::read(ctx, source, &mut all)?;
            return all.complete();
        }
        let mut stream = Stream::new(ctx, source);
        let read = (|| {
            let inside = stream.accept("module");
            if inside {
                stream.expect("{")?;
            }
            while stream.peek() == "irdl.dialect" {
                all.dialect(ctx, &mut stream)?;
            }
            if inside {
                stream.expect("}")?;
            }
            if stream.kind() == Kind::End { Ok(()) } else { stream.wrong("`irdl.dialect`") }
        })();
        read.map_err(|found: Box<Diagnostic>| vec![*found])?;
        all.complete()
    }

    /// The definitions, if all that they refer to is there.
    fn complete(self) -> Result<Definitions, Vec<Diagnostic>> {
        let unknown: Vec<Diagnostic> =
            self.references.iter().filter_map(|(name, loc)| self.unknown(name, *loc)).collect();
        if unknown.is_empty() { Ok(self) } else { Err(unknown) }
    }

    /// Notes that a definition refers to another.
    pub(crate) fn refer(&mut self, name: String, loc: Loc) {
        self.references.push((name, loc));
    }

    fn unknown(&self, name: &str, loc: Loc) -> Option<Diagnostic> {
        if self.types.contains_key(name) || self.attrs.contains_key(name) {
            return None;
        }
        let found = Diagnostic::error(UNKNOWN, loc, format!("no type or attribute `{name}` is defined"));
        let near = did_you_mean(name, self.types.keys().chain(self.attrs.keys()).map(String::as_str));
        Some(match near {
            Some(near) => found.help(format!("did you mean `{near}`?")),
            None => found,
        })
    }

    fn dialect(&mut self, ctx: &Context, stream: &mut Stream<'_>) -> Read<()> {
        stream.expect("irdl.dialect")?;
        let dialect = stream.symbol()?.to_string();
        self.dialects.push(dialect.clone());
        stream.expect("{")?;
        while !stream.accept("}") {
            let (token, kind) = stream.of_kind(Kind::BareId, "`irdl.type`, `irdl.attribute` or `irdl.operation`")?;
            if !["irdl.type", "irdl.attribute", "irdl.operation"].contains(&kind) {
                let message = format!("a dialect holds types, attributes and operations, no `{kind}`");
                return Err(Box::new(Diagnostic::error(MALFORMED, stream.loc(token), message)));
            }
            let name = format!("{dialect}.{}", stream.symbol()?);
            let mut definition = Definition::default();
            if stream.accept("{") {
                let mut values = FxHashMap::default();
                while !stream.accept("}") {
                    self.statement(ctx, stream, &mut definition, &mut values)?;
                }
            }
            let table = match kind {
                "irdl.type" => &mut self.types,
                "irdl.attribute" => &mut self.attrs,
                _ => &mut self.ops,
            };
            if table.insert(name.clone(), definition).is_some() {
                let message = format!("`{name}` is defined twice");
                return Err(Box::new(Diagnostic::error(MALFORMED, stream.loc(token), message)));
            }
        }
        Ok(())
    }

    fn statement(
        &mut self,
        ctx: &Context,
        stream: &mut Stream<'_>,
        definition: &mut Definition,
        values: &mut FxHashMap<String, Value>,
    ) -> Read<()> {
        if stream.kind() == Kind::PercentId {
            let (_, name) = stream.bump();
            stream.expect("=")?;
            let value = self.value(ctx, stream, definition, values)?;
            values.insert(name.to_string(), value);
            return Ok(());
        }
        let field = |stream: &mut Stream<'_>| {
            let name = name_of(stream)?;
            stream.expect(":")?;
            let variadicity = match () {
                () if stream.accept("optional") => Variadicity::Optional,
                () if stream.accept("variadic") => Variadicity::Variadic,
                () => {
                    stream.accept("single");
                    Variadicity::Single
                }
            };
            Ok(Field { name, variadicity, constraint: constraint(stream, values)? })
        };
        match stream.peek() {
            "irdl.parameters" => {
                stream.bump();
                stream.expect("(")?;
                definition.parameters = stream.list(")", &mut |s| {
                    let name = name_of(s)?;
                    s.expect(":")?;
                    Ok((name, constraint(s, values)?))
                })?;
            }
            "irdl.operands" => {
                stream.bump();
                stream.expect("(")?;
                definition.operands = stream.list(")", &mut |s| field(s))?;
            }
            "irdl.results" => {
                stream.bump();
                stream.expect("(")?;
                definition.results = stream.list(")", &mut |s| field(s))?;
            }
            "irdl.attributes" => {
                stream.bump();
                stream.expect("{")?;
                definition.attributes = stream.list("}", &mut |s| {
                    let (_, name) = s.of_kind(Kind::String, "the name of an attribute in quotes")?;
                    s.expect("=")?;
                    Ok((name.trim_matches('"').to_string(), constraint(s, values)?))
                })?;
            }
            "irdl.regions" => {
                stream.bump();
                stream.expect("(")?;
                definition.regions = stream.list(")", &mut |s| {
                    let name = name_of(s)?;
                    s.expect(":")?;
                    let (token, value) = s.of_kind(Kind::PercentId, "a region's value")?;
                    match values.get(value) {
                        Some(Value::Region(region)) => Ok(Region { name, ..region.clone() }),
                        _ => {
                            let message = format!("`{value}` is no region");
                            Err(Box::new(Diagnostic::error(MALFORMED, s.loc(token), message)))
                        }
                    }
                })?;
            }
            _ => return stream.wrong("a constraint, or what is constrained (`irdl.operands`, `irdl.parameters`, ...)"),
        }
        Ok(())
    }

    fn value(
        &mut self,
        ctx: &Context,
        stream: &mut Stream<'_>,
        definition: &mut Definition,
        values: &FxHashMap<String, Value>,
    ) -> Read<Value> {
        let start = stream.token();
        let (_, op) = stream.of_kind(Kind::BareId, "a constraint: `irdl.is`, `irdl.any`, ...")?;
        let several = |stream: &mut Stream<'_>| {
            stream.expect("(")?;
            stream.list(")", &mut |s| constraint(s, values))
        };
        let made = match op {
            "irdl.any" => Constraint::Any,
            "irdl.any_of" => Constraint::AnyOf(several(stream)?),
            "irdl.all_of" => Constraint::AllOf(several(stream)?),
            "irdl.is" => {
                let (token, text) = stream.attribute()?;
                let attr = parse_attr(ctx, text).map_err(|found| {
                    let why = found.first().map_or(String::new(), |d| format!(": {}", d.message));
                    Box::new(Diagnostic::error(MALFORMED, stream.loc(token), format!("`{text}` cannot be read{why}")))
                })?;
                Constraint::Is(attr)
            }
            "irdl.base" if stream.kind() == Kind::String => {
                let (token, text) = stream.bump();
                let name = text.trim_matches('"').to_string();
                if !crate::constraint::is_builtin(&name) {
                    let message = format!("`{name}` is no built-in type or attribute that is known");
                    return Err(Box::new(Diagnostic::error(UNSUPPORTED, stream.loc(token), message)));
                }
                Constraint::Builtin(name)
            }
            "irdl.base" => Constraint::Base(self.reference(stream)?),
            "irdl.parametric" => {
                let name = self.reference(stream)?;
                stream.expect("<")?;
                Constraint::Parametric(name, stream.list(">", &mut |s| constraint(s, values))?)
            }
            "irdl.c_pred" => {
                let message = "`irdl.c_pred` is C++ and cannot be checked at run time";
                return Err(Box::new(Diagnostic::error(UNSUPPORTED, stream.loc(start), message)));
            }
            "irdl.region" => {
                let arguments = match stream.accept("(") {
                    true => Some(stream.list(")", &mut |s| constraint(s, values))?),
                    false => None,
                };
                let mut blocks = None;
                if stream.accept("with") {
                    stream.expect("size")?;
                    let (_, number) = stream.of_kind(Kind::Integer, "a number of blocks")?;
                    // No region has as many blocks as do not fit.
                    blocks = Some(number.parse().unwrap_or(u64::MAX));
                }
                return Ok(Value::Region(Region { name: String::new(), arguments, blocks }));
            }
            _ => {
                let message = format!("`{op}` is no constraint");
                return Err(Box::new(Diagnostic::error(MALFORMED, stream.loc(start), message)));
            }
        };
        definition.constraints.push(made);
        Ok(Value::Constraint(definition.constraints.len() - 1))
    }

    /// `@dialect::@name` as `dialect.name`.
    fn reference(&mut self, stream: &mut Stream<'_>) -> Read<String> {
        let loc = stream.loc(stream.token());
        let mut path = stream.symbol()?.to_string();
        while stream.accept("::") {
            path = format!("{path}.{}", stream.symbol()?);
        }
        if !path.contains('.') {
            // Upstream looks a lone name up in the dialect around.
            path = format!("{}.{path}", self.dialects.last().map_or("", String::as_str));
        }
        self.refer(path.clone(), loc);
        Ok(path)
    }
}

/// What a value of a definition stands for.
pub enum Value {
    Constraint(usize),
    Region(Region),
}

fn name_of(stream: &mut Stream<'_>) -> Read<String> {
    Ok(stream.of_kind(Kind::BareId, "a name")?.1.to_string())
}

fn constraint(stream: &mut Stream<'_>, values: &FxHashMap<String, Value>) -> Read<usize> {
    let (token, name) = stream.of_kind(Kind::PercentId, "the value of a constraint")?;
    match values.get(name) {
        Some(Value::Constraint(n)) => Ok(*n),
        _ => {
            let message = format!("`{name}` is no constraint of this definition");
            Err(Box::new(Diagnostic::error(MALFORMED, stream.loc(token), message)))
        }
    }
}
