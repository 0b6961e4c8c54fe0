//! Pieces of upstream's assembly that many of its ops share.

use nim_ir::{
    AttrData, AttrList, Context, Diagnostic, Loc, OpId, OpState, Type, TypeData, ValueId,
    diagnostics::did_you_mean,
    syntax::{AsmParser, AsmPrinter, OperandName, Parse},
};

/// Marks a dynamic entry in `static_offsets` and the like: `i64::MIN`, as upstream does.
pub const DYNAMIC: i64 = i64::MIN;

/// Sets an attribute of an op that is being parsed.
pub fn set(p: &dyn AsmParser, state: &mut OpState, name: &str, attr: nim_ir::Attr) {
    let ctx = p.ctx();
    state.attrs.set(ctx, ctx.name(name), attr);
}

/// Reports an error at the next token.
pub fn error<T>(p: &mut dyn AsmParser, message: impl Into<String>) -> Parse<T> {
    let loc = p.loc();
    error_at(p, loc, message)
}

/// Reports an error at a place that [`AsmParser::loc`] gave before.
pub fn error_at<T>(p: &mut dyn AsmParser, loc: Loc, message: impl Into<String>) -> Parse<T> {
    Err(p.report(Diagnostic::error("N0350", loc, message)))
}

/// Reports that a word is none of those that may stand here, and which was most likely meant.
pub fn unknown_word<T>(p: &mut dyn AsmParser, loc: Loc, what: &str, word: &str, words: &[&str]) -> Parse<T> {
    let mut diagnostic = Diagnostic::error("N0350", loc, format!("there is no {what} `{word}`"))
        .note(format!("there are {}", words.join(", ")));
    if let Some(near) = did_you_mean(word, words.iter().copied()) {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    }
    Err(p.report(diagnostic))
}

/// The values of operands written with one type each.
pub fn resolve_all(p: &mut dyn AsmParser, names: &[OperandName], types: &[Type]) -> Parse<Vec<ValueId>> {
    if names.len() != types.len() {
        return error(p, format!("{} operands, but {} types", names.len(), types.len()));
    }
    names.iter().zip(types).map(|(&name, &ty)| p.resolve(name, ty)).collect()
}

/// The values of operands that all have one type.
pub fn resolve_same(p: &mut dyn AsmParser, names: &[OperandName], ty: Type) -> Parse<Vec<ValueId>> {
    names.iter().map(|&name| p.resolve(name, ty)).collect()
}

/// `: T, U` for the operands before it; nothing when there are none.
pub fn resolve_colon_types(p: &mut dyn AsmParser, names: &[OperandName]) -> Parse<Vec<ValueId>> {
    if names.is_empty() {
        return Ok(vec![]);
    }
    p.expect(":")?;
    let types = p.types()?;
    resolve_all(p, names, &types)
}

/// `-> (T, U)` if it is next: the results of an op with regions.
pub fn parse_results_arrow(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    if p.accept("->") {
        p.expect("(")?;
        if !p.accept(")") {
            state.results = p.types()?;
            p.expect(")")?;
        }
    }
    Ok(())
}

/// See [`parse_results_arrow`]; whether there are any.
pub fn print_results_arrow(p: &mut dyn AsmPrinter, op: OpId) -> bool {
    let types = result_types(p, op);
    if !types.is_empty() {
        p.text(" -> (");
        p.types(&types);
        p.text(")");
    }
    !types.is_empty()
}

/// Types of values.
pub fn types_of(p: &dyn AsmPrinter, values: &[ValueId]) -> Vec<Type> {
    values.iter().map(|&v| p.body().ty(v)).collect()
}

/// Types of an op's results.
pub fn result_types(p: &dyn AsmPrinter, op: OpId) -> Vec<Type> {
    types_of(p, p.body().results(op))
}

/// The op's attributes without those elided, as ` {...}`.
pub fn print_attrs(p: &mut dyn AsmPrinter, op: OpId, elided: &[&str]) {
    let attrs = p.body().attrs(op).clone();
    p.attr_dict(&attrs, elided);
}

/// An attribute of an op.
pub fn attr(p: &dyn AsmPrinter, op: OpId, name: &str) -> Option<nim_ir::Attr> {
    p.body().attr_named(p.ctx(), op, name)
}

/// `<a,b>` as text, brackets included, with this between the words.
pub fn parse_angle(p: &mut dyn AsmParser, separator: &str) -> Parse<String> {
    p.expect("<")?;
    let mut words = vec![];
    loop {
        let word = p.keyword()?;
        words.push(p.ctx().str(word).to_string());
        if !p.accept(",") {
            break;
        }
    }
    p.expect(">")?;
    Ok(format!("<{}>", words.join(separator)))
}

