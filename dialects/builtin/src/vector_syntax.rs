//! Text forms of the `vector` ops whose syntax upstream writes by hand.

use crate::syntax::{
    attr, enum_text, error, parse_angle, parse_flags, parse_index_list, parse_indices, print_attrs, print_flags,
    print_index_list, print_indices, resolve_all, set, set_segments, types_of,
};
use nim_ir::{
    Attr, AttrData, Context, OpId, OpState, Type, TypeData,
    syntax::{AsmParser, AsmPrinter, Parse},
    verifier::operand_groups,
};

const KIND: &str = "vector.kind";

fn parse_kind(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let text = parse_angle(p, ",")?;
    let kind = p.ctx().attr(AttrData::Opaque(p.ctx().name(&format!("{KIND}{text}"))));
    set(p, state, "kind", kind);
    Ok(())
}

fn print_kind(p: &mut dyn AsmPrinter, op: OpId) {
    let text = enum_text(p, op, "kind", KIND).unwrap_or_else(|| "<add>".into());
    p.text(&text);
}

fn colon_type_word(p: &mut dyn AsmParser, word: &str) -> Parse<(Type, Type)> {
    p.expect(":")?;
    let from = p.ty()?;
    p.expect(word)?;
    Ok((from, p.ty()?))
}

fn print_types(p: &mut dyn AsmPrinter, from: Type, word: &str, to: Type) {
    p.text(" : ");
    p.ty(from);
    p.text(word);
    p.ty(to);
}

/// `<add>, %v, %acc fastmath<..> : T into U`
pub(crate) fn parse_reduction(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    parse_kind(p, state)?;
    p.expect(",")?;
    let names = p.operands()?;
    parse_flags(p, state, "fastmath", "fastmath", "arith.fastmath")?;
    p.attr_dict(&mut state.attrs)?;
    let (from, to) = colon_type_word(p, "into")?;
    let types: Vec<Type> = std::iter::once(from).chain(names.iter().skip(1).map(|_| to)).collect();
    state.operands = resolve_all(p, &names, &types)?;
    state.results = vec![to];
    Ok(())
}

pub(crate) fn print_reduction(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    print_kind(p, op);
    p.text(", ");
    p.values(&operands);
    print_flags(p, op, "fastmath", "fastmath", "arith.fastmath");
    print_attrs(p, op, &["kind", "fastmath"]);
    let (from, to) = (p.body().ty(operands[0]), p.body().ty(p.body().result(op)));
    print_types(p, from, " into ", to);
}

fn integers(p: &mut dyn AsmParser) -> Parse<Vec<i64>> {
    let mut numbers = vec![];
    p.expect("[")?;
    if !p.accept("]") {
        numbers.push(p.integer()?);
        while p.accept(",") {
            numbers.push(p.integer()?);
        }
        p.expect("]")?;
    }
    Ok(numbers)
}

/// `<add>, %v, %acc [0, 1] : T to U`
pub(crate) fn parse_multi_reduction(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    parse_kind(p, state)?;
    p.expect(",")?;
    let names = p.operands()?;
    p.attr_dict(&mut state.attrs)?;
    let dims = integers(p)?;
    let dims = p.ctx().i64_array(&dims);
    set(p, state, "reduction_dims", dims);
    let (from, to) = colon_type_word(p, "to")?;
    state.operands = resolve_all(p, &names, &[from, to])?;
    state.results = vec![to];
    Ok(())
}

pub(crate) fn print_multi_reduction(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    print_kind(p, op);
    p.text(", ");
    p.values(&operands);
    print_attrs(p, op, &["kind", "reduction_dims"]);
    p.text(" ");
    let dims = attr(p, op, "reduction_dims").and_then(|a| p.ctx().as_ints(a)).unwrap_or_default();
    print_index_list(p, &[], &dims);
    let (from, to) = (p.body().ty(operands[0]), p.body().ty(p.body().result(op)));
    print_types(p, from, " to ", to);
}

/// `%v[0, %i] : T from U`
pub(crate) fn parse_extract(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let source = p.operand()?;
    let (values, numbers) = parse_index_list(p)?;
    let numbers = p.ctx().i64_array(&numbers);
    set(p, state, "static_position", numbers);
    p.attr_dict(&mut state.attrs)?;
    let (to, from) = colon_type_word(p, "from")?;
    state.operands = vec![p.resolve(source, from)?];
    state.operands.extend(values);
    state.results = vec![to];
    Ok(())
}

pub(crate) fn print_extract(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let numbers = attr(p, op, "static_position").and_then(|a| p.ctx().as_ints(a)).unwrap_or_default();
    p.text(" ");
    p.value(operands[0]);
    print_index_list(p, &operands[1..], &numbers);
    print_attrs(p, op, &["static_position"]);
    let (from, to) = (p.body().ty(operands[0]), p.body().ty(p.body().result(op)));
    print_types(p, to, " from ", from);
}

