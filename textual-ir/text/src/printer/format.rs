//! Printing an op by its declarative format.
//!
//! An op whose format does not say all that the op is (a result type that inference gives otherwise, an attribute of
//! another kind) is not printed by it; the generic form takes its place.

use super::Printer;
use crate::{
    format::{Element, Format, Target},
    parser::default_text,
    strings,
};
use nim_ir::{
    Arity, Attr, AttrData, AttrDef, AttrKind, OpDef, OpId, RegionId, Trait, Type, TypeData, ValueId,
    builder::infer_types, opdef::constraints, verifier::operand_groups,
};
use std::{ops::Range, rc::Rc};

/// An op and how its operands belong to fields.
struct Formatted {
    op: OpId,
    def: &'static OpDef,
    groups: Vec<Range<usize>>,
    operands: Vec<ValueId>,
    results: Vec<ValueId>,
}

/// Whether a space comes next, and whether punctuation came before: upstream's rules for spaces.
struct Spacing {
    space: bool,
    punctuation: bool,
}

impl Printer<'_> {
    /// Prints what stands behind the name; false when the format does not say everything, the output is then unusable.
    pub(super) fn formatted(&mut self, op: OpId, def: &'static OpDef) -> bool {
        let read = || Format::parse(def.format.unwrap_or_default()).ok().map(Rc::new);
        let Some(format) = self.formats.entry(def.name).or_insert_with(read).clone() else { return false };
        let Some(groups) = operand_groups(self.ctx, self.body(), op) else { return false };
        let body = self.body();
        let it =
            Formatted { op, def, groups, operands: body.operands(op).to_vec(), results: body.results(op).to_vec() };
        if !self.says_everything(&it, &format) {
            return false;
        }
        let mut spacing = Spacing { space: true, punctuation: false };
        self.elements(&format.elements, &it, &format, &mut spacing)
    }

    fn says_everything(&self, it: &Formatted, format: &Format) -> bool {
        let body = self.body();
        let all = format.all();
        let (def, has) = (it.def, |e: &Element| all.contains(&e));
        let dict = has(&Element::AttrDict(false)) || has(&Element::AttrDict(true));
        let attrs = dict || body.attrs(it.op).iter().all(|(n, _)| self.spelled(format, def, self.ctx.str(n)));
        let successors = body.successors(it.op).is_empty() || has(&Element::Successors);
        let regions = has(&Element::Regions) || def.regions.iter().all(|r| format.has_field(r.name));
        let operands = has(&Element::Operands) || def.operands.iter().all(|o| format.has_field(o.name));
        attrs && successors && regions && operands && self.types_follow(it, &all)
    }

    /// True when an attribute is printed by an element other than the dictionary.
    fn spelled(&self, format: &Format, def: &OpDef, name: &str) -> bool {
        let segments = name == "operandSegmentSizes" && !format.all().contains(&&Element::Operands);
        (def.attr(name).is_some() && format.has_field(name)) || (segments && def.has_operand_segments())
    }

    /// True when types that are not printed follow from those that are.
    fn types_follow(&self, it: &Formatted, all: &[&Element]) -> bool {
        let (ctx, body, def) = (self.ctx, self.body(), it.def);
        let told = |target: &Target| {
            all.iter().any(|e| match e {
                Element::Type(t) => t == target,
                Element::FunctionalType(a, b) => a == target || b == target,
                _ => false,
            })
        };
        let only = |constraint: &str, ty: Type| {
            (constraint == constraints::INDEX.description && ty == ctx.index_type())
                || (constraint == constraints::BOOL.description && ty == ctx.int_type(1))
        };
        let types = |values: &[ValueId]| values.iter().map(|&v| body.ty(v)).collect::<Vec<Type>>();
        let (inputs, results) = (types(&it.operands), types(&it.results));
        let same_operands = def.has(Trait::SameTypeOperands) || def.has(Trait::SameOperandsAndResultType);
        let mut shared = if same_operands { inputs.clone() } else { vec![] };
        if def.has(Trait::SameOperandsAndResultType) {
            shared.extend(&results);
        }
        if shared.windows(2).any(|w| w[0] != w[1]) {
            return false;
        }
        if told(&Target::Results) || results.is_empty() {
            return true;
        }
        let field = |i: usize| told(&Target::Field(def.results[i].name.into()));
        let fixed = it.results.len() == def.results.len();
        if (0..def.results.len()).any(field) {
            return (0..def.results.len())
                .all(|i| field(i) || (fixed && only(def.results[i].constraint.description, results[i])));
        }
        if def.infer.is_some() {
            let inferred = infer_types(ctx, body.op_name(it.op), &inputs, body.attrs(it.op), body.loc(it.op));
            return inferred.is_ok_and(|inferred| inferred == results);
        }
        (def.has(Trait::SameOperandsAndResultType) && !inputs.is_empty() && fixed)
            || (fixed && def.results.iter().zip(&results).all(|(r, &ty)| only(r.constraint.description, ty)))
    }

    fn elements(&mut self, list: &[Element], it: &Formatted, format: &Format, spacing: &mut Spacing) -> bool {
        list.iter().enumerate().all(|(i, element)| {
            let before_colon = matches!(list.get(i + 1), Some(Element::Literal(text)) if text == ":");
            self.element(element, before_colon, it, format, spacing)
        })
    }

    /// A space where one belongs before something that is no literal.
    fn space(&mut self, spacing: &mut Spacing) {
        if spacing.space {
            self.push(" ");
        }
        *spacing = Spacing { space: true, punctuation: false };
    }

    fn element(
        &mut self,
        element: &Element,
        before_colon: bool,
        it: &Formatted,
        format: &Format,
        spacing: &mut Spacing,
    ) -> bool {
        let body = self.body();
        match element {
            Element::Literal(text) => {
                self.literal(text, spacing);
            }
            Element::Space(space) => {
                if *space {
                    self.push(" ");
                }
                spacing.space = false;
            }
            Element::Newline => {
                self.new_line(1);
                spacing.space = false;
            }
            Element::Field(name) => return self.field(name, before_colon, it, spacing),
            Element::AttrDict(keyword) => {
                let spelled: Vec<&str> = body
                    .attrs(it.op)
                    .iter()
                    .map(|(n, _)| self.ctx.str(n))
                    .filter(|n| self.spelled(format, it.def, n))
                    .collect();
                let before = self.out.len();
                self.dict(body.attrs(it.op), &spelled, if *keyword { " attributes " } else { " " });
                if self.out.len() > before {
                    *spacing = Spacing { space: true, punctuation: false };
                }
            }
            Element::Operands => {
                if !it.operands.is_empty() {
                    self.space(spacing);
                    self.operand_list(it.op);
                }
            }
            Element::Successors => {
                if !body.successors(it.op).is_empty() {
                    self.space(spacing);
                    self.commas(body.successors(it.op), |p, &b| p.block_name(b));
                }
            }
            Element::Regions => {
                let regions = self.regions_of(it, None);
                self.regions(it, &regions, spacing);
            }
            Element::Type(target) => {
                let types = self.target_types(target, it);
                if !types.is_empty() {
                    self.space(spacing);
                    self.type_list(&types);
                }
            }
            Element::FunctionalType(a, b) => {
                let (inputs, results) = (self.target_types(a, it), self.target_types(b, it));
                self.space(spacing);
                self.signature(inputs.iter().copied(), results.iter().copied());
            }
            Element::Group { elements, anchor, otherwise } => {
                let here = elements.get(*anchor).is_some_and(|a| self.is_there(a, it));
                return self.elements(if here { elements } else { otherwise }, it, format, spacing);
            }
        }
        true
    }

    fn literal(&mut self, text: &str, spacing: &mut Spacing) {
        let first = text.chars().next().unwrap_or(' ');
        let before = match spacing.punctuation {
            _ if text.len() != 1 && text != "->" => true,
            true => !">)}],".contains(first),
            false => !"<>(){}[],".contains(first),
        };
        if spacing.space && before {
            self.push(" ");
        }
        self.push(text);
        spacing.space = text.len() != 1 || !"<({[".contains(first);
        spacing.punctuation = !(first.is_ascii_alphabetic() || first == '_');
    }

    fn is_there(&self, anchor: &Element, it: &Formatted) -> bool {
        match anchor {
            Element::Field(name) => {
                if let Some(i) = it.def.operands.iter().position(|o| o.name == name) {
                    return !it.groups[i].is_empty();
                }
                if it.def.attr(name).is_some() {
                    return self.body().attr_named(self.ctx, it.op, name).is_some();
                }
                !self.regions_of(it, Some(name)).is_empty()
            }
            Element::Operands => !it.operands.is_empty(),
            Element::Successors => !self.body().successors(it.op).is_empty(),
            Element::Regions => !self.regions_of(it, None).is_empty(),
            Element::Type(target) => !self.target_types(target, it).is_empty(),
            _ => true,
        }
    }

    fn target_types(&self, target: &Target, it: &Formatted) -> Vec<Type> {
        let body = self.body();
        let values = match target {
            Target::Operands => &it.operands[..],
            Target::Results => &it.results[..],
            Target::Field(name) => match it.def.operands.iter().position(|o| o.name == name) {
                Some(i) => &it.operands[it.groups[i].clone()],
                None => self.result_field(name, it),
            },
        };
        values.iter().map(|&v| body.ty(v)).collect()
    }
    /// At most one result field holds other than one value; it takes what the others leave.
    fn result_field<'r>(&self, name: &str, it: &'r Formatted) -> &'r [ValueId] {
        let fields = it.def.results;
        let Some(i) = fields.iter().position(|r| r.name == name) else { return &[] };
        let flexible = fields.iter().position(|r| r.arity != Arity::One).unwrap_or(fields.len());
        let extra = (it.results.len() + 1).saturating_sub(fields.len());
        let len = if i == flexible { extra } else { 1 };
        let start = if i > flexible { i - 1 + extra } else { i };
        it.results.get(start..start + len).unwrap_or(&[])
    }

    /// Regions of a field or all: those in this body, or the indices of those of the op's own body.
    fn regions_of(&self, it: &Formatted, field: Option<&str>) -> Vec<Result<RegionId, usize>> {
        let body = self.body();
        let own = body.regions(it.op).iter().map(|&r| Ok(r));
        let nested = body.nested(it.op).map_or(0, |b| b.root_regions().len());
        let all: Vec<_> = own.chain((0..nested).map(Err)).collect();
        let Some(field) = field else { return all };
        let Some(i) = it.def.regions.iter().position(|r| r.name == field) else { return vec![] };
        let end = if it.def.regions[i].arity == Arity::Variadic { all.len() } else { (i + 1).min(all.len()) };
        all.get(i..end).unwrap_or_default().to_vec()
    }
    fn regions(&mut self, it: &Formatted, regions: &[Result<RegionId, usize>], spacing: &mut Spacing) {
        if regions.is_empty() {
            return;
        }
        self.space(spacing);
        self.commas(regions, |p, &region| match region {
            Ok(region) => p.region_text(it.def.name, region, true, true, false),
            Err(index) => p.nested_region_text(it.op, index, true, true, false),
        });
        self.op = Some(it.def);
    }

    fn field(&mut self, name: &str, before_colon: bool, it: &Formatted, spacing: &mut Spacing) -> bool {
        if let Some(i) = it.def.operands.iter().position(|o| o.name == name) {
            let values = &it.operands[it.groups[i].clone()];
            if !values.is_empty() {
                self.space(spacing);
                self.commas(values, |p, &v| p.value_name(v));
            }
            return true;
        }
        if let Some(attr) = it.def.attr(name) {
            let value = self.body().attr_named(self.ctx, it.op, name);
            return match (value, default_text(attr)) {
                (Some(value), _) => self.attr_field(attr, value, before_colon, spacing),
                (None, Some(text)) => {
                    let Ok(value) = crate::parse_attr(self.ctx, text) else { return false };
                    self.attr_field(attr, value, before_colon, spacing)
                }
                (None, None) => false,
            };
        }
        let regions = self.regions_of(it, Some(name));
        self.regions(it, &regions, spacing);
        true
    }

    /// An attribute in the short form of its kind; false when it is of another kind than the table says.
    fn attr_field(&mut self, def: &AttrDef, value: Attr, before_colon: bool, spacing: &mut Spacing) -> bool {
        let ctx = self.ctx;
        let data = ctx.attr_data(value);
        if let (AttrKind::Unit, AttrData::Unit) = (def.kind, data) {
            return true;
        }
        let start = self.out.len();
        let before = (spacing.space, spacing.punctuation);
        self.space(spacing);
        match (def.kind, data) {
            (AttrKind::SymbolName, AttrData::String(name)) => self.push(&strings::symbol(ctx.str(*name))),
            (AttrKind::Enum(words), AttrData::String(name)) if words.contains(&ctx.str(*name)) => {
                let text = ctx.str(*name);
                let text = if strings::is_bare_id(text) { text.to_string() } else { strings::quote(text) };
                self.push(&text);
            }
            (AttrKind::Ints, AttrData::DenseArray { element, values }) if *element == ctx.int_type(64) => {
                self.push("[");
                self.commas(values, |p, v| p.push(&v.to_string()));
                self.push("]");
            }
            (AttrKind::Expr | AttrKind::Exprs, _) => self.attr_of_kind(value, Some(def.kind)),
            (AttrKind::SymbolName | AttrKind::Unit | AttrKind::Enum(_), _) => {
                self.out.truncate(start);
                (spacing.space, spacing.punctuation) = before;
                return false;
            }
            // A colon behind a number would be read as that of its type.
            (_, AttrData::Int { ty, .. }) if before_colon => {
                if !matches!(ctx.type_data(*ty), TypeData::Integer { width: 64, sign: nim_ir::Signedness::Signless }) {
                    return false;
                }
                self.attr_short(value);
            }
            (_, AttrData::Float { bits, ty }) if before_colon => {
                if *ty != ctx.float_type(nim_ir::FloatKind::F64) || !f64::from_bits(*bits).is_finite() {
                    return false;
                }
                self.attr_short(value);
            }
            _ => self.attr_short(value),
        }
        true
    }
}
