//! Reading an op by its declarative format.

use super::{Parser, shorten};
use crate::{
    codes,
    format::{Element, Format, Target},
    lexer::Kind,
    strings,
};
use nim_ir::{
    Arity, Attr, AttrDef, AttrKind, Diagnostic, OpDef, OpState, Presence, Trait, Type,
    diagnostics::did_you_mean,
    syntax::{OperandName, Parse, Reported},
};
use std::rc::Rc;

/// What a format has told so far.
#[derive(Default)]
struct Told {
    /// Operands by field.
    fields: Vec<Vec<OperandName>>,
    /// All operands, by `operands`.
    all: Option<Vec<OperandName>>,
    /// Types of operands by field.
    field_types: Vec<Option<Vec<Type>>>,
    /// Types of all operands.
    all_types: Option<Vec<Type>>,
    /// Types of results by field.
    result_types: Vec<Option<Vec<Type>>>,
    /// Types of all results.
    all_results: Option<Vec<Type>>,
}

impl Parser<'_> {
    pub(super) fn formatted_op(&mut self, def: &'static OpDef, state: &mut OpState) -> Parse<()> {
        let read = || Format::parse(def.format.unwrap_or_default()).map(Rc::new);
        let format = match self.formats.entry(def.name).or_insert_with(read).clone() {
            Ok(format) => format,
            Err(message) => {
                let message = format!("the format of `{}` cannot be read: {message}", def.name);
                return Err(self.emit(Diagnostic::error(codes::BAD_FORMAT, state.loc, message)));
            }
        };
        let mut told = Told {
            fields: vec![vec![]; def.operands.len()],
            field_types: vec![None; def.operands.len()],
            result_types: vec![None; def.results.len()],
            ..Told::default()
        };
        self.elements(&format.elements, def, state, &mut told)?;
        self.told_results(def, state, &mut told);
        self.told_operands(def, state, told)?;
        if state.results.is_empty() {
            self.infer_results(def, state)?;
        }
        Ok(())
    }

    fn elements(&mut self, list: &[Element], def: &'static OpDef, state: &mut OpState, told: &mut Told) -> Parse<()> {
        for (i, element) in list.iter().enumerate() {
            let before_colon = matches!(list.get(i + 1), Some(Element::Literal(text)) if text == ":");
            self.element(element, before_colon, def, state, told)?;
        }
        Ok(())
    }

    fn element(
        &mut self,
        element: &Element,
        before_colon: bool,
        def: &'static OpDef,
        state: &mut OpState,
        told: &mut Told,
    ) -> Parse<()> {
        match element {
            Element::Literal(text) => self.expect_token(text),
            Element::Space(_) | Element::Newline => Ok(()),
            Element::Field(name) => self.field(name, before_colon, def, state, told),
            Element::AttrDict(keyword) => {
                if *keyword && !self.accept_token("attributes") {
                    return Ok(());
                }
                if *keyword || self.peek_is("{") { self.dictionary(&mut state.attrs, true) } else { Ok(()) }
            }
            Element::Operands => {
                told.all = Some(self.operand_names()?);
                Ok(())
            }
            Element::Regions => {
                while self.peek_is("{") {
                    self.region_of(state, Some(&[]))?;
                    if !self.accept_token(",") {
                        break;
                    }
                }
                Ok(())
            }
            Element::Successors => {
                while self.peek_kind() == Kind::CaretId {
                    let block = self.successor_name()?;
                    state.successors.push(block);
                    if !self.accept_token(",") {
                        break;
                    }
                }
                Ok(())
            }
            Element::Type(target) => {
                let types = self.target_types(target, def, told)?;
                tell(target, types, def, told);
                Ok(())
            }
            Element::FunctionalType(inputs, results) => {
                let (a, b) = self.function_signature()?;
                tell(inputs, a, def, told);
                tell(results, b, def, told);
                Ok(())
            }
            Element::Group { elements, otherwise, .. } => {
                let here = elements.first().is_some_and(|first| self.group_starts(first, def));
                self.elements(if here { elements } else { otherwise }, def, state, told)
            }
        }
    }

    /// True when the first element of a group is next.
    fn group_starts(&self, first: &Element, def: &OpDef) -> bool {
        match first {
            Element::Literal(text) => self.peek_is(text),
            Element::Field(name) if def.operands.iter().any(|o| o.name == name) => self.peek_kind() == Kind::PercentId,
            Element::Field(name) if def.regions.iter().any(|r| r.name == name) => self.peek_is("{"),
            Element::Field(name) => match def.attr(name).map(|a| a.kind) {
                Some(AttrKind::SymbolName | AttrKind::SymbolRef) => self.peek_kind() == Kind::AtId,
                Some(AttrKind::Enum(words)) => words.iter().any(|w| self.peek_is(w)),
                Some(AttrKind::String) => self.peek_kind() == Kind::String,
                Some(AttrKind::Type) => self.at_type(),
                Some(AttrKind::Dict) => self.peek_is("{"),
                Some(AttrKind::Bool) => self.peek_is("true") || self.peek_is("false"),
                Some(AttrKind::Array | AttrKind::Ints | AttrKind::Exprs) => self.peek_is("[") || self.peek_is("array"),
                Some(_) => {
                    let number =
                        matches!(self.peek_kind(), Kind::Integer | Kind::HexInteger | Kind::Float | Kind::HashId);
                    number || self.peek_is("-") || self.peek_is("dense") || self.peek_is("dense_resource")
                }
                None => false,
            },
            Element::Operands => self.peek_kind() == Kind::PercentId,
            Element::Regions => self.peek_is("{"),
            Element::Successors => self.peek_kind() == Kind::CaretId,
            Element::AttrDict(false) => self.peek_is("{"),
            Element::AttrDict(true) => self.peek_is("attributes"),
            Element::Type(_) | Element::FunctionalType(..) => self.at_type(),
            _ => false,
        }
    }

    fn operand_names(&mut self) -> Parse<Vec<OperandName>> {
        let mut names = vec![];
        if self.peek_kind() == Kind::PercentId {
            names.push(self.operand_name()?);
            while self.accept_token(",") {
                names.push(self.operand_name()?);
            }
        }
        Ok(names)
    }

    fn field(
        &mut self,
        name: &str,
        before_colon: bool,
        def: &'static OpDef,
        state: &mut OpState,
        told: &mut Told,
    ) -> Parse<()> {
        if let Some(i) = def.operands.iter().position(|o| o.name == name) {
            told.fields[i] = match def.operands[i].arity {
                Arity::One => vec![self.operand_name()?],
                Arity::Optional if self.peek_kind() == Kind::PercentId => vec![self.operand_name()?],
                Arity::Optional => vec![],
                Arity::Variadic => self.operand_names()?,
            };
            return Ok(());
        }
        if let Some(attr) = def.attr(name) {
            let value = self.attr_field(attr, before_colon)?;
            state.attrs.set(self.ctx, self.ctx.name(name), value);
            return Ok(());
        }
        match def.regions.iter().find(|r| r.name == name).map(|r| r.arity) {
            Some(Arity::One) => self.region_of(state, Some(&[])),
            Some(Arity::Optional) if !self.peek_is("{") => Ok(()),
            Some(Arity::Optional) => self.region_of(state, Some(&[])),
            Some(Arity::Variadic) => self.element(&Element::Regions, false, def, state, told),
            None => {
                let message = format!("the format of `{}` names `{name}`, which the op does not have", def.name);
                Err(self.emit(Diagnostic::error(codes::BAD_FORMAT, state.loc, message)))
            }
        }
    }

    /// An attribute of the op in the short form of its kind.
    fn attr_field(&mut self, def: &AttrDef, before_colon: bool) -> Parse<Attr> {
        match def.kind {
            AttrKind::SymbolName => {
                let name = self.symbol_name()?;
                Ok(self.ctx.string_attr(self.ctx.str(name)))
            }
            AttrKind::Unit => Ok(self.ctx.unit_attr()),
            AttrKind::Enum(words) => self.enum_word(def, words),
            AttrKind::Type => {
                let ty = self.ty()?;
                Ok(self.ctx.type_attr(ty))
            }
            AttrKind::Ints if self.peek_is("[") => {
                self.tokens.bump();
                let values = self.list_until("]", nim_ir::syntax::AsmParser::integer)?;
                Ok(self.ctx.i64_array(&values))
            }
            AttrKind::Expr | AttrKind::Exprs => self.attr_of_kind(Some(def.kind)),
            _ => self.attribute(!before_colon),
        }
    }

    fn enum_word(&mut self, def: &AttrDef, words: &[&'static str]) -> Parse<Attr> {
        let token = self.tokens.peek();
        let text = match token.kind {
            Kind::BareId => {
                self.tokens.bump();
                self.tokens.text(token).to_string()
            }
            Kind::String => self.string_literal()?,
            _ => return Err(self.unexpected(&format!("one of `{}`", words.join("`, `")))),
        };
        if words.contains(&text.as_str()) {
            return Ok(self.ctx.string_attr(&text));
        }
        let loc = self.loc_of(token);
        let mut diagnostic = Diagnostic::error(
            codes::BAD_ATTRIBUTE,
            loc,
            format!("`{}` is one of `{}`, not {}", def.name, words.join("`, `"), strings::quote(&shorten(&text))),
        );
        if let Some(near) = did_you_mean(&text, words.iter().copied()) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        }
        // Goes on with a word that is allowed: the rest of the op can be looked at.
        self.emit(diagnostic);
        words.first().map(|w| self.ctx.string_attr(w)).ok_or(Reported)
    }

    /// The types that `type(target)` reads.
    fn target_types(&mut self, target: &Target, def: &OpDef, told: &Told) -> Parse<Vec<Type>> {
        let (single, known) = match target {
            Target::Operands => {
                (false, told.all.as_ref().map(Vec::len).or(Some(told.fields.iter().map(Vec::len).sum())))
            }
            Target::Results => (def.results.len() == 1 && def.results[0].arity == Arity::One, None),
            Target::Field(name) => {
                if let Some(i) = def.operands.iter().position(|o| o.name == name) {
                    (def.operands[i].arity == Arity::One, Some(told.fields[i].len()))
                } else {
                    let arity = def.results.iter().find(|r| r.name == name).map(|r| r.arity);
                    (arity == Some(Arity::One), None)
                }
            }
        };
        if single {
            return Ok(vec![self.ty()?]);
        }
        if known == Some(0) || (known.is_none() && !self.at_type()) {
            return Ok(vec![]);
        }
        // As many as there are operands: what follows the list may begin with a comma too.
        let mut types = vec![self.ty()?];
        while known.is_none_or(|n| types.len() < n) && self.accept_token(",") {
            types.push(self.ty()?);
        }
        Ok(types)
    }

    fn told_results(&mut self, def: &'static OpDef, state: &mut OpState, told: &mut Told) {
        if let Some(types) = told.all_results.take() {
            state.results = types;
            return;
        }
        let only = |i: usize| self.only_type(def.results[i].constraint.description).map(|t| vec![t]);
        let any = told.result_types.iter().any(Option::is_some);
        let all: Option<Vec<Vec<Type>>> =
            told.result_types.iter().enumerate().map(|(i, t)| t.clone().or_else(|| only(i))).collect();
        if any && let Some(types) = all {
            state.results = types.concat();
        }
    }

    fn told_operands(&mut self, def: &'static OpDef, state: &mut OpState, told: Told) -> Parse<()> {
        let at = self.tokens.previous().unwrap_or(self.tokens.peek());
        if let Some(types) = &told.all_types {
            let names = told.all.clone().unwrap_or_else(|| told.fields.concat());
            self.operands_of_types(state, &names, types, at)?;
            self.segments(def, state, &told);
            return Ok(());
        }
        if let Some(all) = &told.all {
            for &operand in all {
                let value = self.lookup(operand, None);
                state.operands.push(value);
            }
            return Ok(());
        }
        // A type that others share with those that have none written.
        let from_results =
            if def.has(Trait::SameOperandsAndResultType) { state.results.first().copied() } else { None };
        let shares = def.has(Trait::SameOperandsAndResultType) || def.has(Trait::SameTypeOperands);
        let from_operands = if shares { told.field_types.iter().flatten().flatten().next().copied() } else { None };
        let shared = from_operands.or(from_results);
        for (i, names) in told.fields.iter().enumerate() {
            let fallback = shared.or_else(|| self.only_type(def.operands[i].constraint.description));
            match (&told.field_types[i], fallback) {
                (Some(types), _) => self.operands_of_types(state, names, types, at)?,
                (None, ty) => {
                    for &operand in names {
                        let value = self.lookup(operand, ty);
                        state.operands.push(value);
                    }
                }
            }
        }
        self.segments(def, state, &told);
        Ok(())
    }

    /// `operandSegmentSizes` follows from which operand stands where.
    fn segments(&mut self, def: &OpDef, state: &mut OpState, told: &Told) {
        if def.has_operand_segments() && told.all.is_none() {
            let sizes: Vec<i64> = told.fields.iter().map(|f| f.len() as i64).collect();
            state.attrs.set(self.ctx, self.ctx.name("operandSegmentSizes"), self.ctx.i32_array(&sizes));
        }
    }
}

fn tell(target: &Target, types: Vec<Type>, def: &OpDef, told: &mut Told) {
    match target {
        Target::Operands => told.all_types = Some(types),
        Target::Results => told.all_results = Some(types),
        Target::Field(name) => {
            if let Some(i) = def.operands.iter().position(|o| o.name == name) {
                told.field_types[i] = Some(types);
            } else if let Some(i) = def.results.iter().position(|r| r.name == name) {
                told.result_types[i] = Some(types);
            }
        }
    }
}

/// What the absence of an attribute means, where its definition says so.
pub(crate) fn default_text(def: &AttrDef) -> Option<&'static str> {
    match def.presence {
        Presence::Default(text) => Some(text),
        _ => None,
    }
}