/// `%x, %v [0, %i] : T into U`
pub(crate) fn parse_insert(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let value = p.operand()?;
    p.expect(",")?;
    let dest = p.operand()?;
    let (values, numbers) = parse_index_list(p)?;
    let numbers = p.ctx().i64_array(&numbers);
    set(p, state, "static_position", numbers);
    p.attr_dict(&mut state.attrs)?;
    let (part, whole) = colon_type_word(p, "into")?;
    state.operands = vec![p.resolve(value, part)?, p.resolve(dest, whole)?];
    state.operands.extend(values);
    state.results = vec![whole];
    Ok(())
}

pub(crate) fn print_insert(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let numbers = attr(p, op, "static_position").and_then(|a| p.ctx().as_ints(a)).unwrap_or_default();
    p.text(" ");
    p.values(&operands[..2]);
    p.text(" ");
    print_index_list(p, &operands[2..], &numbers);
    print_attrs(p, op, &["static_position"]);
    let (part, whole) = (p.body().ty(operands[0]), p.body().ty(operands[1]));
    print_types(p, part, " into ", whole);
}

/// `{indexing_maps = .., iterator_types = ["parallel", ..], kind = ..} %a, %b, %c : T, U into V`
pub(crate) fn parse_contract(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    p.attr_dict(&mut state.attrs)?;
    let ctx = p.ctx();
    // Upstream writes iterator types as strings here, and as attributes of its own elsewhere.
    let name = ctx.name("iterator_types");
    if let Some(items) = state.attrs.get(name).and_then(|a| ctx.as_array(a)) {
        let items: Vec<Attr> = items
            .iter()
            .map(|&a| match ctx.as_string(a) {
                Some(word) => ctx.attr(AttrData::Opaque(ctx.name(&format!("vector.iterator_type<{word}>")))),
                None => a,
            })
            .collect();
        state.attrs.set(ctx, name, ctx.array_attr(items));
    }
    let names = p.operands()?;
    p.expect(":")?;
    let mut types = p.types()?;
    p.expect("into")?;
    let to = p.ty()?;
    types.push(to);
    state.operands = resolve_all(p, &names, &types)?;
    state.results = vec![to];
    Ok(())
}

pub(crate) fn print_contract(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let mut attrs = p.body().attrs(op).clone();
    let ctx = p.ctx();
    let name = ctx.name("iterator_types");
    if let Some(items) = attrs.get(name).and_then(|a| ctx.as_array(a)) {
        let word = |a: Attr| match ctx.attr_data(a) {
            AttrData::Opaque(text) => {
                let text = ctx.str(*text).strip_prefix("vector.iterator_type<").and_then(|t| t.strip_suffix('>'));
                text.map_or(a, |w| ctx.string_attr(w))
            }
            _ => a,
        };
        let items: Vec<Attr> = items.iter().map(|&a| word(a)).collect();
        attrs.set(ctx, name, ctx.array_attr(items));
    }
    p.attr_dict(&attrs, &[]);
    p.text(" ");
    p.values(&operands);
    p.text(" : ");
    let types = types_of(p, &operands);
    p.types(&types[..2]);
    p.text(" into ");
    p.ty(types[2]);
}

/// `%a, %b, %c {kind = ..} : T, U`
pub(crate) fn parse_outerproduct(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let names = p.operands()?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let (lhs, _) = (p.ty()?, p.expect(",")?);
    let rhs = p.ty()?;
    let ctx = p.ctx();
    let result = match (ctx.type_data(lhs), ctx.type_data(rhs)) {
        (TypeData::Vector { dims, element }, TypeData::Vector { dims: more, .. }) => {
            let dims = [dims.as_slice(), more.as_slice()].concat();
            ctx.ty(TypeData::Vector { dims, element: *element })
        }
        (TypeData::Vector { .. }, _) => lhs,
        _ => return error(p, "expected a vector on the left"),
    };
    let types = [lhs, rhs, result];
    if !(2..=3).contains(&names.len()) {
        return error(p, "an outer product has two or three operands");
    }
    state.operands = resolve_all(p, &names, &types[..names.len()])?;
    state.results = vec![result];
    Ok(())
}

pub(crate) fn print_outerproduct(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    p.values(&operands);
    print_attrs(p, op, &[]);
    p.text(" : ");
    let types = types_of(p, &operands[..2]);
    p.types(&types);
}

/// `%a, %b : vector<2xf32>`
pub(crate) fn parse_from_elements(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let names = p.operands()?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let ty = p.ty()?;
    let element = crate::syntax::scalar(p.ctx(), ty);
    state.operands = crate::syntax::resolve_same(p, &names, element)?;
    state.results = vec![ty];
    Ok(())
}

pub(crate) fn print_from_elements(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    p.values(&operands);
    print_attrs(p, op, &[]);
    p.text(" : ");
    let ty = p.body().ty(p.body().result(op));
    p.ty(ty);
}

// ---- transfers

/// The map that takes the last dimensions of the base as those of the vector: `affine_map<(d0, d1) -> (d1)>`.
fn minor_identity(ctx: &Context, base: usize, vector: usize) -> Attr {
    let list = |range: std::ops::Range<usize>| range.map(|i| format!("d{i}")).collect::<Vec<_>>().join(", ");
    let text = format!("affine_map<({}) -> ({})>", list(0..base), list(base.saturating_sub(vector)..base));
    ctx.attr(AttrData::Opaque(ctx.name(&text)))
}

