//! The `irdl` dialect in generic form, as `mlir-opt --mlir-print-op-generic` prints it.

use crate::{
    MALFORMED, UNSUPPORTED,
    define::{Constraint, Definition, Definitions, Field, Region, Value, Variadicity},
    lex::Read,
};
use nim_ir::{Attr, AttrData, BlockId, Body, Context, Diagnostic, Module, Name, OpId, SourceId, ValueId};
use nim_text::{
    ParseOptions,
    lexer::{Kind, Tokens},
    parse_module,
};
use rustc_hash::FxHashMap;

/// Whether a text begins with an op in generic form.
pub fn is_generic(text: &str) -> bool {
    let mut tokens = Tokens::new(text);
    // A module in pretty form may hold ops in generic form.
    while tokens.peek().kind == Kind::BareId && tokens.is(tokens.peek(), "module") || tokens.is(tokens.peek(), "{") {
        tokens.bump();
    }
    tokens.peek().kind == Kind::String
}

/// Reads definitions into `all`.
pub fn read(ctx: &Context, source: SourceId, all: &mut Definitions) -> Result<(), Vec<Diagnostic>> {
    let options = ParseOptions { allow_unregistered: true, ..ParseOptions::default() };
    let (module, found) = parse_module(ctx, source, &options);
    if found.iter().any(Diagnostic::is_error) {
        return Err(found);
    }
    let Module { body, .. } = &module;
    let ops: Vec<OpId> = module.ops().collect();
    for op in ops {
        let reader = Reader { ctx, body };
        reader.expect(op, &["irdl.dialect"]).and_then(|_| reader.dialect(op, all)).map_err(|d| vec![*d])?;
    }
    Ok(())
}

struct Reader<'a> {
    ctx: &'a Context,
    body: &'a Body,
}