/// `keyword<...>` if it is next: the attribute `name`, an enum that upstream calls `#full<...>`.
pub fn parse_flags(p: &mut dyn AsmParser, state: &mut OpState, keyword: &str, name: &str, full: &str) -> Parse<()> {
    if p.accept(keyword) {
        // As upstream prints them.
        let text = parse_angle(p, if keyword == "overflow" { ", " } else { "," })?;
        let attr = p.ctx().attr(AttrData::Opaque(p.ctx().name(&format!("{full}{text}"))));
        set(p, state, name, attr);
    }
    Ok(())
}

/// ` keyword<...>` unless it is absent or `<none>`.
pub fn print_flags(p: &mut dyn AsmPrinter, op: OpId, keyword: &str, name: &str, full: &str) {
    if let Some(text) = enum_text(p, op, name, full)
        && text != "<none>"
    {
        p.text(" ");
        p.text(keyword);
        p.text(&text);
    }
}

/// `<add>` of an attribute `#full<add>`.
pub fn enum_text(p: &dyn AsmPrinter, op: OpId, name: &str, full: &str) -> Option<String> {
    match p.ctx().attr_data(attr(p, op, name)?) {
        AttrData::Opaque(text) => p.ctx().str(*text).strip_prefix(full).map(str::to_string),
        _ => None,
    }
}

fn parse_arith_flags(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    parse_flags(p, state, "fastmath", "fastmath", "arith.fastmath")?;
    parse_flags(p, state, "overflow", "overflowFlags", "arith.overflow")?;
    if p.accept("exact") {
        let unit = p.ctx().unit_attr();
        set(p, state, "isExact", unit);
    }
    Ok(())
}

const ARITH_FLAGS: [&str; 3] = ["fastmath", "overflowFlags", "isExact"];

fn print_arith_flags(p: &mut dyn AsmPrinter, op: OpId) {
    print_flags(p, op, "fastmath", "fastmath", "arith.fastmath");
    print_flags(p, op, "overflow", "overflowFlags", "arith.overflow");
    if attr(p, op, "isExact").is_some() {
        p.text(" exact");
    }
}

/// `%a, %b fastmath<..> {..} : T`: all operands and the result have one type.
pub fn parse_same(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let names = p.operands()?;
    parse_arith_flags(p, state)?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let ty = p.ty()?;
    state.operands = resolve_same(p, &names, ty)?;
    state.results = vec![ty];
    Ok(())
}

/// See [`parse_same`].
pub fn print_same(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    let ty = p.body().ty(p.body().result(op));
    p.text(" ");
    p.values(&operands);
    print_arith_flags(p, op);
    print_attrs(p, op, &ARITH_FLAGS);
    p.text(" : ");
    p.ty(ty);
}

/// `%a, %b fastmath<..> {..} : T`: operands have one type, results are inferred.
pub fn parse_inferred(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let names = p.operands()?;
    parse_arith_flags(p, state)?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let ty = p.ty()?;
    state.operands = resolve_same(p, &names, ty)?;
    infer_results(p, state, &vec![ty; names.len()])
}

/// See [`parse_inferred`].
pub fn print_inferred(p: &mut dyn AsmPrinter, op: OpId) {
    let operands = p.body().operands(op);
    p.text(" ");
    p.values(&operands);
    print_arith_flags(p, op);
    print_attrs(p, op, &ARITH_FLAGS);
    p.text(" : ");
    if let Some(&first) = operands.first() {
        let ty = p.body().ty(first);
        p.ty(ty);
    }
}

/// Fills in the result types by the op's shape function.
pub fn infer_results(p: &mut dyn AsmParser, state: &mut OpState, operands: &[Type]) -> Parse<()> {
    match nim_ir::builder::infer_types(p.ctx(), state.name, operands, &state.attrs, state.loc) {
        Ok(types) => {
            state.results = types;
            Ok(())
        }
        Err(diagnostic) => Err(p.report(diagnostic)),
    }
}

/// `%x {..} : T to U`.
pub fn parse_cast(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    let name = p.operand()?;
    parse_arith_flags(p, state)?;
    p.attr_dict(&mut state.attrs)?;
    p.expect(":")?;
    let from = p.ty()?;
    p.expect("to")?;
    let to = p.ty()?;
    state.operands = vec![p.resolve(name, from)?];
    state.results = vec![to];
    Ok(())
}

