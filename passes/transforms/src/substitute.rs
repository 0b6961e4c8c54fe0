//! Putting expressions in place of symbols, everywhere: in types, attributes, regions and nested bodies.

use nim_ir::{Attr, AttrData, Body, Context, Dim, Expr, OpId, Symbol, Type, TypeData};

/// What stands in place of a symbol; `None` leaves it.
pub type Substitution<'a> = dyn FnMut(Symbol) -> Option<Expr> + 'a;

/// A type with expressions in place of the symbols of its dimensions.
pub fn in_type(ctx: &Context, ty: Type, f: &mut Substitution<'_>) -> Type {
    let dims_of = |dims: &[Dim], f: &mut Substitution<'_>| -> Vec<Dim> {
        dims.iter()
            .map(|d| match d {
                Dim::Expr(e) => Dim::Expr(ctx.exprs.substitute(*e, &mut *f)),
                Dim::Unknown => Dim::Unknown,
            })
            .collect()
    };
    let new = match ctx.type_data(ty) {
        TypeData::Tensor { dims, element, encoding } => {
            TypeData::Tensor { dims: dims_of(dims, f), element: in_type(ctx, *element, f), encoding: *encoding }
        }
        TypeData::MemRef { dims, element, layout, space } => {
            let dims = dims_of(dims, f);
            TypeData::MemRef { dims, element: in_type(ctx, *element, f), layout: *layout, space: *space }
        }
        TypeData::UnrankedTensor(element) => TypeData::UnrankedTensor(in_type(ctx, *element, f)),
        TypeData::Tuple(types) => TypeData::Tuple(types.iter().map(|&t| in_type(ctx, t, f)).collect()),
        TypeData::Function { inputs, results } => TypeData::Function {
            inputs: inputs.iter().map(|&t| in_type(ctx, t, f)).collect(),
            results: results.iter().map(|&t| in_type(ctx, t, f)).collect(),
        },
        TypeData::Dialect { name, params } => {
            TypeData::Dialect { name: *name, params: params.iter().map(|&a| in_attr(ctx, a, f)).collect() }
        }
        _ => return ty,
    };
    ctx.ty(new)
}

/// An attribute with expressions in place of symbols.
pub fn in_attr(ctx: &Context, attr: Attr, f: &mut Substitution<'_>) -> Attr {
    match ctx.attr_data(attr) {
        AttrData::Expr(e) => ctx.expr_attr(ctx.exprs.substitute(*e, &mut *f)),
        AttrData::Type(ty) => ctx.type_attr(in_type(ctx, *ty, f)),
        AttrData::Array(items) => ctx.attr(AttrData::Array(items.iter().map(|&a| in_attr(ctx, a, f)).collect())),
        AttrData::Dict(items) => {
            ctx.attr(AttrData::Dict(items.iter().map(|&(n, a)| (n, in_attr(ctx, a, f))).collect()))
        }
        _ => attr,
    }
}

/// Attributes whose strings are names of symbols that the op binds.
const BINDERS: [&str; 2] = ["symbols", "iv"];

/// Changes an op and all that is in it: types of results and block arguments, attributes, and names that ops bind (where a symbol
/// stands in place of a symbol).
pub fn in_op(ctx: &Context, body: &mut Body, op: OpId, f: &mut Substitution<'_>) {
    for inner in body.walk_op(op) {
        for i in 0..body.results(inner).len() {
            let value = body.results(inner)[i];
            let ty = in_type(ctx, body.ty(value), f);
            body.set_ty(value, ty);
        }
        for region in body.regions(inner).to_vec() {
            for block in body.blocks(region).to_vec() {
                for value in body.block_args(block).to_vec() {
                    let ty = in_type(ctx, body.ty(value), f);
                    body.set_ty(value, ty);
                }
            }
        }
        let attrs: Vec<_> = body.attrs(inner).iter().collect();
        for (name, attr) in attrs {
            let mut new = in_attr(ctx, attr, f);
            if BINDERS.contains(&ctx.str(name)) {
                new = rename(ctx, new, f);
            }
            if new != attr {
                body.attrs_mut(inner).set(ctx, name, new);
            }
        }
    }
}

/// Strings that name symbols, with the names of what stands in their place.
fn rename(ctx: &Context, attr: Attr, f: &mut Substitution<'_>) -> Attr {
    match ctx.attr_data(attr) {
        AttrData::String(name) => {
            let new = f(ctx.exprs.symbol(ctx.str(*name))).and_then(|e| ctx.exprs.as_symbol(e));
            new.map_or(attr, |s| ctx.string_attr(ctx.exprs.symbol_name(s)))
        }
        AttrData::Array(items) => ctx.attr(AttrData::Array(items.iter().map(|&a| rename(ctx, a, f)).collect())),
        _ => attr,
    }
}

/// All symbols that types and attributes of a body mention, iteration variables (`$0`) excepted.
pub fn symbols_of(ctx: &Context, body: &Body) -> Vec<Symbol> {
    let mut found: Vec<Symbol> = vec![];
    let mut note = |s: Symbol| -> Option<Expr> {
        if !found.contains(&s) && !ctx.exprs.symbol_name(s).starts_with('$') {
            found.push(s);
        }
        None
    };
    let visit_block = |block, note: &mut Substitution<'_>| {
        for &value in body.block_args(block) {
            in_type(ctx, body.ty(value), note);
        }
    };
    for &region in body.root_regions() {
        body.blocks(region).iter().for_each(|&b| visit_block(b, &mut note));
    }
    for op in body.walk() {
        for &value in body.results(op) {
            in_type(ctx, body.ty(value), &mut note);
        }
        for &region in body.regions(op) {
            body.blocks(region).iter().for_each(|&b| visit_block(b, &mut note));
        }
        for (name, attr) in body.attrs(op).iter() {
            in_attr(ctx, attr, &mut note);
            if BINDERS.contains(&ctx.str(name)) {
                rename(ctx, attr, &mut note);
            }
        }
    }
    found
}