impl Reader<'_> {
    fn wrong<T>(&self, op: OpId, message: String) -> Read<T> {
        Err(Box::new(Diagnostic::error(MALFORMED, self.body.loc(op), message)))
    }
    fn name(&self, op: OpId) -> &str {
        self.ctx.op_str(self.body.op_name(op))
    }
    fn expect(&self, op: OpId, names: &[&str]) -> Read<&str> {
        let name = self.name(op);
        match names.contains(&name) {
            true => Ok(name),
            false => self.wrong(op, format!("expected `{}`, found `{name}`", names.join("` or `"))),
        }
    }
    fn find(&self, op: OpId, name: &str) -> Option<Attr> {
        let property = self.body.properties(op).and_then(|list| list.get_text(self.ctx, name));
        property.or_else(|| self.body.attr_named(self.ctx, op, name))
    }
    fn attr(&self, op: OpId, name: &str) -> Read<Attr> {
        match self.find(op, name) {
            Some(attr) => Ok(attr),
            None => self.wrong(op, format!("`{}` has no `{name}`", self.name(op))),
        }
    }
    fn text(&self, op: OpId, name: &str) -> Read<String> {
        match self.ctx.as_string(self.attr(op, name)?) {
            Some(text) => Ok(text.to_string()),
            None => self.wrong(op, format!("`{name}` of `{}` is no text", self.name(op))),
        }
    }
    fn texts(&self, op: OpId, name: &str) -> Read<Vec<String>> {
        let items = self.ctx.as_array(self.attr(op, name)?).unwrap_or_default();
        let texts: Vec<String> = items.iter().filter_map(|&a| self.ctx.as_string(a).map(str::to_string)).collect();
        match texts.len() == self.body.operand_count(op) {
            true => Ok(texts),
            false => self.wrong(
                op,
                format!("`{}` has {} operands, but {} names", self.name(op), self.body.operand_count(op), texts.len()),
            ),
        }
    }
    fn inside(&self, op: OpId) -> Vec<OpId> {
        let blocks: Vec<BlockId> = self.body.regions(op).iter().flat_map(|&r| self.body.blocks(r).to_vec()).collect();
        blocks.into_iter().flat_map(|b| self.body.block_ops(b)).collect()
    }

    fn dialect(&self, op: OpId, all: &mut Definitions) -> Read<()> {
        let dialect = self.text(op, "sym_name")?;
        all.dialects.push(dialect.clone());
        for op in self.inside(op) {
            let kind = self.expect(op, &["irdl.type", "irdl.attribute", "irdl.operation"])?;
            let name = format!("{dialect}.{}", self.text(op, "sym_name")?);
            let mut definition = Definition::default();
            let mut values = FxHashMap::default();
            for statement in self.inside(op) {
                self.statement(statement, all, &mut definition, &mut values)?;
            }
            let table = match kind {
                "irdl.type" => &mut all.types,
                "irdl.attribute" => &mut all.attrs,
                _ => &mut all.ops,
            };
            if table.insert(name.clone(), definition).is_some() {
                return self.wrong(op, format!("`{name}` is defined twice"));
            }
        }
        Ok(())
    }

    fn statement(
        &self,
        op: OpId,
        all: &mut Definitions,
        definition: &mut Definition,
        values: &mut FxHashMap<ValueId, Value>,
    ) -> Read<()> {
        let constraints = || -> Read<Vec<usize>> {
            let found = self.body.operands_iter(op).map(|v| match values.get(&v) {
                Some(Value::Constraint(n)) => Some(*n),
                _ => None,
            });
            let found: Option<Vec<usize>> = found.collect();
            found.map_or_else(
                || self.wrong(op, format!("an operand of `{}` is no constraint of this definition", self.name(op))),
                Ok,
            )
        };
        match self.name(op) {
            "irdl.parameters" => {
                definition.parameters = self.texts(op, "names")?.into_iter().zip(constraints()?).collect()
            }
            "irdl.operands" => definition.operands = self.fields(op, constraints()?)?,
            "irdl.results" => definition.results = self.fields(op, constraints()?)?,
            "irdl.attributes" => {
                definition.attributes =
                    self.texts(op, "attributeValueNames")?.into_iter().zip(constraints()?).collect();
            }
            "irdl.regions" => {
                let names = self.texts(op, "names")?;
                for (name, value) in names.into_iter().zip(self.body.operands_iter(op)) {
                    match values.get(&value) {
                        Some(Value::Region(region)) => definition.regions.push(Region { name, ..region.clone() }),
                        _ => return self.wrong(op, format!("the operand `{name}` is no region")),
                    }
                }
            }
            name => {
                let &[result] = self.body.results(op) else {
                    return self.wrong(op, format!("`{name}` is no constraint, and constrains nothing"));
                };
                let value = if name == "irdl.region" {
                    let constrained = self.find(op, "constrainedArguments").is_some();
                    let blocks = self.find(op, "numberOfBlocks").and_then(|a| self.ctx.as_int(a));
                    let arguments = if constrained { Some(constraints()?) } else { None };
                    Value::Region(Region {
                        name: String::new(),
                        arguments,
                        blocks: blocks.and_then(|n| n.try_into().ok()),
                    })
                } else {
                    definition.constraints.push(self.constraint(op, all, constraints()?)?);
                    Value::Constraint(definition.constraints.len() - 1)
                };
                values.insert(result, value);
            }
        }
        Ok(())
    }

    fn constraint(&self, op: OpId, all: &mut Definitions, operands: Vec<usize>) -> Read<Constraint> {
        Ok(match self.name(op) {
            "irdl.any" => Constraint::Any,
            "irdl.any_of" => Constraint::AnyOf(operands),
            "irdl.all_of" => Constraint::AllOf(operands),
            "irdl.is" => Constraint::Is(self.attr(op, "expected")?),
            "irdl.base" if self.find(op, "base_name").is_some() => {
                let name = self.text(op, "base_name")?;
                if !crate::constraint::is_builtin(&name) {
                    let message = format!("`{name}` is no built-in type or attribute that is known");
                    return Err(Box::new(Diagnostic::error(UNSUPPORTED, self.body.loc(op), message)));
                }
                Constraint::Builtin(name)
            }
            "irdl.base" => Constraint::Base(self.reference(op, all, "base_ref")?),
            "irdl.parametric" => Constraint::Parametric(self.reference(op, all, "base_type")?, operands),
            "irdl.c_pred" => {
                let message = "`irdl.c_pred` is C++ and cannot be checked at run time";
                return Err(Box::new(Diagnostic::error(UNSUPPORTED, self.body.loc(op), message)));
            }
            name => return self.wrong(op, format!("`{name}` is no constraint")),
        })
    }

    /// `@dialect::@name` as `dialect.name`; a lone name is one of the dialect around.
    fn reference(&self, op: OpId, all: &mut Definitions, name: &str) -> Read<String> {
        let attr = self.attr(op, name)?;
        let AttrData::SymbolRef(path) = self.ctx.attr_data(attr) else {
            return self.wrong(op, format!("`{name}` of `{}` is no symbol", self.name(op)));
        };
        let text = |n: &Name| self.ctx.str(*n).to_string();
        let mut path: Vec<String> = path.iter().map(text).collect();
        if path.len() == 1 {
            path.insert(0, all.dialects.last().cloned().unwrap_or_default());
        }
        all.refer(path.join("."), self.body.loc(op));
        Ok(path.join("."))
    }

    fn fields(&self, op: OpId, constraints: Vec<usize>) -> Read<Vec<Field>> {
        // #irdl<variadicity_array[ single, optional]>
        let variadicity = self.find(op, "variadicity").map_or(String::new(), |a| nim_text::print_attr(self.ctx, a));
        let inside =
            variadicity.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(inside, _)| inside);
        let words: Vec<&str> = inside.split(',').map(str::trim).filter(|w| !w.is_empty()).collect();
        let mut fields = vec![];
        for (i, (name, constraint)) in self.texts(op, "names")?.into_iter().zip(constraints).enumerate() {
            let variadicity = match words.get(i) {
                Some(&"optional") => Variadicity::Optional,
                Some(&"variadic") => Variadicity::Variadic,
                Some(&"single") | None => Variadicity::Single,
                Some(other) => return self.wrong(op, format!("`{other}` is none of single, optional, variadic")),
            };
            fields.push(Field { name, variadicity, constraint });
        }
        Ok(fields)
    }
}