/// See [`parse_cast`].
pub fn print_cast(p: &mut dyn AsmPrinter, op: OpId) {
    let value = p.body().operand(op, 0);
    let (from, to) = (p.body().ty(value), p.body().ty(p.body().result(op)));
    p.text(" ");
    p.value(value);
    print_arith_flags(p, op);
    print_attrs(p, op, &ARITH_FLAGS);
    p.text(" : ");
    p.ty(from);
    p.text(" to ");
    p.ty(to);
}

/// `{..} %a, %b : T, U`: terminators and the like.
pub fn parse_values(p: &mut dyn AsmParser, state: &mut OpState) -> Parse<()> {
    p.attr_dict(&mut state.attrs)?;
    let names = p.operands()?;
    state.operands = resolve_colon_types(p, &names)?;
    Ok(())
}

/// See [`parse_values`].
pub fn print_values(p: &mut dyn AsmPrinter, op: OpId) {
    print_attrs(p, op, &[]);
    let operands = p.body().operands(op);
    if !operands.is_empty() {
        let types = types_of(p, &operands);
        p.text(" ");
        p.values(&operands);
        p.text(" : ");
        p.types(&types);
    }
}

/// `[0, %i, 4]`: integers and `index` operands in one list; dynamic entries stand as [`DYNAMIC`].
pub fn parse_index_list(p: &mut dyn AsmParser) -> Parse<(Vec<ValueId>, Vec<i64>)> {
    let index = p.ctx().index_type();
    let (mut values, mut numbers) = (vec![], vec![]);
    p.expect("[")?;
    if !p.accept("]") {
        loop {
            if p.peek_operand() {
                let name = p.operand()?;
                values.push(p.resolve(name, index)?);
                numbers.push(DYNAMIC);
            } else {
                numbers.push(p.integer()?);
            }
            if !p.accept(",") {
                break;
            }
        }
        p.expect("]")?;
    }
    Ok((values, numbers))
}

/// See [`parse_index_list`].
pub fn print_index_list(p: &mut dyn AsmPrinter, values: &[ValueId], numbers: &[i64]) {
    let mut values = values.iter();
    p.text("[");
    for (i, &n) in numbers.iter().enumerate() {
        if i > 0 {
            p.text(", ");
        }
        match (n == DYNAMIC).then(|| values.next()).flatten() {
            Some(&value) => p.value(value),
            None => p.text(&n.to_string()),
        }
    }
    p.text("]");
}

/// `[%i, %j]`, all of type `index`.
pub fn parse_indices(p: &mut dyn AsmParser) -> Parse<Vec<ValueId>> {
    let index = p.ctx().index_type();
    p.expect("[")?;
    let names = p.operands()?;
    p.expect("]")?;
    resolve_same(p, &names, index)
}

/// See [`parse_indices`].
pub fn print_indices(p: &mut dyn AsmPrinter, indices: &[ValueId]) {
    p.text("[");
    p.values(indices);
    p.text("]");
}

/// `operandSegmentSizes`.
pub fn set_segments(p: &dyn AsmParser, attrs: &mut AttrList, sizes: &[usize]) {
    let sizes: Vec<i64> = sizes.iter().map(|&n| n as i64).collect();
    let ctx = p.ctx();
    attrs.set(ctx, ctx.name("operandSegmentSizes"), ctx.i32_array(&sizes));
}

/// The type with `i1` in place of the scalar: what a comparison gives.
pub fn i1_like(ctx: &Context, ty: Type) -> Type {
    with_element(ctx, ty, ctx.int_type(1))
}

/// The same shape of another element type; for a scalar, that type.
pub fn with_element(ctx: &Context, ty: Type, new: Type) -> Type {
    match ctx.type_data(ty) {
        TypeData::Vector { dims, .. } => ctx.ty(TypeData::Vector { dims: dims.clone(), element: new }),
        TypeData::Tensor { dims, encoding, .. } => {
            ctx.ty(TypeData::Tensor { dims: dims.clone(), element: new, encoding: *encoding })
        }
        TypeData::UnrankedTensor(_) => ctx.ty(TypeData::UnrankedTensor(new)),
        _ => new,
    }
}

/// The scalar of a vector or tensor; a scalar itself.
pub fn scalar(ctx: &Context, ty: Type) -> Type {
    match ctx.type_data(ty) {
        TypeData::Vector { element, .. } | TypeData::Tensor { element, .. } | TypeData::UnrankedTensor(element) => {
            *element
        }
        _ => ty,
    }
}