fn ranks(ctx: &Context, base: Type, vector: Type) -> (usize, usize) {
    let vector = match ctx.type_data(vector) {
        TypeData::Vector { dims, .. } => dims.len(),
        _ => 0,
    };
    (ctx.dims(base).map_or(0, <[_]>::len), vector)
}

fn transfer_defaults(p: &mut dyn AsmParser, state: &mut OpState, base: Type, vector: Type) {
    let ctx = p.ctx();
    let (base, vector) = ranks(ctx, base, vector);
    for (name, value) in [
        ("permutation_map", minor_identity(ctx, base, vector)),
        ("in_bounds", ctx.array_attr(vec![ctx.bool_attr(false); vector])),
    ] {
        if state.attrs.get(ctx.name(name)).is_none() {
            state.attrs.set(ctx, ctx.name(name), value);
        }
    }
}

/// Attributes that are as [`transfer_defaults`] would make them, to be left out.
fn transfer_elided(p: &dyn AsmPrinter, op: OpId, base: Type, vector: Type) -> Vec<&'static str> {
    let ctx = p.ctx();
    let (base, vector) = ranks(ctx, base, vector);
    let mut elided = vec!["operandSegmentSizes"];
    if attr(p, op, "permutation_map") == Some(minor_identity(ctx, base, vector)) {
        elided.push("permutation_map");
    }
    if attr(p, op, "in_bounds") == Some(ctx.array_attr(vec![ctx.bool_attr(false); vector])) {
        elided.push("in_bounds");
    }
    elided
}

/// `%x[%i, %j], %padding, %mask {..} : T, U`
pub(crate) fn parse_transfer_read(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let base = p.operand()?;
    let indices = parse_indices(p)?;
    p.expect(",")?;
    let padding = p.operand()?;
    let mask = if p.accept(",") { Some(p.operand()?) } else { None };
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let base_type = p.ty()?;
    p.expect(",")?;
    let vector = p.ty()?;
    let ctx = p.ctx();
    let Some(element) = ctx.element_type(base_type) else { return error(p, "expected a memref or tensor before") };
    let mask_type = crate::syntax::i1_like(ctx, vector);
    let count = indices.len();
    state.operands = vec![p.resolve(base, base_type)?];
    state.operands.extend(indices);
    state.operands.push(p.resolve(padding, element)?);
    if let Some(mask) = mask {
        state.operands.push(p.resolve(mask, mask_type)?);
    }
    set_segments(p, &mut state.attrs, &[1, count, 1, mask.iter().len()]);
    transfer_defaults(p, state, base_type, vector);
    state.results = vec![vector];
    Ok(())
}

pub(crate) fn print_transfer_read(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let indices = operand_groups(p.ctx(), p.body(), op).and_then(|g| g.get(1).cloned()).unwrap_or(1..1);
    p.text(" ");
    p.value(operands[0]);
    print_indices(p, &operands[indices.clone()]);
    p.text(", ");
    p.values(&operands[indices.end..]);
    let (base, vector) = (p.body().ty(operands[0]), p.body().ty(p.body().result(op)));
    let elided = transfer_elided(p, op, base, vector);
    print_attrs(p, op, &elided);
    p.text(" : ");
    p.types(&[base, vector]);
}

/// `%v, %x[%i, %j], %mask {..} : T, U`
pub(crate) fn parse_transfer_write(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let value = p.operand()?;
    p.expect(",")?;
    let base = p.operand()?;
    let indices = parse_indices(p)?;
    let mask = if p.accept(",") { Some(p.operand()?) } else { None };
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let vector = p.ty()?;
    p.expect(",")?;
    let base_type = p.ty()?;
    let mask_type = crate::syntax::i1_like(p.ctx(), vector);
    let count = indices.len();
    state.operands = vec![p.resolve(value, vector)?, p.resolve(base, base_type)?];
    state.operands.extend(indices);
    if let Some(mask) = mask {
        state.operands.push(p.resolve(mask, mask_type)?);
    }
    set_segments(p, &mut state.attrs, &[1, 1, count, mask.iter().len()]);
    transfer_defaults(p, state, base_type, vector);
    state.results = if p.ctx().is_tensor(base_type) { vec![base_type] } else { vec![] };
    Ok(())
}

pub(crate) fn print_transfer_write(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let indices = operand_groups(p.ctx(), p.body(), op).and_then(|g| g.get(2).cloned()).unwrap_or(2..2);
    p.text(" ");
    p.values(&operands[..2]);
    print_indices(p, &operands[indices.clone()]);
    for &mask in &operands[indices.end..] {
        p.text(", ");
        p.value(mask);
    }
    let (vector, base) = (p.body().ty(operands[0]), p.body().ty(operands[1]));
    let elided = transfer_elided(p, op, base, vector);
    print_attrs(p, op, &elided);
    p.text(" : ");
    p.types(&[vector, base]);
}
